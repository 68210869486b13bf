//! What of a database is in memory, and what is to be.

use crate::database::Database;
use crate::error::Result;
use mapleaf_pager::{Advice, Mapping, Residency};
use std::ops::{Bound, Range, RangeBounds};

impl Database {
    /// How much of a range of the file, in bytes (`..` for all of it), is in memory, and how much of that
    /// is yet to be written to the medium. `None` where the system does not say, and where there is no map
    /// of a file. One system call or a few; reads nothing.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("app.leaf");
    /// // SAFETY: mapleaf wrote the file, and nothing else changes it while it is open.
    /// let db = unsafe { mapleaf::Database::open(&path) }?;
    /// if let Some(found) = db.residency(..) {
    ///     println!("{} of {} bytes are in memory", found.resident_bytes, found.range_bytes);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn residency(&self, range: impl RangeBounds<u64>) -> Option<Residency> {
        self.mapping().residency(bytes(&range))
    }

    /// Reads what of a range of the file is not in memory, maps it, and waits for it: nothing there is a
    /// fault afterwards, until memory is short.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io): something of it cannot be read (`EFAULT`); no signal.
    pub fn prefault(&self, range: impl RangeBounds<u64>) -> Result<()> {
        let read = self.mapping().prefault(bytes(&range));
        read.map_err(|error| self.inner().name.error(error))
    }

    /// Begins to read ranges of the file, and does not wait: a hint.
    pub fn prefetch(&self, ranges: &[Range<u64>]) {
        self.mapping().prefetch(ranges);
    }

    /// [`evict`](Database::evict) for a range of the file.
    pub fn evict_range(&self, range: impl RangeBounds<u64>) {
        self.mapping().advise(bytes(&range), Advice::Evict);
    }

    /// Keeps a range of the file in memory for as long as the database is open: reads what is missing,
    /// and waits for it. What the file grows by later is not locked.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io): more than the process may lock (`ENOMEM`, `EPERM`, by
    /// `RLIMIT_MEMLOCK`). A part of it may be locked then.
    pub fn lock_in_memory(&self, range: impl RangeBounds<u64>) -> Result<()> {
        let locked = self.mapping().lock(bytes(&range));
        locked.map_err(|error| self.inner().name.error(error))
    }

    /// Ends [`lock_in_memory`](Database::lock_in_memory) for a range of the file.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io).
    pub fn unlock_from_memory(&self, range: impl RangeBounds<u64>) -> Result<()> {
        let unlocked = self.mapping().unlock(bytes(&range));
        unlocked.map_err(|error| self.inner().name.error(error))
    }

    fn mapping(&self) -> &dyn Mapping {
        &**self.inner().store.mapping()
    }
}

/// Any range as one with both ends, which the mapping cuts at its own.
fn bytes(range: &impl RangeBounds<u64>) -> Range<u64> {
    let start = match range.start_bound() {
        Bound::Included(&start) => start,
        Bound::Excluded(&start) => start.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(&end) => end.saturating_add(1),
        Bound::Excluded(&end) => end,
        Bound::Unbounded => u64::MAX,
    };
    start..end.max(start)
}

#[cfg(test)]
mod tests {
    use super::bytes;
    use crate::Database;

    #[test]
    fn every_kind_of_range_has_two_ends() {
        assert_eq!(bytes(&(..)), 0..u64::MAX);
        assert_eq!(bytes(&(3..=5)), 3..6);
        assert_eq!(bytes(&(3..u64::MAX)), 3..u64::MAX);
        assert_eq!(bytes(&(..=u64::MAX)), 0..u64::MAX);
        #[allow(clippy::reversed_empty_ranges)]
        let reversed = 5..3;
        assert_eq!(bytes(&reversed), 5..5);
    }

    #[test]
    fn memory_has_nothing_to_say_and_nothing_to_do() {
        let db = Database::in_memory().expect("memory");
        assert_eq!(db.residency(..), None);
        db.prefault(..).expect("nothing to do");
        db.prefetch(&[0..1, 5..u64::MAX]);
        db.lock_in_memory(..).expect("nothing to do");
        db.unlock_from_memory(..).expect("nothing to do");
        db.evict_range(..);
    }

    #[cfg(target_os = "linux")]
    #[test]
    #[allow(unsafe_code)] // Opens a file of its own.
    fn a_file_can_be_evicted_read_and_locked() {
        let directory = tempfile::tempdir().expect("a scratch directory");
        // SAFETY: the test's own file.
        let db = unsafe { Database::open(directory.path().join("t.leaf")) }.expect("opens");
        let mut txn = db.write().expect("the turn");
        let mut tree = txn.tree("t").expect("a tree");
        for i in 0..2000_u32 {
            tree.insert(&i.to_be_bytes(), &[7; 100]).expect("room");
        }
        txn.commit().expect("durable");
        db.checkpoint().expect("written");
        db.evict_range(..);
        let bytes = |of: std::ops::Range<u64>| db.residency(of).expect("Linux says").resident_bytes;
        let len = db.stats().file_bytes;
        let evicted = bytes(0..len);
        assert!(evicted < len / 2, "{evicted} of {len}");
        db.lock_in_memory(..64 << 10).expect("an ordinary user may");
        db.evict_range(..);
        assert_eq!(bytes(0..64 << 10), 64 << 10);
        db.unlock_from_memory(..).expect("unlocks");
        db.prefault(..).expect("reads");
        assert!(db.residency(..).is_some_and(|found| found.is_whole() && found.range_bytes == len));
        let before = crate::Faults::of_thread();
        let snap = db.read().expect("a slot");
        let tree = snap.tree("t").expect("the tree");
        assert_eq!(tree.iter().filter(Result::is_ok).count(), 2000);
        assert_eq!(crate::Faults::of_thread().since(before).major, 0);
    }
}
