//! Several threads: readers, writers that commit together, a writer beside readers.

use crate::data::{Draw, Entries, Keys};
use crate::measure::Samples;
use crate::peer::{Found, Peer, Result};
use crate::stage::Stage;
use crate::team::{Team, same};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Runs one piece of work a thread, all at once; what they give back.
fn together<W: Send, T: Send>(work: Vec<W>, run: impl Fn(W) -> Result<T> + Sync) -> Result<Vec<T>> {
    std::thread::scope(|scope| {
        let run = &run;
        let threads: Vec<_> =
            work.into_iter().map(|piece| scope.spawn(move || run(piece))).collect();
        let joined = threads.into_iter().map(|thread| {
            thread.join().unwrap_or_else(|_| Err("a thread of the bench panicked".into()))
        });
        joined.collect()
    })
}

pub(super) fn readers(stage: &mut Stage<'_>) -> Result<()> {
    for threads in [1, 2, 4, 8] {
        let samples = readers_of(stage, threads)?;
        stage.report(samples);
    }
    Ok(())
}

fn readers_of(stage: &mut Stage<'_>, threads: usize) -> Result<Samples> {
    let (gets, chunks) = (stage.sizes.thread_gets, stage.sizes.chunks);
    let team = stage.team()?;
    let mut samples = team.samples("readers", threads);
    let mut draw = Draw::new(17);
    for chunk in 0..=chunks {
        let numbers: Vec<Vec<u64>> =
            (0..threads).map(|_| draw.many(gets, team.model.len())).collect();
        let keys: Vec<Keys> = numbers.iter().map(|numbers| team.keys(numbers)).collect();
        let expected = numbers.iter().map(|numbers| team.model.gets(numbers));
        let expected = expected.fold(Found::default(), Found::and);
        for (at, member) in team.members.iter().enumerate() {
            let work =
                || together(keys.iter().collect(), |keys: &Keys| member.peer.read()?.get(keys));
            let found = match chunk {
                0 => samples.warm(at, work)?,
                _ => samples.take(at, gets * threads, work)?,
            };
            if let Some(found) = found {
                let found = found.into_iter().fold(Found::default(), Found::and);
                same(member.name, "readers", found, expected)?;
            }
        }
    }
    Ok(samples)
}

pub(super) fn group_commit(stage: &mut Stage<'_>) -> Result<()> {
    for threads in [1, 2, 4] {
        let samples = group_commit_of(stage, threads)?;
        stage.report(samples);
    }
    Ok(())
}

/// Transactions of one put by each thread between two turns.
const SINGLES_A_TURN: usize = 25;

fn group_commit_of(stage: &mut Stage<'_>, threads: usize) -> Result<Samples> {
    let turns = stage.sizes.single_puts.div_ceil(4 * SINGLES_A_TURN);
    let team = stage.team()?;
    let mut samples = team.samples("group-commit", threads);
    let mut draw = Draw::new(19 + threads as u64);
    for _ in 0..turns {
        // No two threads put the same entry: which of them came last could not be said.
        let count = team.model.len() / threads as u64;
        let of_thread = |numbers: Vec<u64>, thread: u64| {
            numbers.into_iter().map(|number| number * threads as u64 + thread).collect()
        };
        let numbers: Vec<Vec<u64>> = (0..threads as u64)
            .map(|thread| of_thread(draw.many(SINGLES_A_TURN, count), thread))
            .collect();
        let entries: Vec<Entries> = numbers.iter().map(|n| team.model.put(n)).collect();
        for (at, member) in team.members.iter().enumerate() {
            samples.take(at, threads * SINGLES_A_TURN, || {
                together(entries.iter().collect(), |entries| member.peer.put_each(entries))
            })?;
        }
        team.check(numbers.iter().flatten().copied())?;
    }
    Ok(samples)
}

/// Readers beside the writer.
const READERS: usize = 2;
/// Puts of one of its batches.
const BATCH: usize = 100;
/// Gets between two looks whether the writer has finished, in a snapshot of their own.
const GETS_A_SNAPSHOT: usize = 1000;

pub(super) fn writer_beside_readers(stage: &mut Stage<'_>) -> Result<()> {
    let batches = stage.sizes.batches;
    let team = stage.team()?;
    let mut writer = team.samples("writer-beside-readers", 1 + READERS);
    let mut readers = team.samples("readers-beside-writer", 1 + READERS);
    let mut draw = Draw::new(23);
    for _ in 0..batches.div_ceil(10) {
        let numbers: Vec<Vec<u64>> = (0..10).map(|_| draw.many(BATCH, team.model.len())).collect();
        let entries: Vec<Entries> = numbers.iter().map(|n| team.model.put(n)).collect();
        let keys = look_at(team, &mut draw);
        for (at, member) in team.members.iter().enumerate() {
            let (wrote, read) = beside(&*member.peer, &entries, &keys)?;
            writer.taken[at].nanoseconds.push(wrote);
            readers.taken[at].nanoseconds.push(read);
        }
        team.check(numbers.iter().flatten().copied())?;
    }
    stage.report(writer);
    stage.report(readers);
    Ok(())
}

fn look_at(team: &Team, draw: &mut Draw) -> Keys {
    team.keys(&draw.many(GETS_A_SNAPSHOT, team.model.len()))
}

/// Nanoseconds of a put, and of a get of all readers together.
fn beside(peer: &dyn Peer, batches: &[Entries], keys: &Keys) -> Result<(f64, f64)> {
    let written = AtomicBool::new(false);
    let start = Instant::now();
    std::thread::scope(|scope| {
        let reading = || -> Result<u64> {
            let mut gets = 0;
            while !written.load(Ordering::Relaxed) {
                let found = peer.read()?.get(keys)?;
                if found.count != keys.len() as u64 {
                    return Err("a reader beside the writer misses entries".into());
                }
                gets += found.count;
            }
            Ok(gets)
        };
        let readers: Vec<_> = (0..READERS).map(|_| scope.spawn(reading)).collect();
        let wrote = batches.iter().try_for_each(|batch| peer.put_all(batch));
        let taken = start.elapsed().as_nanos() as f64;
        written.store(true, Ordering::Relaxed);
        let mut gets = 0;
        for reader in readers {
            gets += reader.join().unwrap_or_else(|_| Err("a reader panicked".into()))?;
        }
        let all = start.elapsed().as_nanos() as f64;
        wrote?;
        let puts: usize = batches.iter().map(Entries::len).sum();
        Ok((taken / puts as f64, all / gets.max(1) as f64))
    })
}
