//! What readers and the writer share: the published record and the reader slots.
//!
//! Plain `AtomicU32` words in memory that the caller hands over, so that the layout is the same on
//! bare metal, in a process, and later in a file shared by processes.
//!
//! | words | content |
//! |---|---|
//! | 0 | index: how many records were published; the newest is in copy `index & 1` |
//! | 1 | one more than the highest slot ever taken |
//! | 2..8 | reserved |
//! | 8..32, 32..56 | the two copies of the record: transaction (2 words), page count, root data (16) |
//! | 64.. | slots of 4 words: state, transaction (2 words), reserved |
//!
//! A slot's state is `generation << 2 | {0 free, 1 busy, 2 pinned}`.
//!
//! The pin protocol: a reader stores its pin, fences, and looks whether the record is still the
//! newest, repeating until it is; the writer publishes, fences, then scans the slots. In every
//! interleaving either the writer sees the pin or the reader sees the newer record.

use crate::pages::{ROOT_BYTES, Root};
use crate::pins::Pins;
use crate::planted::{self, Bug};
use crate::{Error, Result, TxnId};
use core::sync::atomic::{AtomicU32, Ordering, fence};

const INDEX: usize = 0;
const HIGHEST: usize = 1;
const RECORDS: usize = 8;
const RECORD_WORDS: usize = 24;
const SLOTS: usize = 64;
const SLOT_WORDS: usize = 4;
const ROOT_WORDS: usize = ROOT_BYTES / 4;

const FREE: u32 = 0;
const BUSY: u32 = 1;
const PINNED: u32 = 2;

/// A reader that loses the race against this many commits in a row gives up with `ReadersFull`.
const RETRIES: u32 = 1 << 20;

/// Words of shared memory that a store with `readers` reader slots needs.
#[must_use]
pub const fn words_for(readers: usize) -> usize {
    SLOTS + readers * SLOT_WORDS
}

/// The newest committed state, as readers need it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Record {
    pub(crate) txn: TxnId,
    pub(crate) page_count: u32,
    pub(crate) root: Root,
}

/// The shared words, with their meaning.
#[derive(Clone, Copy)]
pub(crate) struct Shared<'s> {
    words: &'s [AtomicU32],
}

impl<'s> Shared<'s> {
    /// # Errors
    /// `InvalidArgument`: no room for one slot.
    pub(crate) fn new(words: &'s [AtomicU32]) -> Result<Shared<'s>> {
        if words.len() < words_for(1) { Err(Error::InvalidArgument) } else { Ok(Shared { words }) }
    }

    /// Words that [`new`](Shared::new) has seen before.
    pub(crate) fn of(words: &'s [AtomicU32]) -> Shared<'s> {
        Shared { words }
    }

    fn word(&self, at: usize) -> &'s AtomicU32 {
        // `new` saw at least one slot, and callers stay below `slot_count`; word 0 stands in
        // otherwise, which no caller reaches.
        self.words.get(at).unwrap_or(&self.words[0])
    }

    pub(crate) fn slot_count(&self) -> usize {
        self.words.len().saturating_sub(SLOTS) / SLOT_WORDS
    }

    /// Frees every slot: nobody reads yet.
    pub(crate) fn reset(&self) {
        for word in self.words {
            word.store(0, Ordering::Relaxed);
        }
    }

    /// Makes `record` the newest. Only the holder of the writer's turn calls this.
    pub(crate) fn publish(&self, record: &Record) {
        let index = self.word(INDEX).load(Ordering::Relaxed).wrapping_add(1);
        let base = RECORDS + (index & 1) as usize * RECORD_WORDS;
        // A reader that sees a word below also sees the index that made this copy the old one.
        fence(Ordering::Release);
        let put = |at: usize, value: u32| self.word(base + at).store(value, Ordering::Relaxed);
        put(0, record.txn.0 as u32);
        put(1, (record.txn.0 >> 32) as u32);
        put(2, record.page_count);
        for (i, chunk) in record.root.as_chunks::<4>().0.iter().enumerate() {
            put(3 + i, u32::from_le_bytes(*chunk));
        }
        self.word(INDEX).store(index, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }

    /// Copies the newest record; `None` when it was replaced meanwhile.
    fn try_newest(&self) -> Option<(u32, Record)> {
        let index = self.word(INDEX).load(Ordering::Acquire);
        let base = RECORDS + (index & 1) as usize * RECORD_WORDS;
        let get = |at: usize| self.word(base + at).load(Ordering::Relaxed);
        let txn = TxnId(u64::from(get(0)) | u64::from(get(1)) << 32);
        let page_count = get(2);
        let mut root = [0; ROOT_BYTES];
        for (i, chunk) in root.as_chunks_mut::<4>().0.iter_mut().enumerate().take(ROOT_WORDS) {
            *chunk = get(3 + i).to_le_bytes();
        }
        fence(Ordering::Acquire);
        let same = self.word(INDEX).load(Ordering::Relaxed) == index;
        same.then_some((index, Record { txn, page_count, root }))
    }

    /// Takes a free slot (looking first at `hint`) and pins the newest record with it.
    ///
    /// # Errors
    /// `ReadersFull`.
    pub(crate) fn pin(&self, hint: usize) -> Result<(Slot<'s>, Record)> {
        let count = self.slot_count();
        let first = hint % count;
        for step in 0..count {
            let at = (first + step) % count;
            let state = self.word(SLOTS + at * SLOT_WORDS);
            let seen = state.load(Ordering::Relaxed);
            if seen & 3 != FREE {
                continue;
            }
            let busy = seen.wrapping_add(4) & !3 | BUSY;
            if state.compare_exchange(seen, busy, Ordering::AcqRel, Ordering::Relaxed).is_err() {
                continue;
            }
            let highest = self.word(HIGHEST);
            if highest.load(Ordering::Relaxed) <= at as u32 {
                highest.fetch_max(at as u32 + 1, Ordering::SeqCst);
            }
            let slot = Slot { words: self.words, at: SLOTS + at * SLOT_WORDS };
            return match self.pin_in(&slot) {
                Some(record) => Ok((slot, record)),
                None => Err(Error::ReadersFull),
            };
        }
        Err(Error::ReadersFull)
    }

    fn pin_in(&self, slot: &Slot<'s>) -> Option<Record> {
        for _ in 0..RETRIES {
            if let Some((index, record)) = self.try_newest() {
                slot.store(record.txn);
                fence(Ordering::SeqCst);
                if self.word(INDEX).load(Ordering::SeqCst) == index {
                    return Some(record);
                }
            }
            core::hint::spin_loop();
        }
        None
    }

    /// Adds every reader's pin to `pins`.
    pub(crate) fn collect(&self, pins: &mut Pins) {
        fence(Ordering::SeqCst);
        let highest = self.word(HIGHEST).load(Ordering::SeqCst) as usize;
        for at in 0..highest.min(self.slot_count()) {
            let base = SLOTS + at * SLOT_WORDS;
            let before = self.word(base).load(Ordering::Acquire);
            if before & 3 == FREE || planted::is(Bug::ReaderOverlooked) {
                continue;
            }
            let low = self.word(base + 1).load(Ordering::Relaxed);
            let high = self.word(base + 2).load(Ordering::Relaxed);
            fence(Ordering::Acquire);
            // A slot found free here: its reader's last loads come before what the writer does next.
            let after = self.word(base).load(Ordering::Acquire);
            if before & 3 == PINNED && before == after {
                pins.add(TxnId(u64::from(low) | u64::from(high) << 32));
            } else if after & 3 != FREE {
                pins.pin_everything();
            }
        }
    }

    /// How many slots are taken.
    pub(crate) fn readers(&self) -> u32 {
        let highest = self.word(HIGHEST).load(Ordering::Relaxed) as usize;
        let taken =
            |at: &usize| self.word(SLOTS + at * SLOT_WORDS).load(Ordering::Relaxed) & 3 != FREE;
        (0..highest.min(self.slot_count())).filter(taken).count() as u32
    }
}

/// A taken reader slot. Dropping it ends the pin.
pub(crate) struct Slot<'s> {
    words: &'s [AtomicU32],
    at: usize,
}

impl Slot<'_> {
    fn store(&self, txn: TxnId) {
        let Some([state, low, high]) =
            self.words.get(self.at..self.at + 3).and_then(|w| w.first_chunk::<3>())
        else {
            return;
        };
        let generation = state.load(Ordering::Relaxed).wrapping_add(4) & !3;
        state.store(generation | BUSY, Ordering::Relaxed);
        // A scan that reads a new half below also sees a state other than it saw before.
        fence(Ordering::Release);
        low.store(txn.0 as u32, Ordering::Relaxed);
        high.store((txn.0 >> 32) as u32, Ordering::Relaxed);
        state.store(generation | PINNED, Ordering::Release);
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        if let Some(state) = self.words.get(self.at) {
            let generation = state.load(Ordering::Relaxed).wrapping_add(4) & !3;
            state.store(generation | FREE, Ordering::Release);
        }
    }
}
