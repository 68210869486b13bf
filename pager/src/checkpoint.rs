//! Checkpoints: pages, barrier, meta, barrier. And what is made durable without one.

#![allow(unsafe_code)] // Flushes, and stores metas through the write view.

use crate::hash::xxh3_seeded;
use crate::mapping::Mapping;
use crate::meta::{self, Identity, State};
use crate::planted::{self, Bug};
use crate::room::Room;
use crate::store::{Core, Latest, Parts, record_of};
use crate::view::View;
use crate::{Error, PageId, Result, TxnId};
use core::sync::atomic::Ordering;
use spin::{Mutex, MutexGuard};

/// Numbers skipped by each opening for writing, so that nothing of a lost future ever matches.
pub(crate) const EPOCH_GAP: u64 = 1 << 32;

/// The last durable checkpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Checkpointed {
    pub(crate) txn: TxnId,
    /// The slot that holds its meta.
    pub(crate) slot: u8,
    /// Its log position: what stands before it in the ring is no longer needed.
    pub(crate) position: u64,
}

/// How a checkpoint writes out what is held.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Haste {
    AtOnce,
    /// In parts, so that commits beside it do not wait for all of it in their own barriers.
    Aside,
}

/// Waits for a lock, letting other threads run.
pub(crate) fn wait_for<'m, T>(lock: &'m Mutex<T>, mapping: &dyn Mapping) -> MutexGuard<'m, T> {
    loop {
        if let Some(guard) = lock.try_lock() {
            return guard;
        }
        mapping.relax();
    }
}

/// Stores a meta and makes it durable. The caller has the turn. Only a failed flush poisons the store.
pub(crate) fn store_meta(
    core: &Core,
    view: View<'_>,
    slot: u8,
    identity: &Identity,
    state: &State,
) -> Result<()> {
    store_slot(core, view, slot, false, &mut |bytes| meta::encode(bytes, slot, identity, state))
}

/// Stores the meta in `slot` again, byte for byte, and makes it durable: what was read when the
/// store was opened may have been in the page cache only.
fn store_meta_again(core: &Core, view: View<'_>, slot: u8) -> Result<()> {
    store_slot(core, view, slot, true, &mut |bytes| {
        for byte in bytes {
            let at: *mut u8 = byte;
            // SAFETY: from an exclusive reference. Volatile, so that the page is dirtied.
            let value = unsafe { at.read_volatile() };
            // SAFETY: as above.
            unsafe { at.write_volatile(value) };
        }
    })
}

/// Stores what `fill` makes of a meta's slot, and of what stands there where it is to be kept; makes it durable. The
/// caller has the turn.
pub(crate) fn store_slot(
    core: &Core,
    view: View<'_>,
    slot: u8,
    keep: bool,
    fill: &mut dyn FnMut(&mut [u8]),
) -> Result<()> {
    let offset = view.offset(PageId(u32::from(slot)));
    let len = meta::record_len(view.page_size());
    let range = offset..offset + len as u64;
    // SAFETY: only the holder of the turn touches metas, and it keeps no reference into them.
    unsafe { view.mapping().claim(range.clone(), keep)? };
    // SAFETY: claimed just now; the one reference into the slot.
    fill(unsafe { view.build(offset, len)? });
    // SAFETY: the reference above has ended.
    core.flushed(unsafe { view.mapping().publish_and_flush(range) })
}

/// A salt that no earlier opening of this store used.
pub(crate) fn new_salt(old: u64, txn: TxnId, entropy: u64) -> u64 {
    let mut seed = [0; 16];
    seed[..8].copy_from_slice(&old.to_le_bytes());
    seed[8..].copy_from_slice(&txn.0.to_le_bytes());
    xxh3_seeded(&seed, entropy)
}

impl<'s> Parts<'s> {
    /// Flushes all pages, whatever else is dirty: one barrier.
    pub(crate) fn flush_pages(&self, state: &State) -> Result<()> {
        let [front, back] = self.page_ranges(state);
        let all = [front, back];
        let ranges = if all[1].is_empty() { &all[..1] } else { &all[..] };
        // SAFETY: pages of `state` do not change: it is pinned.
        self.core.flushed(unsafe { self.view.mapping().flush(ranges) })
    }

    /// Publishes the pages of earlier commits that are held in the write view. The turn is what keeps
    /// [`release_held`](Parts::release_held) from what is being published.
    pub(crate) fn publish_held(
        &self,
        _turn: &MutexGuard<'_, State>,
        state: &State,
        haste: Haste,
    ) -> Result<()> {
        if !self.view.two_views() || planted::is(Bug::HeldNotPublished) {
            return Ok(());
        }
        let ranges = self.page_ranges(state);
        let mapping = self.view.mapping();
        let published = match haste {
            // SAFETY: held pages are committed: nobody changes them before they are claimed anew.
            Haste::AtOnce => unsafe { mapping.publish_held(&ranges) },
            // SAFETY: as above.
            Haste::Aside => unsafe { mapping.publish_held_aside(&ranges, &mut || self.pressed()) },
        };
        let mut latest = self.core.latest.lock();
        latest.held_till = latest.state.txn;
        published
    }

    /// Lets go of held pages that were published by earlier checkpoints and that nobody can have a
    /// reference to: only readers, and a write transaction on, states from before the end of that
    /// publication can. (Such a transaction has been able to refer to all of them.)
    #[inline(never)] // The pins stay off the stack of others.
    pub(crate) fn release_held(&self, _turn: &MutexGuard<'_, State>) {
        if !self.view.two_views() {
            return;
        }
        let till = {
            let latest = self.core.latest.lock();
            // One that begins after this finds published what was.
            if latest.writing_on.is_some_and(|base| base <= latest.held_till) {
                return;
            }
            latest.held_till
        };
        let mut readers = crate::pins::Pins::new();
        self.shared.collect(&mut readers);
        let view = self.view;
        let nobody = readers.iter().next().is_none_or(|(oldest, _)| oldest > till);
        let mut unseen = |offset: u64| {
            if nobody {
                return true;
            }
            let id = PageId((offset >> self.core.shift) as u32);
            // SAFETY: held, so initialised, and claimed by nobody since: it does not change.
            let page = unsafe { view.built(view.offset(id), view.page_size()) };
            page.is_ok_and(|page| !readers.pinned(crate::view::birth_of(page), till.next()))
        };
        // SAFETY: whoever could have a reference is pinned between the page's birth and `till`: later
        // ones have found it published. Nothing is published meanwhile, since the turn is held.
        unsafe { view.mapping().release_held(&mut unseen) };
    }

    /// Whether commits will soon wait for the checkpoint that is being made.
    fn pressed(&self) -> bool {
        if self.view.mapping().laden() {
            return true;
        }
        let latest = self.core.latest.lock();
        latest.room().pressed()
            || self
                .ring(&latest.state)
                .is_some_and(|ring| latest.log_used(ring.size) > ring.size / 4 * 3)
    }

    /// Writes out the newest state beside whoever writes.
    pub(crate) fn checkpoint(&self, turn: MutexGuard<'s, State>, clean: bool) -> Result<TxnId> {
        self.checkpoint_in(turn, clean, Haste::AtOnce)
    }

    /// As [`checkpoint`](Parts::checkpoint), in that haste.
    pub(crate) fn checkpoint_in(
        &self,
        mut turn: MutexGuard<'s, State>,
        clean: bool,
        haste: Haste,
    ) -> Result<TxnId> {
        self.core.writable()?;
        self.confirm(&turn)?;
        let (identity, slot) = {
            let mut latest = self.core.latest.lock();
            if latest.durable.txn == latest.state.txn && !clean {
                let txn = latest.state.txn;
                drop(latest);
                self.release_held(&turn);
                return Ok(txn);
            }
            *turn = latest.state;
            latest.in_progress = Some(turn.txn);
            latest.aside = cfg!(feature = "locality") && matches!(haste, Haste::Aside);
            latest.freed_at_start = latest.freed_durable;
            latest.freed_between = 0;
            let other = u8::from(!planted::is(Bug::WrongSlot));
            (Identity { clean, ..latest.identity }, latest.durable.slot ^ other)
        };
        self.release_held(&turn);
        let published = self.publish_held(&turn, &turn, haste);
        if published.is_err() {
            // Nothing was lost: what was not published is held still. This state needs no pin any more.
            let mut latest = self.core.latest.lock();
            latest.in_progress = None;
            latest.aside = false;
            latest.freed_between = 0;
        }
        published?;
        self.flush_pages(&turn)?;
        store_meta(self.core, self.view, slot, &identity, &turn)?;
        self.core.latest.lock().made_durable(&turn, slot);
        Core::count(&self.core.counters.checkpoints, 1);
        self.release_held(&turn);
        Ok(turn.txn)
    }

    /// What was read when the store was opened may have been in the page cache only: before it is
    /// called durable, the chosen meta is stored again and flushed, once; and what is left of a torn one is wiped out.
    pub(crate) fn confirm(&self, _turn: &MutexGuard<'_, State>) -> Result<()> {
        let slot = {
            let latest = self.core.latest.lock();
            if latest.confirmed {
                return Ok(());
            }
            latest.durable.slot
        };
        if !planted::is(Bug::NoConfirm) {
            store_meta_again(self.core, self.view, slot)?;
        }
        self.wipe_torn_meta(slot ^ 1)?;
        self.core.latest.lock().confirmed = true;
        Ok(())
    }

    pub(crate) fn checkpoint_due(&self) -> bool {
        let latest = self.core.latest.lock();
        if self.core.options.read_only || latest.durable.txn == latest.state.txn {
            return false;
        }
        self.view.mapping().laden()
            || latest.room().due()
            || self
                .ring(&latest.state)
                .is_some_and(|ring| latest.log_used(ring.size) > ring.size / 2)
    }

    /// Makes everything committed survive power loss.
    pub(crate) fn sync(&self) -> Result<TxnId> {
        self.core.writable()?;
        if !self.core.latest.lock().confirmed {
            self.confirm(&self.take_turn())?;
        }
        let Some(writer) = self.core.writer.try_lock() else {
            return self.checkpoint(self.take_turn(), false);
        };
        let synced = self.sync_log()?;
        drop(writer);
        match synced {
            Some(txn) => Ok(txn),
            None => self.checkpoint(self.take_turn(), false),
        }
    }

    /// Flushes the log, if that makes the newest state durable. The caller has the writer's turn.
    pub(crate) fn sync_log(&self) -> Result<Option<TxnId>> {
        let (ring, from, position, txn) = {
            let latest = self.core.latest.lock();
            let txn = latest.state.txn;
            if latest.synced == txn {
                return Ok(Some(txn));
            }
            let (Some(ring), Some(from)) = (self.ring(&latest.state), latest.unflushed) else {
                return Ok(None);
            };
            (ring, from, latest.state.log.position, txn)
        };
        if planted::is(Bug::SyncedEarly) {
            self.core.latest.lock().synced = txn;
        }
        self.core.flushed(ring.flush(from, position))?;
        let mut latest = self.core.latest.lock();
        latest.state.log.position = ring.padded(position);
        latest.synced = txn;
        latest.unflushed = None;
        Ok(Some(txn))
    }

    /// Makes a meta of this opening's own durable, before its first change. The caller has the
    /// writer's turn.
    pub(crate) fn begin_epoch(&self, next: &mut TxnId) -> Result<()> {
        if self.core.latest.lock().epoch_begun {
            return Ok(());
        }
        let mut turn = self.take_turn();
        self.confirm(&turn)?;
        let (identity, slot) = {
            let latest = self.core.latest.lock();
            *turn = latest.state;
            (latest.identity.next_epoch(), latest.durable.slot)
        };
        turn.log.salt = new_salt(turn.log.salt, turn.txn, self.core.options.entropy);
        turn.log.position = 0;
        turn.log.last_checksum = 0;
        turn.txn = TxnId(turn.txn.0.checked_add(EPOCH_GAP).ok_or(Error::InvalidArgument)?);
        if !planted::is(Bug::NoEpochMeta) {
            store_meta(self.core, self.view, slot ^ 1, &identity, &turn)?;
        }
        let mut latest = self.core.latest.lock();
        latest.identity = identity;
        latest.state = *turn;
        latest.made_durable(&turn, slot ^ 1);
        latest.epoch_begun = true;
        *next = turn.txn.next();
        self.shared.publish(&record_of(&turn));
        Ok(())
    }
}

impl Latest {
    /// How the newest state stands with its room.
    pub(crate) fn room(&self) -> Room {
        Room {
            page_shift: self.identity.page_shift,
            page_count: self.state.space.page_count,
            space: self.state.space.stats(),
            waiting: self.waiting(),
            old_readers: self.old_readers,
            grown: false,
            aside: cfg!(feature = "locality") && self.aside,
        }
    }

    /// Freed pages that only checkpoints hold back.
    pub(crate) fn waiting(&self) -> u32 {
        self.freed_durable.saturating_add(self.freed_between)
    }

    /// Bytes of the ring in use: from the durable checkpoint's position to the tail.
    pub(crate) fn log_used(&self, size: u64) -> u64 {
        let (head, tail) = (self.durable.position, self.state.log.position);
        if tail >= head { tail - head } else { size.saturating_sub(head) + tail }
    }

    /// `state` is the last durable checkpoint now.
    pub(crate) fn made_durable(&mut self, state: &State, slot: u8) {
        self.durable = Checkpointed { txn: state.txn, slot, position: state.log.position };
        self.in_progress = None;
        self.confirmed = true;
        // What was freed since its state was taken waits for the next one.
        self.freed_durable = if self.state.txn == state.txn {
            0
        } else {
            self.freed_durable.saturating_sub(self.freed_at_start) + self.freed_between
        };
        self.freed_between = 0;
        self.synced = self.synced.max(state.txn);
        if self.state.txn == state.txn {
            self.unflushed = None;
        } else if self.unflushed.is_some() {
            // What stands before was needed by older states only.
            self.unflushed = Some(state.log.position);
        }
    }
}

/// Figures for [`Stats`](crate::Stats).
pub(crate) fn counted(counter: &core::sync::atomic::AtomicU32) -> u32 {
    counter.load(Ordering::Relaxed)
}
