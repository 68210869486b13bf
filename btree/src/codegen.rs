//! The searches as functions of their own, for `cargo xtask codegen` to look at what they compile to, and
//! two that it must object to. Only in a build with `--cfg mapleaf_codegen`.

use crate::node::{scan, search};

/// Lower bound among heads: conditional moves, no branch on a head.
#[inline(never)]
#[must_use]
pub fn codegen_lower_bound(heads: &[[u8; 4]], needle: u32) -> usize {
    search::lower_bound(heads, needle)
}

/// Upper bound among heads: the same.
#[inline(never)]
#[must_use]
pub fn codegen_upper_bound(heads: &[[u8; 4]], needle: u32) -> usize {
    search::upper_bound(heads, needle)
}

/// Lower bound among keys of fixed width: as that among heads.
#[inline(never)]
#[must_use]
pub fn codegen_fixed_bound(keys: &[u8], needle: u64) -> usize {
    search::lower_bound_of::<8>(keys, needle)
}

/// The block of keys to be searched: no branch on a key.
#[inline(never)]
#[must_use]
pub fn codegen_block_of(keys: &[u8], needle: u64) -> usize {
    search::block_of::<8>(keys, needle).0
}

/// The same, of keys that go on behind their first eight bytes.
#[inline(never)]
#[must_use]
pub fn codegen_fixed_bound_long(keys: &[u8], needle: u64) -> usize {
    search::lower_bound_of::<16>(keys, needle)
}

/// Which heads of a block are equal: vector compares, no branch at all.
#[inline(never)]
#[must_use]
pub fn codegen_equal_bits(block: &[[u8; 4]; 16], needle: u32) -> u32 {
    search::equal_bits(block, needle)
}

/// The first equal head: vector compares, and a branch a block.
#[inline(never)]
#[must_use]
pub fn codegen_find_equal(words: &[[u8; 4]], count: usize, needle: u32) -> Option<usize> {
    search::find_equal(words, count, needle, Some)
}

/// Which fingerprints of a block are equal: no branch at all.
#[inline(never)]
#[must_use]
pub fn codegen_equal_bytes(block: &[u8; 16], needle: u8) -> u128 {
    scan::equal_bytes(block, needle)
}

/// The first equal fingerprint: sixteen at a time, and a branch a block.
#[inline(never)]
#[must_use]
pub fn codegen_find_byte(bytes: &[u8], count: usize, needle: u8) -> Option<usize> {
    scan::find_byte(bytes, count, needle, Some)
}

/// A scan that compares one fingerprint after the other.
#[inline(never)]
#[must_use]
pub fn codegen_canary_bytes(bytes: &[u8; 16], needle: u8) -> usize {
    bytes.iter().take_while(|byte| **byte != needle).count()
}

/// A lower bound that branches on heads.
#[inline(never)]
#[must_use]
pub fn codegen_canary_bound(heads: &[[u8; 4]], needle: u32) -> usize {
    heads.iter().take_while(|head| u32::from_le_bytes(**head) < needle).count()
}

/// A scan that compares one head after the other.
#[inline(never)]
#[must_use]
pub fn codegen_canary_scan(words: &[[u8; 4]], count: usize, needle: u32) -> Option<usize> {
    words.iter().take(count).position(|head| u32::from_le_bytes(*head) == needle)
}
