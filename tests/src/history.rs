//! A history of changes that meets what must not allocate: splits, merges, growth, list pages of the
//! space, log commits, checkpoints. Over any mapping, without the heap.

use crate::data::{fill, key, mix};
use mapleaf_btree::{Catalog, TreeHandle, TreeOptions, Writer};
use mapleaf_pager::{Durability, Mapping, Stats, Store};
use std::sync::atomic::AtomicU32;

/// The tree that the history changes.
pub const TREE: &str = "history";
const VALUE_BYTES_MAX: usize = 120;

/// What the history met.
#[derive(Clone, Copy, Debug, Default)]
pub struct Met {
    /// Pages of the tree at the most, and after the removals.
    pub leaf_pages: (u32, u32),
    /// Pages from the root to a leaf at the most.
    pub height: u8,
    /// Pages that the structures of the space had at the most.
    pub space_pages: u32,
    /// Pages that the mapping grew by.
    pub grown_pages: u32,
    /// Commits through the log, and checkpoints.
    pub log_commits: u32,
    /// Checkpoints.
    pub checkpoints: u32,
    /// Entries that scans have seen.
    pub scanned: u64,
}

/// Inserts, replaces, removes and reads `entries` entries in transactions of `batch`, with one reader
/// held all the time, so that freed pages have to be kept in lists.
///
/// # Errors
/// Whatever a transaction or tree returns.
pub fn run<M: Mapping, W: AsRef<[AtomicU32]>>(
    store: &Store<M, W>,
    entries: u64,
    batch: u64,
) -> mapleaf_btree::Result<Met> {
    let mut met = Met::default();
    let before = store.stats();
    let held = store.begin_read(0)?;
    for version in 0..3 {
        for first in (0..entries).step_by(batch as usize) {
            write(store, first..(first + batch).min(entries), version)?;
            met.note(&store.stats());
        }
        met.scanned += read(store, entries, version)?;
    }
    met.leaf_pages.0 = leaf_pages(store, &mut met.height)?;
    for first in (0..entries).step_by(batch as usize) {
        remove(store, first..(first + batch).min(entries))?;
        met.note(&store.stats());
    }
    met.leaf_pages.1 = leaf_pages(store, &mut met.height)?;
    drop(held);
    let after = store.stats();
    met.grown_pages = after.mapped_pages - before.mapped_pages;
    met.log_commits = after.log_commits - before.log_commits;
    met.checkpoints = after.checkpoints - before.checkpoints;
    Ok(met)
}

impl Met {
    fn note(&mut self, stats: &Stats) {
        self.space_pages = self.space_pages.max(stats.space_pages);
    }
}

/// Length of an entry's value.
fn value_len(number: u64, version: u64) -> usize {
    ((number * 7 + version * 13) % VALUE_BYTES_MAX as u64) as usize
}

fn open(writer: &mut Writer<'_>) -> mapleaf_btree::Result<TreeHandle> {
    writer.open_or_create(TREE, TreeOptions::default())
}

fn write<M: Mapping, W: AsRef<[AtomicU32]>>(
    store: &Store<M, W>,
    numbers: std::ops::Range<u64>,
    version: u64,
) -> mapleaf_btree::Result<()> {
    let mut writer = Writer::new(store.begin_write()?)?;
    let tree = open(&mut writer)?;
    let sync = mix(numbers.start).is_multiple_of(2);
    let durability = if sync { Durability::Sync } else { Durability::Eventual };
    let mut value = [0; VALUE_BYTES_MAX];
    for number in numbers {
        let value = &mut value[..value_len(number, version)];
        fill(value, number, version);
        writer.tree(tree)?.insert(&key(number), value)?;
    }
    writer.commit(durability)?;
    if store.checkpoint_due() {
        store.checkpoint()?;
    }
    Ok(())
}

/// Removes all but every sixteenth.
fn remove<M: Mapping, W: AsRef<[AtomicU32]>>(
    store: &Store<M, W>,
    numbers: std::ops::Range<u64>,
) -> mapleaf_btree::Result<()> {
    let mut writer = Writer::new(store.begin_write()?)?;
    let tree = open(&mut writer)?;
    for number in numbers.filter(|number| !number.is_multiple_of(16)) {
        if !writer.tree(tree)?.remove(&key(number))? {
            return Err(mapleaf_btree::Error::NoSuchTree);
        }
    }
    writer.commit(Durability::Sync)?;
    Ok(())
}

/// Looks everything up and scans it; how many entries the scan saw.
fn read<M: Mapping, W: AsRef<[AtomicU32]>>(
    store: &Store<M, W>,
    entries: u64,
    version: u64,
) -> mapleaf_btree::Result<u64> {
    let snapshot = store.begin_read(1)?;
    let tree = Catalog::new(&snapshot)?.open(TREE)?;
    let mut expected = [0; VALUE_BYTES_MAX];
    for number in 0..entries {
        let expected = &mut expected[..value_len(number, version)];
        fill(expected, number, version);
        if tree.get(&key(number))? != Some(&*expected) {
            return Err(mapleaf_btree::Error::NoSuchTree);
        }
    }
    let mut seen = 0;
    for entry in tree.iter() {
        let _ = entry?;
        seen += 1;
    }
    Ok(seen)
}

fn leaf_pages<M: Mapping, W: AsRef<[AtomicU32]>>(
    store: &Store<M, W>,
    height: &mut u8,
) -> mapleaf_btree::Result<u32> {
    let snapshot = store.begin_read(1)?;
    let record = Catalog::new(&snapshot)?.open(TREE)?.record();
    *height = record.height.max(*height);
    Ok(record.leaf_pages)
}
