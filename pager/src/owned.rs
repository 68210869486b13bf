//! Snapshots that keep their store alive.

#![allow(unsafe_code)] // Stretches the snapshot's lifetime over the store it owns a share of.

use crate::mapping::{Advice, Bytes, Mapping};
use crate::snapshot::Snapshot;
use crate::{Residency, Result, Store};
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::mem::ManuallyDrop;
use core::ptr::NonNull;
use core::sync::atomic::AtomicU32;

/// A snapshot together with a share of its store: `'static` where the mapping is.
///
/// Costs a reference count more than [`Store::begin_read`].
pub struct OwnedSnapshot<M: Mapping, W: AsRef<[AtomicU32]>> {
    /// Borrows from `store`; dropped before it.
    snapshot: ManuallyDrop<Snapshot<'static>>,
    store: Arc<Store<M, W>>,
}

impl<M: Mapping, W: AsRef<[AtomicU32]>> OwnedSnapshot<M, W> {
    /// Pins the newest committed state.
    ///
    /// # Errors
    /// As [`Store::begin_read`].
    pub fn new(store: Arc<Store<M, W>>, hint: usize) -> Result<OwnedSnapshot<M, W>> {
        let snapshot = store.begin_read(hint)?;
        // SAFETY: the snapshot borrows from the store behind the `Arc`, which does not move and lives
        // as long as `self.store`; the snapshot is dropped before it, and lent out for less long.
        let snapshot = unsafe { core::mem::transmute::<Snapshot<'_>, Snapshot<'static>>(snapshot) };
        Ok(OwnedSnapshot { snapshot: ManuallyDrop::new(snapshot), store })
    }

    /// The snapshot.
    #[must_use]
    pub fn snapshot(&self) -> &Snapshot<'_> {
        &self.snapshot
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Arc<Store<M, W>> {
        &self.store
    }
}

impl<M: Mapping, W: AsRef<[AtomicU32]>> Drop for OwnedSnapshot<M, W> {
    fn drop(&mut self) {
        // SAFETY: dropped once, here, while the store still lives.
        unsafe { ManuallyDrop::drop(&mut self.snapshot) };
    }
}

// SAFETY: passes every call on to a mapping that keeps the contract; a box does not move its content.
unsafe impl Mapping for Box<dyn Mapping> {
    fn base(&self) -> NonNull<u8> {
        (**self).base()
    }
    fn write_base(&self) -> NonNull<u8> {
        (**self).write_base()
    }
    fn len(&self) -> u64 {
        (**self).len()
    }
    fn write_unit(&self) -> u32 {
        (**self).write_unit()
    }
    fn claimed(&self, offset: u64) -> bool {
        (**self).claimed(offset)
    }
    unsafe fn claim(&self, range: Bytes, keep: bool) -> Result<()> {
        // SAFETY: the caller's promise.
        unsafe { (**self).claim(range, keep) }
    }
    unsafe fn discard(&self, range: Bytes) {
        // SAFETY: the caller's promise.
        unsafe { (**self).discard(range) }
    }
    unsafe fn publish(&self, ranges: &[Bytes]) -> Result<()> {
        // SAFETY: the caller's promise.
        unsafe { (**self).publish(ranges) }
    }
    unsafe fn publish_bytes(&self, range: Bytes, parts: &[&[u8]]) -> Result<bool> {
        // SAFETY: the caller's promise.
        unsafe { (**self).publish_bytes(range, parts) }
    }
    unsafe fn hold(&self, range: Bytes) -> Result<()> {
        // SAFETY: the caller's promise.
        unsafe { (**self).hold(range) }
    }
    fn held(&self, offset: u64) -> bool {
        (**self).held(offset)
    }
    unsafe fn publish_held(&self, ranges: &[Bytes]) -> Result<()> {
        // SAFETY: the caller's promise.
        unsafe { (**self).publish_held(ranges) }
    }
    unsafe fn publish_held_aside(
        &self,
        ranges: &[Bytes],
        pressed: &mut dyn FnMut() -> bool,
    ) -> Result<()> {
        // SAFETY: the caller's promise.
        unsafe { (**self).publish_held_aside(ranges, pressed) }
    }
    unsafe fn release_held(&self, unseen: &mut dyn FnMut(u64) -> bool) {
        // SAFETY: the caller's promise.
        unsafe { (**self).release_held(unseen) }
    }
    fn laden(&self) -> bool {
        (**self).laden()
    }
    fn overladen(&self) -> bool {
        (**self).overladen()
    }
    unsafe fn flush(&self, ranges: &[Bytes]) -> Result<()> {
        // SAFETY: the caller's promise.
        unsafe { (**self).flush(ranges) }
    }
    unsafe fn publish_and_flush(&self, range: Bytes) -> Result<()> {
        // SAFETY: the caller's promise.
        unsafe { (**self).publish_and_flush(range) }
    }
    fn grow(&self, len: u64) -> Result<()> {
        (**self).grow(len)
    }
    unsafe fn shrink(&self, len: u64) -> Result<()> {
        // SAFETY: the caller's promise.
        unsafe { (**self).shrink(len) }
    }
    fn advise(&self, range: Bytes, advice: Advice) {
        (**self).advise(range, advice);
    }
    fn prefetch(&self, ranges: &[Bytes]) {
        (**self).prefetch(ranges);
    }
    fn prefault(&self, range: Bytes) -> Result<()> {
        (**self).prefault(range)
    }
    fn residency(&self, range: Bytes) -> Option<Residency> {
        (**self).residency(range)
    }
    fn resident(&self, range: Bytes) -> bool {
        (**self).resident(range)
    }
    fn sparse(&self) -> bool {
        (**self).sparse()
    }
    fn lock(&self, range: Bytes) -> Result<()> {
        (**self).lock(range)
    }
    fn unlock(&self, range: Bytes) -> Result<()> {
        (**self).unlock(range)
    }
    fn pressure(&self) -> bool {
        (**self).pressure()
    }
    fn guarded(&self) -> bool {
        (**self).guarded()
    }
    fn probe(&self, range: Bytes) -> Result<()> {
        (**self).probe(range)
    }
    fn health(&self) -> Result<()> {
        (**self).health()
    }
    fn tend(&self) {
        (**self).tend();
    }
    fn attend(&self, last: bool) -> bool {
        (**self).attend(last)
    }
    fn relax(&self) {
        (**self).relax();
    }
    fn behind(&self) -> Option<&dyn Mapping> {
        Some(&**self)
    }
    fn trace(&self, range: Bytes) {
        (**self).trace(range);
    }
}
