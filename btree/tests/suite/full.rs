//! A store that cannot grow.
//!
//! Invariants checked:
//! - a change that finds no room says so, and leaves the tree as it was: the transaction goes on;
//! - `remove_range` either does all or fails the transaction;
//! - what was removed makes room again, also where there was none left for a merge.

use crate::support::*;
use mapleaf_btree::{Error, TreeOptions, Writer};
use mapleaf_pager::Durability;
use quickcheck::{Gen, QuickCheck};

const FULL: Error = Error::Pager(mapleaf_pager::Error::Full);

/// Runs single changes against the oracle; how many found no room.
fn changes(writer: &mut Writer<'_>, entries: &mut Entries, steps: &[(u8, u16, u16)]) -> usize {
    let tree = writer.open_or_create("t", TreeOptions::default());
    let tree = match tree {
        Ok(tree) => tree,
        Err(error) => {
            assert_eq!(error, FULL);
            return 1;
        }
    };
    let mut full = 0;
    for (kind, key, len) in steps {
        let (key, value) = (key_of(*key), value_of(len_of_value(*len), u32::from(*len)));
        let mut tree = writer.tree(tree).unwrap();
        let done = match kind % 4 {
            0 => tree.remove(&key).map(|removed| {
                assert_eq!(removed, entries.remove(&key).is_some());
            }),
            1 => tree.reserve(&key, value.len(), |place| place.copy_from_slice(&value)).map(|_| {
                entries.insert(key, value);
            }),
            _ => tree.insert(&key, &value).map(|_| {
                entries.insert(key, value);
            }),
        };
        if let Err(error) = done {
            assert_eq!(error, FULL);
            full += 1;
            compare(tree.as_tree(), entries);
        }
    }
    full
}

fn program(transactions: Vec<Vec<(u8, u16, u16)>>, pages: usize) -> usize {
    let mut ram = vec![0; pages * PAGE];
    let store = create(&mut ram, PAGE, 0);
    let mut committed = Entries::new();
    let mut full = 0;
    for steps in transactions {
        let mut writer = Writer::new(store.begin_write().unwrap()).unwrap();
        let mut entries = committed.clone();
        full += changes(&mut writer, &mut entries, &steps);
        match writer.commit(Durability::Sync) {
            Ok(_) => committed = entries,
            Err(error) => assert_eq!(error, FULL),
        }
        prove(&store);
        let snapshot = store.begin_read(0).unwrap();
        if !committed.is_empty() {
            compare_all(&snapshot, &Trees::from([("t".to_string(), (0, committed.clone()))]));
        }
    }
    // Room comes back.
    let mut writer = Writer::new(store.begin_write().unwrap()).unwrap();
    if let Ok(tree) = writer.open("t") {
        let kept = committed.len() as u64;
        match writer.tree(tree).unwrap().remove_range(&b""[..]..) {
            Ok(removed) => {
                assert_eq!(removed, kept);
                check_state(writer.txn());
            }
            Err(error) => assert_eq!(error, FULL),
        }
    }
    full
}

#[test]
fn a_full_store_keeps_its_trees() {
    fn holds(transactions: Vec<Vec<(u8, u16, u16)>>, pages: u8) -> bool {
        program(transactions, 20 + usize::from(pages));
        true
    }
    QuickCheck::new()
        .rng(Gen::new(40))
        .quickcheck(holds as fn(Vec<Vec<(u8, u16, u16)>>, u8) -> bool);
}

#[test]
fn changes_find_no_room_in_the_middle() {
    // Enough insertions that a store of 100 pages must be met full, within transactions of any
    // length.
    let step = |i: u32| {
        let seed = i.wrapping_mul(0x9E37_79B9);
        ((seed >> 8) as u8 | 1, (seed >> 16) as u16, seed as u16)
    };
    for len in [1, 7, 50, 400] {
        let all: Vec<_> = (0..800).map(step).collect();
        let full = program(all.chunks(len).map(<[_]>::to_vec).collect(), 100);
        assert!(full > 10, "{len}: {full}");
    }
}

/// Whatever is left of a store's last pages when a removal leaves sparse pages behind: it succeeds without the
/// merge, or says that there is no room and has changed nothing.
#[test]
fn removals_find_room_or_do_without_a_merge() {
    let key = |i: u32| (i * 7919 % 1000).to_be_bytes();
    let (mut removed, mut refused) = (0, 0);
    for (pages, entries_a_page) in (16..120).flat_map(|pages| [(pages, 2), (pages, 3)]) {
        let mut ram = vec![0; pages * PAGE];
        let store = create(&mut ram, PAGE, 0);
        let mut writer = Writer::new(store.begin_write().unwrap()).unwrap();
        let tree = writer.create("t", TreeOptions::default()).unwrap();
        let mut entries = Entries::new();
        for i in 0..pages as u32 * entries_a_page {
            let value = value_of(60, i);
            if writer.tree(tree).unwrap().insert(&key(i), &value).is_ok() {
                entries.insert(key(i).to_vec(), value);
            }
        }
        if writer.commit(Durability::Sync).is_err() {
            continue;
        }
        // What a large value leaves behind is free when the transaction ends. So in half of the cases the
        // first leaf finds no page for a merge, or one where it needs two; in the others each leaf that is
        // touched takes one of those that are left.
        let mut writer = Writer::new(store.begin_write().unwrap()).unwrap();
        let Ok(tree) = writer.open("t") else { continue };
        let first = entries.keys().next().cloned().unwrap_or_default();
        let lens: &[usize] = [&[][..], &[900, 400], &[900], &[]][pages % 4];
        for len in lens {
            for seed in 0..pages as u32 {
                let value = value_of(*len, seed);
                if writer.tree(tree).unwrap().insert(&first, &value).is_err() {
                    break;
                }
                entries.insert(first.clone(), value);
            }
        }
        for key in entries.clone().into_keys() {
            match writer.tree(tree).unwrap().remove(&key) {
                Ok(found) => {
                    assert!(found && entries.remove(&key).is_some());
                    removed += 1;
                }
                Err(error) => {
                    assert_eq!(error, FULL);
                    refused += 1;
                }
            }
        }
        compare(writer.tree_ref(tree).unwrap(), &entries);
        check_state(writer.txn());
    }
    assert!(removed > 1000 && refused > 100, "{removed}, {refused}");
}
