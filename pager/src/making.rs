//! Making a store.

#![allow(unsafe_code)] // Cuts and reads a mapping that nobody else uses yet.

use crate::checkpoint::{new_salt, store_meta};
use crate::mapping::Mapping;
use crate::meta::{Identity, LogPlace, State};
use crate::options::Options;
use crate::page::{PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX, PAGE_SIZE_MIN};
use crate::pages::ROOT_BYTES;
use crate::space::Space;
use crate::store::{Parts, Store};
use crate::view::View;
use crate::{Error, PageId, Result, TxnId, Unsupported};
use core::sync::atomic::AtomicU32;

/// A ring smaller than this many write units is not worth its pages.
const RING_UNITS_MIN: u64 = 8;

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

impl Parts<'_> {
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
}
