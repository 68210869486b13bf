//! Snapshots, and the trees in them.

use crate::remembered::Opening;
use crate::store::OwnedSnapshot;
use mapleaf_btree::{Catalog, Result, Tree, TreeNames};
use mapleaf_pager::{Snapshot, TxnId, Waitless};
use std::fmt;

/// A tree of a snapshot.
pub type ReadTree<'a> = Tree<'a, &'a Snapshot<'a>>;

/// A tree of a snapshot that is read without waiting for the medium; see [`Tree::without_waiting`].
pub type WaitlessTree<'a> = Tree<'a, Waitless<&'a Snapshot<'a>>>;

/// The names and records of a snapshot's trees.
pub type ReadTrees<'a> = TreeNames<'a, &'a Snapshot<'a>>;

/// A snapshot: the trees as they were when it began, whatever is committed since. `Send + Sync`.
///
/// While it lives, pages that it can see are not reused. It holds a reader slot, and borrows from the
/// [`Database`](crate::Database); an [`OwnedReadTxn`] does not.
pub struct ReadTxn<'db> {
    snapshot: Snapshot<'db>,
    opening: Opening,
}

impl<'db> ReadTxn<'db> {
    pub(crate) fn new(snapshot: Snapshot<'db>, opening: Opening) -> ReadTxn<'db> {
        ReadTxn { snapshot, opening }
    }

    /// The tree `name`. What it returns lives as long as the snapshot. One lookup among the names, unless this
    /// thread asked for the same name of the same state last.
    ///
    /// # Errors
    /// [`NoSuchTree`](crate::TreeError::NoSuchTree); damage.
    pub fn tree(&self, name: &str) -> Result<ReadTree<'_>> {
        self.opening.tree(&self.snapshot, name)
    }

    /// As [`tree`](ReadTxn::tree), without waiting for the medium: neither this call nor any operation of
    /// the tree does. Where one would, it says what is missing, which
    /// [`Database::fetch`](crate::Database::fetch) reads.
    ///
    /// # Errors
    /// [`WouldBlock`](crate::StoreError::WouldBlock), and as [`tree`](ReadTxn::tree).
    pub fn try_tree(&self, name: &str) -> Result<WaitlessTree<'_>> {
        Catalog::new(Waitless::new(&self.snapshot))?.open(name)
    }

    /// The trees' names and records, in the names' order.
    ///
    /// ```
    /// # let db = mapleaf::Database::in_memory()?;
    /// let mut txn = db.write()?;
    /// txn.tree("users")?.insert(b"ada", b"1815")?;
    /// txn.commit()?;
    /// for tree in db.read()?.trees()? {
    ///     let (name, record) = tree?;
    ///     assert_eq!((name == "users", record.entries), (true, 1));
    /// }
    /// # Ok::<(), mapleaf::Error>(())
    /// ```
    ///
    /// # Errors
    /// Damage.
    pub fn trees(&self) -> Result<ReadTrees<'_>> {
        Ok(Catalog::new(&self.snapshot)?.list())
    }

    /// The number of the transaction that made this state.
    #[must_use]
    pub fn txn(&self) -> TxnId {
        mapleaf_pager::Pages::txn(&self.snapshot)
    }
}

impl fmt::Debug for ReadTxn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadTxn").field("txn", &self.txn()).finish()
    }
}

/// A snapshot that owns a share of the store: `'static`, `Send + Sync`.
///
/// It keeps the file open and locked, even where every [`Database`](crate::Database) is gone.
pub struct OwnedReadTxn {
    snapshot: OwnedSnapshot,
    opening: Opening,
}

impl OwnedReadTxn {
    pub(crate) fn new(snapshot: OwnedSnapshot, opening: Opening) -> OwnedReadTxn {
        OwnedReadTxn { snapshot, opening }
    }

    /// As [`ReadTxn::tree`].
    ///
    /// # Errors
    /// As [`ReadTxn::tree`].
    pub fn tree(&self, name: &str) -> Result<ReadTree<'_>> {
        self.opening.tree(self.snapshot.snapshot(), name)
    }

    /// As [`ReadTxn::try_tree`].
    ///
    /// # Errors
    /// As [`ReadTxn::try_tree`].
    pub fn try_tree(&self, name: &str) -> Result<WaitlessTree<'_>> {
        Catalog::new(Waitless::new(self.snapshot.snapshot()))?.open(name)
    }

    /// As [`ReadTxn::trees`].
    ///
    /// # Errors
    /// Damage.
    pub fn trees(&self) -> Result<ReadTrees<'_>> {
        Ok(Catalog::new(self.snapshot.snapshot())?.list())
    }

    /// The number of the transaction that made this state.
    #[must_use]
    pub fn txn(&self) -> TxnId {
        mapleaf_pager::Pages::txn(self.snapshot.snapshot())
    }
}

impl fmt::Debug for OwnedReadTxn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedReadTxn").field("txn", &self.txn()).finish()
    }
}

const _: fn() = || {
    fn send_and_sync<T: Send + Sync>() {}
    send_and_sync::<ReadTxn<'static>>();
    send_and_sync::<OwnedReadTxn>();
    send_and_sync::<ReadTree<'static>>();
};
