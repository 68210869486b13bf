//! The experiments, one a file.

mod warm;

use crate::lab::bench::Bench;
use crate::lab::findings::Lab;

/// One experiment.
pub(crate) struct Experiment {
    /// What it is called on the command line.
    pub(crate) name: &'static str,
    /// What it asks.
    pub(crate) question: &'static str,
    pub(crate) run: fn(&Bench) -> Lab,
}

/// All of them, in the order they run.
pub(crate) const EXPERIMENTS: &[Experiment] = &[
    Experiment {
        name: "warm",
        question: "What is in memory: how much does a read cost through pread and through the map?",
        run: warm::run,
    },
];
