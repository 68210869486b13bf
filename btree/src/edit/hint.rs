//! Where the last insertion was: sorted and repeated insertions need not go down the tree again.
//!
//! Trying the last place costs a look at its leaf, so it is tried only while it pays: an insertion
//! that came down to the same leaf as the one before makes the hint hot, and one that came down
//! elsewhere makes it cold. Random insertions never look.

use super::Editor;
use crate::error::Result;
use crate::node::{Fit, LeafMut, NewValue, Value};
use crate::path::{Path, leaf};
use crate::place::{At, Place};
use mapleaf_pager::PageId;

/// The last insertion's place in one tree.
pub(crate) struct Hint {
    /// Slot of the tree in the table of open trees.
    pub(crate) slot: usize,
    /// Its leaf.
    leaf: PageId,
    /// The way to it, while the hint is hot.
    path: Path,
    /// Whether that is the tree's right edge, once somebody had to know.
    last: Option<bool>,
    heat: Heat,
}

/// Whether the next insertion is expected where the last one was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Heat {
    /// It is not.
    Cold,
    /// It is, once the one under way is done.
    Warm,
    /// It is.
    Hot,
}

impl Hint {
    pub(crate) const fn new() -> Hint {
        Hint { slot: 0, leaf: PageId::NONE, path: Path::new(), last: None, heat: Heat::Cold }
    }

    /// The tree changes elsewhere, or the place is gone.
    pub(crate) fn forget(&mut self) {
        (self.leaf, self.heat) = (PageId::NONE, Heat::Cold);
    }
}

impl Editor<'_, '_> {
    /// Forgets the last insertion's place, since the tree's pages may change around it.
    pub(crate) fn forget_hint(&mut self) {
        if let Some(hint) = &mut self.hint {
            hint.forget();
        }
    }

    /// Goes to `key` for an insertion: as [`seek`](Place::seek), from the last one's where it is close.
    // Into the caller's place: one is large for a small machine's stack.
    #[cfg_attr(not(feature = "large"), inline(never))]
    pub(crate) fn seek_hinted(&mut self, place: &mut Place, key: &[u8]) -> Result<()> {
        if self.recall(place, key)? {
            return Ok(());
        }
        place.seek(&*self.txn, self.record, key)?;
        if let Some(hint) = &mut self.hint {
            let again = !place.path.is_empty() && place.path.leaf_step()?.page == hint.leaf;
            hint.heat = if again { Heat::Warm } else { Heat::Cold };
        }
        Ok(())
    }

    /// Goes to `key` in the last insertion's leaf; false where it may be in another.
    fn recall(&mut self, place: &mut Place, key: &[u8]) -> Result<bool> {
        let Some(hint) = self.hint.as_deref_mut().filter(|hint| hint.heat == Heat::Hot) else {
            return Ok(false);
        };
        // Whatever becomes of the insertion: without its end the path is not to be trusted.
        hint.heat = Heat::Warm;
        let pages = &*self.txn;
        let page = leaf(pages, hint.leaf)?;
        let (index, found) = page.lower_bound(key)?;
        // Before its first key or behind its last a neighbour may be closer.
        let inside = index > 0 || found;
        if !inside || (index == page.count() && !hint.path.on_right_edge(pages)?) {
            return Ok(false);
        }
        core::mem::swap(&mut place.path, &mut hint.path);
        place.path.set_entry(index);
        place.at = if found { At::Entry } else { At::Gap };
        Ok(true)
    }

    /// Stores an entry in the last insertion's leaf, and logs it, where nothing but that leaf changes: the key
    /// belongs there, it is this transaction's own and has room. Whether a value was replaced; `None`, and
    /// nothing has changed, where it takes more than that.
    pub(crate) fn put_close(&mut self, key: &[u8], value: &[u8]) -> Result<Option<bool>> {
        if self.append_close(key, value)? {
            return Ok(Some(false));
        }
        let Some(hint) = self.hot() else { return Ok(None) };
        let (id, inline) = (hint.leaf, self.is_inline(key.len(), value.len()));
        let Some(body) = self.txn.edit_own(id)? else { return Ok(None) };
        let mut page = LeafMut::new(body, id)?;
        let (index, found) = page.view().lower_bound(key)?;
        let fit = match found {
            _ if !inline => return Ok(None),
            true if matches!(page.view().value(index)?, Value::Run { .. }) => return Ok(None),
            true => page.replace_at(index, NewValue::Inline(value))?,
            // Before its first key or behind its last a neighbour may be closer.
            false if index == 0 || index == page.view().count() => return Ok(None),
            false => page.insert_at(index, key, NewValue::Inline(value))?,
        };
        if fit != Fit::Done {
            return Ok(None);
        }
        self.record.entries = self.record.entries.saturating_add(u64::from(!found));
        self.log_entry(key, value);
        Ok(Some(found))
    }

    /// As [`put_close`](Editor::put_close), of an entry behind all of the tree; whether it was one.
    pub(crate) fn append_close(&mut self, key: &[u8], value: &[u8]) -> Result<bool> {
        let Some(hint) = self.hot() else { return Ok(false) };
        let (id, last) = (hint.leaf, hint.last);
        if last == Some(false) {
            return Ok(false);
        }
        if last.is_none() {
            let pages = &*self.txn;
            let Some(hint) = self.hint.as_deref_mut() else { return Ok(false) };
            if !*hint.last.insert(hint.path.on_right_edge(pages)?) {
                return Ok(false);
            }
        }
        let Some(body) = self.txn.edit_own(id)? else { return Ok(false) };
        let appended = LeafMut::new(body, id)?.append(key, value)?;
        if appended {
            self.record.entries = self.record.entries.saturating_add(1);
            self.log_entry(key, value);
        }
        Ok(appended)
    }

    /// The last insertion's place, where the next one is expected there.
    #[inline]
    fn hot(&self) -> Option<&Hint> {
        self.hint.as_deref().filter(|hint| hint.heat == Heat::Hot)
    }

    /// Whether a place is behind the last entry of the tree.
    pub(crate) fn is_end(&self, place: &Place) -> Result<bool> {
        if place.at != At::Gap {
            return Ok(place.path.is_empty());
        }
        let step = place.path.leaf_step()?;
        let count = leaf(&*self.txn, step.page)?.count();
        Ok(step.index() == count && place.path.on_right_edge(&*self.txn)?)
    }

    /// Remembers the place of an insertion that is done.
    pub(crate) fn keep_hint(&mut self, place: &mut Place) -> Result<()> {
        if let Some(hint) = &mut self.hint {
            (hint.leaf, hint.last) = (place.path.leaf_step()?.page, None);
            if hint.heat == Heat::Warm {
                core::mem::swap(&mut hint.path, &mut place.path);
                hint.heat = Heat::Hot;
            }
        }
        Ok(())
    }
}
