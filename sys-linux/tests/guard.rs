//! A guarded mapping that has lost a page: it says so, and takes nothing more. As a handler of SIGBUS
//! would report the loss; `tests/` has the signals themselves.

#![allow(unsafe_code)] // The contract is unsafe to use.
#![allow(clippy::single_range_in_vec_init)] // The contract takes slices of ranges.

mod support;

use mapleaf_pager::{Error, Mapping};
use mapleaf_sys_linux::{FileMapping, OpenError, OpenOptions, WriteMode, recover_bus_error};
use support::*;

/// As the errors of `read` are numbered: EIO.
const LOST: Error = Error::Io { code: 5 };

fn guarded(mode: WriteMode) -> OpenOptions {
    OpenOptions { sigbus_guard: true, ..options(mode) }
}

/// What a handler would do about an access at `offset` of the read view.
fn lose(mapping: &FileMapping, offset: usize) -> bool {
    let address = mapping.base().as_ptr().addr() + offset;
    // SAFETY: as if the page could not be read; the test holds no reference to it.
    unsafe { recover_bus_error(address) }
}

#[test]
fn a_mapping_that_has_lost_a_page_takes_nothing_more() {
    for mode in MODES {
        let directory = tempfile::tempdir().expect("a scratch directory");
        let path = directory.path().join("t.leaf");
        let mapping = open(&path, &guarded(mode));
        mapping.grow(16 * UNIT).expect("room");
        let len = mapping.len();
        store(&mapping, 0..16 * UNIT, 7);
        publish(&mapping, &[0..16 * UNIT]).expect("publish");
        flush(&mapping, &[0..16 * UNIT]).expect("flush");
        assert!(mapping.guarded());
        assert_eq!((mapping.health(), mapping.probe(0..len)), (Ok(()), Ok(())));
        store(&mapping, 0..UNIT, 8);
        assert!(lose(&mapping, 5 * UNIT as usize + 17));
        // SAFETY: the test's one writer.
        let claimed = unsafe { mapping.claim(8 * UNIT..9 * UNIT, true) };
        assert_eq!(claimed, Err(LOST));
        assert_eq!(publish(&mapping, &[0..UNIT]), Err(LOST));
        assert_eq!(flush(&mapping, &[0..UNIT]), Err(LOST));
        assert_eq!(flush(&mapping, &[0..UNIT, 8 * UNIT..9 * UNIT]), Err(LOST));
        assert_eq!(publish_and_flush(&mapping, 0..UNIT), Err(LOST));
        assert_eq!(mapping.grow(len + 1), Err(LOST));
        // SAFETY: nobody looks behind.
        assert_eq!(unsafe { mapping.shrink(UNIT) }, Err(LOST));
        // It reads as zeros, its neighbours as they were.
        assert!(read(&mapping, 5 * UNIT..6 * UNIT).iter().all(|&byte| byte == 0));
        assert!(read(&mapping, 6 * UNIT..16 * UNIT).iter().all(|&byte| byte == 7));
        assert_eq!(mapping.probe(5 * UNIT + 100..5 * UNIT + 101), Err(LOST));
        assert_eq!(mapping.probe(0..5 * UNIT).and_then(|()| mapping.probe(6 * UNIT..len)), Ok(()));
        drop(mapping);
        // The file has what was flushed, and another mapping of it knows nothing of the loss.
        let again = open(&path, &guarded(mode));
        assert!(read(&again, UNIT..16 * UNIT).iter().all(|&byte| byte == 7));
        assert_eq!((again.health(), again.probe(0..len)), (Ok(()), Ok(())));
    }
}

#[test]
fn only_guarded_mappings_recover() {
    let directory = tempfile::tempdir().expect("a scratch directory");
    let path = directory.path().join("t.leaf");
    let mapping = open(&path, &options(WriteMode::Shadow));
    mapping.grow(UNIT).expect("room");
    assert!(!mapping.guarded() && !lose(&mapping, 0));
    drop(mapping);
    let mapping = open(&path, &guarded(WriteMode::Shadow));
    let twin = mapping.write_base().as_ptr().addr();
    // SAFETY: as above; the twin is memory of its own, whose bus errors are not the file's.
    assert!(!unsafe { recover_bus_error(twin) });
    let start = mapping.base().as_ptr().addr();
    drop(mapping);
    // SAFETY: as above; nobody's any more.
    assert!(!unsafe { recover_bus_error(start) });
}

/// Places in the list are used again, and the last one guards as the first does: in a process that opens no
/// others.
#[test]
fn many_files_can_be_guarded_again_and_again() {
    if !is_child() {
        assert!(in_child("many_files_can_be_guarded_again_and_again", "true"));
        return;
    }
    let directory = tempfile::tempdir().expect("a scratch directory");
    let path = |number: usize| directory.path().join(number.to_string());
    let small = OpenOptions { reserve_bytes: 16 << 20, ..guarded(WriteMode::InPlace) };
    for _ in 0..3 {
        let mut open_ones = Vec::new();
        let error = loop {
            match try_open(&path(open_ones.len()), &small) {
                Ok(mapping) => open_ones.push(mapping),
                Err(error) => break error,
            }
        };
        assert_eq!(error, OpenError::TooManyFiles);
        assert!(open_ones.len() > 100, "{}", open_ones.len());
        let last = open_ones.last().expect("one at least");
        last.grow(UNIT).expect("room");
        assert!(lose(last, 0));
        assert_eq!((last.health(), open_ones[0].health()), (Err(LOST), Ok(())));
    }
}
