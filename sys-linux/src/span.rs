//! A stretch of address space of our own: reserved, mapped over, released.

#![allow(unsafe_code)] // mmap and its kin, on memory that a `Span` owns alone.

use crate::host_page;
use crate::kernel::Stretch;
use core::ffi::c_void;
use core::ops::Range;
use core::ptr::NonNull;
use rustix::fd::BorrowedFd;
use rustix::io::{Errno, Result};
use rustix::mm::{
    Advice, MapFlags, MprotectFlags, MsyncFlags, ProtFlags, madvise, mlock, mmap, mmap_anonymous,
    mprotect, msync, munlock, munmap,
};

/// A file can be mapped with large pages only where its base is aligned to them.
const ALIGN: usize = 2 << 20;

/// Address space that nobody else maps into, until it is dropped. A raw pointer and a length:
/// whoever makes references from it answers for them.
pub(crate) struct Span {
    base: NonNull<u8>,
    len: usize,
    /// Bytes behind them that are set aside too, and never used.
    behind: usize,
}

// SAFETY: an address and a length; the memory belongs to the process, not to a thread.
unsafe impl Send for Span {}
// SAFETY: shared methods only make system calls that may run at the same time.
unsafe impl Sync for Span {}

impl Span {
    /// `mmap(PROT_NONE)`—sets `len` bytes aside, aligned to 2 MiB. No memory is used.
    pub(crate) fn reserve(len: usize) -> Result<Span> {
        let len = round_up(len.max(1), host_page()).ok_or(Errno::NOMEM)?;
        let raw_len = len.checked_add(ALIGN).ok_or(Errno::NOMEM)?;
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: a new map where the kernel likes: it touches no memory in use.
        let raw =
            unsafe { mmap_anonymous(core::ptr::null_mut(), raw_len, ProtFlags::empty(), flags)? };
        let head = raw.addr().next_multiple_of(ALIGN) - raw.addr();
        let base = raw.wrapping_byte_add(head);
        let tail = base.wrapping_byte_add(len);
        if head > 0 {
            // SAFETY: the first bytes of the map made above, which nobody knows of yet.
            unsafe { munmap(raw, head)? };
        }
        if ALIGN > head {
            // SAFETY: the last bytes of that map, as above.
            unsafe { munmap(tail, ALIGN - head)? };
        }
        let base = NonNull::new(base.cast()).ok_or(Errno::NOMEM)?;
        Ok(Span { base, len, behind: 0 })
    }

    /// `mmap(MAP_ANONYMOUS)`—`len` zero bytes, backed as they are touched, here and there: never by large pages, of
    /// which the first touch would zero 2 MiB. A host page behind them is never used: what is mapped there stays apart.
    pub(crate) fn zeroed(len: usize) -> Result<Span> {
        let (len, behind) = (round_up(len.max(1), host_page()).ok_or(Errno::NOMEM)?, host_page());
        let all = len.checked_add(behind).ok_or(Errno::NOMEM)?;
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: a new map where the kernel likes: it touches no memory in use.
        let base =
            unsafe { mmap_anonymous(core::ptr::null_mut(), all, ProtFlags::empty(), flags)? };
        let base = NonNull::new(base.cast()).ok_or(Errno::NOMEM)?;
        let span = Span { base, len, behind };
        span.advise(0..len, Advice::LinuxNoHugepage);
        span.allow(0..len)?;
        Ok(span)
    }

    /// `mmap(MAP_FIXED)`—a file over all of a new span. Bytes behind the file's end appear as the
    /// file grows; until then touching them raises SIGBUS.
    pub(crate) fn of_file(len: usize, file: BorrowedFd<'_>, writable: bool) -> Result<Span> {
        let span = Span::reserve(len)?;
        let write = if writable { ProtFlags::WRITE } else { ProtFlags::empty() };
        let (prot, flags) = (ProtFlags::READ | write, MapFlags::SHARED | MapFlags::FIXED);
        // SAFETY: replaces the reservation that this new span owns, and nothing beside it.
        unsafe { mmap(span.ptr(0), span.len, prot, flags, file, 0)? };
        Ok(span)
    }

    /// Address of the first byte.
    pub(crate) fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// Length in bytes.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    fn ptr(&self, at: usize) -> *mut c_void {
        self.base.as_ptr().wrapping_add(at).cast()
    }

    /// The part of `range` that is inside the span.
    fn clip(&self, range: Range<usize>) -> Range<usize> {
        let end = range.end.min(self.len);
        range.start.min(end)..end
    }

    /// `mprotect(PROT_READ | PROT_WRITE)`—lets a range of reserved memory be used.
    pub(crate) fn allow(&self, range: Range<usize>) -> Result<()> {
        let range = self.clip(range);
        let flags = MprotectFlags::READ | MprotectFlags::WRITE;
        // SAFETY: memory of this span; to permit more harms no reference into it.
        unsafe { mprotect(self.ptr(range.start), range.len(), flags) }
    }

    /// `madvise(MADV_DONTNEED)`—gives the whole host pages of a range of *anonymous* memory back;
    /// they read as zero afterwards. A failure keeps them, which is as good.
    ///
    /// # Safety
    /// Nobody holds a reference into the range or counts on its bytes.
    pub(crate) unsafe fn release(&self, range: Range<usize>) {
        let range = self.clip(range);
        let Some(start) = round_up(range.start, host_page()) else { return };
        let end = range.end / host_page() * host_page();
        if start < end {
            // SAFETY: memory of this span that nobody counts on, by the caller's promise.
            let _ = unsafe { madvise(self.ptr(start), end - start, Advice::LinuxDontNeed) };
        }
    }

    /// `madvise(MADV_DONTNEED)`—forgets where the pages of a range of a *shared map of a file* are: they are
    /// looked up in the page cache, or read, when they are touched next. Nothing is lost: what was stored
    /// through the map is the file's.
    ///
    /// # Safety
    /// The range is such a map; what else may be mapped there holds zeros and nothing else.
    pub(crate) unsafe fn unmap_file(&self, range: Range<usize>) {
        let range = self.clip(range);
        let start = range.start / host_page() * host_page();
        if start < range.end {
            // SAFETY: memory of this span, which is read next as it is now, by the caller's promise.
            let _ = unsafe { madvise(self.ptr(start), range.end - start, Advice::LinuxDontNeed) };
        }
    }

    /// `madvise`—a hint about the host pages around a range. One that destroys content is ignored.
    pub(crate) fn advise(&self, range: Range<usize>, advice: Advice) {
        if matches!(advice, Advice::LinuxDontNeed | Advice::LinuxFree | Advice::LinuxRemove) {
            return;
        }
        let range = self.clip(range);
        let start = range.start / host_page() * host_page();
        if start < range.end {
            // SAFETY: memory of this span; the advice is one that leaves its content alone.
            let _ = unsafe { madvise(self.ptr(start), range.end - start, advice) };
        }
    }

    /// `madvise(MADV_POPULATE_WRITE)`, Linux 5.14—backs a range of *anonymous* memory now instead of
    /// page by page as it is touched. Its bytes stay. A failure is as good: touching backs it.
    pub(crate) fn back(&self, range: Range<usize>) {
        let range = self.clip(range);
        let start = range.start / host_page() * host_page();
        if start < range.end {
            let len = range.end - start;
            // SAFETY: memory of this span; its content does not change.
            let _ = unsafe { madvise(self.ptr(start), len, Advice::LinuxPopulateWrite) };
        }
    }

    /// `madvise(MADV_WIPEONFORK)`—a forked child finds zeros in place of the span's bytes.
    pub(crate) fn wipe_on_fork(&self) -> Result<()> {
        // SAFETY: memory of this span; in this process its content stays.
        unsafe { madvise(self.ptr(0), self.len, Advice::LinuxWipeOnFork) }
    }

    /// The host pages around a range, as system calls take them; `None` for an empty range.
    pub(crate) fn stretch(&self, range: Range<usize>) -> Option<Stretch> {
        let range = self.clip(range);
        let start = range.start / host_page() * host_page();
        (range.start < range.end)
            .then(|| Stretch { start: self.ptr(start), len: range.end - start })
    }

    /// `madvise`—as [`advise`](Span::advise), with its error.
    pub(crate) fn advised(&self, range: Range<usize>, advice: Advice) -> Result<()> {
        if matches!(advice, Advice::LinuxDontNeed | Advice::LinuxFree | Advice::LinuxRemove) {
            return Err(Errno::INVAL);
        }
        let Some(at) = self.stretch(range) else { return Ok(()) };
        // SAFETY: memory of this span; the advice is one that leaves its content alone.
        unsafe { madvise(at.start, at.len, advice) }
    }

    /// `mlock`, `munlock`—keeps a range in memory, or ends that.
    pub(crate) fn lock(&self, range: Range<usize>, locked: bool) -> Result<()> {
        let Some(at) = self.stretch(range) else { return Ok(()) };
        if locked {
            // SAFETY: memory of this span, whose content stays.
            unsafe { mlock(at.start, at.len) }
        } else {
            // SAFETY: as above.
            unsafe { munlock(at.start, at.len) }
        }
    }

    /// `msync`—with the host pages around a range of a mapped file.
    pub(crate) fn sync(&self, range: Range<usize>, flags: MsyncFlags) -> Result<()> {
        let Some(at) = self.stretch(range) else { return Ok(()) };
        // SAFETY: memory of this span; writing out changes none of it.
        unsafe { msync(at.start, at.len, flags) }
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        // SAFETY: the span owns this memory, and whoever made references from it outlived them.
        let _ = unsafe { munmap(self.ptr(0), self.len + self.behind) };
    }
}

fn round_up(value: usize, multiple: usize) -> Option<usize> {
    value.checked_next_multiple_of(multiple)
}
