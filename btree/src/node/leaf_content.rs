//! Entries of leaves, to be laid out in fresh pages.

use super::{LeafView, NewValue};
use crate::error::Result;
use crate::key::Key;
use core::ops::Range;
use mapleaf_pager::PageId;

/// The entries of one leaf or of two neighbours, with a change that did not fit.
#[derive(Clone, Copy)]
pub(crate) struct LeafContent<'a> {
    left: LeafView<'a>,
}

impl<'a> LeafContent<'a> {
    /// The entries of one leaf.
    pub(crate) fn of(leaf: LeafView<'a>) -> LeafContent<'a> {
        unimplemented!()
    }

    /// The entries of two neighbours.
    pub(crate) fn join(left: LeafView<'a>, right: LeafView<'a>) -> LeafContent<'a> {
        unimplemented!()
    }

    /// With an entry before entry `i`, as [`LeafMut::insert_at`](super::LeafMut::insert_at).
    /// At most one change: a second one replaces the first.
    pub(crate) fn insert(self, i: usize, key: &'a [u8], value: NewValue<'a>) -> LeafContent<'a> {
        unimplemented!()
    }

    /// With another value for entry `i`. At most one change.
    ///
    /// # Errors
    /// `Layout`: no such entry.
    pub(crate) fn replace(self, i: usize, value: NewValue<'a>) -> Result<LeafContent<'a>> {
        unimplemented!()
    }

    /// Number of entries.
    pub(crate) fn len(&self) -> usize {
        unimplemented!()
    }

    /// Key of entry `i`.
    ///
    /// # Errors
    /// As [`LeafView::key`].
    pub(crate) fn key(&self, i: usize) -> Result<Key<'a>> {
        unimplemented!()
    }

    /// Bytes of a page that the entries of `range` take when laid out in it, header included.
    ///
    /// # Errors
    /// As [`LeafView::key`].
    pub(crate) fn page_bytes(&self, range: Range<usize>) -> Result<usize> {
        unimplemented!()
    }

    /// Whether all entries fit in one page (for a merge: compare `page_bytes` with what shall stay
    /// free).
    ///
    /// # Errors
    /// As [`LeafView::key`].
    pub(crate) fn fits(&self) -> Result<bool> {
        unimplemented!()
    }

    /// Where to cut so that both halves fit and take about as many bytes: index of the first entry
    /// of the right half, from 1 to `len - 1`.
    ///
    /// # Errors
    /// `Layout`: fewer than two entries, or no cut fits (the page is damaged).
    pub(crate) fn split_point(&self) -> Result<usize> {
        unimplemented!()
    }

    /// The separator for a cut before entry `at`: the shortest prefix of its key that is above the
    /// key before.
    ///
    /// # Errors
    /// `Layout`: `at` is 0 or past the last entry.
    pub(crate) fn separator(&self, at: usize) -> Result<Key<'a>> {
        unimplemented!()
    }

    /// Makes the page `id` a leaf of the entries of `range`, with the prefix they share.
    ///
    /// `body` must have the length of the source's body. Where the change was a
    /// [`NewValue::Reserved`], its value is then at index `change - range.start`.
    ///
    /// # Errors
    /// `Layout`, of the source page: a cell leaves it, or the entries do not fit.
    pub(crate) fn fill(&self, range: Range<usize>, body: &mut [u8], id: PageId) -> Result<()> {
        unimplemented!()
    }
}
