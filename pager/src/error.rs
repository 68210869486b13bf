//! One small `Copy` error for the whole core; upper layers wrap it.

use crate::{PageId, TxnId};
use core::fmt;

/// What was found wrong on a page, in the meta or in the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Damage {
    /// The checksum does not match the bytes.
    Checksum,
    /// A page number points outside the file, or at a meta or log page.
    OutOfRange,
    /// A page of the state lies behind the end of the file: somebody has cut it.
    CutOff,
    /// The page is of another kind than its parent says.
    Kind,
    /// The page was born after the transaction that reaches it.
    BornLater,
    /// Counts, offsets or sizes on the page contradict each other.
    Layout,
    /// Keys are not in order, or lie outside their parent's separators.
    Order,
    /// The tree is deeper, or shallower, than its record says; or a chain has a cycle.
    Depth,
    /// A page is reachable twice, or both reachable and free.
    Shared,
    /// A page is neither reachable nor free.
    Lost,
    /// A recorded count differs from what was counted.
    Count,
    /// A record in the log cannot be applied to the state before it.
    Redo,
    /// A block that was acknowledged as durable is missing from the log.
    LogGap,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Damage::Checksum => "its checksum does not match its bytes",
            Damage::OutOfRange => "it lies outside the pages in use",
            Damage::CutOff => "it lies behind the end of the file, which was cut short",
            Damage::Kind => "it is of another kind than its parent says",
            Damage::BornLater => "it was written after the transaction that reaches it",
            Damage::Layout => "its counts, offsets and sizes contradict each other",
            Damage::Order => "its keys are out of order",
            Damage::Depth => "the tree around it is deeper or shallower than recorded",
            Damage::Shared => "it is in use twice",
            Damage::Lost => "it is neither in use nor free",
            Damage::Count => "a recorded count differs from what was counted",
            Damage::Redo => "a log record does not apply to the state before it",
            Damage::LogGap => "acknowledged transactions are missing from the log",
        })
    }
}

/// Why a file is not one that this build can open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Unsupported {
    /// Shorter than two metas: `bytes` long.
    TooShort {
        /// Length of the file in bytes.
        bytes: u64,
    },
    /// Neither meta slot starts with mapleaf's magic.
    NotMapleaf,
    /// The byte-order mark reads backwards.
    Endianness,
    /// Format version `found`; this build knows 1.
    Version {
        /// Version the file says it has.
        found: u32,
    },
    /// Incompatible feature bits that this build does not know.
    Features {
        /// The unknown bits.
        unknown: u64,
    },
    /// Read-only compatible feature bits that this build does not know: open it for reading.
    WriteFeatures {
        /// The unknown bits.
        unknown: u64,
    },
    /// Page size `found`, but another one was asked for, or the mapping's write unit is larger.
    PageSize {
        /// Page size of the file in bytes.
        found: u32,
        /// Page size that was asked for, or the mapping's write unit, in bytes.
        wanted: u32,
    },
    /// Another checksum kind, page-number width or reserved page tail than this build knows.
    Layout,
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Unsupported::TooShort { bytes } => write!(f, "{bytes} bytes are too short for a store"),
            Unsupported::NotMapleaf => f.write_str("not a mapleaf file"),
            Unsupported::Endianness => f.write_str("written with the other byte order"),
            Unsupported::Version { found } => {
                write!(f, "format version {found}, this build knows 1")
            }
            Unsupported::Features { unknown } => {
                write!(f, "it uses features this build does not know (bits {unknown:#x})")
            }
            Unsupported::WriteFeatures { unknown } => {
                write!(f, "it uses features this build can read but not write (bits {unknown:#x})")
            }
            Unsupported::PageSize { found, wanted } => {
                write!(f, "its page size is {found} bytes, {wanted} were asked for")
            }
            Unsupported::Layout => f.write_str("its checksum kind or page layout is unknown"),
        }
    }
}

/// Everything that can go wrong in the core. `Copy`, two words, no heap.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Error {
    /// A page is damaged; nothing was changed.
    Corrupt {
        /// The page, or [`PageId::NONE`] where the damage is in no single page.
        page: PageId,
        /// What is wrong with it.
        damage: Damage,
    },
    /// Both metas are damaged.
    NoMeta,
    /// Not a file this build can open.
    Unsupported(Unsupported),
    /// The mapping cannot grow: disk, quota, address space or caller's memory is full.
    Full,
    /// The mapping's own error: an I/O error with the operating system's number, 0 if it has none.
    Io {
        /// `errno`, or 0.
        code: i32,
    },
    /// An earlier flush failed: no further commit until the store is opened anew.
    Poisoned,
    /// Another write transaction is open.
    WriterBusy,
    /// A checkpoint is in progress.
    CheckpointBusy,
    /// Every reader slot is taken.
    ReadersFull,
    /// Opened for reading, but the log holds transactions that a writer must replay first.
    NeedsRecovery,
    /// Opened for reading: no write transaction can begin.
    ReadOnly,
    /// The value is longer than a run of pages can be.
    ValueTooLong,
    /// A transaction number is exhausted, or an option is out of range.
    InvalidArgument,
    /// A savepoint or the transaction ended before: the handle is stale.
    Stale,
    /// Asked [without waiting](crate::Waitless): these pages are not in memory, and reading them would wait
    /// for the medium. Nothing has changed; once they were read, by whoever likes to wait, the same
    /// call gets further.
    WouldBlock {
        /// The first page.
        page: PageId,
        /// Pages that follow each other: one, or a large value's.
        pages: u32,
    },
    /// The transaction met an error half-way through a change, and can only be rolled back.
    TxnFailed {
        /// The transaction.
        txn: TxnId,
    },
}

impl Error {
    /// A damaged page.
    #[must_use]
    pub const fn corrupt(page: PageId, damage: Damage) -> Error {
        Error::Corrupt { page, damage }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Error::Corrupt { page, damage } if page.is_none() => {
                write!(f, "the file is damaged: {damage}")
            }
            Error::Corrupt { page, damage } => write!(f, "{page} is damaged: {damage}"),
            Error::NoMeta => f.write_str("both metas are damaged"),
            Error::Unsupported(why) => why.fmt(f),
            Error::Full => f.write_str(
                "no room to grow: the disk, a quota or what was set aside for it is full",
            ),
            Error::Io { code } => write!(f, "input/output error {code}"),
            Error::Poisoned => f.write_str("an earlier flush failed; open the store anew"),
            Error::WriterBusy => f.write_str("another write transaction is open"),
            Error::CheckpointBusy => f.write_str("a checkpoint is in progress"),
            Error::ReadersFull => f.write_str("every reader slot is taken"),
            Error::NeedsRecovery => {
                f.write_str("the log holds transactions that a writer must replay first")
            }
            Error::ReadOnly => f.write_str("opened for reading only"),
            Error::ValueTooLong => f.write_str("the value is too long"),
            Error::InvalidArgument => f.write_str("an argument is out of range"),
            Error::Stale => f.write_str("the handle belongs to something that has ended"),
            Error::WouldBlock { page, pages } => {
                write!(f, "not in memory: {page} and {} after it", pages.saturating_sub(1))
            }
            Error::TxnFailed { txn } => {
                write!(f, "{txn} failed half-way and can only be rolled back")
            }
        }
    }
}

impl core::error::Error for Error {}

/// Result of the core's operations.
pub type Result<T, E = Error> = core::result::Result<T, E>;
