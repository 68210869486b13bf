//! Damaged records and space pages: every operation ends, with `Ok` or an error, and never panics.

use super::{Mock, Store};
use crate::space::Space;
use crate::{PageId, TxnId};
use quickcheck::{Gen, QuickCheck, quickcheck};
use std::vec;
use std::vec::Vec;

/// A store with list pages, a bitmap of two levels (with small pages), pinned entries and buckets.
fn rich(page_size: usize, live: u32) -> Store {
    let mut store = Store::new(page_size);
    store.begin().unwrap();
    for _ in 0..live {
        let _ = store.claim(1).unwrap();
    }
    let _ = store.claim(300).unwrap();
    store.commit().unwrap();
    store.checkpoint();
    store.open_reader();
    for txn in 0..8 {
        store.begin().unwrap();
        for i in 0..120 {
            store.free(i * 17 + txn).unwrap();
            if i % 3 == 0 {
                let _ = store.claim(1).unwrap();
            }
        }
        store.commit().unwrap();
        if txn % 3 == 0 {
            store.checkpoint();
            store.open_reader();
        }
        if txn == 5 {
            store.close_reader(0);
        }
    }
    store
}

/// Some of each operation. What matters is that it returns.
fn exercise(mock: &mut Mock, space: &mut Space) {
    let _ = space.visit(mock, &mut |_, _, _| {});
    if space.begin(mock).is_err() {
        return;
    }
    let mut page_count = space.page_count;
    for i in 0..60u32 {
        let failed = match i % 6 {
            0..3 => (0..10).any(|_| {
                let claimed = space.claim(mock);
                if let Ok(id) = claimed {
                    assert!(id.0 >= 2 && id.0 < space.page_count);
                }
                claimed.is_err()
            }),
            3 => space.claim_run(mock, i * 5 + 2).is_err(),
            4 => {
                let page = PageId(2 + i * 31 % page_count.max(3));
                let now = mock.birth;
                space.free(mock, page, 1 + i % 4, TxnId(3), now).is_err()
            }
            _ => space.ensure(mock, i).is_err() || space.trim(mock).is_err(),
        };
        if failed {
            break;
        }
        page_count = space.page_count;
    }
    let _ = space.trim(mock);
    let _ = space.visit(mock, &mut |_, _, _| {});
}

fn record(store: &Store) -> Vec<u8> {
    let page_size = store.mock.page_size;
    let mut record = vec![0; page_size.min(4096) - 256];
    store.latest.space.encode(page_size, &mut record);
    record
}

fn open(store: &mut Store, record: &[u8]) -> Option<Space> {
    store.mock.hostile = true;
    store.mock.birth = TxnId(store.mock.birth.0 + 1);
    store.readers.clear();
    store.durable = store.latest.clone();
    store.mock.pins.clear();
    store.mock.pins.add(store.latest.txn);
    store.mock.pins_now = store.mock.pins;
    // Plenty, so that ids beyond the page count are refused by the space, not by the mapping.
    store.mock.mapped_max = store.mock.mapped + 5000;
    Space::decode(store.mock.page_size, record).ok()
}

/// Places to damage: which byte, and what is mixed into it.
type Spoils = Vec<(u16, u8)>;

fn spoil(bytes: &mut [u8], spoils: &[(u16, u8)]) {
    for (at, mix) in spoils {
        let at = usize::from(*at) % bytes.len();
        bytes[at] ^= mix;
    }
}

fn damaged_record(page_size: usize, spoils: &Spoils) -> bool {
    let mut store = rich(page_size, 1200);
    let mut bytes = record(&store);
    // The record's head and chains, where it matters most, more often.
    let (front, anywhere) = spoils.split_at(spoils.len() / 2);
    spoil(&mut bytes[..160], front);
    spoil(&mut bytes, anywhere);
    if let Some(mut space) = open(&mut store, &bytes) {
        exercise(&mut store.mock, &mut space);
    }
    true
}

fn damaged_pages(page_size: usize, which: u16, spoils: &Spoils) -> bool {
    let mut store = rich(page_size, 1200);
    let bytes = record(&store);
    let pages: Vec<u32> = store.latest.bodies.keys().copied().collect();
    for (i, spoilt) in spoils.chunks(3).enumerate() {
        let page = pages[(usize::from(which) + i * 7) % pages.len()];
        let body = store.mock.bodies.get_mut(&page).unwrap();
        // Headers and the first entries, or anywhere.
        let reach = if i % 2 == 0 { 64 } else { body.len() };
        spoil(&mut body[..reach], spoilt);
    }
    let mut space = open(&mut store, &bytes).expect("the record is whole");
    exercise(&mut store.mock, &mut space);
    true
}

/// Space pages that name each other: the bytes are right, their places are not.
fn crossed_pages(page_size: usize, from: u16, to: u16) -> bool {
    let mut store = rich(page_size, 1200);
    let bytes = record(&store);
    let pages: Vec<u32> = store.latest.bodies.keys().copied().collect();
    let from = pages[usize::from(from) % pages.len()];
    let to = pages[usize::from(to) % pages.len()];
    let body = store.mock.bodies[&from].clone();
    let _ = store.mock.bodies.insert(to, body);
    let mut space = open(&mut store, &bytes).expect("the record is whole");
    exercise(&mut store.mock, &mut space);
    true
}

quickcheck! {
    fn any_bytes_decode_or_are_refused(bytes: Vec<u8>, counts: (u8, u8, u8, u8)) -> bool {
        [512usize, 1024, 2048, 4096, 65_536].into_iter().all(|page_size| {
            let mut record: Vec<u8> =
                bytes.iter().copied().cycle().take(page_size.min(4096) - 256).collect();
            if record.is_empty() {
                record = vec![0; page_size.min(4096) - 256];
            }
            let _ = Space::decode(page_size, &record);
            // Counts that are small enough get further.
            record[9..13].copy_from_slice(&[counts.0 % 5, counts.1 % 9, counts.2 % 5, counts.3 % 3]);
            record[13..16].fill(0);
            let _ = Space::decode(page_size, &record);
            let short = bytes.len() % record.len() / 2;
            Space::decode(page_size, &record[..short]).is_err()
        })
    }
}

#[test]
fn spoilt_records() {
    let small: fn(Spoils) -> bool = |spoils| damaged_record(512, &spoils);
    QuickCheck::new().tests(150).rng(Gen::new(6)).quickcheck(small);
    let large: fn(Spoils) -> bool = |spoils| damaged_record(4096, &spoils);
    QuickCheck::new().tests(60).rng(Gen::new(6)).quickcheck(large);
}

#[test]
fn spoilt_pages() {
    let small: fn(u16, Spoils) -> bool = |which, spoils| damaged_pages(512, which, &spoils);
    QuickCheck::new().tests(200).rng(Gen::new(8)).quickcheck(small);
    let large: fn(u16, Spoils) -> bool = |which, spoils| damaged_pages(4096, which, &spoils);
    QuickCheck::new().tests(60).rng(Gen::new(8)).quickcheck(large);
}

#[test]
fn exchanged_pages() {
    let small: fn(u16, u16) -> bool = |from, to| crossed_pages(512, from, to);
    QuickCheck::new().tests(100).quickcheck(small);
}

#[test]
fn a_full_mapping_is_an_error_and_nothing_else() {
    for page_size in [512, 4096] {
        let mut store = rich(page_size, 1200);
        store.mock.mapped_max = store.mock.mapped;
        let mut refused = 0;
        for i in 0..60 {
            store.begin().expect("the reserve suffices for a beginning");
            let claimed = (0..200).try_for_each(|_| store.claim(1).map(drop));
            let freed = (0..40).try_for_each(|at| store.free(at * 13 + i));
            if claimed.and(freed).is_err() {
                refused += 1;
                store.rollback();
            } else {
                store.commit().expect("commits of small changes need no growth");
                store.checkpoint();
            }
        }
        assert!(refused > 0, "200 claims against 40 frees fill the store");
        // Room again: nothing was lost by the failures.
        store.mock.mapped_max = u32::MAX;
        store.begin().unwrap();
        for _ in 0..500 {
            let _ = store.claim(1).unwrap();
        }
        store.commit().unwrap();
    }
}
