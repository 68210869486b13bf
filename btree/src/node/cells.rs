//! Reading a leaf of cells, whichever array stands before their offsets: [`Heads`] (leaf H) or [`Prints`]
//! (leaf F).
//!
//! | array | slot |
//! |---|---|
//! | tags | what a lookup scans: see `heads.rs`, `prints.rs` |
//! | offsets | u16: page offset of the cell |
//!
//! A cell: key_len u16 (behind the prefix), value_len u16, key, value. A value_len of 0xFFFF stands
//! for a reference to a run: page u32, zero u32, length u64.

use super::heads::Heads;
use super::layout::{BODY_HEADER_BYTES, Header, behind_prefix, damaged, put};
#[cfg(feature = "fingerprints")]
use super::prints::Prints;
use super::tags::Tags;
use crate::error::{Error, Result};
use crate::key::Key;
use mapleaf_pager::{Damage, OWNED_BYTES, PageId, prefetch_bytes};

/// The arrays of a leaf of cells.
pub(super) const TAGS: usize = 0;
pub(super) const OFFSETS: usize = 1;

/// Bytes of a cell before its key.
pub(super) const CELL_HEADER_BYTES: usize = 4;

/// Bytes of a cell that are asked for before they are looked at.
const CELL_AHEAD_BYTES: usize = 192;

/// Bytes of a reference to a run.
pub(super) const RUN_BYTES: usize = 16;

/// The value_len of a reference to a run.
pub(super) const RUN_MARK: u16 = u16::MAX;

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

/// A leaf of cells, checked once; each cell is checked when it is touched.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CellsView<'a, A: Tags> {
    body: &'a [u8],
    prefix: &'a [u8],
    pub(super) tags: A::Array<'a>,
    offsets: &'a [[u8; 2]],
    heap: usize,
    id: PageId,
}

/// A leaf H.
pub(crate) type HeadsView<'a> = CellsView<'a, Heads>;

/// A leaf F.
#[cfg(feature = "fingerprints")]
pub(crate) type PrintsView<'a> = CellsView<'a, Prints>;

/// Where the parts of a cell lie in the body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct CellPlace {
    /// First byte of the cell.
    pub(super) at: usize,
    /// Length of the key behind the page's prefix.
    pub(super) key_len: usize,
    /// Bytes the value takes in the cell.
    pub(super) value_bytes: usize,
    /// The value is a reference to a run.
    pub(super) is_run: bool,
}

impl CellPlace {
    /// Body offset of the value.
    pub(super) const fn value_at(&self) -> usize {
        self.at + CELL_HEADER_BYTES + self.key_len
    }
    /// Bytes of the cell.
    pub(super) const fn len(&self) -> usize {
        CELL_HEADER_BYTES + self.key_len + self.value_bytes
    }
}

/// A cell as it lies in the page, to be copied.
#[derive(Clone, Copy, Debug)]
pub(super) struct RawCell<'a> {
    /// Length of the key behind the page's prefix.
    pub(super) key_len: usize,
    /// The cell's value_len.
    pub(super) value_len: u16,
    /// That part of the key, then the value.
    pub(super) bytes: &'a [u8],
}

impl<'a, A: Tags> CellsView<'a, A> {
    /// Views the body of page `id`.
    ///
    /// # Errors
    /// [`Damage::Kind`](mapleaf_pager::Damage::Kind): not a leaf; `Layout`: the header contradicts
    /// itself or the page's size.
    #[inline]
    pub(crate) fn new(body: &'a [u8], id: PageId) -> Result<CellsView<'a, A>> {
        match Header::read(body, A::SHAPE) {
            Ok(header) => CellsView::with(body, &header, id).ok_or(damaged(id)),
            Err(damage) => Err(Error::corrupt(id, damage)),
        }
    }

    /// The leaf with this header; always one where [`Header::read`] read it from this body.
    ///
    /// Each step is a branch that is never taken; selecting an empty slice instead would put four
    /// conditional moves between the header and the first load of a head.
    #[inline]
    pub(super) fn with(body: &'a [u8], header: &Header, id: PageId) -> Option<CellsView<'a, A>> {
        let arrays = body.get(header.arrays()..)?;
        let offsets = arrays.get(A::SHAPE.before(OFFSETS, header.capacity)..)?;
        Some(CellsView {
            body,
            prefix: body.get(BODY_HEADER_BYTES..)?.get(..header.prefix_len)?,
            tags: A::array(arrays),
            offsets: offsets.as_chunks().0.get(..header.count)?,
            heap: header.heap,
            id,
        })
    }

    /// A leaf without entries.
    pub(super) fn empty(id: PageId) -> CellsView<'a, A> {
        CellsView { body: &[], prefix: &[], tags: A::array(&[]), offsets: &[], heap: 0, id }
    }

    /// The page's number.
    pub(crate) fn id(&self) -> PageId {
        self.id
    }

    /// Entries on the page.
    #[inline]
    pub(crate) fn count(&self) -> usize {
        self.offsets.len()
    }

    /// Key of entry `i`.
    ///
    /// # Errors
    /// `Layout`: its cell leaves the page, or there is no such entry.
    #[inline]
    pub(crate) fn key(&self, i: usize) -> Result<Key<'a>> {
        match self.suffix(i) {
            Some(suffix) => Ok(Key::new(self.prefix, suffix)),
            None => Err(damaged(self.id)),
        }
    }

    /// Value of entry `i`.
    ///
    /// # Errors
    /// As [`key`](CellsView::key), and `Layout` where its reference to a run is malformed.
    #[inline]
    pub(crate) fn value(&self, i: usize) -> Result<Value<'a>> {
        self.cell(i).and_then(|(_, value)| value).ok_or(damaged(self.id))
    }

    /// Key and value of entry `i`.
    ///
    /// # Errors
    /// As [`value`](CellsView::value).
    #[inline]
    pub(crate) fn entry(&self, i: usize) -> Result<(Key<'a>, Value<'a>)> {
        match self.cell(i) {
            Some((suffix, Some(value))) => Ok((Key::new(self.prefix, suffix), value)),
            _ => Err(damaged(self.id)),
        }
    }

    /// Index of the entry with this key. The fastest way to it: an equality scan.
    ///
    /// # Errors
    /// As [`key`](CellsView::key), for the cells compared.
    #[inline]
    pub(crate) fn find(&self, key: &[u8]) -> Result<Option<usize>> {
        self.find_cell(key, |i, _| Some(i))
    }

    /// Value of the entry with this key: [`find`](CellsView::find) and [`value`](CellsView::value) in
    /// one.
    ///
    /// # Errors
    /// As [`value`](CellsView::value), for the cells compared.
    #[inline]
    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Value<'a>>> {
        self.find_cell(key, |_, value| value)
    }

    /// Where in the page the cell begins that is likely to be this key's: the first with its tag. It is not
    /// looked at.
    #[inline]
    pub(crate) fn place_of(&self, key: &[u8]) -> Option<usize> {
        let rest = behind_prefix(self.prefix, key).ok()?;
        A::find(self.tags, self.count(), A::tag(key, rest), |i| {
            self.offsets.get(i).map(|offset| usize::from(u16::from_le_bytes(*offset)))
        })
    }

    /// Asks for the start of the cell of entry `i`, if there is one.
    #[inline]
    pub(crate) fn prefetch_cell(&self, i: usize) {
        if let Some(offset) = self.offsets.get(i)
            && let at = usize::from(u16::from_le_bytes(*offset)).wrapping_sub(OWNED_BYTES)
            && let Some(cell) = self.body.get(at..)
        {
            prefetch_bytes(cell.get(..CELL_AHEAD_BYTES).unwrap_or(cell));
        }
    }

    /// What `found` makes of the entry with this key; its `None` is damage.
    #[inline]
    fn find_cell<T>(
        &self,
        key: &[u8],
        found: impl Fn(usize, Option<Value<'a>>) -> Option<T>,
    ) -> Result<Option<T>> {
        // The prefix comes from the keys that happened to be there: it has to be compared.
        let Ok(rest) = behind_prefix(self.prefix, key) else { return Ok(None) };
        A::find(self.tags, self.count(), A::tag(key, rest), |i| match self.cell(i) {
            Some((suffix, value)) if suffix == rest => {
                Some(found(i, value).ok_or(damaged(self.id)))
            }
            Some(_) => None,
            None => Some(Err(damaged(self.id))),
        })
        .transpose()
    }

    /// Index of the first entry at or above `key` (`count` where there is none), and whether it is
    /// `key` itself.
    ///
    /// # Errors
    /// As [`key`](CellsView::key), for the cells compared.
    #[inline]
    pub(crate) fn lower_bound(&self, key: &[u8]) -> Result<(usize, bool)> {
        let rest = match behind_prefix(self.prefix, key) {
            Ok(rest) => rest,
            Err(order) if order.is_lt() => return Ok((0, false)),
            Err(_) => return Ok((self.count(), false)),
        };
        A::bound(self, rest)
    }

    /// [`Tags::bound`] among the entries from `first` up to `end`, before and behind which there is none: by
    /// bytes, and a shorter key before a longer one.
    #[inline]
    pub(super) fn bound_among(
        &self,
        mut first: usize,
        mut end: usize,
        rest: &[u8],
    ) -> Result<(usize, bool)> {
        let mut found = false;
        while first < end {
            let middle = first + (end - first) / 2;
            let suffix = self.suffix(middle).ok_or(damaged(self.id))?;
            if suffix < rest {
                first = middle + 1;
            } else {
                end = middle;
                found = suffix == rest;
            }
        }
        Ok((first, found))
    }

    /// The cell of entry `i` from its key on, and the lengths before it.
    #[inline]
    fn cell_bytes(&self, i: usize) -> Option<(usize, usize, u16, &'a [u8])> {
        let offset = usize::from(u16::from_le_bytes(*self.offsets.get(i)?));
        let at = offset.wrapping_sub(OWNED_BYTES);
        if at < self.heap {
            return None;
        }
        let ([k0, k1, v0, v1], rest) = self.body.get(at..)?.split_first_chunk()?;
        let key_len = usize::from(u16::from_le_bytes([*k0, *k1]));
        Some((at, key_len, u16::from_le_bytes([*v0, *v1]), rest))
    }

    /// The key of entry `i` behind the prefix.
    #[inline]
    pub(super) fn suffix(&self, i: usize) -> Option<&'a [u8]> {
        let (_, key_len, _, rest) = self.cell_bytes(i)?;
        rest.get(..key_len)
    }

    /// Key behind the prefix and value of entry `i`; the value is `None` where it is malformed.
    #[inline]
    fn cell(&self, i: usize) -> Option<(&'a [u8], Option<Value<'a>>)> {
        let (_, key_len, value_len, rest) = self.cell_bytes(i)?;
        let (suffix, rest) = rest.split_at_checked(key_len)?;
        let value = match value_len {
            RUN_MARK => rest.first_chunk().and_then(run_value),
            len => rest.get(..usize::from(len)).map(Value::Inline),
        };
        Some((suffix, value))
    }

    /// The cell of entry `i` to be copied, and its tag.
    #[inline]
    pub(super) fn raw(&self, i: usize) -> Result<(u32, RawCell<'a>)> {
        let raw = self.cell_bytes(i).and_then(|(_, key_len, value_len, rest)| {
            let bytes = rest.get(..key_len + value_bytes(value_len))?;
            Some((A::at(self.tags, i)?, RawCell { key_len, value_len, bytes }))
        });
        raw.ok_or(damaged(self.id))
    }

    /// Where the cell of entry `i` lies.
    pub(super) fn place(&self, i: usize) -> Result<CellPlace> {
        let place = self.cell_bytes(i).map(|(at, key_len, value_len, _)| {
            let is_run = value_len == RUN_MARK;
            CellPlace { at, key_len, value_bytes: value_bytes(value_len), is_run }
        });
        place.filter(|place| place.at + place.len() <= self.body.len()).ok_or(damaged(self.id))
    }

    /// What all keys of the page start with.
    pub(crate) fn prefix(&self) -> &'a [u8] {
        self.prefix
    }

    /// Entries there is room for in the arrays.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        Header::read(self.body, A::SHAPE).map_or(0, |header| header.capacity)
    }

    /// Page size in bytes.
    pub(super) fn page_size(&self) -> usize {
        self.body.len() + OWNED_BYTES
    }

    /// Bytes of the page in use, header included, dead cells and room in the arrays left out.
    pub(crate) fn used_bytes(&self) -> usize {
        match Header::read(self.body, A::SHAPE) {
            Ok(header) => header.used_bytes(self.body.len(), A::SHAPE),
            Err(_) => self.page_size(),
        }
    }

    /// Checks all of the page: cells, tags, strict order of the keys, the count of dead bytes.
    ///
    /// # Errors
    /// `Layout`, or [`Order`](mapleaf_pager::Damage::Order).
    pub(crate) fn check(&self) -> Result<()> {
        let header =
            Header::read(self.body, A::SHAPE).map_err(|damage| Error::corrupt(self.id, damage))?;
        let mut cells = 0;
        let mut before: Option<&[u8]> = None;
        for i in 0..self.count() {
            self.entry(i)?;
            cells += self.place(i)?.len();
            let suffix = self.suffix(i).ok_or(damaged(self.id))?;
            let tag = A::tag_of(Key::new(self.prefix, suffix), suffix.into());
            if A::at(self.tags, i) != Some(tag) {
                return Err(damaged(self.id));
            }
            if before.is_some_and(|before| before >= suffix) {
                return Err(Error::corrupt(self.id, Damage::Order));
            }
            before = Some(suffix);
        }
        if cells + header.garbage != self.body.len() - self.heap {
            return Err(damaged(self.id));
        }
        Ok(())
    }
}

/// Bytes that a value takes in its cell.
const fn value_bytes(value_len: u16) -> usize {
    if value_len == RUN_MARK { RUN_BYTES } else { value_len as usize }
}

/// Decodes a reference to a run; `None` where it is malformed.
#[inline]
fn run_value<'a>(bytes: &[u8; RUN_BYTES]) -> Option<Value<'a>> {
    let [page @ .., _, _, _, _, _, _, _, _, _, _, _, _] = bytes;
    let [_, _, _, _, 0, 0, 0, 0, len @ ..] = bytes else { return None };
    let page = PageId(u32::from_le_bytes(*page));
    if page.is_none() {
        return None;
    }
    Some(Value::Run { page, len_bytes: u64::from_le_bytes(*len) })
}

/// Encodes a reference to a run.
pub(super) fn run_bytes(page: PageId, len_bytes: u64) -> [u8; RUN_BYTES] {
    let mut bytes = [0; RUN_BYTES];
    let (first, last) = bytes.split_at_mut(RUN_BYTES / 2);
    put(first, 0, page.0.to_le_bytes());
    put(last, 0, len_bytes.to_le_bytes());
    bytes
}
