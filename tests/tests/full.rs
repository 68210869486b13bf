//! No room: a full disk at every growth of the file, and the limit on a file's size.
//!
//! A history is run once with room, and each operation that made the file longer is noted. For each of them it
//! is run again on a disk that is full just then.
//!
//! Invariants checked: what does not fit is `Full`, never a signal and never another error, and the file is as
//! long as before; what was acknowledged is there, in the process, after closing and after a death, on the disk
//! that is still full or once there is room again; `check` is sound; with room the history goes on to its end.
//!
//! Needs root: mounts small file systems.

#![allow(unsafe_code)] // Opens mapped files in directories of this test's own; limits of a child.

use mapleaf::{Database, Durability, Error, StoreError, WriteMode};
use mapleaf_tests::data::{key, mix, value};
use mapleaf_tests::mounted::Mounted;
use mapleaf_tests::{child, tools};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

const MODES: [WriteMode; 2] = [WriteMode::Shadow, WriteMode::InPlace];
/// Keys that the transactions write to.
const KEYS: u64 = 40_000;
/// Transactions tried once one did not fit, which are small: they may.
const ATTEMPTS_WHEN_FULL: u64 = 12;
/// Their numbers begin here.
const SMALL: u64 = 1_000_000;
/// What file systems give at once, in bytes.
const BLOCK: u64 = 4096;

fn open(path: &Path, mode: WriteMode, background: bool) -> mapleaf::Result<Database> {
    let builder = Database::builder().write_mode(mode).log_bytes(64 << 10, 256 << 10);
    // SAFETY: the file is this test's own.
    unsafe { builder.background(background).open(path) }
}

/// Transaction `number`: many entries or few, some of them large.
fn writes(number: u64, most: u64) -> impl Iterator<Item = (u64, usize)> {
    let most = if number < SMALL { most } else { 2 };
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

/// What was acknowledged: numbers of transactions, in their order.
type Acknowledged = Vec<u64>;

/// Commits from `first` on until one does not fit; its number.
fn fill(db: &Database, first: u64, most: u64, acknowledged: &mut Acknowledged) -> u64 {
    for number in first..SMALL {
        match commit(db, number, most) {
            Ok(()) => acknowledged.push(number),
            Err(error) => {
                assert_eq!(error.store_error(), Some(StoreError::Full), "{number}: {error:?}");
                return number;
            }
        }
    }
    unreachable!("numbers do not end");
}

/// Tries small ones beside what did not fit.
fn fill_gaps(db: &Database, acknowledged: &mut Acknowledged) {
    for number in SMALL..SMALL + ATTEMPTS_WHEN_FULL {
        match commit(db, number, 2) {
            Ok(()) => acknowledged.push(number),
            Err(error) => assert_eq!(error.store_error(), Some(StoreError::Full), "{error:?}"),
        }
    }
}

/// The database holds exactly what was acknowledged, and is sound.
fn verify(db: &Database, acknowledged: &[u64], most: u64, context: &str) {
    let report = db.check().unwrap();
    assert!(report.is_sound(), "{context}: {:?}", report.found);
    let Some(last) = acknowledged.last() else { return };
    let mut expected = BTreeMap::new();
    for &number in acknowledged {
        for (entry, len) in writes(number, most) {
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

fn is_full(error: &Error) -> bool {
    let no_space = |source: &std::io::Error| source.raw_os_error() == Some(libc::ENOSPC);
    error.store_error() == Some(StoreError::Full)
        || matches!(error, Error::Io { source, .. } if no_space(source))
}

/// A file that takes all of a disk but so many bytes.
struct Ballast {
    file: File,
    path: PathBuf,
}

impl Ballast {
    /// `None`: takes nothing yet.
    fn leave(disk: &Mounted, bytes: Option<u64>) -> Ballast {
        let path = disk.path().join("ballast");
        let ballast = Ballast { file: File::create(&path).unwrap(), path };
        bytes.inspect(|bytes| ballast.set(*bytes));
        ballast
    }

    /// Takes what is free now, to the last block, and gives so many bytes of it back.
    fn set(&self, leave: u64) {
        let mut len = self.file.metadata().unwrap().len();
        let mut step = 4 << 20;
        while step >= BLOCK {
            let (from, step_len) = (len as libc::off_t, step as libc::off_t);
            // SAFETY: a call on a descriptor that is open.
            if unsafe { libc::fallocate(self.file.as_raw_fd(), 0, from, step_len) } == 0 {
                len += step;
                continue;
            }
            let error = std::io::Error::last_os_error();
            assert_eq!(error.raw_os_error(), Some(libc::ENOSPC), "{error}");
            // A part of it may have been given.
            self.file.set_len(len).unwrap();
            step /= 2;
        }
        self.file.set_len(len.checked_sub(leave).expect("a larger disk")).unwrap();
    }
}

impl Drop for Ballast {
    fn drop(&mut self) {
        std::fs::remove_file(&self.path).unwrap();
    }
}

/// An operation that made the file longer, or found no room to: which, and both lengths in bytes.
#[derive(Clone, Copy, Debug)]
struct Growth {
    operation: u64,
    from: u64,
    to: u64,
}

/// What is left where the file is to grow, and so how strict the history is.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Left {
    /// Nothing: that very operation fails. Checkpoints are made in it, so that each run is like the first.
    Nothing,
    /// Half of what the file took, which it takes in small pieces. Checkpoints are made beside it, so that it
    /// is not known which operation fails; there is room before.
    Half,
}

/// What comes of the handle that met the full disk.
#[derive(Clone, Copy, PartialEq, Debug)]
enum End {
    GoesOn,
    Closes,
    Dies,
}

const ENDS: [End; 3] = [End::GoesOn, End::Closes, End::Dies];

/// A history on a disk: transactions 1 to `operations`, of so many entries at the most, where there is so
/// much room (`None`: all of the disk).
struct History<'d> {
    disk: &'d Mounted,
    mode: WriteMode,
    most: u64,
    room: Option<u64>,
    operations: u64,
}

impl History<'_> {
    fn path(&self) -> PathBuf {
        self.disk.path().join("t.leaf")
    }

    fn len(&self) -> u64 {
        std::fs::metadata(self.path()).unwrap().len()
    }

    /// Runs it, until it ends or the room does, and says where the file grew behind its creation.
    fn grown(&mut self) -> Vec<Growth> {
        let _ballast = Ballast::leave(self.disk, self.room);
        let db = open(&self.path(), self.mode, false).unwrap();
        let (mut growths, mut from) = (Vec::new(), self.len());
        for operation in 1..=self.operations {
            let done = commit(&db, operation, self.most);
            let to = self.len();
            if to > from || done.is_err() {
                growths.push(Growth { operation, from, to });
            }
            from = to;
            if let Err(error) = done {
                assert_eq!(error.store_error(), Some(StoreError::Full), "{operation}: {error:?}");
                self.operations = operation;
            }
            if self.operations == operation {
                break;
            }
        }
        drop(db);
        std::fs::remove_file(self.path()).unwrap();
        growths
    }

    /// Runs it again; the disk is full where the file has to grow, and has room later.
    fn full_at(&self, growth: Growth, left: Left, end: End) {
        let context = format!("{:?}, {growth:?}, {left:?} left, {end:?}", self.mode);
        let path = self.path();
        let strict = left == Left::Nothing;
        let ballast = Ballast::leave(self.disk, self.room.filter(|_| strict));
        let db = open(&path, self.mode, !strict).unwrap();
        let mut acknowledged = Acknowledged::new();
        for number in 1..growth.operation {
            commit(&db, number, self.most).unwrap_or_else(|error| panic!("{context}: {error:?}"));
            acknowledged.push(number);
        }
        let before = self.len();
        ballast.set(if strict { 0 } else { (growth.to - growth.from) / 2 / BLOCK * BLOCK });
        let next = fill(&db, growth.operation, self.most, &mut acknowledged);
        if strict {
            assert_eq!((next, before), (growth.operation, growth.from), "{context}");
            assert_eq!(self.len(), before, "{context}: what did not fit left the file longer");
        }
        fill_gaps(&db, &mut acknowledged);
        verify(&db, &acknowledged, self.most, &context);
        let db = self.ended(db, end, ballast, &acknowledged, &context);
        verify(&db, &acknowledged, self.most, &format!("{context}, with room"));
        for number in next..=self.operations.max(next) {
            commit(&db, number, self.most).unwrap_or_else(|error| panic!("{context}: {error:?}"));
            acknowledged.push(number);
        }
        verify(&db, &acknowledged, self.most, &format!("{context}, at the end"));
        db.close().unwrap();
        std::fs::remove_file(path).unwrap();
    }

    /// Ends the handle on the disk that is full, and looks at what is there; then there is room.
    fn ended(
        &self,
        db: Database,
        end: End,
        ballast: Ballast,
        acknowledged: &[u64],
        context: &str,
    ) -> Database {
        if end == End::GoesOn {
            drop(ballast);
            return db;
        }
        let image = std::fs::read(self.path()).unwrap();
        drop(db);
        if end == End::Dies {
            // Over what is there: so it has the blocks that it had.
            let mut file = File::options().write(true).open(self.path()).unwrap();
            file.write_all(&image).unwrap();
            file.set_len(image.len() as u64).unwrap();
        }
        match open(&self.path(), self.mode, true) {
            Ok(db) => {
                verify(&db, acknowledged, self.most, &format!("{context}, still full"));
            }
            // Recovery may need room; it has changed nothing then.
            Err(error) => assert!(is_full(&error), "{context}: {error:?}"),
        }
        drop(ballast);
        open(&self.path(), self.mode, true).unwrap_or_else(|error| panic!("{context}: {error:?}"))
    }

    /// Makes a store where there are so many blocks, from none on until they are enough; how many that is.
    fn made_in_blocks(&self) -> u64 {
        for blocks in 0.. {
            let ballast = Ballast::leave(self.disk, Some(blocks * BLOCK));
            let made = open(&self.path(), self.mode, false);
            let enough = made.is_ok();
            if let Err(error) = made {
                assert!(is_full(&error), "{blocks}: {error:?}");
                drop(ballast);
                // Whatever it has left, it is made now.
                let db = open(&self.path(), self.mode, false).unwrap();
                commit(&db, 1, self.most).unwrap();
                verify(&db, &[1], self.most, "made at the second attempt");
            }
            std::fs::remove_file(self.path()).unwrap();
            if enough {
                return blocks;
            }
        }
        unreachable!("numbers do not end")
    }
}

/// Every growth of a history that has room, and of one whose file has to make do with pieces from `crowded`
/// bytes on.
fn every_growth(disk: &Mounted, most: u64, operations: u64, crowded: u64) {
    for mode in MODES {
        for room in [None, Some(crowded)] {
            let mut history = History { disk, mode, most, room, operations };
            let growths = history.grown();
            println!("{mode:?}, room for {room:?}: {growths:?}");
            for (at, growth) in growths.iter().enumerate() {
                for (shift, left) in [Left::Nothing, Left::Half].into_iter().enumerate() {
                    history.full_at(*growth, left, ENDS[(at + shift) % ENDS.len()]);
                }
            }
        }
        let blocks = History { disk, mode, most, room: None, operations }.made_in_blocks();
        println!("{mode:?}: made in {blocks} blocks");
    }
}

#[test]
fn a_small_tmpfs_is_full_at_every_growth() {
    let _alone = child::alone();
    let disk = Mounted::tmpfs(10 << 10);
    if tools::can_run("the test of a full tmpfs", disk.is_some(), "root, to mount a tmpfs") {
        every_growth(&disk.unwrap(), 60, 300, (2 << 20) + (700 << 10));
    }
}

#[test]
fn a_small_ext4_is_full_at_every_growth() {
    let _alone = child::alone();
    let disk = Mounted::ext4(24 << 10);
    if tools::can_run("the test of a full ext4", disk.is_some(), "root and mkfs.ext4") {
        every_growth(&disk.unwrap(), 400, 80, (3 << 20) + (700 << 10));
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
        let db = open(&path, MODES[at % 2], true).unwrap();
        verify(&db, &acknowledged, 60, &format!("limit {limit}"));
        assert!(at == 0 || acknowledged.len() > 5, "{limit}: {acknowledged:?}");
        commit(&db, SMALL - 1, 60).unwrap();
    }
}

/// In the child: fills a file up to a limit, says what was acknowledged, and dies.
fn fill_limited(limit: u64, path: &Path) {
    let limits = libc::rlimit { rlim_cur: limit, rlim_max: limit };
    // SAFETY: gives a valid record.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &limits) }, 0);
    let mode = MODES[SIZE_LIMITS.iter().position(|other| *other == limit).unwrap() % 2];
    match open(path, mode, true) {
        Ok(db) => {
            let mut acknowledged = Acknowledged::new();
            fill(&db, 1, 60, &mut acknowledged);
            fill_gaps(&db, &mut acknowledged);
            verify(&db, &acknowledged, 60, "at the limit");
            for number in acknowledged {
                println!("acknowledged {number}");
            }
            std::process::exit(0);
        }
        Err(error) => assert!(is_full(&error), "{error:?}"),
    }
}
