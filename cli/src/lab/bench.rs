//! What every experiment is given.

use crate::lab::counters::Counters;
use crate::lab::device::Device;
use crate::lab::findings::{Lab, Table};
use crate::lab::meter::{Measured, Meter};
use crate::lab::scratch::Scratch;
use std::fs::File;

/// The file, the kernel's counters, and how much time there is.
pub(crate) struct Bench {
    pub(crate) scratch: Scratch,
    pub(crate) counters: Counters,
    /// The device below the file, where there is one that counts.
    pub(crate) device: Option<Device>,
    pub(crate) quick: bool,
}

/// A way of doing something, with its name: what it returns keeps the compiler from leaving it out.
pub(crate) type Way<'a> = (&'a str, &'a mut dyn FnMut(usize) -> Lab<u64>);

impl Bench {
    /// How often something is done: `quick` times where time is short.
    pub(crate) fn times(&self, quick: usize, full: usize) -> usize {
        if self.quick { quick } else { full }
    }

    /// Takes samples.
    pub(crate) fn meter(&self) -> Meter<'_> {
        Meter::new(&self.counters, None)
    }

    /// Takes samples, with what the device below the file counts: for commits. First everybody's dirty
    /// pages go to the device, which would be counted too.
    pub(crate) fn device_meter(&self) -> Meter<'_> {
        // Where it fails the counts are less telling; the times are what they are.
        let _ = rustix::fs::syncfs(self.scratch.file());
        Meter::new(&self.counters, self.device.as_ref())
    }

    /// The file opened again: what is advised there does not reach other readers.
    pub(crate) fn reopened(&self) -> Lab<File> {
        Ok(File::open(self.scratch.path())?)
    }

    /// The file opened again, without read-ahead.
    pub(crate) fn reopened_random(&self) -> Lab<File> {
        let file = self.reopened()?;
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::Random)?;
        Ok(file)
    }

    /// Threads for the cases with several: as many as there are processors, from 2 to 8.
    pub(crate) fn threads(&self) -> usize {
        std::thread::available_parallelism().map_or(2, usize::from).clamp(2, 8)
    }

    /// Measures several ways in turns, so that what else the machine does meets all of them alike: each
    /// `rounds` times, a sample of `operations` a time, after `before`. A way is told the round. Adds a row
    /// for each; what was measured.
    pub(crate) fn in_turns(
        &self,
        table: &mut Table,
        (rounds, operations): (usize, usize),
        before: impl FnMut() -> Lab<()>,
        ways: &mut [Way<'_>],
    ) -> Lab<Vec<Measured>> {
        let meters = ways.iter().map(|_| self.meter()).collect();
        turns(table, (rounds, operations), before, ways, meters)
    }

    /// The same for commits: with what the device counts.
    pub(crate) fn commits_in_turns(
        &self,
        table: &mut Table,
        rounds: usize,
        before: impl FnMut() -> Lab<()>,
        ways: &mut [Way<'_>],
    ) -> Lab<Vec<Measured>> {
        let meters = ways.iter().map(|_| self.device_meter()).collect();
        turns(table, (rounds, 1), before, ways, meters)
    }
}

fn turns(
    table: &mut Table,
    (rounds, operations): (usize, usize),
    mut before: impl FnMut() -> Lab<()>,
    ways: &mut [Way<'_>],
    mut meters: Vec<Meter<'_>>,
) -> Lab<Vec<Measured>> {
    for round in 0..rounds {
        for (meter, (_, way)) in meters.iter_mut().zip(ways.iter_mut()) {
            before()?;
            meter.sample(operations, || way(round))?;
        }
    }
    let measured: Vec<Measured> = meters.into_iter().map(Meter::end).collect();
    for ((name, _), measured) in ways.iter().zip(&measured) {
        table.add(*name, *measured);
    }
    Ok(measured)
}

/// The medians of what was measured.
pub(crate) fn medians(measured: &[Measured]) -> Vec<f64> {
    measured.iter().map(|measured| measured.summary.median).collect()
}

/// Nothing has to be done before a sample.
pub(crate) fn nothing() -> Lab<()> {
    Ok(())
}
