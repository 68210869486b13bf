//! What a store under measurement does; a chunk of work a call, so that the call itself costs nothing.

use crate::data::{DataSet, Entries, Keys, worth};
use std::fmt;
use std::path::Path;

/// Why a run ended: a peer's own error, or a wrong answer.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;
/// Result of what a peer does.
pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

/// A peer has no way to do this: it is left out of the row.
#[derive(Debug)]
pub(crate) struct Unsupported(pub(crate) &'static str);

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot: {}", self.0)
    }
}

impl std::error::Error for Unsupported {}

/// An error that says so.
pub(crate) fn unsupported<T>(why: &'static str) -> Result<T> {
    Err(Box::new(Unsupported(why)))
}

/// A store that can be measured.
pub(crate) struct Store {
    /// How reports and the command line name it.
    pub(crate) name: &'static str,
    /// Its settings, in words.
    pub(crate) settings: &'static str,
    /// Whether it is LMDB in one of its settings, which ratios are against.
    pub(crate) is_lmdb: bool,
    /// Whether it takes part only where the disk is read: a setting that is the same otherwise.
    pub(crate) only_cold: bool,
    /// Whether it can hold the data set.
    pub(crate) takes: fn(DataSet) -> bool,
    /// Opens what is in a directory, or makes it.
    pub(crate) open: fn(&Path, Options) -> Result<Box<dyn Peer>>,
}

/// Keys that are looked up together, at most.
pub(crate) const TOGETHER_MAX: usize = 64;

/// How a store is opened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    /// What will be in it.
    pub(crate) set: DataSet,
    /// Bytes for caches of its own, where it has any.
    pub(crate) cache_bytes: u64,
}

/// Who a figure is of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Who {
    /// The store's name.
    pub(crate) name: &'static str,
    /// Whether ratios are against it.
    pub(crate) is_lmdb: bool,
}

impl Store {
    /// Who it is.
    pub(crate) fn who(&self) -> Who {
        Who { name: self.name, is_lmdb: self.is_lmdb }
    }
}

/// What was found: compared between stores, and with what was stored.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Found {
    /// Entries.
    pub(crate) count: u64,
    /// What their values are worth; in scans the lengths of their keys too.
    pub(crate) sum: u64,
}

impl Found {
    /// Adds a value.
    #[inline]
    pub(crate) fn value(&mut self, value: &[u8]) {
        self.count += 1;
        self.sum = self.sum.wrapping_add(worth(value));
    }

    /// Adds an entry of a scan.
    #[inline]
    pub(crate) fn entry(&mut self, key_bytes: usize, value: &[u8]) {
        self.value(value);
        self.sum = self.sum.wrapping_add(key_bytes as u64);
    }

    /// Adds what another found.
    pub(crate) fn and(self, other: Found) -> Found {
        Found { count: self.count + other.count, sum: self.sum.wrapping_add(other.sum) }
    }
}

/// What a commit survives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Durability {
    /// Power loss.
    Durable,
    /// The death of the process, or less where a store knows no such thing; no barrier.
    Eventual,
}

/// A store that is open.
pub(crate) trait Peer: Sync {
    /// Begins to write.
    fn write(&self) -> Result<Box<dyn Write + '_>>;

    /// Begins to read.
    fn read(&self) -> Result<Box<dyn Read + '_>>;

    /// Looks up each key in a read transaction of its own.
    fn get_each(&self, keys: &Keys) -> Result<Found>;

    /// Stores each entry in a transaction of its own.
    fn put_each(&self, entries: &Entries) -> Result<()> {
        entries.iter().try_for_each(|(key, value)| {
            let mut txn = self.write()?;
            txn.put(key, value)?;
            txn.commit()
        })
    }

    /// Stores all in one transaction.
    fn put_all(&self, entries: &Entries) -> Result<()> {
        let mut txn = self.write()?;
        txn.insert(entries)?;
        txn.commit()
    }

    /// What commits survive from now on; no transaction is open.
    fn durability(&self, durability: Durability) -> Result<()>;

    /// Finishes what is left to do in the background: all is durable, nothing is written afterwards.
    fn settle(&self) -> Result<()> {
        Ok(())
    }

    /// Pages from its tree's root to a leaf.
    fn depth(&self) -> Result<u32> {
        unsupported("say how deep its tree is")
    }

    /// Makes its files as small as it can; bytes on the disk after that.
    fn compact(&mut self, _directory: &Path) -> Result<u64> {
        unsupported("make its file smaller")
    }
}

/// A write transaction.
pub(crate) trait Write {
    /// Whether it only collects what its commit then does: the time without the commit says nothing.
    fn collects(&self) -> bool {
        false
    }

    /// Stores one entry.
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()>;

    /// Stores these entries.
    fn insert(&mut self, entries: &Entries) -> Result<()>;

    /// Stores entries whose keys ascend, behind all that are there.
    fn append(&mut self, entries: &Entries) -> Result<()> {
        self.insert(entries)
    }

    /// Looks a key up; `None` where it is not there.
    fn get(&mut self, key: &[u8]) -> Result<Option<u64>>;

    /// Removes these keys; how many were there. Where a store does not say, all.
    fn remove(&mut self, keys: &Keys) -> Result<u64>;

    /// Removes the keys from `from` to before `to`.
    fn remove_range(&mut self, from: &[u8], to: &[u8]) -> Result<()>;

    /// Commits, as [`Peer::durability`] says.
    fn commit(self: Box<Self>) -> Result<()>;
}

/// A snapshot.
pub(crate) trait Read {
    /// What the value of one key is worth; `None` where the key is not there.
    fn one(&self, key: &[u8]) -> Result<Option<u64>>;

    /// Looks each key up.
    fn get(&self, keys: &Keys) -> Result<Found> {
        let mut found = Found::default();
        for key in keys.iter() {
            if let Some(worth) = self.one(key)? {
                found.count += 1;
                found.sum = found.sum.wrapping_add(worth);
            }
        }
        Ok(found)
    }

    /// As [`get`](Read::get), so many keys at a time where the store can look them up together; at most
    /// [`TOGETHER_MAX`].
    fn get_many(&self, keys: &Keys, _together: usize) -> Result<Found> {
        self.get(keys)
    }

    /// The whole value of one key.
    fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>>;

    /// From this key on, so many entries.
    fn range(&self, from: &[u8], count: usize) -> Result<Found>;

    /// From each key on, so many entries.
    fn ranges(&self, from: &Keys, count: usize) -> Result<Found> {
        from.iter().try_fold(Found::default(), |all, from| Ok(all.and(self.range(from, count)?)))
    }

    /// Every entry in order, or against it.
    fn scan(&self, backwards: bool) -> Result<Found>;
}

/// Bytes that the files of a directory take on the disk.
pub(crate) fn disk_bytes_of(path: &Path) -> Result<u64> {
    use std::os::unix::fs::MetadataExt as _;
    /// `st_blocks` counts in these.
    const BLOCK_BYTES: u64 = 512;
    let mut bytes = 0;
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += match metadata.is_dir() {
            true => disk_bytes_of(&entry.path())?,
            false => metadata.blocks() * BLOCK_BYTES,
        };
    }
    Ok(bytes)
}
