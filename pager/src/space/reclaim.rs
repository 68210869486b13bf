//! Making freed pages reusable: when a transaction begins, and when it runs out of ready pages.

use super::bitmap::{HEIGHT_MAX, Shape};
use super::claim::SHORT_RUN;
use super::entry::Entry;
use super::freed::{BATCH, Batch};
use super::record::Limits;
use super::trim::LISTS_AT_HAND;
use super::{READY_MAX, RESERVE_MAX, Space, SpaceHost};
use crate::pins::Pins;
use crate::{Damage, Error, PageId, Result, TxnId};

/// Entries of ended chains that a transaction looks at when it begins.
const WALK_BEGIN: usize = 64;
/// Entries of ended chains that a claim looks at before it turns to the bitmap.
const WALK_CLAIM: usize = 256;
/// Bitmap leaves that a search takes pages from, where the first have but a few for the reserve.
const DRAWS: usize = 4;
/// Entries of ended chains that a search moves to the bitmap where they are many.
const GATHER: usize = 512;
/// Searches after which a transaction is large: it has claimed some 200 pages, besides which the copies of
/// a few bitmap pages count for nothing.
const UNGATHERED: u8 = 3;
/// They are many from so many for each leaf of the bitmap on.
const ENTRIES_A_LEAF: u32 = 64;
/// Claims that grow the file at once after a search that found nothing: the search's cost is spread
/// over them.
pub(super) const DRY_CLAIMS: u32 = 32;

/// Which of the inline entries that are reusable are made so.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Unpin {
    /// Short ones, while the ready pages have room: no structure is touched.
    Short,
    /// Any, until half of the ready pages' places are taken; of a long run, only its start.
    Some,
    /// All.
    All,
}

impl Space {
    /// Begins a transaction: call it first, with the pins collected. Bounded work: the inline entries,
    /// and a number of entries of ended chains.
    ///
    /// # Errors
    /// `Corrupt`: a page of the structures. `Full`, `Io`: a structure had to grow.
    pub(crate) fn begin(&mut self, host: &mut dyn SpaceHost) -> Result<()> {
        let limits = Limits::new(host.page_size());
        let base_before = self.base;
        self.started = host.birth();
        self.base = host.pins().newest_below(self.started).unwrap_or_default();
        self.closing = false;
        self.claimable = self.ready.len();
        self.dry = 0;
        self.dry_runs = 0;
        self.ungathered = UNGATHERED;
        self.end_buckets(host)?;
        self.end_fresh(host, base_before)?;
        self.unpin(host, &limits, Unpin::Short)?;
        self.walk(host, &limits, WALK_BEGIN, limits.ready / 2)?;
        self.top_up(&limits);
        Ok(())
    }

    /// Fills the reserve from the ready pages.
    fn top_up(&mut self, limits: &Limits) {
        while self.reserve.len() < limits.reserve
            && let Some(page) = self.pop_ready()
        {
            let _ = self.reserve.push(page);
        }
    }

    /// Sees to it that the reserve is not low before structures are changed.
    pub(super) fn prepare(&mut self, host: &mut dyn SpaceHost, limits: &Limits) -> Result<()> {
        if self.reserve.len() * 2 >= limits.reserve {
            return Ok(());
        }
        if self.claimable == 0 {
            self.search(host)?;
        }
        self.top_up(limits);
        Ok(())
    }

    /// Looks for reusable pages, unless a search found nothing a moment ago; whether some are ready.
    pub(super) fn search(&mut self, host: &mut dyn SpaceHost) -> Result<bool> {
        if self.closing {
            return Ok(false);
        }
        if let Some(dry) = self.dry.checked_sub(1) {
            self.dry = dry;
            return Ok(false);
        }
        let limits = Limits::new(host.page_size());
        let half = limits.ready / 2;
        self.unpin(host, &limits, Unpin::Some)?;
        if self.claimable == 0 && self.worth_gathering(host.page_size()) {
            self.gather(host)?;
        } else if self.claimable == 0 {
            self.walk(host, &limits, WALK_CLAIM, half)?;
        }
        for _ in 0..DRAWS {
            if self.claimable == 0 && self.bitmap.is_some() {
                self.draw(host, &limits)?;
            }
        }
        if self.claimable == 0 {
            self.look_again(host)?;
            self.unpin(host, &limits, Unpin::Some)?;
            self.walk(host, &limits, WALK_CLAIM, half)?;
        }
        if self.claimable == 0 && self.bitmap.is_none() && self.all_walked() {
            self.dry = DRY_CLAIMS;
        }
        Ok(self.claimable > 0)
    }

    /// Whether no ended chain is left.
    pub(super) fn all_walked(&self) -> bool {
        self.walking.is_empty() && self.ended.is_empty()
    }

    /// Some pins may have ended since the transaction began.
    pub(super) fn look_again(&mut self, host: &mut dyn SpaceHost) -> Result<()> {
        host.refresh_pins();
        self.end_buckets(host)
    }

    /// Makes inline entries reusable that no pin holds any more.
    pub(super) fn unpin(
        &mut self,
        host: &mut dyn SpaceHost,
        limits: &Limits,
        how: Unpin,
    ) -> Result<()> {
        let mut at = 0;
        // Making pages free may add entries for bitmap pages that were copied, but no reusable ones.
        while let Some((found, entry)) = self.next_reusable(host.pins(), at) {
            at = found;
            let room = |places: usize| places.saturating_sub(self.ready.len()) as u32;
            let take = match how {
                Unpin::Short if entry.pages > SHORT_RUN.min(room(limits.ready)) => 0,
                Unpin::Some => entry.pages.min(SHORT_RUN).min(room(limits.ready / 2)),
                Unpin::Short | Unpin::All => entry.pages,
            };
            if take == 0 {
                at += 1;
                continue;
            }
            self.take_inline(at, take)?;
            self.put_free(host, limits, entry.page.0, take)?;
        }
        Ok(())
    }

    /// The first inline entry from `from` on that no pin holds any more, and where it is.
    pub(super) fn next_reusable(&self, pins: &Pins, from: usize) -> Option<(usize, Entry)> {
        // Most wait for the same pins as the one before. (These see nothing.)
        let mut range = (TxnId(u64::MAX), TxnId(0));
        let entries = self.pinned.as_slice().iter().enumerate().skip(from);
        for (at, entry) in entries {
            let seen = entry.birth <= range.1 && range.0 < entry.freed_at;
            if seen && entry.birth < entry.freed_at {
                continue;
            }
            match pins.pinned_by(entry.birth, entry.freed_at) {
                Some(by) => range = by,
                None if entry.birth < self.started => return Some((at, *entry)),
                None => {}
            }
        }
        None
    }

    /// Takes the first `pages` pages of an inline entry out.
    pub(super) fn take_inline(&mut self, at: usize, pages: u32) -> Result<()> {
        if let Some(entry) = self.pinned.as_mut_slice().get_mut(at) {
            entry.page.0 += pages;
            entry.pages -= pages;
            if entry.pages == 0 {
                let _ = self.pinned.swap_remove(at);
            }
        }
        self.count_pinned_less(pages)
    }

    /// Looks at up to `limit` entries of ended chains, until `places` pages are ready.
    pub(super) fn walk(
        &mut self,
        host: &mut dyn SpaceHost,
        limits: &Limits,
        limit: usize,
        places: usize,
    ) -> Result<()> {
        let mut left = limit;
        while left > 0 && self.ready.len() < places {
            let mut batch = Batch::new(Entry::default());
            self.take_ended(host, left, &mut batch)?;
            if batch.is_empty() {
                break;
            }
            left -= batch.len();
            for entry in batch.as_slice() {
                self.settle(host, limits, entry)?;
            }
        }
        Ok(())
    }

    /// Whether the transaction is large, and ended chains hold so many entries that putting them in the bitmap, and so in the order of
    /// their numbers, copies few bitmap pages for each. Pages that follow each other share what the processor
    /// must look up to find them: on small pages most of what a store to a page not used lately costs.
    fn worth_gathering(&mut self, page_size: usize) -> bool {
        if cfg!(not(feature = "locality")) {
            return false;
        }
        if let Some(left) = self.ungathered.checked_sub(1) {
            self.ungathered = left;
            return false;
        }
        let leaves = self.page_count / Shape::new(page_size).bits + 1;
        let entries = self.walking.entries.saturating_add(self.ended.entries);
        entries / ENTRIES_A_LEAF >= leaves
    }

    /// Moves entries of ended chains to the bitmap, as many as a search may.
    #[inline(never)] // Its arrays stay off the stack of others.
    fn gather(&mut self, host: &mut dyn SpaceHost) -> Result<()> {
        let limits = Limits::new(host.page_size());
        let mut left = GATHER;
        while left > 0 {
            let mut batch = Batch::new(Entry::default());
            self.take_ended(host, left, &mut batch)?;
            if batch.is_empty() {
                break;
            }
            left -= batch.len();
            let mut pages = [0; BATCH];
            let mut count = 0;
            for entry in batch.as_slice() {
                match pages.get_mut(count) {
                    Some(place) if entry.pages == 1 && self.reusable(host.pins(), entry) => {
                        *place = entry.page.0;
                        count += 1;
                    }
                    _ => self.settle(host, &limits, entry)?,
                }
            }
            let pages = pages.get_mut(..count).unwrap_or(&mut []);
            pages.sort_unstable();
            self.count_pinned_less(count as u32)?;
            let free_pages = self.stats.free_pages.checked_add(count as u32);
            let damaged = Error::corrupt(PageId::NONE, Damage::Count);
            self.stats.free_pages = free_pages.ok_or(damaged)?;
            self.mark_pages(host, pages, true)?;
        }
        Ok(())
    }

    /// Puts an entry that was taken off a chain where it belongs now.
    fn settle(&mut self, host: &mut dyn SpaceHost, limits: &Limits, entry: &Entry) -> Result<()> {
        if self.reusable(host.pins(), entry) {
            self.count_pinned_less(entry.pages)?;
            return self.put_free(host, limits, entry.page.0, entry.pages);
        }
        let tag = self.tag(host.pins(), entry);
        self.file(host, limits, tag, entry)
    }

    /// Takes pages out of the bitmap: half of what can be ready. Some go to the reserve first, so
    /// that the copies this makes need no growth. Takes none where there is no room for these: whoever is
    /// refused a page then may go on without it.
    // Of its own: most searches do not come to it, and it has an array on the stack.
    #[inline(never)]
    fn draw(&mut self, host: &mut dyn SpaceHost, limits: &Limits) -> Result<()> {
        let mut pages = [0; READY_MAX / 2 + RESERVE_MAX];
        let spare = (limits.reserve - self.reserve.len().min(limits.reserve)).min(HEIGHT_MAX);
        let wanted = limits.ready / 2 + spare;
        let found = self.first_free(host, pages.get_mut(..wanted).unwrap_or(&mut []))?;
        // Copies of the pages on the way, and lists for what they replace.
        let copies = usize::from(self.height) + LISTS_AT_HAND;
        if self.reserve.len() + self.claimable + spare.min(found) < copies
            && host.grow(self.page_count.saturating_add(copies as u32)).is_err()
        {
            return Ok(());
        }
        let drawn = pages.get(..found).unwrap_or(&[]);
        let (own, ready) = drawn.split_at(spare.min(found));
        for page in own {
            let _ = self.reserve.push(*page);
        }
        self.mark_pages(host, drawn, false)?;
        // The last one pushed is claimed first.
        for page in ready.iter().rev() {
            let _ = self.push_ready(limits, *page);
        }
        Ok(())
    }
}
