//! Reading one tree.

use crate::error::Result;
use crate::key::Key;
use crate::node::{LeafView, Value};
use crate::path::{PREFETCH_LINES, inner, leaf, prefetch_blocks};
use crate::place::Place;
use crate::{Cursor, KeyRange, Range, TreeRecord};
use core::marker::PhantomData;
use core::ops::Bound;
use mapleaf_pager::Pages;

/// An entry as it lies in the file: its key in parts, its value in one slice.
pub type Entry<'a> = (Key<'a>, &'a [u8]);

/// One tree of one state: of a snapshot (`P = &Snapshot`) or inside a write transaction (`P =
/// &WriteTxn`). `Copy`; what it returns borrows from the state, not from the `Tree`.
///
/// Nothing here allocates or makes a system call; a page that is not resident is faulted in. Every
/// lookup costs the tree's height in pages. The errors are those of damage: a page that is no page
/// of a tree, lies outside the state, or contradicts itself
/// ([`Corrupt`](mapleaf_pager::Error::Corrupt)).
#[derive(Clone, Copy)]
pub struct Tree<'a, P: Pages<'a>> {
    pub(crate) pages: P,
    pub(crate) record: TreeRecord,
    _state: PhantomData<&'a ()>,
}

impl<'a, P: Pages<'a>> Tree<'a, P> {
    /// The tree that `record` describes in the state `pages`.
    #[must_use]
    pub fn open(pages: P, record: TreeRecord) -> Tree<'a, P> {
        Tree { pages, record, _state: PhantomData }
    }

    /// The tree's record: height, counts, tag.
    #[must_use]
    pub fn record(&self) -> TreeRecord {
        self.record
    }

    /// Entries in the tree, as its record counts them.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.record.entries
    }

    /// Whether the tree holds no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.record.entries == 0
    }

    /// The value of `key`.
    ///
    /// # Errors
    /// Damage.
    #[inline]
    pub fn get(&self, key: &[u8]) -> Result<Option<&'a [u8]>> {
        let Some(leaf) = self.leaf_of(key)? else { return Ok(None) };
        match leaf.get(key)? {
            Some(Value::Inline(bytes)) => Ok(Some(bytes)),
            Some(value) => bytes_of(self.pages, value).map(Some),
            None => Ok(None),
        }
    }

    /// Whether `key` is in the tree; does not touch a large value's run.
    ///
    /// # Errors
    /// Damage.
    #[inline]
    pub fn contains(&self, key: &[u8]) -> Result<bool> {
        match self.leaf_of(key)? {
            Some(leaf) => Ok(leaf.find(key)?.is_some()),
            None => Ok(false),
        }
    }

    /// The leaf that holds `key` if any does; `None` in an empty tree.
    #[inline]
    fn leaf_of(&self, key: &[u8]) -> Result<Option<LeafView<'a>>> {
        if self.record.height == 0 {
            return Ok(None);
        }
        let mut id = self.record.root;
        // The record's height bounds the way down, whatever the pages say.
        for _ in 1..self.record.height {
            let page = inner(self.pages, id)?;
            id = page.child(page.search(key)?)?;
            // Before the child's checks, so that its lines come while they wait for the first.
            self.pages.prefetch(id, 0, PREFETCH_LINES);
        }
        prefetch_blocks(self.pages, id, &self.record);
        leaf(self.pages, id).map(Some)
    }

    /// The entry with the smallest key.
    ///
    /// # Errors
    /// Damage.
    pub fn first(&self) -> Result<Option<Entry<'a>>> {
        self.cursor().first()
    }

    /// The entry with the largest key.
    ///
    /// # Errors
    /// Damage.
    pub fn last(&self) -> Result<Option<Entry<'a>>> {
        self.cursor().last()
    }

    /// A cursor at no entry.
    #[must_use]
    pub fn cursor(&self) -> Cursor<'a, P> {
        Cursor::new(*self)
    }

    /// All entries, in key order, from either end.
    #[must_use]
    pub fn iter(&self) -> Range<'a, P> {
        self.range(..)
    }

    /// The entries whose keys lie in `range`, in key order, from either end. An error in finding
    /// the range comes as the first item; after an error the iterator ends. A range that ends
    /// before it starts is empty.
    pub fn range<R: KeyRange>(&self, range: R) -> Range<'a, P> {
        Range::new(
            *self,
            |front| match range.start() {
                Bound::Unbounded => front.first(self.pages, &self.record),
                Bound::Included(key) => match front.seek(self.pages, &self.record, key)? {
                    None => front.next(self.pages, &self.record),
                    here => Ok(here),
                },
                Bound::Excluded(key) => {
                    front.seek(self.pages, &self.record, key)?;
                    front.next(self.pages, &self.record)
                }
            },
            |back| match range.end() {
                Bound::Unbounded => back.last(self.pages, &self.record),
                Bound::Included(key) => match back.seek(self.pages, &self.record, key)? {
                    None => back.prev(self.pages, &self.record),
                    here => Ok(here),
                },
                Bound::Excluded(key) => {
                    back.seek(self.pages, &self.record, key)?;
                    back.prev(self.pages, &self.record)
                }
            },
        )
    }

    /// The entries whose keys start with `prefix`.
    pub fn prefix(&self, prefix: &[u8]) -> Range<'a, P> {
        Range::new(
            *self,
            |front: &mut Place| match front.seek(self.pages, &self.record, prefix)? {
                None => front.next(self.pages, &self.record),
                here => Ok(here),
            },
            |back: &mut Place| {
                back.last_where(self.pages, &self.record, |key| {
                    key.starts_with(prefix) || key.cmp_bytes(prefix).is_lt()
                })
            },
        )
    }
}

/// The bytes of a value: in the leaf, or in its run.
///
/// # Errors
/// Damage of the run.
#[inline]
pub(crate) fn bytes_of<'a, P: Pages<'a>>(pages: P, value: Value<'a>) -> Result<&'a [u8]> {
    match value {
        Value::Inline(bytes) => Ok(bytes),
        Value::Run { page, len_bytes } => Ok(pages.run(page, len_bytes)?),
    }
}

/// Entry `i` of a leaf.
///
/// # Errors
/// Damage of the leaf or of the value's run.
#[inline]
pub(crate) fn entry_of<'a, P: Pages<'a>>(
    pages: P,
    leaf: &LeafView<'a>,
    i: usize,
) -> Result<Entry<'a>> {
    let (key, value) = leaf.entry(i)?;
    Ok((key, bytes_of(pages, value)?))
}
