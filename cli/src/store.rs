//! Opening the store.

#![allow(unsafe_code)] // Opens the file through a mapping: see `mapped`.

use crate::failure::{Failure, Outcome};
use mapleaf::{
    Builder, Create, Database, ReadTree, ReadTxn, RepairReport, StoreError, TreeError, Verify,
};
use std::ops::Deref;
use std::path::Path;

/// Where the store is, and how it is to be opened. A path, wherever only that matters.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) path: &'a Path,
    pub(crate) verify: Verify,
}

impl Deref for Place<'_> {
    type Target = Path;

    fn deref(&self) -> &Path {
        self.path
    }
}

impl Place<'_> {
    fn builder(&self) -> Builder {
        Builder::new().verify(self.verify)
    }
}

/// Opens the store to read it. One that a writer left without closing is recovered first.
pub(crate) fn to_read(place: &Place<'_>) -> Result<Database, mapleaf::Error> {
    opened_to_read(&place.builder().background(false), place)
}

/// Opens the store to look up an entry or two: pages are read one by one, instead of megabytes for each.
pub(crate) fn to_look_up(place: &Place<'_>) -> Result<Database, mapleaf::Error> {
    let builder = place.builder().background(false);
    #[cfg(target_os = "linux")]
    let builder = builder.access(mapleaf::Access::Sparse);
    opened_to_read(&builder, place)
}

/// Opens the store to read all of it, whatever the medium delivers.
pub(crate) fn to_scrub(place: &Place<'_>) -> Result<Database, mapleaf::Error> {
    let builder = place.builder().background(false);
    #[cfg(target_os = "linux")]
    let builder = builder.sigbus_guard(true);
    opened_to_read(&builder, place)
}

fn opened_to_read(builder: &Builder, path: &Path) -> Result<Database, mapleaf::Error> {
    match mapped(&builder.clone().read_only(true), path) {
        Err(error) if error.store_error() == Some(StoreError::NeedsRecovery) => {
            mapped(&builder.clone().create(Create::Never), path)
        }
        other => other,
    }
}

/// Opens the store, which must be there, to change it.
pub(crate) fn to_write(place: &Place<'_>) -> Outcome<Database> {
    Ok(mapped(&place.builder().create(Create::Never), place)?)
}

/// Opens the store, makes it where there is none, changes it by `change`, and closes it. One that was made for
/// nothing, since the change failed with nothing committed, is taken away again.
pub(crate) fn made<T>(
    place: &Place<'_>,
    change: impl FnOnce(&Database) -> Outcome<T>,
) -> Outcome<T> {
    let path: &Path = place;
    let looked = std::fs::symlink_metadata(path);
    let new = looked.is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound);
    let opened = mapped(&place.builder(), place).inspect_err(|_| {
        // A full disk had no room for it.
        if new && std::fs::metadata(path).is_ok_and(|file| file.len() == 0) {
            let _ = std::fs::remove_file(path);
        }
    });
    let db = opened?;
    let changed = change(&db);
    if changed.is_err() && new && is_empty(&db) {
        // Before it is closed: nobody else has it yet. What cannot be taken away stays.
        let _ = std::fs::remove_file(path);
    }
    // Also where the change failed: what is committed is written out, so that it opens at once.
    let closed = db.close();
    let changed = changed?;
    closed?;
    Ok(changed)
}

/// Whether nothing at all was committed.
fn is_empty(db: &Database) -> bool {
    let Ok(snap) = db.read() else { return false };
    snap.trees().is_ok_and(|mut trees| trees.next().is_none())
}

#[cfg(target_os = "linux")]
fn mapped(builder: &Builder, path: &Path) -> Result<Database, mapleaf::Error> {
    // SAFETY: the user names a store of theirs. That mapleaf wrote it is checked as far as a file can
    // show it: two metas with checksums, and a checksum on every page. That no other program changes it
    // meanwhile is the user's to know; other mapleaf processes are kept out by its lock.
    unsafe { builder.open(path) }
}

#[cfg(not(target_os = "linux"))]
fn mapped(builder: &Builder, path: &Path) -> Result<Database, mapleaf::Error> {
    builder.open_buffered(path)
}

/// Makes the store, which must not be there.
pub(crate) fn new(path: &Path, page_size: u32) -> Result<Database, mapleaf::Error> {
    mapped(&Builder::new().create(Create::New).page_size(page_size), path)
}

/// Repairs the store.
#[cfg(target_os = "linux")]
pub(crate) fn repair(path: &Path) -> Result<RepairReport, mapleaf::Error> {
    // SAFETY: that no other program changes the file meanwhile is the user's to know; other mapleaf
    // processes are kept out by its lock.
    unsafe { Database::repair(path) }
}

/// Repairs the store.
#[cfg(not(target_os = "linux"))]
pub(crate) fn repair(path: &Path) -> Result<RepairReport, mapleaf::Error> {
    Database::repair_buffered(path)
}

/// The tree `name` of a snapshot.
pub(crate) fn tree<'a>(path: &Path, snap: &'a ReadTxn<'_>, name: &str) -> Outcome<ReadTree<'a>> {
    snap.tree(name).map_err(|error| match error {
        TreeError::NoSuchTree => no_tree(path, name),
        error => Failure::tree(path, error),
    })
}

/// There is no such tree.
pub(crate) fn no_tree(path: &Path, name: &str) -> Failure {
    Failure::No(format!("{}: no tree {name:?}", path.display()))
}
