//! The anonymous twin of a file mapped for reading: where shadow mode builds pages.
//!
//! Same numbering as the file. A unit is *claimed* from the writer's claim to its publication or
//! discard, and *resident* while its twin memory may be backed. What is resident and no longer
//! claimed stays, up to a pool's size, so that the units every small commit rewrites (metas, log
//! blocks, pages freed and taken again) do not pay a page fault each time.

#![allow(unsafe_code)] // Copies between the two views, and slices of what is claimed.

use crate::bits::Bits;
use crate::file::write_all;
use crate::span::Span;
use crate::turn::Turn;
use core::ops::Range;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering};
use mapleaf_pager::Bytes;
use rustix::fd::BorrowedFd;
use rustix::io::Result;

/// Bytes of a unit: the block size of page caches and of most file systems, so that a positioned
/// write of whole units never reads before it writes.
pub(crate) const UNIT: usize = 4096;

/// Bytes of one positioned write. A page cache makes folios as large as the writes that fill it, and
/// a later write of one unit walks its whole folio: on ext4 6.7 us in a 2 MiB folio, 1.9 us in one of
/// 64 KiB, 1.7 us in one of 4 KiB (Linux 6.18, Zen 4, 10th percentiles).
const WRITE_BYTES_MAX: usize = 64 << 10;

/// A stretch published at once: bounds what stays in memory while a large transaction commits.
const STRETCH_UNITS_MAX: usize = (16 << 20) / UNIT;

/// Stretches from here on are given back as soon as they are published, once the pool is full: one
/// call for many pages.
const RELEASE_UNITS: usize = (256 << 10) / UNIT;

/// What the pool may hold: an eighth of the budget within these bounds. Random updates come back to
/// the same units from checkpoint to checkpoint; a page fault each time costs as much as its copy.
const POOL_UNITS: (usize, usize) = ((16 << 20) / UNIT, (128 << 20) / UNIT);

/// Units backed by one call where claims follow each other, as in a growing file: a third of what
/// as many page faults cost.
const AHEAD_UNITS: usize = (128 << 10) / UNIT;

/// Twin memory is let grow in steps: each is a call, and a charge where memory is never overcommitted.
const ALLOW_STEP: usize = 64 << 20;

/// Counts that change together with the sets.
struct Counts {
    resident: usize,
    /// Bytes of the twin that may be stored to.
    allowed: usize,
    /// The unit behind the last claim.
    next: usize,
    /// Where the pool is trimmed next.
    sweep: usize,
}

/// The twin and its sets.
pub(crate) struct Twin {
    span: Span,
    claimed: Bits,
    resident: Bits,
    counts: Turn<Counts>,
    claimed_units: AtomicUsize,
    budget_units: usize,
    pool_units: usize,
}

impl Twin {
    /// A twin for files of up to `reserve` bytes. Transactions are asked to publish from `budget`
    /// bytes on.
    pub(crate) fn new(reserve: usize, budget: u64) -> Result<Twin> {
        let units = reserve.div_ceil(UNIT);
        let budget_units = usize::try_from(budget / UNIT as u64).unwrap_or(usize::MAX).max(1);
        Ok(Twin {
            span: Span::reserve_small(reserve)?,
            claimed: Bits::new(units)?,
            resident: Bits::new(units)?,
            counts: Turn::new(Counts { resident: 0, allowed: 0, next: 0, sweep: 0 }),
            claimed_units: AtomicUsize::new(0),
            budget_units,
            pool_units: (budget_units / 8).clamp(POOL_UNITS.0, POOL_UNITS.1).min(budget_units),
        })
    }

    /// Start of the write view.
    pub(crate) fn base(&self) -> NonNull<u8> {
        self.span.base()
    }

    /// Lets the first `len` bytes be stored to.
    ///
    /// # Errors
    /// `NOMEM` where memory is not overcommitted and none is left.
    pub(crate) fn allow(&self, len: usize) -> Result<()> {
        let mut counts = self.counts.lock();
        if len > counts.allowed {
            let allowed = len.next_multiple_of(ALLOW_STEP).min(self.span.len());
            self.span.allow(counts.allowed..allowed)?;
            counts.allowed = allowed;
        }
        Ok(())
    }

    /// Whether the unit at a byte offset is claimed.
    #[inline]
    pub(crate) fn claimed(&self, offset: u64) -> bool {
        usize::try_from(offset).is_ok_and(|offset| self.claimed.contains(offset / UNIT))
    }

    /// Bytes claimed now.
    pub(crate) fn claimed_bytes(&self) -> u64 {
        self.claimed_units.load(Ordering::Relaxed) as u64 * UNIT as u64
    }

    /// Bytes of the twin that may be backed by memory.
    pub(crate) fn resident_bytes(&self) -> u64 {
        self.counts.lock().resident as u64 * UNIT as u64
    }

    /// Whether more is claimed than the budget allows.
    #[inline]
    pub(crate) fn over_budget(&self) -> bool {
        self.claimed_units.load(Ordering::Relaxed) > self.budget_units
    }

    /// Claims the units of a range, which ends at or before `len`. Those not claimed before are
    /// filled from `view`, the read view of `len` bytes: all of them with `keep`, without it only
    /// those that the range covers in part.
    ///
    /// # Safety
    /// `view` is readable for `len` bytes, the twin is allowed that far, and the claimed units are
    /// nobody else's.
    pub(crate) unsafe fn claim(&self, range: &Bytes, keep: bool, view: NonNull<u8>, len: usize) {
        let units = units_of(range);
        let mut at = units.start;
        while at < units.end {
            let start = self.claimed.next_absent(at, units.end);
            let end = self.claimed.next(start, units.end).unwrap_or(units.end);
            // Claimed before it is stored to: from then on nobody gives its memory back.
            self.mark(start..end);
            let copy = |units: Range<usize>| {
                // SAFETY: claimed by the caller alone; `view` and the twin hold `len` bytes.
                unsafe { self.copy_in(units, view, len) }
            };
            if keep {
                copy(start..end);
            } else {
                let whole = whole_units_of(range);
                copy(start..whole.start.min(end));
                copy(whole.end.max(start)..end);
            }
            at = end;
        }
    }

    fn mark(&self, units: Range<usize>) {
        if units.is_empty() {
            return;
        }
        let mut counts = self.counts.lock();
        let added = self.claimed.insert(units.clone());
        let fresh = self.resident.insert(units.clone());
        counts.resident += fresh;
        self.claimed_units.fetch_add(added, Ordering::Relaxed);
        if fresh > 0 && units.start == counts.next {
            self.back_ahead(&mut counts, units.clone());
        }
        counts.next = units.end;
    }

    /// Backs units just claimed, and some behind them that are likely to be claimed next.
    fn back_ahead(&self, counts: &mut Counts, units: Range<usize>) {
        let ahead = units.end.saturating_add(AHEAD_UNITS).min(counts.allowed / UNIT);
        if units.start < ahead {
            self.span.back(units.start * UNIT..ahead * UNIT);
            counts.resident += self.resident.insert(units.start..ahead);
        }
    }

    /// # Safety
    /// As [`claim`](Twin::claim).
    unsafe fn copy_in(&self, units: Range<usize>, view: NonNull<u8>, len: usize) {
        let (start, end) = (units.start * UNIT, (units.end * UNIT).min(len));
        if start >= end {
            return;
        }
        // SAFETY: `start < len`, and the view holds `len` bytes.
        let from = unsafe { view.add(start) };
        // SAFETY: the twin is as long as the view.
        let to = unsafe { self.span.base().add(start) };
        // SAFETY: both hold these bytes, in different allocations; the target is the caller's alone.
        unsafe { from.copy_to_nonoverlapping(to, end - start) };
    }

    /// Bytes of the write view.
    ///
    /// # Safety
    /// The units are claimed, below the allowed length, and nobody stores to them while the slice
    /// lives.
    pub(crate) unsafe fn bytes(&self, start: usize, end: usize) -> &[u8] {
        // SAFETY: the caller keeps inside the allowed length.
        let from = unsafe { self.span.base().add(start) };
        // SAFETY: anonymous memory is initialised; unchanging by the caller's promise.
        unsafe { core::slice::from_raw_parts(from.as_ptr(), end.saturating_sub(start)) }
    }

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
            let (from, to) = (start * UNIT, (end * UNIT).min(len));
            if from < to {
                // SAFETY: claimed units, nobody's but the caller's.
                let bytes = unsafe { self.bytes(from, to) };
                for (at, chunk) in
                    (from..).step_by(WRITE_BYTES_MAX).zip(bytes.chunks(WRITE_BYTES_MAX))
                {
                    write_all(file, chunk, at as u64)?;
                }
            }
            self.end_claims(start..end);
            at = end;
        }
        self.trim();
        Ok(())
    }

    /// Ends the claims of a range: published by other means, or not wanted any more.
    pub(crate) fn discard(&self, range: &Bytes) {
        self.end_claims(units_of(range));
        self.trim();
    }

    fn end_claims(&self, units: Range<usize>) {
        let mut counts = self.counts.lock();
        let ended = self.claimed.remove(units.clone());
        self.claimed_units.fetch_sub(ended, Ordering::Relaxed);
        if ended >= RELEASE_UNITS && ended == units.len() && counts.resident > self.pool_units {
            self.release(&mut counts, units);
        }
    }

    /// Gives the memory of units that nobody claims back. The lock is held: nobody claims one now.
    fn release(&self, counts: &mut Counts, units: Range<usize>) {
        // SAFETY: not claimed, so nobody refers to these bytes or counts on them.
        unsafe { self.span.release(units.start * UNIT..units.end.saturating_mul(UNIT)) };
        // Where host pages are larger, the edges stay: the count is then a little low.
        counts.resident -= self.resident.remove(units);
    }

    /// Gives back half of the pool, once what is not claimed is more than it may hold: from where the
    /// last trim ended, so that what was used lately stays.
    fn trim(&self) {
        let mut counts = self.counts.lock();
        let claimed = self.claimed_units.load(Ordering::Relaxed);
        if counts.resident.saturating_sub(claimed) <= self.pool_units {
            return;
        }
        let limit = self.span.len().div_ceil(UNIT);
        let keep = self.pool_units / 2 + claimed;
        let mut at = counts.sweep;
        // Twice over the units at the most. Each round ends at a claimed unit or at a stretch's end.
        let mut wraps = 0;
        while counts.resident > keep && wraps < 2 {
            let Some(start) = self.resident.next(at, limit) else {
                (at, wraps) = (0, wraps + 1);
                continue;
            };
            let start = self.claimed.next_absent(start, limit);
            let end = (start + STRETCH_UNITS_MAX / 2).min(limit);
            let end = self.claimed.next(start, end).unwrap_or(end);
            if start < end && self.resident.next(start, end).is_some() {
                self.release(&mut counts, start..end);
            }
            at = end.max(start);
        }
        counts.sweep = at;
    }

    /// Forgets all units from `len` bytes on.
    pub(crate) fn cut(&self, len: usize) {
        let units = len.div_ceil(UNIT)..self.span.len().div_ceil(UNIT);
        let mut counts = self.counts.lock();
        let ended = self.claimed.remove(units.clone());
        self.claimed_units.fetch_sub(ended, Ordering::Relaxed);
        self.release(&mut counts, units);
    }
}

/// Units that a range touches. The range lies in the mapping, so its ends fit a `usize`.
fn units_of(range: &Bytes) -> Range<usize> {
    if range.start >= range.end {
        return 0..0;
    }
    range.start as usize / UNIT..(range.end as usize).div_ceil(UNIT)
}

/// Units that a range covers whole; where there is none, an empty range between those it touches.
fn whole_units_of(range: &Bytes) -> Range<usize> {
    let (start, end) = ((range.start as usize).div_ceil(UNIT), range.end as usize / UNIT);
    start..end.max(start)
}
