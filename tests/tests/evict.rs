//! `Database::evict`: what is clean leaves the page cache, what is borrowed stays as it is.

#![allow(unsafe_code)] // Opens mapped files in directories of their own; asks what is resident.

use mapleaf::{Database, Durability, WriteMode};
use mapleaf_tests::data::{key, value};
use std::fs::File;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::path::Path;

const ENTRIES: u64 = 20_000;
const VALUE_BYTES: usize = 150;

/// Pages of the file in the page cache, and in all.
fn cached(path: &Path) -> (usize, usize) {
    let file = File::open(path).unwrap();
    let len = file.metadata().unwrap().len() as usize;
    let mut pages = vec![0u8; len.div_ceil(4096)];
    // SAFETY: a new map where the kernel likes.
    let map = unsafe {
        let (read, shared) = (libc::PROT_READ, libc::MAP_SHARED);
        libc::mmap(std::ptr::null_mut(), len, read, shared, file.as_raw_fd(), 0)
    };
    assert_ne!(map, libc::MAP_FAILED);
    // SAFETY: the map made above, which is not touched, and a byte a page of it.
    assert_eq!(unsafe { libc::mincore(map, len, pages.as_mut_ptr()) }, 0);
    // SAFETY: nobody refers to it.
    assert_eq!(unsafe { libc::munmap(map, len) }, 0);
    (pages.iter().filter(|page| **page & 1 != 0).count(), pages.len())
}

/// Whether the file lies in memory only: nothing can be dropped there.
fn in_memory(path: &Path) -> bool {
    mapleaf_sys_linux::lives_in_memory(File::open(path).unwrap().as_fd())
}

#[test]
fn clean_pages_leave_and_nothing_changes() {
    for mode in [WriteMode::InPlace, WriteMode::Shadow] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("t.leaf");
        let builder = Database::builder().write_mode(mode).background(false);
        // SAFETY: a new file in a directory of its own.
        let db = unsafe { builder.open(&path) }.unwrap();
        let mut txn = db.write().unwrap();
        for number in 0..ENTRIES {
            txn.tree("t").unwrap().insert(&key(number), &value(number, 0, VALUE_BYTES)).unwrap();
        }
        txn.commit().unwrap();
        db.checkpoint().unwrap();
        // In the cache only, or not even there: it must stay.
        let mut txn = db.write().unwrap();
        txn.tree("t").unwrap().insert(&key(7), b"new").unwrap();
        txn.commit_with(Durability::Eventual).unwrap();
        let snapshot = db.read().unwrap();
        let tree = snapshot.tree("t").unwrap();
        let borrowed: Vec<_> = tree.iter().map(|entry| entry.unwrap().1).collect();
        let (before, pages) = cached(&path);
        db.evict();
        let (after, _) = cached(&path);
        assert!(before > pages / 2, "{before} of {pages}");
        assert!(in_memory(&path) || after < before / 4, "{mode:?}: {after} of {before} stayed");
        for (value, entry) in borrowed.iter().zip(tree.iter()) {
            assert!(*value == entry.unwrap().1);
        }
        for number in 0..ENTRIES {
            let wanted = if number == 7 { b"new".to_vec() } else { value(number, 0, VALUE_BYTES) };
            assert_eq!(tree.get(&key(number)).unwrap(), Some(&wanted[..]), "{mode:?}");
        }
        assert!(db.scrub(&mut |_, _| {}).unwrap().is_clean() && db.check().unwrap().is_sound());
    }
}
