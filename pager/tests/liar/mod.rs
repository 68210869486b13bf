//! A medium that lies as far as the contract of `Mapping` allows.
//!
//! Per write unit it keeps every version since the last flush. A power loss picks, seeded, one for each
//! unit, or two mixed, or (harsher than the contract) junk in one that was changed; a file may be as short as it was at the last flush of a grown range. The death
//! of the process keeps what was published, and what the medium would make of it later. A flush that
//! fails leaves any version of its units, and the cache calls them clean.

use crate::double::Memory;
use mapleaf_pager::{Bytes, Error, Mapping, Result};
use std::collections::BTreeMap;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// Splitmix64: reproducible, good enough to choose.
#[derive(Clone, Debug)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }
}

/// What is left when the process or the machine stops: where the next opening starts.
#[derive(Clone, Default)]
pub(crate) struct Rest {
    /// The page cache's bytes.
    cache: Vec<u8>,
    /// The medium's bytes at the last flush of each unit, and the length it has for sure.
    medium: Vec<u8>,
    len_sure: u64,
    /// Units that were changed since: the versions between the medium's and the cache's.
    dirty: BTreeMap<usize, Vec<Vec<u8>>>,
    /// Power was lost, rather than the process.
    pub(crate) power: bool,
}

struct Inner {
    rest: Rest,
    claimed: Vec<bool>,
    /// Committed, and to be read in the write view.
    held: Vec<bool>,
    /// Published since, while readers may have references into the write view.
    retired: Vec<bool>,
    dice: Dice,
    calls: u64,
    stop_at: u64,
    stop_at_flush: u64,
    stopped: Option<Rest>,
    flushes_left: u64,
    /// One more than the flushes before the one that is forgotten; 0 for none.
    forget_at_flush: u64,
    failed: bool,
}

/// The mapping over it; clones are the same one, so that it can be looked at when its store is gone.
#[derive(Clone)]
pub(crate) struct Liar(Arc<Medium>);

impl std::ops::Deref for Liar {
    type Target = Medium;

    fn deref(&self) -> &Medium {
        &self.0
    }
}

/// Memory, and what is behind it.
pub(crate) struct Medium {
    read: Memory,
    write: Option<Memory>,
    unit: usize,
    len: AtomicU64,
    inner: Mutex<Inner>,
    budget: usize,
}

// SAFETY: raw memory behind the mapping contract; the rest is behind a mutex or atomic.
unsafe impl Send for Medium {}
// SAFETY: as above.
unsafe impl Sync for Medium {}

impl Liar {
    pub(crate) fn new(
        rest: Rest,
        capacity: usize,
        unit: usize,
        two_views: bool,
        budget: usize,
        seed: u64,
    ) -> Liar {
        let read = Memory::new(capacity);
        let len = rest.cache.len();
        assert!(len <= capacity);
        // SAFETY: it fits, and nobody else has the memory yet.
        unsafe { std::ptr::copy_nonoverlapping(rest.cache.as_ptr(), read.base.as_ptr(), len) };
        let inner = Inner {
            rest,
            claimed: vec![false; capacity / unit],
            held: vec![false; capacity / unit],
            retired: vec![false; capacity / unit],
            dice: Dice(seed),
            calls: 0,
            stop_at: u64::MAX,
            stop_at_flush: u64::MAX,
            stopped: None,
            flushes_left: u64::MAX,
            forget_at_flush: 0,
            failed: false,
        };
        let write = two_views.then(|| Memory::new(capacity));
        let (len, inner) = (AtomicU64::new(len as u64), Mutex::new(inner));
        Liar(Arc::new(Medium { read, write, unit, len, inner, budget }))
    }
}

impl Medium {
    /// Stops, by power loss or death, at the call `calls` from now; execution goes on, since what is
    /// left is a copy.
    pub(crate) fn stop_after(&self, calls: u64) {
        let mut inner = self.inner.lock().unwrap();
        inner.stop_at = inner.calls + calls;
    }

    /// Stops at the start of the flush behind the next `flushes`.
    pub(crate) fn stop_after_flushes(&self, flushes: u64) {
        self.inner.lock().unwrap().stop_at_flush = flushes;
    }

    /// Lets `flushes` flushes succeed, and the one behind them fail.
    pub(crate) fn fail_after(&self, flushes: u64) {
        self.inner.lock().unwrap().flushes_left = flushes;
    }

    /// A planted bug: the flush behind the next `flushes` does nothing, and says that it went well.
    #[allow(dead_code)] // Only the fuzzer plants it.
    pub(crate) fn forget_after(&self, flushes: u64) {
        self.inner.lock().unwrap().forget_at_flush = flushes + 1;
    }

    /// What is left, if it has stopped.
    pub(crate) fn stopped(&self) -> Option<Rest> {
        self.inner.lock().unwrap().stopped.take()
    }

    /// Stops now.
    pub(crate) fn stop(&self, power: bool) -> Rest {
        self.rest(&mut self.inner.lock().unwrap(), power)
    }

    /// Whether a flush has failed.
    pub(crate) fn failed(&self) -> bool {
        self.inner.lock().unwrap().failed
    }

    fn len_now(&self) -> u64 {
        self.len.load(Ordering::Acquire)
    }

    /// Units claimed or held.
    fn in_twin(&self) -> usize {
        let inner = self.inner.lock().unwrap();
        inner.claimed.iter().chain(&inner.held).filter(|unit| **unit).count()
    }

    fn units(&self, range: &Bytes) -> std::ops::Range<usize> {
        range.start as usize / self.unit..(range.end as usize).div_ceil(self.unit)
    }

    fn cached(&self, unit: usize) -> Vec<u8> {
        let start = self.read.base.as_ptr().wrapping_add(unit * self.unit);
        // SAFETY: inside the memory; only the one writer's thread comes here.
        unsafe { std::slice::from_raw_parts(start, self.unit) }.to_vec()
    }

    fn tick(&self, inner: &mut Inner) {
        inner.calls += 1;
        if inner.calls == inner.stop_at {
            self.stop_here(inner);
        }
    }

    fn stop_here(&self, inner: &mut Inner) {
        if inner.stopped.is_none() {
            let power = inner.dice.below(3) > 0;
            inner.stopped = Some(self.rest(inner, power));
        }
    }

    fn rest(&self, inner: &mut Inner, power: bool) -> Rest {
        let len = self.len_now() as usize;
        let cache = self.read.to_vec(len);
        inner.rest.medium.resize(len, 0);
        if !power {
            return Rest { cache, power, ..inner.rest.clone() };
        }
        // Most units old, most new, or anything between.
        let bias = [0, 10, 50, 90, 100][inner.dice.below(5) as usize];
        let mut medium = inner.rest.medium.clone();
        for unit in inner.rest.dirty.keys().copied().collect::<Vec<_>>() {
            let version = self.any_version(inner, unit, bias);
            medium[unit * self.unit..(unit + 1) * self.unit].copy_from_slice(&version);
        }
        if inner.dice.below(2) == 0 {
            medium.truncate(inner.rest.len_sure as usize);
        }
        let len_sure = medium.len() as u64;
        Rest { cache: medium.clone(), medium, len_sure, dirty: BTreeMap::new(), power }
    }

    /// What the medium may have for a dirty unit.
    fn any_version(&self, inner: &mut Inner, unit: usize, bias: u64) -> Vec<u8> {
        let old = inner.rest.medium[unit * self.unit..(unit + 1) * self.unit].to_vec();
        let mut all = vec![old];
        all.extend(inner.rest.dirty[&unit].iter().cloned());
        all.push(self.cached(unit));
        let mut pick = || match inner.dice.below(100) {
            roll if roll < bias => all.len() - 1,
            roll if roll % 4 == 0 => inner.dice.below(all.len() as u64) as usize,
            _ => 0,
        };
        let (first, second) = (pick(), pick());
        let mut version = all[first].clone();
        let cut = inner.dice.below(self.unit as u64) as usize;
        match inner.dice.below(8) {
            0 | 1 => version[cut..].copy_from_slice(&all[second][cut..]),
            // Bytes that every version has are not safe either, unless nothing changed.
            2 if all.iter().any(|other| *other != all[0]) => {
                version[cut..].iter_mut().for_each(|byte| *byte = inner.dice.next() as u8);
            }
            _ => {}
        }
        version
    }

    /// The unit is about to change.
    fn soil(&self, inner: &mut Inner, unit: usize) {
        let Some(versions) = inner.rest.dirty.get_mut(&unit) else {
            inner.rest.medium.resize(self.len_now() as usize, 0);
            inner.rest.dirty.insert(unit, Vec::new());
            return;
        };
        let now = self.cached(unit);
        if versions.last() != Some(&now) {
            versions.push(now);
        }
    }

    fn publish_units(&self, inner: &mut Inner, range: &Bytes) {
        let Some(write) = &self.write else { return };
        for at in self.units(range) {
            if inner.claimed[at] {
                self.tick(inner);
                self.soil(inner, at);
                self.read.copy(write, at * self.unit..(at + 1) * self.unit);
                inner.claimed[at] = false;
            }
        }
    }

    fn harden(&self, inner: &mut Inner, ranges: &[Bytes]) -> Result<()> {
        self.tick(inner);
        if inner.stop_at_flush == 0 {
            self.stop_here(inner);
        }
        inner.stop_at_flush = inner.stop_at_flush.wrapping_sub(1);
        let forgets = inner.forget_at_flush == 1;
        inner.forget_at_flush = inner.forget_at_flush.saturating_sub(1);
        if forgets {
            return Ok(());
        }
        inner.rest.medium.resize(self.len_now() as usize, 0);
        let fails = inner.flushes_left == 0 && !inner.failed;
        inner.failed |= fails;
        inner.flushes_left = inner.flushes_left.saturating_sub(1);
        for range in ranges {
            let units: Vec<_> =
                inner.rest.dirty.range(self.units(range)).map(|(unit, _)| *unit).collect();
            for unit in units {
                let version =
                    if fails { self.any_version(inner, unit, 50) } else { self.cached(unit) };
                inner.rest.medium[unit * self.unit..(unit + 1) * self.unit]
                    .copy_from_slice(&version);
                inner.rest.dirty.remove(&unit);
            }
            if !fails && !range.is_empty() && range.end > inner.rest.len_sure {
                inner.rest.len_sure = self.len_now();
            }
        }
        if fails { Err(Error::Io { code: 5 }) } else { Ok(()) }
    }
}

// SAFETY: two leaked allocations that live as long as the mapping; claims and publication by unit
// under a mutex.
unsafe impl Mapping for Liar {
    fn base(&self) -> NonNull<u8> {
        self.read.base
    }

    fn write_base(&self) -> NonNull<u8> {
        self.write.as_ref().map_or(self.read.base, |write| write.base)
    }

    fn len(&self) -> u64 {
        self.len.load(Ordering::Acquire)
    }

    fn write_unit(&self) -> u32 {
        self.unit as u32
    }

    fn claimed(&self, offset: u64) -> bool {
        self.two_views() && self.inner.lock().unwrap().claimed[offset as usize / self.unit]
    }

    unsafe fn claim(&self, range: Bytes, keep: bool) -> Result<()> {
        assert!(range.end <= self.len(), "claimed past the end");
        let Some(write) = &self.write else { return Ok(()) };
        let mut inner = self.inner.lock().unwrap();
        for at in self.units(&range) {
            if !inner.claimed[at] {
                inner.claimed[at] = true;
                inner.retired[at] = false;
                if std::mem::take(&mut inner.held[at]) {
                    continue; // What it holds is here already.
                }
                let unit = at * self.unit..(at + 1) * self.unit;
                let inside = unit.start as u64 >= range.start && unit.end as u64 <= range.end;
                if keep || !inside {
                    write.copy(&self.read, unit);
                }
            }
        }
        Ok(())
    }

    unsafe fn discard(&self, range: Bytes) {
        let mut inner = self.inner.lock().unwrap();
        for at in self.units(&range) {
            inner.claimed[at] = false;
        }
    }

    unsafe fn publish(&self, ranges: &[Bytes]) -> Result<()> {
        let mut inner = self.inner.lock().unwrap();
        ranges.iter().for_each(|range| self.publish_units(&mut inner, range));
        Ok(())
    }

    unsafe fn hold(&self, range: Bytes) -> Result<()> {
        if self.write.is_none() {
            return Ok(());
        }
        let mut inner = self.inner.lock().unwrap();
        for at in self.units(&range) {
            if std::mem::take(&mut inner.claimed[at]) {
                inner.held[at] = true;
            }
        }
        Ok(())
    }

    fn held(&self, offset: u64) -> bool {
        self.two_views() && self.inner.lock().unwrap().held[offset as usize / self.unit]
    }

    unsafe fn publish_held(&self, ranges: &[Bytes]) -> Result<()> {
        let Some(write) = &self.write else { return Ok(()) };
        let mut inner = self.inner.lock().unwrap();
        for at in ranges.iter().flat_map(|range| self.units(range)) {
            if inner.held[at] {
                self.tick(&mut inner);
                self.soil(&mut inner, at);
                self.read.copy(write, at * self.unit..(at + 1) * self.unit);
                inner.held[at] = false;
                inner.retired[at] = true;
            }
        }
        Ok(())
    }

    unsafe fn release_held(&self, unseen: &mut dyn FnMut(u64) -> bool) {
        let Some(write) = &self.write else { return };
        let mut inner = self.inner.lock().unwrap();
        for at in 0..inner.retired.len() {
            if inner.retired[at] && unseen((at * self.unit) as u64) {
                inner.retired[at] = false;
                let start = write.base.as_ptr().wrapping_add(at * self.unit);
                // SAFETY: in range; nobody refers to it. Junk, to show that nobody does.
                unsafe { start.write_bytes(0xA5, self.unit) };
            }
        }
    }

    unsafe fn flush(&self, ranges: &[Bytes]) -> Result<()> {
        self.harden(&mut self.inner.lock().unwrap(), ranges)
    }

    unsafe fn publish_and_flush(&self, range: Bytes) -> Result<()> {
        let mut inner = self.inner.lock().unwrap();
        self.publish_units(&mut inner, &range);
        self.harden(&mut inner, &[range])
    }

    fn grow(&self, len: u64) -> Result<()> {
        if len > self.read.capacity as u64 {
            return Err(Error::Full);
        }
        self.len.fetch_max(len, Ordering::AcqRel);
        self.tick(&mut self.inner.lock().unwrap());
        Ok(())
    }

    unsafe fn shrink(&self, len: u64) -> Result<()> {
        let mut inner = self.inner.lock().unwrap();
        self.tick(&mut inner);
        self.len.fetch_min(len, Ordering::AcqRel);
        inner.rest.len_sure = inner.rest.len_sure.min(len);
        inner.rest.medium.truncate(len as usize);
        let unit = (len as usize).div_ceil(self.unit);
        inner.held[unit..].fill(false);
        inner.retired[unit..].fill(false);
        inner.rest.dirty.split_off(&(len as usize).div_ceil(self.unit));
        let end = self.read.base.as_ptr().wrapping_add(len as usize);
        // SAFETY: in range; nobody reads behind the end.
        unsafe { end.write_bytes(0, self.read.capacity - len as usize) };
        Ok(())
    }

    fn pressure(&self) -> bool {
        self.two_views() && self.budget != usize::MAX && self.in_twin() > self.budget
    }

    /// Where there is one view, this is where units get dirty.
    fn trace(&self, range: Bytes) {
        let mut inner = self.inner.lock().unwrap();
        self.tick(&mut inner);
        if self.write.is_none() {
            self.units(&range).for_each(|unit| self.soil(&mut inner, unit));
        }
    }
}
