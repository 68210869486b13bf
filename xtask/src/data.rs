//! Random numbers, keys and values that can be made again.

/// SplitMix64's step (Steele, Lea, Flood 2014): a bijection of 64-bit numbers.
pub(crate) fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// The 24-byte key of entry `number`: different for each number, in no order.
pub(crate) fn key(number: u64) -> [u8; 24] {
    let mut key = [0; 24];
    let text = format!("{:016x}{:08x}", mix(number), number as u32);
    key.copy_from_slice(text.as_bytes());
    key
}

/// The value of entry `number` in its `version`, of `len` bytes.
pub(crate) fn value(number: u64, version: u64, len: usize) -> Vec<u8> {
    let mut value = vec![0; len];
    let mut seed = mix(number ^ mix(version));
    for chunk in value.chunks_mut(8) {
        seed = mix(seed);
        chunk.copy_from_slice(&seed.to_le_bytes()[..chunk.len()]);
    }
    value
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
