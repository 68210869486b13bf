//! The twin's memory is bounded, and threads that use its parts at the same time do not disturb
//! each other.

#![allow(unsafe_code)] // The contract is unsafe to use.
#![allow(clippy::single_range_in_vec_init)] // The contract takes slices of ranges.

mod support;

use mapleaf_pager::{Advice, Mapping};
use mapleaf_sys_linux::{Faults, FileMapping, OpenOptions, WriteMode, host_page};
use std::sync::atomic::{AtomicBool, Ordering};
use support::*;

/// Memory behind the write view, as the kernel counts it, in bytes.
fn write_view_bytes(mapping: &FileMapping) -> u64 {
    let maps = std::fs::read_to_string("/proc/self/smaps").expect("procfs");
    let start = format!("{:x}-", mapping.write_base().addr());
    let mut lines = maps.lines().skip_while(|line| !line.starts_with(&start));
    let rss = lines.find_map(|line| line.strip_prefix("Rss:")).expect("the write view is mapped");
    rss.split_ascii_whitespace().next().and_then(|kb| kb.parse::<u64>().ok()).expect("kB") << 10
}

#[test]
fn budget_and_pool_bound_the_twin() {
    const BUDGET: u64 = 4 << 20;
    const LEN: u64 = 128 << 20;
    const AHEAD: u64 = 128 << 10;
    let directory = tempfile::tempdir().expect("a scratch directory");
    let path = directory.path().join("t.leaf");
    let options = OpenOptions { shadow_budget_bytes: BUDGET, ..options(WriteMode::Shadow) };
    let mapping = open(&path, &options);
    mapping.grow(LEN).expect("room");
    // Up to the budget there is no pressure, one unit more is.
    store(&mapping, 0..BUDGET, 1);
    assert!(!mapping.pressure());
    store(&mapping, BUDGET..BUDGET + 1, 1);
    assert!(mapping.pressure());
    // Claims that follow each other are backed ahead.
    let backed = mapping.twin_bytes();
    assert!((BUDGET + UNIT..=BUDGET + UNIT + AHEAD).contains(&backed), "{backed}");
    discard(&mapping, 0..LEN);
    assert!(!mapping.pressure());
    // A long stretch is given back as it is published: the page cache holds it now.
    let pooled = mapping.twin_bytes();
    store(&mapping, LEN / 2..LEN / 2 + BUDGET, 1);
    assert_eq!(mapping.twin_bytes(), pooled + BUDGET);
    publish(&mapping, &[0..LEN]).expect("publish");
    assert!(mapping.twin_bytes() <= BUDGET);
    // In long stretches, which are given back as they are published.
    for start in (0..LEN).step_by(1 << 20) {
        store(&mapping, start..start + (1 << 20), 2);
        publish(&mapping, &[0..LEN]).expect("publish");
        assert!(mapping.twin_bytes() <= BUDGET + AHEAD, "{}", mapping.twin_bytes());
    }
    // In single units, which stay until there are too many.
    for start in (0..LEN).step_by(8 * UNIT as usize) {
        store(&mapping, start..start + UNIT, 3);
        publish(&mapping, &[start..start + UNIT]).expect("publish");
        assert!(mapping.twin_bytes() <= BUDGET + UNIT, "{}", mapping.twin_bytes());
    }
    // In one transaction of every eighth unit, which stays claimed until it ends.
    for start in (0..LEN).step_by(8 * UNIT as usize) {
        store(&mapping, start..start + UNIT, 4);
    }
    assert_eq!(mapping.claimed_bytes(), LEN / 8);
    publish(&mapping, &[0..LEN]).expect("publish");
    assert_eq!(mapping.claimed_bytes(), 0);
    assert!(mapping.twin_bytes() <= BUDGET);
    // The count is the kernel's, as far as units are pages.
    if host_page() as u64 == UNIT {
        assert_eq!(write_view_bytes(&mapping), mapping.twin_bytes());
    }
    for start in (0..LEN).step_by(8 * UNIT as usize) {
        let bytes = read(&mapping, start..start + 2 * UNIT);
        assert!(bytes[..4096].iter().all(|&byte| byte == 4), "{start}");
        assert!(bytes[4096..].iter().all(|&byte| byte == 2), "{start}");
    }
}

#[test]
fn a_checkpoint_beside_a_writer_loses_no_claim() {
    const UNITS: u64 = 2048;
    for mode in MODES {
        let directory = tempfile::tempdir().expect("a scratch directory");
        // A tiny budget, so that each publication gives memory back.
        let options = OpenOptions { shadow_budget_bytes: 8 * UNIT, ..options(mode) };
        let mapping = open(&directory.path().join("t.leaf"), &options);
        mapping.grow(UNITS * UNIT).expect("room");
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            // The checkpoint's thread: a meta of its own, and barriers over everything.
            scope.spawn(|| {
                let mut value = 0_u8;
                while !done.load(Ordering::Relaxed) {
                    value = value.wrapping_add(1);
                    store(&mapping, 0..512, value);
                    publish_and_flush(&mapping, 0..512).expect("flush");
                    assert!(read(&mapping, 0..512).iter().all(|&byte| byte == value));
                    flush(&mapping, &[0..UNIT, 2 * UNIT..UNITS * UNIT]).expect("flush");
                }
            });
            // The writer: claims many units, looks at them, publishes them.
            for round in 1..=30_u64 {
                let units = (1..UNITS).filter(|unit| (unit * 7 + round) % 5 != 0);
                for unit in units.clone() {
                    store(&mapping, unit * UNIT..(unit + 1) * UNIT, (unit + round) as u8);
                }
                for unit in units.clone() {
                    let bytes = built(&mapping, unit * UNIT..(unit + 1) * UNIT);
                    let same = bytes.iter().all(|&byte| byte == (unit + round) as u8);
                    assert!(same, "unit {unit} of round {round} was lost while claimed");
                }
                publish(&mapping, &[UNIT..UNITS * UNIT]).expect("publish");
                for unit in units {
                    let bytes = read(&mapping, unit * UNIT..(unit + 1) * UNIT);
                    assert!(bytes.iter().all(|&byte| byte == (unit + round) as u8));
                }
            }
            done.store(true, Ordering::Relaxed);
        });
        assert_eq!(mapping.claimed_bytes(), 0);
    }
}

/// Minor faults of this thread while it claims every eighth unit of the first `len` bytes.
fn faults_of_claims(mapping: &FileMapping, len: u64) -> u64 {
    let before = Faults::of_thread();
    for start in (0..len).step_by(8 * UNIT as usize) {
        store(mapping, start..start + UNIT, 5);
    }
    Faults::of_thread().since(before).minor
}

#[test]
fn what_is_expected_is_backed_before_it_is_claimed() {
    const LEN: u64 = 32 << 20;
    // With a budget so small no part of the twin has large pages.
    for (budget, large) in [(7 << 20, false), (0, true)] {
        let directory = tempfile::tempdir().expect("a scratch directory");
        let options = OpenOptions { shadow_budget_bytes: budget, ..options(WriteMode::Shadow) };
        let mapping = open(&directory.path().join("t.leaf"), &options);
        mapping.grow(LEN).expect("room");
        let scattered = || (0..LEN).step_by(8 * UNIT as usize).map(|start| start..start + UNIT);
        scattered().for_each(|range| mapping.advise(range, Advice::WillClaim));
        assert_eq!(mapping.twin_bytes(), 0, "a hint alone takes no memory");
        mapping.tend();
        let backed = if large { LEN } else { LEN / 8 };
        assert!((backed - UNIT..=backed + UNIT).contains(&mapping.twin_bytes()));
        let before = write_view_bytes(&mapping);
        mapping.tend();
        assert_eq!(write_view_bytes(&mapping), before, "once");
        // The sets' own pages are there too: they were touched by the hints.
        let few = LEN / UNIT / 8 / 16;
        let faults = faults_of_claims(&mapping, LEN);
        assert!(faults < few, "{faults} faults");
        publish(&mapping, &[0..LEN]).expect("publish");
        for range in scattered() {
            assert!(read(&mapping, range).iter().all(|&byte| byte == 5));
        }
    }
}

#[test]
fn what_is_expected_takes_no_more_than_the_pool_and_nothing_that_is_in_use() {
    const BUDGET: u64 = 4 << 20;
    const LEN: u64 = 64 << 20;
    let directory = tempfile::tempdir().expect("a scratch directory");
    let options = OpenOptions { shadow_budget_bytes: BUDGET, ..options(WriteMode::Shadow) };
    let mapping = open(&directory.path().join("t.leaf"), &options);
    mapping.grow(LEN).expect("room");
    store(&mapping, 0..UNIT, 7);
    for start in (0..LEN).step_by(2 * UNIT as usize) {
        mapping.advise(start..start + UNIT, Advice::WillClaim);
    }
    mapping.tend();
    assert!(mapping.twin_bytes() <= BUDGET + UNIT, "{}", mapping.twin_bytes());
    assert!(mapping.twin_bytes() >= BUDGET / 2, "{}", mapping.twin_bytes());
    assert!(built(&mapping, 0..UNIT).iter().all(|&byte| byte == 7), "claimed bytes stay");
    if host_page() as u64 == UNIT {
        assert_eq!(write_view_bytes(&mapping), mapping.twin_bytes());
    }
    // Behind a new end nothing is expected any more.
    discard(&mapping, 0..LEN);
    // SAFETY: nobody holds a reference into the mapping.
    unsafe { mapping.shrink(UNIT) }.expect("shrink");
    mapping.grow(LEN).expect("room");
    let before = mapping.twin_bytes();
    mapping.tend();
    assert!(mapping.twin_bytes() <= before.max(UNIT), "{before}, {}", mapping.twin_bytes());
}
