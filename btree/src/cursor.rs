//! A place in a tree that can move both ways.

use crate::error::{Error, Result};
use crate::key::Key;
use crate::node::{LeafView, Value};
use crate::place::{At, Place};
use crate::tree::{bytes_of, entry_of};
use crate::{Entry, Tree};
use mapleaf_pager::Pages;

/// Entries that are asked for before they are looked at.
const AHEAD: usize = 4;
/// Runs of large values, which are asked for when their entries have come.
const RUNS_AHEAD: usize = 3;

/// A place in a tree. A new cursor is at no entry: `next` goes to the first, `prev` to the last.
/// Past an end it is at no entry either, and the way back leads to the entry at that end. After a
/// `seek` that found nothing it is between the entries around the key.
///
/// A move within a leaf touches that leaf only; one to the next leaf costs O(1) pages on average, a
/// seek the tree's height. Nothing allocates. The errors are those of damage, as for [`Tree`];
/// after an error the cursor is as new. One of a tree that is read [without
/// waiting](Tree::without_waiting) stays where it was when `next` or `prev` would block.
#[derive(Clone)]
pub struct Cursor<'a, P: Pages<'a>> {
    tree: Tree<'a, P>,
    place: Place,
    /// The leaf of the entry here.
    leaf: Option<LeafView<'a>>,
}

impl<'a, P: Pages<'a>> Cursor<'a, P> {
    pub(crate) fn new(tree: Tree<'a, P>) -> Cursor<'a, P> {
        Cursor { tree, place: Place::new(), leaf: None }
    }

    /// Moves as `step` says; it returns the leaf of the entry it came to.
    pub(crate) fn moved(
        &mut self,
        step: impl FnOnce(&mut Place) -> Result<Option<LeafView<'a>>>,
    ) -> Result<()> {
        self.leaf = None;
        self.leaf = step(&mut self.place)?;
        Ok(())
    }

    /// Makes a step that is taken back where it would have to wait, so that it can be repeated.
    fn unless_blocked<T>(&mut self, step: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if P::WAITS {
            return step(self);
        }
        let before = self.clone();
        let done = step(self);
        if done.as_ref().is_err_and(Error::would_block) {
            *self = before;
        }
        done
    }

    /// Whether both are at the same entry of the same tree.
    pub(crate) fn is_at(&self, other: &Cursor<'a, P>) -> bool {
        self.place.entry() == other.place.entry()
    }

    /// Goes to `key` if it is in the tree, else to no entry: between those around it.
    ///
    /// # Errors
    /// Damage.
    pub fn seek(&mut self, key: &[u8]) -> Result<Option<Entry<'a>>> {
        let tree = self.tree;
        self.moved(|place| place.seek(tree.pages, &tree.record, key))?;
        self.current()
    }

    /// Goes to `key`, or else to the next larger key.
    ///
    /// # Errors
    /// Damage.
    pub fn seek_at_or_after(&mut self, key: &[u8]) -> Result<Option<Entry<'a>>> {
        match self.seek(key)? {
            None => self.next(),
            here => Ok(here),
        }
    }

    /// Goes to `key`, or else to the next smaller key.
    ///
    /// # Errors
    /// Damage.
    pub fn seek_at_or_before(&mut self, key: &[u8]) -> Result<Option<Entry<'a>>> {
        match self.seek(key)? {
            None => self.prev(),
            here => Ok(here),
        }
    }

    /// Goes to the first entry.
    ///
    /// # Errors
    /// Damage.
    pub fn first(&mut self) -> Result<Option<Entry<'a>>> {
        let tree = self.tree;
        self.moved(|place| place.first(tree.pages, &tree.record))?;
        self.current()
    }

    /// Goes to the last entry.
    ///
    /// # Errors
    /// Damage.
    pub fn last(&mut self) -> Result<Option<Entry<'a>>> {
        let tree = self.tree;
        self.moved(|place| place.last(tree.pages, &tree.record))?;
        self.current()
    }

    /// Goes to the next entry.
    ///
    /// # Errors
    /// Damage.
    #[allow(clippy::should_implement_trait)] // Both ways, with errors: not an iterator.
    #[inline]
    pub fn next(&mut self) -> Result<Option<Entry<'a>>> {
        self.unless_blocked(|cursor| {
            cursor.advance()?;
            cursor.current_forwards()
        })
    }

    /// Goes to the next entry, without reading it.
    #[inline]
    pub(crate) fn advance(&mut self) -> Result<()> {
        self.leaf_present()?;
        if let (Some(step), Some(leaf)) = (self.place.entry(), &self.leaf)
            && step.index() + 1 < leaf.count()
        {
            leaf.prefetch_entry(step.index() + 1 + AHEAD);
            self.place.path.set_entry(step.index() + 1);
            return Ok(());
        }
        let tree = self.tree;
        self.unless_blocked(|c| c.moved(|place| place.next(tree.pages, &tree.record)))?;
        if let Some(leaf) = &self.leaf {
            (0..=AHEAD).for_each(|i| leaf.prefetch_entry(i));
        }
        Ok(())
    }

    /// Goes to the entry before.
    ///
    /// # Errors
    /// Damage.
    #[inline]
    pub fn prev(&mut self) -> Result<Option<Entry<'a>>> {
        self.unless_blocked(|cursor| {
            cursor.retreat()?;
            cursor.current_backwards()
        })
    }

    /// Goes to the entry before, without reading it.
    #[inline]
    pub(crate) fn retreat(&mut self) -> Result<()> {
        if let (Some(step), Some(leaf)) = (self.place.entry(), &self.leaf)
            && step.index() > 0
        {
            leaf.prefetch_entry((step.index() - 1).wrapping_sub(AHEAD));
            self.place.path.set_entry(step.index() - 1);
            return Ok(());
        }
        let tree = self.tree;
        self.unless_blocked(|c| c.moved(|place| place.prev(tree.pages, &tree.record)))?;
        if let Some((leaf, here)) = self.here() {
            (here.saturating_sub(AHEAD)..=here).for_each(|i| leaf.prefetch_entry(i));
        }
        Ok(())
    }

    /// The leaf here may have been dropped from memory since the cursor came to it. Nothing to ask where
    /// that may be waited for.
    ///
    /// # Errors
    /// `WouldBlock`.
    #[inline]
    fn leaf_present(&self) -> Result<()> {
        if !P::WAITS
            && let Some(step) = self.place.entry()
        {
            self.tree.pages.page(step.page)?;
        }
        Ok(())
    }

    /// The leaf here, and the entry's index in it.
    #[inline]
    fn here(&self) -> Option<(&LeafView<'a>, usize)> {
        debug_assert_eq!(self.leaf.is_some(), self.place.at == At::Entry);
        Some((self.leaf.as_ref()?, self.place.entry()?.index()))
    }

    /// The entry here.
    ///
    /// # Errors
    /// Damage.
    #[inline]
    pub fn current(&self) -> Result<Option<Entry<'a>>> {
        self.leaf_present()?;
        self.here().map(|(leaf, i)| entry_of(self.tree.pages, leaf, i)).transpose()
    }

    /// The entry here, on the way to those behind it.
    ///
    /// # Errors
    /// Damage.
    #[inline]
    pub(crate) fn current_forwards(&self) -> Result<Option<Entry<'a>>> {
        self.current_before(|i| i + RUNS_AHEAD)
    }

    /// The entry here, on the way to those before it.
    ///
    /// # Errors
    /// Damage.
    #[inline]
    pub(crate) fn current_backwards(&self) -> Result<Option<Entry<'a>>> {
        self.current_before(|i| i.wrapping_sub(RUNS_AHEAD))
    }

    /// The entry here. A large value lies in a run of pages of its own, which is waited for: where this is one, the run
    /// of the entry that is `soon` come to is asked for meanwhile, if there is such an entry in this leaf.
    #[inline]
    fn current_before(&self, soon: impl FnOnce(usize) -> usize) -> Result<Option<Entry<'a>>> {
        self.leaf_present()?;
        let Some((leaf, i)) = self.here() else { return Ok(None) };
        let (key, value) = leaf.entry(i)?;
        if let Value::Run { .. } = value {
            self.ask_for_run(leaf, soon(i));
        }
        Ok(Some((key, bytes_of(self.tree.pages, value)?)))
    }

    /// Asks for the first line of a value's run, if entry `i` has one. What is wrong with it is said to whoever reads it.
    #[inline]
    fn ask_for_run(&self, leaf: &LeafView<'a>, i: usize) {
        if i < leaf.count()
            && let Ok(Value::Run { page, .. }) = leaf.value(i)
        {
            self.tree.pages.prefetch(page, 0, 1);
        }
    }

    /// The key here.
    ///
    /// # Errors
    /// Damage.
    pub fn key(&self) -> Result<Option<Key<'a>>> {
        self.leaf_present()?;
        self.here().map(|(leaf, i)| leaf.key(i)).transpose()
    }

    /// The value here.
    ///
    /// # Errors
    /// Damage.
    pub fn value(&self) -> Result<Option<&'a [u8]>> {
        self.leaf_present()?;
        let value = self.here().map(|(leaf, i)| leaf.value(i)).transpose()?;
        value.map(|value| bytes_of(self.tree.pages, value)).transpose()
    }

    /// The steps to here, for comparing places.
    pub(crate) fn place(&self) -> &Place {
        &self.place
    }
}
