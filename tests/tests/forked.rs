//! A forked child that has inherited a database: nothing of what it does there reaches the file.

#![allow(unsafe_code)] // fork.

use mapleaf::{Builder, Database, Error};
use std::path::Path;

/// What a child finds wrong, a bit each.
fn in_child(db: Database) -> i32 {
    let mut wrong = 0;
    let inserted = (|| -> mapleaf::Result<()> {
        let mut txn = db.write()?;
        txn.tree("t")?.insert(b"of the child", b"")?;
        txn.commit().map(drop)
    })();
    let refused = |error: &Error| match error {
        Error::Io { source, .. } => source.kind() == std::io::ErrorKind::PermissionDenied,
        _ => false,
    };
    wrong |= i32::from(!inserted.is_err_and(|error| refused(&error)));
    let read = db.read().is_ok_and(|snap| snap.tree("t").is_ok_and(|tree| tree.len() == 1));
    wrong |= i32::from(!read) << 1;
    // Else the child would wait for a thread that it does not have, or close its parent's file.
    let dropped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(db)));
    wrong | i32::from(dropped.is_err()) << 2
}

fn forks(path: &Path, open: impl Fn(&Builder, &Path) -> mapleaf::Result<Database>) {
    let db = open(&Database::builder(), path).expect("opens");
    let mut txn = db.write().expect("the turn");
    txn.tree("t").expect("a tree").insert(b"of the parent", b"").expect("room");
    txn.commit().expect("durable");
    let before = std::fs::read(path).expect("the file");
    // SAFETY: this test is alone in its process; the child leaves without the parent's exit handlers.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "fork: {}", std::io::Error::last_os_error());
    if child == 0 {
        let wrong = in_child(db);
        // SAFETY: ends the child.
        unsafe { libc::_exit(wrong) };
    }
    let mut status = -1;
    // SAFETY: the child above, and a place for its status.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert_eq!(status, 0, "the child found {:#b} wrong", status >> 8);
    assert!(std::fs::read(path).expect("the file") == before, "the child has changed the file");
    let mut txn = db.write().expect("the turn");
    txn.tree("t").expect("a tree").insert(b"afterwards", b"").expect("room");
    txn.commit().expect("durable");
    assert!(db.check().expect("reads").is_sound());
    db.close().expect("closes");
}

#[test]
fn a_child_reads_and_changes_nothing() {
    let directory = tempfile::tempdir().expect("a scratch directory");
    // SAFETY: the test's own file.
    forks(&directory.path().join("mapped"), |builder, path| unsafe { builder.open(path) });
    forks(&directory.path().join("buffered"), |builder, path| builder.open_buffered(path));
}
