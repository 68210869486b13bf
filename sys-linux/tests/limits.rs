//! What is full, refused or broken comes back as an error, and leaves what was there.

#![allow(unsafe_code)] // The contract is unsafe to use.
#![allow(clippy::single_range_in_vec_init)] // The contract takes slices of ranges.

mod support;

use mapleaf_pager::{Error, Mapping};
use mapleaf_sys_linux::{OpenError, OpenOptions, WriteMode};
use support::*;

/// Grows until nothing more goes, in steps of a unit; the length then, all of it stored to.
fn fill_up(mapping: &mapleaf_sys_linux::FileMapping, limit: u64) -> u64 {
    let mut at = 0;
    while at < limit {
        let end = at + UNIT;
        if end > mapping.len() {
            let before = mapping.len();
            if let Err(error) = mapping.grow(end) {
                assert_eq!(error, Error::Full);
                assert_eq!(mapping.len(), before);
                return at;
            }
        }
        // A store to a page that growth did not back would be SIGBUS in place.
        store(mapping, at..end, (at / UNIT) as u8 | 1);
        publish(mapping, &[at..end]).expect("what growth gave is there");
        at = end;
    }
    panic!("never full");
}

#[test]
fn a_full_tmpfs_is_an_error() {
    let _alone = alone();
    let Some(mount) = Mount::new("none", "tmpfs", "size=3400k") else { return };
    for mode in MODES {
        let path = mount.path().join("t.leaf");
        let mapping = open(&path, &options(mode));
        // Far too much at once changes nothing.
        mapping.grow(UNIT).expect("room");
        let len = mapping.len();
        assert_eq!(mapping.grow(64 << 20), Err(Error::Full));
        assert_eq!((mapping.len(), file_len(&path)), (len, len));
        let full = fill_up(&mapping, 4 << 20);
        assert!(full > 3 << 20, "the last bytes are had in smaller steps: {full}");
        assert_eq!(file_len(&path), mapping.len());
        flush(&mapping, &[0..full]).expect("flush");
        // Room again, by giving some back.
        // SAFETY: nobody looks behind.
        unsafe { mapping.shrink(1 << 20) }.expect("shrink");
        mapping.grow(2 << 20).expect("room again");
        assert!(read(&mapping, 0..UNIT).iter().all(|&byte| byte == 1));
        drop(mapping);
        std::fs::remove_file(&path).expect("remove");
    }
}

fn file_len(path: &std::path::Path) -> u64 {
    std::fs::metadata(path).expect("the file").len()
}

/// An ext4 of 64 MiB in a file that lies in `directory`, mounted.
fn small_ext4(directory: &std::path::Path) -> Option<Mount> {
    let image = directory.join("image");
    let file = std::fs::File::create(&image).expect("create");
    file.set_len(64 << 20).expect("a sparse file");
    let image = image.to_str().expect("a plain path");
    if !run("mkfs.ext4", &["-q", "-F", "-O", "^has_journal", "-m", "0", image]) {
        eprintln!("SKIPPED: no mkfs.ext4; install e2fsprogs to cover it");
        return None;
    }
    Mount::new(image, "ext4", "loop")
}

#[test]
fn a_full_ext4_is_an_error() {
    let _alone = alone();
    let directory = tempfile::tempdir().expect("a scratch directory");
    let Some(mount) = small_ext4(directory.path()) else { return };
    for mode in MODES {
        let path = mount.path().join("t.leaf");
        let mapping = open(&path, &options(mode));
        mapping.grow(UNIT).expect("room");
        let len = mapping.len();
        // ext4 lengthens the file piece by piece before it finds that there is no room.
        assert_eq!(mapping.grow(500 << 20), Err(Error::Full));
        assert_eq!((mapping.len(), file_len(&path)), (len, len));
        mapping.grow(20 << 20).expect("room");
        let full = fill_up(&mapping, 64 << 20);
        assert!(full > 40 << 20, "{full}");
        flush(&mapping, &[0..full]).expect("flush");
        drop(mapping);
        std::fs::remove_file(&path).expect("remove");
    }
}

#[test]
fn a_file_system_that_cannot_allocate_still_grows() {
    let _alone = alone();
    let Some(mount) = Mount::new("none", "ramfs", "size=64m") else { return };
    for mode in [WriteMode::Auto, WriteMode::Shadow] {
        let path = mount.path().join("t.leaf");
        let mapping = open(&path, &options(mode));
        let then = if mode == WriteMode::Auto { WriteMode::InPlace } else { mode };
        assert_eq!(mapping.mode(), then, "ramfs is memory");
        mapping.grow(3 << 20).expect("room");
        store(&mapping, 0..mapping.len(), 3);
        publish(&mapping, &[0..mapping.len()]).expect("publish");
        publish_and_flush(&mapping, 0..UNIT).expect("flush");
        let len = mapping.len();
        drop(mapping);
        let file = std::fs::read(&path).expect("the file");
        assert!(file.len() as u64 == len && file.iter().all(|&byte| byte == 3));
        std::fs::remove_file(&path).expect("remove");
    }
}

#[test]
fn the_limit_on_file_sizes_is_an_error_not_a_signal() {
    let _alone = alone();
    if !is_child() {
        // In blocks of 1,024 bytes for bash, of 512 for dash: 2 or 4 MiB.
        let test = "the_limit_on_file_sizes_is_an_error_not_a_signal";
        assert!(in_child(test, "ulimit -f 4096"));
        return;
    }
    for mode in MODES {
        let (_directory, path, mapping) = scratch(mode, UNIT);
        assert_eq!(mapping.grow(64 << 20), Err(Error::Full));
        let full = fill_up(&mapping, 8 << 20);
        assert!(full == 2 << 20 || full == 4 << 20, "up to the limit exactly: {full}");
        drop(mapping);
        assert_eq!(file_len(&path), full);
    }
}

#[test]
fn little_address_space_makes_a_smaller_reservation() {
    let _alone = alone();
    if !is_child() {
        let test = "little_address_space_makes_a_smaller_reservation";
        assert!(in_child(test, "ulimit -v 2000000"));
        return;
    }
    for mode in MODES {
        let (_directory, _path, mapping) = scratch(mode, UNIT);
        let reserved = mapping.reserved_bytes();
        assert!((16 << 20..2 << 30).contains(&reserved), "{reserved}");
        assert_eq!(mapping.grow(reserved + 1), Err(Error::Full));
        assert_eq!(mapping.len(), 1 << 20);
    }
    let directory = tempfile::tempdir().expect("a scratch directory");
    let path = directory.path().join("large");
    std::fs::File::create(&path).expect("create").set_len(4 << 30).expect("a sparse file");
    let error = try_open(&path, &OpenOptions::default()).err();
    assert_eq!(error, Some(OpenError::NoAddressSpace { bytes: 4 << 30 }));
}

#[test]
fn a_reservation_is_as_large_as_asked() {
    let directory = tempfile::tempdir().expect("a scratch directory");
    let path = directory.path().join("t.leaf");
    let small = OpenOptions { reserve_bytes: 32 << 20, ..options(WriteMode::Shadow) };
    let mapping = open(&path, &small);
    assert_eq!(mapping.reserved_bytes(), 32 << 20);
    mapping.grow(32 << 20).expect("all of it");
    assert_eq!(mapping.grow((32 << 20) + 1), Err(Error::Full));
    store(&mapping, (32 << 20) - UNIT..32 << 20, 1);
    publish(&mapping, &[0..32 << 20]).expect("publish");
    drop(mapping);
    // Never less than the file, and then room to grow.
    assert_eq!(open(&path, &small).reserved_bytes(), 64 << 20);
}

/// A device that loses writes: an image on a full tmpfs. The first barrier that notices says so, and
/// from then on each one does, although the kernel reports the loss once and there is room again.
#[test]
fn after_a_lost_write_no_barrier_says_ok() {
    let _alone = alone();
    for mode in MODES {
        let Some(host) = Mount::new("none", "tmpfs", "size=12m") else { return };
        let Some(mount) = small_ext4(host.path()) else { return };
        let path = mount.path().join("t.leaf");
        let mapping = open(&path, &options(mode));
        mapping.grow(30 << 20).expect("the device claims to have room");
        store(&mapping, 0..UNIT, 1);
        publish_and_flush(&mapping, 0..UNIT).expect("room for one unit");
        store(&mapping, 0..30 << 20, 2);
        publish(&mapping, &[0..30 << 20]).expect("the page cache takes it");
        let lost = flush(&mapping, &[0..UNIT, UNIT..30 << 20]);
        assert!(matches!(lost, Err(Error::Io { code }) if code != 0), "{mode:?}: {lost:?}");
        store(&mapping, 0..UNIT, 3);
        for _ in 0..5 {
            assert_eq!(flush(&mapping, &[0..UNIT, UNIT..30 << 20]), lost);
            assert_eq!(flush(&mapping, &[0..UNIT]), lost);
            assert_eq!(publish_and_flush(&mapping, 0..UNIT), lost);
        }
        assert!(read(&mapping, UNIT..2 * UNIT).iter().all(|&byte| byte == 2), "still readable");
    }
}
