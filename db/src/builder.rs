//! How a database is made or opened.

#![allow(unsafe_code)] // Passes the caller's promise about the file on.

use crate::buffered::{self, BufferedFile};
use crate::database::Database;
use crate::error::{Error, Name, Result};
use crate::memory::Memory;
use crate::observe::{self, Step};
use crate::{choices, entropy, lock, share, store};
use mapleaf_pager::{Mapping, Options, PAGE_SIZE_DEFAULT, Verify};
use std::fs::OpenOptions;
use std::path::Path;

/// Reader slots by default: snapshots that can be held at a time. A slot is 16 bytes.
const READERS_DEFAULT: usize = 1024;

/// What memory and buffered files may grow to by default, where there is so much address space.
const CAPACITY_DEFAULT: u64 = if cfg!(windows) { 4 << 30 } else { 64 << 30 };

/// What to do where there is a file, or none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum Create {
    /// Make the file if there is none.
    #[default]
    IfMissing,
    /// Make the file; fail if there is one.
    New,
    /// Open the file; fail if there is none.
    Never,
}

/// Choices for opening a database; see [`Database::builder`].
///
/// ```
/// use mapleaf::{Builder, Create};
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("app.leaf");
/// let db = Builder::new().page_size(16_384).create(Create::New).open_buffered(&path)?;
/// assert_eq!(db.stats().store.page_size, 16_384);
/// drop(db);
/// assert!(Builder::new().create(Create::New).open_buffered(&path).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Builder {
    options: Options,
    create: Create,
    pub(crate) readers: usize,
    background: bool,
    capacity_bytes: Option<u64>,
    #[cfg(target_os = "linux")]
    mapping: mapleaf_sys_linux::OpenOptions,
}

impl Default for Builder {
    fn default() -> Builder {
        Builder::new()
    }
}

impl Builder {
    /// The defaults: pages of 4 KiB, a log of 1 MiB that grows with the file to 64 MiB, 1,024 reader
    /// slots, checkpoints by a thread in the background.
    #[must_use]
    pub fn new() -> Builder {
        Builder {
            options: Options::default(),
            create: Create::IfMissing,
            readers: READERS_DEFAULT,
            background: true,
            capacity_bytes: None,
            #[cfg(target_os = "linux")]
            mapping: mapleaf_sys_linux::OpenOptions::default(),
        }
    }

    /// Page size in bytes of a new database: a power of two from 4,096 (512 in memory) to 65,536; another is an
    /// [`Error::InvalidOption`]. A file that is there must have this one.
    #[must_use]
    pub fn page_size(mut self, bytes: u32) -> Builder {
        self.options.page_size = Some(bytes);
        self
    }

    /// Bytes of a new database's log at first, and at most; 0 for none: each durable commit then writes
    /// all the pages it changed.
    #[must_use]
    pub fn log_bytes(mut self, first: u64, max: u64) -> Builder {
        self.options.log_bytes = first;
        self.options.log_bytes_max = max;
        self
    }

    /// Open for reading: beside other readers, without changing a byte. Fails with
    /// [`NeedsRecovery`](crate::StoreError::NeedsRecovery) where a writer died or is yet to close.
    #[must_use]
    pub fn read_only(mut self, yes: bool) -> Builder {
        self.options.read_only = yes;
        self
    }

    /// With [`read_only`](Builder::read_only): open at the last checkpoint, and leave out what was
    /// committed after it, where the log would have to be replayed.
    #[must_use]
    pub fn at_checkpoint(mut self, yes: bool) -> Builder {
        self.options.at_checkpoint = yes;
        self
    }

    /// What to do where there is a file, or none.
    #[must_use]
    pub fn create(mut self, create: Create) -> Builder {
        self.create = create;
        self
    }

    /// Snapshots that can be held at a time; at least 1.
    #[must_use]
    pub fn reader_slots(mut self, slots: u32) -> Builder {
        self.readers = slots.max(1) as usize;
        self
    }

    /// Whether a thread of the database's own makes checkpoints when they are due. Without it a commit
    /// makes one when the log is full, or the program by [`Database::checkpoint`].
    #[must_use]
    pub fn background(mut self, yes: bool) -> Builder {
        self.background = yes;
        self
    }

    /// The size in bytes that the database may reach while it is open, in address space that is set
    /// aside at once (1 TiB for [`open`](Builder::open), 64 GiB of memory that is not used until it is
    /// needed otherwise; a 32nd of that, but twice a file's length at least, where 16 databases are open in this
    /// process); less where the system refuses. Beyond it the database is
    /// [`Full`](crate::StoreError::Full) until it is opened anew.
    #[must_use]
    pub fn capacity_bytes(mut self, bytes: u64) -> Builder {
        self.capacity_bytes = Some(bytes);
        self
    }

    /// When the checksum of a page, or of a large value, is compared before anything of it is lent: bytes
    /// that are not those that were committed are then an error, [`Damage::Checksum`], and never an
    /// answer. [`Verify::None`] by default: damage that leaves a page's layout in order goes unseen until
    /// [`check`](Database::check) or [`scrub`](Database::scrub).
    ///
    /// [`Verify::FirstTouch`] costs a hash of each page once, and a look at a bit each time (a bit of
    /// memory a page); [`Verify::Always`] costs the hash at each page of each lookup.
    ///
    /// [`Damage::Checksum`]: crate::Damage::Checksum
    ///
    /// ```
    /// let db = mapleaf::Database::builder().verify(mapleaf::Verify::FirstTouch).in_memory()?;
    /// let mut txn = db.write()?;
    /// txn.tree("users")?.insert(b"ada", b"1815")?;
    /// txn.commit()?;
    /// assert_eq!(db.read()?.tree("users")?.get(b"ada")?, Some(&b"1815"[..]));
    /// # Ok::<(), mapleaf::Error>(())
    /// ```
    #[must_use]
    pub fn verify(mut self, verify: Verify) -> Builder {
        self.options.verify = verify;
        self
    }

    /// Whether leaves may be of fingerprints where keys start alike (URLs), which makes lookups there
    /// faster; by default they may. Builds older than such leaves refuse a file once it has one: for a file that
    /// they shall read, say `false` at each opening. What is there already stays.
    ///
    /// ```
    /// let db = mapleaf::Database::builder().fingerprints(false).in_memory()?;
    /// # Ok::<(), mapleaf::Error>(())
    /// ```
    #[must_use]
    #[cfg(feature = "fingerprints")]
    pub fn fingerprints(mut self, wanted: bool) -> Builder {
        let bit = mapleaf_pager::features::FINGERPRINTS;
        self.options.withheld &= !bit;
        if !wanted {
            self.options.withheld |= bit;
        }
        self
    }

    /// How stores reach the file.
    #[cfg(target_os = "linux")]
    #[must_use]
    pub fn write_mode(mut self, mode: mapleaf_sys_linux::WriteMode) -> Builder {
        self.mapping.mode = mode;
        self
    }

    /// How the file is expected to be read.
    #[cfg(target_os = "linux")]
    #[must_use]
    pub fn access(mut self, access: mapleaf_sys_linux::Access) -> Builder {
        self.mapping.access = access;
        self
    }

    /// Whether the process survives it when a page of the file cannot be read: the medium fails, or
    /// somebody else has cut the file. Such a page is then an [`Error::Io`] (`EIO`) where it is met;
    /// nothing is committed from then on, and [`Database::health`] is an error. Without it (the
    /// default) the process ends by `SIGBUS`. [`open_buffered`](Builder::open_buffered) needs no guard.
    ///
    /// A borrowed value whose page is lost while it is borrowed reads as zeros. Ask `health` *after*
    /// values were used: where it is `Ok`, they were what the file held. (A system call that is given
    /// such a value fails with `EFAULT`.)
    ///
    /// Installs a handler of `SIGBUS` for the process, for as long as it lives, which passes all other
    /// bus errors to the one before it. A program that installs its own later must pass on what is not
    /// its own.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("app.leaf");
    /// let builder = mapleaf::Database::builder().sigbus_guard(true);
    /// // SAFETY: mapleaf wrote the file, and nothing else changes it while it is open.
    /// let db = unsafe { builder.open(&path) }?;
    /// let snap = db.read()?;
    /// for tree in snap.trees()? {
    ///     println!("{:?}", tree?.1);
    /// }
    /// db.health()?; // what was printed is what the file holds
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(all(feature = "sigbus-guard", target_os = "linux"))]
    #[must_use]
    pub fn sigbus_guard(mut self, yes: bool) -> Builder {
        self.mapping.sigbus_guard = yes;
        self
    }

    /// Opens the file through a mapping; see [`Database::open`].
    ///
    /// # Errors
    /// As [`Database::open`].
    ///
    /// # Safety
    /// As [`Database::open`].
    #[cfg(target_os = "linux")]
    pub unsafe fn open(&self, path: impl AsRef<Path>) -> Result<Database> {
        // SAFETY: the caller's promise.
        observe::step(Step::Open, || unsafe { self.open_mapped(path.as_ref()) })
    }

    /// # Safety
    /// As [`open`](Builder::open).
    #[cfg(target_os = "linux")]
    unsafe fn open_mapped(&self, path: &Path) -> Result<Database> {
        use crate::words::Words;
        let name = Name::of(path);
        choices::of_file(&name, &self.options)?;
        let options = self.sized_options(self.capacity(self.mapping.reserve_bytes));
        let create = self.may_create() && (self.create != Create::New || new_file(path, &name)?);
        // SAFETY: the caller's promise.
        let mapping = unsafe { self.mapped(&name, path, &options, create)? };
        let store = if create && mapleaf_pager::is_unmade(&mapping, &options) {
            store::create(&name, mapping, self.readers, &options)?
        } else {
            let mut replayer = mapleaf_btree::Replayer::new();
            let words = Words::new(self.readers, &options).map_err(|error| name.error(error))?;
            // SAFETY: the caller's promise: mapleaf wrote the file.
            unsafe { store::Store::open(mapping, words, &options, &mut replayer) }
                .map_err(|error| name.error(error))?
        };
        Ok(Database::new(store, name, self.background))
    }

    /// Opens the file by reading it into memory; see [`Database::open_buffered`].
    ///
    /// # Errors
    /// As [`Database::open_buffered`].
    pub fn open_buffered(&self, path: impl AsRef<Path>) -> Result<Database> {
        observe::step(Step::Open, || self.open_read(path.as_ref()))
    }

    fn open_read(&self, path: &Path) -> Result<Database> {
        let name = Name::of(path);
        choices::of_file(&name, &self.options)?;
        let options = self.sized_options(self.capacity(CAPACITY_DEFAULT));
        let mapping = self.buffered(&name, path, &options, self.may_create())?;
        let store = if self.may_create() && mapleaf_pager::is_unmade(&mapping, &options) {
            store::create(&name, mapping, self.readers, &options)?
        } else {
            store::open_proven(&name, mapping, self.readers, &options)?
        };
        Ok(Database::new(store, name, self.background))
    }

    /// Makes a database that lives in memory and ends with it; see [`Database::in_memory`].
    ///
    /// # Errors
    /// [`StoreError::Full`](crate::StoreError::Full): no memory to be had;
    /// [`Error::InvalidOption`]: a page size out of range, or read-only.
    pub fn in_memory(&self) -> Result<Database> {
        let name = Name::memory();
        choices::of_memory(&name, &self.options)?;
        let capacity = self.capacity(CAPACITY_DEFAULT);
        let mut options = self.sized_options(capacity);
        // Nothing survives: a log would be work for nothing.
        (options.log_bytes, options.log_bytes_max) = (0, 0);
        let memory = Memory::new(capacity);
        let mapping = observe::boxed(memory.map_err(|error| name.error(error))?);
        let store = store::create(&name, mapping, self.readers, &options)?;
        Ok(Database::new(store, name, self.background))
    }

    /// The file, mapped.
    ///
    /// # Safety
    /// Nothing but mapleaf changes the file while it is mapped.
    #[cfg(target_os = "linux")]
    pub(crate) unsafe fn mapped(
        &self,
        name: &Name,
        path: &Path,
        options: &Options,
        create: bool,
    ) -> Result<Box<dyn Mapping>> {
        use std::os::unix::ffi::OsStrExt;
        let as_c = std::ffi::CString::new(path.as_os_str().as_bytes())
            .map_err(|error| name.io("cannot open", error.into()))?;
        let mapping = mapleaf_sys_linux::OpenOptions {
            create,
            read_only: options.read_only,
            page_size: options.page_size.unwrap_or(PAGE_SIZE_DEFAULT as u32) as usize,
            attended: self.background,
            reserve_bytes: self.capacity(self.mapping.reserve_bytes),
            ..self.mapping
        };
        #[cfg(feature = "sigbus-guard")]
        if mapping.sigbus_guard {
            crate::bus_errors::install()
                .map_err(|error| name.io("cannot catch bus errors", error))?;
        }
        // SAFETY: the caller's promise: nobody else changes the file.
        let mapped = unsafe { mapleaf_sys_linux::FileMapping::open(&as_c, &mapping) };
        Ok(observe::boxed(mapped.map_err(|error| open_error(name, error))?))
    }

    /// The file, read into memory.
    pub(crate) fn buffered(
        &self,
        name: &Name,
        path: &Path,
        options: &Options,
        create: bool,
    ) -> Result<Box<dyn Mapping>> {
        let mut how = OpenOptions::new();
        how.read(true).write(!options.read_only);
        if create {
            how.create(true).create_new(self.create == Create::New);
        }
        let opened = lock::open(&mut how, path, options.read_only);
        let file = opened.map_err(|error| name.io("cannot open", error))?;
        let file = file.ok_or_else(|| Error::InUse { path: path.to_path_buf() })?;
        let capacity = self.capacity(CAPACITY_DEFAULT);
        let read = BufferedFile::open(file, capacity, options.read_only);
        Ok(observe::boxed(read.map_err(|error| match error {
            buffered::OpenError::Io(error) => name.io("cannot read", error),
            buffered::OpenError::Memory => {
                name.io("cannot read", std::io::ErrorKind::OutOfMemory.into())
            }
        })?))
    }

    /// What was asked for, else a share of what there is.
    fn capacity(&self, whole: u64) -> u64 {
        self.capacity_bytes.unwrap_or_else(|| share::next_of(whole))
    }

    fn may_create(&self) -> bool {
        self.create != Create::Never && !self.options.read_only
    }

    /// The options for a database that may become `capacity` bytes long.
    fn sized_options(&self, capacity: u64) -> Options {
        let mut options = self.fresh_options();
        if options.verify == Verify::FirstTouch {
            // A file's page size is not known yet, but no file has smaller ones. Bits that are not used
            // cost address space only.
            let page = options.page_size.unwrap_or(PAGE_SIZE_DEFAULT as u32).max(1);
            let pages = capacity / u64::from(page);
            options.first_touch_pages = u32::try_from(pages).unwrap_or(u32::MAX);
        }
        options
    }

    /// The options with random numbers of their own.
    pub(crate) fn fresh_options(&self) -> Options {
        let mut options = self.options;
        (options.uuid, options.entropy) = entropy::new();
        options
    }
}

/// Makes the file, which must not be there.
#[cfg(target_os = "linux")]
fn new_file(path: &Path, name: &Name) -> Result<bool> {
    match OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(_) => Ok(true),
        Err(error) => Err(name.io("cannot create", error)),
    }
}

#[cfg(target_os = "linux")]
fn open_error(name: &Name, error: mapleaf_sys_linux::OpenError) -> Error {
    use mapleaf_sys_linux::OpenError;
    use std::io;
    match error {
        OpenError::Busy => {
            Error::InUse { path: name.path().unwrap_or(Path::new("")).to_path_buf() }
        }
        OpenError::Sys { call: _, errno } => {
            name.io("cannot open", io::Error::from_raw_os_error(errno))
        }
        other => name.io("cannot open", io::Error::other(other)),
    }
}
