//! What inner pages and leaves have in common: header, prefix, arrays of slots, heap of cells.
//!
//! | page bytes | field |
//! |---|---|
//! | 0..16 | checksum and birth: the pager's, not part of the body |
//! | 16 | kind |
//! | 17 | flags: all 0 in v1 (reserved: an array of entry counts, an array of the children's births) |
//! | 18..20 | count: slots in use |
//! | 20..22 | capacity: slots there is room for in each array |
//! | 22..24 | prefix_len: what all keys of the page start with |
//! | 24..26 | heap_start: page offset of the lowest cell; 0 stands for 65,536 |
//! | 26..28 | garbage: bytes of dead cells in the heap |
//! | 28..32 | first child (inner pages) |
//! | 32.. | prefix, padded to 4 bytes; the arrays; a gap; the heap, which grows down |

use crate::error::{Error, Result};
use crate::key::Key;
use mapleaf_pager::{Damage, HEADER_BYTES, OWNED_BYTES, PageId, kind};

/// Body offset of the first byte behind the header.
pub(super) const BODY_HEADER_BYTES: usize = HEADER_BYTES - OWNED_BYTES;

/// Bytes of the key that a slot holds itself.
pub(super) const HEAD_BYTES: usize = 4;

/// Fields of the header, as offsets in the body.
pub(super) mod field {
    pub(crate) const KIND: usize = 0;
    pub(crate) const FLAGS: usize = 1;
    pub(crate) const COUNT: usize = 2;
    pub(crate) const CAPACITY: usize = 4;
    pub(crate) const PREFIX_LEN: usize = 6;
    pub(crate) const HEAP_START: usize = 8;
    pub(crate) const GARBAGE: usize = 10;
    pub(crate) const FIRST_CHILD: usize = 12;
}

/// A kind of slotted page: its arrays, in the order they lie in.
#[derive(Debug)]
pub(crate) struct Shape {
    /// The page's kind byte.
    pub(super) kind: u8,
    /// Bytes of a slot in each array.
    pub(super) widths: &'static [usize],
    /// Bytes of a slot in the arrays before each.
    pub(super) before: &'static [usize],
    /// Bytes of a slot in all arrays together.
    pub(super) slot_bytes: usize,
}

/// A leaf H: heads, offsets.
pub(super) const LEAF: Shape =
    Shape { kind: kind::LEAF, widths: &[4, 2], before: &[0, 4], slot_bytes: 6 };

/// A leaf F: fingerprints, offsets.
pub(super) const PRINTS: Shape =
    Shape { kind: kind::LEAF_FINGERPRINT, widths: &[1, 2], before: &[0, 1], slot_bytes: 3 };

/// An inner page: heads, children, offsets.
pub(super) const INNER: Shape =
    Shape { kind: kind::INNER, widths: &[4, 4, 2], before: &[0, 4, 8], slot_bytes: 10 };

impl Shape {
    /// Bytes between the first array and array `column`, with room for `slots`.
    #[inline]
    pub(super) fn before(&self, column: usize, slots: usize) -> usize {
        even(self.before.get(column).copied().unwrap_or(0) * slots)
    }

    /// Bytes of all arrays with room for `slots`.
    #[inline]
    pub(super) const fn array_bytes(&self, slots: usize) -> usize {
        even(self.slot_bytes * slots)
    }

    /// Bytes by which [`array_bytes`](Shape::array_bytes) may be more than the slots' own.
    pub(super) const fn padding(&self) -> usize {
        even(self.slot_bytes) - self.slot_bytes
    }
}

/// Rounds up to where an array of offsets may begin, and end: fingerprints have one byte each.
#[inline]
pub(super) const fn even(bytes: usize) -> usize {
    if cfg!(feature = "fingerprints") { bytes.next_multiple_of(2) } else { bytes }
}

/// The header of a slotted page, checked against the page's size. Offsets count from the body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Header {
    /// Slots in use.
    pub(super) count: usize,
    /// Slots there is room for.
    pub(super) capacity: usize,
    /// Length of the prefix.
    pub(super) prefix_len: usize,
    /// Body offset of the lowest cell; the body's length where there is none.
    pub(super) heap: usize,
    /// Bytes of dead cells. Not checked: whoever subtracts it must expect nonsense.
    pub(super) garbage: usize,
}

impl Header {
    /// Reads and checks the header: kind, flags, and that prefix, arrays and heap lie in the body in
    /// this order.
    #[inline]
    pub(super) fn read(body: &[u8], shape: &Shape) -> Result<Header, Damage> {
        let bytes = body.first_chunk::<BODY_HEADER_BYTES>().ok_or(Damage::Layout)?;
        if bytes[field::KIND] != shape.kind {
            return Err(Damage::Kind);
        }
        let at = |i: usize| usize::from(u16::from_le_bytes([bytes[i], bytes[i + 1]]));
        let heap_start = match at(field::HEAP_START) {
            0 => 1 << 16,
            start => start,
        };
        let header = Header {
            count: at(field::COUNT),
            capacity: at(field::CAPACITY),
            prefix_len: at(field::PREFIX_LEN),
            heap: heap_start.saturating_sub(OWNED_BYTES),
            garbage: at(field::GARBAGE),
        };
        // No sum can overflow: each field is below 2^16.
        let holds = bytes[field::FLAGS] == 0
            && header.count <= header.capacity
            && header.arrays() + shape.array_bytes(header.capacity) <= header.heap
            && header.heap <= body.len();
        if holds { Ok(header) } else { Err(Damage::Layout) }
    }

    /// Writes the header's numbers (kind, flags, prefix length and first child stay).
    pub(super) fn write(&self, body: &mut [u8]) {
        put(body, field::COUNT, stored(self.count));
        put(body, field::CAPACITY, stored(self.capacity));
        put(body, field::PREFIX_LEN, stored(self.prefix_len));
        put(body, field::HEAP_START, stored(self.heap + OWNED_BYTES));
        put(body, field::GARBAGE, stored(self.garbage));
    }

    /// Body offset of the arrays.
    #[inline]
    pub(super) const fn arrays(&self) -> usize {
        BODY_HEADER_BYTES + padded(self.prefix_len)
    }

    /// Bytes of the page in use, the pager's included; dead cells and free slots are not.
    pub(super) fn used_bytes(&self, body_len: usize, shape: &Shape) -> usize {
        let slots = self.count * shape.slot_bytes + shape.padding();
        OWNED_BYTES + self.arrays() + slots + self.live_bytes(body_len)
    }

    /// Bytes of the cells in use.
    pub(super) fn live_bytes(&self, body_len: usize) -> usize {
        (body_len - self.heap).saturating_sub(self.garbage)
    }

    /// The capacity with which arrays and heap of a page run full together: for `count` slots
    /// whose cells take `live` bytes, and `gap` bytes to share.
    pub(super) fn fair_capacity(count: usize, live: usize, gap: usize, slot_bytes: usize) -> usize {
        let cell = live / count.max(1);
        count + gap / (cell + slot_bytes)
    }
}

/// A page offset, count or length as it is stored: 65,536 becomes 0. Larger ones do not occur, since
/// no page is larger.
#[inline]
pub(super) const fn stored(number: usize) -> [u8; 2] {
    (number as u16).to_le_bytes()
}

/// Rounds a prefix's length up, so that the arrays behind it are aligned.
#[inline]
pub(super) const fn padded(prefix_len: usize) -> usize {
    prefix_len.next_multiple_of(4)
}

/// Writes `bytes` at `at`; nothing where they do not fit.
#[inline]
pub(super) fn put<const N: usize>(body: &mut [u8], at: usize, bytes: [u8; N]) {
    if let Some(slot) = body.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
        *slot = bytes;
    }
}

/// A page whose counts, offsets or sizes contradict each other.
pub(super) const fn damaged(id: PageId) -> Error {
    Error::corrupt(id, Damage::Layout)
}

/// The first bytes of a key (behind the page's prefix) as a number that sorts as they do. Shorter
/// keys are padded with zeros: "a" and "a\0" have the same head, and so have "" and "\0".
#[inline]
pub(super) fn head(rest: &[u8]) -> u32 {
    match rest.first_chunk::<HEAD_BYTES>() {
        Some(bytes) => u32::from_be_bytes(*bytes),
        None => short_head(rest),
    }
}

fn short_head(rest: &[u8]) -> u32 {
    let mut bytes = [0; HEAD_BYTES];
    for (to, from) in bytes.iter_mut().zip(rest) {
        *to = *from;
    }
    u32::from_be_bytes(bytes)
}

/// [`head`] of a key in parts.
pub(super) fn head_of(rest: Key<'_>) -> u32 {
    let [first, second, _] = rest.parts();
    if first.is_empty() || first.len() >= HEAD_BYTES {
        return head(if first.is_empty() { second } else { first });
    }
    let mut bytes = [0; HEAD_BYTES];
    for (to, from) in bytes.iter_mut().zip(rest.parts().into_iter().flatten()) {
        *to = *from;
    }
    u32::from_be_bytes(bytes)
}

/// The key without its first `len` bytes; empty where it is shorter.
pub(super) fn without(key: Key<'_>, len: usize) -> Key<'_> {
    let [prefix, suffix, _] = key.parts();
    match prefix.get(len..) {
        Some(rest) => Key::new(rest, suffix),
        None => Key::new(&[], suffix.get(len - prefix.len()..).unwrap_or_default()),
    }
}

/// Length of what both keys start with.
pub(super) fn common_len(left: Key<'_>, right: Key<'_>) -> usize {
    let (mut left, mut right) = (left, right);
    let mut common = 0;
    loop {
        // The first parts that are not empty, as far as both go.
        let (a, b) = (first_part(left), first_part(right));
        let len = a.len().min(b.len());
        let same = common_bytes(a, b);
        common += same;
        if len == 0 || same < len {
            return common;
        }
        (left, right) = (without(left, len), without(right, len));
    }
}

fn first_part(key: Key<'_>) -> &[u8] {
    let [prefix, suffix, _] = key.parts();
    if prefix.is_empty() { suffix } else { prefix }
}

/// Number of bytes that both slices start with.
fn common_bytes(a: &[u8], b: &[u8]) -> usize {
    let words = a.as_chunks::<8>().0.iter().zip(b.as_chunks::<8>().0);
    let whole = 8 * words.take_while(|(x, y)| x == y).count();
    let rest = a.iter().zip(b).skip(whole);
    whole + rest.take_while(|(x, y)| x == y).count()
}

/// What follows `prefix` in `key`; else where the keys of the page stand to it: `Less` where `key`
/// is below them all, `Greater` where it is above.
#[inline]
pub(super) fn behind_prefix<'k>(
    prefix: &[u8],
    key: &'k [u8],
) -> Result<&'k [u8], core::cmp::Ordering> {
    if prefix.is_empty() {
        // Most pages of short or random keys have none: no call to compare nothing.
        return Ok(key);
    }
    key.strip_prefix(prefix).ok_or_else(|| key.cmp(prefix))
}
