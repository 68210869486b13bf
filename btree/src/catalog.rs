//! Trees by name: the root data of a state is the record of the catalog, a tree whose keys are the
//! names and whose values are the records of the named trees.

use crate::error::{Error, Result};
use crate::key::Key;
use crate::{Range, Tree, TreeRecord};
use mapleaf_pager::Pages;

/// The names of one state.
#[derive(Clone, Copy)]
pub struct Catalog<'a, P: Pages<'a>> {
    tree: Tree<'a, P>,
}

impl<'a, P: Pages<'a>> Catalog<'a, P> {
    /// The catalog of the state `pages`.
    ///
    /// # Errors
    /// As [`TreeRecord::decode`].
    pub fn new(pages: P) -> Result<Catalog<'a, P>> {
        Ok(Catalog { tree: Tree::open(pages, TreeRecord::decode_names(pages.root())?) })
    }

    /// The record of the tree `name`; `None` where there is no such tree.
    ///
    /// # Errors
    /// As [`Tree::get`] and [`TreeRecord::decode`].
    pub fn get(&self, name: &str) -> Result<Option<TreeRecord>> {
        self.tree.get(name.as_bytes())?.map(TreeRecord::decode).transpose()
    }

    /// Opens the tree `name`.
    ///
    /// # Errors
    /// [`Error::NoSuchTree`], and as [`get`](Catalog::get).
    pub fn open(&self, name: &str) -> Result<Tree<'a, P>> {
        let record = self.get(name)?.ok_or(Error::NoSuchTree)?;
        Ok(Tree::open(self.tree.pages, record))
    }

    /// The trees' names and records, in the names' order.
    #[must_use]
    pub fn list(&self) -> TreeNames<'a, P> {
        TreeNames { entries: self.tree.iter() }
    }

    /// The record of the catalog itself; its entries are the named trees.
    #[must_use]
    pub fn record(&self) -> TreeRecord {
        self.tree.record()
    }
}

/// Names and records of the trees of a state; see [`Catalog::list`]. Ends after an error.
#[derive(Clone)]
pub struct TreeNames<'a, P: Pages<'a>> {
    entries: Range<'a, P>,
}

impl<'a, P: Pages<'a>> Iterator for TreeNames<'a, P> {
    type Item = Result<(Key<'a>, TreeRecord)>;

    fn next(&mut self) -> Option<Self::Item> {
        let entry = self.entries.next()?;
        Some(entry.and_then(|(name, value)| Ok((name, TreeRecord::decode(value)?))))
    }
}
