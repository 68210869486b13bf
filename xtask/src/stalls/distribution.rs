//! How long things took: counts of classes instead of a list, which would take the memory that is measured.

/// Numbers below this have classes of their own; each power of two above has half as many. So what is told is
/// off by at most half a class, 1.6 %.
const CLASSES: u64 = 64;
const POWERS: usize = 64;

/// A distribution of nanoseconds, in the same memory whatever is counted.
pub(super) struct Distribution {
    counts: Vec<u64>,
    len: u64,
    longest: u64,
}

impl Distribution {
    pub(super) fn new() -> Distribution {
        let classes = POWERS * CLASSES as usize;
        // Written, so that it is memory before anything is measured.
        Distribution {
            counts: (0..classes).map(|_| std::hint::black_box(0)).collect(),
            len: 0,
            longest: 0,
        }
    }

    pub(super) fn add(&mut self, nanoseconds: u64) {
        self.counts[class(nanoseconds)] += 1;
        self.len += 1;
        self.longest = self.longest.max(nanoseconds);
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// What this part of all took at most; 1 for the longest.
    pub(super) fn quantile(&self, part: f64) -> u64 {
        let wanted = (self.len as f64 * part) as u64;
        let mut seen = 0;
        for (class, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen > wanted {
                return middle(class).min(self.longest);
            }
        }
        self.longest
    }
}

/// Which class a number is in: below `CLASSES` its own, above by its first bits.
fn class(number: u64) -> usize {
    let shift = (number / CLASSES).checked_ilog2().map_or(0, |power| power + 1);
    let first = number >> shift;
    (u64::from(shift) * (CLASSES / 2) + first) as usize
}

/// The middle of a class.
fn middle(class: usize) -> u64 {
    let (class, half) = (class as u64, CLASSES / 2);
    let shift = (class / half).saturating_sub(1);
    let first = class - shift * half;
    (first << shift) + (1 << shift) / 2
}

#[cfg(test)]
mod tests {
    use super::{Distribution, class, middle};

    #[test]
    fn classes_ascend_and_their_middles_are_near() {
        let mut last = 0;
        let numbers =
            (0..8_192).chain((13..64).flat_map(|power| {
                [(1_u64 << power) - 1, 1 << power, (1 << power) + (1 << power) / 3]
            }));
        for number in numbers.chain([u64::MAX]) {
            let class = class(number);
            assert!(class >= last, "{number}");
            last = class;
            assert!(
                middle(class).abs_diff(number) <= number / 64 + 1,
                "{number}: {}",
                middle(class)
            );
        }
        assert!(last < super::POWERS * super::CLASSES as usize);
    }

    #[test]
    fn quantiles_are_those_of_a_list() {
        let mut all = Distribution::new();
        assert_eq!((all.quantile(0.5), all.quantile(1.0)), (0, 0));
        (1..=1000).for_each(|number| all.add(number * 1000));
        assert_eq!((all.len(), all.quantile(1.0)), (1000, 1_000_000));
        for (part, wanted) in [(0.5, 501_000), (0.99, 991_000), (0.999, 1_000_000)] {
            assert!(
                all.quantile(part).abs_diff(wanted) <= wanted / 64,
                "{part}: {}",
                all.quantile(part)
            );
        }
    }
}
