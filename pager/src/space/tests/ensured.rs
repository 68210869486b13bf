//! What a transaction makes sure of it can claim, where the file can grow no further.

use super::Store;
use crate::{Error, TxnId};
use std::vec::Vec;

/// Pages that the structures may need for `pages` claims.
fn own(pages: u32) -> u32 {
    pages / 8 + 20
}

/// A store of so many pages in use, each of which is an entry of its own once it is freed.
fn live(page_size: usize, pages: usize) -> (Store, Vec<u32>) {
    let mut store = Store::new(page_size);
    store.begin().unwrap();
    let pages = (0..2 * pages).map(|_| store.claim(1).unwrap()).step_by(2).collect();
    store.commit().unwrap();
    store.checkpoint();
    (store, pages)
}

fn free(store: &mut Store, page: u32) {
    let birth: TxnId = store.live[&page].1;
    store.free_page(page, 1, birth).unwrap();
}

/// Else a split that began could end in the middle of its work, and take the transaction with it.
#[test]
fn what_was_ensured_is_claimed_though_the_file_grows_no_further() {
    for page_size in [512, 4096] {
        for wanted in [1, 7, 8, 40, 1000] {
            let (mut store, pages) = live(page_size, wanted);
            // So that what is freed goes to lists apart.
            store.open_reader();
            store.begin().unwrap();
            let before = store.mock.mapped;
            store.space.ensure(&mut store.mock, wanted as u32).unwrap();
            let grown = store.mock.mapped - before;
            assert!(grown <= wanted as u32 + own(wanted as u32), "{grown} pages for {wanted}");
            store.mock.mapped_max = store.mock.mapped;
            for page in pages {
                free(&mut store, page);
                let _ = store.claim(1).unwrap();
            }
            store.commit().unwrap();
        }
    }
}

/// Else each change to a full store would be refused, though there is room for it.
#[test]
fn what_is_free_needs_no_growth() {
    for page_size in [512, 4096] {
        let (mut store, pages) = live(page_size, 2000);
        store.begin().unwrap();
        pages.iter().for_each(|page| free(&mut store, *page));
        store.commit().unwrap();
        store.checkpoint();
        store.begin().unwrap();
        let _ = store.space.drain(&mut store.mock, usize::MAX).unwrap();
        store.mock.mapped_max = store.mock.mapped;
        let free_pages = store.space.stats().free_pages;
        assert!(free_pages > 1000, "{free_pages}");
        let most = (0..free_pages).rev().find(|pages| pages + own(*pages) <= free_pages).unwrap();
        let refused = store.space.ensure(&mut store.mock, most + 1);
        assert_eq!(refused, Err(Error::Full));
        assert_eq!(store.space.ensure(&mut store.mock, most), Ok(()));
        (0..most).for_each(|_| assert!(store.claim(1).is_ok()));
        store.commit().unwrap();
    }
}

/// Else a transaction that has freed much of its own would count on pages that it must not use.
#[test]
fn what_was_ensured_after_much_was_freed_is_claimed_too() {
    for page_size in [512, 4096] {
        let (mut store, pages) = live(page_size, 2000);
        store.begin().unwrap();
        pages.iter().for_each(|page| free(&mut store, *page));
        store.commit().unwrap();
        store.checkpoint();
        store.begin().unwrap();
        let _ = store.space.drain(&mut store.mock, usize::MAX).unwrap();
        let own: Vec<u32> = (0..400).map(|_| store.claim(1).unwrap()).collect();
        let birth = store.mock.birth;
        for page in own.iter().step_by(2) {
            let _ = store.live.remove(page);
            store.space.free(&mut store.mock, crate::PageId(*page), 1, birth, birth).unwrap();
        }
        assert!(store.space.closing && store.space.stats().free_pages > 500);
        let before = store.mock.mapped;
        store.space.ensure(&mut store.mock, 300).unwrap();
        let mapped = store.mock.mapped;
        assert!(mapped <= before + 300 + super::ensured::own(300), "{before}, then {mapped}");
        store.mock.mapped_max = mapped;
        (0..300).for_each(|_| assert!(store.claim(1).is_ok()));
        store.commit().unwrap();
    }
}
