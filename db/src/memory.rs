//! A database that lives in memory only.

#![allow(unsafe_code)] // Implements the mapping contract over reserved memory.

use crate::reserve::Reserve;
use mapleaf_pager::{Bytes, Error, Mapping, Result};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Memory as a mapping: one view, nothing to publish or to flush.
pub(crate) struct Memory {
    reserve: Reserve,
    len: AtomicUsize,
    /// Bytes from here on were never in use, and are zero.
    used_max: Mutex<usize>,
}

impl Memory {
    /// # Errors
    /// [`Full`](Error::Full): no memory to be had.
    pub(crate) fn new(capacity_bytes: u64) -> Result<Memory> {
        let reserve = Reserve::new(1, capacity_bytes)?;
        Ok(Memory { reserve, len: AtomicUsize::new(0), used_max: Mutex::new(0) })
    }
}

// SAFETY: one allocation that never moves, both views are the same; nobody else knows its address;
// `len` never exceeds the capacity; the start is aligned for the largest page.
unsafe impl Mapping for Memory {
    fn base(&self) -> NonNull<u8> {
        self.reserve.base()
    }

    fn write_base(&self) -> NonNull<u8> {
        self.reserve.base()
    }

    fn len(&self) -> u64 {
        self.len.load(Ordering::Acquire) as u64
    }

    fn write_unit(&self) -> u32 {
        1
    }

    unsafe fn claim(&self, _range: Bytes, _keep: bool) -> Result<()> {
        Ok(())
    }

    unsafe fn publish(&self, _ranges: &[Bytes]) -> Result<()> {
        Ok(())
    }

    unsafe fn flush(&self, _ranges: &[Bytes]) -> Result<()> {
        Ok(())
    }

    unsafe fn publish_and_flush(&self, _range: Bytes) -> Result<()> {
        Ok(())
    }

    fn grow(&self, len: u64) -> Result<()> {
        let wanted = usize::try_from(len).map_err(|_| Error::Full)?;
        if wanted > self.reserve.capacity() {
            return Err(Error::Full);
        }
        let mut used_max = self.used_max.lock().unwrap_or_else(PoisonError::into_inner);
        let old = self.len.load(Ordering::Acquire);
        if wanted <= old {
            return Ok(());
        }
        let dirty = wanted.min(*used_max).saturating_sub(old);
        // SAFETY: bytes behind `len` are used by nobody.
        unsafe { self.reserve.zero(old, dirty)? };
        *used_max = wanted.max(*used_max);
        self.len.store(wanted, Ordering::Release);
        Ok(())
    }

    unsafe fn shrink(&self, len: u64) -> Result<()> {
        let wanted = usize::try_from(len).unwrap_or(usize::MAX);
        let _used_max = self.used_max.lock().unwrap_or_else(PoisonError::into_inner);
        self.len.fetch_min(wanted, Ordering::AcqRel);
        Ok(())
    }

    fn relax(&self) {
        std::thread::yield_now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grown_bytes_are_zero_again() {
        let memory = Memory::new(1 << 20).unwrap();
        memory.grow(8192).unwrap();
        // SAFETY: the only reference.
        unsafe { memory.reserve.bytes_mut(0, 8192) }.unwrap().fill(1);
        // SAFETY: nobody holds a reference.
        unsafe { memory.shrink(4096) }.unwrap();
        memory.grow(16_384).unwrap();
        // SAFETY: nobody stores.
        let bytes = unsafe { memory.reserve.bytes(0, 16_384) }.unwrap();
        assert!(bytes[..4096].iter().all(|byte| *byte == 1));
        assert!(bytes[4096..].iter().all(|byte| *byte == 0));
        assert_eq!(memory.grow(2 << 20), Err(Error::Full));
        assert_eq!(memory.len(), 16_384);
    }
}
