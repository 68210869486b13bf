//! What every experiment is given.

use crate::lab::counters::Counters;
use crate::lab::device::Device;
use crate::lab::findings::Lab;
use crate::lab::meter::Meter;
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

impl Bench {
    /// How often something is done: `quick` times where time is short.
    pub(crate) fn times(&self, quick: usize, full: usize) -> usize {
        if self.quick { quick } else { full }
    }

    /// Takes samples.
    pub(crate) fn meter(&self) -> Meter<'_> {
        Meter::new(&self.counters, None)
    }

    /// Takes samples, with what the device below the file counts: for commits.
    pub(crate) fn device_meter(&self) -> Meter<'_> {
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
}
