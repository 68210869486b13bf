//! Bugs for the sanitizers to find: `cargo xtask sanitize` builds and runs them before it believes a clean run.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// A number that two threads write to without asking each other.
struct Unguarded(std::cell::UnsafeCell<usize>);

// SAFETY: not so. That is the bug.
unsafe impl Sync for Unguarded {}

static UNGUARDED: Unguarded = Unguarded(std::cell::UnsafeCell::new(0));
static ARRIVED: AtomicUsize = AtomicUsize::new(0);

fn race() {
    let write = || {
        // Both at the same time, and still nothing orders what follows.
        ARRIVED.fetch_add(1, Ordering::Relaxed);
        while ARRIVED.load(Ordering::Relaxed) < 2 {
            thread::yield_now();
        }
        // SAFETY: none; the other thread writes too.
        unsafe { *UNGUARDED.0.get() += 1 };
    };
    thread::scope(|scope| {
        scope.spawn(write);
        scope.spawn(write);
    });
}

fn overrun() {
    let bytes = Vec::from([1u8; 64]);
    // SAFETY: none; this is the byte behind the last.
    let behind = unsafe { bytes.as_ptr().wrapping_add(bytes.len()).read_volatile() };
    println!("{behind}");
}

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("race") => race(),
        Some("overrun") => overrun(),
        _ => panic!("usage: planted race|overrun"),
    }
}
