//! Entries on their way into the store, in one transaction or several.

use crate::failure::{Failure, Outcome};
use crate::progress::Progress;
use mapleaf::{Database, StoreError, TreeError, TreeHandle, WriteTxn};
use std::path::Path;

/// Why an entry was not stored.
pub(crate) enum Refused {
    /// The entry is at fault: too long a key, say.
    Entry(TreeError),
    /// The store is.
    Store(Failure),
}

/// Stores entries, and commits after every so many, or once.
pub(crate) struct Loader<'db> {
    path: &'db Path,
    db: &'db Database,
    batch: u64,
    verbose: bool,
    txn: Option<WriteTxn<'db>>,
    /// The tree that was written last in this transaction.
    open: Option<(String, TreeHandle)>,
    /// Entries that the transaction holds.
    pending: u64,
    committed: u64,
    /// Entries that replaced another.
    pub(crate) replaced: u64,
}

impl<'db> Loader<'db> {
    /// Loads into `db`, which is the store at `path`.
    pub(crate) fn new(
        path: &'db Path,
        db: &'db Database,
        batch: Option<u64>,
        verbose: bool,
    ) -> Loader<'db> {
        Loader {
            path,
            db,
            batch: batch.unwrap_or(u64::MAX),
            verbose,
            txn: None,
            open: None,
            pending: 0,
            committed: 0,
            replaced: 0,
        }
    }

    /// Entries that stay whatever comes.
    pub(crate) fn committed(&self) -> u64 {
        self.committed
    }

    /// Opens a tree (and makes it), so that it is there even without an entry.
    pub(crate) fn tree(&mut self, tree: &str) -> Result<TreeHandle, Refused> {
        let txn = match &mut self.txn {
            Some(txn) => txn,
            None => {
                self.open = None;
                let begun = self.db.write().map_err(|error| Refused::Store(error.into()))?;
                self.txn.insert(begun)
            }
        };
        match &self.open {
            Some((name, handle)) if name == tree => Ok(*handle),
            _ => {
                let handle = txn.open_or_create(tree).map_err(|error| refused(self.path, error))?;
                self.open = Some((tree.to_owned(), handle));
                Ok(handle)
            }
        }
    }

    /// Stores an entry.
    pub(crate) fn insert(&mut self, tree: &str, key: &[u8], value: &[u8]) -> Result<(), Refused> {
        let handle = self.tree(tree)?;
        let Some(txn) = &mut self.txn else { return Ok(()) };
        let replaced = txn.tree(handle).and_then(|mut tree| tree.insert(key, value));
        self.replaced += u64::from(replaced.map_err(|error| refused(self.path, error))?);
        self.pending += 1;
        Ok(())
    }

    /// Commits if the batch is full.
    pub(crate) fn commit_full(&mut self, progress: &Progress) -> Outcome {
        if self.pending < self.batch {
            return Ok(());
        }
        self.commit()?;
        if self.verbose {
            progress.say(&format!("committed {}", self.committed));
        }
        Ok(())
    }

    /// Commits what is pending.
    pub(crate) fn commit(&mut self) -> Outcome {
        if let Some(txn) = self.txn.take() {
            txn.commit()?;
            self.committed += self.pending;
            self.pending = 0;
        }
        Ok(())
    }
}

fn refused(path: &Path, error: TreeError) -> Refused {
    match error {
        TreeError::Pager(StoreError::ValueTooLong) | TreeError::ValueTooLong => {
            Refused::Entry(error)
        }
        TreeError::KeyTooLong { .. } | TreeError::TooManyTrees => Refused::Entry(error),
        error => Refused::Store(Failure::tree(path, error)),
    }
}
