//! The one place that turns page numbers into bytes: references derive from a mapping's base here.

#![allow(unsafe_code)] // Raw views of the mapping; each function says who may call it.

use crate::mapping::{Bytes, Mapping};
use crate::page::{HEADER_BYTES, kind, u32_at, u64_at};
use crate::verify::{Touched, Verify, verify_bytes};
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
    /// What is lent is looked at before: it can be lost, or is to be verified.
    careful: bool,
    guarded: bool,
    verify: Verify,
    touched: Touched<'s>,
}

// SAFETY: the pointers are those of `mapping`, which is `Sync`; they are plain addresses here.
unsafe impl Send for View<'_> {}
// SAFETY: as above; every access through them has its own contract.
unsafe impl Sync for View<'_> {}

impl<'s> View<'s> {
    /// Views of a mapping whose pages are `1 << shift` bytes.
    pub(crate) fn new(mapping: &'s dyn Mapping, shift: u32) -> View<'s> {
        let mapping = mapping.behind().unwrap_or(mapping);
        View {
            mapping,
            base: mapping.base(),
            write_base: mapping.write_base(),
            shift,
            two_views: mapping.two_views(),
            careful: mapping.guarded(),
            guarded: mapping.guarded(),
            verify: Verify::None,
            touched: Touched::new(&[]),
        }
    }

    /// With checksums compared before pages are lent.
    pub(crate) fn verifying(mut self, verify: Verify, touched: Touched<'s>) -> View<'s> {
        self.careful |= verify != Verify::None;
        self.verify = verify;
        self.touched = touched;
        self
    }

    /// Whether what is lent must be looked at before, by [`probe`](View::probe) or
    /// [`compare`](View::compare). One question for both, since every page of every lookup asks it.
    #[inline]
    pub(crate) fn careful(&self) -> bool {
        self.careful
    }

    /// Pages whose checksum was compared since they were written.
    pub(crate) fn touched(&self) -> Touched<'s> {
        self.touched
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

    /// Whether a committed page is in the write view of a mapping with two.
    pub(crate) fn held(&self, id: PageId) -> bool {
        self.two_views && self.mapping.held(self.offset(id))
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
    pub(crate) fn probe(&self, offset: u64, len: usize) -> Result<()> {
        if self.guarded { self.mapping.probe(offset..offset + len as u64) } else { Ok(()) }
    }

    /// Compares the checksum of a sealed page, or of the run that starts with it, where that is to be
    /// done before it is lent. `first` is the page, `limit` the state's page count.
    ///
    /// # Errors
    /// [`Checksum`](Damage::Checksum); [`Layout`](Damage::Layout): a run that leaves its pages;
    /// [`Io`](Error::Io): it was lost.
    ///
    /// # Safety
    /// As [`read_unchecked`](View::read_unchecked), for all of the run: a committed one, or one that
    /// this transaction has sealed.
    pub(crate) unsafe fn compare(&self, id: PageId, first: &[u8], limit: u32) -> Result<()> {
        match self.verify {
            Verify::None => return Ok(()),
            Verify::FirstTouch if self.touched.contains(id) => return Ok(()),
            Verify::FirstTouch | Verify::Always => {}
        }
        // SAFETY: the caller's promise.
        unsafe { self.compare_now(id, first, limit) }
    }

    /// As [`compare`](View::compare), in any case; remembers what came of it.
    ///
    /// # Safety
    /// As [`compare`](View::compare).
    pub(crate) unsafe fn compare_now(&self, id: PageId, first: &[u8], limit: u32) -> Result<()> {
        let compared = if kind_of(first) == kind::RUN {
            // SAFETY: the caller's promise.
            unsafe { self.sealed_run(id, first, limit) }.and_then(|run| verify_bytes(id, run))
        } else {
            verify_bytes(id, first)
        };
        match compared {
            Ok(()) => self.touched.insert(id),
            Err(_) => self.touched.remove(id, 1),
        }
        compared
    }

    /// The bytes of a sealed run up to its value's end.
    ///
    /// # Safety
    /// As [`compare`](View::compare).
    pub(crate) unsafe fn sealed_run(
        &self,
        id: PageId,
        first: &[u8],
        limit: u32,
    ) -> Result<&'s [u8]> {
        let bytes = run_bytes(id, first, self.page_size(), limit)?;
        let offset = self.offset(id);
        // SAFETY: the run's pages were claimed, sealed and committed with its first one.
        let run = unsafe { self.shown(offset, bytes)? };
        self.probe(offset, bytes)?;
        Ok(run)
    }

    /// Whether pages can be read without waiting for the medium. Those in the write view can, and there
    /// are none behind `page_count`.
    pub(crate) fn resident(&self, id: PageId, pages: u32, page_count: u32) -> bool {
        let pages = pages.min(page_count.saturating_sub(id.0));
        pages == 0 || self.in_write_view(id) || self.mapping.resident(self.range(id, pages))
    }

    /// Begins to read pages of the read view.
    pub(crate) fn fetch(&self, ids: &[PageId], page_count: u32) {
        /// Ranges handed over at a time; they lie on the stack.
        const AT_ONCE: usize = if cfg!(feature = "large") { 32 } else { 4 };
        for ids in ids.chunks(AT_ONCE) {
            let mut ranges: heapless::Vec<Bytes, AT_ONCE> = heapless::Vec::new();
            for id in ids.iter().filter(|id| id.0 < page_count && !self.in_write_view(**id)) {
                // There is room for all.
                let _ = ranges.push(self.range(*id, 1));
            }
            self.mapping.prefetch(&ranges);
        }
    }

    /// Reads a page of the read view, and waits for it.
    ///
    /// # Errors
    /// [`Io`](Error::Io).
    pub(crate) fn read_in(&self, id: PageId, page_count: u32) -> Result<()> {
        if id.0 >= page_count || self.in_write_view(id) {
            return Ok(());
        }
        self.mapping.prefault(self.range(id, 1))
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

    /// Asks the processor for `lines` cache lines of a page from the byte `from` of it on, as far as they are
    /// in range.
    #[inline]
    pub(crate) fn prefetch(&self, id: PageId, from: usize, lines: usize, page_count: u32) {
        if cfg!(not(feature = "locality")) || id.0 >= page_count {
            return;
        }
        let base = self.shown_base(self.offset(id));
        self.prefetch_at(base, id, from, lines);
    }

    /// Asks for the cache line of every `step` bytes of a page, from the first on to before `end`, as far as they
    /// are in range.
    #[inline]
    pub(crate) fn prefetch_every(&self, id: PageId, step: usize, end: usize, page_count: u32) {
        if cfg!(not(feature = "locality")) || id.0 >= page_count {
            return;
        }
        let offset = self.offset(id) as usize;
        let base = self.shown_base(offset as u64).as_ptr().wrapping_add(offset);
        for at in (0..end.min(self.page_size())).step_by(step.max(LINE)) {
            prefetch_line(base.wrapping_add(at));
        }
    }

    /// As [`prefetch`](View::prefetch), in the write view: of a page that is, or will be, claimed.
    #[inline]
    pub(crate) fn prefetch_built(&self, id: PageId, lines: usize) {
        if cfg!(feature = "locality") && id.0 < self.mapped_pages() {
            self.prefetch_at(self.mapping.write_base(), id, 0, lines);
        }
    }

    #[inline]
    fn prefetch_at(&self, base: NonNull<u8>, id: PageId, from: usize, lines: usize) {
        let offset = self.offset(id) as usize;
        let most = self.page_size().saturating_sub(from).div_ceil(LINE);
        for line in 0..lines.min(most) {
            prefetch_line(base.as_ptr().wrapping_add(offset + from + line * LINE));
        }
    }
}

/// Asks the processor for the cache lines of bytes that will be looked at before long. Costs nothing where the
/// feature `locality` is off.
///
/// ```
/// mapleaf_pager::prefetch_bytes(&[0; 200]); // Three or four lines.
/// ```
#[inline]
pub fn prefetch_bytes(bytes: &[u8]) {
    if cfg!(feature = "locality") {
        for line in bytes.chunks(LINE) {
            prefetch_line(line.as_ptr());
        }
    }
}

/// Bytes of a cache line of today's processors.
const LINE: usize = 64;

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

/// Bytes from the start of a run to its value's end, as its first page says.
pub(crate) fn run_bytes(
    id: PageId,
    first: &[u8],
    page_size: usize,
    page_count: u32,
) -> Result<usize> {
    if kind_of(first) != kind::RUN {
        return Err(Error::corrupt(id, Damage::Kind));
    }
    let pages = run_pages_of(first);
    let room = u64::from(pages) * page_size as u64;
    let bytes = run_len_of(first).checked_add(HEADER_BYTES as u64);
    let inside = id.0.checked_add(pages).is_some_and(|end| end <= page_count);
    match bytes {
        Some(bytes) if inside && bytes <= room => {
            usize::try_from(bytes).map_err(|_| Error::corrupt(id, Damage::Layout))
        }
        _ => Err(Error::corrupt(id, Damage::Layout)),
    }
}
