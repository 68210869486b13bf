//! Writing while walking.

use crate::Entry;
use crate::error::Result;
use core::marker::PhantomData;
use mapleaf_pager::WriteTxn;

/// A place in a tree where entries can be replaced and removed. Lending: an entry it returns must
/// be done with before it moves or writes.
pub struct CursorMut<'c, 's> {
    _p: PhantomData<(&'c mut (), WriteTxn<'s>)>,
}

impl CursorMut<'_, '_> {
    /// The entry here; `None` past an end, before the first move and after `remove`.
    pub fn current(&self) -> Result<Option<Entry<'_>>> {
        unimplemented!()
    }
    /// Goes to the next entry (after `remove`: the one behind the removed).
    #[allow(clippy::should_implement_trait)] // Lending: not an iterator.
    pub fn next(&mut self) -> Result<Option<Entry<'_>>> {
        unimplemented!()
    }
    /// Goes to the entry before.
    pub fn prev(&mut self) -> Result<Option<Entry<'_>>> {
        unimplemented!()
    }
    /// Goes to `key` if it is in the tree, else to no entry.
    pub fn seek(&mut self, _key: &[u8]) -> Result<Option<Entry<'_>>> {
        unimplemented!()
    }
    /// Goes to `key`, or else to the next larger key.
    pub fn seek_at_or_after(&mut self, _key: &[u8]) -> Result<Option<Entry<'_>>> {
        unimplemented!()
    }
    /// Goes to `key`, or else to the next smaller key.
    pub fn seek_at_or_before(&mut self, _key: &[u8]) -> Result<Option<Entry<'_>>> {
        unimplemented!()
    }
    /// Gives the entry here another value; false where the cursor is at no entry.
    pub fn replace(&mut self, _value: &[u8]) -> Result<bool> {
        unimplemented!()
    }
    /// Removes the entry here; false where the cursor is at no entry.
    pub fn remove(&mut self) -> Result<bool> {
        unimplemented!()
    }
}
