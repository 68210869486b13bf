//! Choices for making and opening a store.

use crate::verify::{Verify, first_touch_words_for};

/// How a store is made or opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Page size in bytes: a power of two from 512 to 65,536, at least the mapping's write unit.
    /// `None`: the file's own, or the default for a new one.
    pub page_size: Option<u32>,
    /// Bytes of a new store's log ring; 0 for none (every durable commit is then a checkpoint).
    pub log_bytes: u64,
    /// The ring grows with the store up to this many bytes.
    pub log_bytes_max: u64,
    /// UUID of a new store.
    pub uuid: [u8; 16],
    /// Any number that another opening of the same file is unlikely to choose.
    pub entropy: u64,
    /// Refuse write transactions, and change nothing.
    pub read_only: bool,
    /// Opened for reading: ignore the log behind the last checkpoint instead of refusing.
    pub at_checkpoint: bool,
    /// When checksums are compared before bytes are lent.
    pub verify: Verify,
    /// Pages that the last words given to the store have a bit for, with [`Verify::FirstTouch`].
    pub first_touch_pages: u32,
    /// Features (bits of [`features`](crate::features)) that a file shall not come to use of itself; see
    /// [`withhold`](Options::withhold).
    #[cfg(feature = "fingerprints")]
    pub withheld: u64,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            page_size: None,
            log_bytes: 1 << 20,
            log_bytes_max: 64 << 20,
            uuid: [0; 16],
            entropy: 0,
            read_only: false,
            at_checkpoint: false,
            verify: Verify::None,
            first_touch_pages: 0,
            #[cfg(feature = "fingerprints")]
            withheld: 0,
        }
    }
}

impl Options {
    /// With this page size.
    #[must_use]
    pub const fn page_size(mut self, bytes: u32) -> Options {
        self.page_size = Some(bytes);
        self
    }

    /// With a log ring of this many bytes at first, and never more than `max`.
    #[must_use]
    pub const fn log_bytes(mut self, first: u64, max: u64) -> Options {
        self.log_bytes = first;
        self.log_bytes_max = max;
        self
    }

    /// With checksums compared before bytes are lent; [`first_touch`](Options::first_touch) instead for
    /// [`Verify::FirstTouch`], which without bits is [`Verify::Always`].
    #[must_use]
    pub const fn verify(mut self, verify: Verify) -> Options {
        self.verify = verify;
        self
    }

    /// With checksums compared before bytes are lent the first time. The store is then given
    /// [`first_touch_words_for`](crate::first_touch_words_for)`(pages)` words more. Pages from number
    /// `pages` on are compared each time.
    #[must_use]
    pub const fn first_touch(mut self, pages: u32) -> Options {
        self.verify = Verify::FirstTouch;
        self.first_touch_pages = pages;
        self
    }

    /// Without these features (bits of [`features`](crate::features)) as far as there is a choice, so that
    /// builds that do not know them open the file. What the caller asks for by name (a tree of fixed width)
    /// is made nevertheless.
    #[must_use]
    #[cfg(feature = "fingerprints")]
    pub const fn withhold(mut self, features: u64) -> Options {
        self.withheld = features;
        self
    }

    /// Words at the end of those given to the store that hold the bits.
    pub(crate) fn first_touch_words(&self) -> usize {
        match self.verify {
            Verify::FirstTouch => first_touch_words_for(self.first_touch_pages),
            _ => 0,
        }
    }
}
