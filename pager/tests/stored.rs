//! Values that are written where they belong before the commit.

mod double;

use double::stores::{CAPACITY, PAGE, TestStore, emptied, options};
use double::{Double, Nothing, words};
use mapleaf_pager::{
    Durability, Error, Mapping, Options, PageId, Pages, Part, Store, Verify, WriteTxn,
    first_touch_words_for, words_for,
};
use std::sync::atomic::{AtomicU32, Ordering};

/// From so many pages on the mapping of these tests writes at once.
const LONG: usize = 3;
const VALUE_BYTES: usize = 4 * PAGE;

fn created(two_views: bool) -> TestStore {
    let mut mapping = Double::new(&[], CAPACITY, PAGE, two_views);
    mapping.long = LONG;
    Store::create(mapping, words(), &options()).unwrap()
}

fn value(byte: u8) -> Vec<u8> {
    (0..VALUE_BYTES).map(|at| byte ^ at as u8).collect()
}

fn claimed(store: &TestStore, run: PageId) -> bool {
    store.mapping().claimed(u64::from(run.0) * PAGE as u64)
}

fn root(txn: &mut WriteTxn<'_>, byte: u8) {
    txn.set_root(&[byte; 64]);
}

/// What the death of the process leaves, opened again.
fn reopened(store: &TestStore, options: &Options, words: Box<[AtomicU32]>) -> TestStore {
    let mut mapping = Double::new(&store.mapping().published(), CAPACITY, PAGE, true);
    mapping.long = LONG;
    // SAFETY: the store's own bytes.
    #[allow(unsafe_code)]
    let store = unsafe { Store::open(mapping, words, options, &mut Nothing) };
    store.unwrap()
}

/// As a store that compares every checksum.
fn compared(store: &TestStore) -> TestStore {
    reopened(store, &options().verify(Verify::Always), words())
}

/// Whether the newest state shows the value.
fn shows(store: &TestStore, run: PageId, byte: u8) -> bool {
    store.begin_read(0).unwrap().run(run, VALUE_BYTES as u64).unwrap() == value(byte)
}

#[test]
fn a_long_value_is_written_once_and_is_what_was_stored() {
    for (two_views, bytes) in [(false, VALUE_BYTES), (true, VALUE_BYTES), (true, PAGE)] {
        let store = created(two_views);
        let mut txn = store.begin_write().unwrap();
        let run = txn.store_run(&value(1)[..bytes]).unwrap();
        assert_eq!(claimed(&store, run), two_views && bytes < VALUE_BYTES, "{two_views} {bytes}");
        assert_eq!((&txn).run(run, bytes as u64).unwrap(), &value(1)[..bytes]);
        assert!(txn.owned(run).unwrap() && txn.changed());
        root(&mut txn, 1);
        txn.commit(Durability::Sync).unwrap();
        assert_eq!(
            store.begin_read(0).unwrap().run(run, bytes as u64).unwrap(),
            &value(1)[..bytes]
        );
        store.close().unwrap();
        let again = compared(&store);
        assert_eq!(
            again.begin_read(0).unwrap().run(run, bytes as u64).unwrap(),
            &value(1)[..bytes]
        );
    }
}

#[test]
fn a_run_is_written_again_where_it_is_until_it_is_committed() {
    let store = created(true);
    let mut txn = store.begin_write().unwrap();
    let run = txn.store_run(&value(1)).unwrap();
    txn.rewrite_run(run, &value(2)).unwrap();
    assert!(!claimed(&store, run));
    assert_eq!((&txn).run(run, VALUE_BYTES as u64).unwrap(), value(2));
    assert!(matches!(txn.rewrite_run(run, &value(2)[1..]), Err(Error::Corrupt { .. })));
    // Whoever changes it in place has a copy of it.
    txn.run_mut(run).unwrap()[0] = 77;
    assert!(claimed(&store, run));
    txn.rewrite_run(run, &value(3)).unwrap();
    assert!(claimed(&store, run), "in the twin by now");
    assert_eq!((&txn).run(run, VALUE_BYTES as u64).unwrap(), value(3));
    root(&mut txn, 1);
    txn.commit(Durability::Sync).unwrap();
    let mut txn = store.begin_write().unwrap();
    assert_eq!(txn.rewrite_run(run, &value(4)), Err(Error::InvalidArgument));
    drop(txn);
    store.close().unwrap();
    assert!(shows(&compared(&store), run, 3));
}

/// Else a full disk would leave half of a value, and be told as damage.
#[test]
fn a_run_that_is_written_again_on_a_full_medium_is_whole() {
    let made = created(true);
    made.close().unwrap();
    let store = compared(&made);
    let mut txn = store.begin_write().unwrap();
    let run = txn.store_run(&value(1)).unwrap();
    store.mapping().fail_publish.store(true, Ordering::Relaxed);
    txn.rewrite_run(run, &value(2)).unwrap();
    assert_eq!((&txn).run(run, VALUE_BYTES as u64).unwrap(), value(2));
    store.mapping().fail_publish.store(false, Ordering::Relaxed);
    root(&mut txn, 1);
    txn.commit(Durability::Sync).unwrap();
    assert!(shows(&store, run, 2));
}

/// Else a store whose transactions replace their own long values would grow though most of it is free.
#[test]
fn a_long_value_that_is_freed_again_leaves_free_pages_to_be_found() {
    let store = created(true);
    emptied(&store);
    store.checkpoint().unwrap();
    let pages = store.stats().page_count;
    let mut old: Vec<PageId> = Vec::new();
    for round in 0..30 {
        let mut txn = store.begin_write().unwrap();
        old.drain(..).for_each(|page| txn.free(page).unwrap());
        for _ in 0..4 {
            let run = txn.store_run(&value(round)).unwrap();
            txn.free_run(run).unwrap();
        }
        old = (0..200).map(|_| txn.claim().unwrap()).collect();
        root(&mut txn, round);
        txn.commit(Durability::Sync).unwrap();
    }
    assert!(store.stats().page_count <= pages + 64, "{} of {pages}", store.stats().page_count);
}

/// A page that was freed may be held still, with what it was: readers would look there.
#[test]
fn a_value_on_pages_that_were_held_is_not_read_from_where_they_were() {
    let store = created(true);
    let mut held = Vec::new();
    for round in 0..40u8 {
        let mut txn = store.begin_write().unwrap();
        held.drain(..).for_each(|page| txn.free(page).unwrap());
        held = (0..12).map(|_| txn.claim().unwrap()).collect();
        let run = txn.store_run(&value(round)).unwrap();
        assert_eq!((&txn).run(run, VALUE_BYTES as u64).unwrap(), value(round));
        root(&mut txn, round);
        // A record, so that the commit needs no checkpoint, and what it built is held.
        txn.redo(&[Part::Bytes(&[round])]);
        txn.commit(Durability::Eventual).unwrap();
        assert!(shows(&store, run, round));
        let mut txn = store.begin_write().unwrap();
        txn.free_run(run).unwrap();
        root(&mut txn, round);
        txn.redo(&[Part::Bytes(&[round])]);
        txn.commit(Durability::Eventual).unwrap();
    }
}

#[test]
fn what_was_written_is_free_again_when_it_is_taken_back() {
    let store = created(true);
    let used = |store: &TestStore| store.stats().page_count - store.stats().free_pages;
    let mut txn = store.begin_write().unwrap();
    root(&mut txn, 1);
    txn.commit(Durability::Sync).unwrap();
    let before = used(&store);
    for round in 0..20 {
        let mut txn = store.begin_write().unwrap();
        let savepoint = txn.savepoint().unwrap();
        let first = txn.store_run(&value(1)).unwrap();
        if round % 2 == 0 {
            txn.free_run(first).unwrap();
        }
        txn.rollback_to(savepoint).unwrap();
        let second = txn.store_run(&value(2)).unwrap();
        txn.free_run(second).unwrap();
        root(&mut txn, round);
        if round % 3 == 0 {
            continue; // Rolled back whole.
        }
        txn.commit(Durability::Sync).unwrap();
        store.checkpoint().unwrap();
    }
    assert!(used(&store) <= before + 8, "{} of {before}", used(&store));
    assert!(store.stats().page_count < 200, "{}", store.stats().page_count);
}

/// Else damage to a value would be lent by a store that was to compare each page once.
#[test]
fn a_value_on_pages_that_were_compared_is_compared_again() {
    const PAGES: u32 = 512;
    let made = created(true);
    made.close().unwrap();
    let words = words_for(4) + first_touch_words_for(PAGES);
    let words = (0..words).map(|_| AtomicU32::new(0)).collect();
    let store = reopened(&made, &options().first_touch(PAGES), words);
    let mut compared = Vec::new();
    for round in 0..20 {
        let mut txn = store.begin_write().unwrap();
        let run = txn.store_run(&value(round)).unwrap();
        root(&mut txn, round);
        txn.commit(Durability::Sync).unwrap();
        let snapshot = store.begin_read(0).unwrap();
        if compared.contains(&run) {
            store.mapping().damage(u64::from(run.0) * PAGE as u64 + 700, |byte| !byte);
            let lent = snapshot.run(run, VALUE_BYTES as u64);
            assert!(matches!(lent, Err(Error::Corrupt { page, .. }) if page == run), "{round}");
            return;
        }
        assert_eq!(snapshot.run(run, VALUE_BYTES as u64).unwrap(), value(round));
        drop(snapshot);
        compared.push(run);
        let mut txn = store.begin_write().unwrap();
        txn.free_run(run).unwrap();
        root(&mut txn, round);
        txn.commit(Durability::Sync).unwrap();
        store.checkpoint().unwrap();
    }
    panic!("no page was used twice");
}

/// A medium that is full for a moment costs nothing but the way through the twin.
#[test]
fn a_value_that_cannot_be_written_yet_is_published_by_the_commit() {
    let store = created(true);
    let mut txn = store.begin_write().unwrap();
    store.mapping().fail_publish.store(true, Ordering::Relaxed);
    let run = txn.store_run(&value(1)).unwrap();
    assert!(claimed(&store, run));
    assert_eq!((&txn).run(run, VALUE_BYTES as u64).unwrap(), value(1));
    store.mapping().fail_publish.store(false, Ordering::Relaxed);
    let other = txn.store_run(&value(2)).unwrap();
    store.mapping().fail_publish.store(true, Ordering::Relaxed);
    // Half of it is overwritten by then.
    txn.rewrite_run(other, &value(3)).unwrap();
    assert_eq!((&txn).run(other, VALUE_BYTES as u64).unwrap(), value(3));
    root(&mut txn, 1);
    assert_eq!(txn.commit(Durability::Sync), Err(Error::Full));
    store.mapping().fail_publish.store(false, Ordering::Relaxed);
    let mut txn = store.begin_write().unwrap();
    let run = txn.store_run(&value(4)).unwrap();
    root(&mut txn, 2);
    txn.commit(Durability::Sync).unwrap();
    store.close().unwrap();
    assert!(shows(&compared(&store), run, 4));
}

/// Else a transaction would be committed with half a value, or pages be lost.
#[test]
fn a_medium_that_fails_under_a_value_is_told() {
    const IO: Error = Error::Io { code: 5 };
    let store = created(true);
    let used = |store: &TestStore| store.stats().page_count - store.stats().free_pages;
    for round in 0..20 {
        let before = used(&store);
        let mut txn = store.begin_write().unwrap();
        store.mapping().broken.store(true, Ordering::Relaxed);
        assert_eq!(txn.store_run(&value(1)), Err(IO));
        store.mapping().broken.store(false, Ordering::Relaxed);
        // Nothing has happened, but that pages were given back.
        let run = txn.store_run(&value(2)).unwrap();
        assert_eq!((&txn).run(run, VALUE_BYTES as u64).unwrap(), value(2));
        txn.free_run(run).unwrap();
        root(&mut txn, round);
        txn.commit(Durability::Sync).unwrap();
        store.checkpoint().unwrap();
        assert!(round < 4 || used(&store) <= before + 2, "{} of {before}", used(&store));
    }
    let mut txn = store.begin_write().unwrap();
    let run = txn.store_run(&value(1)).unwrap();
    store.mapping().broken.store(true, Ordering::Relaxed);
    assert_eq!(txn.rewrite_run(run, &value(2)), Err(IO));
    store.mapping().broken.store(false, Ordering::Relaxed);
    root(&mut txn, 1);
    assert!(matches!(txn.commit(Durability::Sync), Err(Error::TxnFailed { .. })));
}
