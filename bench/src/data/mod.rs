//! The data sets: keys and values that can be made again from their number.

mod arena;
mod draw;
mod urls;

pub(crate) use arena::{Entries, Keys};
pub(crate) use draw::{Draw, Zipf, mix, shuffled};

/// What is stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(crate) enum DataSet {
    /// Keys of 24 bytes, values of 150.
    Small,
    /// Keys and values of eight bytes.
    U64,
    /// URLs of 40 to 100 bytes, values of 32.
    Urls,
    /// Keys of 16 bytes, values of 4 KiB.
    #[value(name = "4k")]
    Pages,
    /// Keys of 16 bytes, values of 100 KiB.
    #[value(name = "100k")]
    Blobs,
}

/// A value is looked at once in so many bytes, so that every page of it is needed.
const LOOKED_AT_EVERY: usize = 4096;
/// Values are made of words of these.
const WORD: usize = 8;

impl DataSet {
    /// All of them.
    pub(crate) const ALL: [DataSet; 5] =
        [DataSet::Small, DataSet::U64, DataSet::Urls, DataSet::Pages, DataSet::Blobs];

    /// How reports and the command line name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            DataSet::Small => "small",
            DataSet::U64 => "u64",
            DataSet::Urls => "urls",
            DataSet::Pages => "4k",
            DataSet::Blobs => "100k",
        }
    }

    /// The data set of this name.
    pub(crate) fn named(name: &str) -> Option<DataSet> {
        DataSet::ALL.into_iter().find(|set| set.name() == name)
    }

    /// Bytes of each value.
    pub(crate) fn value_bytes(self) -> usize {
        match self {
            DataSet::Small => 150,
            DataSet::U64 => 8,
            DataSet::Urls => 32,
            DataSet::Pages => 4096,
            DataSet::Blobs => 100 << 10,
        }
    }

    /// Whether entries are small: these sets have many, the others few.
    pub(crate) fn is_small(self) -> bool {
        self.value_bytes() < LOOKED_AT_EVERY
    }

    /// Appends the key of entry `number`, which is different for each number.
    pub(crate) fn key(self, number: u64, out: &mut Vec<u8>) {
        match self {
            DataSet::Small => {
                hex(mix(number), 16, out);
                hex(number, 8, out);
            }
            DataSet::U64 => out.extend_from_slice(&mix(number).to_be_bytes()),
            DataSet::Urls => urls::url(number, out),
            DataSet::Pages | DataSet::Blobs => hex(mix(number), 16, out),
        }
    }

    /// Appends the value of entry `number` in its `version`.
    pub(crate) fn value(self, number: u64, version: u32, out: &mut Vec<u8>) {
        let seed = seed(number, version);
        let end = out.len() + self.value_bytes();
        let mut word = 0;
        while out.len() < end {
            let bytes = mix(seed.wrapping_add(word)).to_le_bytes();
            out.extend_from_slice(&bytes[..WORD.min(end - out.len())]);
            word += 1;
        }
    }

    /// What [`worth`] finds in that value.
    pub(crate) fn worth(self, number: u64, version: u32) -> u64 {
        let seed = seed(number, version);
        let words = (0..self.value_bytes()).step_by(LOOKED_AT_EVERY).map(|at| (at / WORD) as u64);
        words.fold(0, |sum, word| sum.wrapping_add(mix(seed.wrapping_add(word))))
    }

    /// Bytes of the key of entry `number`.
    pub(crate) fn key_bytes(self, number: u64) -> u64 {
        match self {
            DataSet::Small => 24,
            DataSet::U64 => 8,
            DataSet::Pages | DataSet::Blobs => 16,
            DataSet::Urls => {
                let mut key = Vec::new();
                self.key(number, &mut key);
                key.len() as u64
            }
        }
    }

    /// Numbers below `count` in the order of their keys.
    pub(crate) fn sorted(self, count: u64) -> Vec<u64> {
        let mut numbers: Vec<u64> = (0..count).collect();
        if self == DataSet::Urls {
            let all = Keys::of(self, &numbers);
            numbers.sort_unstable_by(|a, b| all.get(*a as usize).cmp(all.get(*b as usize)));
        } else {
            // These keys begin with the number's mix, or its digits.
            numbers.sort_unstable_by_key(|number| mix(*number));
        }
        numbers
    }
}

fn seed(number: u64, version: u32) -> u64 {
    mix(number ^ mix(u64::from(version)))
}

/// Appends the lowest `digits` hexadecimal digits.
fn hex(number: u64, digits: u32, out: &mut Vec<u8>) {
    for digit in (0..digits).rev() {
        out.push(b"0123456789abcdef"[(number >> (4 * digit) & 15) as usize]);
    }
}

/// What a value is worth in a sum: a word of each of its pages. So no store can give back a value
/// without fetching it.
pub(crate) fn worth(value: &[u8]) -> u64 {
    let words = value.chunks(LOOKED_AT_EVERY).filter_map(|page| page.first_chunk());
    words.fold(0, |sum, word| sum.wrapping_add(u64::from_le_bytes(*word)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_differ_and_have_their_length() {
        for set in DataSet::ALL {
            let mut keys = Keys::default();
            (0..10_000).for_each(|number| keys.push(set, number));
            let mut seen: Vec<&[u8]> = keys.iter().collect();
            let lengths = seen.iter().enumerate();
            lengths.for_each(|(i, key)| assert_eq!(key.len() as u64, set.key_bytes(i as u64)));
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(seen.len(), 10_000, "{set:?}");
        }
        assert_eq!(DataSet::named("100k"), Some(DataSet::Blobs));
    }

    #[test]
    fn values_are_worth_what_is_expected_of_them() {
        for set in DataSet::ALL {
            let (mut first, mut second) = (Vec::new(), Vec::new());
            set.value(7, 1, &mut first);
            set.value(7, 2, &mut second);
            assert_eq!(first.len(), set.value_bytes());
            assert_ne!(first, second);
            assert_eq!(worth(&first), set.worth(7, 1));
            // Every page counts.
            *first.iter_mut().step_by(LOOKED_AT_EVERY).last().unwrap() ^= 1;
            assert_ne!(worth(&first), set.worth(7, 1));
        }
    }

    #[test]
    fn sorted_numbers_have_sorted_keys() {
        for set in DataSet::ALL {
            assert!(Keys::of(set, &set.sorted(1000)).iter().is_sorted());
        }
    }
}
