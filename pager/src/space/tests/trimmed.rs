//! The end of the file is looked at again when something there has become free, and no sooner.

use super::Store;
use std::vec::Vec;

/// A file of some leaves of the bitmap, half of it free, with a run of so many pages in use behind that: where it
/// begins.
fn half_free(behind: u32) -> (Store, u32) {
    let mut store = Store::new(512);
    store.stays_open = true;
    store.begin().unwrap();
    let pages: Vec<u32> = (0..10_000).map(|_| store.claim(1).unwrap()).collect();
    let last = store.claim(behind).unwrap();
    store.commit().unwrap();
    store.checkpoint();
    store.begin().unwrap();
    for page in pages.iter().filter(|page| **page >= 5000) {
        let (run, birth) = store.live[page];
        store.free_page(*page, run, birth).unwrap();
    }
    store.commit().unwrap();
    store.checkpoint();
    store.begin().unwrap();
    let _ = store.space.drain(&mut store.mock, usize::MAX).unwrap();
    store.commit().unwrap();
    assert_eq!(store.latest.space.page_count, last + behind);
    (store, last)
}

/// Else each small commit would read, and check, a page of every level of the bitmap for nothing.
#[test]
fn a_commit_behind_which_nothing_is_free_reads_no_bitmap() {
    let (mut store, _) = half_free(1);
    for _ in 0..3 {
        store.begin().unwrap();
        let before = store.mock.reads.get();
        store.space.trim(&mut store.mock).unwrap();
        assert_eq!(store.mock.reads.get() - before, 0);
        store.commit().unwrap();
    }
}

/// Else the file would stay as long as its last page once made it: that becomes free among the ready pages or, of a
/// run, in the bitmap.
#[test]
fn the_file_is_cut_when_its_last_page_becomes_free() {
    for behind in [1, 100] {
        let (mut store, last) = half_free(behind);
        store.begin().unwrap();
        let (run, birth) = store.live[&last];
        store.free_page(last, run, birth).unwrap();
        let ready = store.space.ready.len();
        while store.space.ready.len() > ready / 2 {
            let _ = store.claim(1).unwrap();
        }
        for _ in 0..3 {
            store.commit().unwrap();
            store.checkpoint();
            store.begin().unwrap();
            if behind > 1 {
                let _ = store.space.drain(&mut store.mock, usize::MAX).unwrap();
            }
        }
        let page_count = store.latest.space.page_count;
        assert!(
            page_count < last - 500,
            "{behind}: {page_count} pages, of which the last was {last}"
        );
    }
}
