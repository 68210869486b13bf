//! Inserting and replacing.

use super::{Editor, Run};
use crate::error::{Error, Result};
use crate::node::{Fit, LeafContent, LeafMut, LeafView, NewValue, Value, max_inline_value};
use crate::path::leaf;
use crate::place::{At, Place};
use mapleaf_pager::{Damage, PageId, Pages, Part};

/// A value to be stored.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source<'v> {
    /// These bytes.
    Bytes(&'v [u8]),
    /// So many bytes, written after room was made for them.
    Room(usize),
}

impl Source<'_> {
    fn len(&self) -> usize {
        match *self {
            Source::Bytes(bytes) => bytes.len(),
            Source::Room(len) => len,
        }
    }
}

/// A change of one leaf: an entry inserted, or (without a key) given another value.
#[derive(Clone, Copy)]
pub(super) struct Change<'v> {
    pub(super) key: Option<&'v [u8]>,
    pub(super) value: NewValue<'v>,
}

impl<'v> Change<'v> {
    /// What the leaf will hold, the change being at entry `i`.
    pub(super) fn content(&self, leaf: LeafView<'v>, i: usize) -> Result<LeafContent<'v>> {
        match self.key {
            Some(key) => Ok(LeafContent::of(leaf).insert(i, key, self.value)),
            None => LeafContent::of(leaf).replace(i, self.value),
        }
    }

    pub(super) fn apply(&self, leaf: &mut LeafMut<'_>, i: usize) -> Result<Fit> {
        match self.key {
            Some(key) => leaf.insert_at(i, key, self.value),
            None => leaf.replace_at(i, self.value),
        }
    }
}

/// The entry that a place is at, before it changes.
struct Old {
    key_len: usize,
    run: Option<Run>,
}

impl Editor<'_, '_> {
    /// Stores a value at the place of `key`, as [`seek`](Place::seek) found it; whether one was
    /// replaced. The place is then at the entry. Does not log.
    pub(crate) fn put(
        &mut self,
        place: &mut Place,
        key: &[u8],
        source: Source<'_>,
    ) -> Result<bool> {
        if place.at == At::Entry {
            self.replace(place, source)?;
            return Ok(true);
        }
        self.check_key(key)?;
        let value = self.store(key.len(), source)?;
        let put = self.change(place, Change { key: Some(key), value });
        self.keep_or_free(value, put)?;
        self.record.entries = self.record.entries.saturating_add(1);
        Ok(false)
    }

    /// Gives the entry that the place is at another value. Does not log.
    pub(crate) fn replace(&mut self, place: &mut Place, source: Source<'_>) -> Result<()> {
        let old = self.old(place)?;
        if let Some(run) = old.run
            && self.overwrite_run(run, old.key_len, source)?
        {
            return Ok(());
        }
        let value = self.store(old.key_len, source)?;
        let put = self.change(place, Change { key: None, value });
        self.keep_or_free(value, put)?;
        if let Some(run) = old.run {
            let freed = self.free_run(run);
            self.whole(freed)?;
        }
        Ok(())
    }

    /// The value of the entry that the place is at, to be written.
    ///
    /// # Errors
    /// Damage.
    pub(crate) fn value_mut(&mut self, place: &Place) -> Result<&mut [u8]> {
        let step = place.entry_here()?;
        match leaf(&*self.txn, step.page)?.value(step.index())? {
            Value::Run { page, .. } => Ok(self.txn.run_mut(page)?),
            Value::Inline(_) => {
                let ([], [body]) = self.txn.edit([], [step.page])?;
                LeafMut::new(body, step.page)?.value_mut(step.index())
            }
        }
    }

    /// Logs that the entry at the place was stored; `key` and `value` are its own where the caller
    /// has them, else they are read from the page.
    pub(crate) fn log_put(
        &mut self,
        place: &Place,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
    ) -> Result<()> {
        let logged = self.try_log_put(place, key, value);
        // It is stored: without its record the log would tell another story.
        self.whole(logged)
    }

    /// Logs that this entry was stored.
    #[inline]
    pub(super) fn log_entry(&mut self, key: &[u8], value: &[u8]) {
        if let Some(log) = &mut self.log {
            let parts = [Part::Bytes(key), Part::Bytes(&[])];
            log.put(self.txn, parts, key.len(), Part::Bytes(value));
        }
    }

    fn try_log_put(
        &mut self,
        place: &Place,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
    ) -> Result<()> {
        if let (Some(key), Some(value)) = (key, value) {
            self.log_entry(key, value);
            return Ok(());
        }
        let Some(log) = &mut self.log else { return Ok(()) };
        let step = place.entry_here()?;
        let body = (&*self.txn).page(step.page)?;
        let (entry_key, entry_value) = LeafView::new(body, step.page)?.entry(step.index())?;
        let part = |bytes: &[u8]| Part::Page(step.page, offset_in(body, bytes), bytes.len());
        let [prefix, suffix, _] = entry_key.parts();
        let value = match (value, entry_value) {
            (Some(value), _) => Part::Bytes(value),
            (None, Value::Run { page, len_bytes }) => Part::Run(page, len_bytes),
            (None, Value::Inline(bytes)) => part(bytes),
        };
        let (key, key_len) = ([part(prefix), part(suffix)], entry_key.len());
        log.put(self.txn, key, key_len, value);
        Ok(())
    }

    /// Logs that the entry at the place is about to be removed.
    pub(super) fn log_remove(&mut self, place: &Place) -> Result<()> {
        let Some(log) = &mut self.log else { return Ok(()) };
        let step = place.entry_here()?;
        let body = (&*self.txn).page(step.page)?;
        let key = LeafView::new(body, step.page)?.key(step.index())?;
        let [prefix, suffix, _] = key.parts();
        let part = |bytes: &[u8]| Part::Page(step.page, offset_in(body, bytes), bytes.len());
        let parts = [part(prefix), part(suffix)];
        log.remove(self.txn, parts);
        Ok(())
    }

    fn old(&self, place: &Place) -> Result<Old> {
        let step = place.entry_here()?;
        let (key, value) = leaf(&*self.txn, step.page)?.entry(step.index())?;
        Ok(Old { key_len: key.len(), run: self.run_of(value)? })
    }

    /// The run of a value, if it has one, which is what its reference says.
    pub(super) fn run_of(&self, value: Value<'_>) -> Result<Option<Run>> {
        let Value::Run { page, len_bytes } = value else { return Ok(None) };
        (&*self.txn).run(page, len_bytes)?;
        Ok(Some(Run { page, len_bytes }))
    }

    /// Writes a value over one of the same length in a run of this transaction; false where that
    /// cannot be done.
    fn overwrite_run(&mut self, run: Run, key_len: usize, source: Source<'_>) -> Result<bool> {
        let inline = max_inline_value((&*self.txn).page_size(), key_len);
        if run.len_bytes != source.len() as u64
            || source.len() <= inline
            || !self.txn.owned(run.page)?
        {
            return Ok(false);
        }
        if let Source::Bytes(bytes) = source {
            self.txn.rewrite_run(run.page, bytes)?;
        }
        Ok(true)
    }

    /// Whether a leaf holds a value of `len` bytes itself.
    pub(super) fn is_inline(&self, key_len: usize, len: usize) -> bool {
        self.record.fixed.is_some() || len <= max_inline_value((&*self.txn).page_size(), key_len)
    }

    /// Makes the value one that a leaf can hold: long ones go to a run.
    pub(super) fn store<'v>(&mut self, key_len: usize, source: Source<'v>) -> Result<NewValue<'v>> {
        let len = source.len();
        if let Some(width) = self.record.fixed {
            width.check(key_len, len)?;
        }
        if self.is_inline(key_len, len) {
            return Ok(match source {
                Source::Bytes(bytes) => NewValue::Inline(bytes),
                Source::Room(len) => NewValue::Reserved(len),
            });
        }
        let page = match source {
            Source::Bytes(bytes) => self.txn.store_run(bytes)?,
            Source::Room(len) => self.txn.claim_run(len as u64)?,
        };
        Ok(NewValue::Run { page, len_bytes: len as u64 })
    }

    /// Counts a new value's run, or frees it where the value was not stored.
    pub(super) fn keep_or_free(&mut self, value: NewValue<'_>, put: Result<()>) -> Result<()> {
        if let NewValue::Run { page, len_bytes } = value {
            if put.is_ok() {
                let pages = self.run_pages(len_bytes);
                self.record.run_pages = self.record.run_pages.saturating_add(pages);
            } else {
                // The first error is the one to tell; a run that is not freed is lost until a
                // check.
                let freed = self.txn.free_run(page).map_err(Error::from);
                let _ = self.whole(freed);
            }
        }
        put
    }

    /// Makes the change at the place, which is then at the entry.
    fn change(&mut self, place: &mut Place, change: Change<'_>) -> Result<()> {
        if self.record.height == 0 {
            return self.plant(place, change);
        }
        self.own_path(&mut place.path)?;
        let step = place.path.leaf_step()?;
        let ([], [body]) = self.txn.edit([], [step.page])?;
        let fit = change.apply(&mut LeafMut::new(body, step.page)?, step.index())?;
        match fit {
            Fit::Done => {}
            Fit::Rebuild => self.rebuild_leaf(place, change)?,
            Fit::Split => self.split_leaf(&mut place.path, change)?,
        }
        place.at = At::Entry;
        Ok(())
    }

    /// The first entry of an empty tree.
    pub(super) fn plant(&mut self, place: &mut Place, change: Change<'_>) -> Result<()> {
        let page = self.txn.claim()?;
        let planted = self.fill_single(page, change, &[], false);
        self.whole(planted)?;
        place.path.clear();
        place.path.push(page, 0)?;
        place.at = At::Entry;
        self.record.root = page;
        self.record.height = 1;
        self.record.leaf_pages = self.record.leaf_pages.saturating_add(1);
        Ok(())
    }

    /// Makes a fresh page a leaf of the inserted entry alone, of fingerprints where `prints` says so; its key
    /// starts with `prefix`.
    pub(super) fn fill_single(
        &mut self,
        page: PageId,
        change: Change<'_>,
        prefix: &[u8],
        prints: bool,
    ) -> Result<()> {
        let ([], [body]) = self.txn.edit([], [page])?;
        let mut leaf = match self.record.fixed {
            None => LeafMut::init_as(body, page, prefix, prints)?,
            Some(width) => LeafMut::init_fixed(body, page, width)?,
        };
        match change.apply(&mut leaf, 0)? {
            Fit::Done => Ok(()),
            Fit::Rebuild | Fit::Split => Err(Error::corrupt(page, Damage::Layout)),
        }
    }

    /// Lays the leaf out in a fresh page, with the change.
    pub(super) fn rebuild_leaf(&mut self, place: &mut Place, change: Change<'_>) -> Result<()> {
        let step = place.path.leaf_step()?;
        let fresh = self.txn.claim()?;
        let level = place.path.leaf_level();
        let rebuilt = self.refill_leaf(step.page, step.index(), fresh, change).and_then(|()| {
            self.link(&mut place.path, level, fresh)?;
            Ok(self.txn.free(step.page)?)
        });
        self.whole(rebuilt)
    }

    fn refill_leaf(
        &mut self,
        page: PageId,
        i: usize,
        fresh: PageId,
        change: Change<'_>,
    ) -> Result<()> {
        let prints = self.prints();
        let ([old], [body]) = self.txn.edit([page], [fresh])?;
        let content = change.content(LeafView::new(old, page)?, i)?;
        content.fill(0..content.len(), body, prints)?;
        self.announce_leaves(&[fresh])
    }
}

/// Offset of `part`, a slice of `body`, in it; 0 for an empty one, which may lie anywhere.
fn offset_in(body: &[u8], part: &[u8]) -> usize {
    if part.is_empty() { 0 } else { part.as_ptr().addr().wrapping_sub(body.as_ptr().addr()) }
}
