//! Which pages are accounted for.

use core::ops::Range;
use mapleaf_pager::PageId;

/// Pages of one window of the file and which of them are accounted for.
pub struct ReachSet<'w> {
    first: u32,
    pages: u32,
    bits: &'w mut [u8],
}

impl<'w> ReachSet<'w> {
    /// The window of `pages` pages from `first` on, none of them marked. `bits` holds a bit a page.
    pub(super) fn new(first: u32, pages: u32, bits: &'w mut [u8]) -> ReachSet<'w> {
        bits.fill(0);
        ReachSet { first, pages, bits }
    }

    /// The window: page numbers from the first to the one behind the last.
    #[must_use]
    pub fn window(&self) -> Range<u32> {
        self.first..self.first + self.pages
    }

    fn bit(&self, page: PageId) -> Option<(usize, u8)> {
        let index = page.0.checked_sub(self.first).filter(|index| *index < self.pages)?;
        Some((index as usize / 8, 1 << (index % 8)))
    }

    /// Marks a page; false where it was marked before. Pages outside the window are ignored (true).
    pub fn mark(&mut self, page: PageId) -> bool {
        let Some((at, bit)) = self.bit(page) else { return true };
        let Some(byte) = self.bits.get_mut(at) else { return true };
        let fresh = *byte & bit == 0;
        *byte |= bit;
        fresh
    }

    /// Marks `pages` pages from `first` on; the first of them that was marked before.
    pub fn mark_run(&mut self, first: PageId, pages: u32) -> Option<PageId> {
        let window = self.window();
        let end = first.0.saturating_add(pages).min(window.end);
        let mut twice = None;
        for page in first.0.max(window.start)..end {
            if !self.mark(PageId(page)) {
                twice = twice.or(Some(PageId(page)));
            }
        }
        twice
    }

    /// Whether a page of the window is marked.
    #[must_use]
    pub fn is_marked(&self, page: PageId) -> bool {
        let byte = |(at, bit)| self.bits.get(at).is_some_and(|byte: &u8| byte & bit != 0);
        self.bit(page).is_some_and(byte)
    }

    /// The pages of the window that are not marked.
    pub fn unmarked(&self) -> impl Iterator<Item = PageId> + '_ {
        self.window().map(PageId).filter(|page| !self.is_marked(*page))
    }
}
