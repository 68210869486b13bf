//! canopydb: a copy-on-write tree with a log.

use crate::data::{Entries, Keys, worth};
use crate::peer::{Durability, Found, Options, Peer, Read, Result, Store, Write, disk_bytes_of};
use canopydb::{Database, DbOptions, EnvOptions, ReadTransaction, Tree, WriteTransaction};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

const TREE: &[u8] = b"bench";

/// canopydb with its log.
pub(crate) fn store() -> Store {
    Store {
        name: "canopydb",
        settings: "default (log, checkpoints of 64 MB), page cache 1 GiB; without a barrier: sync off",
        is_lmdb: false,
        only_cold: false,
        takes: |_| true,
        open,
    }
}

struct Canopy {
    database: Database,
    eventual: AtomicBool,
}

fn open(directory: &Path, options: Options) -> Result<Box<dyn Peer>> {
    let directory = directory.join("canopy");
    std::fs::create_dir_all(&directory)?;
    let mut environment = EnvOptions::new(directory);
    environment.page_cache_size = options.cache_bytes as usize;
    let database = Database::with_options(environment, DbOptions::default())?;
    let txn = database.begin_write()?;
    txn.get_or_create_tree(TREE)?;
    txn.commit_with(true)?;
    Ok(Box::new(Canopy { database, eventual: AtomicBool::new(false) }))
}

struct Writing {
    txn: WriteTransaction,
    sync: bool,
}

struct Reading {
    txn: ReadTransaction,
}

impl Reading {
    fn tree(&self) -> Result<Tree<'_>> {
        self.txn.get_tree(TREE)?.ok_or_else(|| "the tree is gone".into())
    }
}

impl Peer for Canopy {
    fn write(&self) -> Result<Box<dyn Write + '_>> {
        let sync = !self.eventual.load(Ordering::Relaxed);
        Ok(Box::new(Writing { txn: self.database.begin_write()?, sync }))
    }

    fn read(&self) -> Result<Box<dyn Read + '_>> {
        Ok(Box::new(Reading { txn: self.database.begin_read()? }))
    }

    fn get_each(&self, keys: &Keys) -> Result<Found> {
        let mut found = Found::default();
        for key in keys.iter() {
            let reading = Reading { txn: self.database.begin_read()? };
            if let Some(value) = reading.tree()?.get(key)? {
                found.value(&value);
            }
        }
        Ok(found)
    }

    fn durability(&self, durability: Durability) -> Result<()> {
        self.eventual.store(durability == Durability::Eventual, Ordering::Relaxed);
        Ok(())
    }

    fn settle(&self) -> Result<()> {
        self.database.sync()?;
        Ok(self.database.checkpoint()?)
    }

    fn compact(&mut self, directory: &Path) -> Result<u64> {
        self.database.compact()?;
        disk_bytes_of(directory)
    }
}

impl Write for Writing {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        Ok(self.txn.get_or_create_tree(TREE)?.insert(key, value)?)
    }

    fn insert(&mut self, entries: &Entries) -> Result<()> {
        let mut tree = self.txn.get_or_create_tree(TREE)?;
        for (key, value) in entries.iter() {
            tree.insert(key, value)?;
        }
        Ok(())
    }

    fn get(&mut self, key: &[u8]) -> Result<Option<u64>> {
        Ok(self.txn.get_or_create_tree(TREE)?.get(key)?.map(|value| worth(&value)))
    }

    fn remove(&mut self, keys: &Keys) -> Result<u64> {
        let mut tree = self.txn.get_or_create_tree(TREE)?;
        let mut count = 0;
        for key in keys.iter() {
            count += u64::from(tree.delete(key)?);
        }
        Ok(count)
    }

    fn remove_range(&mut self, from: &[u8], to: &[u8]) -> Result<()> {
        Ok(self.txn.get_or_create_tree(TREE)?.delete_range(from..to)?)
    }

    fn commit(self: Box<Self>) -> Result<()> {
        self.txn.commit_with(self.sync)?;
        Ok(())
    }
}

impl Read for Reading {
    fn one(&self, key: &[u8]) -> Result<Option<u64>> {
        Ok(self.tree()?.get(key)?.map(|value| worth(&value)))
    }

    fn get(&self, keys: &Keys) -> Result<Found> {
        let tree = self.tree()?;
        let mut found = Found::default();
        for key in keys.iter() {
            if let Some(value) = tree.get(key)? {
                found.value(&value);
            }
        }
        Ok(found)
    }

    fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.tree()?.get(key)?.map(|value| value.to_vec()))
    }

    fn range(&self, from: &[u8], count: usize) -> Result<Found> {
        let mut found = Found::default();
        for entry in self.tree()?.range(from..)?.take(count) {
            let (key, value) = entry?;
            found.entry(key.len(), &value);
        }
        Ok(found)
    }

    fn scan(&self, backwards: bool) -> Result<Found> {
        let tree = self.tree()?;
        let mut found = Found::default();
        if backwards {
            for entry in tree.iter()?.rev() {
                let (key, value) = entry?;
                found.entry(key.len(), &value);
            }
        } else {
            for entry in tree.iter()? {
                let (key, value) = entry?;
                found.entry(key.len(), &value);
            }
        }
        Ok(found)
    }
}
