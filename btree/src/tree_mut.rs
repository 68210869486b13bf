//! Changing one tree.

use crate::error::Result;
use crate::key::Key;
use crate::{CursorMut, KeyRange, Tree, TreeRecord};
use core::marker::PhantomData;
use mapleaf_pager::WriteTxn;

/// One tree inside the write transaction. Made by [`Writer::tree`](crate::Writer::tree).
///
/// Each change is atomic: an error before anything changed leaves the tree as it was; one in the
/// middle marks the transaction, which can then only be rolled back.
pub struct TreeMut<'t, 's> {
    _p: PhantomData<(&'t mut WriteTxn<'s>, &'t mut TreeRecord)>,
}

impl<'t, 's> TreeMut<'t, 's> {
    /// The tree as it is now, to read.
    #[must_use]
    pub fn as_tree(&self) -> Tree<'_, &WriteTxn<'s>> {
        unimplemented!()
    }
    /// The value of `key`.
    pub fn get(&self, key: &[u8]) -> Result<Option<&[u8]>> {
        self.as_tree().get(key)
    }
    /// Entries in the tree.
    #[must_use]
    pub fn len(&self) -> u64 {
        unimplemented!()
    }
    /// Whether the tree holds no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Stores `value` under `key`; whether a value was replaced.
    pub fn insert(&mut self, _key: &[u8], _value: &[u8]) -> Result<bool> {
        unimplemented!()
    }
    /// Stores `value` under `key` unless the key is there; whether it stored.
    pub fn insert_if_absent(&mut self, _key: &[u8], _value: &[u8]) -> Result<bool> {
        unimplemented!()
    }
    /// Stores a value of `len_bytes` that `fill` writes in place (its bytes are unspecified before);
    /// whether a value was replaced.
    pub fn reserve<F: FnOnce(&mut [u8])>(&mut self, _key: &[u8], _len_bytes: usize, _fill: F) -> Result<bool> {
        unimplemented!()
    }
    /// Stores `value` under `key`, which must be above every key of the tree.
    pub fn append(&mut self, _key: &[u8], _value: &[u8]) -> Result<()> {
        unimplemented!()
    }
    /// Removes `key`; whether it was there.
    pub fn remove(&mut self, _key: &[u8]) -> Result<bool> {
        unimplemented!()
    }
    /// Removes the first entry after showing it to `see`; `None` where the tree is empty.
    pub fn pop_first<T>(&mut self, _see: impl FnOnce(&Key<'_>, &[u8]) -> T) -> Result<Option<T>> {
        unimplemented!()
    }
    /// Removes the last entry after showing it to `see`; `None` where the tree is empty.
    pub fn pop_last<T>(&mut self, _see: impl FnOnce(&Key<'_>, &[u8]) -> T) -> Result<Option<T>> {
        unimplemented!()
    }
    /// Removes the entries for which `keep` is false; how many.
    pub fn retain(&mut self, _keep: impl FnMut(&Key<'_>, &[u8]) -> bool) -> Result<u64> {
        unimplemented!()
    }
    /// Removes the entries whose keys lie in `range`; how many.
    pub fn remove_range<R: KeyRange>(&mut self, _range: R) -> Result<u64> {
        unimplemented!()
    }
    /// Removes all entries.
    pub fn clear(&mut self) -> Result<()> {
        unimplemented!()
    }
    /// A cursor that can replace and remove, at no entry.
    pub fn cursor_mut(&mut self) -> CursorMut<'_, 's> {
        unimplemented!()
    }
}
