//! Orders to visit pages in.

/// SplitMix64's step (Steele, Lea, Flood 2014).
pub(crate) fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Pseudo-random numbers, the same for the same seed.
pub(crate) struct Random(u64);

impl Random {
    /// Numbers of this seed.
    pub(crate) fn new(seed: u64) -> Random {
        Random(mix(seed))
    }

    /// A number below `bound`, which is not 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = mix(self.0);
        (self.0 % bound.max(1) as u64) as usize
    }
}

/// All numbers below `count`, once each, in no order (Fisher–Yates).
pub(crate) fn shuffled(count: usize, seed: u64) -> Vec<usize> {
    let mut random = Random::new(seed);
    let mut numbers: Vec<usize> = (0..count).collect();
    for at in (1..count).rev() {
        numbers.swap(at, random.below(at + 1));
    }
    numbers
}

/// `count` different numbers below `of`, in no order; all of them where there are no more.
pub(crate) fn chosen(count: usize, of: usize, seed: u64) -> Vec<usize> {
    let mut numbers = shuffled(of, seed);
    numbers.truncate(count);
    numbers
}

/// For each number below `count` the one that follows it, on a way that visits all of them before it comes
/// back (Sattolo).
pub(crate) fn ring(count: usize, seed: u64) -> Vec<usize> {
    let order = shuffled(count, seed);
    let mut next = vec![0; count];
    for (at, number) in order.iter().enumerate() {
        next[*number] = order[(at + 1) % count];
    }
    next
}

#[cfg(test)]
mod tests {
    use super::{chosen, ring};

    #[test]
    fn a_ring_visits_all() {
        let next = ring(1000, 3);
        let mut seen = vec![false; next.len()];
        let mut at = 0;
        for _ in 0..next.len() {
            assert!(!std::mem::replace(&mut seen[at], true), "{at} twice");
            at = next[at];
        }
        assert_eq!(at, 0);
    }

    #[test]
    fn chosen_are_different() {
        let mut numbers = chosen(50, 100, 1);
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), 50);
        assert_eq!(chosen(50, 10, 1).len(), 10);
    }
}
