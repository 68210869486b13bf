//! Tells the process that opened a mapping from the children it forked.

#![allow(unsafe_code)] // One atomic in a page of its own.

use crate::span::Span;
use core::sync::atomic::{AtomicU32, Ordering};
use rustix::io::Result;
use rustix::process::{Pid, getpid};

/// What the page holds where it was made.
const HERE: u32 = 1;

/// A page that a forked child finds empty: asking costs a load, no system call.
pub(crate) struct Birthplace {
    page: Span,
    /// Kernels before 4.14 cannot empty it: compare process numbers there.
    process: Option<Pid>,
}

impl Birthplace {
    /// This process.
    pub(crate) fn new() -> Result<Birthplace> {
        let page = Span::zeroed(size_of::<AtomicU32>())?;
        let process = page.wipe_on_fork().is_err().then(getpid);
        let here = Birthplace { page, process };
        here.mark().store(HERE, Ordering::Relaxed);
        Ok(here)
    }

    fn mark(&self) -> &AtomicU32 {
        // SAFETY: the span holds a zeroed page at least, aligned to it, alive as long as `self`,
        // and nobody uses it but through this atomic.
        unsafe { self.page.base().cast::<AtomicU32>().as_ref() }
    }

    /// Whether this is a forked child of the process that made it.
    #[inline]
    pub(crate) fn is_elsewhere(&self) -> bool {
        self.mark().load(Ordering::Relaxed) != HERE
            || self.process.is_some_and(|process| process != getpid())
    }
}
