//! mapleaf.

#![allow(unsafe_code)] // Opening a mapped database is unsafe: nothing else may change its file.

use crate::data::{DataSet, Entries, Keys, worth};
use crate::peer::{
    Durability, Found, Options, Peer, Read, Result, Store, TOGETHER_MAX, Write, disk_bytes_of,
};
use mapleaf::{Access, Database, ReadTree, ReadTxn, TreeHandle, TreeOptions, WriteMode, WriteTxn};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// Name of the file in its directory.
pub(crate) const FILE: &str = "bench.leaf";
const TREE: &str = "bench";
/// Full leaves: what is loaded in order is not expected to grow in between.
const FILL_PERCENT: u8 = 100;

/// mapleaf as it opens by default, with its pages written in place, and without read-ahead.
pub(crate) fn stores() -> [Store; 3] {
    let store = |name, settings, only_cold, open| Store {
        name,
        settings,
        is_lmdb: false,
        only_cold,
        takes: |_| true,
        open,
    };
    [
        store(super::OURS, "default; u64: fixed width; sorted: load", false, |at, options| {
            open(at, options, WriteMode::Auto, Access::Auto)
        }),
        store("mapleaf-inplace", "the same, WriteMode::InPlace", false, |at, options| {
            open(at, options, WriteMode::InPlace, Access::Auto)
        }),
        store(
            "mapleaf-sparse",
            "Access::Sparse; only where the disk is read",
            true,
            |at, options| open(at, options, WriteMode::Auto, Access::Sparse),
        ),
    ]
}

/// A mapleaf database with one tree.
struct MapleafPeer {
    database: Database,
    tree: TreeOptions,
    eventual: AtomicBool,
}

/// What the tree is made with: where all entries have the same small size, leaves of fixed width.
fn tree_options(set: DataSet) -> TreeOptions {
    match set {
        DataSet::U64 => TreeOptions::default().fixed_width(8, 8),
        _ => TreeOptions::default(),
    }
}

/// Opens or makes the database in a directory, to be written and read in these ways.
pub(crate) fn open(
    directory: &Path,
    options: Options,
    mode: WriteMode,
    access: Access,
) -> Result<Box<dyn Peer>> {
    let builder = Database::builder().write_mode(mode).access(access);
    // SAFETY: the directory is this run's own; nothing else opens the file.
    let database = unsafe { builder.open(directory.join(FILE))? };
    let tree = tree_options(options.set);
    if database.read()?.tree(TREE).is_err() {
        let mut txn = database.write()?;
        txn.create_with(TREE, tree)?;
        txn.commit()?;
    }
    Ok(Box::new(MapleafPeer { database, tree, eventual: AtomicBool::new(false) }))
}

struct Writing<'d> {
    txn: WriteTxn<'d>,
    tree: TreeHandle,
    durability: mapleaf::Durability,
}

struct Reading<'d> {
    txn: ReadTxn<'d>,
}

impl Peer for MapleafPeer {
    fn write(&self) -> Result<Box<dyn Write + '_>> {
        let durability = match self.eventual.load(Ordering::Relaxed) {
            true => mapleaf::Durability::Eventual,
            false => mapleaf::Durability::Sync,
        };
        let mut txn = self.database.write()?;
        let tree = txn.open(TREE)?;
        Ok(Box::new(Writing { txn, tree, durability }))
    }

    fn read(&self) -> Result<Box<dyn Read + '_>> {
        Ok(Box::new(Reading { txn: self.database.read()? }))
    }

    fn get_each(&self, keys: &Keys) -> Result<Found> {
        let mut found = Found::default();
        for key in keys.iter() {
            if let Some(value) = self.database.read()?.tree(TREE)?.get(key)? {
                found.value(value);
            }
        }
        Ok(found)
    }

    fn durability(&self, durability: Durability) -> Result<()> {
        self.eventual.store(durability == Durability::Eventual, Ordering::Relaxed);
        Ok(())
    }

    fn settle(&self) -> Result<()> {
        self.database.checkpoint()?;
        Ok(())
    }

    fn depth(&self) -> Result<u32> {
        Ok(self.database.read()?.tree(TREE)?.record().height.into())
    }

    /// A copy of all entries into a new file, as LMDB's compaction is one.
    fn compact(&mut self, directory: &Path) -> Result<u64> {
        let directory = directory.join("compact");
        std::fs::create_dir(&directory)?;
        // SAFETY: a new directory of this run's own.
        let copy = unsafe { Database::builder().open(directory.join("compact.leaf"))? };
        let mut txn = copy.write()?;
        let handle = txn.create_with(TREE, self.tree)?;
        let snapshot = self.database.read()?;
        let mut tree = txn.tree(handle)?;
        let mut loader = tree.loader(FILL_PERCENT)?;
        let mut whole = Vec::new();
        for entry in snapshot.tree(TREE)?.iter() {
            let (key, value) = entry?;
            whole.resize(key.len(), 0);
            key.copy_to(&mut whole);
            loader.push(&whole, value)?;
        }
        txn.commit()?;
        copy.close()?;
        let bytes = disk_bytes_of(&directory)?;
        std::fs::remove_dir_all(directory)?;
        Ok(bytes)
    }
}

impl Write for Writing<'_> {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        self.txn.tree(self.tree)?.insert(key, value)?;
        Ok(())
    }

    fn insert(&mut self, entries: &Entries) -> Result<()> {
        let mut tree = self.txn.tree(self.tree)?;
        for (key, value) in entries.iter() {
            tree.insert(key, value)?;
        }
        Ok(())
    }

    fn append(&mut self, entries: &Entries) -> Result<()> {
        let mut tree = self.txn.tree(self.tree)?;
        tree.load(entries.iter(), FILL_PERCENT)?;
        Ok(())
    }

    fn get(&mut self, key: &[u8]) -> Result<Option<u64>> {
        Ok(self.txn.tree(self.tree)?.get(key)?.map(worth))
    }

    fn remove(&mut self, keys: &Keys) -> Result<u64> {
        let mut tree = self.txn.tree(self.tree)?;
        let mut count = 0;
        for key in keys.iter() {
            count += u64::from(tree.remove(key)?);
        }
        Ok(count)
    }

    fn remove_range(&mut self, from: &[u8], to: &[u8]) -> Result<()> {
        self.txn.tree(self.tree)?.remove_range(from..to)?;
        Ok(())
    }

    fn commit(self: Box<Self>) -> Result<()> {
        match self.durability {
            // What threads that commit at the same time would call; of one thread it is `commit`.
            mapleaf::Durability::Sync => self.txn.commit_group()?,
            eventual => self.txn.commit_with(eventual)?,
        };
        Ok(())
    }
}

fn range(tree: ReadTree<'_>, from: &[u8], count: usize) -> Result<Found> {
    let mut found = Found::default();
    for entry in tree.range(from..).take(count) {
        let (key, value) = entry?;
        found.entry(key.len(), value);
    }
    Ok(found)
}

impl Read for Reading<'_> {
    fn one(&self, key: &[u8]) -> Result<Option<u64>> {
        Ok(self.txn.tree(TREE)?.get(key)?.map(worth))
    }

    fn get(&self, keys: &Keys) -> Result<Found> {
        let tree = self.txn.tree(TREE)?;
        let mut found = Found::default();
        for key in keys.iter() {
            if let Some(value) = tree.get(key)? {
                found.value(value);
            }
        }
        Ok(found)
    }

    fn get_many(&self, keys: &Keys, together: usize) -> Result<Found> {
        let tree = self.txn.tree(TREE)?;
        let mut found = Found::default();
        let mut all = keys.iter();
        let mut left = keys.len();
        while left > 0 {
            let count = left.min(together);
            let mut group = [&[][..]; TOGETHER_MAX];
            group[..count].iter_mut().zip(&mut all).for_each(|(slot, key)| *slot = key);
            let mut values = [None; TOGETHER_MAX];
            tree.get_many(&group[..count], &mut values[..count])?;
            values[..count].iter().flatten().for_each(|value| found.value(value));
            left -= count;
        }
        Ok(found)
    }

    fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.txn.tree(TREE)?.get(key)?.map(<[u8]>::to_vec))
    }

    fn range(&self, from: &[u8], count: usize) -> Result<Found> {
        range(self.txn.tree(TREE)?, from, count)
    }

    fn ranges(&self, from: &Keys, count: usize) -> Result<Found> {
        let tree = self.txn.tree(TREE)?;
        let mut found = Found::default();
        for from in from.iter() {
            found = found.and(range(tree, from, count)?);
        }
        Ok(found)
    }

    fn scan(&self, backwards: bool) -> Result<Found> {
        let tree = self.txn.tree(TREE)?;
        let mut found = Found::default();
        if backwards {
            for entry in tree.iter().rev() {
                let (key, value) = entry?;
                found.entry(key.len(), value);
            }
        } else {
            for entry in tree.iter() {
                let (key, value) = entry?;
                found.entry(key.len(), value);
            }
        }
        Ok(found)
    }
}
