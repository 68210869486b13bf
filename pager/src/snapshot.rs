//! Snapshots: a committed state, pinned for as long as somebody reads it.

#![allow(unsafe_code)] // Hands out page bytes; the pin is what makes that sound.

use crate::mapping::Advice;
use crate::page::{self, HEADER_BYTES, OWNED_BYTES, kind, u64_at};
use crate::pages::{Pages, Root};
use crate::shared::{Record, Slot};
use crate::store::Parts;
use crate::view::{View, birth_of, kind_of, run_len_of, run_pages_of};
use crate::{Damage, Error, PageId, Result, TxnId};

/// A committed state that does not change while this lives. `Send + Sync`; drop it to end the pin.
///
/// Cost: taking one is a handful of atomic operations on words of its own, no system call, no lock,
/// no allocation. While it lives, the pages it can see are not reused; pages written after it are not
/// held back by it.
pub struct Snapshot<'s> {
    view: View<'s>,
    record: Record,
    /// The pin; ends when it is dropped.
    _slot: Slot<'s>,
}

impl<'s> Snapshot<'s> {
    /// # Safety
    /// `record` is a committed state of this mapping, validated to lie within it, and stays pinned for
    /// as long as the snapshot lives, by `slot`.
    pub(crate) unsafe fn new(view: View<'s>, record: Record, slot: Slot<'s>) -> Snapshot<'s> {
        Snapshot { view, record, _slot: slot }
    }

    /// The pages in use in this state, metas, log and free pages included.
    #[must_use]
    pub fn page_count(&self) -> u32 {
        self.record.page_count
    }

    /// Says how pages from `id` on, `pages` of them, will be accessed. A hint.
    pub fn advise(&self, id: PageId, pages: u32, advice: Advice) {
        if id.0.checked_add(pages).is_some_and(|end| end <= self.record.page_count) {
            self.view.mapping().advise(self.view.range(id, pages), advice);
        }
    }

    /// The whole page.
    #[inline]
    fn whole(&self, id: PageId) -> Result<&[u8]> {
        if id.0 < 2 || id.0 >= self.record.page_count {
            return Err(Error::corrupt(id, Damage::OutOfRange));
        }
        // SAFETY: the page is one of the snapshot's, whose pages lie within the mapping; while it is
        // pinned nobody changes a page born at or before it, and a page born later is refused below.
        let bytes = unsafe { self.view.read_unchecked(id) };
        self.view.probe(self.view.offset(id), bytes.len())?;
        if birth_of(bytes) > self.record.txn {
            return Err(Error::corrupt(id, Damage::BornLater));
        }
        Ok(bytes)
    }

    /// The bytes of a run up to its value's end.
    fn whole_run(&self, id: PageId) -> Result<&[u8]> {
        let first = self.whole(id)?;
        let bytes = run_bytes(id, first, self.view.page_size(), self.record.page_count)?;
        let offset = self.view.offset(id);
        // SAFETY: the run's pages are the snapshot's: born with its first page, and pinned with it.
        let run = unsafe { self.view.shown(offset, bytes)? };
        self.view.probe(offset, bytes)?;
        Ok(run)
    }
}

impl<'s> Parts<'s> {
    /// Pins the newest committed state.
    pub(crate) fn snapshot(&self, hint: usize) -> Result<Snapshot<'s>> {
        let (slot, record) = self.shared.pin(hint)?;
        // SAFETY: published records are committed states within the mapping; the slot pins it.
        Ok(unsafe { Snapshot::new(self.view, record, slot) })
    }
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

/// Compares the checksum of a whole page or run.
pub(crate) fn verify_bytes(id: PageId, bytes: &[u8]) -> Result<()> {
    if page::checksum(id, bytes.get(8..).unwrap_or(&[])) == u64_at(bytes, 0) {
        Ok(())
    } else {
        Err(Error::corrupt(id, Damage::Checksum))
    }
}

impl<'a> Pages<'a> for &'a Snapshot<'_> {
    fn page_size(self) -> usize {
        self.view.page_size()
    }

    fn txn(self) -> TxnId {
        self.record.txn
    }

    #[inline]
    fn page(self, id: PageId) -> Result<&'a [u8]> {
        let whole = self.whole(id)?;
        Ok(whole.get(OWNED_BYTES..).unwrap_or(&[]))
    }

    fn run(self, id: PageId, len_bytes: u64) -> Result<&'a [u8]> {
        let whole = self.whole_run(id)?;
        let value = whole.get(HEADER_BYTES..).unwrap_or(&[]);
        if value.len() as u64 == len_bytes {
            Ok(value)
        } else {
            Err(Error::corrupt(id, Damage::Layout))
        }
    }

    #[inline]
    fn prefetch(self, id: PageId, lines: usize) {
        self.view.prefetch(id, lines, self.record.page_count);
    }

    fn root(self) -> &'a Root {
        &self.record.root
    }

    fn verify(self, id: PageId) -> Result<()> {
        let page = self.whole(id)?;
        let bytes = if kind_of(page) == kind::RUN { self.whole_run(id)? } else { page };
        verify_bytes(id, bytes)
    }
}
