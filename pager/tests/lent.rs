//! What a write transaction lends stays as it is while a checkpoint publishes it and lets go of memory.

mod double;

use double::{Double, words};
use mapleaf_pager::{Durability, Options, PageId, Pages, Part, Store};
use std::sync::atomic::AtomicU32;

const PAGE: usize = 512;

/// A store whose newest state has a page full of `value`, held in the write view.
fn with_held_page(value: u8) -> (Store<Double, Box<[AtomicU32]>>, PageId) {
    let options = Options::default().page_size(PAGE as u32).log_bytes(64 << 10, 64 << 10);
    let store = Store::create(Double::new(&[], 512 * PAGE, PAGE, true), words(), &options).unwrap();
    let mut txn = store.begin_write().unwrap();
    let page = txn.claim().unwrap();
    let ([], [bytes]) = txn.edit([], [page]).unwrap();
    bytes.fill(value);
    txn.redo(&[Part::Bytes(&[value])]);
    txn.commit(Durability::Eventual).unwrap();
    assert_eq!(store.stats().log_commits, 1, "not held");
    (store, page)
}

#[test]
fn by_a_transaction_beside_checkpoints() {
    let (store, page) = with_held_page(2);
    let txn = store.begin_write().unwrap();
    let lent = (&txn).page(page).unwrap();
    for _ in 0..3 {
        store.checkpoint().unwrap();
        assert!(lent.iter().all(|byte| *byte == 2), "the memory was given back");
    }
    // A transaction that begins now finds the page published, and holds nothing up.
    drop(txn);
    let mut txn = store.begin_write().unwrap();
    let other = txn.claim().unwrap();
    let ([], [bytes]) = txn.edit([], [other]).unwrap();
    bytes.fill(2);
    txn.redo(&[Part::Bytes(&[3])]);
    txn.commit(Durability::Eventual).unwrap();
    let txn = store.begin_write().unwrap();
    let lent = [page, other].map(|page| (&txn).page(page).unwrap());
    store.checkpoint().unwrap();
    assert!(lent.iter().all(|page| page.iter().all(|byte| *byte == 2)));
}

#[test]
fn by_a_snapshot_beside_checkpoints() {
    let (store, page) = with_held_page(2);
    let snapshot = store.begin_read(0).unwrap();
    let lent = (&snapshot).page(page).unwrap();
    for _ in 0..3 {
        store.checkpoint().unwrap();
        assert!(lent.iter().all(|byte| *byte == 2), "the memory was given back");
    }
}
