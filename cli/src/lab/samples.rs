//! What a number of measurements come to.

/// Median and spread of a number of samples.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Summary {
    /// Half of the samples are below it.
    pub(crate) median: f64,
    /// A tenth of the samples is below it.
    pub(crate) low: f64,
    /// A tenth of the samples is above it.
    pub(crate) high: f64,
    /// How many samples there were.
    pub(crate) samples: usize,
}

impl Summary {
    /// Of these samples, in no order. Of none: zeros.
    pub(crate) fn of(mut samples: Vec<f64>) -> Summary {
        samples.sort_by(f64::total_cmp);
        let at = |part: f64| quantile(&samples, part);
        Summary { median: at(0.5), low: at(0.1), high: at(0.9), samples: samples.len() }
    }
}

/// The sample that this part of the sorted samples is below, in between where it falls between two.
fn quantile(sorted: &[f64], part: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return 0.0 };
    let place = part * last as f64;
    let (below, rest) = (place.floor() as usize, place.fract());
    let low = sorted.get(below).copied().unwrap_or_default();
    let high = sorted.get(below + 1).copied().unwrap_or(low);
    low + (high - low) * rest
}

#[cfg(test)]
mod tests {
    use super::Summary;

    #[test]
    fn median_and_spread() {
        let summary = Summary::of((0..=100).rev().map(f64::from).collect());
        assert_eq!(summary, Summary { median: 50.0, low: 10.0, high: 90.0, samples: 101 });
        assert_eq!(Summary::of(vec![4.0, 1.0]).median, 2.5);
        assert_eq!(Summary::of(vec![7.0]).high, 7.0);
        assert_eq!(Summary::of(Vec::new()).samples, 0);
    }
}
