//! Children and separators of inner pages, to be laid out in fresh pages.

use super::{InnerView, Separator};
use crate::error::Result;
use crate::key::Key;
use core::ops::Range;
use mapleaf_pager::PageId;

/// The children of one inner page or of two neighbours, with a change that did not fit.
///
/// Indices are of children; separator `i` here stands *before* child `i`, from 1 on. Cutting before
/// child `at` sends separator `at` up to the parent.
#[derive(Clone, Copy)]
pub(crate) struct InnerContent<'a> {
    left: InnerView<'a>,
}

impl<'a> InnerContent<'a> {
    /// The children of one page.
    pub(crate) fn of(page: InnerView<'a>) -> InnerContent<'a> {
        unimplemented!()
    }

    /// The children of two neighbours, with the parent's separator between them.
    pub(crate) fn join(
        left: InnerView<'a>,
        separator: Key<'a>,
        right: InnerView<'a>,
    ) -> InnerContent<'a> {
        unimplemented!()
    }

    /// With a separator and its right child inserted, as
    /// [`InnerMut::insert`](super::InnerMut::insert) (child `i` was split). Only on `of`.
    pub(crate) fn insert(self, i: usize, separator: Key<'a>, right: PageId) -> InnerContent<'a> {
        unimplemented!()
    }

    /// With page separator `i` replaced, as
    /// [`InnerMut::set_separator`](super::InnerMut::set_separator). Only on `of`.
    pub(crate) fn set_separator(self, i: usize, separator: Key<'a>) -> InnerContent<'a> {
        unimplemented!()
    }

    /// Number of children: one more than separators.
    pub(crate) fn children(&self) -> usize {
        unimplemented!()
    }

    /// Child `i`.
    ///
    /// # Errors
    /// `Layout`: no such child.
    pub(crate) fn child(&self, i: usize) -> Result<PageId> {
        unimplemented!()
    }

    /// The separator before child `at`, from 1 on: what goes up when cut there.
    ///
    /// # Errors
    /// As [`InnerView::separator`].
    pub(crate) fn separator(&self, at: usize) -> Result<Separator<'a>> {
        unimplemented!()
    }

    /// Bytes of a page that the children of `range` and the separators between them take.
    ///
    /// # Errors
    /// As [`InnerView::separator`].
    pub(crate) fn page_bytes(&self, range: Range<usize>) -> Result<usize> {
        unimplemented!()
    }

    /// Whether all children fit in one page.
    ///
    /// # Errors
    /// As [`InnerView::separator`].
    pub(crate) fn fits(&self) -> Result<bool> {
        unimplemented!()
    }

    /// Where to cut so that both halves fit and take about as many bytes: index of the right half's
    /// first child. Each half has at least two children.
    ///
    /// # Errors
    /// `Layout`: fewer than four children, or no cut fits (the page is damaged).
    pub(crate) fn split_point(&self) -> Result<usize> {
        unimplemented!()
    }

    /// Makes the page `id` an inner page of the children of `range`.
    ///
    /// # Errors
    /// `Layout`, of the source page: a cell leaves it, the children do not fit, or there are none.
    pub(crate) fn fill(&self, range: Range<usize>, body: &mut [u8], id: PageId) -> Result<()> {
        unimplemented!()
    }
}
