//! Barriers: who may wait for the medium on which open file description, and what a failed one
//! leaves behind.
//!
//! Linux reports a lost write once to each open file description. Two barriers that overlap on one
//! description could share one report: the other would say Ok for a write that was lost. So each
//! runs on a description of its own while there are any, else they take turns; and after a failure
//! no later one says Ok.

use crate::file::reopen;
use core::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use mapleaf_pager::Error;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;

/// Barriers that may overlap: a commit's, a checkpoint's and an explicit one.
const DESCRIPTIONS: usize = 3;

/// One open file description, and whether a barrier runs on it.
struct Slot {
    file: Option<OwnedFd>,
    busy: AtomicBool,
}

/// The descriptions of one file.
pub(crate) struct Barriers {
    /// The one that holds the lock, and that positioned writes go through.
    file: OwnedFd,
    /// Barriers through the map report to the description that was mapped.
    map_busy: AtomicBool,
    slots: [Slot; DESCRIPTIONS],
    /// Error number of the first barrier that failed; 0 while none has.
    failed: AtomicI32,
}

impl Barriers {
    /// Opens the file again for each barrier that may overlap others. Where that is not possible
    /// (no `/proc`, rights given up since), barriers take turns on the one there is.
    pub(crate) fn new(file: OwnedFd, writable: bool) -> Barriers {
        let slot = |file| Slot { file, busy: AtomicBool::new(false) };
        let again = || writable.then(|| reopen(file.as_fd(), true).ok()).flatten();
        let slots = [slot(again()), slot(again()), slot(again())];
        Barriers { file, map_busy: AtomicBool::new(false), slots, failed: AtomicI32::new(0) }
    }

    /// The description that holds the lock.
    pub(crate) fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Runs a barrier on a description that no other barrier is using.
    ///
    /// # Errors
    /// Its own, or that of the first one that failed.
    pub(crate) fn run(
        &self,
        barrier: impl FnOnce(BorrowedFd<'_>) -> Result<(), Errno>,
    ) -> Result<(), Error> {
        let (busy, file) = self.wait_for_slot();
        let _turn = Held(busy);
        self.checked(|| barrier(file))
    }

    /// Runs a barrier through the map.
    ///
    /// # Errors
    /// As [`run`](Barriers::run).
    pub(crate) fn run_mapped(
        &self,
        barrier: impl FnOnce() -> Result<(), Errno>,
    ) -> Result<(), Error> {
        while !take(&self.map_busy) {
            rustix::thread::sched_yield();
        }
        let _turn = Held(&self.map_busy);
        self.checked(barrier)
    }

    fn checked(&self, barrier: impl FnOnce() -> Result<(), Errno>) -> Result<(), Error> {
        // Looked at with the turn held: a failure on this description is known by now.
        self.still_good()?;
        barrier().map_err(|errno| {
            let code = errno.raw_os_error();
            let _ = self.failed.compare_exchange(0, code, Ordering::AcqRel, Ordering::Relaxed);
            // Not `Full`, whatever the number: the caller could believe that nothing was lost.
            Error::Io { code }
        })
    }

    fn still_good(&self) -> Result<(), Error> {
        match self.failed.load(Ordering::Acquire) {
            0 => Ok(()),
            code => Err(Error::Io { code }),
        }
    }

    fn wait_for_slot(&self) -> (&AtomicBool, BorrowedFd<'_>) {
        loop {
            for slot in &self.slots {
                if let Some(file) = &slot.file
                    && take(&slot.busy)
                {
                    return (&slot.busy, file.as_fd());
                }
            }
            // The main description last: it is the only one where reopening failed.
            if take(&self.map_busy) {
                return (&self.map_busy, self.file());
            }
            rustix::thread::sched_yield();
        }
    }
}

fn take(busy: &AtomicBool) -> bool {
    !busy.swap(true, Ordering::Acquire)
}

/// A description taken for one barrier.
struct Held<'a>(&'a AtomicBool);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::Barriers;
    use mapleaf_pager::Error;
    use rustix::fd::AsRawFd;
    use rustix::io::Errno;

    fn file() -> rustix::fd::OwnedFd {
        tempfile::tempfile().expect("a scratch file").into()
    }

    #[test]
    fn overlapping_barriers_have_a_description_each() {
        let barriers = Barriers::new(file(), true);
        let mut seen = std::vec![barriers.file().as_raw_fd()];
        let nested = barriers.run(|first| {
            seen.push(first.as_raw_fd());
            let inner = barriers.run(|second| {
                seen.push(second.as_raw_fd());
                Ok(())
            });
            inner.map_err(|_| Errno::IO)
        });
        assert_eq!(nested, Ok(()));
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 3);
    }

    #[test]
    fn one_description_is_shared_in_turns() {
        // As if the file could not be opened again.
        let barriers = Barriers::new(file(), false);
        for _ in 0..3 {
            assert_eq!(barriers.run(|_| Ok(())), Ok(()));
            assert_eq!(barriers.run_mapped(|| Ok(())), Ok(()));
        }
    }

    #[test]
    fn the_first_failure_is_the_last_word() {
        let barriers = Barriers::new(file(), true);
        let lost = Err(Error::Io { code: Errno::NOSPC.raw_os_error() });
        assert_eq!(barriers.run(|_| Err(Errno::NOSPC)), lost, "not `Full`: something was lost");
        assert_eq!(barriers.run(|_| Ok(())), lost);
        assert_eq!(barriers.run_mapped(|| Err(Errno::IO)), lost);
    }
}
