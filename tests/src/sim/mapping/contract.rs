//! The contract of `Mapping`, kept to the letter and no further.

#![allow(unsafe_code)] // Implements the mapping contract over raw memory.

use super::{CLAIMED, Call, Change, HELD, JUNK, Moment, RETIRED, SimMapping, version};
use mapleaf_pager::{Bytes, Error, Mapping, Result};
use std::ptr::NonNull;
use std::sync::atomic::Ordering;

// SAFETY: two allocations that live as long as the mapping; claims and publication by unit. One thread
// at a time runs in a simulation.
unsafe impl<N: Send> Mapping for SimMapping<N> {
    fn base(&self) -> NonNull<u8> {
        self.0.read.base
    }

    fn write_base(&self) -> NonNull<u8> {
        self.0.twin.as_ref().map_or(self.0.read.base, |twin| twin.base)
    }

    fn len(&self) -> u64 {
        self.0.len.load(Ordering::Acquire)
    }

    fn write_unit(&self) -> u32 {
        self.0.unit as u32
    }

    fn claimed(&self, offset: u64) -> bool {
        self.0.twin.is_some() && self.state(offset as usize / self.0.unit) & CLAIMED != 0
    }

    unsafe fn claim(&self, range: Bytes, keep: bool) -> Result<()> {
        assert!(range.end <= self.len(), "claimed past the end");
        let mut inner = self.inner();
        self.point(&mut inner);
        self.may_fail(&mut inner, Call::Claim)?;
        let Some(twin) = &self.0.twin else {
            // Announced: dirty from here on, whether bytes differ or not.
            self.units(&range).for_each(|at| self.soil(&mut inner, at));
            return Ok(());
        };
        for at in self.units(&range) {
            let (state, unit) = (self.state(at), self.bytes_of(at));
            if state & CLAIMED != 0 {
                continue;
            }
            self.set_state(at, CLAIMED);
            let inside = unit.start as u64 >= range.start && unit.end as u64 <= range.end;
            if state & HELD != 0 {
                continue; // What it holds is here already.
            } else if keep || !inside {
                twin.put(unit.start, self.0.read.bytes(unit.clone()));
            } else {
                twin.fill(unit, JUNK);
            }
        }
        Ok(())
    }

    unsafe fn discard(&self, range: Bytes) {
        let claimed = self.units(&range).filter(|at| self.state(*at) & CLAIMED != 0);
        claimed.for_each(|at| self.set_state(at, 0));
    }

    unsafe fn publish(&self, ranges: &[Bytes]) -> Result<()> {
        self.publish_or_fail(ranges, CLAIMED)
    }

    /// For some ranges, and not for others: both ways are to be looked at.
    unsafe fn publish_bytes(&self, range: Bytes, parts: &[&[u8]]) -> Result<bool> {
        let (units, unit) = (self.units(&range), self.0.unit as u64);
        let whole = range.start.is_multiple_of(unit) && range.end.is_multiple_of(unit);
        let claimed = units.clone().any(|at| self.state(at) & CLAIMED != 0);
        if self.0.twin.is_none() || !whole || claimed || !units.len().is_power_of_two() {
            return Ok(false);
        }
        let mut bytes: Vec<u8> = parts.concat();
        assert!(bytes.len() as u64 <= range.end - range.start, "more than the range");
        bytes.resize((range.end - range.start) as usize, JUNK);
        let mut inner = self.inner();
        self.point(&mut inner);
        units.clone().for_each(|at| self.set_state(at, 0));
        let failed = self.may_fail(&mut inner, Call::Publish);
        let most = if failed.is_err() { units.len() / 2 } else { units.len() };
        for (at, bytes) in units.zip(bytes.chunks(self.0.unit)).take(most) {
            self.point(&mut inner);
            self.0.read.put(at * self.0.unit, bytes);
            self.soil(&mut inner, at);
        }
        failed.map(|()| true)
    }

    unsafe fn hold(&self, range: Bytes) -> Result<()> {
        let mut inner = self.inner();
        if self.0.twin.is_some() {
            self.may_fail(&mut inner, Call::Publish)?;
        }
        let claimed = self.units(&range).filter(|at| self.state(*at) & CLAIMED != 0);
        claimed.for_each(|at| self.set_state(at, HELD));
        Ok(())
    }

    fn held(&self, offset: u64) -> bool {
        self.0.twin.is_some() && self.state(offset as usize / self.0.unit) & HELD != 0
    }

    unsafe fn publish_held(&self, ranges: &[Bytes]) -> Result<()> {
        self.publish_or_fail(ranges, HELD)
    }

    /// In two parts, between which others commit: unless they are pressed for it, as the first question tells.
    unsafe fn publish_held_aside(
        &self,
        ranges: &[Bytes],
        pressed: &mut dyn FnMut() -> bool,
    ) -> Result<()> {
        if self.0.twin.is_some() && !pressed() {
            let held = self.in_states(ranges, HELD);
            {
                let mut inner = self.inner();
                self.publish_units(&mut inner, ranges, HELD, self.half_of_held(&held));
            }
            self.meanwhile(false);
        }
        self.publish_or_fail(ranges, HELD)
    }

    unsafe fn release_held(&self, unseen: &mut dyn FnMut(u64) -> bool) {
        let Some(twin) = &self.0.twin else { return };
        let mut kept = 0;
        for at in 0..self.bytes_now() / self.0.unit {
            if self.state(at) & RETIRED == 0 {
                continue;
            }
            if unseen((at * self.0.unit) as u64) {
                self.set_state(at, self.state(at) & !RETIRED);
                // To show that nobody refers to it.
                twin.fill(self.bytes_of(at), JUNK);
            } else {
                kept += 1;
            }
        }
        self.0.kept.store(kept, Ordering::Relaxed);
    }

    fn laden(&self) -> bool {
        self.0.twin.is_some() && self.count(HELD) >= self.load_max()
    }

    fn overladen(&self) -> bool {
        if self.0.twin.is_none() {
            return false;
        }
        let (held, retired) = (self.count(HELD), self.count(RETIRED));
        let leaving = retired.saturating_sub(self.0.kept.load(Ordering::Relaxed));
        held >= 2 * self.load_max() || held + leaving >= 3 * self.load_max()
    }

    unsafe fn flush(&self, ranges: &[Bytes]) -> Result<()> {
        self.barrier(ranges, false)
    }

    unsafe fn publish_and_flush(&self, range: Bytes) -> Result<()> {
        {
            let mut inner = self.inner();
            self.point(&mut inner);
            self.publish_units(&mut inner, std::slice::from_ref(&range), CLAIMED, usize::MAX);
        }
        self.barrier(&[range], true)
    }

    fn grow(&self, len: u64) -> Result<()> {
        let mut inner = self.inner();
        self.point(&mut inner);
        let now = self.bytes_now();
        let wanted = (len as usize).next_multiple_of(self.0.unit).max(now);
        if wanted > self.0.read.capacity {
            return Err(Error::Full);
        }
        self.may_fail(&mut inner, Call::Grow)?;
        self.0.read.fill(now..wanted, 0);
        self.0.len.store(wanted as u64, Ordering::Release);
        if let Some(tape) = &mut inner.tape {
            let zero = version(&vec![0; self.0.unit]);
            tape.newest.resize(wanted / self.0.unit, zero);
        }
        Self::change(&mut inner, Change::Resized(wanted / self.0.unit));
        Ok(())
    }

    unsafe fn shrink(&self, len: u64) -> Result<()> {
        let mut inner = self.inner();
        self.point(&mut inner);
        self.may_fail(&mut inner, Call::Shrink)?;
        let units = (len as usize).div_ceil(self.0.unit).min(self.bytes_now() / self.0.unit);
        (units..self.bytes_now() / self.0.unit).for_each(|at| self.set_state(at, 0));
        self.0.len.store((units * self.0.unit) as u64, Ordering::Release);
        if let Some(tape) = &mut inner.tape {
            tape.newest.truncate(units);
        }
        Self::change(&mut inner, Change::Resized(units));
        Ok(())
    }

    fn pressure(&self) -> bool {
        self.0.twin.is_some() && self.0.in_twin.load(Ordering::Relaxed) > self.0.budget
    }

    fn guarded(&self) -> bool {
        self.0.watched.load(Ordering::Relaxed)
    }

    fn probe(&self, range: Bytes) -> Result<()> {
        if let Some(tape) = &mut self.inner().tape {
            tape.moments.extend(self.units(&range).map(Moment::Load));
        }
        Ok(())
    }

    fn relax(&self) {
        drop(self.0.gate.lock().expect("no panic while it is held").take());
        std::thread::yield_now();
    }

    fn trace(&self, _range: Bytes) {
        let mut inner = self.inner();
        if inner.tape.is_some() {
            self.point(&mut inner);
        }
    }
}
