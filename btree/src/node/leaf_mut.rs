//! Changing a leaf of either kind in place.

use super::fixed_mut::FixedMut;
use super::heads::HeadsView;
use super::heads_mut::{HeadsMut, NewValue};
use super::{Fit, LeafView};
use crate::error::Result;
use crate::width::FixedWidth;
use mapleaf_pager::{PageId, kind};

/// A leaf that may be written.
pub(crate) enum LeafMut<'a> {
    /// Of cells.
    Heads(HeadsMut<'a>),
    /// Of keys and values of one size each.
    Fixed(FixedMut<'a>),
}

impl<'a> LeafMut<'a> {
    /// Makes the page an empty leaf for keys that start with `prefix`.
    ///
    /// # Errors
    /// `InvalidArgument`: the prefix is longer than a key may be.
    pub(crate) fn init(body: &'a mut [u8], id: PageId, prefix: &[u8]) -> Result<LeafMut<'a>> {
        HeadsMut::init(body, id, prefix).map(LeafMut::Heads)
    }

    /// Makes the page an empty leaf for entries of this width.
    ///
    /// # Errors
    /// `Layout`: no page holds such.
    pub(crate) fn init_fixed(
        body: &'a mut [u8],
        id: PageId,
        width: FixedWidth,
    ) -> Result<LeafMut<'a>> {
        FixedMut::init(body, id, width).map(LeafMut::Fixed)
    }

    /// The leaf that the page is.
    ///
    /// # Errors
    /// As [`LeafView::new`].
    pub(crate) fn new(body: &'a mut [u8], id: PageId) -> Result<LeafMut<'a>> {
        if body.first() == Some(&kind::LEAF_FIXED) {
            return FixedMut::new(body, id).map(LeafMut::Fixed);
        }
        HeadsMut::new(body, id).map(LeafMut::Heads)
    }

    /// The leaf, to read.
    pub(crate) fn view(&self) -> LeafView<'_> {
        match self {
            LeafMut::Heads(leaf) => LeafView::Heads(leaf.view()),
            // The header lies in the body: the alternative does not happen.
            LeafMut::Fixed(leaf) => {
                leaf.view().map_or(LeafView::Heads(HeadsView::empty(PageId::NONE)), LeafView::Fixed)
            }
        }
    }

    /// Inserts an entry before entry `i`, where the keys' order wants it (see
    /// [`LeafView::lower_bound`]; `i == count` appends).
    ///
    /// # Errors
    /// `KeyTooLong`, `WrongWidth`; `InvalidArgument`: a value too long to be inline, or no such place;
    /// `Layout`.
    pub(crate) fn insert_at(&mut self, i: usize, key: &[u8], value: NewValue<'_>) -> Result<Fit> {
        match self {
            LeafMut::Heads(leaf) => leaf.insert_at(i, key, value),
            LeafMut::Fixed(leaf) => leaf.insert_at(i, key, value),
        }
    }

    /// Gives entry `i` another value. (A run it held before is the caller's to free.)
    ///
    /// # Errors
    /// As [`insert_at`](LeafMut::insert_at).
    pub(crate) fn replace_at(&mut self, i: usize, value: NewValue<'_>) -> Result<Fit> {
        match self {
            LeafMut::Heads(leaf) => leaf.replace_at(i, value),
            LeafMut::Fixed(leaf) => leaf.replace_at(i, value),
        }
    }

    /// Removes entry `i`. (A run it held is the caller's to free.)
    ///
    /// # Errors
    /// `Layout`: its cell leaves the page, or there is no such entry.
    pub(crate) fn remove_at(&mut self, i: usize) -> Result<()> {
        match self {
            LeafMut::Heads(leaf) => leaf.remove_at(i),
            LeafMut::Fixed(leaf) => leaf.remove_at(i),
        }
    }

    /// The inline value of entry `i`, to be written.
    ///
    /// # Errors
    /// `Layout` as for `remove_at`, and where the value lies in a run.
    pub(crate) fn value_mut(self, i: usize) -> Result<&'a mut [u8]> {
        match self {
            LeafMut::Heads(leaf) => leaf.value_mut(i),
            LeafMut::Fixed(leaf) => leaf.value_mut(i),
        }
    }
}
