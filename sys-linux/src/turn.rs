//! Locks for work that may wait for the kernel: those who wait give the processor away.

use spin::RelaxStrategy;
use spin::mutex::SpinMutex;

/// `sched_yield()`—lets another thread run, perhaps the one that is waited for.
pub(crate) struct Yield;

impl RelaxStrategy for Yield {
    #[inline]
    fn relax() {
        rustix::thread::sched_yield();
    }
}

/// A lock whose holder may be inside a system call.
pub(crate) type Turn<T> = SpinMutex<T, Yield>;
