//! A mapping whose slow calls are watched; the others are passed on.

#![allow(unsafe_code)] // Implements the mapping contract by another's.

use crate::observe::{Step, step};
use mapleaf_pager::{Advice, Bytes, Mapping, Residency, Result};
use std::ptr::NonNull;

/// A mapping with spans and counters around what makes system calls for writers.
pub(crate) struct Observed<M>(pub(crate) M);

fn bytes_of(ranges: &[Bytes]) -> u64 {
    ranges.iter().map(|range| range.end.saturating_sub(range.start)).sum()
}

// SAFETY: passes every call on to a mapping that keeps the contract.
unsafe impl<M: Mapping> Mapping for Observed<M> {
    fn base(&self) -> NonNull<u8> {
        self.0.base()
    }
    fn write_base(&self) -> NonNull<u8> {
        self.0.write_base()
    }
    fn len(&self) -> u64 {
        self.0.len()
    }
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    fn write_unit(&self) -> u32 {
        self.0.write_unit()
    }
    fn two_views(&self) -> bool {
        self.0.two_views()
    }
    fn claimed(&self, offset: u64) -> bool {
        self.0.claimed(offset)
    }
    unsafe fn claim(&self, range: Bytes, keep: bool) -> Result<()> {
        // SAFETY: the caller's promise.
        unsafe { self.0.claim(range, keep) }
    }
    unsafe fn discard(&self, range: Bytes) {
        // SAFETY: the caller's promise.
        unsafe { self.0.discard(range) }
    }
    unsafe fn publish(&self, ranges: &[Bytes]) -> Result<()> {
        // SAFETY: the caller's promise.
        step(Step::Publish(bytes_of(ranges)), || unsafe { self.0.publish(ranges) })
    }
    unsafe fn publish_bytes(&self, range: Bytes, parts: &[&[u8]]) -> Result<bool> {
        let bytes = parts.iter().map(|part| part.len() as u64).sum();
        // SAFETY: the caller's promise.
        step(Step::Publish(bytes), || unsafe { self.0.publish_bytes(range, parts) })
    }
    unsafe fn hold(&self, range: Bytes) -> Result<()> {
        // SAFETY: the caller's promise.
        unsafe { self.0.hold(range) }
    }
    fn held(&self, offset: u64) -> bool {
        self.0.held(offset)
    }
    unsafe fn publish_held(&self, ranges: &[Bytes]) -> Result<()> {
        // SAFETY: the caller's promise.
        step(Step::Publish(bytes_of(ranges)), || unsafe { self.0.publish_held(ranges) })
    }
    unsafe fn publish_held_aside(
        &self,
        ranges: &[Bytes],
        pressed: &mut dyn FnMut() -> bool,
    ) -> Result<()> {
        step(Step::Publish(bytes_of(ranges)), || {
            // SAFETY: the caller's promise.
            unsafe { self.0.publish_held_aside(ranges, pressed) }
        })
    }
    unsafe fn release_held(&self, unseen: &mut dyn FnMut(u64) -> bool) {
        let _: Result<()> = step(Step::Reclaim, || {
            // SAFETY: the caller's promise.
            unsafe { self.0.release_held(unseen) };
            Ok(())
        });
    }
    fn laden(&self) -> bool {
        self.0.laden()
    }
    fn overladen(&self) -> bool {
        self.0.overladen()
    }
    unsafe fn flush(&self, ranges: &[Bytes]) -> Result<()> {
        let kind = match ranges {
            [range] => Step::RangedBarrier(range.end.saturating_sub(range.start)),
            _ => Step::SpanningBarrier,
        };
        // SAFETY: the caller's promise.
        step(kind, || unsafe { self.0.flush(ranges) })
    }
    unsafe fn publish_and_flush(&self, range: Bytes) -> Result<()> {
        let kind = Step::RangedBarrier(range.end.saturating_sub(range.start));
        // SAFETY: the caller's promise.
        step(kind, || unsafe { self.0.publish_and_flush(range) })
    }
    fn grow(&self, len: u64) -> Result<()> {
        if len <= self.0.len() {
            return self.0.grow(len);
        }
        step(Step::Grow(len), || self.0.grow(len))
    }
    unsafe fn shrink(&self, len: u64) -> Result<()> {
        // SAFETY: the caller's promise.
        step(Step::Shrink(len), || unsafe { self.0.shrink(len) })
    }
    fn advise(&self, range: Bytes, advice: Advice) {
        self.0.advise(range, advice);
    }
    fn prefetch(&self, ranges: &[Bytes]) {
        self.0.prefetch(ranges);
    }
    fn prefault(&self, range: Bytes) -> Result<()> {
        step(Step::Fetch, || self.0.prefault(range))
    }
    fn residency(&self, range: Bytes) -> Option<Residency> {
        self.0.residency(range)
    }
    fn resident(&self, range: Bytes) -> bool {
        self.0.resident(range)
    }
    fn sparse(&self) -> bool {
        self.0.sparse()
    }
    fn lock(&self, range: Bytes) -> Result<()> {
        self.0.lock(range)
    }
    fn unlock(&self, range: Bytes) -> Result<()> {
        self.0.unlock(range)
    }
    fn pressure(&self) -> bool {
        self.0.pressure()
    }
    fn guarded(&self) -> bool {
        self.0.guarded()
    }
    fn probe(&self, range: Bytes) -> Result<()> {
        self.0.probe(range)
    }
    fn health(&self) -> Result<()> {
        self.0.health()
    }
    fn tend(&self) {
        self.0.tend();
    }
    fn attend(&self, last: bool) -> bool {
        self.0.attend(last)
    }
    fn relax(&self) {
        self.0.relax();
    }
    /// It does more than pass calls on.
    fn behind(&self) -> Option<&dyn Mapping> {
        None
    }
    fn trace(&self, range: Bytes) {
        self.0.trace(range);
    }
}
