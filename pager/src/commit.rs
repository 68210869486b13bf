//! Commits: through the log, or as a checkpoint.
//!
//! Log: seal the pages, hold them, close the block, publish and flush the unflushed log (one
//! barrier), make the state the newest. Checkpoint: seal, publish, flush the pages, store the meta in
//! the slot that does not hold the durable one, flush it, make the state the newest.

#![allow(unsafe_code)] // Claims, fills and publishes a new log ring.

use crate::checkpoint::{EPOCH_GAP, Haste};
use crate::log::{BLOCK_HEADER, Block};
use crate::meta::State;
use crate::planted::{self, Bug};
use crate::room::Room;
use crate::space::SpaceHost;
use crate::store::{Core, Parts, Writer, record_of};
use crate::tail::Ring;
use crate::txn::{Durability, WriteTxn};
use crate::{Error, PageId, Result, TxnId};
use core::sync::atomic::Ordering;

/// The ring is made about as large as this part of the store (a power of two of bytes at most), within
/// the options' bounds.
const RING_PART: u64 = 32;
/// About as large a part at the most where transactions have waited for room in the ring.
const RING_PART_BUSY: u64 = 8;

/// Bytes of a new ring that are published at once.
const RING_PIECE_BYTES: usize = 16 << 10;

/// Pages that the space may take for itself while the ring is moved, at the most: paths of the bitmap
/// and list pages, for what is looked at on the way.
const RESIZE_PAGES: u32 = 64;

impl<'s> WriteTxn<'s> {
    /// Commits. `Ok` carries the number of the new state, or of the one before where nothing changed.
    ///
    /// Cost: `Sync` is one barrier where the redo is smaller than the pages and fits the log, else two;
    /// `Eventual` none (unless the log has no room, or had none and becomes larger).
    ///
    /// # Errors
    /// [`TxnFailed`](Error::TxnFailed), [`Full`](Error::Full), [`Io`](Error::Io): rolled back, as is
    /// [`Poisoned`](Error::Poisoned). After an error from a flush the store is poisoned, and whether the
    /// transaction is found when the store is opened anew is unknown.
    // A call: the tree layer writes its records back before, and has its frame then.
    #[inline(never)]
    pub fn commit(mut self, durability: Durability) -> Result<TxnId> {
        self.parts.core.healthy()?;
        if self.failed() {
            return Err(Error::TxnFailed { txn: self.writer.run.birth });
        }
        if !self.writer.run.changed {
            return self.commit_nothing(durability);
        }
        self.settle()?;
        let ring = self.parts.ring(&self.writer.state);
        match ring {
            Some(ring)
                if !self.announces()
                    && !self.ring_outgrown()
                    && self.takes_log(&ring, durability)? =>
            {
                self.commit_logged(&ring, durability)
            }
            _ => self.commit_as_checkpoint(),
        }
    }

    /// Whether the file says nothing yet of a feature that the transaction uses.
    fn announces(&self) -> bool {
        self.parts.core.latest.lock().state.features != self.writer.state.features
    }

    fn commit_nothing(mut self, durability: Durability) -> Result<TxnId> {
        let (parts, base) = (self.parts, self.writer.run.base);
        if durability == Durability::Sync && parts.sync_log()?.is_none() {
            parts.checkpoint(parts.take_turn(), false)?;
        }
        // Redo of a transaction that changed nothing.
        self.discard_log_leftovers();
        self.done = true;
        Ok(base)
    }

    /// Gives the space what the transaction freed of its own, and takes unused pages off the end.
    pub(crate) fn settle(&mut self) -> Result<()> {
        self.release_all()?;
        let birth = self.writer.run.birth;
        let (mut host, space) = self.split();
        while let Some(id) = host.pop_freed()? {
            space.free(&mut host, id, 1, birth, birth)?;
        }
        while let Some((id, pages)) = host.pop_freed_run()? {
            space.free(&mut host, id, pages, birth, birth)?;
        }
        let before = space.page_count;
        space.trim(&mut host)?;
        let lowered = space.page_count < before;
        self.writer.run.lowered = lowered;
        self.writer.run.changed |= lowered;
        self.writer.state.txn = birth;
        Ok(())
    }

    /// Whether the log is the cheaper way, and has room. A transaction without redo cannot be replayed.
    fn takes_log(&mut self, ring: &Ring<'_>, durability: Durability) -> Result<bool> {
        let page_size = self.parts.view.page_size() as u64;
        let run = &mut self.writer.run;
        if run.tail.len == 0 || !run.tail.fits(ring)? {
            return Ok(false);
        }
        if self.room_overdue() {
            return Ok(false);
        }
        let run = &self.writer.run;
        let redo_bytes = BLOCK_HEADER + run.tail.len;
        Ok(durability == Durability::Eventual
            || redo_bytes.saturating_mul(2) < run.dirty_pages.saturating_mul(page_size))
    }

    /// Whether the file would grow, or memory fill up, for want of a checkpoint. Waits for the one in
    /// progress, which may give room enough, or memory once nobody refers to what it has published.
    #[inline(never)]
    fn room_overdue(&self) -> bool {
        let Writer { run, state, .. } = &*self.writer;
        let pages = u32::try_from(run.dirty_pages).unwrap_or(u32::MAX);
        let overdue = || {
            let before = self.parts.core.latest.lock().room();
            let freed = run.freed_durable.saturating_add(run.freed_between);
            let room = Room {
                page_count: state.space.page_count,
                space: state.space.stats(),
                waiting: before.waiting.saturating_add(freed),
                old_readers: run.old_readers(),
                grown: state.space.page_count > before.page_count,
                ..before
            };
            room.overdue(pages)
        };
        let mapping = self.parts.view.mapping();
        let overladen = mapping.overladen();
        if !overladen && !overdue() {
            return false;
        }
        let turn = self.parts.take_turn();
        if overladen {
            // The transaction is over: its own references too.
            self.parts.core.latest.lock().writing_on = None;
            self.parts.release_held(&turn);
        }
        drop(turn);
        mapping.overladen() || overdue()
    }

    fn commit_logged(mut self, ring: &Ring<'s>, durability: Durability) -> Result<TxnId> {
        let (mut host, _) = self.split();
        host.seal()?;
        self.hold_pages()?;
        let (unflushed, durable_txn, durable_checkpoint) = {
            let latest = self.parts.core.latest.lock();
            (latest.unflushed, latest.synced, latest.durable.txn)
        };
        let Writer { run, state, .. } = &mut *self.writer;
        let block = Block {
            previous: state.log.last_checksum,
            txn: state.txn,
            follows: run.base,
            durable_txn,
            durable_checkpoint,
            ..Block::default()
        };
        let Some(checksum) = run.tail.close(ring, &block, state.log.salt)? else {
            return Err(Error::InvalidArgument);
        };
        state.log.last_checksum = checksum;
        state.log.position = run.tail.end();
        let (start, end) = (run.tail.start, state.log.position);
        match durability {
            Durability::Sync => {
                if planted::is(Bug::SyncedEarly) {
                    self.parts.core.latest.lock().synced = state.txn;
                }
                let from = unflushed.filter(|_| !planted::is(Bug::LogHole)).unwrap_or(start);
                self.parts.core.flushed(ring.flush(from, end))?;
                if !planted::is(Bug::NoPadding) {
                    self.writer.state.log.position = ring.padded(end);
                }
            }
            Durability::Eventual => ring.publish(start, end)?,
        }
        self.discard_log_leftovers();
        Core::count(&self.parts.core.counters.log_commits, 1);
        Ok(self.publish_state(|latest, state| match durability {
            Durability::Sync => {
                latest.unflushed = None;
                latest.synced = state.txn;
            }
            // Looked at anew: a checkpoint may have ended since, and the ring's blocks before it be
            // overwritten before they are flushed.
            Durability::Eventual => {
                let _ = latest.unflushed.get_or_insert(start);
            }
        }))
    }

    /// Claims that moved, or rolled back, records have left in the ring.
    fn discard_log_leftovers(&self) {
        let log = &self.writer.state.log;
        if self.parts.view.two_views() && log.pages > 0 {
            let ring = self.parts.view.range(log.start, log.pages);
            // SAFETY: the block is published; what is still claimed in the ring is read by nobody.
            unsafe { self.parts.view.mapping().discard(ring) };
        }
    }

    /// Makes the built state the newest. The writer's turn ends with `self`, not here.
    fn publish_state(&mut self, note: impl FnOnce(&mut crate::store::Latest, &State)) -> TxnId {
        let parts = self.parts;
        let Writer { run, state, .. } = &mut *self.writer;
        {
            let mut latest = parts.core.latest.lock();
            latest.state = *state;
            latest.freed_durable = latest.freed_durable.saturating_add(run.freed_durable);
            latest.freed_between = latest.freed_between.saturating_add(run.freed_between);
            latest.old_readers = run.old_readers();
            if run.lowered {
                latest.lowered_at = state.txn;
            }
            note(&mut latest, state);
            parts.shared.publish(&record_of(state));
        }
        let txn = state.txn;
        self.done = true;
        txn
    }

    /// Commits with a checkpoint of its own: readers see it once its meta is durable.
    pub(crate) fn commit_as_checkpoint(mut self) -> Result<TxnId> {
        let parts = self.parts;
        let mut turn = parts.take_turn();
        parts.core.healthy()?;
        self.discard_log_leftovers();
        self.resize_log()?;
        let (mut host, _) = self.split();
        host.seal()?;
        self.publish_pages()?;
        parts.publish_held(&turn, &self.writer.state, Haste::AtOnce)?;
        *turn = self.writer.state;
        let (identity, slot) = {
            let latest = parts.core.latest.lock();
            (latest.identity, latest.durable.slot ^ 1)
        };
        if planted::is(Bug::PublishedEarly) {
            parts.shared.publish(&record_of(&turn));
        }
        parts.flush_pages(&turn)?;
        crate::checkpoint::store_meta(parts.core, parts.view, slot, &identity, &turn)?;
        Core::count(&parts.core.counters.checkpoints, 1);
        let txn = self.publish_state(|latest, state| {
            latest.made_durable(state, slot);
            latest.epoch_begun = true;
        });
        // Still in the writer's turn.
        parts.shrink(false);
        // The transaction is over: its own references too.
        parts.core.latest.lock().writing_on = None;
        parts.release_held(&turn);
        Ok(txn)
    }

    /// Starts the log anew with another salt, so that none of its blocks matches any more.
    pub(crate) fn restart_log(&mut self, salt: u64) {
        let log = &mut self.writer.state.log;
        log.salt = salt;
        log.position = 0;
        log.last_checksum = 0;
        self.writer.run.changed = true;
    }

    /// Whether transactions wait for room in a ring that may be larger.
    fn ring_outgrown(&self) -> bool {
        cfg!(feature = "locality")
            && self.parts.core.ring_short.load(Ordering::Relaxed)
            && self.ring_for_the_busy() / 2 >= self.writer.state.log.pages
    }

    /// Pages of the ring that one as large as this is to be replaced by when transactions wait for room in it.
    fn ring_for_the_busy(&self) -> u32 {
        let twice = self.writer.state.log.pages.saturating_mul(2);
        twice.min(self.ring_of_part(RING_PART_BUSY))
    }

    /// Moves the log to a larger ring where the store has outgrown it, or those who write.
    fn resize_log(&mut self) -> Result<()> {
        let mut pages = self.ring_wanted();
        if cfg!(feature = "locality") && self.parts.core.ring_short.swap(false, Ordering::Relaxed) {
            pages = pages.max(self.ring_for_the_busy());
        }
        let log = self.writer.state.log;
        if log.pages == 0 || pages / 2 < log.pages { Ok(()) } else { self.move_log(pages) }
    }

    /// Moves the log to a smaller ring where that lets the file end at `end`; whether it did.
    pub(crate) fn shrink_log(&mut self, end: u32) -> Result<bool> {
        let log = self.writer.state.log;
        let least = self.parts.core.options.log_bytes / self.parts.view.page_size() as u64;
        let pages = self.ring_wanted().max(u32::try_from(least).unwrap_or(u32::MAX));
        if pages > log.pages / 2 || log.start.0.saturating_add(log.pages) <= end {
            return Ok(false);
        }
        self.move_log(pages)?;
        Ok(self.writer.state.log.pages == pages)
    }

    /// Pages of the ring that a store as large as this one's pages in use is to have.
    fn ring_wanted(&self) -> u32 {
        self.ring_of_part(RING_PART)
    }

    /// Pages of a ring as large as that part of what is in use.
    fn ring_of_part(&self, part: u64) -> u32 {
        let page_size = self.parts.view.page_size() as u64;
        let space = &self.writer.state.space;
        let bytes = u64::from(space.packed_end().min(space.page_count)) * page_size;
        let wanted = (bytes / part).checked_ilog2().map_or(0, |log| 1 << log);
        let wanted = wanted.min(self.parts.core.options.log_bytes_max);
        u32::try_from(wanted / page_size).unwrap_or(0)
    }

    fn move_log(&mut self, pages: u32) -> Result<()> {
        let log = self.writer.state.log;
        let birth = self.writer.run.birth;
        let (mut host, space) = self.split();
        // Another ring is worth having, not worth failing for: whatever is claimed now has room.
        let most = pages.saturating_add(RESIZE_PAGES);
        let Some(page_count) = space.page_count.checked_add(most) else { return Ok(()) };
        match host.grow(page_count) {
            Err(Error::Full) => return Ok(()),
            other => other?,
        }
        let start = space.claim_run(&mut host, pages)?;
        space.free(&mut host, log.start, log.pages, log.made_by, birth)?;
        self.parts.zero_ring(start, pages)?;
        let place = &mut self.writer.state.log;
        place.start = start;
        place.pages = pages;
        place.position = 0;
        place.last_checksum = 0;
        place.made_by = birth;
        Ok(())
    }
}

impl Parts<'_> {
    /// Fills a new ring with zeros and publishes it: written blocks of the medium need no metadata
    /// when they are written again. In pieces, because page caches keep what was written at once as one, and
    /// each later write, of a block or two, would walk all of that.
    pub(crate) fn zero_ring(&self, start: PageId, pages: u32) -> Result<()> {
        let piece = (RING_PIECE_BYTES / self.view.page_size()).max(1) as u32;
        for from in (0..pages).step_by(piece as usize) {
            self.zero(PageId(start.0 + from), piece.min(pages - from))?;
        }
        Ok(())
    }

    fn zero(&self, start: PageId, pages: u32) -> Result<()> {
        let range = self.view.range(start, pages);
        let (offset, len) = (range.start, (range.end - range.start) as usize);
        // SAFETY: the space gave these pages to the transaction alone.
        unsafe { self.view.mapping().claim(range.clone(), false)? };
        {
            // SAFETY: claimed just now; the one reference into it.
            let bytes = unsafe { self.view.build(offset, len)? };
            bytes.fill(0);
        }
        // SAFETY: the reference above has ended.
        unsafe { self.view.mapping().publish(&[range]) }
    }
}

/// The first number after an opening that found `last` as the newest one anywhere.
pub(crate) fn after_gap(last: TxnId) -> Result<TxnId> {
    last.0.checked_add(EPOCH_GAP).map(TxnId).ok_or(Error::InvalidArgument)
}
