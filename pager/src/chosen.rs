//! Which of the metas a store is opened with.

#![allow(unsafe_code)] // Reads metas of a mapping that nobody else uses yet.

use crate::mapping::Mapping;
use crate::meta::{self, Identity, State};
use crate::options::Options;
use crate::page::PAGE_SIZE_MIN;
use crate::view::View;
use crate::{Damage, Error, PageId, Result, TxnId, Unsupported};

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

/// Up to `wanted` bytes of a mapping whose store is not opened yet, or of a meta, by whoever has the turn.
fn unopened(mapping: &dyn Mapping, offset: u64, wanted: usize) -> &[u8] {
    let raw = View::new(mapping, PAGE_SIZE_MIN.trailing_zeros());
    let len = mapping.len();
    let there = len.saturating_sub(offset).min(wanted as u64) as usize;
    // SAFETY: the store is not opened yet, or who stores metas waits for the turn: nobody writes.
    unsafe { raw.read(offset.min(len), there) }.unwrap_or(&[])
}

/// The record of the meta in a slot.
pub(crate) fn meta_record(mapping: &dyn Mapping, slot: u8, page_size: u32) -> &[u8] {
    unopened(mapping, u64::from(slot) * u64::from(page_size), meta::record_len(page_size as usize))
}

/// The slot of the newest valid meta, the page size, and which slots hold a whole meta.
#[inline(never)]
pub(crate) fn newest(mapping: &dyn Mapping, options: &Options) -> Result<(u8, u32, [bool; 2])> {
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
    if pages < 2 {
        return Err(Error::corrupt(PageId(pages), Damage::OutOfRange));
    }
    if u64::from(pages) > mapped {
        // The first that is missing: fewer than `pages`, which fit.
        return Err(Error::corrupt(PageId(mapped as u32), Damage::CutOff));
    }
    let tail_inside = state.log.position <= u64::from(state.log.pages) * u64::from(page_size);
    if log_inside && tail_inside {
        Ok(())
    } else {
        Err(Error::corrupt(state.log.start, Damage::OutOfRange))
    }
}
