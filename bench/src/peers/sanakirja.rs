//! sanakirja: copy-on-write trees in a mapped file. Its values here have at most 510 bytes.

use crate::data::{DataSet, Entries, Keys, worth};
use crate::peer::{Durability, Found, Options, Peer, Read, Result, Store, Write, unsupported};
use sanakirja::btree::{self, UDb};
use sanakirja::{Commit as _, Env, MutTxn, RootDb as _, Txn};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Its longest slice in a page.
const VALUE_BYTES_MAX: usize = 510;
/// Bytes of a new file.
const FIRST_BYTES: u64 = 16 << 20;
/// Versions that can live at once: a writer waits while the oldest is read.
const VERSIONS: usize = 4;
/// Where the tree hangs.
const ROOT: usize = 0;

type Tree = UDb<[u8], [u8]>;

/// sanakirja, which has one kind of commit.
pub(crate) fn store() -> Store {
    Store {
        name: "sanakirja",
        settings: "four versions; values of at most 510 B; without a barrier: cannot",
        is_lmdb: false,
        only_cold: false,
        takes: |set: DataSet| set.value_bytes() <= VALUE_BYTES_MAX,
        open,
    }
}

struct Sanakirja {
    env: Env,
    /// A writer's turn. Its own locks are of the file, which threads of a process share, and of the root
    /// that was the next before it waited: two threads ended in a damaged tree.
    turn: Mutex<()>,
}

fn open(directory: &Path, _: Options) -> Result<Box<dyn Peer>> {
    let env = Env::new(directory.join("bench.sana"), FIRST_BYTES, VERSIONS)?;
    Ok(Box::new(Sanakirja { env, turn: Mutex::new(()) }))
}

struct Writing<'e> {
    txn: MutTxn<&'e Env, ()>,
    tree: Tree,
    /// Ends after the transaction.
    _turn: MutexGuard<'e, ()>,
}

struct Reading<'e> {
    txn: Txn<&'e Env>,
    tree: Option<Tree>,
}

impl Sanakirja {
    fn reading(&self) -> Result<Reading<'_>> {
        let txn = Env::txn_begin(&self.env)?;
        let tree = txn.root_db(ROOT);
        Ok(Reading { txn, tree })
    }
}

impl Peer for Sanakirja {
    fn write(&self) -> Result<Box<dyn Write + '_>> {
        let turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut txn = Env::mut_txn_begin(&self.env)?;
        let tree = match txn.root_db(ROOT) {
            Some(tree) => tree,
            None => create(&mut txn)?,
        };
        Ok(Box::new(Writing { txn, tree, _turn: turn }))
    }

    fn read(&self) -> Result<Box<dyn Read + '_>> {
        Ok(Box::new(self.reading()?))
    }

    fn get_each(&self, keys: &Keys) -> Result<Found> {
        let mut found = Found::default();
        for key in keys.iter() {
            if let Some(value) = self.reading()?.look(key)? {
                found.value(value);
            }
        }
        Ok(found)
    }

    fn durability(&self, durability: Durability) -> Result<()> {
        match durability {
            Durability::Durable => Ok(()),
            Durability::Eventual => unsupported("commit without a barrier"),
        }
    }
}

#[allow(unsafe_code)] // Its call is unsafe for types whose pages would be of another size.
fn create(txn: &mut MutTxn<&Env, ()>) -> Result<Tree> {
    // SAFETY: byte slices have the pages of the tree's type.
    Ok(unsafe { btree::create_db_(txn)? })
}

impl Write for Writing<'_> {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        // Its trees are multimaps.
        btree::del(&mut self.txn, &mut self.tree, key, None)?;
        btree::put(&mut self.txn, &mut self.tree, key, value)?;
        Ok(())
    }

    fn insert(&mut self, entries: &Entries) -> Result<()> {
        entries.iter().try_for_each(|(key, value)| self.put(key, value))
    }

    fn get(&mut self, key: &[u8]) -> Result<Option<u64>> {
        let found = btree::get(&self.txn, &self.tree, key, None)?;
        Ok(found.filter(|(k, _)| *k == key).map(|(_, value)| worth(value)))
    }

    fn remove(&mut self, keys: &Keys) -> Result<u64> {
        let mut count = 0;
        for key in keys.iter() {
            count += u64::from(btree::del(&mut self.txn, &mut self.tree, key, None)?);
        }
        Ok(count)
    }

    fn remove_range(&mut self, from: &[u8], to: &[u8]) -> Result<()> {
        let mut keys = Vec::new();
        for entry in btree::iter(&self.txn, &self.tree, Some((from, None)))? {
            let (key, _) = entry?;
            if key >= to {
                break;
            }
            keys.push(key.to_vec());
        }
        for key in keys {
            btree::del(&mut self.txn, &mut self.tree, &key[..], None)?;
        }
        Ok(())
    }

    fn commit(self: Box<Self>) -> Result<()> {
        // The turn, the last of its fields, ends when all else has.
        let Writing { mut txn, tree, _turn } = *self;
        txn.set_root(ROOT, tree.db.into());
        txn.commit()?;
        Ok(())
    }
}

impl Reading<'_> {
    fn look(&self, key: &[u8]) -> Result<Option<&[u8]>> {
        let Some(tree) = &self.tree else { return Ok(None) };
        let found = btree::get(&self.txn, tree, key, None)?;
        Ok(found.filter(|(k, _)| *k == key).map(|(_, value)| value))
    }
}

impl Read for Reading<'_> {
    fn one(&self, key: &[u8]) -> Result<Option<u64>> {
        Ok(self.look(key)?.map(worth))
    }

    fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.look(key)?.map(<[u8]>::to_vec))
    }

    fn range(&self, from: &[u8], count: usize) -> Result<Found> {
        let mut found = Found::default();
        let Some(tree) = &self.tree else { return Ok(found) };
        for entry in btree::iter(&self.txn, tree, Some((from, None)))?.take(count) {
            let (key, value) = entry?;
            found.entry(key.len(), value);
        }
        Ok(found)
    }

    fn scan(&self, backwards: bool) -> Result<Found> {
        let mut found = Found::default();
        let Some(tree) = &self.tree else { return Ok(found) };
        if backwards {
            for entry in btree::rev_iter(&self.txn, tree, None)? {
                let (key, value) = entry?;
                found.entry(key.len(), value);
            }
        } else {
            for entry in btree::iter(&self.txn, tree, None)? {
                let (key, value) = entry?;
                found.entry(key.len(), value);
            }
        }
        Ok(found)
    }
}
