//! Lists of freed pages: what may stand together in them, and what cannot be true of them.

use super::Store;
use crate::page::{OWNED_BYTES, kind};
use crate::pins::Pins;
use crate::space::SpaceUse;
use crate::space::entry::{Chain, Entry, LINK, list_capacity};
use crate::space::record::Limits;
use crate::{Damage, Error, PageId, Result, TxnId};
use std::collections::BTreeSet;

const PAGE: usize = 512;

fn entry(page: u32, pages: u32) -> Entry {
    Entry { page: PageId(page), pages, birth: TxnId(4), freed_at: TxnId(6) }
}

/// A store of some pages, in a transaction.
fn begun() -> Store {
    let mut store = Store::new(PAGE);
    store.begin().unwrap();
    (0..200).for_each(|_| assert!(store.claim(1).is_ok()));
    store.commit().unwrap();
    store.checkpoint();
    store.next = TxnId(20);
    store.begin().unwrap();
    store
}

/// `entries`, the last one on top.
fn chain(store: &mut Store, entries: &[Entry]) -> Chain {
    let pushed = entries.iter().try_fold(Chain::EMPTY, |chain, entry| {
        store.space.push_entry(&mut store.mock, chain, entry)
    });
    pushed.unwrap()
}

/// Looks at the entries of a list that has ended.
fn walked(store: &mut Store, chain: Chain) -> Result<()> {
    store.space.walking = chain;
    store.space.stats.pinned_pages = 100;
    store.space.walk(&mut store.mock, &Limits::new(PAGE), 100, usize::MAX)
}

/// Else pages would be free that were not freed together, or that were not freed at all.
#[test]
fn only_neighbours_that_were_born_and_freed_together_are_one_entry() {
    let mut joined = entry(10, 3);
    assert!(joined.join(&entry(13, 2)) && joined == entry(10, 5));
    assert!(joined.join(&entry(8, 2)) && joined == entry(8, 7));
    for other in [
        entry(16, 1),
        entry(14, 1),
        entry(6, 1),
        entry(7, 2),
        entry(15, u32::MAX),
        Entry { birth: TxnId(5), ..entry(15, 1) },
        Entry { freed_at: TxnId(7), ..entry(15, 1) },
        Entry { birth: TxnId(5), ..entry(7, 1) },
        Entry { freed_at: TxnId(7), ..entry(7, 1) },
    ] {
        assert!(!joined.join(&other) && joined == entry(8, 7), "{other:?}");
    }
    let mut last = entry(u32::MAX - 1, 2);
    assert!(!last.join(&entry(0, 1)), "numbers do not wrap");
}

/// Else damage of a list would have pages given out that are none, or that are in use.
#[test]
fn an_entry_that_cannot_be_true_is_refused() {
    let whole = entry(20, 2);
    let end = begun().space.page_count;
    for (spoilt, ok) in [
        (whole, true),
        (Entry { birth: TxnId(6), ..whole }, true),
        (Entry { birth: TxnId(7), ..whole }, false),
        (Entry { freed_at: TxnId(20), ..whole }, true),
        (Entry { freed_at: TxnId(21), ..whole }, false),
        (Entry { page: PageId(1), ..whole }, false),
        (Entry { page: PageId(end - 2), ..whole }, true),
        (Entry { page: PageId(end + 40), ..whole }, false),
        (Entry { pages: 0, ..whole }, false),
        (Entry { freed_at: LINK, ..whole }, false),
    ] {
        let mut store = begun();
        let chain = chain(&mut store, &[whole, spoilt, entry(30, 1)]);
        let wanted = if ok { Ok(()) } else { Err(Error::corrupt(chain.head, Damage::Layout)) };
        assert_eq!(walked(&mut store, chain), wanted, "{spoilt:?}");
    }
}

/// Else a page of something else would be read as a list, or written to.
#[test]
fn a_page_that_is_no_list_of_such_entries_is_refused() {
    let many = list_capacity(PAGE) as u32 + 5;
    let entries: std::vec::Vec<Entry> = (0..many).map(|i| entry(20 + 2 * i, 1)).collect();
    type Spoil = fn(&mut [u8]);
    let spoilt: [(Spoil, Damage); 5] = [
        (|body| body[0] = kind::BITMAP, Damage::Kind),
        (|body| body[18 - OWNED_BYTES] = 4, Damage::Count),
        (|body| body[28 - OWNED_BYTES] = 0, Damage::Layout),
        (|body| body[20 - OWNED_BYTES] = 0, Damage::Layout),
        (|body| body[20 - OWNED_BYTES] = list_capacity(PAGE) as u8 + 1, Damage::Layout),
    ];
    for (at, (spoil, damage)) in spoilt.into_iter().enumerate() {
        let mut store = begun();
        let chain = chain(&mut store, &entries);
        assert_eq!((chain.head_len, chain.entries), (5, many));
        let body = store.mock.bodies.get_mut(&chain.head.0).unwrap();
        assert_eq!((body[0], body[18 - OWNED_BYTES]), (kind::FREED_LIST, 5));
        spoil(body);
        let refused = Err(Error::corrupt(chain.head, damage));
        assert_eq!(walked(&mut store, chain), refused, "{at}");
        if damage == Damage::Kind {
            let pushed = store.space.push_entry(&mut store.mock, chain, &entries[0]);
            assert_eq!(pushed, Err(Error::corrupt(chain.head, damage)));
        }
    }
    for chain in [
        Chain { head: PageId(1), head_len: 1, entries: 1 },
        Chain { head: PageId(20), head_len: 2, entries: 1 },
        Chain { head: PageId(20), head_len: 0, entries: 1 },
    ] {
        let refused = Err(Error::corrupt(chain.head, Damage::Layout));
        assert_eq!(walked(&mut begun(), chain), refused, "{chain:?}");
    }
}

/// Else what waits in a list that is linked to would be lost, or be free twice.
#[test]
fn lists_that_end_while_others_are_walked_are_walked_once() {
    for lens in [[1, 1, 1, 1, 1], [30, 3, 1, 25, 2], [2, 40, 19, 20, 21], [5, 20, 20, 20, 1]] {
        let mut store = begun();
        let mut at = store.space.grow(&mut store.mock, 2000).unwrap().0;
        let mut wanted = BTreeSet::new();
        for len in lens {
            let mut list = Chain::EMPTY;
            for _ in 0..len {
                list = store.space.push_entry(&mut store.mock, list, &entry(at, 1)).unwrap();
                assert!(wanted.insert(at));
                at += 2;
            }
            store.space.end_chain(&mut store.mock, list).unwrap();
        }
        store.space.stats.pinned_pages = wanted.len() as u32;
        while !store.space.all_walked() {
            let limits = Limits::new(PAGE);
            store.space.walk(&mut store.mock, &limits, 7, usize::MAX).unwrap();
        }
        let mut found = BTreeSet::new();
        let visited = store.space.visit(&store.mock, &mut |first, pages, used| {
            // Some hold the bitmap by now.
            if used != SpaceUse::Pinned {
                let all = (first.0..first.0 + pages).all(|page| found.insert(page));
                assert!(all, "{first} is free twice");
            }
        });
        assert_eq!(visited, Ok(()));
        assert!(wanted.is_subset(&found), "{lens:?}: {} of {}", found.len(), wanted.len());
    }
}

/// Else pages that nobody sees any more would wait for as long as others beside them are seen, and the file grow.
#[test]
fn what_nobody_sees_is_found_whatever_stands_before_it() {
    let times = [(1, 2), (1, 4), (2, 3), (3, 3), (3, 5), (4, 6), (5, 6), (6, 6), (1, 20), (20, 20)];
    let entries = times.map(|(birth, freed_at)| Entry {
        birth: TxnId(birth),
        freed_at: TxnId(freed_at),
        ..entry(20, 1)
    });
    let mut store = begun();
    for seen in 0..1u64 << 6 {
        let mut pins = Pins::new();
        (0..6).filter(|at| seen >> at & 1 == 1).for_each(|at| pins.add(TxnId(at + 1)));
        if seen % 3 == 0 {
            pins.blanket(TxnId(5));
        }
        for (first, second) in entries.iter().flat_map(|a| entries.iter().map(move |b| (a, b))) {
            store.space.pinned.truncate(0);
            for entry in [first, second, first] {
                let _ = store.space.pinned.push(*entry);
            }
            for from in 0..4 {
                let waiting = store.space.pinned.as_slice().iter().enumerate().skip(from);
                let wanted = waiting
                    .map(|(at, entry)| (at, *entry))
                    .find(|(_, entry)| store.space.reusable(&pins, entry));
                assert_eq!(store.space.next_reusable(&pins, from), wanted, "{pins:?}");
            }
        }
    }
}
