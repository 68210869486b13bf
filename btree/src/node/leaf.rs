//! A leaf of any kind: of cells, by heads (leaf H, [`HeadsView`]) or by fingerprints (leaf F, [`PrintsView`]),
//! or of fixed width (leaf X, [`FixedView`]). The page says which.

#[cfg(feature = "fingerprints")]
use super::cells::PrintsView;
use super::cells::{HeadsView, RawCell, Value};
use super::fixed::FixedView;
use super::heads::Heads;
use super::layout::{Shape, damaged};
#[cfg(feature = "fingerprints")]
use super::prints::Prints;
use super::tags::Tags;
use crate::error::Result;
use crate::key::Key;
use crate::width::FixedWidth;
use mapleaf_pager::{PageId, kind};

/// A leaf, checked once; each cell is checked when it is touched.
#[derive(Clone, Copy, Debug)]
pub(crate) enum LeafView<'a> {
    /// Of cells, found by heads.
    Heads(HeadsView<'a>),
    /// Of cells, found by fingerprints.
    #[cfg(feature = "fingerprints")]
    Prints(PrintsView<'a>),
    /// Of keys and values of one size each.
    Fixed(FixedView<'a>),
}

impl<'a> From<HeadsView<'a>> for LeafView<'a> {
    fn from(leaf: HeadsView<'a>) -> LeafView<'a> {
        LeafView::Heads(leaf)
    }
}

#[cfg(feature = "fingerprints")]
impl<'a> From<PrintsView<'a>> for LeafView<'a> {
    fn from(leaf: PrintsView<'a>) -> LeafView<'a> {
        LeafView::Prints(leaf)
    }
}

/// Calls the same method of whichever leaf it is, or another where the width is fixed.
macro_rules! any {
    ($leaf:expr, $view:ident => $call:expr) => {
        any!($leaf, $view => $call, $view => $call)
    };
    ($leaf:expr, $view:ident => $call:expr, $fixed:pat => $other:expr) => {
        match $leaf {
            LeafView::Heads($view) => $call,
            #[cfg(feature = "fingerprints")]
            LeafView::Prints($view) => $call,
            LeafView::Fixed($fixed) => $other,
        }
    };
}

impl<'a> LeafView<'a> {
    /// Views the body of page `id`.
    ///
    /// # Errors
    /// [`Damage::Kind`](mapleaf_pager::Damage::Kind): not a leaf; `Layout`: the header contradicts
    /// itself or the page's size.
    #[inline]
    pub(crate) fn new(body: &'a [u8], id: PageId) -> Result<LeafView<'a>> {
        if body.first() == Some(&kind::LEAF_FIXED) {
            return FixedView::new(body, id).map(LeafView::Fixed);
        }
        #[cfg(feature = "fingerprints")]
        if body.first() == Some(&kind::LEAF_FINGERPRINT) {
            return PrintsView::new(body, id).map(LeafView::Prints);
        }
        HeadsView::new(body, id).map(LeafView::Heads)
    }

    /// The page's number.
    pub(crate) fn id(&self) -> PageId {
        any!(self, leaf => leaf.id())
    }

    /// Entries on the page.
    #[inline]
    pub(crate) fn count(&self) -> usize {
        any!(self, leaf => leaf.count())
    }

    /// The sizes of its entries, where they are fixed.
    pub(crate) fn width(&self) -> Option<FixedWidth> {
        match self {
            LeafView::Fixed(leaf) => Some(leaf.width()),
            _ => None,
        }
    }

    /// Key of entry `i`.
    ///
    /// # Errors
    /// `Layout`: its cell leaves the page, or there is no such entry.
    #[inline]
    pub(crate) fn key(&self, i: usize) -> Result<Key<'a>> {
        any!(self, leaf => leaf.key(i))
    }

    /// Value of entry `i`.
    ///
    /// # Errors
    /// As [`key`](LeafView::key), and `Layout` where its reference to a run is malformed.
    #[inline]
    pub(crate) fn value(&self, i: usize) -> Result<Value<'a>> {
        any!(self, leaf => leaf.value(i))
    }

    /// Key and value of entry `i`.
    ///
    /// # Errors
    /// As [`value`](LeafView::value).
    #[inline]
    pub(crate) fn entry(&self, i: usize) -> Result<(Key<'a>, Value<'a>)> {
        any!(self, leaf => leaf.entry(i))
    }

    /// Asks for the entry `i`, if there is one, where it lies apart from those around it.
    #[inline]
    pub(crate) fn prefetch_entry(&self, i: usize) {
        any!(self, leaf => leaf.prefetch_cell(i), _ => {});
    }

    /// Index of the entry with this key.
    ///
    /// # Errors
    /// As [`key`](LeafView::key), for the cells compared.
    #[inline]
    pub(crate) fn find(&self, key: &[u8]) -> Result<Option<usize>> {
        any!(self, leaf => leaf.find(key), leaf => Ok(leaf.find(key)))
    }

    /// Value of the entry with this key: [`find`](LeafView::find) and [`value`](LeafView::value) in
    /// one.
    ///
    /// # Errors
    /// As [`value`](LeafView::value), for the cells compared.
    #[inline]
    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Value<'a>>> {
        any!(self, leaf => leaf.get(key), leaf => Ok(leaf.get(key)))
    }

    /// Where in the page the value of this key is likely to be found.
    #[inline]
    pub(crate) fn place_of(&self, key: &[u8]) -> Option<usize> {
        any!(self, leaf => leaf.place_of(key))
    }

    /// Index of the first entry at or above `key` (`count` where there is none), and whether it is
    /// `key` itself.
    ///
    /// # Errors
    /// As [`key`](LeafView::key), for the cells compared.
    #[inline]
    pub(crate) fn lower_bound(&self, key: &[u8]) -> Result<(usize, bool)> {
        any!(self, leaf => leaf.lower_bound(key), leaf => Ok(leaf.lower_bound(key)))
    }

    /// What all keys of the page start with, as far as it is stored once.
    pub(crate) fn prefix(&self) -> &'a [u8] {
        any!(self, leaf => leaf.prefix(), _ => &[])
    }

    /// The arrays of a leaf of cells; `None` where the width is fixed.
    pub(super) fn shape(&self) -> Option<&'static Shape> {
        match self {
            LeafView::Heads(_) => Some(Heads::SHAPE),
            #[cfg(feature = "fingerprints")]
            LeafView::Prints(_) => Some(Prints::SHAPE),
            LeafView::Fixed(_) => None,
        }
    }

    /// The cell of entry `i` to be copied, and its tag. A leaf of fixed width has none: here it is damage.
    #[inline]
    pub(super) fn raw(&self, i: usize) -> Result<(u32, RawCell<'a>)> {
        any!(self, leaf => leaf.raw(i), leaf => Err(damaged(leaf.id())))
    }

    /// Bytes of the cell of entry `i`, as [`raw`](LeafView::raw).
    pub(super) fn cell_bytes(&self, i: usize) -> Result<usize> {
        let place = any!(self, leaf => leaf.place(i), leaf => Err(damaged(leaf.id())));
        place.map(|place| place.len())
    }

    /// Entries there is room for in the arrays.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        any!(self, leaf => leaf.capacity())
    }

    /// Page size in bytes.
    pub(super) fn page_size(&self) -> usize {
        any!(self, leaf => leaf.page_size())
    }

    /// Bytes of the page in use, header included, dead cells and room in the arrays left out.
    pub(crate) fn used_bytes(&self) -> usize {
        any!(self, leaf => leaf.used_bytes())
    }

    /// Checks all of the page.
    ///
    /// # Errors
    /// `Layout`, or [`Order`](mapleaf_pager::Damage::Order).
    pub(crate) fn check(&self) -> Result<()> {
        any!(self, leaf => leaf.check())
    }
}
