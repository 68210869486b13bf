//! Host pages that were seen resident lately: a bit each, so that most are not asked about again.
//!
//! A bit says that the page was in memory, and was touched, at most [`REMEMBERED_MS`] ago. The kernel drops
//! what was touched least lately, so that it is there still, unless memory is desperately short (or the map is
//! advised as random, where nothing is remembered). Whether it is shows: a page is gone that was seen within
//! this stretch of time or the one before, and that this process has not dropped. Then bits count for nothing
//! for [`WARY_MS`]: every page is asked about. Bits are forgotten all at once, when their time is over and
//! where this process itself drops pages.

#![allow(unsafe_code)] // Slices of atomics over a span of zeroed memory.

use crate::host_page;
use crate::span::Span;
use core::ops::Range;
use core::sync::atomic::{AtomicU64, Ordering};
use rustix::time::{ClockId, clock_gettime};
use spin::Once;

/// How long a page that was seen is taken for resident.
const REMEMBERED_MS: u64 = 100;

/// How long nothing is taken for resident after a page is gone that was seen lately.
const WARY_MS: u64 = 5000;

const BITS: usize = u64::BITS as usize;

/// The set of pages seen lately; empty, and without memory, until a page is first remembered.
pub(crate) struct Seen {
    /// Pages of this stretch of time and of the one before, by the epoch's lowest bit. `None` where there is
    /// no memory for it: nothing is remembered then.
    words: [Once<Option<Span>>; 2],
    /// Pages that each has bits for.
    pages: usize,
    /// The stretch of time that the newer bits are of.
    epoch: AtomicU64,
    /// Until when bits count for nothing, by the clock.
    wary_until_ms: AtomicU64,
}

impl Seen {
    /// The empty set of the pages of a mapping of `bytes`.
    pub(crate) fn new(bytes: usize) -> Seen {
        Seen {
            words: [Once::new(), Once::new()],
            pages: bytes.div_ceil(host_page()),
            epoch: AtomicU64::new(0),
            wary_until_ms: AtomicU64::new(0),
        }
    }

    /// Whether all host pages around a range of bytes were seen lately, and that means something.
    pub(crate) fn contains(&self, range: Range<usize>) -> bool {
        self.contains_at(range, now_ms())
    }

    fn contains_at(&self, range: Range<usize>, now_ms: u64) -> bool {
        let newer = self.turn(now_ms / REMEMBERED_MS);
        let Some(words) = self.words(newer) else { return false };
        now_ms >= self.wary_until_ms.load(Ordering::Relaxed)
            && masks(range).all(|(word, mask)| {
                words.get(word).is_some_and(|word| word.load(Ordering::Relaxed) & mask == mask)
            })
    }

    /// The host pages around a range of bytes were seen just now.
    pub(crate) fn insert(&self, range: Range<usize>) {
        let newer = generation(self.epoch.load(Ordering::Relaxed));
        let len = self.pages.div_ceil(BITS) * size_of::<AtomicU64>();
        if let Some(words) = self.words.get(newer) {
            words.call_once(|| Span::zeroed(len).ok());
        }
        let Some(words) = self.words(newer) else { return };
        for (word, mask) in masks(range) {
            if let Some(word) = words.get(word)
                && word.load(Ordering::Relaxed) & mask != mask
            {
                word.fetch_or(mask, Ordering::Relaxed);
            }
        }
    }

    /// A host page is not in memory. If it was seen lately, others may be gone too.
    pub(crate) fn miss(&self, page: Range<usize>) {
        self.miss_at(page, now_ms());
    }

    fn miss_at(&self, page: Range<usize>, now_ms: u64) {
        self.turn(now_ms / REMEMBERED_MS);
        let lately =
            (0..self.words.len()).filter_map(|generation| self.words(generation)).any(|words| {
                masks(page.clone()).any(|(word, mask)| {
                    words.get(word).is_some_and(|word| word.load(Ordering::Relaxed) & mask != 0)
                })
            });
        if lately {
            self.wary_until_ms.store(now_ms.saturating_add(WARY_MS), Ordering::Relaxed);
        }
    }

    /// Pages of this map are dropped, or the map is cut into pieces. All is forgotten, whatever the range: where the
    /// kernel takes a page of 2 MiB apart it leaves none of it mapped, and what is not mapped anybody may drop.
    pub(crate) fn forget(&self) {
        // Without the feature nobody asks, and nothing was seen.
        if cfg!(feature = "residency") {
            (0..self.words.len()).for_each(|generation| self.clear(generation));
        }
    }

    fn clear(&self, generation: usize) {
        if let Some(Some(span)) = self.words.get(generation).and_then(Once::get) {
            // SAFETY: whoever looks into it takes zeros for what they are: pages not seen.
            unsafe { span.release(0..span.len()) };
        }
    }

    fn words(&self, generation: usize) -> Option<&[AtomicU64]> {
        let span = self.words.get(generation)?.get()?.as_ref()?;
        let start = span.base().cast::<AtomicU64>();
        // SAFETY: the span's own memory, whole words of it: aligned (the span is, to a page), initialised
        // (zeroed), alive as long as `self`, and only ever used as atomics.
        Some(unsafe {
            core::slice::from_raw_parts(start.as_ptr(), span.len() / size_of::<AtomicU64>())
        })
    }

    /// Forgets what is older than the epoch before this one; which bits are the newer ones. Who comes
    /// meanwhile may see bits that are two epochs older.
    fn turn(&self, epoch: u64) -> usize {
        let before = self.epoch.load(Ordering::Relaxed);
        if before >= epoch {
            return generation(before);
        }
        let before = self.epoch.fetch_max(epoch, Ordering::Relaxed);
        if before < epoch {
            self.clear(generation(epoch));
            if before + 1 < epoch {
                self.clear(generation(before));
            }
        }
        generation(before.max(epoch))
    }
}

/// Where the bits of an epoch are.
const fn generation(epoch: u64) -> usize {
    (epoch & 1) as usize
}

/// The kernel's coarse clock: read from memory that it shares, a tick of some milliseconds.
fn now_ms() -> u64 {
    let now = clock_gettime(ClockId::MonotonicCoarse);
    let (seconds, millis) = (now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs() / 1_000_000);
    seconds.wrapping_mul(1000).wrapping_add(millis)
}

/// Words, and bits in them, of the host pages around a range of bytes.
fn masks(range: Range<usize>) -> impl Iterator<Item = (usize, u64)> {
    let page = host_page();
    let mut at = range.start / page;
    let end = if range.is_empty() { at } else { range.end.div_ceil(page) };
    core::iter::from_fn(move || {
        let left = end.checked_sub(at).filter(|left| *left > 0)?;
        let (word, bit) = (at / BITS, at % BITS);
        let count = left.min(BITS - bit);
        at += count;
        Some((word, (u64::MAX >> (BITS - count)) << bit))
    })
}

#[cfg(test)]
mod tests {
    use super::{REMEMBERED_MS, Seen, WARY_MS, masks};
    use crate::host_page;
    use std::vec::Vec;

    #[test]
    fn masks_cover_the_pages_around_a_range_once() {
        let page = host_page();
        for (start, end) in
            [(0, 0), (5, 5), (0, 1), (1, page + 1), (63 * page, 66 * page), (0, 200 * page)]
        {
            let covered: Vec<usize> = masks(start..end)
                .flat_map(|(word, mask)| {
                    (0..64).filter(move |bit| mask >> bit & 1 != 0).map(move |bit| word * 64 + bit)
                })
                .collect();
            let wanted: Vec<usize> =
                if start < end { (start / page..end.div_ceil(page)).collect() } else { Vec::new() };
            assert_eq!(covered, wanted, "{start}..{end}");
        }
    }

    #[test]
    fn what_is_dropped_or_old_is_not_remembered() {
        let page = host_page();
        let seen = Seen::new(1000 * page);
        let all = |now: u64| {
            let each = (0..100).filter(|at| seen.contains_at(at * page..(at + 1) * page, now));
            (each.count(), seen.contains_at(0..100 * page, now))
        };
        assert_eq!(all(0), (0, false));
        seen.insert(0..100 * page);
        assert_eq!(all(0), (100, true));
        assert_eq!(all(REMEMBERED_MS - 1), (100, true));
        seen.forget();
        assert_eq!(all(REMEMBERED_MS - 1), (0, false));
        seen.insert(0..100 * page);
        assert_eq!(all(REMEMBERED_MS - 1), (100, true));
        assert_eq!(all(REMEMBERED_MS), (0, false));
        // Behind the end nothing is remembered.
        seen.insert(1 << 40..(1 << 40) + page);
        assert!(!seen.contains_at(1 << 40..(1 << 40) + page, REMEMBERED_MS));
        assert!(!seen.contains(0..page));
    }

    #[test]
    fn a_page_that_went_though_it_was_seen_lately_makes_wary() {
        let page = host_page();
        let at = |index: usize| index * page..(index + 1) * page;
        let seen = Seen::new(1000 * page);
        seen.insert(at(1));
        assert!(seen.contains_at(at(1), 0));
        // Not one of those that were seen.
        seen.miss_at(at(2), 0);
        assert!(seen.contains_at(at(1), 0));
        // One that was seen in the stretch of time before this one.
        let later = REMEMBERED_MS + 1;
        assert!(!seen.contains_at(at(1), later));
        seen.insert(at(3));
        assert!(seen.contains_at(at(3), later));
        seen.miss_at(at(1), later);
        assert!(!seen.contains_at(at(3), later));
        seen.contains_at(at(4), later + WARY_MS - 1);
        seen.insert(at(4));
        assert!(!seen.contains_at(at(4), later + WARY_MS - 1));
        // Over, and nothing was lost meanwhile.
        let over = (later + WARY_MS).next_multiple_of(REMEMBERED_MS);
        assert!(!seen.contains_at(at(5), over));
        seen.insert(at(5));
        assert!(seen.contains_at(at(5), over));
        // Too long ago to mean anything, and what this process has dropped itself.
        seen.miss_at(at(5), over + 2 * REMEMBERED_MS);
        seen.insert(at(6));
        seen.forget();
        seen.miss_at(at(6), over + 2 * REMEMBERED_MS);
        seen.insert(at(6));
        assert!(seen.contains_at(at(6), over + 2 * REMEMBERED_MS));
    }
}
