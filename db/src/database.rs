//! The opened database.

#![allow(unsafe_code)] // Passes the caller's promise about the file on.

use crate::background::Background;
use crate::builder::Builder;
use crate::error::{Error, Name, Result};
use crate::group::Group;
use crate::observe::{self, Step};
use crate::read::{OwnedReadTxn, ReadTxn};
use crate::remembered::Opening;
use crate::share::Share;
use crate::store::{OwnedSnapshot, Store};
use crate::turns::{Turn, Turns};
use crate::words::slot_hint;
use crate::write::WriteTxn;
use mapleaf_btree::{OpenTrees, PackTrees};
use mapleaf_pager::{Error as StoreError, TxnId};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// An opened database: trees of keys and values in one file, or in memory.
///
/// A clone is another handle of the same database; `Send + Sync`. When the last one is dropped the
/// database is closed as by [`close`](Database::close), except that nobody learns of an error.
///
/// ```
/// let db = mapleaf::Database::in_memory()?;
/// let mut txn = db.write()?;
/// txn.tree("numbers")?.insert(b"one", b"1")?;
/// txn.commit()?;
/// assert_eq!(db.read()?.tree("numbers")?.get(b"one")?, Some(&b"1"[..]));
/// # Ok::<(), mapleaf::Error>(())
/// ```
#[derive(Clone)]
pub struct Database {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) store: Arc<Store>,
    pub(crate) name: Name,
    pub(crate) opening: Opening,
    pub(crate) turns: Turns,
    /// For whoever has the turn.
    pub(crate) table: spin::Mutex<OpenTrees>,
    pub(crate) group: Group,
    background: Option<Background>,
    /// The process that opened it.
    process: u32,
    _share: Share,
}

impl Inner {
    /// Calls what needs the store's writer until nobody else has it. With the turn held that is at
    /// most a [`Database::sync`] about to end.
    pub(crate) fn when_free<T>(
        &self,
        _turn: &Turn<'_>,
        mut call: impl FnMut() -> mapleaf_pager::Result<T>,
    ) -> Result<T> {
        loop {
            match call() {
                Err(StoreError::WriterBusy) => std::thread::yield_now(),
                result => return result.map_err(|error| self.name.error(error)),
            }
        }
    }

    /// After a commit: wakes whoever makes checkpoints, if one is due.
    pub(crate) fn committed(&self) {
        observe::state(|| self.store.stats());
        if let Some(background) = &self.background
            && self.store.checkpoint_due()
        {
            background.wake();
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if self.process != std::process::id() {
            // A forked child: the file is its parent's to close, and the thread has not come along. What it held
            // at the fork is held for ever.
            std::mem::forget(self.background.take());
            return;
        }
        // First the thread, so that its checkpoint does not run beside the last one.
        self.background = None;
        // Whatever fails here, the next opening recovers.
        let _ = observe::step(Step::Close, || self.store.close_packed(&mut PackTrees));
    }
}

impl Database {
    pub(crate) fn new(store: Store, name: Name, background: bool) -> Database {
        let store = Arc::new(store);
        let background = background.then(|| Background::start(Arc::clone(&store)));
        Database {
            inner: Arc::new(Inner {
                store,
                name,
                opening: Opening::new(),
                turns: Turns::default(),
                table: spin::Mutex::default(),
                group: Group::default(),
                background,
                process: std::process::id(),
                _share: Share::take(),
            }),
        }
    }

    /// Opens the database in the file at `path`, and makes it where there is none. Reads and writes go
    /// through a mapping of the file: what is in the page cache is not copied.
    ///
    /// After a crash it replays what was committed since the last checkpoint. One process at a time has
    /// a database open for writing, through one handle (which may be cloned). A forked child may drop the handle,
    /// and read by it; all else it is refused (`EPERM`).
    ///
    /// # Errors
    /// [`Error::Io`]: no such directory, no permission; [`Error::InUse`]; [`Error::InvalidOption`]; [`Error::Store`]: not a
    /// mapleaf file, of another version or page size, damaged. The file is then unchanged.
    ///
    /// # Safety
    /// The file was written by mapleaf, if it is there, and nothing but mapleaf changes it while it is
    /// open: what lies in it decides which memory is written to while other memory is borrowed.
    /// ([`open_buffered`](Database::open_buffered) asks for no such promise.)
    #[cfg(target_os = "linux")]
    pub unsafe fn open(path: impl AsRef<Path>) -> Result<Database> {
        // SAFETY: the caller's promise.
        unsafe { Builder::new().open(path) }
    }

    /// Opens the database in the file at `path`, whatever it contains, and makes it where there is
    /// none. Portable and safe: reads the whole file into memory, proves every page of it sound, and
    /// writes what commits back by position.
    ///
    /// Costs as much memory as the file is long, and as much again for what was written.
    ///
    /// # Errors
    /// As [`open`](Database::open), and [`Error::Store`] for any damage anywhere in the file.
    pub fn open_buffered(path: impl AsRef<Path>) -> Result<Database> {
        Builder::new().open_buffered(path)
    }

    /// Makes a database that lives in memory and ends with its last handle.
    ///
    /// # Errors
    /// [`StoreError::Full`]: no memory to be had.
    pub fn in_memory() -> Result<Database> {
        Builder::new().in_memory()
    }

    /// Choices before opening.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// A snapshot of what is committed now. No system call, no lock, no allocation.
    ///
    /// # Errors
    /// [`StoreError::ReadersFull`]: as many snapshots are held as there are slots.
    pub fn read(&self) -> Result<ReadTxn<'_>> {
        let snapshot = self.inner.store.begin_read(slot_hint());
        let snapshot = snapshot.map_err(|error| self.inner.name.error(error))?;
        Ok(ReadTxn::new(snapshot, self.inner.opening))
    }

    /// A snapshot that keeps the file open, and may outlive every handle. Costs a reference count more
    /// than [`read`](Database::read).
    ///
    /// # Errors
    /// As [`read`](Database::read).
    pub fn read_owned(&self) -> Result<OwnedReadTxn> {
        let snapshot = OwnedSnapshot::new(Arc::clone(&self.inner.store), slot_hint());
        let snapshot = snapshot.map_err(|error| self.inner.name.error(error))?;
        Ok(OwnedReadTxn::new(snapshot, self.inner.opening))
    }

    /// Begins the write transaction; waits until those who asked before are done. (A thread that has
    /// one and asks for another waits for ever: see [`try_write`](Database::try_write).) Behind one that found no
    /// room it makes a checkpoint first, for what has waited for one.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`]; [`StoreError::Poisoned`] after a failed flush; [`Error::Io`]: the first
    /// transaction after opening writes to the file.
    pub fn write(&self) -> Result<WriteTxn<'_>> {
        WriteTxn::begin(&self.inner, self.inner.turns.wait())
    }

    /// Begins the write transaction if nobody has one or waits for one; else `None`.
    ///
    /// # Errors
    /// As [`write`](Database::write).
    pub fn try_write(&self) -> Result<Option<WriteTxn<'_>>> {
        let turn = self.inner.turns.try_take();
        turn.map(|turn| WriteTxn::begin(&self.inner, turn)).transpose()
    }

    /// Makes everything committed so far survive power loss; the number of the last such transaction.
    /// One barrier, or two where a write transaction is open.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`], [`StoreError::Poisoned`], [`Error::Io`].
    pub fn sync(&self) -> Result<TxnId> {
        // With the turn nobody begins to write meanwhile; without it somebody writes already.
        let _turn = self.inner.turns.try_take();
        observe::step(Step::Sync, || self.inner.store.sync())
            .map_err(|error| self.inner.name.error(error))
    }

    /// Writes everything committed so far to its place in the file, so that opening it finds no log to
    /// replay. Runs beside a write transaction; waits for another checkpoint. Two barriers.
    ///
    /// # Errors
    /// As [`sync`](Database::sync).
    pub fn checkpoint(&self) -> Result<TxnId> {
        let checkpoint = || loop {
            match self.inner.store.checkpoint() {
                Err(StoreError::CheckpointBusy) => {
                    std::thread::sleep(std::time::Duration::from_micros(100));
                }
                result => return result.map_err(|error| self.inner.name.error(error)),
            }
        };
        observe::step(Step::Checkpoint, checkpoint)
    }

    /// Writes everything out and marks the file as closed cleanly, so that the next opening has nothing
    /// to do. Waits for the write transaction. Other handles go on working; the next write transaction
    /// opens the file anew.
    ///
    /// # Errors
    /// [`StoreError::Poisoned`], [`Error::Io`]: the next opening recovers.
    pub fn close(self) -> Result<()> {
        let turn = self.inner.turns.wait();
        let close = || self.inner.store.close_packed(&mut PackTrees);
        observe::step(Step::Close, || self.inner.when_free(&turn, close))
    }

    /// Figures of the database. No system call.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let store = self.inner.store.stats();
        Stats {
            store,
            file_bytes: u64::from(store.mapped_pages) * u64::from(store.page_size),
            checkpoint_error: self.inner.background.as_ref().and_then(Background::error),
        }
    }

    /// Whether the database does what it is there for: no page was lost (where
    /// `Builder::sigbus_guard` is on), and no flush failed. Asked after reading it vouches for what was
    /// read. No system call.
    ///
    /// # Errors
    /// [`Error::Io`]: a page of the file could not be read, then or before, and nothing is committed any
    /// more; [`StoreError::Poisoned`] after a failed flush.
    pub fn health(&self) -> Result<()> {
        self.inner.store.health().map_err(|error| self.inner.name.error(error))
    }

    /// UUID of the database, given when it was made.
    #[must_use]
    pub fn uuid(&self) -> [u8; 16] {
        self.inner.store.uuid()
    }

    /// The file's path; `None` where the database lives in memory.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.inner.name.path()
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.inner
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").field("path", &self.path()).finish_non_exhaustive()
    }
}

/// Figures of a database.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Stats {
    /// Figures of the store.
    pub store: mapleaf_pager::Stats,
    /// Length of the file (or the memory) in bytes.
    pub file_bytes: u64,
    /// Why the last checkpoint in the background failed, if it did.
    pub checkpoint_error: Option<StoreError>,
}

const _: fn() = || {
    fn send_and_sync<T: Send + Sync + 'static>() {}
    send_and_sync::<Database>();
    send_and_sync::<Builder>();
    send_and_sync::<Error>();
};
