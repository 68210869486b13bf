//! Values that are there when their run is claimed: long ones are written where they belong at once.
//!
//! A run that is built in a twin costs memory that was not used lately, and is copied a second time when it is
//! published. A value that is whole already needs neither: header and value go to the read view as they are, sealed.
//! Such a run is what a spill leaves: born in this transaction, not in its chain, in no state that anybody may read.

#![allow(unsafe_code)] // Stores past the write view; the turn is what makes that exclusive.

use crate::page::HEADER_BYTES;
#[cfg(feature = "locality")]
use crate::page::{OWNED_BYTES, checksum_of_two, kind, put_u32, put_u64};
#[cfg(feature = "locality")]
use crate::planted::{self, Bug};
use crate::running::Host;
use crate::view::run_pages_of;
use crate::{Damage, Error, PageId, Result, WriteTxn};

/// Bytes of runs that a transaction writes so, apart from those that make writes as large by themselves. What it stores
/// beyond is built in the twin, and written some megabytes at a time: that makes large folios of the page cache. After a
/// load of 2,000 values of 100 KiB gets took 1.2 times as long where each was written by itself.
#[cfg(feature = "locality")]
const WRITTEN_BYTES_MAX: u64 = 1 << 20;
/// Bytes of a value that is a large write by itself.
#[cfg(feature = "locality")]
const LARGE_BYTES: usize = 2 << 20;

impl WriteTxn<'_> {
    /// Claims a run of consecutive pages that holds `value`. As [`claim_run`](WriteTxn::claim_run), and a copy of the
    /// value into [`run_mut`](WriteTxn::run_mut); without memory for a long one where the mapping writes it at once.
    ///
    /// # Errors
    /// As [`claim_run`](WriteTxn::claim_run); [`Io`](Error::Io) of the medium: the pages are free again.
    pub fn store_run(&mut self, value: &[u8]) -> Result<PageId> {
        let len_bytes = value.len() as u64;
        let (id, pages) = self.give_run(len_bytes)?;
        let (mut host, _) = self.split();
        match host.write_run(id, pages, value) {
            Ok(true) => {
                self.writer.run.dirty_pages += u64::from(pages);
                return Ok(id);
            }
            Ok(false) => host.start_run(id, pages, len_bytes)?,
            Err(error) => {
                // Given back as a run that was begun: the space has no other way while the transaction runs.
                if host.start_run(id, pages, 0).and_then(|()| host.push_freed_run(id)).is_err() {
                    self.fail();
                }
                return Err(error);
            }
        }
        self.fill_run(id, value)?;
        Ok(id)
    }

    /// Writes another value of the same length over that of a run claimed in this transaction (since the last
    /// savepoint).
    ///
    /// # Errors
    /// [`InvalidArgument`](Error::InvalidArgument): not born here; [`Corrupt`](Error::Corrupt): the run has another
    /// length. Any other: part of it may be written, and the transaction can only be rolled back.
    pub fn rewrite_run(&mut self, id: PageId, value: &[u8]) -> Result<()> {
        if !self.owned(id)? {
            return Err(Error::InvalidArgument);
        }
        if self.run_len(id)? != HEADER_BYTES.saturating_add(value.len()) {
            return Err(Error::corrupt(id, Damage::Layout));
        }
        let pages = run_pages_of(self.whole(id)?);
        let rewritten = self.rewrite(id, pages, value);
        if rewritten.is_err() {
            // Part of it may be written.
            self.fail();
        }
        rewritten
    }

    fn rewrite(&mut self, id: PageId, pages: u32, value: &[u8]) -> Result<()> {
        let (mut host, _) = self.split();
        if !host.view.claimed(id) && host.write_run(id, pages, value)? {
            return Ok(());
        }
        // Claimed before it is looked at: what a write has left of it does not match its checksum.
        host.ensure_linked(id)?;
        self.fill_run(id, value)
    }

    fn fill_run(&mut self, id: PageId, value: &[u8]) -> Result<()> {
        let run = self.run_mut(id)?;
        run.get_mut(..value.len())
            .ok_or(Error::corrupt(id, Damage::Layout))?
            .copy_from_slice(value);
        Ok(())
    }
}

impl Host<'_, '_> {
    /// Writes a sealed run of pages that this transaction alone may write; whether it did. Where not, they are to be
    /// claimed: if there is no room for them, there may be when they are published.
    ///
    /// # Errors
    /// What is wrong with the medium; the pages hold anything.
    // Apart: its hash takes stack.
    #[cfg(feature = "locality")]
    #[inline(never)]
    fn write_run(&mut self, id: PageId, pages: u32, value: &[u8]) -> Result<bool> {
        let view = self.view;
        let enough = value.len() < LARGE_BYTES && self.run.written_bytes >= WRITTEN_BYTES_MAX;
        if enough || !view.two_views() || self.refused(id, pages).is_err() {
            return Ok(false);
        }
        let mut header = [0; HEADER_BYTES];
        put_u64(&mut header, 8, self.run.birth.0);
        header[OWNED_BYTES] = kind::RUN;
        put_u32(&mut header, 20, pages);
        put_u64(&mut header, 24, value.len() as u64);
        if !planted::is(Bug::NoPageChecksum) {
            let checksum = checksum_of_two(id, &header[8..], value);
            put_u64(&mut header, 0, checksum);
        }
        // What was compared was what these pages held before.
        view.touched().remove(id, pages);
        let range = view.range(id, pages);
        // SAFETY: the space gave these pages to this transaction alone: no state that anybody may read reaches
        // them, and the exclusive borrow of the transaction shows that none of them is lent.
        let written = unsafe { view.mapping().publish_bytes(range, &[&header, value]) };
        match written {
            Ok(true) => {}
            Ok(false) | Err(Error::Full) => return Ok(false),
            Err(error) => return Err(error),
        }
        self.run.changed = true;
        self.run.written_bytes = self.run.written_bytes.saturating_add(value.len() as u64);
        Ok(true)
    }

    #[cfg(not(feature = "locality"))]
    fn write_run(&mut self, _: PageId, _: u32, _: &[u8]) -> Result<bool> {
        Ok(false)
    }
}
