//! Keys and values that can be made again from their number, and an order to visit them in.

/// Bytes of a key.
pub(crate) const KEY_BYTES: usize = 24;
/// Bytes of a value.
pub(crate) const VALUE_BYTES: usize = 150;

/// A key: 24 letters and digits in no order.
pub(crate) type Key = [u8; KEY_BYTES];
/// A value.
pub(crate) type Value = [u8; VALUE_BYTES];

/// SplitMix64's step (Steele, Lea, Flood 2014): a bijection of 64-bit numbers.
pub(crate) fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// The key of entry `number`: different for each number.
pub(crate) fn key(number: u64) -> Key {
    let mut key = [0; KEY_BYTES];
    let (high, low) = (mix(number), number as u32);
    for (i, digit) in key.iter_mut().enumerate() {
        let nibble = if i < 16 { high >> (60 - 4 * i) } else { u64::from(low >> (92 - 4 * i)) };
        *digit = b"0123456789abcdef"[(nibble & 15) as usize];
    }
    key
}

/// The value of entry `number` in its `version`.
pub(crate) fn value(number: u64, version: u64) -> Value {
    let mut value = [0; VALUE_BYTES];
    let mut seed = mix(number ^ mix(version));
    for chunk in value.chunks_mut(8) {
        seed = mix(seed);
        chunk.copy_from_slice(&seed.to_le_bytes()[..chunk.len()]);
    }
    value
}

/// An entry, made beforehand so that making it is not measured.
pub(crate) type Entry = (Key, Value);

/// Entries of these numbers in their `version`.
pub(crate) fn entries(numbers: &[u64], version: u64) -> Vec<Entry> {
    numbers.iter().map(|number| (key(*number), value(*number, version))).collect()
}

/// What a value is worth in a sum: its first eight bytes.
pub(crate) fn worth(value: &[u8]) -> u64 {
    value.first_chunk().map_or(0, |chunk| u64::from_le_bytes(*chunk))
}

/// All numbers below `count`, once each, in no order (Fisher–Yates).
pub(crate) fn shuffled(count: u64, seed: u64) -> Vec<u64> {
    let mut numbers: Vec<u64> = (0..count).collect();
    let mut state = seed;
    for at in (1..numbers.len()).rev() {
        state = mix(state);
        numbers.swap(at, (state % (at as u64 + 1)) as usize);
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_differ_and_numbers_come_once() {
        let mut keys: Vec<Key> = (0..10_000).map(key).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), 10_000);
        let mut numbers = shuffled(1000, 7);
        assert_ne!(numbers, (0..1000).collect::<Vec<_>>());
        numbers.sort_unstable();
        assert_eq!(numbers, (0..1000).collect::<Vec<_>>());
    }
}
