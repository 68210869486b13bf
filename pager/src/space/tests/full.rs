//! A file that cannot grow: who is refused a page may go on without it, and what is committed then is whole.

use super::Store;
use crate::space::bitmap::Shape;
use crate::{Error, PageId, TxnId};
use std::vec::Vec;

const PAGE: usize = 512;
const BITS: u32 = Shape::new(PAGE).bits;

fn free(store: &mut Store, page: u32) {
    let birth: TxnId = store.live[&page].1;
    store.free_page(page, 1, birth).unwrap();
}

/// A store of some leaves of the bitmap, with so many free pages in each, no two of them neighbours.
fn scattered(leaves: u32, free_pages: u32) -> Store {
    let mut store = Store::new(PAGE);
    store.begin().unwrap();
    for _ in 0..leaves {
        let _ = store.claim(BITS - 2 * free_pages).unwrap();
        (0..2 * free_pages).for_each(|_| assert!(store.claim(1).is_ok()));
    }
    store.commit().unwrap();
    store.checkpoint();
    store.begin().unwrap();
    let single = store.live.iter().filter(|(_, run)| run.0 == 1);
    let pages: Vec<u32> = single.map(|(page, _)| *page).step_by(2).collect();
    pages.into_iter().for_each(|page| free(&mut store, page));
    store.commit().unwrap();
    // Once they are free they are brought to the bitmap.
    for _ in 0..2 {
        store.checkpoint();
        store.begin().unwrap();
        let _ = store.space.drain(&mut store.mock, usize::MAX).unwrap();
        store.commit().unwrap();
    }
    store.checkpoint();
    store
}

/// Else a transaction that goes on without the page, as a removal does, would commit a state in which a page is
/// in use and free, and the page be written over by what claims it next.
#[test]
fn a_claim_that_finds_no_room_leaves_what_is_free_as_it_was() {
    let mut refused = 0;
    for leaves in [30, 39, 40, 41, 48, 60] {
        for (free_pages, more) in [(1, 0), (1, 1), (2, 0), (2, 1), (5, 0)] {
            let mut store = scattered(leaves, free_pages);
            store.begin().unwrap();
            store.mock.mapped = store.space.page_count;
            store.mock.mapped_max = store.mock.mapped + more;
            for _ in 0..200 {
                match store.claim(1) {
                    Ok(_) => {}
                    Err(Error::Full) => refused += 1,
                    Err(other) => panic!("{other}"),
                }
            }
            assert!(!store.space.is_broken());
            store.mock.mapped_max = u32::MAX;
            store.commit().unwrap();
        }
    }
    assert!(refused > 2000, "{refused}");
}

/// Else what a free that finds no room for its list had begun would be committed: pages that are lost.
#[test]
fn a_change_of_the_lists_that_breaks_off_is_told_of() {
    for page_size in [512, 4096] {
        let mut told = 0;
        for more in 0..40 {
            let mut store = Store::new(page_size);
            store.begin().unwrap();
            let pages: Vec<u32> = (0..4000).map(|_| store.claim(1).unwrap()).collect();
            store.commit().unwrap();
            store.checkpoint();
            store.open_reader();
            store.begin().unwrap();
            store.mock.mapped = store.space.page_count;
            store.mock.mapped_max = store.mock.mapped + more;
            let freed = pages.iter().step_by(2).try_for_each(|page| {
                let birth = store.live[page].1;
                store.free_page(*page, 1, birth)
            });
            assert_eq!(store.space.is_broken(), freed.is_err(), "{more} more");
            // Once is for good, however often it happens.
            let live = pages.iter().rev().filter(|page| store.live.contains_key(page));
            for page in live.take(200) {
                let now = store.mock.birth;
                let _ = store.space.free(&mut store.mock, PageId(*page), 1, TxnId(3), now);
                assert!(store.space.is_broken() || freed.is_ok(), "{more} more");
            }
            told += usize::from(freed.is_err());
            // Begun anew, it is whole.
            store.rollback();
            store.mock.mapped_max = u32::MAX;
            store.begin().unwrap();
            assert!(!store.space.is_broken());
            free(&mut store, pages[0]);
            store.commit().unwrap();
        }
        assert!(told > 0, "{page_size}");
    }
}
