//! Reading a tree into memory, as far as a budget goes: what most lookups need comes first.

use crate::error::{Error, Result};
use crate::node::InnerView;
use crate::path::{AHEAD, inner};
use crate::record::HEIGHT_MAX;
use crate::{Tree, TreeRecord};
use mapleaf_pager::{Damage, PageId, Pages};

/// What [`Tree::warm`] did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Warmed {
    /// Pages that were not in memory, and were read.
    pub read_pages: u64,
    /// Pages that were in memory already.
    pub resident_pages: u64,
    /// Levels that are in memory as a whole, from the root down; the tree's height where all of it is.
    pub levels: u8,
}

/// Pages on their way into memory.
struct Loader<P> {
    pages: P,
    done: Warmed,
    /// Pages that may still be read.
    left: u64,
    /// Asked for, and not waited for yet.
    coming: heapless::Vec<PageId, AHEAD>,
}

impl<'a, P: Pages<'a>> Tree<'a, P> {
    /// Reads the tree's pages into memory, level by level from the root down, up to `budget_bytes` of
    /// pages that are not there yet: every lookup needs the upper levels, which are a hundredth of the
    /// tree. Waits for what it reads, many pages at a time. Large values are left out.
    ///
    /// A page costs a question to the mapping, and where it has to be read two calls more.
    ///
    /// # Errors
    /// Damage; [`Io`](mapleaf_pager::Error::Io): a page cannot be read.
    pub fn warm(&self, budget_bytes: u64) -> Result<Warmed> {
        let left = budget_bytes / self.pages.page_size() as u64;
        let coming = heapless::Vec::new();
        let mut loader = Loader { pages: self.pages, done: Warmed::default(), left, coming };
        let TreeRecord { root, height, .. } = self.record;
        if height == 0 || !loader.load(&[root])? {
            return Ok(loader.done);
        }
        loader.settle()?;
        loader.done.levels = 1;
        for level in 1..height {
            let mut whole = true;
            each_at(self.pages, root, usize::from(level), |page| {
                whole = loader.load_children(page)?;
                Ok(whole)
            })?;
            loader.settle()?;
            if !whole {
                break;
            }
            loader.done.levels = level + 1;
        }
        Ok(loader.done)
    }
}

impl<'a, P: Pages<'a>> Loader<P> {
    /// Loads all children of a page; false where the budget is used up.
    fn load_children(&mut self, page: &InnerView<'a>) -> Result<bool> {
        let mut ids: heapless::Vec<PageId, AHEAD> = heapless::Vec::new();
        for index in 0..=page.count() {
            // There is room: it is emptied when it is full.
            let _ = ids.push(page.child(index)?);
            if ids.is_full() || index == page.count() {
                if !self.load(&ids)? {
                    return Ok(false);
                }
                ids.clear();
            }
        }
        Ok(true)
    }

    /// Begins to read what of `ids` is not in memory, then waits for what was begun before.
    fn load(&mut self, ids: &[PageId]) -> Result<bool> {
        let mut missing: heapless::Vec<PageId, AHEAD> = heapless::Vec::new();
        let mut whole = true;
        for id in ids {
            if self.pages.resident(*id, 1) {
                self.done.resident_pages += 1;
            } else if (missing.len() as u64) < self.left {
                let _ = missing.push(*id);
            } else {
                whole = false;
            }
        }
        self.left -= missing.len() as u64;
        self.pages.fetch(&missing);
        self.settle()?;
        self.coming = missing;
        Ok(whole)
    }

    /// Waits for what was begun.
    fn settle(&mut self) -> Result<()> {
        for id in &self.coming {
            self.pages.read_in(*id)?;
            self.done.read_pages += 1;
        }
        self.coming.clear();
        Ok(())
    }
}

/// Calls `each` with the inner pages of one level, the root's being 1, in the order of their keys, until it
/// says false.
fn each_at<'a, P: Pages<'a>>(
    pages: P,
    root: PageId,
    level: usize,
    mut each: impl FnMut(&InnerView<'a>) -> Result<bool>,
) -> Result<()> {
    // The pages on the way, and which child of each comes next.
    let mut path: heapless::Vec<(PageId, usize), HEIGHT_MAX> = heapless::Vec::new();
    let too_deep = |id| move |_| Error::corrupt(id, Damage::Depth);
    path.push((root, 0)).map_err(too_deep(root))?;
    while let Some((id, index)) = path.pop() {
        let page = inner(pages, id)?;
        if path.len() + 1 == level {
            if !each(&page)? {
                return Ok(());
            }
        } else if index <= page.count() {
            let child = page.child(index)?;
            path.push((id, index + 1)).map_err(too_deep(id))?;
            path.push((child, 0)).map_err(too_deep(child))?;
        }
    }
    Ok(())
}
