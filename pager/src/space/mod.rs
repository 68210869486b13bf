//! Space: which pages are free, and which are freed but still pinned.

mod host;

pub(crate) use host::SpaceHost;

use crate::{Error, PageId, Result, TxnId};

/// What a page is to the space structures.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SpaceUse {
    /// A page of the space structures themselves.
    Space,
    /// Reusable.
    Free,
    /// Freed, but a pinned state may see it.
    Pinned,
}

/// Pages by use.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct SpaceStats {
    /// Reusable pages.
    pub(crate) free_pages: u32,
    /// Freed pages that a pinned state may see, or that were not looked at since.
    pub(crate) pinned_pages: u32,
    /// Pages of the space structures.
    pub(crate) space_pages: u32,
}

/// Which pages are free or freed in one state. Plain data, copied with the state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Space {
    /// Pages of the file in this state, metas included.
    pub(crate) page_count: u32,
}

impl Space {
    /// A store of `page_count` pages, none of them free.
    pub(crate) const fn new(page_count: u32) -> Space {
        Space { page_count }
    }

    /// Begins a transaction: call it first, with the pins collected.
    pub(crate) fn begin(&mut self, _host: &mut dyn SpaceHost) -> Result<()> {
        Ok(())
    }

    /// A page to write, not started.
    pub(crate) fn claim(&mut self, host: &mut dyn SpaceHost) -> Result<PageId> {
        self.claim_run(host, 1)
    }

    /// Makes sure that the next `pages` claims of single pages do not fail for want of space.
    pub(crate) fn ensure(&mut self, host: &mut dyn SpaceHost, pages: u32) -> Result<()> {
        host.grow(self.page_count.checked_add(pages).ok_or(Error::Full)?)
    }

    /// Consecutive pages to write, not started.
    pub(crate) fn claim_run(&mut self, host: &mut dyn SpaceHost, pages: u32) -> Result<PageId> {
        let page_count = self.page_count.checked_add(pages).ok_or(Error::Full)?;
        host.grow(page_count)?;
        let first = PageId(self.page_count);
        self.page_count = page_count;
        Ok(first)
    }

    /// Takes back pages that were born at `birth` and are no longer reached from `freed_at` on.
    pub(crate) fn free(
        &mut self,
        _host: &mut dyn SpaceHost,
        _page: PageId,
        _pages: u32,
        _birth: TxnId,
        _freed_at: TxnId,
    ) -> Result<()> {
        Ok(())
    }

    /// Lowers the page count where the last pages are free: the last call before a checkpoint.
    pub(crate) fn trim(&mut self, _host: &mut dyn SpaceHost) -> Result<()> {
        Ok(())
    }

    /// Calls `with` for each page (or run) that is free, pinned or the space's own.
    pub(crate) fn visit(
        &self,
        _host: &dyn SpaceHost,
        _with: &mut dyn FnMut(PageId, u32, SpaceUse),
    ) -> Result<()> {
        Ok(())
    }

    /// Pages by use. O(1).
    pub(crate) fn stats(&self) -> SpaceStats {
        SpaceStats::default()
    }

    /// Writes the record of a store with pages of `page_size` bytes.
    pub(crate) fn encode(&self, _page_size: usize, out: &mut [u8]) {
        crate::page::put_u32(out, 0, self.page_count);
    }

    /// Reads the record.
    pub(crate) fn decode(_page_size: usize, record: &[u8]) -> Result<Space> {
        Ok(Space { page_count: crate::page::u32_at(record, 0) })
    }
}
