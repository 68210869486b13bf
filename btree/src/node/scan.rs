//! Searching the fingerprints of a page: bytes in no order, 16 at a time as one number, all of whose bytes
//! are compared by arithmetic that carries nothing from one to the next. No branch on a fingerprint, but
//! one a block on whether any was found.
//!
//! `cargo xtask codegen` looks at what it compiles to.

/// Fingerprints compared at a time.
pub(crate) const PRINTS_BLOCK: usize = size_of::<u128>();

/// All bytes but the highest bit of each.
const LOW_BITS: u128 = u128::MAX / 0xFF * 0x7F;

/// The highest bit of byte `j` is set where byte `j` of the block is `needle`, and no other bit is.
#[inline]
pub(crate) fn equal_bytes(block: &[u8; PRINTS_BLOCK], needle: u8) -> u128 {
    let differing = u128::from_le_bytes(*block) ^ (u128::MAX / 0xFF * u128::from(needle));
    // Any low bit of a byte carries into its highest; that one may be set already.
    !(((differing & LOW_BITS) + LOW_BITS) | differing | LOW_BITS)
}

/// As [`find_equal`](super::search::find_equal), of bytes.
#[inline]
pub(crate) fn find_byte<T>(
    bytes: &[u8],
    count: usize,
    needle: u8,
    mut matches: impl FnMut(usize) -> Option<T>,
) -> Option<T> {
    let (blocks, tail) = bytes.as_chunks::<PRINTS_BLOCK>();
    let mut first = 0;
    for block in blocks {
        if first >= count {
            return None;
        }
        let mut marks = equal_bytes(block, needle) & low_bytes(count - first);
        while marks != 0 {
            let found = matches(first + marks.trailing_zeros() as usize / 8);
            if found.is_some() {
                return found;
            }
            marks &= marks - 1;
        }
        first += PRINTS_BLOCK;
    }
    // Fewer than a block up to the page's end.
    let behind = tail.iter().enumerate().take(count.saturating_sub(first));
    for (j, _) in behind.filter(|(_, byte)| **byte == needle) {
        let found = matches(first + j);
        if found.is_some() {
            return found;
        }
    }
    None
}

/// The lowest `count` bytes of a block.
#[inline]
fn low_bytes(count: usize) -> u128 {
    if count >= PRINTS_BLOCK { u128::MAX } else { (1 << (8 * count)) - 1 }
}
