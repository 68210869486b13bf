//! LMDB through heed.

#![allow(unsafe_code)] // Opening an LMDB environment is unsafe: nothing else may change its file.

use crate::data::{self, Entry, Key};
use crate::peer::{Failure, Load, Peer, Reader, disk_bytes_of, missing};
use heed::types::Bytes;
use heed::{CommitOrAbort, Database, Env, EnvFlags, EnvOpenOptions, RoTxn, RwTxn};
use std::path::{Path, PathBuf};

/// Address space of the map: more than any run needs.
const MAP_BYTES: usize = 16 << 30;

/// An LMDB environment with one database.
pub(crate) struct Lmdb {
    name: &'static str,
    env: &'static Env,
    database: Database<'static, Bytes, Bytes>,
    path: PathBuf,
}

impl Lmdb {
    /// Makes a new environment in `path`, which is made too.
    pub(crate) fn create(
        path: &Path,
        name: &'static str,
        flags: EnvFlags,
    ) -> Result<Lmdb, Failure> {
        std::fs::create_dir_all(path)?;
        let mut options = EnvOpenOptions::new();
        options.map_size(MAP_BYTES);
        // SAFETY: the flags used here are none, and WRITE_MAP: nobody stores through stray pointers.
        unsafe { options.flags(flags) };
        // SAFETY: the directory is this run's own; nothing else opens it.
        let env = unsafe { options.open(path)? };
        // A database borrows from its environment, and both live as long as the run.
        let env: &'static Env = Box::leak(Box::new(env));
        let txn = env.write_txn()?;
        let made = env.create_databases_and_commit(txn, |opener, txn| {
            opener.create_database(txn, None).map(CommitOrAbort::<_, ()>::Commit)
        })?;
        let database = made.unwrap_commit();
        Ok(Lmdb { name, env, database, path: path.to_path_buf() })
    }
}

struct Loading<'e> {
    lmdb: &'e Lmdb,
    txn: RwTxn<'e>,
}

struct Reading<'e> {
    lmdb: &'e Lmdb,
    txn: RoTxn<'e, heed::WithTls>,
}

impl Peer for Lmdb {
    fn name(&self) -> &'static str {
        self.name
    }

    fn load(&self) -> Result<Box<dyn Load + '_>, Failure> {
        Ok(Box::new(Loading { lmdb: self, txn: self.env.write_txn()? }))
    }

    fn reader(&self) -> Result<Box<dyn Reader + '_>, Failure> {
        Ok(Box::new(Reading { lmdb: self, txn: self.env.read_txn()? }))
    }

    fn put_durably(&self, entries: &[Entry]) -> Result<(), Failure> {
        let mut txn = self.env.write_txn()?;
        for (key, value) in entries {
            self.database.put(&mut txn, key, value)?;
        }
        Ok(txn.commit()?)
    }

    fn disk_bytes(&self) -> Result<u64, Failure> {
        disk_bytes_of(&self.path)
    }
}

impl Load for Loading<'_> {
    fn insert(&mut self, entries: &[Entry]) -> Result<(), Failure> {
        let database = self.lmdb.database;
        for (key, value) in entries {
            database.put(&mut self.txn, key, value)?;
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<(), Failure> {
        Ok(self.txn.commit()?)
    }
}

impl Reader for Reading<'_> {
    fn get(&self, keys: &[Key]) -> Result<u64, Failure> {
        let mut sum = 0u64;
        for key in keys {
            let value = self.lmdb.database.get(&self.txn, key)?;
            sum = sum.wrapping_add(data::worth(value.ok_or_else(|| missing(key))?));
        }
        Ok(sum)
    }

    fn value(&self, key: &Key) -> Result<Option<Vec<u8>>, Failure> {
        Ok(self.lmdb.database.get(&self.txn, key)?.map(<[u8]>::to_vec))
    }

    fn scan(&self) -> Result<(u64, u64), Failure> {
        let (mut count, mut sum) = (0, 0u64);
        for entry in self.lmdb.database.iter(&self.txn)? {
            let (key, value) = entry?;
            count += u64::from(!key.is_empty());
            sum = sum.wrapping_add(data::worth(value));
        }
        Ok((count, sum))
    }
}
