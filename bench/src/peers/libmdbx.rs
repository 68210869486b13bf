//! libmdbx. Its crate begins and ends write transactions in a thread of its own.

use crate::data::{Entries, Keys, worth};
use crate::peer::{
    Durability, Found, Options, Peer, Read, Result, Store, Write, disk_bytes_of, unsupported,
};
use libmdbx::{
    Database, DatabaseOptions, Mode, NoWriteMap, RO, RW, ReadWriteOptions, SyncMode, Table,
    Transaction, WriteFlags,
};
use std::borrow::Cow;
use std::path::Path;

/// libmdbx as its crate opens it: without a writable map, durable.
pub(crate) fn store() -> Store {
    Store {
        name: "libmdbx",
        settings: "SyncMode::Durable, no writable map; without a barrier: not through its crate",
        is_lmdb: false,
        only_cold: false,
        takes: |_| true,
        open,
    }
}

struct Mdbx {
    database: Database<NoWriteMap>,
}

/// The file grows in steps of this: the default of 64 KiB would make loads wait.
const GROWTH_BYTES: isize = 16 << 20;

fn open(directory: &Path, _: Options) -> Result<Box<dyn Peer>> {
    let mode = Mode::ReadWrite(ReadWriteOptions {
        sync_mode: SyncMode::Durable,
        max_size: Some(super::MAP_BYTES as isize),
        growth_step: Some(GROWTH_BYTES),
        ..ReadWriteOptions::default()
    });
    let options = DatabaseOptions { mode, ..DatabaseOptions::default() };
    Ok(Box::new(Mdbx { database: Database::open_with_options(directory, options)? }))
}

struct Writing<'d> {
    txn: Transaction<'d, RW, NoWriteMap>,
}

struct Reading<'d> {
    txn: Transaction<'d, RO, NoWriteMap>,
}

impl Writing<'_> {
    fn table(&self) -> Result<Table<'_>> {
        Ok(self.txn.open_table(None)?)
    }
}

impl Reading<'_> {
    fn table(&self) -> Result<Table<'_>> {
        Ok(self.txn.open_table(None)?)
    }
}

impl Peer for Mdbx {
    fn write(&self) -> Result<Box<dyn Write + '_>> {
        Ok(Box::new(Writing { txn: self.database.begin_rw_txn()? }))
    }

    fn read(&self) -> Result<Box<dyn Read + '_>> {
        Ok(Box::new(Reading { txn: self.database.begin_ro_txn()? }))
    }

    fn get_each(&self, keys: &Keys) -> Result<Found> {
        let mut found = Found::default();
        for key in keys.iter() {
            let reading = Reading { txn: self.database.begin_ro_txn()? };
            if let Some(value) = reading.txn.get::<Cow<'_, [u8]>>(&reading.table()?, key)? {
                found.value(&value);
            }
        }
        Ok(found)
    }

    fn durability(&self, durability: Durability) -> Result<()> {
        match durability {
            Durability::Durable => Ok(()),
            Durability::Eventual => unsupported("commit without a barrier, once it is open"),
        }
    }

    fn compact(&mut self, directory: &Path) -> Result<u64> {
        let _ = disk_bytes_of(directory)?;
        unsupported("make its file smaller through its crate")
    }
}

impl Write for Writing<'_> {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        Ok(self.txn.put(&self.table()?, key, value, WriteFlags::UPSERT)?)
    }

    fn insert(&mut self, entries: &Entries) -> Result<()> {
        let table = self.table()?;
        for (key, value) in entries.iter() {
            self.txn.put(&table, key, value, WriteFlags::UPSERT)?;
        }
        Ok(())
    }

    fn append(&mut self, entries: &Entries) -> Result<()> {
        let table = self.table()?;
        for (key, value) in entries.iter() {
            self.txn.put(&table, key, value, WriteFlags::APPEND)?;
        }
        Ok(())
    }

    fn get(&mut self, key: &[u8]) -> Result<Option<u64>> {
        let value = self.txn.get::<Cow<'_, [u8]>>(&self.table()?, key)?;
        Ok(value.map(|value| worth(&value)))
    }

    fn remove(&mut self, keys: &Keys) -> Result<u64> {
        let table = self.table()?;
        let mut count = 0;
        for key in keys.iter() {
            count += u64::from(self.txn.del(&table, key, None)?);
        }
        Ok(count)
    }

    fn remove_range(&mut self, from: &[u8], to: &[u8]) -> Result<()> {
        let table = self.table()?;
        let mut cursor = self.txn.cursor(&table)?;
        let mut next = cursor.set_range::<Cow<'_, [u8]>, ()>(from)?;
        while next.is_some_and(|(key, ())| &*key < to) {
            cursor.del(WriteFlags::empty())?;
            next = cursor.get_current()?;
        }
        Ok(())
    }

    fn commit(self: Box<Self>) -> Result<()> {
        self.txn.commit()?;
        Ok(())
    }
}

impl Read for Reading<'_> {
    fn one(&self, key: &[u8]) -> Result<Option<u64>> {
        let value = self.txn.get::<Cow<'_, [u8]>>(&self.table()?, key)?;
        Ok(value.map(|value| worth(&value)))
    }

    fn get(&self, keys: &Keys) -> Result<Found> {
        let table = self.table()?;
        let mut found = Found::default();
        for key in keys.iter() {
            if let Some(value) = self.txn.get::<Cow<'_, [u8]>>(&table, key)? {
                found.value(&value);
            }
        }
        Ok(found)
    }

    fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.txn.get(&self.table()?, key)?)
    }

    fn range(&self, from: &[u8], count: usize) -> Result<Found> {
        let mut found = Found::default();
        let mut cursor = self.txn.cursor(&self.table()?)?;
        for entry in cursor.iter_from::<Cow<'_, [u8]>, Cow<'_, [u8]>>(from).take(count) {
            let (key, value) = entry?;
            found.entry(key.len(), &value);
        }
        Ok(found)
    }

    fn scan(&self, backwards: bool) -> Result<Found> {
        let mut found = Found::default();
        let mut cursor = self.txn.cursor(&self.table()?)?;
        let mut next = if backwards { cursor.last()? } else { cursor.first()? };
        while let Some((key, value)) = next {
            let (key, value): (Cow<'_, [u8]>, Cow<'_, [u8]>) = (key, value);
            found.entry(key.len(), &value);
            next = if backwards { cursor.prev()? } else { cursor.next()? };
        }
        Ok(found)
    }
}
