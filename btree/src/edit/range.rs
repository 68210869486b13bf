//! Removing a range of keys.
//!
//! Piece by piece from the left: at the first entry of the range, take away the largest subtrees
//! that start there and lie in the range, without looking at their entries; where there is none,
//! take the entries of the leaf. A range of any size is about two pieces a level. Sparse pages are
//! merged once, at the end, on both sides of the hole.

use super::Editor;
use super::remove::Climb;
use crate::KeyRange;
use crate::error::Result;
use crate::key::Key;
use crate::path::{Path, inner, leaf};
use crate::place::{At, Place};
use core::ops::Bound;

/// Where the first entry of a range is, before anything of it is removed, and after.
fn go_to_start(editor: &Editor<'_, '_>, place: &mut Place, start: Bound<&[u8]>) -> Result<()> {
    let pages = &*editor.txn;
    let found = match start {
        Bound::Unbounded => place.first(pages, editor.record)?,
        Bound::Included(key) | Bound::Excluded(key) => place.seek(pages, editor.record, key)?,
    };
    if found.is_none() || matches!(start, Bound::Excluded(_)) {
        place.next(pages, editor.record)?;
    }
    Ok(())
}

/// Whether a key is not past the end of a range.
fn key_within(key: &Key<'_>, end: Bound<&[u8]>) -> bool {
    match end {
        Bound::Unbounded => true,
        Bound::Included(end) => key.cmp_bytes(end).is_le(),
        Bound::Excluded(end) => key.cmp_bytes(end).is_lt(),
    }
}

/// Whether all keys below a separator (`None`: all keys) are not past the end of a range.
fn all_within(separator: Option<Key<'_>>, end: Bound<&[u8]>) -> bool {
    match (separator, end) {
        (_, Bound::Unbounded) => true,
        (None, _) => false,
        (Some(separator), Bound::Included(end) | Bound::Excluded(end)) => {
            separator.cmp_bytes(end).is_le()
        }
    }
}

impl Editor<'_, '_> {
    /// Removes the entries of a range; how many. Does not log.
    pub(crate) fn remove_range<R: KeyRange>(&mut self, range: &R) -> Result<u64> {
        self.forget_hint();
        let before = self.record.entries;
        let (start, end) = (range.start(), range.end());
        if let (Bound::Unbounded, Bound::Unbounded) = (start, end) {
            self.clear()?;
            return Ok(before);
        }
        let mut removed: u64 = 0;
        // Each turn removes an entry or more.
        loop {
            let piece = self.remove_piece(start, end);
            // Only an error in the middle leaves the tree neither here nor there.
            let piece = if removed > 0 { self.whole(piece)? } else { piece? };
            if piece == 0 {
                break;
            }
            removed = removed.saturating_add(piece);
        }
        if removed > 0 {
            let settled = self.settle_around(start);
            self.whole(settled)?;
        }
        Ok(removed)
    }

    /// Removes the largest piece at the range's start; its entries, 0 for none left.
    fn remove_piece(&mut self, start: Bound<&[u8]>, end: Bound<&[u8]>) -> Result<u64> {
        let mut place = Place::new();
        go_to_start(self, &mut place, start)?;
        let Some(step) = place.entry() else { return Ok(0) };
        if !key_within(&leaf(&*self.txn, step.page)?.key(step.index())?, end) {
            return Ok(0);
        }
        let level = self.whole_level(&place.path, end)?;
        let height = place.path.len();
        if let Some(level) = level {
            // What lies below goes: only what stays is copied.
            place.path.truncate(level + 1);
        }
        self.own_path(&mut place.path)?;
        let removed = match level {
            Some(level) => self.remove_children(&place.path, height - 1 - level, end),
            None => self.remove_entries(&mut place, end),
        };
        self.whole(removed)
    }

    /// The topmost level at which the path's child starts where the path leads to and lies in the
    /// range.
    /// `None` where not even the leaf does, or it is the root.
    fn whole_level(&self, path: &Path, end: Bound<&[u8]>) -> Result<Option<usize>> {
        let mut top = path.leaf_level();
        while top > 0 && path.step(top)?.index() == 0 {
            top -= 1;
        }
        for level in top..path.leaf_level() {
            if self.child_within(path, level, end)? {
                return Ok(Some(level));
            }
        }
        Ok(None)
    }

    /// Whether all keys of the path's child at `level` are below the end of the range.
    fn child_within(&self, path: &Path, level: usize, end: Bound<&[u8]>) -> Result<bool> {
        for above in (0..=level).rev() {
            let step = path.step(above)?;
            let page = inner(&*self.txn, step.page)?;
            if step.index() < page.count() {
                return Ok(all_within(Some(page.separator(step.index())?.key()), end));
            }
        }
        Ok(all_within(None, end))
    }

    /// Removes the child, of `height` levels, that the path ends at, and those behind it that lie
    /// in the range.
    fn remove_children(&mut self, path: &Path, height: usize, end: Bound<&[u8]>) -> Result<u64> {
        let before = self.record.entries;
        let step = path.leaf_step()?;
        let index = step.index();
        let mut removed: u64 = 0;
        loop {
            let page = inner(&*self.txn, step.page)?;
            // Behind the last child, or at the only one, which is the root's: it stays for the next
            // turn.
            if page.count() == 0 || index > page.count() {
                break;
            }
            if !self.child_within(path, path.leaf_level(), end)? {
                break;
            }
            let child = page.child(index)?;
            self.edit_inner(step.page, |page| page.remove(index.saturating_sub(1), index))?;
            removed = removed.saturating_add(self.free_subtree(child, height)?);
        }
        if removed > 0 {
            return Ok(removed);
        }
        self.clear()?;
        Ok(before)
    }

    /// Removes the entries of the path's leaf from where it leads to on that lie in the range.
    fn remove_entries(&mut self, place: &mut Place, end: Bound<&[u8]>) -> Result<u64> {
        let mut removed = 0;
        loop {
            let step = place.path.leaf_step()?;
            let page = leaf(&*self.txn, step.page)?;
            if step.index() >= page.count() || !key_within(&page.key(step.index())?, end) {
                return Ok(removed);
            }
            let run = self.run_of(page.value(step.index())?)?;
            let left = self.remove_entry(&place.path, run)?;
            place.at = At::Gap;
            removed += 1;
            if left == 0 {
                self.drop_leaf(&mut place.path)?;
                return Ok(removed);
            }
        }
    }

    /// Merges what has become sparse on both sides of the hole that a removed range left.
    fn settle_around(&mut self, start: Bound<&[u8]>) -> Result<()> {
        for behind in [true, false] {
            let mut place = Place::new();
            go_to_start(self, &mut place, start)?;
            if !behind {
                place.prev(&*self.txn, self.record)?;
            }
            if place.entry().is_some() && self.own_if_room(&mut place.path)? {
                self.settle(&mut place.path, Climb::ToRoot)?;
            }
        }
        Ok(())
    }
}
