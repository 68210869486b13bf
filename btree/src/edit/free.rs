//! Freeing subtrees.

use super::Editor;
use crate::error::{Error, Result};
use crate::path::{Path, inner, leaf};
use mapleaf_pager::{Damage, PageId, Pages};

impl Editor<'_, '_> {
    /// Removes all entries.
    pub(crate) fn clear(&mut self) -> Result<()> {
        self.forget_hint();
        if self.record.height > 0 {
            let cleared = self.free_subtree(self.record.root, usize::from(self.record.height));
            self.whole(cleared)?;
        }
        *self.record = self.record.emptied();
        Ok(())
    }

    /// Frees the pages of the subtree of `height` levels under `root`, and the runs of its values;
    /// its entries, which are counted out.
    ///
    /// Reads each page's header; entries only in a tree that has values in runs.
    ///
    /// # Errors
    /// Damage; `Count` where there are more pages than the tree's record counts, which is what
    /// bounds this on a damaged tree.
    pub(super) fn free_subtree(&mut self, root: PageId, height: usize) -> Result<u64> {
        let mut entries: u64 = 0;
        let mut path = Path::new();
        path.push(root, 0)?;
        while let Some(step) = path.pop() {
            if path.len() + 1 == height {
                entries = entries.saturating_add(self.free_leaf(step.page)?);
                continue;
            }
            let pages = &*self.txn;
            let page = inner(pages, step.page)?;
            if step.index() <= page.count() {
                let child = page.child(step.index())?;
                if step.index() < page.count() {
                    pages.prefetch(page.child(step.index() + 1)?, 0, 1);
                }
                path.push(step.page, step.index() + 1)?;
                path.push(child, 0)?;
            } else {
                self.count_out(step.page, self.record.inner_pages)?;
                self.free_inner_page(step.page)?;
            }
        }
        self.record.entries = self.record.entries.saturating_sub(entries);
        Ok(entries)
    }

    /// Frees a leaf and the runs of its values; its entries, which are not counted out yet.
    fn free_leaf(&mut self, id: PageId) -> Result<u64> {
        let count = leaf(&*self.txn, id)?.count();
        for i in 0..count {
            if self.record.run_pages == 0 {
                break;
            }
            if let Some(run) = self.run_of(leaf(&*self.txn, id)?.value(i)?)? {
                self.free_run(run)?;
            }
        }
        self.count_out(id, self.record.leaf_pages)?;
        self.free_leaf_page(id)?;
        Ok(count as u64)
    }

    /// That the record still counts a page of this kind.
    fn count_out(&self, id: PageId, left: u32) -> Result<()> {
        if left == 0 { Err(Error::corrupt(id, Damage::Count)) } else { Ok(()) }
    }
}
