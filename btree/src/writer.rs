//! The write transaction with its open trees.

use crate::error::Result;
use crate::{Tree, TreeMut, TreeNames, TreeRecord};
use core::marker::PhantomData;
use mapleaf_pager::{Durability, TxnId, WriteTxn};

/// Trees that can be open in one write transaction.
pub const TREES_MAX: usize = 64;

/// Longest name of a tree in bytes (or the longest key of the page size, where that is shorter).
pub const NAME_BYTES_MAX: usize = 255;

/// What a new tree is made with.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct TreeOptions {
    /// The user's tag: any number.
    pub tag: u64,
}

impl TreeOptions {
    /// With this tag.
    #[must_use]
    pub const fn tag(mut self, tag: u64) -> TreeOptions {
        self.tag = tag;
        self
    }
}

/// An open tree of a [`Writer`]. `Copy`; using it after its tree was dropped, or after a rollback
/// that undid its creation or renaming, is [`NoSuchTree`](crate::Error::NoSuchTree).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TreeHandle {
    slot: u8,
    generation: u32,
}

/// A savepoint of a [`Writer`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Savepoint {
    pages: mapleaf_pager::Savepoint,
    clock: u32,
}

/// The write transaction and its open trees. Dropping it without [`commit`](Writer::commit) rolls
/// back.
pub struct Writer<'s> {
    _p: PhantomData<WriteTxn<'s>>,
}

impl<'s> Writer<'s> {
    /// Starts with the trees of the state that `txn` builds on.
    pub fn new(_txn: WriteTxn<'s>) -> Result<Writer<'s>> {
        unimplemented!()
    }
    /// The transaction below: its number, its pages.
    #[must_use]
    pub fn txn(&self) -> &WriteTxn<'s> {
        unimplemented!()
    }
    /// Creates the tree `name` and opens it. `TreeExists`, `TooManyTrees`, `KeyTooLong`.
    pub fn create(&mut self, _name: &str, _options: TreeOptions) -> Result<TreeHandle> {
        unimplemented!()
    }
    /// Opens the tree `name`. `NoSuchTree`, `TooManyTrees`.
    pub fn open(&mut self, _name: &str) -> Result<TreeHandle> {
        unimplemented!()
    }
    /// Opens the tree `name`, and creates it where there is none.
    pub fn open_or_create(&mut self, _name: &str, _options: TreeOptions) -> Result<TreeHandle> {
        unimplemented!()
    }
    /// The names and records of all trees.
    pub fn list(&mut self) -> Result<TreeNames<'_, &WriteTxn<'s>>> {
        unimplemented!()
    }
    /// Renames a tree; open handles go on with it. `NoSuchTree`, `TreeExists`.
    pub fn rename(&mut self, _from: &str, _to: &str) -> Result<()> {
        unimplemented!()
    }
    /// Drops the tree `name` and frees its pages. False where there is none.
    pub fn drop_tree(&mut self, _name: &str) -> Result<bool> {
        unimplemented!()
    }
    /// Sets the tag of a tree.
    pub fn set_tag(&mut self, _tree: TreeHandle, _tag: u64) -> Result<()> {
        unimplemented!()
    }
    /// The record of an open tree, as it is now.
    pub fn record(&self, _tree: TreeHandle) -> Result<TreeRecord> {
        unimplemented!()
    }
    /// The tree, to change.
    pub fn tree(&mut self, _tree: TreeHandle) -> Result<TreeMut<'_, 's>> {
        unimplemented!()
    }
    /// The tree, to read.
    pub fn tree_ref(&self, _tree: TreeHandle) -> Result<Tree<'_, &WriteTxn<'s>>> {
        unimplemented!()
    }
    /// Starts a savepoint; they nest.
    pub fn savepoint(&mut self) -> Result<Savepoint> {
        unimplemented!()
    }
    /// Takes back everything since the savepoint, and ends it and all younger ones.
    pub fn rollback_to(&mut self, _savepoint: Savepoint) -> Result<()> {
        unimplemented!()
    }
    /// Ends the savepoint and all younger ones, and keeps what was done since.
    pub fn release(&mut self, _savepoint: Savepoint) -> Result<()> {
        unimplemented!()
    }
    /// Commits; `Ok` carries the number of the new state.
    pub fn commit(self, _durability: Durability) -> Result<TxnId> {
        unimplemented!()
    }
}
