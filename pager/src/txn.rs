//! The write transaction.

use crate::pages::{Pages, Root};
use crate::{PageId, Result, TxnId};

/// What a commit promises when it returns.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Durability {
    /// The transaction survives power loss. One barrier (a log commit) or two (a checkpoint).
    #[default]
    Sync,
    /// The transaction survives the death of the process; power loss may take it back to an
    /// earlier commit, never to a corrupt state. No barrier.
    Eventual,
}

/// A piece of a redo record.
#[derive(Clone, Copy, Debug)]
pub enum Part<'a> {
    /// Bytes of the caller.
    Bytes(&'a [u8]),
    /// Bytes of a page's body (as [`Pages::page`] returns it), read in this transaction's state.
    Page(PageId, usize, usize),
    /// The first `.1` bytes of the run's value.
    Run(PageId, u64),
}

/// A savepoint inside a write transaction; see [`WriteTxn::savepoint`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Savepoint {
    pub(crate) page: PageId,
    pub(crate) birth: TxnId,
}

/// The one write transaction. Dropping it without [`commit`](WriteTxn::commit) rolls back.
pub struct WriteTxn<'s> {
    _p: core::marker::PhantomData<&'s mut ()>,
}

impl WriteTxn<'_> {
    /// The number pages are born with now. A savepoint raises it.
    #[must_use]
    pub fn id(&self) -> TxnId {
        unimplemented!()
    }

    /// Makes sure that the next `pages` single-page claims do not fail for want of space.
    ///
    /// # Errors
    /// [`Full`](crate::Error::Full): nothing changed.
    pub fn reserve(&mut self, _pages: u32) -> Result<()> {
        unimplemented!()
    }

    /// Claims a page: reused, or at the end of the file. Bytes 0..16 of its body are zero, the rest
    /// unspecified (but initialised).
    ///
    /// # Errors
    /// [`Full`](crate::Error::Full), [`Io`](crate::Error::Io), [`Corrupt`](crate::Error::Corrupt) (space
    /// pages): nothing changed that a later claim would miss.
    pub fn claim(&mut self) -> Result<PageId> {
        unimplemented!()
    }

    /// Claims a run of consecutive pages for a value of `len_bytes`; its bytes are unspecified until
    /// written through [`run_mut`](WriteTxn::run_mut).
    pub fn claim_run(&mut self, _len_bytes: u64) -> Result<PageId> {
        unimplemented!()
    }

    /// The value bytes of a run claimed in this transaction (since the last savepoint).
    pub fn run_mut(&mut self, _id: PageId) -> Result<&mut [u8]> {
        unimplemented!()
    }

    /// The page itself where it was born in this transaction (since the last savepoint); else a
    /// claimed copy of it, and the old page is freed. The caller stores the new number in the parent.
    pub fn own(&mut self, _id: PageId) -> Result<PageId> {
        unimplemented!()
    }

    /// Whether the page was born in this transaction since the last savepoint, so that
    /// [`own`](WriteTxn::own) would return it unchanged.
    pub fn owned(&self, _id: PageId) -> Result<bool> {
        unimplemented!()
    }

    /// Frees a page that this transaction's state no longer reaches. It is reused when no pinned state
    /// can see it.
    pub fn free(&mut self, _id: PageId) -> Result<()> {
        unimplemented!()
    }

    /// Frees a run, by its first page.
    pub fn free_run(&mut self, _id: PageId) -> Result<()> {
        unimplemented!()
    }

    /// The only way to mutable pages: bodies (behind the 16 bytes the pager owns) of `read` pages of
    /// this state, and of `write` pages that were born in this transaction since the last savepoint.
    /// All `write` numbers are distinct from each other and from the `read` ones (which may repeat).
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::Error::InvalidArgument): not distinct, or a `write` page was not born
    /// here; [`Corrupt`](crate::Error::Corrupt) as for [`Pages::page`].
    #[allow(clippy::type_complexity)]
    pub fn edit<const R: usize, const W: usize>(
        &mut self,
        _read: [PageId; R],
        _write: [PageId; W],
    ) -> Result<([&[u8]; R], [&mut [u8]; W])> {
        unimplemented!()
    }

    /// Sets the tree layer's root data of the state that this transaction makes.
    pub fn set_root(&mut self, _root: &Root) {
        unimplemented!()
    }

    /// Appends one redo record, the concatenation of `parts`, to the log's tail. Where the log is
    /// off or the record does not fit, the commit becomes a checkpoint instead. Never fails.
    pub fn redo(&mut self, _parts: &[Part<'_>]) {
        unimplemented!()
    }

    /// Marks the transaction as broken half-way: it can only be rolled back (to a savepoint taken
    /// before, or whole). For a tree change that failed after it had begun.
    pub fn fail(&mut self) {
        unimplemented!()
    }

    /// Starts a savepoint; they nest. Pages born before it are copied before they change.
    pub fn savepoint(&mut self) -> Result<Savepoint> {
        unimplemented!()
    }

    /// Takes back everything since the savepoint, and ends it and all younger ones.
    ///
    /// # Errors
    /// [`Stale`](crate::Error::Stale): it ended before.
    pub fn rollback_to(&mut self, _savepoint: Savepoint) -> Result<()> {
        unimplemented!()
    }

    /// Ends the savepoint and all younger ones, and keeps what was done since.
    pub fn release(&mut self, _savepoint: Savepoint) -> Result<()> {
        unimplemented!()
    }

    /// Commits. `Ok` carries the number of the new state.
    pub fn commit(self, _durability: Durability) -> Result<TxnId> {
        unimplemented!()
    }
}

impl<'a> Pages<'a> for &'a WriteTxn<'_> {
    fn page_size(self) -> usize {
        unimplemented!()
    }
    fn txn(self) -> TxnId {
        unimplemented!()
    }
    fn page(self, _id: PageId) -> Result<&'a [u8]> {
        unimplemented!()
    }
    fn run(self, _id: PageId, _len_bytes: u64) -> Result<&'a [u8]> {
        unimplemented!()
    }
    fn prefetch(self, _id: PageId, _lines: usize) {}
    fn root(self) -> &'a Root {
        unimplemented!()
    }
    fn verify(self, _id: PageId) -> Result<()> {
        unimplemented!()
    }
}

