//! What callers are told, where only a power loss or a count of barriers shows whether it is kept.
//!
//! Each test is there since a change of the code went unnoticed without it: `docs/mutants.md`.

mod double;

use double::stores::{CAPACITY, PAGE, TestStore, created, options};
use double::{Call, Double, Last, Shared, words};
use mapleaf_pager::{
    Bytes, Durability, Error, Inspection, Mapping, Options, PageId, Pages, Part, RedoLog, Replay,
    Result, Store, WriteTxn,
};
use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

fn after_power_loss(store: &TestStore) -> u8 {
    let mapping = Double::new(&store.mapping().durable(), CAPACITY, PAGE, false);
    let again = Store::open_proven(mapping, words(), &options(), &mut Last, &mut []).unwrap();
    (&again.begin_read(0).unwrap()).root()[0]
}

fn barriers(store: &TestStore) -> u64 {
    store.mapping().barriers.load(Ordering::Relaxed)
}

/// Sets the root, with `redo` bytes of redo; the transaction has claimed `pages`.
fn change<'s>(store: &'s TestStore, value: u8, redo: usize, pages: usize) -> WriteTxn<'s> {
    let mut txn = store.begin_write().unwrap();
    let claimed: Vec<_> = (0..pages).map(|_| txn.claim().unwrap()).collect();
    claimed.into_iter().for_each(|page| txn.free(page).unwrap());
    txn.set_root(&[value; 64]);
    if redo > 0 {
        txn.redo(&[Part::Bytes(&vec![value; redo])]);
    }
    txn
}

/// Claims a page and fills it.
fn filled(txn: &mut WriteTxn<'_>, value: u8) -> PageId {
    let page = txn.claim().unwrap();
    let ([], [bytes]) = txn.edit([], [page]).unwrap();
    bytes[0] = 2;
    bytes[16..].fill(value);
    page
}

/// Else whoever commits `Sync` after an `Eventual` commit, and has changed nothing, loses that one.
#[test]
fn an_empty_commit_makes_durable_what_was_committed_before() {
    for two_views in [false, true] {
        let store = created(two_views);
        change(&store, 7, 10, 1).commit(Durability::Eventual).unwrap();
        let before = (barriers(&store), store.stats().txn);
        store.begin_write().unwrap().commit(Durability::Eventual).unwrap();
        assert_eq!((barriers(&store), store.stats().txn), before, "nothing to do, nothing done");
        let found = store.begin_write().unwrap().commit(Durability::Sync);
        assert_eq!(found, Ok(before.1), "the state that there was");
        assert_eq!((barriers(&store), store.stats().txn), (before.0 + 1, before.1));
        assert_eq!(after_power_loss(&store), 7);
    }
}

/// Else a commit that may be lost would wait for the medium.
#[test]
fn an_eventual_commit_makes_no_barrier_however_large_its_redo() {
    let store = created(true);
    change(&store, 1, 10, 1).commit(Durability::Sync).unwrap();
    let before = barriers(&store);
    change(&store, 2, 3000, 1).commit(Durability::Eventual).unwrap();
    assert_eq!((barriers(&store), store.stats().log_commits), (before, 2));
}

/// Else a reader that asks beyond the end of the file, within what its state says, dies.
#[test]
fn the_file_is_not_cut_below_what_a_reader_takes_for_its_length() {
    let store = created(true);
    let mut txn = store.begin_write().unwrap();
    let many: Vec<PageId> = (0..500).map(|_| txn.claim().unwrap()).collect();
    txn.set_root(&[1; 64]);
    txn.commit(Durability::Sync).unwrap();
    let mut txn = store.begin_write().unwrap();
    many.iter().for_each(|page| txn.free(*page).unwrap());
    txn.set_root(&[2; 64]);
    txn.commit(Durability::Sync).unwrap();
    let mut value = 2;
    // The reader of the very state that the file is cut behind.
    let (reader, pages) = loop {
        let reader = store.begin_read(0).unwrap();
        let pages = reader.page_count();
        value += 1;
        change(&store, value, 0, 1).commit(Durability::Sync).unwrap();
        assert!(store.mapping().len() >= u64::from(pages) * PAGE as u64, "cut below a reader");
        if store.stats().page_count < pages {
            break (reader, pages);
        }
    };
    for _ in 0..3 {
        value += 1;
        change(&store, value, 0, 1).commit(Durability::Sync).unwrap();
        assert!(store.mapping().len() >= u64::from(pages) * PAGE as u64, "cut below a reader");
    }
    drop(reader);
    change(&store, value + 1, 0, 1).commit(Durability::Sync).unwrap();
    assert!(store.mapping().len() < u64::from(pages) * PAGE as u64, "never cut");
    assert_eq!(after_power_loss(&store), value + 1);
}

/// Else a commit that nobody can find would pass for one that survives the process.
#[test]
fn a_transaction_that_was_open_when_a_flush_failed_is_not_committed() {
    for changed in [false, true] {
        for durability in [Durability::Sync, Durability::Eventual] {
            let store = created(true);
            change(&store, 1, 10, 1).commit(Durability::Eventual).unwrap();
            let mut txn = store.begin_write().unwrap();
            if changed {
                txn.set_root(&[2; 64]);
                txn.redo(&[Part::Bytes(&[2; 10])]);
            }
            store.mapping().fail_flush.store(true, Ordering::Relaxed);
            assert!(store.checkpoint().is_err());
            store.mapping().fail_flush.store(false, Ordering::Relaxed);
            assert_eq!(txn.commit(durability), Err(Error::Poisoned));
            assert_eq!((&store.begin_read(0).unwrap()).root()[0], 1);
        }
    }
}

/// Else a program without a background would let the file grow with every commit.
#[test]
fn commits_through_the_log_do_not_let_the_file_grow_without_bound() {
    let options = Options::default().page_size(PAGE as u32).log_bytes(1 << 16, 1 << 16);
    let mapping = Double::new(&[], 2 * CAPACITY, PAGE, true);
    let store = Store::create(mapping, words(), &options).unwrap();
    let mut txn = store.begin_write().unwrap();
    let mut live: VecDeque<PageId> = (0..2000).map(|_| txn.claim().unwrap()).collect();
    txn.set_root(&[0; 64]);
    txn.commit(Durability::Sync).unwrap();
    let before = store.stats();
    for round in 0..200 {
        let mut txn = store.begin_write().unwrap();
        live.drain(..10).for_each(|page| txn.free(page).unwrap());
        live.extend((0..10).map(|_| txn.claim().unwrap()));
        txn.set_root(&[round as u8; 64]);
        txn.redo(&[Part::Bytes(&[0; 10])]);
        txn.commit(Durability::Eventual).unwrap();
    }
    let stats = store.stats();
    assert!(stats.log_commits > 150, "not through the log: {stats:?}");
    // What waits for a checkpoint may be a quarter of what is in use.
    let grown = stats.page_count - before.page_count;
    assert!((400..=600).contains(&grown), "{grown}: {stats:?}");
    let checkpoints = stats.checkpoints - before.checkpoints;
    assert!((1..=8).contains(&checkpoints), "{stats:?}");
}

/// Else each durable commit would write out again what those before have made durable.
#[test]
fn a_durable_commit_flushes_its_own_block_and_what_was_not_flushed() {
    let store = created(true);
    change(&store, 1, 10, 1).commit(Durability::Sync).unwrap();
    let flushed = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&flushed);
    let hook = move |call: Call, range: &Bytes| {
        if call == Call::PublishAndFlush {
            noted.lock().unwrap().push(range.end - range.start);
        }
    };
    assert!(store.mapping().hook.set(Box::new(hook)).is_ok());
    change(&store, 2, 700, 4).commit(Durability::Eventual).unwrap();
    change(&store, 3, 10, 4).commit(Durability::Sync).unwrap();
    change(&store, 4, 10, 4).commit(Durability::Sync).unwrap();
    change(&store, 5, 10, 4).commit(Durability::Eventual).unwrap();
    store.sync().unwrap();
    change(&store, 6, 10, 4).commit(Durability::Sync).unwrap();
    let page = PAGE as u64;
    assert_eq!(*flushed.lock().unwrap(), [2 * page, page, page, page]);
    assert_eq!(after_power_loss(&store), 6);
}

/// Else closing after a recovery would not mark the store as closed, and each opening would search the log.
#[test]
fn a_recovery_is_the_first_change_of_its_opening() {
    let store = created(false);
    change(&store, 7, 10, 1).commit(Durability::Sync).unwrap();
    let image = store.mapping().published();
    let open = |image: &[u8]| {
        let mapping = Double::new(image, CAPACITY, PAGE, false);
        Store::open_proven(mapping, words(), &options(), &mut Last, &mut []).unwrap()
    };
    let again: TestStore = open(&image);
    let stats = again.stats();
    assert_eq!((stats.replayed_blocks, stats.epoch), (1, store.stats().epoch + 1));
    let before = barriers(&again);
    drop(again.begin_write().unwrap());
    assert_eq!((barriers(&again), again.stats().epoch), (before, stats.epoch));
    again.close().unwrap();
    let closed = again.mapping().published();
    // Flags of a meta: 1 is the clean mark.
    assert!([0, PAGE].iter().any(|meta| closed[meta + 54] & 1 == 1), "not marked");
    let after = open(&closed);
    change(&after, 8, 10, 1).commit(Durability::Sync).unwrap();
    assert_eq!((after.stats().replayed_blocks, after.stats().epoch), (0, stats.epoch + 1));
}

/// Else a checkpoint whose process was killed before its last barrier would be lost after somebody else had read
/// it and closed the store; and while nobody writes, each opening would search the log.
#[test]
fn closing_what_was_not_closed_makes_it_durable_and_marks_it() {
    for two_views in [false, true] {
        let store = created(two_views);
        change(&store, 1, 10, 1).commit(Durability::Sync).unwrap();
        store.checkpoint().unwrap();
        let before = store.mapping().durable();
        change(&store, 2, 10, 1).commit(Durability::Sync).unwrap();
        store.checkpoint().unwrap();
        // The page cache has the second checkpoint, the medium all of it but the meta and the log.
        let (cache, mut medium) = (store.mapping().published(), before.clone());
        medium.resize(cache.len(), 0);
        let metas: Vec<usize> = [0, PAGE]
            .into_iter()
            .filter(|at| cache[*at..][..PAGE] != before[*at..][..PAGE])
            .collect();
        assert_eq!(metas.len(), 1, "one meta was stored");
        let mapping = Double::new(&cache, CAPACITY, PAGE, two_views).over(medium);
        let again = Store::open_proven(mapping, words(), &options(), &mut Last, &mut []).unwrap();
        assert_eq!((after_power_loss(&again), again.stats().replayed_blocks), (1, 0));
        again.close().unwrap();
        assert_eq!(after_power_loss(&again), 2);
        let closed = again.mapping().published();
        assert!([0, PAGE].iter().any(|meta| closed[meta + 54] & 1 == 1), "not marked");
        // Once: what is closed stays as it is.
        let barriers_then = barriers(&again);
        again.close().unwrap();
        assert_eq!(barriers(&again), barriers_then);
        let third = Double::new(&closed, CAPACITY, PAGE, two_views);
        let third: TestStore =
            Store::open_proven(third, words(), &options(), &mut Last, &mut []).unwrap();
        third.close().unwrap();
        assert_eq!((barriers(&third), third.mapping().published()), (0, closed));
    }
}

/// Else a store that was large once would keep its ring, at the end of a file that is mostly that.
#[test]
fn closing_an_emptied_store_gives_back_its_ring_too() {
    let options = Options::default().page_size(PAGE as u32).log_bytes(4096, 1 << 20);
    let store = Store::create(Double::new(&[], CAPACITY, PAGE, true), words(), &options).unwrap();
    let ring = store.stats().log_pages;
    let mut txn = store.begin_write().unwrap();
    let many: Vec<PageId> = (0..3000).map(|_| txn.claim().unwrap()).collect();
    txn.set_root(&[1; 64]);
    txn.commit(Durability::Sync).unwrap();
    change(&store, 2, 0, 1).commit(Durability::Sync).unwrap();
    assert!(store.stats().log_pages >= 8 * ring, "{:?}", store.stats());
    let mut txn = store.begin_write().unwrap();
    many.iter().for_each(|page| txn.free(*page).unwrap());
    txn.set_root(&[3; 64]);
    txn.commit(Durability::Sync).unwrap();
    store.close().unwrap();
    let stats = store.stats();
    assert_eq!(stats.log_pages, ring, "{stats:?}");
    assert!(stats.page_count < 60 && store.mapping().len() < 60 * PAGE as u64, "{stats:?}");
    assert_eq!(after_power_loss(&store), 3);
}

/// Else a commit would be written over those before it, and all of them be lost with the process.
#[test]
fn a_block_that_has_no_room_behind_the_last_one_is_not_put_before_it() {
    for two_views in [false, true] {
        let store = created(two_views);
        // A block is 68 bytes longer than its one record.
        change(&store, 1, 4932, 1).commit(Durability::Eventual).unwrap();
        store.checkpoint().unwrap();
        for (value, redo) in [(2, 4932), (3, 4932), (4, 1832)] {
            change(&store, value, redo, 1).commit(Durability::Eventual).unwrap();
        }
        let before = store.stats();
        assert_eq!((before.log_commits, before.checkpoints), (4, 1));
        // The last block lies at the ring's start; what is still needed begins at 5,000.
        change(&store, 5, 3432, 1).commit(Durability::Eventual).unwrap();
        let stats = store.stats();
        assert_eq!((stats.log_commits, stats.checkpoints), (4, 2), "put over what is needed");
        change(&store, 6, 100, 1).commit(Durability::Sync).unwrap();
        assert_eq!(after_power_loss(&store), 6);
    }
}

/// Else a long reader would see what was written long after it began.
#[test]
fn what_a_reader_sees_is_not_written_over_whoever_frees_it() {
    for two_views in [false, true] {
        let store = created(two_views);
        let mut txn = store.begin_write().unwrap();
        let seen: Vec<PageId> = (0..100).map(|_| filled(&mut txn, 7)).collect();
        txn.set_root(&[1; 64]);
        txn.commit(Durability::Sync).unwrap();
        let reader = store.begin_read(0).unwrap();
        let mut txn = store.begin_write().unwrap();
        seen.iter().for_each(|page| txn.free(*page).unwrap());
        txn.set_root(&[2; 64]);
        txn.commit(Durability::Sync).unwrap();
        for value in 3..6 {
            store.checkpoint().unwrap();
            let mut txn = store.begin_write().unwrap();
            for _ in 0..100 {
                filled(&mut txn, 0xEE);
            }
            txn.set_root(&[value; 64]);
            txn.commit(Durability::Sync).unwrap();
        }
        for page in &seen {
            assert!((&reader).page(*page).unwrap()[16..].iter().all(|byte| *byte == 7), "{page}");
            assert_eq!((&reader).verify(*page), Ok(()));
        }
    }
}

/// Else whoever builds a page would have to clear it, or take a link of the pager's for its own.
#[test]
fn a_page_that_the_transaction_has_freed_is_claimed_again_as_a_new_one() {
    for two_views in [false, true] {
        let store = created(two_views);
        let mut txn = store.begin_write().unwrap();
        let mut freed: Vec<PageId> = (0..5).map(|_| filled(&mut txn, 0xEE)).collect();
        for page in &freed {
            let ([], [bytes]) = txn.edit([], [*page]).unwrap();
            bytes[..16].fill(0xEE);
            bytes[0] = 2;
            txn.free(*page).unwrap();
        }
        let mut claimed: Vec<PageId> = (0..5).map(|_| txn.claim().unwrap()).collect();
        for page in &claimed {
            assert_eq!((&txn).page(*page).unwrap()[..16], [0; 16], "{page}");
            assert_eq!(txn.owned(*page), Ok(true));
        }
        freed.sort_unstable();
        claimed.sort_unstable();
        assert_eq!(claimed, freed, "each of them once");
    }
}

/// Else a transaction larger than memory would leave pages that the next reader is told are damaged.
#[test]
fn a_page_that_is_changed_again_after_a_spill_is_committed_whole() {
    let mut mapping = Double::new(&[], CAPACITY, PAGE, true);
    mapping.budget = 24;
    let store = Store::create(mapping, words(), &options()).unwrap();
    let mut txn = store.begin_write().unwrap();
    let (page, run) = (filled(&mut txn, 1), txn.claim_run(1000).unwrap());
    txn.run_mut(run).unwrap().fill(1);
    while store.stats().spills == 0 {
        filled(&mut txn, 2);
    }
    let ([], [bytes]) = txn.edit([], [page]).unwrap();
    bytes[16..].fill(3);
    txn.run_mut(run).unwrap().fill(3);
    txn.set_root(&[1; 64]);
    txn.commit(Durability::Sync).unwrap();
    let reader = store.begin_read(0).unwrap();
    assert_eq!((reader.verify(page), reader.verify(run)), (Ok(()), Ok(())));
    assert!((&reader).page(page).unwrap()[16..].iter().all(|byte| *byte == 3));
    assert_eq!((&reader).run(run, 1000), Ok(&[3; 1000][..]));
}

/// Else the memory of a store that is written to would grow to the size of its file.
#[test]
fn pages_in_memory_are_let_go_of_when_the_last_reader_that_could_see_them_ends() {
    let store = created(true);
    let mut txn = store.begin_write().unwrap();
    let page = txn.claim().unwrap();
    let ([], [bytes]) = txn.edit([], [page]).unwrap();
    bytes[16..].fill(7);
    txn.set_root(&[1; 64]);
    txn.redo(&[Part::Bytes(&[1; 10])]);
    txn.commit(Durability::Eventual).unwrap();
    let reader = store.begin_read(0).unwrap();
    let seen = reader.page(page).unwrap();
    // Published by a checkpoint: the reader has found it before.
    store.checkpoint().unwrap();
    assert!(store.mapping().retired() > 0, "what a reader may see is let go of");
    assert!(seen[16..].iter().all(|byte| *byte == 7));
    change(&store, 2, 10, 1).commit(Durability::Eventual).unwrap();
    store.checkpoint().unwrap();
    assert!(store.mapping().retired() > 0, "what a reader may see is let go of");
    assert!(seen[16..].iter().all(|byte| *byte == 7));
    drop(reader);
    store.checkpoint().unwrap();
    assert_eq!(store.mapping().retired(), 0, "nobody can see it any more");
    // Who reads an older state cannot see them.
    let old = store.begin_read(0).unwrap();
    change(&store, 3, 10, 1).commit(Durability::Eventual).unwrap();
    store.checkpoint().unwrap();
    assert_eq!(store.mapping().retired(), 0, "a reader that cannot see it keeps it");
    drop(old);
    // Nobody reads: at once, whoever makes the checkpoint.
    change(&store, 3, 10, 1).commit(Durability::Eventual).unwrap();
    store.checkpoint().unwrap();
    assert_eq!(store.mapping().retired(), 0, "a checkpoint beside no reader");
    change(&store, 4, 10, 1).commit(Durability::Eventual).unwrap();
    change(&store, 5, 0, 1).commit(Durability::Sync).unwrap();
    assert_eq!(store.mapping().retired(), 0, "a commit that is a checkpoint");
}

/// Replays nothing: the store is not opened.
struct Dies;

impl Replay for Dies {
    fn replay<'s>(&mut self, _txn: WriteTxn<'s>, _log: RedoLog<'s>) -> Result<WriteTxn<'s>> {
        Err(Error::Io { code: 5 })
    }

    fn prove(&mut self, _inspection: &Inspection<'_>, _work: &mut [u8]) -> Result<()> {
        Ok(())
    }
}

/// Else a newer meta that was torn could become whole by being torn once more, when the pages that it reaches
/// have been written anew: an old state would be opened that is no state any more.
#[test]
fn a_torn_meta_is_written_over_before_a_recovery_writes_anything_else() {
    for newest in [0, 1] {
        let store = created(false);
        // Each of these is a checkpoint: into slot 1, then 0.
        for value in 1..=2 - newest as u8 {
            change(&store, value, 0, 1).commit(Durability::Sync).unwrap();
        }
        change(&store, 9, 10, 1).commit(Durability::Sync).unwrap();
        let mut image = store.mapping().durable();
        let torn = (1 - newest) * PAGE;
        image[torn + 300..torn + PAGE].fill(0xA5);
        let mapping = Arc::new(Double::new(&image, CAPACITY, PAGE, false));
        let opened =
            Store::open_proven(Shared(mapping.clone()), words(), &options(), &mut Dies, &mut []);
        assert_eq!(opened.map(|_| ()), Err(Error::Io { code: 5 }));
        // Nothing is left of it that another store in its place could make whole.
        let left = mapping.durable();
        assert_eq!(left[torn..torn + PAGE], [0xFF; PAGE], "meta {}", 1 - newest);
        assert_eq!(left[newest * PAGE..][..PAGE], image[newest * PAGE..][..PAGE]);
        let mapping = Double::new(&left, CAPACITY, PAGE, false);
        let again = Store::open_proven(mapping, words(), &options(), &mut Last, &mut []);
        let again = again.unwrap_or_else(|error| panic!("meta {newest} is the only one: {error}"));
        assert_eq!((&again.begin_read(0).unwrap()).root()[0], 9);
    }
}
