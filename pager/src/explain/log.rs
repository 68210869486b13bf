//! The log ring.

use super::{Field, FieldValue};
use crate::TxnId;
use crate::log::{BLOCK_HEADER, RECORD_HEADER, block_at, hashing_budget};
use crate::page::{u32_at, u64_at};
use core::ops::Range;

/// A window of the ring: what is told of it.
struct Window<'w, 'r> {
    ring: &'r [u8],
    window: Range<usize>,
    with: &'w mut dyn FnMut(Field<'r>),
}

impl<'r> Window<'_, 'r> {
    /// Tells what of a field at `at` of the ring lies in the window.
    fn tell(&mut self, at: Range<usize>, name: &'static str, value: FieldValue<'r>) {
        let start = at.start.max(self.window.start);
        let end = at.end.min(self.window.end);
        if start < end {
            let bytes = start - self.window.start..end - self.window.start;
            (self.with)(Field { bytes, name, index: None, value });
        }
    }

    fn block(&mut self, at: usize, length: usize) {
        let number = |offset| u64_at(self.ring, at + offset);
        let fields = [
            (0, "block: checksum", FieldValue::Hex(number(0))),
            (8, "checksum of the block before it", FieldValue::Hex(number(8))),
            (16, "transaction", FieldValue::Txn(TxnId(number(16)))),
            (24, "the transaction it follows", FieldValue::Txn(TxnId(number(24)))),
            (32, "last transaction known durable", FieldValue::Txn(TxnId(number(32)))),
            (40, "last checkpoint known durable", FieldValue::Txn(TxnId(number(40)))),
            (56, "salt", FieldValue::Hex(number(56))),
        ];
        for (offset, name, value) in fields {
            self.tell(at + offset..at + offset + 8, name, value);
        }
        let length_field = FieldValue::Number(u64::from(u32_at(self.ring, at + 48)));
        self.tell(at + 48..at + 52, "length", length_field);
        self.tell(at + 52..at + 56, "flags", FieldValue::None);
        let end = at + length;
        let mut record = at + BLOCK_HEADER as usize;
        while record < end {
            let body = record + RECORD_HEADER as usize;
            let length = u32_at(self.ring, record) as usize;
            let next = body.saturating_add(length).min(end);
            let number = FieldValue::Number(length as u64);
            self.tell(record..body.min(end), "record: length", number);
            if let Some(bytes) = self.ring.get(body..next) {
                self.tell(body..next, "record", FieldValue::Bytes(bytes));
            }
            record = next.max(body);
        }
    }
}

/// Names the fields of the whole blocks of this salt in the bytes `window` of the ring.
pub(crate) fn log<'r>(
    ring: &'r [u8],
    salt: u64,
    window: Range<usize>,
    with: &mut dyn FnMut(Field<'r>),
) {
    let mut told = Window { ring, window, with };
    let mut budget = hashing_budget(ring);
    let mut at = 0;
    // Blocks start at multiples of 8; where one ends the next may start.
    while at < told.window.end && at + BLOCK_HEADER as usize <= ring.len() {
        match block_at(ring, at as u64, salt, &mut budget) {
            Some(block) => {
                let length = block.length as usize;
                told.block(at, length);
                at += length.next_multiple_of(8);
            }
            None => at += 8,
        }
    }
}
