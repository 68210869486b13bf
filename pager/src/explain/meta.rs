//! Metas, and the record of the space in them.

use super::space::entry;
use super::{Field, Fields};
use crate::meta::{AT_ROOT, AT_SPACE, record_checksum, record_len};
use crate::page::{PAGE_SIZE_FORMAT_MAX, PAGE_SIZE_MIN};
use crate::pages::ROOT_BYTES;
use crate::space::ENTRY_BYTES;

/// Bytes of a reference to a chain.
const CHAIN_BYTES: usize = 10;
/// Where the chains begin, counted from the space record.
const AT_CHAINS: usize = 44;

/// Names the fields of the meta in slot `slot` (0 or 1), whose page is `page`. The root data, which is the
/// tree layer's, is one field of this name. Returns the checksum that it should have, where what it says
/// of the page size can be.
pub fn explain_meta<'b>(slot: u8, page: &'b [u8], with: &mut dyn FnMut(Field<'b>)) -> Option<u64> {
    let mut fields = Fields::new(page, with);
    fields.hex(0, 8, "checksum");
    fields.bytes(8..16, "magic");
    fields.number(16, 4, "format version");
    fields.hex(20, 4, "byte-order mark");
    fields.hex(24, 8, "incompatible features");
    fields.hex(32, 8, "read-only compatible features");
    fields.hex(40, 8, "compatible features");
    fields.number(48, 1, "checksum kind");
    fields.number(49, 1, "bytes a page number");
    let shift = fields.number(50, 1, "log2 of the page size");
    fields.number(51, 1, "slot");
    fields.number(52, 2, "bytes reserved at each page's end");
    let flags = fields.page().get(54).copied().unwrap_or(0);
    let clean = if flags & 1 == 1 { "closed cleanly" } else { "not closed" };
    fields.text(54..56, "flags", clean);
    fields.bytes(56..72, "UUID");
    fields.number(72, 8, "history epoch");
    fields.txn(80, "transaction");
    fields.page_id(88, "log ring");
    fields.number(92, 4, "pages of the log ring");
    fields.hex(96, 8, "salt of the log ring");
    fields.number(104, 8, "log position");
    fields.hex(112, 8, "checksum of the block before it");
    fields.txn(120, "transaction that made the ring");
    fields.bytes(AT_ROOT..AT_ROOT + ROOT_BYTES, ROOT_DATA);
    fields.page_id(192, "persistent savepoints");
    fields.nothing(196..256, "reserved");
    space_record(&mut fields);
    let size = 1usize.checked_shl(u32::try_from(shift).ok()?)?;
    let whole = (PAGE_SIZE_MIN..=PAGE_SIZE_FORMAT_MAX).contains(&size);
    let record = page.get(..record_len(size)).filter(|_| whole)?;
    Some(record_checksum(slot, record))
}

/// The name of the field with the tree layer's root data.
const ROOT_DATA: &str = "root data";

fn space_record(fields: &mut Fields<'_, '_>) {
    let at = AT_SPACE;
    fields.number(at, 4, "page count");
    fields.page_id(at + 4, "root of the bitmap");
    fields.number(at + 8, 1, "height of the bitmap");
    let reserve = fields.number(at + 9, 1, "pages in reserve");
    let ready = fields.number(at + 10, 1, "ready pages");
    let pinned = fields.number(at + 11, 1, "pinned entries");
    let buckets = fields.number(at + 12, 1, "buckets");
    fields.number(at + 13, 1, "ready pages that may be reused at once");
    fields.hex(at + 14, 1, "flags of the space");
    fields.nothing(at + 15..at + 16, "reserved");
    fields.number(at + 16, 4, "free pages");
    fields.number(at + 20, 4, "pinned pages");
    fields.number(at + 24, 4, "space pages");
    fields.txn(at + 28, "first birth of the transaction");
    fields.txn(at + 36, "the state it builds on");
    chain(fields, at + AT_CHAINS, ["chain fresh", "its entries", "in use on its head"]);
    let walking = at + AT_CHAINS + CHAIN_BYTES;
    chain(fields, walking, ["chain walking", "its entries", "in use on its head"]);
    let ended = walking + CHAIN_BYTES;
    chain(fields, ended, ["chain ended", "its entries", "in use on its head"]);
    let mut at = ended + CHAIN_BYTES;
    for (count, name) in [(reserve, "reserve page"), (ready, "ready page")] {
        for i in 0..count as usize {
            fields.set_index(Some(i));
            fields.page_id(at, name);
            at += 4;
        }
    }
    for i in 0..pinned as usize {
        fields.set_index(Some(i));
        entry(fields, at);
        at += ENTRY_BYTES;
    }
    for i in 0..buckets as usize {
        fields.set_index(Some(i));
        fields.txn(at, "bucket waits for");
        chain(fields, at + 8, ["its chain", "its entries", "in use on its head"]);
        at += 8 + CHAIN_BYTES;
    }
    fields.set_index(None);
}

fn chain(fields: &mut Fields<'_, '_>, at: usize, [head, entries, in_use]: [&'static str; 3]) {
    fields.page_id(at, head);
    fields.number(at + 4, 4, entries);
    fields.number(at + 8, 2, in_use);
}
