//! The pages that keep free ones.

use super::{Field, Fields};
use crate::TxnId;
use crate::page::HEADER_BYTES;
use crate::space::{ENTRY_BYTES, LINK};

/// Bytes of an entry of a bitmap's inner page.
const CHILD_BYTES: usize = 12;
/// Bits are shown by words of so many bytes.
const WORD_BYTES: usize = 8;

/// Words of reusable pages; stretches without any are one field.
pub(super) fn bitmap(fields: &mut Fields<'_, '_>) {
    fields.number(18, 2, "level");
    fields.nothing(20..32, "zero");
    stretches(fields, WORD_BYTES, "no page is free", &mut |fields, at| {
        fields.set_index(Some((at - HEADER_BYTES) * 8));
        fields.hex(at, WORD_BYTES, "bits");
    });
}

/// The children of a directory of bitmaps.
pub(super) fn bitmap_inner(fields: &mut Fields<'_, '_>) {
    fields.number(18, 2, "level");
    fields.nothing(20..32, "zero");
    stretches(fields, CHILD_BYTES, "no child", &mut |fields, at| {
        fields.set_index(Some((at - HEADER_BYTES) / CHILD_BYTES));
        fields.page_id(at, "child");
        fields.number(at + 4, 4, "free pages below");
        fields.number(at + 8, 4, "longest run below");
    });
}

/// Calls `some` at each item of `len` bytes behind the header that is not zero; `none` names the rest.
fn stretches<'b>(
    fields: &mut Fields<'_, 'b>,
    len: usize,
    none: &'static str,
    some: &mut dyn FnMut(&mut Fields<'_, 'b>, usize),
) {
    let page = fields.page();
    let mut empty = HEADER_BYTES;
    let mut at = HEADER_BYTES;
    while let Some(item) = page.get(at..at + len) {
        if item.iter().any(|byte| *byte != 0) {
            fields.set_index(None);
            fields.nothing(empty..at, none);
            some(fields, at);
            empty = at + len;
        }
        at += len;
    }
    fields.set_index(None);
    fields.nothing(empty..at, none);
}

/// Freed pages, as many as the page says were written on it.
pub(super) fn freed_list(fields: &mut Fields<'_, '_>) {
    let count = fields.number(18, 2, "entries");
    fields.number(20, 2, "entries in use on the next page");
    fields.nothing(22..28, "zero");
    fields.page_id(28, "next page");
    let room = fields.page().len().saturating_sub(HEADER_BYTES) / ENTRY_BYTES;
    for i in 0..room.min(count as usize) {
        fields.set_index(Some(i));
        entry(fields, HEADER_BYTES + i * ENTRY_BYTES);
    }
    fields.set_index(None);
}

/// An entry of 24 bytes at `at`: freed pages, or a link to another chain.
pub(super) fn entry(fields: &mut Fields<'_, '_>, at: usize) {
    let mut freed_at = TxnId(0);
    let mut peek = |field: Field<'_>| {
        if let super::FieldValue::Txn(txn) = field.value {
            freed_at = txn;
        }
    };
    Fields::new(fields.page(), &mut peek).txn(at + 16, "freed at");
    if freed_at == LINK {
        fields.page_id(at, "head page of a chain");
        fields.number(at + 4, 4, "entries in use on it");
        fields.number(at + 8, 8, "entries of the chain");
        fields.text(at + 16..at + 24, "freed at", "a link to another chain");
    } else {
        fields.page_id(at, "first page");
        fields.number(at + 4, 4, "pages");
        fields.txn(at + 8, "birth");
        fields.txn(at + 16, "freed at");
    }
}
