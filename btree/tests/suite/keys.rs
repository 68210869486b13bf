//! Keys in parts compare, hash and print as the bytes they stand for, wherever they are cut.

use mapleaf_btree::Key;
use quickcheck::quickcheck;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

fn cut(bytes: &[u8], at: u8) -> Key<'_> {
    let (prefix, suffix) = bytes.split_at(usize::from(at) % (bytes.len() + 1));
    Key::new(prefix, suffix)
}

fn hashed(key: &Key<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}

/// What `a` and `b` say of each other as slices, their keys must.
fn agrees(a: &[u8], at: u8, b: &[u8], other_at: u8) -> bool {
    let (key, other) = (cut(a, at), cut(b, other_at));
    let common = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    (key == other) == (a == b)
        && key.cmp(&other) == a.cmp(b)
        && key.partial_cmp(&other) == Some(a.cmp(b))
        && key.partial_cmp(b) == Some(a.cmp(b))
        && key.cmp_bytes(b) == a.cmp(b)
        && (key == *b) == (a == b)
        && key.starts_with(b) == a.starts_with(b)
        && key.common_len(&other) == common
        && key.truncated(b.len()).parts().concat() == a[..b.len().min(a.len())]
        && (a != b || hashed(&key) == hashed(&other))
        && (key.len(), key.is_empty()) == (a.len(), a.is_empty())
        && key.as_slice().is_none_or(|whole| whole == a)
}

quickcheck! {
    fn keys_are_their_bytes(a: Vec<u8>, at: u8, b: Vec<u8>, other_at: u8, shared: u8) -> bool {
        // Random keys seldom have a byte in common.
        let shared = usize::from(shared) % (a.len() + 1);
        let close = [&a[..shared], &b].concat();
        let mut buffer = [0xEE; 300];
        let copied = cut(&a, at).copy_to(&mut buffer).map(<[u8]>::to_vec);
        agrees(&a, at, &b, other_at)
            && agrees(&a, at, &close, other_at)
            && agrees(&close, other_at, &a, at)
            && agrees(&a, at, &a, other_at)
            && copied.as_deref() == (a.len() <= 300).then_some(&a[..])
            && (a.is_empty() || cut(&a, at).copy_to(&mut vec![0; a.len() - 1]).is_none())
    }
}

#[test]
fn keys_compare_with_literals() {
    let key = Key::new(b"us", b"er");
    assert!(key == "user" && key == *"user" && key == b"user" && key == *b"user");
    assert!(key != "use" && key != "users" && key != b"usea" && key != *b"user\0");
    let slice = &b"user"[..];
    assert!(key == slice && key.as_slice().is_none());
    assert_eq!(format!("{key:?}"), "\"user\"");
    assert!(Key::from(&b""[..]).is_empty());
}
