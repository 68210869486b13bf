//! Savepoints that nest, and go back after pages were freed: what each of them reaches stays as it was.
//!
//! Two rules keep it so, each of them alone enough: pages born in the running transaction are not reused
//! before it ends but through its own lists, and a savepoint pins every state from its own on.

mod double;
#[allow(dead_code)] // Nothing is replayed here.
mod toy;

use double::{Double, Last};
use mapleaf_pager::{Durability, Error, Options, PageId, Pages, Part, Store, WriteTxn, words_for};
use std::sync::atomic::AtomicU32;
use toy::{PAGE, SLOTS, account, put, values};

type TestStore = Store<Double, Box<[AtomicU32]>>;

fn created(two_views: bool) -> TestStore {
    let words = (0..words_for(4)).map(|_| AtomicU32::new(0)).collect();
    let options = Options::default().page_size(PAGE as u32).log_bytes(16 * 1024, 16 * 1024);
    Store::create(Double::new(&[], 4096 * PAGE, PAGE, two_views), words, &options).unwrap()
}

/// Changes slots `from..to` to values of `len` bytes.
fn fill(txn: &mut WriteTxn<'_>, from: usize, to: usize, value: u8, len: usize) {
    for slot in from..to {
        put(txn, slot, Some(&vec![value; len]), true).unwrap();
    }
}

fn empty(txn: &mut WriteTxn<'_>, from: usize, to: usize) {
    (from..to).for_each(|slot| put(txn, slot, None, true).unwrap());
}

/// Claims pages, so that what is free is written over, and gives them back.
fn write_over_what_is_free(txn: &mut WriteTxn<'_>) {
    let pages: Vec<PageId> = (0..300).map(|_| txn.claim().unwrap()).collect();
    for page in &pages {
        let ([], [bytes]) = txn.edit([], [*page]).unwrap();
        bytes[0] = 2;
        bytes[16..].fill(0xEE);
    }
    pages.into_iter().for_each(|page| txn.free(page).unwrap());
}

/// Else a page that an outer savepoint reaches could be written over once an inner one was gone back to.
#[test]
fn going_back_to_an_inner_savepoint_leaves_the_outer_ones_whole() {
    for (two_views, long) in [(false, 100), (true, 100), (false, 1500), (true, 1500)] {
        let store = created(two_views);
        let mut txn = store.begin_write().unwrap();
        fill(&mut txn, 0, SLOTS, 1, long);
        txn.commit(Durability::Sync).unwrap();
        let reader = store.begin_read(0).unwrap();
        let committed = values(&reader).unwrap();

        let mut txn = store.begin_write().unwrap();
        fill(&mut txn, 0, 20, 2, long);
        let outer = (txn.savepoint().unwrap(), values(&txn).unwrap());
        fill(&mut txn, 5, 25, 3, long);
        let middle = (txn.savepoint().unwrap(), values(&txn).unwrap());
        empty(&mut txn, 0, 10);
        let inner = (txn.savepoint().unwrap(), values(&txn).unwrap());
        for (savepoint, then) in [inner, middle, outer] {
            // Frees what this savepoint and those around it reach.
            fill(&mut txn, 0, 30, 4, 10);
            empty(&mut txn, 0, SLOTS);
            write_over_what_is_free(&mut txn);
            txn.rollback_to(savepoint).unwrap();
            assert_eq!(values(&txn).unwrap(), then);
            assert_eq!(values(&reader).unwrap(), committed);
        }
        let before = values(&txn).unwrap();
        txn.commit(Durability::Sync).unwrap();
        assert_eq!(values(&store.begin_read(1).unwrap()).unwrap(), before);
        account(&store.inspect().unwrap());
        assert_eq!(values(&reader).unwrap(), committed);
    }
}

/// Else what was freed before a savepoint would wait, or not, by what was done and undone after it.
#[test]
fn going_back_gives_back_what_was_freed_and_what_waits() {
    for two_views in [false, true] {
        let store = created(two_views);
        let mut txn = store.begin_write().unwrap();
        fill(&mut txn, 0, SLOTS, 1, 100);
        txn.commit(Durability::Sync).unwrap();
        store.checkpoint().unwrap();
        let waiting = |undone: bool| {
            let mut txn = store.begin_write().unwrap();
            empty(&mut txn, 0, 5);
            let savepoint = txn.savepoint().unwrap();
            if undone {
                empty(&mut txn, 5, 30);
                let nested = txn.savepoint().unwrap();
                empty(&mut txn, 30, SLOTS);
                txn.rollback_to(nested).unwrap();
            }
            txn.rollback_to(savepoint).unwrap();
            txn.commit(Durability::Eventual).unwrap();
            let waiting = store.stats().waiting_pages;
            account(&store.inspect().unwrap());
            let mut txn = store.begin_write().unwrap();
            fill(&mut txn, 0, 5, 1, 100);
            txn.commit(Durability::Sync).unwrap();
            store.checkpoint().unwrap();
            waiting
        };
        let without = waiting(false);
        assert_eq!(waiting(true), without);
        assert!((5..=8).contains(&without), "{without} wait");
    }
}

/// Rolled back to its start, a transaction has changed nothing that anybody could see.
#[test]
fn a_transaction_that_went_back_to_its_start_commits_the_state_it_began_with() {
    let store = created(true);
    let mut txn = store.begin_write().unwrap();
    fill(&mut txn, 0, SLOTS, 1, 100);
    txn.commit(Durability::Sync).unwrap();
    let before = (values(&store.begin_read(0).unwrap()).unwrap(), store.stats().page_count);
    for _ in 0..20 {
        let mut txn = store.begin_write().unwrap();
        let savepoint = txn.savepoint().unwrap();
        fill(&mut txn, 0, SLOTS, 2, 100);
        txn.rollback_to(savepoint).unwrap();
        assert_eq!((&txn).root(), (&store.begin_read(0).unwrap()).root());
        txn.commit(Durability::Eventual).unwrap();
        account(&store.inspect().unwrap());
    }
    assert_eq!(values(&store.begin_read(0).unwrap()).unwrap(), before.0);
    assert!(store.stats().page_count <= before.1 + 60, "{:?}", store.stats());
}

/// Else pages that a transaction has freed around a savepoint are lost for good where it was spilled before the
/// savepoint is released.
#[test]
fn what_was_freed_around_a_savepoint_and_a_spill_is_free_after_its_release() {
    // Pages first, and runs, which do not take them, make it spill; and the other way round.
    for (len, other) in [(100, 1500), (1500, 100)] {
        let mut mapping = Double::new(&[], 4096 * PAGE, PAGE, true);
        mapping.budget = 24;
        let words = (0..words_for(4)).map(|_| AtomicU32::new(0)).collect();
        let options = Options::default().page_size(PAGE as u32).log_bytes(16 * 1024, 16 * 1024);
        let store: TestStore = Store::create(mapping, words, &options).unwrap();
        let mut txn = store.begin_write().unwrap();
        fill(&mut txn, 0, 3, 1, len);
        empty(&mut txn, 1, 3);
        let savepoint = txn.savepoint().unwrap();
        fill(&mut txn, 4, 6, 2, len);
        empty(&mut txn, 4, 6);
        assert_eq!(store.stats().spills, 0);
        fill(&mut txn, 10, SLOTS, 3, other);
        assert!(store.stats().spills > 0);
        txn.release(savepoint).unwrap();
        let before = values(&txn).unwrap();
        txn.commit(Durability::Sync).unwrap();
        assert_eq!(values(&store.begin_read(1).unwrap()).unwrap(), before);
        account(&store.inspect().unwrap());
    }
}

/// Else a program that goes back to a savepoint a second time would find what it has done since the first time half
/// kept, and be told that all is well.
#[test]
fn a_savepoint_that_has_ended_is_not_taken_for_one_that_was_made_in_its_place() {
    for two_views in [false, true] {
        for release in [false, true] {
            let store = created(two_views);
            let mut txn = store.begin_write().unwrap();
            fill(&mut txn, 0, 5, 1, 100);
            let first = txn.savepoint().unwrap();
            fill(&mut txn, 0, 5, 2, 100);
            if release {
                txn.release(first).unwrap()
            } else {
                txn.rollback_to(first).unwrap()
            }
            let second = txn.savepoint().unwrap();
            let before = values(&txn).unwrap();
            fill(&mut txn, 2, 7, 3, 100);
            assert_ne!(first, second);
            assert_eq!(txn.rollback_to(first), Err(Error::Stale));
            assert_eq!(txn.release(first), Err(Error::Stale));
            assert_ne!(values(&txn).unwrap(), before, "nothing was taken back");
            txn.rollback_to(second).unwrap();
            assert_eq!(values(&txn).unwrap(), before);
        }
    }
}

/// Else what was taken back would be there after a crash.
#[test]
fn what_was_taken_back_is_not_in_the_log() {
    for two_views in [false, true] {
        let store = created(two_views);
        let mut txn = store.begin_write().unwrap();
        txn.set_root(&[1; 64]);
        txn.redo(&[Part::Bytes(&[1; 9])]);
        let savepoint = txn.savepoint().unwrap();
        txn.set_root(&[2; 64]);
        txn.redo(&[Part::Bytes(&[2; 900])]);
        txn.rollback_to(savepoint).unwrap();
        txn.commit(Durability::Eventual).unwrap();
        assert_eq!(store.stats().log_commits, 1);
        let mapping = Double::new(&store.mapping().published(), 4096 * PAGE, PAGE, two_views);
        let words = (0..words_for(4)).map(|_| AtomicU32::new(0)).collect();
        let options = Options::default();
        let again: TestStore =
            Store::open_proven(mapping, words, &options, &mut Last, &mut []).unwrap();
        assert_eq!(again.stats().replayed_blocks, 1);
        assert_eq!((&again.begin_read(0).unwrap()).root()[0], 1);
    }
}

/// Else a program could not go on after a change that failed half-way, though it had a savepoint for that.
#[test]
fn a_failed_transaction_goes_on_from_its_savepoint() {
    let store = created(true);
    let mut txn = store.begin_write().unwrap();
    fill(&mut txn, 0, 5, 1, 100);
    let before = values(&txn).unwrap();
    let savepoint = txn.savepoint().unwrap();
    fill(&mut txn, 0, 5, 2, 100);
    txn.fail();
    assert!(matches!(txn.savepoint(), Err(Error::TxnFailed { .. })));
    txn.rollback_to(savepoint).unwrap();
    fill(&mut txn, 5, 6, 3, 100);
    txn.commit(Durability::Sync).unwrap();
    let now = values(&store.begin_read(0).unwrap()).unwrap();
    assert_eq!(now[..5], before[..5]);
    assert_eq!(now[5].as_deref(), Some(&[3; 100][..]));
}
