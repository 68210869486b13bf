//! Commits of one thread: single puts and batches, durable or not.

use crate::data::{Draw, mix};
use crate::measure::{Samples, quantile};
use crate::peer::{Durability, Result, Who};
use crate::stage::Stage;
use std::time::Instant;

/// Transactions of one put between two turns.
const SINGLES_A_TURN: usize = 50;
/// Batches that one store commits in a row.
const BATCHES_A_ROW: usize = 40;

/// The mean of each turn; and of all transactions the 99th and the 99.9th of 100.
pub(super) fn put_durable(stage: &mut Stage<'_>) -> Result<()> {
    let singles = stage.sizes.single_puts;
    let team = stage.team()?;
    let mut samples = team.samples("put-durable", 1);
    let mut latencies = vec![Vec::new(); team.members.len()];
    let count = team.model.len();
    let numbers: Vec<u64> = (0..singles as u64).map(|i| mix(i) % count).collect();
    for turn in numbers.chunks(SINGLES_A_TURN) {
        let entries = team.model.put(turn);
        for (at, member) in team.members.iter().enumerate() {
            let taken = &mut latencies[at];
            samples.take(at, turn.len(), || {
                for (key, value) in entries.iter() {
                    let start = Instant::now();
                    let mut txn = member.peer.write()?;
                    txn.put(key, value)?;
                    txn.commit()?;
                    taken.push(start.elapsed().as_nanos() as f64);
                }
                Ok(())
            })?;
        }
    }
    team.check(numbers.iter().copied())?;
    let members: Vec<Who> = team.members.iter().map(|member| member.who).collect();
    stage.report(samples);
    for (name, part) in [("put-durable-p99", 0.99), ("put-durable-p999", 0.999)] {
        let mut samples = Samples::new(name, 1, members.iter().copied());
        for (taken, latencies) in samples.taken.iter_mut().zip(&mut latencies) {
            latencies.sort_unstable_by(f64::total_cmp);
            taken.nanoseconds.extend(quantile(latencies, part));
        }
        stage.report(samples);
    }
    Ok(())
}

pub(super) fn put_eventual(stage: &mut Stage<'_>) -> Result<()> {
    let (puts, chunks) = (stage.sizes.eventual_puts, stage.sizes.chunks);
    let team = stage.team()?;
    let mut samples = team.samples("put-eventual", 1);
    team.durability(&mut samples, Durability::Eventual)?;
    let mut draw = Draw::new(11);
    let mut last = Vec::new();
    for _ in 0..chunks {
        last = draw.many(puts / chunks, team.model.len());
        team.put(&mut samples, &last, last.len(), |peer, entries| peer.put_each(entries))?;
    }
    team.check(last.into_iter())?;
    team.durability(&mut samples, Durability::Durable)?;
    team.settle()?;
    stage.report(samples);
    Ok(())
}

pub(super) fn batch_100(stage: &mut Stage<'_>) -> Result<()> {
    batches(stage, "batch-100", 100, 13)
}

pub(super) fn batch_1000(stage: &mut Stage<'_>) -> Result<()> {
    batches(stage, "batch-1000", 1000, 3)
}

fn batches(stage: &mut Stage<'_>, workload: &str, batch: usize, seed: u64) -> Result<()> {
    let batches = stage.sizes.batches;
    let team = stage.team()?;
    let mut samples = team.samples(workload, 1);
    let mut draw = Draw::new(seed);
    for _ in 0..batches {
        let numbers = draw.many(batch, team.model.len());
        team.put(&mut samples, &numbers, 1, |peer, entries| peer.put_all(entries))?;
        team.check(numbers.into_iter())?;
    }
    stage.report(samples);
    Ok(())
}

/// Each store alone, what it does in the background included: a mean, in turns.
pub(super) fn batch_1000_row(stage: &mut Stage<'_>) -> Result<()> {
    const BATCH: usize = 1000;
    let rows = stage.sizes.rows;
    let team = stage.team()?;
    let mut samples = team.samples("batch-1000-row", 1);
    let mut draw = Draw::new(5);
    for _ in 0..rows {
        let batches: Vec<Vec<u64>> =
            (0..BATCHES_A_ROW).map(|_| draw.many(BATCH, team.model.len())).collect();
        let entries: Vec<_> = batches.iter().map(|batch| team.model.put(batch)).collect();
        for (at, member) in team.members.iter().enumerate() {
            member.peer.settle()?;
            samples.take(at, BATCHES_A_ROW, || {
                entries.iter().try_for_each(|batch| member.peer.put_all(batch))?;
                member.peer.settle()
            })?;
        }
        team.check(batches.iter().flatten().copied())?;
    }
    stage.report(samples);
    Ok(())
}
