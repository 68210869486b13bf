//! Snapshots: a committed state, pinned for as long as somebody reads it.

#![allow(unsafe_code)] // Hands out page bytes; the pin is what makes that sound.

use crate::mapping::Advice;
use crate::page::{HEADER_BYTES, OWNED_BYTES};
use crate::pages::{Pages, Root};
use crate::shared::{Record, Slot};
use crate::store::Parts;
use crate::view::{View, birth_of};
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

    /// Whether each page is looked at before it is lent: compared with its checksum, or asked for where it can be
    /// lost.
    #[must_use]
    pub fn careful(&self) -> bool {
        self.view.careful()
    }

    /// Says how pages from `id` on, `pages` of them, will be accessed. A hint.
    pub fn advise(&self, id: PageId, pages: u32, advice: Advice) {
        if id.0.checked_add(pages).is_some_and(|end| end <= self.record.page_count) {
            self.view.mapping().advise(self.view.range(id, pages), advice);
        }
    }

    /// The whole page, to be lent: compared with its checksum (and the run that it starts) as the store
    /// was opened to do.
    #[inline]
    fn whole(&self, id: PageId) -> Result<&[u8]> {
        self.bytes_of(id, true)
    }

    #[inline(always)] // With `lent` known.
    fn bytes_of(&self, id: PageId, lent: bool) -> Result<&[u8]> {
        if id.0 < 2 || id.0 >= self.record.page_count {
            return Err(Error::corrupt(id, Damage::OutOfRange));
        }
        // SAFETY: the page is one of the snapshot's, whose pages lie within the mapping; while it is
        // pinned nobody changes a page born at or before it, and a page born later is refused below.
        let bytes = unsafe { self.view.read_unchecked(id) };
        if self.view.careful() {
            self.look(id, bytes, lent)?;
        }
        if birth_of(bytes) > self.record.txn {
            return Err(Error::corrupt(id, Damage::BornLater));
        }
        Ok(bytes)
    }

    /// Apart, so that being careful costs a comparison where there is no need to be.
    #[cold]
    fn look(&self, id: PageId, bytes: &[u8], lent: bool) -> Result<()> {
        self.view.probe(self.view.offset(id), bytes.len())?;
        // A page that was born later may be changing: it is refused, whatever its checksum.
        if !lent || birth_of(bytes) > self.record.txn {
            return Ok(());
        }
        // SAFETY: the page is the snapshot's, and a run's pages are with its first one.
        unsafe { self.view.compare(id, bytes, self.record.page_count) }
    }

    /// Copies a page, whose checksum was compared just now.
    pub(crate) fn copy_sealed(&self, id: PageId, to: &mut [u8]) -> Result<()> {
        let page = self.bytes_of(id, false)?;
        // SAFETY: the page is the snapshot's.
        unsafe { self.view.compare_now(id, page, self.record.page_count)? };
        if to.len() != page.len() {
            return Err(Error::InvalidArgument);
        }
        to.copy_from_slice(page);
        Ok(())
    }

    /// The bytes of a run up to its value's end.
    fn whole_run(&self, id: PageId) -> Result<&[u8]> {
        let first = self.whole(id)?;
        // SAFETY: the run's pages are the snapshot's: born with its first page, and pinned with it.
        unsafe { self.view.sealed_run(id, first, self.record.page_count) }
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
    fn prefetch(self, id: PageId, from: usize, lines: usize) {
        self.view.prefetch(id, from, lines, self.record.page_count);
    }

    #[inline]
    fn prefetch_every(self, id: PageId, step: usize, end: usize) {
        self.view.prefetch_every(id, step, end, self.record.page_count);
    }

    fn resident(self, id: PageId, pages: u32) -> bool {
        self.view.resident(id, pages, self.record.page_count)
    }

    fn sparse(self) -> bool {
        self.view.mapping().sparse()
    }

    fn fetch(self, ids: &[PageId]) {
        self.view.fetch(ids, self.record.page_count);
    }

    fn read_in(self, id: PageId) -> Result<()> {
        self.view.read_in(id, self.record.page_count)
    }

    fn root(self) -> &'a Root {
        &self.record.root
    }

    fn verify(self, id: PageId) -> Result<()> {
        let page = self.bytes_of(id, false)?;
        // SAFETY: the page is the snapshot's, and a run's pages are with its first one.
        unsafe { self.view.compare_now(id, page, self.record.page_count) }
    }
}
