//! How many pages a transaction writes.
//!
//! Invariants checked: values of the same size are changed in place; what comes behind the last entry writes its
//! own pages and the way to them; a page is copied once a transaction, however much of it changes.

use crate::support::*;
use mapleaf_btree::{Pending, TreeHandle, TreeOptions, Writer};
use mapleaf_pager::Durability;

const COUNT: u64 = 3000;

fn key(n: u64) -> [u8; 8] {
    n.to_be_bytes()
}

/// Pages that are not what they were when `work` was committed, without the metas; and how many leaves
/// more there are. In a tree of `COUNT` even numbers, of height 4 with the root.
fn changed(work: impl FnOnce(&mut Writer<'_>, TreeHandle)) -> (usize, i64) {
    let mut ram = vec![0; 2 << 20];
    let mut leaves = 0;
    let len = {
        let store = create(&mut ram, PAGE, 0);
        let mut writer = Writer::new(store.begin_write().unwrap()).unwrap();
        let tree = writer.create("t", TreeOptions::default()).unwrap();
        let entries = (0..COUNT).map(|n| (key(2 * n), [0; 20]));
        writer.tree(tree).unwrap().load(entries, 80).unwrap();
        assert_eq!(writer.record(tree).unwrap().height, 3);
        writer.commit(Durability::Sync).unwrap();
        store.close().unwrap();
        len_of(&store)
    };
    let before = ram.clone();
    {
        let (_, store) = reopen(&mut ram, len, &options(PAGE, 0));
        let mut writer = Writer::new(store.begin_write().unwrap()).unwrap();
        let tree = writer.open("t").unwrap();
        leaves -= i64::from(writer.record(tree).unwrap().leaf_pages);
        work(&mut writer, tree);
        leaves += i64::from(writer.record(tree).unwrap().leaf_pages);
        writer.commit(Durability::Sync).unwrap();
        prove(&store);
    }
    let pages = before.chunks(PAGE).zip(ram.chunks(PAGE)).skip(2);
    (pages.filter(|(old, new)| old != new).count(), leaves)
}

/// A page a level, and the catalog's.
const PATH: usize = 3 + 1;

#[test]
fn a_value_of_the_same_size_writes_its_path() {
    let one = |writer: &mut Writer<'_>, tree| {
        assert_eq!(writer.tree(tree).unwrap().insert(&key(2000), &[1; 20]), Ok(true));
    };
    assert_eq!(changed(one), (PATH, 0));
}

#[test]
fn values_of_the_same_size_stay_in_their_pages() {
    // Again and again: nothing of it becomes garbage, or the page would be laid out anew, or split.
    let many = |writer: &mut Writer<'_>, tree| {
        for round in 0..100u8 {
            for n in 1000..1004 {
                writer.tree(tree).unwrap().insert(&key(2 * n), &[round; 20]).unwrap();
            }
        }
    };
    let (pages, leaves) = changed(many);
    // Four neighbours lie on two leaves at the most.
    assert!((PATH..=PATH + 2).contains(&pages) && leaves == 0, "{pages} pages, {leaves} leaves");
}

#[test]
fn what_comes_last_writes_new_pages_only() {
    let add = |writer: &mut Writer<'_>, tree| {
        for n in 2 * COUNT..2 * COUNT + 200 {
            writer.tree(tree).unwrap().insert(&key(n), &[1; 20]).unwrap();
        }
    };
    let (pages, leaves) = changed(add);
    // Of 26 bytes and more each, without one that is split in half: 15 or 16 a leaf.
    assert!((12..=14).contains(&leaves), "{leaves} leaves");
    // One or two pages above them are new too.
    assert!(pages <= PATH + leaves as usize + 2, "{pages} pages for {leaves} leaves");
}

#[test]
fn a_batch_writes_each_page_once() {
    let odd: Vec<[u8; 8]> = (0..60).map(|n| key(2 * ((n * 17) % 60) + 1001)).collect();
    let (by_one, leaves_by_one) = changed(|writer, tree| {
        for key in &odd {
            writer.tree(tree).unwrap().insert(key, &[1; 20]).unwrap();
        }
    });
    let (batch, leaves) = changed(|writer, tree| {
        let entries = odd.iter().map(|key| (&key[..], &[1; 20][..]));
        let mut work = [Pending::default(); 64];
        assert_eq!(writer.tree(tree).unwrap().extend(entries, &mut work), Ok(60));
    });
    // What lay on five leaves lies on ten or so, half of which were pages before. One page above is split.
    assert!(batch <= PATH + 17, "{batch} pages, {by_one} by one");
    assert!((4..=8).contains(&leaves) && (4..=8).contains(&leaves_by_one), "{leaves}");
}
