//! The one place that turns page numbers into bytes: references derive from a mapping's base here.

#![allow(unsafe_code)] // Raw views of the mapping; each function says who may call it.

use crate::mapping::{Bytes, Mapping};
use crate::page::{u32_at, u64_at};
use crate::{Damage, Error, PageId, Result, TxnId};
use core::ptr::NonNull;

/// A mapping and the page size: addresses of pages in its two views.
#[derive(Clone, Copy)]
pub(crate) struct View<'s> {
    mapping: &'s dyn Mapping,
    base: NonNull<u8>,
    write_base: NonNull<u8>,
    shift: u32,
    two_views: bool,
    guarded: bool,
}

// SAFETY: the pointers are those of `mapping`, which is `Sync`; they are plain addresses here.
unsafe impl Send for View<'_> {}
// SAFETY: as above; every access through them has its own contract.
unsafe impl Sync for View<'_> {}

impl<'s> View<'s> {
    /// Views of a mapping whose pages are `1 << shift` bytes.
    pub(crate) fn new(mapping: &'s dyn Mapping, shift: u32) -> View<'s> {
        View {
            mapping,
            base: mapping.base(),
            write_base: mapping.write_base(),
            shift,
            two_views: mapping.two_views(),
            guarded: mapping.guarded(),
        }
    }

    pub(crate) fn mapping(&self) -> &'s dyn Mapping {
        self.mapping
    }

    pub(crate) fn page_size(&self) -> usize {
        1 << self.shift
    }

    pub(crate) fn two_views(&self) -> bool {
        self.two_views
    }

    /// Pages that the mapping holds now.
    pub(crate) fn mapped_pages(&self) -> u32 {
        u32::try_from(self.mapping.len() >> self.shift).unwrap_or(u32::MAX)
    }

    /// Offset in bytes of a page.
    pub(crate) fn offset(&self, id: PageId) -> u64 {
        u64::from(id.0) << self.shift
    }

    /// The bytes of `pages` pages from `id` on, as a range of the mapping.
    pub(crate) fn range(&self, id: PageId, pages: u32) -> Bytes {
        let start = self.offset(id);
        start..start + (u64::from(pages) << self.shift)
    }

    /// Whether the page is claimed in the write view of a mapping with two views.
    pub(crate) fn claimed(&self, id: PageId) -> bool {
        self.two_views && self.mapping.claimed(self.offset(id))
    }

    /// Whether the newest bytes of a page are in the write view of a mapping with two: claimed or held.
    #[inline]
    pub(crate) fn in_write_view(&self, id: PageId) -> bool {
        let offset = self.offset(id);
        self.two_views && (self.mapping.held(offset) || self.mapping.claimed(offset))
    }

    /// The base address of the view that shows a committed page.
    #[inline]
    fn shown_base(&self, offset: u64) -> NonNull<u8> {
        if self.two_views && self.mapping.held(offset) { self.write_base } else { self.base }
    }

    /// Whether bytes from `offset` on are still what was stored, where they can be lost at all.
    ///
    /// # Errors
    /// [`Io`](Error::Io): they were lost.
    #[inline]
    pub(crate) fn probe(&self, offset: u64, len: usize) -> Result<()> {
        if self.guarded { self.ask(offset, len) } else { Ok(()) }
    }

    /// Apart, so that asking costs a comparison where there is nothing to ask.
    #[cold]
    fn ask(&self, offset: u64, len: usize) -> Result<()> {
        self.mapping.probe(offset..offset + len as u64)
    }

    fn in_mapping(&self, offset: u64, len: u64) -> Result<()> {
        match offset.checked_add(len) {
            Some(end) if end <= self.mapping.len() => Ok(()),
            _ => Err(Error::corrupt(PageId((offset >> self.shift) as u32), Damage::OutOfRange)),
        }
    }

    /// Bytes of the read view.
    ///
    /// # Safety
    /// Nobody stores into or publishes to these bytes while the reference lives.
    pub(crate) unsafe fn read(&self, offset: u64, len: usize) -> Result<&'s [u8]> {
        self.in_mapping(offset, len as u64)?;
        // SAFETY: in range of the read view (checked above), by the mapping's contract.
        let start = unsafe { self.base.add(offset as usize) };
        // SAFETY: readable for `len` bytes by the mapping's contract; unchanging by the caller's.
        Ok(unsafe { core::slice::from_raw_parts(start.as_ptr(), len) })
    }

    /// A whole page of a committed state, in whichever view shows it, without asking the mapping for its
    /// length.
    ///
    /// # Safety
    /// As [`read`](View::read), and the page lies within the mapping. Where it is held, it is not
    /// released while the reference lives.
    #[inline]
    pub(crate) unsafe fn read_unchecked(&self, id: PageId) -> &'s [u8] {
        let offset = self.offset(id);
        // SAFETY: in range of both views by the caller's promise.
        let start = unsafe { self.shown_base(offset).add(offset as usize) };
        // SAFETY: readable for a page by the mapping's contract; unchanging by the caller's.
        unsafe { core::slice::from_raw_parts(start.as_ptr(), 1 << self.shift) }
    }

    /// Bytes of committed pages that were claimed and committed together, in whichever view shows them.
    ///
    /// # Safety
    /// As [`read_unchecked`](View::read_unchecked), for all of the pages.
    pub(crate) unsafe fn shown(&self, offset: u64, len: usize) -> Result<&'s [u8]> {
        self.in_mapping(offset, len as u64)?;
        // SAFETY: in range of both views (checked above).
        let start = unsafe { self.shown_base(offset).add(offset as usize) };
        // SAFETY: readable for `len` bytes by the mapping's contract; unchanging by the caller's.
        Ok(unsafe { core::slice::from_raw_parts(start.as_ptr(), len) })
    }

    /// Bytes of the write view, which the caller has claimed (or, with one view, owns), or that are held.
    ///
    /// # Safety
    /// The range is claimed by the caller or held, and nobody stores into it while the reference lives.
    pub(crate) unsafe fn built(&self, offset: u64, len: usize) -> Result<&'s [u8]> {
        self.in_mapping(offset, len as u64)?;
        // SAFETY: in range of the write view (checked above), by the mapping's contract.
        let start = unsafe { self.write_base.add(offset as usize) };
        // SAFETY: claimed by the caller, so readable; unchanging by the caller's promise.
        Ok(unsafe { core::slice::from_raw_parts(start.as_ptr(), len) })
    }

    /// Mutable bytes of the write view, which the caller has claimed (or, with one view, owns).
    ///
    /// # Safety
    /// The range is claimed by the caller, and no other reference into it lives as long as this one.
    #[allow(clippy::mut_from_ref)] // Exclusive by the caller's promise, not by `&self`.
    pub(crate) unsafe fn build(&self, offset: u64, len: usize) -> Result<&'s mut [u8]> {
        self.in_mapping(offset, len as u64)?;
        self.mapping.trace(offset..offset + len as u64);
        // SAFETY: in range of the write view (checked above), by the mapping's contract.
        let start = unsafe { self.write_base.add(offset as usize) };
        // SAFETY: claimed by the caller, so writable and exclusive for `len` bytes.
        Ok(unsafe { core::slice::from_raw_parts_mut(start.as_ptr(), len) })
    }

    /// Asks the processor for the first `lines` cache lines of a page, if it is in range.
    #[inline]
    pub(crate) fn prefetch(&self, id: PageId, lines: usize, page_count: u32) {
        if id.0 >= page_count {
            return;
        }
        let base = self.shown_base(self.offset(id));
        let offset = self.offset(id) as usize;
        for line in 0..lines.min(self.page_size() / 64) {
            let at = base.as_ptr().wrapping_add(offset + line * 64);
            prefetch_line(at);
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn prefetch_line(at: *const u8) {
    use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: a prefetch is a hint: it does not access memory, whatever the address.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
}

#[cfg(target_arch = "aarch64")]
#[inline]
fn prefetch_line(at: *const u8) {
    // SAFETY: `prfm` is a hint: it does not access memory, whatever the address.
    unsafe {
        core::arch::asm!("prfm pldl1keep, [{0}]", in(reg) at, options(nostack, readonly, preserves_flags))
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
#[inline]
fn prefetch_line(_at: *const u8) {}

/// Birth of the page whose bytes these are.
pub(crate) fn birth_of(page: &[u8]) -> TxnId {
    TxnId(u64_at(page, 8))
}

/// Kind of the page whose bytes these are.
pub(crate) fn kind_of(page: &[u8]) -> u8 {
    page.get(16).copied().unwrap_or(0)
}

/// Pages in the run whose first page's bytes these are.
pub(crate) fn run_pages_of(page: &[u8]) -> u32 {
    u32_at(page, 20)
}

/// Length in bytes of the value in the run whose first page's bytes these are.
pub(crate) fn run_len_of(page: &[u8]) -> u64 {
    u64_at(page, 24)
}
