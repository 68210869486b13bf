//! Held pages: a publisher beside the one writer and readers.

mod support;

use mapleaf_pager::Mapping;
use mapleaf_sys_linux::{FileMapping, OpenOptions, WriteMode};
use std::sync::atomic::{AtomicBool, Ordering};
use support::{UNIT, scratch};

/// Few, so that the two meet.
const UNITS: u64 = 32;
const ROUNDS: u64 = 2_000;

/// `HELD_ROUNDS=n`: fewer where each costs more, under a sanitizer.
fn rounds() -> u64 {
    std::env::var("HELD_ROUNDS").map_or(ROUNDS, |n| n.parse().expect("a number"))
}

/// What a round stores.
fn value(round: u64) -> u8 {
    (round % 200) as u8 + 1
}

fn publish_held(mapping: &FileMapping) {
    let all = 0..mapping.len();
    // SAFETY: the writer claims what it stores to.
    unsafe { mapping.publish_held(std::slice::from_ref(&all)) }.expect("publish");
}

fn unit(at: u64) -> mapleaf_pager::Bytes {
    at * UNIT..(at + 1) * UNIT
}

/// Says that the work is done, after a panic too.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What a reader finds: in the write view where the unit is held.
fn shown(mapping: &FileMapping, at: u64) -> Vec<u8> {
    let held = mapping.held(at * UNIT);
    let base = if held { mapping.write_base() } else { mapping.base() };
    // SAFETY: inside both views; nobody stores to the unit or releases it meanwhile.
    let bytes = unsafe {
        std::slice::from_raw_parts(base.as_ptr().wrapping_add((at * UNIT) as usize), UNIT as usize)
    };
    bytes.to_vec()
}

fn write(mapping: &FileMapping, at: u64, value: u8) {
    // SAFETY: the one writer.
    unsafe { mapping.claim(unit(at), false) }.expect("claim");
    support::fill(mapping, unit(at), value);
    // SAFETY: the reference above has ended.
    unsafe { mapping.hold(unit(at)) }.expect("hold");
}

/// The writer stores a value to all units again and again; whoever looks at what it has held finds
/// that value, whichever view shows it.
#[test]
fn publishing_beside_the_writer_changes_nothing_that_is_seen() {
    let (_directory, path, mapping) = scratch(WriteMode::Shadow, UNITS * UNIT);
    let (done, rounds) = (AtomicBool::new(false), rounds());
    std::thread::scope(|scope| {
        let (mapping, done) = (&mapping, &done);
        scope.spawn(move || {
            while !done.load(Ordering::Relaxed) {
                publish_held(mapping);
                // SAFETY: nothing is said to be unseen.
                unsafe { mapping.release_held(&mut |_| false) };
            }
        });
        let _done = Done(done);
        for round in 1..=rounds {
            for step in 0..UNITS {
                // Neighbours in some rounds, scattered in others.
                let at = if round % 2 == 0 { step } else { step * 7 % UNITS };
                write(mapping, at, value(round));
                let before = (at * 5 + 1) % UNITS;
                let found = shown(mapping, before);
                assert!(found.iter().all(|byte| *byte == found[0]), "a torn unit");
                let old = if round == 1 { 0 } else { value(round - 1) };
                assert!(found[0] == value(round) || found[0] == old, "unit {before}, {round}");
                assert!(shown(mapping, at).iter().all(|byte| *byte == value(round)));
            }
        }
    });
    publish_held(&mapping);
    assert_eq!(mapping.held_bytes(), 0);
    drop(mapping);
    let file = std::fs::read(path).expect("the file");
    assert!(file[..(UNITS * UNIT) as usize].iter().all(|byte| *byte == value(rounds)));
}

/// What nobody refers to goes to the pool, and from there back to the system; the file has it all.
#[test]
fn released_memory_is_bounded() {
    let units = (600 << 20) / UNIT;
    let (_directory, _path, mapping) = scratch(WriteMode::Shadow, units * UNIT);
    let mut most = 0;
    for chunk in 0..60 {
        for step in 0..units / 120 {
            write(&mapping, chunk * (units / 60) + step * 2, chunk as u8 + 1);
        }
        publish_held(&mapping);
        // SAFETY: as above.
        unsafe { mapping.release_held(&mut |_| true) };
        most = most.max(mapping.twin_bytes());
    }
    // The part with large pages, the pool, and what is held at a time.
    assert!(most <= 270 << 20, "{most} bytes in the twin");
    for chunk in 0..60 {
        assert!(shown(&mapping, chunk * (units / 60)).iter().all(|byte| *byte == chunk as u8 + 1));
    }
}

/// Else a load would go on beside a checkpoint until what that has published, and cannot let go of yet, is more
/// than all else; and a reader that stays would make every commit wait.
#[test]
fn commits_wait_for_what_is_on_its_way_out_and_not_for_what_readers_keep() {
    /// Bytes held from which on a checkpoint is wanted.
    const LOAD: u64 = 1 << 20;
    let units = LOAD / UNIT;
    let directory = tempfile::tempdir().expect("a scratch directory");
    let options =
        OpenOptions { shadow_budget_bytes: 4 * LOAD, ..support::options(WriteMode::Shadow) };
    let mapping = support::open(&directory.path().join("t.leaf"), &options);
    mapping.grow(64 * LOAD).expect("room for a test");
    let hold = |loads: std::ops::Range<u64>| {
        (loads.start * units..loads.end * units).for_each(|at| write(&mapping, at * 2, 1));
    };
    hold(0..1);
    assert!(mapping.laden() && !mapping.overladen());
    hold(1..2);
    assert!(mapping.overladen(), "two loads held");
    publish_held(&mapping);
    assert!(!mapping.laden() && !mapping.overladen(), "two loads retired");
    hold(2..3);
    assert!(mapping.overladen(), "a load held beside two that are retired");
    // SAFETY: nothing is said to be unseen.
    unsafe { mapping.release_held(&mut |_| false) };
    assert!(!mapping.overladen(), "readers keep two");
    publish_held(&mapping);
    hold(3..4);
    assert!(!mapping.overladen(), "a load held beside one that is retired");
    hold(4..5);
    assert!(mapping.overladen(), "two loads held beside one that is retired");
    publish_held(&mapping);
    hold(5..6);
    assert!(mapping.overladen(), "a load held beside three that are retired, and two of readers");
    // SAFETY: nothing refers to the pages.
    unsafe { mapping.release_held(&mut |_| true) };
    assert!(mapping.laden() && !mapping.overladen());
}

/// Publishes everything aside; how often it was asked whether somebody is pressed, who is from the `from`th time on.
fn publish_aside(mapping: &FileMapping, from: u32) -> u32 {
    let (all, mut asked) = (0..mapping.len(), 0);
    let mut pressed = || {
        asked += 1;
        asked >= from
    };
    // SAFETY: nobody stores to what is held.
    unsafe { mapping.publish_held_aside(std::slice::from_ref(&all), &mut pressed) }
        .expect("publish");
    asked
}

/// Else a commit beside a checkpoint would wait for all that it writes; or for a checkpoint that takes its time
/// though somebody waits, or though so much is held that nobody gains by it.
#[test]
fn publishing_aside_takes_its_time_while_nobody_is_pressed_and_little_is_held() {
    const MANY: u64 = (8 << 20) / UNIT + 1;
    let (_directory, path, mapping) = scratch(WriteMode::Shadow, 2 * MANY * UNIT);
    let hold = |units: u64, value: u8| (0..units).for_each(|at| write(&mapping, 2 * at, value));
    // 8 parts of 8 units; the rest is the barrier's.
    hold(70, 1);
    assert_eq!(publish_aside(&mapping, u32::MAX), 8);
    // 64 parts at the most, but for what does not divide.
    hold(1000, 2);
    assert_eq!(publish_aside(&mapping, u32::MAX), 1000 / (1000 / 64));
    hold(1000, 3);
    assert_eq!(publish_aside(&mapping, 5), 5);
    hold(MANY, 4);
    assert_eq!(publish_aside(&mapping, u32::MAX), 0);
    assert_eq!(mapping.held_bytes(), 0);
    drop(mapping);
    let file = std::fs::read(path).expect("the file");
    let at = |unit: u64| file[(2 * unit * UNIT) as usize];
    assert!((0..MANY).all(|unit| at(unit) == 4));
}
