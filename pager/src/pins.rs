//! Pins: which states somebody may still read or recover to.

use crate::TxnId;

/// Distinct pins kept apart; beyond that the closest two become one range.
const PINS_MAX: usize = 64;

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
        let ranges = self.as_slice();
        let at = ranges.partition_point(|range| range.1 < birth);
        birth < freed_at && ranges.get(at).is_some_and(|range| range.0 < freed_at)
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

    /// Number of ranges.
    pub(crate) fn len(&self) -> usize {
        self.len
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
