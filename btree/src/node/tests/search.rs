//! The searches over heads against linear ones.

use super::super::layout::{common_len, without};
use super::super::search::{
    BLOCK, BLOCK_BYTES, BLOCKS_MAX, block_of, cmp_stored, equal_bits, find_equal, long_head,
    lower_bound, lower_bound_of, upper_bound,
};
use super::*;
use quickcheck::quickcheck;

/// Numbers near each other and at both ends of what a head can be.
fn heads_of(numbers: &[u8]) -> Vec<u32> {
    let spread = |n: u8| match n % 4 {
        0 => u32::from(n / 4),
        1 => u32::MAX - u32::from(n / 64),
        2 => u32::from(n) << 24,
        _ => 0x6162_6300 + u32::from(n / 32),
    };
    numbers.iter().map(|n| spread(*n)).collect()
}

fn stored(heads: &[u32]) -> Vec<[u8; 4]> {
    heads.iter().map(|head| head.to_le_bytes()).collect()
}

quickcheck! {
    fn bounds_are_the_naive_ones(numbers: Vec<u8>, needles: Vec<u8>) -> bool {
        let mut heads = heads_of(&numbers);
        heads.sort();
        let words = stored(&heads);
        let needles = heads_of(&needles).into_iter().chain(heads.clone());
        needles.chain([0, u32::MAX]).all(|needle| {
            lower_bound(&words, needle) == heads.iter().filter(|head| **head < needle).count()
                && upper_bound(&words, needle) == heads.iter().filter(|head| **head <= needle).count()
        })
    }

    /// In order, none behind the count, and it stops when told to; the words need not be sorted.
    fn equal_heads_are_all_found(numbers: Vec<u8>, count: usize, needle: u8) -> bool {
        let heads = heads_of(&numbers);
        let words = stored(&heads);
        let count = count % (heads.len() + 1);
        let needle = heads_of(&[needle])[0];
        let expected: Vec<usize> = (0..count).filter(|i| heads[*i] == needle).collect();
        let mut seen = Vec::new();
        let none = find_equal(&words, count, needle, |i| {
            seen.push(i);
            None::<usize>
        });
        none.is_none()
            && seen == expected
            && find_equal(&words, count, needle, Some) == expected.first().copied()
    }
}

/// The lower bound by blocks and within one is that of all keys, whatever there are: in no block, in part of one, at its
/// edges, in more than are told apart.
fn blocks_lead_to_the_bound<const N: usize>(count: usize, spread: u64) {
    let keys: Vec<[u8; N]> = (0..count as u64)
        .map(|i| {
            let mut key = [0; N];
            let number = (i * spread).to_be_bytes();
            let len = N.min(8);
            key[..len].copy_from_slice(&number[8 - len..]);
            key
        })
        .collect();
    let heads: Vec<u64> = keys.iter().map(|key| long_head(key)).collect();
    let around =
        heads.iter().flat_map(|head| [head.saturating_sub(1), *head, head.saturating_add(1)]);
    for needle in around.chain([0, u64::MAX]) {
        let (start, block) = block_of::<N>(keys.as_flattened(), needle);
        let all = count * N > BLOCKS_MAX * BLOCK_BYTES;
        assert!(all || block.len() <= BLOCK_BYTES, "{count}: a block of {}", block.len());
        let bound = start + lower_bound_of::<N>(block, needle);
        assert_eq!(bound, heads.iter().filter(|head| **head < needle).count(), "{count}: {needle}");
    }
}

#[test]
fn a_block_of_keys_leads_to_the_lower_bound_of_all() {
    for per_block in [BLOCK_BYTES / 4, BLOCK_BYTES / 8, BLOCK_BYTES / 16] {
        let edges = [1, 2, 7, BLOCKS_MAX, BLOCKS_MAX + 1].map(|blocks| blocks * per_block);
        let counts = edges.into_iter().flat_map(|edge| [edge - 1, edge, edge + 1]);
        for count in counts.chain([0, 1, 2]) {
            // Keys that are equal in their heads, too.
            for spread in [0, 1, 1000] {
                blocks_lead_to_the_bound::<4>(count, spread);
                blocks_lead_to_the_bound::<8>(count, spread);
                blocks_lead_to_the_bound::<16>(count, spread);
            }
        }
    }
}

quickcheck! {
    fn stored_keys_compare_as_bytes_do(common: Vec<u8>, a: Vec<u8>, b: Vec<u8>) -> bool {
        let (longer, other) = ([&common[..], &a].concat(), [&common[..], &b].concat());
        cmp_stored(&longer, &other) == longer.cmp(&other)
            && cmp_stored(&longer, &common) == longer.cmp(&common)
            && cmp_stored(&common, &other) == common.cmp(&other)
            && cmp_stored(&common, &common.clone()).is_eq()
    }

    /// However the keys are cut into parts.
    fn common_length_is_the_naive_one(common: Vec<u8>, a: Vec<u8>, b: Vec<u8>, cuts: (usize, usize)) -> bool {
        let (a, b) = ([&common[..], &a].concat(), [&common[..], &b].concat());
        let naive = a.iter().zip(&b).take_while(|(x, y)| x == y).count();
        let (a0, a1) = a.split_at(cuts.0 % (a.len() + 1));
        let (b0, b1) = b.split_at(cuts.1 % (b.len() + 1));
        common_len(Key::new(a0, a1), Key::new(b0, b1)) == naive
            && bytes_of(without(Key::new(a0, a1), naive)) == a[naive..]
            && bytes_of(without(Key::new(a0, a1), a.len() + 1)).is_empty()
    }
}

#[test]
fn each_place_of_a_block_has_its_bit() {
    for place in 0..BLOCK {
        let mut block = [[1, 2, 3, 4]; BLOCK];
        block[place] = 9u32.to_le_bytes();
        assert_eq!(equal_bits(&block, 9), 1 << place);
    }
    assert_eq!(equal_bits(&[[7, 0, 0, 0]; BLOCK], 7), (1 << BLOCK) - 1);
}
