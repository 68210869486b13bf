//! Reading a leaf.

use crate::error::Result;
use crate::key::Key;
use mapleaf_pager::PageId;

/// A value as its leaf stores it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Value<'a> {
    /// In the leaf.
    Inline(&'a [u8]),
    /// In a run of pages.
    Run {
        /// First page of the run.
        page: PageId,
        /// Length of the value.
        len_bytes: u64,
    },
}

/// A leaf, checked once; each cell is checked when it is touched.
#[derive(Clone, Copy)]
pub(crate) struct LeafView<'a> {
    body: &'a [u8],
    id: PageId,
}

impl<'a> LeafView<'a> {
    /// Views the body of page `id`.
    ///
    /// # Errors
    /// [`Damage::Kind`](mapleaf_pager::Damage::Kind): not a leaf; `Layout`: the header contradicts
    /// itself or the page's size.
    #[inline]
    pub(crate) fn new(body: &'a [u8], id: PageId) -> Result<LeafView<'a>> {
        unimplemented!()
    }

    /// The page's number.
    pub(crate) fn id(&self) -> PageId {
        self.id
    }

    /// Entries on the page.
    #[inline]
    pub(crate) fn count(&self) -> usize {
        unimplemented!()
    }

    /// Key of entry `i`.
    ///
    /// # Errors
    /// `Layout`: its cell leaves the page, or there is no such entry.
    #[inline]
    pub(crate) fn key(&self, i: usize) -> Result<Key<'a>> {
        unimplemented!()
    }

    /// Value of entry `i`.
    ///
    /// # Errors
    /// As [`key`](LeafView::key).
    #[inline]
    pub(crate) fn value(&self, i: usize) -> Result<Value<'a>> {
        unimplemented!()
    }

    /// Key and value of entry `i`.
    ///
    /// # Errors
    /// As [`key`](LeafView::key).
    #[inline]
    pub(crate) fn entry(&self, i: usize) -> Result<(Key<'a>, Value<'a>)> {
        unimplemented!()
    }

    /// Index of the entry with this key. The fastest way to it: an equality scan.
    ///
    /// # Errors
    /// As [`key`](LeafView::key), for the cells compared.
    #[inline]
    pub(crate) fn find(&self, key: &[u8]) -> Result<Option<usize>> {
        unimplemented!()
    }

    /// Index of the first entry at or above `key` (`count` where there is none), and whether it is
    /// `key` itself.
    ///
    /// # Errors
    /// As [`key`](LeafView::key), for the cells compared.
    #[inline]
    pub(crate) fn lower_bound(&self, key: &[u8]) -> Result<(usize, bool)> {
        unimplemented!()
    }

    /// Bytes of the page in use, header included, dead cells and room in the arrays left out.
    pub(crate) fn used_bytes(&self) -> usize {
        unimplemented!()
    }

    /// Bytes of the page not in use, dead cells included.
    pub(crate) fn free_bytes(&self) -> usize {
        unimplemented!()
    }

    /// Whether less than a quarter of the page is in use.
    pub(crate) fn is_underfull(&self) -> bool {
        unimplemented!()
    }

    /// Checks all of the page: cells, heads, strict order of the keys, the count of dead bytes.
    ///
    /// # Errors
    /// `Layout`, or [`Order`](mapleaf_pager::Damage::Order).
    pub(crate) fn check(&self) -> Result<()> {
        unimplemented!()
    }
}
