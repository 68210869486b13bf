//! The mapping contract over one file.

#![allow(unsafe_code)] // Implements the unsafe mapping contract.

use super::{FileMapping, addresses};
use crate::error::core_error;
use crate::file::{cut, extend, growth_target, size_limit, sync};
use crate::guard::Guard;
use crate::host_page;
use crate::options::WriteMode;
use crate::twin::{Twin, UNIT};
use core::ptr::NonNull;
use core::sync::atomic::Ordering;
#[cfg(feature = "residency")]
use mapleaf_pager::Residency;
use mapleaf_pager::{Advice, Bytes, Error, Mapping, Result};
use rustix::thread::{Timespec, nanosleep};

/// Longest range that is flushed alone, in bytes; what is longer takes the file with it.
const RANGED_FLUSH_BYTES_MAX: u64 = 1 << 20;

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

    /// `pwritev(2)`—long stretches of whole units go from the caller's memory to the page cache.
    ///
    /// # References
    /// [pwritev(2)](https://man7.org/linux/man-pages/man2/readv.2.html)
    #[cfg(feature = "residency")]
    unsafe fn publish_bytes(&self, range: Bytes, parts: &[&[u8]]) -> Result<bool> {
        self.changeable()?;
        let Some(twin) = &self.twin else { return Ok(false) };
        if range.end > self.len() {
            return Ok(false);
        }
        // SAFETY: nobody counts on the range's bytes, by the caller's promise.
        unsafe { twin.publish_bytes(&range, parts, self.barriers.file()) }.map_err(core_error)
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
        // SAFETY: the caller's promise.
        unsafe { self.write_held(ranges, None) }
    }

    #[cfg(feature = "residency")]
    unsafe fn publish_held_aside(
        &self,
        ranges: &[Bytes],
        pressed: &mut dyn FnMut() -> bool,
    ) -> Result<()> {
        // SAFETY: the caller's promise.
        unsafe { self.write_held(ranges, Some(pressed)) }
    }

    unsafe fn release_held(&self, unseen: &mut dyn FnMut(u64) -> bool) {
        if let Some(twin) = &self.twin {
            twin.release_held(unseen);
        }
    }

    #[inline]
    fn laden(&self) -> bool {
        self.twin.as_ref().is_some_and(|twin| twin.laden())
    }

    fn overladen(&self) -> bool {
        self.twin.as_ref().is_some_and(|twin| twin.overladen())
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
            Some(twin) => unsafe { self.write_durably(twin, range) },
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

    /// `cachestat(2)`, Linux 6.5—how much of the file is cached by now; `madvise(2)` where that is enough to
    /// end the trial of [`Access::Auto`](crate::Access::Auto).
    #[cfg(feature = "residency")]
    fn attend(&self, last: bool) -> bool {
        self.look_at_use(last)
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
