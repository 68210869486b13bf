//! Steady workloads: the file grows to what the live data, the pins and the caches need, and no further.

use super::Store;
use crate::TxnId;
use std::vec::Vec;

/// A small generator of numbers, the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) as usize % limit.max(1)
    }
}

/// What is live, for quick random access.
struct Churn {
    store: Store,
    pages: Vec<(u32, u32, TxnId)>,
    dice: Dice,
}

impl Churn {
    fn new(page_size: usize, live: usize) -> Churn {
        let mut churn = Churn { store: Store::new(page_size), pages: Vec::new(), dice: Dice(42) };
        churn.store.begin().unwrap();
        for _ in 0..live {
            churn.claim(1);
        }
        churn.commit();
        churn.store.checkpoint();
        churn
    }

    fn claim(&mut self, pages: u32) {
        let first = self.store.claim(pages).unwrap();
        self.pages.push((first, pages, self.store.mock.birth));
    }

    fn free_any(&mut self) {
        let at = self.dice.below(self.pages.len());
        let (first, pages, birth) = self.pages.swap_remove(at);
        self.store.free_page(first, pages, birth).unwrap();
    }

    fn commit(&mut self) {
        self.store.commit().unwrap();
    }

    /// Transactions that replace `replaced` random pages each; the largest page count from the `from`-th
    /// on.
    fn replace(&mut self, txns: usize, replaced: usize, checkpoint: usize, from: usize) -> u32 {
        let mut largest = 0;
        for txn in 0..txns {
            self.store.begin().unwrap();
            for _ in 0..replaced {
                self.free_any();
                self.claim(1);
            }
            self.commit();
            if txn % checkpoint == 0 {
                self.store.checkpoint();
            }
            if txn >= from {
                largest = largest.max(self.store.latest.space.page_count);
            }
        }
        largest
    }
}

/// Checks that the file stays within `live + factor × replaced × checkpoint interval + slack`, and that
/// it is no larger at the end than half-way.
fn steady(page_size: usize, live: usize, replaced: usize, checkpoint: usize) {
    let mut churn = Churn::new(page_size, live);
    let txns = 40 * checkpoint.max(8);
    let half = churn.replace(txns / 2, replaced, checkpoint, 0);
    let full = churn.replace(txns / 2, replaced, checkpoint, 0);
    let waiting = replaced * (checkpoint + 2);
    let bound = live + waiting * 5 / 4 + live / 50 + 160;
    assert!(half as usize <= bound, "{half} pages after half, bound {bound}");
    assert!(full <= half + half / 50 + 16, "{half} pages after half, {full} after all");
}

#[test]
fn small_transactions() {
    steady(4096, 2000, 3, 20);
    steady(512, 2000, 3, 20);
}

#[test]
fn large_transactions() {
    steady(4096, 6000, 1000, 1);
    steady(512, 6000, 1000, 1);
    steady(4096, 6000, 700, 3);
    steady(512, 6000, 700, 3);
}

#[test]
fn frees_first_then_claims() {
    for (page_size, checkpoint) in [(4096, 1), (512, 1), (4096, 4), (512, 4)] {
        let mut churn = Churn::new(page_size, 4000);
        // A reader of the first state takes one of the few buckets of small pages.
        churn.store.open_reader();
        let mut counts = Vec::new();
        for txn in 0..80 {
            churn.store.begin().unwrap();
            (0..600).for_each(|_| churn.free_any());
            (0..600).for_each(|_| churn.claim(1));
            churn.commit();
            if txn % checkpoint == 0 {
                churn.store.checkpoint();
            }
            counts.push(churn.store.latest.space.page_count as usize);
        }
        // The reader keeps 4000 pages, the others wait for a checkpoint.
        let bound = 8000 + 600 * (checkpoint + 2) * 5 / 4 + 500;
        assert!(counts[79] <= bound, "{page_size}: {} pages, bound {bound}", counts[79]);
        assert!(counts[79] <= counts[50] * 51 / 50, "{page_size}: still growing: {counts:?}");
    }
}

#[test]
fn an_old_reader_pins_what_it_sees_and_no_more() {
    for page_size in [512, 4096] {
        let mut churn = Churn::new(page_size, 5000);
        churn.store.open_reader();
        // All data rewritten 20 times.
        let largest = churn.replace(2000, 50, 5, 0) as usize;
        assert!(largest <= 11_500, "{largest} pages for 5000");
        churn.store.close_reader(0);
        let after = churn.replace(400, 50, 5, 0) as usize;
        assert!(after <= largest + 64, "{largest} pages, then {after}");
        // A quarter of the file may wait in lists: then what ended is brought to the bitmap.
        let stats = churn.store.latest.space.stats();
        assert!(stats.pinned_pages <= 3000, "the reader's pages are free again: {stats:?}");
    }
}

#[test]
fn readers_that_come_and_go() {
    for page_size in [512, 4096] {
        let mut churn = Churn::new(page_size, 3000);
        let mut largest = [0; 2];
        for round in 0..400 {
            churn.store.open_reader();
            if round >= 6 {
                churn.store.close_reader(round * 7);
            }
            let count = churn.replace(1, 60, 1, 0);
            let half = &mut largest[round / 200];
            *half = count.max(*half);
        }
        // Seven readers, none of them old for long: each may keep all, but see much the same.
        assert!(largest[1] < 8000 && largest[1] < largest[0] * 11 / 10, "{largest:?}");
    }
}

#[test]
fn large_values() {
    // 1 MiB each; with pages of 512 bytes more than half a bitmap page, so that borders matter.
    for (page_size, run) in [(4096, 257), (512, 2049)] {
        let mut churn = Churn::new(page_size, 500);
        let mut counts = Vec::new();
        for round in 0..300u32 {
            churn.store.begin().unwrap();
            if let Some(at) = churn.pages.iter().position(|page| page.1 > 1) {
                let (first, pages, birth) = churn.pages.swap_remove(at);
                churn.store.free_page(first, pages, birth).unwrap();
            } else {
                // A little larger or smaller from time to time.
                churn.claim(run + round % 3);
            }
            churn.free_any();
            churn.claim(1);
            churn.commit();
            if round % 2 == 0 {
                churn.store.checkpoint();
            }
            counts.push(churn.store.latest.space.page_count);
        }
        assert!(counts[299] <= counts[20] * 3 / 2, "{} pages, then {}", counts[20], counts[299]);
    }
}

#[test]
fn many_pages_born_and_freed_at_once() {
    for page_size in [512, 4096] {
        let mut churn = Churn::new(page_size, 1000);
        let mut counts = Vec::new();
        for _ in 0..60 {
            churn.store.begin().unwrap();
            (0..500).for_each(|_| churn.claim(1));
            for _ in 0..490 {
                let (first, pages, birth) = churn.pages.pop().unwrap();
                churn.store.free_page(first, pages, birth).unwrap();
            }
            (0..10).for_each(|_| churn.free_any());
            churn.commit();
            churn.store.checkpoint();
            counts.push(churn.store.latest.space.page_count);
        }
        assert!(counts[59] <= counts[10] + 64, "{} pages, then {}", counts[10], counts[59]);
    }
}

#[test]
fn deleting_all_and_loading_again() {
    for page_size in [512, 4096] {
        let mut churn = Churn::new(page_size, 9000);
        let full = churn.store.latest.space.page_count;
        churn.store.begin().unwrap();
        (0..9000).for_each(|_| churn.free_any());
        churn.commit();
        churn.store.checkpoint();
        churn.store.begin().unwrap();
        (0..9000).for_each(|_| churn.claim(1));
        churn.commit();
        let again = churn.store.latest.space.page_count;
        assert!(again <= full + full / 10, "{full} pages, then {again}");
    }
}

#[test]
fn the_file_shrinks_when_its_end_is_free() {
    for page_size in [512, 4096] {
        let mut churn = Churn::new(page_size, 9000);
        churn.store.begin().unwrap();
        churn.pages.sort_unstable();
        for (first, pages, birth) in churn.pages.split_off(1000) {
            churn.store.free_page(first, pages, birth).unwrap();
        }
        churn.commit();
        churn.store.checkpoint();
        let _ = churn.replace(100, 2, 1, 0);
        let count = churn.store.latest.space.page_count;
        assert!(count <= 1500, "{count} pages for 1000");
        // Cut off pages come back as growth.
        churn.store.begin().unwrap();
        (0..3000).for_each(|_| churn.claim(1));
        churn.commit();
    }
}

#[test]
fn what_is_packed_frees_the_end() {
    for page_size in [512, 4096] {
        let live = 5 * 8 * page_size;
        let mut churn = Churn::new(page_size, live);
        // Shuffled, so that the bitmap's own pages come to lie anywhere.
        for _ in 0..live / 2000 {
            churn.store.begin().unwrap();
            for _ in 0..2000 {
                let at = churn.dice.below(churn.pages.len());
                if churn.pages[at].0 > 20 {
                    let (first, pages, birth) = churn.pages.swap_remove(at);
                    churn.store.free_page(first, pages, birth).unwrap();
                }
            }
            churn.commit();
            churn.store.checkpoint();
        }
        churn.store.begin().unwrap();
        churn.pages.sort_unstable();
        for (first, pages, birth) in churn.pages.split_off(10) {
            churn.store.free_page(first, pages, birth).unwrap();
        }
        churn.commit();
        let rounds = churn.store.close_packed();
        assert!(rounds <= 12, "{rounds} rounds");
        let count = churn.store.latest.space.page_count;
        assert!(count < 300, "{page_size}: {count} pages for {}", churn.pages.len());
    }
}

#[test]
fn small_transactions_touch_no_structure() {
    let mut churn = Churn::new(4096, 3000);
    let _ = churn.replace(200, 4, 10, 0);
    let mut touched = 0;
    for txn in 0..400 {
        let _ = churn.replace(1, 4, if txn % 10 == 0 { 1 } else { usize::MAX }, 0);
        // The chain holds the four pages that were claimed, and what the space started.
        touched += usize::from(churn.store.mock.chain.len() > 4);
    }
    assert!(touched <= 60, "{touched} of 400 transactions wrote a space page");
}

#[test]
fn a_reader_that_ends_meanwhile_gives_its_pages_back() {
    for page_size in [512, 4096] {
        let mut churn = Churn::new(page_size, 3000);
        churn.store.open_reader();
        let _ = churn.replace(20, 150, 1, 0);
        let before = churn.store.latest.space.page_count;
        churn.store.begin().unwrap();
        // Growing by now: all that is free is seen by the reader.
        (0..500).for_each(|_| churn.claim(1));
        churn.store.close_reader(0);
        (0..2000).for_each(|_| churn.claim(1));
        churn.commit();
        let after = churn.store.latest.space.page_count;
        assert!(after <= before + 700, "{before} pages, then {after}");
    }
}

#[test]
fn runs_across_bitmap_pages() {
    // Bitmap pages of 3840 bits: pages 3000 to 8000 span two borders.
    let mut store = Store::new(512);
    store.begin().unwrap();
    let first: Vec<u32> = (0..3).map(|_| store.claim(2998).unwrap()).collect();
    store.commit().unwrap();
    store.checkpoint();
    store.begin().unwrap();
    let birth = store.live[&first[1]].1;
    store.free_page(first[1], 2998, birth).unwrap();
    store.commit().unwrap();
    store.checkpoint();
    // Enough entries that the run does not stay inline.
    for _ in 0..3 {
        store.begin().unwrap();
        let pages: Vec<u32> = (0..12).map(|_| store.claim(1).unwrap()).collect();
        store.commit().unwrap();
        store.checkpoint();
        store.begin().unwrap();
        for page in pages.iter().step_by(2).chain(pages.iter().skip(1).step_by(2)) {
            let birth = store.live[page].1;
            store.free_page(*page, 1, birth).unwrap();
        }
        store.commit().unwrap();
        store.checkpoint();
    }
    let before = store.latest.space.page_count;
    store.begin().unwrap();
    // Longer than what the run has in either bitmap page.
    let run = store.claim(2500).unwrap();
    assert!((first[1]..first[2]).contains(&run), "{run} in place of {}", first[1]);
    store.commit().unwrap();
    assert!(store.latest.space.page_count <= before + 8);
}
