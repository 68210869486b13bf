//! Repair: opening a store whose space is not to be trusted, and making the space anew.
//!
//! ```text
//! open ─► inspect (are the trees whole?) ─► replay ─► rebuild: walk, free what is not reached ─► close
//! ```
//!
//! No page that lies in the file is written to. From [`Repair::open`] on no page counts as free, so
//! whatever is claimed, for the log's replay and for the new bitmap, lies behind the file's end. Beside
//! that the metas are stored, first in the slot that does not hold the state that was opened. So
//! whatever a damage says, and wherever a crash cuts the repair short, the trees stay as they were.

use crate::checkpoint::new_salt;
use crate::chosen::{Chosen, choose, fits};
use crate::commit::after_gap;
use crate::meta::State;
use crate::options::Options;
use crate::space::Space;
use crate::store::Store;
use crate::{
    Damage, Error, Inspection, Mapping, PageId, Replay, Result, Snapshot, TxnId, WriteTxn,
};
use core::ops::Range;
use core::sync::atomic::AtomicU32;

/// A store that is opened to be repaired; see the steps at [`open`](Repair::open).
pub struct Repair<M, W> {
    store: Store<M, W>,
    space: Option<Error>,
    metas_whole: [bool; 2],
    pending: Option<(TxnId, u32)>,
}

impl<M: Mapping, W: AsRef<[AtomicU32]>> Repair<M, W> {
    /// Opens the store in the mapping, whatever its space is like; changes nothing. What must be right
    /// is a meta, and the log's place.
    ///
    /// Then [`inspect`](Repair::inspect), and go on only where the trees are whole:
    /// [`replay`](Repair::replay), [`rebuild`](Repair::rebuild), [`close`](Repair::close).
    ///
    /// The bytes may be any: nothing in the file is overwritten but metas, so that no page changes to
    /// which a snapshot could hold a reference.
    ///
    /// # Errors
    /// As [`Store::open`], but for damage to the space.
    pub fn open(mapping: M, words: W, options: &Options) -> Result<Repair<M, W>> {
        // A ring that moved would take pages that were just found to be free.
        let options = Options { log_bytes_max: 0, read_only: false, ..*options };
        let Chosen { slot, identity, mut state, space, whole } = choose(&mapping, &options)?;
        let mapped = mapping.len() >> identity.page_shift;
        let mut error = space.err();
        if u64::from(state.space.page_count) > mapped {
            // The file was cut off: perhaps free pages only are missing.
            let missing = PageId(mapped as u32);
            error = error.or(Some(Error::corrupt(missing, Damage::CutOff)));
            state.space.page_count = missing.0;
        }
        fits(&state, mapped, 1 << identity.page_shift)?;
        let mut place = None;
        Store::assemble(&mut place, mapping, words, &options, slot, &identity, &state)?;
        let store = place.ok_or(Error::InvalidArgument)?;
        let pending = store.parts().pending_now()?;
        Ok(Repair { store, space: error, metas_whole: whole, pending })
    }

    /// Holds the state still that the store was opened at (or that the replay came to): to check its
    /// trees and to see what its space says.
    ///
    /// # Errors
    /// As [`Store::inspect`].
    pub fn inspect(&self) -> Result<Inspection<'_>> {
        self.store.inspect()
    }

    /// What is wrong with the record of the space as a whole, if anything: it contradicts itself, or
    /// the file is shorter than it says.
    #[must_use]
    pub fn space_error(&self) -> Option<Error> {
        self.space
    }

    /// Which of the two slots hold a whole meta.
    #[must_use]
    pub fn metas_whole(&self) -> [bool; 2] {
        self.metas_whole
    }

    /// Blocks in the log behind the state: transactions that are yet to be replayed.
    #[must_use]
    pub fn pending_blocks(&self) -> u32 {
        self.pending.map_or(0, |(_, blocks)| blocks)
    }

    /// Page size in bytes.
    #[must_use]
    pub fn page_size(&self) -> usize {
        self.store.page_size()
    }

    /// Pages that the file holds, in use or not: as many bits the rebuilding needs. The replay may add
    /// to them.
    #[must_use]
    pub fn mapped_pages(&self) -> u32 {
        self.store.parts().view.mapped_pages()
    }

    /// Replays the log into pages behind the file's end, and makes that the newest state. Call it only
    /// where the trees are whole: what a damaged tree frees is not its own.
    ///
    /// # Errors
    /// As [`Store::open`]; the file opens as before.
    pub fn replay(&mut self, replay: &mut dyn Replay) -> Result<()> {
        if let Some((last, blocks)) = self.pending {
            self.forget_space();
            self.store.parts().recover(last, blocks, replay)?;
            self.pending = None;
        }
        Ok(())
    }

    /// No page is free any more; those to come lie behind the mapping's end.
    fn forget_space(&self) {
        let pages = self.mapped_pages();
        self.store.parts().core.latest.lock().state.space = Space::new(pages);
    }

    /// Begins to make the space anew; gives the newest state too, whose trees say what is in use.
    ///
    /// # Errors
    /// [`NeedsRecovery`](Error::NeedsRecovery): there is a log to replay first;
    /// [`ReadersFull`](Error::ReadersFull), [`Io`](Error::Io).
    pub fn rebuild(&mut self) -> Result<(Snapshot<'_>, Rebuild<'_>)> {
        if self.pending.is_some() {
            return Err(Error::NeedsRecovery);
        }
        let parts = self.store.parts();
        parts.confirm(&parts.take_turn())?;
        let snapshot = parts.snapshot(0)?;
        self.forget_space();
        let state = {
            let mut latest = parts.core.latest.lock();
            if !latest.epoch_begun {
                latest.identity = latest.identity.next_epoch();
            }
            latest.state
        };
        let mut writer = parts.core.writer.try_lock().ok_or(Error::WriterBusy)?;
        writer.next = after_gap(state.txn)?;
        let txn = WriteTxn::begin_here(parts, writer)?;
        let page_count = state.space.page_count;
        Ok((snapshot, Rebuild { txn, page_count, log: ring(&state) }))
    }

    /// Marks the store as closed cleanly; both metas then hold the repaired state.
    ///
    /// # Errors
    /// As [`Store::close`].
    pub fn close(self) -> Result<()> {
        // Free pages are left as they are, in case somebody wants to look into them.
        self.store.parts().close(None)
    }
}

fn ring(state: &State) -> Range<u32> {
    state.log.start.0..state.log.start.0.saturating_add(state.log.pages)
}

/// The transaction that makes the space anew: it knows no free page but those that it is given.
/// Dropping it without [`commit`](Rebuild::commit) leaves the file as it was.
pub struct Rebuild<'s> {
    txn: WriteTxn<'s>,
    /// Pages of the file before; the new bitmap lies behind.
    page_count: u32,
    log: Range<u32>,
}

impl Rebuild<'_> {
    /// Pages to be accounted for.
    #[must_use]
    pub fn page_count(&self) -> u32 {
        self.page_count
    }

    /// Pages that are in use though no tree reaches them: the metas, and the log.
    #[must_use]
    pub fn fixed(&self) -> [Range<u32>; 2] {
        [0..2, self.log.clone()]
    }

    /// Makes pages free that no tree reaches. Dearer than a claim: a bitmap page is summed up anew.
    ///
    /// # Errors
    /// [`Corrupt`](Error::Corrupt): out of range, [`fixed`](Rebuild::fixed), or free already;
    /// [`Full`](Error::Full), [`Io`](Error::Io): no room for the bitmap.
    pub fn free(&mut self, first: PageId, pages: u32) -> Result<()> {
        let end = first.0.checked_add(pages).filter(|end| *end <= self.page_count);
        let end = end.ok_or(Error::corrupt(first, Damage::OutOfRange))?;
        if self.fixed().iter().any(|fixed| first.0 < fixed.end && fixed.start < end) {
            return Err(Error::corrupt(first, Damage::Shared));
        }
        let (mut host, space) = self.txn.split();
        space.add_unreached(&mut host, first, pages)
    }

    /// Makes the new space durable, and the trees with it: two barriers.
    ///
    /// # Errors
    /// [`Full`](Error::Full), [`Io`](Error::Io): the file opens as before.
    pub fn commit(mut self) -> Result<TxnId> {
        let (id, old_salt) = (self.txn.id(), self.txn.writer.state.log.salt);
        let salt = new_salt(old_salt, id, self.txn.parts.core.options.entropy);
        self.txn.restart_log(salt);
        self.txn.writer.state.txn = id;
        self.txn.commit_as_checkpoint()
    }
}
