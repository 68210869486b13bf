//! Memory for the published state and the reader slots.

use mapleaf_pager::words_for;
use std::cell::Cell;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

/// Bytes of a cache line.
const LINE_BYTES: usize = 64;
/// Reader slots on a cache line: a slot is four words.
const SLOTS_PER_LINE: usize = LINE_BYTES / 16;

/// Words that start on a cache line of their own, so that readers who keep to different lines do
/// not slow each other down.
pub(crate) struct Words {
    words: Box<[AtomicU32]>,
    from: usize,
    len: usize,
}

impl Words {
    /// Words for `slots` readers. Allocates.
    pub(crate) fn new(slots: usize) -> Words {
        let len = words_for(slots);
        let words: Box<[AtomicU32]> =
            (0..len + LINE_BYTES / 4).map(|_| AtomicU32::new(0)).collect();
        // Boxed words do not move. Where the offset is not known, the start will do.
        let from = words.as_ptr().align_offset(LINE_BYTES);
        let from = if from < LINE_BYTES / 4 { from } else { 0 };
        Words { words, from, len }
    }
}

impl AsRef<[AtomicU32]> for Words {
    fn as_ref(&self) -> &[AtomicU32] {
        self.words.get(self.from..self.from + self.len).unwrap_or(&[])
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
        let words = Words::new(8);
        assert_eq!(words.as_ref().len(), words_for(8));
        assert_eq!(words.as_ref().as_ptr() as usize % LINE_BYTES, 0);
        let mine = slot_hint();
        assert_eq!(mine, slot_hint());
        let other = std::thread::spawn(slot_hint).join().unwrap();
        assert_ne!(mine / SLOTS_PER_LINE, other / SLOTS_PER_LINE);
    }
}
