//! What is made durable before the first change, and what a checkpoint that is done no longer holds back.
//!
//! Each test is there since a change of the code went unnoticed without it: `docs/mutants.md`.

mod double;

use double::stores::{CAPACITY, PAGE, TestStore, created, options};
use double::{Call, Double, Last, words};
use mapleaf_pager::{Bytes, Durability, PageId, Store};
use std::sync::{Arc, Mutex};

/// Replaces all pages of the state; without redo, so that it is a checkpoint.
fn replace(store: &TestStore, live: &mut Vec<PageId>, value: u8) {
    let mut txn = store.begin_write().unwrap();
    let new: Vec<PageId> = live.iter().map(|_| txn.claim().unwrap()).collect();
    live.iter().for_each(|page| txn.free(*page).unwrap());
    txn.set_root(&[value; 64]);
    txn.commit(Durability::Sync).unwrap();
    *live = new;
}

/// Else the first meta of a new opening could tear the one that the medium has, while the one that was opened is in
/// the page cache only: a power failure then leaves none.
#[test]
fn what_only_the_page_cache_has_is_made_durable_before_a_meta_is_written_over() {
    for two_views in [false, true] {
        let store = created(two_views);
        let mut live = vec![
            store
                .begin_write()
                .map(|mut txn| {
                    let page = txn.claim().unwrap();
                    txn.set_root(&[1; 64]);
                    txn.commit(Durability::Sync).unwrap();
                    page
                })
                .unwrap(),
        ];
        let before = store.mapping().durable();
        replace(&store, &mut live, 2);
        // The page cache has the second checkpoint, the medium all of it but the meta.
        let (cache, mut medium) = (store.mapping().published(), before.clone());
        medium.resize(cache.len(), 0);
        let newer = [0, PAGE].into_iter().find(|at| cache[*at..][..PAGE] != before[*at..][..PAGE]);
        let newer = newer.expect("a meta was stored") as u64;
        let mapping = Double::new(&cache, CAPACITY, PAGE, two_views).over(medium);
        let again: TestStore =
            Store::open_proven(mapping, words(), &options(), &mut Last, &mut []).unwrap();
        let stored = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&stored);
        let hook = move |call: Call, range: &Bytes| {
            if call == Call::PublishAndFlush {
                noted.lock().unwrap().push(range.start);
            }
        };
        assert!(again.mapping().hook.set(Box::new(hook)).is_ok());
        drop(again.begin_write().unwrap());
        assert_eq!(*stored.lock().unwrap(), [newer, newer ^ PAGE as u64]);
    }
}

/// Else the pages of one checkpoint would be kept until the next one of its kind, and the file be half as large again.
#[test]
fn a_checkpoint_that_is_done_and_replaced_holds_no_pages_back() {
    for two_views in [false, true] {
        let store = created(two_views);
        let mut txn = store.begin_write().unwrap();
        let mut live: Vec<PageId> = (0..500).map(|_| txn.claim().unwrap()).collect();
        txn.set_root(&[1; 64]);
        txn.redo(&[mapleaf_pager::Part::Bytes(&[1; 10])]);
        txn.commit(Durability::Eventual).unwrap();
        store.checkpoint().unwrap();
        for value in 2..7 {
            replace(&store, &mut live, value);
        }
        let pages = store.stats().page_count;
        assert!(pages < 2 * 500 + 200, "{pages} pages for two states of 500");
    }
}
