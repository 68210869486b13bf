//! Errors of opening, and how the system's error numbers become the core's.

use core::fmt;
use mapleaf_pager::Error;
use rustix::io::Errno;

/// Why a file could not be opened and mapped. `Copy`, no heap; the caller knows the path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum OpenError {
    /// The file is open elsewhere: in this process, or in another one that holds its lock.
    Busy,
    /// This process has as many files open as its list can hold (4,096), or as many with a guard (192).
    TooManyFiles,
    /// A directory, pipe, socket or device.
    NotRegularFile,
    /// Not even room for the file was to be had in the address space.
    NoAddressSpace {
        /// The smallest stretch that was asked for, in bytes.
        bytes: u64,
    },
    /// An option is out of range, or the path is too long.
    InvalidArgument,
    /// A system call failed.
    Sys {
        /// Name of the call.
        call: &'static str,
        /// The system's error number.
        errno: i32,
    },
}

impl OpenError {
    /// For `map_err`: the error of a failed call.
    pub(crate) fn sys(call: &'static str) -> impl Fn(Errno) -> OpenError {
        move |errno| OpenError::Sys { call, errno: errno.raw_os_error() }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            OpenError::Busy => f.write_str("the file is already open, here or in another process"),
            OpenError::TooManyFiles => f.write_str("too many stores are open in this process"),
            OpenError::NotRegularFile => f.write_str("not a regular file"),
            OpenError::NoAddressSpace { bytes } => {
                write!(f, "no {bytes} bytes of address space are to be had")
            }
            OpenError::InvalidArgument => f.write_str("an option is out of range"),
            OpenError::Sys { call, errno } => write!(f, "{call} failed with error {errno}"),
        }
    }
}

impl core::error::Error for OpenError {}

impl From<OpenError> for Error {
    fn from(error: OpenError) -> Error {
        match error {
            OpenError::Busy => Error::Io { code: Errno::WOULDBLOCK.raw_os_error() },
            OpenError::NotRegularFile | OpenError::InvalidArgument => Error::InvalidArgument,
            OpenError::TooManyFiles | OpenError::NoAddressSpace { .. } => Error::Full,
            OpenError::Sys { errno, .. } => core_error(Errno::from_raw_os_error(errno)),
        }
    }
}

/// The core's error for a failed call of a mapping that is open.
pub(crate) fn core_error(errno: Errno) -> Error {
    match errno {
        Errno::NOSPC | Errno::DQUOT | Errno::FBIG | Errno::NOMEM => Error::Full,
        _ => Error::Io { code: errno.raw_os_error() },
    }
}
