//! Opening a store: the log behind the chosen meta is replayed.

#![allow(unsafe_code)] // Reads the log of a mapping that nobody else uses yet.

use crate::checkpoint::new_salt;
use crate::chosen::{fits, meta_record, newest};
use crate::commit::after_gap;
use crate::log::{Chain, RedoLog};
use crate::mapping::Mapping;
use crate::meta::{self, LogPlace};
use crate::options::Options;
use crate::store::{Core, Parts, Store};
use crate::tail::Ring;
use crate::{Damage, Error, Inspection, PageId, Result, TxnId, Unsupported, WriteTxn};
use core::sync::atomic::AtomicU32;

/// What the tree layer does when a store is opened.
pub trait Replay {
    /// Applies the log's records, in order, to the transaction, and gives it back uncommitted.
    ///
    /// # Errors
    /// [`Damage::Redo`]: a record does not apply; or any error of the transaction. The store is then
    /// not opened, and nothing has changed.
    fn replay<'s>(&mut self, txn: WriteTxn<'s>, log: RedoLog<'s>) -> Result<WriteTxn<'s>>;

    /// Proves that every page of the state is reachable once, or free, or in other use: what a safe
    /// opening of unknown bytes rests on. `work` is at least a bit a page.
    ///
    /// # Errors
    /// [`Corrupt`](Error::Corrupt): it is not so.
    fn prove(&mut self, inspection: &Inspection<'_>, work: &mut [u8]) -> Result<()>;
}

impl<M: Mapping, W: AsRef<[AtomicU32]>> Store<M, W> {
    /// Opens the store in the mapping, and replays the log behind its last checkpoint.
    ///
    /// Cost: two pages read after a clean close; else the log, and what replaying it touches.
    ///
    /// # Errors
    /// [`Unsupported`](Error::Unsupported), [`NoMeta`](Error::NoMeta), [`Corrupt`](Error::Corrupt): not a
    /// store, of another version, or damaged; nothing was changed.
    /// [`NeedsRecovery`](Error::NeedsRecovery): opened for reading, with a log to replay.
    ///
    /// # Safety
    /// The bytes are a store that mapleaf wrote, and that nothing else has changed: they decide which
    /// pages may be written to while others are read. [`open_proven`](Store::open_proven) needs no such
    /// promise.
    pub unsafe fn open(
        mapping: M,
        words: W,
        options: &Options,
        replay: &mut dyn Replay,
    ) -> Result<Store<M, W>> {
        let mut place = None;
        open(&mut place, mapping, words, options, replay)?;
        place.ok_or(Error::InvalidArgument)
    }

    /// As [`open`](Store::open), in a place of the caller's; see [`create_in`](Store::create_in).
    ///
    /// # Errors
    /// As [`open`](Store::open).
    ///
    /// # Safety
    /// As [`open`](Store::open).
    pub unsafe fn open_in(
        place: &mut Option<Store<M, W>>,
        mapping: M,
        words: W,
        options: &Options,
        replay: &mut dyn Replay,
    ) -> Result<()> {
        open(place, mapping, words, options, replay)
    }

    /// As [`open`](Store::open), for any bytes: proves that no page is in use twice before the first
    /// snapshot can be taken, with one bit of `work` a page. Reads every page that is in use.
    ///
    /// # Errors
    /// As [`open`](Store::open), and whatever [`Replay::prove`] finds.
    pub fn open_proven(
        mapping: M,
        words: W,
        options: &Options,
        replay: &mut dyn Replay,
        work: &mut [u8],
    ) -> Result<Store<M, W>> {
        let mut place = None;
        Store::open_proven_in(&mut place, mapping, words, options, replay, work)?;
        place.ok_or(Error::InvalidArgument)
    }

    /// As [`open_proven`](Store::open_proven), in a place of the caller's; see
    /// [`create_in`](Store::create_in).
    ///
    /// # Errors
    /// As [`open_proven`](Store::open_proven).
    pub fn open_proven_in(
        place: &mut Option<Store<M, W>>,
        mapping: M,
        words: W,
        options: &Options,
        replay: &mut dyn Replay,
        work: &mut [u8],
    ) -> Result<()> {
        open(place, mapping, words, options, replay)?;
        let proven = place
            .as_ref()
            .map_or(Err(Error::InvalidArgument), |store| store.parts().prove(replay, work));
        if proven.is_err() {
            *place = None;
        }
        proven
    }
}

fn open<M: Mapping, W: AsRef<[AtomicU32]>>(
    place: &mut Option<Store<M, W>>,
    mapping: M,
    words: W,
    options: &Options,
    replay: &mut dyn Replay,
) -> Result<()> {
    *place = None;
    put_chosen(place, mapping, words, options)?;
    let opened = place
        .as_ref()
        .map_or(Err(Error::InvalidArgument), |store| store.parts().replay_pending(replay));
    if opened.is_err() {
        *place = None;
    }
    opened
}

/// Puts together the store of the newest valid meta.
// Of its own: what it has on the stack is gone before the log is replayed.
#[inline(never)]
fn put_chosen<M: Mapping, W: AsRef<[AtomicU32]>>(
    place: &mut Option<Store<M, W>>,
    mapping: M,
    words: W,
    options: &Options,
) -> Result<()> {
    let newest = newest(&mapping, options);
    mapping.health()?;
    let (slot, page_size, _) = newest?;
    let decoded = meta::decode(meta_record(&mapping, slot, page_size));
    let (identity, state, space) = decoded.as_ref().map_err(|error| *error)?;
    (*space)?;
    let unknown = identity.read_only_features;
    if !options.read_only && unknown != 0 {
        return Err(Error::Unsupported(Unsupported::WriteFeatures { unknown }));
    }
    fits(state, mapping.len() / u64::from(page_size), page_size)?;
    Store::assemble(place, mapping, words, options, slot, identity, state)
}

impl<'s> Parts<'s> {
    #[inline(never)]
    fn prove(&self, replay: &mut dyn Replay, work: &mut [u8]) -> Result<()> {
        replay.prove(&Inspection::begin(*self)?, work)
    }

    /// Replays the log behind the last checkpoint, or says that it must be.
    fn replay_pending(&self, replay: &mut dyn Replay) -> Result<()> {
        let options = &self.core.options;
        let pending = self.pending_now();
        // Metas and log have no page to ask for: what was lost of them would pass for an older state.
        self.view.mapping().health()?;
        match pending? {
            Some(_) if options.at_checkpoint && options.read_only => Ok(()),
            Some(_) if options.read_only => Err(Error::NeedsRecovery),
            Some((last, blocks)) => self.recover(last, blocks, replay),
            None => Ok(()),
        }
    }

    /// The last transaction in the log behind the chosen meta, and the number of its blocks, if any.
    ///
    /// # Errors
    /// `Corrupt` with `LogGap`: acknowledged transactions are missing.
    pub(crate) fn pending_now(&self) -> Result<Option<(TxnId, u32)>> {
        let (log, txn, clean) = {
            let latest = self.core.latest.lock();
            (latest.state.log, latest.state.txn, latest.identity.clean)
        };
        let pending = if clean { None } else { self.pending_log(&log, txn)? };
        let last = pending.map_or(txn, |(last, _)| last);
        self.nothing_lost_with_a_meta(&log, last)?;
        Ok(pending)
    }

    fn chain(&self, log: &LogPlace, txn: TxnId) -> Result<Option<Chain<'s>>> {
        let Some(ring) = Ring::new(self.view, log) else { return Ok(None) };
        // SAFETY: the store is being opened: nobody appends until the replay is committed, which
        // keeps no such reference.
        let bytes = unsafe { ring.bytes()? };
        Ok(Some(Chain::new(bytes, log.salt, log.position, log.last_checksum, txn)))
    }

    /// The last transaction in the log behind the state of `txn`, and the number of its blocks, if any.
    ///
    /// # Errors
    /// `Corrupt` with `LogGap`: acknowledged transactions are missing.
    fn pending_log(&self, log: &LogPlace, txn: TxnId) -> Result<Option<(TxnId, u32)>> {
        let Some(mut chain) = self.chain(log, txn)? else { return Ok(None) };
        let mut blocks = 0u32;
        while chain.next().is_some() {
            blocks += 1;
        }
        chain.nothing_durable_behind()?;
        Ok((blocks > 0).then_some((chain.txn(), blocks)))
    }

    /// Replays the log into one transaction and commits it with a checkpoint.
    #[inline(never)]
    pub(crate) fn recover(&self, last: TxnId, blocks: u32, replay: &mut dyn Replay) -> Result<()> {
        self.confirm(&self.take_turn())?;
        let (chain, log_salt) = {
            let mut latest = self.core.latest.lock();
            latest.identity = latest.identity.next_epoch();
            (self.chain(&latest.state.log, latest.state.txn)?, latest.state.log.salt)
        };
        let Some(chain) = chain else { return Ok(()) };
        let writer = self.core.writer.try_lock().ok_or(Error::WriterBusy)?;
        let mut writer = writer;
        writer.next = after_gap(last)?;
        let mut txn = WriteTxn::begin_here(*self, writer)?;
        // No redo of the redo.
        txn.writer.run.tail.overflow = true;
        let log = RedoLog { chain, records: &[], blocks: 0 };
        let txn = replay.replay(txn, log)?;
        if txn.failed() {
            return Err(Error::corrupt(PageId::NONE, Damage::Redo));
        }
        self.end_replay(txn, log_salt)?;
        Core::count(&self.core.counters.replayed_blocks, blocks);
        Ok(())
    }

    // Apart from `recover`: the replay before needs the stack.
    #[inline(never)]
    fn end_replay(&self, mut txn: WriteTxn<'s>, log_salt: u64) -> Result<()> {
        let salt = new_salt(log_salt, txn.id(), self.core.options.entropy);
        txn.restart_log(salt);
        txn.settle()?;
        txn.commit_as_checkpoint()?;
        Ok(())
    }
}
