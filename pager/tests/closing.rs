//! Closing: what it says where it fails, and what it leaves.
//!
//! Each test is there since a change of the code could go unnoticed without it: `docs/mutants.md`.

mod double;

use double::{Call, Double, words};
use mapleaf_pager::{Durability, Error, Options, PageId, Store};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

const PAGE: usize = 512;
const CAPACITY: usize = 4096 * PAGE;
const RING: u64 = 16 * 1024;

type TestStore = Store<Double, Box<[AtomicU32]>>;

fn created(two_views: bool) -> TestStore {
    let options = Options::default().page_size(PAGE as u32).log_bytes(RING, RING);
    Store::create(Double::new(&[], CAPACITY, PAGE, two_views), words(), &options).unwrap()
}

/// A store most of whose pages are free, and lie where closing cuts the file.
fn emptied(store: &TestStore) {
    let mut txn = store.begin_write().unwrap();
    let pages: Vec<PageId> = (0..1500).map(|_| txn.claim().unwrap()).collect();
    txn.set_root(&[1; 64]);
    txn.commit(Durability::Sync).unwrap();
    let mut txn = store.begin_write().unwrap();
    pages.into_iter().for_each(|page| txn.free(page).unwrap());
    txn.set_root(&[2; 64]);
    txn.commit(Durability::Sync).unwrap();
}

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
