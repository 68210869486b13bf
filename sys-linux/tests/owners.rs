//! One owner a file: the same process, other processes, forked children.

#![allow(unsafe_code)] // The contract is unsafe to use; fork.
#![allow(clippy::single_range_in_vec_init)] // The contract takes slices of ranges.

mod support;

use mapleaf_pager::{Error, Mapping};
use mapleaf_sys_linux::{FileMapping, OpenError, OpenOptions, OwnedFd, WriteMode};
use std::process::{Command, Stdio};
use std::time::Duration;
use support::*;

/// `flock(1)`, which takes the same lock; whether it was to be had.
fn lock_is_free(path: &std::path::Path) -> bool {
    run("flock", &["--nonblock", path.to_str().expect("a plain path"), "true"])
}

#[test]
fn second_opening_in_a_process_is_refused() {
    for mode in MODES {
        let (directory, path, mapping) = scratch(mode, UNIT);
        let other_name = directory.path().join("u.leaf");
        std::fs::hard_link(&path, &other_name).expect("a second name");
        let reader = OpenOptions { read_only: true, ..OpenOptions::default() };
        for path in [&path, &other_name] {
            for wait in [false, true] {
                let options = OpenOptions { wait, ..options(mode) };
                assert_eq!(try_open(path, &options).err(), Some(OpenError::Busy));
            }
            assert_eq!(try_open(path, &reader).err(), Some(OpenError::Busy));
        }
        drop(mapping);
        let first = open(&path, &reader);
        let second = open(&other_name, &reader);
        assert_eq!(first.file_identity(), second.file_identity());
        assert_eq!(try_open(&path, &options(mode)).err(), Some(OpenError::Busy));
        drop(first);
        assert_eq!(try_open(&path, &options(mode)).err(), Some(OpenError::Busy));
        drop(second);
        open(&path, &options(mode));
    }
}

#[test]
fn two_handles_of_one_description_are_refused() {
    let (_directory, path, mapping) = scratch(WriteMode::Shadow, UNIT);
    drop(mapping);
    let file = std::fs::File::options().read(true).write(true).open(&path).expect("the file");
    // The lock belongs to the description, so it does not tell these two apart.
    let same = OwnedFd::from(file.try_clone().expect("a second descriptor"));
    // SAFETY: the test's own file.
    let first = unsafe { FileMapping::from_fd(file.into(), &OpenOptions::default()) };
    let first = first.expect("open");
    // SAFETY: refused.
    let second = unsafe { FileMapping::from_fd(same, &OpenOptions::default()) };
    assert_eq!(second.err(), Some(OpenError::Busy));
    store(&first, 0..UNIT, 1);
    publish_and_flush(&first, 0..UNIT).expect("flush");
}

#[test]
fn unfit_descriptors_are_refused() {
    let (_directory, path, mapping) = scratch(WriteMode::Shadow, UNIT);
    drop(mapping);
    let appending = std::fs::File::options().read(true).append(true).open(&path).expect("open");
    let reading = std::fs::File::open(&path).expect("open");
    let device = std::fs::File::options().read(true).write(true).open("/dev/null").expect("open");
    for (file, error) in [
        (appending, OpenError::InvalidArgument),
        (reading, OpenError::InvalidArgument),
        (device, OpenError::NotRegularFile),
    ] {
        // SAFETY: refused.
        let result = unsafe { FileMapping::from_fd(file.into(), &OpenOptions::default()) };
        assert_eq!(result.err(), Some(error));
    }
    let odd = OpenOptions { page_size: 1000, ..OpenOptions::default() };
    assert_eq!(try_open(&path, &odd).err(), Some(OpenError::InvalidArgument));
    let missing = try_open(&path.join("x"), &OpenOptions::default()).err();
    assert!(matches!(missing, Some(OpenError::Sys { call: "openat", .. })), "{missing:?}");
    // Each refusal gave back what it had taken.
    open(&path, &OpenOptions::default());
}

#[test]
fn other_processes_see_the_lock() {
    let (_directory, path, mapping) = scratch(WriteMode::Shadow, UNIT);
    assert!(!lock_is_free(&path));
    drop(mapping);
    assert!(lock_is_free(&path));
    let mut holder = Command::new("flock")
        .args([path.to_str().expect("a plain path"), "sh", "-c", "echo held; read line"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("flock(1)");
    let mut said = [0; 5];
    let out = holder.stdout.as_mut().expect("piped");
    std::io::Read::read_exact(out, &mut said).expect("the lock is held");
    assert_eq!(try_open(&path, &OpenOptions::default()).err(), Some(OpenError::Busy));
    let waiter = std::thread::spawn({
        let path = path.clone();
        move || try_open(&path, &OpenOptions { wait: true, ..OpenOptions::default() }).is_ok()
    });
    // Likely to wait by then; if not, it opens at once, which is as right.
    std::thread::sleep(Duration::from_millis(20));
    drop(holder.stdin.take());
    assert!(waiter.join().expect("no panic"));
    holder.wait().expect("flock(1) ends");
}

#[test]
fn a_file_replaced_meanwhile_is_opened_anew() {
    let (directory, path, mapping) = scratch(WriteMode::Shadow, UNIT);
    let old = mapping.file_identity();
    drop(mapping);
    let holder = std::fs::File::open(&path).expect("open");
    // A lock of another description, as another process would hold it.
    rustix::fs::flock(&holder, rustix::fs::FlockOperation::LockExclusive).expect("lock");
    let waiter = std::thread::spawn({
        let path = path.clone();
        move || open(&path, &OpenOptions { wait: true, ..OpenOptions::default() }).file_identity()
    });
    std::thread::sleep(Duration::from_millis(20));
    let fresh = directory.path().join("fresh");
    std::fs::write(&fresh, [0; 8192]).expect("write");
    std::fs::rename(&fresh, &path).expect("rename");
    drop(holder);
    let new = waiter.join().expect("no panic");
    assert_ne!(new, old, "not the file that lost its name");
}

// Of the C library that std links: there is no other way to a bare fork.
unsafe extern "C" {
    fn fork() -> i32;
    fn waitpid(process: i32, status: *mut i32, options: i32) -> i32;
    fn _exit(code: i32) -> !;
}

/// What a forked child finds; a bit for each thing that is wrong.
fn look_around_in_child(mapping: &FileMapping) -> i32 {
    let refused = Err(Error::Io { code: 1 });
    let claimed = {
        // SAFETY: refused.
        unsafe { mapping.claim(0..UNIT, true) }
    };
    let cut = {
        // SAFETY: refused.
        unsafe { mapping.shrink(0) }
    };
    let results = [
        claimed,
        cut,
        publish(mapping, &[0..UNIT]),
        flush(mapping, &[0..UNIT]),
        publish_and_flush(mapping, 0..UNIT),
        mapping.grow(1 << 30),
    ];
    let mut wrong = 0;
    for (bit, result) in results.iter().enumerate() {
        wrong |= i32::from(*result != refused) << bit;
    }
    // SAFETY: in range of the read view, which a child may read.
    let byte = unsafe { mapping.base().read() };
    wrong | i32::from(byte != 5) << 6
}

#[test]
fn a_forked_child_reads_and_is_refused_all_else() {
    for mode in MODES {
        let (_directory, path, mapping) = scratch(mode, UNIT);
        store(&mapping, 0..UNIT, 5);
        publish(&mapping, &[0..UNIT]).expect("publish");
        // SAFETY: the child makes system calls and leaves; it allocates nothing.
        let child = unsafe { fork() };
        assert!(child >= 0, "fork");
        if child == 0 {
            let wrong = look_around_in_child(&mapping);
            drop(mapping);
            // SAFETY: ends the child, without the parent's exit handlers.
            unsafe { _exit(wrong) };
        }
        let mut status = -1;
        // SAFETY: the child above, and a place for its status.
        assert_eq!(unsafe { waitpid(child, &raw mut status, 0) }, child);
        assert_eq!(status, 0, "wait status; the exit code's bits say which call was not refused");
        // The child's drop took nothing from the parent.
        assert!(!lock_is_free(&path));
        store(&mapping, 0..UNIT, 6);
        publish_and_flush(&mapping, 0..UNIT).expect("the parent goes on");
        mapping.grow(2 << 20).expect("room");
    }
}
