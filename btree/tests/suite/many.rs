//! `get_many` against `get`.
//!
//! Invariant checked: the same answers, for keys that are there and keys that are not, in any order, repeated,
//! with heads that collide, in trees of any height, in snapshots and in transactions.

use crate::support::{PAGE, create};
use mapleaf_btree::{Catalog, Error, TreeOptions, Writer};
use mapleaf_pager::Durability;
use quickcheck::{QuickCheck, TestResult};

/// A key of one of three families: heads that differ, heads that collide, keys of length 0 to 3.
fn key(number: u16) -> Vec<u8> {
    match number % 3 {
        0 => number.wrapping_mul(40_503).to_be_bytes().repeat(4),
        1 => [b"the same head ".as_slice(), &number.to_be_bytes()].concat(),
        _ => number.to_be_bytes()[..usize::from(number / 3 % 3)].to_vec(),
    }
}

fn agrees(stored: Vec<u16>, wanted: Vec<u16>, long: u8) -> TestResult {
    let mut ram = vec![0; 8 << 20];
    let store = create(&mut ram, PAGE, 0);
    let mut writer = Writer::new(store.begin_write().unwrap()).unwrap();
    let handle = writer.create("t", TreeOptions::default()).unwrap();
    for (at, number) in stored.iter().enumerate() {
        // Now and then a value in a run of its own.
        let len = if at % 64 == usize::from(long) { 3000 } else { at % 40 };
        writer.tree(handle).unwrap().insert(&key(*number), &vec![at as u8; len]).unwrap();
    }
    // Those that are there too, in another order.
    let wanted: Vec<Vec<u8>> = wanted.iter().chain(stored.iter().rev()).map(|n| key(*n)).collect();
    {
        let tree = writer.tree_ref(handle).unwrap();
        let mut values = vec![None; wanted.len()];
        tree.get_many(&wanted, &mut values).unwrap();
        assert!(wanted.iter().zip(&values).all(|(key, value)| tree.get(key).unwrap() == *value));
    }
    writer.commit(Durability::Sync).unwrap();
    let snapshot = store.begin_read(0).unwrap();
    let tree = Catalog::new(&snapshot).unwrap().open("t").unwrap();
    let mut values = vec![Some(&b"left over"[..]); wanted.len()];
    tree.get_many(&wanted, &mut values).unwrap();
    for (key, value) in wanted.iter().zip(&values) {
        assert_eq!(tree.get(key).unwrap(), *value, "{key:?}");
    }
    TestResult::passed()
}

#[test]
fn the_same_answers_as_one_at_a_time() {
    QuickCheck::new().tests(60).quickcheck(agrees as fn(Vec<u16>, Vec<u16>, u8) -> TestResult);
    // Three levels, and more than one group.
    let all: Vec<u16> = (0..3000).collect();
    let _ = agrees(all.clone(), all.iter().map(|n| n * 7).collect(), 5);
}

#[test]
fn as_many_places_as_keys() {
    let mut ram = vec![0; 8 << 20];
    let store = create(&mut ram, PAGE, 0);
    let mut writer = Writer::new(store.begin_write().unwrap()).unwrap();
    let handle = writer.create("t", TreeOptions::default()).unwrap();
    let tree = writer.tree_ref(handle).unwrap();
    let refused = tree.get_many(&[b"a", b"b"], &mut [None]);
    assert_eq!(refused, Err(Error::Pager(mapleaf_pager::Error::InvalidArgument)));
    let mut none = [Some(&b"x"[..])];
    tree.get_many(&[b"a"], &mut none).unwrap();
    assert_eq!(none, [None]);
}
