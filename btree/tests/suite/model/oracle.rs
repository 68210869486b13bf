//! What the oracle answers to ranges and cursors.

use super::ops::Side;
use crate::support::*;
use std::ops::Bound;

pub(crate) fn bound(side: Side) -> Bound<Vec<u8>> {
    match side.0 {
        0 => Bound::Unbounded,
        1 => Bound::Included(key_of(side.1)),
        _ => Bound::Excluded(key_of(side.1)),
    }
}

/// The oracle's answer to a range, which may end before it starts.
pub(crate) fn in_range(
    entries: &Entries,
    start: &Bound<Vec<u8>>,
    end: &Bound<Vec<u8>>,
) -> Vec<Vec<u8>> {
    let after = |key: &Vec<u8>| match start {
        Bound::Unbounded => true,
        Bound::Included(start) => key >= start,
        Bound::Excluded(start) => key > start,
    };
    let before = |key: &Vec<u8>| match end {
        Bound::Unbounded => true,
        Bound::Included(end) => key <= end,
        Bound::Excluded(end) => key < end,
    };
    entries.keys().filter(|key| after(key) && before(key)).cloned().collect()
}

/// Where a cursor is, in the oracle: an index among the keys.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Where {
    Nowhere,
    At(usize),
    /// Before the key of this index.
    Gap(usize),
}

impl Where {
    pub(crate) fn entry(self, keys: &[Vec<u8>]) -> Option<&Vec<u8>> {
        if let Where::At(i) = self { keys.get(i) } else { None }
    }

    pub(crate) fn gap(self) -> Where {
        if let Where::At(i) = self { Where::Gap(i) } else { self }
    }

    pub(crate) fn moved(self, keys: &[Vec<u8>], step: u8, key: &Vec<u8>) -> Where {
        let next = |at: Where| match at {
            _ if keys.is_empty() => Where::Nowhere,
            Where::Nowhere => Where::At(0),
            Where::At(i) if i + 1 < keys.len() => Where::At(i + 1),
            Where::Gap(i) if i < keys.len() => Where::At(i),
            _ => Where::Gap(keys.len()),
        };
        let prev = |at: Where| match at {
            _ if keys.is_empty() => Where::Nowhere,
            Where::Nowhere => Where::At(keys.len() - 1),
            Where::At(0) | Where::Gap(0) => Where::Gap(0),
            Where::At(i) | Where::Gap(i) => Where::At(i - 1),
        };
        let sought = match keys.binary_search(key) {
            Ok(i) => Where::At(i),
            Err(_) if keys.is_empty() => Where::Nowhere,
            Err(i) => Where::Gap(i),
        };
        match (step % 8, sought) {
            (0, _) | (1 | 2, Where::At(_)) => sought,
            (1, _) => next(sought),
            (2, _) => prev(sought),
            (3, _) if step.is_multiple_of(5) => next(Where::Nowhere),
            (4, _) if step.is_multiple_of(5) => prev(Where::Nowhere),
            (3 | 5 | 7, _) => next(self),
            _ => prev(self),
        }
    }
}

/// Takes a range's entries from both ends, as the bits of `turns` say.
pub(crate) fn take_both_ways<'a, I>(mut range: I, keys: Vec<Vec<u8>>, turns: u8)
where
    I: DoubleEndedIterator<Item = mapleaf_btree::Result<mapleaf_btree::Entry<'a>>>,
{
    let mut keys = keys.into_iter();
    for turn in 0.. {
        let (found, wanted) = match turns >> (turn % 8) & 1 {
            0 => (range.next(), keys.next()),
            _ => (range.next_back(), keys.next_back()),
        };
        assert_eq!(found.map(|entry| owned(entry).0), wanted);
        if wanted.is_none() {
            break;
        }
    }
    assert!(range.next().is_none() && range.next_back().is_none());
}
