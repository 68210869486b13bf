//! redb.

use crate::data::{Entries, Keys, worth};
use crate::peer::{Durability, Found, Options, Peer, Read, Result, Store, Write, disk_bytes_of};
use redb::{Database, ReadOnlyTable, ReadableDatabase, ReadableTable, TableDefinition};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

const TABLE: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("bench");

/// redb, with its own commit that one `fsync` makes durable.
pub(crate) fn store() -> Store {
    Store {
        name: "redb",
        settings: "cache as large as the run allows (1 GiB); non-durable: Durability::None",
        is_lmdb: false,
        only_cold: false,
        takes: |_| true,
        open,
    }
}

struct Redb {
    database: Database,
    eventual: AtomicBool,
}

fn open(directory: &Path, options: Options) -> Result<Box<dyn Peer>> {
    let mut builder = Database::builder();
    builder.set_cache_size(options.cache_bytes as usize);
    let database = builder.create(directory.join("bench.redb"))?;
    let txn = database.begin_write()?;
    txn.open_table(TABLE)?;
    txn.commit()?;
    Ok(Box::new(Redb { database, eventual: AtomicBool::new(false) }))
}

struct Writing {
    txn: redb::WriteTransaction,
}

struct Reading {
    table: ReadOnlyTable<&'static [u8], &'static [u8]>,
}

impl Peer for Redb {
    fn write(&self) -> Result<Box<dyn Write + '_>> {
        let mut txn = self.database.begin_write()?;
        if self.eventual.load(Ordering::Relaxed) {
            txn.set_durability(redb::Durability::None)?;
        }
        Ok(Box::new(Writing { txn }))
    }

    fn read(&self) -> Result<Box<dyn Read + '_>> {
        Ok(Box::new(Reading { table: self.database.begin_read()?.open_table(TABLE)? }))
    }

    fn get_each(&self, keys: &Keys) -> Result<Found> {
        let mut found = Found::default();
        for key in keys.iter() {
            let table = self.database.begin_read()?.open_table(TABLE)?;
            if let Some(value) = table.get(key)? {
                found.value(value.value());
            }
        }
        Ok(found)
    }

    fn durability(&self, durability: Durability) -> Result<()> {
        self.eventual.store(durability == Durability::Eventual, Ordering::Relaxed);
        Ok(())
    }

    fn settle(&self) -> Result<()> {
        // A commit without changes makes those before it durable.
        Ok(self.database.begin_write()?.commit()?)
    }

    fn compact(&mut self, directory: &Path) -> Result<u64> {
        self.database.compact()?;
        disk_bytes_of(directory)
    }
}

impl Write for Writing {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        self.txn.open_table(TABLE)?.insert(key, value)?;
        Ok(())
    }

    fn insert(&mut self, entries: &Entries) -> Result<()> {
        let mut table = self.txn.open_table(TABLE)?;
        for (key, value) in entries.iter() {
            table.insert(key, value)?;
        }
        Ok(())
    }

    fn get(&mut self, key: &[u8]) -> Result<Option<u64>> {
        let table = self.txn.open_table(TABLE)?;
        let value = table.get(key)?;
        Ok(value.map(|value| worth(value.value())))
    }

    fn remove(&mut self, keys: &Keys) -> Result<u64> {
        let mut table = self.txn.open_table(TABLE)?;
        let mut count = 0;
        for key in keys.iter() {
            count += u64::from(table.remove(key)?.is_some());
        }
        Ok(count)
    }

    fn remove_range(&mut self, from: &[u8], to: &[u8]) -> Result<()> {
        self.txn.open_table(TABLE)?.retain_in(from..to, |_, _| false)?;
        Ok(())
    }

    fn commit(self: Box<Self>) -> Result<()> {
        Ok(self.txn.commit()?)
    }
}

impl Read for Reading {
    fn one(&self, key: &[u8]) -> Result<Option<u64>> {
        Ok(self.table.get(key)?.map(|value| worth(value.value())))
    }

    fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.table.get(key)?.map(|value| value.value().to_vec()))
    }

    fn range(&self, from: &[u8], count: usize) -> Result<Found> {
        let mut found = Found::default();
        for entry in self.table.range(from..)?.take(count) {
            let (key, value) = entry?;
            found.entry(key.value().len(), value.value());
        }
        Ok(found)
    }

    fn scan(&self, backwards: bool) -> Result<Found> {
        let mut found = Found::default();
        if backwards {
            for entry in self.table.iter()?.rev() {
                let (key, value) = entry?;
                found.entry(key.value().len(), value.value());
            }
        } else {
            for entry in self.table.iter()? {
                let (key, value) = entry?;
                found.entry(key.value().len(), value.value());
            }
        }
        Ok(found)
    }
}
