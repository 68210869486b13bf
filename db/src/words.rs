//! Memory for the published state, the reader slots, and a bit a page.

#![allow(unsafe_code)] // Reserved memory as atomic words.

use crate::reserve::Reserve;
use mapleaf_pager::{Options, first_touch_words_for, words_for};
use std::cell::Cell;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

/// Bytes of a cache line.
const LINE_BYTES: usize = 64;
/// Reader slots on a cache line: a slot is four words.
const SLOTS_PER_LINE: usize = LINE_BYTES / 16;

/// Words that start on a cache line of their own, so that readers who keep to different lines do
/// not slow each other down.
pub(crate) struct Words {
    memory: Reserve,
    len: usize,
}

impl Words {
    /// Words for `slots` readers, and for the pages that `options` has bits for: memory that is not used
    /// until it is touched. Allocates.
    ///
    /// # Errors
    /// [`Full`](mapleaf_pager::Error::Full): no memory to be had.
    pub(crate) fn new(slots: usize, options: &Options) -> mapleaf_pager::Result<Words> {
        let len = words_for(slots) + first_touch_words_for(options.first_touch_pages);
        let bytes = (len * size_of::<AtomicU32>()) as u64;
        Ok(Words { memory: Reserve::new(bytes, bytes)?, len })
    }
}

impl AsRef<[AtomicU32]> for Words {
    fn as_ref(&self) -> &[AtomicU32] {
        let start = self.memory.base().cast::<AtomicU32>();
        // SAFETY: the reserve is this long and longer, aligned for any page, zeroed when it was made,
        // never moves, and is used by nobody else and as these atomics only.
        unsafe { std::slice::from_raw_parts(start.as_ptr(), self.len) }
    }
}

/// Where this thread looks for a free slot first: threads start on lines of their own.
pub(crate) fn slot_hint() -> usize {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static HINT: Cell<Option<usize>> = const { Cell::new(None) };
    }
    let hint = HINT.try_with(|hint| {
        hint.get().unwrap_or_else(|| {
            let mine = THREADS.fetch_add(1, Ordering::Relaxed).wrapping_mul(SLOTS_PER_LINE);
            hint.set(Some(mine));
            mine
        })
    });
    hint.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_start_on_a_line_and_threads_on_different_ones() {
        let words = Words::new(8, &Options::default().first_touch(100)).unwrap();
        assert_eq!(words.as_ref().len(), words_for(8) + 4);
        assert_eq!(words.as_ref().as_ptr() as usize % LINE_BYTES, 0);
        let mine = slot_hint();
        assert_eq!(mine, slot_hint());
        let other = std::thread::spawn(slot_hint).join().unwrap();
        assert_ne!(mine / SLOTS_PER_LINE, other / SLOTS_PER_LINE);
    }
}
