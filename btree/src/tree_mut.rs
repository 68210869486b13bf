//! Changing one tree.

use crate::edit::{Editor, Source};
use crate::error::{Error, Result};
use crate::key::Key;
use crate::place::{At, Place};
use crate::tree::entry_of;
use crate::{CursorMut, KeyRange, Tree};
use mapleaf_pager::WriteTxn;

/// One tree inside the write transaction. Made by [`Writer::tree`](crate::Writer::tree).
///
/// Each change is atomic: an error before anything changed leaves the tree as it was; one in the
/// middle marks the transaction, which can then only be rolled back.
///
/// A change costs a lookup, and once a transaction a copy of each page on the way. Nothing
/// allocates, and nothing makes a system call unless the store grows. Beside what a method names,
/// the errors are those of the store ([`Full`](mapleaf_pager::Error::Full),
/// [`Io`](mapleaf_pager::Error::Io)) and damage.
pub struct TreeMut<'t, 's> {
    editor: Editor<'t, 's>,
}

impl<'t, 's> TreeMut<'t, 's> {
    pub(crate) fn new(editor: Editor<'t, 's>) -> TreeMut<'t, 's> {
        TreeMut { editor }
    }

    /// The tree as it is now, to read.
    #[must_use]
    pub fn as_tree(&self) -> Tree<'_, &WriteTxn<'s>> {
        Tree::open(self.editor.txn, *self.editor.record)
    }

    /// The value of `key`.
    ///
    /// # Errors
    /// Damage.
    pub fn get(&self, key: &[u8]) -> Result<Option<&[u8]>> {
        self.as_tree().get(key)
    }

    /// Entries in the tree.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.editor.record.entries
    }

    /// Whether the tree holds no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Stores `value` under `key`; whether a value was replaced.
    ///
    /// # Errors
    /// [`KeyTooLong`](Error::KeyTooLong), [`ValueTooLong`](Error::ValueTooLong).
    pub fn insert(&mut self, key: &[u8], value: &[u8]) -> Result<bool> {
        let mut place = Place::new();
        self.editor.seek_hinted(&mut place, key)?;
        let replaced = self.editor.put(&mut place, key, Source::Bytes(value))?;
        self.editor.log_put(&place, Some(key), Some(value))?;
        self.editor.keep_hint(&mut place)?;
        Ok(replaced)
    }

    /// Stores `value` under `key` unless the key is there; whether it stored.
    ///
    /// # Errors
    /// As [`insert`](TreeMut::insert).
    pub fn insert_if_absent(&mut self, key: &[u8], value: &[u8]) -> Result<bool> {
        let mut place = Place::new();
        self.editor.seek_hinted(&mut place, key)?;
        let absent = place.at != At::Entry;
        if absent {
            self.editor.put(&mut place, key, Source::Bytes(value))?;
            self.editor.log_put(&place, Some(key), Some(value))?;
        }
        self.editor.keep_hint(&mut place)?;
        Ok(absent)
    }

    /// Stores a value of `len_bytes` that `fill` writes in place (its bytes are unspecified
    /// before); whether a value was replaced. A panic in `fill` fails the transaction.
    ///
    /// # Errors
    /// As [`insert`](TreeMut::insert).
    pub fn reserve<F: FnOnce(&mut [u8])>(
        &mut self,
        key: &[u8],
        len_bytes: usize,
        fill: F,
    ) -> Result<bool> {
        let mut place = Place::new();
        self.editor.seek_hinted(&mut place, key)?;
        let replaced = self.editor.put(&mut place, key, Source::Room(len_bytes))?;
        let mut guard = FailOnPanic { editor: self.editor.reborrow(), armed: true };
        fill(guard.editor.value_mut(&place)?);
        // The log has what is in the page now.
        guard.editor.log_put(&place, Some(key), None)?;
        guard.armed = false;
        guard.editor.keep_hint(&mut place)?;
        Ok(replaced)
    }

    /// Stores `value` under `key`, which must be above every key of the tree.
    ///
    /// # Errors
    /// [`NotSorted`](Error::NotSorted), and as [`insert`](TreeMut::insert).
    pub fn append(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        let mut place = Place::new();
        self.editor.seek_hinted(&mut place, key)?;
        if !self.editor.is_end(&place)? {
            return Err(Error::NotSorted);
        }
        self.editor.put(&mut place, key, Source::Bytes(value))?;
        self.editor.log_put(&place, Some(key), Some(value))?;
        self.editor.keep_hint(&mut place)
    }

    /// Removes `key`; whether it was there.
    ///
    /// # Errors
    /// Those of the store, and damage.
    pub fn remove(&mut self, key: &[u8]) -> Result<bool> {
        let mut place = Place::new();
        place.seek(&*self.editor.txn, self.editor.record, key)?;
        let found = place.at == At::Entry;
        if found {
            self.editor.remove(&mut place)?;
        }
        Ok(found)
    }

    /// Removes the first entry after showing it to `see`; `None` where the tree is empty.
    ///
    /// # Errors
    /// As [`remove`](TreeMut::remove).
    pub fn pop_first<T>(&mut self, see: impl FnOnce(&Key<'_>, &[u8]) -> T) -> Result<Option<T>> {
        let mut place = Place::new();
        place.first(&*self.editor.txn, self.editor.record)?;
        self.pop(place, see)
    }

    /// Removes the last entry after showing it to `see`; `None` where the tree is empty.
    ///
    /// # Errors
    /// As [`remove`](TreeMut::remove).
    pub fn pop_last<T>(&mut self, see: impl FnOnce(&Key<'_>, &[u8]) -> T) -> Result<Option<T>> {
        let mut place = Place::new();
        place.last(&*self.editor.txn, self.editor.record)?;
        self.pop(place, see)
    }

    fn pop<T>(
        &mut self,
        mut place: Place,
        see: impl FnOnce(&Key<'_>, &[u8]) -> T,
    ) -> Result<Option<T>> {
        let pages = &*self.editor.txn;
        let (Some(leaf), Some(step)) = (place.leaf(pages)?, place.entry()) else { return Ok(None) };
        let (key, value) = entry_of(pages, &leaf, step.index())?;
        let seen = see(&key, value);
        self.editor.remove(&mut place)?;
        Ok(Some(seen))
    }

    /// Removes the entries for which `keep` is false; how many.
    ///
    /// # Errors
    /// As [`remove`](TreeMut::remove); entries seen before it stay removed.
    pub fn retain(&mut self, mut keep: impl FnMut(&Key<'_>, &[u8]) -> bool) -> Result<u64> {
        let mut cursor = self.cursor_mut();
        let mut removed = 0;
        while let Some((key, value)) = cursor.next()? {
            if !keep(&key, value) {
                cursor.remove()?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// Removes the entries whose keys lie in `range`; how many.
    ///
    /// Subtrees that lie in the range whole are freed by their pages alone: a page header a leaf,
    /// and its entries only where the tree has values in runs.
    ///
    /// # Errors
    /// As [`remove`](TreeMut::remove).
    pub fn remove_range<R: KeyRange>(&mut self, range: R) -> Result<u64> {
        let removed = self.editor.remove_range(&range)?;
        if removed > 0
            && let Some(log) = &mut self.editor.log
        {
            log.remove_range(self.editor.txn, range.start(), range.end());
        }
        Ok(removed)
    }

    /// Removes all entries. Costs a visit to each page's header.
    ///
    /// # Errors
    /// As [`remove`](TreeMut::remove).
    pub fn clear(&mut self) -> Result<()> {
        self.editor.clear()?;
        if let Some(log) = &mut self.editor.log {
            log.clear(self.editor.txn);
        }
        Ok(())
    }

    /// A cursor that can replace and remove, at no entry.
    pub fn cursor_mut(&mut self) -> CursorMut<'_, 's> {
        CursorMut::new(self.editor.reborrow())
    }
}

/// Fails the transaction when dropped armed: an entry whose value was not written must not be
/// committed.
struct FailOnPanic<'t, 's> {
    editor: Editor<'t, 's>,
    armed: bool,
}

impl Drop for FailOnPanic<'_, '_> {
    fn drop(&mut self) {
        if self.armed {
            self.editor.txn.fail();
        }
    }
}
