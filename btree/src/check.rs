//! Proving a state sound.

use crate::error::Result;
use crate::key::Key;
use mapleaf_pager::{Damage, PageId, Pages};

/// What a check counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct CheckReport {
    /// Named trees.
    pub trees: u64,
    /// Entries in them.
    pub entries: u64,
    /// Inner pages, the catalog's included.
    pub inner_pages: u64,
    /// Leaf pages, the catalog's included.
    pub leaf_pages: u64,
    /// Pages in the runs of large values.
    pub run_pages: u64,
    /// Bytes in use on leaf pages, headers included.
    pub leaf_bytes_used: u64,
    /// Depth in pages of the deepest tree.
    pub height_max: u8,
    /// Damages found and told to the visitor.
    pub damages: u64,
}

/// One damage.
#[derive(Clone, Copy, Debug)]
pub struct Finding<'a> {
    /// Name of the tree; `None`: the catalog, or no tree.
    pub tree: Option<Key<'a>>,
    /// The page, or [`PageId::NONE`].
    pub page: PageId,
    /// What is wrong with it.
    pub damage: Damage,
}

/// Who listens to a check.
pub trait CheckVisitor {
    /// A damage was found; the check goes on beside it.
    fn damage(&mut self, finding: &Finding<'_>);

    /// `reach` holds the pages of one window that the trees reach. Mark there what else is in use
    /// (metas, log, space pages, free pages), report what [`ReachSet::mark`] says is in use twice,
    /// and what stays unmarked: every page accounted for once.
    ///
    /// # Errors
    /// Ends the check.
    fn window(&mut self, reach: &mut ReachSet<'_>) -> Result<()> {
        let _ = reach;
        Ok(())
    }
}

/// Pages of one window of the file and which of them are accounted for.
pub struct ReachSet<'w> {
    first: u32,
    pages: u32,
    bits: &'w mut [u8],
}

impl ReachSet<'_> {
    /// The window: page numbers from the first to the one behind the last.
    #[must_use]
    pub fn window(&self) -> core::ops::Range<u32> {
        self.first..self.first + self.pages
    }
    /// Marks a page; false where it was marked before. Pages outside the window are ignored (true).
    pub fn mark(&mut self, _page: PageId) -> bool {
        unimplemented!()
    }
    /// Whether a page of the window is marked.
    #[must_use]
    pub fn is_marked(&self, _page: PageId) -> bool {
        unimplemented!()
    }
    /// The pages of the window that are not marked.
    pub fn unmarked(&self) -> impl Iterator<Item = PageId> + '_ {
        self.window().map(PageId).filter(|page| !self.is_marked(*page))
    }
}

/// Checks the catalog and all trees of a state of `page_count` pages.
///
/// `work` is cleared and used as a bitmap: with `page_count / 8` bytes one pass over the trees'
/// inner pages finds pages reached twice, with less it takes as many passes as windows fit.
///
/// # Errors
/// Damage is told to the visitor, not returned. [`WorkAreaTooSmall`](crate::Error::WorkAreaTooSmall).
pub fn check<'a, P: Pages<'a>>(
    _pages: P,
    _page_count: u32,
    _work: &mut [u8],
    _visitor: &mut dyn CheckVisitor,
) -> Result<CheckReport> {
    unimplemented!()
}
