//! Pages of every size, with keys up to the longest and values from nothing to several pages.
//!
//! Invariants checked: trees do what maps do, the longest key is about a quarter page and one byte
//! more is refused, and every page is accounted for.

use crate::support::*;
use mapleaf_btree::{Error, TreeHandle, TreeOptions, Writer};
use mapleaf_pager::{Durability, PAGE_SIZE_MAX, PAGE_SIZE_MIN};

/// The longest key of a store: what the error for a longer one says.
fn key_limit(writer: &mut Writer<'_>, tree: TreeHandle) -> usize {
    let refused = writer.tree(tree).unwrap().insert(&[b'k'; PAGE_SIZE_MAX], b"");
    let Err(Error::KeyTooLong { limit_bytes }) = refused else { panic!("{refused:?}") };
    limit_bytes
}

/// Numbers that follow no pattern (xorshift).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % below as u64) as usize
    }

    /// A length: mostly short, sometimes as long as it can be.
    fn len(&mut self, max: usize) -> usize {
        match self.next(8) {
            0 => max - self.next(max.min(4)),
            1 => self.next(max + 1),
            2 => self.next(max / 8 + 1),
            _ => self.next(max.min(40) + 1),
        }
    }
}

fn change(writer: &mut Writer<'_>, tree: TreeHandle, entries: &mut Entries, page_size: usize) {
    let limit = key_limit(writer, tree);
    let mut numbers = Numbers(page_size as u64 | 1);
    let removing = |step| step / 500 % 3 == 2;
    // Larger pages need no more of them for a tree of two levels, and each is more bytes.
    let steps = if page_size > 4096 { 1500 } else { 4000 };
    for step in 0..steps {
        let mut key = vec![b'a' + numbers.next(3) as u8; numbers.len(limit)];
        let last = key.len().min(3);
        key.iter_mut().rev().take(last).for_each(|byte| *byte = numbers.next(40) as u8);
        if removing(step) {
            let near = entries.range(key..).next().map(|(key, _)| key.clone());
            if let Some(key) = near {
                assert_eq!(writer.tree(tree).unwrap().remove(&key), Ok(true));
                entries.remove(&key);
            }
        } else {
            let value = value_of(numbers.len(3 * page_size), step);
            let replaced = writer.tree(tree).unwrap().insert(&key, &value).unwrap();
            assert_eq!(replaced, entries.insert(key, value).is_some());
        }
    }
}

#[test]
fn trees_do_what_maps_do_on_pages_of_every_size() {
    let mut page_size = PAGE_SIZE_MIN;
    while page_size <= PAGE_SIZE_MAX {
        let mut ram = vec![0; page_size * 6_000];
        let store = create(&mut ram, page_size, 0);
        let mut entries = Entries::new();
        for _ in 0..2 {
            let mut writer = Writer::new(store.begin_write().unwrap()).unwrap();
            let tree = writer.open_or_create("t", TreeOptions::default()).unwrap();
            let limit = key_limit(&mut writer, tree);
            assert!(limit * 11 / 2 > page_size && limit * 4 < page_size, "{page_size}: {limit}");
            assert_eq!(writer.tree(tree).unwrap().insert(&vec![b'k'; limit], b""), Ok(false));
            assert_eq!(writer.tree(tree).unwrap().remove(&vec![b'k'; limit]), Ok(true));
            change(&mut writer, tree, &mut entries, page_size);
            compare(writer.tree_ref(tree).unwrap(), &entries);
            writer.commit(Durability::Sync).unwrap();
            let report = prove(&store);
            assert!(report.run_pages > 0 && report.height_max > 1);
        }
        page_size *= 2;
    }
}
