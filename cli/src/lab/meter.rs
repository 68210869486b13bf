//! Measuring: the clock and the kernel's counters around each sample.

use crate::lab::counters::{Counters, Counts};
use crate::lab::device::Device;
use crate::lab::findings::{Lab, Stop};
use crate::lab::samples::Summary;
use std::time::Instant;

/// One case, measured: nanoseconds an operation, and what the kernel counted over all of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    pub(crate) summary: Summary,
    pub(crate) operations: u64,
    pub(crate) counts: Counts,
}

impl Measured {
    /// The same as operations a second.
    pub(crate) fn as_rate(&self) -> Measured {
        let turned = |time: f64| if time > 0.0 { 1e9 / time } else { 0.0 };
        let of = self.summary;
        let summary = Summary {
            median: turned(of.median),
            low: turned(of.high),
            high: turned(of.low),
            samples: of.samples,
        };
        Measured { summary, ..*self }
    }
}

/// Takes samples of one case.
pub(crate) struct Meter<'a> {
    counters: &'a Counters,
    device: Option<&'a Device>,
    samples: Vec<f64>,
    operations: u64,
    counts: Counts,
}

impl<'a> Meter<'a> {
    /// No samples so far. The device's counters are read too where there is one.
    pub(crate) fn new(counters: &'a Counters, device: Option<&'a Device>) -> Meter<'a> {
        let (samples, counts) = (Vec::with_capacity(4096), Counts::default());
        Meter { counters, device, samples, operations: 0, counts }
    }

    /// A sample: what `work` takes, which does `operations` operations. What it returns is kept from the
    /// compiler's eyes, so that it cannot leave the work out.
    pub(crate) fn sample<T>(&mut self, operations: usize, work: impl FnOnce() -> Lab<T>) -> Lab<T> {
        let mut result = None;
        self.counted(|| {
            result = Some(std::hint::black_box(work()?));
            Ok(operations)
        })?;
        result.ok_or_else(|| Stop::Failed(std::io::Error::other("a sample without work")))
    }

    /// A sample of work that says itself how many operations it did.
    pub(crate) fn counted(&mut self, work: impl FnOnce() -> Lab<usize>) -> Lab<()> {
        let device_before = self.device.and_then(Device::counts);
        let before = self.counters.read()?;
        let start = Instant::now();
        let operations = work();
        let took = start.elapsed();
        let after = self.counters.read()?;
        let device_after = self.device.and_then(Device::counts);
        let operations = operations?;
        self.counts.add(&after.since(&before));
        if let (Some(before), Some(after)) = (device_before, device_after) {
            self.counts.add(&after.since(&before));
        }
        self.samples.push(took.as_nanos() as f64 / operations.max(1) as f64);
        self.operations += operations as u64;
        Ok(())
    }

    /// What the samples come to.
    pub(crate) fn end(self) -> Measured {
        let summary = Summary::of(self.samples);
        Measured { summary, operations: self.operations, counts: self.counts }
    }
}
