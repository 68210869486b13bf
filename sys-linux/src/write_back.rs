//! Writing out what the map shows, on request and as a hint.

use crate::FileMapping;
use crate::file::retry;
use crate::hints::io;
use crate::kernel::start_write_back;
use crate::mapping::addresses;
use mapleaf_pager::{Bytes, Result};
use rustix::mm::MsyncFlags;

/// The flavours of `msync`. `docs/msync.md` says what each does not promise.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Msync {
    /// `MS_SYNC`: writes the range and waits until the medium has it: **one barrier**. In shadow mode
    /// what is claimed or held is in another memory, and not written.
    Wait,
    /// `MS_ASYNC`: nothing at all since Linux 2.6.19, but the check of its arguments. The kernel writes
    /// dirty pages out when it likes, as without the call.
    Later,
    /// `MS_INVALIDATE`: nothing at all on Linux, whose maps of a file always agree with its page cache;
    /// `EBUSY` where the range is locked.
    Invalidate,
}

impl FileMapping {
    /// `msync(2)`—with a range of the map, in bytes of the file.
    ///
    /// [`Msync::Wait`] takes its turn among the store's own barriers, since Linux reports a lost write
    /// once: where it fails, each later barrier of this mapping fails with the same error.
    ///
    /// # Errors
    /// [`Error::Io`](mapleaf_pager::Error::Io): the medium failed, then or before; `EBUSY`;
    /// [`ReadOnly`](mapleaf_pager::Error::ReadOnly); `EPERM` in a forked child.
    ///
    /// # References
    /// [msync(2)](https://man7.org/linux/man-pages/man2/msync.2.html)
    pub fn msync(&self, range: Bytes, how: Msync) -> Result<()> {
        self.changeable()?;
        let range = addresses(&self.clip(&range));
        match how {
            Msync::Wait => self.sync_view(range),
            Msync::Later => self.view().sync(range, MsyncFlags::ASYNC).map_err(io),
            Msync::Invalidate => self.view().sync(range, MsyncFlags::INVALIDATE).map_err(io),
        }
    }

    /// `sync_file_range(SYNC_FILE_RANGE_WRITE)`, Linux 2.6.17—starts to write the dirty pages of a range,
    /// so that a later barrier finds less to do. **A hint, and no promise of any kind**: no barrier, no
    /// word about the file's extents or length, no error of what is written. May wait where the device's
    /// queue is full. Does nothing where the call is not to be had.
    ///
    /// # References
    /// [sync_file_range(2)](https://man7.org/linux/man-pages/man2/sync_file_range.2.html), "Warning"
    pub fn start_write_back(&self, range: Bytes) {
        if self.changeable().is_ok() {
            let range = self.clip(&range);
            let _ = retry(|| start_write_back(self.barriers().file(), range.clone()));
        }
    }
}
