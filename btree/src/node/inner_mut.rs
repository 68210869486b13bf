//! Changing an inner page in place.

use super::inner::{CELL_HEADER_BYTES, cell_bytes};
use super::layout::{HEAD_BYTES, INNER, damaged, field, head_of, put, stored, without};
use super::slots::{SlotsMut, stored_offset, write_parts};
use super::{Fit, InnerContent, InnerView, max_key_len};
use crate::error::{Error, Result};
use crate::key::Key;
use mapleaf_pager::{OWNED_BYTES, PageId};

/// The arrays of an inner page.
pub(super) const HEADS: usize = 0;
pub(super) const CHILDREN: usize = 1;
pub(super) const OFFSETS: usize = 2;

/// An inner page that may be written.
pub(crate) struct InnerMut<'a> {
    slots: SlotsMut<'a>,
    id: PageId,
}

impl<'a> InnerMut<'a> {
    /// Makes the page an inner page with one child and no separator, for separators that start with
    /// `prefix`. A new root: `init(body, id, left, &[])`, `insert(0, …)`.
    ///
    /// # Errors
    /// `InvalidArgument`: the prefix is longer than a key may be.
    pub(crate) fn init(
        body: &'a mut [u8],
        id: PageId,
        first_child: PageId,
        prefix: &[u8],
    ) -> Result<InnerMut<'a>> {
        let invalid = Error::Pager(mapleaf_pager::Error::InvalidArgument);
        if prefix.len() > max_key_len(body.len() + OWNED_BYTES) {
            return Err(invalid);
        }
        let slots = SlotsMut::init(body, &INNER, [prefix, &[], &[]], 0).ok_or(invalid)?;
        put(slots.body, field::FIRST_CHILD, first_child.0.to_le_bytes());
        Ok(InnerMut { slots, id })
    }

    /// The inner page that the page is.
    ///
    /// # Errors
    /// As [`InnerView::new`].
    pub(crate) fn new(body: &'a mut [u8], id: PageId) -> Result<InnerMut<'a>> {
        match SlotsMut::new(body, &INNER) {
            Ok(slots) => Ok(InnerMut { slots, id }),
            Err(damage) => Err(Error::corrupt(id, damage)),
        }
    }

    /// The page, to read.
    pub(crate) fn view(&self) -> InnerView<'_> {
        // The header lies in the body: the alternative does not happen.
        let view = InnerView::with(self.slots.body, &self.slots.header, self.id);
        view.unwrap_or(InnerView::empty(self.id))
    }

    /// After child `i` was split: inserts `separator` as separator `i` and `right` as child `i + 1`.
    ///
    /// # Errors
    /// `KeyTooLong`; `Layout`: no child `i`, or the page is damaged.
    pub(crate) fn insert(&mut self, i: usize, separator: Key<'_>, right: PageId) -> Result<Fit> {
        let view = self.view();
        if i > view.count() {
            return Err(damaged(self.id));
        }
        let room = self.prepare(1, separator)?;
        let Some(rest) = room else {
            return InnerContent::of(self.view()).insert(i, separator, right).fit();
        };
        self.slots.open_slot(i).ok_or(damaged(self.id))?;
        self.slots.set(CHILDREN, i, right.0.to_le_bytes());
        write_separator(&mut self.slots, i, rest).ok_or(damaged(self.id))?;
        self.slots.store();
        Ok(Fit::Done)
    }

    /// Makes `page` child `i`, from 0 to `count`.
    ///
    /// # Errors
    /// `Layout`: no such child.
    pub(crate) fn set_child(&mut self, i: usize, page: PageId) -> Result<()> {
        let bytes = page.0.to_le_bytes();
        match i.checked_sub(1) {
            None => put(self.slots.body, field::FIRST_CHILD, bytes),
            Some(slot) if slot < self.slots.header.count => self.slots.set(CHILDREN, slot, bytes),
            Some(_) => return Err(damaged(self.id)),
        }
        Ok(())
    }

    /// Replaces separator `i`.
    ///
    /// # Errors
    /// As [`insert`](InnerMut::insert).
    pub(crate) fn set_separator(&mut self, i: usize, separator: Key<'_>) -> Result<Fit> {
        let (_, old_len) = self.view().cell_place(i)?;
        let Some(rest) = self.prepare(0, separator)? else {
            return InnerContent::of(self.view()).set_separator(i, separator).fit();
        };
        write_separator(&mut self.slots, i, rest).ok_or(damaged(self.id))?;
        self.slots.add_garbage(old_len);
        self.slots.store();
        Ok(Fit::Done)
    }

    /// Removes separator `i` and child `child`, which is `i` or `i + 1`.
    ///
    /// # Errors
    /// `Layout`: no such separator, `child` is not beside it, or its cell leaves the page.
    pub(crate) fn remove(&mut self, i: usize, child: usize) -> Result<()> {
        let (at, len) = self.view().cell_place(i)?;
        let right = self.view().child(i + 1)?;
        if child == i {
            // The slot that goes holds the right child: it takes the left one's place.
            self.set_child(i, right)?;
        } else if child != i + 1 {
            return Err(damaged(self.id));
        }
        self.slots.close_slot(i).ok_or(damaged(self.id))?;
        self.slots.release(at, len);
        self.slots.store();
        Ok(())
    }

    /// Makes room for `slots` more slots and the separator's cell. What follows the prefix in it;
    /// `None` where it does not start with the prefix, or there is no room.
    fn prepare<'k>(&mut self, slots: usize, separator: Key<'k>) -> Result<Option<Key<'k>>> {
        let limit_bytes = max_key_len(self.slots.body.len() + OWNED_BYTES);
        if separator.len() > limit_bytes {
            return Err(Error::KeyTooLong { limit_bytes });
        }
        let prefix = self.view().prefix();
        if !separator.starts_with(prefix) {
            return Ok(None);
        }
        let rest = without(separator, prefix.len());
        Ok(self.slots.make_room(slots, cell_bytes(rest.len())).then_some(rest))
    }
}

/// Writes head, offset and cell of separator `i`, for which there is room; `rest` is what follows
/// the prefix.
pub(super) fn write_separator(slots: &mut SlotsMut<'_>, i: usize, rest: Key<'_>) -> Option<()> {
    let offset = if rest.len() <= HEAD_BYTES {
        stored(rest.len())
    } else {
        let at = slots.allocate(CELL_HEADER_BYTES + rest.len())?;
        let place = write_parts(slots.body.get_mut(at..)?, [&stored(rest.len())])?;
        write_parts(place, rest.parts())?;
        stored_offset(at)
    };
    slots.set(HEADS, i, head_of(rest).to_le_bytes());
    slots.set(OFFSETS, i, offset);
    Some(())
}
