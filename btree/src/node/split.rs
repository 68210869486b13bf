//! Laying items out in one page or two: sizes, whether to rebuild or to split, where to cut.
//!
//! A cut that fits always exists on a sound page. An item takes at most a quarter of what a page
//! holds, so near the half of the bytes both sides fit, if they share the prefix. An item that does
//! not share the page's prefix stands before or behind all that do, so that a cut beside it leaves
//! them as they were.

use super::Fit;
use super::layout::{BODY_HEADER_BYTES, padded};
use crate::error::{Error, Result};
use core::ops::Range;
use mapleaf_pager::OWNED_BYTES;

/// A rebuild in the same page must leave one part in so many of it free; else the next change would
/// find no room again.
const REBUILD_SPARE: usize = 32;

/// Items in order that one page or two shall hold.
pub(super) trait PageItems {
    /// Number of items.
    fn len(&self) -> usize;
    /// The error where sizes contradict each other.
    fn damaged(&self) -> Error;
    /// Page size in bytes.
    fn page_size(&self) -> usize;
    /// Length of the prefix that a page of these items takes out of their keys.
    fn prefix_len(&self, range: &Range<usize>) -> Result<usize>;
    /// Bytes of slot and cell of an item, on a page with a prefix of that length.
    fn item_bytes(&self, i: usize, prefix_len: usize) -> Result<usize>;
    /// Bytes of a page that all items take; what the page counts may be taken for true.
    fn total_bytes(&self) -> Result<usize> {
        page_bytes(self, 0..self.len())
    }
    /// Bytes that the arrays take beside the items.
    fn padding(&self) -> usize {
        0
    }
    /// Items at the start of a page that take no bytes there.
    const FREE_ITEMS: usize = 0;
}

/// Bytes of a page that these items take, header included.
pub(super) fn page_bytes<I: PageItems + ?Sized>(items: &I, range: Range<usize>) -> Result<usize> {
    let prefix_len = items.prefix_len(&range)?;
    let mut bytes = OWNED_BYTES + BODY_HEADER_BYTES + padded(prefix_len) + items.padding();
    for i in range.skip(I::FREE_ITEMS) {
        bytes += items.item_bytes(i, prefix_len)?;
    }
    Ok(bytes)
}

/// Whether a change that found no room in place wants the page rebuilt or split. Fewer than
/// `split_min` items cannot be split; they fit.
pub(super) fn fit<I: PageItems>(items: &I, split_min: usize) -> Result<Fit> {
    let page_size = items.page_size();
    let bytes = items.total_bytes()?;
    let spare = if items.len() < split_min { 0 } else { page_size / REBUILD_SPARE };
    Ok(if bytes + spare <= page_size { Fit::Rebuild } else { Fit::Split })
}

/// Where to cut so that both sides have at least `side_min` items, fit in a page, and take about as
/// many bytes as they can.
pub(super) fn cut<I: PageItems>(items: &I, side_min: usize) -> Result<usize> {
    let len = items.len();
    if len < 2 * side_min {
        return Err(items.damaged());
    }
    let page_size = items.page_size();
    let half = half_of_bytes(items)?;
    if half.at >= side_min && half.at <= len - side_min && half.side_max <= page_size {
        return Ok(half.at);
    }
    let at = half.at.clamp(side_min, len - side_min);
    let left_fits = |at: usize| Ok(page_bytes(items, 0..at)? <= page_size);
    let right_fits = |at: usize| Ok(page_bytes(items, at..len)? <= page_size);
    // Something does not share the prefix: as near to the half as fits.
    let at = if !right_fits(at)? {
        // The smallest that leaves a right side which fits.
        first_where(at, len - side_min + 1, right_fits)?
    } else if !left_fits(at)? {
        // The largest that leaves a left side which fits.
        first_where(side_min, at, |at| left_fits(at).map(|fits| !fits))?.wrapping_sub(1)
    } else {
        at
    };
    if !(side_min..=len - side_min).contains(&at) || !left_fits(at)? || !right_fits(at)? {
        return Err(items.damaged());
    }
    Ok(at)
}

/// A cut in the middle of the bytes.
struct Half {
    /// First item of the right side.
    at: usize,
    /// Bytes of a page that either side takes at most.
    side_max: usize,
}

fn half_of_bytes<I: PageItems>(items: &I) -> Result<Half> {
    let len = items.len();
    let prefix_len = items.prefix_len(&(0..len))?;
    let mut total = 0;
    for i in I::FREE_ITEMS..len {
        total += items.item_bytes(i, prefix_len)?;
    }
    let (mut at, mut before) = (I::FREE_ITEMS, 0);
    while at < len {
        let bytes = items.item_bytes(at, prefix_len)?;
        // The item in the middle goes to the side that has less.
        if 2 * before + bytes >= total {
            break;
        }
        before += bytes;
        at += 1;
    }
    // Each side shares this prefix at least. But a single item has none taken out; then a separator
    // that had no cell may get one, of its own 4 bytes more and 2 for their number.
    let header = OWNED_BYTES + BODY_HEADER_BYTES + padded(prefix_len) + prefix_len + 6;
    Ok(Half { at, side_max: header + before.max(total - before) })
}

/// The first of `start..end` for which `holds`, which from there on stays so; `end` for none.
fn first_where(
    mut start: usize,
    mut end: usize,
    holds: impl Fn(usize) -> Result<bool>,
) -> Result<usize> {
    while start < end {
        let middle = start + (end - start) / 2;
        if holds(middle)? {
            end = middle;
        } else {
            start = middle + 1;
        }
    }
    Ok(start)
}
