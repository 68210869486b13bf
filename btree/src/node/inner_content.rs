//! Children and separators of inner pages, to be laid out in fresh pages.

use super::inner::cell_bytes;
use super::inner_mut::{CHILDREN, write_separator};
use super::layout::{INNER, common_len, damaged, field, put, without};
use super::slots::SlotsMut;
use super::split::{self, PageItems};
use super::{Fit, InnerView, Separator};
use crate::error::{Error, Result};
use crate::key::Key;
use core::ops::Range;
use mapleaf_pager::PageId;

/// Children that each half of a split has at least: one separator.
const SIDE_MIN: usize = 2;

/// The children of one inner page or of two neighbours, with a change that did not fit.
///
/// Indices are of children; separator `i` here stands *before* child `i`, from 1 on. Cutting before
/// child `at` sends separator `at` up to the parent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InnerContent<'a> {
    left: InnerView<'a>,
    right: Option<(Key<'a>, InnerView<'a>)>,
    change: Option<Change<'a>>,
}

#[derive(Clone, Copy, Debug)]
struct Change<'a> {
    /// Index of the child that the separator stands before.
    at: usize,
    separator: Key<'a>,
    /// The child, where it is inserted with the separator.
    child: Option<PageId>,
}

impl<'a> InnerContent<'a> {
    /// The children of one page.
    pub(crate) fn of(page: InnerView<'a>) -> InnerContent<'a> {
        InnerContent { left: page, right: None, change: None }
    }

    /// The children of two neighbours, with the parent's separator between them.
    pub(crate) fn join(
        left: InnerView<'a>,
        separator: Key<'a>,
        right: InnerView<'a>,
    ) -> InnerContent<'a> {
        InnerContent { left, right: Some((separator, right)), change: None }
    }

    /// With a separator and its right child inserted, as
    /// [`InnerMut::insert`](super::InnerMut::insert) (child `i` was split). At most one change.
    pub(crate) fn insert(self, i: usize, separator: Key<'a>, right: PageId) -> InnerContent<'a> {
        let change = Change { at: i + 1, separator, child: Some(right) };
        InnerContent { change: Some(change), ..self }
    }

    /// With page separator `i` replaced, as
    /// [`InnerMut::set_separator`](super::InnerMut::set_separator). At most one change.
    pub(crate) fn set_separator(self, i: usize, separator: Key<'a>) -> InnerContent<'a> {
        let change = Change { at: i + 1, separator, child: None };
        InnerContent { change: Some(change), ..self }
    }

    /// Number of children: one more than separators.
    pub(crate) fn children(&self) -> usize {
        let inserted = self.change.is_some_and(|change| change.child.is_some());
        let right = self.right.map_or(0, |(_, right)| right.count() + 1);
        self.left.count() + 1 + right + usize::from(inserted)
    }

    /// Child `i`.
    ///
    /// # Errors
    /// `Layout`: no such child.
    pub(crate) fn child(&self, i: usize) -> Result<PageId> {
        let mut i = i;
        if let Some(Change { at, child: Some(child), .. }) = self.change {
            if i == at {
                return Ok(child);
            }
            i -= usize::from(i > at);
        }
        match self.right {
            Some((_, right)) if i > self.left.count() => right.child(i - self.left.count() - 1),
            _ => self.left.child(i),
        }
    }

    /// The separator before child `at`, from 1 on: what goes up when cut there.
    ///
    /// # Errors
    /// As [`InnerView::separator`].
    pub(crate) fn separator(&self, at: usize) -> Result<Separator<'a>> {
        let mut i = at.checked_sub(1).ok_or(damaged(self.left.id()))?;
        match self.change {
            Some(change) if at == change.at => return Ok(Separator::from(change.separator)),
            Some(change) if at > change.at && change.child.is_some() => i -= 1,
            _ => {}
        }
        let count = self.left.count();
        match self.right {
            Some((separator, _)) if i == count => Ok(Separator::from(separator)),
            Some((_, right)) if i > count => right.separator(i - count - 1),
            _ => self.left.separator(i),
        }
    }

    /// Bytes of a page that the children of `range` and the separators between them take.
    ///
    /// # Errors
    /// As [`InnerView::separator`].
    pub(crate) fn page_bytes(&self, range: Range<usize>) -> Result<usize> {
        split::page_bytes(self, range)
    }

    /// Whether a change that found no room in place wants the page rebuilt or split.
    pub(super) fn fit(&self) -> Result<Fit> {
        split::fit(self, 2 * SIDE_MIN)
    }

    /// Where to cut so that both halves fit and take about as many bytes: index of the right half's
    /// first child. Each half has at least two children.
    ///
    /// # Errors
    /// `Layout`: fewer than four children, or no cut fits (the page is damaged).
    pub(crate) fn split_point(&self) -> Result<usize> {
        split::cut(self, SIDE_MIN)
    }

    /// Makes the page an inner page of the children of `range`, with the prefix their separators
    /// share. `body` must have the length of the source's body.
    ///
    /// # Errors
    /// `Layout`, of the source page: a cell leaves it, the children do not fit, or there are none.
    pub(crate) fn fill(&self, range: Range<usize>, body: &mut [u8]) -> Result<()> {
        let damaged = damaged(self.left.id());
        let separators = range.len().checked_sub(1).ok_or(damaged)?;
        let prefix_len = self.prefix_len(&range)?;
        let first = match separators {
            0 => Separator::from(Key::default()),
            _ => self.separator(range.start + 1)?,
        };
        let prefix = first.key().truncated(prefix_len);
        let mut slots = SlotsMut::init_for(body, &INNER, prefix, separators).ok_or(damaged)?;
        put(slots.body, field::FIRST_CHILD, self.child(range.start)?.0.to_le_bytes());
        for slot in 0..separators {
            let i = range.start + 1 + slot;
            let separator = self.separator(i)?;
            write_separator(&mut slots, slot, without(separator.key(), prefix_len))
                .ok_or(damaged)?;
            slots.set(CHILDREN, slot, self.child(i)?.0.to_le_bytes());
        }
        slots.share_gap();
        Ok(())
    }
}

impl PageItems for InnerContent<'_> {
    /// The first child of a page has no separator there.
    const FREE_ITEMS: usize = 1;

    fn len(&self) -> usize {
        self.children()
    }
    fn damaged(&self) -> Error {
        damaged(self.left.id())
    }
    fn page_size(&self) -> usize {
        self.left.page_size()
    }
    fn prefix_len(&self, range: &Range<usize>) -> Result<usize> {
        if range.len() < 3 {
            return Ok(0);
        }
        let (first, last) = (self.separator(range.start + 1)?, self.separator(range.end - 1)?);
        Ok(common_len(first.key(), last.key()))
    }
    fn item_bytes(&self, i: usize, prefix_len: usize) -> Result<usize> {
        let rest_len = self.separator(i)?.key().len().saturating_sub(prefix_len);
        Ok(INNER.slot_bytes + cell_bytes(rest_len))
    }
}
