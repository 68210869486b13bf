//! What the histories put in their trees.

use mapleaf_btree::TreeOptions;

pub(crate) fn key_of(seed: u16) -> Vec<u8> {
    match seed % 4 {
        0 => vec![b'k'; usize::from(seed / 4) % 60],
        1 => format!("user/{:05}", seed % 2000).into_bytes(),
        2 => [&[b'p'; 40][..], &seed.to_be_bytes()].concat(),
        _ => seed.to_be_bytes().to_vec(),
    }
}

fn value_of(seed: u16, at: usize) -> Vec<u8> {
    let len = match seed % 32 {
        0 => usize::from(seed) % 9000,
        1..=8 => 90,
        n => usize::from(n),
    };
    (0..len).map(|i| (at * 31 + i * 7) as u8).collect()
}

/// Bytes of keys and values of a tree that has one size of each.
pub(crate) const FIXED_WIDTH: (u16, u16) = (9, 14);

/// The tree that a seed is about, its options, a key and a value of its sizes.
pub(crate) fn entry_of(tree: u8, seed: u16, at: usize) -> (String, TreeOptions, Vec<u8>, Vec<u8>) {
    if tree % 8 == 3 {
        let (key_bytes, value_bytes) = FIXED_WIDTH;
        let mut key = format!("{seed:05}").into_bytes();
        key.resize(usize::from(key_bytes), b'-');
        let value = (0..usize::from(value_bytes)).map(|i| (at * 31 + i * 7) as u8).collect();
        let options = TreeOptions::default().fixed_width(key_bytes, value_bytes);
        return ("fixed width".into(), options, key, value);
    }
    // Two large trees, and many small ones.
    let name = format!("tree {}", if tree.is_multiple_of(4) { tree % 40 } else { tree % 2 });
    (name, TreeOptions::default(), key_of(seed), value_of(seed, at))
}
