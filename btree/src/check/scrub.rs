//! Comparing the checksums of all that a state's trees reach, beside whoever reads and writes.

use crate::TreeRecord;
use crate::error::{Error, Result};
use crate::key::Key;
use crate::node::{InnerView, LeafView, Separator, Value};
use crate::path::{inner, leaf};
use crate::record::HEIGHT_MAX;
use mapleaf_pager::{Damage, HEADER_BYTES, PageId, Pages};

/// What a damaged page holds, by what leads to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Scrubbed<'a> {
    /// An inner page; what it leads to was not looked at.
    Subtree,
    /// A leaf.
    Leaf,
    /// The value of this key.
    Value(Key<'a>),
    /// The root of a whole tree, or its record among the names.
    Tree,
}

/// One damaged page.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ScrubFinding<'a> {
    /// Name of the tree; `None`: the names themselves.
    pub tree: Option<Key<'a>>,
    /// The page, or [`PageId::NONE`].
    pub page: PageId,
    /// What is wrong with it: damage, or that it cannot be read.
    pub error: Error,
    /// What it holds.
    pub what: Scrubbed<'a>,
    /// Keys at or above this one lie on it, or below it; `None`: from the tree's first on.
    pub from: Option<Key<'a>>,
    /// Keys below this one do; `None`: to the tree's last.
    pub to: Option<Key<'a>>,
}

/// Who listens to a scrub.
pub trait ScrubVisitor {
    /// So many pages more were read, damaged ones included.
    fn pages(&mut self, count: u32);

    /// A damage was found; the scrub goes on beside it.
    fn damage(&mut self, finding: &ScrubFinding<'_>);
}

/// Reads the catalog and all trees of a state of `page_count` pages, in the order of their keys, and
/// compares every page's checksum: no less and no more. ([`check`](super::check) also proves the order of
/// keys, the counts, and that no page is reached twice.)
///
/// No memory beyond the stack; each page is looked at once. A page that is damaged hides what only it
/// leads to. Damage is told to the visitor: nothing ends a scrub.
pub fn scrub<'a, P: Pages<'a>>(pages: P, page_count: u32, visitor: &mut dyn ScrubVisitor) {
    let mut scrub = Scrub { pages, budget: page_count, visitor };
    match TreeRecord::decode_names(pages.root()) {
        Ok(catalog) => scrub.tree(None, catalog),
        Err(error) => scrub.tell(Found::tree(None, PageId::NONE, error)),
    }
}

struct Scrub<'v, P> {
    pages: P,
    /// Pages that may still be visited: no state reaches more than there are. Ends what whole pages that
    /// were written wrongly could make endless.
    budget: u32,
    visitor: &'v mut dyn ScrubVisitor,
}

/// An inner page on the way, and the child to come next.
struct Level<'a> {
    page: InnerView<'a>,
    next: usize,
}

type Levels<'a> = heapless::Vec<Level<'a>, HEIGHT_MAX>;

/// A damage, before its keys are looked up.
struct Found<'a> {
    tree: Option<Key<'a>>,
    page: PageId,
    error: Error,
    what: Scrubbed<'a>,
}

impl<'a> Found<'a> {
    fn tree(tree: Option<Key<'a>>, page: PageId, error: Error) -> Found<'a> {
        Found { tree, page, error, what: Scrubbed::Tree }
    }
}

impl<'a, P: Pages<'a>> Scrub<'_, P> {
    fn tell(&mut self, found: Found<'_>) {
        self.tell_between(found, None, None);
    }

    fn tell_between(&mut self, found: Found<'_>, from: Option<Key<'_>>, to: Option<Key<'_>>) {
        let Found { tree, page, error, what } = found;
        self.visitor.damage(&ScrubFinding { tree, page, error, what, from, to });
    }

    /// Walks one tree: the catalog (without a name), which leads to the others.
    fn tree(&mut self, name: Option<Key<'_>>, record: TreeRecord) {
        let mut levels = Levels::new();
        if record.height > 0 {
            self.enter(name, &record, &mut levels, record.root);
        }
        while let Some(level) = levels.last_mut() {
            if level.next > level.page.count() {
                levels.pop();
                continue;
            }
            let child = level.page.child(level.next);
            let page = level.page.id();
            level.next += 1;
            match child {
                Ok(child) => self.enter(name, &record, &mut levels, child),
                Err(error) => {
                    self.tell(Found { tree: name, page, error, what: Scrubbed::Subtree });
                }
            }
        }
    }

    /// Looks at a page that the levels lead to; an inner page is put on them.
    fn enter(
        &mut self,
        name: Option<Key<'_>>,
        record: &TreeRecord,
        levels: &mut Levels<'a>,
        id: PageId,
    ) {
        let is_leaf = levels.len() + 1 == usize::from(record.height);
        let looked = self.compare(id, 1).and_then(|()| {
            if is_leaf {
                return leaf(self.pages, id).map(Some);
            }
            let level = Level { page: inner(self.pages, id)?, next: 0 };
            levels.push(level).map_err(|_| Error::corrupt(id, Damage::Depth))?;
            Ok(None)
        });
        match looked {
            Ok(Some(leaf)) => self.entries(name, &leaf),
            Ok(None) => {}
            Err(error) => {
                let what = match is_leaf {
                    _ if levels.is_empty() => Scrubbed::Tree,
                    true => Scrubbed::Leaf,
                    false => Scrubbed::Subtree,
                };
                // Two separators at the most.
                let (from, to) = around(levels);
                let (from, to) =
                    (from.as_ref().map(Separator::key), to.as_ref().map(Separator::key));
                self.tell_between(Found { tree: name, page: id, error, what }, from, to);
            }
        }
    }

    /// Looks at what the entries of a leaf lead to.
    fn entries(&mut self, name: Option<Key<'_>>, leaf: &LeafView<'a>) {
        for i in 0..leaf.count() {
            let (key, value) = match leaf.entry(i) {
                Ok(entry) => entry,
                Err(error) => {
                    let page = leaf.id();
                    self.tell(Found { tree: name, page, error, what: Scrubbed::Leaf });
                    continue;
                }
            };
            match value {
                Value::Run { page, len_bytes } => {
                    if let Err(error) = self.run(page, len_bytes) {
                        let what = Scrubbed::Value(key);
                        self.tell(Found { tree: name, page, error, what });
                    }
                }
                Value::Inline(record) if name.is_none() => match TreeRecord::decode(record) {
                    Ok(record) => self.tree(Some(key), record),
                    Err(error) => self.tell(Found::tree(Some(key), leaf.id(), error)),
                },
                Value::Inline(_) => {}
            }
        }
    }

    fn run(&mut self, id: PageId, len_bytes: u64) -> Result<()> {
        let bytes = len_bytes.saturating_add(HEADER_BYTES as u64);
        let pages = bytes.div_ceil(self.pages.page_size() as u64);
        let pages = u32::try_from(pages).map_err(|_| Error::corrupt(id, Damage::Layout))?;
        self.compare(id, pages)?;
        self.pages.run(id, len_bytes)?;
        Ok(())
    }

    /// Compares the checksum of a page, or of a run of as many.
    fn compare(&mut self, id: PageId, pages: u32) -> Result<()> {
        self.budget = self.budget.checked_sub(pages).ok_or(Error::corrupt(id, Damage::Shared))?;
        self.visitor.pages(pages);
        Ok(self.pages.verify(id)?)
    }
}

/// The separators on both sides of the child that the levels lead to.
fn around<'a>(levels: &Levels<'a>) -> (Option<Separator<'a>>, Option<Separator<'a>>) {
    let (mut from, mut to) = (None, None);
    for level in levels.iter().rev() {
        // `next` is the child behind the one that is led to.
        let child = level.next.saturating_sub(1);
        if from.is_none() && child > 0 {
            from = level.page.separator(child - 1).ok();
        }
        if to.is_none() && child < level.page.count() {
            to = level.page.separator(child).ok();
        }
    }
    (from, to)
}
