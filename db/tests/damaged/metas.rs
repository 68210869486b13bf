//! A damaged meta: what it knew is found in the log, or said to be missing; and a meta that is not whole is seen.

#![allow(unsafe_code)] // Opens files of its own.

use mapleaf::{Builder, Damage, Database, Error, PageId, Salvage, StoreError};
use std::path::{Path, PathBuf};

const PAGE: usize = 4096;
const LOADED: u32 = 1000;
const COMMITS: u32 = 30;

fn open(path: &Path) -> mapleaf::Result<Database> {
    // SAFETY: nothing else has this file.
    unsafe { Builder::new().background(false).open(path) }
}

fn put(db: &Database, keys: std::ops::Range<u32>) {
    let mut txn = db.write().unwrap();
    let mut tree = txn.tree("t").unwrap();
    for key in keys {
        tree.insert(&key.to_be_bytes(), b"value").unwrap();
    }
    txn.commit().unwrap();
}

fn count(db: &Database) -> u64 {
    db.read().unwrap().tree("t").unwrap().len()
}

/// A file that was closed, opened again, committed to, and left by a process that died.
fn left_behind(directory: &Path) -> PathBuf {
    let path = directory.join("a.leaf");
    let db = open(&path).unwrap();
    put(&db, 0..LOADED);
    db.close().unwrap();
    let db = open(&path).unwrap();
    (0..COMMITS).for_each(|i| put(&db, LOADED + i..LOADED + i + 1));
    let left = directory.join("left.leaf");
    std::fs::copy(&path, &left).unwrap();
    left
}

/// Changes a bit of the meta that is the newer one, or of the other.
fn damage(path: &Path, newer: bool) {
    let mut bytes = std::fs::read(path).unwrap();
    let txn = |slot: usize| u64::from_le_bytes(bytes[slot * PAGE + 80..][..8].try_into().unwrap());
    let slot = usize::from((txn(1) > txn(0)) == newer);
    bytes[slot * PAGE + 300] ^= 4;
    std::fs::write(path, &bytes).unwrap();
}

#[test]
fn a_flipped_bit_in_the_newest_meta_does_not_cost_what_was_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let path = left_behind(directory.path());
    damage(&path, true);
    let before = std::fs::read(&path).unwrap();
    let missing = |error: Error| {
        let gap = Some(StoreError::Corrupt { page: PageId::NONE, damage: Damage::LogGap });
        assert_eq!(error.store_error(), gap, "{error}");
    };
    missing(open(&path).unwrap_err());
    missing(Database::open_buffered(&path).unwrap_err());
    missing(Database::repair_buffered(&path).unwrap_err());
    assert_eq!(std::fs::read(&path).unwrap(), before);

    let saved = Database::in_memory().unwrap();
    let report = Salvage::open(&path).unwrap().copy_to(&saved, &mut |_, _| {}).unwrap();
    assert_eq!(count(&saved), u64::from(LOADED + COMMITS));
    assert_eq!((report.log_transactions, report.log_lost), (u64::from(COMMITS), false));
    assert!(report.metas_whole.contains(&false) && !report.is_complete());

    // Where a block is damaged too, what follows it is lost, and that is said.
    let mut bytes = before;
    let ring = 2 * PAGE;
    bytes[ring + 10 * PAGE + 70] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let saved = Database::in_memory().unwrap();
    let report = Salvage::open(&path).unwrap().copy_to(&saved, &mut |_, _| {}).unwrap();
    assert_eq!((count(&saved), report.log_lost), (u64::from(LOADED) + 10, true));
}

#[test]
fn a_meta_that_is_not_whole_is_seen_by_check_and_scrub_and_stored_anew() {
    let directory = tempfile::tempdir().unwrap();
    let path = left_behind(directory.path());
    let db = open(&path).unwrap();
    assert_eq!(count(&db), u64::from(LOADED + COMMITS));
    db.close().unwrap();
    damage(&path, false);
    let db = open(&path).unwrap();
    let (check, scrub) = (db.check().unwrap(), db.scrub(&mut |_, _| {}).unwrap());
    assert_eq!(check.metas_whole, scrub.metas_whole);
    assert_eq!(check.metas_whole.iter().filter(|whole| **whole).count(), 1);
    assert!(check.is_sound() && scrub.is_clean(), "the state is whole");
    put(&db, 0..1);
    db.checkpoint().unwrap();
    assert_eq!(db.check().unwrap().metas_whole, [true; 2]);
    assert_eq!(count(&db), u64::from(LOADED + COMMITS));
}
