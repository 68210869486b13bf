//! A mapping that forgets everything a flush did not promise: the worst medium in one respect.

#![allow(dead_code, unused_imports)] // Not every test uses all of it.

mod layer;
mod shared;
pub(crate) mod stores;

pub(crate) use layer::{Last, Nothing, words};
use mapleaf_pager::{Bytes, Error, Mapping, Result};
pub(crate) use shared::Shared;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};

/// Bytes that never move, shared by address only.
pub(crate) struct Memory {
    pub(crate) base: NonNull<u8>,
    pub(crate) capacity: usize,
}

impl Memory {
    pub(crate) fn new(capacity: usize) -> Memory {
        let bytes: &'static mut [u8] = Box::leak(vec![0u8; capacity].into_boxed_slice());
        Memory { base: NonNull::from(bytes).cast(), capacity }
    }

    pub(crate) fn copy(&self, from: &Memory, range: std::ops::Range<usize>) {
        assert!(range.end <= self.capacity.min(from.capacity));
        if self.base == from.base {
            return;
        }
        let source = from.base.as_ptr().wrapping_add(range.start);
        let target = self.base.as_ptr().wrapping_add(range.start);
        // SAFETY: in range of both allocations (asserted), which differ.
        unsafe { std::ptr::copy_nonoverlapping(source, target, range.len()) };
    }

    pub(crate) fn to_vec(&self, len: usize) -> Vec<u8> {
        assert!(len <= self.capacity);
        // SAFETY: in range; the test is single-threaded where it asks for an image.
        unsafe { std::slice::from_raw_parts(self.base.as_ptr(), len) }.to_vec()
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: the box leaked in `new`, given back once.
        drop(unsafe {
            Box::from_raw(std::ptr::slice_from_raw_parts_mut(self.base.as_ptr(), self.capacity))
        });
    }
}

struct Inner {
    claimed: Vec<bool>,
    /// Committed, and to be read in the write view.
    held: Vec<bool>,
    /// Published since, while readers may have references into the write view.
    retired: Vec<bool>,
    durable: Vec<u8>,
    /// The length that a power loss leaves for sure.
    flushed_len: u64,
}

/// A call that a test wants to look into.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Call {
    Publish,
    Flush,
    PublishAndFlush,
    Shrink,
}

/// Called at the start of each such call, before it does anything.
pub(crate) type Hook = Box<dyn Fn(Call, &Bytes) + Send + Sync>;

/// One view or two, a write unit, and the image that a power loss would leave.
pub(crate) struct Double {
    read: Memory,
    write: Option<Memory>,
    unit: usize,
    len: AtomicU64,
    inner: Mutex<Inner>,
    pub(crate) barriers: AtomicU64,
    /// How often somebody waited for a lock of the store's.
    pub(crate) relaxed: AtomicU64,
    pub(crate) fail_flush: AtomicBool,
    pub(crate) fail_publish: AtomicBool,
    /// As an error of the medium, not for want of room.
    pub(crate) broken: AtomicBool,
    pub(crate) hook: OnceLock<Hook>,
    /// Claimed units above which the mapping asks for a spill.
    pub(crate) budget: usize,
    /// Units from which on bytes are published without a claim.
    pub(crate) long: usize,
}

// SAFETY: raw memory behind the mapping contract; the rest is behind a mutex or atomic.
unsafe impl Send for Double {}
// SAFETY: as above.
unsafe impl Sync for Double {}

impl Double {
    pub(crate) fn new(image: &[u8], capacity: usize, unit: usize, two_views: bool) -> Double {
        let read = Memory::new(capacity);
        // SAFETY: `image` fits (asserted) and nobody else has the memory yet.
        unsafe {
            assert!(image.len() <= capacity);
            std::ptr::copy_nonoverlapping(image.as_ptr(), read.base.as_ptr(), image.len());
        }
        let write = two_views.then(|| Memory::new(capacity));
        if let Some(write) = &write {
            // SAFETY: in range. Junk, to show that nobody relies on the unclaimed write view.
            unsafe { write.base.as_ptr().write_bytes(0xA5, capacity) };
        }
        let claimed = vec![false; capacity / unit];
        let inner = Mutex::new(Inner {
            held: claimed.clone(),
            retired: claimed.clone(),
            claimed,
            durable: image.to_vec(),
            flushed_len: image.len() as u64,
        });
        let len = AtomicU64::new(image.len() as u64);
        let barriers = AtomicU64::new(0);
        Double {
            read,
            write,
            unit,
            len,
            inner,
            barriers,
            relaxed: AtomicU64::new(0),
            fail_flush: AtomicBool::new(false),
            fail_publish: AtomicBool::new(false),
            broken: AtomicBool::new(false),
            hook: OnceLock::new(),
            budget: usize::MAX,
            long: usize::MAX,
        }
    }

    /// A page cache that holds `self`'s bytes, over a medium that holds only `durable`.
    pub(crate) fn over(self, durable: Vec<u8>) -> Double {
        self.inner.lock().unwrap().durable = durable;
        self
    }

    fn call(&self, call: Call, range: &Bytes) {
        if let Some(hook) = self.hook.get() {
            hook(call, range);
        }
    }

    /// What a power loss leaves.
    pub(crate) fn durable(&self) -> Vec<u8> {
        self.inner.lock().unwrap().durable.clone()
    }

    /// Changes a byte where it is read, as a failing memory or medium would.
    pub(crate) fn damage(&self, offset: u64, with: impl Fn(u8) -> u8) {
        assert!(offset < self.len());
        let held = self.held(offset);
        let base = if held { self.write_base() } else { self.base() };
        let at = base.as_ptr().wrapping_add(offset as usize);
        // SAFETY: in range (asserted); the test holds no reference into the page.
        let byte = unsafe { at.read() };
        // SAFETY: as above.
        unsafe { at.write(with(byte)) };
    }

    /// The length that a power loss leaves for sure.
    pub(crate) fn flushed_len(&self) -> u64 {
        self.inner.lock().unwrap().flushed_len
    }

    /// What the death of the process leaves.
    pub(crate) fn published(&self) -> Vec<u8> {
        self.read.to_vec(self.len() as usize)
    }

    /// Units claimed or held.
    fn in_twin(&self) -> usize {
        let inner = self.inner.lock().unwrap();
        inner.claimed.iter().chain(&inner.held).filter(|unit| **unit).count()
    }

    /// Units that were published, and that readers may still have references to in the write view.
    pub(crate) fn retired(&self) -> usize {
        self.inner.lock().unwrap().retired.iter().filter(|unit| **unit).count()
    }

    fn units(&self, range: &Bytes) -> std::ops::Range<usize> {
        range.start as usize / self.unit..(range.end as usize).div_ceil(self.unit)
    }

    fn publish_units(&self, inner: &mut Inner, range: &Bytes) {
        let Some(write) = &self.write else { return };
        for at in self.units(range) {
            if inner.claimed[at] {
                self.read.copy(write, at * self.unit..(at + 1) * self.unit);
                inner.claimed[at] = false;
            }
        }
    }

    fn harden(&self, inner: &mut Inner, range: &Bytes) -> Result<()> {
        if self.fail_flush.load(Ordering::Relaxed) {
            return Err(Error::Io { code: 5 });
        }
        let len = self.len() as usize;
        if !range.is_empty() && range.end > inner.flushed_len {
            inner.flushed_len = len as u64;
        }
        inner.durable.resize(len, 0);
        let units = self.units(range);
        let (from, to) = (units.start * self.unit, (units.end * self.unit).min(len));
        let now = self.read.to_vec(len);
        inner.durable[from..to].copy_from_slice(&now[from..to]);
        Ok(())
    }
}

// SAFETY: two leaked allocations that live as long as the mapping; claims and publication by unit
// under a mutex.
unsafe impl Mapping for Double {
    fn base(&self) -> NonNull<u8> {
        self.read.base
    }

    fn write_base(&self) -> NonNull<u8> {
        self.write.as_ref().map_or(self.read.base, |write| write.base)
    }

    fn len(&self) -> u64 {
        self.len.load(Ordering::Acquire)
    }

    fn relax(&self) {
        self.relaxed.fetch_add(1, Ordering::Relaxed);
        std::thread::yield_now();
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
        ranges.iter().for_each(|range| self.call(Call::Publish, range));
        if self.fail_publish.load(Ordering::Relaxed) {
            return Err(Error::Full);
        }
        let mut inner = self.inner.lock().unwrap();
        for range in ranges {
            self.publish_units(&mut inner, range);
        }
        Ok(())
    }

    unsafe fn publish_bytes(&self, range: Bytes, parts: &[&[u8]]) -> Result<bool> {
        let units = self.units(&range);
        let mut inner = self.inner.lock().unwrap();
        let claimed = inner.claimed[units.clone()].iter().any(|claimed| *claimed);
        if self.write.is_none() || units.len() < self.long || claimed {
            return Ok(false);
        }
        self.call(Call::Publish, &range);
        let broken = self.broken.load(Ordering::Relaxed);
        let fails = broken || self.fail_publish.load(Ordering::Relaxed);
        let bytes = parts.concat();
        assert!(range.end <= self.len() && bytes.len() as u64 <= range.end - range.start);
        let start = self.read.base.as_ptr().wrapping_add(range.start as usize);
        let len = if fails { bytes.len() / 2 } else { bytes.len() };
        // SAFETY: in range (asserted), and nobody refers to it.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), start, len) };
        inner.held[units.clone()].fill(false);
        inner.retired[units].fill(false);
        match (broken, fails) {
            (true, _) => Err(Error::Io { code: 5 }),
            (_, true) => Err(Error::Full),
            _ => Ok(true),
        }
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
        ranges.iter().for_each(|range| self.call(Call::Publish, range));
        let Some(write) = &self.write else { return Ok(()) };
        let mut inner = self.inner.lock().unwrap();
        for at in ranges.iter().flat_map(|range| self.units(range)) {
            if inner.held[at] {
                if self.fail_publish.load(Ordering::Relaxed) {
                    return Err(Error::Full);
                }
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
        ranges.iter().for_each(|range| self.call(Call::Flush, range));
        self.barriers.fetch_add(1, Ordering::Relaxed);
        let mut inner = self.inner.lock().unwrap();
        ranges.iter().try_for_each(|range| self.harden(&mut inner, range))
    }

    unsafe fn publish_and_flush(&self, range: Bytes) -> Result<()> {
        self.call(Call::PublishAndFlush, &range);
        self.barriers.fetch_add(1, Ordering::Relaxed);
        let mut inner = self.inner.lock().unwrap();
        self.publish_units(&mut inner, &range);
        self.harden(&mut inner, &range)
    }

    fn grow(&self, len: u64) -> Result<()> {
        if len > self.read.capacity as u64 {
            return Err(Error::Full);
        }
        self.len.fetch_max(len, Ordering::AcqRel);
        Ok(())
    }

    unsafe fn shrink(&self, len: u64) -> Result<()> {
        self.call(Call::Shrink, &(len..self.len()));
        self.len.fetch_min(len, Ordering::AcqRel);
        let mut inner = self.inner.lock().unwrap();
        inner.durable.truncate(len as usize);
        let end = (len as usize).div_ceil(self.unit);
        inner.held[end..].fill(false);
        inner.retired[end..].fill(false);
        inner.flushed_len = inner.flushed_len.min(len);
        // Bytes behind the end are zero when it grows again.
        for memory in [Some(&self.read), self.write.as_ref()].into_iter().flatten() {
            let end = memory.base.as_ptr().wrapping_add(len as usize);
            // SAFETY: in range; nobody reads behind the end.
            unsafe { end.write_bytes(0, memory.capacity - len as usize) };
        }
        Ok(())
    }

    fn pressure(&self) -> bool {
        self.two_views() && self.budget != usize::MAX && self.in_twin() > self.budget
    }
}
