//! The write transaction with its open trees.

use crate::edit::{Editor, Source};
use crate::error::{Error, Result};
use crate::node::max_key_len;
use crate::open_trees::OpenTrees;
use crate::place::Place;
use crate::redo::{log_create, log_drop, log_rename};
use crate::{Catalog, FixedWidth, Tree, TreeMut, TreeNames, TreeOptions, TreeRecord};
use core::borrow::BorrowMut;
use core::sync::atomic::{AtomicU32, Ordering};
use mapleaf_pager::{Durability, Pages, TxnId, WriteTxn, features};

/// Trees that can have handles in one write transaction.
pub const TREES_MAX: usize = if cfg!(feature = "large") { 64 } else { 4 };

/// Longest name of a tree in bytes (or the longest key of the page size, where that is shorter).
pub const NAME_BYTES_MAX: usize = if cfg!(feature = "large") { 255 } else { 95 };

/// Writers made so far: each tells its handles from those of the others.
static WRITERS: AtomicU32 = AtomicU32::new(0);

/// An open tree of a [`Writer`]. `Copy`; it ends with its transaction: using it in a later one, after its tree
/// was dropped, or after a rollback
/// that undid its creation or renaming, is [`NoSuchTree`](crate::Error::NoSuchTree). So is using one that
/// was opened since the savepoint and after a creation or renaming of any tree that the rollback undid:
/// which tree had the name before is not kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TreeHandle {
    pub(crate) generation: u32,
    /// The slot in the lowest byte, the number of the writer above it: both in one word, so that a handle is
    /// passed in registers.
    place: u32,
}

impl TreeHandle {
    pub(crate) const fn new(writer: u32, slot: u8, generation: u32) -> TreeHandle {
        TreeHandle { generation, place: writer << 8 | slot as u32 }
    }

    /// The slot in the table of that writer.
    pub(crate) const fn slot(self) -> usize {
        (self.place & 0xFF) as usize
    }

    /// Whether it is one of this writer's. (Of one 2^24 writers before or behind it, too.)
    pub(crate) const fn is_of(self, writer: u32) -> bool {
        self.place >> 8 == writer << 8 >> 8
    }
}

/// A savepoint of a [`Writer`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Savepoint {
    pages: mapleaf_pager::Savepoint,
    clock: u32,
    /// The clock of the last naming before it.
    named_last: u32,
}

/// The write transaction and its open trees. Dropping it without [`commit`](Writer::commit) rolls
/// back.
///
/// Nothing here allocates. Operations on names cost a lookup in the catalog, which is a tree as any
/// other. Beside what a method names, the errors are those of the store
/// ([`Full`](mapleaf_pager::Error::Full), [`Io`](mapleaf_pager::Error::Io)) and damage; an error in
/// the middle of a change marks the transaction, which can then only be rolled back.
///
/// `T` is where the table of open trees lies, which takes some KiB: in the writer itself, or, as `&mut OpenTrees`,
/// where it stays from one writer to the next.
pub struct Writer<'s, T = OpenTrees> {
    pub(crate) txn: WriteTxn<'s>,
    /// The catalog's record; the state's root data once the open trees are written back.
    pub(crate) catalog: TreeRecord,
    open: T,
    /// Nothing is logged: what is done comes from the log.
    silent: bool,
}

impl<'s> Writer<'s> {
    /// Starts with the trees of the state that `txn` builds on.
    ///
    /// # Errors
    /// As [`TreeRecord::decode`].
    // A call: its copies are off the stack before anything is changed.
    #[inline(never)]
    pub fn new(txn: WriteTxn<'s>) -> Result<Writer<'s>> {
        Writer::with_table(txn, OpenTrees::new())
    }

    /// As [`new`](Writer::new), for what the log says: it is not logged again.
    #[inline(never)]
    pub(crate) fn replaying(txn: WriteTxn<'s>) -> Result<Writer<'s>> {
        let mut writer = Writer::new(txn);
        if let Ok(writer) = &mut writer {
            writer.silent = true;
        }
        writer
    }

    /// The transaction below, with all that was done in its catalog; uncommitted.
    ///
    /// # Errors
    /// Those of the store, and damage: the transaction is rolled back.
    pub fn into_txn(mut self) -> Result<WriteTxn<'s>> {
        self.write_back()?;
        Ok(self.txn)
    }
}

impl<'s, T: BorrowMut<OpenTrees>> Writer<'s, T> {
    /// As [`new`](Writer::new), with this table, whatever is in it.
    ///
    /// ```
    /// use mapleaf_btree::{OpenTrees, TreeOptions, Writer};
    /// # use core::sync::atomic::AtomicU32;
    /// # use mapleaf_pager::{Durability, Options, SliceMapping, Store};
    /// # let mut ram = vec![0u8; 1 << 20];
    /// # let words = [const { AtomicU32::new(0) }; mapleaf_pager::words_for(4)];
    /// # let options = Options::default().log_bytes(0, 0);
    /// # let store = Store::create(SliceMapping::empty(&mut ram), words, &options)?;
    /// let mut table = OpenTrees::new();
    /// for round in 0..2u8 {
    ///     let mut writer = Writer::with_table(store.begin_write()?, &mut table)?;
    ///     let tree = writer.open_or_create("rounds", TreeOptions::default())?;
    ///     writer.tree(tree)?.insert(b"last", &[round])?;
    ///     writer.commit(Durability::Sync)?;
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`TreeRecord::decode`].
    pub fn with_table(txn: WriteTxn<'s>, mut table: T) -> Result<Writer<'s, T>> {
        let catalog = TreeRecord::decode_names((&txn).root())?;
        table.borrow_mut().clear(WRITERS.fetch_add(1, Ordering::Relaxed));
        Ok(Writer { txn, catalog, open: table, silent: false })
    }

    /// The transaction below: its number, its pages.
    #[must_use]
    pub fn txn(&self) -> &WriteTxn<'s> {
        &self.txn
    }

    /// The transaction below, after [`write_back`](Writer::write_back). Where something was done since, or that failed,
    /// it can only be rolled back: its trees are not what its pages say.
    #[must_use]
    pub fn into_written(mut self) -> WriteTxn<'s> {
        let dirty = (0..self.open.borrow().len())
            .any(|slot| self.open.borrow().dirty_record(slot).is_some());
        if dirty || (&self.txn).root() != &self.catalog.encode() {
            self.txn.fail();
        }
        self.txn
    }

    /// The catalog, to be changed. Names are logged one by one, not as its entries.
    pub(crate) fn names(&mut self) -> Editor<'_, 's> {
        Editor { txn: &mut self.txn, record: &mut self.catalog, log: None, hint: None }
    }

    fn check_name(&self, name: &str) -> Result<()> {
        let limit_bytes = max_key_len((&self.txn).page_size()).min(NAME_BYTES_MAX);
        if name.len() > limit_bytes { Err(Error::KeyTooLong { limit_bytes }) } else { Ok(()) }
    }

    /// The record of a tree as the catalog has it.
    #[inline(never)]
    fn stored(&self, name: &[u8]) -> Result<Option<TreeRecord>> {
        let value = Tree::open(&self.txn, self.catalog).get(name)?;
        value.map(TreeRecord::decode).transpose()
    }

    /// Stores a record in the catalog. Where no page has changed it may be there already, and is not stored again:
    /// a transaction that changes nothing leaves nothing behind.
    pub(crate) fn store(&mut self, name: &[u8], record: &TreeRecord) -> Result<()> {
        if !self.txn.changed() && self.stored(name)? == Some(*record) {
            return Ok(());
        }
        let bytes = record.encode();
        let mut names = self.names();
        let mut place = Place::new();
        place.seek(&*names.txn, names.record, name)?;
        names.put(&mut place, name, Source::Bytes(&bytes)).map(drop)
    }

    /// Removes a name from the catalog.
    fn unname(&mut self, name: &[u8]) -> Result<()> {
        let mut names = self.names();
        let mut place = Place::new();
        place.seek(&*names.txn, names.record, name)?;
        if place.entry().is_some() { names.remove(&mut place) } else { Ok(()) }
    }

    /// Marks the transaction as failed if a change broke off in the middle.
    fn whole<R>(&mut self, changed: Result<R>) -> Result<R> {
        if changed.is_err() {
            self.txn.fail();
        }
        changed
    }

    /// Writes the records of the open trees back to the catalog, and its record to the root data.
    /// [`commit`](Writer::commit) does it first; where the stack is small it is better done before
    /// the writer is moved there.
    ///
    /// # Errors
    /// Those of the store, and damage.
    pub fn write_back(&mut self) -> Result<()> {
        for slot in 0..self.open.borrow().len() {
            self.put_back(slot)?;
        }
        self.txn.set_root(&self.catalog.encode());
        Ok(())
    }

    /// Writes the record of the tree in a slot back to the catalog, if it has changed.
    fn put_back(&mut self, slot: usize) -> Result<()> {
        let Some(record) = self.open.borrow().dirty_record(slot) else { return Ok(()) };
        let mut name = [0; NAME_BYTES_MAX];
        let stored = self.open.borrow().name(slot).unwrap_or_default();
        let Some(name) = name.get_mut(..stored.len()) else { return Ok(()) };
        name.copy_from_slice(stored);
        self.store(name, &record)?;
        self.open.borrow_mut().set_clean(slot);
        Ok(())
    }

    /// Closes trees that nobody has a handle of until one of this name can be opened; or be called so, instead
    /// of by the name it has.
    #[inline(never)]
    fn make_room(&mut self, name: &[u8], instead_of: Option<&[u8]>) -> Result<()> {
        while let Err(full) = self.open.borrow().room_for(name, instead_of) {
            let slot = self.open.borrow().oldest_unlent().ok_or(full)?;
            self.put_back(slot)?;
            self.open.borrow_mut().close(slot);
        }
        Ok(())
    }

    /// Creates the tree `name` and opens it.
    ///
    /// # Errors
    /// [`TreeExists`](Error::TreeExists), [`TooManyTrees`](Error::TooManyTrees),
    /// [`KeyTooLong`](Error::KeyTooLong), [`WidthTooLarge`](Error::WidthTooLarge).
    #[inline(never)]
    pub fn create(&mut self, name: &str, options: TreeOptions) -> Result<TreeHandle> {
        self.check_name(name)?;
        let key = name.as_bytes();
        if self.stored(key)?.is_some() {
            return Err(Error::TreeExists);
        }
        self.make_room(key, None)?;
        let TreeOptions { tag, fixed } = options;
        self.check_width(fixed)?;
        let record = TreeRecord { tag, fixed, ..TreeRecord::default() };
        self.store(key, &record)?;
        if fixed.is_some() {
            self.txn.announce(features::FIXED_WIDTH)?;
        }
        if !self.silent {
            log_create(&mut self.txn, key, options);
        }
        let opened = self.open.borrow_mut().open(key, record).and_then(|tree| {
            self.open.borrow_mut().set_named(tree.slot())?;
            Ok(tree)
        });
        self.whole(opened)
    }

    /// That pages have room for entries of this width.
    fn check_width(&self, fixed: Option<FixedWidth>) -> Result<()> {
        let page_size = (&self.txn).page_size();
        match fixed {
            Some(width) if !width.fits(page_size) => {
                Err(Error::WidthTooLarge { limit_bytes: FixedWidth::entry_bytes_max(page_size) })
            }
            _ => Ok(()),
        }
    }

    /// Opens the tree `name`.
    ///
    /// # Errors
    /// [`NoSuchTree`](Error::NoSuchTree), [`TooManyTrees`](Error::TooManyTrees): no more than
    /// [`TREES_MAX`] have handles at a time, nor than have names of 16 times [`NAME_BYTES_MAX`] together
    /// (once, without the feature `large`). [`tree_named`](Writer::tree_named) has no such limit.
    pub fn open(&mut self, name: &str) -> Result<TreeHandle> {
        let key = name.as_bytes();
        if let Some(slot) = self.open.borrow().find(key) {
            self.open.borrow_mut().set_lent(slot, true);
            return self.open.borrow().handle(slot).ok_or(Error::NoSuchTree);
        }
        let record = self.stored(key)?.ok_or(Error::NoSuchTree)?;
        self.make_room(key, None)?;
        self.open.borrow_mut().open(key, record)
    }

    /// Opens the tree `name`, and creates it with these options where there is none.
    ///
    /// # Errors
    /// As [`create`](Writer::create), without `TreeExists`.
    pub fn open_or_create(&mut self, name: &str, options: TreeOptions) -> Result<TreeHandle> {
        match self.open(name) {
            Err(Error::NoSuchTree) => self.create(name, options),
            other => other,
        }
    }

    /// The tree `name`, to change, made with these options where there is none. For any number of trees in a
    /// transaction: it has no handle, so that its place in the table of open trees is given away
    /// where that is full.
    ///
    /// # Errors
    /// As [`create`](Writer::create), without `TreeExists`; `TooManyTrees` only where handles take all places.
    pub fn tree_named(&mut self, name: &str, options: TreeOptions) -> Result<TreeMut<'_, 's>> {
        let slot = match self.open_unlent(name, TREES_MAX) {
            Err(Error::NoSuchTree) => self.create_unlent(name, options)?,
            other => other?,
        };
        self.tree_at(slot)
    }

    /// The names and records of all trees.
    ///
    /// # Errors
    /// Those of the store, and damage.
    pub fn list(&mut self) -> Result<TreeNames<'_, &WriteTxn<'s>>> {
        self.write_back()?;
        Ok(Catalog::new(&self.txn)?.list())
    }

    /// Renames a tree; open handles go on with it. To its own name: nothing happens.
    ///
    /// # Errors
    /// [`NoSuchTree`](Error::NoSuchTree), [`TreeExists`](Error::TreeExists),
    /// [`KeyTooLong`](Error::KeyTooLong), [`TooManyTrees`](Error::TooManyTrees) (no room for a
    /// longer name of an open tree).
    #[inline(never)]
    pub fn rename(&mut self, from: &str, to: &str) -> Result<()> {
        self.check_name(to)?;
        let (old, new) = (from.as_bytes(), to.as_bytes());
        let stored = self.stored(old)?.ok_or(Error::NoSuchTree)?;
        if old == new {
            return Ok(());
        }
        if self.stored(new)?.is_some() {
            return Err(Error::TreeExists);
        }
        if self.open.borrow().find(old).is_some() {
            self.make_room(new, Some(old))?;
        }
        let slot = self.open.borrow().find(old);
        let record = slot.and_then(|slot| self.open.borrow().record(slot)).unwrap_or(stored);
        self.store(new, &record)?;
        let moved = self.unname(old).and_then(|()| match slot {
            Some(slot) => self.open.borrow_mut().rename(slot, new),
            None => self.open.borrow_mut().name_closed().map(drop),
        });
        self.whole(moved)?;
        if !self.silent {
            log_rename(&mut self.txn, old, new);
        }
        Ok(())
    }

    /// Drops the tree `name` and frees its pages, at the cost of a visit to each page's header.
    /// False where there is none.
    ///
    /// # Errors
    /// Those of the store, and damage.
    #[inline(never)]
    pub fn drop_tree(&mut self, name: &str) -> Result<bool> {
        let key = name.as_bytes();
        let Some(stored) = self.stored(key)? else { return Ok(false) };
        let slot = self.open.borrow().find(key);
        let mut record = slot.and_then(|slot| self.open.borrow().record(slot)).unwrap_or(stored);
        self.unname(key)?;
        if let Some(slot) = slot {
            self.open.borrow_mut().close(slot);
        }
        Editor { txn: &mut self.txn, record: &mut record, log: None, hint: None }.clear()?;
        if !self.silent {
            log_drop(&mut self.txn, key);
        }
        Ok(true)
    }

    /// Sets the tag of a tree.
    ///
    /// # Errors
    /// [`NoSuchTree`](Error::NoSuchTree).
    pub fn set_tag(&mut self, tree: TreeHandle, tag: u64) -> Result<()> {
        self.set_tag_at(self.open.borrow().slot(tree)?, tag)
    }

    /// [`set_tag`](Writer::set_tag) for the tree in a slot.
    pub(crate) fn set_tag_at(&mut self, slot: usize, tag: u64) -> Result<()> {
        let editor = self.open.borrow_mut().edit(slot, &mut self.txn, self.silent)?;
        editor.record.tag = tag;
        if let Some(mut log) = editor.log {
            log.tag(editor.txn, tag);
        }
        Ok(())
    }

    /// The record of an open tree, as it is now.
    ///
    /// # Errors
    /// [`NoSuchTree`](Error::NoSuchTree).
    pub fn record(&self, tree: TreeHandle) -> Result<TreeRecord> {
        self.open.borrow().record(self.open.borrow().slot(tree)?).ok_or(Error::NoSuchTree)
    }

    /// The tree, to change.
    ///
    /// # Errors
    /// [`NoSuchTree`](Error::NoSuchTree).
    pub fn tree(&mut self, tree: TreeHandle) -> Result<TreeMut<'_, 's>> {
        let slot = self.open.borrow().slot(tree)?;
        self.open.borrow_mut().tree_mut(slot, &mut self.txn, self.silent)
    }

    /// The tree, to read.
    ///
    /// # Errors
    /// [`NoSuchTree`](Error::NoSuchTree).
    pub fn tree_ref(&self, tree: TreeHandle) -> Result<Tree<'_, &WriteTxn<'s>>> {
        Ok(Tree::open(&self.txn, self.record(tree)?))
    }

    /// Starts a savepoint; they nest.
    ///
    /// # Errors
    /// Those of the store, and damage.
    pub fn savepoint(&mut self) -> Result<Savepoint> {
        self.write_back()?;
        let (clock, named_last) = (self.open.borrow_mut().tick()?, self.open.borrow().named_last());
        Ok(Savepoint { pages: self.txn.savepoint()?, clock, named_last })
    }

    /// Takes back everything since the savepoint, and ends it and all younger ones.
    ///
    /// # Errors
    /// [`Stale`](mapleaf_pager::Error::Stale): it ended before; damage.
    pub fn rollback_to(&mut self, savepoint: Savepoint) -> Result<()> {
        self.txn.rollback_to(savepoint.pages)?;
        self.open.borrow_mut().forget_told();
        self.open.borrow_mut().set_named_last(savepoint.named_last);
        let read = self.read_back(savepoint.clock);
        self.whole(read)
    }

    /// Reads the records of the open trees from the catalog again; closes what has no such tree
    /// there.
    fn read_back(&mut self, clock: u32) -> Result<()> {
        self.catalog = TreeRecord::decode_names((&self.txn).root())?;
        for slot in 0..self.open.borrow().len() {
            let Some(name) = self.open.borrow().name(slot) else { continue };
            // Named since: the tree of that name in the catalog, if any, may be another.
            let stored =
                if self.open.borrow().named(slot) > clock { None } else { self.stored(name)? };
            match stored {
                Some(record) => self.open.borrow_mut().set_record(slot, record),
                None => self.open.borrow_mut().close(slot),
            }
        }
        Ok(())
    }

    /// Ends the savepoint and all younger ones, and keeps what was done since.
    ///
    /// # Errors
    /// [`Stale`](mapleaf_pager::Error::Stale): it ended before.
    pub fn release(&mut self, savepoint: Savepoint) -> Result<()> {
        Ok(self.txn.release(savepoint.pages)?)
    }

    /// Commits; `Ok` carries the number of the new state.
    ///
    /// # Errors
    /// [`TxnFailed`](mapleaf_pager::Error::TxnFailed); those of the store: nothing was committed,
    /// or (an error of a flush) it is not known.
    pub fn commit(mut self, durability: Durability) -> Result<TxnId> {
        self.write_back()?;
        Ok(self.txn.commit(durability)?)
    }

    /// Opens a tree without a handle, where the slot `at` does not have it already; its slot.
    ///
    /// # Errors
    /// As [`open`](Writer::open).
    pub(crate) fn open_unlent(&mut self, name: &str, at: usize) -> Result<usize> {
        let key = name.as_bytes();
        if self.open.borrow().name(at) == Some(key) {
            return Ok(at);
        }
        if let Some(slot) = self.open.borrow().find(key) {
            return Ok(slot);
        }
        let slot = self.open(name)?.slot();
        self.open.borrow_mut().set_lent(slot, false);
        Ok(slot)
    }

    /// Creates the tree `name`, of which nobody has a handle; its slot.
    ///
    /// # Errors
    /// As [`create`](Writer::create).
    pub(crate) fn create_unlent(&mut self, name: &str, options: TreeOptions) -> Result<usize> {
        let slot = self.create(name, options)?.slot();
        self.open.borrow_mut().set_lent(slot, false);
        Ok(slot)
    }

    /// The tree in a slot, to change.
    pub(crate) fn tree_at(&mut self, slot: usize) -> Result<TreeMut<'_, 's>> {
        self.open.borrow_mut().tree_mut(slot, &mut self.txn, self.silent)
    }
}
