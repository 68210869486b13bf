//! Bus errors: a file that another process cuts under its readers, with the guard and without.
//!
//! Invariants checked: with the guard every answer is right or an error, where `health` is `Ok` behind
//! it; nothing is committed once a page was lost; what is not a guarded mapping's error goes where it
//! would have gone.

#![allow(unsafe_code)] // Opens mapped files that this test cuts; handlers of signals.

use mapleaf::{
    Builder, Database, Durability, Scar, StoreError, TreeError, Trouble, What, WriteMode,
};
use mapleaf_tests::child;
use mapleaf_tests::data::{key, value};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

const MODES: [WriteMode; 2] = [WriteMode::Shadow, WriteMode::InPlace];
const ENTRIES: u64 = 20_000;
const VALUE_BYTES: usize = 150;
const LARGE_BYTES: usize = 200 << 10;
const PAGE_BYTES: u64 = 4096;
/// The byte of a page that says what it is (docs/format.md), and what it is on a leaf.
const KIND_AT: usize = 16;
const LEAF: u8 = 2;

fn builder(mode: WriteMode) -> Builder {
    Database::builder().write_mode(mode).sigbus_guard(true)
}

fn open(builder: &Builder, path: &Path) -> Database {
    // SAFETY: a file in a directory of this test's own. Cutting it breaks the promise on purpose: the
    // guard is what is tested, and the test asks `health` before it believes anything.
    unsafe { builder.open(path) }.unwrap()
}

/// A file of entries and one large value.
fn make(directory: &Path) -> PathBuf {
    let path = directory.join("t.leaf");
    let db = open(&Database::builder().log_bytes(1 << 20, 1 << 20), &path);
    let mut txn = db.write().unwrap();
    let mut tree = txn.tree("t").unwrap();
    for number in 0..ENTRIES {
        tree.insert(&key(number), &value(number, 0, VALUE_BYTES)).unwrap();
    }
    txn.tree("large").unwrap().insert(b"large", &value(0, 0, LARGE_BYTES)).unwrap();
    txn.commit().unwrap();
    db.close().unwrap();
    path
}

/// Where the file's pages begin that look so.
fn pages(path: &Path, look: impl Fn(&[u8]) -> bool) -> Vec<u64> {
    let file = std::fs::read(path).unwrap();
    let pages = (0..).step_by(PAGE_BYTES as usize).zip(file.chunks(PAGE_BYTES as usize));
    pages.filter(|(_, page)| look(page)).map(|(at, _)| at).collect()
}

/// Another process cuts the file.
fn cut(path: &Path, len: u64) {
    let mut truncate = Command::new("truncate");
    assert!(truncate.arg("-s").arg(len.to_string()).arg(path).status().unwrap().success());
}

fn is_lost(error: TreeError) -> bool {
    error == TreeError::Pager(StoreError::Io { code: libc::EIO })
}

fn is_eio(error: &mapleaf::Error) -> bool {
    let as_io = matches!(error, mapleaf::Error::Io { source, .. } if source.raw_os_error() == Some(libc::EIO));
    as_io || error.tree_error().is_some_and(is_lost)
}

/// Looks all entries up: how many are there, and how many cannot be read. None is missing or wrong.
fn look(db: &Database) -> (u64, u64) {
    let (mut found, mut lost) = (0, 0);
    let snapshot = db.read().unwrap();
    for number in 0..ENTRIES {
        match snapshot.tree("t").and_then(|tree| tree.get(&key(number))) {
            Ok(Some(got)) if got == value(number, 0, VALUE_BYTES) => found += 1,
            Err(error) if is_lost(error) => lost += 1,
            other => panic!("entry {number}: {other:?}"),
        }
    }
    (found, lost)
}

/// Nothing that is written is acknowledged; the first refusal names the loss, `later` ones may also be
/// these.
fn assert_commits_refuse(db: &Database, durability: Durability, later: &[StoreError]) {
    for number in 0..5 {
        let attempt = || -> mapleaf::Result<()> {
            let mut txn = db.write()?;
            txn.tree("t")?.insert(&key(number), b"new")?;
            txn.commit_with(durability)?;
            Ok(())
        };
        let error = attempt().expect_err("acknowledged after a loss");
        let allowed = error.store_error().is_some_and(|error| number > 0 && later.contains(&error));
        assert!(is_eio(&error) || allowed, "attempt {number}: {error:?}");
    }
}

#[test]
fn a_cut_file_loses_the_pages_that_were_cut() {
    let all = MODES.map(|mode| [Durability::Eventual, Durability::Sync].map(|kind| (mode, kind)));
    for (mode, durability) in all.concat() {
        let directory = tempfile::tempdir().unwrap();
        let path = make(directory.path());
        let leaves = pages(&path, |page| page[KIND_AT] == LEAF);
        let db = open(&builder(mode), &path);
        assert_eq!(look(&db), (ENTRIES, 0));
        db.health().unwrap();
        let keep = leaves[leaves.len() - 20];
        cut(&path, keep);
        let (found, lost) = look(&db);
        assert!(lost > 0 && found > ENTRIES * 9 / 10, "{mode:?}: {found} {lost}");
        assert_eq!(look(&db), (found, lost), "the same again: a lost page stays lost");
        // A scrub goes on beside them, and tells each.
        let report = db.scrub(&mut |_, _| {}).unwrap();
        let unread = |scar: &&Scar| scar.trouble == Trouble::Unreadable(libc::EIO);
        assert_eq!(report.damages, report.found.iter().filter(unread).count() as u64);
        let leaf = |scar: &&Scar| scar.what == Some(What::Leaf) && scar.offset >= keep;
        assert_eq!(report.found.iter().filter(leaf).count(), 20, "{report:?}");
        assert!(is_eio(&db.health().expect_err("pages were lost")));
        assert_commits_refuse(&db, durability, &[StoreError::Poisoned]);
        assert!(is_eio(&db.check().expect_err("a check meets the lost pages")));
        drop(db);
        assert_eq!(std::fs::metadata(&path).unwrap().len(), keep, "the file is left alone");
    }
}

#[test]
fn more_losses_than_are_remembered_lose_everything() {
    let directory = tempfile::tempdir().unwrap();
    let path = make(directory.path());
    let db = open(&builder(WriteMode::Auto), &path);
    assert_eq!(look(&db), (ENTRIES, 0));
    cut(&path, 2 * PAGE_BYTES);
    let (found, lost) = look(&db);
    assert_eq!((found, lost), (0, ENTRIES), "the root is gone");
}

#[test]
fn a_large_value_is_not_half_zeros() {
    for mode in MODES {
        let directory = tempfile::tempdir().unwrap();
        let path = make(directory.path());
        let near_its_end = &value(0, 0, LARGE_BYTES)[LARGE_BYTES - 5 * PAGE_BYTES as usize..][..64];
        let end = pages(&path, |page| page.windows(64).any(|bytes| bytes == near_its_end));
        let db = open(&builder(mode), &path);
        assert_eq!(look(&db), (ENTRIES, 0));
        cut(&path, end[0]);
        let snapshot = db.read().unwrap();
        let got = snapshot.tree("large").unwrap().get(b"large").map(|value| value.map(<[u8]>::len));
        assert!(got.is_err_and(is_lost), "{got:?}");
        // What is elsewhere can still be read.
        let (found, lost) = look(&db);
        assert!(found > ENTRIES / 2 && lost < ENTRIES / 2, "{mode:?}: {found} {lost}");
    }
}

/// What a borrowed value is when its page goes: zeros, and `health` says so.
#[test]
fn a_value_lost_while_it_is_borrowed_is_known_to_be() {
    let directory = tempfile::tempdir().unwrap();
    let path = make(directory.path());
    let db = open(&builder(WriteMode::Shadow), &path);
    let snapshot = db.read().unwrap();
    let borrowed = snapshot.tree("large").unwrap().get(b"large").unwrap().unwrap();
    let expected = value(0, 0, LARGE_BYTES);
    assert!(borrowed == expected);
    db.health().unwrap();
    cut(&path, PAGE_BYTES);
    // Read as if by somebody else: the bytes of a slice do not change, as far as the compiler knows.
    let copy = std::hint::black_box(borrowed).to_vec();
    assert!(copy[LARGE_BYTES / 2..].iter().all(|&byte| byte == 0));
    assert!(is_eio(&db.health().expect_err("what was copied is not what was stored")));
}

/// In place, what is stored into a lost page reaches no file: such a commit must not be acknowledged.
#[test]
fn a_writer_whose_pages_are_cut_off_is_not_acknowledged() {
    for mode in MODES {
        for durability in [Durability::Sync, Durability::Eventual] {
            let directory = tempfile::tempdir().unwrap();
            let path = make(directory.path());
            let db = open(&builder(mode).background(false), &path);
            let mut txn = db.write().unwrap();
            for number in 0..200 {
                txn.tree("t").unwrap().insert(&key(number), b"new").unwrap();
            }
            cut(&path, PAGE_BYTES);
            let more = || -> mapleaf::Result<()> {
                for number in 200..400 {
                    txn.tree("t")?.insert(&key(number), b"new")?;
                }
                txn.commit_with(durability)?;
                Ok(())
            };
            let result = more();
            assert!(result.as_ref().is_err_and(is_eio), "{mode:?} {durability:?}: {result:?}");
            drop(db);
            assert_eq!(std::fs::metadata(&path).unwrap().len(), PAGE_BYTES, "left alone");
        }
    }
}

/// Answers that `health` vouches for are right, whenever the file is cut.
#[test]
fn readers_of_many_threads_are_right_or_told() {
    let directory = tempfile::tempdir().unwrap();
    let path = make(directory.path());
    let len = std::fs::metadata(&path).unwrap().len();
    let db = open(&builder(WriteMode::Shadow), &path);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for thread in 0..4u64 {
            let (db, stop) = (&db, &stop);
            scope.spawn(move || {
                let mut told = false;
                for number in (thread * 5000..).map(|number| number % ENTRIES) {
                    let snapshot = db.read().unwrap();
                    let tree = snapshot.tree("t");
                    let got = tree.and_then(|tree| tree.get(&key(number)));
                    let right = got == Ok(Some(&value(number, 0, VALUE_BYTES)[..]));
                    let healthy = db.health().is_ok();
                    assert!(right || !healthy, "entry {number}: {got:?} and all is well");
                    told |= !healthy;
                    if told && stop.load(Ordering::Relaxed) {
                        break;
                    }
                }
            });
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
        for part in [7, 6, 4, 1] {
            cut(&path, len * part / 8);
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_file_that_is_cut_before_it_is_opened_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = make(directory.path());
    cut(&path, 10 * PAGE_BYTES);
    // SAFETY: a file of this test's own.
    let error = unsafe { builder(WriteMode::Auto).open(&path) }.expect_err("pages are missing");
    assert!(matches!(error.store_error(), Some(StoreError::Corrupt { .. })), "{error:?}");
}

/// Without the guard the process ends: what the guard is for.
#[test]
fn without_the_guard_the_process_dies() {
    const TEST: &str = "without_the_guard_the_process_dies";
    let Some(what) = child::asked() else {
        for guarded in [false, true] {
            let status = child::run(TEST, if guarded { "guarded" } else { "bare" }).status;
            let signal = (!guarded).then_some(libc::SIGBUS);
            assert_eq!(status.signal(), signal, "guarded: {guarded}, {status:?}");
            assert_eq!(status.success(), guarded);
        }
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let path = make(directory.path());
    let db = open(&builder(WriteMode::Auto).sigbus_guard(what == "guarded"), &path);
    cut(&path, 2 * PAGE_BYTES);
    let _ = std::fs::remove_file(&path);
    look(&db);
}
