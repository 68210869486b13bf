//! Pages of a tree: checked views, changes in place, and laying entries out in fresh pages.
//!
//! Everything here works on a page's *body*: the bytes from 16 on, as
//! [`Pages::page`](mapleaf_pager::Pages::page) lends them. Offsets stored on a page count from the
//! page's start.
//!
//! - [`LeafView`], [`InnerView`]: reading. `new` checks the page once, each cell is checked when it
//!   is touched; what does not hold is [`Damage::Layout`](mapleaf_pager::Damage::Layout).
//! - [`LeafMut`], [`InnerMut`]: one entry changed in place, answered by a [`Fit`].
//! - [`LeafContent`], [`InnerContent`]: what one or two pages and a pending change hold together, to
//!   be laid out in fresh pages: rebuild, split, merge, redistribute.
//!
//! A change that is not [`Fit::Done`] has changed nothing. The caller then claims fresh pages:
//!
//! ```text
//! match leaf_mut.insert_at(i, key, value)? {
//!     Fit::Done => {}
//!     Fit::Rebuild => LeafContent::of(view).insert(i, key, value).fill(0..len, fresh)?,
//!     Fit::Split => {
//!         let content = LeafContent::of(view).insert(i, key, value);
//!         let at = content.split_point()?;              // or the right edge: content.len() - 1
//!         let low = separator(content.key(at - 1)?, content.key(at)?); // borrows from the source
//!         content.fill(0..at, fresh_left)?; content.fill(at..content.len(), fresh_right)?;
//!     }
//! }
//! ```

mod cells;
mod cells_mut;
mod explain;
mod fixed;
mod fixed_mut;
mod heads;
mod inner;
mod inner_content;
mod inner_mut;
mod layout;
mod leaf;
mod leaf_content;
mod leaf_mut;
#[cfg(feature = "fingerprints")]
mod prints;
#[cfg(feature = "fingerprints")]
pub(crate) mod scan;
pub(crate) mod search;
mod slots;
mod split;
mod tags;
#[cfg(test)]
mod tests;

pub(crate) use cells::Value;
pub(crate) use cells_mut::NewValue;
pub(crate) use explain::explain;
pub(crate) use inner::{InnerView, Separator};
pub(crate) use inner_content::InnerContent;
pub(crate) use inner_mut::InnerMut;
pub(crate) use leaf::LeafView;
pub(crate) use leaf_content::LeafContent;
pub(crate) use leaf_mut::LeafMut;

use crate::key::Key;
use mapleaf_pager::HEADER_BYTES;

/// What came of a change in place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub(crate) enum Fit {
    /// It is done.
    Done,
    /// Nothing changed: there is room once the page is rebuilt in a fresh one (dead cells dropped,
    /// the prefix chosen anew).
    Rebuild,
    /// Nothing changed: it takes two pages.
    Split,
}

/// Entries of the longest key, or of the longest inline value, that any leaf holds.
const ENTRIES_MIN: usize = 4;

/// Bytes of a page that an entry takes at most: a quarter of what the header leaves.
const fn max_entry_bytes(page_size: usize) -> usize {
    page_size.saturating_sub(HEADER_BYTES) / ENTRIES_MIN
}

/// Bytes an entry takes beside key and value: slot and cell header.
const ENTRY_OVERHEAD: usize = layout::LEAF.slot_bytes + cells::CELL_HEADER_BYTES;

/// Longest key in bytes of a store with pages of `page_size` bytes: about a quarter page, so that
/// four entries with run references, or four separators, fit in any page.
#[must_use]
pub(crate) const fn max_key_len(page_size: usize) -> usize {
    max_entry_bytes(page_size).saturating_sub(ENTRY_OVERHEAD + cells::RUN_BYTES)
}

/// Longest value in bytes that a leaf holds beside a key of `key_len` bytes (at most
/// [`max_key_len`]); longer ones go to a run. Never less than a run reference takes.
#[must_use]
pub(crate) const fn max_inline_value(page_size: usize, key_len: usize) -> usize {
    let room = max_entry_bytes(page_size).saturating_sub(ENTRY_OVERHEAD + key_len);
    if room < cells::RUN_BYTES { cells::RUN_BYTES } else { room }
}

/// The shortest prefix of `right` that is above `left`, where `left < right`.
#[must_use]
pub(crate) fn separator<'r>(left: Key<'_>, right: Key<'r>) -> Key<'r> {
    // The first byte in which they differ is in `right`, or `left` were not below it.
    right.truncated(layout::common_len(left, right) + 1)
}
