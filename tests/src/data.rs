//! Keys and values that can be made again from their number.

/// SplitMix64's step (Steele, Lea, Flood 2014): a bijection of 64-bit numbers.
#[must_use]
pub fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// The 24-byte key of entry `number`, in no order. Makes no use of the heap.
#[must_use]
pub fn key(number: u64) -> [u8; 24] {
    let mut key = [0; 24];
    for (i, digit) in key.iter_mut().enumerate() {
        let nibble = if i < 16 { mix(number) >> (60 - 4 * i) } else { number >> (92 - 4 * i) };
        *digit = b"0123456789abcdef"[(nibble & 15) as usize];
    }
    key
}

/// Fills `value` with what entry `number` has in its `version`.
pub fn fill(value: &mut [u8], number: u64, version: u64) {
    let mut seed = mix(number ^ mix(version));
    for chunk in value.chunks_mut(8) {
        seed = mix(seed);
        chunk.copy_from_slice(&seed.to_le_bytes()[..chunk.len()]);
    }
}

/// The value of entry `number` in its `version`, of `len` bytes.
#[must_use]
pub fn value(number: u64, version: u64, len: usize) -> Vec<u8> {
    let mut value = vec![0; len];
    fill(&mut value, number, version);
    value
}
