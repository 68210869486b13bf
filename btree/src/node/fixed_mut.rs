//! Changing a leaf of fixed width in place.

use super::fixed::{FixedHeader, FixedView};
use super::layout::{damaged, field, put, stored};
use super::slots::move_bytes;
use super::{Fit, NewValue};
use crate::error::{Error, Result};
use crate::width::FixedWidth;
use mapleaf_pager::{OWNED_BYTES, PageId};

/// A leaf of fixed width that may be written.
pub(crate) struct FixedMut<'a> {
    body: &'a mut [u8],
    header: FixedHeader,
    id: PageId,
}

impl<'a> FixedMut<'a> {
    /// Makes the page an empty leaf with as much room as there is.
    ///
    /// # Errors
    /// `Layout`: no page holds entries of this width (the tree's record is damaged).
    pub(super) fn init(body: &'a mut [u8], id: PageId, width: FixedWidth) -> Result<FixedMut<'a>> {
        let capacity = width.capacity(body.len() + OWNED_BYTES);
        if capacity == 0 {
            return Err(damaged(id));
        }
        let header = FixedHeader { count: 0, capacity, width };
        header.write(body);
        Ok(FixedMut { body, header, id })
    }

    /// The leaf that the page is.
    ///
    /// # Errors
    /// As [`FixedView::new`].
    pub(super) fn new(body: &'a mut [u8], id: PageId) -> Result<FixedMut<'a>> {
        match FixedHeader::read(body) {
            Ok(header) => Ok(FixedMut { body, header, id }),
            Err(damage) => Err(Error::corrupt(id, damage)),
        }
    }

    /// The leaf, to read.
    pub(super) fn view(&self) -> Option<FixedView<'_>> {
        FixedView::with(self.body, &self.header, self.id)
    }

    /// Inserts an entry before entry `i`.
    ///
    /// # Errors
    /// [`WrongWidth`](Error::WrongWidth); `InvalidArgument`: no such place.
    pub(super) fn insert_at(&mut self, i: usize, key: &[u8], value: NewValue<'_>) -> Result<Fit> {
        self.check_value(key.len(), value)?;
        let FixedHeader { count, capacity, width } = self.header;
        if i > count {
            return Err(Error::Pager(mapleaf_pager::Error::InvalidArgument));
        }
        if count == capacity {
            let most = width.capacity(self.body.len() + OWNED_BYTES);
            return Ok(if count < most { Fit::Rebuild } else { Fit::Split });
        }
        self.move_entries(i, i + 1).ok_or(damaged(self.id))?;
        self.header.count += 1;
        self.header.write(self.body);
        self.write_entry(i, key, value).ok_or(damaged(self.id))?;
        Ok(Fit::Done)
    }

    /// Inserts an entry behind the last where its key is above that and there is room: whether it did. Else
    /// nothing changed, and [`insert_at`](FixedMut::insert_at) says why.
    ///
    /// # Errors
    /// `Layout`.
    #[inline]
    pub(super) fn append(&mut self, key: &[u8], value: &[u8]) -> Result<bool> {
        let FixedHeader { count, capacity, width } = self.header;
        if count == capacity
            || width.check(key.len(), value.len()).is_err()
            || !self.view().ok_or(damaged(self.id))?.ends_below(key)
        {
            return Ok(false);
        }
        self.header.count += 1;
        put(self.body, field::COUNT, stored(self.header.count));
        self.write_entry(count, key, NewValue::Inline(value)).ok_or(damaged(self.id))?;
        Ok(true)
    }

    /// Appends an entry to a page being filled; `None` where there is no room for it.
    pub(super) fn push(&mut self, key: [&[u8]; 3], value: NewValue<'_>) -> Option<()> {
        let i = self.header.count;
        if i == self.header.capacity {
            return None;
        }
        let mut at = self.header.key_at(i);
        for part in key {
            self.body.get_mut(at..at + part.len())?.copy_from_slice(part);
            at += part.len();
        }
        self.header.count += 1;
        // Not longer nor shorter than a key is.
        (at == self.header.key_at(i + 1)).then_some(())?;
        self.write_value(i, value)
    }

    /// Writes the header of a page that was filled.
    pub(super) fn store(&mut self) {
        self.header.write(self.body);
    }

    /// Moves the entries from `from` on to `to`.
    fn move_entries(&mut self, from: usize, to: usize) -> Option<()> {
        let header = self.header;
        let count = header.count;
        move_bytes(self.body, header.key_at(from), header.key_at(count), header.key_at(to))?;
        move_bytes(self.body, header.value_at(from), header.value_at(count), header.value_at(to))
    }

    fn write_entry(&mut self, i: usize, key: &[u8], value: NewValue<'_>) -> Option<()> {
        let at = self.header.key_at(i);
        self.body.get_mut(at..at + key.len())?.copy_from_slice(key);
        self.write_value(i, value)
    }

    fn write_value(&mut self, i: usize, value: NewValue<'_>) -> Option<()> {
        let place = self.value_place(i)?;
        match value {
            NewValue::Inline(bytes) if bytes.len() == place.len() => place.copy_from_slice(bytes),
            NewValue::Reserved(len) if len == place.len() => {}
            _ => return None,
        }
        Some(())
    }

    fn value_place(&mut self, i: usize) -> Option<&mut [u8]> {
        let (at, end) = (self.header.value_at(i), self.header.value_at(i + 1));
        if i < self.header.count { self.body.get_mut(at..end) } else { None }
    }

    /// Gives entry `i` another value.
    ///
    /// # Errors
    /// [`WrongWidth`](Error::WrongWidth); `Layout`: no such entry.
    pub(super) fn replace_at(&mut self, i: usize, value: NewValue<'_>) -> Result<Fit> {
        self.check_value(usize::from(self.header.width.key_bytes), value)?;
        self.write_value(i, value).ok_or(damaged(self.id))?;
        Ok(Fit::Done)
    }

    /// Removes entry `i`.
    ///
    /// # Errors
    /// `Layout`: no such entry.
    pub(super) fn remove_at(&mut self, i: usize) -> Result<()> {
        if i >= self.header.count {
            return Err(damaged(self.id));
        }
        self.move_entries(i + 1, i).ok_or(damaged(self.id))?;
        self.header.count -= 1;
        self.header.write(self.body);
        Ok(())
    }

    /// The value of entry `i`, to be written.
    ///
    /// # Errors
    /// `Layout`: no such entry.
    pub(super) fn value_mut(self, i: usize) -> Result<&'a mut [u8]> {
        let (at, end) = (self.header.value_at(i), self.header.value_at(i + 1));
        let place = if i < self.header.count { self.body.get_mut(at..end) } else { None };
        place.ok_or(damaged(self.id))
    }

    fn check_value(&self, key_len: usize, value: NewValue<'_>) -> Result<()> {
        match value {
            NewValue::Run { .. } => Err(Error::WrongWidth { width: self.header.width }),
            _ => self.header.width.check(key_len, value.stored_bytes()),
        }
    }
}
