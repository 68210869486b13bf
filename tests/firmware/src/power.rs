//! RAM whose power can fail: a mapping over a slice, with a medium behind it that keeps what was
//! flushed, and of everything else whatever the contract allows.

use crate::random;
use core::cell::UnsafeCell;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::Relaxed};
use mapleaf_pager::{Bytes, Error, Mapping, Result, SliceMapping};

/// Bytes of the store's RAM, and of the medium.
pub(crate) const STORE_BYTES: usize = 20 << 10;
/// The smallest unit whose rewrite cannot harm its neighbours: half a page.
const UNIT_BYTES: usize = 256;
/// One in so many calls writes a unit back that nobody asked for.
const EARLY: u32 = 8;

/// What survives, and when the power fails.
pub(crate) struct Medium {
    bytes: UnsafeCell<[u8; STORE_BYTES]>,
    len: AtomicUsize,
    calls: AtomicU32,
    cut_at: AtomicU32,
    dead: AtomicBool,
    seed: AtomicU32,
}

// SAFETY: the firmware has one thread and no interrupt touches this; `bytes` is reached through raw
// pointers for the time of a copy only.
unsafe impl Sync for Medium {}

impl Medium {
    pub(crate) const fn new() -> Medium {
        Medium {
            bytes: UnsafeCell::new([0; STORE_BYTES]),
            len: AtomicUsize::new(0),
            calls: AtomicU32::new(0),
            cut_at: AtomicU32::new(0),
            dead: AtomicBool::new(false),
            seed: AtomicU32::new(0),
        }
    }

    /// An empty medium.
    pub(crate) fn erase(&self, seed: u32) {
        self.len.store(0, Relaxed);
        self.seed.store(seed, Relaxed);
    }

    /// The power is on from here, and fails at the `cut_at`-th call.
    pub(crate) fn power_on(&self, cut_at: u32) {
        self.calls.store(0, Relaxed);
        self.cut_at.store(cut_at, Relaxed);
        self.dead.store(false, Relaxed);
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.dead.load(Relaxed)
    }

    /// Calls since the power is on.
    pub(crate) fn calls(&self) -> u32 {
        self.calls.load(Relaxed)
    }

    /// Copies what has survived into `ram`; how many bytes.
    pub(crate) fn restore(&self, ram: &mut [u8]) -> usize {
        let len = self.len.load(Relaxed).min(ram.len());
        // SAFETY: `len` bytes are in both, which are distinct statics.
        unsafe { ram.as_mut_ptr().copy_from_nonoverlapping(self.bytes.get().cast(), len) };
        len
    }

    fn random(&self, below: u32) -> u32 {
        let seed = random(self.seed.load(Relaxed));
        self.seed.store(seed, Relaxed);
        (seed >> 8) % below
    }
}

/// The mapping. Without power every call fails, and nothing reaches the medium.
pub(crate) struct Power<'a> {
    ram: SliceMapping<'a>,
    medium: &'a Medium,
}

impl<'a> Power<'a> {
    pub(crate) fn new(ram: SliceMapping<'a>, medium: &'a Medium) -> Power<'a> {
        Power { ram, medium }
    }

    /// Writes bytes `from..to` of the RAM back.
    fn write_back(&self, from: usize, to: usize) {
        let to = to.min(self.ram.len() as usize);
        if from >= to {
            return;
        }
        let live = self.ram.base().as_ptr().wrapping_add(from);
        let kept = self.medium.bytes.get().cast::<u8>().wrapping_add(from);
        // SAFETY: `from..to` lies in both, which are distinct statics of the same length; nothing else
        // runs meanwhile.
        unsafe { kept.copy_from_nonoverlapping(live, to - from) };
    }

    /// One call: some unit may reach the medium by itself, or the power fails.
    fn step(&self) -> Result<()> {
        let medium = self.medium;
        if medium.is_dead() {
            return Err(Error::Io { code: 0 });
        }
        let call = medium.calls() + 1;
        medium.calls.store(call, Relaxed);
        let units = (self.ram.len() as usize).div_ceil(UNIT_BYTES);
        if medium.random(EARLY) == 0 && units > 0 {
            let from = medium.random(units as u32) as usize * UNIT_BYTES;
            self.write_back(from, from + UNIT_BYTES);
        }
        if call == medium.cut_at.load(Relaxed) {
            self.fail(units);
            return Err(Error::Io { code: 0 });
        }
        Ok(())
    }

    /// Each unit is its old self, its new one, or new up to some byte; so is the length.
    fn fail(&self, units: usize) {
        for unit in 0..units {
            let from = unit * UNIT_BYTES;
            let bytes = match self.medium.random(3) {
                0 => 0,
                1 => UNIT_BYTES,
                _ => self.medium.random(UNIT_BYTES as u32) as usize,
            };
            self.write_back(from, from + bytes);
        }
        if self.medium.random(2) == 0 {
            self.medium.len.store(self.ram.len() as usize, Relaxed);
        }
        self.medium.dead.store(true, Relaxed);
    }

    fn keep(&self, range: &Bytes) {
        if cfg!(not(feature = "planted")) {
            self.write_back(range.start as usize, range.end as usize);
        }
        self.medium.len.store(self.ram.len() as usize, Relaxed);
    }
}

// SAFETY: addresses and lengths are those of `ram`, which keeps the contract; the rest only copies
// from them.
unsafe impl Mapping for Power<'_> {
    fn base(&self) -> NonNull<u8> {
        self.ram.base()
    }

    fn write_base(&self) -> NonNull<u8> {
        self.ram.write_base()
    }

    fn len(&self) -> u64 {
        self.ram.len()
    }

    fn write_unit(&self) -> u32 {
        UNIT_BYTES as u32
    }

    unsafe fn claim(&self, _range: Bytes, _keep: bool) -> Result<()> {
        self.step()
    }

    unsafe fn publish(&self, _ranges: &[Bytes]) -> Result<()> {
        self.step()
    }

    unsafe fn flush(&self, ranges: &[Bytes]) -> Result<()> {
        self.step()?;
        ranges.iter().for_each(|range| self.keep(range));
        Ok(())
    }

    unsafe fn publish_and_flush(&self, range: Bytes) -> Result<()> {
        self.step()?;
        self.keep(&range);
        Ok(())
    }

    fn grow(&self, len: u64) -> Result<()> {
        self.step()?;
        let old = self.ram.len() as usize;
        self.ram.grow(len)?;
        // Grown bytes are zero on the medium too.
        self.write_back(old, self.ram.len() as usize);
        Ok(())
    }

    unsafe fn shrink(&self, len: u64) -> Result<()> {
        self.step()?;
        // SAFETY: the caller's promise.
        unsafe { self.ram.shrink(len)? };
        let kept = self.medium.len.load(Relaxed).min(self.ram.len() as usize);
        self.medium.len.store(kept, Relaxed);
        Ok(())
    }

    fn trace(&self, _range: Bytes) {
        // A store cannot be refused; without power it reaches nothing.
        let _ = self.step();
    }
}
