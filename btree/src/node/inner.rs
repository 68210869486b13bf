//! Reading an inner page.
//!
//! | array | slot |
//! |---|---|
//! | heads | u32: first 4 bytes of the separator behind the prefix, as a number |
//! | children | u32: the page of the keys at or above the separator |
//! | offsets | u16: page offset of the cell, or 0..=4: no cell, so many bytes, all in the head |
//!
//! A cell: len u16, then that many bytes of separator, all that follows the prefix.

use super::layout::{
    BODY_HEADER_BYTES, HEAD_BYTES, Header, INNER, behind_prefix, damaged, field, head, head_of,
    without,
};
use super::search::{self, Head};
use crate::error::{Error, Result};
use crate::key::Key;
use mapleaf_pager::{Damage, OWNED_BYTES, PageId};

/// Bytes of a cell before its separator.
pub(super) const CELL_HEADER_BYTES: usize = 2;

/// Bytes of the cell of a separator of `len` bytes behind the prefix: none where its head says all.
pub(super) const fn cell_bytes(len: usize) -> usize {
    if len <= HEAD_BYTES { 0 } else { CELL_HEADER_BYTES + len }
}

/// A separator, read from a page or given. Short ones lie in no single slice of the page, so this
/// carries up to four bytes of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Separator<'a> {
    /// The prefix and what has a cell.
    key: Key<'a>,
    /// What has no cell, behind the prefix.
    own: [u8; HEAD_BYTES],
    own_len: usize,
}

impl Separator<'_> {
    /// The separator as a key.
    #[inline]
    pub(crate) fn key(&self) -> Key<'_> {
        match self.own.get(..self.own_len) {
            Some(own @ [_, ..]) => {
                let [prefix, ..] = self.key.parts();
                Key::new(prefix, own)
            }
            _ => self.key,
        }
    }
}

impl<'a> From<Key<'a>> for Separator<'a> {
    fn from(key: Key<'a>) -> Separator<'a> {
        Separator { key, own: [0; HEAD_BYTES], own_len: 0 }
    }
}

/// What follows the prefix in a separator, as a slot stores it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Rest<'a> {
    /// So many bytes of the head, at most 4.
    Head(usize),
    /// A cell, at this body offset.
    Cell(usize, &'a [u8]),
}

/// An inner page, checked once; each cell is checked when it is touched.
///
/// `count` separators lie between `count + 1` children; child `i + 1` holds the keys at or above
/// separator `i`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InnerView<'a> {
    body: &'a [u8],
    prefix: &'a [u8],
    heads: &'a [Head],
    children: &'a [[u8; 4]],
    offsets: &'a [[u8; 2]],
    heap: usize,
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
        match Header::read(body, &INNER) {
            Ok(header) => InnerView::with(body, &header, id).ok_or(damaged(id)),
            Err(damage) => Err(Error::corrupt(id, damage)),
        }
    }

    /// The page with this header; always one where [`Header::read`] read it from this body. By
    /// branches, as [`LeafView::with`](super::LeafView).
    #[inline]
    pub(super) fn with(body: &'a [u8], header: &Header, id: PageId) -> Option<InnerView<'a>> {
        let heads = body.get(header.arrays()..)?;
        let children = heads.get(header.capacity * HEAD_BYTES..)?;
        let offsets = children.get(header.capacity * size_of::<PageId>()..)?;
        Some(InnerView {
            body,
            prefix: body.get(BODY_HEADER_BYTES..)?.get(..header.prefix_len)?,
            heads: heads.as_chunks().0.get(..header.count)?,
            children: children.as_chunks().0.get(..header.count)?,
            offsets: offsets.as_chunks().0.get(..header.count)?,
            heap: header.heap,
            id,
        })
    }

    /// A page without separators or children.
    pub(super) const fn empty(id: PageId) -> InnerView<'a> {
        InnerView { body: &[], prefix: &[], heads: &[], children: &[], offsets: &[], heap: 0, id }
    }

    /// The page's number.
    pub(crate) fn id(&self) -> PageId {
        self.id
    }

    /// Separators on the page: one less than children.
    #[inline]
    pub(crate) fn count(&self) -> usize {
        self.heads.len()
    }

    /// Child `i`, from 0 to `count`.
    ///
    /// # Errors
    /// `Layout`: no such child.
    #[inline]
    pub(crate) fn child(&self, i: usize) -> Result<PageId> {
        let bytes = match i.checked_sub(1) {
            None => self.body.get(field::FIRST_CHILD..).and_then(<[u8]>::first_chunk),
            Some(slot) => self.children.get(slot),
        };
        match bytes {
            Some(bytes) => Ok(PageId(u32::from_le_bytes(*bytes))),
            None => Err(damaged(self.id)),
        }
    }

    /// Separator `i`, between children `i` and `i + 1`.
    ///
    /// # Errors
    /// `Layout`: its cell leaves the page, or there is no such separator.
    #[inline]
    pub(crate) fn separator(&self, i: usize) -> Result<Separator<'a>> {
        let (Some(rest), Some(head)) = (self.rest(i), self.heads.get(i)) else {
            return Err(damaged(self.id));
        };
        let own = u32::from_le_bytes(*head).to_be_bytes();
        Ok(match rest {
            Rest::Head(own_len) => Separator { key: Key::new(self.prefix, &[]), own, own_len },
            Rest::Cell(_, cell) => Separator::from(Key::new(self.prefix, cell)),
        })
    }

    /// Index, from 0 to `count`, of the child that holds `key`: the number of separators at or
    /// below it.
    ///
    /// # Errors
    /// As [`separator`](InnerView::separator), for the cells compared.
    // Always: each level of a get ends here, and a call would pass the view through memory.
    #[inline(always)]
    pub(crate) fn search(&self, key: &[u8]) -> Result<usize> {
        // The prefix comes from the separators that happened to be there: it has to be compared.
        let rest = match behind_prefix(self.prefix, key) {
            Ok(rest) => rest,
            Err(order) if order.is_lt() => return Ok(0),
            Err(_) => return Ok(self.count()),
        };
        let needle = head(rest);
        let first = search::lower_bound(self.heads, needle);
        match self.heads.get(first..) {
            Some(ties @ [tie, ..]) if *tie == needle.to_le_bytes() => {
                self.search_ties(first, ties, rest)
            }
            _ => Ok(first),
        }
    }

    /// The search among separators of the key's head, which `ties` starts with: by bytes, and a
    /// shorter one before a longer one.
    #[inline(never)]
    fn search_ties(&self, mut first: usize, ties: &[Head], rest: &[u8]) -> Result<usize> {
        let mut end = first + search::upper_bound(ties, head(rest));
        while first < end {
            let middle = first + (end - first) / 2;
            let at_or_below = match self.rest(middle) {
                // All its bytes are in the head, and so they are as the key's: the shorter is less.
                Some(Rest::Head(len)) => len <= rest.len(),
                Some(Rest::Cell(_, cell)) => cell <= rest,
                None => return Err(damaged(self.id)),
            };
            if at_or_below {
                first = middle + 1;
            } else {
                end = middle;
            }
        }
        Ok(first)
    }

    /// What follows the prefix in separator `i`.
    #[inline]
    fn rest(&self, i: usize) -> Option<Rest<'a>> {
        let offset = usize::from(u16::from_le_bytes(*self.offsets.get(i)?));
        if offset <= HEAD_BYTES {
            return Some(Rest::Head(offset));
        }
        let at = offset.wrapping_sub(OWNED_BYTES);
        if at < self.heap {
            return None;
        }
        let (len, bytes) = self.body.get(at..)?.split_first_chunk()?;
        Some(Rest::Cell(at, bytes.get(..usize::from(u16::from_le_bytes(*len)))?))
    }

    /// Body offset and length of the cell of separator `i`; length 0 where it has none.
    pub(super) fn cell_place(&self, i: usize) -> Result<(usize, usize)> {
        match self.rest(i) {
            Some(Rest::Head(_)) => Ok((0, 0)),
            Some(Rest::Cell(at, bytes)) => Ok((at, CELL_HEADER_BYTES + bytes.len())),
            None => Err(damaged(self.id)),
        }
    }

    /// What all separators of the page start with.
    pub(crate) fn prefix(&self) -> &'a [u8] {
        self.prefix
    }

    /// Page size in bytes.
    pub(super) fn page_size(&self) -> usize {
        self.body.len() + OWNED_BYTES
    }

    /// Bytes of the page in use, header included, dead cells and room in the arrays left out.
    pub(crate) fn used_bytes(&self) -> usize {
        match Header::read(self.body, &INNER) {
            Ok(header) => header.used_bytes(self.body.len(), &INNER),
            Err(_) => self.page_size(),
        }
    }

    /// Checks all of the page: cells, heads, strict order of the separators, the count of dead bytes.
    ///
    /// # Errors
    /// `Layout`, or [`Order`](mapleaf_pager::Damage::Order).
    pub(crate) fn check(&self) -> Result<()> {
        let header =
            Header::read(self.body, &INNER).map_err(|damage| Error::corrupt(self.id, damage))?;
        let mut cells = 0;
        let mut before: Option<Separator<'_>> = None;
        for (i, head) in self.heads.iter().enumerate() {
            let separator = self.separator(i)?;
            let rest = without(separator.key(), self.prefix.len());
            let (_, cell) = self.cell_place(i)?;
            if *head != head_of(rest).to_le_bytes() || cell != cell_bytes(rest.len()) {
                return Err(damaged(self.id));
            }
            if before.is_some_and(|before| before.key() >= separator.key()) {
                return Err(Error::corrupt(self.id, Damage::Order));
            }
            cells += cell;
            before = Some(separator);
        }
        if cells + header.garbage != self.body.len() - self.heap {
            return Err(damaged(self.id));
        }
        Ok(())
    }
}
