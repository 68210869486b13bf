//! LMDB through heed.

#![allow(unsafe_code)] // Opening an LMDB environment is unsafe: nothing else may change its file.

use crate::data::{DataSet, Entries, Keys, worth};
use crate::peer::{Durability, Failure, Found, Options, Peer, Read, Result, Store, Write};
use heed::types::Bytes;
use heed::{
    CommitOrAbort, CompactionOption, Comparator, Database, DefaultComparator, Env, EnvFlags,
    EnvOpenOptions, FlagSetMode, IntegerComparator, PutFlags, RoTxn, RwTxn,
};
use std::ops::Bound;
use std::path::Path;

/// LMDB as it opens by default, with a writable map, and without read-ahead.
pub(crate) fn stores() -> [Store; 3] {
    let store = |name, settings, only_cold, open| Store {
        name,
        settings,
        is_lmdb: true,
        only_cold,
        takes: |_| true,
        open,
    };
    [
        store(
            "lmdb",
            "default; u64: INTEGERKEY; without a barrier: NOSYNC",
            false,
            |at, options| open(at, options, EnvFlags::empty()),
        ),
        store("lmdb-writemap", "the same, WRITEMAP", false, |at, options| {
            open(at, options, EnvFlags::WRITE_MAP)
        }),
        store("lmdb-nordahead", "NORDAHEAD; only where the disk is read", true, |at, options| {
            open(at, options, EnvFlags::NO_READ_AHEAD)
        }),
    ]
}

fn open(directory: &Path, options: Options, flags: EnvFlags) -> Result<Box<dyn Peer>> {
    match options.set {
        DataSet::U64 => Lmdb::<Integers>::open(directory, flags),
        _ => Lmdb::<Plain>::open(directory, flags),
    }
}

/// How keys are stored and compared.
trait Order: Sync + 'static {
    /// LMDB's side of it.
    type By: Comparator + 'static;
    /// A key as it is stored.
    type Stored<'k>: AsRef<[u8]>;

    /// The key of the data set, as it is stored.
    fn stored(key: &[u8]) -> Self::Stored<'_>;
}

/// Keys as they are, compared as bytes.
struct Plain;

impl Order for Plain {
    type By = DefaultComparator;
    type Stored<'k> = &'k [u8];

    #[inline]
    fn stored(key: &[u8]) -> &[u8] {
        key
    }
}

/// Keys of eight bytes as integers of this machine (`MDB_INTEGERKEY`).
struct Integers;

impl Order for Integers {
    type By = IntegerComparator;
    type Stored<'k> = [u8; 8];

    #[inline]
    fn stored(key: &[u8]) -> [u8; 8] {
        let key = key.first_chunk().copied().unwrap_or_default();
        u64::from_be_bytes(key).to_ne_bytes()
    }
}

/// An LMDB environment with one database.
struct Lmdb<O: Order> {
    env: &'static Env,
    database: Database<'static, Bytes, Bytes, O::By>,
    /// What `env` refers to, to be freed.
    owned: *mut Env,
}

// SAFETY: the pointer is only used when the peer is dropped; what it points to is `Sync`.
unsafe impl<O: Order> Sync for Lmdb<O> {}

impl<O: Order> Lmdb<O> {
    fn open(directory: &Path, flags: EnvFlags) -> Result<Box<dyn Peer>> {
        let mut options = EnvOpenOptions::new();
        options.map_size(super::MAP_BYTES);
        // SAFETY: of the flags used here only WRITE_MAP asks for care: nobody stores through stray pointers.
        unsafe { options.flags(flags) };
        // SAFETY: the directory is this run's own; nothing else opens it.
        let env = unsafe { options.open(directory)? };
        // A database borrows from its environment, and the peer holds both.
        let owned = Box::into_raw(Box::new(env));
        // SAFETY: freed only when the peer is dropped, and the peer gives the reference to nobody.
        let env: &'static Env = unsafe { &*owned };
        let txn = env.write_txn()?;
        let made = env.create_databases_and_commit(txn, |opener, txn| {
            let options = opener.database_options().types::<Bytes, Bytes>();
            options.key_comparator::<O::By>().create(txn).map(CommitOrAbort::<_, ()>::Commit)
        })?;
        Ok(Box::new(Lmdb::<O> { env, database: made.unwrap_commit(), owned }))
    }
}

impl<O: Order> Drop for Lmdb<O> {
    fn drop(&mut self) {
        // SAFETY: made by `Box::into_raw`; transactions borrow from the peer, so none is left.
        drop(unsafe { Box::from_raw(self.owned) });
    }
}

struct Writing<'e, O: Order> {
    lmdb: &'e Lmdb<O>,
    txn: RwTxn<'e>,
}

struct Reading<'e, O: Order> {
    lmdb: &'e Lmdb<O>,
    txn: RoTxn<'e, heed::WithTls>,
}

impl<O: Order> Peer for Lmdb<O> {
    fn write(&self) -> Result<Box<dyn Write + '_>> {
        Ok(Box::new(Writing { lmdb: self, txn: self.env.write_txn()? }))
    }

    fn read(&self) -> Result<Box<dyn Read + '_>> {
        Ok(Box::new(Reading { lmdb: self, txn: self.env.read_txn()? }))
    }

    fn get_each(&self, keys: &Keys) -> Result<Found> {
        let mut found = Found::default();
        for key in keys.iter() {
            let txn = self.env.read_txn()?;
            if let Some(value) = self.database.get(&txn, O::stored(key).as_ref())? {
                found.value(value);
            }
        }
        Ok(found)
    }

    fn durability(&self, durability: Durability) -> Result<()> {
        let mode = match durability {
            Durability::Durable => FlagSetMode::Disable,
            Durability::Eventual => FlagSetMode::Enable,
        };
        // SAFETY: one thread changes flags; no power is lost in a measurement.
        unsafe { self.env.set_flags(EnvFlags::NO_SYNC, mode)? };
        Ok(())
    }

    fn settle(&self) -> Result<()> {
        Ok(self.env.force_sync()?)
    }

    fn depth(&self) -> Result<u32> {
        let txn = self.env.read_txn()?;
        Ok(self.database.stat(&txn)?.depth)
    }

    fn compact(&mut self, directory: &Path) -> Result<u64> {
        let copy = directory.join("compact.mdb");
        self.env.copy_to_path(&copy, CompactionOption::Enabled)?.sync_all()?;
        let bytes = std::os::unix::fs::MetadataExt::blocks(&std::fs::metadata(&copy)?) * 512;
        std::fs::remove_file(&copy)?;
        Ok(bytes)
    }
}

impl<O: Order> Write for Writing<'_, O> {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        Ok(self.lmdb.database.put(&mut self.txn, O::stored(key).as_ref(), value)?)
    }

    fn insert(&mut self, entries: &Entries) -> Result<()> {
        let database = self.lmdb.database;
        for (key, value) in entries.iter() {
            database.put(&mut self.txn, O::stored(key).as_ref(), value)?;
        }
        Ok(())
    }

    fn append(&mut self, entries: &Entries) -> Result<()> {
        let database = self.lmdb.database;
        for (key, value) in entries.iter() {
            let key = O::stored(key);
            database.put_with_flags(&mut self.txn, PutFlags::APPEND, key.as_ref(), value)?;
        }
        Ok(())
    }

    fn get(&mut self, key: &[u8]) -> Result<Option<u64>> {
        Ok(self.lmdb.database.get(&self.txn, O::stored(key).as_ref())?.map(worth))
    }

    fn remove(&mut self, keys: &Keys) -> Result<u64> {
        let mut count = 0;
        for key in keys.iter() {
            count += u64::from(self.lmdb.database.delete(&mut self.txn, O::stored(key).as_ref())?);
        }
        Ok(count)
    }

    fn remove_range(&mut self, from: &[u8], to: &[u8]) -> Result<()> {
        let (from, to) = (O::stored(from), O::stored(to));
        let range = (Bound::Included(from.as_ref()), Bound::Excluded(to.as_ref()));
        self.lmdb.database.delete_range(&mut self.txn, &range)?;
        Ok(())
    }

    fn commit(self: Box<Self>) -> Result<()> {
        Ok(self.txn.commit()?)
    }
}

impl<O: Order> Read for Reading<'_, O> {
    fn one(&self, key: &[u8]) -> Result<Option<u64>> {
        Ok(self.lmdb.database.get(&self.txn, O::stored(key).as_ref())?.map(worth))
    }

    fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.lmdb.database.get(&self.txn, O::stored(key).as_ref())?.map(<[u8]>::to_vec))
    }

    fn range(&self, from: &[u8], count: usize) -> Result<Found> {
        let mut found = Found::default();
        let from = O::stored(from);
        let range = (Bound::Included(from.as_ref()), Bound::Unbounded);
        for entry in self.lmdb.database.range(&self.txn, &range)?.take(count) {
            let (key, value) = entry?;
            found.entry(key.len(), value);
        }
        Ok(found)
    }

    fn scan(&self, backwards: bool) -> Result<Found> {
        let mut found = Found::default();
        let mut see = |entry: Result<(&[u8], &[u8]), heed::Error>| -> Result<(), Failure> {
            let (key, value) = entry?;
            found.entry(key.len(), value);
            Ok(())
        };
        match backwards {
            false => self.lmdb.database.iter(&self.txn)?.try_for_each(&mut see)?,
            true => self.lmdb.database.rev_iter(&self.txn)?.try_for_each(&mut see)?,
        }
        Ok(found)
    }
}
