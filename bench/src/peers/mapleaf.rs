//! mapleaf.

#![allow(unsafe_code)] // Opening a mapped database is unsafe: nothing else may change its file.

use crate::data::{Entries, Keys, worth};
use crate::peer::{Durability, Found, Peer, Read, Result, Store, TOGETHER_MAX, Write};
use mapleaf::{Database, ReadTree, ReadTxn, WriteMode, WriteTxn};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

const TREE: &str = "bench";

/// mapleaf as it opens by default, and with its pages written in place.
pub(crate) fn stores() -> [Store; 2] {
    let store = |name, settings, open| Store {
        name,
        settings,
        is_lmdb: false,
        only_cold: false,
        takes: |_| true,
        open,
    };
    [
        store(super::OURS, "default", |at, _| MapleafPeer::open(at, WriteMode::Auto)),
        store("mapleaf-inplace", "WriteMode::InPlace", |at, _| {
            MapleafPeer::open(at, WriteMode::InPlace)
        }),
    ]
}

/// A mapleaf database with one tree.
struct MapleafPeer {
    database: Database,
    eventual: AtomicBool,
}

impl MapleafPeer {
    fn open(directory: &Path, mode: WriteMode) -> Result<Box<dyn Peer>> {
        let builder = Database::builder().write_mode(mode);
        // SAFETY: the directory is this run's own; nothing else opens the file.
        let database = unsafe { builder.open(directory.join("bench.leaf"))? };
        if database.read()?.tree(TREE).is_err() {
            let mut txn = database.write()?;
            txn.create(TREE)?;
            txn.commit()?;
        }
        Ok(Box::new(MapleafPeer { database, eventual: AtomicBool::new(false) }))
    }
}

struct Writing<'d> {
    txn: WriteTxn<'d>,
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
        Ok(Box::new(Writing { txn: self.database.write()?, durability }))
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
}

impl Write for Writing<'_> {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        self.txn.tree(TREE)?.insert(key, value)?;
        Ok(())
    }

    fn insert(&mut self, entries: &Entries) -> Result<()> {
        let mut tree = self.txn.tree(TREE)?;
        for (key, value) in entries.iter() {
            tree.insert(key, value)?;
        }
        Ok(())
    }

    fn append(&mut self, entries: &Entries) -> Result<()> {
        let mut tree = self.txn.tree(TREE)?;
        for (key, value) in entries.iter() {
            tree.append(key, value)?;
        }
        Ok(())
    }

    fn get(&mut self, key: &[u8]) -> Result<Option<u64>> {
        Ok(self.txn.tree(TREE)?.get(key)?.map(worth))
    }

    fn remove(&mut self, keys: &Keys) -> Result<u64> {
        let mut tree = self.txn.tree(TREE)?;
        let mut count = 0;
        for key in keys.iter() {
            count += u64::from(tree.remove(key)?);
        }
        Ok(count)
    }

    fn remove_range(&mut self, from: &[u8], to: &[u8]) -> Result<()> {
        self.txn.tree(TREE)?.remove_range(from..to)?;
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
