//! Splitting: two pages for one, and one more separator in the parent, up to the root.

use super::put::Change;
use super::{Editor, astray};
use crate::error::Result;
use crate::node::{Fit, InnerContent, InnerMut, InnerView, LeafView, Separator, separator};
use crate::path::{Path, inner, leaf};
use crate::record::HEIGHT_MAX;
use mapleaf_pager::PageId;
use mapleaf_pager::planted::{self, Bug};

/// Where a separator can be read: it is never copied out of the pages it comes from, since nothing
/// here takes memory in proportion to a key.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cut {
    /// Between the last key of one leaf and the first of the next.
    Leaves { left: PageId, right: PageId },
    /// A separator of an inner page (which may be on no path any more, but is not freed yet).
    Inner { page: PageId, index: usize },
}

impl Cut {
    /// The pages to read for [`read`](Cut::read).
    pub(super) fn pages(&self) -> [PageId; 2] {
        match *self {
            Cut::Leaves { left, right } => [left, right],
            Cut::Inner { page, .. } => [page; 2],
        }
    }

    /// The separator, from the bodies of [`pages`](Cut::pages).
    pub(super) fn read<'a>(&self, bodies: [&'a [u8]; 2]) -> Result<Separator<'a>> {
        let [first, second] = bodies;
        match *self {
            Cut::Leaves { left, right } => {
                let (below, above) = (LeafView::new(first, left)?, LeafView::new(second, right)?);
                let last = below.count().checked_sub(1).ok_or(astray(left))?;
                Ok(separator(below.key(last)?, above.key(0)?).into())
            }
            Cut::Inner { page, index } => InnerView::new(first, page)?.separator(index),
        }
    }
}

/// A page that became two.
#[derive(Clone, Copy)]
struct Halves {
    left: PageId,
    right: PageId,
    cut: Cut,
    /// The path goes on in the right one.
    go_right: bool,
}

/// Pages that are no longer on the tree, but may still be read for a separator.
type Retired = heapless::Vec<PageId, HEIGHT_MAX>;

impl Editor<'_, '_> {
    /// Splits the leaf of the path, which is owned, and makes the change in the half it belongs to.
    /// The path then leads to the entry.
    pub(super) fn split_leaf(&mut self, path: &mut Path, change: Change<'_>) -> Result<()> {
        let appends = self.appends(path, &change)?;
        self.split(path, change, appends)
    }

    /// Starts a leaf behind that of the path, which is owned and leads to the tree's last entry, with the
    /// inserted entry. The path then leads to it.
    pub(super) fn start_leaf(&mut self, path: &mut Path, change: Change<'_>) -> Result<()> {
        self.split(path, change, true)
    }

    fn split(&mut self, path: &mut Path, change: Change<'_>, appends: bool) -> Result<()> {
        if path.len() >= HEIGHT_MAX {
            return Err(astray(self.record.root));
        }
        // Two pages a level, and a root.
        self.txn.reserve(2 * path.len() as u32 + 1)?;
        let split = self.split_now(path, change, appends);
        self.whole(split)
    }

    fn split_now(&mut self, path: &mut Path, change: Change<'_>, appends: bool) -> Result<()> {
        let halves =
            if appends { self.append_leaf(path, change)? } else { self.halve_leaf(path, change)? };
        self.record.leaf_pages = self.record.leaf_pages.saturating_add(1);
        let mut retired = Retired::new();
        self.grow(path, halves, &mut retired)?;
        for page in retired {
            self.txn.free(page)?;
        }
        Ok(())
    }

    /// Whether the change appends to the tree: then the leaf stays full and the new one starts with
    /// it, so that sorted input fills its pages.
    fn appends(&self, path: &Path, change: &Change<'_>) -> Result<bool> {
        let step = path.leaf_step()?;
        let count = leaf(&*self.txn, step.page)?.count();
        Ok(change.key.is_some() && step.index() == count && path.on_right_edge(&*self.txn)?)
    }

    fn append_leaf(&mut self, path: &mut Path, change: Change<'_>) -> Result<Halves> {
        let left = path.leaf_step()?.page;
        let right = self.txn.claim()?;
        let prefix = self.prefix_behind(left, &change)?;
        let prints = self.prints_behind(left, prefix)?;
        self.fill_single(right, change, prefix, prints)?;
        self.announce_leaves(&[right])?;
        path.set(path.leaf_level(), right, 0);
        Ok(Halves { left, right, cut: Cut::Leaves { left, right }, go_right: true })
    }

    fn halve_leaf(&mut self, path: &mut Path, change: Change<'_>) -> Result<Halves> {
        let step = path.leaf_step()?;
        let (left, right) = (self.txn.claim()?, self.txn.claim()?);
        let prints = self.prints();
        let ([old], [left_body, right_body]) = self.txn.edit([step.page], [left, right])?;
        let content = change.content(LeafView::new(old, step.page)?, step.index())?;
        let at = content.split_point()?;
        content.fill(0..at, left_body, prints)?;
        let behind = at + usize::from(planted::is(Bug::SplitOffByOne));
        content.fill(behind..content.len(), right_body, prints)?;
        self.announce_leaves(&[left, right])?;
        self.txn.free(step.page)?;
        let go_right = step.index() >= at;
        let (page, index) =
            if go_right { (right, step.index() - at) } else { (left, step.index()) };
        path.set(path.leaf_level(), page, index);
        Ok(Halves { left, right, cut: Cut::Leaves { left, right }, go_right })
    }

    /// Tells the parents of a split leaf, from the bottom up, as far as it matters.
    fn grow(&mut self, path: &mut Path, halves: Halves, retired: &mut Retired) -> Result<()> {
        let mut halves = halves;
        for level in (0..path.leaf_level()).rev() {
            let step = path.step(level)?;
            let [a, b] = halves.cut.pages();
            let ([a, b], [body]) = self.txn.edit([a, b], [step.page])?;
            let cut = halves.cut.read([a, b])?;
            let mut parent = InnerMut::new(body, step.page)?;
            parent.set_child(step.index(), halves.left)?;
            match parent.insert(step.index(), cut.key(), halves.right)? {
                Fit::Done => {
                    path.set(level, step.page, step.index() + usize::from(halves.go_right));
                    return Ok(());
                }
                Fit::Rebuild => return self.rebuild_inner(path, level, halves, retired),
                Fit::Split => halves = self.split_inner(path, level, halves)?,
            }
            retired.push(step.page).map_err(|_| astray(step.page))?;
        }
        self.grow_root(path, halves)
    }

    /// Lays an inner page out in a fresh one, with the new separator.
    fn rebuild_inner(
        &mut self,
        path: &mut Path,
        level: usize,
        halves: Halves,
        retired: &mut Retired,
    ) -> Result<()> {
        let step = path.step(level)?;
        let fresh = self.txn.claim()?;
        let [a, b] = halves.cut.pages();
        let ([a, b, old], [body]) = self.txn.edit([a, b, step.page], [fresh])?;
        let cut = halves.cut.read([a, b])?;
        let content = InnerContent::of(InnerView::new(old, step.page)?).insert(
            step.index(),
            cut.key(),
            halves.right,
        );
        content.fill(0..content.children(), body)?;
        self.link(path, level, fresh)?;
        path.set(level, fresh, step.index() + usize::from(halves.go_right));
        retired.push(step.page).map_err(|_| astray(step.page))
    }

    /// Splits an inner page that has no room for the new separator.
    fn split_inner(&mut self, path: &mut Path, level: usize, halves: Halves) -> Result<Halves> {
        let step = path.step(level)?;
        let appends = step.index() == inner(&*self.txn, step.page)?.count()
            && path.on_right_edge(&*self.txn)?;
        let (left, right) = (self.txn.claim()?, self.txn.claim()?);
        let [a, b] = halves.cut.pages();
        let ([a, b, old], [left_body, right_body]) =
            self.txn.edit([a, b, step.page], [left, right])?;
        let cut = halves.cut.read([a, b])?;
        let content = InnerContent::of(InnerView::new(old, step.page)?).insert(
            step.index(),
            cut.key(),
            halves.right,
        );
        // At the right edge the left page stays as full as it is.
        let at = match content.children().checked_sub(2) {
            Some(at) if appends && at >= 2 => at,
            _ => content.split_point()?,
        };
        content.fill(0..at, left_body)?;
        content.fill(at..content.children(), right_body)?;
        self.record.inner_pages = self.record.inner_pages.saturating_add(1);
        // The separator before child `at` goes up: the new one, or one of the old page.
        let new_at = step.index() + 1;
        let up = match at {
            at if at == new_at => halves.cut,
            at => Cut::Inner { page: step.page, index: at - 1 - usize::from(at > new_at) },
        };
        let index = step.index() + usize::from(halves.go_right);
        let go_right = index >= at;
        let (page, index) = if go_right { (right, index - at) } else { (left, index) };
        path.set(level, page, index);
        Ok(Halves { left, right, cut: up, go_right })
    }

    /// A new root above the halves of the old one.
    fn grow_root(&mut self, path: &mut Path, halves: Halves) -> Result<()> {
        let root = self.txn.claim()?;
        let [a, b] = halves.cut.pages();
        let ([a, b], [body]) = self.txn.edit([a, b], [root])?;
        let cut = halves.cut.read([a, b])?;
        let mut page = InnerMut::init(body, root, halves.left, &[])?;
        if page.insert(0, cut.key(), halves.right)? != Fit::Done {
            return Err(astray(root));
        }
        path.push_root(root, usize::from(halves.go_right))?;
        self.record.root = root;
        self.record.height = self.record.height.saturating_add(1);
        self.record.inner_pages = self.record.inner_pages.saturating_add(1);
        Ok(())
    }
}
