//! A file mapped bare: no more than `mmap` and its kin, so that an experiment decides everything.

#![allow(unsafe_code)] // mmap and its kin, on memory that a `Map` owns alone.

use rustix::fd::AsFd;
use rustix::io::{Errno, Result};
use rustix::mm::{
    Advice, MapFlags, MsyncFlags, ProtFlags, madvise, mmap, mmap_anonymous, msync, munmap,
};
use std::ffi::c_void;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

/// A large page: what a map's base is aligned to, so that one can stand behind it.
pub(crate) const LARGE_PAGE: usize = 2 << 20;

/// Bytes of a word: what experiments load and store.
const WORD: usize = 8;

/// A shared map of the start of a file. Only words are loaded and stored, atomically: another thread or
/// another program may change the file meanwhile, and nothing here borrows from it.
#[derive(Debug)]
pub(crate) struct Map {
    /// What was reserved, and is given back.
    reserved: *mut c_void,
    reserved_bytes: usize,
    base: *mut u8,
    len: usize,
}

// SAFETY: the memory belongs to the value, wherever it is dropped.
unsafe impl Send for Map {}
// SAFETY: through a shared reference only atomic words are touched, and system calls made.
unsafe impl Sync for Map {}

impl Map {
    /// `mmap(MAP_SHARED)`—the first `len` bytes of a file, at a large page's boundary. Touches nothing.
    pub(crate) fn of(file: impl AsFd, len: usize, writable: bool) -> Result<Map> {
        let reserved_bytes = len.checked_add(LARGE_PAGE).ok_or(Errno::NOMEM)?;
        let (none, flags) = (ProtFlags::empty(), MapFlags::PRIVATE | MapFlags::NORESERVE);
        // SAFETY: new address space, where the kernel likes.
        let reserved =
            unsafe { mmap_anonymous(std::ptr::null_mut(), reserved_bytes, none, flags)? };
        let start = reserved.cast::<u8>();
        let base = start.wrapping_add(start.align_offset(LARGE_PAGE));
        // Owned from here on: given back if the map fails.
        let map = Map { reserved, reserved_bytes, base, len };
        let mut access = ProtFlags::READ;
        access.set(ProtFlags::WRITE, writable);
        let fixed = MapFlags::SHARED | MapFlags::FIXED;
        // SAFETY: replaces what was reserved above: `len` bytes from an address that is less than a large
        // page behind its start.
        unsafe { mmap(base.cast(), len, access, fixed, file, 0)? };
        Ok(map)
    }

    /// Bytes.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The word at byte `at`, which is a multiple of 8: a load, and perhaps a fault. A page that the file
    /// does not have ends the process (SIGBUS).
    ///
    /// # Panics
    /// Outside the map, or not a word's place.
    pub(crate) fn word(&self, at: usize) -> u64 {
        self.place(at).load(Ordering::Relaxed)
    }

    /// Stores the word at byte `at`. The map must be writable: else the process ends.
    ///
    /// # Panics
    /// As [`word`](Map::word).
    pub(crate) fn set_word(&self, at: usize, word: u64) {
        self.place(at).store(word, Ordering::Relaxed);
    }

    fn place(&self, at: usize) -> &AtomicU64 {
        assert!(at.is_multiple_of(WORD) && at + WORD <= self.len, "byte {at} of {}", self.len);
        let word = self.base.wrapping_add(at).cast::<u64>();
        // SAFETY: inside the map (checked above), which lives as long as `self`; aligned, since the base is;
        // all access to it in this process is atomic.
        unsafe { AtomicU64::from_ptr(word) }
    }

    /// Copies `buffer.len()` bytes from byte `at` on.
    ///
    /// # Panics
    /// Outside the map.
    pub(crate) fn copy_to(&self, at: usize, buffer: &mut [u8]) {
        assert!(at <= self.len && buffer.len() <= self.len - at, "byte {at} of {}", self.len);
        let (from, to) = (self.base.wrapping_add(at), buffer.as_mut_ptr());
        // SAFETY: inside the map (checked above) and the buffer, which are not the same memory. Experiments
        // do not store into a map while they copy from one.
        unsafe { std::ptr::copy_nonoverlapping(from, to, buffer.len()) };
    }

    /// `madvise`, with an advice that leaves the bytes alone.
    pub(crate) fn advise(&self, range: Range<usize>, advice: Advice) -> Result<()> {
        if matches!(advice, Advice::LinuxFree | Advice::LinuxRemove) {
            return Err(Errno::INVAL);
        }
        let at = self.part(&range)?;
        // SAFETY: inside the map; a shared map of a file loses no byte by any of the others.
        unsafe { madvise(at, range.end - range.start, advice) }
    }

    /// `madvise(MADV_DONTNEED)`—takes all pages out of the map; the page cache keeps them.
    pub(crate) fn forget(&self) -> Result<()> {
        self.advise(0..self.len, Advice::LinuxDontNeed)
    }

    /// `msync(MS_SYNC)`—writes a range's dirty pages, and waits for the medium.
    pub(crate) fn sync(&self, range: Range<usize>) -> Result<()> {
        let at = self.part(&range)?;
        // SAFETY: inside the map; writing out changes none of it.
        unsafe { msync(at, range.end - range.start, MsyncFlags::SYNC) }
    }

    fn part(&self, range: &Range<usize>) -> Result<*mut c_void> {
        if range.start > range.end || range.end > self.len {
            return Err(Errno::INVAL);
        }
        Ok(self.base.wrapping_add(range.start).cast())
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: reserved by `of`; nothing refers to it any more.
        let _ = unsafe { munmap(self.reserved, self.reserved_bytes) };
    }
}
