//! Changing a leaf of cells in place.

use super::cells::{
    CELL_HEADER_BYTES, CellPlace, CellsView, OFFSETS, RUN_BYTES, RUN_MARK, run_bytes,
};
use super::layout::{behind_prefix, damaged, stored};
use super::search;
use super::slots::{SlotsMut, move_bytes, stored_offset, write_parts};
use super::tags::Tags;
use super::{Fit, LeafContent, LeafView, max_inline_value, max_key_len};
use crate::error::{Error, Result};
use core::marker::PhantomData;
use mapleaf_pager::{OWNED_BYTES, PageId};

/// A value to store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NewValue<'v> {
    /// In the leaf; at most [`max_inline_value`](super::max_inline_value) bytes.
    Inline(&'v [u8]),
    /// Room for so many bytes in the leaf, to be written through [`CellsMut::value_mut`].
    Reserved(usize),
    /// In a run of pages.
    Run {
        /// First page of the run.
        page: PageId,
        /// Length of the value.
        len_bytes: u64,
    },
}

impl NewValue<'_> {
    /// Bytes the value takes in its cell.
    pub(super) const fn stored_bytes(&self) -> usize {
        match *self {
            NewValue::Inline(bytes) => bytes.len(),
            NewValue::Reserved(len) => len,
            NewValue::Run { .. } => RUN_BYTES,
        }
    }

    /// The cell's value_len.
    fn mark(&self) -> [u8; 2] {
        match *self {
            NewValue::Run { .. } => RUN_MARK.to_le_bytes(),
            NewValue::Inline(_) | NewValue::Reserved(_) => stored(self.stored_bytes()),
        }
    }

    /// Writes the value at the start of `place`.
    fn write(&self, place: &mut [u8]) -> Option<()> {
        match *self {
            NewValue::Inline(bytes) => write_parts(place, [bytes]).map(drop),
            NewValue::Reserved(_) => Some(()),
            NewValue::Run { page, len_bytes } => {
                write_parts(place, [&run_bytes(page, len_bytes)]).map(drop)
            }
        }
    }

    /// Writes a cell of this value, with the key (behind the page's prefix) in parts.
    pub(super) fn write_cell(&self, place: &mut [u8], key: [&[u8]; 3]) -> Option<()> {
        let key_len = key.iter().map(|part| part.len()).sum();
        let lens = [stored(key_len), self.mark()];
        let place = write_parts(place, [lens.as_flattened()])?;
        self.write(write_parts(place, key)?)
    }
}

/// A leaf that may be written.
pub(crate) struct CellsMut<'a, A: Tags> {
    slots: SlotsMut<'a>,
    id: PageId,
    tags: PhantomData<A>,
}

impl<'a, A: Tags> CellsMut<'a, A>
where
    for<'b> LeafView<'b>: From<CellsView<'b, A>>,
{
    /// Makes the page an empty leaf for keys that start with `prefix`.
    ///
    /// # Errors
    /// `InvalidArgument`: the prefix is longer than a key may be.
    pub(crate) fn init(body: &'a mut [u8], id: PageId, prefix: &[u8]) -> Result<CellsMut<'a, A>> {
        if prefix.len() > max_key_len(body.len() + OWNED_BYTES) {
            return Err(invalid());
        }
        let slots = SlotsMut::init(body, A::SHAPE, [prefix, &[], &[]], 0).ok_or(invalid())?;
        Ok(CellsMut { slots, id, tags: PhantomData })
    }

    /// The leaf that the page is.
    ///
    /// # Errors
    /// As [`CellsView::new`].
    pub(crate) fn new(body: &'a mut [u8], id: PageId) -> Result<CellsMut<'a, A>> {
        match SlotsMut::new(body, A::SHAPE) {
            Ok(slots) => Ok(CellsMut { slots, id, tags: PhantomData }),
            Err(damage) => Err(Error::corrupt(id, damage)),
        }
    }

    /// The leaf, to read.
    pub(crate) fn view(&self) -> CellsView<'_, A> {
        // The header lies in the body: the alternative does not happen.
        let view = CellsView::with(self.slots.body, &self.slots.header, self.id);
        view.unwrap_or(CellsView::empty(self.id))
    }

    /// Inserts an entry before entry `i`, where the keys' order wants it (see
    /// [`CellsView::lower_bound`]; `i == count` appends).
    ///
    /// # Errors
    /// `KeyTooLong`; `InvalidArgument`: a value too long to be inline, or no such place; `Layout`.
    pub(crate) fn insert_at(&mut self, i: usize, key: &[u8], value: NewValue<'_>) -> Result<Fit> {
        let limit_bytes = max_key_len(self.page_size());
        if key.len() > limit_bytes {
            return Err(Error::KeyTooLong { limit_bytes });
        }
        self.check_value(key.len(), value)?;
        let view = self.view();
        if i > view.count() {
            return Err(invalid());
        }
        let Some(rest) = key.strip_prefix(view.prefix()) else {
            return LeafContent::of(view).insert(i, key, value).fit();
        };
        let cell = CELL_HEADER_BYTES + rest.len() + value.stored_bytes();
        if !self.slots.make_room(1, cell) {
            return LeafContent::of(self.view()).insert(i, key, value).fit();
        }
        self.write_entry(i, A::tag(key, rest), rest, value, cell).ok_or(damaged(self.id))?;
        Ok(Fit::Done)
    }

    /// Inserts an entry behind the last where its key is above that, starts with the page's prefix, and there
    /// is room: whether it did. Else nothing changed, and [`insert_at`](CellsMut::insert_at) says why.
    ///
    /// # Errors
    /// `Layout`.
    #[inline]
    pub(crate) fn append(&mut self, key: &[u8], value: &[u8]) -> Result<bool> {
        let Some(rest) = behind_all(&self.view(), key) else { return Ok(false) };
        let cell = CELL_HEADER_BYTES + rest.len() + value.len();
        if key.len() > max_key_len(self.page_size())
            || value.len() > max_inline_value(self.page_size(), key.len())
            || !self.slots.make_room(1, cell)
        {
            return Ok(false);
        }
        self.write_last(A::tag(key, rest), rest, value, cell).ok_or(damaged(self.id))?;
        Ok(true)
    }

    #[inline]
    fn write_last(&mut self, tag: u32, rest: &[u8], value: &[u8], cell: usize) -> Option<()> {
        let slots = &mut self.slots;
        let at = slots.allocate(cell)?;
        let (lens, place) =
            slots.body.get_mut(at..)?.split_first_chunk_mut::<CELL_HEADER_BYTES>()?;
        let ([k0, k1], [v0, v1]) = (stored(rest.len()), stored(value.len()));
        *lens = [k0, k1, v0, v1];
        let (key, place) = place.split_at_mut_checked(rest.len())?;
        key.copy_from_slice(rest);
        place.get_mut(..value.len())?.copy_from_slice(value);
        let last = slots.header.count;
        slots.open_slot(last)?;
        A::store(slots, last, tag);
        slots.set(OFFSETS, last, stored_offset(at));
        slots.store();
        Some(())
    }

    fn write_entry(
        &mut self,
        i: usize,
        tag: u32,
        rest: &[u8],
        value: NewValue<'_>,
        cell: usize,
    ) -> Option<()> {
        let slots = &mut self.slots;
        let at = slots.allocate(cell)?;
        value.write_cell(slots.body.get_mut(at..)?, [rest, &[], &[]])?;
        slots.open_slot(i)?;
        A::store(slots, i, tag);
        slots.set(OFFSETS, i, stored_offset(at));
        slots.store();
        Some(())
    }

    /// Gives entry `i` another value. (A run it held before is the caller's to free.)
    ///
    /// # Errors
    /// As [`insert_at`](CellsMut::insert_at).
    pub(crate) fn replace_at(&mut self, i: usize, value: NewValue<'_>) -> Result<Fit> {
        let view = self.view();
        let place = view.place(i)?;
        self.check_value(view.prefix().len() + place.key_len, value)?;
        if value.stored_bytes() <= place.value_bytes {
            self.overwrite(place, value).ok_or(damaged(self.id))?;
            return Ok(Fit::Done);
        }
        if !self.slots.make_room(0, CELL_HEADER_BYTES + place.key_len + value.stored_bytes()) {
            return LeafContent::of(self.view()).replace(i, value)?.fit();
        }
        self.move_entry(i, place, value).ok_or(damaged(self.id))?;
        Ok(Fit::Done)
    }

    /// Writes a value that takes no more bytes than the one before.
    fn overwrite(&mut self, place: CellPlace, value: NewValue<'_>) -> Option<()> {
        let slots = &mut self.slots;
        let (_, mark) = slots.body.get_mut(place.at..)?.split_at_mut_checked(2)?;
        write_parts(mark, [&value.mark()])?;
        value.write(slots.body.get_mut(place.value_at()..)?)?;
        slots.add_garbage(place.value_bytes - value.stored_bytes());
        slots.store();
        Some(())
    }

    /// Gives entry `i`, whose cell was at `old`, a new cell with this value.
    fn move_entry(&mut self, i: usize, old: CellPlace, value: NewValue<'_>) -> Option<()> {
        let slots = &mut self.slots;
        let key_bytes = CELL_HEADER_BYTES + old.key_len;
        let at = slots.allocate(key_bytes + value.stored_bytes())?;
        // A damaged page's cell may overlap the new one; then the key is nonsense as it was before.
        move_bytes(slots.body, old.at, old.at + key_bytes, at)?;
        let (_, mark) = slots.body.get_mut(at..)?.split_at_mut_checked(2)?;
        write_parts(mark, [&value.mark()])?;
        value.write(slots.body.get_mut(at + key_bytes..)?)?;
        slots.set(OFFSETS, i, stored_offset(at));
        slots.add_garbage(old.len());
        slots.store();
        Some(())
    }

    /// Removes entry `i`. (A run it held is the caller's to free.)
    ///
    /// # Errors
    /// `Layout`: its cell leaves the page, or there is no such entry.
    pub(crate) fn remove_at(&mut self, i: usize) -> Result<()> {
        let place = self.view().place(i)?;
        self.slots.close_slot(i).ok_or(damaged(self.id))?;
        self.slots.release(place.at, place.len());
        self.slots.store();
        Ok(())
    }

    /// The inline value of entry `i`, to be written.
    ///
    /// # Errors
    /// `Layout` as for `remove_at`, and where the value lies in a run.
    pub(crate) fn value_mut(self, i: usize) -> Result<&'a mut [u8]> {
        let place = self.view().place(i)?;
        let id = self.id;
        if place.is_run {
            return Err(damaged(id));
        }
        let bytes = self.slots.body.get_mut(place.value_at()..);
        bytes.and_then(|bytes| bytes.get_mut(..place.value_bytes)).ok_or(damaged(id))
    }

    fn page_size(&self) -> usize {
        self.slots.body.len() + OWNED_BYTES
    }

    /// That the value is one a leaf holds beside a key of `key_len` bytes.
    fn check_value(&self, key_len: usize, value: NewValue<'_>) -> Result<()> {
        let fits = match value {
            NewValue::Run { page, .. } => !page.is_none(),
            NewValue::Inline(_) | NewValue::Reserved(_) => {
                value.stored_bytes() <= max_inline_value(self.page_size(), key_len)
            }
        };
        if fits { Ok(()) } else { Err(invalid()) }
    }
}

/// What follows the page's prefix in `key`, which is above all keys of the page; else `None`.
#[inline]
fn behind_all<'k, A: Tags>(leaf: &CellsView<'_, A>, key: &'k [u8]) -> Option<&'k [u8]> {
    let rest = behind_prefix(leaf.prefix(), key).ok()?;
    match leaf.count().checked_sub(1) {
        Some(last) if search::cmp_stored(leaf.suffix(last)?, rest).is_ge() => None,
        _ => Some(rest),
    }
}

/// What the caller asked for makes no sense.
const fn invalid() -> Error {
    Error::Pager(mapleaf_pager::Error::InvalidArgument)
}
