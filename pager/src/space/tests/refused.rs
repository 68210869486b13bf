//! What is no page of the file, or no page of the bitmap, is refused before anything is built upon it.

use super::Store;
use crate::page::OWNED_BYTES;
use crate::space::Space;
use crate::space::bitmap::Shape;
use crate::{Damage, Error, PageId, TxnId};
use std::vec::Vec;

const PAGE: usize = 512;

/// A store whose bitmap is one leaf: runs of this length are free, with a page in use behind each.
fn with_free_runs(runs: u32, pages: u32) -> (Store, Vec<u32>) {
    let mut store = Store::new(PAGE);
    store.begin().unwrap();
    let mut starts = Vec::new();
    for _ in 0..runs {
        starts.push(store.claim(pages).unwrap());
        let _ = store.claim(1).unwrap();
    }
    store.commit().unwrap();
    store.checkpoint();
    store.begin().unwrap();
    for first in &starts {
        let birth = store.live[first].1;
        store.free_page(*first, pages, birth).unwrap();
    }
    store.commit().unwrap();
    store.checkpoint();
    store.begin().unwrap();
    let _ = store.space.drain(&mut store.mock, usize::MAX).unwrap();
    store.commit().unwrap();
    store.checkpoint();
    (store, starts)
}

/// Else pages that are none would be counted as free, and given out.
#[test]
fn what_cannot_be_freed_is_refused_and_nothing_is_changed() {
    let (mut store, _) = with_free_runs(3, 30);
    store.begin().unwrap();
    let (before, now) = (store.space, store.mock.birth);
    let end = before.page_count;
    for (first, pages) in [(0, 1), (1, 1), (1, 2), (end, 1), (end - 1, 2), (5, 0), (5, u32::MAX)] {
        let refused = store.space.free(&mut store.mock, PageId(first), pages, TxnId(3), now);
        let wanted = Err(Error::corrupt(PageId(first), Damage::OutOfRange));
        assert_eq!(refused, wanted, "{first}, {pages}");
    }
    let page = *store.live.keys().next().unwrap();
    let refused = store.space.free(&mut store.mock, PageId(page), 1, now.next(), now);
    assert_eq!(refused, Err(Error::corrupt(PageId(page), Damage::BornLater)));
    assert!(store.space == before);
    assert_eq!(store.space.claim_run(&mut store.mock, 0), Err(Error::InvalidArgument));
    assert!(store.space == before);
    assert!(store.space.reserve.pop().is_some() && store.space != before, "lists count too");
}

/// Else a repair would make free what is none of the file's, or count what it has freed for less.
#[test]
fn what_a_repair_makes_free_is_in_the_file_and_counted_once() {
    let mut store = Store::new(PAGE);
    store.begin().unwrap();
    let first = store.claim(300).unwrap();
    store.commit().unwrap();
    store.checkpoint();
    store.begin().unwrap();
    let end = store.latest.space.page_count;
    store.space = Space::new(end);
    store.space.add_unreached(&mut store.mock, PageId(first), 100).unwrap();
    let before = store.space;
    assert_eq!(before.stats.free_pages, 100);
    let behind = before.page_count;
    for (page, pages) in [(0, 1), (1, 1), (1, 2), (behind, 1), (5, 0), (5, u32::MAX)] {
        let refused = store.space.add_unreached(&mut store.mock, PageId(page), pages);
        let wanted = Err(Error::corrupt(PageId(page), Damage::OutOfRange));
        assert_eq!(refused, wanted, "{page}, {pages}");
        assert!(store.space == before, "{page}, {pages}");
    }
    let mut again = before;
    assert!(again.add_unreached(&mut store.mock, PageId(first + 99), 2).is_err(), "free already");
    store.space.add_unreached(&mut store.mock, PageId(first + 100), 200).unwrap();
    assert_eq!(store.space.stats.free_pages, 300);
}

/// Else a page of something else, which damage has led to, would be copied and changed as if it held bits.
#[test]
fn a_page_that_is_not_the_bitmaps_is_not_changed_as_one() {
    for (pages, height) in [(30, 1), (2 * Shape::new(PAGE).bits, 2)] {
        let (mut store, _) = with_free_runs(3, pages);
        assert_eq!(store.latest.space.height, height);
        store.begin().unwrap();
        let mut id = store.space.bitmap;
        if height == 2 {
            let body = &store.mock.bodies[&id.0];
            id = crate::space::bitmap::Child::read(body, 0).page;
        }
        store.mock.bodies.get_mut(&id.0).unwrap()[0] ^= 1;
        let space = &mut store.space;
        let changed = space.edit_leaf(&mut store.mock, 0, &mut |_| Ok(()));
        assert_eq!(changed, Err(Error::corrupt(id, Damage::Kind)), "height {height}");
    }
}

/// Else a damaged bitmap would have pages given out that the file does not have, or metas.
#[test]
fn a_bit_of_a_page_that_the_file_does_not_have_is_damage() {
    let (store, _) = with_free_runs(3, 30);
    let mut store = store;
    let space = store.latest.space;
    let id = space.bitmap;
    let outside = Err(Error::corrupt(id, Damage::OutOfRange));
    let end = space.page_count;
    for (first, pages, found) in [
        (0, 1, outside),
        (1, 2, outside),
        (2, 2, Ok(2)),
        (end - 3, 3, Ok(end - 3)),
        (end - 2, 3, outside),
        (end, 1, outside),
    ] {
        let body = store.mock.bodies.get_mut(&id.0).unwrap();
        let bits = body.get_mut(32 - OWNED_BYTES..).unwrap();
        bits.fill(0);
        crate::space::bits::change(bits, first, pages, true).unwrap();
        let run = space.first_run(&store.mock, pages);
        assert_eq!(run, found.map(Some), "{first}, {pages}");
        let mut wanted = [0; 3];
        let single = space.first_free(&store.mock, &mut wanted[..pages as usize]);
        assert_eq!(single, found.map(|_| pages as usize), "{first}, {pages}");
    }
}

/// Else the file would grow though a run of just that length is free: one for each large value that is replaced by
/// another as long.
#[test]
fn a_run_that_is_as_long_as_what_is_wanted_is_found() {
    // In leaves of their own, so that what inner pages say leads to them; and in a bitmap of one leaf.
    let bits = Shape::new(PAGE).bits;
    for (far, height) in [(0, 1), (2 * bits, 2)] {
        let mut store = Store::new(PAGE);
        store.begin().unwrap();
        let _ = store.claim(10 + far).unwrap();
        let starts: Vec<u32> = (0..6)
            .map(|_| {
                let first = store.claim(60).unwrap();
                let _ = store.claim(1).unwrap();
                first
            })
            .collect();
        store.commit().unwrap();
        store.checkpoint();
        store.begin().unwrap();
        for first in &starts {
            let birth = store.live[first].1;
            store.free_page(*first, 60, birth).unwrap();
        }
        store.commit().unwrap();
        store.checkpoint();
        store.begin().unwrap();
        let _ = store.space.drain(&mut store.mock, usize::MAX).unwrap();
        store.commit().unwrap();
        store.checkpoint();
        assert_eq!(store.latest.space.height, height);
        store.begin().unwrap();
        let found: Vec<u32> = (0..4).map(|_| store.claim(60).unwrap()).collect();
        assert!(found.iter().all(|first| starts.contains(first)), "{found:?} of {starts:?}");
        store.commit().unwrap();
    }
}

/// Else each value that is replaced by one as long would take new pages until lists are walked.
#[test]
fn a_run_that_was_freed_a_moment_ago_makes_room_for_one_as_long() {
    let mut store = Store::new(PAGE);
    store.begin().unwrap();
    let singles: Vec<u32> = (0..20).map(|_| store.claim(1).unwrap()).collect();
    let _ = store.claim(1).unwrap();
    let first = store.claim(60).unwrap();
    let _ = store.claim(1).unwrap();
    store.commit().unwrap();
    store.checkpoint();
    store.begin().unwrap();
    let birth = store.live[&first].1;
    // The space takes what it needs for itself of these.
    singles.iter().for_each(|page| store.free_page(*page, 1, birth).unwrap());
    store.free_page(first, 60, birth).unwrap();
    store.commit().unwrap();
    store.checkpoint();
    store.begin().unwrap();
    assert_eq!(store.claim(60), Ok(first));
    store.commit().unwrap();
}
