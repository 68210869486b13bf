//! One owner a file: a lock that other processes respect, and a list for this one.
//!
//! The lock is `flock`'s: it belongs to the open file description, so closing another descriptor of
//! the file does not lose it, a forked child shares it, and a process' death ends it. Two handles
//! made from one description would share it too: the list tells them apart.

use crate::error::OpenError;
use crate::file::{FileIdentity, retry};
use crate::turn::Turn;
use rustix::fd::BorrowedFd;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// Files that one process may have open at a time: more than most systems let it have descriptors for.
pub(crate) const OPEN_FILES_MAX: usize = 4096;

/// A file of this process, and whether the handle shares it with other readers.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Entry {
    file: FileIdentity,
    shared: bool,
}

static OPEN: Turn<heapless::Vec<Entry, OPEN_FILES_MAX>> = Turn::new(heapless::Vec::new());

/// A place in the list of this process' open files; dropping it makes room.
pub(crate) struct Ticket(Entry);

impl Ticket {
    /// Enters a file into the list.
    ///
    /// # Errors
    /// `Busy` if it is there, unless both handles only read; `TooManyFiles`.
    pub(crate) fn take(file: FileIdentity, shared: bool) -> Result<Ticket, OpenError> {
        let entry = Entry { file, shared };
        let mut open = OPEN.lock();
        if open.iter().any(|other| other.file == file && !(other.shared && shared)) {
            return Err(OpenError::Busy);
        }
        open.push(entry).map_err(|_| OpenError::TooManyFiles)?;
        Ok(Ticket(entry))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut open = OPEN.lock();
        if let Some(at) = open.iter().position(|entry| *entry == self.0) {
            open.swap_remove(at);
        }
    }
}

/// `flock(fd)`—locks the file for this open file description: shared for readers, else alone. Ends
/// with [`unlock`], or when the last descriptor of the description closes, forked children's
/// included.
///
/// # Errors
/// `Busy` if another description holds it and `wait` is false.
pub(crate) fn lock(file: BorrowedFd<'_>, shared: bool, wait: bool) -> Result<(), OpenError> {
    let operation = match (shared, wait) {
        (true, true) => FlockOperation::LockShared,
        (true, false) => FlockOperation::NonBlockingLockShared,
        (false, true) => FlockOperation::LockExclusive,
        (false, false) => FlockOperation::NonBlockingLockExclusive,
    };
    retry(|| flock(file, operation)).map_err(|errno| match errno {
        Errno::WOULDBLOCK => OpenError::Busy,
        errno => OpenError::sys("flock")(errno),
    })
}

/// `flock(LOCK_UN)`—gives the description's lock back, whoever else has inherited it.
pub(crate) fn unlock(file: BorrowedFd<'_>) {
    // Nothing can be done about a failure; closing the last descriptor unlocks as well.
    let _ = retry(|| flock(file, FlockOperation::Unlock));
}
