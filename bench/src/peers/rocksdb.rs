//! RocksDB: a log-structured store.

use crate::data::{Entries, Keys, worth};
use crate::peer::{Durability, Found, Options, Peer, Read, Result, Store, Write, disk_bytes_of};
use rocksdb::{
    BlockBasedOptions, Cache, DB, Direction, FlushOptions, IteratorMode, SnapshotWithThreadMode,
    WriteBatch, WriteOptions,
};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// RocksDB with Bloom filters and a large block cache.
pub(crate) fn store() -> Store {
    Store {
        name: "rocksdb",
        settings: "batches with sync, block cache 1 GiB, Bloom filters; without a barrier: no sync",
        is_lmdb: false,
        only_cold: false,
        takes: |_| true,
        open,
    }
}

/// Bits a key of its Bloom filters, as its manual advises.
const FILTER_BITS: f64 = 10.0;

struct Rocks {
    database: DB,
    eventual: AtomicBool,
}

fn open(directory: &Path, options: Options) -> Result<Box<dyn Peer>> {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(&Cache::new_lru_cache(options.cache_bytes as usize));
    blocks.set_bloom_filter(FILTER_BITS, false);
    let mut rocks = rocksdb::Options::default();
    rocks.create_if_missing(true);
    rocks.set_block_based_table_factory(&blocks);
    let database = DB::open(&rocks, directory)?;
    Ok(Box::new(Rocks { database, eventual: AtomicBool::new(false) }))
}

struct Writing<'r> {
    rocks: &'r Rocks,
    batch: WriteBatch,
}

struct Reading<'r> {
    rocks: &'r Rocks,
    snapshot: SnapshotWithThreadMode<'r, DB>,
}

impl Peer for Rocks {
    fn write(&self) -> Result<Box<dyn Write + '_>> {
        Ok(Box::new(Writing { rocks: self, batch: WriteBatch::default() }))
    }

    fn read(&self) -> Result<Box<dyn Read + '_>> {
        Ok(Box::new(Reading { rocks: self, snapshot: self.database.snapshot() }))
    }

    fn get_each(&self, keys: &Keys) -> Result<Found> {
        let mut found = Found::default();
        for key in keys.iter() {
            if let Some(value) = self.database.get_pinned(key)? {
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
        let mut options = FlushOptions::default();
        options.set_wait(true);
        Ok(self.database.flush_opt(&options)?)
    }

    fn compact(&mut self, directory: &Path) -> Result<u64> {
        self.settle()?;
        self.database.compact_range::<&[u8], &[u8]>(None, None);
        disk_bytes_of(directory)
    }
}

impl Write for Writing<'_> {
    fn collects(&self) -> bool {
        true
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        self.batch.put(key, value);
        Ok(())
    }

    fn insert(&mut self, entries: &Entries) -> Result<()> {
        entries.iter().for_each(|(key, value)| self.batch.put(key, value));
        Ok(())
    }

    fn get(&mut self, key: &[u8]) -> Result<Option<u64>> {
        Ok(self.rocks.database.get_pinned(key)?.map(|value| worth(&value)))
    }

    fn remove(&mut self, keys: &Keys) -> Result<u64> {
        keys.iter().for_each(|key| self.batch.delete(key));
        Ok(keys.len() as u64)
    }

    fn remove_range(&mut self, from: &[u8], to: &[u8]) -> Result<()> {
        self.batch.delete_range(from, to);
        Ok(())
    }

    fn commit(self: Box<Self>) -> Result<()> {
        let mut options = WriteOptions::default();
        options.set_sync(!self.rocks.eventual.load(Ordering::Relaxed));
        Ok(self.rocks.database.write_opt(&self.batch, &options)?)
    }
}

impl Reading<'_> {
    fn all(&self, mode: IteratorMode<'_>, count: usize) -> Result<Found> {
        let mut found = Found::default();
        for entry in self.snapshot.iterator(mode).take(count) {
            let (key, value) = entry?;
            found.entry(key.len(), &value);
        }
        Ok(found)
    }
}

impl Read for Reading<'_> {
    fn one(&self, key: &[u8]) -> Result<Option<u64>> {
        Ok(self.snapshot.get_pinned(key)?.map(|value| worth(&value)))
    }

    fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.snapshot.get(key)?)
    }

    fn range(&self, from: &[u8], count: usize) -> Result<Found> {
        self.all(IteratorMode::From(from, Direction::Forward), count)
    }

    fn scan(&self, backwards: bool) -> Result<Found> {
        let mode = if backwards { IteratorMode::End } else { IteratorMode::Start };
        self.all(mode, usize::MAX)
    }
}
