//! Naming the fields of a slotted page, whatever it holds.

use super::cells as leaf_cells;
use super::inner;
use super::layout::{
    BODY_HEADER_BYTES, HEAD_BYTES, INNER, LEAF, PRINTS, Shape, even, field, padded,
};
use crate::width::VALUES_ALIGN;
use mapleaf_pager::{Field, Fields, OWNED_BYTES, kind};

/// Where the parts of a slotted page lie, counted from the page's start, as its header says: nothing
/// leaves the page, whatever that is.
struct Parts {
    count: usize,
    capacity: usize,
    /// Where the arrays begin.
    arrays: usize,
    /// Where the heap begins.
    heap: usize,
}

/// Names the fields of the page from byte 18 on.
pub(crate) fn explain<'b>(page: &'b [u8], with: &mut dyn FnMut(Field<'b>)) {
    let mut fields = Fields::new(page, with);
    match page.get(OWNED_BYTES + field::KIND).copied() {
        Some(kind::INNER) => inner(&mut fields),
        Some(kind::LEAF) => {
            let parts = header(&mut fields, &LEAF);
            named_heads(&mut fields, &parts);
            entries(&mut fields, &parts, HEAD_BYTES);
        }
        Some(kind::LEAF_FINGERPRINT) => prints(&mut fields),
        Some(kind::LEAF_FIXED) => fixed(&mut fields),
        _ => {}
    }
}

fn header(fields: &mut Fields<'_, '_>, shape: &Shape) -> Parts {
    let at = |offset: usize| OWNED_BYTES + offset;
    let count = fields.number(at(field::COUNT), 2, "count") as usize;
    let capacity = fields.number(at(field::CAPACITY), 2, "capacity") as usize;
    let prefix_len = fields.number(at(field::PREFIX_LEN), 2, "prefix length") as usize;
    let heap = match fields.number(at(field::HEAP_START), 2, "heap start") as usize {
        0 => 1 << 16,
        heap => heap,
    };
    fields.number(at(field::GARBAGE), 2, "garbage");
    fields.page_id(at(field::FIRST_CHILD), "first child");
    let prefix = OWNED_BYTES + BODY_HEADER_BYTES;
    fields.bytes(prefix..prefix + prefix_len, "prefix");
    fields.nothing(prefix + prefix_len..prefix + padded(prefix_len), "padding of the prefix");
    let arrays = prefix + padded(prefix_len);
    let end = arrays + shape.array_bytes(capacity);
    let heap = heap.min(fields.page().len());
    fields.nothing(end..heap.max(end), "gap");
    // More slots than there is room for are no slots.
    let count = count.min(capacity).min(heap.saturating_sub(arrays) / shape.slot_bytes);
    Parts { count, capacity, arrays, heap }
}

/// Slots of an array of `width` bytes each that begins `before * capacity` bytes behind the arrays.
fn array(
    fields: &mut Fields<'_, '_>,
    parts: &Parts,
    (before, width): (usize, usize),
    unused: &'static str,
    slot: &mut dyn FnMut(&mut Fields<'_, '_>, usize),
) {
    let start = parts.arrays + even(before * parts.capacity);
    for i in 0..parts.count {
        fields.set_index(Some(i));
        slot(fields, start + i * width);
    }
    fields.set_index(None);
    fields.nothing(start + parts.count * width..start + even(parts.capacity * width), unused);
}

fn u16_at(page: &[u8], at: usize) -> usize {
    let bytes = page.get(at..).and_then(<[u8]>::first_chunk);
    bytes.map_or(0, |bytes| usize::from(u16::from_le_bytes(*bytes)))
}

fn named_heads(fields: &mut Fields<'_, '_>, parts: &Parts) {
    array(fields, parts, (0, HEAD_BYTES), "unused heads", &mut |fields, at| {
        fields.hex(at, HEAD_BYTES, "head");
    });
}

/// The offset of a slot's cell, and the cell where it lies in the heap.
fn cells(
    fields: &mut Fields<'_, '_>,
    parts: &Parts,
    before: usize,
    cell: fn(&mut Fields<'_, '_>, usize),
) {
    array(fields, parts, (before, 2), "unused offsets", &mut |fields, at| {
        fields.number(at, 2, "offset of the cell");
    });
    for i in 0..parts.count {
        let at = u16_at(fields.page(), parts.arrays + even(before * parts.capacity) + 2 * i);
        if at >= parts.heap {
            fields.set_index(Some(i));
            cell(fields, at);
        }
    }
    fields.set_index(None);
}

/// A leaf of fingerprints; see `prints.rs`.
fn prints(fields: &mut Fields<'_, '_>) {
    let parts = header(fields, &PRINTS);
    array(fields, &parts, (0, 1), "unused fingerprints", &mut |fields, at| {
        fields.hex(at, 1, "fingerprint");
    });
    entries(fields, &parts, 1);
}

/// The entries of a leaf of cells.
fn entries(fields: &mut Fields<'_, '_>, parts: &Parts, tag_bytes: usize) {
    cells(fields, parts, tag_bytes, |fields, at| {
        let key_len = fields.number(at, 2, "key length") as usize;
        let value_len = fields.number(at + 2, 2, "value length");
        let key = at + leaf_cells::CELL_HEADER_BYTES;
        let value = key + key_len;
        fields.bytes(key..value, "key");
        if value_len == u64::from(leaf_cells::RUN_MARK) {
            fields.page_id(value, "value: first page of the run");
            fields.nothing(value + 4..value + 8, "zero");
            fields.number(value + 8, 8, "value: length in bytes");
        } else {
            fields.bytes(value..value + value_len as usize, "value");
        }
    });
}

/// A leaf of fixed width; see `fixed.rs`.
fn fixed(fields: &mut Fields<'_, '_>) {
    let count = fields.number(18, 2, "entries") as usize;
    let capacity = fields.number(20, 2, "capacity") as usize;
    fields.nothing(22..24, "zero");
    fields.number(24, 2, "page size (0 for 65,536)");
    fields.nothing(26..28, "zero");
    let key_bytes = fields.number(28, 2, "bytes of a key") as usize;
    let value_bytes = fields.number(30, 2, "bytes of a value") as usize;
    let keys = OWNED_BYTES + BODY_HEADER_BYTES;
    let values = keys + (key_bytes * capacity).next_multiple_of(VALUES_ALIGN);
    for (start, bytes, name) in [(keys, key_bytes, "key"), (values, value_bytes, "value")] {
        for i in 0..count.min(capacity) {
            fields.set_index(Some(i));
            fields.bytes(start + i * bytes..start + (i + 1) * bytes, name);
        }
    }
    fields.set_index(None);
}

fn inner(fields: &mut Fields<'_, '_>) {
    let parts = header(fields, &INNER);
    named_heads(fields, &parts);
    array(fields, &parts, (HEAD_BYTES, 4), "unused children", &mut |fields, at| {
        fields.page_id(at, "child");
    });
    cells(fields, &parts, HEAD_BYTES + 4, |fields, at| {
        let len = fields.number(at, 2, "separator length") as usize;
        let separator = at + inner::CELL_HEADER_BYTES;
        fields.bytes(separator..separator + len, "separator");
    });
}
