//! A mapping that is looked at after its store is gone.

use super::Double;
use mapleaf_pager::{Bytes, Mapping, Result};
use std::ptr::NonNull;
use std::sync::Arc;

/// A mapping that outlives its store.
pub(crate) struct Shared(pub(crate) Arc<Double>);

#[allow(clippy::undocumented_unsafe_blocks)] // Passes every call on.
// SAFETY: passes every call on to a mapping that keeps the contract; an `Arc` does not move it.
unsafe impl Mapping for Shared {
    fn base(&self) -> NonNull<u8> {
        self.0.base()
    }
    fn write_base(&self) -> NonNull<u8> {
        self.0.write_base()
    }
    fn len(&self) -> u64 {
        self.0.len()
    }
    fn write_unit(&self) -> u32 {
        self.0.write_unit()
    }
    fn claimed(&self, offset: u64) -> bool {
        self.0.claimed(offset)
    }
    unsafe fn claim(&self, range: Bytes, keep: bool) -> Result<()> {
        // SAFETY: the caller's promise, passed on.
        unsafe { self.0.claim(range, keep) }
    }
    unsafe fn discard(&self, range: Bytes) {
        // SAFETY: the caller's promise, passed on.
        unsafe { self.0.discard(range) }
    }
    unsafe fn publish(&self, ranges: &[Bytes]) -> Result<()> {
        // SAFETY: the caller's promise, passed on.
        unsafe { self.0.publish(ranges) }
    }
    unsafe fn flush(&self, ranges: &[Bytes]) -> Result<()> {
        // SAFETY: the caller's promise, passed on.
        unsafe { self.0.flush(ranges) }
    }
    unsafe fn publish_and_flush(&self, range: Bytes) -> Result<()> {
        // SAFETY: the caller's promise, passed on.
        unsafe { self.0.publish_and_flush(range) }
    }
    fn grow(&self, len: u64) -> Result<()> {
        self.0.grow(len)
    }
    unsafe fn shrink(&self, len: u64) -> Result<()> {
        // SAFETY: the caller's promise, passed on.
        unsafe { self.0.shrink(len) }
    }
}
