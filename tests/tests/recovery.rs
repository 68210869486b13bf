//! What survives power loss: a copy that holds only the log and the last checkpoint's pages opens with
//! every acknowledged commit.
//!
//! The copy is made of two images: the whole file as it was at the checkpoint, and the log ring as it
//! was when a commit was acknowledged. Every page that was written since is thus missing.

#![allow(unsafe_code)] // Opens mapped files in directories of their own.

use mapleaf::{Database, Durability, WriteMode};
use mapleaf_tests::data::{key, mix, value};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// What the database should hold.
type Model = BTreeMap<Vec<u8>, Vec<u8>>;

/// Bytes of the file that hold the log ring, as the newest meta says (docs/format.md).
fn ring(file: &[u8]) -> Range<usize> {
    let u32_at = |at: usize| u32::from_le_bytes(*file[at..].first_chunk().unwrap()) as usize;
    let u64_at = |at: usize| u64::from_le_bytes(*file[at..].first_chunk().unwrap());
    let page_size = 1 << file[50];
    let meta = if u64_at(80) > u64_at(page_size + 80) { 0 } else { page_size };
    let (start, pages) = (u32_at(meta + 88), u32_at(meta + 92));
    assert!(start >= 2 && pages > 0, "no ring in the meta");
    start * page_size..(start + pages) * page_size
}

/// A file under test, and its image at the last checkpoint.
struct Subject {
    db: Database,
    path: PathBuf,
    checkpoint: Vec<u8>,
    model: Model,
}

fn open(path: &Path, mode: WriteMode) -> Database {
    // No thread: checkpoints come when the test asks.
    let builder = Database::builder().background(false).write_mode(mode);
    // SAFETY: the file is in a directory of this test's own.
    unsafe { builder.open(path) }.unwrap()
}

impl Subject {
    /// A database with some thousand entries, behind a checkpoint.
    fn new(directory: &Path, mode: WriteMode) -> Subject {
        let path = directory.join("t.leaf");
        let db = open(&path, mode);
        let mut model = Model::new();
        let mut txn = db.write().unwrap();
        for number in 0..5000 {
            let (key, value) = (key(number), value(number, 0, 100));
            txn.tree("t").unwrap().insert(&key, &value).unwrap();
            model.insert(key.to_vec(), value);
        }
        txn.commit().unwrap();
        db.checkpoint().unwrap();
        let checkpoint = std::fs::read(&path).unwrap();
        Subject { db, path, checkpoint, model }
    }

    /// One transaction: puts, removals, a large value now and then, another tree.
    fn change(&mut self, number: u64, durability: Durability) {
        let mut txn = self.db.write().unwrap();
        let mut tree = txn.tree("t").unwrap();
        for i in 0..number % 5 + 1 {
            let entry = mix(number * 8 + i) % 8000;
            if i == 3 {
                tree.remove(&key(entry)).unwrap();
                self.model.remove(&key(entry)[..]);
            } else {
                let value = value(entry, number, if number.is_multiple_of(16) { 2500 } else { 90 });
                tree.insert(&key(entry), &value).unwrap();
                self.model.insert(key(entry).to_vec(), value);
            }
        }
        txn.tree("count").unwrap().insert(b"n", &number.to_le_bytes()).unwrap();
        txn.commit_with(durability).unwrap();
    }

    /// What power loss leaves at the worst: nothing but the log is newer than the checkpoint.
    fn after_power_loss(&self, log_bytes: usize) -> Vec<u8> {
        let now = std::fs::read(&self.path).unwrap();
        let mut image = self.checkpoint.clone();
        let ring = ring(&image);
        let ring = ring.start..ring.start.saturating_add(log_bytes).min(ring.end);
        image[ring.clone()].copy_from_slice(&now[ring]);
        image
    }
}

/// Opens an image; how many blocks were replayed, and what is in it.
fn recover(directory: &Path, image: &[u8], mode: WriteMode) -> (u32, Option<u64>, Model) {
    let path = directory.join("copy.leaf");
    std::fs::write(&path, image).unwrap();
    let db = open(&path, mode);
    let replayed = db.stats().store.replayed_blocks;
    let report = db.check().unwrap();
    assert!(report.is_sound(), "{:?}", report.found);
    let snapshot = db.read().unwrap();
    let count = snapshot
        .tree("count")
        .ok()
        .map(|tree| u64::from_le_bytes(tree.get(b"n").unwrap().unwrap().try_into().unwrap()));
    let tree = snapshot.tree("t").unwrap();
    let entries = tree.iter().map(|entry| {
        let (key, value) = entry.unwrap();
        (key.to_vec(), value.to_vec())
    });
    (replayed, count, entries.collect())
}

fn every_acknowledged_commit(mode: WriteMode) {
    let directory = tempfile::tempdir().unwrap();
    let mut subject = Subject::new(directory.path(), mode);
    const COMMITS: u64 = 60;
    for number in 1..=COMMITS {
        subject.change(number, Durability::Sync);
        if !number.is_multiple_of(7) && number < COMMITS {
            continue;
        }
        let image = subject.after_power_loss(usize::MAX);
        let (replayed, count, model) = recover(directory.path(), &image, mode);
        assert_eq!(u64::from(replayed), number, "every commit was a block of the log");
        assert_eq!(count, Some(number));
        assert!(model == subject.model, "after {number} commits");
    }
}

#[test]
fn a_copy_with_only_the_log_has_every_acknowledged_commit_in_place() {
    every_acknowledged_commit(WriteMode::InPlace);
}

#[test]
fn a_copy_with_only_the_log_has_every_acknowledged_commit_through_a_shadow() {
    every_acknowledged_commit(WriteMode::Shadow);
}

/// `Eventual` commits are acknowledged as durable by the `sync` behind them.
#[test]
fn sync_makes_eventual_commits_durable() {
    let directory = tempfile::tempdir().unwrap();
    let mut subject = Subject::new(directory.path(), WriteMode::Shadow);
    for number in 1..=40 {
        subject.change(number, Durability::Eventual);
    }
    subject.db.sync().unwrap();
    let image = subject.after_power_loss(usize::MAX);
    let (replayed, count, model) = recover(directory.path(), &image, WriteMode::Shadow);
    assert_eq!((replayed, count), (40, Some(40)));
    assert!(model == subject.model);
}

/// A log that ends anywhere opens as some commit, whole, and not before the ones it holds whole.
#[test]
fn a_log_cut_anywhere_opens_as_a_commit() {
    let directory = tempfile::tempdir().unwrap();
    let mut subject = Subject::new(directory.path(), WriteMode::InPlace);
    let mut models = vec![subject.model.clone()];
    for number in 1..=12 {
        subject.change(number, Durability::Sync);
        models.push(subject.model.clone());
    }
    let mut last = 0;
    for cut in (0..80 << 10).step_by(1500) {
        let image = subject.after_power_loss(cut);
        let (replayed, count, model) = recover(directory.path(), &image, WriteMode::InPlace);
        let at = count.unwrap_or(0);
        assert_eq!(u64::from(replayed), at);
        assert!(at >= last, "a longer log holds no less");
        assert!(model == models[at as usize], "cut at {cut}: as commit {at}");
        last = at;
    }
    assert_eq!(last, 12, "the log was long enough");
}

/// Reading the file into memory replays the log, too.
#[test]
fn the_safe_opening_recovers_as_well() {
    let directory = tempfile::tempdir().unwrap();
    let mut subject = Subject::new(directory.path(), WriteMode::InPlace);
    for number in 1..=9 {
        subject.change(number, Durability::Sync);
    }
    let path = directory.path().join("copy.leaf");
    std::fs::write(&path, subject.after_power_loss(usize::MAX)).unwrap();
    let db = Database::open_buffered(&path).unwrap();
    assert_eq!(db.stats().store.replayed_blocks, 9);
    assert!(db.check().unwrap().is_sound());
    assert_eq!(db.read().unwrap().tree("t").unwrap().len(), subject.model.len() as u64);
}
