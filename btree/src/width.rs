//! Sizes of a fixed-width tree's entries.

use crate::error::{Error, Result};
use mapleaf_pager::HEADER_BYTES;

/// Entries that a leaf has room for at least.
const ENTRIES_MIN: usize = 4;

/// Bytes that the array of values begins at a multiple of, from the keys' start on.
pub(crate) const VALUES_ALIGN: usize = 8;

/// The sizes of all keys and all values of a tree; see [`TreeOptions::fixed_width`](crate::TreeOptions::fixed_width).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FixedWidth {
    /// Bytes of each key, at least 1.
    pub key_bytes: u16,
    /// Bytes of each value.
    pub value_bytes: u16,
    /// In a build without such trees there is no such value, so that none takes room.
    #[cfg(not(feature = "fixed-width"))]
    never: core::convert::Infallible,
}

impl FixedWidth {
    /// These sizes; `None` where this build has no such trees.
    pub(crate) const fn new(key_bytes: u16, value_bytes: u16) -> Option<FixedWidth> {
        #[cfg(feature = "fixed-width")]
        return Some(FixedWidth { key_bytes, value_bytes });
        #[cfg(not(feature = "fixed-width"))]
        {
            let _ = (key_bytes, value_bytes);
            None
        }
    }

    /// Bytes of an entry.
    #[must_use]
    pub const fn entry_bytes(self) -> usize {
        self.key_bytes as usize + self.value_bytes as usize
    }

    /// Most bytes that an entry may have on pages of this size.
    pub(crate) const fn entry_bytes_max(page_size: usize) -> usize {
        // The values' alignment costs four keys' bytes another 4 at the most.
        (page_size.saturating_sub(HEADER_BYTES) / ENTRIES_MIN).saturating_sub(1)
    }

    /// Whether a leaf of this size has room for a few entries.
    pub(crate) const fn fits(self, page_size: usize) -> bool {
        self.key_bytes > 0 && self.entry_bytes() <= FixedWidth::entry_bytes_max(page_size)
    }

    /// Bytes of the arrays of `count` entries: no overflow where the width [`fits`](FixedWidth::fits) and
    /// the count is a `u16`.
    pub(crate) const fn array_bytes(self, count: usize) -> usize {
        (self.key_bytes as usize * count).next_multiple_of(VALUES_ALIGN)
            + self.value_bytes as usize * count
    }

    /// Entries that a page has room for; 0 where the width does not fit.
    pub(crate) const fn capacity(self, page_size: usize) -> usize {
        if !self.fits(page_size) {
            return 0;
        }
        let room = page_size - HEADER_BYTES;
        let mut count = room / self.entry_bytes();
        while self.array_bytes(count) > room {
            count -= 1;
        }
        count
    }

    /// That key and value have these sizes.
    ///
    /// # Errors
    /// [`WrongWidth`](Error::WrongWidth).
    pub(crate) fn check(self, key_len: usize, value_len: usize) -> Result<()> {
        let right = key_len == usize::from(self.key_bytes);
        if right && value_len == usize::from(self.value_bytes) {
            Ok(())
        } else {
            Err(Error::WrongWidth { width: self })
        }
    }
}
