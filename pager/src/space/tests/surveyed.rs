//! Surveys of damaged spaces, for salvage: what is told is so, and that something is missing is said.

use super::Store;
use crate::page::OWNED_BYTES;
use crate::space::bitmap::{Child, Shape};
use crate::space::entry::{Bucket, Chain, Entry, LINK};
use crate::space::{Space, SpaceUse};
use crate::{PageId, TxnId};
use std::collections::BTreeSet;
use std::vec;
use std::vec::Vec;

const PAGE: usize = 512;
const BITS: u32 = Shape::new(PAGE).bits;

pub(super) fn entry(page: u32) -> Entry {
    Entry { page: PageId(page), pages: 1, birth: TxnId(3), freed_at: TxnId(3) }
}

/// Each kind of list, one of two pages, a list that is linked to, and a bitmap of three leaves.
pub(super) fn everything() -> Store {
    let mut store = Store::new(PAGE);
    store.begin().unwrap();
    let first = store.claim(2 * BITS).unwrap();
    let mut at = first;
    let mut chain = |store: &mut Store, entries: usize, link: Option<Chain>| {
        let mut chain = Chain::EMPTY;
        for _ in 0..entries {
            chain = store.space.push_entry(&mut store.mock, chain, &entry(at)).unwrap();
            at += 2;
        }
        if let Some(link) = link {
            chain = store.space.push_entry(&mut store.mock, chain, &link.as_link()).unwrap();
        }
        chain
    };
    store.space.fresh = chain(&mut store, 2, None);
    store.space.walking = chain(&mut store, 30, None);
    let linked = chain(&mut store, 3, None);
    store.space.ended = chain(&mut store, 2, Some(linked));
    for tag in [1, 2] {
        let bucket = Bucket { tag: TxnId(tag), chain: chain(&mut store, 2, None) };
        assert!(store.space.buckets.push(bucket));
    }
    let space = &mut store.space;
    for page in [BITS - 200, BITS - 100, BITS + 100, 2 * BITS] {
        space.mark_run(&mut store.mock, page, 2, true).unwrap();
    }
    assert_eq!((space.height, space.stats.space_pages), (2, 11));
    store
}

/// What a survey tells, each page once, and whether it says that this is all.
fn survey(store: &Store, space: &Space, unreadable: &[u32]) -> (BTreeSet<u32>, bool) {
    let mut told = BTreeSet::new();
    let mut page = vec![0; PAGE];
    let mut read = |id: PageId, page: &mut [u8]| {
        let body = store.mock.bodies.get(&id.0).filter(|_| !unreadable.contains(&id.0));
        // What could not be read is in the buffer all the same.
        page[OWNED_BYTES..].copy_from_slice(body.map_or(&[0xA5; PAGE - OWNED_BYTES], |body| body));
        body.is_some()
    };
    let mut with = |first: PageId, pages: u32, used: SpaceUse| {
        for page in first.0..first.0 + pages {
            assert!(page >= 2 && page < space.page_count, "{page} is told of");
            assert!(told.insert(page) || used == SpaceUse::Space, "{page} is told of twice");
        }
    };
    let whole = space.survey(&mut page, &mut read, &mut with);
    (told, whole)
}

/// Else a salvage would call complete what it has of a file, though lists were not to be read; or go by what a page
/// says that was not whole.
#[test]
fn a_survey_of_damaged_lists_says_that_it_is_not_whole() {
    let store = everything();
    let (all, whole) = survey(&store, &store.space, &[]);
    assert!(whole);
    let own: Vec<u32> =
        store.mock.bodies.keys().copied().filter(|page| all.contains(page)).collect();
    assert_eq!(own.len(), 11);
    for pair in own.iter().flat_map(|a| own.iter().map(move |b| [*a, *b])) {
        assert!(!survey(&store, &store.space, &pair).1, "{pair:?} were not read");
    }
    for page in own {
        let (told, whole) = survey(&store, &store.space, &[page]);
        assert!(!whole, "{page} was not read");
        assert!(told.is_subset(&all) && told.len() < all.len() && told.contains(&page));
        // Of another kind.
        let mut store = everything();
        store.mock.bodies.get_mut(&page).unwrap()[0] ^= 1;
        let (told, whole) = survey(&store, &store.space, &[]);
        assert!(!whole && told.is_subset(&all) && told.len() < all.len(), "kind of {page}");
    }
    // No more pages are read than there are.
    let mut space = store.space;
    space.stats.space_pages -= 1;
    assert!(!survey(&store, &space, &[]).1);
}

/// Else pages would be told of that the file does not have, or a page that lists name twice be followed for ever.
#[test]
fn a_survey_tells_of_no_page_that_the_file_does_not_have() {
    let store = everything();
    let (all, _) = survey(&store, &store.space, &[]);
    let heads = |space: &Space| {
        let buckets = space.buckets.as_slice();
        [space.fresh, space.walking, space.ended, buckets[0].chain, buckets[1].chain]
    };
    for (which, chain) in heads(&store.space).into_iter().enumerate() {
        let end = store.space.page_count;
        let whole = Entry { ..entry(5) };
        for spoilt in [
            Entry { page: PageId(end), ..whole },
            Entry { page: PageId(1), ..whole },
            Entry { pages: 0, ..whole },
            // A list that is linked to where none may be, or that is no list.
            Entry { page: store.space.bitmap, freed_at: LINK, birth: TxnId(1), pages: 1 },
        ] {
            let mut store = everything();
            let body = store.mock.bodies.get_mut(&chain.head.0).unwrap();
            spoilt.write(body, 32 - OWNED_BYTES);
            let (told, whole) = survey(&store, &store.space, &[]);
            assert!(!whole, "list {which}, {spoilt:?}");
            assert!(told.is_subset(&all), "list {which}, {spoilt:?}");
        }
    }
    // A list that is whole, linked to where no link may be.
    let mut linking = everything();
    let (first, end) = (linking.space.grow(&mut linking.mock, 2).unwrap().0, Chain::EMPTY);
    let list = linking.space.push_entry(&mut linking.mock, end, &entry(first)).unwrap();
    let fresh = linking.space.fresh;
    linking.space.fresh =
        linking.space.push_entry(&mut linking.mock, fresh, &list.as_link()).unwrap();
    assert!(!survey(&linking, &linking.space, &[]).1);
    // A bit behind the file's end, or of a meta.
    let root = store.mock.bodies[&store.space.bitmap.0].clone();
    for (leaf, bit) in [(0, 1), (2, BITS - 1)] {
        let mut store = everything();
        let child = Child::read(&root, leaf).page;
        let body = store.mock.bodies.get_mut(&child.0).unwrap();
        let bits = body.get_mut(32 - OWNED_BYTES..).unwrap();
        crate::space::bits::change(bits, bit, 1, true).unwrap();
        let (told, whole) = survey(&store, &store.space, &[]);
        assert!(!whole && told.is_subset(&all), "bit {bit} of leaf {leaf}");
    }
}
