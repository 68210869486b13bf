//! What every peer can do; a chunk of work a call, so that the call itself costs nothing.

use crate::data::{Entry, Key};

/// Why a run ended: a peer's own error, or a wrong answer.
pub(crate) type Failure = Box<dyn std::error::Error>;

/// A store under measurement.
pub(crate) trait Peer {
    /// How the report names it.
    fn name(&self) -> &'static str;

    /// Begins a transaction that holds all of a load.
    fn load(&self) -> Result<Box<dyn Load + '_>, Failure>;

    /// Begins to read.
    fn reader(&self) -> Result<Box<dyn Reader + '_>, Failure>;

    /// Stores these entries in one transaction that survives power loss.
    fn put_durably(&self, entries: &[Entry]) -> Result<(), Failure>;

    /// Finishes what is left to do in the background.
    fn settle(&self) -> Result<(), Failure> {
        Ok(())
    }

    /// Bytes of its files that are in use on the disk.
    fn disk_bytes(&self) -> Result<u64, Failure>;
}

/// An open transaction that loads.
pub(crate) trait Load {
    /// Inserts these entries.
    fn insert(&mut self, entries: &[Entry]) -> Result<(), Failure>;

    /// Commits, durably.
    fn finish(self: Box<Self>) -> Result<(), Failure>;
}

/// A snapshot.
pub(crate) trait Reader {
    /// Looks each key up; the sum of what their values are worth.
    fn get(&self, keys: &[Key]) -> Result<u64, Failure>;

    /// As [`get`](Reader::get), many keys at a time where the store can look them up together.
    fn get_many(&self, keys: &[Key]) -> Result<u64, Failure> {
        self.get(keys)
    }

    /// The whole value of one key.
    fn value(&self, key: &Key) -> Result<Option<Vec<u8>>, Failure>;

    /// Reads every key and value in order: how many, and the sum of what the values are worth.
    fn scan(&self) -> Result<(u64, u64), Failure>;
}

/// An entry that should be there is not.
pub(crate) fn missing(key: &Key) -> Failure {
    format!("key {} is missing", key.escape_ascii()).into()
}

/// Bytes that the files of a directory take on the disk.
pub(crate) fn disk_bytes_of(path: &std::path::Path) -> Result<u64, Failure> {
    use std::os::unix::fs::MetadataExt as _;
    /// `st_blocks` counts in these.
    const BLOCK_BYTES: u64 = 512;
    let mut bytes = 0;
    for entry in std::fs::read_dir(path)? {
        bytes += entry?.metadata()?.blocks() * BLOCK_BYTES;
    }
    Ok(bytes)
}
