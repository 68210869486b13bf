//! The mapping contract, in both write modes.
//!
//! Invariants checked: the read view shows exactly what was published, whole or not at all; the
//! write view what was last stored or kept; bytes beside a range are never touched; the file holds
//! what the read view showed.

#![allow(unsafe_code)] // The contract is unsafe to use.
#![allow(clippy::single_range_in_vec_init)] // The contract takes slices of ranges.

mod support;

use mapleaf_pager::{Advice, Error, Mapping};
use mapleaf_sys_linux::{Access, FileMapping, OpenOptions, WriteMode};
use quickcheck::{Arbitrary, Gen, QuickCheck};
use support::*;

#[test]
fn published_bytes_appear_and_unpublished_do_not() {
    for mode in MODES {
        let (_directory, path, mapping) = scratch(mode, 64 * UNIT);
        assert_eq!(mapping.mode(), mode);
        assert_eq!(mapping.two_views(), mode == WriteMode::Shadow);
        assert_eq!(mapping.base().addr().get() % (2 << 20), 0, "aligned to large pages");
        store(&mapping, 8192..16384, 7);
        let before = read(&mapping, 8192..16384);
        let shown = if mapping.two_views() { 0 } else { 7 };
        assert!(before.iter().all(|&byte| byte == shown));
        assert_eq!(mapping.claimed(8192), mapping.two_views());
        assert!(!mapping.claimed(16384));
        publish(&mapping, &[0..mapping.len()]).expect("publish");
        assert!(!mapping.claimed(8192));
        assert!(read(&mapping, 8192..16384).iter().all(|&byte| byte == 7));
        flush(&mapping, &[0..mapping.len()]).expect("flush");
        let len = mapping.len();
        drop(mapping);
        let file = std::fs::read(&path).expect("the file");
        assert_eq!(file.len() as u64, len);
        assert!(file[8192..16384].iter().all(|&byte| byte == 7));
        assert_eq!(file.iter().filter(|&&byte| byte != 0).count(), 8192);
    }
}

#[test]
fn neighbours_in_a_unit_stay_intact() {
    let (_directory, _path, mapping) = scratch(WriteMode::Shadow, 16 * UNIT);
    store(&mapping, 0..4 * UNIT, 1);
    publish(&mapping, &[0..4 * UNIT]).expect("publish");
    // Inside one unit; across two; up to an edge. None is kept, all around them is.
    for range in [100..200, UNIT - 10..UNIT + 10, 3 * UNIT - 5..3 * UNIT] {
        store(&mapping, range.clone(), 9);
        publish(&mapping, std::slice::from_ref(&range)).expect("publish");
        let unit = range.start / UNIT * UNIT..range.end.next_multiple_of(UNIT);
        for (at, byte) in unit.clone().zip(read(&mapping, unit)) {
            assert_eq!(byte, if range.contains(&at) { 9 } else { 1 }, "byte {at} of {range:?}");
        }
        store(&mapping, 0..4 * UNIT, 1);
        publish(&mapping, &[0..4 * UNIT]).expect("publish");
    }
}

#[test]
fn keep_copies_once_and_discard_takes_back() {
    let (_directory, _path, mapping) = scratch(WriteMode::Shadow, 16 * UNIT);
    store(&mapping, 0..2 * UNIT, 1);
    publish(&mapping, &[0..2 * UNIT]).expect("publish");
    // SAFETY: the one writer.
    unsafe { mapping.claim(0..2 * UNIT, true) }.expect("claim");
    assert!(built(&mapping, 0..2 * UNIT).iter().all(|&byte| byte == 1));
    fill(&mapping, 10..20, 2);
    // Claimed units keep their content, whatever is asked for.
    // SAFETY: the one writer.
    unsafe { mapping.claim(0..UNIT, true) }.expect("claim");
    // SAFETY: the one writer.
    unsafe { mapping.claim(0..UNIT, false) }.expect("claim");
    assert_eq!(built(&mapping, 9..21), [1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1]);
    assert_eq!(mapping.claimed_bytes(), 2 * UNIT);
    discard(&mapping, 0..mapping.len());
    assert_eq!(mapping.claimed_bytes(), 0);
    publish(&mapping, &[0..mapping.len()]).expect("publish");
    assert!(read(&mapping, 0..2 * UNIT).iter().all(|&byte| byte == 1));
}

#[test]
fn one_barrier_covers_what_was_published_before() {
    for mode in MODES {
        let (_directory, path, mapping) = scratch(mode, 16 * UNIT);
        store(&mapping, 0..UNIT, 3);
        publish(&mapping, &[0..UNIT]).expect("publish");
        store(&mapping, UNIT..2 * UNIT, 4);
        store(&mapping, 4 * UNIT..5 * UNIT, 5);
        publish_and_flush(&mapping, 0..2 * UNIT).expect("flush");
        assert_eq!(mapping.claimed_bytes(), if mapping.two_views() { UNIT } else { 0 });
        assert!(read(&mapping, 0..UNIT).iter().all(|&byte| byte == 3));
        assert!(read(&mapping, UNIT..2 * UNIT).iter().all(|&byte| byte == 4));
        // The claim beside it was left alone by flushes of any kind.
        flush(&mapping, &[4 * UNIT..5 * UNIT]).expect("flush");
        flush(&mapping, &[0..UNIT, 4 * UNIT..mapping.len()]).expect("flush");
        assert_eq!(mapping.claimed(4 * UNIT), mapping.two_views());
        drop(mapping);
        let file = std::fs::read(&path).expect("the file");
        assert!(file[..4096].iter().all(|&byte| byte == 3));
    }
}

#[test]
fn ranges_outside_are_refused_or_clipped() {
    for mode in MODES {
        let (_directory, _path, mapping) = scratch(mode, 16 * UNIT);
        let len = mapping.len();
        let backwards = std::ops::Range { start: 20, end: 10 };
        for range in [0..len + 1, len..len + UNIT, u64::MAX - 1..u64::MAX, backwards] {
            // SAFETY: refused.
            let result = unsafe { mapping.claim(range.clone(), true) };
            assert_eq!(result, Err(Error::InvalidArgument), "{range:?}");
            discard(&mapping, range.clone());
            publish(&mapping, std::slice::from_ref(&range)).expect("nothing to publish");
            flush(&mapping, std::slice::from_ref(&range)).expect("flush");
            publish_and_flush(&mapping, range.clone()).expect("flush");
            mapping.advise(range, Advice::WillNeed);
            assert!(!mapping.claimed(u64::MAX));
        }
        // SAFETY: empty.
        unsafe { mapping.claim(len..len, true) }.expect("an empty range");
        assert_eq!(mapping.claimed_bytes(), 0);
    }
}

#[test]
fn advice_changes_nothing() {
    for mode in MODES {
        let (_directory, _path, mapping) = scratch(mode, 4 << 20);
        store(&mapping, 0..mapping.len(), 6);
        publish(&mapping, &[0..mapping.len()]).expect("publish");
        for advice in
            [Advice::Random, Advice::Sequential, Advice::WillNeed, Advice::DontNeed, Advice::Huge]
        {
            mapping.advise(0..mapping.len(), advice);
            mapping.advise(5000..6000, advice);
            assert!(read(&mapping, 0..mapping.len()).iter().all(|&byte| byte == 6), "{advice:?}");
        }
    }
}

#[test]
fn growth_keeps_addresses_and_shrinking_cuts_the_file() {
    for mode in MODES {
        let (_directory, path, mapping) = scratch(mode, UNIT);
        let base = mapping.base();
        assert_eq!(mapping.len(), 1 << 20, "the smallest step");
        store(&mapping, 0..mapping.len(), 8);
        publish(&mapping, &[0..mapping.len()]).expect("publish");
        mapping.grow(100 << 20).expect("room");
        assert!(mapping.len() >= 100 << 20);
        assert_eq!(mapping.base(), base);
        assert_eq!(std::fs::metadata(&path).expect("the file").len(), mapping.len());
        let end = mapping.len();
        assert!(read(&mapping, end - UNIT..end).iter().all(|&byte| byte == 0));
        store(&mapping, end - UNIT..end, 9);
        publish(&mapping, &[0..end]).expect("publish");
        // SAFETY: nobody looks behind.
        unsafe { mapping.shrink(3 * UNIT - 1) }.expect("shrink");
        assert_eq!(mapping.len(), 3 * UNIT);
        assert_eq!(std::fs::metadata(&path).expect("the file").len(), 3 * UNIT);
        mapping.grow(end).expect("room");
        assert!(read(&mapping, end - UNIT..end).iter().all(|&byte| byte == 0), "zeros again");
        assert!(read(&mapping, 0..3 * UNIT).iter().all(|&byte| byte == 8));
    }
}

#[test]
fn a_reopened_file_goes_on() {
    for mode in MODES {
        let (_directory, path, mapping) = scratch(mode, 3 * UNIT);
        let len = mapping.len();
        store(&mapping, 0..len, 1);
        publish(&mapping, &[0..len]).expect("publish");
        drop(mapping);
        let mapping = open(&path, &options(mode));
        assert_eq!(mapping.len(), len);
        store(&mapping, len - UNIT..len, 2);
        publish(&mapping, &[0..len]).expect("publish");
        assert!(read(&mapping, 0..len - UNIT).iter().all(|&byte| byte == 1));
        assert!(read(&mapping, len - UNIT..len).iter().all(|&byte| byte == 2));
    }
}

#[test]
fn odd_lengths_are_kept_until_growth() {
    for mode in MODES {
        let directory = tempfile::tempdir().expect("a scratch directory");
        let path = directory.path().join("t.leaf");
        std::fs::write(&path, [1; 5000]).expect("write");
        let mapping = open(&path, &options(mode));
        assert_eq!(mapping.len(), 5000);
        store(&mapping, 4990..5000, 2);
        publish_and_flush(&mapping, 4990..5000).expect("flush");
        store(&mapping, 4096..4100, 3);
        publish(&mapping, &[0..5000]).expect("publish");
        assert_eq!(std::fs::metadata(&path).expect("the file").len(), 5000);
        mapping.grow(5001).expect("room");
        let bytes = read(&mapping, 4096..8192);
        assert_eq!(bytes[..5], [3, 3, 3, 3, 1]);
        assert_eq!(bytes[893..906], [1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 0, 0]);
    }
}

#[test]
fn reads_only_when_asked_to() {
    let (_directory, path, mapping) = scratch(WriteMode::Shadow, 4 * UNIT);
    store(&mapping, 0..UNIT, 5);
    publish(&mapping, &[0..UNIT]).expect("publish");
    drop(mapping);
    let options = OpenOptions { read_only: true, ..OpenOptions::default() };
    let mapping = open(&path, &options);
    assert!(!mapping.two_views());
    assert!(read(&mapping, 0..UNIT).iter().all(|&byte| byte == 5));
    // SAFETY: refused.
    assert_eq!(unsafe { mapping.claim(0..UNIT, true) }, Err(Error::ReadOnly));
    assert_eq!(publish(&mapping, &[0..UNIT]), Err(Error::ReadOnly));
    assert_eq!(publish_and_flush(&mapping, 0..UNIT), Err(Error::ReadOnly));
    assert_eq!(flush(&mapping, &[0..UNIT]), Err(Error::ReadOnly));
    assert_eq!(mapping.grow(1 << 30), Err(Error::ReadOnly));
    // SAFETY: refused.
    assert_eq!(unsafe { mapping.shrink(0) }, Err(Error::ReadOnly));
}

#[test]
fn access_follows_the_files_size() {
    let directory = tempfile::tempdir().expect("a scratch directory");
    let path = directory.path().join("t.leaf");
    for (access, then) in [
        (Access::Auto, Access::Resident),
        (Access::Resident, Access::Resident),
        (Access::Sparse, Access::Sparse),
    ] {
        let mapping = open(&path, &OpenOptions { access, ..options(WriteMode::Auto) });
        assert_eq!(mapping.access(), then);
    }
}

/// One step of a history; the numbers are taken modulo what is there.
#[derive(Clone, Debug)]
enum Step {
    Store { start: u16, len: u16, value: u8, keep: bool },
    Publish { start: u16, len: u16 },
    PublishBytes { unit: u8, len: u32, value: u8 },
    Hold { start: u16, len: u16 },
    PublishHeld { start: u16, len: u16 },
    ReleaseHeld,
    PublishAndFlush { start: u16, len: u16 },
    Discard { start: u16, len: u16 },
    Flush,
    Grow,
    Shrink { len: u16 },
}

impl Arbitrary for Step {
    fn arbitrary(g: &mut Gen) -> Step {
        let (start, value, keep) = (u16::arbitrary(g), u8::arbitrary(g), bool::arbitrary(g));
        // Mostly short, so that ranges meet in units.
        let len = u16::arbitrary(g) % *g.choose(&[16, 5000, 40000]).expect("not empty");
        match u8::arbitrary(g) % 20 {
            0..=6 => Step::Store { start, len, value, keep },
            7..=8 => Step::Publish { start, len },
            9..=10 => Step::Hold { start, len },
            11 => Step::PublishHeld { start, len },
            12 => Step::PublishAndFlush { start, len },
            13 => Step::Discard { start, len },
            14 => {
                if keep {
                    Step::Flush
                } else {
                    Step::ReleaseHeld
                }
            }
            15 => Step::Grow,
            16..=18 => Step::PublishBytes {
                unit: value,
                len: u32::arbitrary(g) % 120_000,
                value: start as u8,
            },
            _ => Step::Shrink { len: start },
        }
    }
}

/// The naive oracle: two byte arrays and a set of units.
struct Model {
    shown: Vec<u8>,
    built: Vec<u8>,
    claimed: Vec<bool>,
    held: Vec<bool>,
    two_views: bool,
}

impl Model {
    fn resize(&mut self, len: u64) {
        self.shown.resize(len as usize, 0);
        self.built.resize(len as usize, 0);
        self.claimed.resize(len.div_ceil(UNIT) as usize, false);
        self.held.resize(len.div_ceil(UNIT) as usize, false);
    }

    fn units(range: &std::ops::Range<usize>) -> std::ops::Range<usize> {
        if range.is_empty() {
            return 0..0;
        }
        range.start / UNIT as usize..range.end.div_ceil(UNIT as usize)
    }

    fn bytes_of(&self, unit: usize) -> std::ops::Range<usize> {
        unit * UNIT as usize..((unit + 1) * UNIT as usize).min(self.shown.len())
    }

    fn store(&mut self, range: std::ops::Range<usize>, value: u8) {
        for unit in Model::units(&range) {
            let bytes = self.bytes_of(unit);
            if self.two_views && !self.claimed[unit] {
                self.claimed[unit] = true;
                if !std::mem::take(&mut self.held[unit]) {
                    self.built[bytes.clone()].copy_from_slice(&self.shown[bytes]);
                }
            }
        }
        let target = if self.two_views { &mut self.built } else { &mut self.shown };
        target[range].fill(value);
    }

    fn end_claims(&mut self, range: &std::ops::Range<usize>, publish: bool) {
        for unit in Model::units(range) {
            if std::mem::take(&mut self.claimed[unit]) && publish {
                let bytes = self.bytes_of(unit);
                self.shown[bytes.clone()].copy_from_slice(&self.built[bytes]);
            }
        }
    }
}

fn hold(mapping: &FileMapping, model: &mut Model, range: &mapleaf_pager::Bytes) {
    // SAFETY: the one writer, which stores to nothing that it has not claimed.
    unsafe { mapping.hold(range.clone()) }.expect("hold");
    for unit in Model::units(&(range.start as usize..range.end as usize)) {
        let bytes = model.bytes_of(unit);
        if std::mem::take(&mut model.claimed[unit]) {
            // The mapping may rather publish.
            model.held[unit] = mapping.held(bytes.start as u64);
            if !model.held[unit] {
                model.shown[bytes.clone()].copy_from_slice(&model.built[bytes]);
            }
        }
    }
}

fn publish_held(mapping: &FileMapping, model: &mut Model, range: &mapleaf_pager::Bytes) {
    // SAFETY: the one writer, which stores to nothing that it has not claimed.
    unsafe { mapping.publish_held(std::slice::from_ref(range)) }.expect("publish");
    for unit in Model::units(&(range.start as usize..range.end as usize)) {
        if std::mem::take(&mut model.held[unit]) {
            let bytes = model.bytes_of(unit);
            model.shown[bytes.clone()].copy_from_slice(&model.built[bytes]);
        }
    }
}

/// A header and a value: what is long enough is shown at once, with zeros behind it, where nothing is claimed.
fn publish_bytes(mapping: &FileMapping, model: &mut Model, unit: u8, len: u32, value: u8) {
    const LONG: u64 = 64 << 10;
    let (start, value) = (u64::from(unit) * UNIT, vec![value; len as usize]);
    let range = start..(start + 32 + u64::from(len)).next_multiple_of(UNIT);
    let parts: [&[u8]; 2] = [&[0xEE; 32], &value];
    // SAFETY: the one writer, which counts on nothing there.
    let done = unsafe { mapping.publish_bytes(range.clone(), &parts) }.expect("publish");
    let units = Model::units(&(range.start as usize..range.end as usize));
    let long = range.end - range.start >= LONG && range.end <= mapping.len();
    let claimed = || model.claimed[units.clone()].iter().any(|claimed| *claimed);
    assert_eq!(done, model.two_views && long && !claimed(), "{range:?}");
    if done {
        let mut bytes = parts.concat();
        bytes.resize((range.end - range.start) as usize, 0);
        model.shown[range.start as usize..range.end as usize].copy_from_slice(&bytes);
        model.held[units].fill(false);
    }
}

fn apply(mapping: &FileMapping, model: &mut Model, step: &Step) {
    let clip = |start: u16, len: u16| {
        let start = u64::from(start) % (mapping.len() + 1);
        start..(start + u64::from(len)).min(mapping.len())
    };
    let plain = |range: &mapleaf_pager::Bytes| range.start as usize..range.end as usize;
    match *step {
        Step::Store { start, len, value, keep } => {
            let range = clip(start, len);
            // SAFETY: the one writer.
            unsafe { mapping.claim(range.clone(), keep) }.expect("claim");
            fill(mapping, range.clone(), value);
            model.store(plain(&range), value);
        }
        Step::Publish { start, len } => {
            let range = clip(start, len);
            publish(mapping, std::slice::from_ref(&range)).expect("publish");
            model.end_claims(&plain(&range), true);
        }
        Step::PublishAndFlush { start, len } => {
            let range = clip(start, len);
            publish_and_flush(mapping, range.clone()).expect("flush");
            for unit in Model::units(&plain(&range)) {
                model.claimed[unit] |= std::mem::take(&mut model.held[unit]);
            }
            model.end_claims(&plain(&range), true);
        }
        Step::PublishBytes { unit, len, value } => publish_bytes(mapping, model, unit, len, value),
        Step::Discard { start, len } => {
            let range = clip(start, len);
            discard(mapping, range.clone());
            model.end_claims(&plain(&range), false);
        }
        Step::Hold { start, len } if model.two_views => hold(mapping, model, &clip(start, len)),
        Step::PublishHeld { start, len } => publish_held(mapping, model, &clip(start, len)),
        // SAFETY: no reference lives.
        Step::ReleaseHeld => unsafe { mapping.release_held(&mut |_| true) },
        Step::Hold { .. } => {}
        Step::Flush => flush(mapping, &[0..UNIT, UNIT..mapping.len()]).expect("flush"),
        Step::Grow => {
            mapping.grow(mapping.len() + 1).expect("room");
            model.resize(mapping.len());
        }
        Step::Shrink { len } => {
            // SAFETY: nobody looks behind.
            unsafe { mapping.shrink(u64::from(len)) }.expect("shrink");
            model.resize(mapping.len());
        }
    }
}

fn agrees(mode: WriteMode, steps: &[Step]) -> bool {
    let (_directory, path, mapping) = scratch(mode, UNIT);
    let two_views = mode == WriteMode::Shadow;
    let mut model =
        Model { shown: vec![], built: vec![], claimed: vec![], held: vec![], two_views };
    model.resize(mapping.len());
    for step in steps {
        apply(&mapping, &mut model, step);
        assert_eq!(mapping.len(), model.shown.len() as u64);
        assert!(read(&mapping, 0..mapping.len()) == model.shown, "read view after {step:?}");
        for (unit, &claimed) in model.claimed.iter().enumerate() {
            let bytes = model.bytes_of(unit);
            assert_eq!(mapping.claimed(bytes.start as u64), claimed, "unit {unit} after {step:?}");
            let held = model.held[unit];
            assert_eq!(mapping.held(bytes.start as u64), held, "unit {unit} after {step:?}");
            if claimed || held {
                let now = built(&mapping, bytes.start as u64..bytes.end as u64);
                assert!(now == model.built[bytes], "unit {unit} after {step:?}");
            }
        }
        let claimed = model.claimed.iter().filter(|&&claimed| claimed).count() as u64;
        assert_eq!(mapping.claimed_bytes(), claimed * UNIT);
        let held = model.held.iter().filter(|&&held| held).count() as u64;
        assert_eq!(mapping.held_bytes(), held * UNIT);
        assert!(mapping.twin_bytes() >= (claimed + held) * UNIT || !model.two_views);
    }
    drop(mapping);
    std::fs::read(&path).expect("the file") == model.shown
}

fn agrees_in_shadow(steps: Vec<Step>) -> bool {
    agrees(WriteMode::Shadow, &steps)
}

fn agrees_in_place(steps: Vec<Step>) -> bool {
    agrees(WriteMode::InPlace, &steps)
}

#[test]
fn histories_agree_with_the_model() {
    for agrees in [agrees_in_shadow, agrees_in_place] {
        QuickCheck::new().tests(60).quickcheck(agrees as fn(Vec<Step>) -> bool);
    }
}
