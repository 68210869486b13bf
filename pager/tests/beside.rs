//! Commits beside somebody who makes checkpoints: what they leave to him, and what they do when they waited.

mod double;

use double::{Call, Double, words};
use mapleaf_pager::{Durability, Options, PageId, Pages, Part, Store, WriteTxn};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

const PAGE: usize = 512;
const CAPACITY: usize = 8192 * PAGE;
const RING: u64 = 16 * 1024;
/// Bytes of a block beside its one record.
const BLOCK: usize = 68;

type TestStore = Store<Double, Box<[AtomicU32]>>;

/// A store of so many pages in use, whose ring may become as large as that; all of it durable.
fn created(live: usize, two_views: bool) -> (TestStore, Vec<PageId>) {
    let options = Options::default().page_size(PAGE as u32).log_bytes(RING, 16 * RING);
    let mapping = Double::new(&[], CAPACITY, PAGE, two_views);
    let store = Store::create(mapping, words(), &options).unwrap();
    let mut txn = store.begin_write().unwrap();
    let live = (0..live).map(|_| txn.claim().unwrap()).collect();
    txn.set_root(&[1; 64]);
    txn.commit(Durability::Sync).unwrap();
    store.checkpoint().unwrap();
    (store, live)
}

fn commit(mut txn: WriteTxn<'_>, value: u8, bytes: usize) {
    txn.set_root(&[value; 64]);
    txn.redo(&[Part::Bytes(&vec![value; bytes - BLOCK])]);
    txn.commit(Durability::Eventual).unwrap();
}

/// Replaces the first of `live`, so many at a time, until a commit is a checkpoint: how many waited for it by then.
fn replaced_before_a_checkpoint(store: &TestStore, live: &[PageId], at_once: usize) -> usize {
    let before = store.stats().checkpoints;
    let mut replaced = 0;
    for some in live.chunks(at_once) {
        let mut txn = store.begin_write().unwrap();
        for page in some {
            txn.claim().unwrap();
            txn.free(*page).unwrap();
        }
        commit(txn, 2, BLOCK + 8);
        if store.stats().checkpoints > before {
            break;
        }
        replaced += some.len();
    }
    replaced
}

/// Else small commits would wait for the disk when others keep it busy, though there is room in the log; or the
/// file grow without bound where nobody makes checkpoints.
#[test]
fn small_commits_leave_checkpoints_to_whoever_makes_them() {
    for two_views in [false, true] {
        let (store, live) = created(600, two_views);
        // Somewhat more than the slack of 256 pages: what was not in use when it was made is claimed before.
        let alone = replaced_before_a_checkpoint(&store, &live, 10);
        assert!((200..330).contains(&alone), "{alone}");

        let (store, live) = created(600, two_views);
        commit(store.begin_write().unwrap(), 3, BLOCK + 8);
        store.checkpoint_aside().unwrap();
        let beside = replaced_before_a_checkpoint(&store, &live, 10);
        assert!(beside >= 590, "{beside}");

        // One that has just failed will not give room soon.
        let (store, live) = created(600, true);
        commit(store.begin_write().unwrap(), 3, BLOCK + 8);
        store.checkpoint_aside().unwrap();
        let mut txn = store.begin_write().unwrap();
        txn.claim().unwrap();
        commit(txn, 4, BLOCK + 8);
        store.mapping().fail_publish.store(true, Ordering::Relaxed);
        store.checkpoint_aside().unwrap_err();
        store.mapping().fail_publish.store(false, Ordering::Relaxed);
        let failed = replaced_before_a_checkpoint(&store, &live, 10);
        assert!((200..330).contains(&failed), "{failed}");
    }
}

/// Else those who write faster than the disk would wait for each checkpoint, for want of a larger ring; or files that
/// nobody writes to in haste would have one that they do not need.
#[test]
fn a_ring_in_which_transactions_waited_becomes_larger_and_the_closed_store_has_the_small_one() {
    static STORES: [OnceLock<(TestStore, Vec<PageId>)>; 2] = [OnceLock::new(), OnceLock::new()];
    for two_views in [false, true] {
        let (store, live) = STORES[usize::from(two_views)].get_or_init(|| created(1100, two_views));
        let pages = RING / PAGE as u64;
        assert_eq!(u64::from(store.stats().log_pages), pages);
        let value = |value, bytes| commit(store.begin_write().unwrap(), value, bytes);
        value(7, 8000);
        // Till somebody waits for it; or, if nobody does, all is done.
        let (flushes, done) = (AtomicBool::new(true), Arc::new(AtomicBool::new(false)));
        let over = done.clone();
        let (begun, is_begun) = std::sync::mpsc::sync_channel(1);
        let hook = move |call: Call, _: &_| {
            if call == Call::Flush && flushes.swap(false, Ordering::Relaxed) {
                let relaxed = store.mapping().relaxed.load(Ordering::Relaxed);
                begun.send(()).unwrap();
                while store.mapping().relaxed.load(Ordering::Relaxed) == relaxed
                    && !over.load(Ordering::Relaxed)
                {
                    std::thread::yield_now();
                }
            }
        };
        assert!(store.mapping().hook.set(Box::new(hook)).is_ok());
        let before = store.stats();
        let beside = std::thread::spawn(|| store.checkpoint_aside().unwrap());
        is_begun.recv().unwrap();
        value(2, 8000);
        // No room before the 8,000 bytes that the checkpoint makes superfluous: waits for it.
        value(3, 1000);
        done.store(true, Ordering::Relaxed);
        beside.join().unwrap();
        let after = store.stats();
        assert_eq!(u64::from(after.log_pages), 2 * pages, "the one that waited has moved the log");
        assert_eq!(after.checkpoints, before.checkpoints + 2);
        value(4, 100);
        assert_eq!(u64::from(store.stats().log_pages), 2 * pages, "once for each time");
        assert_eq!(store.stats().log_commits, after.log_commits + 1);
        assert_eq!((&store.begin_read(0).unwrap()).root()[0], 4);
        // As large as an eighth of what is in use, and no larger: 128 of 1,100 pages and the ring's.
        let mut txn = store.begin_write().unwrap();
        live[300..].iter().for_each(|page| txn.free(*page).unwrap());
        commit(txn, 5, 100);
        store.close().unwrap();
        assert_eq!(u64::from(store.stats().log_pages), pages);
    }
}
