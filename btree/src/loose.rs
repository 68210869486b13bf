//! Pages of trees without a state around them: what salvage reads a damaged file with.

use crate::error::{Error, Result};
use crate::key::Key;
use crate::node::{InnerView, LeafView, Value};
use mapleaf_pager::PageId;

/// A leaf of either kind all of whose entries are in order.
#[derive(Clone, Copy, Debug)]
pub struct LooseLeaf<'a>(LeafView<'a>);

/// A value as its leaf has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LooseValue<'a> {
    /// In the leaf.
    Inline(&'a [u8]),
    /// In a run of pages.
    Run {
        /// First page of the run.
        page: PageId,
        /// Length of the value in bytes.
        len_bytes: u64,
    },
}

impl<'a> LooseLeaf<'a> {
    /// The leaf whose body (a page from byte 16 on) this is. Looks at all of it.
    ///
    /// # Errors
    /// [`Corrupt`](mapleaf_pager::Error::Corrupt): it is no leaf, or damaged.
    pub fn read(id: PageId, body: &'a [u8]) -> Result<LooseLeaf<'a>> {
        let leaf = LeafView::new(body, id)?;
        leaf.check()?;
        Ok(LooseLeaf(leaf))
    }

    /// The page that it is.
    #[must_use]
    pub fn page(&self) -> PageId {
        self.0.id()
    }

    /// Entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.count()
    }

    /// Whether there is no entry: no tree has such a leaf.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Entry `i`, in the order of the keys.
    ///
    /// # Errors
    /// [`Damage::Layout`](mapleaf_pager::Damage::Layout): there is none.
    pub fn entry(&self, i: usize) -> Result<(Key<'a>, LooseValue<'a>)> {
        let (key, value) = self.0.entry(i)?;
        let value = match value {
            Value::Inline(bytes) => LooseValue::Inline(bytes),
            Value::Run { page, len_bytes } => LooseValue::Run { page, len_bytes },
        };
        Ok((key, value))
    }
}

/// An inner page all of whose separators are in order.
#[derive(Clone, Copy, Debug)]
pub struct LooseInner<'a>(InnerView<'a>);

impl<'a> LooseInner<'a> {
    /// The inner page whose body (a page from byte 16 on) this is. Looks at all of it.
    ///
    /// # Errors
    /// [`Corrupt`](mapleaf_pager::Error::Corrupt): it is no inner page, or damaged.
    pub fn read(id: PageId, body: &'a [u8]) -> Result<LooseInner<'a>> {
        let inner = InnerView::new(body, id)?;
        inner.check()?;
        Ok(LooseInner(inner))
    }

    /// Children: one more than separators.
    #[must_use]
    pub fn children(&self) -> usize {
        self.0.count() + 1
    }

    /// Child `i`.
    ///
    /// # Errors
    /// [`Damage::Layout`](mapleaf_pager::Damage::Layout): there is none.
    pub fn child(&self, i: usize) -> Result<PageId> {
        self.0.child(i)
    }

    /// Copies separator `i` to the start of `buffer`: keys of child `i` are below it, those of child
    /// `i + 1` at or above it. A page is room enough.
    ///
    /// # Errors
    /// [`Damage::Layout`](mapleaf_pager::Damage::Layout): there is none; [`WorkAreaTooSmall`](Error::WorkAreaTooSmall).
    pub fn separator<'b>(&self, i: usize, buffer: &'b mut [u8]) -> Result<&'b [u8]> {
        let separator = self.0.separator(i)?;
        let key = separator.key();
        let needed_bytes = key.len();
        key.copy_to(buffer).ok_or(Error::WorkAreaTooSmall { needed_bytes })
    }
}
