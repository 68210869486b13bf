//! Merging sparse pages, and sharing entries with a fuller neighbour.
//!
//! A page below a quarter full merges with a neighbour, or where both together do not fit, takes
//! about half of what both hold. A page below two fifths merges if the two leave some room. The
//! second rule is what keeps the fill of a tree up whose entries are removed at random: with the
//! first alone all pages would shrink to a quarter before any merged.
//!
//! Both lay their pages out in fresh ones, so the neighbour is never copied just to be changed.
//! Where there is no page to be had, or the parent has no room for a longer separator, the page
//! stays sparse: that is allowed.

use super::split::Cut;
use super::{Editor, astray};
use crate::error::Result;
use crate::node::{Fit, InnerContent, InnerMut, InnerView, LeafContent, LeafView};
use crate::path::{Path, inner, leaf};
use mapleaf_pager::PageId;

/// How urgently a page wants company.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Need {
    /// Below two fifths full.
    Sparse,
    /// Below a quarter full, or an inner page without a separator.
    Underfull,
}

/// A page beside its neighbour: child `slot` of the parent and the one behind it.
#[derive(Clone, Copy)]
struct Pair {
    level: usize,
    slot: usize,
    left: PageId,
    right: PageId,
    parent: PageId,
    /// Entries (in inner pages: children) on the left page.
    left_len: usize,
    /// The path goes through the right page.
    on_right: bool,
}

impl Editor<'_, '_> {
    /// Merges the path's page at `level` with a neighbour, or shares out anew what both hold, where
    /// it is sparse; whether the parent changed. The path's parent is owned.
    pub(super) fn balance(&mut self, path: &mut Path, level: usize) -> Result<bool> {
        let Some(need) = self.need(path, level)? else { return Ok(false) };
        let parent = path.step(level - 1)?;
        let count = inner(&*self.txn, parent.page)?.count();
        let after = (parent.index() < count).then_some(parent.index());
        let before = parent.index().checked_sub(1);
        for slot in [after, before].into_iter().flatten() {
            let pair = self.pair(path, level, slot)?;
            if self.merges(&pair, path.leaf_level() == level, need)? {
                return self.merge(path, &pair);
            }
        }
        if need < Need::Underfull {
            return Ok(false);
        }
        for slot in [after, before].into_iter().flatten() {
            let pair = self.pair(path, level, slot)?;
            if self.share(path, &pair)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn need(&self, path: &Path, level: usize) -> Result<Option<Need>> {
        let (used, alone) = self.used(path.step(level)?.page, level == path.leaf_level())?;
        let page_size = self.page_size();
        Ok(match used {
            used if alone || used < page_size / 4 => Some(Need::Underfull),
            used if used < page_size * 2 / 5 => Some(Need::Sparse),
            _ => None,
        })
    }

    /// Bytes in use on a page, and whether it is an inner page with a single child.
    fn used(&self, id: PageId, is_leaf: bool) -> Result<(usize, bool)> {
        if is_leaf {
            return Ok((leaf(&*self.txn, id)?.used_bytes(), false));
        }
        let page = inner(&*self.txn, id)?;
        Ok((page.used_bytes(), page.count() == 0))
    }

    fn pair(&self, path: &Path, level: usize, slot: usize) -> Result<Pair> {
        let pages = &*self.txn;
        let parent = path.step(level - 1)?;
        let page = inner(pages, parent.page)?;
        let (left, right) = (page.child(slot)?, page.child(slot + 1)?);
        let left_len = if level == path.leaf_level() {
            leaf(pages, left)?.count()
        } else {
            inner(pages, left)?.count() + 1
        };
        let on_right = parent.index() != slot;
        Ok(Pair { level, slot, left, right, parent: parent.page, left_len, on_right })
    }

    /// Whether both pages fit in one, with some room where the need is not urgent.
    // Here and below: where the stack is small, what one step needs is off it before the next.
    #[cfg_attr(not(feature = "large"), inline(never))]
    fn merges(&self, pair: &Pair, is_leaf: bool, need: Need) -> Result<bool> {
        let page_size = self.page_size();
        let limit = match need {
            Need::Underfull => page_size,
            Need::Sparse => page_size - page_size / 8,
        };
        let (left, _) = self.used(pair.left, is_leaf)?;
        let (right, _) = self.used(pair.right, is_leaf)?;
        // Prefixes can only get shorter: a first look at the sums spares most of the counting. Both
        // headers are counted.
        if left + right
            > limit + mapleaf_pager::HEADER_BYTES + self.longest_prefix(pair, is_leaf)?
        {
            return Ok(false);
        }
        let pages = &*self.txn;
        let bytes = if is_leaf {
            let content = LeafContent::join(leaf(pages, pair.left)?, leaf(pages, pair.right)?);
            content.page_bytes(0..content.len())?
        } else {
            let separator = inner(pages, pair.parent)?.separator(pair.slot)?;
            let (left, right) = (inner(pages, pair.left)?, inner(pages, pair.right)?);
            let content = InnerContent::join(left, separator.key(), right);
            content.page_bytes(0..content.children())?
        };
        Ok(bytes <= limit)
    }

    /// Bytes that a joined page may save at most by storing one prefix for two.
    fn longest_prefix(&self, pair: &Pair, is_leaf: bool) -> Result<usize> {
        let pages = &*self.txn;
        let lens = if is_leaf {
            [leaf(pages, pair.left)?.prefix().len(), leaf(pages, pair.right)?.prefix().len()]
        } else {
            [inner(pages, pair.left)?.prefix().len(), inner(pages, pair.right)?.prefix().len()]
        };
        Ok(lens[0].max(lens[1]).next_multiple_of(4))
    }

    /// Lays both pages out in a fresh one; false where there is no page for it.
    #[cfg_attr(not(feature = "large"), inline(never))]
    fn merge(&mut self, path: &mut Path, pair: &Pair) -> Result<bool> {
        let Some(fresh) = self.claim_if_room()? else { return Ok(false) };
        let is_leaf = path.leaf_level() == pair.level;
        let prints = self.prints();
        let ([left, right, parent], [body]) =
            self.txn.edit([pair.left, pair.right, pair.parent], [fresh])?;
        if is_leaf {
            let (left, right) =
                (LeafView::new(left, pair.left)?, LeafView::new(right, pair.right)?);
            let content = LeafContent::join(left, right);
            content.fill(0..content.len(), body, prints)?;
            self.announce_leaves(&[fresh])?;
        } else {
            let separator = InnerView::new(parent, pair.parent)?.separator(pair.slot)?;
            let (left, right) =
                (InnerView::new(left, pair.left)?, InnerView::new(right, pair.right)?);
            let content = InnerContent::join(left, separator.key(), right);
            content.fill(0..content.children(), body)?;
        }
        self.edit_inner(pair.parent, |parent| {
            parent.set_child(pair.slot, fresh)?;
            parent.remove(pair.slot, pair.slot + 1)
        })?;
        for page in [pair.left, pair.right] {
            if is_leaf { self.free_leaf_page(page)? } else { self.free_inner_page(page)? }
        }
        let pages =
            if is_leaf { &mut self.record.leaf_pages } else { &mut self.record.inner_pages };
        *pages = pages.saturating_add(1);
        let index = joined_index(path, pair)?;
        path.set(pair.level, fresh, index);
        path.set(pair.level - 1, pair.parent, pair.slot);
        Ok(true)
    }

    /// Shares out anew what both pages hold; false where that changes nothing or there is no room
    /// for it.
    #[cfg_attr(not(feature = "large"), inline(never))]
    fn share(&mut self, path: &mut Path, pair: &Pair) -> Result<bool> {
        let is_leaf = path.leaf_level() == pair.level;
        let Some(at) = self.share_point(pair, is_leaf)? else { return Ok(false) };
        let Some(left) = self.claim_if_room()? else { return Ok(false) };
        let Some(right) = self.claim_if_room()? else {
            self.txn.free(left)?;
            return Ok(false);
        };
        let cut = self.fill_shares(pair, is_leaf, at, [left, right])?;
        if !self.set_separator(path, pair, cut)? {
            self.txn.free(left)?;
            self.txn.free(right)?;
            return Ok(false);
        }
        let parent = path.step(pair.level - 1)?.page;
        self.edit_inner(parent, |parent| {
            parent.set_child(pair.slot, left)?;
            parent.set_child(pair.slot + 1, right)
        })?;
        self.txn.free(pair.left)?;
        self.txn.free(pair.right)?;
        let index = joined_index(path, pair)?;
        let (page, index, slot) = match index.checked_sub(at) {
            Some(index) => (right, index, pair.slot + 1),
            None => (left, index, pair.slot),
        };
        path.set(pair.level, page, index);
        path.set(pair.level - 1, parent, slot);
        Ok(true)
    }

    /// Where to cut what both pages hold; `None` where they are cut best already.
    fn share_point(&self, pair: &Pair, is_leaf: bool) -> Result<Option<usize>> {
        let pages = &*self.txn;
        let at = if is_leaf {
            LeafContent::join(leaf(pages, pair.left)?, leaf(pages, pair.right)?).split_point()?
        } else {
            let separator = inner(pages, pair.parent)?.separator(pair.slot)?;
            let (left, right) = (inner(pages, pair.left)?, inner(pages, pair.right)?);
            let content = InnerContent::join(left, separator.key(), right);
            // Each side of a cut has a separator. Fewer children would have merged.
            if content.children() < 4 {
                return Ok(None);
            }
            content.split_point()?
        };
        Ok((at != pair.left_len).then_some(at))
    }

    /// Lays both pages out in two fresh ones, cut before `at`.
    fn fill_shares(
        &mut self,
        pair: &Pair,
        is_leaf: bool,
        at: usize,
        fresh: [PageId; 2],
    ) -> Result<Cut> {
        let prints = self.prints();
        let ([left, right, parent], [left_body, right_body]) =
            self.txn.edit([pair.left, pair.right, pair.parent], fresh)?;
        if is_leaf {
            let (left, right) =
                (LeafView::new(left, pair.left)?, LeafView::new(right, pair.right)?);
            let content = LeafContent::join(left, right);
            content.fill(0..at, left_body, prints)?;
            content.fill(at..content.len(), right_body, prints)?;
            self.announce_leaves(&fresh)?;
            return Ok(Cut::Leaves { left: fresh[0], right: fresh[1] });
        }
        let separator = InnerView::new(parent, pair.parent)?.separator(pair.slot)?;
        let (left, right) = (InnerView::new(left, pair.left)?, InnerView::new(right, pair.right)?);
        let content = InnerContent::join(left, separator.key(), right);
        content.fill(0..at, left_body)?;
        content.fill(at..content.children(), right_body)?;
        // The separator before child `at`; at `left_len` it would be the parent's own.
        Ok(match at.checked_sub(pair.left_len) {
            None => Cut::Inner { page: pair.left, index: at.saturating_sub(1) },
            Some(behind) => Cut::Inner { page: pair.right, index: behind.saturating_sub(1) },
        })
    }

    /// Replaces the separator between both pages; false (and nothing changed) where the parent has
    /// no room for it. The parent may become another page, on the path too.
    #[cfg_attr(not(feature = "large"), inline(never))]
    fn set_separator(&mut self, path: &mut Path, pair: &Pair, cut: Cut) -> Result<bool> {
        let [a, b] = cut.pages();
        let ([first, second], [body]) = self.txn.edit([a, b], [pair.parent])?;
        let separator = cut.read([first, second])?;
        match InnerMut::new(body, pair.parent)?.set_separator(pair.slot, separator.key())? {
            Fit::Done => return Ok(true),
            Fit::Split => return Ok(false),
            Fit::Rebuild => {}
        }
        let Some(fresh) = self.claim_if_room()? else { return Ok(false) };
        let ([first, second, old], [body]) = self.txn.edit([a, b, pair.parent], [fresh])?;
        let separator = cut.read([first, second])?;
        let content = InnerContent::of(InnerView::new(old, pair.parent)?)
            .set_separator(pair.slot, separator.key());
        content.fill(0..content.children(), body)?;
        self.link(path, pair.level - 1, fresh)?;
        self.txn.free(pair.parent)?;
        Ok(true)
    }
}

/// Where the path's entry (or child) is among those of both pages.
fn joined_index(path: &Path, pair: &Pair) -> Result<usize> {
    let step = path.step(pair.level)?;
    let here = if pair.on_right { pair.right } else { pair.left };
    if step.page != here {
        return Err(astray(step.page));
    }
    Ok(step.index() + if pair.on_right { pair.left_len } else { 0 })
}
