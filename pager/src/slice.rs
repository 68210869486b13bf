//! A store in a caller's bytes: RAM of a small machine, or a test.

#![allow(unsafe_code)] // Implements the unsafe mapping contract over one exclusive slice.

use crate::mapping::{Bytes, Mapping};
use crate::{Error, Result};
use core::marker::PhantomData;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering};

/// A mapping over a caller's `&mut [u8]`: one view, no growth past the slice, flushing is free.
///
/// The slice's address must suit the page size (any is fine: pages are read as bytes).
///
/// ```
/// let mut ram = [0u8; 64 * 512];
/// let mapping = mapleaf_pager::SliceMapping::empty(&mut ram);
/// assert_eq!(mapleaf_pager::Mapping::len(&mapping), 0);
/// ```
pub struct SliceMapping<'a> {
    base: NonNull<u8>,
    capacity: usize,
    len: AtomicUsize,
    _slice: PhantomData<&'a mut [u8]>,
}

// SAFETY: the struct holds the only reference to the slice's bytes, as a raw pointer; `u8` may be
// used from any thread, and `len` is atomic.
unsafe impl Send for SliceMapping<'_> {}
// SAFETY: shared use goes through the mapping contract, whose unsafe methods keep writers apart.
unsafe impl Sync for SliceMapping<'_> {}

impl<'a> SliceMapping<'a> {
    /// A store that is yet to be made, and may grow to the slice's length.
    #[must_use]
    pub fn empty(slice: &'a mut [u8]) -> SliceMapping<'a> {
        SliceMapping::with_len(slice, 0)
    }

    /// A store that was made in the slice before and fills it: all its bytes are in use.
    #[must_use]
    pub fn full(slice: &'a mut [u8]) -> SliceMapping<'a> {
        let len = slice.len();
        SliceMapping::with_len(slice, len)
    }

    /// A store of `len` bytes in the slice, which may grow to the slice's length.
    #[must_use]
    pub fn with_len(slice: &'a mut [u8], len: usize) -> SliceMapping<'a> {
        let capacity = slice.len();
        SliceMapping {
            base: NonNull::from(slice).cast(),
            capacity,
            len: AtomicUsize::new(len.min(capacity)),
            _slice: PhantomData,
        }
    }
}

// SAFETY: base and capacity come from one exclusive slice borrowed for `'a`, which outlives the
// mapping; both views are that slice, so they agree at once; `len` never exceeds the capacity.
unsafe impl Mapping for SliceMapping<'_> {
    fn base(&self) -> NonNull<u8> {
        self.base
    }

    fn write_base(&self) -> NonNull<u8> {
        self.base
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
        if wanted > self.capacity {
            return Err(Error::Full);
        }
        let old = self.len.load(Ordering::Acquire);
        if wanted > old {
            // SAFETY: `old < wanted <= capacity`, so the pointer stays inside the slice.
            let start = unsafe { self.base.add(old) };
            // SAFETY: bytes behind `len` are unused: nobody holds a reference to them.
            unsafe { start.write_bytes(0, wanted - old) };
            self.len.store(wanted, Ordering::Release);
        }
        Ok(())
    }

    unsafe fn shrink(&self, len: u64) -> Result<()> {
        let wanted = usize::try_from(len).unwrap_or(usize::MAX);
        let _ = self.len.fetch_min(wanted, Ordering::AcqRel);
        Ok(())
    }
}
