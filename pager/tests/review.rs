//! Narrow places of commits, checkpoints and recovery, one test each.
//!
//! Each of these was a fault once, or a crash window that is easy to open again.

mod double;

use double::{Call, Double, Shared, words};
use mapleaf_pager::{
    Bytes, Damage, Durability, Error, Inspection, Options, PageId, Pages, Part, Redo, RedoLog,
    Replay, Result, Store, WriteTxn,
};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const PAGE: usize = 512;
const CAPACITY: usize = 2048 * PAGE;
const RING: u64 = 16 * 1024;
/// Bytes of a block besides its one record.
const BLOCK: usize = 64 + 4;

type TestStore = Store<Double, Box<[AtomicU32]>>;

/// Replays by storing each record's first byte; page 0 of the root data is a page of its own.
struct Last;

impl Replay for Last {
    fn replay<'s>(&mut self, mut txn: WriteTxn<'s>, log: RedoLog<'s>) -> Result<WriteTxn<'s>> {
        for step in log {
            if let Redo::Record(record) = step? {
                set(&mut txn, record[0], 1)?;
            }
        }
        Ok(txn)
    }

    fn prove(&mut self, _inspection: &Inspection<'_>, _work: &mut [u8]) -> Result<()> {
        Ok(())
    }
}

/// The root page.
fn page_of<'a, P: Pages<'a>>(pages: P) -> PageId {
    PageId(u32::from_le_bytes(pages.root()[4..8].try_into().unwrap()))
}

/// Makes `value` the state's, on a page of its own; dirties at least `pages` more.
fn set(txn: &mut WriteTxn<'_>, value: u8, pages: usize) -> Result<()> {
    let old = page_of(&*txn);
    let page = if old.is_none() { txn.claim()? } else { txn.own(old)? };
    let ([], [bytes]) = txn.edit([], [page])?;
    bytes[0] = 2;
    bytes[16..].fill(value);
    let run = txn.claim_run((pages * PAGE) as u64)?;
    txn.free_run(run)?;
    let mut root = [0; 64];
    root[0] = value;
    root[4..8].copy_from_slice(&page.0.to_le_bytes());
    txn.set_root(&root);
    Ok(())
}

/// Commits `value` by a block of `block` bytes.
fn commit(store: &TestStore, value: u8, block: usize, durability: Durability) -> Result<()> {
    let mut txn = store.begin_write()?;
    set(&mut txn, value, 2 * block.div_ceil(PAGE) + 2)?;
    txn.redo(&[Part::Bytes(&vec![value; block - BLOCK])]);
    let logged = store.stats().log_commits;
    txn.commit(durability)?;
    assert_eq!(store.stats().log_commits, logged + 1, "not through the log");
    Ok(())
}

fn value(store: &TestStore) -> u8 {
    let snapshot = store.begin_read(0).unwrap();
    let pages = &snapshot;
    let value = pages.root()[0];
    let page = page_of(pages);
    if page.is_some() {
        pages.verify(page).unwrap();
        assert!(pages.page(page).unwrap()[16..].iter().all(|byte| *byte == value));
    }
    value
}

fn options() -> Options {
    Options::default().page_size(PAGE as u32).log_bytes(RING, RING)
}

fn created(two_views: bool) -> TestStore {
    Store::create(Double::new(&[], CAPACITY, PAGE, two_views), words(), &options()).unwrap()
}

fn open_over(mapping: Double) -> Result<TestStore> {
    Store::open_proven(mapping, words(), &options(), &mut Last, &mut [])
}

fn open(image: &[u8]) -> Result<TestStore> {
    open_over(Double::new(image, CAPACITY, PAGE, false))
}

fn after_power_loss(store: &TestStore) -> u8 {
    value(&open(&store.mapping().durable()).unwrap())
}

/// A ring that is full up to the unit in which it begins.
#[test]
fn a_flush_that_ends_in_the_unit_where_it_began_flushes_the_whole_ring() {
    for two_views in [false, true] {
        let store = created(two_views);
        commit(&store, 1, 1000, Durability::Eventual).unwrap();
        store.checkpoint().unwrap();
        for (at, block) in [5000, 5000, 5000].into_iter().enumerate() {
            commit(&store, 2 + at as u8, block, Durability::Eventual).unwrap();
        }
        // Does not fit the ring's end; at its start, it ends in the unit before byte 1000.
        commit(&store, 9, 400, Durability::Sync).unwrap();
        assert_eq!(after_power_loss(&store), 9);
    }
}

/// Runs `work` on another thread when the mapping next meets `call` (for `Publish`: of the ring) after
/// it was armed; the call waits for it.
fn beside(
    store: &TestStore,
    call: Call,
    work: impl Fn(&TestStore) + Sync,
    then: impl FnOnce(&dyn Fn()),
) {
    let armed = Arc::new(AtomicBool::new(false));
    let (ask, asked) = channel::<()>();
    let (answer, answered) = channel::<()>();
    let (ask, answered) = (Arc::new(Mutex::new(Some(ask))), Mutex::new(answered));
    let (seen, sender) = (armed.clone(), ask.clone());
    let hook = move |met: Call, range: &Bytes| {
        let ring = !range.is_empty() && range.end <= 2 * PAGE as u64 + RING;
        let wanted = met == call && (ring || call != Call::Publish);
        if wanted && seen.swap(false, Ordering::SeqCst) {
            sender.lock().unwrap().as_ref().unwrap().send(()).unwrap();
            answered.lock().unwrap().recv().expect("the work beside failed");
        }
    };
    assert!(store.mapping().hook.set(Box::new(hook)).is_ok());
    std::thread::scope(|scope| {
        let work = &work;
        scope.spawn(move || {
            // The limit only ends a test that failed otherwise.
            while asked.recv_timeout(Duration::from_secs(20)).is_ok() {
                work(store);
                answer.send(()).unwrap();
            }
        });
        then(&|| armed.store(true, Ordering::SeqCst));
        ask.lock().unwrap().take();
        assert!(!armed.load(Ordering::SeqCst), "never met {call:?}");
    });
}

/// What is not flushed begins where the newest checkpoint ends, also where that ended while a commit
/// was on its way.
#[test]
fn a_checkpoint_that_ends_inside_a_commit_moves_what_is_to_be_flushed() {
    let store = created(true);
    commit(&store, 1, 4000, Durability::Eventual).unwrap();
    let checkpoint = |store: &TestStore| assert!(store.checkpoint().is_ok());
    beside(&store, Call::Publish, checkpoint, |arm| {
        arm();
        commit(&store, 2, 1000, Durability::Eventual).unwrap();
    });
    for (at, block) in [5000, 5000].into_iter().enumerate() {
        commit(&store, 3 + at as u8, block, Durability::Eventual).unwrap();
    }
    commit(&store, 9, 2000, Durability::Sync).unwrap();
    assert_eq!(after_power_loss(&store), 9);
}

/// A commit whose barrier came after another's failure promises nothing.
#[test]
fn a_commit_beside_a_failed_checkpoint_is_not_acknowledged() {
    let store = created(true);
    commit(&store, 1, 1000, Durability::Sync).unwrap();
    let checkpoint = |store: &TestStore| {
        store.mapping().fail_flush.store(true, Ordering::SeqCst);
        assert_eq!(store.checkpoint(), Err(Error::Io { code: 5 }));
        store.mapping().fail_flush.store(false, Ordering::SeqCst);
    };
    beside(&store, Call::PublishAndFlush, checkpoint, |arm| {
        arm();
        assert_eq!(commit(&store, 2, 1000, Durability::Sync), Err(Error::Poisoned));
    });
    assert_eq!(value(&store), 1);
}

/// The file is cut by the holder of the writer's turn: nobody else claims pages behind the cut, or
/// publishes a state with another page count, meanwhile.
#[test]
fn nobody_writes_while_the_file_is_cut() {
    for close in [false, true] {
        let store = created(true);
        let mut txn = store.begin_write().unwrap();
        let many: Vec<_> = (0..500).map(|_| txn.claim().unwrap()).collect();
        txn.commit(Durability::Sync).unwrap();
        let busy = |store: &TestStore| {
            assert!(matches!(store.begin_write(), Err(Error::WriterBusy)));
        };
        beside(&store, Call::Shrink, busy, |arm| {
            let mut txn = store.begin_write().unwrap();
            many.iter().for_each(|page| txn.free(*page).unwrap());
            txn.commit(Durability::Sync).unwrap();
            arm();
            for _ in 0..4 {
                let mut txn = store.begin_write().unwrap();
                set(&mut txn, 1, 1).unwrap();
                txn.commit(Durability::Sync).unwrap();
            }
            if close {
                store.close().unwrap();
            }
        });
        assert_eq!(after_power_loss(&store), 1);
    }
}

/// Bytes of a value in a freed run are no birth.
#[test]
fn a_page_that_looks_like_the_transactions_own_is_sealed_all_the_same() {
    for two_views in [false, true] {
        let store = created(two_views);
        let mut txn = store.begin_write().unwrap();
        let next = txn.id().0 + 3;
        let run = txn.claim_run(100 * PAGE as u64).unwrap();
        let bytes = txn.run_mut(run).unwrap();
        bytes.as_chunks_mut::<8>().0.iter_mut().for_each(|word| *word = next.to_le_bytes());
        txn.commit(Durability::Sync).unwrap();
        let mut txn = store.begin_write().unwrap();
        txn.free_run(run).unwrap();
        txn.commit(Durability::Sync).unwrap();
        let mut txn = store.begin_write().unwrap();
        set(&mut txn, 1, 1).unwrap();
        txn.commit(Durability::Sync).unwrap();
        let mut txn = store.begin_write().unwrap();
        assert_eq!(txn.id().0, next);
        let pages: Vec<_> = (0..40).map(|_| txn.claim().unwrap()).collect();
        for page in &pages {
            let ([], [bytes]) = txn.edit([], [*page]).unwrap();
            bytes[0] = 2;
        }
        txn.commit(Durability::Sync).unwrap();
        let snapshot = store.begin_read(0).unwrap();
        assert!(pages.iter().any(|page| (run.0..run.0 + 100).contains(&page.0)), "nothing reused");
        pages.iter().for_each(|page| (&snapshot).verify(*page).unwrap());
    }
}

/// Replays, then dies.
struct Dies;

impl Replay for Dies {
    fn replay<'s>(&mut self, txn: WriteTxn<'s>, log: RedoLog<'s>) -> Result<WriteTxn<'s>> {
        Last.replay(txn, log)?;
        Err(Error::Io { code: 1 })
    }

    fn prove(&mut self, _inspection: &Inspection<'_>, _work: &mut [u8]) -> Result<()> {
        Ok(())
    }
}

/// A second recovery gives the same numbers to its pages as the one that was interrupted.
#[test]
fn recovery_after_an_interrupted_recovery_seals_its_pages() {
    let store = created(false);
    commit(&store, 1, 1000, Durability::Sync).unwrap();
    store.checkpoint().unwrap();
    commit(&store, 2, 1000, Durability::Sync).unwrap();
    let mapping = Double::new(&store.mapping().published(), CAPACITY, PAGE, false);
    let keep = Arc::new(mapping);
    let died = Store::open_proven(Shared(keep.clone()), words(), &options(), &mut Dies, &mut []);
    assert!(matches!(died, Err(Error::Io { code: 1 })));
    assert_eq!(value(&open(&keep.published()).unwrap()), 2);
}

/// The meta that a store is opened from may be in the page cache only.
#[test]
fn sync_and_checkpoint_after_opening_do_not_trust_the_page_cache() {
    for checkpoint in [false, true] {
        let store = created(true);
        commit(&store, 1, 1000, Durability::Sync).unwrap();
        commit(&store, 2, 1000, Durability::Eventual).unwrap();
        let base = store.mapping() as *const Double as usize;
        let hook = move |call: Call, _: &_| {
            if call == Call::PublishAndFlush {
                // SAFETY: the store outlives the call.
                let mapping = unsafe { &*(base as *const Double) };
                mapping.fail_flush.store(true, Ordering::SeqCst);
            }
        };
        assert!(store.mapping().hook.set(Box::new(hook)).is_ok());
        // Dies between the meta's store and its flush.
        assert!(store.checkpoint().is_err());
        let cache = Double::new(&store.mapping().published(), CAPACITY, PAGE, true);
        let again = open_over(cache.over(store.mapping().durable())).unwrap();
        assert_eq!((value(&again), again.stats().replayed_blocks), (2, 0));
        if checkpoint { again.checkpoint() } else { again.sync() }.unwrap();
        assert_eq!(after_power_loss(&again), 2);
    }
}

/// A larger ring is a wish, not a condition.
#[test]
fn a_store_without_room_for_a_larger_ring_goes_on() {
    let options = Options::default().page_size(PAGE as u32).log_bytes(4096, 1 << 20);
    for capacity in (300..420).step_by(7) {
        let mapping = Double::new(&[], capacity * PAGE, PAGE, true);
        let store = Store::create(mapping, words(), &options).unwrap();
        let mut txn = store.begin_write().unwrap();
        for _ in 0..capacity - 60 {
            txn.claim().unwrap();
        }
        set(&mut txn, 1, 1).unwrap();
        txn.commit(Durability::Sync).unwrap();
        for round in 2..6 {
            let mut txn = store.begin_write().unwrap();
            set(&mut txn, round, 1).unwrap();
            txn.commit(Durability::Sync).unwrap();
            assert_eq!(value(&store), round);
        }
    }
}

/// A spill that could not publish has sealed pages that the transaction may still change.
#[test]
fn a_transaction_whose_spill_failed_can_only_be_rolled_back() {
    let mut mapping = Double::new(&[], CAPACITY, PAGE, true);
    mapping.budget = 4;
    let store = Store::create(mapping, words(), &options()).unwrap();
    let mut txn = store.begin_write().unwrap();
    set(&mut txn, 1, 1).unwrap();
    txn.commit(Durability::Sync).unwrap();
    for savepoint in [false, true] {
        let mut txn = store.begin_write().unwrap();
        let first = txn.claim().unwrap();
        let saved = savepoint.then(|| txn.savepoint().unwrap());
        store.mapping().fail_publish.store(true, Ordering::SeqCst);
        while txn.claim().is_ok() {}
        store.mapping().fail_publish.store(false, Ordering::SeqCst);
        if let Some(saved) = saved {
            assert_eq!(txn.rollback_to(saved), Err(Error::Stale));
        }
        let id = txn.id();
        if !savepoint {
            let ([], [bytes]) = txn.edit([], [first]).unwrap();
            bytes[0] = 2;
        }
        assert_eq!(txn.commit(Durability::Sync), Err(Error::TxnFailed { txn: id }));
        let mut txn = store.begin_write().unwrap();
        set(&mut txn, 2, 1).unwrap();
        txn.commit(Durability::Sync).unwrap();
        assert_eq!(value(&store), 2);
    }
    assert_eq!(after_power_loss(&store), 2);
}

/// Changes a meta and makes its checksum right again.
fn forge(image: &mut [u8], slot: usize, change: impl Fn(&mut [u8])) {
    let meta = &mut image[slot * PAGE..(slot + 1) * PAGE];
    change(meta);
    let mixed = (slot as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let sum = xxhash_rust::xxh3::xxh3_64(&meta[8..]) ^ mixed;
    meta[..8].copy_from_slice(&sum.to_le_bytes());
}

#[test]
fn a_log_position_behind_the_ring_is_damage() {
    let store = created(true);
    let whole = store.mapping().durable();
    for position in [RING + 8, u64::MAX - 7, u64::MAX] {
        let mut image = whole.clone();
        for slot in [0, 1] {
            forge(&mut image, slot, |meta| meta[104..112].copy_from_slice(&position.to_le_bytes()));
        }
        let found = open(&image).map(|_| ());
        assert!(matches!(found, Err(Error::Corrupt { damage: Damage::OutOfRange, .. })));
    }
}

/// After power loss a file is as long as its newest meta says.
#[test]
fn a_ring_at_the_files_end_is_flushed_before_a_meta_names_it() {
    let options = Options::default().page_size(PAGE as u32).log_bytes(4096, 1 << 20);
    let mapping = Double::new(&[], CAPACITY, PAGE, true);
    let store = Store::create(mapping, words(), &options).unwrap();
    let ring = store.stats().log_pages;
    let mut value_now = 0;
    while store.stats().log_pages == ring {
        let mut txn = store.begin_write().unwrap();
        for _ in 0..40 {
            txn.claim().unwrap();
        }
        value_now += 1;
        set(&mut txn, value_now, 1).unwrap();
        txn.commit(Durability::Sync).unwrap();
    }
    let image = store.mapping().durable();
    let meta_len = store.stats().page_count as usize * PAGE;
    assert!(store.mapping().flushed_len() >= meta_len as u64);
    assert_eq!(value(&open(&image).unwrap()), value_now);
}

/// Rings full of headers whose blocks are not whole.
#[test]
fn a_ring_full_of_headers_is_searched_in_bounded_time() {
    let options = Options::default().page_size(PAGE as u32).log_bytes(2 << 20, 2 << 20);
    let mapping = Double::new(&[], 16 << 20, PAGE, false);
    let store = Store::create(mapping, words(), &options).unwrap();
    let mut image = store.mapping().durable();
    let salt: [u8; 8] = image[96..104].try_into().unwrap();
    let ring = &mut image[2 * PAGE..2 * PAGE + (2 << 20)];
    for (at, chunk) in ring.as_chunks_mut::<8>().0.iter_mut().enumerate() {
        // Salts where the salt stands, lengths of half the ring where the length does.
        *chunk = if at % 2 == 0 { (1u64 << 20).to_le_bytes() } else { salt };
    }
    let mapping = Double::new(&image, 16 << 20, PAGE, false);
    let opened = Store::open_proven(mapping, words(), &options, &mut Last, &mut []);
    assert!(matches!(
        opened.map(|_| ()),
        Err(Error::Corrupt { page: PageId::NONE, damage: Damage::LogGap })
    ));
}
