//! One page, field by field.

use super::walk::trouble;
use super::{PageKind, PageMap};
use crate::salvage::Trouble;
use mapleaf_btree::{
    LooseInner, LooseLeaf, RECORD_BYTES, explain_node, explain_record, explain_redo,
};
use mapleaf_pager::{
    Damage, Field, FieldValue, LoosePage, OWNED_BYTES, PageId, TxnId, explain_meta, explain_page,
    kind, page_checksum, run_extent,
};
use std::ops::Range;

/// What a field holds.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum FieldContent {
    /// A number.
    Number(u64),
    /// A number that is best read in hexadecimal.
    Hex(u64),
    /// The number of a page; 0 stands for none.
    Page(PageId),
    /// The number of a transaction.
    Txn(TxnId),
    /// Bytes: a key, a value.
    Bytes(Vec<u8>),
    /// A number that stands for this.
    Text(&'static str),
    /// Nothing: reserved, or not in use.
    None,
}

/// A field of a page.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct ExplainedField {
    /// Its bytes, counted from the page's start.
    pub bytes: Range<usize>,
    /// Its name, as in `docs/format.md`.
    pub name: &'static str,
    /// Which one of several of this name.
    pub index: Option<usize>,
    /// What it holds.
    pub content: FieldContent,
}

/// A page's checksum, compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum PageChecksum {
    /// It matches the bytes.
    Right,
    /// It does not.
    Wrong {
        /// What the page says.
        found: u64,
        /// What its bytes come to.
        wanted: u64,
    },
    /// The page has none: the log (its blocks have), the later pages of a large value; or how far it
    /// reaches cannot be known.
    Absent,
}

/// A page of a file, byte by byte; see [`PageMap::explain`].
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct ExplainedPage {
    /// The page.
    pub page: PageId,
    /// What it is used for; `None` behind the state's pages.
    pub kind: Option<PageKind>,
    /// Name of the tree it belongs to (`""`: of the names).
    pub tree: Option<String>,
    /// The large value it is a part of: first page, pages.
    pub run: Option<(PageId, u32)>,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Its checksum.
    pub checksum: PageChecksum,
    /// What contradicts itself on it.
    pub damage: Option<Damage>,
    /// All of its bytes, in order. Where fields of a damaged page overlap, bytes are in several.
    pub fields: Vec<ExplainedField>,
}

impl PageMap {
    /// Explains a page, in use or not, sound or not. Reads it, all of the log for a page of the log, all
    /// of a large value for its first page.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("app.leaf");
    /// # mapleaf::Database::open_buffered(&path)?.close()?;
    /// use mapleaf::{PageChecksum, PageId, PageMap};
    /// let meta = PageMap::read(&path)?.explain(PageId(0)).map_err(|trouble| trouble.to_string())?;
    /// assert_eq!(meta.checksum, PageChecksum::Right);
    /// assert_eq!((meta.fields[1].name, &meta.bytes[meta.fields[1].bytes.clone()]), ("magic", &b"mapleaf\0"[..]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The file ends before it, or the system does not deliver it.
    pub fn explain(&self, id: PageId) -> Result<ExplainedPage, Trouble> {
        if id.0 >= self.file.pages {
            return Err(Trouble::CutOff);
        }
        let mut bytes = vec![0; self.file.page_size];
        self.file.read_bytes(id, &mut bytes)?;
        let facts = self.page(id);
        let tree =
            facts.and_then(|facts| self.trees.get(facts.tree?)).map(|(name, _)| name.clone());
        let kind = facts.map(|facts| facts.kind);
        let run = self.run_of(id, kind, &bytes);
        let mut explained = ExplainedPage {
            page: id,
            kind,
            tree,
            run,
            bytes,
            checksum: PageChecksum::Absent,
            damage: None,
            fields: Vec::new(),
        };
        match kind {
            _ if id.0 < 2 => explained.meta(),
            Some(PageKind::Log) => self.explain_log(&mut explained),
            Some(PageKind::Value) if run.is_some_and(|(first, _)| first != id) => {
                explained.rest_of_value();
            }
            _ => self.explain_header(&mut explained),
        }
        explained.fill_gaps();
        Ok(explained)
    }

    /// The run that a page of a value belongs to.
    fn run_of(&self, id: PageId, kind: Option<PageKind>, bytes: &[u8]) -> Option<(PageId, u32)> {
        if kind != Some(PageKind::Value) {
            return None;
        }
        let at = self.runs.partition_point(|(first, _)| *first <= id.0);
        let run = at.checked_sub(1).and_then(|at| self.runs.get(at));
        let run = run.filter(|(first, pages)| id.0 - first < *pages);
        // Runs of one page are not listed.
        let (first, pages) = run.copied().unwrap_or((id.0, LoosePage::read(bytes).run_pages));
        Some((PageId(first), pages))
    }

    fn explain_log(&self, explained: &mut ExplainedPage) {
        let Some(meta) = &self.meta else { return };
        let (log, pages) = meta.log();
        let Ok(ring) = self.file.read_stretch(log, pages) else { return };
        let start = (explained.page.0 - log.0) as usize * self.file.page_size;
        let window = start..start + self.file.page_size;
        let mut fields = Vec::new();
        meta.explain_log(&ring, window, &mut |field| match field {
            Field { name: "record", value: FieldValue::Bytes(record), bytes, .. }
                if record.len() == bytes.len() =>
            {
                let mut within = |mut field: Field<'_>| {
                    field.bytes = field.bytes.start + bytes.start..field.bytes.end + bytes.start;
                    fields.push(owned(&field));
                };
                explain_redo(record, &mut within);
            }
            field => fields.push(owned(&field)),
        });
        explained.fields = fields;
    }

    fn explain_header(&self, explained: &mut ExplainedPage) {
        let id = explained.page;
        let page = std::mem::take(&mut explained.bytes);
        explain_page(&page, &mut |field| explained.fields.push(owned(&field)));
        let of_names = explained.tree.as_deref() == Some("");
        explain_node(&page, &mut |field| match field.name {
            "value" if of_names && field.bytes.len() == RECORD_BYTES => {
                explain_record(&page, field.bytes.start, &mut |mut part| {
                    part.index = field.index;
                    explained.fields.push(owned(&part));
                });
            }
            _ => explained.fields.push(owned(&field)),
        });
        let (facts, body) = (LoosePage::read(&page), page.get(OWNED_BYTES..).unwrap_or(&[]));
        let layout = match facts.kind {
            kind if kind::is_leaf(kind) => LooseLeaf::read(id, body).map(drop).map_err(trouble),
            kind::INNER => LooseInner::read(id, body).map(drop).map_err(trouble),
            kind::RUN => run_extent(id, &page, self.file.pages)
                .map(drop)
                .map_err(|_| Trouble::Damaged(Damage::Layout)),
            _ => Ok(()),
        };
        if let Err(Trouble::Damaged(damage)) = layout {
            explained.damage = Some(damage);
        }
        let wanted = match facts.kind {
            kind::RUN => self.run_checksum(id, &page, facts.run_pages),
            _ => Some(page_checksum(id, &page)),
        };
        explained.compare(&page, wanted);
        explained.bytes = page;
    }

    fn run_checksum(&self, id: PageId, first: &[u8], pages: u32) -> Option<u64> {
        let extent = run_extent(id, first, self.file.pages).ok()?;
        let run = self.file.read_stretch(id, pages).ok()?;
        Some(page_checksum(id, run.get(..extent)?))
    }
}

impl ExplainedPage {
    fn compare(&mut self, page: &[u8], wanted: Option<u64>) {
        let found = page.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        self.checksum = match wanted {
            None => PageChecksum::Absent,
            Some(wanted) if wanted == found => PageChecksum::Right,
            Some(wanted) => PageChecksum::Wrong { found, wanted },
        };
    }

    fn meta(&mut self) {
        let page = std::mem::take(&mut self.bytes);
        let mut fields = Vec::new();
        let wanted = explain_meta(self.page.0 as u8, &page, &mut |field| match field.name {
            "root data" => {
                let at = field.bytes.start;
                explain_record(&page, at, &mut |field| fields.push(owned(&field)));
            }
            _ => fields.push(owned(&field)),
        });
        self.fields = fields;
        self.compare(&page, wanted);
        self.bytes = page;
    }

    fn rest_of_value(&mut self) {
        let content = FieldContent::Bytes(self.bytes.clone());
        let bytes = 0..self.bytes.len();
        self.fields.push(ExplainedField { bytes, name: "value, continued", index: None, content });
    }

    /// What bytes between fields are, from `at` on.
    fn between(&self, at: usize) -> &'static str {
        let heap = |field: &ExplainedField| match field.content {
            FieldContent::Number(heap) => field.name == "heap start" && at as u64 >= heap,
            _ => false,
        };
        match self.kind {
            Some(PageKind::Log) => "no whole block of this ring",
            _ if self.fields.iter().any(heap) => "dead cells",
            _ => "unused",
        }
    }

    /// Sorts the fields, and names what is between them.
    fn fill_gaps(&mut self) {
        self.fields.sort_by_key(|field| (field.bytes.start, field.bytes.end));
        let mut gaps = Vec::new();
        let mut end = 0;
        let last = self.bytes.len();
        let starts =
            self.fields.iter().map(|field| field.bytes.clone()).chain(std::iter::once(last..last));
        for bytes in starts {
            if bytes.start > end {
                let content = FieldContent::None;
                let (name, bytes) = (self.between(end), end..bytes.start);
                gaps.push(ExplainedField { bytes, name, index: None, content });
            }
            end = end.max(bytes.end);
        }
        self.fields.append(&mut gaps);
        self.fields.sort_by_key(|field| (field.bytes.start, field.bytes.end));
    }
}

fn owned(field: &Field<'_>) -> ExplainedField {
    let content = match field.value {
        FieldValue::Number(number) => FieldContent::Number(number),
        FieldValue::Hex(number) => FieldContent::Hex(number),
        FieldValue::Page(page) => FieldContent::Page(page),
        FieldValue::Txn(txn) => FieldContent::Txn(txn),
        FieldValue::Bytes(bytes) => FieldContent::Bytes(bytes.to_vec()),
        FieldValue::Text(text) => FieldContent::Text(text),
        _ => FieldContent::None,
    };
    ExplainedField { bytes: field.bytes.clone(), name: field.name, index: field.index, content }
}
