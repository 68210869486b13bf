//! A stretch of zeroed memory that is large, never moves, and costs nothing until it is touched.

#![allow(unsafe_code)] // Allocates and copies raw memory; every access states its range.

use mapleaf_pager::{Error, Result};
use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr::NonNull;

/// Alignment of the memory's start: that of the largest page.
const ALIGN: usize = 65_536;
/// Alignment asked of the system: a larger one would make it fill the memory with zeros by hand,
/// and so touch all of it.
const SYSTEM_ALIGN: usize = 16;

/// An eighth of the address space: on a machine of 32 bits more is not to be had.
const WANTED_MAX: u64 = (usize::MAX / 8) as u64;

/// Reserved memory of a fixed capacity.
pub(crate) struct Reserve {
    allocated: NonNull<u8>,
    layout: Layout,
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
        let layout = Layout::from_size_align(capacity.checked_add(ALIGN)?, SYSTEM_ALIGN).ok()?;
        // The system's allocator itself: one set by the program may not know how to hand out zeroed
        // memory without touching it.
        // SAFETY: the layout's size is not zero.
        let allocated = NonNull::new(unsafe { System.alloc_zeroed(layout) })?;
        let skip = allocated.as_ptr().addr().next_multiple_of(ALIGN) - allocated.as_ptr().addr();
        // SAFETY: `skip < ALIGN`, which the allocation has beyond its capacity.
        let base = unsafe { allocated.add(skip) };
        Some(Reserve { allocated, layout, base, capacity })
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
        // SAFETY: allocated by the system's allocator with this layout.
        unsafe { System.dealloc(self.allocated.as_ptr(), self.layout) };
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
