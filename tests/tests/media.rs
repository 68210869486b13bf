//! A disk that fails: writes that are lost when pages are written back, and pages that cannot be read.
//!
//! Invariants checked: after a lost write no commit is acknowledged any more, although the kernel reports
//! the loss once; the file then opens with everything acknowledged, as the page cache shows it and as the
//! medium has it. A page that cannot be read is an error with the guard, and none is wrong.
//!
//! Needs /dev/fuse, fusermount3 and root.

#![allow(unsafe_code)] // Opens mapped files in directories of this test's own.

mod faulty_disk;

use faulty_disk::FaultyDisk;
use mapleaf::{Builder, Database, Durability, StoreError, TreeError, WriteMode};
use mapleaf_tests::data::{key, mix, value};
use mapleaf_tests::{child, tools};
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;

const MODES: [WriteMode; 2] = [WriteMode::Shadow, WriteMode::InPlace];
const ENTRIES: u64 = 10_000;
const VALUE_BYTES: usize = 150;
const LOST: StoreError = StoreError::Io { code: libc::EIO };

fn builder(mode: WriteMode) -> Builder {
    Database::builder().write_mode(mode).background(false)
}

fn open(builder: &Builder, path: &Path) -> mapleaf::Result<Database> {
    // SAFETY: the file is this test's own.
    unsafe { builder.open(path) }
}

fn is_eio(error: &mapleaf::Error) -> bool {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref());
    source.and_then(std::io::Error::raw_os_error) == Some(libc::EIO)
        || error.store_error() == Some(LOST)
}

/// Transaction `number` writes its number and some entries.
fn commit(db: &Database, number: u64, puts: u64, durability: Durability) -> mapleaf::Result<()> {
    let mut txn = db.write()?;
    for entry in 0..puts {
        let key = key(mix(number * 7 + entry) % ENTRIES);
        txn.tree("t")?.insert(&key, &value(entry, number, VALUE_BYTES))?;
    }
    txn.tree("last")?.insert(b"number", &number.to_le_bytes())?;
    txn.commit_with(durability)?;
    Ok(())
}

/// The last transaction in the database, which is sound.
fn last(db: &Database) -> u64 {
    let report = db.check().unwrap();
    assert!(report.is_sound(), "{:?}", report.found);
    let snapshot = db.read().unwrap();
    let number = snapshot.tree("last").unwrap().get(b"number").unwrap().unwrap().try_into();
    u64::from_le_bytes(number.unwrap())
}

fn last_of(mode: WriteMode, file: &Path) -> u64 {
    last(&open(&builder(mode), file).unwrap())
}

/// The file system does what it is there for: a lost write is reported once, then forgotten.
#[test]
fn the_kernel_reports_a_lost_write_once() {
    let Some(mut disk) = FaultyDisk::new("the test of the faulty disk") else { return };
    let mut file = std::fs::File::options().write(true).open(disk.file()).unwrap();
    file.write_all(b"kept").unwrap();
    file.sync_data().unwrap();
    disk.tell("writes fail");
    file.write_all(b"lost").unwrap();
    let error = file.sync_data().expect_err("the medium has lost it");
    assert_eq!(error.raw_os_error(), Some(libc::EIO));
    file.sync_data().expect("reported once");
    disk.tell("pass");
    file.sync_data().expect("and forgotten");
    assert_eq!(std::fs::read(disk.file()).unwrap(), b"keptlost", "the page cache pretends");
    assert_eq!(disk.medium(), b"kept");
}

/// What is done while writes fail.
#[derive(Clone, Copy, Debug)]
enum Attempt {
    LogCommit,
    LargeCommit,
    Checkpoint,
    Sync,
}

fn attempt(db: &Database, number: u64, what: Attempt) -> mapleaf::Result<()> {
    match what {
        Attempt::LogCommit => commit(db, number, 3, Durability::Sync),
        Attempt::LargeCommit => commit(db, number, 5000, Durability::Sync),
        Attempt::Checkpoint => db.checkpoint().map(drop),
        Attempt::Sync => db.sync().map(drop),
    }
}

fn a_lost_write_poisons(mode: WriteMode, what: Attempt) {
    let Some(mut disk) = FaultyDisk::new("the test of lost writes") else { return };
    let db = open(&builder(mode).log_bytes(1 << 20, 1 << 20), &disk.file()).unwrap();
    commit(&db, 1, ENTRIES / 2, Durability::Sync).unwrap();
    for number in 2..=10 {
        commit(&db, number, 3, Durability::Sync).unwrap();
    }
    // What `sync` and `checkpoint` have to write.
    commit(&db, 11, 3, Durability::Eventual).unwrap();
    disk.tell("writes fail");
    let error = attempt(&db, 12, what).expect_err("the medium has lost it");
    assert!(is_eio(&error), "{mode:?} {what:?}: {error:?}");
    disk.tell("pass");
    // The kernel has forgotten it: fdatasync would say Ok.
    for number in 13..20 {
        let durability = if number % 2 == 0 { Durability::Sync } else { Durability::Eventual };
        let error =
            commit(&db, number, 3, durability).expect_err("acknowledged after a lost write");
        assert_eq!(error.store_error(), Some(StoreError::Poisoned), "{mode:?} {what:?}");
        for error in [db.sync().err(), db.checkpoint().err(), db.health().err()] {
            let error = error.and_then(|error| error.store_error());
            assert_eq!(error, Some(StoreError::Poisoned), "{mode:?} {what:?}");
        }
    }
    let seen = last(&db);
    assert!(seen == 11 || seen == 12, "snapshots go on reading: {seen}");
    drop(db);
    // As after power loss: the synced ones, and perhaps those in flight.
    let number = last_of(mode, &disk.after_power_loss());
    assert!((10..=12).contains(&number), "{mode:?} {what:?}: {number}");
    // In the same boot, over the cache of what was lost; and then durable.
    let again = open(&builder(mode), &disk.file()).unwrap();
    let number = last(&again);
    assert!((10..=12).contains(&number), "{mode:?} {what:?}: {number}");
    commit(&again, 20, 3, Durability::Sync).unwrap();
    assert_eq!(last_of(mode, &disk.after_power_loss()), 20, "{mode:?} {what:?}");
}

#[test]
fn after_a_lost_write_nothing_is_acknowledged_until_it_is_opened_anew() {
    for mode in MODES {
        for what in [Attempt::LogCommit, Attempt::LargeCommit, Attempt::Checkpoint, Attempt::Sync] {
            a_lost_write_poisons(mode, what);
        }
    }
}

/// A closed file of entries on a disk whose cache is cold.
fn cold_file(disk: &FaultyDisk, died: bool) {
    let db = open(&builder(WriteMode::Shadow).log_bytes(1 << 20, 1 << 20), &disk.file()).unwrap();
    let mut txn = db.write().unwrap();
    for number in 0..ENTRIES {
        txn.tree("t").unwrap().insert(&key(number), &value(number, 0, VALUE_BYTES)).unwrap();
    }
    txn.commit().unwrap();
    db.checkpoint().unwrap();
    commit(&db, 1, 0, Durability::Sync).unwrap();
    if died {
        // The medium as a death leaves it, with a commit in its log.
        let image = disk.medium();
        drop(db);
        std::fs::write(disk.file(), image).unwrap();
    } else {
        db.close().unwrap();
    }
    tools::make_cold(&disk.file());
}

/// Looks all entries up: how many are there, and how many cannot be read. None is missing or wrong.
fn look(db: &Database) -> (u64, u64) {
    let (mut found, mut lost) = (0, 0);
    let snapshot = db.read().unwrap();
    for number in 0..ENTRIES {
        match snapshot.tree("t").and_then(|tree| tree.get(&key(number))) {
            Ok(Some(got)) if got == value(number, 0, VALUE_BYTES) => found += 1,
            Err(TreeError::Pager(LOST)) => lost += 1,
            other => panic!("entry {number}: {other:?}"),
        }
    }
    (found, lost)
}

/// Where the middle one of the file's leaves begins (docs/format.md: the kind is byte 16, a leaf is 2).
fn a_leaf(disk: &FaultyDisk) -> u64 {
    let medium = disk.medium();
    let pages = (0u64..).step_by(4096).zip(medium.chunks(4096));
    let leaves: Vec<u64> = pages.filter(|(_, page)| page[16] == 2).map(|(at, _)| at).collect();
    leaves[leaves.len() / 2]
}

#[test]
fn a_page_that_cannot_be_read_is_an_error() {
    for mode in MODES {
        let Some(mut disk) = FaultyDisk::new("the test of pages that cannot be read") else {
            return;
        };
        cold_file(&disk, false);
        let leaf = a_leaf(&disk);
        let db = open(&builder(mode).sigbus_guard(true), &disk.file()).unwrap();
        disk.tell(&format!("reads fail {leaf} {}", leaf + 4096));
        let (found, lost) = look(&db);
        assert!(found + lost == ENTRIES && (5..100).contains(&lost), "{mode:?}: {found} {lost}");
        assert!(db.health().is_err_and(|error| is_eio(&error)));
        let error = commit(&db, 2, 3, Durability::Sync).expect_err("acknowledged after a loss");
        assert!(is_eio(&error), "{mode:?}: {error:?}");
        drop(db);
        disk.tell("pass");
        tools::make_cold(&disk.file());
        let again = open(&builder(mode).sigbus_guard(true), &disk.file()).unwrap();
        assert_eq!((look(&again), last(&again)), ((ENTRIES, 0), 1), "{mode:?}: it was the disk");
        again.health().unwrap();
    }
}

/// Bytes of the metas, and of the log behind them.
const UNREADABLE_AT_OPENING: [&str; 4] = ["0 4096", "4096 8192", "0 8192", "8192 16384"];

/// What opening cannot read must not pass for an older state, or for an empty log.
#[test]
fn what_opening_cannot_read_is_an_error() {
    let Some(mut disk) = FaultyDisk::new("the test of metas that cannot be read") else { return };
    cold_file(&disk, true);
    let guarded = builder(WriteMode::Shadow).sigbus_guard(true);
    for range in UNREADABLE_AT_OPENING {
        for builder in [guarded.clone(), guarded.clone().read_only(true).at_checkpoint(true)] {
            disk.tell(&format!("reads fail {range}"));
            let error = open(&builder, &disk.file()).expect_err("opened without what it needs");
            assert!(is_eio(&error), "{range}: {error:?}");
            disk.tell("pass");
            tools::make_cold(&disk.file());
        }
    }
    let db = open(&guarded, &disk.file()).unwrap();
    assert_eq!((db.stats().store.replayed_blocks, last(&db)), (1, 1));
}

#[test]
fn without_the_guard_a_page_that_cannot_be_read_ends_the_process() {
    const TEST: &str = "without_the_guard_a_page_that_cannot_be_read_ends_the_process";
    if let Some(path) = child::asked() {
        look(&open(&builder(WriteMode::Shadow), Path::new(&path)).unwrap());
        return;
    }
    let Some(mut disk) = FaultyDisk::new("the test of pages that cannot be read") else { return };
    cold_file(&disk, false);
    let leaf = a_leaf(&disk);
    disk.tell(&format!("reads fail {leaf} {}", leaf + 4096));
    let output = child::run(TEST, disk.file().to_str().unwrap());
    assert_eq!(output.status.signal(), Some(libc::SIGBUS), "{output:?}");
}
