//! The write transaction.

use crate::database::Inner;
use crate::error::Result;
use crate::observe::{self, Step};
use crate::read::ReadTxn;
use crate::turns::Turn;
use mapleaf_btree::{
    OpenTrees, Pending, Result as TreeResult, Savepoint, Tree, TreeHandle, TreeMut, TreeNames,
    TreeOptions, TreeRecord, Writer,
};
use mapleaf_pager::{Durability, TxnId};
use spin::MutexGuard;
use std::borrow::{Borrow, BorrowMut};
use std::fmt;

/// A tree of the write transaction, to read.
pub type WriteReadTree<'a, 'db> = Tree<'a, &'a mapleaf_pager::WriteTxn<'db>>;

/// The names and records of the write transaction's trees.
pub type WriteTrees<'a, 'db> = TreeNames<'a, &'a mapleaf_pager::WriteTxn<'db>>;

/// The database's table of open trees, which is some KiB: it stays where it is, from one transaction to the next.
pub struct Table<'db>(MutexGuard<'db, OpenTrees>);

impl Borrow<OpenTrees> for Table<'_> {
    fn borrow(&self) -> &OpenTrees {
        &self.0
    }
}

impl BorrowMut<OpenTrees> for Table<'_> {
    fn borrow_mut(&mut self) -> &mut OpenTrees {
        &mut self.0
    }
}

/// A transaction of the layer below, with that table.
pub(crate) type TableWriter<'db> = Writer<'db, Table<'db>>;

mod sealed {
    pub trait Sealed {}
    impl Sealed for &str {}
    impl Sealed for &String {}
    impl Sealed for mapleaf_btree::TreeHandle {}
}

/// What names a tree of a [`WriteTxn`]: a name (the tree is made where there is none) or a handle.
pub trait TreeRef: sealed::Sealed {
    #[doc(hidden)]
    fn of<'w, 'db>(self, writer: &'w mut TableWriter<'db>) -> TreeResult<TreeMut<'w, 'db>>;
}

impl TreeRef for &str {
    fn of<'w, 'db>(self, writer: &'w mut TableWriter<'db>) -> TreeResult<TreeMut<'w, 'db>> {
        writer.tree_named(self, TreeOptions::default())
    }
}

impl TreeRef for &String {
    fn of<'w, 'db>(self, writer: &'w mut TableWriter<'db>) -> TreeResult<TreeMut<'w, 'db>> {
        self.as_str().of(writer)
    }
}

impl TreeRef for TreeHandle {
    fn of<'w, 'db>(self, writer: &'w mut TableWriter<'db>) -> TreeResult<TreeMut<'w, 'db>> {
        writer.tree(self)
    }
}

/// The one write transaction of a database. Dropping it without [`commit`](WriteTxn::commit) leaves no
/// trace. `Send`.
///
/// ```
/// # let db = mapleaf::Database::in_memory()?;
/// let mut txn = db.write()?;
/// // Handles are `Copy`: several trees can be written in turn.
/// let (users, years) = (txn.open_or_create("users")?, txn.open_or_create("years")?);
/// for (name, year) in [("ada", "1815"), ("alan", "1912")] {
///     txn.tree(users)?.insert(name.as_bytes(), year.as_bytes())?;
///     txn.tree(years)?.insert(year.as_bytes(), name.as_bytes())?;
/// }
/// txn.commit()?;
/// # Ok::<(), mapleaf::Error>(())
/// ```
pub struct WriteTxn<'db> {
    /// Ends before the turn does.
    writer: TableWriter<'db>,
    turn: Turn<'db>,
    inner: &'db Inner,
}

impl<'db> WriteTxn<'db> {
    pub(crate) fn begin(inner: &'db Inner, turn: Turn<'db>) -> Result<WriteTxn<'db>> {
        let txn = inner.when_free(&turn, || inner.store.begin_write())?;
        // Free: whoever had it has passed the turn on.
        let writer = Writer::with_table(txn, Table(inner.table.lock()));
        Ok(WriteTxn { writer: writer.map_err(|error| inner.name.error(error))?, turn, inner })
    }

    /// The transaction of the layer below.
    pub(crate) fn writer_mut(&mut self) -> &mut TableWriter<'db> {
        &mut self.writer
    }

    /// Makes the tree `name` and opens it.
    ///
    /// # Errors
    /// [`TreeExists`](crate::TreeError::TreeExists), [`TooManyTrees`](crate::TreeError::TooManyTrees)
    /// (at most [`TREES_MAX`](crate::TREES_MAX) have handles in a transaction),
    /// [`KeyTooLong`](crate::TreeError::KeyTooLong) for a name of more than
    /// [`NAME_BYTES_MAX`](crate::NAME_BYTES_MAX).
    pub fn create(&mut self, name: &str) -> TreeResult<TreeHandle> {
        self.writer.create(name, TreeOptions::default())
    }

    /// As [`create`](WriteTxn::create), with options: a tag.
    ///
    /// # Errors
    /// As [`create`](WriteTxn::create).
    pub fn create_with(&mut self, name: &str, options: TreeOptions) -> TreeResult<TreeHandle> {
        self.writer.create(name, options)
    }

    /// Opens the tree `name`.
    ///
    /// # Errors
    /// [`NoSuchTree`](crate::TreeError::NoSuchTree), [`TooManyTrees`](crate::TreeError::TooManyTrees).
    pub fn open(&mut self, name: &str) -> TreeResult<TreeHandle> {
        self.writer.open(name)
    }

    /// Opens the tree `name`, and makes it where there is none.
    ///
    /// # Errors
    /// As [`create`](WriteTxn::create), but for `TreeExists`.
    pub fn open_or_create(&mut self, name: &str) -> TreeResult<TreeHandle> {
        self.writer.open_or_create(name, TreeOptions::default())
    }

    /// The tree of that name (made where there is none) or handle, to change. By name any number of trees can
    /// be changed in a transaction; by handle up to [`TREES_MAX`](crate::TREES_MAX), a little faster.
    ///
    /// # Errors
    /// As [`open_or_create`](WriteTxn::open_or_create); for a handle whose tree was dropped, or of another
    /// transaction, [`NoSuchTree`](crate::TreeError::NoSuchTree).
    pub fn tree(&mut self, tree: impl TreeRef) -> TreeResult<TreeMut<'_, 'db>> {
        tree.of(&mut self.writer)
    }

    /// Stores the entries in the order of their keys, which they need not come in, so that each page is gone
    /// to once; of two with the same key the later one counts. How many keys were new. Allocates a list of
    /// all entries. Where the keys ascend anyway, and are above all of the tree,
    /// [`TreeMut::load`](crate::TreeMut::load) is faster.
    ///
    /// ```
    /// # let db = mapleaf::Database::in_memory()?;
    /// let mut txn = db.write()?;
    /// let words = "one writer and any number of readers and no waiting";
    /// let new = txn.extend("lengths", words.split(' ').map(|word| (word, [word.len() as u8])))?;
    /// assert_eq!(new, 9);
    /// txn.tree("squares")?.load((0..100u32).map(|n| (n.to_be_bytes(), (n * n).to_le_bytes())), 100)?;
    /// txn.commit()?;
    /// # Ok::<(), mapleaf::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`tree`](WriteTxn::tree) and [`TreeMut::insert`](crate::TreeMut::insert): entries stored before it
    /// stay in the transaction.
    pub fn extend<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        &mut self,
        tree: impl TreeRef,
        entries: impl IntoIterator<Item = (K, V)>,
    ) -> TreeResult<u64> {
        let entries: Vec<(K, V)> = entries.into_iter().collect();
        // One too many where there are none.
        let mut work = vec![Pending::default(); entries.len().max(1)];
        let lent = entries.iter().map(|(key, value)| (key.as_ref(), value.as_ref()));
        self.tree(tree)?.extend(lent, &mut work)
    }

    /// The tree, to read; several can be at a time.
    ///
    /// # Errors
    /// [`NoSuchTree`](crate::TreeError::NoSuchTree).
    pub fn tree_ref(&self, tree: TreeHandle) -> TreeResult<WriteReadTree<'_, 'db>> {
        self.writer.tree_ref(tree)
    }

    /// The tree's record as it is now: entries, pages, height, tag.
    ///
    /// # Errors
    /// [`NoSuchTree`](crate::TreeError::NoSuchTree).
    pub fn record(&self, tree: TreeHandle) -> TreeResult<TreeRecord> {
        self.writer.record(tree)
    }

    /// The names and records of all trees, in the names' order.
    ///
    /// # Errors
    /// Damage; a full file (what changed of the records is written to the catalog before).
    pub fn trees(&mut self) -> TreeResult<WriteTrees<'_, 'db>> {
        self.writer.list()
    }

    /// Gives a tree another name; open handles go on with it.
    ///
    /// # Errors
    /// [`NoSuchTree`](crate::TreeError::NoSuchTree), [`TreeExists`](crate::TreeError::TreeExists).
    pub fn rename(&mut self, from: &str, to: &str) -> TreeResult<()> {
        self.writer.rename(from, to)
    }

    /// Drops the tree `name` with all its entries; false where there is none.
    ///
    /// # Errors
    /// Damage.
    pub fn drop_tree(&mut self, name: &str) -> TreeResult<bool> {
        self.writer.drop_tree(name)
    }

    /// Sets the tag of a tree: any number, the program's own.
    ///
    /// # Errors
    /// [`NoSuchTree`](crate::TreeError::NoSuchTree).
    pub fn set_tag(&mut self, tree: TreeHandle, tag: u64) -> TreeResult<()> {
        self.writer.set_tag(tree, tag)
    }

    /// Starts a savepoint; they nest.
    ///
    /// ```
    /// # let db = mapleaf::Database::in_memory()?;
    /// let mut txn = db.write()?;
    /// let users = txn.open_or_create("users")?;
    /// let before = txn.savepoint()?;
    /// txn.tree(users)?.insert(b"ada", b"1815")?;
    /// txn.rollback_to(before)?;
    /// assert!(txn.tree(users)?.is_empty());
    /// # Ok::<(), mapleaf::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`TxnFailed`](crate::StoreError::TxnFailed); a full file.
    pub fn savepoint(&mut self) -> TreeResult<Savepoint> {
        self.writer.savepoint()
    }

    /// Takes back everything since the savepoint, and ends it and all younger ones. A transaction that
    /// an error left half-way goes on from there.
    ///
    /// # Errors
    /// [`Stale`](crate::StoreError::Stale): it ended before.
    pub fn rollback_to(&mut self, savepoint: Savepoint) -> TreeResult<()> {
        self.writer.rollback_to(savepoint)
    }

    /// Ends the savepoint and all younger ones, and keeps what was done since.
    ///
    /// # Errors
    /// [`Stale`](crate::StoreError::Stale): it ended before.
    pub fn release(&mut self, savepoint: Savepoint) -> TreeResult<()> {
        self.writer.release(savepoint)
    }

    /// The state before the transaction, as a snapshot: its values can be inserted.
    ///
    /// ```
    /// # let db = mapleaf::Database::in_memory()?;
    /// # let mut txn = db.write()?;
    /// # txn.tree("users")?.insert(b"ada", b"1815")?;
    /// # txn.commit()?;
    /// let mut txn = db.write()?;
    /// let base = txn.base()?;
    /// let mut copy = txn.tree("copy")?;
    /// for entry in base.tree("users")?.iter() {
    ///     let (key, value) = entry?;
    ///     copy.insert(&key.to_vec(), value)?;
    /// }
    /// txn.commit()?;
    /// # Ok::<(), mapleaf::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ReadersFull`](crate::StoreError::ReadersFull).
    pub fn base(&self) -> Result<ReadTxn<'db>> {
        let snapshot = self.writer.txn().base();
        let snapshot = snapshot.map_err(|error| self.inner.name.error(error))?;
        Ok(ReadTxn::new(snapshot, self.inner.opening))
    }

    /// Commits: when it returns the transaction survives power loss. The number of the new state.
    ///
    /// # Errors
    /// As [`commit_with`](WriteTxn::commit_with).
    pub fn commit(self) -> Result<TxnId> {
        self.commit_with(Durability::Sync)
    }

    /// Commits with this durability.
    ///
    /// # Errors
    /// [`Full`](crate::StoreError::Full), [`TxnFailed`](crate::StoreError::TxnFailed),
    /// [`Error::Io`](crate::Error::Io): rolled back. After an error from a flush every further
    /// transaction is [`Poisoned`](crate::StoreError::Poisoned) until the database is opened anew.
    pub fn commit_with(mut self, durability: Durability) -> Result<TxnId> {
        let inner = self.inner;
        let written = self.writer.write_back();
        let (txn, turn) = (self.writer.into_written(), self.turn);
        let committed = observe::step(Step::Commit(durability), || -> TreeResult<TxnId> {
            written?;
            Ok(txn.commit(durability)?)
        });
        let txn = committed.map_err(|error| inner.name.error(error))?;
        drop(turn);
        inner.committed();
        Ok(txn)
    }

    /// Commits as [`commit`](WriteTxn::commit) does, but shares the barrier with transactions of other threads
    /// that wait for their turn: several threads that commit at the same time wait for one barrier instead of
    /// one each. Where nobody waits it is `commit`.
    ///
    /// Others may see the transaction before this returns, and so before it survives power loss; what they
    /// commit on top of it never survives without it. One barrier at the most for all who share it; two, and the
    /// pages written so far, where a transaction behind this one does not end for long.
    ///
    /// ```
    /// # let db = mapleaf::Database::in_memory()?;
    /// # db.write()?.commit()?;
    /// std::thread::scope(|scope| {
    ///     for thread in 0..4u8 {
    ///         let db = &db;
    ///         scope.spawn(move || {
    ///             let mut txn = db.write()?;
    ///             txn.tree("threads")?.insert(&[thread], b"was here")?;
    ///             txn.commit_group()
    ///         });
    ///     }
    /// });
    /// assert_eq!(db.read()?.tree("threads")?.len(), 4);
    /// # Ok::<(), mapleaf::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`commit_with`](WriteTxn::commit_with). After an error from a flush it is not known whether the
    /// transaction survives.
    pub fn commit_group(self) -> Result<TxnId> {
        let inner = self.inner;
        let txn = self.commit_with(inner.share_of_group())?;
        inner.until_durable(txn)?;
        Ok(txn)
    }

    /// Ends the transaction without a trace; as dropping it.
    pub fn rollback(self) {}
}

impl fmt::Debug for WriteTxn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteTxn").field("txn", &self.writer.txn().id()).finish_non_exhaustive()
    }
}

const _: fn() = || {
    fn send<T: Send>() {}
    send::<WriteTxn<'static>>();
};
