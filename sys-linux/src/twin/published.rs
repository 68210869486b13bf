//! How what was built in the twin reaches the file: by positioned writes, at once or held for a checkpoint.

#![allow(unsafe_code)] // Reads units that nobody stores to.

#[cfg(feature = "residency")]
use super::whole_units_of;
use super::{Twin, UNIT, WALK_UNITS, pause, units_of};
use crate::file::write_all;
#[cfg(feature = "residency")]
use crate::file::write_window;
use crate::kernel::start_write_back;
use core::ops::Range;
use core::sync::atomic::Ordering;
use mapleaf_pager::Bytes;
use rustix::fd::BorrowedFd;
use rustix::io::Result;
use rustix::thread::{Timespec, nanosleep};

/// Bytes of one positioned write at the most, which ends at a multiple of it. A page cache makes folios as
/// large as the writes that fill it, and maps those of 2 MiB with one entry: readers of a file that fits memory
/// gain 1.8 to 3 times. (1 M entries, Xeon under a hypervisor: gets 3.0 us by small pages, 1.0 us by large ones.)
const WRITE_BYTES_RESIDENT: usize = 2 << 20;

/// The same where the file is larger than memory: pages come and go one by one. A later write of one unit walks
/// its whole folio: on ext4 6.7 us in a 2 MiB folio, 1.9 us in one of 64 KiB, 1.7 us in one of 4 KiB (Linux
/// 6.18, Zen 4, 10th percentiles).
const WRITE_BYTES_SPARSE: usize = 64 << 10;

/// Held stretches are published in blocks of the largest page, none of which is ever held in part.
const BLOCK_UNITS: usize = mapleaf_pager::PAGE_SIZE_MAX / UNIT;

/// Stretches from here on are published when they are committed: long writes cost a fraction of short
/// ones for each unit, and little is gained by waiting.
const HOLD_UNITS_MAX: usize = (256 << 10) / UNIT;

/// Values from here on go past the twin: a write of as much makes a folio as large as those of files that are larger
/// than memory.
#[cfg(feature = "residency")]
const THROUGH_UNITS_MIN: usize = WRITE_BYTES_SPARSE / UNIT;

/// A stretch published at once: bounds what stays in memory while a large transaction commits.
pub(crate) const STRETCH_UNITS_MAX: usize = (16 << 20) / UNIT;

/// Units that a checkpoint writes to the page cache before the medium is given them: then it works while the next
/// are written, instead of in the barrier alone.
const BEGIN_UNITS: usize = (1 << 20) / UNIT;

/// A checkpoint beside commits gives the medium so many parts, of so many units at least, and after each a moment: a
/// barrier waits for whatever the medium was given before it. Not where so much is held that commits are large: they
/// take long themselves, and are better off when it is done.
const PARTS: usize = 64;
const PART_UNITS_MIN: usize = 8;
const ASIDE_UNITS_MAX: usize = (8 << 20) / UNIT;
const MOMENT: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000 };

impl Twin {
    /// Writes the claimed units of a range to the file, none behind `len`, and ends their claims.
    ///
    /// # Errors
    /// Those of `pwrite`; what was written till then is no longer claimed.
    ///
    /// # Safety
    /// Nobody stores to the range's claimed units meanwhile.
    pub(crate) unsafe fn publish(
        &self,
        range: &Bytes,
        len: usize,
        file: BorrowedFd<'_>,
    ) -> Result<()> {
        let units = units_of(range);
        let mut at = units.start;
        while let Some(start) = self.claimed.next(at, units.end) {
            let end = self.claimed.next_absent(start, units.end.min(start + STRETCH_UNITS_MAX));
            // SAFETY: claimed units, nobody's but the caller's.
            unsafe { self.write(start..end, len, file)? };
            self.end_claims(start..end);
            at = end;
        }
        self.trim();
        Ok(())
    }

    /// Writes `parts` to the file, one behind the other, and zeros up to the end of a unit, from the start of a range
    /// of which nothing in the twin counts any more. `false`: it is short, or not whole units, or claimed.
    ///
    /// # Errors
    /// Those of `pwritev`.
    ///
    /// # Safety
    /// Nobody refers to bytes of the range in the twin.
    #[cfg(feature = "residency")]
    pub(crate) unsafe fn publish_bytes(
        &self,
        range: &Bytes,
        parts: &[&[u8]],
        file: BorrowedFd<'_>,
    ) -> Result<bool> {
        let units = whole_units_of(range);
        let len = parts.iter().map(|part| part.len()).sum::<usize>();
        if units != units_of(range)
            || units.len() < THROUGH_UNITS_MIN
            || len > units.len() * UNIT
            || !self.abandon(units.clone())
        {
            return Ok(false);
        }
        let most = self.write_bytes_max();
        let padding = [0; UNIT];
        let padded = len.next_multiple_of(UNIT);
        let padding = padding.get(..padded - len).unwrap_or(&[]);
        let mut done = 0;
        while done < padded {
            let at = units.start * UNIT + done;
            let window = done..padded.min(done + most - at % most);
            done += write_window(file, parts, padding, window, at as u64)?;
        }
        self.trim();
        Ok(true)
    }

    /// Nothing of the units is held or retired any more; whether none is claimed, which is asked before.
    #[cfg(feature = "residency")]
    fn abandon(&self, units: Range<usize>) -> bool {
        let mut counts = self.lock_apart(&units);
        if self.claimed.next(units.start, units.end).is_some() {
            return false;
        }
        for (set, is_held) in [(&self.held, true), (&self.retired, false)] {
            let mut at = units.start;
            while let Some(start) = set.next(at, units.end) {
                let end = set.next_absent(start, units.end);
                let ended = set.remove(start..end);
                if is_held {
                    self.held_units.fetch_sub(ended, Ordering::Relaxed);
                } else {
                    counts.retired -= ended;
                }
                self.add_idle(&mut counts, start..end);
                at = end;
            }
        }
        self.expected.remove(units);
        true
    }

    /// Bytes of one positioned write at the most.
    fn write_bytes_max(&self) -> usize {
        let sparse = cfg!(not(feature = "residency")) || self.sparse.load(Ordering::Relaxed);
        if sparse { WRITE_BYTES_SPARSE } else { WRITE_BYTES_RESIDENT }
    }

    /// Writes units to the file, none behind `len`.
    ///
    /// # Safety
    /// Nobody stores to the units meanwhile.
    unsafe fn write(&self, units: Range<usize>, len: usize, file: BorrowedFd<'_>) -> Result<()> {
        let (from, to) = (units.start * UNIT, (units.end * UNIT).min(len));
        // SAFETY: the caller's promise.
        let bytes = unsafe { self.bytes(from, to) };
        let most = self.write_bytes_max();
        let (mut at, mut rest) = (from, bytes);
        while let Some((chunk, behind)) = rest.split_at_checked(rest.len().min(most - at % most))
            && !chunk.is_empty()
        {
            write_all(file, chunk, at as u64)?;
            at += chunk.len();
            rest = behind;
        }
        Ok(())
    }

    /// Ends the claims of a range: long stretches are published, the others are held from now on.
    ///
    /// # Errors
    /// As [`publish`](Twin::publish).
    ///
    /// # Safety
    /// As [`publish`](Twin::publish); and nobody stores to what is held before claiming it anew.
    pub(crate) unsafe fn hold(
        &self,
        range: &Bytes,
        len: usize,
        file: BorrowedFd<'_>,
    ) -> Result<()> {
        let units = units_of(range);
        let mut at = units.start;
        while let Some(start) = self.claimed.next(at, units.end) {
            let end = self.claimed.next_absent(start, units.end);
            if end - start >= HOLD_UNITS_MAX {
                let stretch = start as u64 * UNIT as u64..end as u64 * UNIT as u64;
                // SAFETY: as this function.
                unsafe { self.publish(&stretch, len, file)? };
            } else {
                let _counts = self.counts.lock();
                let held = self.held.insert(start..end);
                self.held_units.fetch_add(held, Ordering::Relaxed);
                let ended = self.claimed.remove(start..end);
                self.claimed_units.fetch_sub(ended, Ordering::Relaxed);
            }
            at = end;
        }
        Ok(())
    }

    /// Writes the held units of a range to the file, none behind `len`; from then on they are retired. In parts
    /// with moments between, until what is asked says that somebody is pressed, or at once.
    ///
    /// # Errors
    /// Those of `pwrite`; what was not written is held still.
    ///
    /// # Safety
    /// Nobody stores to held units without claiming them.
    pub(crate) unsafe fn publish_held(
        &self,
        range: &Bytes,
        len: usize,
        file: BorrowedFd<'_>,
        pressed: &mut Option<&mut dyn FnMut() -> bool>,
    ) -> Result<()> {
        let units = units_of(range);
        let mut at = units.start;
        let (mut begun, mut waiting) = (at, 0);
        let held = self.held_units.load(Ordering::Relaxed);
        let part = (held / PARTS).max(PART_UNITS_MIN);
        if held > ASIDE_UNITS_MAX {
            *pressed = None;
        }
        while at < units.end {
            let Some(stretch) = self.begin_writing(at..units.end) else { break };
            // SAFETY: held, and not to be claimed while it is written.
            let written = unsafe { self.write(stretch.clone(), len, file) };
            self.end_writing(&stretch, written.is_ok());
            written?;
            at = stretch.end;
            waiting += stretch.len();
            let most = if pressed.is_some() { part } else { BEGIN_UNITS };
            if cfg!(feature = "residency") && waiting >= most {
                // A hint: the barrier writes what this does not.
                let _ = start_write_back(file, (begun * UNIT) as u64..(at * UNIT) as u64);
                (begun, waiting) = (at, 0);
                if pressed.as_mut().is_some_and(|pressed| pressed()) {
                    *pressed = None;
                } else if pressed.is_some() {
                    // Shorter where a signal comes: it is a courtesy.
                    let _ = nanosleep(&MOMENT);
                }
            }
        }
        self.trim();
        Ok(())
    }

    /// Takes the next held stretch of a range, within a block, to be written. Waits for whoever writes
    /// another.
    fn begin_writing(&self, range: Range<usize>) -> Option<Range<usize>> {
        loop {
            let mut counts = self.counts.lock();
            let start = self.held.next(range.start, range.end)?;
            if counts.writing.is_empty() {
                let block_end = (start / BLOCK_UNITS + 1) * BLOCK_UNITS;
                counts.writing = start..self.held.next_absent(start, block_end.min(range.end));
                return Some(counts.writing.clone());
            }
            drop(counts);
            rustix::thread::sched_yield();
        }
    }

    fn end_writing(&self, stretch: &Range<usize>, written: bool) {
        let mut counts = self.counts.lock();
        counts.writing = 0..0;
        if written {
            // Retired before it ceases to be held, so that its memory is never up for release between.
            counts.retired += self.retired.insert(stretch.clone());
            let ended = self.held.remove(stretch.clone());
            self.held_units.fetch_sub(ended, Ordering::Relaxed);
        }
    }

    /// Lets the pool have retired units that nobody refers to.
    pub(crate) fn release_held(&self, unseen: &mut dyn FnMut(u64) -> bool) {
        let limit = self.span.len().div_ceil(UNIT);
        let mut at = 0;
        loop {
            let mut counts = self.counts.lock();
            for _ in 0..WALK_UNITS {
                let Some(unit) = self.retired.next(at, limit) else {
                    counts.pinned = counts.retired;
                    drop(counts);
                    return self.trim();
                };
                if unseen(unit as u64 * UNIT as u64) {
                    counts.retired -= self.retired.remove(unit..unit + 1);
                    self.add_idle(&mut counts, unit..unit + 1);
                }
                at = unit + 1;
            }
            drop(counts);
            // The writer may be waiting for the lock, or for the turn to make a checkpoint.
            pause();
        }
    }
}
