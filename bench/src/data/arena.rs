//! Keys and entries one behind the other in memory, made beforehand so that making them is not measured.

use super::DataSet;

/// Keys, one behind the other.
#[derive(Default)]
pub(crate) struct Keys {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Keys {
    /// The keys of these entries.
    pub(crate) fn of(set: DataSet, numbers: &[u64]) -> Keys {
        let mut keys = Keys::default();
        numbers.iter().for_each(|number| keys.push(set, *number));
        keys
    }

    /// Adds the key of entry `number`.
    pub(crate) fn push(&mut self, set: DataSet, number: u64) {
        set.key(number, &mut self.bytes);
        self.ends.push(self.bytes.len());
    }

    /// How many.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// One of them.
    pub(crate) fn get(&self, at: usize) -> &[u8] {
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.bytes[start..self.ends[at]]
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).map(|at| self.get(at))
    }
}

/// Keys with their values, one behind the other.
#[derive(Default)]
pub(crate) struct Entries {
    bytes: Vec<u8>,
    /// Where each key and its value end.
    ends: Vec<(usize, usize)>,
}

impl Entries {
    /// Adds entry `number` in its `version`.
    pub(crate) fn push(&mut self, set: DataSet, number: u64, version: u32) {
        set.key(number, &mut self.bytes);
        let key_end = self.bytes.len();
        set.value(number, version, &mut self.bytes);
        self.ends.push((key_end, self.bytes.len()));
    }

    /// How many.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// One of them.
    pub(crate) fn get(&self, at: usize) -> (&[u8], &[u8]) {
        let start = if at == 0 { 0 } else { self.ends[at - 1].1 };
        let (key_end, value_end) = self.ends[at];
        (&self.bytes[start..key_end], &self.bytes[key_end..value_end])
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        (0..self.len()).map(|at| self.get(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_back_as_they_went_in() {
        let mut entries = Entries::default();
        entries.push(DataSet::Urls, 5, 1);
        entries.push(DataSet::Urls, 6, 1);
        let keys = Keys::of(DataSet::Urls, &[5, 6]);
        let mut value = Vec::new();
        DataSet::Urls.value(6, 1, &mut value);
        assert_eq!(entries.get(1), (keys.get(1), &value[..]));
        assert_eq!(entries.iter().count(), 2);
        assert_eq!(keys.iter().next(), Some(keys.get(0)));
    }
}
