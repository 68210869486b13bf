//! No transaction, lookup or scan allocates: counted by the allocator, over a history that meets
//! splits, merges, growth, list pages of the space, log commits and checkpoints (and asserts it).

#![allow(unsafe_code)] // Opens mapped files in directories of their own.

use mapleaf_btree::{Pending, TreeOptions, Writer};
use mapleaf_pager::{
    Durability, Mapping, Options, SliceMapping, Store, first_touch_words_for, words_for,
};
use mapleaf_sys_linux::{FileMapping, OpenOptions, WriteMode};
use mapleaf_tests::allocation::{Counting, allocations};
use mapleaf_tests::data::{key, value};
use mapleaf_tests::history::{self, Met};
use std::ffi::CString;
use std::sync::atomic::AtomicU32;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const READERS: usize = 8;

fn words() -> Vec<AtomicU32> {
    (0..words_for(READERS)).map(|_| AtomicU32::new(0)).collect()
}

/// Runs the history; it must not allocate, and must have met everything.
fn run<M: Mapping>(store: &Store<M, Vec<AtomicU32>>, entries: u64, batch: u64) -> Met {
    let before = allocations();
    let met = history::run(store, entries, batch);
    let after = allocations();
    let met = met.unwrap();
    assert_eq!(after - before, 0, "allocations; met {met:?}");
    assert!(met.height >= 3, "the root has split twice: {met:?}");
    assert!(met.leaf_pages.1 * 2 < met.leaf_pages.0, "leaves were merged: {met:?}");
    assert!(met.space_pages > 0, "the inline lists were spilled: {met:?}");
    assert!(met.grown_pages > 0, "the mapping grew: {met:?}");
    assert!(met.checkpoints > 0, "there were checkpoints: {met:?}");
    assert_eq!(met.scanned, 3 * entries);
    met
}

#[test]
fn the_counter_counts() {
    let before = allocations();
    let kept = std::hint::black_box(vec![1u8; 100]);
    assert_eq!(allocations() - before, 1);
    drop(kept);
}

#[test]
fn in_a_slice_without_a_log() {
    let mut ram = vec![0; 32 << 20];
    let options = Options::default().page_size(512).log_bytes(0, 0);
    let store = Store::create(SliceMapping::empty(&mut ram), words(), &options).unwrap();
    let met = run(&store, 6000, 50);
    assert_eq!(met.log_commits, 0);
}

#[test]
fn in_a_slice_with_a_log() {
    let mut ram = vec![0; 32 << 20];
    let options = Options::default().page_size(512).log_bytes(16 << 10, 64 << 10);
    let store = Store::create(SliceMapping::empty(&mut ram), words(), &options).unwrap();
    let met = run(&store, 6000, 10);
    assert!(met.log_commits > 0, "{met:?}");
}

/// Bits for a part of the pages: some are compared once, others each time.
#[test]
fn in_a_slice_that_is_verified() {
    const PAGES: u32 = 2000;
    let mut ram = vec![0; 32 << 20];
    let options = Options::default().page_size(512).log_bytes(16 << 10, 64 << 10);
    let words = (0..words_for(READERS) + first_touch_words_for(PAGES)).map(|_| AtomicU32::new(0));
    let mapping = SliceMapping::empty(&mut ram);
    let store = Store::create(mapping, words.collect(), &options.first_touch(PAGES)).unwrap();
    run(&store, 6000, 10);
    assert!(store.stats().page_count > PAGES);
}

fn in_a_file(mode: WriteMode) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("t.leaf");
    let path = CString::new(path.to_str().unwrap()).unwrap();
    let how = OpenOptions { create: true, mode, ..OpenOptions::default() };
    // SAFETY: a new file in a directory of its own.
    let mapping = unsafe { FileMapping::open(&path, &how) }.unwrap();
    let store = Store::create(mapping, words(), &Options::default()).unwrap();
    let met = run(&store, 30_000, 300);
    assert!(met.log_commits > 0, "{met:?}");
}

#[test]
fn in_a_file_in_place() {
    in_a_file(WriteMode::InPlace);
}

#[test]
fn in_a_file_through_a_shadow() {
    in_a_file(WriteMode::Shadow);
}

/// Through the face as well: begin, get, scan, insert, remove, commit.
#[test]
fn through_the_database() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("t.leaf");
    // SAFETY: a new file in a directory of its own.
    let db = unsafe { mapleaf::Database::open(&path) }.unwrap();
    let entries: Vec<_> = (0..2000).map(|number| (key(number), value(number, 0, 150))).collect();
    // The first write transaction of an opening.
    let mut txn = db.write().unwrap();
    txn.create("t").unwrap();
    txn.commit().unwrap();
    let before = allocations();
    let mut scanned = 0;
    for (at, batch) in entries.chunks(100).enumerate() {
        let mut txn = db.write().unwrap();
        let mut tree = txn.tree("t").unwrap();
        for (key, value) in batch {
            tree.insert(key, value).unwrap();
        }
        assert!(tree.remove(&batch[0].0).unwrap());
        let durability = if at % 2 == 0 { Durability::Sync } else { Durability::Eventual };
        txn.commit_with(durability).unwrap();
        let snapshot = db.read().unwrap();
        let tree = snapshot.tree("t").unwrap();
        for (key, value) in &batch[1..] {
            assert!(tree.get(key).unwrap() == Some(&value[..]));
        }
        scanned += tree.iter().filter(|entry| entry.is_ok()).count();
    }
    assert_eq!(allocations() - before, 0);
    assert_eq!(scanned, (1..=20).map(|batches| batches * 99).sum::<usize>());
}

/// Loading, storing a batch in the order of its keys, looking a batch up, removing a range: in trees of any
/// and of one width, whose leaves fill, split and go.
#[test]
fn loads_and_batches() {
    const ENTRIES: u64 = 4000;
    const VALUE_BYTES: u16 = 40;
    let mut ram = vec![0; 32 << 20];
    let options = Options::default().page_size(512).log_bytes(16 << 10, 64 << 10);
    let store = Store::create(SliceMapping::empty(&mut ram), words(), &options).unwrap();
    let entry = |number| (key(number), value(number, 0, VALUE_BYTES.into()));
    let mut entries: Vec<_> = (0..ENTRIES).map(entry).collect();
    let batch = entries.split_off(ENTRIES as usize / 2);
    entries.sort();
    let mut work = vec![Pending::default(); 300];
    let fixed = TreeOptions::default().fixed_width(24, VALUE_BYTES);
    for (name, options) in [("any", TreeOptions::default()), ("one", fixed)] {
        let before = allocations();
        let mut writer = Writer::new(store.begin_write().unwrap()).unwrap();
        let tree = writer.create(name, options).unwrap();
        let mut tree = writer.tree(tree).unwrap();
        let loaded = tree.load(entries.iter().map(|(key, value)| (key, value)), 70).unwrap();
        let lent = batch.iter().map(|(key, value)| (&key[..], &value[..]));
        let new = tree.extend(lent, &mut work).unwrap();
        assert_eq!((loaded, new), (ENTRIES / 2, ENTRIES / 2));
        let mut found = 0;
        for batch in batch.chunks(100) {
            let mut values = [None; 100];
            let keys: &[_; 100] = batch.try_into().unwrap();
            tree.as_tree().get_many(&keys.each_ref().map(|(key, _)| key), &mut values).unwrap();
            found += values.iter().flatten().count();
        }
        let removed = tree.remove_range(&entries[100].0[..]..).unwrap();
        let height = tree.as_tree().record().height;
        writer.commit(Durability::Sync).unwrap();
        assert_eq!(allocations() - before, 0, "{name}");
        assert_eq!(found, batch.len());
        assert!(removed > 1000 && height > 1, "{name}: {removed} removed, height {height}");
    }
}

/// The database's `extend` takes entries that nobody keeps: it makes two lists, however many they are.
#[test]
fn extend_through_the_database_makes_two_lists() {
    let db = mapleaf::Database::in_memory().unwrap();
    let mut txn = db.write().unwrap();
    txn.create("t").unwrap();
    for count in [10, 1000] {
        let before = allocations();
        let entries = (0..count).map(|number| (key(number), number.to_le_bytes()));
        txn.extend("t", entries).unwrap();
        assert_eq!(allocations() - before, 2, "of {count} entries");
    }
    let before = allocations();
    let sorted = (0..1000u32).map(|number| (number.to_be_bytes(), number.to_le_bytes()));
    let mut tree = txn.tree("t").unwrap();
    tree.clear().unwrap();
    assert_eq!(tree.load(sorted, 100), Ok(1000));
    assert_eq!(allocations() - before, 0);
}
