//! What the system does not allow: file systems, files and directories that can only be read, or not even
//! that; pipes; files that somebody has a lease on. Each is the system's own error; nothing is changed, and what can be read is read.
//!
//! Needs root: mounts, and gives root's rights up in a child.

#![allow(unsafe_code)] // Opens mapped files in directories of this test's own; rights of a child.

use mapleaf::{Builder, Database, Error, PageMap, Salvage, StoreError, WriteMode};
use mapleaf_tests::data::{key, value};
use mapleaf_tests::mounted::Mounted;
use mapleaf_tests::{child, tools};
use std::ffi::CString;
use std::fs::{File, Permissions};
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

const ENTRIES: u64 = 500;
/// A user without rights, on any system.
const NOBODY: libc::uid_t = 65_534;

fn builders() -> [Builder; 2] {
    [WriteMode::Shadow, WriteMode::InPlace].map(|mode| Database::builder().write_mode(mode))
}

fn open(builder: &Builder, path: &Path) -> mapleaf::Result<Database> {
    // SAFETY: the file is this test's own.
    unsafe { builder.open(path) }
}

fn make(path: &Path) {
    let db = open(&Database::builder(), path).unwrap();
    let mut txn = db.write().unwrap();
    for number in 0..ENTRIES {
        txn.tree("t").unwrap().insert(&key(number), &value(number, 0, 100)).unwrap();
    }
    txn.commit().unwrap();
    db.close().unwrap();
}

/// Opens for reading, and finds everything; writes are refused.
fn assert_readable(path: &Path) {
    for builder in builders() {
        let db = open(&builder.read_only(true), path).unwrap();
        let snapshot = db.read().unwrap();
        for number in 0..ENTRIES {
            let got = snapshot.tree("t").unwrap().get(&key(number)).unwrap();
            assert_eq!(got, Some(&value(number, 0, 100)[..]));
        }
        assert!(db.check().unwrap().is_sound());
        let error = db.write().err().and_then(|error| error.store_error());
        assert_eq!(error, Some(StoreError::ReadOnly));
    }
}

/// Every way of opening it is refused with this error of the system, by name.
fn assert_refused(path: &Path, read_only: bool, errno: i32) {
    for builder in builders() {
        let builder = builder.read_only(read_only);
        let ways = [open(&builder, path), builder.open_buffered(path)];
        for error in ways.map(|result| result.expect_err("it is not allowed")) {
            let right = matches!(&error, Error::Io { path: named, source, .. }
                if source.raw_os_error() == Some(errno) && named == path);
            assert!(right, "{}: {error:?}", path.display());
        }
    }
}

#[test]
fn a_read_only_file_system_can_be_read() {
    let _alone = child::alone();
    let disk = Mounted::tmpfs(8 << 10);
    if !tools::can_run("the test of a read-only file system", disk.is_some(), "root, to mount") {
        return;
    }
    let disk = disk.unwrap();
    let path = disk.path().join("t.leaf");
    make(&path);
    let before = std::fs::read(&path).unwrap();
    assert!(disk.remount(true), "it is in use");
    assert_readable(&path);
    assert_refused(&path, false, libc::EROFS);
    let new = disk.path().join("new.leaf");
    assert_refused(&new, false, libc::EROFS);
    assert!(disk.remount(false) && !new.exists());
    assert!(std::fs::read(&path).unwrap() == before, "the file is as it was");
    drop(open(&Database::builder(), &path).unwrap());
}

#[test]
fn what_the_user_may_not_do_is_refused() {
    const TEST: &str = "what_the_user_may_not_do_is_refused";
    if let Some(directory) = child::asked() {
        return as_nobody(Path::new(&directory));
    }
    let _alone = child::alone();
    // SAFETY: asks who this is.
    let root = unsafe { libc::geteuid() } == 0;
    if !tools::can_run("the test of permissions", root, "root, to give its rights up") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let allow = |path: &Path, mode: u32| {
        std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    };
    std::fs::create_dir(at("closed")).unwrap();
    for name in ["readable.leaf", "secret.leaf", "writable.leaf", "closed/t.leaf"] {
        make(&at(name));
        allow(&at(name), 0o666);
    }
    allow(&at("readable.leaf"), 0o444);
    allow(&at("secret.leaf"), 0o000);
    allow(&at("closed"), 0o700);
    allow(directory.path(), 0o755);
    let before = std::fs::read(at("readable.leaf")).unwrap();
    let output = child::run(TEST, directory.path().to_str().unwrap());
    assert!(output.status.success(), "{output:?}");
    assert!(!child::said(&output, "all refused").is_empty(), "the child did nothing: {output:?}");
    assert!(std::fs::read(at("readable.leaf")).unwrap() == before, "the file is as it was");
    assert!(!at("new.leaf").exists() && !at("closed/new.leaf").exists());
    for name in ["readable.leaf", "secret.leaf", "writable.leaf", "closed/t.leaf"] {
        allow(&at(name), 0o444);
        assert_readable(&at(name));
    }
}

/// In the child, which is nobody from now on.
fn as_nobody(directory: &Path) {
    // SAFETY: changes who this process is; the test's threads share that.
    assert_eq!(unsafe { libc::setgroups(0, std::ptr::null()) }, 0);
    // SAFETY: as above.
    assert_eq!(unsafe { libc::setresgid(NOBODY, NOBODY, NOBODY) }, 0);
    // SAFETY: as above.
    assert_eq!(unsafe { libc::setresuid(NOBODY, NOBODY, NOBODY) }, 0);
    let at = |name: &str| directory.join(name);
    assert_readable(&at("readable.leaf"));
    assert_refused(&at("readable.leaf"), false, libc::EACCES);
    for read_only in [false, true] {
        assert_refused(&at("secret.leaf"), read_only, libc::EACCES);
        assert_refused(&at("closed/t.leaf"), read_only, libc::EACCES);
    }
    assert_refused(&at("new.leaf"), false, libc::EACCES);
    assert_refused(&at("closed/new.leaf"), false, libc::EACCES);
    // A file that may be written does not need its directory to be.
    for builder in builders() {
        let db = open(&builder, &at("writable.leaf")).unwrap();
        let mut txn = db.write().unwrap();
        txn.tree("t").unwrap().insert(&key(0), &value(0, 0, 100)).unwrap();
        txn.commit().unwrap();
    }
    println!("all refused");
}

/// Runs the test again in a child that is killed where it waits for ever.
fn bounded(test: &str, path: &Path) {
    let _alone = child::alone();
    let script = "exec timeout -s KILL 60 \"$0\" \"$@\"";
    let output = child::run_behind(script, test, path.to_str().unwrap());
    assert!(output.status.success(), "{output:?}");
    assert!(!child::said(&output, "all refused").is_empty(), "the child did nothing: {output:?}");
}

/// Every way to open a path, for reading and for writing.
fn every_way(path: &Path) -> Vec<(&'static str, Error)> {
    let mut errors = Vec::new();
    for read_only in [false, true] {
        for builder in builders().map(|builder| builder.read_only(read_only)) {
            errors.push(("mapped", open(&builder, path).expect_err("mapped")));
            errors.push(("buffered", builder.open_buffered(path).expect_err("buffered")));
        }
    }
    // SAFETY: the file is this test's own.
    errors.push(("repair", unsafe { Database::repair(path) }.expect_err("repair")));
    errors.push(("repair_buffered", Database::repair_buffered(path).expect_err("repair")));
    errors.push(("salvage", Salvage::open(path).expect_err("salvage")));
    errors
}

#[test]
fn a_pipe_is_refused_at_once() {
    const TEST: &str = "a_pipe_is_refused_at_once";
    if let Some(path) = child::asked() {
        let mut errors = every_way(Path::new(&path));
        errors.push(("map", PageMap::read(&path).expect_err("map")));
        for (way, error) in errors {
            let right = error.to_string() == format!("{path}: cannot open: not a regular file");
            assert!(right, "{way}: {error}");
        }
        return println!("all refused");
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("pipe");
    let name = CString::new(path.as_os_str().as_bytes()).unwrap();
    // SAFETY: a path that ends.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
    bounded(TEST, &path);
}

/// A file server's lease on the file, say: opening asks for it, and does not wait until it is given up.
#[test]
fn a_file_with_a_lease_is_in_use() {
    const TEST: &str = "a_file_with_a_lease_is_in_use";
    if let Some(path) = child::asked() {
        let path = Path::new(&path);
        // SAFETY: the system tells the holder of a lease by this signal, which would kill it.
        unsafe { libc::signal(libc::SIGIO, libc::SIG_IGN) };
        let holder = File::options().read(true).write(true).open(path).unwrap();
        let lease = |kind: i32| {
            // SAFETY: a call on a descriptor that is open.
            unsafe { libc::fcntl(holder.as_raw_fd(), libc::F_SETLEASE, kind) }
        };
        assert_eq!(lease(libc::F_WRLCK), 0);
        for (way, error) in every_way(path) {
            assert!(matches!(error, Error::InUse { .. }), "{way}: {error:?}");
        }
        assert_eq!(lease(libc::F_UNLCK), 0);
        drop(holder);
        assert_readable(path);
        return println!("all refused");
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("t.leaf");
    make(&path);
    bounded(TEST, &path);
}
