//! Changing a leaf in place.

use super::{Fit, LeafView};
use crate::error::Result;
use mapleaf_pager::PageId;

/// A value to store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NewValue<'v> {
    /// In the leaf; at most [`max_inline_value`](super::max_inline_value) bytes.
    Inline(&'v [u8]),
    /// Room for so many bytes in the leaf, to be written through [`LeafMut::value_mut`].
    Reserved(usize),
    /// In a run of pages.
    Run {
        /// First page of the run.
        page: PageId,
        /// Length of the value.
        len_bytes: u64,
    },
}

/// A leaf that may be written.
pub(crate) struct LeafMut<'a> {
    body: &'a mut [u8],
    id: PageId,
}

impl<'a> LeafMut<'a> {
    /// Makes the page an empty leaf for keys that start with `prefix` (not used below 4 bytes).
    ///
    /// # Errors
    /// `InvalidArgument`: the prefix is longer than a key may be.
    pub(crate) fn init(body: &'a mut [u8], id: PageId, prefix: &[u8]) -> Result<LeafMut<'a>> {
        unimplemented!()
    }

    /// The leaf that the page is.
    ///
    /// # Errors
    /// As [`LeafView::new`].
    pub(crate) fn new(body: &'a mut [u8], id: PageId) -> Result<LeafMut<'a>> {
        unimplemented!()
    }

    /// The leaf, to read.
    pub(crate) fn view(&self) -> LeafView<'_> {
        unimplemented!()
    }

    /// Inserts an entry before entry `i`, where the keys' order wants it (see
    /// [`LeafView::lower_bound`]; `i == count` appends).
    ///
    /// # Errors
    /// `KeyTooLong`; `InvalidArgument`: a value too long to be inline, or no such place; `Layout`.
    pub(crate) fn insert_at(&mut self, i: usize, key: &[u8], value: NewValue<'_>) -> Result<Fit> {
        unimplemented!()
    }

    /// Gives entry `i` another value. (A run it held before is the caller's to free.)
    ///
    /// # Errors
    /// As [`insert_at`](LeafMut::insert_at).
    pub(crate) fn replace_at(&mut self, i: usize, value: NewValue<'_>) -> Result<Fit> {
        unimplemented!()
    }

    /// Removes entry `i`. (A run it held is the caller's to free.)
    ///
    /// # Errors
    /// `Layout`: its cell leaves the page, or there is no such entry.
    pub(crate) fn remove_at(&mut self, i: usize) -> Result<()> {
        unimplemented!()
    }

    /// The inline value of entry `i`, to be written.
    ///
    /// # Errors
    /// `Layout` as for `remove_at`, and where the value lies in a run.
    pub(crate) fn value_mut(self, i: usize) -> Result<&'a mut [u8]> {
        unimplemented!()
    }
}
