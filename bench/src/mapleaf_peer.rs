//! mapleaf.

#![allow(unsafe_code)] // Opening a mapped database is unsafe: nothing else may change its file.

use crate::data::{self, Entry, Key};
use crate::peer::{Failure, Load, Peer, Reader, missing};
use mapleaf::{Database, ReadTxn, WriteMode, WriteTxn};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

const TREE: &str = "bench";
/// Keys that are looked up together.
const TOGETHER: usize = 32;

/// A mapleaf database with one tree.
pub(crate) struct MapleafPeer {
    name: &'static str,
    database: Database,
    path: PathBuf,
}

impl MapleafPeer {
    /// Makes a new database.
    pub(crate) fn create(
        path: &Path,
        name: &'static str,
        mode: WriteMode,
    ) -> Result<MapleafPeer, Failure> {
        let builder = Database::builder().write_mode(mode);
        // SAFETY: the directory is this run's own; nothing else opens the file.
        let database = unsafe { builder.open(path)? };
        let mut txn = database.write()?;
        txn.create(TREE)?;
        txn.commit()?;
        Ok(MapleafPeer { name, database, path: path.to_path_buf() })
    }
}

struct Loading<'d> {
    txn: WriteTxn<'d>,
}

struct Reading<'d> {
    txn: ReadTxn<'d>,
}

fn insert(txn: &mut WriteTxn<'_>, entries: &[Entry]) -> Result<(), Failure> {
    let mut tree = txn.tree(TREE)?;
    for (key, value) in entries {
        tree.insert(key, value)?;
    }
    Ok(())
}

impl Peer for MapleafPeer {
    fn name(&self) -> &'static str {
        self.name
    }

    fn load(&self) -> Result<Box<dyn Load + '_>, Failure> {
        Ok(Box::new(Loading { txn: self.database.write()? }))
    }

    fn reader(&self) -> Result<Box<dyn Reader + '_>, Failure> {
        Ok(Box::new(Reading { txn: self.database.read()? }))
    }

    fn put_durably(&self, entries: &[Entry]) -> Result<(), Failure> {
        let mut txn = self.database.write()?;
        insert(&mut txn, entries)?;
        txn.commit()?;
        Ok(())
    }

    fn settle(&self) -> Result<(), Failure> {
        self.database.checkpoint()?;
        Ok(())
    }

    fn disk_bytes(&self) -> Result<u64, Failure> {
        Ok(std::fs::metadata(&self.path)?.blocks() * 512)
    }
}

impl Load for Loading<'_> {
    fn insert(&mut self, entries: &[Entry]) -> Result<(), Failure> {
        insert(&mut self.txn, entries)
    }

    fn finish(self: Box<Self>) -> Result<(), Failure> {
        self.txn.commit()?;
        Ok(())
    }
}

impl Reader for Reading<'_> {
    fn get(&self, keys: &[Key]) -> Result<u64, Failure> {
        let tree = self.txn.tree(TREE)?;
        let mut sum = 0u64;
        for key in keys {
            sum = sum.wrapping_add(data::worth(tree.get(key)?.ok_or_else(|| missing(key))?));
        }
        Ok(sum)
    }

    fn get_many(&self, keys: &[Key]) -> Result<u64, Failure> {
        let tree = self.txn.tree(TREE)?;
        let mut sum = 0u64;
        for keys in keys.chunks(TOGETHER) {
            let mut values = [None; TOGETHER];
            let values = &mut values[..keys.len()];
            tree.get_many(keys, values)?;
            for (key, value) in keys.iter().zip(values) {
                sum = sum.wrapping_add(data::worth(value.ok_or_else(|| missing(key))?));
            }
        }
        Ok(sum)
    }

    fn value(&self, key: &Key) -> Result<Option<Vec<u8>>, Failure> {
        Ok(self.txn.tree(TREE)?.get(key)?.map(<[u8]>::to_vec))
    }

    fn scan(&self) -> Result<(u64, u64), Failure> {
        let (mut count, mut sum) = (0, 0u64);
        for entry in self.txn.tree(TREE)?.iter() {
            let (key, value) = entry?;
            count += u64::from(!key.is_empty());
            sum = sum.wrapping_add(data::worth(value));
        }
        Ok((count, sum))
    }
}
