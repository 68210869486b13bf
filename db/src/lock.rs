//! Who opens a file to write has it alone; readers share it.
//!
//! The same lock as the mapping's on Linux, `flock`: it belongs to the open file, so that two handles
//! of one process keep each other out too, and ends with the process.

use std::fs::{File, OpenOptions};
use std::io;

/// Opens a file as `options` say and locks it; `None` where somebody else has it.
pub(crate) fn open(
    options: &mut OpenOptions,
    path: &std::path::Path,
    shared: bool,
) -> io::Result<Option<File>> {
    before(options, shared);
    match options.open(path) {
        Ok(file) if locked(&file, shared)? => Ok(Some(file)),
        Ok(_) => Ok(None),
        Err(error) if refused(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

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

/// Whether the system says that somebody else has the file.
fn refused(error: &io::Error) -> bool {
    const ERROR_SHARING_VIOLATION: i32 = 32;
    cfg!(windows) && error.raw_os_error() == Some(ERROR_SHARING_VIOLATION)
}
