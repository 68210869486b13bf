//! Times of a workload: for each store, one number a chunk.

use crate::peer::{Result, Unsupported, Who, Write};
use std::time::Instant;

/// The middle of some numbers, and how far they spread.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spread {
    /// The median.
    pub(crate) median: f64,
    /// A quarter of the numbers lies below.
    pub(crate) low: f64,
    /// A quarter of the numbers lies above.
    pub(crate) high: f64,
}

impl Spread {
    /// Of these numbers; `None` where there are none.
    pub(crate) fn of(numbers: &[f64]) -> Option<Spread> {
        let mut sorted = numbers.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let at = |part: f64| quantile(&sorted, part);
        Some(Spread { median: at(0.5)?, low: at(0.25)?, high: at(0.75)? })
    }
}

/// The number below which this part of the sorted numbers lies, between two of them where it falls there.
pub(crate) fn quantile(sorted: &[f64], part: f64) -> Option<f64> {
    let place = (sorted.len().checked_sub(1)?) as f64 * part;
    let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    Some(below + (above - below) * place.fract())
}

/// What one workload took, for each store.
pub(crate) struct Samples {
    /// Name of the workload.
    pub(crate) workload: String,
    /// Threads that worked.
    pub(crate) threads: usize,
    /// One of each store.
    pub(crate) taken: Vec<Taken>,
}

/// What one workload took with one store.
pub(crate) struct Taken {
    /// The store.
    pub(crate) who: Who,
    /// Nanoseconds an operation, a number a chunk.
    pub(crate) nanoseconds: Vec<f64>,
    /// Bytes an operation, where they are what is measured.
    pub(crate) bytes: Vec<f64>,
    /// Why the store is left out.
    pub(crate) left_out: Option<String>,
}

impl Samples {
    /// None so far.
    pub(crate) fn new(
        workload: impl Into<String>,
        threads: usize,
        stores: impl Iterator<Item = Who>,
    ) -> Samples {
        let of = |who| Taken { who, nanoseconds: Vec::new(), bytes: Vec::new(), left_out: None };
        let taken = stores.map(of).collect();
        Samples { workload: workload.into(), threads, taken }
    }

    /// Runs `work`, so many operations of it, as a chunk of store `at`. `None` where the store has no way
    /// to do it: it is left out from then on.
    pub(crate) fn take<T>(
        &mut self,
        at: usize,
        operations: usize,
        work: impl FnOnce() -> Result<T>,
    ) -> Result<Option<T>> {
        if self.taken[at].left_out.is_some() {
            return Ok(None);
        }
        let start = Instant::now();
        let result = work();
        let nanoseconds = start.elapsed().as_nanos() as f64;
        let result = self.unless_unsupported(at, result)?;
        if result.is_some() {
            self.taken[at].nanoseconds.push(nanoseconds / operations as f64);
        }
        Ok(result)
    }

    /// As [`take`](Samples::take), without a measurement.
    pub(crate) fn warm<T>(
        &mut self,
        at: usize,
        work: impl FnOnce() -> Result<T>,
    ) -> Result<Option<T>> {
        if self.taken[at].left_out.is_some() {
            return Ok(None);
        }
        let result = work();
        self.unless_unsupported(at, result)
    }

    fn unless_unsupported<T>(&mut self, at: usize, result: Result<T>) -> Result<Option<T>> {
        match result {
            Ok(result) => Ok(Some(result)),
            Err(error) if error.is::<Unsupported>() => {
                self.taken[at].left_out = Some(error.to_string());
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Leaves those out whose transactions only collect what their commits do.
    pub(crate) fn without_collectors(&mut self, txns: &[Box<dyn Write + '_>]) {
        for (taken, _) in self.taken.iter_mut().zip(txns).filter(|(_, txn)| txn.collects()) {
            taken.left_out = Some("its transaction collects, its commit works".into());
        }
    }

    /// Whether store `at` takes part.
    pub(crate) fn has(&self, at: usize) -> bool {
        self.taken[at].left_out.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::unsupported;

    #[test]
    fn the_middle_is_a_number_or_between_two() {
        let spread = Spread::of(&[4.0, 1.0, 3.0, 2.0]).unwrap();
        assert!((spread.median - 2.5).abs() < 1e-9);
        assert!((spread.low - 1.75).abs() < 1e-9);
        assert!((Spread::of(&[7.0]).unwrap().high - 7.0).abs() < 1e-9);
        assert!(Spread::of(&[]).is_none());
    }

    #[test]
    fn who_cannot_is_left_out_and_who_fails_ends_the_run() {
        let who = |name| Who { name, is_lmdb: false };
        let mut samples = Samples::new("w", 1, [who("a"), who("b")].into_iter());
        assert!(samples.take::<()>(0, 1, || unsupported("fly")).unwrap().is_none());
        assert!(samples.take(0, 1, || Ok(())).unwrap().is_none());
        assert!(!samples.has(0) && samples.taken[0].nanoseconds.is_empty());
        assert_eq!(samples.take(1, 1, || Ok(5)).unwrap(), Some(5));
        assert_eq!(samples.taken[1].nanoseconds.len(), 1);
        assert!(samples.take::<()>(1, 1, || Err("broken".into())).is_err());
    }
}
