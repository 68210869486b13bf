//! What is asked of a process of its own: opening, and memory.

use crate::child::{Job, Task, task};
use crate::measure::Samples;
use crate::peer::Result;
use crate::stage::Stage;

/// Opens a store that was closed, and one whose process was killed behind its last commit; files in memory.
pub(super) fn open(stage: &mut Stage<'_>) -> Result<()> {
    let (set, count, sizes) = (stage.set, stage.entries(), stage.sizes);
    let at = stage.own_directory()?;
    let who = || stage.stores.iter().map(|store| store.who());
    let mut closed = Samples::new("open-closed", 1, who());
    let mut killed = Samples::new("open-killed", 1, who());
    for (i, store) in stage.stores.iter().enumerate() {
        let load = task(Job::Load, store, set, &at, count)?;
        load.ask(&mut load.command()?)?;
        for _ in 0..sizes.rounds {
            let open = Task { job: Job::Open, ..load.clone() };
            closed.taken[i].nanoseconds.push(open.ask(&mut open.command()?)?.nanoseconds);
        }
        for round in 0..sizes.deaths as u64 {
            let (count, seed) = (sizes.batches_before_death, 300 + round);
            let die = Task { job: Job::Die, count, seed, ..load.clone() };
            die.ask(&mut die.command()?)?;
            let open = Task { job: Job::Open, ..die };
            killed.taken[i].nanoseconds.push(open.ask(&mut open.command()?)?.nanoseconds);
        }
    }
    std::fs::remove_dir_all(at)?;
    stage.report(closed);
    stage.report(killed);
    Ok(())
}

pub(super) fn peak_memory(stage: &mut Stage<'_>) -> Result<()> {
    let (set, count) = (stage.set, stage.entries());
    let at = stage.own_directory()?;
    let who = stage.stores.iter().map(|store| store.who());
    let mut samples = Samples::new("peak-memory", 1, who);
    for (taken, store) in samples.taken.iter_mut().zip(&stage.stores) {
        let peak = task(Job::Peak, store, set, &at, count)?;
        taken.bytes.push(peak.ask(&mut peak.command()?)?.bytes);
        std::fs::remove_dir_all(&peak.at)?;
    }
    std::fs::remove_dir_all(at)?;
    stage.report(samples);
    Ok(())
}
