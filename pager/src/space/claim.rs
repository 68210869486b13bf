//! Claiming and freeing: what the transaction asks of the space.

use super::bitmap::HEIGHT_MAX;
use super::entry::Entry;
use super::record::Limits;
use super::{READY_MAX, Space, SpaceHost};
use crate::{Damage, Error, PageId, Result, TxnId};

/// Runs up to this long are kept as single pages where there is room: the pages of a small
/// transaction's path.
pub(super) const SHORT_RUN: u32 = 8;

impl Space {
    /// A page to write, not started. Usually one that was kept ready; else found in the structures,
    /// in bounded time; else the file grows.
    ///
    /// # Errors
    /// `Full`, `Io` (growing); `Corrupt`: a page of the structures.
    pub(crate) fn claim(&mut self, host: &mut dyn SpaceHost) -> Result<PageId> {
        if let Some(page) = self.pop_ready() {
            self.count_free_less(1)?;
            return Ok(PageId(page));
        }
        if self.search(host)?
            && let Some(page) = self.pop_ready()
        {
            self.count_free_less(1)?;
            return Ok(PageId(page));
        }
        self.grow(host, 1)
    }

    /// The page that the next claim is likely to give.
    pub(crate) fn next_ready(&self) -> Option<PageId> {
        let at = self.claimable.checked_sub(1)?;
        self.ready.get(at).map(PageId)
    }

    /// Makes sure that the next `pages` claims of single pages do not fail for want of space; but where
    /// the file cannot grow and what is free lies one or two pages to a leaf of the bitmap, a copy of
    /// which costs as many.
    ///
    /// # Errors
    /// `Full`, `Io`: nothing changed.
    pub(crate) fn ensure(&mut self, host: &mut dyn SpaceHost, pages: u32) -> Result<()> {
        // What the structures may need meanwhile: a list page for each few pages freed on the way,
        // and a path of the bitmap now and then.
        let own = (pages / 8).saturating_add(4 * HEIGHT_MAX as u32);
        let needed = pages.saturating_add(own);
        let at_hand = if self.closing { self.claimable as u32 } else { self.stats.free_pages };
        let missing = needed.saturating_sub(at_hand);
        if missing == 0 {
            return Ok(());
        }
        host.grow(self.page_count.checked_add(missing).ok_or(Error::Full)?)
    }

    /// Consecutive pages to write, not started: from freed runs or the bitmap, in bounded time; else
    /// the file grows.
    ///
    /// # Errors
    /// As [`claim`](Space::claim); `InvalidArgument`: no pages.
    pub(crate) fn claim_run(&mut self, host: &mut dyn SpaceHost, pages: u32) -> Result<PageId> {
        match pages {
            0 => return Err(Error::InvalidArgument),
            1 => return self.claim(host),
            _ => {}
        }
        match self.find_run(host, pages)? {
            Some(first) => Ok(PageId(first)),
            None => self.grow(host, pages),
        }
    }

    /// Takes back pages that were born at `birth` and are no longer reached from `freed_at` on.
    ///
    /// Pages that were born and freed at the same number are in the transaction's seal chain and are not
    /// reused before it ends. They are best given back by the last calls before the commit: once they
    /// are many, the transaction's further claims grow the file.
    ///
    /// # Errors
    /// `Corrupt`: the pages are out of range, born later, or in the bitmap already; a page of the
    /// structures. `Full`, `Io`: a structure had to grow.
    pub(crate) fn free(
        &mut self,
        host: &mut dyn SpaceHost,
        page: PageId,
        pages: u32,
        birth: TxnId,
        freed_at: TxnId,
    ) -> Result<()> {
        self.check_range(page, pages)?;
        if birth > freed_at {
            return Err(Error::corrupt(page, Damage::BornLater));
        }
        let limits = Limits::new(host.page_size());
        let entry = Entry { page, pages, birth, freed_at };
        let mut own = birth == freed_at && birth >= self.started;
        if own && !self.closing {
            if self.pinned.len() < limits.pinned / 2 {
                own = false; // A few may wait in the list, so that reuse goes on.
            } else {
                self.prepare(host, &limits)?;
                self.closing = true;
            }
        }
        if own || self.reusable(host.pins(), &entry) {
            return self.put_free(host, &limits, page.0, pages);
        }
        if self.pinned.len() >= limits.pinned && !self.closing {
            // Rather than list pages for what may be reusable by now.
            self.prepare(host, &limits)?;
            self.unpin(host, &limits, super::reclaim::Unpin::All)?;
        }
        self.pin(host, entry)
    }

    /// Adds reusable pages: ready, if they are few and there is room, else to the bitmap.
    pub(super) fn put_free(
        &mut self,
        host: &mut dyn SpaceHost,
        limits: &Limits,
        first: u32,
        pages: u32,
    ) -> Result<()> {
        let free_pages = self.stats.free_pages.checked_add(pages);
        let damaged = Error::corrupt(PageId(first), Damage::Count);
        self.stats.free_pages = free_pages.ok_or(damaged)?;
        if pages == 1 && self.ready.len() >= limits.ready {
            self.flush_ready(host)?;
        }
        let room = (limits.ready - self.ready.len().min(limits.ready)) as u32;
        let few = pages <= SHORT_RUN && pages <= room;
        // Where the reserve is empty, a bitmap that must be copied takes its pages from the run.
        let short = !self.closing && self.reserve.len() + self.claimable < HEIGHT_MAX;
        let keep = match (few, short) {
            (true, _) => pages,
            (false, true) => room.min(HEIGHT_MAX as u32).min(pages - 1),
            (false, false) => 0,
        };
        // The first page is pushed last, so that it is claimed first.
        for page in (first..first + keep).rev() {
            let _ = self.push_ready(limits, page);
        }
        if keep < pages { self.mark_run(host, first + keep, pages - keep, true) } else { Ok(()) }
    }

    /// Moves half of the ready pages to the bitmap: those that may not be reused now where they are
    /// many, else those at the file's end.
    pub(super) fn flush_ready(&mut self, host: &mut dyn SpaceHost) -> Result<()> {
        let (len, claimable) = (self.ready.len(), self.claimable);
        let mut batch = [0; READY_MAX];
        let late = len - claimable;
        let moved = if late * 4 >= len {
            batch[..late].copy_from_slice(&self.ready.as_slice()[claimable..]);
            self.ready.truncate(claimable);
            late
        } else {
            let half = claimable.div_ceil(2);
            self.ready.as_mut_slice()[..claimable].sort_unstable_by(|a, b| b.cmp(a));
            batch[..half].copy_from_slice(&self.ready.as_slice()[..half]);
            self.ready.drop_front(half);
            self.claimable = claimable - half;
            half
        };
        batch[..moved].sort_unstable();
        self.mark_pages(host, &batch[..moved], true)
    }
}
