//! Bitmaps of three levels, which a file needs from 75 MB on at the smallest page size.

use super::Store;
use crate::page::{OWNED_BYTES, kind};
use crate::space::bitmap::{Child, Shape};
use crate::{Damage, Error, PageId};
use std::vec::Vec;

const PAGE: usize = 512;
const BITS: u32 = Shape::new(PAGE).bits;
/// What two levels stand for.
const TWO_LEVELS: u32 = Shape::new(PAGE).fanout * BITS;
/// More than a leaf holds, and no multiple of it.
const RUN: u32 = 40_000;

/// Runs, with a page in use behind each, over more than two levels stand for: where they start.
fn long(runs: u32) -> (Store, Vec<u32>) {
    let mut store = Store::new(PAGE);
    store.begin().unwrap();
    let mut starts = Vec::new();
    for _ in 0..runs {
        starts.push(store.claim(RUN).unwrap());
        let _ = store.claim(1).unwrap();
    }
    store.commit().unwrap();
    store.checkpoint();
    (store, starts)
}

/// Frees runs, and waits until they are known to be free.
fn free(store: &mut Store, starts: &[u32]) {
    store.begin().unwrap();
    for first in starts {
        let (pages, birth) = store.live[first];
        store.free_page(*first, pages, birth).unwrap();
    }
    store.commit().unwrap();
    store.checkpoint();
    store.begin().unwrap();
    let _ = store.space.drain(&mut store.mock, usize::MAX).unwrap();
    store.commit().unwrap();
    store.checkpoint();
}

/// Else a large file would grow though much of it is free, or pages be given out twice.
#[test]
fn what_is_free_behind_two_levels_of_the_bitmap_is_given_out_once() {
    let (mut store, starts) = long(6);
    assert!(store.latest.space.page_count > TWO_LEVELS + RUN, "too short to matter");
    free(&mut store, &[starts[1], starts[4], starts[5]]);
    let page_count = store.latest.space.page_count;
    let free_pages = store.latest.space.stats().free_pages;
    assert!(free_pages > 3 * RUN - 200, "{free_pages} are free");
    assert_eq!(store.latest.space.height, 3);
    store.begin().unwrap();
    // Across leaves, within one, and page by page: each in the lowest place.
    let across = store.claim(RUN / 2).unwrap();
    assert!((starts[1]..starts[1] + 2 * BITS).contains(&across), "{across}");
    let mut lowest = 0;
    for _ in 0..8 {
        let within = store.claim(BITS - 8).unwrap();
        assert!(within > lowest, "{within} is below {lowest}");
        lowest = within;
    }
    assert!(lowest > starts[4], "a run of leaves of another part of the file");
    let again = store.claim(RUN / 4).unwrap();
    assert!((starts[1]..starts[5] + RUN).contains(&again), "{again}");
    // Too short to be looked for across leaves: what the inner pages say has to lead to it.
    for _ in 0..20 {
        let short = store.claim(BITS / 16).unwrap();
        assert!(short < starts[5] + RUN, "{short}: the file grew");
    }
    while store.space.stats().free_pages > 500 {
        let _ = store.claim(1).unwrap();
    }
    // But for copies of the bitmap's own pages.
    assert!(store.space.page_count <= page_count + 8, "the file grew");
    store.commit().unwrap();
}

/// Else the file of a large store that was emptied would stay as long as it was.
#[test]
fn a_file_of_three_levels_is_cut_when_its_end_is_free() {
    let (mut store, starts) = long(5);
    let page_count = store.latest.space.page_count;
    free(&mut store, &[starts[3], starts[3] + RUN, starts[4], starts[4] + RUN]);
    for _ in 0..20 {
        store.begin().unwrap();
        let _ = store.pack().unwrap();
        store.commit().unwrap();
        store.checkpoint();
    }
    let cut = store.latest.space.page_count;
    assert!(
        cut < starts[3] + 64,
        "{cut} of {page_count}, of which all from {} on is free",
        starts[4]
    );
}

/// Else a large file that shrinks and grows again would lose what lies behind the old height.
#[test]
fn a_bitmap_grows_from_one_level_to_three() {
    let mut store = Store::new(PAGE);
    store.begin().unwrap();
    let low: Vec<u32> = (0..200).map(|_| store.claim(1).unwrap()).collect();
    let starts: Vec<u32> = (0..5).map(|_| store.claim(RUN).unwrap()).collect();
    let _ = store.claim(1).unwrap();
    store.commit().unwrap();
    store.checkpoint();
    let mut heights = Vec::new();
    for freed in [&low[..], &starts[..1], &starts[4..]] {
        free(&mut store, freed);
        heights.push(store.latest.space.height);
    }
    assert_eq!(heights, [1, 2, 3]);
    let free_pages = store.latest.space.stats().free_pages;
    assert!(free_pages > 2 * RUN, "{free_pages}");
}

/// Else a page of another level, or of another kind, would be read as one of the bitmap; and a program that knows
/// the format would not know these pages.
#[test]
fn a_page_of_the_bitmap_is_one_by_its_kind_and_by_its_level() {
    let (mut store, starts) = long(6);
    free(&mut store, &[starts[0], starts[5]]);
    let space = store.latest.space;
    let mut id = space.bitmap;
    for level in (1..=3).rev() {
        let wanted = if level == 1 { kind::BITMAP } else { kind::BITMAP_INNER };
        let body = store.mock.bodies[&id.0].clone();
        assert_eq!((body[0], body[18 - OWNED_BYTES]), (wanted, level));
        let below = Child::read(&body, 0);
        for at in [0, 18 - OWNED_BYTES] {
            let mut spoilt = body.clone();
            spoilt[at] ^= 4;
            let _ = store.mock.bodies.insert(id.0, spoilt);
            let found = space.bitmap_page(&store.mock, id, level).map(|_| ());
            assert_eq!(found, Err(Error::corrupt(id, Damage::Kind)), "level {level}, byte {at}");
        }
        let _ = store.mock.bodies.insert(id.0, body);
        for outside in [0, 1, space.page_count] {
            let found = space.bitmap_page(&store.mock, PageId(outside), level).map(|_| ());
            assert_eq!(found, Err(Error::corrupt(PageId(outside), Damage::OutOfRange)));
        }
        id = below.page;
    }
}

/// Else closing would take back what it has moved, and the file stay as long as it was.
#[test]
fn packing_says_that_a_leaf_has_moved_though_the_root_was_where_it_is_to_be() {
    let mut store = Store::new(PAGE);
    store.begin().unwrap();
    let end = store.space.grow(&mut store.mock, 3 * BITS).unwrap().0 + 3 * BITS;
    let space = &mut store.space;
    space.mark_run(&mut store.mock, 100, 200, true).unwrap();
    // The root's copy takes this one; the new leaf lies at the end.
    space.stats.free_pages = 1000;
    for at in [2 * BITS, BITS] {
        store.mock.birth = store.mock.birth.next();
        store.mock.chain.clear();
        assert!(space.reserve.push(50 + at / BITS));
        space.mark_run(&mut store.mock, at, 2, true).unwrap();
    }
    assert!(space.height == 2 && space.bitmap < PageId(end));
    store.mock.birth = store.mock.birth.next();
    store.mock.chain.clear();
    space.begin(&mut store.mock).unwrap();
    let leaf = |space: &crate::space::Space, mock: &super::Mock, slot| {
        Child::read(space.bitmap_page(mock, space.bitmap, 2).unwrap(), slot).page
    };
    assert!((0..3).any(|slot| leaf(space, &store.mock, slot) >= PageId(end)));
    assert_eq!(space.pack(&mut store.mock, end), Ok(true));
    assert!((0..3).all(|slot| leaf(space, &store.mock, slot) < PageId(end)));
}

/// Else pages at the file's end would be lost where the cut took new pages for its copies, behind them.
#[test]
fn a_cut_that_takes_more_than_it_gives_leaves_the_end_free() {
    let mut store = Store::new(PAGE);
    store.begin().unwrap();
    let end = store.space.grow(&mut store.mock, 500).unwrap().0 + 450;
    let space = &mut store.space;
    space.stats.free_pages = 51;
    assert!(space.reserve.push(20));
    space.mark_run(&mut store.mock, end, 50, true).unwrap();
    assert_eq!((space.bitmap, space.page_count), (PageId(20), end + 50));
    store.mock.birth = store.mock.birth.next();
    store.mock.chain.clear();
    space.begin(&mut store.mock).unwrap();
    // Nothing is at hand for the copy of the leaf.
    assert_eq!(space.cut(&mut store.mock, 0, end), Ok(false));
    assert!(space.page_count > end + 50);
    assert_eq!(space.stats.free_pages, 50);
    assert_eq!(space.first_run(&store.mock, 50), Ok(Some(end)));
    assert_eq!(space.first_run(&store.mock, 51), Ok(None));
}
