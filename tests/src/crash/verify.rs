//! Opening what a crash has left: what it holds, whether it is sound, whether it goes on.

use super::model::{entry_hash, found};
use super::{Expect, Setup};
use crate::sim::SimMapping;
use mapleaf_btree::{Replayer, TreeOptions, Writer};
use mapleaf_pager::{Durability, Replay, Store, words_for};
use std::sync::atomic::AtomicU32;

/// Words of a store with eight readers.
pub(super) type Words = [AtomicU32; words_for(8)];
/// A store in a simulation.
pub(super) type SimStore = Store<SimMapping<Expect>, Words>;

/// Bits for all pages that a store can have here.
pub(super) const WORK_BYTES: usize = super::CAPACITY_PAGES / 8;
/// The entry that goes on the image.
const MARK: (&str, &[u8], &[u8]) = ("mark", b"after", b"the crash");

pub(super) fn words() -> Words {
    [const { AtomicU32::new(0) }; words_for(8)]
}

/// Proves the newest state of an open store.
pub(super) fn prove(store: &SimStore) -> Result<(), String> {
    let inspection = store.inspect().map_err(|error| format!("inspect: {error}"))?;
    let proven = Replayer::new().prove(&inspection, &mut [0; WORK_BYTES]);
    proven.map_err(|error| format!("check: {error}"))
}

/// The hash of what the newest state holds.
pub(super) fn newest(store: &SimStore) -> Result<u64, String> {
    let snapshot = store.begin_read(7).map_err(|error| format!("read: {error}"))?;
    found(&snapshot).map_err(|error| format!("scan: {error}"))
}

/// Opens an image, proves it, commits to it, proves it again; the hash of what it held.
pub(super) fn image<'v>(
    setup: &Setup,
    units: impl Iterator<Item = &'v [u8]>,
) -> Result<u64, String> {
    let mapping = SimMapping::new(setup.capacity(), setup.unit, setup.two_views, setup.budget);
    mapping.load(units);
    let mut work = [0; WORK_BYTES];
    let opened =
        Store::open_proven(mapping, words(), &setup.options(), &mut Replayer::new(), &mut work);
    let store = opened.map_err(|error| format!("does not open: {error}"))?;
    let held = newest(&store)?;
    let (tree, key, value) = MARK;
    let committed = (|| {
        let mut writer = Writer::new(store.begin_write()?)?;
        let handle = writer.create(tree, TreeOptions::default())?;
        writer.tree(handle)?.insert(key, value)?;
        writer.commit(Durability::Sync)
    })();
    committed.map_err(|error: mapleaf_btree::Error| format!("the next commit: {error}"))?;
    let mut marked = super::Model::default();
    marked.create(tree);
    let entry = entry_hash(tree.as_bytes(), key, value);
    if newest(&store)? != held.wrapping_add(marked.hash).wrapping_add(entry) {
        return Err("the next commit shows something else".into());
    }
    prove(&store).map_err(|what| format!("after the next commit, {what}"))?;
    Ok(held)
}
