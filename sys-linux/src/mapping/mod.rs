//! A file, mapped: the read view, and either one view or two. The contract is kept in `contract.rs`.

#![allow(unsafe_code)] // Reads what is claimed in the twin.

mod contract;

use crate::barrier::Barriers;
use crate::error::core_error;
use crate::file::{FileIdentity, retry, write_durable};
use crate::fork::Birthplace;
use crate::guard::Guard;
use crate::host_page;
use crate::lock::{Ticket, unlock};
use crate::options::{Access, WriteMode};
use crate::seen::Seen;
use crate::span::Span;
use crate::trial::Trial;
use crate::turn::Turn;
use crate::twin::{Twin, UNIT};
use core::fmt;
use core::ops::Range;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use mapleaf_pager::{Bytes, Error, Mapping, Result};
use rustix::io::Errno;
use rustix::mm::{Advice as Madvice, MsyncFlags};

/// What the metas may lie in: rounded up to a large page, so that the rest still starts with one.
const METAS_BYTES: usize = 2 << 20;

/// A file, mapped. See [`open`](FileMapping::open), and [`Mapping`] for what its methods promise.
///
/// Stores reach the file by [`WriteMode`]. A forked child's handle reads, and refuses all else with
/// `EPERM`; a write transaction that was open at the fork must not be used in the child.
pub struct FileMapping {
    // Dropped in this order: the guard, the maps, the descriptors, then the ticket.
    guard: Option<Guard>,
    view: Span,
    twin: Option<Twin>,
    barriers: Barriers,
    here: Birthplace,
    _ticket: Ticket,
    len: AtomicU64,
    growth: Turn<()>,
    file_identity: FileIdentity,
    mode: WriteMode,
    read_only: bool,
    in_memory: bool,
    sparse: AtomicBool,
    sparse_from: u64,
    trial: Trial,
    fetched: bool,
    grain: u64,
    seen: Seen,
}

/// What opening has put together.
pub(crate) struct Parts {
    pub(crate) guard: Option<Guard>,
    pub(crate) view: Span,
    pub(crate) twin: Option<Twin>,
    pub(crate) barriers: Barriers,
    pub(crate) here: Birthplace,
    pub(crate) ticket: Ticket,
    pub(crate) len: u64,
    pub(crate) file_identity: FileIdentity,
    pub(crate) mode: WriteMode,
    pub(crate) read_only: bool,
    pub(crate) in_memory: bool,
    pub(crate) sparse_from: u64,
    pub(crate) trial: bool,
    pub(crate) fetched: bool,
    pub(crate) page_size: u64,
}

impl FileMapping {
    pub(crate) fn from_parts(parts: Parts) -> FileMapping {
        let seen = Seen::new(parts.view.len());
        let mapping = FileMapping {
            seen,
            guard: parts.guard,
            view: parts.view,
            twin: parts.twin,
            barriers: parts.barriers,
            here: parts.here,
            _ticket: parts.ticket,
            len: AtomicU64::new(parts.len),
            growth: Turn::new(()),
            file_identity: parts.file_identity,
            mode: parts.mode,
            read_only: parts.read_only,
            in_memory: parts.in_memory,
            sparse: AtomicBool::new(false),
            sparse_from: parts.sparse_from,
            trial: Trial::new(parts.trial),
            fetched: parts.fetched,
            grain: parts.page_size.max(UNIT as u64).max(host_page() as u64),
        };
        mapping.advise_whole();
        mapping
    }

    /// How stores reach the file; never `Auto`.
    #[must_use]
    pub fn mode(&self) -> WriteMode {
        self.mode
    }

    /// How the file is being read now; never `Auto`.
    #[must_use]
    pub fn access(&self) -> Access {
        match (self.fetched, self.sparse.load(Ordering::Relaxed)) {
            (true, _) => Access::Fetched,
            (false, true) => Access::Sparse,
            (false, false) => Access::Resident,
        }
    }

    /// Which file this is.
    #[must_use]
    pub fn file_identity(&self) -> FileIdentity {
        self.file_identity
    }

    /// Bytes that the file can grow to while it is open.
    #[must_use]
    pub fn reserved_bytes(&self) -> u64 {
        self.view.len() as u64
    }

    /// Bytes claimed and not yet published or discarded; 0 in place.
    #[must_use]
    pub fn claimed_bytes(&self) -> u64 {
        self.twin.as_ref().map_or(0, Twin::claimed_bytes)
    }

    /// Bytes committed and not yet published; 0 in place.
    #[must_use]
    pub fn held_bytes(&self) -> u64 {
        self.twin.as_ref().map_or(0, Twin::held_bytes)
    }

    /// Bytes of the twin that memory may stand behind, what is claimed or held included; 0 in place.
    #[must_use]
    pub fn twin_bytes(&self) -> u64 {
        self.twin.as_ref().map_or(0, Twin::resident_bytes)
    }

    /// Large pages where they do no harm, or no read-ahead, by the file's size, or on trial.
    fn advise_whole(&self) {
        let larger = self.len() > self.sparse_from || self.sparse_from == 0;
        let sparse = larger || self.trial.is_on();
        let advice = if sparse {
            Madvice::Random
        } else if self.large_folios_welcome() && !self.fetched {
            Madvice::LinuxHugepage
        } else {
            Madvice::LinuxNoHugepage
        };
        self.sparse.store(sparse, Ordering::Relaxed);
        if let Some(twin) = &self.twin {
            twin.set_sparse(larger);
        }
        // Opening looks at the metas, and need not read megabytes for them.
        let front = METAS_BYTES.min(self.view.len());
        self.view.advise(0..front, Madvice::Random);
        self.view.advise(front..self.view.len(), advice);
    }

    /// Reads the file as its size asks for from now on.
    pub(crate) fn end_trial(&self) {
        let _turn = self.growth.lock();
        self.trial.end();
        self.advise_whole();
    }

    pub(crate) fn trial(&self) -> &Trial {
        &self.trial
    }

    pub(crate) fn view(&self) -> &Span {
        &self.view
    }

    pub(crate) fn seen(&self) -> &Seen {
        &self.seen
    }

    pub(crate) fn barriers(&self) -> &Barriers {
        &self.barriers
    }

    /// Whether pages that stand in for lost ones may hold what is in no file: then nothing may be unmapped
    /// that may be borrowed still.
    pub(crate) fn may_hold_orphans(&self) -> bool {
        self.guard.is_some() && self.mode == WriteMode::InPlace && !self.read_only
    }

    /// A store through the map dirties all of a folio; without such stores, or without a disk to
    /// write to, large ones are all gain.
    pub(crate) fn large_folios_welcome(&self) -> bool {
        self.mode == WriteMode::Shadow || self.read_only || self.in_memory
    }

    /// Whether this handle may change the file.
    pub(crate) fn changeable(&self) -> Result<()> {
        if self.read_only {
            Err(Error::ReadOnly)
        } else if self.here.is_elsewhere() {
            Err(Error::Io { code: Errno::PERM.raw_os_error() })
        } else {
            self.health()
        }
    }

    /// The part of a range that is inside the mapping, which fits the address space.
    pub(crate) fn clip(&self, range: &Bytes) -> Bytes {
        let end = range.end.min(self.len());
        range.start.min(end)..end
    }

    /// Writes a range out with one barrier, whichever way its bytes reached the page cache.
    pub(crate) fn sync_view(&self, range: Range<usize>) -> Result<()> {
        self.barriers.run_mapped(|| retry(|| self.view.sync(range.clone(), MsyncFlags::SYNC)))
    }

    /// [`Mapping::publish_held`], or in parts where `pressed` is there.
    ///
    /// # Safety
    /// As [`Mapping::publish_held`].
    unsafe fn write_held(
        &self,
        ranges: &[Bytes],
        mut pressed: Option<&mut dyn FnMut() -> bool>,
    ) -> Result<()> {
        self.changeable()?;
        let Some(twin) = &self.twin else { return Ok(()) };
        for range in ranges {
            let (range, len) = (self.clip(range), self.len() as usize);
            let file = self.barriers.file();
            // SAFETY: held bytes change by claiming only, by the caller's promise.
            unsafe { twin.publish_held(&range, len, file, &mut pressed) }.map_err(core_error)?;
        }
        Ok(())
    }

    /// Writes a range out with one barrier, from the twin. Units not claimed are taken from the read
    /// view: published and perhaps not flushed yet, they must become durable with the others.
    ///
    /// # Safety
    /// As [`Mapping::publish_and_flush`].
    unsafe fn write_durably(&self, twin: &Twin, range: Bytes) -> Result<()> {
        let len = self.len() as usize;
        // SAFETY: the range is inside both views; what is claimed here is changed by nobody else.
        unsafe { twin.claim(&range, true, self.view.base(), len) };
        let start = range.start as usize / UNIT * UNIT;
        let end = (range.end as usize).next_multiple_of(UNIT).min(len);
        // SAFETY: claimed, and nobody refers to these bytes, by the caller's promise.
        let bytes = unsafe { twin.bytes(start, end) };
        // What is around the range was just read.
        self.health()?;
        self.barriers.run(|file| write_durable(file, bytes, start as u64))?;
        twin.discard(&range);
        Ok(())
    }
}

impl Drop for FileMapping {
    fn drop(&mut self) {
        // Closing alone would leave the lock to any child that was forked and has not yet called
        // `exec`. A child that drops its own handle must not take the lock from its parent.
        if !self.here.is_elsewhere() {
            unlock(self.barriers.file());
        }
    }
}

/// A range of the mapping as a range of addresses: what is inside the mapping fits.
pub(crate) fn addresses(range: &Bytes) -> Range<usize> {
    range.start as usize..range.end as usize
}

impl fmt::Debug for FileMapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileMapping")
            .field("file", &self.file_identity)
            .field("len", &self.len())
            .field("mode", &self.mode)
            .field("read_only", &self.read_only)
            .finish_non_exhaustive()
    }
}
