//! The file behind a mapping: opening it, what it is, writing, growing and cutting it.

use crate::error::OpenError;
use crate::host_page;
use core::ffi::CStr;
use core::ops::Range;
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::fs::{
    AtFlags, CWD, FallocateFlags, FileType, FsWord, Mode, OFlags, StatxAttributes, StatxFlags,
    fallocate, fdatasync, fstat, fstatfs, fsync, ftruncate, openat, statx,
};
use rustix::io::{Errno, IoSlice, ReadWriteFlags, Result, pwrite, pwritev, pwritev2};
use rustix::process::{Resource, getrlimit};

/// Longest path that the system takes, with its end mark.
const PATH_MAX: usize = 4096;

/// Files of these kinds are nothing but page cache: `statfs(2)` lists the numbers.
const TMPFS_MAGIC: FsWord = 0x0102_1994;
const RAMFS_MAGIC: FsWord = 0x8584_58f6_u32 as FsWord;

/// Zeros written at once where a file system cannot allocate. On the stack: as a constant they would be a
/// part of every program.
const ZEROS_BYTES: usize = 8 << 10;

/// Which file a descriptor stands for, whatever its names are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FileIdentity {
    /// The device that holds the file system.
    pub device: u64,
    /// The file's number there.
    pub inode: u64,
}

/// `fstat(fd)`—which file a descriptor stands for, and its length in bytes.
///
/// # Errors
/// [`OpenError::NotRegularFile`], and [`OpenError::Sys`] if the call failed.
pub fn identity(file: BorrowedFd<'_>) -> core::result::Result<(FileIdentity, u64), OpenError> {
    let stat = fstat(file).map_err(OpenError::sys("fstat"))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(OpenError::NotRegularFile);
    }
    // The types of the fields differ between machines.
    #[allow(clippy::useless_conversion, clippy::unnecessary_cast)]
    let identity = FileIdentity { device: stat.st_dev as u64, inode: stat.st_ino as u64 };
    Ok((identity, u64::try_from(stat.st_size).unwrap_or(0)))
}

/// `fstatfs(fd)`, `statx(fd)`—whether the file lives in memory that stores reach directly: tmpfs,
/// ramfs, or a DAX file system. False when the system does not say.
#[must_use]
pub fn lives_in_memory(file: BorrowedFd<'_>) -> bool {
    let magic = fstatfs(file).map(|fs| fs.f_type);
    let in_memory = |magic| magic == TMPFS_MAGIC || magic == RAMFS_MAGIC;
    magic.is_ok_and(in_memory) || direct_access(file)
}

/// `statx(fd)`—whether a file is accessed without a page cache. False when the system does not say.
pub(crate) fn direct_access(file: BorrowedFd<'_>) -> bool {
    statx(file, c"", AtFlags::EMPTY_PATH, StatxFlags::empty())
        .is_ok_and(|x| x.stx_attributes.contains(StatxAttributes::DAX))
}

/// `openat(path)`—opens a file for reading, or reading and writing, and makes it on request. Waits for
/// nobody: not for the other end of a pipe, and where somebody must give up a lease on the file first, that
/// is `WOULDBLOCK`. What the descriptor does with a regular file is the same.
pub(crate) fn open(path: &CStr, writable: bool, create: bool) -> Result<OwnedFd> {
    let access = if writable { OFlags::RDWR } else { OFlags::RDONLY };
    let create = if writable && create { OFlags::CREATE } else { OFlags::empty() };
    let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::WGRP | Mode::ROTH | Mode::WOTH;
    let at_once = OFlags::NONBLOCK | OFlags::NOCTTY;
    retry(|| openat(CWD, path, access | create | at_once | OFlags::CLOEXEC, mode))
}

/// `openat("/proc/self/fd/N")`—another open file description of the same file, so that a lost
/// write is reported to it too.
pub(crate) fn reopen(file: BorrowedFd<'_>, writable: bool) -> Result<OwnedFd> {
    use rustix::fd::AsRawFd;
    let mut path: heapless::Vec<u8, 40> = heapless::Vec::new();
    let number = rustix::path::DecInt::new(file.as_raw_fd());
    let fits = path.extend_from_slice(b"/proc/self/fd/").is_ok()
        && path.extend_from_slice(number.as_bytes_with_nul()).is_ok();
    let path = CStr::from_bytes_with_nul(&path).map_err(|_| Errno::INVAL)?;
    if fits { open(path, writable, false) } else { Err(Errno::NAMETOOLONG) }
}

/// `fsync` of the directory that holds the file: a file that was just made keeps its name.
pub(crate) fn sync_directory(path: &CStr) -> Result<()> {
    let bytes = path.to_bytes();
    let parent = match bytes.iter().rposition(|&byte| byte == b'/') {
        None => &b"."[..],
        Some(0) => &b"/"[..],
        Some(end) => bytes.get(..end).unwrap_or(b"."),
    };
    let mut name: heapless::Vec<u8, PATH_MAX> = heapless::Vec::new();
    let fits = name.extend_from_slice(parent).is_ok() && name.push(0).is_ok();
    let name = CStr::from_bytes_with_nul(&name).map_err(|_| Errno::INVAL)?;
    if !fits {
        return Err(Errno::NAMETOOLONG);
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = retry(|| openat(CWD, name, flags, Mode::empty()))?;
    match retry(|| fsync(&directory)) {
        // Some file systems have nothing to write for a directory, and say so.
        Err(Errno::INVAL) => Ok(()),
        result => result,
    }
}

/// `pwrite`—all of `bytes`, in as many calls as it takes.
pub(crate) fn write_all(file: BorrowedFd<'_>, bytes: &[u8], offset: u64) -> Result<()> {
    write_rest(bytes, offset, |rest, at| pwrite(file, rest, at))
}

/// `pwritev`—a window of what `parts` and `end` are one behind the other, from `offset` of the file on; how much of it.
///
/// # Errors
/// Those of `pwritev`; `IO` where nothing was written.
#[cfg(feature = "residency")]
pub(crate) fn write_window(
    file: BorrowedFd<'_>,
    parts: &[&[u8]],
    end: &[u8],
    window: Range<usize>,
    offset: u64,
) -> Result<usize> {
    const PARTS_MAX: usize = 4;
    let mut slices = [IoSlice::new(&[]); PARTS_MAX];
    let (mut start, mut used) = (0, 0);
    for part in parts.iter().chain([&end]) {
        let from = window.start.saturating_sub(start).min(part.len());
        let to = window.end.saturating_sub(start).min(part.len());
        start += part.len();
        if let (Some(bytes), Some(slice)) = (part.get(from..to), slices.get_mut(used))
            && !bytes.is_empty()
        {
            *slice = IoSlice::new(bytes);
            used += 1;
        }
    }
    match retry(|| pwritev(file, slices.get(..used).unwrap_or(&slices), offset))? {
        0 => Err(Errno::IO),
        written => Ok(written),
    }
}

/// `pwritev2(RWF_DSYNC)`—all of `bytes`, which the medium then has, as it has everything else that
/// was written to this range before. **One barrier**, and no other range is written out; where the
/// file system knows no such write, `pwrite` and `fdatasync`.
pub(crate) fn write_durable(file: BorrowedFd<'_>, bytes: &[u8], offset: u64) -> Result<()> {
    let result = write_rest(bytes, offset, |rest, at| {
        pwritev2(file, &[IoSlice::new(rest)], at, ReadWriteFlags::DSYNC)
    });
    match result {
        Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {
            write_all(file, bytes, offset)?;
            sync(file)
        }
        result => result,
    }
}

fn write_rest(
    bytes: &[u8],
    offset: u64,
    mut write: impl FnMut(&[u8], u64) -> Result<usize>,
) -> Result<()> {
    let mut done = 0;
    while let Some(rest) = bytes.get(done..)
        && !rest.is_empty()
    {
        match retry(|| write(rest, offset + done as u64))? {
            // No error and no progress: nothing that a repetition would better.
            0 => return Err(Errno::IO),
            written => done += written,
        }
    }
    Ok(())
}

/// `fdatasync(fd)`—**one barrier** for all of the file.
pub(crate) fn sync(file: BorrowedFd<'_>) -> Result<()> {
    retry(|| fdatasync(file))
}

/// `RLIMIT_FSIZE`: the length past which a write would kill the process with SIGXFSZ.
pub(crate) fn size_limit() -> u64 {
    getrlimit(Resource::Fsize).current.unwrap_or(u64::MAX)
}

/// `fallocate`—lengthens a file from `old` bytes to `wanted`, or if there is no room for that to
/// `needed`; the new length. With `backed`, stores through a map will not meet a full medium later
/// (as far as the file system can promise that), else the file may stay sparse where it cannot
/// allocate.
///
/// # Errors
/// `NOSPC`, `DQUOT`, `FBIG` and what the system else may say: the length is as before.
pub(crate) fn extend(
    file: BorrowedFd<'_>,
    old: u64,
    needed: u64,
    wanted: u64,
    backed: bool,
) -> Result<u64> {
    let mut len = wanted;
    let mut result = extend_to(file, old, len, backed);
    if matches!(result, Err(Errno::NOSPC | Errno::DQUOT | Errno::FBIG)) && needed < wanted {
        cut_back(file, old);
        len = needed;
        result = extend_to(file, old, len, backed);
    }
    match result {
        Ok(()) => Ok(len),
        Err(errno) => {
            cut_back(file, old);
            Err(errno)
        }
    }
}

fn extend_to(file: BorrowedFd<'_>, old: u64, new: u64, backed: bool) -> Result<()> {
    match retry(|| fallocate(file, FallocateFlags::empty(), old, new - old)) {
        Err(Errno::OPNOTSUPP | Errno::NOSYS) if backed => fill(file, old, new),
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => retry(|| ftruncate(file, new)),
        result => result,
    }
}

/// Zeros by position: what allocates on any file system.
fn fill(file: BorrowedFd<'_>, old: u64, new: u64) -> Result<()> {
    let zeros = [0; ZEROS_BYTES];
    let mut at = old;
    while at < new {
        let count = usize::try_from(new - at).unwrap_or(usize::MAX).min(ZEROS_BYTES);
        write_all(file, zeros.get(..count).unwrap_or(&zeros), at)?;
        at += count as u64;
    }
    Ok(())
}

/// A failed `fallocate` may have lengthened the file half-way. If it cannot be cut either, the
/// mapping still keeps to the old length, and the next growth starts there.
fn cut_back(file: BorrowedFd<'_>, old: u64) {
    let _ = cut(file, old);
}

/// `ftruncate(fd)`—shortens a file.
pub(crate) fn cut(file: BorrowedFd<'_>, len: u64) -> Result<()> {
    retry(|| ftruncate(file, len))
}

/// Repeats a call that a signal interrupted.
pub(crate) fn retry<T>(mut call: impl FnMut() -> Result<T>) -> Result<T> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            result => return result,
        }
    }
}

/// Length to grow to when `needed` bytes are wanted: large steps, so that the file system gives long extents
/// and growth is rare. The same for whoever needs as much, whatever came before: a file that is emptied and
/// filled again is as long as it was.
pub(crate) fn growth_target(needed: u64, grain: u64) -> u64 {
    /// Smallest and largest step: not to bloat a small file, nor to ask a large disk for too much.
    const STEP: (u64, u64) = (1 << 20, 1 << 30);
    let part = (needed / 32).checked_ilog2().map_or(0, |log| 1 << log);
    let grain = grain.max(host_page() as u64);
    let step = u64::max(part.clamp(STEP.0, STEP.1), grain);
    let wanted = needed.checked_next_multiple_of(step).unwrap_or(needed);
    wanted.checked_next_multiple_of(grain).unwrap_or(needed)
}
