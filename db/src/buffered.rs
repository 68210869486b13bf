//! A file read into memory, and written back by position: portable, and safe to open whatever it
//! contains, at the price of as much memory as the file is long.
//!
//! Two views. Readers see one copy of the file; the writer builds pages in a twin. Publishing writes
//! what was built to the file, so that it outlives the process, and copies it to where readers look.
//! So nobody ever reads, and no write to the file ever takes, bytes that somebody is changing.

#![allow(unsafe_code)] // Implements the mapping contract over reserved memory.

use crate::positioned;
use crate::reserve::Reserve;
use mapleaf_pager::{Bytes, Error, Mapping, Result};
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Blocks of today's disks and pages of today's page caches: rewriting one harms no other.
const UNIT: usize = 4096;
/// The file grows by an eighth, but at least and at most by this many bytes.
const GROWTH_MIN: u64 = 256 << 10;
const GROWTH_MAX: u64 = 16 << 20;

/// What writes to the file are refused with in a forked child, as by a mapping: `EPERM`. The lock is its parent's.
const ELSEWHERE: Error = Error::Io { code: 1 };

/// What one thread at a time may do to the file.
struct Medium {
    /// A flush failed: the system reports that once, and forgets it.
    failed: bool,
    /// Bytes from here on were never in use, and are zero in both views.
    used_max: usize,
}

/// A file in memory; see the module.
pub(crate) struct BufferedFile {
    file: File,
    read: Reserve,
    built: Reserve,
    /// A bit for each unit of `built` that is claimed.
    claimed: Box<[AtomicU64]>,
    len: AtomicU64,
    read_only: bool,
    /// The process that opened it.
    process: u32,
    medium: Mutex<Medium>,
}

/// Why a file could not be read into memory.
pub(crate) enum OpenError {
    /// The operating system's error.
    Io(io::Error),
    /// No memory to be had.
    Memory,
}

impl From<io::Error> for OpenError {
    fn from(error: io::Error) -> OpenError {
        OpenError::Io(error)
    }
}

impl From<Error> for OpenError {
    fn from(_: Error) -> OpenError {
        OpenError::Memory
    }
}

impl BufferedFile {
    /// Reads the whole file. `capacity_bytes` is the length that it may reach, where there is address
    /// space for it.
    pub(crate) fn open(
        mut file: File,
        capacity_bytes: u64,
        read_only: bool,
    ) -> std::result::Result<BufferedFile, OpenError> {
        let len = file.metadata()?.len();
        let needed = usize::try_from(len).map_err(|_| OpenError::Memory)?;
        let read = Reserve::new(len, if read_only { len } else { capacity_bytes })?;
        let built = Reserve::new(len, read.capacity() as u64)?;
        let units = read.capacity().min(built.capacity()) / UNIT;
        // SAFETY: nobody else knows this memory yet.
        let bytes = unsafe { read.bytes_mut(0, needed)? };
        file.read_exact(bytes)?;
        Ok(BufferedFile {
            file,
            claimed: (0..units.div_ceil(64)).map(|_| AtomicU64::new(0)).collect(),
            len: AtomicU64::new(len),
            read_only,
            process: std::process::id(),
            medium: Mutex::new(Medium { failed: false, used_max: needed }),
            read,
            built,
        })
    }

    /// That this is the process that has the file.
    fn at_home(&self) -> Result<()> {
        if self.process == std::process::id() { Ok(()) } else { Err(ELSEWHERE) }
    }

    fn capacity(&self) -> u64 {
        self.read.capacity().min(self.built.capacity()) as u64
    }

    fn medium(&self) -> MutexGuard<'_, Medium> {
        self.medium.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The units that hold a byte of the range, within the file.
    fn units(&self, range: &Bytes) -> Range<usize> {
        let len = self.len.load(Ordering::Acquire);
        let (start, end) = (range.start.min(len), range.end.min(len));
        (start as usize / UNIT)..(end as usize).div_ceil(UNIT).max(start as usize / UNIT)
    }

    fn is_claimed(&self, unit: usize) -> bool {
        let word = self.claimed.get(unit / 64);
        word.is_some_and(|word| word.load(Ordering::Acquire) >> (unit % 64) & 1 != 0)
    }

    fn set_claimed(&self, unit: usize) {
        if let Some(word) = self.claimed.get(unit / 64) {
            word.fetch_or(1 << (unit % 64), Ordering::AcqRel);
        }
    }

    fn end_claim(&self, unit: usize) {
        if let Some(word) = self.claimed.get(unit / 64) {
            word.fetch_and(!(1 << (unit % 64)), Ordering::AcqRel);
        }
    }

    /// The first stretch of claimed units in `units`.
    fn next_claimed(&self, units: Range<usize>) -> Option<Range<usize>> {
        let mut at = units.start;
        while at < units.end && !self.is_claimed(at) {
            let word = self.claimed.get(at / 64).map_or(0, |word| word.load(Ordering::Acquire));
            // Over the rest of a word without a claim in one step.
            at = if word == 0 { (at / 64 + 1) * 64 } else { at + 1 };
        }
        if at >= units.end {
            return None;
        }
        let end = (at..units.end).find(|unit| !self.is_claimed(*unit)).unwrap_or(units.end);
        Some(at..end)
    }

    /// Writes claimed units to the file, and copies them to where readers look.
    ///
    /// # Safety
    /// As [`Mapping::publish`]; all of `units` are claimed.
    unsafe fn publish_units(&self, units: Range<usize>) -> Result<()> {
        self.at_home()?;
        let len = self.len.load(Ordering::Acquire) as usize;
        let from = units.start * UNIT;
        let bytes = (units.end * UNIT).min(len).saturating_sub(from);
        // SAFETY: the units are claimed, and no reference into them is alive, by the caller's promise.
        let built = unsafe { self.built.bytes(from, bytes)? };
        positioned::write_all_at(&self.file, built, from as u64).map_err(error)?;
        // SAFETY: as above; readers reach no claimed unit.
        unsafe { self.read.copy_from(&self.built, from, bytes)? };
        for unit in units {
            self.end_claim(unit);
        }
        Ok(())
    }

    /// Lengthens the file with zeros that are written, so that the medium has room for them.
    fn lengthen(&self, old: u64, new: u64) -> Result<()> {
        const ZEROS: &[u8] = &[0; 64 << 10];
        let mut at = old;
        while at < new {
            let part = usize::try_from(new - at).unwrap_or(usize::MAX).min(ZEROS.len());
            let Some(zeros) = ZEROS.get(..part) else { break };
            if let Err(failed) = positioned::write_all_at(&self.file, zeros, at) {
                // What was written beyond the old length means nothing; taking it back may fail too.
                let _ = self.file.set_len(old);
                return Err(error(failed));
            }
            at += part as u64;
        }
        Ok(())
    }
}

/// The core's error for one of the operating system.
pub(crate) fn error(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::StorageFull
        | io::ErrorKind::QuotaExceeded
        | io::ErrorKind::FileTooLarge
        | io::ErrorKind::OutOfMemory => Error::Full,
        _ => Error::Io { code: error.raw_os_error().unwrap_or(0) },
    }
}

// SAFETY: two allocations that never move, at least `capacity` bytes each, to which `len` is bounded;
// nobody else knows their addresses. A unit is claimed before it is stored to, holds what readers see
// if that is asked for, and is copied to the read view and the file when it is published. The start is
// aligned for the largest page.
unsafe impl Mapping for BufferedFile {
    fn base(&self) -> NonNull<u8> {
        self.read.base()
    }

    fn write_base(&self) -> NonNull<u8> {
        self.built.base()
    }

    fn len(&self) -> u64 {
        self.len.load(Ordering::Acquire)
    }

    fn write_unit(&self) -> u32 {
        UNIT as u32
    }

    fn two_views(&self) -> bool {
        true
    }

    fn claimed(&self, offset: u64) -> bool {
        usize::try_from(offset).is_ok_and(|offset| self.is_claimed(offset / UNIT))
    }

    unsafe fn claim(&self, range: Bytes, keep: bool) -> Result<()> {
        if self.read_only {
            return Err(Error::ReadOnly);
        }
        for unit in self.units(&range) {
            if self.is_claimed(unit) {
                continue;
            }
            if keep {
                // SAFETY: the unit is the caller's alone from now on, in the write view; the read view
                // changes by publishing claimed units only, and this one is not claimed.
                unsafe { self.built.copy_from(&self.read, unit * UNIT, UNIT)? };
            }
            self.set_claimed(unit);
        }
        Ok(())
    }

    unsafe fn discard(&self, range: Bytes) {
        let mut units = self.units(&range);
        while let Some(claimed) = self.next_claimed(units.clone()) {
            units.start = claimed.end;
            for unit in claimed {
                self.end_claim(unit);
            }
        }
    }

    unsafe fn publish(&self, ranges: &[Bytes]) -> Result<()> {
        for range in ranges {
            let mut units = self.units(range);
            while let Some(claimed) = self.next_claimed(units.clone()) {
                units.start = claimed.end;
                // SAFETY: found claimed; the caller's promise.
                unsafe { self.publish_units(claimed)? };
            }
        }
        Ok(())
    }

    unsafe fn flush(&self, _ranges: &[Bytes]) -> Result<()> {
        self.at_home()?;
        let mut medium = self.medium();
        if medium.failed {
            return Err(Error::Io { code: 0 });
        }
        self.file.sync_data().map_err(|failed| {
            medium.failed = true;
            error(failed)
        })
    }

    unsafe fn publish_and_flush(&self, range: Bytes) -> Result<()> {
        // SAFETY: the caller's promise.
        unsafe { self.publish(&[range])? };
        // SAFETY: the caller's promise.
        unsafe { self.flush(&[]) }
    }

    fn grow(&self, len: u64) -> Result<()> {
        self.at_home()?;
        let mut medium = self.medium();
        let old = self.len.load(Ordering::Acquire);
        if len <= old {
            return Ok(());
        }
        if self.read_only {
            return Err(Error::ReadOnly);
        }
        if len > self.capacity() {
            return Err(Error::Full);
        }
        let step = (old / 8).clamp(GROWTH_MIN, GROWTH_MAX);
        let generous = len.max(old + step).next_multiple_of(UNIT as u64).min(self.capacity());
        let new = match self.lengthen(old, generous) {
            Err(Error::Full) if generous > len => self.lengthen(old, len).map(|()| len)?,
            other => other.map(|()| generous)?,
        };
        let dirty = (new as usize).min(medium.used_max).saturating_sub(old as usize);
        // SAFETY: bytes behind `len` are used by nobody.
        unsafe { self.read.zero(old as usize, dirty)? };
        // SAFETY: as above.
        unsafe { self.built.zero(old as usize, dirty)? };
        medium.used_max = medium.used_max.max(new as usize);
        self.len.store(new, Ordering::Release);
        Ok(())
    }

    unsafe fn shrink(&self, len: u64) -> Result<()> {
        self.at_home()?;
        let _medium = self.medium();
        let old = self.len.load(Ordering::Acquire);
        let new = len.next_multiple_of(UNIT as u64);
        if new < old {
            // SAFETY: what lies behind the new length is used by nobody.
            unsafe { self.discard(new..old) };
            self.file.set_len(new).map_err(error)?;
            self.len.store(new, Ordering::Release);
        }
        Ok(())
    }

    fn relax(&self) {
        std::thread::yield_now();
    }
}

#[cfg(test)]
#[path = "buffered_tests.rs"]
mod tests;
