//! Writing while walking.

use crate::Entry;
use crate::edit::{Editor, Source};
use crate::error::Result;
use crate::node::LeafView;
use crate::place::{At, Place};
use crate::tree::entry_of;
use mapleaf_pager::WriteTxn;

/// A place in a tree where entries can be replaced and removed. Lending: an entry it returns must
/// be done with before it moves or writes.
///
/// Moves cost what those of a [`Cursor`](crate::Cursor) cost, changes what those of a
/// [`TreeMut`](crate::TreeMut) cost, without the lookup. After an error the cursor is at no entry.
pub struct CursorMut<'c, 's> {
    editor: Editor<'c, 's>,
    place: Place,
}

impl<'c, 's> CursorMut<'c, 's> {
    pub(crate) fn new(mut editor: Editor<'c, 's>) -> CursorMut<'c, 's> {
        editor.forget_hint();
        CursorMut { editor, place: Place::new() }
    }

    /// Reads the entry that a move came to.
    fn read<'a>(
        editor: &'a Editor<'_, 's>,
        place: &Place,
        leaf: Option<LeafView<'a>>,
    ) -> Result<Option<Entry<'a>>> {
        let (Some(leaf), Some(step)) = (leaf, place.entry()) else { return Ok(None) };
        entry_of::<&WriteTxn<'s>>(editor.txn, &leaf, step.index()).map(Some)
    }

    /// The entry here; `None` past an end, before the first move and after `remove`.
    ///
    /// # Errors
    /// Damage.
    pub fn current(&self) -> Result<Option<Entry<'_>>> {
        let leaf = self.place.leaf(&*self.editor.txn)?;
        CursorMut::read(&self.editor, &self.place, leaf)
    }

    /// Goes to the next entry (after `remove`: the one behind the removed).
    ///
    /// # Errors
    /// Damage.
    #[allow(clippy::should_implement_trait)] // Lending: not an iterator.
    pub fn next(&mut self) -> Result<Option<Entry<'_>>> {
        let leaf = self.place.next(&*self.editor.txn, self.editor.record)?;
        CursorMut::read(&self.editor, &self.place, leaf)
    }

    /// Goes to the entry before.
    ///
    /// # Errors
    /// Damage.
    pub fn prev(&mut self) -> Result<Option<Entry<'_>>> {
        let leaf = self.place.prev(&*self.editor.txn, self.editor.record)?;
        CursorMut::read(&self.editor, &self.place, leaf)
    }

    /// Goes to `key` if it is in the tree, else to no entry: between those around it.
    ///
    /// # Errors
    /// Damage.
    pub fn seek(&mut self, key: &[u8]) -> Result<Option<Entry<'_>>> {
        let leaf = self.place.seek(&*self.editor.txn, self.editor.record, key)?;
        CursorMut::read(&self.editor, &self.place, leaf)
    }

    /// Goes to `key`, or else to the next larger key.
    ///
    /// # Errors
    /// Damage.
    pub fn seek_at_or_after(&mut self, key: &[u8]) -> Result<Option<Entry<'_>>> {
        let leaf = match self.place.seek(&*self.editor.txn, self.editor.record, key)? {
            None => self.place.next(&*self.editor.txn, self.editor.record)?,
            here => here,
        };
        CursorMut::read(&self.editor, &self.place, leaf)
    }

    /// Goes to `key`, or else to the next smaller key.
    ///
    /// # Errors
    /// Damage.
    pub fn seek_at_or_before(&mut self, key: &[u8]) -> Result<Option<Entry<'_>>> {
        let leaf = match self.place.seek(&*self.editor.txn, self.editor.record, key)? {
            None => self.place.prev(&*self.editor.txn, self.editor.record)?,
            here => here,
        };
        CursorMut::read(&self.editor, &self.place, leaf)
    }

    /// Gives the entry here another value; false where the cursor is at no entry.
    ///
    /// # Errors
    /// As [`TreeMut::insert`](crate::TreeMut::insert).
    pub fn replace(&mut self, value: &[u8]) -> Result<bool> {
        if self.place.at != At::Entry {
            return Ok(false);
        }
        let replaced = self.editor.replace(&mut self.place, Source::Bytes(value));
        self.after(replaced)?;
        self.editor.log_put(&self.place, None, Some(value))?;
        Ok(true)
    }

    /// Removes the entry here; false where the cursor is at no entry. It is then between the
    /// entries around it.
    ///
    /// # Errors
    /// As [`TreeMut::remove`](crate::TreeMut::remove).
    pub fn remove(&mut self) -> Result<bool> {
        if self.place.at != At::Entry {
            return Ok(false);
        }
        let removed = self.editor.remove(&mut self.place);
        self.after(removed)?;
        Ok(true)
    }

    /// After a change that failed the cursor is at no entry.
    fn after(&mut self, changed: Result<()>) -> Result<()> {
        if changed.is_err() {
            self.place = Place::new();
        }
        changed
    }
}
