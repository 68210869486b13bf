//! A place in a tree that can move both ways.

use crate::Entry;
use crate::error::Result;
use crate::key::Key;
use core::marker::PhantomData;
use mapleaf_pager::Pages;

/// A place in a tree. A new cursor is at no entry: `next` goes to the first, `prev` to the last.
/// Past an end it is at no entry either, and the way back leads to the entry at that end.
#[derive(Clone)]
pub struct Cursor<'a, P: Pages<'a>> {
    _p: PhantomData<(&'a (), P)>,
}

impl<'a, P: Pages<'a>> Cursor<'a, P> {
    /// Goes to `key` if it is in the tree, else to no entry.
    pub fn seek(&mut self, _key: &[u8]) -> Result<Option<Entry<'a>>> {
        unimplemented!()
    }
    /// Goes to `key`, or else to the next larger key.
    pub fn seek_at_or_after(&mut self, _key: &[u8]) -> Result<Option<Entry<'a>>> {
        unimplemented!()
    }
    /// Goes to `key`, or else to the next smaller key.
    pub fn seek_at_or_before(&mut self, _key: &[u8]) -> Result<Option<Entry<'a>>> {
        unimplemented!()
    }
    /// Goes to the first entry.
    pub fn first(&mut self) -> Result<Option<Entry<'a>>> {
        unimplemented!()
    }
    /// Goes to the last entry.
    pub fn last(&mut self) -> Result<Option<Entry<'a>>> {
        unimplemented!()
    }
    /// Goes to the next entry.
    #[allow(clippy::should_implement_trait)] // Lending both ways, with errors: not an iterator.
    pub fn next(&mut self) -> Result<Option<Entry<'a>>> {
        unimplemented!()
    }
    /// Goes to the entry before.
    pub fn prev(&mut self) -> Result<Option<Entry<'a>>> {
        unimplemented!()
    }
    /// The entry here.
    pub fn current(&self) -> Result<Option<Entry<'a>>> {
        unimplemented!()
    }
    /// The key here.
    pub fn key(&self) -> Result<Option<Key<'a>>> {
        unimplemented!()
    }
    /// The value here.
    pub fn value(&self) -> Result<Option<&'a [u8]>> {
        unimplemented!()
    }
}
