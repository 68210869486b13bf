//! Loads.

use crate::data::{DataSet, Entries, shuffled};
use crate::peer::{Durability, Result};
use crate::stage::Stage;

pub(super) fn random(stage: &mut Stage<'_>) -> Result<()> {
    if let Some(samples) = stage.load()? {
        stage.report(samples);
    }
    Ok(())
}

/// Entries of a transaction of [`batches`].
const TRANSACTION: usize = 10_000;

/// Everything counts: transactions without a barrier, and at the end of each chunk what is left to do until
/// all of it is durable.
pub(super) fn batches(stage: &mut Stage<'_>) -> Result<()> {
    let numbers = shuffled(stage.entries(), 61);
    let chunks = stage.sizes.chunks;
    let (mut team, at) = stage.own_team()?;
    let mut samples = team.samples("load-batches", 1);
    for member in &team.members {
        // Who cannot commit without a barrier has barriers.
        let _ = member.peer.durability(Durability::Eventual);
    }
    for chunk in numbers.chunks(numbers.len().div_ceil(chunks)) {
        let batches: Vec<Entries> =
            chunk.chunks(TRANSACTION).map(|batch| team.model.put(batch)).collect();
        for (at, member) in team.members.iter().enumerate() {
            samples.take(at, chunk.len(), || {
                batches.iter().try_for_each(|batch| member.peer.put_all(batch))?;
                member.peer.settle()
            })?;
        }
    }
    team.check_some()?;
    drop(team);
    std::fs::remove_dir_all(at)?;
    stage.report(samples);
    Ok(())
}

pub(super) fn sorted(stage: &mut Stage<'_>) -> Result<()> {
    let numbers = DataSet::sorted(stage.set, stage.entries());
    let chunks = stage.sizes.chunks;
    let (mut team, at) = stage.own_team()?;
    let samples = team.load_in_order(&numbers, chunks, "load-sorted", true)?;
    drop(team);
    std::fs::remove_dir_all(at)?;
    stage.report(samples);
    Ok(())
}
