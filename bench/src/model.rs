//! What must be in every store: which version of which entry.

use crate::data::{DataSet, Entries, Keys};
use crate::peer::{Failure, Found, Read};
use std::sync::OnceLock;

/// What stands for an entry that is not there.
const ABSENT: u32 = u32::MAX;

/// The entries of a store, by number.
pub(crate) struct Model {
    set: DataSet,
    versions: Vec<u32>,
    latest: u32,
    order: OnceLock<Order>,
}

/// Numbers in the order of their keys, and the place of each in it.
struct Order {
    numbers: Vec<u64>,
    places: Vec<u32>,
}

impl Model {
    /// One without entries.
    pub(crate) fn new(set: DataSet) -> Model {
        Model { set, versions: Vec::new(), latest: 0, order: OnceLock::new() }
    }

    /// How many numbers were ever put.
    pub(crate) fn len(&self) -> u64 {
        self.versions.len() as u64
    }

    /// Puts a version of its own into each of these entries: what to store.
    pub(crate) fn put(&mut self, numbers: &[u64]) -> Entries {
        self.latest += 1;
        let mut entries = Entries::default();
        for number in numbers {
            let at = *number as usize;
            if at >= self.versions.len() {
                self.versions.resize(at + 1, ABSENT);
                self.order = OnceLock::new();
            }
            self.versions[at] = self.latest;
            entries.push(self.set, *number, self.latest);
        }
        entries
    }

    /// Forgets these entries: the keys to remove.
    pub(crate) fn remove(&mut self, numbers: &[u64]) -> Keys {
        numbers.iter().for_each(|number| self.versions[*number as usize] = ABSENT);
        Keys::of(self.set, numbers)
    }

    fn version(&self, number: u64) -> Option<u32> {
        let version = self.versions.get(number as usize).copied();
        version.filter(|version| *version != ABSENT)
    }

    /// What looking these up must find.
    pub(crate) fn gets(&self, numbers: &[u64]) -> Found {
        let mut found = Found::default();
        for number in numbers {
            if let Some(version) = self.version(*number) {
                found.count += 1;
                found.sum = found.sum.wrapping_add(self.set.worth(*number, version));
            }
        }
        found
    }

    fn add_entry(&self, number: u64, found: &mut Found) {
        if let Some(version) = self.version(number) {
            found.count += 1;
            let sum = self.set.worth(number, version).wrapping_add(self.set.key_bytes(number));
            found.sum = found.sum.wrapping_add(sum);
        }
    }

    /// What a scan must find.
    pub(crate) fn scan(&self) -> Found {
        let mut found = Found::default();
        (0..self.len()).for_each(|number| self.add_entry(number, &mut found));
        found
    }

    fn order(&self) -> &Order {
        self.order.get_or_init(|| {
            let numbers = self.set.sorted(self.len());
            let mut places = vec![0; numbers.len()];
            (0..).zip(&numbers).for_each(|(place, number)| places[*number as usize] = place);
            Order { numbers, places }
        })
    }

    /// Numbers in the order of their keys.
    pub(crate) fn sorted(&self) -> &[u64] {
        &self.order().numbers
    }

    /// What ranges of `count` entries must find, each beginning at one of these entries' keys.
    pub(crate) fn ranges(&self, from: &[u64], count: usize) -> Found {
        let order = self.order();
        let mut found = Found::default();
        for number in from {
            let place = order.places[*number as usize] as usize;
            let there = order.numbers[place..].iter().filter(|n| self.version(**n).is_some());
            there.take(count).for_each(|number| self.add_entry(*number, &mut found));
        }
        found
    }

    /// Compares whole values of these entries with what a store has.
    pub(crate) fn check(
        &self,
        store: &str,
        reader: &dyn Read,
        numbers: impl Iterator<Item = u64>,
    ) -> Result<(), Failure> {
        for number in numbers {
            let (mut key, mut value) = (Vec::new(), Vec::new());
            self.set.key(number, &mut key);
            let found = reader.value(&key)?;
            let expected = self.version(number).map(|version| {
                self.set.value(number, version, &mut value);
                &value[..]
            });
            if found.as_deref() != expected {
                return Err(format!("{store}: entry {number} is not what was stored").into());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_knows_what_is_there() {
        let mut model = Model::new(DataSet::Small);
        assert_eq!(model.put(&[0, 1, 2, 3]).len(), 4);
        model.put(&[1]);
        assert_eq!(model.remove(&[2]).len(), 1);
        let found = model.gets(&[0, 1, 2, 3, 9]);
        let worth = |number, version| DataSet::Small.worth(number, version);
        let sum = worth(0, 1).wrapping_add(worth(1, 2)).wrapping_add(worth(3, 1));
        assert_eq!(found, Found { count: 3, sum });
        assert_eq!(model.scan(), Found { count: 3, sum: sum.wrapping_add(3 * 24) });
        let first = model.sorted()[0];
        assert_eq!(model.ranges(&[first], 10), model.scan());
        assert_eq!(model.ranges(&[first], 2).count, 2);
    }
}
