//! The twin's idle memory: what stays of it, what is given back, what is got ready.
//!
//! The first store to a page of anonymous memory is a page fault: up to 40 % of what a random put costs. Two
//! things avoid it. Memory behind units that are not in use any more stays, up to a pool's size. And units that
//! are expected to be claimed (pages that were freed, and wait for a checkpoint) are backed beside the writer:
//! a store larger than the pool seldom frees a page that was claimed lately.

#![allow(unsafe_code)] // Memory is given back that nobody uses.

use crate::twin::{Counts, STRETCH_UNITS_MAX, Twin, UNIT, WALK_UNITS, pause, whole_units_of};
use core::ops::Range;
use mapleaf_pager::Bytes;

/// Stretches from here on are given back as soon as they are published, once the pool is full: one
/// call for many pages.
const RELEASE_UNITS: usize = (256 << 10) / UNIT;

/// What the pool may hold: a quarter of the budget within these bounds. Giving scattered units back takes
/// 12 to 17 us a call where other processors must be told.
const POOL_UNITS: (usize, usize) = ((16 << 20) / UNIT, (64 << 20) / UNIT);

/// Units of a large page.
pub(crate) const LARGE_UNITS: usize = (2 << 20) / UNIT;

/// How much of a twin is backed by large pages, if the system has them: a quarter of the budget, and so a
/// 32nd of the memory. A store to a page not used lately takes 0.8 us on small pages, of which most is spent on
/// finding it, and 0.1 us on large ones (Xeon, virtual machine).
const LARGE_UNITS_MAX: usize = (160 << 20) / UNIT;

/// Units of the part with large pages of a twin with that budget.
pub(crate) fn large_units(budget_units: usize) -> usize {
    if cfg!(not(feature = "residency")) {
        return 0;
    }
    (budget_units / 4).min(LARGE_UNITS_MAX) / LARGE_UNITS * LARGE_UNITS
}

/// Units of a pool of a twin with that budget.
pub(crate) fn pool_units(budget_units: usize) -> usize {
    (budget_units / 4).clamp(POOL_UNITS.0, POOL_UNITS.1).min(budget_units)
}

impl Twin {
    /// Units in the range are likely to be claimed before long. Long stretches are not worth it: their
    /// memory goes back as soon as they are published.
    pub(crate) fn expect(&self, range: &Bytes) {
        let units = whole_units_of(range);
        if units.len() < RELEASE_UNITS {
            let _counts = self.counts.lock();
            self.expected.insert(units);
        }
    }

    /// Backs units that are expected, as far as the pool has room.
    pub(crate) fn tend(&self) {
        self.trim();
        let mut at = 0;
        while let Some(units) = self.begin_backing(&mut at) {
            if units.is_empty() {
                // The writer may be waiting for the lock.
                pause();
                continue;
            }
            self.span.back(units.start * UNIT..units.end * UNIT);
            self.counts.lock().moving = 0..0;
        }
    }

    /// Takes the next expected stretch that has no memory; an empty one where none was found so far. `None`
    /// at the end, when the pool is full, and when another thread moves memory.
    fn begin_backing(&self, at: &mut usize) -> Option<Range<usize>> {
        let mut counts = self.counts.lock();
        let limit = counts.allowed / UNIT;
        for _ in 0..WALK_UNITS {
            let start = self.expected.next(*at, limit)?;
            let room = match start < self.large_units() {
                true => LARGE_UNITS,
                false => self.pool_units.saturating_sub(counts.idle),
            };
            if room == 0 || !counts.moving.is_empty() {
                return None;
            }
            let end = self.expected.next_absent(start, limit.min(start + room.min(WALK_UNITS)));
            let end = self.next_in_use(start, self.idle.next(start, end).unwrap_or(end));
            *at = end.max(start + 1);
            if start < end {
                self.add_idle(&mut counts, start..end);
                counts.moving = start..end;
                return Some(start..end);
            }
        }
        Some(0..0)
    }

    /// The first so many units are backed by large pages: they stay.
    fn large_units(&self) -> usize {
        if cfg!(feature = "residency") { self.large_units } else { 0 }
    }

    /// Units have memory and are not in use.
    pub(crate) fn add_idle(&self, counts: &mut Counts, units: Range<usize>) {
        let (large, pooled) = self.split(units);
        if !large.is_empty() {
            counts.large_used = counts.large_used.max(large.end);
            self.idle.insert(large);
        }
        counts.idle += self.idle.insert(pooled);
    }

    /// Units are used, or have no memory any more; how many had some.
    pub(crate) fn take_idle(&self, counts: &mut Counts, units: Range<usize>) -> usize {
        let (large, pooled) = self.split(units);
        let pooled = self.idle.remove(pooled);
        counts.idle -= pooled;
        if large.is_empty() { pooled } else { pooled + self.idle.remove(large) }
    }

    /// The units with large pages among these, and those behind them.
    fn split(&self, units: Range<usize>) -> (Range<usize>, Range<usize>) {
        if cfg!(not(feature = "residency")) {
            return (0..0, units);
        }
        let edge = self.large_units.clamp(units.start, units.end.max(units.start));
        (units.start..edge, edge..units.end)
    }

    /// Units that ended to be in use are idle, or given back where they are many and the pool is full.
    pub(crate) fn put_idle(&self, counts: &mut Counts, units: Range<usize>) {
        self.add_idle(counts, units.clone());
        let full = units.start >= self.large_units()
            && units.len() >= RELEASE_UNITS
            && counts.idle > self.pool_units;
        if full && counts.apart_from_moving(&units) {
            self.release(counts, units);
        }
    }

    /// Gives the memory of units back, none of which is in use. The lock is held: nobody claims one now.
    pub(crate) fn release(&self, counts: &mut Counts, units: Range<usize>) {
        // SAFETY: neither claimed nor held nor retired, so nobody refers to these bytes or counts on them.
        unsafe { self.span.release(units.start * UNIT..units.end.saturating_mul(UNIT)) };
        // Where host pages are larger, the edges stay: the count is then a little low.
        self.take_idle(counts, units);
    }

    /// Gives back a quarter of the pool, once it is full: from where the last trim ended, so that what was
    /// used lately stays.
    pub(crate) fn trim(&self) {
        if self.counts.lock().idle <= self.pool_units {
            return;
        }
        let (first, limit) = (self.large_units(), self.span.len().div_ceil(UNIT));
        // Once over all units at the most; a call into the system each time, so the lock is let go between.
        let mut wraps = 0;
        while wraps < 2 {
            let mut counts = self.counts.lock();
            if counts.idle <= self.pool_units / 4 * 3 {
                return;
            }
            let Some(start) = self.idle.next(counts.sweep.max(first), limit) else {
                counts.sweep = first;
                wraps += 1;
                continue;
            };
            let end = self.next_in_use(start, (start + STRETCH_UNITS_MAX).min(limit));
            if !counts.moving.is_empty() {
                if counts.leaving {
                    return; // Another thread is at it.
                }
                // What is being backed is little, and no more is while the pool is full.
                drop(counts);
                rustix::thread::sched_yield();
                continue;
            }
            counts.sweep = end;
            self.take_idle(&mut counts, start..end);
            counts.moving = start..end;
            counts.leaving = true;
            drop(counts);
            // SAFETY: in nobody's use, and not to be claimed before `leaving` ends.
            unsafe { self.span.release(start * UNIT..end * UNIT) };
            let mut counts = self.counts.lock();
            counts.moving = 0..0;
            counts.leaving = false;
        }
    }
}
