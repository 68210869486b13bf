//! No room: a full disk at every step of growth, and the limit on a file's size.
//!
//! Invariants checked: what does not fit is `Full`, never a signal and never another error; what was
//! acknowledged is there, in the process, after closing and after a death, on the disk that is still full
//! or once there is room again; `check` is sound; with room the database goes on.
//!
//! Needs root: mounts small file systems.

#![allow(unsafe_code)] // Opens mapped files in directories of this test's own; limits of a child.

use mapleaf::{Database, Durability, Error, StoreError, WriteMode};
use mapleaf_tests::data::{key, mix, value};
use mapleaf_tests::mounted::Mounted;
use mapleaf_tests::{child, tools};
use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

const MODES: [WriteMode; 2] = [WriteMode::Shadow, WriteMode::InPlace];
/// Keys that the transactions write to.
const KEYS: u64 = 40_000;
/// Transactions tried once one did not fit: smaller ones may.
const ATTEMPTS_WHEN_FULL: u64 = 12;

fn open(path: &Path, mode: WriteMode) -> mapleaf::Result<Database> {
    let builder = Database::builder().write_mode(mode).log_bytes(64 << 10, 256 << 10);
    // SAFETY: the file is this test's own.
    unsafe { builder.open(path) }
}

/// Transaction `number`: many entries or few, some of them large.
fn writes(number: u64, most: u64) -> impl Iterator<Item = (u64, usize)> {
    let count = if number.is_multiple_of(3) { 1 } else { mix(number) % most + 1 };
    (0..count).map(move |entry| {
        let seed = mix(number * 1000 + entry);
        let len = if seed.is_multiple_of(97) { 20_000 } else { seed % 300 };
        (seed % KEYS, len as usize)
    })
}

fn commit(db: &Database, number: u64, most: u64) -> mapleaf::Result<()> {
    let mut txn = db.write()?;
    for (entry, len) in writes(number, most) {
        txn.tree("t")?.insert(&key(entry), &value(entry, number, len))?;
    }
    txn.tree("last")?.insert(b"number", &number.to_le_bytes())?;
    txn.commit_with(if number.is_multiple_of(2) {
        Durability::Sync
    } else {
        Durability::Eventual
    })?;
    Ok(())
}

/// What was acknowledged: numbers of transactions.
type Acknowledged = Vec<u64>;

/// Commits until nothing more fits, from `first` on.
fn fill(db: &Database, first: u64, most: u64) -> Acknowledged {
    let mut acknowledged = Acknowledged::new();
    let mut refused = 0;
    for number in first.. {
        match commit(db, number, if refused == 0 { most } else { 2 }) {
            Ok(()) => acknowledged.push(number),
            Err(error) => {
                assert_eq!(error.store_error(), Some(StoreError::Full), "{number}: {error:?}");
                refused += 1;
            }
        }
        if refused == ATTEMPTS_WHEN_FULL {
            return acknowledged;
        }
    }
    unreachable!("numbers do not end");
}

/// The database holds exactly what was acknowledged, and is sound. `first_refused` tells which numbers
/// were small.
fn verify(db: &Database, acknowledged: &[u64], most: u64, context: &str) {
    let report = db.check().unwrap();
    assert!(report.is_sound(), "{context}: {:?}", report.found);
    let Some(last) = acknowledged.last() else { return };
    // The first gap is where the first one did not fit.
    let small_from = (acknowledged[0]..).zip(acknowledged).find(|(at, number)| at != *number);
    let small_from = small_from.map_or(last + 1, |(at, _)| at);
    let mut expected = BTreeMap::new();
    for &number in acknowledged {
        for (entry, len) in writes(number, if number < small_from { most } else { 2 }) {
            expected.insert(key(entry).to_vec(), value(entry, number, len));
        }
    }
    let snapshot = db.read().unwrap();
    let found = snapshot.tree("last").unwrap().get(b"number").unwrap().unwrap().try_into();
    assert_eq!(u64::from_le_bytes(found.unwrap()), *last, "{context}");
    let mut entries = snapshot.tree("t").unwrap().iter().map(Result::unwrap);
    for (key, value) in &expected {
        let (found, bytes) =
            entries.next().unwrap_or_else(|| panic!("{context}: entries are lost"));
        assert!(found.to_vec() == *key && bytes == value, "{context}: another entry");
    }
    assert!(entries.next().is_none(), "{context}: entries of a transaction that was refused");
}

/// A file that takes all of a disk but so many bytes.
struct Ballast(PathBuf);

impl Ballast {
    fn leave(disk: &Mounted, bytes: u64) -> Ballast {
        let path = disk.path().join("ballast");
        let file = File::create(&path).unwrap();
        let mut len = disk.free_bytes().saturating_sub(bytes);
        // A file system needs some room for itself.
        // SAFETY: a call on a descriptor that is open.
        while unsafe { libc::fallocate(file.as_raw_fd(), 0, 0, len.max(1) as libc::off_t) } != 0 {
            assert!(len > 0, "{bytes}: {}", std::io::Error::last_os_error());
            len = len.saturating_sub(4096);
        }
        Ballast(path)
    }
}

impl Drop for Ballast {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).unwrap();
    }
}

/// One step: a disk with so much room, filled; then closed or left as by a death; opened while it is
/// full, and with room again. How many transactions fitted.
fn step(disk: &Mounted, room: u64, mode: WriteMode, dies: bool, most: u64) -> usize {
    let context = format!("{mode:?}, room for {room}, dies: {dies}");
    let path = disk.path().join("t.leaf");
    let ballast = Ballast::leave(disk, room);
    let mut acknowledged = Acknowledged::new();
    match open(&path, mode) {
        Ok(db) => {
            acknowledged = fill(&db, 1, most);
            verify(&db, &acknowledged, most, &context);
            let image = std::fs::read(&path).unwrap();
            drop(db);
            if dies {
                std::fs::write(&path, image).unwrap();
            }
        }
        Err(error) => assert!(is_full(&error), "{context}: {error:?}"),
    }
    match open(&path, mode) {
        Ok(db) => verify(&db, &acknowledged, most, &format!("{context}, still full")),
        // Recovery may need room; it has changed nothing then.
        Err(error) => assert!(is_full(&error), "{context}: {error:?}"),
    }
    drop(ballast);
    let db = open(&path, mode).unwrap_or_else(|error| panic!("{context}: {error:?}"));
    verify(&db, &acknowledged, most, &format!("{context}, with room"));
    commit(&db, 1_000_000, most).unwrap_or_else(|error| panic!("{context}: {error:?}"));
    drop(db);
    std::fs::remove_file(&path).unwrap();
    acknowledged.len()
}

fn is_full(error: &Error) -> bool {
    let no_space = |source: &std::io::Error| source.raw_os_error() == Some(libc::ENOSPC);
    error.store_error() == Some(StoreError::Full)
        || matches!(error, Error::Io { source, .. } if no_space(source))
}

fn every_step(disk: &Mounted, rooms: impl Iterator<Item = u64> + Clone, most: u64) {
    for mode in MODES {
        let mut fitted = Vec::new();
        for (at, room) in rooms.clone().enumerate() {
            fitted.push(step(disk, room, mode, at.is_multiple_of(2), most));
        }
        let (least, best) = (fitted.first(), fitted.iter().max());
        assert!(
            least < best && best > Some(&20),
            "{mode:?}: more fits where more room is: {fitted:?}"
        );
    }
}

#[test]
fn a_small_tmpfs_is_full_at_every_step() {
    let _alone = child::alone();
    let disk = Mounted::tmpfs(6 << 10);
    if tools::can_run("the test of a full tmpfs", disk.is_some(), "root, to mount a tmpfs") {
        every_step(&disk.unwrap(), (0..5 << 20).step_by(140 << 10), 60);
    }
}

#[test]
fn a_small_ext4_is_full_at_every_step() {
    let _alone = child::alone();
    let disk = Mounted::ext4(24 << 10);
    if tools::can_run("the test of a full ext4", disk.is_some(), "root and mkfs.ext4") {
        every_step(&disk.unwrap(), (0..8 << 20).step_by(700 << 10), 400);
    }
}

/// Limits of a file's size, in bytes; the last one is no multiple of anything.
const SIZE_LIMITS: [u64; 4] = [64 << 10, 1 << 20, 3 << 20, (2 << 20) + 12_345];

#[test]
fn the_limit_on_a_files_size_is_an_error() {
    const TEST: &str = "the_limit_on_a_files_size_is_an_error";
    if let Some(what) = child::asked() {
        let (limit, path) = what.split_once(' ').unwrap();
        return fill_limited(limit.parse().unwrap(), Path::new(path));
    }
    let _alone = child::alone();
    for (at, limit) in SIZE_LIMITS.into_iter().enumerate() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("t.leaf");
        // What coverage counts is written to a file too, when the child ends: that would kill it.
        let script = "LLVM_PROFILE_FILE=/dev/null exec \"$0\" \"$@\"";
        let output = child::run_behind(script, TEST, &format!("{limit} {}", path.display()));
        assert!(output.status.success(), "{limit}: {output:?}");
        let said = child::said(&output, "acknowledged ");
        let acknowledged: Acknowledged = said.iter().map(|line| line.parse().unwrap()).collect();
        assert!(std::fs::metadata(&path).is_ok_and(|file| file.len() <= limit));
        let db = open(&path, MODES[at % 2]).unwrap();
        verify(&db, &acknowledged, 60, &format!("limit {limit}"));
        assert!(at == 0 || acknowledged.len() > 5, "{limit}: {acknowledged:?}");
        commit(&db, 1_000_000, 60).unwrap();
    }
}

/// In the child: fills a file up to a limit, says what was acknowledged, and dies.
fn fill_limited(limit: u64, path: &Path) {
    let limits = libc::rlimit { rlim_cur: limit, rlim_max: limit };
    // SAFETY: gives a valid record.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &limits) }, 0);
    let mode = MODES[SIZE_LIMITS.iter().position(|other| *other == limit).unwrap() % 2];
    match open(path, mode) {
        Ok(db) => {
            let acknowledged = fill(&db, 1, 60);
            verify(&db, &acknowledged, 60, "at the limit");
            for number in acknowledged {
                println!("acknowledged {number}");
            }
            std::process::exit(0);
        }
        Err(error) => assert!(is_full(&error), "{error:?}"),
    }
}
