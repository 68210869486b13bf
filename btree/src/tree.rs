//! Reading one tree.

use crate::error::Result;
use crate::key::Key;
use crate::{Cursor, KeyRange, Range, TreeRecord};
use core::marker::PhantomData;
use mapleaf_pager::Pages;

/// An entry as it lies in the file: its key in parts, its value in one slice.
pub type Entry<'a> = (Key<'a>, &'a [u8]);

/// One tree of one state: of a snapshot (`P = &Snapshot`) or inside a write transaction (`P =
/// &WriteTxn`). `Copy`; what it returns borrows from the state, not from the `Tree`.
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
    pub fn get(&self, _key: &[u8]) -> Result<Option<&'a [u8]>> {
        unimplemented!()
    }
    /// Whether `key` is in the tree; does not touch a large value's run.
    pub fn contains(&self, _key: &[u8]) -> Result<bool> {
        unimplemented!()
    }
    /// The entry with the smallest key.
    pub fn first(&self) -> Result<Option<Entry<'a>>> {
        unimplemented!()
    }
    /// The entry with the largest key.
    pub fn last(&self) -> Result<Option<Entry<'a>>> {
        unimplemented!()
    }
    /// A cursor at no entry.
    #[must_use]
    pub fn cursor(&self) -> Cursor<'a, P> {
        unimplemented!()
    }
    /// All entries, in key order, from either end.
    #[must_use]
    pub fn iter(&self) -> Range<'a, P> {
        self.range(..)
    }
    /// The entries whose keys lie in `range`, in key order, from either end. An error in finding the
    /// range comes as the first item; after an error the iterator ends.
    pub fn range<R: KeyRange>(&self, _range: R) -> Range<'a, P> {
        unimplemented!()
    }
    /// The entries whose keys start with `prefix`.
    pub fn prefix(&self, _prefix: &[u8]) -> Range<'a, P> {
        unimplemented!()
    }
}
