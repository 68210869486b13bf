//! What can go wrong in a tree.

use crate::FixedWidth;
use core::fmt;
use mapleaf_pager::{Damage, PageId};

/// Everything that can go wrong in the tree layer. `Copy`, no heap.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Error {
    /// The pages below: damage, a full or failing medium, a stale handle.
    Pager(mapleaf_pager::Error),
    /// The key (or the tree's name) is longer than this store's page size allows.
    KeyTooLong {
        /// Longest key in bytes.
        limit_bytes: usize,
    },
    /// The value is longer than a run of pages can be.
    ValueTooLong,
    /// There is no tree of that name, or the handle's tree was dropped, or the handle is of another transaction.
    NoSuchTree,
    /// There is a tree of that name already.
    TreeExists,
    /// More trees have handles in this transaction than the writer's table holds
    /// ([`TREES_MAX`](crate::TREES_MAX)).
    TooManyTrees,
    /// `append` got a key that is not above every key of the tree.
    NotSorted,
    /// A tree of fixed width was given a key or a value of another size.
    WrongWidth {
        /// The sizes that its entries have.
        width: FixedWidth,
    },
    /// No tree can have entries of this fixed width: a key of no bytes, or too many bytes in all.
    WidthTooLarge {
        /// Most bytes of key and value together.
        limit_bytes: usize,
    },
    /// The caller's work area is too small for a single step.
    WorkAreaTooSmall {
        /// Bytes needed at least.
        needed_bytes: usize,
    },
    /// The tree's record carries flags that this build does not know: counted, multimap.
    UnsupportedTree {
        /// The unknown flag bits.
        flags: u8,
    },
}

impl Error {
    /// A damaged page.
    #[must_use]
    pub const fn corrupt(page: PageId, damage: Damage) -> Error {
        Error::Pager(mapleaf_pager::Error::corrupt(page, damage))
    }

    /// Whether this is [`WouldBlock`](mapleaf_pager::Error::WouldBlock).
    #[must_use]
    pub const fn would_block(&self) -> bool {
        matches!(self, Error::Pager(mapleaf_pager::Error::WouldBlock { .. }))
    }
}

impl From<mapleaf_pager::Error> for Error {
    fn from(error: mapleaf_pager::Error) -> Error {
        match error {
            mapleaf_pager::Error::ValueTooLong => Error::ValueTooLong,
            other => Error::Pager(other),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Error::Pager(error) => error.fmt(f),
            Error::KeyTooLong { limit_bytes } => {
                write!(f, "the key is too long: at most {limit_bytes} bytes fit")
            }
            Error::ValueTooLong => f.write_str("the value is too long"),
            Error::NoSuchTree => f.write_str("there is no such tree"),
            Error::TreeExists => f.write_str("a tree of that name exists"),
            Error::TooManyTrees => write!(
                f,
                "too many trees have handles in this transaction: at most {}, with short names",
                crate::TREES_MAX
            ),
            Error::NotSorted => f.write_str("the key is not above every key of the tree"),
            Error::WrongWidth { width: FixedWidth { key_bytes, value_bytes, .. } } => {
                write!(f, "the tree has keys of {key_bytes} bytes and values of {value_bytes}")
            }
            Error::WidthTooLarge { limit_bytes } => write!(
                f,
                "an entry of fixed width has a key, and at most {limit_bytes} bytes in all"
            ),
            Error::WorkAreaTooSmall { needed_bytes } => {
                write!(f, "the work area is too small: at least {needed_bytes} bytes are needed")
            }
            Error::UnsupportedTree { flags } => {
                write!(f, "the tree has features this build does not know (bits {flags:#x})")
            }
        }
    }
}

impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Error::Pager(error) => Some(error),
            _ => None,
        }
    }
}

/// Result of the tree layer's operations.
pub type Result<T, E = Error> = core::result::Result<T, E>;
