//! What the bytes of trees' pages, records and redo mean, however damaged they are: for people who look
//! at a file. The names are those of `docs/format.md`.

use crate::node;
use mapleaf_pager::{Field, Fields};

/// Names the fields of an inner page or a leaf from byte 18 on (what is before is the pager's, and told by
/// [`explain_page`](mapleaf_pager::explain_page)); nothing of other pages.
///
/// ```
/// let mut page = [0; 512];
/// page[16] = mapleaf_pager::kind::LEAF;
/// let mut names = Vec::new();
/// mapleaf_btree::explain_node(&page, &mut |field| names.push(field.name));
/// assert_eq!(names[..2], ["count", "capacity"]);
/// ```
pub fn explain_node<'b>(page: &'b [u8], with: &mut dyn FnMut(Field<'b>)) {
    node::explain(page, with);
}

/// Names the fields of the tree record in the bytes `at..at + 64` of `page`: the root data of a meta, or a
/// value of the catalog.
///
/// ```
/// let mut names = Vec::new();
/// mapleaf_btree::explain_record(&[0; 64], 0, &mut |field| names.push(field.name));
/// assert_eq!(names[..2], ["root", "height"]);
/// ```
pub fn explain_record<'b>(page: &'b [u8], at: usize, with: &mut dyn FnMut(Field<'b>)) {
    let mut fields = Fields::new(page, with);
    fields.page_id(at, "root");
    fields.number(at + 4, 1, "height");
    fields.hex(at + 5, 1, "flags");
    fields.number(at + 6, 2, "key size");
    fields.number(at + 8, 8, "entries");
    fields.number(at + 16, 4, "inner pages");
    fields.number(at + 20, 4, "leaf pages");
    fields.number(at + 24, 4, "pages in runs");
    fields.number(at + 28, 4, "value size");
    fields.number(at + 32, 8, "tag");
    fields.nothing(at + 40..at + 64, "reserved");
}

/// Names the fields of one redo record, which is all of `record`.
///
/// ```
/// let mut names = Vec::new();
/// mapleaf_btree::explain_redo(b"\x03\x00key", &mut |field| names.push(field.name));
/// assert_eq!(names, ["operation", "slot", "key"]);
/// ```
pub fn explain_redo<'b>(record: &'b [u8], with: &mut dyn FnMut(Field<'b>)) {
    let mut fields = Fields::new(record, with);
    let operation = record.first().copied().unwrap_or(0);
    fields.text(0..1, "operation", operation_name(operation));
    let end = record.len();
    if (1..=6).contains(&operation) {
        fields.number(1, 1, "slot");
    }
    match operation {
        1 => fields.bytes(2..end, "name"),
        2 => {
            let len = fields.number(2, 2, "key length") as usize;
            let key_end = (4 + len).min(end);
            fields.bytes(4..key_end, "key");
            fields.bytes(key_end..end, "value");
        }
        3 => fields.bytes(2..end, "key"),
        4 => {
            fields.number(2, 1, "kind of start");
            fields.number(3, 1, "kind of end");
            let len = fields.number(4, 2, "length of start") as usize;
            let start_end = (6 + len).min(end);
            fields.bytes(6..start_end, "start");
            fields.bytes(start_end..end, "end");
        }
        6 => {
            fields.number(2, 8, "tag");
        }
        7 => {
            fields.number(1, 8, "tag");
            fields.bytes(9..end, "name");
        }
        8 => {
            let len = fields.number(1, 1, "length of the old name") as usize;
            let old_end = (2 + len).min(end);
            fields.bytes(2..old_end, "old name");
            fields.bytes(old_end..end, "new name");
        }
        9 => fields.bytes(1..end, "name"),
        128 => {
            fields.number(1, 8, "tag");
            fields.number(9, 2, "key size");
            fields.number(11, 4, "value size");
            fields.bytes(15..end, "name");
        }
        _ => {}
    }
}

const fn operation_name(operation: u8) -> &'static str {
    match operation {
        1 => "bind a slot to a tree",
        2 => "put",
        3 => "remove",
        4 => "remove a range",
        5 => "clear",
        6 => "set the tag",
        7 => "create a tree",
        8 => "rename a tree",
        9 => "drop a tree",
        128 => "create a tree of fixed width",
        _ => "unknown",
    }
}
