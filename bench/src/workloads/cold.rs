//! Gets that read from the disk: nothing of the file in memory, or memory for a quarter of it.

use crate::child::{Job, Task, task};
use crate::machine::{self, MemoryLimit};
use crate::measure::Samples;
use crate::peer::{Result, Store, TOGETHER_MAX};
use crate::stage::Stage;

/// Cold gets of one process: after more of them the read-ahead of a peer has fetched all.
const COLD_GETS: usize = 64;
/// Gets that a process does from a cold start on, until it has most of the file in memory.
const WARMING_GETS: usize = 20_000;

pub(super) fn cold(stage: &mut Stage<'_>) -> Result<()> {
    let (set, count, rounds) = (stage.set, stage.entries(), stage.sizes.rounds);
    let at = stage.own_directory()?;
    let tasks = loaded(&stage.cold, |store| task(Job::Load, store, set, &at, count))?;
    let workloads = [
        ("cold-get", COLD_GETS, 1),
        ("cold-get-many", COLD_GETS, TOGETHER_MAX),
        ("cold-gets-20000", WARMING_GETS, 1),
    ];
    for (workload, count, together) in workloads {
        let mut samples = Samples::new(workload, 1, stage.cold.iter().map(|store| store.who()));
        for round in 0..rounds as u64 {
            for (at, task) in tasks.iter().enumerate() {
                machine::make_cold(&task.at)?;
                let seed = 100 + round;
                let task = Task { job: Job::Gets, count, together, seed, ..task.clone() };
                add(&mut samples, at, &task, None)?;
            }
        }
        stage.report(samples);
    }
    std::fs::remove_dir_all(at)?;
    Ok(())
}

/// The file is so many times as large as the memory for it.
const TIMES_MEMORY: u64 = 4;
/// Stores that have caches of their own may give them half of the memory.
const CACHE_PART: u64 = 2;
/// Gets of this part warm the memory, as a part of those that are measured.
const WARMING_PART: usize = 2;

pub(super) fn limited(stage: &mut Stage<'_>) -> Result<()> {
    let (set, sizes) = (stage.set, stage.sizes);
    let memory = sizes.limited_bytes / TIMES_MEMORY;
    let limit = match MemoryLimit::new(memory) {
        Ok(limit) => limit,
        Err(reason) => {
            eprintln!("*** SKIPPED: limited: {reason}");
            return Ok(());
        }
    };
    let count = sizes.limited_bytes / (set.key_bytes(0) + set.value_bytes() as u64);
    let at = stage.own_directory()?;
    let tasks = loaded(&stage.cold, |store| {
        let task = task(Job::Load, store, set, &at, count)?;
        Ok(Task { cache_bytes: memory / CACHE_PART, ..task })
    })?;
    for (workload, together) in [("limited-get", 1), ("limited-get-many", TOGETHER_MAX)] {
        let mut samples = Samples::new(workload, 1, stage.cold.iter().map(|store| store.who()));
        for (at, task) in tasks.iter().enumerate() {
            machine::make_cold(&task.at)?;
            limit.empty();
            let warming = sizes.limited_gets / WARMING_PART;
            let job = Job::Gets;
            let warm =
                Task { job, count: warming, together: TOGETHER_MAX, seed: 200, ..task.clone() };
            let command = warm.command()?;
            samples.warm(at, || warm.ask(&mut limit.inside(&command)))?;
            let task = Task { job, count: sizes.limited_gets, together, seed: 201, ..task.clone() };
            add(&mut samples, at, &task, Some(&limit))?;
        }
        stage.report(samples);
    }
    std::fs::remove_dir_all(at)?;
    Ok(())
}

/// Lets children load the stores.
fn loaded(stores: &[&Store], task: impl Fn(&Store) -> Result<Task>) -> Result<Vec<Task>> {
    let load = |store: &&Store| {
        let task = task(store)?;
        task.ask(&mut task.command()?)?;
        Ok(task)
    };
    stores.iter().map(load).collect()
}

fn add(samples: &mut Samples, at: usize, task: &Task, limit: Option<&MemoryLimit>) -> Result<()> {
    let command = task.command()?;
    let mut command = match limit {
        Some(limit) => limit.inside(&command),
        None => command,
    };
    if let Some(answer) = samples.warm(at, || task.ask(&mut command))? {
        let taken = &mut samples.taken[at];
        taken.nanoseconds.push(answer.nanoseconds);
        taken.bytes.push(answer.bytes);
    }
    Ok(())
}
