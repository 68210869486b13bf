//! Changing an inner page in place.

use super::{Fit, InnerView};
use crate::error::Result;
use crate::key::Key;
use mapleaf_pager::PageId;

/// An inner page that may be written.
pub(crate) struct InnerMut<'a> {
    body: &'a mut [u8],
    id: PageId,
}

impl<'a> InnerMut<'a> {
    /// Makes the page an inner page with one child and no separator, for separators that start with
    /// `prefix` (not used below 4 bytes). A new root: `init(body, id, left, &[])`, `insert(0, …)`.
    ///
    /// # Errors
    /// `InvalidArgument`: the prefix is longer than a key may be.
    pub(crate) fn init(
        body: &'a mut [u8],
        id: PageId,
        first_child: PageId,
        prefix: &[u8],
    ) -> Result<InnerMut<'a>> {
        unimplemented!()
    }

    /// The inner page that the page is.
    ///
    /// # Errors
    /// As [`InnerView::new`].
    pub(crate) fn new(body: &'a mut [u8], id: PageId) -> Result<InnerMut<'a>> {
        unimplemented!()
    }

    /// The page, to read.
    pub(crate) fn view(&self) -> InnerView<'_> {
        unimplemented!()
    }

    /// After child `i` was split: inserts `separator` as separator `i` and `right` as child `i + 1`.
    ///
    /// # Errors
    /// `KeyTooLong`; `Layout`: no child `i`, or the page is damaged.
    pub(crate) fn insert(&mut self, i: usize, separator: Key<'_>, right: PageId) -> Result<Fit> {
        unimplemented!()
    }

    /// Makes `page` child `i`, from 0 to `count`.
    ///
    /// # Errors
    /// `Layout`: no such child.
    pub(crate) fn set_child(&mut self, i: usize, page: PageId) -> Result<()> {
        unimplemented!()
    }

    /// Replaces separator `i`.
    ///
    /// # Errors
    /// As [`insert`](InnerMut::insert).
    pub(crate) fn set_separator(&mut self, i: usize, separator: Key<'_>) -> Result<Fit> {
        unimplemented!()
    }

    /// Removes separator `i` and child `child`, which is `i` or `i + 1`.
    ///
    /// # Errors
    /// `Layout`: no such separator, `child` is not beside it, or its cell leaves the page.
    pub(crate) fn remove(&mut self, i: usize, child: usize) -> Result<()> {
        unimplemented!()
    }
}
