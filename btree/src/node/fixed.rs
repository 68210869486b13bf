//! Reading a leaf of fixed width (leaf X): no cells, no prefix.
//!
//! | page bytes | field |
//! |---|---|
//! | 0..16 | checksum and birth: the pager's, not part of the body |
//! | 16 | kind |
//! | 17 | flags: 0 |
//! | 18..20 | count: entries |
//! | 20..22 | capacity: entries there is room for in each array |
//! | 22..24 | 0 |
//! | 24..26 | the page's size (0 stands for 65,536) |
//! | 26..28 | 0 |
//! | 28..30 | bytes of a key |
//! | 30..32 | bytes of a value |
//! | 32.. | keys: `key bytes × capacity`, padded to a multiple of 8; values: `value bytes × capacity` |
//!
//! The search is the one over heads, with the first eight bytes of each key for one: for numbers of up
//! to eight bytes these are all there is to compare.

use super::Value;
use super::layout::{BODY_HEADER_BYTES, damaged, field, put, stored};
use super::search;
use crate::error::{Error, Result};
use crate::key::Key;
use crate::width::{FixedWidth, VALUES_ALIGN};
use mapleaf_pager::{Damage, OWNED_BYTES, PageId, kind, prefetch_bytes};

/// Fields of the header where other leaves have the first child: offsets in the body.
const KEY_BYTES: usize = field::FIRST_CHILD;
const VALUE_BYTES: usize = field::FIRST_CHILD + 2;

/// The header of a leaf of fixed width, checked against the page's size.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct FixedHeader {
    pub(super) count: usize,
    pub(super) capacity: usize,
    pub(super) width: FixedWidth,
}

impl FixedHeader {
    /// Reads and checks the header: kind, flags, sizes, and that both arrays lie in the body.
    #[inline]
    pub(super) fn read(body: &[u8]) -> Result<FixedHeader, Damage> {
        let bytes = body.first_chunk::<BODY_HEADER_BYTES>().ok_or(Damage::Layout)?;
        if bytes[field::KIND] != kind::LEAF_FIXED {
            return Err(Damage::Kind);
        }
        let at = |i: usize| u16::from_le_bytes([bytes[i], bytes[i + 1]]);
        let header = FixedHeader {
            count: usize::from(at(field::COUNT)),
            capacity: usize::from(at(field::CAPACITY)),
            width: FixedWidth::new(at(KEY_BYTES), at(VALUE_BYTES)).ok_or(Damage::Kind)?,
        };
        let page_size = body.len() + OWNED_BYTES;
        let holds = bytes[field::FLAGS] == 0
            && at(field::PREFIX_LEN) == 0
            && at(field::HEAP_START).to_le_bytes() == stored(page_size)
            && at(field::GARBAGE) == 0
            && header.count <= header.capacity
            && header.width.fits(page_size)
            && BODY_HEADER_BYTES + header.width.array_bytes(header.capacity) <= body.len();
        if holds { Ok(header) } else { Err(Damage::Layout) }
    }

    /// Writes all of the header.
    pub(super) fn write(&self, body: &mut [u8]) {
        put(body, field::KIND, [kind::LEAF_FIXED, 0]);
        put(body, field::COUNT, stored(self.count));
        put(body, field::CAPACITY, stored(self.capacity));
        put(body, field::PREFIX_LEN, [0; 2]);
        put(body, field::HEAP_START, stored(body.len() + OWNED_BYTES));
        put(body, field::GARBAGE, [0; 2]);
        put(body, KEY_BYTES, self.width.key_bytes.to_le_bytes());
        put(body, VALUE_BYTES, self.width.value_bytes.to_le_bytes());
    }

    /// Body offset of the key of entry `i`.
    pub(super) fn key_at(&self, i: usize) -> usize {
        BODY_HEADER_BYTES + usize::from(self.width.key_bytes) * i
    }

    /// Body offset of the value of entry `i`.
    pub(super) fn value_at(&self, i: usize) -> usize {
        let keys = usize::from(self.width.key_bytes) * self.capacity;
        let values = BODY_HEADER_BYTES + keys.next_multiple_of(VALUES_ALIGN);
        values + usize::from(self.width.value_bytes) * i
    }
}

/// A leaf of fixed width, checked once: every entry of it lies in the page.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FixedView<'a> {
    body: &'a [u8],
    /// The keys in use.
    keys: &'a [u8],
    header: FixedHeader,
    id: PageId,
}

impl<'a> FixedView<'a> {
    /// Views the body of page `id`.
    ///
    /// # Errors
    /// [`Damage::Kind`]: not such a leaf; `Layout`: the header contradicts itself or the page's size.
    #[inline]
    pub(crate) fn new(body: &'a [u8], id: PageId) -> Result<FixedView<'a>> {
        match FixedHeader::read(body) {
            Ok(header) => FixedView::with(body, &header, id).ok_or(damaged(id)),
            Err(damage) => Err(Error::corrupt(id, damage)),
        }
    }

    #[inline]
    pub(super) fn with(body: &'a [u8], header: &FixedHeader, id: PageId) -> Option<FixedView<'a>> {
        let keys = body.get(BODY_HEADER_BYTES..header.key_at(header.count))?;
        Some(FixedView { body, keys, header: *header, id })
    }

    pub(super) fn id(&self) -> PageId {
        self.id
    }

    #[inline]
    pub(super) fn count(&self) -> usize {
        self.header.count
    }

    pub(super) fn width(&self) -> FixedWidth {
        self.header.width
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.header.capacity
    }

    pub(super) fn page_size(&self) -> usize {
        self.body.len() + OWNED_BYTES
    }

    /// The key of entry `i`; `None` for no such entry.
    #[inline]
    fn key_bytes(&self, i: usize) -> Option<&'a [u8]> {
        if i >= self.header.count {
            return None;
        }
        let len = usize::from(self.header.width.key_bytes);
        self.keys.get(len * i..)?.get(..len)
    }

    #[inline]
    pub(super) fn key(&self, i: usize) -> Result<Key<'a>> {
        match self.key_bytes(i) {
            Some(key) => Ok(Key::from(key)),
            None => Err(damaged(self.id)),
        }
    }

    /// The value of entry `i`; `None` for no such entry.
    #[inline]
    fn value_bytes(&self, i: usize) -> Option<&'a [u8]> {
        if i >= self.header.count {
            return None;
        }
        let len = usize::from(self.header.width.value_bytes);
        self.body.get(self.header.value_at(i)..)?.get(..len)
    }

    #[inline]
    pub(super) fn value(&self, i: usize) -> Result<Value<'a>> {
        match self.value_bytes(i) {
            Some(value) => Ok(Value::Inline(value)),
            None => Err(damaged(self.id)),
        }
    }

    #[inline]
    pub(super) fn entry(&self, i: usize) -> Result<(Key<'a>, Value<'a>)> {
        match (self.key_bytes(i), self.value_bytes(i)) {
            (Some(key), Some(value)) => Ok((Key::from(key), Value::Inline(value))),
            _ => Err(damaged(self.id)),
        }
    }

    /// Index of the entry with this key.
    #[inline]
    pub(super) fn find(&self, key: &[u8]) -> Option<usize> {
        match self.lower_bound(key) {
            (i, true) => Some(i),
            _ => None,
        }
    }

    #[inline]
    pub(super) fn get(&self, key: &[u8]) -> Option<Value<'a>> {
        self.find(key).and_then(|i| self.value_bytes(i)).map(Value::Inline)
    }

    /// Where in the page the value of this key begins, if that is known without waiting for more of the page; what is
    /// to be looked at for it is asked for.
    #[inline]
    pub(super) fn place_of(&self, key: &[u8]) -> Option<usize> {
        let needle = search::long_head(key);
        match self.header.width.key_bytes {
            4 => _ = self.block::<4>(needle),
            8 => _ = self.block::<8>(needle),
            16 => _ = self.block::<16>(needle),
            _ => return self.find(key).map(|i| OWNED_BYTES + self.header.value_at(i)),
        };
        None
    }

    /// Index of the first entry at or above `key` (of any length), and whether it is `key` itself.
    #[inline]
    pub(super) fn lower_bound(&self, key: &[u8]) -> (usize, bool) {
        let needle = search::long_head(key);
        let first = match self.header.width.key_bytes {
            4 => self.first_of::<4>(needle),
            8 => self.first_of::<8>(needle),
            16 => self.first_of::<16>(needle),
            _ => search::partition_by(self.header.count, |i| self.head_of(i), |head| head < needle),
        };
        match self.key_bytes(first) {
            // As long, and all of both is in their heads.
            Some(found) if found.len() == key.len() && key.len() <= search::LONG_HEAD_BYTES => {
                (first, search::long_head(found) == needle)
            }
            // All of a short key is in its head: it is equal, but for zeros at its end or the other's.
            Some(found)
                if found.len() <= search::LONG_HEAD_BYTES
                    || self.head_of(first) != Some(needle) =>
            {
                match found.cmp(key) {
                    core::cmp::Ordering::Less => (first + 1, false),
                    order => (first, order.is_eq()),
                }
            }
            Some(_) => self.bound_among_ties(first, key, needle),
            None => (first, false),
        }
    }

    /// Index of the first entry whose key, of `N` bytes, starts with no less than `needle`.
    #[inline]
    fn first_of<const N: usize>(&self, needle: u64) -> usize {
        let (start, block) = self.block::<N>(needle);
        start + search::lower_bound_of::<N>(block, needle)
    }

    /// The block of keys to be searched, and the index of its first; its lines, and those of its values, are asked
    /// for.
    #[inline]
    fn block<const N: usize>(&self, needle: u64) -> (usize, &'a [u8]) {
        let (start, block) = search::block_of::<N>(self.keys, needle);
        prefetch_bytes(search::first_of_bytes(block));
        let values = self.body.get(self.header.value_at(start)..).unwrap_or(&[]);
        prefetch_bytes(search::first_of_bytes(values));
        (start, block)
    }

    /// Whether all keys of the page are below `key`.
    #[inline]
    pub(super) fn ends_below(&self, key: &[u8]) -> bool {
        let last = self.header.count.checked_sub(1).and_then(|last| self.key_bytes(last));
        last.is_none_or(|last| search::cmp_stored(last, key).is_lt())
    }

    /// The first bytes of the key of entry `i` as a number.
    #[inline]
    fn head_of(&self, i: usize) -> Option<u64> {
        self.key_bytes(i).map(search::long_head)
    }

    /// The lower bound among entries whose keys start as this one, from `first` on.
    #[inline(never)]
    fn bound_among_ties(&self, first: usize, key: &[u8], needle: u64) -> (usize, bool) {
        let behind = self.header.count.saturating_sub(first);
        let head = |i| self.head_of(first + i);
        let ties = search::partition_by(behind, head, |head| head <= needle);
        let at = first + search::partition_by(ties, |i| self.key_bytes(first + i), |tie| tie < key);
        (at, self.key_bytes(at) == Some(key))
    }

    /// Bytes of the page in use, header included.
    pub(super) fn used_bytes(&self) -> usize {
        OWNED_BYTES + BODY_HEADER_BYTES + self.header.width.array_bytes(self.header.count)
    }

    /// Checks what [`new`](FixedView::new) does not: the strict order of the keys.
    pub(super) fn check(&self) -> Result<()> {
        let mut before: Option<&[u8]> = None;
        for i in 0..self.count() {
            let key = self.key_bytes(i).ok_or(damaged(self.id))?;
            self.value(i)?;
            if before.is_some_and(|before| before >= key) {
                return Err(Error::corrupt(self.id, Damage::Order));
            }
            before = Some(key);
        }
        Ok(())
    }
}
