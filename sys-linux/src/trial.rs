//! How a file that fits memory is read at first: a page at a time, until it is seen to be used.
//!
//! Read-ahead of large pages pays from some hundred lookups on; before that it reads megabytes for each of them.
//! Which it will be is not known when the file is opened. So a file of which little is in memory is read without
//! read-ahead on trial, and somebody has the mapping look, from time to time, at how much was read.

use crate::FileMapping;
use crate::host_page;
use crate::kernel::cachestat;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Shorter files are read whole by the first faults.
pub(crate) const TRIAL_FILE_BYTES_MIN: u64 = 4 << 20;

/// Bytes that are read on trial, at the most, give or take what is read until somebody looks: some hundred lookups.
const TRIAL_BYTES: u64 = 512 << 10;

/// Where no more than this is in memory at the end, it is dropped: a page here and there keeps the large pages around
/// it from being read as one. (300,000 entries: the first 20,000 gets 5.6 us each where they stay, 2.6 us without a
/// trial.)
const DROPPED_BYTES_MAX: u64 = 4 * TRIAL_BYTES;

/// A file of which this part is in memory needs no trial: it is being used.
const IN_USE_PART: u64 = 4;

/// Whether the trial is on, and what it has found.
pub(crate) struct Trial {
    on: AtomicBool,
    /// The least that was in memory at any look; nobody has looked where it is `u64::MAX`.
    least_bytes: AtomicU64,
}

impl Trial {
    pub(crate) fn new(on: bool) -> Trial {
        Trial { on: AtomicBool::new(on), least_bytes: AtomicU64::new(u64::MAX) }
    }

    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        self.on.load(Ordering::Relaxed)
    }

    pub(crate) fn end(&self) {
        self.on.store(false, Ordering::Relaxed);
    }

    /// Whether so little of a file of `len` bytes was read, now that `cached` are in memory, that the trial goes on.
    fn goes_on(&self, cached: u64, len: u64) -> bool {
        let least = self.least_bytes.fetch_min(cached, Ordering::Relaxed).min(cached);
        cached - least < TRIAL_BYTES && cached < len / IN_USE_PART
    }
}

impl FileMapping {
    /// [`Mapping::attend`](mapleaf_pager::Mapping::attend).
    pub(crate) fn look_at_use(&self, last: bool) -> bool {
        if !self.trial().is_on() {
            return false;
        }
        let len = mapleaf_pager::Mapping::len(self);
        // Where the kernel does not say, nobody would ever know.
        let cached = self.cached_bytes(len);
        if cached.is_some_and(|cached| self.trial().goes_on(cached, len)) && !last {
            return true;
        }
        // Whoever has read little till the end is not to read it again, nor who has the most of a small file.
        let few = |cached| cached <= DROPPED_BYTES_MAX && cached < len / IN_USE_PART;
        if !last && cached.is_some_and(few) {
            self.evict(&(0..len));
        }
        self.end_trial();
        false
    }

    /// How many of `len` bytes are in memory, as far as it takes to say that the file is in use: the kernel looks at
    /// its pages one by one (270 MB in memory: 90 us).
    fn cached_bytes(&self, len: u64) -> Option<u64> {
        let page = host_page() as u64;
        let part = (len / IN_USE_PART).next_multiple_of(page).max(page);
        let mut cached = 0u64;
        let mut start = 0;
        while start < len && cached < len / IN_USE_PART {
            let end = len.min(start + part);
            let found = cachestat(self.barriers().file(), start..end).ok()?;
            cached = cached.saturating_add(found.nr_cache.saturating_mul(page));
            start = end;
        }
        Some(cached)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_lasts_while_little_is_read_of_a_file_that_is_not_in_use() {
        const LEN: u64 = 1 << 30;
        let trial = Trial::new(true);
        assert!(trial.goes_on(100 << 20, LEN), "what was there before does not count");
        assert!(trial.goes_on((100 << 20) + TRIAL_BYTES - 1, LEN));
        assert!(!trial.goes_on((100 << 20) + TRIAL_BYTES, LEN));
        // What was dropped since does not hide what is read.
        assert!(trial.goes_on(50 << 20, LEN));
        assert!(!trial.goes_on(60 << 20, LEN));

        assert!(!Trial::new(true).goes_on(LEN / IN_USE_PART, LEN), "it is being used");
        assert!(Trial::new(true).goes_on(LEN / IN_USE_PART - 1, LEN));
    }
}
