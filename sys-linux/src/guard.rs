//! Bus errors inside mappings: a page that is lost reads as zeros, and the mapping knows.
//!
//! ```text
//! load from a page that cannot be had ─► SIGBUS ─► the process' handler ─► recover_bus_error(address)
//!     whose mapping? ─► note the page as lost ─► mmap(MAP_FIXED) zeros over it ─► the load is repeated
//! ```
//! The list of mappings is all atomics: a handler interrupts anything, so it can wait for nothing. An
//! entry's *generation* is odd while it holds a mapping; a handler that sees it change looks away,
//! since a mapping in which its own thread has just met an error does not come or go meanwhile.

#![allow(unsafe_code)] // Maps over memory that a signal names, and reads of a mapping.

use crate::error::OpenError;
use crate::host_page;
use crate::span::Span;
use core::ffi::c_void;
use core::ops::Range;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering, fence};
use mapleaf_pager::{Error, Result};
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};

/// Pages of one mapping that are remembered as lost. Where there are more, all of it counts as lost.
const LOST_PAGES_MAX: usize = 64;

/// A place in `lost` that is taken and not yet written.
const UNKNOWN: usize = usize::MAX;

/// A mapping that survives bus errors.
struct Entry {
    /// Who has set it has the entry.
    taken: AtomicBool,
    /// Odd while the fields below are those of a mapping; grows with each change.
    generation: AtomicUsize,
    start: AtomicPtr<c_void>,
    len: AtomicUsize,
    /// Bytes of a host page: asking for it is not for handlers.
    page: AtomicUsize,
    writable: AtomicBool,
    /// Host pages lost, each as often as it was replaced.
    lost_count: AtomicUsize,
    /// Their offsets from the start, in bytes.
    lost: [AtomicUsize; LOST_PAGES_MAX],
}

/// Mappings that can be guarded at a time: a handler looks at all of them.
const GUARDED_MAX: usize = 192;

static ENTRIES: [Entry; GUARDED_MAX] = [const { Entry::new() }; GUARDED_MAX];

/// What a handler found in an entry.
struct Found {
    start: *mut c_void,
    len: usize,
    page: usize,
    writable: bool,
}

impl Entry {
    const fn new() -> Entry {
        Entry {
            taken: AtomicBool::new(false),
            generation: AtomicUsize::new(0),
            start: AtomicPtr::new(null_mut()),
            len: AtomicUsize::new(0),
            page: AtomicUsize::new(0),
            writable: AtomicBool::new(false),
            lost_count: AtomicUsize::new(0),
            lost: [const { AtomicUsize::new(UNKNOWN) }; LOST_PAGES_MAX],
        }
    }

    /// The mapping in it, unless it comes or goes just now.
    fn found(&self) -> Option<Found> {
        let generation = self.generation.load(Ordering::Acquire);
        let found = Found {
            start: self.start.load(Ordering::Relaxed),
            len: self.len.load(Ordering::Relaxed),
            page: self.page.load(Ordering::Relaxed),
            writable: self.writable.load(Ordering::Relaxed),
        };
        // Pairs with the fence in `Guard::new`: who has read a newer field reads a newer generation.
        fence(Ordering::Acquire);
        let unchanged = self.generation.load(Ordering::Relaxed) == generation;
        (unchanged && generation % 2 == 1).then_some(found)
    }

    fn note(&self, offset: usize) {
        let at = self.lost_count.fetch_add(1, Ordering::SeqCst);
        if let Some(place) = self.lost.get(at) {
            place.store(offset, Ordering::SeqCst);
        }
    }

    fn lost(&self, range: Range<usize>) -> bool {
        let count = self.lost_count.load(Ordering::SeqCst);
        let page = self.page.load(Ordering::Relaxed);
        let touches = |place: &AtomicUsize| {
            let offset = place.load(Ordering::SeqCst);
            offset == UNKNOWN || (offset < range.end && range.start < offset.saturating_add(page))
        };
        count > LOST_PAGES_MAX || self.lost.iter().take(count).any(touches)
    }
}

/// Replaces the page around `address` by zeros, if it lies in a mapping opened with
/// [`sigbus_guard`](crate::OpenOptions::sigbus_guard): what a handler of SIGBUS does first. True where
/// it did, and the handler then returns: the access is repeated. False where the signal is somebody
/// else's.
///
/// From then on the mapping's `health` is an error, and so is a `probe` of the page. Async-signal-safe:
/// no lock, no memory, one system call, `errno` left alone on the machines that rustix has system calls
/// of its own for.
///
/// # Safety
/// `address` is the `si_addr` of a SIGBUS that the kernel has sent to this thread because an access
/// there failed (its `si_code` is `BUS_ADRERR`, `BUS_OBJERR` or `BUS_MCEERR_AR`), and the call is made
/// by its handler.
pub unsafe fn recover_bus_error(address: usize) -> bool {
    for entry in &ENTRIES {
        let Some(found) = entry.found() else { continue };
        let offset = address.wrapping_sub(found.start.addr());
        if offset >= found.len {
            continue;
        }
        let offset = offset / found.page * found.page;
        // Noted first: who reads a zero finds the note.
        entry.note(offset);
        let write = if found.writable { ProtFlags::WRITE } else { ProtFlags::empty() };
        let flags = MapFlags::PRIVATE | MapFlags::FIXED | MapFlags::NORESERVE;
        let at = found.start.wrapping_byte_add(offset);
        // SAFETY: a page inside a mapping of ours, which lives: the interrupted access is one of its
        // readers' or its writer's. Nothing can be read from the page, by the caller's promise, so
        // nothing is lost by mapping over it (docs/soundness.md says what readers may see change).
        return unsafe { mmap_anonymous(at, found.page, ProtFlags::READ | write, flags) }.is_ok();
    }
    false
}

/// A mapping's place in the list; dropping it makes room.
pub(crate) struct Guard {
    entry: &'static Entry,
}

impl Guard {
    /// Enters a mapping. To be dropped before its memory is given back.
    ///
    /// # Errors
    /// `TooManyFiles`.
    pub(crate) fn new(view: &Span, writable: bool) -> core::result::Result<Guard, OpenError> {
        let free = |entry: &&Entry| !entry.taken.swap(true, Ordering::Acquire);
        let entry = ENTRIES.iter().find(free).ok_or(OpenError::TooManyFiles)?;
        // Behind the even generation that the last owner has left.
        fence(Ordering::Release);
        entry.start.store(view.base().as_ptr().cast(), Ordering::Relaxed);
        entry.len.store(view.len(), Ordering::Relaxed);
        entry.page.store(host_page(), Ordering::Relaxed);
        entry.writable.store(writable, Ordering::Relaxed);
        entry.lost_count.store(0, Ordering::Relaxed);
        for place in &entry.lost {
            place.store(UNKNOWN, Ordering::Relaxed);
        }
        entry.generation.fetch_add(1, Ordering::Release);
        Ok(Guard { entry })
    }

    /// Touches each host page of a range of the mapping, and says whether none of it is lost.
    ///
    /// # Errors
    /// `Io` with `EIO`.
    #[inline]
    pub(crate) fn probe(&self, range: Range<usize>) -> Result<()> {
        let start = self.entry.start.load(Ordering::Relaxed);
        let page = self.entry.page.load(Ordering::Relaxed);
        let mut at = range.start;
        while at < range.end {
            let byte: *const u8 = start.wrapping_byte_add(at).cast_const().cast();
            // SAFETY: the caller names a range inside the mapping. Volatile, so that it is read here
            // and now; nothing is concluded from the byte.
            let _ = unsafe { byte.read_volatile() };
            at = (at / page + 1) * page;
        }
        if self.entry.lost_count.load(Ordering::SeqCst) > 0 && self.entry.lost(range) {
            return Err(LOST);
        }
        Ok(())
    }

    /// Whether no page was lost so far.
    ///
    /// # Errors
    /// `Io` with `EIO`.
    #[inline]
    pub(crate) fn health(&self) -> Result<()> {
        if self.entry.lost_count.load(Ordering::SeqCst) == 0 { Ok(()) } else { Err(LOST) }
    }
}

/// The error of what is lost: the one that `read` would give.
const LOST: Error = Error::Io { code: Errno::IO.raw_os_error() };

impl Drop for Guard {
    fn drop(&mut self) {
        self.entry.generation.fetch_add(1, Ordering::AcqRel);
        self.entry.taken.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::{Guard, LOST, LOST_PAGES_MAX, recover_bus_error};
    use crate::host_page;
    use crate::span::Span;

    #[test]
    fn a_lost_page_is_noted_and_reads_as_zeros_until_the_guard_ends() {
        let page = host_page();
        let span = Span::zeroed(4 * page).expect("memory");
        let byte = |at: usize| span.base().as_ptr().wrapping_add(at);
        // SAFETY: the span's own bytes.
        unsafe { byte(0).write_bytes(7, 4 * page) };
        let guard = Guard::new(&span, true).expect("room");
        assert_eq!(guard.health(), Ok(()));
        // SAFETY: as if a bus error had been met there.
        assert!(unsafe { recover_bus_error(byte(page + 5).addr()) });
        // SAFETY: as above; outside the span.
        assert!(!unsafe { recover_bus_error(byte(4 * page).addr()) });
        // SAFETY: the span's own byte.
        assert_eq!(unsafe { byte(page).read_volatile() }, 0);
        // SAFETY: the span's own byte.
        assert_eq!(unsafe { byte(page - 1).read_volatile() }, 7);
        // SAFETY: the span's own byte.
        assert_eq!(unsafe { byte(2 * page).read_volatile() }, 7);
        assert_eq!(guard.health(), Err(LOST));
        assert_eq!(guard.probe(0..page), Ok(()));
        assert_eq!(guard.probe(2 * page..4 * page), Ok(()));
        assert_eq!(guard.probe(2 * page - 1..2 * page), Err(LOST));
        assert_eq!(guard.probe(0..4 * page), Err(LOST));
        drop(guard);
        // SAFETY: as above; nobody guards it any more.
        assert!(!unsafe { recover_bus_error(byte(0).addr()) });
        let again = Guard::new(&span, true).expect("room");
        assert_eq!((again.health(), again.probe(0..4 * page)), (Ok(()), Ok(())));
    }

    #[test]
    fn more_lost_pages_than_are_remembered_lose_all() {
        let page = host_page();
        let span = Span::zeroed((LOST_PAGES_MAX + 2) * page).expect("memory");
        let guard = Guard::new(&span, false).expect("room");
        for at in 1..=LOST_PAGES_MAX + 1 {
            assert_eq!(guard.probe(0..page), Ok(()), "page {at}");
            // SAFETY: as if a bus error had been met there.
            assert!(unsafe { recover_bus_error(span.base().as_ptr().addr() + at * page) });
        }
        assert_eq!(guard.probe(0..page), Err(LOST));
    }
}
