//! Runs of free pages that span leaves of the bitmap: what is found is free, and what is there is found.

use super::Store;
use crate::space::bitmap::Shape;
use std::vec;
use std::vec::Vec;

const PAGE: usize = 512;
const BITS: u32 = Shape::new(PAGE).bits;
const LEAVES: u32 = 4;

/// Free pages of a leaf: where they begin, and how many.
fn runs_of(pattern: usize) -> &'static [(u32, u32)] {
    match pattern {
        0 => &[],
        1 => &[(0, BITS)],
        2 => &[(0, 100)],
        3 => &[(BITS - 70, 70)],
        4 => &[(0, 1), (BITS - 1, 1)],
        5 => &[(0, 300), (400, 900), (BITS - 200, 200)],
        _ => &[(1, BITS - 2)],
    }
}

fn store(patterns: [usize; 3]) -> (Store, Vec<bool>) {
    let mut store = Store::new(PAGE);
    store.begin().unwrap();
    let _ = store.space.grow(&mut store.mock, LEAVES * BITS + 50).unwrap();
    let mut free = vec![false; (LEAVES * BITS + 52) as usize];
    for (leaf, pattern) in (1..).zip(patterns) {
        for (first, pages) in runs_of(pattern) {
            let first = leaf * BITS + first;
            store.space.mark_run(&mut store.mock, first, *pages, true).unwrap();
            free[first as usize..(first + pages) as usize].fill(true);
        }
    }
    (store, free)
}

/// The first run of so many pages that lies in more than one leaf, one page at a time.
fn naive(free: &[bool], pages: u32) -> Option<u32> {
    let mut start = 0;
    for at in 0..free.len() as u32 {
        if !free[at as usize] {
            start = at + 1;
        } else if at + 1 - start >= pages && start / BITS != at / BITS {
            return Some(start);
        }
    }
    None
}

/// Else a value longer than a leaf's part of the file would have the file grow though there is room, or be written
/// over pages that are in use.
#[test]
fn a_run_across_leaves_is_found_where_there_is_one_and_is_free() {
    let mut found = 0;
    for at in 0..7usize.pow(3) {
        let (store, free) = store([at % 7, at / 7 % 7, at / 49]);
        for pages in
            [2, 71, 101, 170, 171, 300, BITS, BITS + 1, BITS + 100, 2 * BITS + 70, 3 * BITS]
        {
            let run = store.space.run_across(&store.mock, pages).unwrap();
            let wanted = naive(&free, pages);
            let first = run.unwrap_or(u32::MAX);
            // One that ends with its leaf may be found too.
            assert!(
                first <= wanted.unwrap_or(u32::MAX),
                "{at}: {pages} are at {wanted:?}, not {run:?}"
            );
            if let Some(first) = run {
                found += 1;
                let range = first as usize..(first + pages) as usize;
                assert!(free[range].iter().all(|free| *free), "{at}: {pages} from {first} on");
            }
        }
    }
    assert!(found > 500, "{found}");
}
