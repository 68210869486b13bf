//! Closing: what it says where it fails, and what it leaves.
//!
//! Each test is there since a change of the code could go unnoticed without it: `docs/mutants.md`.

mod double;

use double::stores::{CAPACITY, PAGE, TestStore, created, emptied};
use double::{Call, Double, Last, words};
use mapleaf_pager::{Durability, Error, Mapping, Options, PageId, Pages, Part, Store};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

/// For as long as the hooks, which their mappings have.
static STORES: Mutex<Vec<&TestStore>> = Mutex::new(Vec::new());

/// A store whose flushes fail from the `n`th stretch on, and how many stretches there were: pages have two.
fn failing(two_views: bool, n: u32) -> (&'static TestStore, Arc<AtomicU32>) {
    let store: &TestStore = Box::leak(Box::new(created(two_views)));
    STORES.lock().unwrap().push(store);
    emptied(store);
    let flushes = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&flushes);
    let hook = move |call: Call, _: &_| {
        if matches!(call, Call::Flush | Call::PublishAndFlush) {
            let now = counted.fetch_add(1, Ordering::Relaxed);
            store.mapping().fail_flush.store(now >= n, Ordering::Relaxed);
        }
    };
    assert!(store.mapping().hook.set(Box::new(hook)).is_ok());
    (store, flushes)
}

/// Else who closes a store on a failing disk would be told of an earlier failure that there was none of, and not
/// what the disk said: found by `cargo xtask crash --faults 1 --seed 20261215`.
#[test]
fn closing_on_a_failing_disk_says_what_the_disk_said() {
    for two_views in [false, true] {
        for n in 0.. {
            let (store, flushes) = failing(two_views, n);
            let before = store.stats().page_count;
            let closed = store.close();
            let flushes = flushes.load(Ordering::Relaxed);
            if flushes <= n {
                assert_eq!(closed, Ok(()));
                assert!(store.stats().page_count < before / 2, "it took no pages off the end");
                assert!(n >= 6, "so few flushes that trimming was none of them: {n}");
                break;
            }
            assert!(matches!(closed, Err(Error::Io { .. })), "flush {n}: {closed:?}");
            assert!(flushes <= n + 2, "flushes after one that failed: {flushes} of {n}");
            assert_eq!(store.close(), Err(Error::Poisoned));
        }
    }
}

/// Else who closes what was only read would be told that all is well, though the disk has failed.
#[test]
fn closing_after_a_failed_flush_says_so_though_nothing_was_written() {
    for two_views in [false, true] {
        let store = created(two_views);
        emptied(&store);
        store.close().unwrap();
        let mapping = Double::new(&store.mapping().durable(), CAPACITY, PAGE, two_views);
        let again: TestStore =
            Store::open_proven(mapping, words(), &Options::default(), &mut Last, &mut []).unwrap();
        again.mapping().fail_flush.store(true, Ordering::Relaxed);
        assert_eq!(again.begin_write().err(), Some(Error::Io { code: 5 }));
        again.mapping().fail_flush.store(false, Ordering::Relaxed);
        assert_eq!(again.close(), Err(Error::Poisoned));
    }
}

/// Else what a lost future has left in the log could match what is written after the next power failure.
#[test]
fn closing_what_was_not_closed_begins_an_epoch_before_it_changes_anything() {
    let store = created(true);
    emptied(&store);
    store.checkpoint().unwrap();
    let mapping = Double::new(&store.mapping().durable(), CAPACITY, PAGE, true);
    let again: TestStore =
        Store::open_proven(mapping, words(), &Options::default(), &mut Last, &mut []).unwrap();
    let before = again.stats();
    again.close().unwrap();
    let after = again.stats();
    assert_eq!(after.epoch, before.epoch + 1);
    assert!(after.txn.0 >= before.txn.0 + (1 << 32), "{} after {}", after.txn, before.txn);
}

/// Else closing a store that was large once would write zeros over what lies behind the log's new place.
#[test]
fn a_log_that_is_moved_writes_over_nothing_beside_it() {
    /// Pages of the ring: no multiple of what is written at once.
    const RING_PAGES: usize = 40;
    for two_views in [false, true] {
        let options = Options::default().page_size(PAGE as u32);
        let options = options.log_bytes((RING_PAGES * PAGE) as u64, 1 << 20);
        let mapping = Double::new(&[], CAPACITY, PAGE, two_views);
        let store = Store::create(mapping, words(), &options).unwrap();
        let mut txn = store.begin_write().unwrap();
        let pages: Vec<PageId> = (0..4300).map(|_| txn.claim().unwrap()).collect();
        for page in &pages {
            let ([], [bytes]) = txn.edit([], [*page]).unwrap();
            // Behind what says what kind of page it is.
            bytes[16..].fill(page.0 as u8);
        }
        txn.set_root(&[1; 64]);
        txn.commit(Durability::Sync).unwrap();
        // The next checkpoint moves the log behind all of them, since the store has outgrown it.
        let mut txn = store.begin_write().unwrap();
        txn.set_root(&[2; 64]);
        txn.commit(Durability::Sync).unwrap();
        let large = store.stats().log_pages;
        assert!(large as usize >= 2 * RING_PAGES, "{large}");
        // A gap that it fits between what stays, and all behind.
        let stays = |at: usize| at < 100 || (100 + RING_PAGES..400).contains(&at);
        let mut txn = store.begin_write().unwrap();
        for (_, page) in pages.iter().enumerate().filter(|(at, _)| !stays(*at)) {
            txn.free(*page).unwrap();
        }
        txn.set_root(&[3; 64]);
        txn.commit(Durability::Sync).unwrap();
        store.close().unwrap();
        assert_eq!(store.stats().log_pages as usize, RING_PAGES, "it was moved");
        let snapshot = store.begin_read(0).unwrap();
        for (_, page) in pages.iter().enumerate().filter(|(at, _)| stays(*at)) {
            (&snapshot).verify(*page).unwrap();
            let bytes = &(&snapshot).page(*page).unwrap()[16..];
            assert!(bytes.iter().all(|byte| *byte == page.0 as u8), "{page} was written over");
        }
    }
}

/// A store of so many pages, the last `freed` of which a commit that only the log has has freed.
fn cut(two_views: bool, pages: usize, freed: std::ops::Range<usize>) -> TestStore {
    let store = created(two_views);
    let mut txn = store.begin_write().unwrap();
    let pages: Vec<PageId> = (0..pages).map(|_| txn.claim().unwrap()).collect();
    txn.set_root(&[1; 64]);
    txn.commit(Durability::Sync).unwrap();
    let mut txn = store.begin_write().unwrap();
    pages[freed].iter().for_each(|page| txn.free(*page).unwrap());
    txn.set_root(&[2; 64]);
    txn.redo(&[Part::Bytes(&[2; 10])]);
    txn.commit(Durability::Eventual).unwrap();
    store
}

/// Else a file would keep what its last commit has freed until it is opened and closed again.
#[test]
fn closing_gives_back_what_the_last_commit_has_freed() {
    for two_views in [false, true] {
        // Most of it; and less than the quarter that a commit lets the file be too long.
        for freed in [1000, 250] {
            let store = cut(two_views, 1500, 1500 - freed..1500);
            let before = store.stats().page_count;
            store.close().unwrap();
            let after = store.stats().page_count;
            assert!(after as usize + freed < before as usize + 30, "{after} of {before}");
            assert_eq!(store.mapping().len(), u64::from(after) * PAGE as u64, "the file's length");
        }
    }
}

/// Else closing would wait for hundreds of barriers, and gain nothing.
#[test]
fn closing_a_store_whose_last_page_stays_tries_once() {
    for two_views in [false, true] {
        let store = cut(two_views, 1500, 500..1499);
        let (before, barriers) =
            (store.stats().page_count, || store.mapping().barriers.load(Ordering::Relaxed));
        let then = barriers();
        store.close().unwrap();
        assert!(barriers() - then <= 12, "{} barriers", barriers() - then);
        assert!(store.stats().page_count + 20 > before, "the last page has no tree that moves it");
    }
}
