//! Changing a tree: one write path for trees and catalog.
//!
//! Every change goes the same way:
//!
//! ```text
//! go down to the entry, remembering the path
//! own the path: copy each of its pages that is older than this transaction (or savepoint),
//! top-down change the leaf in place; else lay it out in one fresh page, or in two (split)
//! after a split: the parent gets a separator, and may be rebuilt or split in turn, up to the root
//! after a removal: a page that has become sparse is merged with a neighbour or shares its entries
//! ```
//!
//! An error before the first change leaves the tree as it was: pages are reserved before a split
//! begins, and owning a path changes no entry. An error behind that marks the transaction as
//! failed. Merging is optional: where there is no page for it, a removal succeeds without it.

mod balance;
mod extend;
mod free;
mod hint;
mod load;
mod put;
mod range;
mod remove;
mod split;
#[cfg(test)]
mod tests;

pub use extend::Pending;
pub(crate) use hint::Hint;
pub(crate) use load::Fill;
pub(crate) use put::Source;

use crate::TreeRecord;
use crate::error::{Error, Result};
use crate::node::{InnerMut, max_key_len};
use crate::path::{Path, Step};
use crate::place::Place;
use crate::redo::TreeLog;
use mapleaf_pager::{Damage, HEADER_BYTES, PageId, Pages, WriteTxn};

/// One tree of the write transaction, to be changed.
pub(crate) struct Editor<'t, 's> {
    pub(crate) txn: &'t mut WriteTxn<'s>,
    pub(crate) record: &'t mut TreeRecord,
    /// Where changes are logged; `None` for the catalog (and in a replay).
    pub(crate) log: Option<TreeLog<'t>>,
    /// Where the last insertion was.
    pub(crate) hint: Option<&'t mut Hint>,
}

impl<'s> Editor<'_, 's> {
    /// The same, borrowed for less long.
    pub(crate) fn reborrow(&mut self) -> Editor<'_, 's> {
        Editor {
            txn: self.txn,
            record: self.record,
            log: self.log.as_mut().map(TreeLog::reborrow),
            hint: self.hint.as_deref_mut(),
        }
    }

    /// That a tree of this page size can hold the key.
    pub(crate) fn check_key(&self, key: &[u8]) -> Result<()> {
        if let Some(width) = self.record.fixed {
            return width.check(key.len(), usize::from(width.value_bytes));
        }
        let limit_bytes = max_key_len((&*self.txn).page_size());
        if key.len() > limit_bytes { Err(Error::KeyTooLong { limit_bytes }) } else { Ok(()) }
    }

    /// Whether a leaf that is laid out anew may be one of fingerprints.
    fn prints(&self) -> bool {
        #[cfg(feature = "fingerprints")]
        return self.txn.may_use(mapleaf_pager::features::FINGERPRINTS);
        #[cfg(not(feature = "fingerprints"))]
        false
    }

    /// Has the file say what builds must know to read these leaves, which were laid out anew.
    #[inline]
    fn announce_leaves(&mut self, leaves: &[PageId]) -> Result<()> {
        #[cfg(feature = "fingerprints")]
        for id in leaves {
            if (&*self.txn).page(*id)?.first() == Some(&mapleaf_pager::kind::LEAF_FINGERPRINT) {
                self.txn.announce(mapleaf_pager::features::FINGERPRINTS)?;
            }
        }
        #[cfg(not(feature = "fingerprints"))]
        let _ = leaves;
        Ok(())
    }

    /// Marks the transaction as failed if a change broke off in the middle.
    fn whole<T>(&mut self, changed: Result<T>) -> Result<T> {
        if changed.is_err() {
            self.txn.fail();
        }
        changed
    }

    /// Makes all pages of the path this transaction's own. Changes no entry; where it fails the
    /// tree is as it was, though some pages may be others.
    pub(crate) fn own_path(&mut self, path: &mut Path) -> Result<()> {
        // A page is never younger than its parent: where the leaf is ours, all above it are.
        if path.is_empty() || self.txn.owned(path.leaf_step()?.page)? {
            return Ok(());
        }
        self.txn.reserve(path.len() as u32)?;
        for level in 0..path.len() {
            let step = path.step(level)?;
            let page = self.txn.own(step.page)?;
            if page != step.page {
                let linked = self.link(path, level, page);
                self.whole(linked)?;
            }
        }
        Ok(())
    }

    /// Makes `page` the page of the path's step at `level`, in its parent too (or as the root).
    fn link(&mut self, path: &mut Path, level: usize, page: PageId) -> Result<()> {
        match level.checked_sub(1) {
            None => self.record.root = page,
            Some(above) => {
                let parent = path.step(above)?;
                self.edit_inner(parent.page, |inner| inner.set_child(parent.index(), page))?;
            }
        }
        let index = path.step(level)?.index();
        path.set(level, page, index);
        Ok(())
    }

    /// Changes an inner page that is this transaction's own.
    fn edit_inner<T>(
        &mut self,
        id: PageId,
        change: impl FnOnce(&mut InnerMut<'_>) -> Result<T>,
    ) -> Result<T> {
        let ([], [body]) = self.txn.edit([], [id])?;
        change(&mut InnerMut::new(body, id)?)
    }

    /// [`own_path`](Editor::own_path); false where there is no room for it.
    fn own_if_room(&mut self, path: &mut Path) -> Result<bool> {
        match self.own_path(path) {
            Ok(()) => Ok(true),
            Err(Error::Pager(mapleaf_pager::Error::Full)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// A fresh page, or `None` where there is no room for one.
    fn claim_if_room(&mut self) -> Result<Option<PageId>> {
        match self.txn.claim() {
            Ok(page) => Ok(Some(page)),
            Err(mapleaf_pager::Error::Full) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Pages of a run that holds `len_bytes`.
    fn run_pages(&self, len_bytes: u64) -> u32 {
        let page_size = (&*self.txn).page_size() as u64;
        let pages = len_bytes.saturating_add(HEADER_BYTES as u64).div_ceil(page_size);
        u32::try_from(pages).unwrap_or(u32::MAX)
    }

    /// Frees the run of a removed value.
    fn free_run(&mut self, run: Run) -> Result<()> {
        self.txn.free_run(run.page)?;
        let pages = self.run_pages(run.len_bytes);
        self.record.run_pages = self.record.run_pages.saturating_sub(pages);
        Ok(())
    }
}

/// A value's run of pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Run {
    page: PageId,
    len_bytes: u64,
}

impl Place {
    /// The entry here.
    ///
    /// # Errors
    /// `InvalidArgument`: the place is at no entry.
    fn entry_here(&self) -> Result<Step> {
        self.entry().ok_or(Error::Pager(mapleaf_pager::Error::InvalidArgument))
    }
}

/// The error for a path that does not match its pages.
fn astray(page: PageId) -> Error {
    Error::corrupt(page, Damage::Depth)
}
