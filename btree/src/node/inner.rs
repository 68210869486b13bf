//! Reading an inner page.

use crate::error::Result;
use crate::key::Key;
use mapleaf_pager::PageId;

/// A separator, read from a page or given. Short ones lie in no single slice of the page, so this
/// carries up to four bytes of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Separator<'a> {
    key: Key<'a>,
    own: [u8; 4],
    own_len: u8,
}

impl Separator<'_> {
    /// The separator as a key.
    #[inline]
    pub(crate) fn key(&self) -> Key<'_> {
        unimplemented!()
    }
}

/// An inner page, checked once; each cell is checked when it is touched.
///
/// `count` separators lie between `count + 1` children; child `i + 1` holds the keys at or above
/// separator `i`.
#[derive(Clone, Copy)]
pub(crate) struct InnerView<'a> {
    body: &'a [u8],
    id: PageId,
}

impl<'a> InnerView<'a> {
    /// Views the body of page `id`.
    ///
    /// # Errors
    /// [`Damage::Kind`](mapleaf_pager::Damage::Kind): not an inner page; `Layout`: the header
    /// contradicts itself or the page's size.
    #[inline]
    pub(crate) fn new(body: &'a [u8], id: PageId) -> Result<InnerView<'a>> {
        unimplemented!()
    }

    /// The page's number.
    pub(crate) fn id(&self) -> PageId {
        self.id
    }

    /// Separators on the page: one less than children.
    #[inline]
    pub(crate) fn count(&self) -> usize {
        unimplemented!()
    }

    /// Child `i`, from 0 to `count`.
    ///
    /// # Errors
    /// `Layout`: no such child.
    #[inline]
    pub(crate) fn child(&self, i: usize) -> Result<PageId> {
        unimplemented!()
    }

    /// Separator `i`, between children `i` and `i + 1`.
    ///
    /// # Errors
    /// `Layout`: its cell leaves the page, or there is no such separator.
    #[inline]
    pub(crate) fn separator(&self, i: usize) -> Result<Separator<'a>> {
        unimplemented!()
    }

    /// Index, from 0 to `count`, of the child that holds `key`.
    ///
    /// # Errors
    /// As [`separator`](InnerView::separator), for the cells compared.
    #[inline]
    pub(crate) fn search(&self, key: &[u8]) -> Result<usize> {
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

    /// Checks all of the page: cells, heads, strict order of the separators, the count of dead bytes.
    ///
    /// # Errors
    /// `Layout`, or [`Order`](mapleaf_pager::Damage::Order).
    pub(crate) fn check(&self) -> Result<()> {
        unimplemented!()
    }
}
