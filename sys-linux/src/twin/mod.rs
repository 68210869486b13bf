//! The anonymous twin of a file mapped for reading: where shadow mode builds pages.
//!
//! Same numbering as the file. A unit is
//! - *claimed* from the writer's claim until it is held, published or discarded;
//! - *held* from its commit until a checkpoint publishes it, or it is claimed anew: readers find it
//!   here;
//! - *retired* from that publication on, while readers may have references into it: its bytes stay;
//! - *idle* when it is none of these any more but memory may still stand behind it. Idle units stay, up
//!   to a pool's size, so that those which are rewritten again and again (metas, log blocks, pages freed
//!   and taken again) do not pay a page fault each time.

#![allow(unsafe_code)] // Copies between the two views, and slices of what is claimed.

mod published;

use crate::bits::Bits;
use crate::pool::{LARGE_UNITS, large_units, pool_units};
use crate::span::Span;
use crate::turn::{Turn, Yield};
use core::ops::Range;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use mapleaf_pager::Bytes;
use rustix::io::Result;
use rustix::mm::Advice;
use spin::mutex::SpinMutexGuard;

pub(crate) use published::STRETCH_UNITS_MAX;

/// Bytes of a unit: the block size of page caches and of most file systems, so that a positioned
/// write of whole units never reads before it writes.
pub(crate) const UNIT: usize = 4096;

/// Units looked at under the lock at a time, where all are walked.
pub(crate) const WALK_UNITS: usize = 32;

/// A checkpoint is wanted from so much on that is held, or a quarter of the budget; from twice as much on
/// commits wait for it, and from three times on with what is retired or idle and should not stay.
const LADEN_UNITS_MAX: usize = (48 << 20) / UNIT;

/// Turns of a pause in which somebody who waits for a lock can take it: about a microsecond.
const PAUSE_TURNS: usize = 32;

/// Lets somebody have a lock that was let go of for that. Not by giving the processor away: where others want it, the
/// writer among them, it comes back after milliseconds, and a walk over a twin has thousands of pauses.
pub(crate) fn pause() {
    (0..PAUSE_TURNS).for_each(|_| core::hint::spin_loop());
}

/// Units backed by one call where claims follow each other, as in a growing file: a third of what
/// as many page faults cost.
const AHEAD_UNITS: usize = (128 << 10) / UNIT;

/// Units that have been claimed in order when that is done: where claims follow each other by chance, fewer do.
const IN_ORDER_UNITS: usize = 8;

/// Twin memory is let grow in steps: each is a call, and a charge where memory is never overcommitted.
const ALLOW_STEP: usize = 64 << 20;

/// Counts that change together with the sets.
pub(crate) struct Counts {
    /// Idle units that the pool has: those behind the part with large pages.
    pub(crate) idle: usize,
    /// The unit behind the last one that was used in the part with large pages.
    pub(crate) large_used: usize,
    retired: usize,
    /// Retired units that readers refer to: those that the last release has left.
    pinned: usize,
    /// Bytes of the twin that may be stored to.
    pub(crate) allowed: usize,
    /// The unit behind the last claim.
    next: usize,
    /// Units claimed one behind the other, up to that one.
    in_order: usize,
    /// Where the pool is trimmed next.
    pub(crate) sweep: usize,
    /// Held units that are being written to the file: they must not be claimed meanwhile.
    writing: Range<usize>,
    /// Units whose memory is being backed or given back: one thread at a time does so.
    pub(crate) moving: Range<usize>,
    /// It is being given back: they must not be claimed meanwhile.
    pub(crate) leaving: bool,
}

impl Counts {
    /// Whether something is being done to none of the units.
    fn at_rest(&self, units: &Range<usize>) -> bool {
        apart(units, &self.writing) && (!self.leaving || apart(units, &self.moving))
    }

    /// Whether the memory of none of the units is being backed or given back.
    pub(crate) fn apart_from_moving(&self, units: &Range<usize>) -> bool {
        apart(units, &self.moving)
    }
}

/// The twin and its sets.
pub(crate) struct Twin {
    pub(crate) span: Span,
    claimed: Bits,
    held: Bits,
    retired: Bits,
    pub(crate) idle: Bits,
    /// Likely to be claimed before long; whatever else they are.
    pub(crate) expected: Bits,
    pub(crate) counts: Turn<Counts>,
    claimed_units: AtomicUsize,
    held_units: AtomicUsize,
    /// The file is expected to be larger than memory.
    sparse: AtomicBool,
    budget_units: usize,
    pub(crate) pool_units: usize,
    /// The first so many units are backed by large pages: they stay.
    pub(crate) large_units: usize,
}

impl Twin {
    /// A twin for files of up to `reserve` bytes. Transactions are asked to publish from `budget`
    /// bytes on.
    pub(crate) fn new(reserve: usize, budget: u64) -> Result<Twin> {
        let units = reserve.div_ceil(UNIT);
        let budget_units = usize::try_from(budget / UNIT as u64).unwrap_or(usize::MAX).max(1);
        let large_units = large_units(budget_units).min(units);
        let span = Span::reserve(reserve)?;
        span.advise(0..large_units * UNIT, Advice::LinuxHugepage);
        span.advise(large_units * UNIT..reserve, Advice::LinuxNoHugepage);
        Ok(Twin {
            span,
            claimed: Bits::new(units)?,
            held: Bits::new(units)?,
            retired: Bits::new(units)?,
            idle: Bits::new(units)?,
            expected: Bits::new(units)?,
            counts: Turn::new(Counts {
                idle: 0,
                large_used: 0,
                retired: 0,
                pinned: 0,
                allowed: 0,
                next: 0,
                in_order: 0,
                sweep: 0,
                writing: 0..0,
                moving: 0..0,
                leaving: false,
            }),
            claimed_units: AtomicUsize::new(0),
            held_units: AtomicUsize::new(0),
            sparse: AtomicBool::new(false),
            budget_units,
            pool_units: pool_units(budget_units),
            large_units,
        })
    }

    /// Whether the file is expected to be larger than memory: how it is written.
    pub(crate) fn set_sparse(&self, sparse: bool) {
        self.sparse.store(sparse, Ordering::Relaxed);
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

    /// Whether the unit at a byte offset is held.
    #[inline]
    pub(crate) fn held(&self, offset: u64) -> bool {
        usize::try_from(offset).is_ok_and(|offset| self.held.contains(offset / UNIT))
    }

    /// Bytes held now.
    pub(crate) fn held_bytes(&self) -> u64 {
        self.held_units.load(Ordering::Relaxed) as u64 * UNIT as u64
    }

    /// Bytes claimed now.
    pub(crate) fn claimed_bytes(&self) -> u64 {
        self.claimed_units.load(Ordering::Relaxed) as u64 * UNIT as u64
    }

    /// Bytes of the twin that may be backed by memory. At the most: all of the part with large pages that has
    /// been used counts, and what is in use there once more.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let counts = self.counts.lock();
        let live =
            self.claimed_units.load(Ordering::Relaxed) + self.held_units.load(Ordering::Relaxed);
        let large = counts.large_used.next_multiple_of(LARGE_UNITS);
        (counts.idle + counts.retired + live + large) as u64 * UNIT as u64
    }

    /// Whether more is claimed and held than the budget allows.
    #[inline]
    pub(crate) fn over_budget(&self) -> bool {
        let held = self.held_units.load(Ordering::Relaxed);
        self.claimed_units.load(Ordering::Relaxed) + held > self.budget_units
    }

    /// Whether so much is held that it should be published.
    pub(crate) fn laden(&self) -> bool {
        self.held_units.load(Ordering::Relaxed) >= self.load()
    }

    /// Whether so much is held, or on its way out, that no more should be held before that is gone. What readers
    /// refer to does not count: no commit could change that.
    pub(crate) fn overladen(&self) -> bool {
        let held = self.held_units.load(Ordering::Relaxed);
        let counts = self.counts.lock();
        let leaving = counts.retired.saturating_sub(counts.pinned)
            + counts.idle.saturating_sub(self.pool_units);
        held >= 2 * self.load() || held + leaving >= 3 * self.load()
    }

    fn load(&self) -> usize {
        LADEN_UNITS_MAX.min(self.budget_units / 4).max(1)
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
        let whole = whole_units_of(range);
        let mut at = units.start;
        while at < units.end {
            let start = self.claimed.next_absent(at, units.end);
            let end = self.claimed.next(start, units.end).unwrap_or(units.end);
            // Claimed before it is stored to: from then on nobody gives its memory back.
            let (end, held) = self.mark(start..end);
            let copy = |units: Range<usize>| {
                // SAFETY: claimed by the caller alone; `view` and the twin hold `len` bytes.
                unsafe { self.copy_in(units, view, len) }
            };
            match (held, keep) {
                // What is held has its content here already.
                (true, _) => {}
                (false, true) => copy(start..end),
                (false, false) => {
                    copy(start..whole.start.min(end));
                    copy(whole.end.max(start)..end);
                }
            }
            at = end;
        }
    }

    /// Marks the first of the units as claimed that are alike: all held, or none. Where they end, and
    /// whether they were held.
    fn mark(&self, units: Range<usize>) -> (usize, bool) {
        if units.is_empty() {
            return (units.end, true);
        }
        let mut counts = self.lock_apart(&units);
        let held = self.held.contains(units.start);
        let end = if held {
            self.held.next_absent(units.start, units.end)
        } else {
            self.held.next(units.start, units.end).unwrap_or(units.end)
        };
        let units = units.start..end;
        let added = self.claimed.insert(units.clone());
        self.claimed_units.fetch_add(added, Ordering::Relaxed);
        let was_held = self.held.remove(units.clone());
        self.held_units.fetch_sub(was_held, Ordering::Relaxed);
        let retired = self.retired.remove(units.clone());
        counts.retired -= retired;
        let idle = self.take_idle(&mut counts, units.clone());
        if cfg!(feature = "residency") {
            self.expected.remove(units.clone());
        }
        let follows = units.start == counts.next;
        counts.in_order = if follows { counts.in_order.saturating_add(units.len()) } else { 0 };
        if was_held + retired + idle < units.len() && counts.in_order >= IN_ORDER_UNITS {
            self.back_ahead(&mut counts, units.clone());
        }
        counts.next = end;
        if cfg!(feature = "residency") && units.start < self.large_units {
            counts.large_used = counts.large_used.max(end.min(self.large_units));
        }
        (end, held)
    }

    /// The lock, at a moment when none of the units is being written to the file or given back.
    fn lock_apart(&self, units: &Range<usize>) -> SpinMutexGuard<'_, Counts, Yield> {
        self.lock_when(|counts| counts.at_rest(units))
    }

    /// As [`lock_apart`](Twin::lock_apart), and none is being backed.
    fn lock_still(&self, units: &Range<usize>) -> SpinMutexGuard<'_, Counts, Yield> {
        self.lock_when(|counts| counts.at_rest(units) && counts.apart_from_moving(units))
    }

    fn lock_when(&self, ready: impl Fn(&Counts) -> bool) -> SpinMutexGuard<'_, Counts, Yield> {
        loop {
            let counts = self.counts.lock();
            if ready(&counts) {
                return counts;
            }
            drop(counts);
            rustix::thread::sched_yield();
        }
    }

    /// Backs units just claimed, and some behind them that are likely to be claimed next.
    fn back_ahead(&self, counts: &mut Counts, units: Range<usize>) {
        let ahead = units.end.saturating_add(AHEAD_UNITS).min(counts.allowed / UNIT);
        let ahead = self.next_in_use(units.end, ahead);
        if units.start < ahead {
            self.span.back(units.start * UNIT..ahead * UNIT);
            self.add_idle(counts, units.end.min(ahead)..ahead);
        }
    }

    /// The first unit from `from` on that is claimed, held or retired, or `limit`.
    pub(crate) fn next_in_use(&self, from: usize, limit: usize) -> usize {
        [&self.claimed, &self.held, &self.retired]
            .iter()
            .fold(limit, |limit, set| set.next(from, limit).unwrap_or(limit))
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

    /// Ends the claims of a range: published by other means, or not wanted any more. (The pool is trimmed
    /// when something is published: that is not on the path of every commit.)
    pub(crate) fn discard(&self, range: &Bytes) {
        self.end_claims(units_of(range));
    }

    fn end_claims(&self, units: Range<usize>) {
        let mut counts = self.counts.lock();
        let mut at = units.start;
        while let Some(start) = self.claimed.next(at, units.end) {
            let end = self.claimed.next_absent(start, units.end);
            let ended = self.claimed.remove(start..end);
            self.claimed_units.fetch_sub(ended, Ordering::Relaxed);
            self.put_idle(&mut counts, start..end);
            at = end;
        }
    }

    /// Forgets all units from `len` bytes on, which nobody refers to.
    pub(crate) fn cut(&self, len: usize) {
        let units = len.div_ceil(UNIT)..self.span.len().div_ceil(UNIT);
        let mut counts = self.lock_still(&units);
        let ended = self.claimed.remove(units.clone());
        self.claimed_units.fetch_sub(ended, Ordering::Relaxed);
        if cfg!(feature = "residency") {
            self.expected.remove(units.clone());
        }
        let held = self.held.remove(units.clone());
        self.held_units.fetch_sub(held, Ordering::Relaxed);
        counts.retired -= self.retired.remove(units.clone());
        self.release(&mut counts, units);
    }
}

fn apart(one: &Range<usize>, other: &Range<usize>) -> bool {
    one.end <= other.start || other.end <= one.start
}

/// Units that a range touches. The range lies in the mapping, so its ends fit a `usize`.
fn units_of(range: &Bytes) -> Range<usize> {
    if range.start >= range.end {
        return 0..0;
    }
    range.start as usize / UNIT..(range.end as usize).div_ceil(UNIT)
}

/// Units that a range covers whole; where there is none, an empty range between those it touches.
pub(crate) fn whole_units_of(range: &Bytes) -> Range<usize> {
    let (start, end) = ((range.start as usize).div_ceil(UNIT), range.end as usize / UNIT);
    start..end.max(start)
}
