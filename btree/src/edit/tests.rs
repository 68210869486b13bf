//! How often a tree is gone down for what is stored in it.
//!
//! Invariants checked: insertions in order, and such that come close together, keep their place; a batch goes down
//! once for each leaf, a load once in all.

use super::Pending;
use crate::path::DESCENTS;
use crate::{TreeHandle, TreeOptions, Writer};
use core::sync::atomic::AtomicU32;
use mapleaf_pager::{Options, SliceMapping, Store, words_for};
use std::vec;
use std::vec::Vec;

/// Entries of 16 bytes, so that leaves of 512 bytes hold about 20.
const ENTRIES_A_LEAF_MAX: u64 = 22;

fn key(n: u64) -> [u8; 8] {
    (n * 1000).to_be_bytes()
}

/// Hands a tree of every tenth number below 20,000 to `work`; how often that went down.
fn descents_of(work: impl FnOnce(&mut Writer<'_>, TreeHandle)) -> usize {
    let mut ram = vec![0; 4 << 20];
    let words: Vec<AtomicU32> = (0..words_for(4)).map(|_| AtomicU32::new(0)).collect();
    let options = Options::default().page_size(512).log_bytes(0, 0);
    let store = Store::create(SliceMapping::empty(&mut ram), words, &options).unwrap();
    let mut writer = Writer::new(store.begin_write().unwrap()).unwrap();
    let tree = writer.create("t", TreeOptions::default()).unwrap();
    let entries = (0..2000).map(|n| (key(10 * n), [0; 4]));
    writer.tree(tree).unwrap().load(entries, 70).unwrap();
    assert_eq!(writer.record(tree).unwrap().height, 3);
    DESCENTS.set(0);
    work(&mut writer, tree);
    DESCENTS.get()
}

fn insert_all(keys: impl Iterator<Item = [u8; 8]>) -> usize {
    descents_of(|writer, tree| {
        for key in keys {
            writer.tree(tree).unwrap().insert(&key, b"1234").unwrap();
        }
    })
}

#[test]
fn insertions_without_order_go_down_each_time() {
    assert_eq!(insert_all((0..500).map(|n| key((n * 7919) % 19_999 + 1))), 500);
}

#[test]
fn insertions_at_the_end_go_down_twice() {
    assert_eq!(insert_all((0..1000).map(|n| key(20_000 + n))), 2);
}

#[test]
fn insertions_in_order_go_down_for_each_leaf() {
    // Nine between any two: about four leaves of a tenth of them each, at the most.
    let stored = 900;
    let leaves = 4 * (stored / ENTRIES_A_LEAF_MAX) as usize;
    let counted = insert_all((5000..6000).filter(|n| n % 10 != 0).map(key));
    assert!(counted <= 2 * leaves, "{counted} times for {stored} entries");
}

#[test]
fn clusters_go_down_a_few_times_each() {
    // A hundred clusters of ten, each in one place of one leaf.
    let keys = (0..100u64).flat_map(|cluster| {
        let low = (cluster * 37) % 100 * 190_000 + 5000;
        (0..10u64).map(move |n| (low + 1 + (n * 7) % 10).to_be_bytes())
    });
    let counted = insert_all(keys);
    // Two until the place is hot, and one more where the leaf splits under it.
    assert!(counted <= 100 * 4, "{counted} times for 1,000 entries");
}

#[test]
fn a_batch_goes_down_once_for_each_leaf() {
    let count = 800u64;
    let keys: Vec<_> =
        (0..count).map(|n| ((n * 7919) % count * 24_989 + 1).to_be_bytes()).collect();
    let counted = descents_of(|writer, tree| {
        let entries = keys.iter().map(|key| (&key[..], &b"1234"[..]));
        let mut work = vec![Pending::default(); keys.len()];
        writer.tree(tree).unwrap().extend(entries, &mut work).unwrap();
    });
    // About 140 leaves, of which 50 are split.
    assert!((100..=220).contains(&counted), "{counted} times");
}

#[test]
fn a_load_goes_down_once() {
    let counted = descents_of(|writer, tree| {
        let entries = (20_000..25_000).map(|n| (key(n), [1; 4]));
        writer.tree(tree).unwrap().load(entries, 100).unwrap();
    });
    assert_eq!(counted, 1);
}
