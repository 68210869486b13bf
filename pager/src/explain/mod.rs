//! What the bytes of a page mean, field by field, however damaged they are: for people who look at a file.
//!
//! The names are those of `docs/format.md`. Nothing is believed: a number that leads out of the page
//! leads nowhere.

mod log;
mod meta;
mod space;

pub(crate) use log::log;
pub use meta::explain_meta;

use crate::page::{self, HEADER_BYTES, kind};
use crate::{PageId, TxnId};
use core::ops::Range;

/// A field of a page.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Field<'b> {
    /// Its bytes, counted from the page's start; never empty, never beyond the page.
    pub bytes: Range<usize>,
    /// Its name.
    pub name: &'static str,
    /// Which one of several of this name.
    pub index: Option<usize>,
    /// What it holds.
    pub value: FieldValue<'b>,
}

/// What a field holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum FieldValue<'b> {
    /// A number.
    Number(u64),
    /// A number that is best read in hexadecimal: a checksum, a mask.
    Hex(u64),
    /// The number of a page; 0 stands for none.
    Page(PageId),
    /// The number of a transaction.
    Txn(TxnId),
    /// Bytes: a key, a value.
    Bytes(&'b [u8]),
    /// A number that stands for this.
    Text(&'static str),
    /// Nothing: reserved, or not in use.
    None,
}

/// Tells the fields of one page.
///
/// ```
/// use mapleaf_pager::Fields;
/// let page = [1, 0, 7, 0];
/// let mut named = Vec::new();
/// let mut with = |field: mapleaf_pager::Field<'_>| named.push(field.name.to_string());
/// let mut fields = Fields::new(&page, &mut with);
/// assert_eq!(fields.number(0, 2, "count"), 1);
/// assert_eq!(fields.number(3, 2, "beyond the page"), 0); // not told
/// fields.nothing(2..4, "unused");
/// assert_eq!(named, ["count", "unused"]);
/// ```
pub struct Fields<'w, 'b> {
    page: &'b [u8],
    index: Option<usize>,
    with: &'w mut dyn FnMut(Field<'b>),
}

impl<'w, 'b> Fields<'w, 'b> {
    /// Tells `with` of fields of `page`.
    pub fn new(page: &'b [u8], with: &'w mut dyn FnMut(Field<'b>)) -> Fields<'w, 'b> {
        Fields { page, index: None, with }
    }

    /// The page's bytes.
    #[must_use]
    pub fn page(&self) -> &'b [u8] {
        self.page
    }

    /// The fields told from here on are the `index`th of their names.
    pub fn set_index(&mut self, index: Option<usize>) {
        self.index = index;
    }

    fn tell(&mut self, bytes: Range<usize>, name: &'static str, value: FieldValue<'b>) {
        if bytes.start < bytes.end && bytes.end <= self.page.len() {
            (self.with)(Field { bytes, name, index: self.index, value });
        }
    }

    /// The little-endian number of `len` bytes (8 at most) at `at`; `None` beyond the page.
    fn read(&self, at: usize, len: usize) -> Option<u64> {
        let bytes = self.page.get(at..at.checked_add(len)?)?;
        Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// Tells a number of `len` bytes at `at`, and returns it; 0 beyond the page.
    pub fn number(&mut self, at: usize, len: usize, name: &'static str) -> u64 {
        self.told(at, len, name, FieldValue::Number)
    }

    /// As [`number`](Fields::number), to be read in hexadecimal.
    pub fn hex(&mut self, at: usize, len: usize, name: &'static str) -> u64 {
        self.told(at, len, name, FieldValue::Hex)
    }

    /// Tells a page's number, 4 bytes, and returns it; 0 beyond the page.
    pub fn page_id(&mut self, at: usize, name: &'static str) -> PageId {
        PageId(self.told(at, 4, name, |number| FieldValue::Page(PageId(number as u32))) as u32)
    }

    /// Tells a transaction's number, 8 bytes, and returns it; 0 beyond the page.
    pub fn txn(&mut self, at: usize, name: &'static str) -> TxnId {
        TxnId(self.told(at, 8, name, |number| FieldValue::Txn(TxnId(number))))
    }

    fn told(
        &mut self,
        at: usize,
        len: usize,
        name: &'static str,
        value: impl FnOnce(u64) -> FieldValue<'b>,
    ) -> u64 {
        let Some(number) = self.read(at, len) else { return 0 };
        self.tell(at..at + len, name, value(number));
        number
    }

    /// Tells bytes that mean themselves.
    pub fn bytes(&mut self, bytes: Range<usize>, name: &'static str) {
        if let Some(value) = self.page.get(bytes.clone()) {
            self.tell(bytes, name, FieldValue::Bytes(value));
        }
    }

    /// Tells bytes that stand for `text`.
    pub fn text(&mut self, bytes: Range<usize>, name: &'static str, text: &'static str) {
        self.tell(bytes, name, FieldValue::Text(text));
    }

    /// Tells bytes that hold nothing.
    pub fn nothing(&mut self, bytes: Range<usize>, name: &'static str) {
        self.tell(bytes, name, FieldValue::None);
    }
}

/// What the kind byte of a page stands for.
const fn kind_name(number: u8) -> &'static str {
    match number {
        kind::NONE => "never written",
        kind::INNER => "INNER: inner page of a tree",
        kind::LEAF => "LEAF: leaf of a tree",
        kind::LEAF_FIXED => "LEAF_FIXED: leaf of a tree of fixed width",
        kind::LEAF_FINGERPRINT => "LEAF_FINGERPRINT: leaf of a tree, with fingerprints",
        kind::RUN => "RUN: a large value",
        kind::BITMAP => "BITMAP: reusable pages",
        kind::BITMAP_INNER => "BITMAP_INNER: directory of bitmaps",
        kind::FREED_LIST => "FREED_LIST: freed pages",
        kind::SAVEPOINT => "SAVEPOINT: of a running transaction",
        _ => "unknown",
    }
}

/// Names the fields of a page that has a header: all of it, but for the bytes behind the first 18 of
/// trees' pages, which the tree layer knows.
///
/// ```
/// let mut page = [0; 512];
/// page[16] = mapleaf_pager::kind::FREED_LIST;
/// let mut names = Vec::new();
/// mapleaf_pager::explain_page(&page, &mut |field| names.push(field.name));
/// assert_eq!(names[..3], ["checksum", "birth", "kind"]);
/// ```
pub fn explain_page<'b>(page: &'b [u8], with: &mut dyn FnMut(Field<'b>)) {
    let mut fields = Fields::new(page, with);
    fields.hex(0, 8, "checksum");
    fields.txn(8, "birth");
    let kind = page.get(16).copied().unwrap_or(kind::NONE);
    fields.text(16..17, "kind", kind_name(kind));
    fields.hex(17, 1, "flags");
    match kind {
        kind::RUN => run(&mut fields),
        kind::BITMAP => space::bitmap(&mut fields),
        kind::BITMAP_INNER => space::bitmap_inner(&mut fields),
        kind::FREED_LIST => space::freed_list(&mut fields),
        _ => {}
    }
}

fn run(fields: &mut Fields<'_, '_>) {
    fields.nothing(18..20, "zero");
    fields.number(20, 4, "pages of the run");
    let len = fields.number(24, 8, "length of the value");
    let room = fields.page().len().saturating_sub(HEADER_BYTES) as u64;
    fields.bytes(HEADER_BYTES..HEADER_BYTES + len.min(room) as usize, "value");
}

/// The checksum that a page, or a run up to its value's end, should have.
///
/// ```
/// let page = [0; 512];
/// let here = mapleaf_pager::page_checksum(mapleaf_pager::PageId(7), &page);
/// assert_ne!(here, mapleaf_pager::page_checksum(mapleaf_pager::PageId(8), &page));
/// ```
#[must_use]
pub fn page_checksum(id: PageId, bytes: &[u8]) -> u64 {
    page::checksum(id, bytes.get(8..).unwrap_or(&[]))
}
