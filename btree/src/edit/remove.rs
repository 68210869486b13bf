//! Removing entries.

use super::{Editor, Run, astray};
use crate::error::Result;
use crate::node::{InnerView, LeafMut};
use crate::path::{Path, inner, leaf};
use crate::place::{At, Place};
use mapleaf_pager::{PageId, Pages};

/// How far up the path sparse pages are looked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Climb {
    /// As long as the page below changed its parent.
    WhileChanged,
    /// To the root: several levels have changed.
    ToRoot,
}

impl Editor<'_, '_> {
    /// Removes the entry that the place is at, and logs it; the place is then in the gap it left.
    pub(crate) fn remove(&mut self, place: &mut Place) -> Result<()> {
        self.forget_hint();
        let step = place.entry_here()?;
        let run = self.run_of(leaf(&*self.txn, step.page)?.value(step.index())?)?;
        self.own_path(&mut place.path)?;
        self.log_remove(place)?;
        let removed = self.remove_now(place, run);
        self.whole(removed)
    }

    fn remove_now(&mut self, place: &mut Place, run: Option<Run>) -> Result<()> {
        let left = self.remove_entry(&place.path, run)?;
        place.at = At::Gap;
        if left > 0 {
            return self.settle(&mut place.path, Climb::WhileChanged);
        }
        self.drop_leaf(&mut place.path)?;
        if self.own_if_room(&mut place.path)? {
            self.settle(&mut place.path, Climb::ToRoot)?;
        }
        Ok(())
    }

    /// Removes the entry that the path, which is owned, leads to; how many its leaf still has.
    pub(super) fn remove_entry(&mut self, path: &Path, run: Option<Run>) -> Result<usize> {
        let step = path.leaf_step()?;
        let ([], [body]) = self.txn.edit([], [step.page])?;
        let mut page = LeafMut::new(body, step.page)?;
        page.remove_at(step.index())?;
        let left = page.view().count();
        self.record.entries = self.record.entries.saturating_sub(1);
        if let Some(run) = run {
            self.free_run(run)?;
        }
        Ok(left)
    }

    /// Takes the path's leaf, which has become empty, off the tree, and inner pages that lose their
    /// last child with it. The path then leads to where the leaf was: before the first entry of the
    /// leaf behind it, else behind the last of the one before it.
    pub(super) fn drop_leaf(&mut self, path: &mut Path) -> Result<()> {
        let height = path.len();
        self.free_leaf_page(path.leaf_step()?.page)?;
        path.pop();
        while let Some(step) = path.pop() {
            let count = inner(&*self.txn, step.page)?.count();
            if count == 0 {
                self.free_inner_page(step.page)?;
                continue;
            }
            let child = step.index();
            self.edit_inner(step.page, |page| page.remove(child.saturating_sub(1), child))?;
            return self.go_beside(path, step.page, child, height);
        }
        *self.record = self.record.emptied();
        Ok(())
    }

    /// Leads a path that ends above page `id` to where its child `child` was.
    fn go_beside(&self, path: &mut Path, id: PageId, child: usize, height: usize) -> Result<()> {
        let pages = &*self.txn;
        let page = inner(pages, id)?;
        if child <= page.count() {
            path.push(id, child)?;
            path.down(pages, page.child(child)?, height, |_| Ok(0))?;
            return Ok(());
        }
        let last = page.count();
        path.push(id, last)?;
        let leaf = path.down(pages, page.child(last)?, height, |page| Ok(page.count()))?;
        path.set_entry(leaf.count());
        Ok(())
    }

    /// Merges or fills up what has become sparse on the path, and takes roots without separators
    /// away. The path, which is owned down to the leaf's parent, goes on leading to the same place.
    pub(super) fn settle(&mut self, path: &mut Path, climb: Climb) -> Result<()> {
        for level in (1..path.len()).rev() {
            let changed = self.balance(path, level)?;
            if !changed && climb == Climb::WhileChanged {
                break;
            }
        }
        while path.len() > 1 {
            let root = path.step(0)?;
            let page: InnerView<'_> = inner(&*self.txn, root.page)?;
            if page.count() > 0 {
                break;
            }
            self.record.root = page.child(0)?;
            self.record.height = self.record.height.checked_sub(1).ok_or(astray(root.page))?;
            self.free_inner_page(root.page)?;
            path.pop_root();
        }
        Ok(())
    }

    /// Frees an inner page and counts it out.
    pub(super) fn free_inner_page(&mut self, id: PageId) -> Result<()> {
        self.txn.free(id)?;
        self.record.inner_pages = self.record.inner_pages.saturating_sub(1);
        Ok(())
    }

    /// Frees a leaf and counts it out. Its entries and runs are the caller's to count.
    pub(super) fn free_leaf_page(&mut self, id: PageId) -> Result<()> {
        self.txn.free(id)?;
        self.record.leaf_pages = self.record.leaf_pages.saturating_sub(1);
        Ok(())
    }

    /// Page size in bytes.
    pub(super) fn page_size(&self) -> usize {
        (&*self.txn).page_size()
    }
}
