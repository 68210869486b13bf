//! Pages for the space's own structures: from the reserve, else at the file's end.

use super::{Space, SpaceHost};
use crate::space::entry::Entry;
use crate::space::record::Limits;
use crate::{Damage, Error, PageId, Result};

impl Space {
    /// Adds pages at the end of the file; the first of them.
    pub(super) fn grow(&mut self, host: &mut dyn SpaceHost, pages: u32) -> Result<PageId> {
        let page_count = self.page_count.checked_add(pages).ok_or(Error::Full)?;
        host.grow(page_count)?;
        let first = PageId(self.page_count);
        self.page_count = page_count;
        Ok(first)
    }

    /// Takes a page that may be reused now off the ready ones.
    pub(super) fn pop_ready(&mut self) -> Option<u32> {
        self.claimable = self.claimable.checked_sub(1)?;
        self.ready.swap_remove(self.claimable)
    }

    /// Keeps a page ready, if there is room.
    pub(super) fn push_ready(&mut self, limits: &Limits, page: u32) -> bool {
        let pushed = self.ready.len() < limits.ready && self.ready.push(page);
        if cfg!(feature = "locality") && page == self.last_used {
            self.last_used = 0;
        }
        if pushed && !self.closing {
            self.claimable = self.ready.len();
        }
        pushed
    }

    /// Claims and starts a page of a structure. Nothing of what it calls changes a structure. Where it
    /// fails, whoever asks is in the middle of a change.
    pub(super) fn start_own(&mut self, host: &mut dyn SpaceHost, kind: u8) -> Result<PageId> {
        let broken = core::mem::replace(&mut self.broken, true);
        let id = match self.reserve.pop().or_else(|| self.pop_ready()) {
            Some(page) => {
                self.count_free_less(1)?;
                PageId(page)
            }
            None => self.grow(host, 1)?,
        };
        host.start(id)?;
        if let Some(at) = host.edit(id)?.first_mut() {
            *at = kind;
        }
        self.stats.space_pages = self.stats.space_pages.saturating_add(1);
        self.broken = broken;
        Ok(id)
    }

    /// Frees a page of a structure. It waits among the pinned, since the base state sees it or the
    /// seal chain holds it.
    pub(super) fn release_own(&mut self, host: &mut dyn SpaceHost, id: PageId) -> Result<()> {
        let birth = host.birth_of(id)?;
        self.stats.space_pages = less(self.stats.space_pages, 1)?;
        let freed_at = host.birth();
        self.pin(host, Entry { page: id, pages: 1, birth, freed_at })
    }

    pub(super) fn count_free_less(&mut self, pages: u32) -> Result<()> {
        self.stats.free_pages = less(self.stats.free_pages, pages)?;
        Ok(())
    }

    pub(super) fn count_pinned_less(&mut self, pages: u32) -> Result<()> {
        self.stats.pinned_pages = less(self.stats.pinned_pages, pages)?;
        Ok(())
    }
}

/// A count of the record, lowered; a record that counted less than there is, is damaged.
fn less(count: u32, pages: u32) -> Result<u32> {
    count.checked_sub(pages).ok_or(Error::corrupt(PageId::NONE, Damage::Count))
}
