//! The mapping contract over one file: the read view, and either one view or two.

#![allow(unsafe_code)] // Implements the unsafe mapping contract.

use crate::barrier::Barriers;
use crate::error::core_error;
use crate::file::{
    FileIdentity, cut, extend, growth_target, retry, size_limit, sync, write_durable,
};
use crate::fork::Birthplace;
use crate::guard::Guard;
use crate::host_page;
use crate::lock::{Ticket, unlock};
use crate::options::{Access, WriteMode};
use crate::seen::Seen;
use crate::span::Span;
use crate::turn::Turn;
use crate::twin::{Twin, UNIT};
use core::fmt;
use core::ops::Range;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use mapleaf_pager::{Advice, Bytes, Error, Mapping, Residency, Result};
use rustix::io::Errno;
use rustix::mm::{Advice as Madvice, MsyncFlags};
use rustix::thread::{Timespec, nanosleep};

/// Longest range that is flushed alone, in bytes; what is longer takes the file with it.
const RANGED_FLUSH_BYTES_MAX: u64 = 1 << 20;

/// What the metas may lie in: rounded up to a large page, so that the rest still starts with one.
const METAS_BYTES: usize = 2 << 20;

/// A file, mapped. See [`open`](FileMapping::open), and [`Mapping`] for what its methods promise.
///
/// Stores reach the file by [`WriteMode`]. A forked child's handle reads, and refuses all else with
/// `EPERM`; a write transaction that was open at the fork must not be used in the child.
pub struct FileMapping {
    // Dropped in this order: the guard, the maps, the descriptors, then the ticket.
    guard: Option<Guard>,
    view: Span,
    twin: Option<Twin>,
    barriers: Barriers,
    here: Birthplace,
    _ticket: Ticket,
    len: AtomicU64,
    growth: Turn<()>,
    file_identity: FileIdentity,
    mode: WriteMode,
    read_only: bool,
    in_memory: bool,
    sparse: AtomicBool,
    sparse_from: u64,
    fetched: bool,
    grain: u64,
    seen: Seen,
}

/// What opening has put together.
pub(crate) struct Parts {
    pub(crate) guard: Option<Guard>,
    pub(crate) view: Span,
    pub(crate) twin: Option<Twin>,
    pub(crate) barriers: Barriers,
    pub(crate) here: Birthplace,
    pub(crate) ticket: Ticket,
    pub(crate) len: u64,
    pub(crate) file_identity: FileIdentity,
    pub(crate) mode: WriteMode,
    pub(crate) read_only: bool,
    pub(crate) in_memory: bool,
    pub(crate) sparse_from: u64,
    pub(crate) fetched: bool,
    pub(crate) page_size: u64,
}

impl FileMapping {
    pub(crate) fn from_parts(parts: Parts) -> FileMapping {
        let seen = Seen::new(parts.view.len());
        let mapping = FileMapping {
            seen,
            guard: parts.guard,
            view: parts.view,
            twin: parts.twin,
            barriers: parts.barriers,
            here: parts.here,
            _ticket: parts.ticket,
            len: AtomicU64::new(parts.len),
            growth: Turn::new(()),
            file_identity: parts.file_identity,
            mode: parts.mode,
            read_only: parts.read_only,
            in_memory: parts.in_memory,
            sparse: AtomicBool::new(false),
            sparse_from: parts.sparse_from,
            fetched: parts.fetched,
            grain: parts.page_size.max(UNIT as u64).max(host_page() as u64),
        };
        mapping.advise_whole();
        mapping
    }

    /// How stores reach the file; never `Auto`.
    #[must_use]
    pub fn mode(&self) -> WriteMode {
        self.mode
    }

    /// How the file is being read now; never `Auto`.
    #[must_use]
    pub fn access(&self) -> Access {
        match (self.fetched, self.sparse.load(Ordering::Relaxed)) {
            (true, _) => Access::Fetched,
            (false, true) => Access::Sparse,
            (false, false) => Access::Resident,
        }
    }

    /// Which file this is.
    #[must_use]
    pub fn file_identity(&self) -> FileIdentity {
        self.file_identity
    }

    /// Bytes that the file can grow to while it is open.
    #[must_use]
    pub fn reserved_bytes(&self) -> u64 {
        self.view.len() as u64
    }

    /// Bytes claimed and not yet published or discarded; 0 in place.
    #[must_use]
    pub fn claimed_bytes(&self) -> u64 {
        self.twin.as_ref().map_or(0, Twin::claimed_bytes)
    }

    /// Bytes committed and not yet published; 0 in place.
    #[must_use]
    pub fn held_bytes(&self) -> u64 {
        self.twin.as_ref().map_or(0, Twin::held_bytes)
    }

    /// Bytes of the twin that memory may stand behind, what is claimed or held included; 0 in place.
    #[must_use]
    pub fn twin_bytes(&self) -> u64 {
        self.twin.as_ref().map_or(0, Twin::resident_bytes)
    }

    /// Large pages where they do no harm, or no read-ahead, by the file's size.
    fn advise_whole(&self) {
        let sparse = self.len() > self.sparse_from || self.sparse_from == 0;
        let advice = if sparse {
            Madvice::Random
        } else if self.large_folios_welcome() && !self.fetched {
            Madvice::LinuxHugepage
        } else {
            Madvice::LinuxNoHugepage
        };
        self.sparse.store(sparse, Ordering::Relaxed);
        if let Some(twin) = &self.twin {
            twin.set_sparse(sparse);
        }
        // Opening looks at the metas, and need not read megabytes for them.
        let front = METAS_BYTES.min(self.view.len());
        self.view.advise(0..front, Madvice::Random);
        self.view.advise(front..self.view.len(), advice);
    }

    pub(crate) fn view(&self) -> &Span {
        &self.view
    }

    pub(crate) fn seen(&self) -> &Seen {
        &self.seen
    }

    pub(crate) fn barriers(&self) -> &Barriers {
        &self.barriers
    }

    /// Whether pages that stand in for lost ones may hold what is in no file: then nothing may be unmapped
    /// that may be borrowed still.
    pub(crate) fn may_hold_orphans(&self) -> bool {
        self.guard.is_some() && self.mode == WriteMode::InPlace && !self.read_only
    }

    /// A store through the map dirties all of a folio; without such stores, or without a disk to
    /// write to, large ones are all gain.
    pub(crate) fn large_folios_welcome(&self) -> bool {
        self.mode == WriteMode::Shadow || self.read_only || self.in_memory
    }

    /// Whether this handle may change the file.
    pub(crate) fn changeable(&self) -> Result<()> {
        if self.read_only {
            Err(Error::ReadOnly)
        } else if self.here.is_elsewhere() {
            Err(Error::Io { code: Errno::PERM.raw_os_error() })
        } else {
            self.health()
        }
    }

    /// The part of a range that is inside the mapping, which fits the address space.
    pub(crate) fn clip(&self, range: &Bytes) -> Bytes {
        let end = range.end.min(self.len());
        range.start.min(end)..end
    }

    /// Writes a range out with one barrier, whichever way its bytes reached the page cache.
    pub(crate) fn sync_view(&self, range: Range<usize>) -> Result<()> {
        self.barriers.run_mapped(|| retry(|| self.view.sync(range.clone(), MsyncFlags::SYNC)))
    }

    /// Writes a range out with one barrier, from the twin. Units not claimed are taken from the read
    /// view: published and perhaps not flushed yet, they must become durable with the others.
    ///
    /// # Safety
    /// As [`Mapping::publish_and_flush`].
    unsafe fn write_through(&self, twin: &Twin, range: Bytes) -> Result<()> {
        let len = self.len() as usize;
        // SAFETY: the range is inside both views; what is claimed here is changed by nobody else.
        unsafe { twin.claim(&range, true, self.view.base(), len) };
        let start = range.start as usize / UNIT * UNIT;
        let end = (range.end as usize).next_multiple_of(UNIT).min(len);
        // SAFETY: claimed, and nobody refers to these bytes, by the caller's promise.
        let bytes = unsafe { twin.bytes(start, end) };
        // What is around the range was just read.
        self.health()?;
        self.barriers.run(|file| write_durable(file, bytes, start as u64))?;
        twin.discard(&range);
        Ok(())
    }
}

// SAFETY: the read view is a map of the file over reserved address space that stays until drop, as
// does the anonymous twin; `len` never exceeds the reservation, and the file is at least that long
// (growth lengthens it first, `shrink` is told that nobody looks; nobody else cuts it, by the
// promise given to `open`). Publishing writes exactly the units claimed, from the twin to the file,
// which Linux' page cache shows in the read view at once. Nobody else writes: the lock, the list of
// open files and the promise given to `open` see to it.
unsafe impl Mapping for FileMapping {
    #[inline]
    fn base(&self) -> NonNull<u8> {
        self.view.base()
    }

    #[inline]
    fn write_base(&self) -> NonNull<u8> {
        self.twin.as_ref().map_or(self.view.base(), Twin::base)
    }

    #[inline]
    fn len(&self) -> u64 {
        self.len.load(Ordering::Acquire)
    }

    /// In place, write-back is by host page; positioned writes are by unit.
    fn write_unit(&self) -> u32 {
        let unit = if self.mode == WriteMode::InPlace { host_page() } else { UNIT };
        u32::try_from(unit).unwrap_or(u32::MAX)
    }

    #[inline]
    fn claimed(&self, offset: u64) -> bool {
        self.twin.as_ref().is_some_and(|twin| twin.claimed(offset))
    }

    unsafe fn claim(&self, range: Bytes, keep: bool) -> Result<()> {
        self.changeable()?;
        let len = self.len();
        if range.start > range.end || range.end > len {
            return Err(Error::InvalidArgument);
        }
        if let Some(twin) = &self.twin {
            // SAFETY: inside both views (checked above, and the twin is let grow with the file);
            // the caller claims for itself alone.
            unsafe { twin.claim(&range, keep, self.view.base(), len as usize) };
        }
        Ok(())
    }

    unsafe fn discard(&self, range: Bytes) {
        if let Some(twin) = &self.twin {
            twin.discard(&self.clip(&range));
        }
    }

    unsafe fn publish(&self, ranges: &[Bytes]) -> Result<()> {
        self.changeable()?;
        let Some(twin) = &self.twin else { return Ok(()) };
        for range in ranges {
            let (range, len) = (self.clip(range), self.len() as usize);
            // SAFETY: nobody refers to the claimed bytes, by the caller's promise.
            unsafe { twin.publish(&range, len, self.barriers.file()) }.map_err(core_error)?;
        }
        Ok(())
    }

    unsafe fn hold(&self, range: Bytes) -> Result<()> {
        self.changeable()?;
        let Some(twin) = &self.twin else { return Ok(()) };
        let (range, len) = (self.clip(&range), self.len() as usize);
        // SAFETY: nobody refers to the claimed bytes for writing, by the caller's promise.
        unsafe { twin.hold(&range, len, self.barriers.file()) }.map_err(core_error)
    }

    #[inline]
    fn held(&self, offset: u64) -> bool {
        self.twin.as_ref().is_some_and(|twin| twin.held(offset))
    }

    unsafe fn publish_held(&self, ranges: &[Bytes]) -> Result<()> {
        self.changeable()?;
        let Some(twin) = &self.twin else { return Ok(()) };
        for range in ranges {
            let (range, len) = (self.clip(range), self.len() as usize);
            // SAFETY: held bytes change by claiming only, by the caller's promise.
            unsafe { twin.publish_held(&range, len, self.barriers.file()) }.map_err(core_error)?;
        }
        Ok(())
    }

    unsafe fn release_held(&self, unseen: &mut dyn FnMut(u64) -> bool) {
        if let Some(twin) = &self.twin {
            twin.release_held(unseen);
        }
    }

    #[inline]
    fn laden(&self) -> bool {
        self.twin.as_ref().is_some_and(|twin| twin.load() > 0)
    }

    fn overladen(&self) -> bool {
        self.twin.as_ref().is_some_and(|twin| twin.load() > 1)
    }

    unsafe fn flush(&self, ranges: &[Bytes]) -> Result<()> {
        self.changeable()?;
        match ranges {
            [] => {}
            [range] if range.end.saturating_sub(range.start) <= RANGED_FLUSH_BYTES_MAX => {
                self.sync_view(addresses(&self.clip(range)))?;
            }
            _ => self.barriers.run(sync)?,
        }
        // In place, what was stored into a lost page has reached no file.
        self.health()
    }

    unsafe fn publish_and_flush(&self, range: Bytes) -> Result<()> {
        self.changeable()?;
        let range = self.clip(&range);
        match &self.twin {
            _ if range.is_empty() => Ok(()),
            // SAFETY: as this function, inside the mapping.
            Some(twin) => unsafe { self.write_through(twin, range) },
            None => self.sync_view(addresses(&range)).and_then(|()| self.health()),
        }
    }

    fn grow(&self, len: u64) -> Result<()> {
        self.changeable()?;
        let _turn = self.growth.lock();
        let old = self.len();
        if len <= old {
            return Ok(());
        }
        let most = self.reserved_bytes().min(size_limit());
        if len > most {
            return Err(Error::Full);
        }
        let needed = len.next_multiple_of(self.grain).min(most);
        let wanted = growth_target(needed, self.grain).min(most).max(needed);
        if let Some(twin) = &self.twin {
            twin.allow(wanted as usize).map_err(core_error)?;
        }
        let backed = self.twin.is_none();
        let new = extend(self.barriers.file(), old, needed, wanted, backed).map_err(core_error)?;
        self.len.store(new, Ordering::Release);
        if new > self.sparse_from && !self.sparse.load(Ordering::Relaxed) {
            self.advise_whole();
        }
        Ok(())
    }

    unsafe fn shrink(&self, len: u64) -> Result<()> {
        self.changeable()?;
        let _turn = self.growth.lock();
        let new = len.checked_next_multiple_of(self.grain).unwrap_or(u64::MAX);
        if new >= self.len() {
            return Ok(());
        }
        cut(self.barriers.file(), new).map_err(|errno| Error::Io { code: errno.raw_os_error() })?;
        self.len.store(new, Ordering::Release);
        if let Some(twin) = &self.twin {
            twin.cut(new as usize);
        }
        Ok(())
    }

    /// `madvise(2)`—a hint, in the form that helps the store most; [`hint`](FileMapping::hint) passes any
    /// hint on as it is. `Evict` is `madvise(MADV_DONTNEED)` and `posix_fadvise(POSIX_FADV_DONTNEED)`: clean
    /// pages leave the page cache, but for those that another process has mapped. `DontNeed` is `MADV_COLD`
    /// (5.4), `Huge` `MADV_HUGEPAGE` (for files 5.4): before, nothing is done.
    ///
    /// # References
    /// [madvise(2)](https://man7.org/linux/man-pages/man2/madvise.2.html),
    /// [posix_fadvise(2)](https://man7.org/linux/man-pages/man2/posix_fadvise.2.html)
    fn advise(&self, range: Bytes, advice: Advice) {
        let range = self.clip(&range);
        match (advice, &self.twin) {
            #[cfg(feature = "residency")]
            (Advice::WillClaim, Some(twin)) => twin.expect(&range),
            _ => self.advise_part(&range, advice),
        }
    }

    /// `process_madvise(MADV_WILLNEED)`, Linux 6.13 (5.10 with `CAP_SYS_NICE`)—begins to read several ranges
    /// with one call for 32 of them. Before, and for fewer than 4, `madvise(MADV_WILLNEED)` for each. Waits
    /// only where the device's queue is full.
    ///
    /// # References
    /// [process_madvise(2)](https://man7.org/linux/man-pages/man2/process_madvise.2.html)
    #[cfg(feature = "residency")]
    fn prefetch(&self, ranges: &[Bytes]) {
        self.begin_reading(ranges);
    }

    /// `madvise(MADV_POPULATE_READ)`, Linux 5.14—reads and maps a range, and waits: a load there is no fault
    /// afterwards. Before, a byte of each page is read by position, so that it is cached and not mapped.
    ///
    /// # Errors
    /// [`Error::Io`]: `EFAULT`, where a load would be SIGBUS: the medium does not deliver, or the file was cut.
    ///
    /// # References
    /// [madvise(2)](https://man7.org/linux/man-pages/man2/madvise.2.html)
    #[cfg(feature = "residency")]
    fn prefault(&self, range: Bytes) -> Result<()> {
        self.read_in(&self.clip(&range))
    }

    /// `cachestat(2)`, Linux 6.5—how much of a range is cached, and what of that is dirty or on its way to
    /// the medium; pages that are being read count. One call, which touches nothing. Before, and for files of
    /// others (6.14), `mincore(2)` for 512 pages at a time: pages that are being read do not count, and what is
    /// dirty is not known.
    ///
    /// # References
    /// [cachestat(2)](https://man7.org/linux/man-pages/man2/cachestat.2.html),
    /// [mincore(2)](https://man7.org/linux/man-pages/man2/mincore.2.html)
    #[cfg(feature = "residency")]
    fn residency(&self, range: Bytes) -> Option<Residency> {
        self.resident_part(&self.clip(&range))
    }

    /// `mincore(2)`, in all kernels—whether a load from the range waits for the medium, asked about pages
    /// that were not seen resident in the last 100 ms. Pages that are there are touched, so that they are
    /// mapped and count as used. Since 5.2 a file that this user neither owns nor may write looks resident
    /// all over, as it does on processors that `kernel` has no way into the kernel of.
    ///
    /// # References
    /// [mincore(2)](https://man7.org/linux/man-pages/man2/mincore.2.html)
    #[cfg(feature = "residency")]
    fn resident(&self, range: Bytes) -> bool {
        self.is_resident(&self.clip(&range))
    }

    fn sparse(&self) -> bool {
        self.fetched || self.sparse.load(Ordering::Relaxed)
    }

    /// `mlock(2)`, in all kernels—reads a range, maps it, and keeps it in memory. Host pages are taken whole.
    /// An unprivileged process may lock `RLIMIT_MEMLOCK` bytes: 8 MiB by default since 5.16, 64 KiB before.
    ///
    /// # Errors
    /// [`Error::Io`]: `ENOMEM`, more than may be locked, past the file's end, or unreadable; `EPERM`, nothing
    /// may be locked; `EAGAIN`, no memory. Parts may be locked then.
    ///
    /// # References
    /// [mlock(2)](https://man7.org/linux/man-pages/man2/mlock.2.html)
    #[cfg(feature = "residency")]
    fn lock(&self, range: Bytes) -> Result<()> {
        self.set_locked(&self.clip(&range), true)
    }

    /// `munlock(2)`, in all kernels—ends [`lock`](Mapping::lock), however often it was called for a page.
    ///
    /// # Errors
    /// [`Error::Io`]: `ENOMEM`, which no correct call gets.
    ///
    /// # References
    /// [munlock(2)](https://man7.org/linux/man-pages/man2/mlock.2.html)
    #[cfg(feature = "residency")]
    fn unlock(&self, range: Bytes) -> Result<()> {
        self.set_locked(&self.clip(&range), false)
    }

    #[inline]
    fn pressure(&self) -> bool {
        self.twin.as_ref().is_some_and(Twin::over_budget)
    }

    #[inline]
    fn guarded(&self) -> bool {
        self.guard.is_some()
    }

    #[inline]
    fn probe(&self, range: Bytes) -> Result<()> {
        self.guard.as_ref().map_or(Ok(()), |guard| guard.probe(addresses(&self.clip(&range))))
    }

    #[inline]
    fn health(&self) -> Result<()> {
        self.guard.as_ref().map_or(Ok(()), Guard::health)
    }

    #[cfg(feature = "residency")]
    fn tend(&self) {
        if let Some(twin) = &self.twin {
            twin.tend();
        }
    }

    fn relax(&self) {
        /// A checkpoint takes milliseconds; to look for its end more often would slow it down.
        const PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000 };
        let _ = nanosleep(&PAUSE);
    }
}

impl Drop for FileMapping {
    fn drop(&mut self) {
        // Closing alone would leave the lock to any child that was forked and has not yet called
        // `exec`. A child that drops its own handle must not take the lock from its parent.
        if !self.here.is_elsewhere() {
            unlock(self.barriers.file());
        }
    }
}

/// A range of the mapping as a range of addresses: what is inside the mapping fits.
pub(crate) fn addresses(range: &Bytes) -> Range<usize> {
    range.start as usize..range.end as usize
}

impl fmt::Debug for FileMapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileMapping")
            .field("file", &self.file_identity)
            .field("len", &self.len())
            .field("mode", &self.mode)
            .field("read_only", &self.read_only)
            .finish_non_exhaustive()
    }
}
