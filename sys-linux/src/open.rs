//! From a path or a descriptor to a mapping.

#![allow(unsafe_code)] // Declares unsafe functions; does nothing unsafe itself.

use crate::barrier::Barriers;
use crate::error::OpenError;
use crate::file::{self, FileIdentity, identity, lives_in_memory};
use crate::fork::Birthplace;
use crate::guard::Guard;
use crate::lock::{Ticket, lock};
use crate::mapping::{FileMapping, Parts};
use crate::memory::memory_limit;
use crate::options::{Access, OpenOptions, WriteMode};
use crate::span::Span;
use crate::trial::TRIAL_FILE_BYTES_MIN;
use crate::twin::Twin;
use core::ffi::CStr;
use mapleaf_pager::{PAGE_SIZE_MAX, PAGE_SIZE_MIN};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, OFlags, fcntl_getfl, statat};
use rustix::io::Errno;

/// How often a file may be replaced under its name while its lock is waited for.
const ATTEMPTS: usize = 8;

/// Address space that a machine can give at most: an eighth of it where addresses are 32 bits.
const RESERVE_MAX: u64 = (usize::MAX / 8) as u64;

/// No reservation that can grow is cut below this, in bytes.
const RESERVE_MIN: u64 = 16 << 20;

/// Bounds of the automatic budget of bytes under construction.
const BUDGET_BYTES: (u64, u64) = (16 << 20, 1 << 30);

impl FileMapping {
    /// Opens, locks and maps the file at `path`. An empty file is a store that is yet to be made.
    ///
    /// Never waits for the other end of a pipe: what is no regular file is refused at once.
    ///
    /// Cost: some fifty system calls, whatever the file's size; no page of it is read.
    ///
    /// # Errors
    /// [`OpenError::Busy`] if it is open elsewhere (see [`OpenOptions::wait`]); the other kinds as
    /// they say. Nothing has changed then, except that `create` may have made an empty file.
    ///
    /// # Safety
    /// The file is empty or was written by mapleaf, and until the mapping is dropped nothing but
    /// the mapping changes or cuts it.
    ///
    /// ```
    /// use mapleaf_pager::Mapping;
    /// use mapleaf_sys_linux::{FileMapping, OpenError, OpenOptions};
    /// # let directory = tempfile::tempdir().unwrap();
    /// # let path = std::ffi::CString::new(directory.path().join("t.leaf").to_str().unwrap()).unwrap();
    /// let options = OpenOptions { create: true, ..OpenOptions::default() };
    /// // SAFETY: a new file that nobody else knows of.
    /// let mapping = unsafe { FileMapping::open(&path, &options)? };
    /// assert!(mapping.is_empty());
    /// // SAFETY: as above.
    /// let again = unsafe { FileMapping::open(&path, &options) };
    /// assert_eq!(again.err(), Some(OpenError::Busy));
    /// # Ok::<(), OpenError>(())
    /// ```
    pub unsafe fn open(path: &CStr, options: &OpenOptions) -> Result<FileMapping, OpenError> {
        check(options)?;
        for _ in 0..ATTEMPTS {
            let file = match file::open(path, !options.read_only, options.create) {
                Err(Errno::WOULDBLOCK) => return Err(OpenError::Busy),
                opened => opened.map_err(OpenError::sys("openat"))?,
            };
            let (file_identity, ticket) = own(file.as_fd(), options)?;
            if !is_named(path, file_identity) {
                // Replaced or removed while its lock was waited for.
                continue;
            }
            let mapping = build(file, file_identity, ticket, options)?;
            if options.create && mapleaf_pager::Mapping::is_empty(&mapping) {
                file::sync_directory(path).map_err(OpenError::sys("fsync"))?;
            }
            return Ok(mapping);
        }
        Err(OpenError::Busy)
    }

    /// Locks and maps an open file. `create` means nothing here.
    ///
    /// # Errors
    /// As [`open`](FileMapping::open); [`OpenError::InvalidArgument`] if the descriptor appends, or
    /// cannot write although `read_only` is false.
    ///
    /// # Safety
    /// As [`open`](FileMapping::open).
    pub unsafe fn from_fd(file: OwnedFd, options: &OpenOptions) -> Result<FileMapping, OpenError> {
        check(options)?;
        let flags = fcntl_getfl(&file).map_err(OpenError::sys("fcntl"))?;
        let access = flags & OFlags::RWMODE;
        let fits = access == OFlags::RDWR || (options.read_only && access == OFlags::RDONLY);
        if !fits || flags.contains(OFlags::APPEND) {
            return Err(OpenError::InvalidArgument);
        }
        let (file_identity, ticket) = own(file.as_fd(), options)?;
        build(file, file_identity, ticket, options)
    }
}

fn check(options: &OpenOptions) -> Result<(), OpenError> {
    let page = options.page_size;
    if page.is_power_of_two() && (PAGE_SIZE_MIN..=PAGE_SIZE_MAX).contains(&page) {
        Ok(())
    } else {
        Err(OpenError::InvalidArgument)
    }
}

/// Takes the file for this process and this handle.
fn own(file: BorrowedFd<'_>, options: &OpenOptions) -> Result<(FileIdentity, Ticket), OpenError> {
    let (file_identity, _) = identity(file)?;
    let ticket = Ticket::take(file_identity, options.read_only)?;
    lock(file, options.read_only, options.wait)?;
    Ok((file_identity, ticket))
}

/// Whether the path still leads to this file.
fn is_named(path: &CStr, file: FileIdentity) -> bool {
    statat(CWD, path, rustix::fs::AtFlags::empty()).is_ok_and(|stat| {
        // The types of the fields differ between machines.
        #[allow(clippy::useless_conversion, clippy::unnecessary_cast)]
        let named = FileIdentity { device: stat.st_dev as u64, inode: stat.st_ino as u64 };
        named == file
    })
}

fn build(
    file: OwnedFd,
    file_identity: FileIdentity,
    ticket: Ticket,
    options: &OpenOptions,
) -> Result<FileMapping, OpenError> {
    // Its length is certain only now that it is locked.
    let (_, len) = identity(file.as_fd())?;
    let writable = !options.read_only;
    if writable && len > file::size_limit() {
        return Err(OpenError::sys("getrlimit")(Errno::FBIG));
    }
    let in_memory = lives_in_memory(file.as_fd());
    let mode = match options.mode {
        WriteMode::Auto if in_memory => WriteMode::InPlace,
        WriteMode::Auto => WriteMode::Shadow,
        mode => mode,
    };
    let memory = memory_limit();
    let budget = match options.shadow_budget_bytes {
        0 => (memory / 8).clamp(BUDGET_BYTES.0, BUDGET_BYTES.1),
        bytes => bytes,
    };
    let shadow = (writable && mode == WriteMode::Shadow).then_some(budget);
    let (view, twin) = reserve(file.as_fd(), len, options, shadow)?;
    let sparse_from = match options.access {
        Access::Auto => memory / 2,
        Access::Resident | Access::Fetched => u64::MAX,
        Access::Sparse => 0,
    };
    let trial = cfg!(feature = "residency")
        && options.attended
        && options.access == Access::Auto
        && (TRIAL_FILE_BYTES_MIN..=sparse_from).contains(&len);
    let here = Birthplace::new().map_err(OpenError::sys("mmap"))?;
    let barriers = Barriers::new(file, writable);
    let guard = options.sigbus_guard.then(|| Guard::new(&view, shadow.is_none() && writable));
    let mapping = FileMapping::from_parts(Parts {
        guard: guard.transpose()?,
        view,
        twin,
        len,
        barriers,
        here,
        ticket,
        file_identity,
        mode,
        read_only: options.read_only,
        in_memory,
        sparse_from,
        trial,
        fetched: options.access == Access::Fetched,
        page_size: options.page_size as u64,
    });
    Ok(mapping)
}

/// Maps the file over as much address space as is to be had, with a twin of the same size.
fn reserve(
    file: BorrowedFd<'_>,
    len: u64,
    options: &OpenOptions,
    shadow: Option<u64>,
) -> Result<(Span, Option<Twin>), OpenError> {
    // A file that is only read does not grow: its lock keeps writers away.
    let (least, mut size) = if options.read_only {
        (len, len)
    } else {
        (len.max(RESERVE_MIN), options.reserve_bytes.min(RESERVE_MAX).max(len.saturating_mul(2)))
    };
    size = size.max(least);
    loop {
        match map(file, len, size, options.read_only, shadow) {
            // `INVAL` is what Valgrind says to more than it can shadow.
            Err(Errno::NOMEM | Errno::OVERFLOW | Errno::INVAL) if size > least => {
                size = (size / 2).max(least);
            }
            Err(Errno::NOMEM | Errno::OVERFLOW) => {
                return Err(OpenError::NoAddressSpace { bytes: least });
            }
            result => return result.map_err(OpenError::sys("mmap")),
        }
    }
}

fn map(
    file: BorrowedFd<'_>,
    len: u64,
    size: u64,
    read_only: bool,
    shadow: Option<u64>,
) -> Result<(Span, Option<Twin>), Errno> {
    let size = usize::try_from(size).map_err(|_| Errno::NOMEM)?;
    let twin = shadow.map(|budget| Twin::new(size, budget)).transpose()?;
    if let Some(twin) = &twin {
        // `size` is at least the file's length.
        twin.allow(usize::try_from(len).map_err(|_| Errno::NOMEM)?)?;
    }
    let in_place = twin.is_none() && !read_only;
    Ok((Span::of_file(size, file, in_place)?, twin))
}
