//! Which entries are visited, and in which order: drawn from a seed.

/// SplitMix64's step (Steele, Lea, Flood 2014): a bijection of 64-bit numbers.
pub(crate) fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Numbers in no order, the same for the same seed.
#[derive(Clone)]
pub(crate) struct Draw(u64);

impl Draw {
    /// Draws from this seed.
    pub(crate) fn new(seed: u64) -> Draw {
        Draw(seed)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = mix(self.0);
        self.0 % end
    }

    /// So many numbers below `end`; some may come twice.
    pub(crate) fn many(&mut self, count: usize, end: u64) -> Vec<u64> {
        (0..count).map(|_| self.below(end)).collect()
    }

    /// A number from 0 to below 1.
    pub(crate) fn fraction(&mut self) -> f64 {
        /// Bits of a double's mantissa.
        const BITS: u32 = 53;
        self.0 = mix(self.0);
        (self.0 >> (64 - BITS)) as f64 / (1u64 << BITS) as f64
    }
}

/// All numbers below `count`, once each, in no order (Fisher–Yates).
pub(crate) fn shuffled(count: u64, seed: u64) -> Vec<u64> {
    let mut numbers: Vec<u64> = (0..count).collect();
    let mut draw = Draw::new(seed);
    for at in (1..numbers.len()).rev() {
        numbers.swap(at, draw.below(at as u64 + 1) as usize);
    }
    numbers
}

/// Zipfian numbers as YCSB draws them (Gray et al. 1994): a few are drawn often.
pub(crate) struct Zipf {
    count: u64,
    alpha: f64,
    zeta: f64,
    eta: f64,
}

/// YCSB's constant.
const THETA: f64 = 0.99;

impl Zipf {
    /// Numbers below `count`. Takes time in proportion.
    pub(crate) fn new(count: u64) -> Zipf {
        let zeta = |n: u64| (1..=n).map(|i| (i as f64).powf(-THETA)).sum::<f64>();
        let zeta_count = zeta(count);
        let eta = (1.0 - (2.0 / count as f64).powf(1.0 - THETA)) / (1.0 - zeta(2) / zeta_count);
        Zipf { count, alpha: 1.0 / (1.0 - THETA), zeta: zeta_count, eta }
    }

    /// The next number. The frequent ones do not lie side by side.
    pub(crate) fn next(&self, draw: &mut Draw) -> u64 {
        let u = draw.fraction();
        let uz = u * self.zeta;
        let rank = if uz < 1.0 {
            0
        } else if uz < 1.0 + 0.5f64.powf(THETA) {
            1
        } else {
            (self.count as f64 * (self.eta * u - self.eta + 1.0).powf(self.alpha)) as u64
        };
        mix(rank.min(self.count - 1)) % self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shuffled_numbers_come_once() {
        let mut numbers = shuffled(1000, 7);
        assert_ne!(numbers, (0..1000).collect::<Vec<_>>());
        numbers.sort_unstable();
        assert_eq!(numbers, (0..1000).collect::<Vec<_>>());
    }

    #[test]
    fn zipf_draws_a_few_often() {
        let (zipf, mut draw) = (Zipf::new(1000), Draw::new(3));
        let mut counts = vec![0u32; 1000];
        for _ in 0..20_000 {
            counts[zipf.next(&mut draw) as usize] += 1;
        }
        counts.sort_unstable_by(|a, b| b.cmp(a));
        // The most frequent of 1,000 is one in 7.5; the upper tenth is two thirds of all.
        assert!((2_000..3_500).contains(&counts[0]), "{}", counts[0]);
        let tenth: u32 = counts[..100].iter().sum();
        assert!((12_000..15_000).contains(&tenth), "{tenth}");
    }
}
