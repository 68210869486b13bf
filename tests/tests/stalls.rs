//! Lookups and scans without waiting take no hard fault, whatever is evicted; the plain ones do.
//!
//! Invariants checked: 1. between the start of an operation without waiting and the last byte of what it
//! returned, the kernel counts no major fault of the thread; 2. it answers what the plain one does, or
//! that it would block; 3. what it names as missing, once read, gets it further.
//!
//! What the kernel drops by itself, beside the evictions, would be counted too: so what is in memory is locked
//! there between them (`held`).

#![allow(unsafe_code)] // Opens mapped files in directories of their own; evicts behind the database's back.

use mapleaf::{Access, Database, Faults, TreeError, WriteMode};
use mapleaf_tests::data::{key, value};
use mapleaf_tests::held::{Held, lock_program};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::path::{Path, PathBuf};

const ENTRIES: u64 = 20_000;
const VALUE_BYTES: usize = 150;
/// Every so many entries a value that takes a run of pages.
const LARGE_EVERY: u64 = 1000;
const LARGE_BYTES: usize = 50_000;

fn value_of(number: u64) -> Vec<u8> {
    value(number, 0, if number.is_multiple_of(LARGE_EVERY) { LARGE_BYTES } else { VALUE_BYTES })
}

struct Rng(u64);

impl Rng {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// A file of all entries, closed.
fn made() -> Option<(tempfile::TempDir, PathBuf)> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("t.leaf");
    // SAFETY: a new file in a directory of its own.
    let db = unsafe { Database::open(&path) }.unwrap();
    let mut txn = db.write().unwrap();
    let mut tree = txn.tree("t").unwrap();
    for number in 0..ENTRIES {
        tree.insert(&key(number), &value_of(number)).unwrap();
    }
    txn.commit().unwrap();
    db.close().unwrap();
    if mapleaf_sys_linux::lives_in_memory(File::open(&path).unwrap().as_fd()) {
        eprintln!("SKIPPED: the scratch directory lies in memory, where nothing can be evicted");
        return None;
    }
    Some((directory, path))
}

fn open(path: &Path, access: Access, mode: WriteMode) -> Database {
    let builder = Database::builder().access(access).write_mode(mode).background(false);
    // SAFETY: the test's own file, which nothing else changes.
    unsafe { builder.open(path) }.unwrap()
}

/// A file of which only this test takes pages out of memory.
struct Place<'a> {
    db: &'a Database,
    file: File,
    held: io::Result<Held>,
}

impl Place<'_> {
    fn new<'a>(db: &'a Database, path: &Path) -> Place<'a> {
        let file = File::open(path).unwrap();
        let held = lock_program().and_then(|()| Held::new(&file));
        if let Err(error) = &held {
            assert!(std::env::var_os("MAPLEAF_TOOLS_REQUIRED").is_none(), "mlock: {error}");
            eprintln!("not locked in memory ({error}): what the kernel drops by itself counts too");
        }
        Place { db, file, held }
    }

    /// Evicts something: all, an eighth, or by another descriptor, behind the mapping's back.
    fn evict(&mut self, rng: &mut Rng) {
        // What somebody has mapped stays.
        self.held = Err(io::ErrorKind::Other.into());
        let len = self.db.stats().file_bytes;
        let start = rng.below(len);
        match rng.below(4) {
            0 => self.db.evict(),
            1 | 2 => self.db.evict_range(start..start + len / 8),
            _ => {
                let (fd, start) = (self.file.as_raw_fd(), start as libc::off_t);
                // SAFETY: a hint about a file.
                let answer =
                    unsafe { libc::posix_fadvise(fd, start, 0, libc::POSIX_FADV_DONTNEED) };
                assert_eq!(answer, 0);
            }
        }
        self.held = Held::new(&self.file);
    }

    /// Runs something; its answer, and the hard faults that it took, with all that is in memory locked there.
    fn counted<T>(&mut self, call: impl FnOnce() -> T) -> (T, u64) {
        self.hold();
        let before = Faults::of_thread();
        let answer = call();
        (answer, Faults::of_thread().since(before).major)
    }

    /// Locks all that is in memory, what is still being read included: a fault may have begun to read ahead.
    fn hold(&mut self) {
        /// Reads under way that are waited for.
        const LOOKS_MAX: usize = 100_000;
        let Ok(held) = &mut self.held else { return };
        for _ in 0..LOOKS_MAX {
            let cached = self.db.residency(..).expect("Linux says").resident_bytes;
            if held.locked_bytes() >= cached {
                return;
            }
            if let Err(error) = held.hold() {
                self.held = Err(error);
                return;
            }
        }
        panic!("reading does not come to an end");
    }
}

fn sum(bytes: &[u8]) -> u64 {
    bytes.iter().map(|&byte| u64::from(byte)).sum()
}

#[derive(Default, Debug)]
struct Tally {
    answered: u64,
    blocked: u64,
    hard_faults: u64,
}

#[test]
fn try_get_takes_no_hard_fault() {
    let Some((_directory, path)) = made() else { return };
    for (access, mode) in [
        (Access::Sparse, WriteMode::Shadow),
        (Access::Resident, WriteMode::Shadow),
        (Access::Fetched, WriteMode::Shadow),
        (Access::Sparse, WriteMode::InPlace),
    ] {
        let db = open(&path, access, mode);
        let snap = db.read().unwrap();
        let mut place = Place::new(&db, &path);
        let mut rng = Rng(0x5EED);
        let mut tally = Tally::default();
        for _ in 0..20_000 {
            if rng.below(60) == 0 {
                place.evict(&mut rng);
            }
            let number = rng.below(ENTRIES + 100);
            let wanted = (number < ENTRIES).then(|| value_of(number));
            let key = key(number);
            let ((found, read), hard) = place.counted(|| {
                let found = snap.try_tree("t").and_then(|tree| tree.get(&key));
                let read = found.map_or(0, |value| value.map_or(0, sum));
                (found, read)
            });
            tally.hard_faults += hard;
            match found {
                Ok(value) => {
                    assert_eq!(value, wanted.as_deref());
                    assert_eq!(read, wanted.as_deref().map_or(0, sum));
                    tally.answered += 1;
                }
                Err(error) => {
                    assert!(error.would_block(), "{error}");
                    tally.blocked += 1;
                    if rng.below(4) > 0 {
                        assert!(db.fetch(error).unwrap());
                    }
                }
            }
        }
        println!("{access:?} {mode:?} {tally:?}");
        assert_eq!(tally.hard_faults, 0, "{access:?} {mode:?} {tally:?}");
        assert!(tally.answered > 500 && tally.blocked > 500, "{access:?} {mode:?} {tally:?}");
    }
}

#[test]
fn a_plain_get_takes_hard_faults() {
    let Some((_directory, path)) = made() else { return };
    let db = open(&path, Access::Sparse, WriteMode::Shadow);
    let snap = db.read().unwrap();
    let tree = snap.tree("t").unwrap();
    let mut place = Place::new(&db, &path);
    let mut rng = Rng(0x5EED);
    let mut hard_faults = 0;
    for _ in 0..1000 {
        if rng.below(6) == 0 {
            place.evict(&mut rng);
        }
        let number = rng.below(ENTRIES);
        let (found, hard) = place.counted(|| tree.get(&key(number)).unwrap().map(sum));
        assert_eq!(found, Some(sum(&value_of(number))));
        hard_faults += hard;
    }
    assert!(hard_faults > 300, "{hard_faults}");
}

#[test]
fn what_is_missing_leads_to_the_answer_in_as_many_rounds_as_there_are_levels() {
    let Some((_directory, path)) = made() else { return };
    let db = open(&path, Access::Sparse, WriteMode::Shadow);
    let snap = db.read().unwrap();
    for number in (0..ENTRIES).step_by(500) {
        db.evict();
        let mut rounds = 0;
        let found = loop {
            match snap.try_tree("t").and_then(|tree| tree.get(&key(number))) {
                Err(error) if db.fetch(error).unwrap() => rounds += 1,
                found => break found.unwrap(),
            }
        };
        assert_eq!(found, Some(&value_of(number)[..]));
        // The catalog's page, the tree's, and a run.
        let height = u64::from(snap.tree("t").unwrap().record().height);
        assert!((1..=1 + height + 1).contains(&rounds), "{rounds}");
    }
    assert!(!db.fetch(TreeError::NoSuchTree).unwrap());
}

#[test]
fn try_next_takes_no_hard_fault_and_leaves_nothing_out() {
    let Some((_directory, path)) = made() else { return };
    for access in [Access::Sparse, Access::Resident, Access::Fetched] {
        let db = open(&path, access, WriteMode::Shadow);
        let snap = db.read().unwrap();
        let mut rng = Rng(0xACE);
        let mut tally = Tally::default();
        db.evict();
        let tree = snap.tree("t").unwrap();
        let mut place = Place::new(&db, &path);
        let mut range = loop {
            match place.counted(|| tree.try_range(..)) {
                (Err(error), hard) => {
                    tally.hard_faults += hard;
                    assert!(db.fetch(error).unwrap());
                }
                (Ok(range), hard) => {
                    tally.hard_faults += hard;
                    break range;
                }
            }
        };
        // Keys are in no order: what the plain scan says.
        let wanted: Vec<_> = tree.iter().map(|entry| entry.unwrap()).collect();
        let mut number = 0;
        loop {
            if rng.below(100) == 0 {
                place.evict(&mut rng);
            }
            let (entry, hard) = place.counted(|| {
                range.try_next().map(|entry| entry.map(|(key, value)| (key, value, sum(value))))
            });
            tally.hard_faults += hard;
            match entry {
                Ok(None) => break,
                Ok(Some((found, value, _))) => {
                    assert!((found, value) == wanted[number], "entry {number}");
                    tally.answered += 1;
                    number += 1;
                }
                Err(error) => {
                    tally.blocked += 1;
                    assert!(db.fetch(error).unwrap());
                }
            }
        }
        println!("{access:?} {tally:?}");
        assert_eq!(number, ENTRIES as usize, "{access:?} {tally:?}");
        assert_eq!(tally.hard_faults, 0, "{access:?} {tally:?}");
        assert!(tally.blocked > 50, "{access:?} {tally:?}");
    }
}
