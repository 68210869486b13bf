//! Recovery over a living reader's pages: a reader of the last checkpoint holds a snapshot while another
//! process opens the file to write, recovers it, and goes on until it has reused what the checkpoint had.
//!
//! Invariants checked:
//! - a file that somebody reads is not opened for writing: nothing is recovered, nothing written;
//! - what the reader's snapshot shows stays as it was;
//! - planted (the reader's lock is lost): the file is recovered, and the reader does see other values, so that
//!   the look at its snapshot would notice.

#![allow(unsafe_code)] // Opens mapped files that these tests have made; gives up a lock that is not ours.

use mapleaf::{Database, Durability, Error, ReadTxn, WriteMode};
use mapleaf_tests::child;
use std::collections::BTreeMap;
use std::os::fd::RawFd;
use std::path::{Path, PathBuf};

const KEYS: u32 = 400;
/// Commits after the recovery: enough for the checkpoints that let the old pages be reused.
const ROUNDS: u8 = 30;
const TEST: &str = "recovery_waits_for_a_living_reader";

type Entries = BTreeMap<Vec<u8>, Vec<u8>>;

fn open(path: &Path) -> Result<Database, Error> {
    let builder = Database::builder().write_mode(WriteMode::Shadow).background(false);
    // SAFETY: a file of this test's own, which it shares as it says above.
    unsafe { builder.open(path) }
}

fn write(db: &Database, value: u8, durability: Durability) {
    let mut txn = db.write().unwrap();
    let mut tree = txn.tree("t").unwrap();
    for key in 0..KEYS {
        tree.insert(&key.to_be_bytes(), &[value; 100]).unwrap();
    }
    txn.commit_with(durability).unwrap();
}

/// A writer that dies: a checkpoint, and a commit behind it in the log.
fn die_with_a_log(path: &Path) -> ! {
    let db = open(path).unwrap();
    write(&db, 1, Durability::Sync);
    db.checkpoint().unwrap();
    let mut txn = db.write().unwrap();
    txn.tree("t").unwrap().insert(b"last", b"in the log").unwrap();
    txn.commit_with(Durability::Eventual).unwrap();
    std::process::exit(0)
}

/// A writer that comes later: what it says is whether it got the file.
fn recover_and_go_on(path: &Path) -> ! {
    match open(path) {
        Ok(db) => {
            println!("said: recovered {}", db.stats().store.replayed_blocks);
            for round in 0..ROUNDS {
                write(&db, 2 + round, Durability::Sync);
                db.checkpoint().unwrap();
            }
        }
        Err(error) => println!("said: {error:?}"),
    }
    // As a kill: nothing is cut off the file's end below the reader.
    std::process::exit(0)
}

fn entries(snapshot: &ReadTxn<'_>) -> Result<Entries, Error> {
    let tree = snapshot.tree("t")?;
    let mut found = Entries::new();
    for entry in tree.iter() {
        let (key, value) = entry?;
        found.insert(key.to_vec(), value.to_vec());
    }
    Ok(found)
}

/// The descriptors that this process has of the file.
fn descriptors(path: &Path) -> Vec<RawFd> {
    let all = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    let named = all.filter(|fd| std::fs::read_link(fd.path()).is_ok_and(|link| link == path));
    named.map(|fd| fd.file_name().to_str().unwrap().parse().unwrap()).collect()
}

#[test]
fn recovery_waits_for_a_living_reader() {
    if let Some(asked) = child::asked() {
        let (what, path) = asked.split_once(' ').unwrap();
        match what {
            "die" => die_with_a_log(Path::new(path)),
            _ => recover_and_go_on(Path::new(path)),
        }
    }
    for planted in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let path: PathBuf = directory.path().canonicalize().unwrap().join("store.leaf");
        let asked = |what: &str| child::run(TEST, &format!("{what} {}", path.display()));
        assert!(asked("die").status.success());

        let reading = Database::builder().read_only(true).at_checkpoint(true);
        // SAFETY: a file of this test's own; nobody writes while the lock is held.
        let db = unsafe { reading.open(&path) }.unwrap();
        let snapshot = db.read().unwrap();
        let before = entries(&snapshot).unwrap();
        assert_eq!(before.len(), KEYS as usize, "the checkpoint, without the log");
        if planted {
            let held = descriptors(&path);
            assert!(!held.is_empty(), "no descriptor has the lock");
            for fd in held {
                // SAFETY: gives up a lock; the descriptor stays as it is.
                assert_eq!(unsafe { libc::flock(fd, libc::LOCK_UN) }, 0);
            }
        }
        let bytes = std::fs::read(&path).unwrap();
        let output = asked("recover");
        let said = child::said(&output, "said:").join(" ");
        let same = entries(&snapshot).is_ok_and(|after| after == before);
        if planted {
            assert_eq!(said, "recovered 1", "{output:?}");
            assert!(!same, "the planted bug was not found");
        } else {
            assert!(said.contains("InUse"), "{said}: opened beside a reader: {output:?}");
            assert!(same, "what a reader holds has changed");
            assert!(std::fs::read(&path).unwrap() == bytes, "written to beside a reader");
            drop(snapshot);
            drop(db);
            let output = asked("recover");
            assert_eq!(child::said(&output, "said:"), ["recovered 1"], "{output:?}");
        }
    }
}
