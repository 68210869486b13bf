//! A place in a tree: the pages from the root down to a leaf, and where on each.

use crate::TreeRecord;
use crate::error::{Error, Result};
use crate::node::search::{BLOCK_BYTES, BLOCKS_MAX};
use crate::node::{InnerView, LeafView};
use crate::record::HEIGHT_MAX;
use mapleaf_pager::{Damage, PageId, Pages, kind};

/// Cache lines of a child asked for before it is looked at: header, prefix and the first heads.
pub(crate) const PREFETCH_LINES: usize = 4;

/// Asks for the first key of each block of a leaf of fixed width: the lines that a search looks at first. Whether the
/// tree's leaves have many keys in blocks.
#[inline]
pub(crate) fn prefetch_blocks<'a, P: Pages<'a>>(pages: P, id: PageId, tree: &TreeRecord) -> bool {
    // Keys take half of the page at least: what comes behind them is not asked for in vain.
    let in_blocks = tree.fixed.is_some_and(|width| width.key_bytes >= width.value_bytes);
    if in_blocks {
        let keys = (pages.page_size() / 2).min(BLOCKS_MAX * BLOCK_BYTES);
        pages.prefetch_every(id, BLOCK_BYTES, keys);
    }
    in_blocks
}

/// Pages read together where the store is larger than memory: enough to keep a disk's queue busy, few
/// enough that little is read in vain when a scan ends.
pub(crate) const AHEAD: usize = if cfg!(feature = "large") { 32 } else { 4 };

#[cfg(test)]
std::thread_local! {
    /// How often this thread went down a tree, or a part of one.
    pub(crate) static DESCENTS: core::cell::Cell<usize> = const { core::cell::Cell::new(0) };
}

/// A page on the way, and the child taken there (in a leaf: the entry).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Step {
    pub(crate) page: PageId,
    /// No page has 2^16 children or entries.
    index: u16,
}

impl Step {
    pub(crate) fn new(page: PageId, index: usize) -> Step {
        debug_assert!(index <= usize::from(u16::MAX));
        Step { page, index: index as u16 }
    }

    pub(crate) fn index(&self) -> usize {
        usize::from(self.index)
    }
}

/// The steps from the root to a leaf. Empty in an empty tree.
#[derive(Clone, Default, Debug)]
pub(crate) struct Path {
    steps: heapless::Vec<Step, HEIGHT_MAX>,
}

impl Path {
    pub(crate) const fn new() -> Path {
        Path { steps: heapless::Vec::new() }
    }

    pub(crate) fn clear(&mut self) {
        self.steps.clear();
    }

    /// Number of steps: the tree's height, once the path leads to a leaf.
    pub(crate) fn len(&self) -> usize {
        self.steps.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Level of the leaf, the root being level 0.
    pub(crate) fn leaf_level(&self) -> usize {
        self.steps.len().saturating_sub(1)
    }

    /// The step at `level`.
    ///
    /// # Errors
    /// `Depth`: the path is not that long.
    pub(crate) fn step(&self, level: usize) -> Result<Step> {
        self.steps.get(level).copied().ok_or(Error::corrupt(PageId::NONE, Damage::Depth))
    }

    /// The last step: the leaf and the entry.
    pub(crate) fn leaf_step(&self) -> Result<Step> {
        self.step(self.leaf_level())
    }

    /// Changes the step at `level`, which is there.
    pub(crate) fn set(&mut self, level: usize, page: PageId, index: usize) {
        if let Some(step) = self.steps.get_mut(level) {
            *step = Step::new(page, index);
        }
    }

    /// Changes where the last step points to.
    pub(crate) fn set_entry(&mut self, index: usize) {
        if let Some(step) = self.steps.last_mut() {
            *step = Step::new(step.page, index);
        }
    }

    /// Appends a step.
    ///
    /// # Errors
    /// `Depth`: the path is as long as it can be.
    pub(crate) fn push(&mut self, page: PageId, index: usize) -> Result<()> {
        self.steps.push(Step::new(page, index)).map_err(|_| Error::corrupt(page, Damage::Depth))
    }

    /// Removes the last step.
    pub(crate) fn pop(&mut self) -> Option<Step> {
        self.steps.pop()
    }

    /// Puts a new root above the path.
    ///
    /// # Errors
    /// As [`push`](Path::push).
    pub(crate) fn push_root(&mut self, page: PageId, index: usize) -> Result<()> {
        self.steps
            .insert(0, Step::new(page, index))
            .map_err(|_| Error::corrupt(page, Damage::Depth))
    }

    /// Takes the root off the path.
    pub(crate) fn pop_root(&mut self) {
        if !self.steps.is_empty() {
            self.steps.remove(0);
        }
    }

    /// Keeps the first `levels` steps.
    pub(crate) fn truncate(&mut self, levels: usize) {
        self.steps.truncate(levels);
    }

    /// Goes down from page `id`, appending steps until there are `height`; `pick` says which child
    /// of an inner page to take. The leaf's step points to its first entry.
    pub(crate) fn down<'a, P: Pages<'a>>(
        &mut self,
        pages: P,
        id: PageId,
        height: usize,
        pick: impl Fn(&InnerView<'a>) -> Result<usize>,
    ) -> Result<LeafView<'a>> {
        #[cfg(test)]
        DESCENTS.with(|descents| {
            descents.set(descents.get() + usize::from(self.steps.len() + 1 < height));
        });
        let mut id = id;
        while self.steps.len() + 1 < height {
            let page = inner(pages, id)?;
            let index = pick(&page)?;
            let child = page.child(index)?;
            pages.prefetch(child, 0, PREFETCH_LINES);
            self.push(id, index)?;
            id = child;
        }
        self.push(id, 0)?;
        leaf(pages, id)
    }

    /// Goes to the leaf on the right, its first entry; `None` (and the path as it was) past the
    /// last.
    pub(crate) fn next_leaf<'a, P: Pages<'a>>(&mut self, pages: P) -> Result<Option<LeafView<'a>>> {
        let height = self.len();
        for level in (0..self.leaf_level()).rev() {
            let step = self.step(level)?;
            let page = inner(pages, step.page)?;
            let index = step.index() + 1;
            if index <= page.count() {
                self.truncate(level);
                self.push(step.page, index)?;
                if index < page.count() {
                    pages.prefetch(page.child(index + 1)?, 0, PREFETCH_LINES);
                }
                if !pages.sparse() {
                    return self.down(pages, page.child(index)?, height, |_| Ok(0)).map(Some);
                }
                if index % AHEAD == 0 {
                    fetch(pages, &page, index, index + AHEAD)?;
                }
                let first = |page: &InnerView<'a>| fetch(pages, page, 0, AHEAD).map(|()| 0);
                return self.down(pages, page.child(index)?, height, first).map(Some);
            }
        }
        Ok(None)
    }

    /// Goes to the leaf on the left, its last entry; `None` (and the path as it was) before the
    /// first.
    pub(crate) fn prev_leaf<'a, P: Pages<'a>>(&mut self, pages: P) -> Result<Option<LeafView<'a>>> {
        let height = self.len();
        for level in (0..self.leaf_level()).rev() {
            let step = self.step(level)?;
            if let Some(index) = step.index().checked_sub(1) {
                let page = inner(pages, step.page)?;
                self.truncate(level);
                self.push(step.page, index)?;
                if index > 0 {
                    pages.prefetch(page.child(index - 1)?, 0, PREFETCH_LINES);
                }
                let sparse = pages.sparse();
                if sparse && (index + 1) % AHEAD == 0 {
                    fetch(pages, &page, index + 1 - AHEAD, index + 1)?;
                }
                let last = |page: &InnerView<'a>| {
                    if sparse {
                        fetch(pages, page, page.count() / AHEAD * AHEAD, usize::MAX)?;
                    }
                    Ok(page.count())
                };
                let leaf = self.down(pages, page.child(index)?, height, last)?;
                self.set_entry(leaf.count() - 1);
                return Ok(Some(leaf));
            }
        }
        Ok(None)
    }

    /// The lowest level whose page holds `key`, which is not below the keys of the path's leaf.
    pub(crate) fn level_of<'a, P: Pages<'a>>(&self, pages: P, key: &[u8]) -> Result<usize> {
        let mut lowest = self.leaf_level();
        for level in (0..self.leaf_level()).rev() {
            let step = self.step(level)?;
            let page = inner(pages, step.page)?;
            // Behind a last child the bound is one of those above.
            if step.index() == page.count() {
                continue;
            }
            if page.separator(step.index())?.key().cmp_bytes(key).is_gt() {
                break;
            }
            lowest = level;
        }
        Ok(lowest)
    }

    /// Whether every inner step takes the last child.
    pub(crate) fn on_right_edge<'a, P: Pages<'a>>(&self, pages: P) -> Result<bool> {
        for level in 0..self.leaf_level() {
            let step = self.step(level)?;
            if step.index() < inner(pages, step.page)?.count() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Begins to read children of a page from one on, up to another or the last: at most [`AHEAD`].
fn fetch<'a, P: Pages<'a>>(pages: P, page: &InnerView<'a>, from: usize, to: usize) -> Result<()> {
    let mut ids: heapless::Vec<PageId, AHEAD> = heapless::Vec::new();
    for index in from..to.min(page.count() + 1) {
        let _ = ids.push(page.child(index)?);
    }
    pages.fetch(&ids);
    Ok(())
}

/// The inner page `id`.
///
/// # Errors
/// As [`InnerView::new`]; a leaf here is `Depth`.
// Always: on the way of every get; as a call it would return the view through memory.
#[inline(always)]
pub(crate) fn inner<'a, P: Pages<'a>>(pages: P, id: PageId) -> Result<InnerView<'a>> {
    let body = pages.page(id)?;
    InnerView::new(body, id).map_err(|error| misplaced(error, body, id))
}

/// The leaf `id`, which is not empty: empty ones are removed, and iteration relies on it.
///
/// # Errors
/// As [`LeafView::new`]; an inner page here is `Depth`, an empty leaf `Layout`.
// Always: on the way of every get; as a call it would return the view through memory.
#[inline(always)]
pub(crate) fn leaf<'a, P: Pages<'a>>(pages: P, id: PageId) -> Result<LeafView<'a>> {
    let body = pages.page(id)?;
    match LeafView::new(body, id) {
        Ok(leaf) if leaf.count() > 0 => Ok(leaf),
        Ok(_) => Err(Error::corrupt(id, Damage::Layout)),
        Err(error) => Err(misplaced(error, body, id)),
    }
}

/// A page of the tree at the wrong level says so.
#[cold]
fn misplaced(error: Error, body: &[u8], id: PageId) -> Error {
    let in_tree = matches!(body.first(), Some(&kind) if kind == kind::INNER || kind::is_leaf(kind));
    if in_tree && error == Error::corrupt(id, Damage::Kind) {
        return Error::corrupt(id, Damage::Depth);
    }
    error
}
