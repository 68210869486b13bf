//! Who opens a file to write has it alone; readers share it.
//!
//! The same lock as the mapping's on Linux, `flock`: it belongs to the open file, so that two handles
//! of one process keep each other out too, and ends with the process.

use std::fs::{File, OpenOptions};
use std::io;

/// Opens a regular file as `options` say and locks it; `None` where somebody else has it.
pub(crate) fn open(
    options: &mut OpenOptions,
    path: &std::path::Path,
    shared: bool,
) -> io::Result<Option<File>> {
    before(options, shared);
    match regular(options, path) {
        Ok(file) if locked(&file, shared)? => Ok(Some(file)),
        Ok(_) => Ok(None),
        Err(error) if refused(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Opens a file as `options` say, if it is a regular one: a pipe or device has no positions to read at.
/// Waits for nobody, not for the other end of a pipe either.
pub(crate) fn regular(options: &mut OpenOptions, path: &std::path::Path) -> io::Result<File> {
    at_once(options);
    let file = options.open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("not a regular file")) }
}

/// What the descriptor does with a regular file is the same.
#[cfg(unix)]
fn at_once(options: &mut OpenOptions) {
    use rustix::fs::OFlags;
    use std::os::unix::fs::OpenOptionsExt;
    options.custom_flags(OFlags::NONBLOCK.bits().cast_signed());
}

#[cfg(not(unix))]
fn at_once(_options: &mut OpenOptions) {}

#[cfg(unix)]
fn locked(file: &File, shared: bool) -> io::Result<bool> {
    use rustix::fs::{FlockOperation, flock};
    let operation = if shared {
        FlockOperation::NonBlockingLockShared
    } else {
        FlockOperation::NonBlockingLockExclusive
    };
    match flock(file, operation) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
        // File systems without locks.
        Err(rustix::io::Errno::NOTSUP | rustix::io::Errno::NOSYS) => Ok(true),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(not(unix))]
fn locked(_file: &File, _shared: bool) -> io::Result<bool> {
    Ok(true)
}

/// Windows has no lock but what others may do while the file is open: read, or nothing.
#[cfg(windows)]
fn before(options: &mut OpenOptions, shared: bool) {
    use std::os::windows::fs::OpenOptionsExt;
    const FILE_SHARE_READ: u32 = 1;
    options.share_mode(if shared { FILE_SHARE_READ } else { 0 });
}

#[cfg(not(windows))]
fn before(_options: &mut OpenOptions, _shared: bool) {}

/// Whether the system says that somebody else has the file: on Unix, a lease on it that must be given up.
fn refused(error: &io::Error) -> bool {
    const ERROR_SHARING_VIOLATION: i32 = 32;
    cfg!(windows) && error.raw_os_error() == Some(ERROR_SHARING_VIOLATION)
        || cfg!(unix) && error.kind() == io::ErrorKind::WouldBlock
}
