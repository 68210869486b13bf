//! fjall: a log-structured store.

use crate::data::{Entries, Keys, worth};
use crate::peer::{Durability, Found, Options, Peer, Read, Result, Store, Write, disk_bytes_of};
use fjall::{
    Database, Guard, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode, Readable as _,
    Snapshot,
};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// fjall, its cache as large as the run allows.
pub(crate) fn store() -> Store {
    Store {
        name: "fjall",
        settings: "batches, PersistMode::SyncData, cache 1 GiB; without a barrier: Buffer",
        is_lmdb: false,
        only_cold: false,
        takes: |_| true,
        open,
    }
}

struct Fjall {
    database: Database,
    entries: Keyspace,
    eventual: AtomicBool,
}

fn open(directory: &Path, options: Options) -> Result<Box<dyn Peer>> {
    let database = Database::builder(directory.join("fjall")).cache_size(options.cache_bytes);
    let database = database.open()?;
    let entries = database.keyspace("bench", KeyspaceCreateOptions::default)?;
    Ok(Box::new(Fjall { database, entries, eventual: AtomicBool::new(false) }))
}

struct Writing<'f> {
    fjall: &'f Fjall,
    batch: OwnedWriteBatch,
}

struct Reading<'f> {
    fjall: &'f Fjall,
    snapshot: Snapshot,
}

impl Peer for Fjall {
    fn write(&self) -> Result<Box<dyn Write + '_>> {
        let mode = match self.eventual.load(Ordering::Relaxed) {
            true => PersistMode::Buffer,
            false => PersistMode::SyncData,
        };
        Ok(Box::new(Writing { fjall: self, batch: self.database.batch().durability(Some(mode)) }))
    }

    fn read(&self) -> Result<Box<dyn Read + '_>> {
        Ok(Box::new(Reading { fjall: self, snapshot: self.database.snapshot() }))
    }

    fn get_each(&self, keys: &Keys) -> Result<Found> {
        let mut found = Found::default();
        for key in keys.iter() {
            if let Some(value) = self.database.snapshot().get(&self.entries, key)? {
                found.value(&value);
            }
        }
        Ok(found)
    }

    fn durability(&self, durability: Durability) -> Result<()> {
        self.eventual.store(durability == Durability::Eventual, Ordering::Relaxed);
        Ok(())
    }

    /// Writes what is in memory into tables. Its compactions go on as it sees fit.
    fn settle(&self) -> Result<()> {
        self.database.persist(PersistMode::SyncAll)?;
        Ok(self.entries.rotate_memtable_and_wait()?)
    }

    fn compact(&mut self, directory: &Path) -> Result<u64> {
        self.settle()?;
        self.entries.major_compact()?;
        disk_bytes_of(directory)
    }
}

impl Write for Writing<'_> {
    fn collects(&self) -> bool {
        true
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        self.batch.insert(&self.fjall.entries, key, value);
        Ok(())
    }

    fn insert(&mut self, entries: &Entries) -> Result<()> {
        for (key, value) in entries.iter() {
            self.batch.insert(&self.fjall.entries, key, value);
        }
        Ok(())
    }

    fn get(&mut self, key: &[u8]) -> Result<Option<u64>> {
        Ok(self.fjall.entries.get(key)?.map(|value| worth(&value)))
    }

    fn remove(&mut self, keys: &Keys) -> Result<u64> {
        keys.iter().for_each(|key| self.batch.remove(&self.fjall.entries, key));
        Ok(keys.len() as u64)
    }

    fn remove_range(&mut self, from: &[u8], to: &[u8]) -> Result<()> {
        for entry in self.fjall.entries.range(from..to) {
            self.batch.remove(&self.fjall.entries, entry.key()?);
        }
        Ok(())
    }

    fn commit(self: Box<Self>) -> Result<()> {
        Ok(self.batch.commit()?)
    }
}

fn all(mut entries: impl Iterator<Item = Guard>) -> Result<Found> {
    let mut found = Found::default();
    entries.try_for_each(|entry| -> Result<()> {
        let (key, value) = entry.into_inner()?;
        found.entry(key.len(), &value);
        Ok(())
    })?;
    Ok(found)
}

impl Read for Reading<'_> {
    fn one(&self, key: &[u8]) -> Result<Option<u64>> {
        Ok(self.snapshot.get(&self.fjall.entries, key)?.map(|value| worth(&value)))
    }

    fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.snapshot.get(&self.fjall.entries, key)?.map(|value| value.to_vec()))
    }

    fn range(&self, from: &[u8], count: usize) -> Result<Found> {
        all(self.snapshot.range(&self.fjall.entries, from..).take(count))
    }

    fn scan(&self, backwards: bool) -> Result<Found> {
        let entries = self.snapshot.iter(&self.fjall.entries);
        if backwards { all(entries.rev()) } else { all(entries) }
    }
}
