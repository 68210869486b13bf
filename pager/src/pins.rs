//! Pins: which states somebody may still read or recover to.

use crate::TxnId;

/// Distinct pins kept apart; beyond that the closest two become one range.
const PINS_MAX: usize = if cfg!(feature = "large") { 64 } else { 8 };

/// A set of pinned states: sorted, disjoint ranges of transaction numbers, both ends included.
///
/// Plain data of fixed size. When more pins are added than it holds, neighbours are merged into a
/// range that also pins everything between them: too much is pinned then, never too little.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Pins {
    ranges: [(TxnId, TxnId); PINS_MAX],
    len: usize,
}

impl Pins {
    /// Nothing is pinned.
    pub(crate) const fn new() -> Pins {
        Pins { ranges: [(TxnId(0), TxnId(0)); PINS_MAX], len: 0 }
    }

    /// Nothing is pinned any more.
    pub(crate) fn clear(&mut self) {
        self.len = 0;
    }

    /// Pins one state.
    pub(crate) fn add(&mut self, state: TxnId) {
        self.add_range(state, state);
    }

    /// Pins every state from `from` on.
    pub(crate) fn blanket(&mut self, from: TxnId) {
        self.add_range(from, TxnId(u64::MAX));
    }

    /// Pins every state there is: for a reader whose pin could not be read.
    pub(crate) fn pin_everything(&mut self) {
        self.blanket(TxnId(0));
    }

    /// Whether a page that was born at `birth` and freed at `freed_at` is visible in a pinned state.
    /// O(log pins).
    pub(crate) fn pinned(&self, birth: TxnId, freed_at: TxnId) -> bool {
        self.pinned_by(birth, freed_at).is_some()
    }

    /// The first range of pins, if any, in which such a page is visible. O(log pins).
    pub(crate) fn pinned_by(&self, birth: TxnId, freed_at: TxnId) -> Option<(TxnId, TxnId)> {
        let ranges = self.as_slice();
        let at = ranges.partition_point(|range| range.1 < birth);
        ranges.get(at).copied().filter(|range| birth < freed_at && range.0 < freed_at)
    }

    /// Whether this very state is pinned.
    pub(crate) fn contains(&self, state: TxnId) -> bool {
        let ranges = self.as_slice();
        let at = ranges.partition_point(|range| range.1 < state);
        ranges.get(at).is_some_and(|range| range.0 <= state)
    }

    /// The newest pin below `freed_at`; a range counts as one pin at its start.
    pub(crate) fn newest_below(&self, freed_at: TxnId) -> Option<TxnId> {
        let ranges = self.as_slice();
        let below = ranges.partition_point(|range| range.0 < freed_at);
        Some(ranges.get(below.checked_sub(1)?)?.0)
    }

    /// The pinned ranges, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (TxnId, TxnId)> + '_ {
        self.as_slice().iter().copied()
    }

    fn as_slice(&self) -> &[(TxnId, TxnId)] {
        self.ranges.get(..self.len).unwrap_or(&[])
    }

    fn add_range(&mut self, first: TxnId, last: TxnId) {
        // Ranges `from..to` overlap the new one and become part of it.
        let from = self.as_slice().partition_point(|range| range.1 < first);
        let to = self.as_slice().partition_point(|range| range.0 <= last);
        if from < to {
            let (low, high) = (self.ranges[from].0.min(first), self.ranges[to - 1].1.max(last));
            self.ranges[from] = (low, high);
            self.ranges.copy_within(to..self.len, from + 1);
            self.len -= to - from - 1;
            return;
        }
        if self.len == PINS_MAX {
            self.merge_closest();
            return self.add_range(first, last);
        }
        self.ranges.copy_within(from..self.len, from + 1);
        self.ranges[from] = (first, last);
        self.len += 1;
    }

    /// Makes one range of the two neighbours with the fewest states between them.
    fn merge_closest(&mut self) {
        let gap = |at: &usize| self.ranges[at + 1].0.0 - self.ranges[*at].1.0;
        let Some(at) = (0..self.len.saturating_sub(1)).min_by_key(gap) else {
            return;
        };
        self.ranges[at].1 = self.ranges[at + 1].1;
        self.ranges.copy_within(at + 2..self.len, at + 1);
        self.len -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quickcheck::quickcheck;
    use std::collections::BTreeSet;
    use std::vec::Vec;

    fn of(states: &[u8]) -> Pins {
        let mut pins = Pins::new();
        states.iter().for_each(|state| pins.add(TxnId(u64::from(*state))));
        pins
    }

    quickcheck! {
        /// Against a set of single states, while they fit.
        fn agrees_with_a_set(states: Vec<u8>, from: Option<u8>, birth: u8, freed_at: u8) -> bool {
            let mut states = states;
            states.truncate(PINS_MAX);
            let mut pins = of(&states);
            let mut naive: BTreeSet<u64> = states.iter().map(|state| u64::from(*state)).collect();
            if let Some(from) = from {
                pins.blanket(TxnId(u64::from(from)));
                naive.extend(u64::from(from)..=256);
            }
            let (birth, freed_at) = (u64::from(birth), u64::from(freed_at));
            let seen = birth < freed_at && naive.range(birth..freed_at).next().is_some();
            let newest = naive.range(..freed_at).next_back().copied();
            // A blanket counts as one pin at its start.
            let newest = match (newest, from.map(u64::from)) {
                (Some(newest), Some(from)) => Some(newest.min(from)),
                (newest, _) => newest,
            };
            pins.pinned(TxnId(birth), TxnId(freed_at)) == seen
                && pins.contains(TxnId(birth)) == naive.contains(&birth)
                && pins.newest_below(TxnId(freed_at)).map(|pin| pin.0) == newest
        }

        /// However many there are, none is forgotten, and the order of adding does not matter.
        fn never_pins_too_little(states: Vec<u8>, birth: u8, freed_at: u8) -> bool {
            let mut all: Vec<u8> = states.iter().flat_map(|s| [*s, s.wrapping_mul(37)]).collect();
            all.extend((0..90).map(|i| i * 2));
            let pins = of(&all);
            let seen = all.iter().any(|state| birth <= *state && *state < freed_at);
            let (birth, freed_at) = (TxnId(u64::from(birth)), TxnId(u64::from(freed_at)));
            let ordered: Vec<_> = pins.iter().collect();
            (!seen || pins.pinned(birth, freed_at))
                && all.iter().all(|state| pins.contains(TxnId(u64::from(*state))))
                && ordered.len() <= PINS_MAX
                && ordered.iter().all(|range| range.0 <= range.1)
                && ordered.windows(2).all(|pair| pair[0].1 < pair[1].0)
        }
    }

    #[test]
    fn what_a_state_sees() {
        let pins = of(&[5]);
        let pinned = |birth, freed_at| pins.pinned(TxnId(birth), TxnId(freed_at));
        assert!(pinned(5, 6), "born in the state");
        assert!(pinned(1, 6));
        assert!(!pinned(1, 5), "freed by the state");
        assert!(!pinned(6, 9), "born after it");
        assert!(!pinned(5, 5), "never seen by anybody");
    }

    /// Else many readers that begin one after the other would have what was freed between older ones kept, and the
    /// file grow.
    #[test]
    fn of_more_pins_than_fit_the_two_closest_become_one() {
        for close in 1..PINS_MAX as u64 {
            let mut pins = Pins::new();
            let state = |at: u64| TxnId(10 * at + if at < close { 2 } else { 0 });
            (0..=PINS_MAX as u64).for_each(|at| pins.add(state(at)));
            for at in 1..PINS_MAX as u64 {
                let (before, here) = (state(at - 1), state(at));
                let between = pins.pinned(before.next(), here);
                assert_eq!(between, at == close, "between {before} and {here}, {close}");
            }
        }
    }

    #[test]
    fn everything() {
        let mut pins = of(&[3, 9]);
        pins.pin_everything();
        assert!(
            pins.pinned(TxnId(0), TxnId(1)) && pins.pinned(TxnId(u64::MAX - 1), TxnId(u64::MAX))
        );
        assert!(!pins.pinned(TxnId(7), TxnId(7)));
        assert_eq!(pins.iter().count(), 1);
        pins.clear();
        assert!(!pins.pinned(TxnId(0), TxnId(u64::MAX)));
    }
}
