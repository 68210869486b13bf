//! Damaged files.
//!
//! Invariants checked: damage is an error, never a panic or a wrong value; what opens all the same is sound
//! and goes on.

use mapleaf::{Builder, Database};
use std::collections::BTreeSet;
use std::path::Path;

type Entries = BTreeSet<(Vec<u8>, Vec<u8>)>;

/// A file with everything in it, whose last commits are in the log only; and every entry it ever had.
fn sample() -> (Vec<u8>, Entries) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.leaf");
    let builder = Builder::new().log_bytes(128 << 10, 128 << 10);
    let db = builder.open_buffered(&path).unwrap();
    let mut ever = BTreeSet::new();
    for round in 0..6u32 {
        let mut txn = db.write().unwrap();
        let mut tree = txn.tree("t").unwrap();
        for i in 0..60u32 {
            let key = (i * 37 % 90 + round).to_be_bytes().to_vec();
            let value = vec![round as u8; [20, 300, 5000][(i % 3) as usize]];
            tree.insert(&key, &value).unwrap();
            ever.insert((key, value));
        }
        txn.commit().unwrap();
        if round == 3 {
            db.checkpoint().unwrap();
        }
    }
    (std::fs::read(&path).unwrap(), ever)
}

/// Opens damaged bytes; whether they opened.
fn open_damaged(path: &Path, bytes: &[u8], ever: &Entries) -> bool {
    std::fs::write(path, bytes).unwrap();
    let Ok(db) = Database::open_buffered(path) else { return false };
    if let Ok(tree) = db.read().unwrap().tree("t") {
        for entry in tree.iter() {
            let (key, value) = entry.unwrap();
            // Damage to the log may cut off the last commits; it never changes one.
            assert!(ever.contains(&(key.to_vec(), value.to_vec())), "{key:?}");
        }
    }
    let mut txn = db.write().unwrap();
    txn.tree("t").unwrap().insert(b"new", b"1").unwrap();
    txn.commit().unwrap();
    assert!(db.check().unwrap().is_sound());
    true
}

#[test]
fn a_damaged_file_opens_right_or_not_at_all() {
    let (whole, ever) = sample();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.leaf");
    let mut state = 0x9E37_79B9_u64;
    let mut random = move |below: usize| {
        // xorshift64: the same damages in every run.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as usize % below
    };
    // Metas, the log's first blocks, and everything behind the log.
    let log_end = 8192 + (128 << 10);
    let places = [0..8192, 8192..40_960, log_end..whole.len()];
    let mut opened = 0;
    for round in 0..240 {
        let mut bytes = whole.clone();
        let place = &places[round % 3];
        for _ in 0..=random(3) {
            bytes[place.start + random(place.len())] ^= 1 << random(8);
        }
        if round % 10 == 0 {
            bytes.truncate(random(whole.len() - 1) + 1);
        }
        opened += usize::from(open_damaged(&path, &bytes, &ever));
    }
    assert!((40..200).contains(&opened), "{opened} of 240 opened: the damage tests nothing");
}
