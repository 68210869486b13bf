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
    open: Option<Open>,
    /// Entries that the transaction holds.
    pending: u64,
    committed: u64,
    /// Entries that replaced another value.
    pub(crate) replaced: u64,
    /// Entries that were there already.
    pub(crate) unchanged: u64,
}

/// A tree of the transaction.
struct Open {
    name: String,
    handle: TreeHandle,
    /// It had entries when it was opened: some of those to load may be there already.
    filled: bool,
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
            unchanged: 0,
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
            Some(open) if open.name == tree => Ok(open.handle),
            _ => {
                let handle = txn.open_or_create(tree).map_err(|error| refused(self.path, error))?;
                let record = txn.record(handle).map_err(|error| refused(self.path, error))?;
                let filled = record.entries > 0;
                self.open = Some(Open { name: tree.to_owned(), handle, filled });
                Ok(handle)
            }
        }
    }

    /// Stores an entry, unless it is there already: a page is copied only where something changes.
    pub(crate) fn insert(&mut self, tree: &str, key: &[u8], value: &[u8]) -> Result<(), Refused> {
        let handle = self.tree(tree)?;
        let Some(txn) = &mut self.txn else { return Ok(()) };
        let filled = self.open.as_ref().is_some_and(|open| open.filled);
        let stored = txn.tree(handle).and_then(|mut tree| {
            if filled && tree.get(key)? == Some(value) {
                self.unchanged += 1;
                return Ok(());
            }
            self.replaced += u64::from(tree.insert(key, value)?);
            Ok(())
        });
        stored.map_err(|error| refused(self.path, error))?;
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
