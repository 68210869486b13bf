//! Appending to a tree without going down it: a load builds its pages from left to right.

use super::Editor;
use super::put::{Change, Source};
use crate::error::{Error, Result};
use crate::node::{Fit, LeafContent, LeafMut, LeafView, NewValue};
use crate::path::leaf;
use crate::place::{At, Place};

/// How full a load makes its leaves: bytes in use, of 100.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Fill(u8);

/// Below it pages would be merged at the next removal.
const FILL_MIN: u8 = 40;
const FILL_MAX: u8 = 100;

impl Fill {
    /// # Errors
    /// `InvalidArgument`: outside of 40..=100.
    pub(crate) fn new(percent: u8) -> Result<Fill> {
        match percent {
            FILL_MIN..=FILL_MAX => Ok(Fill(percent)),
            _ => Err(Error::Pager(mapleaf_pager::Error::InvalidArgument)),
        }
    }

    /// Bytes of a page that may be in use; `None` where it is as full as can be.
    fn limit(self, page_size: usize) -> Option<usize> {
        (self.0 < FILL_MAX).then_some(page_size * usize::from(self.0) / usize::from(FILL_MAX))
    }
}

impl Editor<'_, '_> {
    /// Goes behind the tree's last entry, for [`load`](Editor::load).
    pub(crate) fn seek_end(&mut self) -> Result<Place> {
        self.forget_hint();
        let mut place = Place::new();
        place.last(&*self.txn, self.record)?;
        Ok(place)
    }

    /// Stores an entry behind the tree's last, which is where `place` is, and goes there. Logs it.
    ///
    /// # Errors
    /// `NotSorted`, and as an insertion: the tree and the place are as they were, or the transaction
    /// failed.
    pub(crate) fn load(
        &mut self,
        place: &mut Place,
        fill: Fill,
        key: &[u8],
        value: &[u8],
    ) -> Result<()> {
        if cfg!(feature = "locality") && self.load_here(place, fill, key, value)? {
            self.log_entry(key, value);
            return Ok(());
        }
        self.check_key(key)?;
        if let (Some(page), Some(step)) = (place.leaf(&*self.txn)?, place.entry())
            && page.key(step.index())?.cmp_bytes(key).is_ge()
        {
            return Err(Error::NotSorted);
        }
        let stored = self.store(key.len(), Source::Bytes(value))?;
        let put = self.load_change(place, fill, Change { key: Some(key), value: stored });
        self.keep_or_free(stored, put)?;
        self.record.entries = self.record.entries.saturating_add(1);
        self.log_put(place, Some(key), Some(value))
    }

    /// Stores an entry behind the one that the place is at, the tree's last, where its leaf is this
    /// transaction's own and has room: whether it did. What most entries need, and no more.
    #[inline]
    fn load_here(
        &mut self,
        place: &mut Place,
        fill: Fill,
        key: &[u8],
        value: &[u8],
    ) -> Result<bool> {
        let limit = fill.limit(self.page_size());
        let Some(step) = place.entry() else { return Ok(false) };
        let Some(body) = self.txn.edit_own(step.page)? else { return Ok(false) };
        let mut page = LeafMut::new(body, step.page)?;
        if let Some(limit) = limit
            && page.view().used_bytes()
                + LeafContent::entry_bytes(key.len(), NewValue::Inline(value))
                > limit
        {
            return Ok(false);
        }
        let appended = page.append(key, value)?;
        if appended {
            place.path.set_entry(step.index() + 1);
            self.record.entries = self.record.entries.saturating_add(1);
        }
        Ok(appended)
    }

    fn load_change(&mut self, place: &mut Place, fill: Fill, change: Change<'_>) -> Result<()> {
        if self.record.height == 0 {
            return self.plant(place, change);
        }
        self.own_path(&mut place.path)?;
        let step = place.path.leaf_step()?;
        let behind = step.index() + 1;
        let done = match self.load_fit(place, fill, change)? {
            Fit::Done => {
                place.path.set_entry(behind);
                Ok(())
            }
            Fit::Rebuild => {
                place.path.set_entry(behind);
                self.rebuild_leaf(place, change)
            }
            Fit::Split => self.start_leaf(&mut place.path, change),
        };
        if done.is_err() {
            place.path.set_entry(step.index());
        }
        place.at = At::Entry;
        done
    }

    /// Makes the change at the end of the place's leaf, if that does not get fuller than it may.
    fn load_fit(&mut self, place: &Place, fill: Fill, change: Change<'_>) -> Result<Fit> {
        let limit = fill.limit(self.page_size());
        let step = place.path.leaf_step()?;
        let ([], [body]) = self.txn.edit([], [step.page])?;
        let behind = step.index() + 1;
        if let Some(limit) = limit {
            let page = LeafView::new(body, step.page)?;
            if page.used_bytes() + change.bytes_max() > limit {
                // As it is. With the prefix chosen anew there may be room.
                let bytes = change.content(page, behind)?.total_bytes()?;
                return Ok(if bytes > limit { Fit::Split } else { Fit::Rebuild });
            }
        }
        change.apply(&mut LeafMut::new(body, step.page)?, behind)
    }

    /// The prefix that a leaf behind `page` starts with: keys that follow are likely to share it.
    pub(super) fn prefix_behind<'v>(
        &self,
        page: mapleaf_pager::PageId,
        change: &Change<'v>,
    ) -> Result<&'v [u8]> {
        let prefix = leaf(&*self.txn, page)?.prefix();
        let key = change.key.unwrap_or_default();
        Ok(if key.starts_with(prefix) { key.get(..prefix.len()).unwrap_or_default() } else { &[] })
    }

    /// Whether a leaf behind `page` with this prefix starts as one of fingerprints: keys that follow are likely
    /// to be as alike as those of `page`.
    pub(super) fn prints_behind(&self, page: mapleaf_pager::PageId, prefix: &[u8]) -> Result<bool> {
        #[cfg(feature = "fingerprints")]
        if self.prints() && self.record.fixed.is_none() {
            let content = LeafContent::of(leaf(&*self.txn, page)?);
            return content.heads_tie(0..content.len(), prefix.len());
        }
        let _ = (page, prefix);
        Ok(false)
    }
}

impl Change<'_> {
    /// Bytes that an inserted entry takes on a page at most.
    fn bytes_max(&self) -> usize {
        LeafContent::entry_bytes(self.key.unwrap_or_default().len(), self.value)
    }
}
