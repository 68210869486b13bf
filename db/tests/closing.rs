//! What closing gives back: a file from which most was removed ends behind what is left of it.

use mapleaf::Database;
use std::path::Path;

/// Entries at first, of about 300 bytes each.
const ENTRIES: u32 = 60_000;
/// One in so many stays, in the first tree.
const KEPT: u32 = 1_000;

fn open(path: &Path) -> Database {
    // SAFETY: the test made the file, and nothing else changes it.
    unsafe { Database::open(path) }.unwrap()
}

/// Numbers below `ENTRIES`, each once, far from sorted.
fn shuffled(salt: u32) -> impl Iterator<Item = u32> {
    (0..ENTRIES).map(move |n| (n + salt).wrapping_mul(7919) % ENTRIES)
}

fn key(number: u32) -> [u8; 8] {
    (u64::from(number).wrapping_mul(0x9E37_79B9_7F4A_7C15)).to_be_bytes()
}

fn fill(db: &Database, tree: &str) {
    let numbers: Vec<u32> = shuffled(0).collect();
    for batch in numbers.chunks(5_000) {
        let mut txn = db.write().unwrap();
        let mut entries = txn.tree(tree).unwrap();
        for number in batch {
            entries.insert(&key(*number), &[number.to_le_bytes()[0]; 290]).unwrap();
        }
        txn.commit().unwrap();
    }
}

#[test]
fn what_is_free_is_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("closing.leaf");
    let db = open(&path);
    fill(&db, "kept");
    fill(&db, "emptied");
    db.close().unwrap();
    let full = std::fs::metadata(&path).unwrap().len();

    let db = open(&path);
    let numbers: Vec<u32> = shuffled(1).collect();
    for batch in numbers.chunks(5_000) {
        let mut txn = db.write().unwrap();
        for number in batch {
            assert!(txn.tree("emptied").unwrap().remove(&key(*number)).unwrap());
            if number % KEPT != 0 {
                assert!(txn.tree("kept").unwrap().remove(&key(*number)).unwrap());
            }
        }
        txn.commit().unwrap();
    }
    db.close().unwrap();
    let emptied = std::fs::metadata(&path).unwrap().len();
    // 60 entries are left, and the smallest log, before which there is what was free when it was moved.
    assert!(emptied < 4 << 20, "{emptied} bytes of {full}");

    let db = open(&path);
    assert!(db.check().unwrap().is_sound());
    let snapshot = db.read().unwrap();
    assert!(snapshot.tree("emptied").unwrap().is_empty());
    let kept = snapshot.tree("kept").unwrap();
    assert_eq!(kept.len(), u64::from(ENTRIES / KEPT));
    for number in (0..ENTRIES).step_by(KEPT as usize) {
        assert_eq!(kept.get(&key(number)).unwrap(), Some(&[number.to_le_bytes()[0]; 290][..]));
    }
    drop(snapshot);
    // Filled again it is as long as it was.
    fill(&db, "kept");
    fill(&db, "emptied");
    db.close().unwrap();
    let again = std::fs::metadata(&path).unwrap().len();
    assert!(again <= full, "{again} bytes, {full} before");
}

/// Else one load that broke off leaves its file as long as it had become, for ever.
#[test]
fn what_a_transaction_had_taken_that_was_rolled_back_is_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rolled-back.leaf");
    let db = open(&path);
    let mut txn = db.write().unwrap();
    txn.tree("kept").unwrap().insert(b"key", b"value").unwrap();
    txn.commit().unwrap();
    // Room that the file grew ahead by stays: else each opening would begin with growing.
    let grown = db.stats().file_bytes;
    db.close().unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().len(), grown);
    let db = open(&path);
    let mut txn = db.write().unwrap();
    for number in shuffled(0) {
        txn.tree("undone").unwrap().insert(&key(number), &[7; 290]).unwrap();
    }
    txn.rollback();
    assert!(db.stats().file_bytes > 16 << 20);
    db.close().unwrap();
    assert!(std::fs::metadata(&path).unwrap().len() < 4 << 20);
    let db = open(&path);
    assert!(db.check().unwrap().is_sound());
    assert_eq!(db.read().unwrap().tree("kept").unwrap().get(b"key").unwrap(), Some(&b"value"[..]));
}

/// Else a file would stay as long as it was where all that is left lies at its end, and is pages of trees alone.
#[test]
fn a_tree_that_lies_behind_what_was_freed_moves_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("behind.leaf");
    let db = open(&path);
    fill(&db, "emptied");
    let full = std::fs::metadata(&path).unwrap().len();
    let mut txn = db.write().unwrap();
    let mut kept = txn.tree("kept").unwrap();
    for number in 0..6_000 {
        kept.insert(&key(number), &[7; 290]).unwrap();
    }
    txn.commit().unwrap();
    db.close().unwrap();

    let db = open(&path);
    let mut txn = db.write().unwrap();
    assert!(txn.drop_tree("emptied").unwrap());
    txn.commit().unwrap();
    db.close().unwrap();
    let len = std::fs::metadata(&path).unwrap().len();
    assert!(len < 6 << 20, "{len} bytes of {full}");
    let db = open(&path);
    assert!(db.check().unwrap().is_sound());
    assert_eq!(db.read().unwrap().tree("kept").unwrap().len(), 6_000);
}
