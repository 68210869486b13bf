//! What to read ahead, to keep and to let go of: advice about the map, and calls that wait.

use crate::FileMapping;
use crate::file::retry;
use crate::host_page;
use crate::kernel::{Stretch, will_need};
use crate::mapping::addresses;
use core::num::NonZeroU64;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, Ordering};
use mapleaf_pager::{Advice, Bytes, Error, Mapping, Result};
use rustix::fd::AsFd;
use rustix::io::{Errno, pread};
use rustix::mm::Advice as Madvice;
use rustix::process::{PidfdFlags, getpid, pidfd_open};

/// Ranges of less than this part of the mapping get no access pattern of their own: each would
/// split the kernel's record of the map, of which a process can have 65,530 pieces.
const ADVISED_PART: u64 = 64;

/// Ranges handed over in one call. (The kernel takes up to 1,024.)
const STRETCHES: usize = 32;

/// All that Linux can be told about a stretch of a mapped file.
///
/// The first group is about how the map is used from now on: each such range is a piece of the kernel's
/// record of the map, of which a process can have 65,530. The second is done at once, and leaves no trace.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Hint {
    /// `MADV_NORMAL`: a fault reads some pages ahead and maps those around that are cached.
    Normal,
    /// `MADV_RANDOM`: a fault reads its own page and nothing else.
    Random,
    /// `MADV_SEQUENTIAL`: faults read far ahead, and what lies behind may be dropped soon.
    Sequential,
    /// `MADV_HUGEPAGE` (2.6.38; for files of the page cache 5.4 and `CONFIG_READ_ONLY_THP_FOR_FS`, or a
    /// file system with large folios): faults read folios of up to 2 MiB, and khugepaged may join pages.
    Huge,
    /// `MADV_NOHUGEPAGE` (2.6.38): no large pages by intent; read-ahead may make large folios still.
    NotHuge,
    /// `MADV_DONTDUMP` (3.4): not part of a core dump.
    NoDump,
    /// `MADV_DODUMP` (3.4): takes `NoDump` back.
    Dump,
    /// `MADV_WILLNEED`: begins to read what is not cached, and does not wait, unless the queue of the
    /// device is full. What is read is not mapped yet: touching it is a soft fault.
    WillNeed,
    /// `MADV_COLD` (5.4): to the end of the queue of what is dropped when memory is short.
    Cold,
    /// `MADV_PAGEOUT` (5.4): dropped now, dirty pages after they were written, except what other
    /// processes have mapped.
    PageOut,
    /// `MADV_DONTNEED`: this process forgets where the pages are; they stay in the page cache. Touching
    /// them again is a soft fault.
    DontNeed,
}

impl Hint {
    fn advice(self) -> Madvice {
        match self {
            Hint::Normal => Madvice::Normal,
            Hint::Random => Madvice::Random,
            Hint::Sequential => Madvice::Sequential,
            Hint::Huge => Madvice::LinuxHugepage,
            Hint::NotHuge => Madvice::LinuxNoHugepage,
            Hint::NoDump => Madvice::LinuxDontDump,
            Hint::Dump => Madvice::LinuxDoDump,
            Hint::WillNeed => Madvice::WillNeed,
            Hint::Cold => Madvice::LinuxCold,
            Hint::PageOut => Madvice::LinuxPageOut,
            Hint::DontNeed => Madvice::LinuxDontNeed,
        }
    }
}

impl FileMapping {
    /// `madvise(2)`—a hint about a range of the map, in bytes of the file; what lies outside the file is
    /// left out, and host pages are taken whole. [`Mapping::advise`] has those that the store itself
    /// gives, chosen by what helps it; here each is passed on as it is. One system call.
    ///
    /// No hint changes what the file holds, or waits for the medium by intent; `WillNeed` can wait for a
    /// full queue, `PageOut` for dirty pages.
    ///
    /// # Errors
    /// [`Error::Io`]: `EINVAL` on a kernel that does not know the hint (each has its version above), or
    /// where pages are locked (`DontNeed`, `Cold`, `PageOut`); `EPERM` for `DontNeed` in place behind a
    /// guard, since what was stored into a lost page is in no file.
    ///
    /// # References
    /// [madvise(2)](https://man7.org/linux/man-pages/man2/madvise.2.html)
    pub fn hint(&self, range: Bytes, hint: Hint) -> Result<()> {
        let range = addresses(&self.clip(&range));
        if hint != Hint::DontNeed {
            let advised = self.view().advised(range, hint.advice());
            if hint != Hint::WillNeed {
                self.seen().forget();
            }
            return advised.map_err(io);
        }
        if self.may_hold_orphans() {
            return Err(io(Errno::PERM));
        }
        self.unmap(&range);
        Ok(())
    }

    /// `madvise(MADV_DONTFORK)`, Linux 2.6.16—a child that is forked from now on has nothing in place of
    /// the range. It saves the copying of page tables: for a large resident map, most of the time of a
    /// fork.
    ///
    /// # Errors
    /// [`Error::Io`].
    ///
    /// # Safety
    /// No forked child uses this mapping, or anything that was borrowed from it: its addresses may become
    /// other memory's.
    #[allow(unsafe_code)] // Unsafe to call, since another process' memory is at stake.
    pub unsafe fn hide_from_children(&self, range: Bytes) -> Result<()> {
        let range = addresses(&self.clip(&range));
        self.view().advised(range, Madvice::LinuxDontFork).map_err(io)
    }

    /// `Sequential` on a small range reads it ahead; `Random` and `Huge` there do nothing.
    pub(crate) fn advise_part(&self, range: &Bytes, advice: Advice) {
        if advice == Advice::Evict {
            return self.evict(range);
        }
        let small = (range.end - range.start).saturating_mul(ADVISED_PART) < self.len();
        let advice = match advice {
            Advice::WillNeed => Madvice::WillNeed,
            // Leaves the pages mapped, and the first to go when memory is short.
            Advice::DontNeed => Madvice::LinuxCold,
            Advice::Sequential if small => Madvice::WillNeed,
            _ if small => return,
            Advice::Random => Madvice::Random,
            Advice::Sequential => Madvice::Sequential,
            Advice::Huge if self.large_folios_welcome() => Madvice::LinuxHugepage,
            _ => return,
        };
        self.view().advise(addresses(range), advice);
        if advice == Madvice::LinuxCold {
            self.seen().forget();
        }
    }

    /// Drops the clean pages of a range from this process' map and from the page cache. Those that are
    /// dirty, or that another process has mapped, stay.
    pub(crate) fn evict(&self, range: &Bytes) {
        if self.may_hold_orphans() {
            return;
        }
        self.unmap(&addresses(range));
        if let Some(len) = NonZeroU64::new(range.end - range.start) {
            let advice = rustix::fs::Advice::DontNeed;
            let _ = rustix::fs::fadvise(self.barriers().file(), range.start, Some(len), advice);
        }
        // Behind the dropping: whoever looked before it has touched pages that are gone.
        self.seen().forget();
    }

    #[allow(unsafe_code)] // Unmaps, where nothing is lost by it.
    fn unmap(&self, range: &core::ops::Range<usize>) {
        self.seen().forget();
        // SAFETY: the view is a shared map of the file; where zeros stand in for a lost page, nobody
        // stores into them (whoever calls has asked `may_hold_orphans`).
        unsafe { self.view().unmap_file(range.clone()) };
    }

    /// [`Mapping::prefetch`].
    pub(crate) fn begin_reading(&self, ranges: &[Bytes]) {
        for ranges in ranges.chunks(STRETCHES) {
            let none = Stretch { start: null_mut(), len: 0 };
            let mut list = [none; STRETCHES];
            let mut count = 0;
            for range in ranges {
                let stretch = self.view().stretch(addresses(&self.clip(range)));
                if let (Some(stretch), Some(place)) = (stretch, list.get_mut(count)) {
                    *place = stretch;
                    count += 1;
                }
            }
            let list = list.get(..count).unwrap_or(&[]);
            if !begin_at_once(list) {
                for range in ranges {
                    self.view().advise(addresses(&self.clip(range)), Madvice::WillNeed);
                }
            }
        }
    }

    /// [`Mapping::prefault`].
    pub(crate) fn read_in(&self, range: &Bytes) -> Result<()> {
        let populate = || self.view().advised(addresses(range), Madvice::LinuxPopulateRead);
        match retry(populate) {
            Err(Errno::INVAL) => self.read_by_position(range).map_err(io),
            result => result.map_err(io),
        }
    }

    fn read_by_position(&self, range: &Bytes) -> rustix::io::Result<()> {
        for at in range.clone().step_by(host_page()) {
            if retry(|| pread(self.barriers().file(), &mut [0u8], at))? == 0 {
                // Cut off by somebody else: what the map would answer.
                return Err(Errno::FAULT);
            }
        }
        Ok(())
    }

    /// [`Mapping::lock`], [`Mapping::unlock`].
    pub(crate) fn set_locked(&self, range: &Bytes, locked: bool) -> Result<()> {
        let done = self.view().lock(addresses(range), locked).map_err(io);
        self.seen().forget();
        done
    }
}

/// Hands several ranges over at once; false where the kernel does not take all of them.
fn begin_at_once(list: &[Stretch]) -> bool {
    /// Fewer are as quick one by one: the process has to be named first.
    const LIST_MIN: usize = 4;
    static REFUSED: AtomicBool = AtomicBool::new(false);
    if list.len() < LIST_MIN || REFUSED.load(Ordering::Relaxed) {
        return false;
    }
    let Ok(process) = pidfd_open(getpid(), PidfdFlags::empty()) else { return false };
    match will_need(process.as_fd(), list) {
        Ok(bytes) => bytes == list.iter().map(|stretch| stretch.len).sum(),
        Err(errno) => {
            let for_ever = matches!(errno, Errno::NOSYS | Errno::PERM | Errno::INVAL);
            REFUSED.store(for_ever, Ordering::Relaxed);
            false
        }
    }
}

/// A call's error as it is: `ENOMEM` here is a limit on locked memory, not a full medium.
pub(crate) fn io(errno: Errno) -> Error {
    Error::Io { code: errno.raw_os_error() }
}

#[cfg(test)]
mod tests {
    use crate::{FileMapping, OpenOptions};
    use mapleaf_pager::{Error, Mapping};
    use rustix::io::Errno;
    use std::ffi::CString;

    #[test]
    #[allow(unsafe_code, clippy::range_plus_one)]
    fn reading_by_position_reads_or_says_what_is_cut_off() {
        let directory = tempfile::tempdir().expect("a scratch directory");
        let path = directory.path().join("t.leaf");
        let name = CString::new(path.to_str().expect("a plain path")).expect("no zero");
        let options = OpenOptions { create: true, ..OpenOptions::default() };
        // SAFETY: the test's own file.
        let mapping = unsafe { FileMapping::open(&name, &options) }.expect("a file");
        mapping.grow(1 << 20).expect("room");
        let len = mapping.len();
        assert_eq!(mapping.read_by_position(&(0..len)), Ok(()));
        assert_eq!(mapping.residency(0..len).map(|found| found.is_whole()), Some(true));
        assert_eq!(mapping.read_by_position(&(0..len + 1)), Err(Errno::FAULT));
        assert_eq!(super::io(Errno::NOMEM), Error::Io { code: 12 });
    }
}
