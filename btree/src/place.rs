//! A place in a tree that can be moved: at an entry, or in a gap between two.

use crate::TreeRecord;
use crate::error::Result;
use crate::key::Key;
use crate::node::{InnerView, LeafView};
use crate::path::{Path, Step, leaf};
use mapleaf_pager::Pages;

/// Where a place is: at an entry or between two.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum At {
    /// Nowhere: before the first entry and behind the last.
    #[default]
    Nowhere,
    /// At the entry that the path leads to.
    Entry,
    /// Before the entry that the path leads to (which may be one behind the leaf's last).
    Gap,
}

/// A place in a tree that can be moved; what it points into is given with each move.
#[derive(Clone, Default, Debug)]
pub(crate) struct Place {
    pub(crate) path: Path,
    pub(crate) at: At,
}

impl Place {
    pub(crate) const fn new() -> Place {
        Place { path: Path::new(), at: At::Nowhere }
    }

    /// Index of the entry in its leaf; `None` at no entry.
    pub(crate) fn entry(&self) -> Option<Step> {
        if self.at == At::Entry { self.path.leaf_step().ok() } else { None }
    }

    /// The leaf of the entry here; `None` at no entry.
    pub(crate) fn leaf<'a, P: Pages<'a>>(&self, pages: P) -> Result<Option<LeafView<'a>>> {
        self.entry().map(|step| leaf(pages, step.page)).transpose()
    }

    /// After an error the place is nowhere.
    fn settled<T>(&mut self, moved: Result<T>) -> Result<T> {
        if moved.is_err() {
            *self = Place::new();
        }
        moved
    }

    fn go<'a, P: Pages<'a>>(
        &mut self,
        pages: P,
        record: &TreeRecord,
        pick: impl Fn(&InnerView<'a>) -> Result<usize>,
    ) -> Result<Option<LeafView<'a>>> {
        self.path.clear();
        self.at = At::Nowhere;
        if record.height == 0 {
            return Ok(None);
        }
        self.path.down(pages, record.root, usize::from(record.height), pick).map(Some)
    }

    /// Goes to the first entry.
    pub(crate) fn first<'a, P: Pages<'a>>(
        &mut self,
        pages: P,
        record: &TreeRecord,
    ) -> Result<Option<LeafView<'a>>> {
        let leaf = self.go(pages, record, |_| Ok(0));
        if let Ok(Some(_)) = leaf {
            self.at = At::Entry;
        }
        self.settled(leaf)
    }

    /// Goes to the last entry.
    pub(crate) fn last<'a, P: Pages<'a>>(
        &mut self,
        pages: P,
        record: &TreeRecord,
    ) -> Result<Option<LeafView<'a>>> {
        let leaf = self.go(pages, record, |page| Ok(page.count()));
        if let Ok(Some(leaf)) = leaf {
            self.path.set_entry(leaf.count() - 1);
            self.at = At::Entry;
        }
        self.settled(leaf)
    }

    /// Goes to `key` where it is in the tree (and returns its leaf), else between the entries
    /// around.
    pub(crate) fn seek<'a, P: Pages<'a>>(
        &mut self,
        pages: P,
        record: &TreeRecord,
        key: &[u8],
    ) -> Result<Option<LeafView<'a>>> {
        let sought = self.try_seek(pages, record, key);
        self.settled(sought)
    }

    fn try_seek<'a, P: Pages<'a>>(
        &mut self,
        pages: P,
        record: &TreeRecord,
        key: &[u8],
    ) -> Result<Option<LeafView<'a>>> {
        let Some(leaf) = self.go(pages, record, |page| page.search(key))? else {
            return Ok(None);
        };
        self.enter(&leaf, key).map(|found| found.then_some(leaf))
    }

    /// As [`seek`](Place::seek), for a key at or above the one the place was last sought for, or stored at:
    /// goes up only as far as the key is not below what is here.
    pub(crate) fn seek_on<'a, P: Pages<'a>>(
        &mut self,
        pages: P,
        record: &TreeRecord,
        key: &[u8],
    ) -> Result<Option<LeafView<'a>>> {
        if self.at == At::Nowhere || self.path.is_empty() {
            return self.seek(pages, record, key);
        }
        let sought = self.try_seek_on(pages, key);
        self.settled(sought)
    }

    fn try_seek_on<'a, P: Pages<'a>>(
        &mut self,
        pages: P,
        key: &[u8],
    ) -> Result<Option<LeafView<'a>>> {
        let (height, level) = (self.path.len(), self.path.level_of(pages, key)?);
        let top = self.path.step(level)?.page;
        self.path.truncate(level);
        let leaf = self.path.down(pages, top, height, |page| page.search(key))?;
        self.enter(&leaf, key).map(|found| found.then_some(leaf))
    }

    /// Goes to `key` in the leaf that the path leads to; whether it is there.
    fn enter(&mut self, leaf: &LeafView<'_>, key: &[u8]) -> Result<bool> {
        let (index, found) = leaf.lower_bound(key)?;
        self.path.set_entry(index);
        self.at = if found { At::Entry } else { At::Gap };
        Ok(found)
    }

    /// Goes to the next entry, or behind the last.
    pub(crate) fn next<'a, P: Pages<'a>>(
        &mut self,
        pages: P,
        record: &TreeRecord,
    ) -> Result<Option<LeafView<'a>>> {
        if self.at == At::Nowhere || self.path.is_empty() {
            return self.first(pages, record);
        }
        let moved = self.try_next(pages);
        self.settled(moved)
    }

    fn try_next<'a, P: Pages<'a>>(&mut self, pages: P) -> Result<Option<LeafView<'a>>> {
        let step = self.path.leaf_step()?;
        let here = leaf(pages, step.page)?;
        let index = step.index() + usize::from(self.at == At::Entry);
        self.path.set_entry(index);
        let found = if index < here.count() { Some(here) } else { self.path.next_leaf(pages)? };
        self.at = if found.is_some() { At::Entry } else { At::Gap };
        Ok(found)
    }

    /// Goes to the entry before, or before the first.
    pub(crate) fn prev<'a, P: Pages<'a>>(
        &mut self,
        pages: P,
        record: &TreeRecord,
    ) -> Result<Option<LeafView<'a>>> {
        if self.at == At::Nowhere || self.path.is_empty() {
            return self.last(pages, record);
        }
        let moved = self.try_prev(pages);
        self.settled(moved)
    }

    fn try_prev<'a, P: Pages<'a>>(&mut self, pages: P) -> Result<Option<LeafView<'a>>> {
        let step = self.path.leaf_step()?;
        let found = match step.index().checked_sub(1) {
            Some(index) => {
                self.path.set_entry(index);
                Some(leaf(pages, step.page)?)
            }
            None => self.path.prev_leaf(pages)?,
        };
        self.at = if found.is_some() { At::Entry } else { At::Gap };
        Ok(found)
    }

    /// Goes to the last entry for which `below` holds, which does so up to some key and not above.
    pub(crate) fn last_where<'a, P: Pages<'a>>(
        &mut self,
        pages: P,
        record: &TreeRecord,
        below: impl Fn(&Key<'_>) -> bool,
    ) -> Result<Option<LeafView<'a>>> {
        let sought = self.gap_behind(pages, record, &below);
        self.settled(sought)?;
        if self.path.is_empty() { Ok(None) } else { self.prev(pages, record) }
    }

    fn gap_behind<'a, P: Pages<'a>>(
        &mut self,
        pages: P,
        record: &TreeRecord,
        below: &impl Fn(&Key<'_>) -> bool,
    ) -> Result<()> {
        let found = self.go(pages, record, |page| {
            partition(page.count(), |i| Ok(below(&page.separator(i)?.key())))
        })?;
        if let Some(leaf) = found {
            self.path.set_entry(partition(leaf.count(), |i| Ok(below(&leaf.key(i)?)))?);
            self.at = At::Gap;
        }
        Ok(())
    }
}

/// The number of indices below `len` for which `holds`, which does so up to one and not behind.
fn partition(len: usize, holds: impl Fn(usize) -> Result<bool>) -> Result<usize> {
    let (mut first, mut end) = (0, len);
    while first < end {
        let middle = first + (end - first) / 2;
        if holds(middle)? {
            first = middle + 1;
        } else {
            end = middle;
        }
    }
    Ok(first)
}
