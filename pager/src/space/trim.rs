//! Shrinking: lowering the page count where the file's last pages are free.

use super::bitmap::Shape;
use super::bits;
use super::reclaim::Unpin;
use super::record::Limits;
use super::{READY_MAX, RESERVE_MAX, Space, SpaceHost};
use crate::{Damage, Error, PageId, Result};

/// Entries of ended chains that a commit brings to the bitmap, where much of the file waits in lists.
const WALK_TRIM: usize = 256;
/// Entries between two looks at the pages at hand.
const WALK_STEP: usize = 32;
/// Entries that are this part of the file's pages are walked though few pages are ready.
const WALK_PART: u32 = 8;
/// Much: this part of the file, and at least so many pages.
const WAITING_PART: u32 = 4;
const WAITING_MIN: u32 = 256;
/// Bitmap leaves that are looked at.
const LEAVES_MAX: usize = 16;
/// List pages that freeing the copied bitmap pages may take.
pub(super) const LISTS_AT_HAND: usize = 2;
/// The page count is lowered by at least this many pages, and this part of it.
const CUT_MIN: u32 = 8;
const CUT_PART: u32 = 16;

impl Space {
    /// Whether so much is free, or perhaps free, that [`trim`](Space::trim) could lower the page count.
    pub(crate) fn trimmable(&self) -> bool {
        self.stats.free_pages.saturating_add(self.stats.pinned_pages) >= self.cut_min()
    }

    fn cut_min(&self) -> u32 {
        CUT_MIN.max(self.page_count / CUT_PART)
    }

    /// Looks at up to `limit` entries of ended chains, so that what is free among them is known to be;
    /// whether it looked at any.
    ///
    /// # Errors
    /// As [`trim`](Space::trim).
    pub(crate) fn drain(&mut self, host: &mut dyn SpaceHost, limit: usize) -> Result<bool> {
        let limits = Limits::new(host.page_size());
        self.prepare(host, &limits)?;
        if !self.closing && self.has_path() {
            self.unpin(host, &limits, Unpin::All)?;
        }
        let mut any = false;
        for _ in 0..limit / WALK_STEP {
            if self.all_walked() || self.closing || !self.has_path() {
                break;
            }
            self.walk(host, &limits, WALK_STEP, usize::MAX)?;
            self.prepare(host, &limits)?;
            any = true;
        }
        Ok(any)
    }

    /// Lowers the page count where the last pages are free: call it when a transaction is about to
    /// commit. Bounded work, O(1) where there is nothing to gain. The file may be cut when no pin has
    /// the larger count.
    ///
    /// # Errors
    /// `Corrupt`: a page of the structures. `Full`, `Io`: a structure had to grow.
    pub(crate) fn trim(&mut self, host: &mut dyn SpaceHost) -> Result<()> {
        if self.stats.pinned_pages >= WAITING_MIN.max(self.page_count / WAITING_PART) {
            self.sort_out(host)?;
        }
        let cut_min = self.cut_min();
        // What this transaction freed of its own is in its seal chain, and must not become new pages.
        if self.closing || self.stats.free_pages < cut_min {
            return Ok(());
        }
        if cfg!(feature = "locality")
            && self.last_used > 0
            && self.page_count.saturating_sub(self.last_used) <= cut_min
        {
            return Ok(());
        }
        let end = self.used_end(host)?;
        if self.page_count - end < cut_min {
            if cfg!(feature = "locality") {
                self.last_used = end - 1;
            }
            return Ok(());
        }
        let limits = Limits::new(host.page_size());
        self.prepare(host, &limits)?;
        self.lower(host)
    }

    /// Brings what waits in lists, but is reusable, to the bitmap: where it is surplus, since many pages
    /// are ready or it is a good part of the file; and not at the price of growing.
    fn sort_out(&mut self, host: &mut dyn SpaceHost) -> Result<()> {
        let limits = Limits::new(host.page_size());
        self.prepare(host, &limits)?;
        if !self.closing && self.has_path() {
            self.unpin(host, &limits, Unpin::All)?;
        }
        for _ in 0..WALK_TRIM / WALK_STEP {
            let entries = self.walking.entries.saturating_add(self.ended.entries);
            let many = entries >= self.page_count / WALK_PART;
            if !self.has_path() || !(many || self.ready.len() >= limits.ready / 2) {
                break;
            }
            self.walk(host, &limits, WALK_STEP, usize::MAX)?;
        }
        Ok(())
    }

    /// Whether the pages for a path of the bitmap are at hand.
    fn has_path(&self) -> bool {
        self.reserve.len() + self.claimable > usize::from(self.height)
    }

    /// Behind which page all are free, as far as it is looked.
    fn used_end(&self, host: &dyn SpaceHost) -> Result<u32> {
        let shape = Shape::new(host.page_size());
        let mut end = self.page_count;
        let mut leaves = 0;
        for _ in 0..READY_MAX + RESERVE_MAX + LEAVES_MAX {
            let Some(last) = end.checked_sub(1) else {
                break;
            };
            if self.ready.as_slice().contains(&last) || self.reserve.as_slice().contains(&last) {
                end = last;
                continue;
            }
            leaves += 1;
            let free = match self.leaf_around(host, last)? {
                Some(bits) if leaves <= LEAVES_MAX => bits::trailing(bits, last % shape.bits + 1),
                _ => 0,
            };
            if free == 0 {
                break;
            }
            end -= free;
        }
        Ok(end.max(2))
    }

    /// Drops the free pages at the end, leaf by leaf of the bitmap, as long as there are pages for the
    /// copies that this makes.
    fn lower(&mut self, host: &mut dyn SpaceHost) -> Result<()> {
        let shape = Shape::new(host.page_size());
        for _ in 0..LEAVES_MAX {
            // Anew each time: a copy may have taken a page that was free before.
            let end = self.used_end(host)?;
            let leaf = (self.page_count - 1) / shape.bits;
            // The lowest are taken first.
            self.reserve.as_mut_slice().sort_unstable_by(|a, b| b.cmp(a));
            self.ready.as_mut_slice().sort_unstable_by(|a, b| b.cmp(a));
            let at_hand = self.reserve.as_slice().iter().chain(self.ready.as_slice());
            let below = at_hand.filter(|page| **page < end).count();
            if end == self.page_count
                || below < usize::from(self.height) + LISTS_AT_HAND
                || !self.cut(host, leaf, end.max(leaf * shape.bits))?
            {
                break;
            }
        }
        Ok(())
    }

    /// Drops the pages from `end` on, all of them free and of one leaf; whether that worked.
    pub(super) fn cut(&mut self, host: &mut dyn SpaceHost, leaf: u32, end: u32) -> Result<bool> {
        let before = self.page_count;
        let mut dropped = self.drop_reserve(end) + self.drop_ready(end);
        let from = end % Shape::new(host.page_size()).bits;
        if self.leaf_around(host, end)?.is_some() {
            dropped += self.clear_leaf(host, leaf, from)?;
        }
        if dropped != before - end {
            return Err(Error::corrupt(PageId::NONE, Damage::Count));
        }
        if self.page_count != before {
            // The copies did not fit below: nothing is gained.
            self.mark_run(host, end, before - end, true)?;
            return Ok(false);
        }
        self.count_free_less(dropped)?;
        self.page_count = end;
        self.last_used = 0;
        Ok(true)
    }

    /// Drops pages of the reserve from `end` on; how many.
    fn drop_reserve(&mut self, end: u32) -> u32 {
        let before = self.reserve.len();
        for at in (0..before).rev() {
            if self.reserve.get(at).is_some_and(|page| page >= end) {
                let _ = self.reserve.swap_remove(at);
            }
        }
        (before - self.reserve.len()) as u32
    }

    /// Drops ready pages from `end` on, all of which may be claimed; how many.
    fn drop_ready(&mut self, end: u32) -> u32 {
        let before = self.ready.len();
        for at in (0..before).rev() {
            if self.ready.get(at).is_some_and(|page| page >= end) {
                let _ = self.ready.swap_remove(at);
            }
        }
        self.claimable = self.ready.len();
        (before - self.ready.len()) as u32
    }

    /// Clears the set bits of a leaf from bit `from` on; how many.
    fn clear_leaf(&mut self, host: &mut dyn SpaceHost, leaf: u32, from: u32) -> Result<u32> {
        let mut cleared = 0;
        self.edit_leaf(host, leaf, &mut |bits: &mut [u8]| {
            let before = bits::count(bits);
            bits::clear_from(bits, from);
            cleared = before - bits::count(bits);
            Ok(())
        })?;
        Ok(cleared)
    }
}
