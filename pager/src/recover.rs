//! Making and opening a store.

#![allow(unsafe_code)] // Reads metas and the log of a mapping that nobody else uses yet.

use crate::checkpoint::{new_salt, store_meta};
use crate::commit::after_gap;
use crate::log::{Chain, RedoLog};
use crate::mapping::Mapping;
use crate::meta::{self, Identity, LogPlace, State};
use crate::page::{PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX, PAGE_SIZE_MIN};
use crate::pages::ROOT_BYTES;
use crate::planted::{self, Bug};
use crate::space::Space;
use crate::store::{Core, Options, Parts, Store};
use crate::view::View;
use crate::{Damage, Error, Inspection, PageId, Result, TxnId, Unsupported, WriteTxn};
use core::sync::atomic::AtomicU32;

/// A ring smaller than this many write units is not worth its pages.
const RING_UNITS_MIN: u64 = 8;

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
    /// Makes a new store in an empty mapping. Two barriers.
    ///
    /// # Errors
    /// [`InvalidArgument`](Error::InvalidArgument): the mapping is not empty, or an option is out of
    /// range; [`Unsupported`](Error::Unsupported): the page size is below the mapping's write unit;
    /// [`Full`](Error::Full), [`Io`](Error::Io).
    pub fn create(mapping: M, words: W, options: &Options) -> Result<Store<M, W>> {
        let page_size = options.page_size.unwrap_or(PAGE_SIZE_DEFAULT as u32);
        let in_range = (PAGE_SIZE_MIN..=PAGE_SIZE_MAX).contains(&(page_size as usize));
        if !mapping.is_empty() || options.read_only || !in_range || !page_size.is_power_of_two() {
            return Err(Error::InvalidArgument);
        }
        let shift = page_size.trailing_zeros();
        let state = first_state(&mapping, page_size, options)?;
        mapping.grow(u64::from(state.space.page_count) << shift)?;
        let identity = Identity {
            page_shift: shift,
            uuid: options.uuid,
            epoch: 1,
            clean: false,
            read_only_features: 0,
            compatible_features: 0,
        };
        let core = Core::new(options, identity, state, 0);
        let store = Store::assemble(mapping, words, core)?;
        let parts = store.parts();
        if state.log.pages > 0 {
            parts.zero_ring(state.log.start, state.log.pages)?;
        }
        let older = State { txn: TxnId(1), ..state };
        store_meta(parts.core, parts.view, 1, &identity, &older)?;
        parts.flush_pages(&state)?;
        store_meta(parts.core, parts.view, 0, &identity, &state)?;
        {
            let mut latest = parts.core.latest.lock();
            latest.epoch_begun = true;
            latest.confirmed = true;
        }
        Ok(store)
    }

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
        open(mapping, words, options, replay)
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
        let store = open(mapping, words, options, replay)?;
        replay.prove(&store.inspect()?, work)?;
        Ok(store)
    }
}

fn first_state(mapping: &dyn Mapping, page_size: u32, options: &Options) -> Result<State> {
    let unit = mapping.write_unit();
    if page_size < unit {
        return Err(Error::Unsupported(Unsupported::PageSize { found: page_size, wanted: unit }));
    }
    let ring = options.log_bytes.min(options.log_bytes_max) / u64::from(page_size);
    let small = ring * u64::from(page_size) < RING_UNITS_MIN * u64::from(unit.max(64));
    let pages = if small { 0 } else { u32::try_from(ring).map_err(|_| Error::InvalidArgument)? };
    let log = LogPlace {
        start: PageId(if pages > 0 { 2 } else { 0 }),
        pages,
        salt: new_salt(0, TxnId(2), options.entropy),
        position: 0,
        last_checksum: 0,
        made_by: TxnId(1),
    };
    let page_count = pages.checked_add(2).ok_or(Error::InvalidArgument)?;
    Ok(State { txn: TxnId(2), root: [0; ROOT_BYTES], log, space: Space::new(page_count) })
}

fn open<M: Mapping, W: AsRef<[AtomicU32]>>(
    mapping: M,
    words: W,
    options: &Options,
    replay: &mut dyn Replay,
) -> Result<Store<M, W>> {
    let (slot, identity, state) = choose(&mapping, options)?;
    let core = Core::new(options, identity, state, slot);
    let store = Store::assemble(mapping, words, core)?;
    let pending = if identity.clean { None } else { store.parts().pending_log(&state)? };
    match pending {
        Some(_) if options.at_checkpoint && options.read_only => {}
        Some(_) if options.read_only => return Err(Error::NeedsRecovery),
        Some((last, blocks)) => store.parts().recover(last, blocks, replay)?,
        None => {}
    }
    Ok(store)
}

/// The newest valid meta.
fn choose(mapping: &dyn Mapping, options: &Options) -> Result<(u8, Identity, State)> {
    let len = mapping.len();
    let raw = View::new(mapping, PAGE_SIZE_MIN.trailing_zeros());
    let bytes = |offset: u64, wanted: usize| {
        let there = len.saturating_sub(offset).min(wanted as u64) as usize;
        // SAFETY: the store is not opened yet: nobody writes.
        unsafe { raw.read(offset.min(len), there) }.unwrap_or(&[])
    };
    let found = meta::find(len, bytes)?;
    let page_size = 1u32 << found.page_shift;
    let wanted = options.page_size.unwrap_or(page_size);
    if wanted != page_size || page_size < mapping.write_unit() {
        let wanted = wanted.max(mapping.write_unit());
        return Err(Error::Unsupported(Unsupported::PageSize { found: page_size, wanted }));
    }
    let record =
        |slot: u8| bytes(u64::from(slot) << found.page_shift, meta::record_len(page_size as usize));
    let mut chosen: Option<(u8, Identity, State)> = None;
    for slot in [0, 1] {
        if !found.whole[usize::from(slot)] {
            continue;
        }
        let (identity, state) = meta::decode(record(slot))?;
        let newer = chosen.as_ref().is_none_or(|(_, other, before)| {
            state.txn > before.txn || (state.txn == before.txn && identity.clean && !other.clean)
        });
        if newer {
            chosen = Some((slot, identity, state));
        }
    }
    let chosen = chosen.ok_or(Error::NoMeta)?;
    if !options.read_only && chosen.1.read_only_features != 0 {
        let unknown = chosen.1.read_only_features;
        return Err(Error::Unsupported(Unsupported::WriteFeatures { unknown }));
    }
    fits(&chosen.2, len >> found.page_shift, page_size)?;
    Ok(chosen)
}

/// Whether the state lies within the mapping's pages, and the log's tail within the log.
fn fits(state: &State, mapped: u64, page_size: u32) -> Result<()> {
    let pages = state.space.page_count;
    let log_end = state.log.start.0.checked_add(state.log.pages);
    let log_inside =
        state.log.pages == 0 || (state.log.start.0 >= 2 && log_end.is_some_and(|end| end <= pages));
    if pages < 2 || u64::from(pages) > mapped {
        return Err(Error::corrupt(PageId(pages), Damage::OutOfRange));
    }
    let tail_inside = state.log.position <= u64::from(state.log.pages) * u64::from(page_size);
    if log_inside && tail_inside {
        Ok(())
    } else {
        Err(Error::corrupt(state.log.start, Damage::OutOfRange))
    }
}

impl<'s> Parts<'s> {
    fn chain(&self, state: &State) -> Result<Option<Chain<'s>>> {
        let Some(ring) = self.ring(state) else { return Ok(None) };
        // SAFETY: the store is being opened: nobody appends until the replay is committed, which
        // keeps no such reference.
        let bytes = unsafe { ring.bytes()? };
        let log = &state.log;
        Ok(Some(Chain::new(bytes, log.salt, log.position, log.last_checksum, state.txn)))
    }

    /// The last transaction in the log behind `state`, and the number of its blocks, if any.
    ///
    /// # Errors
    /// `Corrupt` with `LogGap`: acknowledged transactions are missing.
    fn pending_log(&self, state: &State) -> Result<Option<(TxnId, u32)>> {
        let Some(mut chain) = self.chain(state)? else { return Ok(None) };
        let mut blocks = 0u32;
        while chain.next().is_some() {
            blocks += 1;
        }
        chain.nothing_durable_behind()?;
        Ok((blocks > 0).then_some((chain.txn(), blocks)))
    }

    /// Stores the chosen state in the other slot too. What stands there may be a newer meta that was
    /// torn: were it torn once more when the replay's own meta is stored, bytes that both have in common
    /// could make it whole, when pages that it reaches have been written anew.
    fn clear_other_meta(&self) -> Result<()> {
        let _turn = self.take_turn();
        let (identity, state, slot) = {
            let latest = self.core.latest.lock();
            (latest.identity, latest.state, latest.durable.slot ^ 1)
        };
        if planted::is(Bug::TornMetaKept) {
            return Ok(());
        }
        store_meta(self.core, self.view, slot, &identity, &state)
    }

    /// Replays the log into one transaction and commits it with a checkpoint.
    fn recover(&self, last: TxnId, blocks: u32, replay: &mut dyn Replay) -> Result<()> {
        self.confirm(&self.take_turn())?;
        self.clear_other_meta()?;
        let state = {
            let mut latest = self.core.latest.lock();
            latest.identity = latest.identity.next_epoch();
            latest.state
        };
        let Some(chain) = self.chain(&state)? else { return Ok(()) };
        let writer = self.core.writer.try_lock().ok_or(Error::WriterBusy)?;
        let mut writer = writer;
        writer.next = after_gap(last)?;
        let mut txn = WriteTxn::begin_here(*self, writer)?;
        // No redo of the redo.
        txn.writer.run.tail.overflow = true;
        let log = RedoLog { chain, records: &[], blocks: 0 };
        let mut txn = replay.replay(txn, log)?;
        if txn.writer.run.failed {
            return Err(Error::corrupt(PageId::NONE, Damage::Redo));
        }
        let salt = new_salt(state.log.salt, txn.id(), self.core.options.entropy);
        txn.restart_log(salt);
        txn.settle()?;
        txn.commit_as_checkpoint()?;
        Core::count(&self.core.counters.replayed_blocks, blocks);
        Ok(())
    }
}
