//! Measuring: the clock and the kernel's counters around each sample.

use crate::lab::counters::{Counters, Counts};
use crate::lab::findings::Lab;
use crate::lab::samples::Summary;
use std::time::{Duration, Instant};

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
    samples: Vec<f64>,
    operations: u64,
    counts: Counts,
    spent: Duration,
}

impl<'a> Meter<'a> {
    /// No samples so far.
    pub(crate) fn new(counters: &'a Counters) -> Meter<'a> {
        let (samples, counts) = (Vec::with_capacity(4096), Counts::default());
        Meter { counters, samples, operations: 0, counts, spent: Duration::ZERO }
    }

    /// A sample: what `work` takes, which does `operations` operations. What it returns is kept from the
    /// compiler's eyes, so that it cannot leave the work out.
    pub(crate) fn sample<T>(&mut self, operations: usize, work: impl FnOnce() -> Lab<T>) -> Lab<T> {
        let before = self.counters.read()?;
        let start = Instant::now();
        let result = std::hint::black_box(work());
        let took = start.elapsed();
        let after = self.counters.read()?;
        let result = result?;
        self.counts.add(&after.since(&before));
        self.samples.push(took.as_nanos() as f64 / operations.max(1) as f64);
        self.operations += operations as u64;
        self.spent += took;
        Ok(result)
    }

    /// The time that samples took so far.
    pub(crate) fn spent(&self) -> Duration {
        self.spent
    }

    /// What the samples come to.
    pub(crate) fn end(self) -> Measured {
        let summary = Summary::of(self.samples);
        Measured { summary, operations: self.operations, counts: self.counts }
    }
}
