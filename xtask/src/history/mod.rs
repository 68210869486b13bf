//! A history of commits that can be made again from its seed, written by processes of their own, and
//! what a database must hold after any of them.
//!
//! A *life* is one such process. Commit `number` of a life writes what the plan says of both, so that a
//! commit that was lost and written again by the next life is told from the lost one.

mod commit;
mod lives;
mod model;
mod plan;
mod writer;

pub(crate) use lives::Lives;
pub(crate) use model::Model;
pub(crate) use plan::Plan;
pub(crate) use writer::{Ending, Orders, Planted, Said, writer};

use crate::Result;
use mapleaf::{Database, TreeError, WriteMode};
use std::path::Path;

/// One committed state: how many commits it has, and which life made the last. The default is the empty
/// database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) number: u64,
    pub(crate) life: u64,
}

/// The tree that holds the state's number and life.
const STATE_TREE: &str = "state";
const STATE_KEY: &[u8] = b"state";

/// Opens the file of a history, with a log so small that checkpoints and wraps are many.
#[allow(unsafe_code)] // Files that these commands have made.
pub(crate) fn open(path: &Path, mode: WriteMode) -> Result<Database> {
    let builder = Database::builder().write_mode(mode).log_bytes(128 << 10, 1 << 20);
    // SAFETY: the file is in a directory of this run's own, which opens it in one process at a time.
    Ok(unsafe { builder.open(path) }?)
}

/// The state that a database is in.
pub(crate) fn state(db: &Database) -> Result<State> {
    let snapshot = db.read()?;
    let tree = match snapshot.tree(STATE_TREE) {
        Ok(tree) => tree,
        Err(TreeError::NoSuchTree) => return Ok(State::default()),
        Err(error) => return Err(error.into()),
    };
    number_of(tree.get(STATE_KEY)?.ok_or("the state has no number")?)
}

/// The state that its entry says.
fn number_of(bytes: &[u8]) -> Result<State> {
    let (number, life) = bytes.split_first_chunk().ok_or("a number of another length")?;
    Ok(State { number: u64::from_le_bytes(*number), life: u64::from_le_bytes(life.try_into()?) })
}
