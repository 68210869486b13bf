//! The log's tail: where the running transaction's redo records are put together.
//!
//! Records go straight into the ring behind the last block; commit writes the block's header. A
//! block never wraps: one that meets the ring's end moves to its start, if there is room.

#![allow(unsafe_code)] // Builds the block in the write view of the ring.

use crate::log::{BLOCK_ALIGN, BLOCK_HEADER, Block, RECORD_HEADER, close};
use crate::meta::LogPlace;
use crate::view::View;
use crate::{Bytes, Result};

/// The block under construction.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Tail {
    /// Where the block starts, in bytes from the ring's start.
    pub(crate) start: u64,
    /// Bytes of records so far.
    pub(crate) len: u64,
    /// A record did not fit: the transaction cannot be logged.
    pub(crate) overflow: bool,
    /// Claimed up to here (bytes from the ring's start).
    claimed_to: u64,
    /// Ring bytes from here on (cyclically, up to the tail) are still needed.
    head: u64,
}

/// The ring: its bytes' place in the mapping.
#[derive(Clone, Copy)]
pub(crate) struct Ring<'s> {
    pub(crate) view: View<'s>,
    pub(crate) offset: u64,
    pub(crate) size: u64,
    pub(crate) unit: u64,
}

impl<'s> Ring<'s> {
    /// The ring of a state; `None` where there is none.
    pub(crate) fn new(view: View<'s>, place: &LogPlace) -> Option<Ring<'s>> {
        let range = view.range(place.start, place.pages);
        let unit = u64::from(view.mapping().write_unit()).max(BLOCK_ALIGN);
        let size = range.end - range.start;
        (place.pages > 0).then_some(Ring { view, offset: range.start, size, unit })
    }

    /// A range of the ring as a range of the mapping.
    pub(crate) fn range(&self, from: u64, to: u64) -> Bytes {
        self.offset + from..self.offset + to
    }

    /// All bytes of the ring as published.
    ///
    /// # Safety
    /// Nobody appends to the log while the reference lives.
    pub(crate) unsafe fn bytes(&self) -> Result<&'s [u8]> {
        // SAFETY: the caller keeps writers away.
        unsafe { self.view.read(self.offset, self.size as usize) }
    }

    /// `position` rounded up to a write unit: what stands before it is never rewritten.
    pub(crate) fn padded(&self, position: u64) -> u64 {
        position.next_multiple_of(self.unit).min(self.size)
    }

    /// Publishes what is claimed from `from` to `to`.
    pub(crate) fn publish(&self, from: u64, to: u64) -> Result<()> {
        let from = from / self.unit * self.unit;
        // SAFETY: the holder of the writer's turn calls this, and keeps no reference into the ring.
        unsafe { self.view.mapping().publish(&[self.range(from, self.padded(to))]) }
    }

    /// Publishes and flushes from `from` to `to`, wrapping where `to` is below: one barrier, two
    /// where it wraps.
    pub(crate) fn flush(&self, from: u64, to: u64) -> Result<()> {
        // Before rounding: a ring may be full up to the unit in which its oldest block begins.
        let wraps = to < from;
        let start = from / self.unit * self.unit;
        let end = if wraps { self.size } else { self.padded(to) };
        // SAFETY: the holder of the writer's turn calls this, and keeps no reference into the ring.
        unsafe { self.view.mapping().publish_and_flush(self.range(start, end))? };
        if wraps { self.flush(0, to) } else { Ok(()) }
    }

    fn build(&self, from: u64, len: u64) -> Result<&'s mut [u8]> {
        // SAFETY: the ring behind the tail belongs to the holder of the writer's turn, which is the
        // only one to call this, and takes one slice at a time; `Tail` claimed it.
        unsafe { self.view.build(self.offset + from, len as usize) }
    }
}

/// Bytes of the longest block.
fn block_max(ring: &Ring<'_>) -> u64 {
    (ring.size / 2).min(u64::from(u32::MAX))
}

impl Tail {
    /// An empty block behind `place.position`; the ring from `head` on is still needed.
    pub(crate) fn new(place: &LogPlace, head: u64) -> Tail {
        let start = place.position.next_multiple_of(BLOCK_ALIGN);
        Tail { start, len: 0, overflow: place.pages == 0, claimed_to: start, head }
    }

    /// As a savepoint keeps it; [`overflow`](Tail::overflow) apart.
    pub(crate) fn words(&self) -> [u64; 4] {
        [self.start, self.len, self.claimed_to, self.head]
    }

    /// What [`words`](Tail::words) gave.
    pub(crate) fn from_words(words: [u64; 4], overflow: bool) -> Tail {
        let [start, len, claimed_to, head] = words;
        Tail { start, len, overflow, claimed_to, head }
    }

    /// Whether the block can be closed: no record was left out, and there is room for its header.
    pub(crate) fn fits(&mut self, ring: &Ring<'_>) -> Result<bool> {
        Ok(!self.overflow && self.make_room(ring, 0)?)
    }

    /// End of the block in bytes from the ring's start.
    pub(crate) fn end(&self) -> u64 {
        self.start + BLOCK_HEADER + self.len
    }

    /// The last durable checkpoint's position; whether it is another one than before, so that more of the ring
    /// can be reused.
    pub(crate) fn set_head(&mut self, head: u64) -> bool {
        core::mem::replace(&mut self.head, head) != head
    }

    /// Whether a record of `len` bytes would fit an empty ring.
    pub(crate) fn may_fit(&self, ring: &Ring<'_>, len: u64) -> bool {
        let block = BLOCK_HEADER.saturating_add(self.len).saturating_add(RECORD_HEADER);
        block.saturating_add(len) <= block_max(ring)
    }

    /// Where a block that starts at `start` must end. A unit stays free before the head, so that a
    /// full ring does not look empty.
    fn limit(&self, ring: &Ring<'_>, start: u64) -> u64 {
        if start >= self.head && start == self.start {
            ring.size
        } else {
            self.head.saturating_sub(ring.unit)
        }
    }

    /// Makes room for `bytes` more; whether there is any.
    fn make_room(&mut self, ring: &Ring<'_>, bytes: u64) -> Result<bool> {
        let block = BLOCK_HEADER + self.len + bytes;
        if block > block_max(ring) {
            return Ok(false);
        }
        if self.start + block <= self.limit(ring, self.start) {
            self.claim(ring, self.start + block)?;
            return Ok(true);
        }
        if self.start < self.head || block > self.limit(ring, 0) || self.start == 0 {
            return Ok(false);
        }
        self.move_to_start(ring, block)?;
        Ok(true)
    }

    fn claim(&mut self, ring: &Ring<'_>, end: u64) -> Result<()> {
        if end <= self.claimed_to {
            return Ok(());
        }
        let end = end.next_multiple_of(ring.unit).min(ring.size);
        let keep_to = self.claimed_to.next_multiple_of(ring.unit).min(end);
        if keep_to > self.claimed_to {
            // The unit that the last block ends in: its bytes are kept.
            // SAFETY: the ring behind the last block is the writer's.
            unsafe { ring.view.mapping().claim(ring.range(self.claimed_to, keep_to), true)? };
        }
        if end > keep_to {
            // SAFETY: as above.
            unsafe { ring.view.mapping().claim(ring.range(keep_to, end), false)? };
        }
        self.claimed_to = end;
        Ok(())
    }

    fn move_to_start(&mut self, ring: &Ring<'_>, block: u64) -> Result<()> {
        let (from, len) = (self.start, self.len);
        let mut moved = Tail { start: 0, claimed_to: 0, ..*self };
        moved.claim(ring, block)?;
        if len > 0 {
            let to = ring.build(BLOCK_HEADER, len)?;
            // `block <= head - unit <= from`, so the two ranges do not overlap.
            let records = ring.build(from + BLOCK_HEADER, len)?;
            to.copy_from_slice(records);
        }
        *self = moved;
        Ok(())
    }

    /// Starts a record of `len` bytes: whether it fits. [`put`](Tail::put) then appends its pieces.
    pub(crate) fn begin_record(&mut self, ring: &Ring<'_>, len: u64) -> Result<bool> {
        if self.overflow || !self.make_room(ring, RECORD_HEADER + len)? {
            return Ok(false);
        }
        self.put(ring, &(len as u32).to_le_bytes())?;
        Ok(true)
    }

    /// Appends bytes that [`begin_record`](Tail::begin_record) made room for.
    pub(crate) fn put(&mut self, ring: &Ring<'_>, bytes: &[u8]) -> Result<()> {
        let to = ring.build(self.end(), bytes.len() as u64)?;
        to.copy_from_slice(bytes);
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Completes the block; its checksum. An empty block is a commit without redo.
    pub(crate) fn close(
        &mut self,
        ring: &Ring<'_>,
        block: &Block,
        salt: u64,
    ) -> Result<Option<u64>> {
        if self.overflow || !self.make_room(ring, 0)? {
            return Ok(None);
        }
        let bytes = ring.build(self.start, BLOCK_HEADER + self.len)?;
        Ok(Some(close(bytes, block, salt)))
    }
}
