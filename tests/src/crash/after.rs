//! What tests look at beside the search: single lives, and single images.

use super::life::{Left, Lived, live};
use super::{Breadth, Expect, History, Met, Model, Search, Setup, verify};
use crate::sim::{Disk, Lie, Moment};
use std::collections::HashSet;
use std::sync::Arc;

/// A life without a crash.
#[derive(Debug)]
pub struct Calm {
    /// The medium it began with.
    pub before: Disk,
    /// What reached the medium.
    pub tape: Vec<Moment<Expect>>,
    /// Hashes of all states it had.
    pub states: HashSet<u64>,
    /// The medium and page cache at its end.
    pub after: Disk,
    /// What happened in it.
    pub met: Met,
}

/// Lives through a history of a new store.
///
/// # Errors
/// Something that must not be.
pub fn calm(setup: &Setup, history: &History) -> Result<Calm, String> {
    let before = Search::new(*setup, Breadth::SHALLOW).into_empty();
    let possible = vec![Arc::new(Model::default())];
    let left = Left { disk: before.clone(), possible, attempted: None };
    let Lived { tape, models, met, .. } = live(setup, &left, history, Lie::None, None)?;
    let mut after = before.clone();
    for moment in &tape {
        if let Moment::Change(change) = moment {
            after.apply(change);
        }
    }
    let states = models.iter().map(|model| model.hash).collect();
    Ok(Calm { before, tape, states, after, met })
}

/// Opens any bytes, proves them, commits to them; the hash of the state they held.
///
/// # Errors
/// The store refuses them, or what was found wrong.
pub fn open_image(setup: &Setup, bytes: &[u8]) -> Result<u64, String> {
    verify::image(setup, bytes.chunks(setup.unit))
}
