//! Comparing checksums before bytes are lent: when, and what is remembered of it.

use crate::page::{self, u64_at};
use crate::{Damage, Error, PageId, Result};
use core::sync::atomic::{AtomicU32, Ordering};

/// When the checksum of a committed page, or of a value's run, is compared before its bytes are lent: to
/// snapshots and to the write transaction. Bytes that fail are never lent:
/// [`Damage::Checksum`](crate::Damage::Checksum).
///
/// What this can find is bytes that differ from those that were committed in this place. A page that is
/// an older version of itself, whole, has the checksum that it had then: that a write was lost shows in
/// what leads to the page at the most. The structures of the free pages, metas and log are verified
/// whatever this says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Verify {
    /// Never.
    #[default]
    None,
    /// Once: before a page is lent the first time since the store was opened, and the first time since
    /// it was claimed to be written anew. What becomes of it between that time and the next opening is
    /// not seen, be it in memory or on the medium. A page whose checksum is found to be wrong by other
    /// means, [`verify`](crate::Pages::verify), is compared anew each time from then on.
    ///
    /// Costs a bit of memory a page: [`first_touch`](crate::Options::first_touch).
    FirstTouch,
    /// Each time. What was lent can still change while it is borrowed.
    Always,
}

/// Words for the bits of `pages` pages: behind the [`words_for`](crate::words_for) the reader slots.
#[must_use]
pub const fn first_touch_words_for(pages: u32) -> usize {
    pages.div_ceil(u32::BITS) as usize
}

/// Pages whose checksum was compared since they were written: a bit each, of as many as there are words
/// for. Those beyond never were.
///
/// # Why relaxed loads and stores are enough
/// A bit says something about a page's bytes, so it must not be seen by whoever sees other bytes.
/// *Set before a claim, read after*: the reader that set it was pinned, and ended its pin before the
/// scan that let the writer claim the page; the writer cleared the bit then, and published the new bytes
/// after that. So set, clear and publication happen in this order, and who sees the publication reads
/// the bit as it was cleared or later. *Set after a claim*: only who sees the new bytes, and compared
/// them, sets it; a reader that is still pinned to old bytes would have kept the page from being
/// claimed. Nothing else is handed over by a bit: two threads that both find it clear compare twice.
#[derive(Clone, Copy)]
pub(crate) struct Touched<'s> {
    words: &'s [AtomicU32],
}

impl<'s> Touched<'s> {
    /// The set in `words`, as it is.
    pub(crate) fn new(words: &'s [AtomicU32]) -> Touched<'s> {
        Touched { words }
    }

    /// Whether the page was compared.
    pub(crate) fn contains(&self, id: PageId) -> bool {
        let word = self.words.get((id.0 / u32::BITS) as usize);
        word.is_some_and(|word| word.load(Ordering::Relaxed) >> (id.0 % u32::BITS) & 1 != 0)
    }

    /// The page was compared.
    pub(crate) fn insert(&self, id: PageId) {
        if let Some(word) = self.words.get((id.0 / u32::BITS) as usize) {
            word.fetch_or(1 << (id.0 % u32::BITS), Ordering::Relaxed);
        }
    }

    /// Pages from `first` on, `pages` of them, are to be compared again. Cost: in proportion to the
    /// words of the range; stores only where a bit is set.
    pub(crate) fn remove(&self, first: PageId, pages: u32) {
        let (mut at, end) = (u64::from(first.0), u64::from(first.0) + u64::from(pages));
        while at < end {
            let from = (at % 32) as u32;
            let len = (end - at).min(u64::from(u32::BITS - from)) as u32;
            let Some(word) = self.words.get((at / 32) as usize) else { return };
            let mask = (u32::MAX >> (u32::BITS - len)) << from;
            if word.load(Ordering::Relaxed) & mask != 0 {
                word.fetch_and(!mask, Ordering::Relaxed);
            }
            at += u64::from(len);
        }
    }
}

/// Compares the checksum of a whole page or run.
pub(crate) fn verify_bytes(id: PageId, bytes: &[u8]) -> Result<()> {
    if page::checksum(id, bytes.get(8..).unwrap_or(&[])) == u64_at(bytes, 0) {
        Ok(())
    } else {
        Err(Error::corrupt(id, Damage::Checksum))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::vec::Vec;

    #[test]
    fn is_a_set_of_what_there_are_words_for() {
        let words: Vec<AtomicU32> =
            (0..first_touch_words_for(150)).map(|_| AtomicU32::new(0)).collect();
        let (touched, mut naive) = (Touched::new(&words), BTreeSet::new());
        let mut seed = 1u32;
        for _ in 0..20_000 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let (id, pages) = ((seed >> 8) % 200, (seed >> 16) % 80);
            if seed >> 30 == 0 {
                touched.remove(PageId(id), pages);
                naive.retain(|page| !(id..id + pages).contains(page));
            } else {
                touched.insert(PageId(id));
                naive.extend(Some(id).filter(|id| *id < 160));
            }
            let held: BTreeSet<u32> = (0..220).filter(|id| touched.contains(PageId(*id))).collect();
            assert_eq!(held, naive);
        }
        touched.remove(PageId(0), u32::MAX);
        assert!(!(0..220).any(|id| touched.contains(PageId(id))));
    }
}
