//! Memory that never moves, and is used again: a campaign opens millions of stores.

#![allow(unsafe_code)] // Raw memory behind the mapping contract.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::cell::RefCell;
use std::ops::Range;
use std::ptr::NonNull;

/// A mapping's base is aligned to this, whatever the page size.
const ALIGN: usize = 4096;

/// Bytes at an address of their own.
pub(super) struct Memory {
    pub(super) base: NonNull<u8>,
    pub(super) capacity: usize,
}

// SAFETY: plain memory; who reads and writes when is the mapping contract's business.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

thread_local! {
    static IDLE: RefCell<Vec<Memory>> = const { RefCell::new(Vec::new()) };
}

impl Memory {
    /// Initialised, but by whoever used it before.
    pub(super) fn new(capacity: usize) -> Memory {
        let idle = IDLE.with_borrow_mut(|idle| {
            let at = idle.iter().position(|memory| memory.capacity == capacity)?;
            Some(idle.swap_remove(at))
        });
        idle.unwrap_or_else(|| Memory::fresh(capacity))
    }

    fn layout(capacity: usize) -> Layout {
        Layout::from_size_align(capacity, ALIGN).expect("a capacity that memory can have")
    }

    fn fresh(capacity: usize) -> Memory {
        let layout = Memory::layout(capacity.max(1));
        // SAFETY: the layout is not empty.
        let start = unsafe { alloc_zeroed(layout) };
        let base = NonNull::new(start).unwrap_or_else(|| handle_alloc_error(layout));
        Memory { base, capacity }
    }

    fn start(&self, range: &Range<usize>) -> *mut u8 {
        assert!(range.start <= range.end && range.end <= self.capacity);
        self.base.as_ptr().wrapping_add(range.start)
    }

    /// The bytes as they are now. The result must not outlive the next store by anybody.
    pub(super) fn bytes(&self, range: Range<usize>) -> &[u8] {
        // SAFETY: in range (asserted) and initialised; one thread at a time runs in a simulation, and
        // it looks here only between the stores of others.
        unsafe { std::slice::from_raw_parts(self.start(&range), range.len()) }
    }

    /// Stores `bytes` at `at`.
    pub(super) fn put(&self, at: usize, bytes: &[u8]) {
        let start = self.start(&(at..at + bytes.len()));
        // SAFETY: in range (asserted); the caller's slice is not of this memory, which is never lent
        // for longer than a look.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), start, bytes.len()) };
    }

    /// Fills a range with one byte.
    pub(super) fn fill(&self, range: Range<usize>, byte: u8) {
        let start = self.start(&range);
        // SAFETY: in range (asserted); nobody refers to it, says the caller.
        unsafe { start.write_bytes(byte, range.len()) };
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        let memory = Memory { base: self.base, capacity: self.capacity };
        let kept = IDLE.try_with(|idle| {
            let Ok(mut idle) = idle.try_borrow_mut() else { return false };
            let room = idle.len() < 16;
            if room {
                idle.push(Memory { base: memory.base, capacity: memory.capacity });
            }
            room
        });
        let layout = Memory::layout(self.capacity.max(1));
        std::mem::forget(memory);
        if kept != Ok(true) {
            // SAFETY: allocated in `fresh` with this layout, and kept by nobody.
            unsafe { dealloc(self.base.as_ptr(), layout) };
        }
    }
}
