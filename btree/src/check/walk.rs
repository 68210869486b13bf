//! Walking one tree, page by page.

use super::Pass;
use crate::TreeRecord;
use crate::error::{Error, Result};
use crate::key::Key;
use crate::node::{InnerView, LeafView, Value};
use crate::path::{Path, inner, leaf};
use mapleaf_pager::{Damage, HEADER_BYTES, PageId, Pages};

/// What was counted of a tree.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
struct Counts {
    entries: u64,
    inner_pages: u64,
    leaf_pages: u64,
    run_pages: u64,
}

/// The walk over one tree, in one pass.
pub(super) struct Walk<'p, 'v, 'w, 'a, P> {
    pass: &'p mut Pass<'v, 'w, P>,
    name: Option<Key<'a>>,
    record: TreeRecord,
    counts: Counts,
    /// From the root to the page being looked at; each step's index is the child to come next.
    path: Path,
    /// Whether a damage hides part of the tree, so that its counts mean nothing.
    hidden: bool,
}

impl<'p, 'v, 'w, 'a, P: Pages<'a>> Walk<'p, 'v, 'w, 'a, P> {
    pub(super) fn new(
        pass: &'p mut Pass<'v, 'w, P>,
        name: Option<Key<'a>>,
        record: TreeRecord,
    ) -> Walk<'p, 'v, 'w, 'a, P> {
        let (counts, path) = (Counts::default(), Path::new());
        Walk { pass, name, record, counts, path, hidden: false }
    }

    /// Walks the tree; how many entries it has.
    pub(super) fn run(mut self) -> Result<u64> {
        let width = self.record.fixed;
        if width.is_some_and(|width| !width.fits(self.pass.pages.page_size())) {
            self.good(Err::<(), _>(Error::corrupt(self.record.root, Damage::Layout)))?;
        }
        if self.record.height > 0 {
            self.enter(self.record.root)?;
        }
        while let Some(step) = self.path.pop() {
            let page = inner(self.pass.pages, step.page)?;
            if step.index() <= page.count() {
                self.path.push(step.page, step.index() + 1)?;
                let child = page.child(step.index());
                if let Some(child) = self.good(child)? {
                    self.enter(child)?;
                }
            }
        }
        if self.pass.full {
            self.compare()?;
        }
        Ok(self.counts.entries)
    }

    /// Tells of an error, which hides what lies below.
    fn good<T>(&mut self, result: Result<T>) -> Result<Option<T>> {
        let good = self.pass.good(self.name, result)?;
        self.hidden |= good.is_none();
        Ok(good)
    }

    /// Looks at a page that the path leads to; an inner page is put on the path.
    fn enter(&mut self, id: PageId) -> Result<()> {
        let looked = self.look(id);
        self.good(looked).map(drop)
    }

    fn look(&mut self, id: PageId) -> Result<()> {
        self.reach(id, 1)?;
        if self.path.len() + 1 == usize::from(self.record.height) {
            return self.look_at_leaf(id);
        }
        let pages = self.pass.pages;
        if self.pass.full {
            pages.verify(id)?;
        }
        let page = inner(pages, id)?;
        if self.pass.full {
            page.check()?;
            self.check_inner_bounds(&page)?;
        }
        self.counts.inner_pages += 1;
        self.path.push(id, 0)
    }

    fn look_at_leaf(&mut self, id: PageId) -> Result<()> {
        let pages = self.pass.pages;
        self.counts.leaf_pages += 1;
        if !self.pass.full && self.record.run_pages == 0 && self.name.is_some() {
            return Ok(());
        }
        if self.pass.full {
            pages.verify(id)?;
        }
        let page = leaf(pages, id)?;
        self.counts.entries += page.count() as u64;
        if self.pass.full {
            if page.width() != self.record.fixed {
                return Err(Error::corrupt(id, Damage::Layout));
            }
            page.check()?;
            self.check_leaf_bounds(&page)?;
            let used = page.used_bytes() as u64;
            self.pass.report.leaf_bytes_used += used;
        }
        for i in 0..page.count() {
            if let Value::Run { page: run, len_bytes } = page.value(i)? {
                let looked = self.look_at_run(run, len_bytes);
                self.good(looked)?;
            }
        }
        Ok(())
    }

    fn look_at_run(&mut self, id: PageId, len_bytes: u64) -> Result<()> {
        let pages = self.pass.pages;
        pages.run(id, len_bytes)?;
        let bytes = len_bytes.saturating_add(HEADER_BYTES as u64);
        let count = bytes.div_ceil(pages.page_size() as u64);
        let count = u32::try_from(count).map_err(|_| Error::corrupt(id, Damage::Layout))?;
        self.reach(id, count)?;
        self.counts.run_pages += u64::from(count);
        if self.pass.full {
            pages.verify(id)?;
        }
        Ok(())
    }

    /// Marks pages as reached.
    fn reach(&mut self, id: PageId, pages: u32) -> Result<()> {
        let left = self.pass.budget.checked_sub(pages).ok_or(Error::corrupt(id, Damage::Shared))?;
        match self.pass.reach.mark_run(id, pages) {
            // It is not gone to again, and so costs nothing that others are to have.
            Some(twice) => Err(Error::corrupt(twice, Damage::Shared)),
            None => {
                self.pass.budget = left;
                Ok(())
            }
        }
    }

    /// That the separators lie strictly between those that lead to the page.
    fn check_inner_bounds(&self, page: &InnerView<'a>) -> Result<()> {
        let Some(last) = page.count().checked_sub(1) else { return Ok(()) };
        let (first, last) = (page.separator(0)?, page.separator(last)?);
        let above_lower = self.above_lower(&first.key(), true)?;
        self.in_order(page.id(), above_lower && self.below_upper(&last.key())?)
    }

    /// That the keys lie between the separators that lead to the leaf: at or above the left one.
    fn check_leaf_bounds(&self, page: &LeafView<'a>) -> Result<()> {
        let (first, last) = (page.key(0)?, page.key(page.count().saturating_sub(1))?);
        let above_lower = self.above_lower(&first, false)?;
        self.in_order(page.id(), above_lower && self.below_upper(&last)?)
    }

    fn in_order(&self, id: PageId, holds: bool) -> Result<()> {
        if holds { Ok(()) } else { Err(Error::corrupt(id, Damage::Order)) }
    }

    /// Whether a key is at or above (`strictly`: above) the separator on the left of the path.
    fn above_lower(&self, key: &Key<'_>, strictly: bool) -> Result<bool> {
        for level in (0..self.path.len()).rev() {
            let step = self.path.step(level)?;
            // The index is that of the child behind the one the path leads to.
            if let Some(slot) = step.index().checked_sub(2) {
                let separator = inner(self.pass.pages, step.page)?.separator(slot)?;
                let lower = separator.key();
                return Ok(if strictly { *key > lower } else { *key >= lower });
            }
        }
        Ok(true)
    }

    /// Whether a key is below the separator on the right of the path.
    fn below_upper(&self, key: &Key<'_>) -> Result<bool> {
        for level in (0..self.path.len()).rev() {
            let step = self.path.step(level)?;
            let page = inner(self.pass.pages, step.page)?;
            if let Some(slot) = step.index().checked_sub(1)
                && slot < page.count()
            {
                return Ok(*key < page.separator(slot)?.key());
            }
        }
        Ok(true)
    }

    /// Compares what was counted with what the record says.
    fn compare(&mut self) -> Result<()> {
        let report = &mut self.pass.report;
        report.inner_pages += self.counts.inner_pages;
        report.leaf_pages += self.counts.leaf_pages;
        report.run_pages += self.counts.run_pages;
        report.height_max = report.height_max.max(self.record.height);
        let recorded = Counts {
            entries: self.record.entries,
            inner_pages: u64::from(self.record.inner_pages),
            leaf_pages: u64::from(self.record.leaf_pages),
            run_pages: u64::from(self.record.run_pages),
        };
        if !self.hidden && recorded != self.counts {
            let damage = Error::corrupt(self.record.root, Damage::Count);
            self.pass.tell(self.name, damage)?;
        }
        Ok(())
    }
}
