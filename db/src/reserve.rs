//! A stretch of zeroed memory that is large, never moves, and costs nothing until it is touched.

#![allow(unsafe_code)] // Allocates and copies raw memory; every access states its range.

use mapleaf_pager::{Error, Result};
use std::ptr::NonNull;

/// Alignment of the memory's start: that of the largest page.
const ALIGN: usize = 65_536;

/// An eighth of the address space: on a machine of 32 bits more is not to be had.
const WANTED_MAX: u64 = (usize::MAX / 8) as u64;

/// Zeroed memory of the system's, `MAP_NORESERVE`: what is not touched does not count, nor against a `fork`,
/// which the kernel refuses where what counts is more than it has.
#[cfg(target_os = "linux")]
mod system {
    use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};
    use std::ptr::{NonNull, null_mut};

    pub(super) fn take(bytes: usize) -> Option<NonNull<u8>> {
        let (access, flags) =
            (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE | MapFlags::NORESERVE);
        // SAFETY: a new mapping, where the kernel likes.
        let taken = unsafe { mmap_anonymous(null_mut(), bytes, access, flags) };
        NonNull::new(taken.ok()?.cast())
    }

    /// # Safety
    /// `taken` with the same `bytes`, and nobody uses it any more.
    pub(super) unsafe fn give_back(taken: NonNull<u8>, bytes: usize) {
        // SAFETY: the caller's promise. It cannot fail then, but where the process has too many mappings.
        let _ = unsafe { munmap(taken.as_ptr().cast(), bytes) };
    }
}

/// Zeroed memory of the system's allocator: one set by the program may not know how to hand it out without
/// touching it.
#[cfg(not(target_os = "linux"))]
mod system {
    use std::alloc::{GlobalAlloc, Layout, System};
    use std::ptr::NonNull;

    /// A larger one would make the system fill the memory with zeros by hand, and so touch all of it.
    const ALIGN: usize = 16;

    pub(super) fn take(bytes: usize) -> Option<NonNull<u8>> {
        let layout = Layout::from_size_align(bytes.max(1), ALIGN).ok()?;
        // SAFETY: the layout's size is not zero.
        NonNull::new(unsafe { System.alloc_zeroed(layout) })
    }

    /// # Safety
    /// `taken` with the same `bytes`, and nobody uses it any more.
    pub(super) unsafe fn give_back(taken: NonNull<u8>, bytes: usize) {
        let Ok(layout) = Layout::from_size_align(bytes.max(1), ALIGN) else { return };
        // SAFETY: allocated with this layout, by the caller's promise.
        unsafe { System.dealloc(taken.as_ptr(), layout) };
    }
}

/// Reserved memory of a fixed capacity.
pub(crate) struct Reserve {
    taken: NonNull<u8>,
    taken_bytes: usize,
    base: NonNull<u8>,
    capacity: usize,
}

// SAFETY: plain memory, owned by this value; every access has its own contract.
unsafe impl Send for Reserve {}
// SAFETY: as above.
unsafe impl Sync for Reserve {}

impl Reserve {
    /// Reserves `wanted` bytes, or half of it as often as the system refuses, but not less than
    /// `needed`. A whole number of largest pages.
    ///
    /// # Errors
    /// [`Full`](Error::Full): not even `needed` bytes are to be had.
    pub(crate) fn new(needed: u64, wanted: u64) -> Result<Reserve> {
        let whole = |bytes: u64| -> Option<usize> {
            usize::try_from(bytes.max(1)).ok()?.checked_next_multiple_of(ALIGN)
        };
        let needed = whole(needed).ok_or(Error::Full)?;
        let mut capacity = whole(wanted.min(WANTED_MAX)).unwrap_or(needed).max(needed);
        loop {
            if let Some(reserve) = Reserve::try_new(capacity) {
                return Ok(reserve);
            }
            if capacity == needed {
                return Err(Error::Full);
            }
            capacity = (capacity / 2).next_multiple_of(ALIGN).max(needed);
        }
    }

    fn try_new(capacity: usize) -> Option<Reserve> {
        let taken_bytes = capacity.checked_add(ALIGN)?;
        let taken = system::take(taken_bytes)?;
        let skip = taken.as_ptr().addr().next_multiple_of(ALIGN) - taken.as_ptr().addr();
        // SAFETY: `skip < ALIGN`, which was taken beyond the capacity.
        let base = unsafe { taken.add(skip) };
        Some(Reserve { taken, taken_bytes, base, capacity })
    }

    /// Where the memory starts; aligned for the largest page.
    pub(crate) fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// Bytes of it.
    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    fn at(&self, from: usize, len: usize) -> Result<NonNull<u8>> {
        if from.checked_add(len).is_none_or(|end| end > self.capacity) {
            return Err(Error::InvalidArgument);
        }
        // SAFETY: in range of the allocation (checked above).
        Ok(unsafe { self.base.add(from) })
    }

    /// Bytes of the memory.
    ///
    /// # Safety
    /// Nobody stores into them while the reference lives.
    pub(crate) unsafe fn bytes(&self, from: usize, len: usize) -> Result<&[u8]> {
        let start = self.at(from, len)?;
        // SAFETY: in range, zeroed when it was allocated; unchanging by the caller's promise.
        Ok(unsafe { std::slice::from_raw_parts(start.as_ptr(), len) })
    }

    /// Mutable bytes of the memory.
    ///
    /// # Safety
    /// No other reference into them lives as long as this one.
    #[allow(clippy::mut_from_ref)] // Exclusive by the caller's promise.
    pub(crate) unsafe fn bytes_mut(&self, from: usize, len: usize) -> Result<&mut [u8]> {
        let start = self.at(from, len)?;
        // SAFETY: in range, zeroed when it was allocated; exclusive by the caller's promise.
        Ok(unsafe { std::slice::from_raw_parts_mut(start.as_ptr(), len) })
    }

    /// Copies bytes of `other`, at the same place, into this memory.
    ///
    /// # Safety
    /// Nobody stores into these bytes of `other`, nor uses these bytes here, meanwhile.
    pub(crate) unsafe fn copy_from(&self, other: &Reserve, from: usize, len: usize) -> Result<()> {
        let (to, from) = (self.at(from, len)?, other.at(from, len)?);
        // SAFETY: both in range, of two allocations; unused otherwise by the caller's promise.
        unsafe { from.copy_to_nonoverlapping(to, len) };
        Ok(())
    }

    /// Fills bytes with zeros.
    ///
    /// # Safety
    /// Nobody uses these bytes meanwhile.
    pub(crate) unsafe fn zero(&self, from: usize, len: usize) -> Result<()> {
        let start = self.at(from, len)?;
        // SAFETY: in range; unused otherwise by the caller's promise.
        unsafe { start.write_bytes(0, len) };
        Ok(())
    }
}

impl Drop for Reserve {
    fn drop(&mut self) {
        // SAFETY: taken with these bytes; every reference into it has ended with the loan of `self`.
        unsafe { system::give_back(self.taken, self.taken_bytes) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_less_where_the_system_refuses() {
        let reserve = Reserve::new(1, u64::MAX / 4).unwrap();
        assert!(reserve.capacity() >= ALIGN);
        assert_eq!(reserve.base().as_ptr().addr() % ALIGN, 0);
        assert!(Reserve::new(u64::MAX / 4, 0).is_err());
    }

    #[test]
    fn is_zero_and_keeps_to_its_range() {
        let reserve = Reserve::new(100_000, 0).unwrap();
        assert_eq!(reserve.capacity(), 2 * ALIGN);
        // SAFETY: no other reference.
        let all = unsafe { reserve.bytes_mut(0, 2 * ALIGN) }.unwrap();
        assert!(all.iter().all(|byte| *byte == 0));
        all.fill(7);
        // SAFETY: nobody uses it.
        unsafe { reserve.zero(ALIGN, ALIGN) }.unwrap();
        // SAFETY: nobody stores.
        let bytes = unsafe { reserve.bytes(ALIGN - 1, 2) }.unwrap();
        assert_eq!(bytes, [7, 0]);
        // SAFETY: nobody stores.
        assert!(unsafe { reserve.bytes(2 * ALIGN, 1) }.is_err());
    }
}
