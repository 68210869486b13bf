//! A set of units: one bit each, and two levels of summary so that empty stretches cost nothing.
//!
//! ```text
//! level 2   one bit a word of level 1      8 KiB for 1 TiB of 4 KiB units
//! level 1   one bit a word of level 0    512 KiB
//! level 0   one bit a unit                32 MiB, of which only touched pages are backed
//! ```
//!
//! Readers need no lock. Whoever changes the set holds the lock of the [`Twin`](crate::twin::Twin)
//! that the set belongs to: a summary bit and its word change together.

#![allow(unsafe_code)] // Slices of atomics over a span of zeroed memory.

use crate::span::Span;
use core::ops::Range;
use core::sync::atomic::{AtomicU64, Ordering};
use rustix::io::Result;

const BITS: usize = u64::BITS as usize;

/// A set of unit numbers below a fixed limit.
pub(crate) struct Bits {
    span: Span,
    /// Where each level starts, in words of the span, and how many it has.
    levels: [(usize, usize); 3],
}

impl Bits {
    /// The empty set of numbers below `units`.
    pub(crate) fn new(units: usize) -> Result<Bits> {
        let leaf = units.div_ceil(BITS).max(1);
        let middle = leaf.div_ceil(BITS);
        let top = middle.div_ceil(BITS);
        let levels = [(0, leaf), (leaf, middle), (leaf + middle, top)];
        let span = Span::zeroed((leaf + middle + top) * size_of::<AtomicU64>())?;
        Ok(Bits { span, levels })
    }

    /// The words of one level; none where there is no such level.
    #[inline]
    fn level(&self, level: usize) -> &[AtomicU64] {
        let (before, count) = self.levels.get(level).copied().unwrap_or((0, 0));
        let base = self.span.base().cast::<AtomicU64>();
        // SAFETY: the span holds the words of all levels; this level's start after `before` others.
        let start = unsafe { base.add(before) };
        // SAFETY: `count` words of the span from `start` on: aligned (the span is, to a page),
        // initialised (zeroed), alive as long as `self`, and only ever used as atomics.
        unsafe { core::slice::from_raw_parts(start.as_ptr(), count) }
    }

    #[inline]
    fn load(&self, level: usize, word: usize) -> u64 {
        self.level(level).get(word).map_or(0, |word| word.load(Ordering::Relaxed))
    }

    /// Whether `unit` is in the set. Whoever finds that it is not any more sees what came before its
    /// removal.
    #[inline]
    pub(crate) fn contains(&self, unit: usize) -> bool {
        let word = self.level(0).get(unit / BITS);
        word.is_some_and(|word| word.load(Ordering::Acquire) >> (unit % BITS) & 1 != 0)
    }

    /// Adds a range; how many of it were not in the set. The caller holds the set's lock.
    pub(crate) fn insert(&self, range: Range<usize>) -> usize {
        let mut added = 0;
        for (word, mask) in words_of(range) {
            let Some(bits) = self.level(0).get(word) else { break };
            let old = bits.load(Ordering::Relaxed);
            bits.store(old | mask, Ordering::Release);
            added += (mask & !old).count_ones() as usize;
            if old == 0 {
                self.note_used(word);
            }
        }
        added
    }

    fn note_used(&self, word: usize) {
        for (level, below) in [(1, word), (2, word / BITS)] {
            if let Some(bits) = self.level(level).get(below / BITS) {
                let old = bits.load(Ordering::Relaxed);
                bits.store(old | 1 << (below % BITS), Ordering::Relaxed);
            }
        }
    }

    /// Removes a range; how many of it were in the set. The caller holds the set's lock. Cost: in
    /// proportion to the words in use in the range.
    pub(crate) fn remove(&self, range: Range<usize>) -> usize {
        let (word, from) = (range.start / BITS, range.start % BITS);
        // Most ranges are a page, or two: within a word there is nothing to look for.
        if cfg!(feature = "residency") && range.start < range.end && (range.end - 1) / BITS == word
        {
            return self.remove_of(word, mask_of(from, range.end - word * BITS));
        }
        let (mut removed, mut from) = (0, range.start);
        while let Some(unit) = self.next(from, range.end) {
            let word = unit / BITS;
            let upto = ((word + 1) * BITS).min(range.end);
            removed += self.remove_of(word, mask_of(unit % BITS, upto - word * BITS));
            from = upto;
        }
        removed
    }

    /// Removes what `mask` has of a word; how many were in the set.
    fn remove_of(&self, word: usize, mask: u64) -> usize {
        let Some(bits) = self.level(0).get(word) else { return 0 };
        let old = bits.load(Ordering::Relaxed);
        if old & mask == 0 {
            return 0;
        }
        bits.store(old & !mask, Ordering::Release);
        if old & !mask == 0 {
            self.note_empty(word);
        }
        (old & mask).count_ones() as usize
    }

    fn note_empty(&self, word: usize) {
        for (level, below) in [(1, word), (2, word / BITS)] {
            let Some(bits) = self.level(level).get(below / BITS) else { return };
            let new = bits.load(Ordering::Relaxed) & !(1 << (below % BITS));
            bits.store(new, Ordering::Relaxed);
            if new != 0 {
                return;
            }
        }
    }

    /// The first member from `from` on, below `end`.
    pub(crate) fn next(&self, from: usize, end: usize) -> Option<usize> {
        if from >= end {
            return None;
        }
        let word = from / BITS;
        let rest = self.load(0, word) & u64::MAX << (from % BITS);
        let found = if rest != 0 {
            word * BITS + rest.trailing_zeros() as usize
        } else {
            let word = self.next_word(1, word + 1, end.div_ceil(BITS))?;
            word * BITS + self.load(0, word).trailing_zeros() as usize
        };
        (found < end).then_some(found)
    }

    /// The first word of level `level - 1` from `from` on, below `end`, that is not empty.
    fn next_word(&self, level: usize, from: usize, end: usize) -> Option<usize> {
        if from >= end {
            return None;
        }
        let word = from / BITS;
        let rest = self.load(level, word) & u64::MAX << (from % BITS);
        let found = if rest != 0 {
            word * BITS + rest.trailing_zeros() as usize
        } else {
            let last = end.div_ceil(BITS);
            let word = if level == 1 {
                self.next_word(2, word + 1, last)?
            } else {
                (word + 1..last).find(|&word| self.load(level, word) != 0)?
            };
            word * BITS + self.load(level, word).trailing_zeros() as usize
        };
        (found < end).then_some(found)
    }

    /// The first number from `from` on that is not in the set, at most `end`.
    pub(crate) fn next_absent(&self, from: usize, end: usize) -> usize {
        let mut at = from;
        while at < end {
            let word = at / BITS;
            let absent = !self.load(0, word) & u64::MAX << (at % BITS);
            if absent != 0 {
                return (word * BITS + absent.trailing_zeros() as usize).min(end);
            }
            at = (word + 1) * BITS;
        }
        end.max(from)
    }
}

/// Bits `from..to` of a word; `from < to <= 64`.
fn mask_of(from: usize, to: usize) -> u64 {
    (u64::MAX << from) & (u64::MAX >> (BITS - to))
}

/// The words that a range touches, each with the range's bits in it.
fn words_of(range: Range<usize>) -> impl Iterator<Item = (usize, u64)> {
    let (start, end) = (range.start, range.end);
    let words = if start < end { start / BITS..end.div_ceil(BITS) } else { 0..0 };
    words.map(move |word| {
        let from = start.saturating_sub(word * BITS);
        let to = (end - word * BITS).min(BITS);
        (word, mask_of(from, to))
    })
}

#[cfg(test)]
mod tests {
    use super::Bits;
    use std::collections::BTreeSet;

    /// A small generator: reproducible, good enough to choose ranges.
    struct Dice(u64);

    impl Dice {
        fn below(&mut self, limit: usize) -> usize {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) as usize % limit
        }
    }

    #[test]
    fn agrees_with_a_plain_set() {
        for (seed, units) in [(1, 1), (2, 63), (3, 64), (4, 65), (5, 5000), (6, 64 * 64 * 70)] {
            let (bits, mut set, mut dice) =
                (Bits::new(units).expect("memory"), BTreeSet::new(), Dice(seed));
            for round in 0..300 {
                let start = dice.below(units);
                let end = start + dice.below((units - start).min(200)) + 1;
                let before = set.range(start..end).count();
                if dice.below(3) == 0 {
                    let end = if round % 10 == 0 { units } else { end };
                    let before = set.range(start..end).count();
                    assert_eq!(bits.remove(start..end), before, "seed {seed}");
                    set.retain(|unit| !(start..end).contains(unit));
                } else {
                    assert_eq!(bits.insert(start..end), end - start - before, "seed {seed}");
                    set.extend(start..end);
                }
                let from = dice.below(units);
                let upto = from + dice.below(units - from + 1);
                assert_eq!(bits.contains(from), set.contains(&from), "seed {seed}");
                assert_eq!(bits.next(from, upto), set.range(from..upto).next().copied());
                let absent = (from..upto).find(|unit| !set.contains(unit)).unwrap_or(upto);
                assert_eq!(bits.next_absent(from, upto), absent, "seed {seed}");
            }
        }
    }

    #[test]
    fn empty_terabyte_is_skipped() {
        let units = 1 << 28;
        let bits = Bits::new(units).expect("memory");
        assert_eq!(bits.next(0, units), None);
        bits.insert(units - 1..units);
        assert_eq!(bits.next(0, units), Some(units - 1));
        assert_eq!(bits.next(0, units - 1), None);
        assert_eq!(bits.remove(0..units), 1);
        assert_eq!(bits.next(0, units), None);
    }
}
