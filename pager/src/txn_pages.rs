//! The write transaction's own state, for reading.

#![allow(unsafe_code)] // Runs lie in either view.

use crate::page::{HEADER_BYTES, OWNED_BYTES};
use crate::pages::{Pages, Root};
use crate::reading::{verify_sealed, whole};
use crate::view::run_bytes;
use crate::{Damage, Error, PageId, Result, TxnId, WriteTxn};

impl WriteTxn<'_> {
    #[inline]
    pub(crate) fn whole(&self, id: PageId) -> Result<&[u8]> {
        whole::<true>(self.parts.view, &self.writer.run, id, self.writer.state.space.page_count)
    }

    /// Bytes from the run's start to its value's end.
    pub(crate) fn run_len(&self, id: PageId) -> Result<usize> {
        let view = self.parts.view;
        run_bytes(id, self.whole(id)?, view.page_size(), self.writer.state.space.page_count)
    }

    fn whole_run(&self, id: PageId) -> Result<&[u8]> {
        let bytes = self.run_len(id)?;
        let view = self.parts.view;
        if view.claimed(id) {
            // SAFETY: a run is claimed whole by this transaction, and changes under an exclusive
            // borrow only.
            unsafe { view.built(view.offset(id), bytes) }
        } else {
            // SAFETY: a run of this state: nobody but this transaction could change it, and it does
            // so under an exclusive borrow only.
            let run = unsafe { view.shown(view.offset(id), bytes)? };
            view.probe(view.offset(id), bytes)?;
            Ok(run)
        }
    }
}

impl<'a> Pages<'a> for &'a WriteTxn<'_> {
    fn page_size(self) -> usize {
        self.parts.view.page_size()
    }

    fn txn(self) -> TxnId {
        self.writer.run.birth
    }

    #[inline]
    fn page(self, id: PageId) -> Result<&'a [u8]> {
        Ok(self.whole(id)?.get(OWNED_BYTES..).unwrap_or(&[]))
    }

    fn run(self, id: PageId, len_bytes: u64) -> Result<&'a [u8]> {
        let value = self.whole_run(id)?.get(HEADER_BYTES..).unwrap_or(&[]);
        if value.len() as u64 == len_bytes {
            Ok(value)
        } else {
            Err(Error::corrupt(id, Damage::Layout))
        }
    }

    fn prefetch(self, id: PageId, from: usize, lines: usize) {
        self.parts.view.prefetch(id, from, lines, self.writer.state.space.page_count);
    }

    #[inline]
    fn prefetch_every(self, id: PageId, step: usize, end: usize) {
        self.parts.view.prefetch_every(id, step, end, self.writer.state.space.page_count);
    }

    fn resident(self, id: PageId, pages: u32) -> bool {
        self.parts.view.resident(id, pages, self.writer.state.space.page_count)
    }

    fn sparse(self) -> bool {
        self.parts.view.mapping().sparse()
    }

    fn fetch(self, ids: &[PageId]) {
        self.parts.view.fetch(ids, self.writer.state.space.page_count);
    }

    fn read_in(self, id: PageId) -> Result<()> {
        self.parts.view.read_in(id, self.writer.state.space.page_count)
    }

    fn root(self) -> &'a Root {
        &self.writer.state.root
    }

    fn verify(self, id: PageId) -> Result<()> {
        let (view, run) = (self.parts.view, &self.writer.run);
        let page_count = self.writer.state.space.page_count;
        let page = whole::<false>(view, run, id, page_count)?;
        verify_sealed(view, run, id, page, page_count)
    }
}
