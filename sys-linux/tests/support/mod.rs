//! What the tests of the Linux mapping share: scratch files, scratch file systems, both modes.

#![allow(dead_code, unsafe_code)] // Each test uses a part; opening is unsafe by contract.

use mapleaf_pager::{Bytes, Mapping};
use mapleaf_sys_linux::{FileMapping, OpenOptions, WriteMode};
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Bytes of a claimed unit.
pub(crate) const UNIT: u64 = 4096;

pub(crate) const MODES: [WriteMode; 2] = [WriteMode::Shadow, WriteMode::InPlace];

pub(crate) fn options(mode: WriteMode) -> OpenOptions {
    OpenOptions { create: true, mode, ..OpenOptions::default() }
}

pub(crate) fn c_path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).expect("no zero byte in a test's path")
}

pub(crate) fn try_open(
    path: &Path,
    options: &OpenOptions,
) -> Result<FileMapping, mapleaf_sys_linux::OpenError> {
    // SAFETY: the tests' own files, which only mappings change while they are mapped.
    unsafe { FileMapping::open(&c_path(path), options) }
}

pub(crate) fn open(path: &Path, options: &OpenOptions) -> FileMapping {
    try_open(path, options).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A new file of at least `len` bytes in a directory of its own.
pub(crate) fn scratch(mode: WriteMode, len: u64) -> (tempfile::TempDir, PathBuf, FileMapping) {
    let directory = tempfile::tempdir().expect("a scratch directory");
    let path = directory.path().join("t.leaf");
    let mapping = open(&path, &options(mode));
    mapping.grow(len).expect("room for a test");
    (directory, path, mapping)
}

/// Claims a range, without keeping it, and fills it.
pub(crate) fn store(mapping: &FileMapping, range: Bytes, value: u8) {
    // SAFETY: the tests' one writer; the reference ends before anything is published.
    unsafe { mapping.claim(range.clone(), false) }.expect("claim");
    fill(mapping, range, value);
}

/// Fills a range that is claimed.
pub(crate) fn fill(mapping: &FileMapping, range: Bytes, value: u8) {
    assert!(range.start <= range.end && range.end <= mapping.len());
    // SAFETY: in range.
    let start = unsafe { mapping.write_base().add(range.start as usize) };
    // SAFETY: claimed, and nobody else's.
    unsafe { start.write_bytes(value, (range.end - range.start) as usize) };
}

/// A copy of a range of the read view.
pub(crate) fn read(mapping: &FileMapping, range: Bytes) -> Vec<u8> {
    copy(mapping, mapping.base(), range)
}

/// A copy of a range of the write view.
pub(crate) fn built(mapping: &FileMapping, range: Bytes) -> Vec<u8> {
    copy(mapping, mapping.write_base(), range)
}

fn copy(mapping: &FileMapping, base: std::ptr::NonNull<u8>, range: Bytes) -> Vec<u8> {
    assert!(range.start <= range.end && range.end <= mapping.len());
    // SAFETY: in range.
    let start = unsafe { base.add(range.start as usize) };
    let len = (range.end - range.start) as usize;
    // SAFETY: readable, and nobody stores to it while the slice lives.
    unsafe { std::slice::from_raw_parts(start.as_ptr(), len) }.to_vec()
}

pub(crate) fn publish(mapping: &FileMapping, ranges: &[Bytes]) -> mapleaf_pager::Result<()> {
    // SAFETY: no references into the mapping are alive in the tests' one writer.
    unsafe { mapping.publish(ranges) }
}

pub(crate) fn flush(mapping: &FileMapping, ranges: &[Bytes]) -> mapleaf_pager::Result<()> {
    // SAFETY: as above.
    unsafe { mapping.flush(ranges) }
}

pub(crate) fn publish_and_flush(mapping: &FileMapping, range: Bytes) -> mapleaf_pager::Result<()> {
    // SAFETY: as above.
    unsafe { mapping.publish_and_flush(range) }
}

pub(crate) fn discard(mapping: &FileMapping, range: Bytes) {
    // SAFETY: as above.
    unsafe { mapping.discard(range) }
}

/// Keeps the other tests of the binary, if they ask too, from starting a process meanwhile: a child has
/// all files of its parent until it calls `exec`, so that a file that was removed still takes room.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a command; whether it succeeded.
pub(crate) fn run(program: &str, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
}

/// A file system mounted for a test, unmounted when dropped.
pub(crate) struct Mount {
    pub(crate) directory: tempfile::TempDir,
}

impl Mount {
    /// `None`, loudly, where this user may not mount.
    pub(crate) fn new(what: &str, kind: &str, options: &str) -> Option<Mount> {
        let directory = tempfile::tempdir().expect("a scratch directory");
        let at = directory.path().to_str().expect("a plain path");
        if run("mount", &["-t", kind, "-o", options, what, at]) {
            return Some(Mount { directory });
        }
        eprintln!("SKIPPED: cannot mount {kind} ({options}); run as root to cover it");
        None
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let at = self.directory.path().to_str().expect("a plain path");
        if !run("umount", &[at]) {
            run("umount", &["-l", at]);
        }
    }
}

/// Runs one test of this binary again in a process of its own, with `CHILD` set, through a shell
/// that runs `before` first. Its output goes through.
pub(crate) fn in_child(test: &str, before: &str) -> bool {
    let script = format!("{before} && exec \"$0\" --exact {test} --nocapture");
    Command::new("sh")
        .args(["-c", &script])
        .arg(std::env::current_exe().expect("the test binary"))
        .env("CHILD", "1")
        .status()
        .is_ok_and(|status| status.success())
}

pub(crate) fn is_child() -> bool {
    std::env::var_os("CHILD").is_some()
}
