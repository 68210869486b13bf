//! XXH3-64, of which all checksums are made.
//!
//! Two crates compute it. `xxhash-rust` needs nothing, and uses the vectors that every processor of its target
//! has; `twox-hash` (feature `wide`) asks std for wider ones when it runs: a page of 4 KiB takes half the time.

#[cfg(feature = "wide")]
use twox_hash::XxHash3_64;

/// The hash of `bytes`.
pub(crate) fn xxh3(bytes: &[u8]) -> u64 {
    #[cfg(feature = "wide")]
    return XxHash3_64::oneshot(bytes);
    // Without a seed it is the hash with seed 0: one copy of it in small programs.
    #[cfg(not(feature = "wide"))]
    xxh3_seeded(bytes, 0)
}

/// The hash of both, one behind the other.
#[cfg(feature = "locality")]
pub(crate) fn xxh3_of_two(first: &[u8], second: &[u8]) -> u64 {
    #[cfg(feature = "wide")]
    {
        use core::hash::Hasher as _;
        use twox_hash::xxhash3_64::{RawHasher, SecretBuffer};
        let mut hasher = RawHasher::new(SecretBuffer::default());
        hasher.write(first);
        hasher.write(second);
        hasher.finish()
    }
    #[cfg(not(feature = "wide"))]
    {
        let mut hasher = xxhash_rust::xxh3::Xxh3::new();
        hasher.update(first);
        hasher.update(second);
        hasher.digest()
    }
}

/// The hash of `bytes` with a seed.
pub(crate) fn xxh3_seeded(bytes: &[u8], seed: u64) -> u64 {
    #[cfg(feature = "wide")]
    return XxHash3_64::oneshot_with_seed(seed, bytes);
    #[cfg(not(feature = "wide"))]
    xxhash_rust::xxh3::xxh3_64_with_seed(bytes, seed)
}

#[cfg(test)]
mod tests {
    use quickcheck::quickcheck;
    use std::vec::Vec;
    use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

    quickcheck! {
        // Else a file that one build has written would be damaged for the other.
        fn is_the_same_in_every_build(bytes: Vec<u8>, times: u8, seed: u64) -> bool {
            let bytes = bytes.repeat(usize::from(times));
            super::xxh3(&bytes) == xxh3_64(&bytes)
                && super::xxh3_seeded(&bytes, seed) == xxh3_64_with_seed(&bytes, seed)
        }

        // Else a value would be damaged as soon as it is looked at.
        #[cfg(feature = "locality")]
        fn is_the_same_in_two_pieces(bytes: Vec<u8>, times: u8, cut: usize) -> bool {
            let bytes = bytes.repeat(usize::from(times));
            let (first, second) = bytes.split_at(cut % (bytes.len() + 1));
            super::xxh3_of_two(first, second) == xxh3_64(&bytes)
        }
    }
}
