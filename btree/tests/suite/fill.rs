//! How full pages are.
//!
//! Invariants checked: sorted input fills its leaves; leaves stay half full and more under random
//! insertion, and at two fifths and more after a random 90 % was removed, whatever is removed on
//! the way.

use crate::support::*;
use mapleaf_btree::{TreeOptions, Writer};
use mapleaf_pager::Durability;

/// Numbers without order, each once.
fn shuffled(count: u64, seed: u64) -> Vec<u64> {
    let mut numbers: Vec<_> = (0..count).collect();
    numbers.sort_by_key(|n| (n ^ seed).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(31));
    numbers
}

fn key(n: u64) -> Vec<u8> {
    format!("{:024}", n.wrapping_mul(0x9E37_79B9_7F4A_7C15)).into_bytes()
}

/// Mean fill of the leaves in per cent.
fn fill(store: &RamStore<'_>, page_size: usize) -> u64 {
    let report = prove(store);
    100 * report.leaf_bytes_used / (report.leaf_pages * page_size as u64)
}

fn fill_after(page_size: usize, value_len: usize, count: u64) {
    let mut ram = vec![0; 3 * count as usize * (value_len + 40)];
    let store = create(&mut ram, page_size, 0);
    let mut writer = Writer::new(store.begin_write().unwrap()).unwrap();
    let tree = writer.create("t", TreeOptions::default()).unwrap();
    for n in shuffled(count, 1) {
        writer.tree(tree).unwrap().insert(&key(n), &value_of(value_len, n as u32)).unwrap();
    }
    writer.commit(Durability::Sync).unwrap();
    let filled = fill(&store, page_size);
    assert!(filled >= 60, "{page_size}, {value_len}: {filled} % after random insertion");
    let mut gone = 0;
    for (part, numbers) in shuffled(count, 2).chunks(count as usize / 20).take(18).enumerate() {
        let mut writer = Writer::new(store.begin_write().unwrap()).unwrap();
        let tree = writer.open("t").unwrap();
        for n in numbers {
            assert_eq!(writer.tree(tree).unwrap().remove(&key(*n)), Ok(true));
        }
        writer.commit(Durability::Sync).unwrap();
        gone += numbers.len();
        let filled = fill(&store, page_size);
        assert!(filled >= 40, "{page_size}, {value_len}: {filled} % after {part} parts");
    }
    assert!(gone as u64 * 10 >= count * 9 - 20);
}

#[test]
fn leaves_stay_filled_when_most_is_removed() {
    for (page_size, value_len, count) in [
        (512, 0, 20_000),
        (512, 20, 20_000),
        (512, 60, 8_000),
        (4096, 150, 40_000),
        (4096, 8, 60_000),
    ] {
        if PAGES.contains(&page_size) {
            fill_after(page_size, value_len, count);
        }
    }
}

#[test]
fn sorted_input_fills_its_leaves() {
    for &page_size in PAGES {
        for append in [false, true] {
            let mut ram = vec![0; 16 << 20];
            let store = create(&mut ram, page_size, 0);
            let mut writer = Writer::new(store.begin_write().unwrap()).unwrap();
            let tree = writer.create("t", TreeOptions::default()).unwrap();
            for n in 0u64..40_000 {
                let (key, value) = (n.to_be_bytes(), value_of(20, n as u32));
                let mut tree = writer.tree(tree).unwrap();
                if append {
                    tree.append(&key, &value).unwrap();
                } else {
                    assert_eq!(tree.insert(&key, &value), Ok(false));
                }
            }
            writer.commit(Durability::Sync).unwrap();
            let filled = fill(&store, page_size);
            assert!(filled >= 90, "{page_size}: {filled} %");
        }
    }
}
