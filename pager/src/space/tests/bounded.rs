//! However many freed pages wait, a transaction's begin and a claim look at so many of them and no more.

use super::Store;
use crate::TxnId;
use std::vec::Vec;

/// Pages of the structures that are read at once at the most: those that hold some hundred entries, and those
/// that they go to. 41 in pages of 512 bytes when this was written; without the bound 2,000.
const READS_MAX: u64 = 100;
/// Freed pages that wait: their lists take several times as many pages.
const WAITING: usize = 40_000;

/// Else a small commit would take as long as all that readers have held back.
#[test]
fn what_waits_is_looked_at_piece_by_piece() {
    for page_size in [512, 4096] {
        let mut store = Store::new(page_size);
        store.begin().unwrap();
        let pages: Vec<u32> = (0..2 * WAITING).map(|_| store.claim(1).unwrap()).collect();
        store.commit().unwrap();
        store.checkpoint();
        // Two readers of states apart from each other, and from the one that is built upon.
        for _ in 0..2 {
            store.open_reader();
            for _ in 0..2 {
                store.begin().unwrap();
                let _ = store.claim(1).unwrap();
                store.commit().unwrap();
            }
        }
        // No two of them are neighbours: an entry each.
        store.begin().unwrap();
        for page in pages.iter().step_by(2) {
            let birth: TxnId = store.live[page].1;
            store.free_page(*page, 1, birth).unwrap();
        }
        store.commit().unwrap();
        store.checkpoint();
        // They wait for the older reader now, and are filed anew.
        store.close_reader(1);
        let mut read = 0;
        for _ in 0..20 {
            let before = store.mock.reads.get();
            store.begin().unwrap();
            read = read.max(store.mock.reads.get() - before);
            for _ in 0..40 {
                let before = store.mock.reads.get();
                let _ = store.claim(1).unwrap();
                read = read.max(store.mock.reads.get() - before);
            }
            store.commit().unwrap();
        }
        assert!(read > 10, "{page_size}: {read}: nothing waits");
        assert!(read <= READS_MAX, "{page_size}: {read} pages read at once");
    }
}
