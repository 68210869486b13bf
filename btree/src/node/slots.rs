//! Changing the arrays and the heap of a slotted page in place.

use super::layout::{BODY_HEADER_BYTES, Header, Shape, field, put, stored};
use crate::key::Key;
use mapleaf_pager::{Damage, OWNED_BYTES};

/// A slotted page that may be written. Methods answer `None` where what they were asked does not lie
/// in the page; that is the caller's mistake or the file's.
pub(crate) struct SlotsMut<'a> {
    pub(super) body: &'a mut [u8],
    pub(super) header: Header,
    shape: &'static Shape,
}

impl<'a> SlotsMut<'a> {
    /// The slotted page that the body is.
    pub(super) fn new(body: &'a mut [u8], shape: &'static Shape) -> Result<SlotsMut<'a>, Damage> {
        let header = Header::read(body, shape)?;
        Ok(SlotsMut { body, header, shape })
    }

    /// Makes the body an empty slotted page.
    pub(super) fn init(
        body: &'a mut [u8],
        shape: &'static Shape,
        prefix: [&[u8]; 3],
        capacity: usize,
    ) -> Option<SlotsMut<'a>> {
        let prefix_len = prefix.iter().map(|part| part.len()).sum();
        let heap = body.len();
        let header = Header { count: 0, capacity, prefix_len, heap, garbage: 0 };
        if header.arrays() + shape.array_bytes(capacity) > heap {
            return None;
        }
        body.get_mut(..header.arrays())?.fill(0);
        put(body, field::KIND, [shape.kind]);
        if prefix_len > 0 {
            let place = body.get_mut(BODY_HEADER_BYTES..)?;
            write_parts(place, prefix)?;
        }
        header.write(body);
        Some(SlotsMut { body, header, shape })
    }

    /// Makes the body a page of `count` slots, still to be set, without room in the arrays.
    pub(super) fn init_for(
        body: &'a mut [u8],
        shape: &'static Shape,
        prefix: Key<'_>,
        count: usize,
    ) -> Option<SlotsMut<'a>> {
        let mut slots = SlotsMut::init(body, shape, prefix.parts(), count)?;
        slots.header.count = count;
        Some(slots)
    }

    /// Gives the arrays their fair part of the gap, and writes the header.
    pub(super) fn share_gap(&mut self) {
        let Header { count, heap, .. } = self.header;
        let slot_bytes = self.shape.slot_bytes;
        let arrays = self.shape.array_bytes(count);
        if let Some(gap) = heap.checked_sub(self.header.arrays() + arrays) {
            let live = self.header.live_bytes(self.body.len());
            // Moving within the gap cannot fail; if it did, the page would be right without.
            let _ = self.set_capacity(Header::fair_capacity(count, live, gap, slot_bytes));
        }
        self.store();
    }

    /// Body offset of slot `i` in array `column`.
    fn slot(&self, column: usize, i: usize) -> usize {
        let before = self.shape.before(column, self.header.capacity);
        let width = self.shape.widths.get(column).copied().unwrap_or(0);
        self.header.arrays() + before + width * i
    }

    /// Writes slot `i` (one in use) of array `column`.
    pub(super) fn set<const N: usize>(&mut self, column: usize, i: usize, bytes: [u8; N]) {
        debug_assert!(i < self.header.count && self.shape.widths.get(column) == Some(&N));
        let at = self.slot(column, i);
        put(self.body, at, bytes);
    }

    /// Makes slot `i` unused in all arrays, moving those behind it up.
    pub(super) fn open_slot(&mut self, i: usize) -> Option<()> {
        let count = self.header.count;
        if i > count || count == self.header.capacity {
            return None;
        }
        if i < count {
            for (column, width) in self.shape.widths.iter().enumerate() {
                let (from, end) = (self.slot(column, i), self.slot(column, count));
                move_bytes(self.body, from, end, from + width)?;
            }
        }
        self.header.count += 1;
        Some(())
    }

    /// Removes slot `i` from all arrays, moving those behind it down.
    pub(super) fn close_slot(&mut self, i: usize) -> Option<()> {
        let count = self.header.count;
        if i >= count {
            return None;
        }
        for (column, width) in self.shape.widths.iter().enumerate() {
            let (to, end) = (self.slot(column, i), self.slot(column, count));
            move_bytes(self.body, to + width, end, to)?;
        }
        self.header.count -= 1;
        Some(())
    }

    /// Makes room for `slots` more slots and a cell of `cell` bytes, moving the arrays where that
    /// helps; false (and nothing changed) where they do not fit.
    pub(super) fn make_room(&mut self, slots: usize, cell: usize) -> bool {
        let Header { count, capacity, heap, .. } = self.header;
        let width = self.shape.slot_bytes;
        let start = self.header.arrays();
        let wanted = count + slots;
        let arrays = |slots| start + self.shape.array_bytes(slots);
        if wanted <= capacity && arrays(capacity) + cell <= heap {
            return true;
        }
        let Some(gap) = heap.checked_sub(arrays(wanted) + cell) else { return false };
        let live = self.header.live_bytes(self.body.len()) + cell;
        self.set_capacity(Header::fair_capacity(wanted, live, gap, width)).is_some()
    }

    /// Moves the arrays so that each has room for `capacity` slots.
    fn set_capacity(&mut self, capacity: usize) -> Option<()> {
        let old = self.header;
        let new = Header { capacity, ..old };
        let end = new.arrays() + self.shape.array_bytes(capacity);
        if capacity < old.count || end > old.heap {
            return None;
        }
        // Array c starts `before(c) * capacity` behind the first: all move the same way. Growing,
        // the last has to move first.
        let columns = self.shape.widths.len();
        for step in 0..columns {
            let column = if capacity > old.capacity { columns - 1 - step } else { step };
            self.header = old;
            let (from, from_end) = (self.slot(column, 0), self.slot(column, old.count));
            self.header = new;
            let to = self.slot(column, 0);
            move_bytes(self.body, from, from_end, to)?;
        }
        Some(())
    }

    /// Takes a cell of `len` bytes from the gap: its body offset.
    pub(super) fn allocate(&mut self, len: usize) -> Option<usize> {
        let end = self.header.arrays() + self.shape.array_bytes(self.header.capacity);
        let at = self.header.heap.checked_sub(len)?;
        if at < end {
            return None;
        }
        self.header.heap = at;
        Some(at)
    }

    /// Gives up the cell of `len` bytes at `at`, whose slot is closed.
    pub(super) fn release(&mut self, at: usize, len: usize) {
        let heap_bytes = self.body.len() - self.header.heap;
        if at == self.header.heap && len <= heap_bytes {
            self.header.heap += len;
        } else {
            self.header.garbage += len;
        }
        self.settle();
    }

    /// Counts `len` more bytes as dead.
    pub(super) fn add_garbage(&mut self, len: usize) {
        self.header.garbage += len;
        self.settle();
    }

    /// A damaged page may count more dead bytes than there are; the number must stay a `u16`.
    fn settle(&mut self) {
        if self.header.count == 0 {
            // Empty: nothing lies in the heap, and nothing shares the prefix.
            self.header.heap = self.body.len();
            self.header.prefix_len = 0;
        }
        self.header.garbage = self.header.garbage.min(self.body.len() - self.header.heap);
    }

    /// Writes the header.
    pub(super) fn store(&mut self) {
        self.header.write(self.body);
    }
}

/// Moves `body[from..end]` to `to`.
pub(super) fn move_bytes(body: &mut [u8], from: usize, end: usize, to: usize) -> Option<()> {
    let len = end.checked_sub(from)?;
    if to.checked_add(len)? > body.len() || end > body.len() {
        return None;
    }
    body.copy_within(from..end, to);
    Some(())
}

/// Writes the parts one behind the other at the start of `place`; returns what follows them.
pub(super) fn write_parts<'b, const N: usize>(
    mut place: &'b mut [u8],
    parts: [&[u8]; N],
) -> Option<&'b mut [u8]> {
    for part in parts {
        if part.is_empty() {
            continue;
        }
        let (target, rest) = place.split_at_mut_checked(part.len())?;
        target.copy_from_slice(part);
        place = rest;
    }
    Some(place)
}

/// A body offset as slots store it: counted from the page's start.
pub(super) const fn stored_offset(at: usize) -> [u8; 2] {
    stored(at + OWNED_BYTES)
}
