use super::*;
use std::fs::OpenOptions;
use std::io::{Seek, SeekFrom};

fn open(path: &std::path::Path) -> BufferedFile {
    let file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).unwrap();
    match BufferedFile::open(file, 1 << 20, false) {
        Ok(file) => file,
        Err(OpenError::Io(error)) => panic!("{error}"),
        Err(OpenError::Memory) => panic!("no memory"),
    }
}

fn read(file: &BufferedFile, at: usize) -> u8 {
    // SAFETY: the test stores nothing meanwhile.
    unsafe { file.read.bytes(at, 1) }.unwrap()[0]
}

fn store(file: &BufferedFile, at: usize, byte: u8) {
    // SAFETY: the only reference.
    unsafe { file.built.bytes_mut(at, 1) }.unwrap()[0] = byte;
}

fn on_disk(path: &std::path::Path, at: u64) -> u8 {
    let mut byte = [0];
    let mut file = File::open(path).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.read_exact(&mut byte).unwrap();
    byte[0]
}

#[test]
fn what_is_published_is_in_the_file_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    let file = open(&path);
    file.grow(5 * UNIT as u64).unwrap();
    let unit = UNIT as u64;
    // SAFETY: the test is the only user, here and below.
    unsafe { file.claim(unit..3 * unit, false) }.unwrap();
    store(&file, UNIT, 1);
    store(&file, 2 * UNIT, 2);
    assert!(file.claimed(unit + 7) && !file.claimed(0) && !file.claimed(3 * unit));
    assert_eq!(read(&file, UNIT), 0);
    // SAFETY: as above.
    unsafe { file.publish(std::slice::from_ref(&(0..2 * unit))) }.unwrap();
    assert_eq!((read(&file, UNIT), on_disk(&path, unit)), (1, 1));
    assert_eq!((read(&file, 2 * UNIT), on_disk(&path, 2 * unit)), (0, 0));
    assert!(!file.claimed(unit) && file.claimed(2 * unit));
    // SAFETY: as above.
    unsafe { file.discard(0..5 * unit) };
    // SAFETY: as above.
    unsafe { file.publish(std::slice::from_ref(&(0..5 * unit))) }.unwrap();
    assert_eq!((read(&file, 2 * UNIT), on_disk(&path, 2 * unit)), (0, 0));
    // SAFETY: as above.
    unsafe { file.claim(unit..unit + 1, true) }.unwrap();
    store(&file, UNIT + 1, 9);
    // SAFETY: as above.
    unsafe { file.publish_and_flush(unit + 1..unit + 2) }.unwrap();
    assert_eq!((read(&file, UNIT), read(&file, UNIT + 1)), (1, 9));
    drop(file);
    let again = open(&path);
    assert_eq!((read(&again, UNIT), read(&again, UNIT + 1)), (1, 9));
}

#[test]
fn a_claim_keeps_what_is_claimed_already() {
    let dir = tempfile::tempdir().unwrap();
    let file = open(&dir.path().join("f"));
    file.grow(UNIT as u64).unwrap();
    // SAFETY: the test is the only user, here and below.
    unsafe { file.claim(0..10, false) }.unwrap();
    store(&file, 3, 3);
    // SAFETY: as above.
    unsafe { file.claim(10..20, true) }.unwrap();
    // SAFETY: as above.
    unsafe { file.publish(std::slice::from_ref(&(0..20))) }.unwrap();
    assert_eq!(read(&file, 3), 3);
}

#[test]
fn the_length_follows_the_file_and_new_bytes_are_zero() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    let file = open(&path);
    let unit = UNIT as u64;
    file.grow(100 * unit).unwrap();
    assert!(file.len() >= 100 * unit);
    assert_eq!(std::fs::metadata(&path).unwrap().len(), file.len());
    // SAFETY: the test is the only user, here and below.
    unsafe { file.claim(50 * unit..51 * unit, false) }.unwrap();
    store(&file, 50 * UNIT, 5);
    // SAFETY: as above.
    unsafe { file.publish(std::slice::from_ref(&(0..100 * unit))) }.unwrap();
    // SAFETY: as above.
    unsafe { file.claim(50 * unit..51 * unit, true) }.unwrap();
    // SAFETY: as above.
    unsafe { file.shrink(10 * unit - 1) }.unwrap();
    assert_eq!((file.len(), std::fs::metadata(&path).unwrap().len()), (10 * unit, 10 * unit));
    file.grow(60 * unit).unwrap();
    assert_eq!((read(&file, 50 * UNIT), file.claimed(50 * unit)), (0, false));
    assert_eq!(file.grow(2 << 30), Err(Error::Full));
}

#[test]
fn reading_only_refuses_to_claim_and_to_grow() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    std::fs::write(&path, [7; 5000]).unwrap();
    let Ok(file) = BufferedFile::open(File::open(&path).unwrap(), 1 << 20, true) else {
        panic!("not opened");
    };
    assert_eq!((file.len(), read(&file, 4999)), (5000, 7));
    // SAFETY: nothing is stored.
    assert_eq!(unsafe { file.claim(0..1, true) }, Err(Error::ReadOnly));
    assert_eq!(file.grow(10_000), Err(Error::ReadOnly));
}
