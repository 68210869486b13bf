//! The table of the trees that are open in a write transaction.
//!
//! While a tree is open its record lives here, and goes back to the catalog before a commit, a
//! savepoint or a listing. Names lie in one arena beside the slots, so that the table stays small.

use crate::edit::{Editor, Hint};
use crate::error::{Error, Result};
use crate::redo::TreeLog;
use crate::writer::{TREES_MAX, TreeHandle};
use crate::{NAME_BYTES_MAX, TreeMut, TreeRecord};
use mapleaf_pager::WriteTxn;

/// Bytes for the names of all open trees together.
const NAMES_BYTES: usize = if cfg!(feature = "large") { 16 } else { 1 } * (NAME_BYTES_MAX + 1);

/// An open tree, or the place for one.
#[derive(Clone, Copy)]
struct Slot {
    open: bool,
    /// The table's clock when it was opened: what a handle must name.
    generation: u32,
    /// The table's clock when the tree got its name in this transaction, at the latest; 0 where it had it
    /// before.
    named: u32,
    name_at: u16,
    name_len: u8,
    /// The record may differ from the catalog's.
    dirty: bool,
    /// The log knows which tree the slot means.
    bound: bool,
    /// Somebody has a handle of it.
    lent: bool,
    record: TreeRecord,
}

/// The open trees of one write transaction, or room for them: some KiB. A [`Writer`](crate::Writer) has one of its
/// own unless it is [given one](crate::Writer::with_table), which others can have after it.
pub struct OpenTrees {
    slots: heapless::Vec<Slot, TREES_MAX>,
    names: heapless::Vec<u8, NAMES_BYTES>,
    /// Tells the handles of one writer from those of another.
    writer: u32,
    /// Counts what must be told apart: openings, namings, savepoints.
    clock: u32,
    /// The clock when a tree, open or not, got its name last.
    named_last: u32,
    /// Where the last insertion was.
    hint: Hint,
}

impl OpenTrees {
    /// No tree. Does not allocate.
    #[must_use]
    pub const fn new() -> OpenTrees {
        OpenTrees {
            slots: heapless::Vec::new(),
            names: heapless::Vec::new(),
            writer: 0,
            clock: 0,
            named_last: 0,
            hint: Hint::new(),
        }
    }

    /// Forgets all, for a writer of that number.
    pub(crate) fn clear(&mut self, writer: u32) {
        self.slots.clear();
        self.names.clear();
        (self.writer, self.clock, self.named_last) = (writer, 0, 0);
        self.hint.forget();
    }

    /// A number larger than all before.
    ///
    /// # Errors
    /// [`Error::TooManyTrees`]: 2^32 were used.
    pub(crate) fn tick(&mut self) -> Result<u32> {
        self.clock = self.clock.checked_add(1).ok_or(Error::TooManyTrees)?;
        Ok(self.clock)
    }

    /// Slots in use or closed.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    fn at(&self, slot: usize) -> Option<&Slot> {
        self.slots.get(slot).filter(|slot| slot.open)
    }

    fn at_mut(&mut self, slot: usize) -> Option<&mut Slot> {
        self.slots.get_mut(slot).filter(|slot| slot.open)
    }

    /// The slot of an open tree.
    pub(crate) fn find(&self, name: &[u8]) -> Option<usize> {
        (0..self.len()).find(|slot| self.name(*slot) == Some(name))
    }

    /// The slot that a handle names.
    ///
    /// # Errors
    /// [`Error::NoSuchTree`]: it was closed since, or the handle is of another transaction.
    pub(crate) fn slot(&self, tree: TreeHandle) -> Result<usize> {
        let slot = tree.slot();
        let mine = tree.is_of(self.writer);
        match self.at(slot) {
            Some(open) if mine && open.generation == tree.generation => Ok(slot),
            _ => Err(Error::NoSuchTree),
        }
    }

    /// The handle of the tree in a slot; `None` where it is closed.
    pub(crate) fn handle(&self, slot: usize) -> Option<TreeHandle> {
        let generation = self.at(slot)?.generation;
        Some(TreeHandle::new(self.writer, u8::try_from(slot).ok()?, generation))
    }

    /// Notes whether somebody has a handle of the tree in a slot.
    pub(crate) fn set_lent(&mut self, slot: usize, lent: bool) {
        if let Some(open) = self.at_mut(slot) {
            open.lent = lent;
        }
    }

    /// Of the trees that nobody has a handle of, the one that was opened first.
    pub(crate) fn oldest_unlent(&self) -> Option<usize> {
        let mut oldest = None;
        for (at, slot) in self.slots.iter().enumerate() {
            if slot.open && !slot.lent && oldest.is_none_or(|(_, other)| slot.generation < other) {
                oldest = Some((at, slot.generation));
            }
        }
        oldest.map(|(at, _)| at)
    }

    /// The name of the tree in a slot; `None` where it is closed.
    pub(crate) fn name(&self, slot: usize) -> Option<&[u8]> {
        let open = self.at(slot)?;
        name_in(&self.names, open)
    }

    /// The record of the tree in a slot; `None` where it is closed.
    pub(crate) fn record(&self, slot: usize) -> Option<TreeRecord> {
        self.at(slot).map(|open| open.record)
    }

    /// The record where it may differ from the catalog's.
    pub(crate) fn dirty_record(&self, slot: usize) -> Option<TreeRecord> {
        self.at(slot).filter(|open| open.dirty).map(|open| open.record)
    }

    /// Replaces a record by what the catalog says.
    pub(crate) fn set_record(&mut self, slot: usize, record: TreeRecord) {
        if let Some(open) = self.at_mut(slot) {
            (open.record, open.dirty) = (record, false);
        }
    }

    /// Notes that the catalog has the record.
    pub(crate) fn set_clean(&mut self, slot: usize) {
        if let Some(open) = self.at_mut(slot) {
            open.dirty = false;
        }
    }

    /// When the tree in a slot got its name in this transaction; 0 where it had it before.
    pub(crate) fn named(&self, slot: usize) -> u32 {
        self.at(slot).map_or(0, |open| open.named)
    }

    /// Makes sure that a tree of this name can be opened, or that an open one can have it instead of another.
    ///
    /// # Errors
    /// [`Error::TooManyTrees`].
    pub(crate) fn room_for(&self, name: &[u8], instead_of: Option<&[u8]>) -> Result<()> {
        let all_open = || self.slots.iter().all(|slot| slot.open);
        let slot = instead_of.is_some() || self.slots.len() < TREES_MAX || !all_open();
        let kept = self.names.len() - instead_of.map_or(0, <[u8]>::len);
        if slot && NAMES_BYTES - kept >= name.len() { Ok(()) } else { Err(Error::TooManyTrees) }
    }

    /// Opens a tree in any slot; one that [has room](OpenTrees::room_for).
    ///
    /// # Errors
    /// [`Error::TooManyTrees`].
    pub(crate) fn open(&mut self, name: &[u8], record: TreeRecord) -> Result<TreeHandle> {
        let generation = self.tick()?;
        let (name_at, name_len) = self.add_name(name)?;
        let opened = Slot {
            open: true,
            generation,
            // When its tree got this name is not known; not after this.
            named: self.named_last,
            name_at,
            name_len,
            dirty: false,
            bound: false,
            lent: true,
            record,
        };
        let slot = match self.slots.iter().position(|slot| !slot.open) {
            Some(slot) => slot,
            None => {
                self.slots.push(opened).map_err(|_| Error::TooManyTrees)?;
                self.len() - 1
            }
        };
        if let Some(place) = self.slots.get_mut(slot) {
            *place = opened;
        }
        self.handle(slot).ok_or(Error::TooManyTrees)
    }

    fn add_name(&mut self, name: &[u8]) -> Result<(u16, u8)> {
        let at = u16::try_from(self.names.len()).map_err(|_| Error::TooManyTrees)?;
        let len = u8::try_from(name.len()).map_err(|_| Error::TooManyTrees)?;
        self.names.extend_from_slice(name).map_err(|_| Error::TooManyTrees)?;
        Ok((at, len))
    }

    fn drop_name(&mut self, at: u16, len: u8) {
        let (start, end) = (usize::from(at), usize::from(at) + usize::from(len));
        if end > self.names.len() {
            return;
        }
        self.names.copy_within(end.., start);
        self.names.truncate(self.names.len() - usize::from(len));
        for slot in self.slots.iter_mut().filter(|slot| slot.name_at > at) {
            slot.name_at -= u16::from(len);
        }
    }

    /// Closes a slot: its handles are stale from here on.
    pub(crate) fn close(&mut self, slot: usize) {
        if let Some(open) = self.at_mut(slot) {
            open.open = false;
            let (at, len) = (open.name_at, open.name_len);
            self.drop_name(at, len);
            self.hint.forget();
        }
    }

    /// Notes that the tree in a slot has its name from now on.
    ///
    /// # Errors
    /// As [`tick`](OpenTrees::tick).
    pub(crate) fn set_named(&mut self, slot: usize) -> Result<()> {
        let now = self.name_closed()?;
        if let Some(open) = self.at_mut(slot) {
            open.named = now;
        }
        Ok(())
    }

    /// Notes that a tree that is not open has its name from now on; the clock.
    ///
    /// # Errors
    /// As [`tick`](OpenTrees::tick).
    pub(crate) fn name_closed(&mut self) -> Result<u32> {
        self.named_last = self.tick()?;
        Ok(self.named_last)
    }

    /// The clock when a tree got its name last.
    pub(crate) fn named_last(&self) -> u32 {
        self.named_last
    }

    /// Takes namings back.
    pub(crate) fn set_named_last(&mut self, named_last: u32) {
        self.named_last = named_last;
    }

    /// Gives the tree in a slot another name, for which there is room; its handles stay.
    ///
    /// # Errors
    /// [`Error::TooManyTrees`].
    pub(crate) fn rename(&mut self, slot: usize, name: &[u8]) -> Result<()> {
        let Some(open) = self.at(slot).copied() else { return Err(Error::NoSuchTree) };
        self.set_named(slot)?;
        self.drop_name(open.name_at, open.name_len);
        let (name_at, name_len) = self.add_name(name)?;
        if let Some(open) = self.at_mut(slot) {
            (open.name_at, open.name_len) = (name_at, name_len);
            // The log has to be told anew.
            open.bound = false;
        }
        Ok(())
    }

    /// Forgets what the log was told of slots, and the last insertion's place: a rollback took that
    /// back.
    pub(crate) fn forget_told(&mut self) {
        self.hint.forget();
        for slot in &mut self.slots {
            slot.bound = false;
        }
    }

    /// The tree in a slot, to be changed; logged unless `silent`.
    ///
    /// # Errors
    /// [`Error::NoSuchTree`]: the slot is closed.
    pub(crate) fn edit<'t, 's>(
        &'t mut self,
        slot: usize,
        txn: &'t mut WriteTxn<'s>,
        silent: bool,
    ) -> Result<Editor<'t, 's>> {
        let number = u8::try_from(slot).map_err(|_| Error::NoSuchTree)?;
        let open = self.slots.get_mut(slot).filter(|slot| slot.open).ok_or(Error::NoSuchTree)?;
        let name = name_in(&self.names, open).ok_or(Error::NoSuchTree)?;
        open.dirty = true;
        let log = TreeLog { slot: number, name, bound: &mut open.bound };
        if self.hint.slot != slot {
            self.hint.forget();
            self.hint.slot = slot;
        }
        let log = (!silent).then_some(log);
        Ok(Editor { txn, record: &mut open.record, log, hint: Some(&mut self.hint) })
    }

    /// As [`edit`](OpenTrees::edit), for the caller.
    pub(crate) fn tree_mut<'t, 's>(
        &'t mut self,
        slot: usize,
        txn: &'t mut WriteTxn<'s>,
        silent: bool,
    ) -> Result<TreeMut<'t, 's>> {
        self.edit(slot, txn, silent).map(TreeMut::new)
    }
}

impl Default for OpenTrees {
    fn default() -> OpenTrees {
        OpenTrees::new()
    }
}

impl core::fmt::Debug for OpenTrees {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("OpenTrees").field("slots", &self.len()).finish_non_exhaustive()
    }
}

fn name_in<'n>(names: &'n [u8], slot: &Slot) -> Option<&'n [u8]> {
    let at = usize::from(slot.name_at);
    names.get(at..at + usize::from(slot.name_len))
}
