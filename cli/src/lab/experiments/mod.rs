//! The experiments, one a file.

mod barriers;
mod cold;
mod crossover;
mod durable;
mod faults;
mod growth;
mod huge;
mod lookups;
mod memory;
mod prefetch;
mod probe;
mod redirty;
mod warm;

use crate::failure::{Failure, Outcome};
use crate::lab::bench::Bench;
use crate::lab::child::SEPARATOR;
use crate::lab::findings::{Lab, Stop};

/// One experiment.
pub(crate) struct Experiment {
    /// What it is called on the command line.
    pub(crate) name: &'static str,
    /// What it asks.
    pub(crate) question: &'static str,
    pub(crate) run: fn(&Bench) -> Lab,
}

const fn experiment(
    name: &'static str,
    question: &'static str,
    run: fn(&Bench) -> Lab,
) -> Experiment {
    Experiment { name, question, run }
}

/// All of them, in the order they run.
pub(crate) const EXPERIMENTS: &[Experiment] = &[
    experiment(
        "warm",
        "What does a read of what is in memory cost, by pread and by map?",
        warm::run,
    ),
    experiment("faults", "What does a soft fault cost, and what a hard one?", faults::run),
    experiment("cold", "What does a read of what is not in memory cost?", cold::run),
    experiment(
        "prefetch",
        "What do cold pages cost if they are asked for together?",
        prefetch::run,
    ),
    experiment("probe", "What does it cost to ask whether a page is in memory?", probe::run),
    experiment("huge", "What do large pages save, and what do they cost?", huge::run),
    experiment(
        "lookups",
        "How many calls and copies do 50,000 lookups a second take in a B-tree four levels deep?",
        lookups::run,
    ),
    experiment("crossover", "From where on is a map cheaper than pread?", crossover::run),
    experiment(
        "durable",
        "What do durable pages cost, by stores and msync and by pwrite and fsync?",
        durable::run,
    ),
    experiment("redirty", "What does write-back do to pages that are changed again?", redirty::run),
    experiment(
        "memory",
        "What becomes of random reads when the working set outgrows the memory?",
        memory::run,
    ),
    experiment("barriers", "What does a commit ask of the disk?", barriers::run),
    experiment(
        "growth",
        "What do address space and growth cost, and what is past the end?",
        growth::run,
    ),
];

/// Runs a part of an experiment that needs a process of its own; see [`child`](crate::lab::child).
pub(crate) fn inside(part: &str) -> Outcome {
    let words: Vec<&str> = part.split(SEPARATOR).collect();
    let done = match words[..] {
        ["memory", ref words @ ..] => memory::child_part(words),
        ["bus-error", ref words @ ..] => growth::child_part(words),
        _ => return Err(Failure::Usage(format!("no part {part:?}"))),
    };
    done.map_err(|stop| match stop {
        Stop::Skip(reason) => Failure::Other(reason),
        Stop::Failed(error) => Failure::Other(error.to_string()),
    })
}
