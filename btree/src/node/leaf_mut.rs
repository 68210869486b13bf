//! Changing a leaf of any kind in place.

use super::cells::HeadsView;
use super::cells_mut::{CellsMut, NewValue};
use super::fixed_mut::FixedMut;
use super::heads::Heads;
#[cfg(feature = "fingerprints")]
use super::prints::Prints;
use super::{Fit, LeafView};
use crate::error::Result;
use crate::width::FixedWidth;
use mapleaf_pager::{PageId, kind};

/// A leaf that may be written.
pub(crate) enum LeafMut<'a> {
    /// Of cells, found by heads.
    Heads(CellsMut<'a, Heads>),
    /// Of cells, found by fingerprints.
    #[cfg(feature = "fingerprints")]
    Prints(CellsMut<'a, Prints>),
    /// Of keys and values of one size each.
    Fixed(FixedMut<'a>),
}

impl<'a> LeafMut<'a> {
    /// Makes the page an empty leaf for keys that start with `prefix`.
    ///
    /// # Errors
    /// `InvalidArgument`: the prefix is longer than a key may be.
    pub(crate) fn init(body: &'a mut [u8], id: PageId, prefix: &[u8]) -> Result<LeafMut<'a>> {
        CellsMut::init(body, id, prefix).map(LeafMut::Heads)
    }

    /// As [`init`](LeafMut::init), a leaf of fingerprints where `prints` says so and this build has them.
    ///
    /// # Errors
    /// As [`init`](LeafMut::init).
    pub(crate) fn init_as(
        body: &'a mut [u8],
        id: PageId,
        prefix: &[u8],
        prints: bool,
    ) -> Result<LeafMut<'a>> {
        #[cfg(feature = "fingerprints")]
        if prints {
            return CellsMut::init(body, id, prefix).map(LeafMut::Prints);
        }
        #[cfg(not(feature = "fingerprints"))]
        let _ = prints;
        LeafMut::init(body, id, prefix)
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
        #[cfg(feature = "fingerprints")]
        if body.first() == Some(&kind::LEAF_FINGERPRINT) {
            return CellsMut::new(body, id).map(LeafMut::Prints);
        }
        CellsMut::new(body, id).map(LeafMut::Heads)
    }

    /// The leaf, to read.
    pub(crate) fn view(&self) -> LeafView<'_> {
        match self {
            LeafMut::Heads(leaf) => LeafView::Heads(leaf.view()),
            #[cfg(feature = "fingerprints")]
            LeafMut::Prints(leaf) => LeafView::Prints(leaf.view()),
            // The header lies in the body: the alternative does not happen.
            LeafMut::Fixed(leaf) => {
                let none = LeafView::Heads(HeadsView::empty(PageId::NONE));
                leaf.view().map_or(none, LeafView::Fixed)
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
            #[cfg(feature = "fingerprints")]
            LeafMut::Prints(leaf) => leaf.insert_at(i, key, value),
            LeafMut::Fixed(leaf) => leaf.insert_at(i, key, value),
        }
    }

    /// Inserts an entry behind the last where its key is above that, its value one that is inline, and there is
    /// room for it as the page is laid out: whether it did. Else nothing changed, and
    /// [`insert_at`](LeafMut::insert_at) says why.
    ///
    /// # Errors
    /// `Layout`.
    #[inline]
    pub(crate) fn append(&mut self, key: &[u8], value: &[u8]) -> Result<bool> {
        match self {
            LeafMut::Heads(leaf) => leaf.append(key, value),
            #[cfg(feature = "fingerprints")]
            LeafMut::Prints(leaf) => leaf.append(key, value),
            LeafMut::Fixed(leaf) => leaf.append(key, value),
        }
    }

    /// Gives entry `i` another value. (A run it held before is the caller's to free.)
    ///
    /// # Errors
    /// As [`insert_at`](LeafMut::insert_at).
    pub(crate) fn replace_at(&mut self, i: usize, value: NewValue<'_>) -> Result<Fit> {
        match self {
            LeafMut::Heads(leaf) => leaf.replace_at(i, value),
            #[cfg(feature = "fingerprints")]
            LeafMut::Prints(leaf) => leaf.replace_at(i, value),
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
            #[cfg(feature = "fingerprints")]
            LeafMut::Prints(leaf) => leaf.remove_at(i),
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
            #[cfg(feature = "fingerprints")]
            LeafMut::Prints(leaf) => leaf.value_mut(i),
            LeafMut::Fixed(leaf) => leaf.value_mut(i),
        }
    }
}
