//! When a checkpoint is due, what it costs, and what waits for the next one.
//!
//! Each test is there since a change of the code could go unnoticed without it: `docs/mutants.md`.

mod double;

use double::{Call, Double, Last, words};
use mapleaf_pager::{Durability, Error, Options, PageId, Pages, Part, Store, WriteTxn};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

const PAGE: usize = 512;
const CAPACITY: usize = 8192 * PAGE;
const RING: u64 = 16 * 1024;
/// Bytes of a block beside its one record: it is rounded up to 8 only where the next one starts.
const BLOCK: usize = 68;

type TestStore = Store<Double, Box<[AtomicU32]>>;

fn options() -> Options {
    Options::default().page_size(PAGE as u32).log_bytes(RING, RING)
}

fn created(two_views: bool) -> TestStore {
    Store::create(Double::new(&[], CAPACITY, PAGE, two_views), words(), &options()).unwrap()
}

/// Sets the root; its block is so many bytes long.
fn logged(store: &TestStore, value: u8, bytes: usize) {
    let mut txn = store.begin_write().unwrap();
    txn.set_root(&[value; 64]);
    txn.redo(&[Part::Bytes(&vec![value; bytes - BLOCK])]);
    txn.commit(Durability::Eventual).unwrap();
}

fn barriers(store: &TestStore) -> u64 {
    store.mapping().barriers.load(Ordering::Relaxed)
}

fn pages(txn: &mut WriteTxn<'_>, count: usize) -> Vec<PageId> {
    (0..count).map(|_| txn.claim().unwrap()).collect()
}

/// Else the thread that makes checkpoints would make them all the time, or so late that commits wait for it.
#[test]
fn a_checkpoint_is_due_when_half_of_the_ring_is_used() {
    let store = created(true);
    assert!(!store.checkpoint_due(), "nothing was committed");
    logged(&store, 1, 5000);
    assert!(!store.checkpoint_due(), "5,000 bytes of 16,384");
    logged(&store, 2, 3192);
    assert!(!store.checkpoint_due(), "half of it");
    logged(&store, 3, 80);
    assert!(store.checkpoint_due(), "80 bytes more");
    store.checkpoint().unwrap();
    assert!(!store.checkpoint_due(), "just made");
    // From 8,272 on; what has no room behind that goes to the ring's start.
    logged(&store, 4, 4000);
    logged(&store, 5, 4000);
    assert!(!store.checkpoint_due(), "8,000");
    store.checkpoint().unwrap();
    logged(&store, 6, 8000);
    assert!(!store.checkpoint_due(), "112 at the ring's end that were left, and 8,000");
    logged(&store, 7, 104);
    assert!(store.checkpoint_due(), "104 more");
    let used = store.stats().log_used_bytes;
    assert_eq!(used, RING - 16_272 + 8_104);
    store.checkpoint().unwrap();
    assert_eq!(store.stats().log_used_bytes, 0);
}

/// Else the file of a store that changes a little at a time would grow, the log being far from full.
#[test]
fn a_checkpoint_is_due_when_freed_pages_wait_for_it() {
    let store = created(true);
    let mut txn = store.begin_write().unwrap();
    let live = pages(&mut txn, 600);
    txn.set_root(&[1; 64]);
    txn.commit(Durability::Sync).unwrap();
    store.checkpoint().unwrap();
    assert!(!store.checkpoint_due());
    free(&store, &live[..100]);
    assert!(!store.checkpoint_due(), "fewer than half of the 256 that may wait");
    free(&store, &live[100..140]);
    assert!(store.checkpoint_due());
    store.checkpoint().unwrap();
    assert!(!store.checkpoint_due());
}

/// Else the file would grow beside a long reader: what waits for a checkpoint, and what the reader holds back, are
/// not told apart there, so that less may wait.
#[test]
fn a_checkpoint_is_due_sooner_beside_a_reader_older_than_the_last_one() {
    for begun in ["never", "before", "behind"] {
        let store = created(true);
        let mut txn = store.begin_write().unwrap();
        let live = pages(&mut txn, 6000);
        txn.set_root(&[1; 64]);
        txn.commit(Durability::Sync).unwrap();
        let _before = (begun == "before").then(|| store.begin_read(0).unwrap());
        logged(&store, 3, 100);
        store.checkpoint().unwrap();
        let _behind = (begun == "behind").then(|| store.begin_read(0).unwrap());
        free(&store, &live[..100]);
        assert!(!store.checkpoint_due(), "fewer than half of the 256 that may wait beside it");
        free(&store, &live[100..200]);
        assert_eq!(store.checkpoint_due(), begun == "before", "{begun}");
    }
}

/// Else a store as large as its file may become would be full for ever, though what waits for a checkpoint is room.
#[test]
fn what_waits_for_a_checkpoint_is_room_for_the_transaction_after_one_that_found_none() {
    let store =
        Store::create(Double::new(&[], 300 * PAGE, PAGE, true), words(), &options()).unwrap();
    let mut txn = store.begin_write().unwrap();
    let mut live = pages(&mut txn, 150);
    txn.set_root(&[1; 64]);
    txn.commit(Durability::Sync).unwrap();
    let replace_ten = |live: &mut Vec<PageId>| {
        let mut txn = store.begin_write()?;
        let new = (0..10).map(|_| txn.claim()).collect::<Result<Vec<_>, _>>()?;
        live[..10].iter().try_for_each(|page| txn.free(*page))?;
        txn.redo(&[Part::Bytes(&[7; 10])]);
        txn.commit(Durability::Eventual)?;
        live.splice(..10, []);
        live.extend(new);
        Ok::<(), Error>(())
    };
    let mut full = 0;
    for _ in 0..80 {
        if let Err(error) = replace_ten(&mut live) {
            assert_eq!(error, Error::Full);
            full += 1;
            replace_ten(&mut live).expect("room after a checkpoint");
        }
    }
    assert!(full > 0, "never full");
}

/// Else a program that asks often, to be sure, would pay for barriers each time.
#[test]
fn a_checkpoint_of_what_is_durable_costs_nothing() {
    for two_views in [false, true] {
        let store = created(two_views);
        logged(&store, 1, 100);
        let txn = store.checkpoint().unwrap();
        let before = (barriers(&store), store.stats().checkpoints);
        assert_eq!((store.checkpoint(), store.sync()), (Ok(txn), Ok(txn)));
        assert_eq!((barriers(&store), store.stats().checkpoints), before);
        assert_eq!(store.stats().checkpoint, txn);
    }
}

/// Frees some of `live`, in a commit of its own.
fn free(store: &TestStore, live: &[PageId]) {
    let mut txn = store.begin_write().unwrap();
    live.iter().for_each(|page| txn.free(*page).unwrap());
    txn.set_root(&[2; 64]);
    txn.redo(&[Part::Bytes(&[2; 8])]);
    txn.commit(Durability::Eventual).unwrap();
}

/// Else pages that the checkpoint reaches would be reused before the next one, or never.
#[test]
fn what_is_freed_beside_a_checkpoint_waits_for_the_next_one() {
    // For as long as the hook, which their mapping has.
    static STORES: [OnceLock<TestStore>; 2] = [OnceLock::new(), OnceLock::new()];
    for two_views in [false, true] {
        let store = STORES[usize::from(two_views)].get_or_init(|| created(two_views));
        let mut txn = store.begin_write().unwrap();
        let live = pages(&mut txn, 100);
        txn.set_root(&[1; 64]);
        txn.commit(Durability::Sync).unwrap();
        store.checkpoint().unwrap();
        free(store, &live[..20]);
        assert_eq!(store.stats().waiting_pages, 20);
        // Ten more are freed while the checkpoint is on its way.
        let (beside, freed) = (AtomicBool::new(true), live[20..30].to_vec());
        let hook = move |call: Call, _: &_| {
            if call == Call::Flush && beside.swap(false, Ordering::Relaxed) {
                free(store, &freed);
            }
        };
        assert!(store.mapping().hook.set(Box::new(hook)).is_ok());
        store.checkpoint().unwrap();
        assert_eq!(store.stats().waiting_pages, 10, "freed beside it");
        free(store, &live[30..35]);
        assert_eq!(store.stats().waiting_pages, 15);
        store.checkpoint().unwrap();
        assert_eq!(store.stats().waiting_pages, 0);
    }
}

/// Else a commit would wait for that checkpoint and then make one of its own, though the log has room again.
#[test]
fn a_commit_that_finds_the_log_full_waits_for_the_checkpoint_in_progress() {
    static STORES: [OnceLock<TestStore>; 2] = [OnceLock::new(), OnceLock::new()];
    for two_views in [false, true] {
        let store = STORES[usize::from(two_views)].get_or_init(|| created(two_views));
        logged(store, 1, 8000);
        let (flushes, waits) = (AtomicBool::new(true), || {
            let relaxed = store.mapping().relaxed.load(Ordering::Relaxed);
            while store.mapping().relaxed.load(Ordering::Relaxed) == relaxed {
                std::thread::yield_now();
            }
        });
        let (begun, is_begun) = std::sync::mpsc::sync_channel(1);
        let hook = move |call: Call, _: &_| {
            if call == Call::Flush && flushes.swap(false, Ordering::Relaxed) {
                begun.send(()).unwrap();
                waits();
            }
        };
        assert!(store.mapping().hook.set(Box::new(hook)).is_ok());
        let before = store.stats();
        std::thread::scope(|scope| {
            let checkpoint = scope.spawn(|| store.checkpoint().unwrap());
            is_begun.recv().unwrap();
            logged(store, 2, 8000);
            // No room behind these 16,000 bytes, nor before the 8,000 that the checkpoint makes superfluous.
            logged(store, 3, 1000);
            checkpoint.join().unwrap();
        });
        let after = store.stats();
        assert_eq!(after.log_commits, before.log_commits + 2);
        assert_eq!(after.checkpoints, before.checkpoints + 1);
        assert_eq!(after.log_used_bytes, RING - 8000 + 1000);
        assert_eq!((&store.begin_read(0).unwrap()).root()[0], 3);
    }
}

/// Else a full disk would end the store, or pages wait for a checkpoint that was never made.
#[test]
fn a_checkpoint_that_finds_no_room_is_made_later() {
    let store = created(true);
    let mut txn = store.begin_write().unwrap();
    let live = pages(&mut txn, 60);
    txn.set_root(&[1; 64]);
    txn.redo(&[Part::Bytes(&[1; 8])]);
    txn.commit(Durability::Eventual).unwrap();
    let before = store.stats().checkpoint;
    store.mapping().fail_publish.store(true, Ordering::Relaxed);
    assert_eq!(store.checkpoint(), Err(Error::Full));
    assert_eq!(store.stats().checkpoint, before);
    store.mapping().fail_publish.store(false, Ordering::Relaxed);
    free(&store, &live);
    // No durable state reaches them, and none is on its way to be one.
    assert_eq!(store.stats().waiting_pages, 0, "{:?}", store.stats());
    store.checkpoint().unwrap();
    let mapping = Double::new(&store.mapping().durable(), CAPACITY, PAGE, false);
    let again = Store::open_proven(mapping, words(), &options(), &mut Last, &mut []).unwrap();
    assert_eq!((&again.begin_read(0).unwrap()).root()[0], 2);
}

fn opened(image: &[u8], options: &Options) -> TestStore {
    let mapping = Double::new(image, CAPACITY, PAGE, false);
    Store::open_proven(mapping, words(), options, &mut Last, &mut []).unwrap()
}

/// Else a power loss while a meta is stored would cost the store, or all since a checkpoint long ago.
#[test]
fn a_torn_meta_leaves_the_one_before_it() {
    let store = created(false);
    for round in 1..6 {
        // Each block has units of the medium of its own: a flush of one does not save another.
        let (first, second) = (2 * round, 2 * round + 1);
        logged(&store, first, 1100);
        store.checkpoint().unwrap();
        let before = store.mapping().durable();
        // By turns a checkpoint of its own, behind the log's last block, and one of a commit that has none.
        let logs = round % 2 == 0;
        if logs {
            logged(&store, second, 1100);
            store.sync().unwrap();
            store.checkpoint().unwrap();
        } else {
            let mut txn = store.begin_write().unwrap();
            txn.set_root(&[second; 64]);
            txn.commit(Durability::Sync).unwrap();
        }
        let mut torn = store.mapping().durable();
        let meta = |slot: usize| slot * PAGE..(slot + 1) * PAGE;
        let stored: Vec<usize> =
            (0..2).filter(|slot| before[meta(*slot)] != torn[meta(*slot)]).collect();
        let [stored] = stored[..] else { panic!("not one meta: {stored:?}") };
        torn[meta(stored)][256..].fill(0xA5);
        let found = opened(&torn, &options());
        let root = (&found.begin_read(0).unwrap()).root()[0];
        assert_eq!(root, if logs { second } else { first });
    }
}

/// Else a power loss after a checkpoint would find pages of another transaction in its place.
#[test]
fn pages_of_a_checkpoint_on_its_way_are_not_reused_beside_it() {
    static STORE: OnceLock<TestStore> = OnceLock::new();
    let store = STORE.get_or_init(|| created(false));
    logged(store, 1, 100);
    store.checkpoint().unwrap();
    // Born after the durable checkpoint; the next one is the first to reach them.
    let mut txn = store.begin_write().unwrap();
    let live = pages(&mut txn, 40);
    for page in &live {
        let ([], [bytes]) = txn.edit([], [*page]).unwrap();
        bytes[16..].fill(7);
    }
    txn.set_root(&[7; 64]);
    txn.redo(&[Part::Bytes(&[7; 8])]);
    txn.commit(Durability::Eventual).unwrap();
    let (beside, freed) = (AtomicBool::new(true), live.clone());
    let hook = move |call: Call, _: &_| {
        if call == Call::Flush && beside.swap(false, Ordering::Relaxed) {
            free(store, &freed);
            for _ in 0..2 {
                let mut txn = store.begin_write().unwrap();
                for page in pages(&mut txn, 60) {
                    let ([], [bytes]) = txn.edit([], [page]).unwrap();
                    bytes[16..].fill(0xEE);
                }
                txn.set_root(&[9; 64]);
                txn.redo(&[Part::Bytes(&[9; 8])]);
                txn.commit(Durability::Eventual).unwrap();
            }
        }
    };
    assert!(store.mapping().hook.set(Box::new(hook)).is_ok());
    store.checkpoint().unwrap();
    // The blocks beside it were not flushed.
    let after = opened(&store.mapping().durable(), &options());
    let snapshot = after.begin_read(0).unwrap();
    assert_eq!((&snapshot).root()[0], 7);
    for page in &live {
        assert!(snapshot.page(*page).unwrap()[16..].iter().all(|byte| *byte == 7), "{page:?}");
    }
}

/// Else a program that may only read a file would change it.
#[test]
fn a_store_that_is_opened_for_reading_is_never_written_to() {
    let store = created(false);
    logged(&store, 7, 100);
    store.checkpoint().unwrap();
    let image = store.mapping().durable();
    let mut reading = options();
    reading.read_only = true;
    let store = opened(&image, &reading);
    assert!(store.checkpoint().is_err() && store.sync().is_err());
    assert!(store.begin_write().is_err() && !store.checkpoint_due());
    store.close().unwrap();
    assert_eq!(barriers(&store), 0);
    assert_eq!(store.mapping().published(), image);
}

/// Else each `sync` of a program that has nothing to sync would be a barrier.
#[test]
fn what_was_there_is_made_sure_of_once() {
    let store = created(false);
    logged(&store, 7, 100);
    store.checkpoint().unwrap();
    let store = opened(&store.mapping().durable(), &options());
    store.sync().unwrap();
    assert_eq!(barriers(&store), 1, "what was read may have been in the page cache only");
    store.sync().unwrap();
    store.checkpoint().unwrap();
    assert_eq!(barriers(&store), 1);
}
