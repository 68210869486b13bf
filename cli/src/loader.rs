//! Entries on their way into the store, in one transaction or several.

use crate::failure::{Failure, Outcome};
use crate::progress::Progress;
use mapleaf::{Database, StoreError, TreeError, TreeMut, WriteTxn};
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
    pub(crate) fn tree(&mut self, tree: &str) -> Result<(), Refused> {
        self.opened(tree).map(drop)
    }

    /// The tree, by name: a dump may have more of them than a transaction has handles.
    fn opened(&mut self, tree: &str) -> Result<(bool, TreeMut<'_, 'db>), Refused> {
        if self.txn.is_none() {
            self.open = None;
            self.txn = Some(self.db.write().map_err(|error| Refused::Store(error.into()))?);
        }
        let txn = self.txn.as_mut().ok_or(Refused::Entry(TreeError::NoSuchTree))?;
        let opened = txn.tree(tree).map_err(|error| refused(self.path, error))?;
        let filled = match &self.open {
            Some(open) if open.name == tree => open.filled,
            _ => {
                let filled = !opened.is_empty();
                self.open = Some(Open { name: tree.to_owned(), filled });
                filled
            }
        };
        Ok((filled, opened))
    }

    /// Stores an entry, unless it is there already: a page is copied only where something changes.
    pub(crate) fn insert(&mut self, tree: &str, key: &[u8], value: &[u8]) -> Result<(), Refused> {
        let path = self.path;
        let (filled, mut tree) = self.opened(tree)?;
        let unchanged =
            filled && tree.get(key).map_err(|error| refused(path, error))? == Some(value);
        let replaced =
            !unchanged && tree.insert(key, value).map_err(|error| refused(path, error))?;
        self.unchanged += u64::from(unchanged);
        self.replaced += u64::from(replaced);
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
