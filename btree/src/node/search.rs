//! Searching the heads of a page: the hot loops of every lookup.
//!
//! Heads are sorted numbers, four bytes each. Three searches:
//! - *bound*: branch-free binary search. Whether a head is below the needle is a coin toss, so a
//!   branch on it is mispredicted every other step; `select_unpredictable` makes it a conditional
//!   move (a plain `if` compiled to branches and cost 30 %).
//! - *equal*: in a leaf, all heads are compared with the needle in blocks that the compiler turns into
//!   vector compares, without a single dependent load. The block's equal heads come as one bit mask:
//!
//! ```text
//! for each block of 16 heads: bits = OR over j of (head[j] == needle ? 1 << j : 0)
//! ```
//!
//! - *block*: where keys lie one behind the other (leaf X), the first of each 256 bytes says which of these to search by
//!   *bound*: up to eight loads that do not wait for each other, instead of five that do.
//!
//! `cargo xtask codegen` looks at what they compile to.

use core::cmp::Ordering;
use core::hint::select_unpredictable;

/// A head as it lies in the page: little-endian.
pub(crate) type Head = [u8; 4];

/// Heads compared at a time: 64 bytes, a cache line.
pub(crate) const BLOCK: usize = 16;

/// Index of the first head at or above `needle`; the number of heads where there is none.
#[inline]
pub(crate) fn lower_bound(heads: &[Head], needle: u32) -> usize {
    partition_point(heads, |head| head < needle)
}

/// Index of the first head above `needle`; the number of heads where there is none.
///
/// By `<=`, not as the lower bound of `needle + 1`: the needle may be the largest number.
#[inline]
pub(crate) fn upper_bound(heads: &[Head], needle: u32) -> usize {
    partition_point(heads, |head| head <= needle)
}

#[inline]
fn partition_point(heads: &[Head], below: impl Fn(u32) -> bool) -> usize {
    partition_by(heads.len(), |i| heads.get(i).map(|head| u32::from_le_bytes(*head)), below)
}

/// The number of items below `len` that are `below`, which they are up to one and not behind: without a
/// branch on the answer. An item that is not there ends the search.
#[inline]
pub(crate) fn partition_by<T>(
    len: usize,
    item: impl Fn(usize) -> Option<T>,
    below: impl Fn(T) -> bool,
) -> usize {
    let mut base = 0;
    let mut size = len;
    // The answer lies in base..=base + size.
    while size > 1 {
        let half = size / 2;
        let middle = base + half;
        let Some(found) = item(middle) else { return base };
        base = select_unpredictable(below(found), middle, base);
        size -= half;
    }
    base + usize::from(size == 1 && item(base).is_some_and(below))
}

/// Bytes of a key that [`long_head`] has.
pub(crate) const LONG_HEAD_BYTES: usize = size_of::<u64>();

/// The first bytes of a key as a number that sorts as they do; shorter ones are padded with zeros.
#[inline]
pub(crate) fn long_head(key: &[u8]) -> u64 {
    match key.first_chunk() {
        Some(bytes) => u64::from_be_bytes(*bytes),
        None => {
            let mut bytes = [0; LONG_HEAD_BYTES];
            for (to, from) in bytes.iter_mut().zip(key) {
                *to = *from;
            }
            u64::from_be_bytes(bytes)
        }
    }
}

/// `stored.cmp(key)`, where `stored` may have been stored just now: in words of eight bytes. A C library's comparison
/// may mask its loads (AVX-512), and such a load waits for the stores before it to leave the processor.
#[inline]
pub(crate) fn cmp_stored(stored: &[u8], key: &[u8]) -> Ordering {
    let mut words = stored.as_chunks::<LONG_HEAD_BYTES>().0.iter();
    let mut others = key.as_chunks::<LONG_HEAD_BYTES>().0.iter();
    let mut same = 0;
    while let (Some(word), Some(other)) = (words.next(), others.next()) {
        if word != other {
            return u64::from_be_bytes(*word).cmp(&u64::from_be_bytes(*other));
        }
        same += LONG_HEAD_BYTES;
    }
    stored.iter().skip(same).cmp(key.iter().skip(same))
}

/// As [`lower_bound`], of the heads of keys of `N` bytes that lie one behind the other.
#[inline]
pub(crate) fn lower_bound_of<const N: usize>(keys: &[u8], needle: u64) -> usize {
    let keys = keys.as_chunks::<N>().0;
    let head = |i: usize| keys.get(i).map(|key| long_head(key));
    partition_by(keys.len(), head, |head| head < needle)
}

/// Bytes of keys in a block: four cache lines.
pub(crate) const BLOCK_BYTES: usize = 256;
/// Blocks that are told apart by their first keys. More of them would take longer than halving.
pub(crate) const BLOCKS_MAX: usize = 16;

/// The block of keys of `N` bytes in which the lower bound is, or at whose end, and the index of its first key: by the
/// first keys of all blocks, whose loads do not wait for each other. Halving would wait for memory at each step. All
/// keys, where there are more than [`BLOCKS_MAX`] blocks.
#[inline]
pub(crate) fn block_of<const N: usize>(keys: &[u8], needle: u64) -> (usize, &[u8]) {
    if keys.len() > BLOCKS_MAX * BLOCK_BYTES {
        return (0, keys);
    }
    let firsts = keys.chunks(BLOCK_BYTES).skip(1).filter_map(|block| block.first_chunk::<N>());
    let before: usize = firsts.map(|first| usize::from(long_head(first) < needle)).sum();
    let block = keys.get(before * BLOCK_BYTES..).unwrap_or(&[]);
    (before * (BLOCK_BYTES / N), first_of_bytes(block))
}

/// A block's length of these bytes, or all of them.
#[inline]
pub(crate) fn first_of_bytes(bytes: &[u8]) -> &[u8] {
    bytes.get(..BLOCK_BYTES).unwrap_or(bytes)
}

/// Bit `j` is set where head `j` of the block is `needle`.
#[inline]
pub(crate) fn equal_bits(block: &[Head; BLOCK], needle: u32) -> u32 {
    let mut bits = 0;
    for (j, head) in block.iter().enumerate() {
        bits |= if u32::from_le_bytes(*head) == needle { 1 << j } else { 0 };
    }
    bits
}

/// Calls `matches` with the index of each of the first `count` heads that is `needle`, in order, until
/// it answers `Some`.
///
/// `words` may go on behind the heads (in a page: with whatever follows the array); so whole blocks
/// can be compared up to the page's end, and what lies behind `count` is masked out.
#[inline]
pub(crate) fn find_equal<T>(
    words: &[Head],
    count: usize,
    needle: u32,
    mut matches: impl FnMut(usize) -> Option<T>,
) -> Option<T> {
    let (blocks, tail) = words.as_chunks::<BLOCK>();
    let mut first = 0;
    for block in blocks {
        if first >= count {
            return None;
        }
        let mut bits = equal_bits(block, needle) & low_bits(count - first);
        while bits != 0 {
            let found = matches(first + bits.trailing_zeros() as usize);
            if found.is_some() {
                return found;
            }
            bits &= bits - 1;
        }
        first += BLOCK;
    }
    // Fewer than a block of words up to the page's end.
    for (j, head) in tail.iter().enumerate().take(count.saturating_sub(first)) {
        if u32::from_le_bytes(*head) == needle
            && let Some(found) = matches(first + j)
        {
            return Some(found);
        }
    }
    None
}

/// The lowest `count` bits of a block's mask.
#[inline]
fn low_bits(count: usize) -> u32 {
    if count >= BLOCK { u32::MAX >> (32 - BLOCK) } else { (1 << count) - 1 }
}
