//! Numbers that mean different things are different types.

use core::fmt;

/// Number of a page in the file; its bytes start at `id × page size`. Pages 0 and 1 are the metas.
///
/// Zero doubles as "no page", since no tree, list or bitmap can live in a meta.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(transparent)]
pub struct PageId(pub u32);

impl PageId {
    /// "No page": the root of an empty tree, the end of a chain.
    pub const NONE: PageId = PageId(0);

    /// Whether this is [`PageId::NONE`].
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }

    /// Whether this names a page.
    #[must_use]
    pub const fn is_some(self) -> bool {
        self.0 != 0
    }

    /// As an index or count.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for PageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "page {}", self.0)
    }
}

/// Number of a transaction. Later transactions have larger numbers; numbers may be skipped.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(transparent)]
pub struct TxnId(pub u64);

impl TxnId {
    /// The transaction after this one.
    #[must_use]
    pub const fn next(self) -> TxnId {
        TxnId(self.0.saturating_add(1))
    }
}

impl fmt::Display for TxnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "transaction {}", self.0)
    }
}
