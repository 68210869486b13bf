//! The page header's first 16 bytes, and checksums.
//!
//! | bytes | field |
//! |---|---|
//! | 0..8 | XXH3-64 of bytes 8.. of the page (or run), mixed with the page number; until the page is sealed, the number of the page claimed before it |
//! | 8..16 | birth: the transaction that claimed the page |
//! | 16 | kind |
//!
//! The tree layer sees a page from byte 16 on, so it cannot forge a birth.

use crate::PageId;
use crate::hash::xxh3;
#[cfg(feature = "locality")]
use crate::hash::xxh3_of_two;

/// Bytes at the start of each page that the pager owns: checksum and birth.
pub const OWNED_BYTES: usize = 16;

/// Bytes of the common header; what follows belongs to the page's kind.
pub const HEADER_BYTES: usize = 32;

/// Smallest page size in bytes.
pub const PAGE_SIZE_MIN: usize = 512;

/// Largest page size of the format in bytes.
pub(crate) const PAGE_SIZE_FORMAT_MAX: usize = 65_536;

/// Largest page size in bytes. What a store keeps in memory is sized for it, so that a build without
/// the feature `large` knows the smallest pages only, and takes a sixth of the memory.
pub const PAGE_SIZE_MAX: usize =
    if cfg!(feature = "large") { PAGE_SIZE_FORMAT_MAX } else { PAGE_SIZE_MIN };

/// Page size of a new store unless told otherwise: one page of most machines' memory, where this build
/// knows such pages.
pub const PAGE_SIZE_DEFAULT: usize = if cfg!(feature = "large") { 4096 } else { PAGE_SIZE_MIN };

/// Kinds of page, the byte at offset 16. Numbers are part of the format.
pub mod kind {
    /// Never written.
    pub const NONE: u8 = 0;
    /// Inner page of a tree.
    pub const INNER: u8 = 1;
    /// Leaf with heads (leaf H).
    pub const LEAF: u8 = 2;
    /// Leaf with fingerprints (leaf F).
    pub const LEAF_FINGERPRINT: u8 = 3;
    /// Leaf with fixed-size keys and values (leaf X).
    pub const LEAF_FIXED: u8 = 4;
    /// First page of a run: one large value (or a long key's tail).
    pub const RUN: u8 = 5;
    /// Bitmap of reusable pages.
    pub const BITMAP: u8 = 6;
    /// Directory of bitmaps.
    pub const BITMAP_INNER: u8 = 7;
    /// List of freed pages that are still pinned.
    pub const FREED_LIST: u8 = 8;
    /// Saved state of a savepoint; never part of a committed state.
    pub const SAVEPOINT: u8 = 9;

    /// Whether pages of this kind are leaves of trees.
    #[must_use]
    #[inline]
    pub const fn is_leaf(kind: u8) -> bool {
        matches!(kind, LEAF | LEAF_FINGERPRINT | LEAF_FIXED)
    }
}

/// Spreads a page number over 64 bits (multiplication by 2^64/φ), so that a page written to the
/// wrong place does not pass.
const fn mix(id: PageId) -> u64 {
    (id.0 as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// Checksum of a page or run whose bytes from offset 8 on are `rest`.
#[must_use]
pub(crate) fn checksum(id: PageId, rest: &[u8]) -> u64 {
    xxh3(rest) ^ mix(id)
}

/// Checksum of a run whose bytes from offset 8 on are `header`, and `value` behind it.
#[cfg(feature = "locality")]
#[must_use]
pub(crate) fn checksum_of_two(id: PageId, header: &[u8], value: &[u8]) -> u64 {
    xxh3_of_two(header, value) ^ mix(id)
}

/// Reads a little-endian `u64` at `at`; 0 where the slice is too short (callers pass whole headers).
#[must_use]
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    match bytes.get(at..at.wrapping_add(8)).and_then(|s| s.first_chunk::<8>()) {
        Some(chunk) => u64::from_le_bytes(*chunk),
        None => 0,
    }
}

/// Reads a little-endian `u32` at `at`; 0 where the slice is too short.
#[must_use]
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    match bytes.get(at..at.wrapping_add(4)).and_then(|s| s.first_chunk::<4>()) {
        Some(chunk) => u32::from_le_bytes(*chunk),
        None => 0,
    }
}

/// Writes `value` at `at`, little-endian; nothing where the slice is too short.
pub(crate) fn put_u64(bytes: &mut [u8], at: usize, value: u64) {
    if let Some(slot) = bytes.get_mut(at..at.wrapping_add(8)) {
        slot.copy_from_slice(&value.to_le_bytes());
    }
}

/// Writes `value` at `at`, little-endian; nothing where the slice is too short.
pub(crate) fn put_u32(bytes: &mut [u8], at: usize, value: u32) {
    if let Some(slot) = bytes.get_mut(at..at.wrapping_add(4)) {
        slot.copy_from_slice(&value.to_le_bytes());
    }
}
