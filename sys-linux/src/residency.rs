//! What of the file is in memory, and what of it is on its way to the medium.

#![allow(unsafe_code)] // Touches pages of the map.

use crate::host_page;
use crate::kernel::{Stretch, cachestat, mincore};
use crate::mapping::addresses;
use crate::{Access, FileMapping};
use core::ops::Range;
use mapleaf_pager::{Bytes, PageStates, Residency, Result};

/// Host pages asked about in one call.
const PAGES_AT_ONCE: usize = 512;

impl FileMapping {
    /// `mincore(2)`—which host pages of a range can be read without waiting for the medium: `each` is
    /// called with the offset of each in the file, in bytes, and whether it can. A page that is being read
    /// cannot. A system call for 512 pages; touches none of them.
    ///
    /// In all kernels. Since 5.2 a file that this user neither owns nor may write looks resident all over.
    ///
    /// # Errors
    /// [`Error::Io`](mapleaf_pager::Error::Io): `ENOSYS` on processors other than x86-64, AArch64 and
    /// RISC-V; `EAGAIN`.
    ///
    /// # References
    /// [mincore(2)](https://man7.org/linux/man-pages/man2/mincore.2.html)
    pub fn resident_pages(&self, range: Bytes, mut each: impl FnMut(u64, bool)) -> Result<()> {
        let range = addresses(&self.clip(&range));
        let page = host_page();
        let first = range.start / page * page;
        self.look(range, |index, resident| each((first + index * page) as u64, resident))
            .map_err(crate::hints::io)
    }

    /// [`Mapping::residency`](mapleaf_pager::Mapping::residency).
    pub(crate) fn resident_part(&self, range: &Bytes) -> Option<Residency> {
        let page = host_page() as u64;
        let pages = range.end.div_ceil(page).saturating_sub(range.start / page);
        if range.is_empty() {
            return Some(Residency::default());
        }
        let mut found = Residency { range_bytes: pages * page, ..Residency::default() };
        if let Ok(counts) = cachestat(self.barriers().file(), range.clone()) {
            found.resident_bytes = counts.nr_cache * page;
            found.state = Some(PageStates {
                dirty_bytes: counts.nr_dirty * page,
                in_write_back_bytes: counts.nr_writeback * page,
                evicted_bytes: counts.nr_evicted * page,
                evicted_lately_bytes: counts.nr_recently_evicted * page,
            });
            return Some(found);
        }
        let count = |_, resident| found.resident_bytes += u64::from(resident) * page;
        self.look(addresses(range), count).ok()?;
        Some(found)
    }

    /// [`Mapping::resident`](mapleaf_pager::Mapping::resident). What is resident is touched: the kernel maps it,
    /// and drops it later than what nobody touches. (Not where it was told of random access: since Linux 6.3
    /// it does not heed what is used there. So each page is asked about each time; so it is, for a while, when a
    /// page has gone that was seen lately.) Where the kernel cannot be asked everything is taken for resident.
    pub(crate) fn is_resident(&self, range: &Bytes) -> bool {
        let range = addresses(range);
        let remembers = self.access() != Access::Sparse;
        if remembers && self.seen().contains(range.clone()) {
            return true;
        }
        let mut whole = true;
        let (page, first) = (host_page(), range.start / host_page());
        let looked = self.look(range.clone(), |index, resident| {
            whole &= resident;
            if remembers && !resident {
                let at = (first + index) * page;
                self.seen().miss(at..at + page);
            }
        });
        if looked.is_err() {
            return true;
        }
        if whole {
            self.touch(range.clone());
            if remembers {
                self.seen().insert(range);
            }
        }
        whole
    }

    /// Reads a byte of each host page of a range, which is inside the mapping.
    fn touch(&self, range: Range<usize>) {
        let page = host_page();
        let mut at = range.start;
        while at < range.end {
            let byte = self.view().base().as_ptr().wrapping_add(at).cast_const();
            // SAFETY: inside the mapping, which is readable; volatile, and nothing is concluded from the
            // byte, which the writer may be changing.
            let _ = unsafe { byte.read_volatile() };
            at = (at / page + 1) * page;
        }
    }

    /// Calls `each` with the index of each host page of a range, from its first on, and whether it is
    /// resident.
    fn look(
        &self,
        range: Range<usize>,
        mut each: impl FnMut(usize, bool),
    ) -> rustix::io::Result<()> {
        let Some(Stretch { start, len }) = self.view().stretch(range) else { return Ok(()) };
        let page = host_page();
        let mut found = [0; PAGES_AT_ONCE];
        let mut done = 0;
        while done < len {
            let part = (len - done).min(PAGES_AT_ONCE * page);
            mincore(Stretch { start: start.wrapping_byte_add(done), len: part }, &mut found, page)?;
            for (index, byte) in found.iter().take(part.div_ceil(page)).enumerate() {
                each(done / page + index, byte & 1 != 0);
            }
            done += part;
        }
        Ok(())
    }
}
