//! `msync` in its flavours and the hint to write back, as far as their effect can be seen.

#![allow(clippy::single_range_in_vec_init)] // The contract takes slices of ranges.

mod support;

use mapleaf_pager::{Error, Mapping, PageStates};
use mapleaf_sys_linux::{FileMapping, Msync, OpenOptions, WriteMode};
use support::*;

const LEN: u64 = 1 << 20;

/// What `cachestat` says; `None` before Linux 6.5.
fn states(mapping: &FileMapping) -> Option<PageStates> {
    mapping.residency(0..LEN).expect("the system says").state
}

fn dirtied(mapping: &FileMapping) -> u64 {
    store(mapping, 0..LEN / 2, 9);
    publish(mapping, &[0..LEN]).expect("publish");
    states(mapping).map_or(0, |states| states.dirty_bytes)
}

#[test]
fn waiting_leaves_nothing_dirty_and_the_others_change_nothing() {
    for mode in MODES {
        let (_directory, _path, mapping) = scratch(mode, LEN);
        mapping.msync(0..LEN, Msync::Wait).expect("msync");
        let Some(before) = states(&mapping) else { return };
        assert_eq!((before.dirty_bytes, before.in_write_back_bytes), (0, 0));
        assert!(dirtied(&mapping) > 0, "{mode:?}");
        mapping.msync(0..LEN, Msync::Later).expect("msync");
        mapping.msync(0..LEN, Msync::Invalidate).expect("msync");
        assert!(read(&mapping, 0..LEN / 2).iter().all(|&byte| byte == 9));
        mapping.msync(0..u64::MAX, Msync::Wait).expect("msync");
        let after = states(&mapping).expect("as before");
        assert_eq!((after.dirty_bytes, after.in_write_back_bytes), (0, 0), "{mode:?}");
        assert!(dirtied(&mapping) > 0);
        mapping.start_write_back(0..LEN);
        // On their way at the least.
        assert_eq!(states(&mapping).map(|states| states.dirty_bytes), Some(0), "{mode:?}");
    }
}

#[test]
fn what_is_locked_cannot_be_invalidated() {
    const EBUSY: i32 = 16;
    let (_directory, _path, mapping) = scratch(WriteMode::Shadow, LEN);
    mapping.lock(0..4096).expect("locking a page");
    assert_eq!(mapping.msync(0..LEN, Msync::Invalidate), Err(Error::Io { code: EBUSY }));
    mapping.unlock(0..4096).expect("unlock");
    assert_eq!(mapping.msync(0..LEN, Msync::Invalidate), Ok(()));
}

#[test]
fn a_reader_writes_nothing_back() {
    let (_directory, path, mapping) = scratch(WriteMode::Shadow, LEN);
    drop(mapping);
    let reader = open(&path, &OpenOptions { read_only: true, ..OpenOptions::default() });
    assert_eq!(reader.msync(0..LEN, Msync::Wait), Err(Error::ReadOnly));
    reader.start_write_back(0..LEN);
}
