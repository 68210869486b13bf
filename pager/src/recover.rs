//! Making and opening a store.

#![allow(unsafe_code)] // Reads metas and the log of a mapping that nobody else uses yet.

use crate::checkpoint::{new_salt, store_meta};
use crate::commit::after_gap;
use crate::log::{Chain, RedoLog};
use crate::mapping::Mapping;
use crate::meta::{self, Identity, LogPlace, State};
use crate::options::Options;
use crate::page::{PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX, PAGE_SIZE_MIN};
use crate::pages::ROOT_BYTES;
use crate::planted::{self, Bug};
use crate::space::Space;
use crate::store::{Core, Parts, Store};
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
    /// Makes a new store in a mapping that is empty, or in which a making was [cut short](is_unmade). Two
    /// barriers.
    ///
    /// # Errors
    /// [`InvalidArgument`](Error::InvalidArgument): something is in the mapping, or an option is out of
    /// range; [`Unsupported`](Error::Unsupported): the page size is below the mapping's write unit;
    /// [`Full`](Error::Full), [`Io`](Error::Io).
    pub fn create(mapping: M, words: W, options: &Options) -> Result<Store<M, W>> {
        let mut place = None;
        Store::create_in(&mut place, mapping, words, options)?;
        place.ok_or(Error::InvalidArgument)
    }

    /// As [`create`](Store::create), in a place of the caller's: a static, where the stack is small.
    /// What was there is dropped; after an error it is empty.
    ///
    /// # Errors
    /// As [`create`](Store::create).
    pub fn create_in(
        place: &mut Option<Store<M, W>>,
        mapping: M,
        words: W,
        options: &Options,
    ) -> Result<()> {
        *place = None;
        let page_size = options.page_size.unwrap_or(PAGE_SIZE_DEFAULT as u32);
        let in_range = (PAGE_SIZE_MIN..=PAGE_SIZE_MAX).contains(&(page_size as usize));
        if options.read_only || !in_range || !page_size.is_power_of_two() {
            return Err(Error::InvalidArgument);
        }
        if !is_unmade(&mapping, options) {
            return Err(Error::InvalidArgument);
        }
        // SAFETY: nobody refers to anything in a mapping that is not opened yet.
        unsafe { mapping.shrink(0)? };
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
        Store::assemble(place, mapping, words, options, 0, &identity, &state)?;
        let made = place.as_ref().map_or(Err(Error::InvalidArgument), |store| store.parts().make());
        if made.is_err() {
            *place = None;
        }
        made
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

/// Whether a store is yet to be made in the mapping: it is empty, or a making was cut short by the death of
/// the process or a power loss before it left a meta. Such a mapping is no longer than a new store and
/// holds nothing but zeros and, in the second meta's place, any bytes: nothing that could be lost.
///
/// Cost: reads at most as much as a new store is long, and of most files one page.
#[inline(never)] // What it has on the stack is gone before the store is put together.
pub fn is_unmade(mapping: &dyn Mapping, options: &Options) -> bool {
    let page_size = options.page_size.unwrap_or(PAGE_SIZE_DEFAULT as u32);
    if mapping.is_empty() {
        return true;
    }
    let Ok(first) = first_state(mapping, page_size, options) else { return false };
    let made_len = u64::from(first.space.page_count) * u64::from(page_size);
    if mapping.len() > 2 * made_len + MADE_SLACK {
        return false;
    }
    let raw = View::new(mapping, PAGE_SIZE_MIN.trailing_zeros());
    let second = u64::from(page_size)..u64::from(page_size) * 2;
    [0..second.start.min(mapping.len()), second.end.min(mapping.len())..mapping.len()]
        .into_iter()
        .all(|range| {
            let len = (range.end - range.start) as usize;
            // SAFETY: the store is not opened yet: nobody writes.
            unsafe { raw.read(range.start, len) }
                .is_ok_and(|bytes| bytes.iter().all(|byte| *byte == 0))
        })
}

/// What a mapping may have grown by beyond the length of a new store: it grows in steps.
const MADE_SLACK: u64 = 2 << 20;

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
    let space = Space::new(page_count);
    Ok(State { txn: TxnId(2), features: 0, root: [0; ROOT_BYTES], log, space })
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

/// The newest valid meta, whatever its space is like.
pub(crate) struct Chosen {
    pub(crate) slot: u8,
    pub(crate) identity: Identity,
    /// The state; where its space cannot be, that has the page count only.
    pub(crate) state: State,
    /// Why the state's space cannot be the record of one, if so.
    pub(crate) space: Result<()>,
    /// Which slots hold a whole meta.
    pub(crate) whole: [bool; 2],
}

/// Chooses the newest valid meta.
pub(crate) fn choose(mapping: &dyn Mapping, options: &Options) -> Result<Chosen> {
    let (slot, page_size, whole) = newest(mapping, options)?;
    let (identity, state, space) = meta::decode(meta_record(mapping, slot, page_size))?;
    let unknown = identity.read_only_features;
    if !options.read_only && unknown != 0 {
        return Err(Error::Unsupported(Unsupported::WriteFeatures { unknown }));
    }
    Ok(Chosen { slot, identity, state, space, whole })
}

/// Up to `wanted` bytes of a mapping whose store is not opened yet.
fn unopened(mapping: &dyn Mapping, offset: u64, wanted: usize) -> &[u8] {
    let raw = View::new(mapping, PAGE_SIZE_MIN.trailing_zeros());
    let len = mapping.len();
    let there = len.saturating_sub(offset).min(wanted as u64) as usize;
    // SAFETY: the store is not opened yet: nobody writes.
    unsafe { raw.read(offset.min(len), there) }.unwrap_or(&[])
}

fn meta_record(mapping: &dyn Mapping, slot: u8, page_size: u32) -> &[u8] {
    unopened(mapping, u64::from(slot) * u64::from(page_size), meta::record_len(page_size as usize))
}

/// The slot of the newest valid meta, the page size, and which slots hold a whole meta.
#[inline(never)]
fn newest(mapping: &dyn Mapping, options: &Options) -> Result<(u8, u32, [bool; 2])> {
    let found = meta::find(mapping.len(), |offset, wanted| unopened(mapping, offset, wanted))?;
    let page_size = 1u32 << found.page_shift;
    let wanted = options.page_size.unwrap_or(page_size);
    if wanted != page_size || page_size < mapping.write_unit() {
        let wanted = wanted.max(mapping.write_unit());
        return Err(Error::Unsupported(Unsupported::PageSize { found: page_size, wanted }));
    }
    // Of two of the same transaction the one that closed the store, else the first.
    let mut newest: Option<(TxnId, bool, u8)> = None;
    for slot in [0, 1] {
        if found.whole[usize::from(slot)] {
            let (txn, clean) = age(meta_record(mapping, slot, page_size))?;
            if newest.is_none_or(|(other, other_clean, _)| (txn, clean) > (other, other_clean)) {
                newest = Some((txn, clean, slot));
            }
        }
    }
    let (_, _, slot) = newest.ok_or(Error::NoMeta)?;
    Ok((slot, page_size, found.whole))
}

/// The transaction of a meta, and whether it closed the store.
#[inline(never)]
fn age(record: &[u8]) -> Result<(TxnId, bool)> {
    let decoded = meta::decode(record);
    let (identity, state, _) = decoded.as_ref().map_err(|error| *error)?;
    Ok((state.txn, identity.clean))
}

/// Whether the state lies within the mapping's pages, and the log's tail within the log.
pub(crate) fn fits(state: &State, mapped: u64, page_size: u32) -> Result<()> {
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
    /// Writes what a new store has before its first transaction.
    #[inline(never)]
    fn make(&self) -> Result<()> {
        let mut turn = self.take_turn();
        let identity = self.core.latest.lock().identity;
        if turn.log.pages > 0 {
            self.zero_ring(turn.log.start, turn.log.pages)?;
        }
        let txn = core::mem::replace(&mut turn.txn, TxnId(1));
        store_meta(self.core, self.view, 1, &identity, &turn)?;
        turn.txn = txn;
        self.flush_pages(&turn)?;
        store_meta(self.core, self.view, 0, &identity, &turn)?;
        let mut latest = self.core.latest.lock();
        latest.epoch_begun = true;
        latest.confirmed = true;
        Ok(())
    }

    #[inline(never)]
    fn prove(&self, replay: &mut dyn Replay, work: &mut [u8]) -> Result<()> {
        replay.prove(&Inspection::begin(*self)?, work)
    }

    /// Replays the log behind the last checkpoint, or says that it must be.
    fn replay_pending(&self, replay: &mut dyn Replay) -> Result<()> {
        let options = &self.core.options;
        let pending = {
            let latest = self.core.latest.lock();
            if latest.identity.clean { Ok(None) } else { self.pending_log(&latest.state) }
        };
        // Metas and log have no page to ask for: what was lost of them would pass for an older state.
        self.view.mapping().health()?;
        match pending? {
            Some(_) if options.at_checkpoint && options.read_only => Ok(()),
            Some(_) if options.read_only => Err(Error::NeedsRecovery),
            Some((last, blocks)) => self.recover(last, blocks, replay),
            None => Ok(()),
        }
    }

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
    pub(crate) fn pending_log(&self, state: &State) -> Result<Option<(TxnId, u32)>> {
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
    #[inline(never)]
    fn clear_other_meta(&self) -> Result<()> {
        let _turn = self.take_turn();
        let latest = self.core.latest.lock();
        let slot = latest.durable.slot ^ 1;
        if planted::is(Bug::TornMetaKept) {
            return Ok(());
        }
        store_meta(self.core, self.view, slot, &latest.identity, &latest.state)
    }

    /// Replays the log into one transaction and commits it with a checkpoint.
    #[inline(never)]
    pub(crate) fn recover(&self, last: TxnId, blocks: u32, replay: &mut dyn Replay) -> Result<()> {
        self.confirm(&self.take_turn())?;
        self.clear_other_meta()?;
        let (chain, log_salt) = {
            let mut latest = self.core.latest.lock();
            latest.identity = latest.identity.next_epoch();
            (self.chain(&latest.state)?, latest.state.log.salt)
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
        if txn.writer.run.failed {
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
