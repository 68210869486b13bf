//! What each commit does, made again from a seed.

use super::State;
use crate::data::{self, mix};
use mapleaf::Durability;

/// Names of the trees that hold the entries.
pub(super) const TREES: [&str; 2] = ["t", "u"];

/// The size of a history, and its seed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    /// Entries that commits write to.
    pub(crate) keys: u64,
    /// Changes of one commit, at most.
    pub(crate) batch_max: u64,
}

/// One change: a value of so many bytes, or none any more.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change {
    pub(super) entry: u64,
    pub(super) len: Option<usize>,
}

/// What happens within a transaction beside its changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Detour {
    /// Nothing.
    None,
    /// The transaction is written, dropped, and written again.
    Dropped,
    /// Other values are written behind a savepoint, and taken back.
    TakenBack,
    /// The second half is written behind a savepoint, which is then released.
    Released,
}

/// What follows a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    Nothing,
    Sync,
    Checkpoint,
}

impl Plan {
    fn dice(&self, state: State, what: u64) -> u64 {
        mix(self.seed ^ mix(state.number ^ mix(state.life ^ mix(what))))
    }

    /// The changes of the commit that makes `state`: one, some, or many at once, so that log commits and
    /// commits by checkpoint are both met.
    pub(super) fn changes(&self, state: State) -> Vec<Change> {
        let seed = self.dice(state, 0);
        let count = match seed % 16 {
            0..=3 => 1,
            4 => self.batch_max,
            _ => 1 + (seed >> 8) % 40.min(self.batch_max),
        };
        // Now and then most of it goes, so that pages come free in numbers.
        let removes = if (seed >> 16).is_multiple_of(32) { 2 } else { 8 };
        let changes = (0..count).map(|step| {
            let dice = mix(seed ^ step);
            let len = match (dice >> 40) % 256 {
                0 => 5_000 + (dice >> 20) % 60_000,
                1..=24 => 300 + (dice >> 20) % 1_500,
                _ => (dice >> 20) % 120,
            };
            let removed = (dice >> 50).is_multiple_of(removes);
            Change { entry: dice % self.keys, len: (!removed).then_some(len as usize) }
        });
        changes.collect()
    }

    pub(super) fn detour(&self, state: State) -> Detour {
        match self.dice(state, 1) % 12 {
            0 => Detour::Dropped,
            1 => Detour::TakenBack,
            2 => Detour::Released,
            _ => Detour::None,
        }
    }

    pub(super) fn durability(&self, state: State) -> Durability {
        if self.dice(state, 2).is_multiple_of(2) { Durability::Sync } else { Durability::Eventual }
    }

    pub(super) fn then(&self, state: State) -> Then {
        match self.dice(state, 3) % 64 {
            0 | 1 => Then::Sync,
            2 => Then::Checkpoint,
            _ => Then::Nothing,
        }
    }

    /// Whether the writer takes a snapshot here, and keeps it for some commits.
    pub(super) fn pins(&self, state: State) -> bool {
        self.dice(state, 4).is_multiple_of(16)
    }
}

/// The tree that an entry is in.
pub(super) fn tree_of(entry: u64) -> usize {
    usize::from(entry.is_multiple_of(5))
}

/// The key of an entry: 24 bytes, but for some nearly as long as a key may be.
pub(super) fn key(entry: u64) -> Vec<u8> {
    let mut key = data::key(entry).to_vec();
    if entry.is_multiple_of(64) {
        key.resize(900, b'x');
    }
    key
}

/// The value that the commit of `state` gave to an entry.
pub(super) fn value(entry: u64, state: State, len: usize) -> Vec<u8> {
    data::value(entry, mix(state.number) ^ state.life, len)
}
