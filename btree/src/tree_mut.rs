//! Changing one tree.

use crate::edit::{Editor, Fill, Pending, Source};
use crate::error::{Error, Result};
use crate::key::Key;
use crate::place::{At, Place};
use crate::tree::entry_of;
use crate::{CursorMut, KeyRange, Loader, Tree};
use mapleaf_pager::WriteTxn;

/// One tree inside the write transaction. Made by [`Writer::tree`](crate::Writer::tree).
///
/// Each change is atomic: an error before anything changed leaves the tree as it was; one in the
/// middle marks the transaction, which can then only be rolled back.
///
/// A change costs a lookup, and once a transaction a copy of each page on the way. Nothing
/// allocates, and nothing makes a system call unless the store grows. Beside what a method names,
/// the errors are those of the store ([`Full`](mapleaf_pager::Error::Full),
/// [`Io`](mapleaf_pager::Error::Io)) and damage.
pub struct TreeMut<'t, 's> {
    editor: Editor<'t, 's>,
}

impl<'t, 's> TreeMut<'t, 's> {
    pub(crate) fn new(editor: Editor<'t, 's>) -> TreeMut<'t, 's> {
        TreeMut { editor }
    }

    /// The tree as it is now, to read.
    #[must_use]
    pub fn as_tree(&self) -> Tree<'_, &WriteTxn<'s>> {
        Tree::open(self.editor.txn, *self.editor.record)
    }

    /// The value of `key`.
    ///
    /// # Errors
    /// Damage.
    pub fn get(&self, key: &[u8]) -> Result<Option<&[u8]>> {
        self.as_tree().get(key)
    }

    /// Entries in the tree.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.editor.record.entries
    }

    /// Whether the tree holds no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Stores `value` under `key`; whether a value was replaced.
    ///
    /// # Errors
    /// [`KeyTooLong`](Error::KeyTooLong), [`ValueTooLong`](Error::ValueTooLong).
    pub fn insert(&mut self, key: &[u8], value: &[u8]) -> Result<bool> {
        if cfg!(feature = "locality")
            && let Some(replaced) = self.editor.put_close(key, value)?
        {
            return Ok(replaced);
        }
        let mut place = Place::new();
        self.editor.seek_hinted(&mut place, key)?;
        let replaced = self.editor.put(&mut place, key, Source::Bytes(value))?;
        self.editor.log_put(&place, Some(key), Some(value))?;
        self.editor.keep_hint(&mut place)?;
        Ok(replaced)
    }

    /// Stores `value` under `key` unless the key is there; whether it stored.
    ///
    /// # Errors
    /// As [`insert`](TreeMut::insert).
    pub fn insert_if_absent(&mut self, key: &[u8], value: &[u8]) -> Result<bool> {
        let mut place = Place::new();
        self.editor.seek_hinted(&mut place, key)?;
        let absent = place.at != At::Entry;
        if absent {
            self.editor.put(&mut place, key, Source::Bytes(value))?;
            self.editor.log_put(&place, Some(key), Some(value))?;
        }
        self.editor.keep_hint(&mut place)?;
        Ok(absent)
    }

    /// Stores a value of `len_bytes` that `fill` writes in place (its bytes are unspecified
    /// before); whether a value was replaced. A panic in `fill` fails the transaction.
    ///
    /// # Errors
    /// As [`insert`](TreeMut::insert).
    pub fn reserve<F: FnOnce(&mut [u8])>(
        &mut self,
        key: &[u8],
        len_bytes: usize,
        fill: F,
    ) -> Result<bool> {
        let mut place = Place::new();
        self.editor.seek_hinted(&mut place, key)?;
        let replaced = self.editor.put(&mut place, key, Source::Room(len_bytes))?;
        let mut guard = FailOnPanic { editor: self.editor.reborrow(), armed: true };
        fill(guard.editor.value_mut(&place)?);
        // The log has what is in the page now.
        guard.editor.log_put(&place, Some(key), None)?;
        guard.armed = false;
        guard.editor.keep_hint(&mut place)?;
        Ok(replaced)
    }

    /// Stores `value` under `key`, which must be above every key of the tree.
    ///
    /// # Errors
    /// [`NotSorted`](Error::NotSorted), and as [`insert`](TreeMut::insert).
    pub fn append(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        if cfg!(feature = "locality") && self.editor.append_close(key, value)? {
            return Ok(());
        }
        let mut place = Place::new();
        self.editor.seek_hinted(&mut place, key)?;
        if !self.editor.is_end(&place)? {
            return Err(Error::NotSorted);
        }
        self.editor.put(&mut place, key, Source::Bytes(value))?;
        self.editor.log_put(&place, Some(key), Some(value))?;
        self.editor.keep_hint(&mut place)
    }

    /// Appends the entries, whose keys ascend and are above every key of the tree, making its leaves
    /// `fill_percent` full (40 to 100: 100 for a tree that only grows at its end, 70 for one that will get
    /// more in between); how many. Builds page after page, without going down the tree. Values of any
    /// length. Does not allocate.
    ///
    /// ```
    /// # use core::sync::atomic::AtomicU32;
    /// # use mapleaf_btree::{Error, TreeOptions, Writer};
    /// # use mapleaf_pager::{Options, SliceMapping, Store, words_for};
    /// # let mut ram = vec![0u8; 1 << 20];
    /// # let words: [AtomicU32; words_for(4)] = [const { AtomicU32::new(0) }; words_for(4)];
    /// # let store = Store::create(SliceMapping::empty(&mut ram), words, &Options::default().log_bytes(0, 0))?;
    /// let mut writer = Writer::new(store.begin_write()?)?;
    /// let squares = writer.create("squares", TreeOptions::default())?;
    /// let mut tree = writer.tree(squares)?;
    /// tree.load((0..1000u64).map(|n| (n.to_be_bytes(), (n * n).to_le_bytes())), 100)?;
    /// // What follows can be appended. What does not is an error, and what came before it stays.
    /// let more = [1000u64, 1001, 7].map(|n| (n.to_be_bytes(), (n * n).to_le_bytes()));
    /// assert_eq!(tree.load(more, 100), Err(Error::NotSorted));
    /// assert_eq!(tree.len(), 1002);
    /// # Ok::<(), mapleaf_btree::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`NotSorted`](Error::NotSorted), and as [`insert`](TreeMut::insert): what came before the entry
    /// stays, unless the transaction failed. (A [`loader`](TreeMut::loader) takes entries one by one, so that
    /// none is lost.) [`InvalidArgument`](mapleaf_pager::Error::InvalidArgument): no such fill.
    pub fn load<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        &mut self,
        entries: impl IntoIterator<Item = (K, V)>,
        fill_percent: u8,
    ) -> Result<u64> {
        let mut loader = self.loader(fill_percent)?;
        let mut loaded = 0;
        for (key, value) in entries {
            loader.push(key.as_ref(), value.as_ref())?;
            loaded += 1;
        }
        Ok(loaded)
    }

    /// Starts appending entries one by one, as [`load`](TreeMut::load) does. Costs the tree's height in
    /// pages.
    ///
    /// # Errors
    /// [`InvalidArgument`](mapleaf_pager::Error::InvalidArgument): no such fill; damage.
    pub fn loader(&mut self, fill_percent: u8) -> Result<Loader<'_, 's>> {
        let fill = Fill::new(fill_percent)?;
        Loader::new(self.editor.reborrow(), fill)
    }

    /// Stores the entries in the order of their keys, which they need not come in: sorted in `work`, as many
    /// at a time as it holds, so that a batch goes to each page once, however many of its keys lie there. Of
    /// two with the same key the later one counts. How many keys were new. Does not allocate.
    ///
    /// Costs a sort, and for each key the levels in which it is away from the one before.
    ///
    /// ```
    /// # use core::sync::atomic::AtomicU32;
    /// # use mapleaf_btree::{Pending, TreeOptions, Writer};
    /// # use mapleaf_pager::{Options, SliceMapping, Store, words_for};
    /// # let mut ram = vec![0u8; 1 << 20];
    /// # let words: [AtomicU32; words_for(4)] = [const { AtomicU32::new(0) }; words_for(4)];
    /// # let store = Store::create(SliceMapping::empty(&mut ram), words, &Options::default().log_bytes(0, 0))?;
    /// let mut writer = Writer::new(store.begin_write()?)?;
    /// let users = writer.create("users", TreeOptions::default())?;
    /// let entries = [("alan", "1912"), ("ada", "1816"), ("ada", "1815")];
    /// let entries = entries.iter().map(|(name, born)| (name.as_bytes(), born.as_bytes()));
    /// let mut tree = writer.tree(users)?;
    /// assert_eq!(tree.extend(entries, &mut [Pending::default(); 16])?, 2);
    /// assert_eq!(tree.get(b"ada")?, Some(&b"1815"[..]));
    /// # Ok::<(), mapleaf_btree::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`WorkAreaTooSmall`](Error::WorkAreaTooSmall): `work` is empty; and as
    /// [`insert`](TreeMut::insert): entries stored before it stay.
    pub fn extend<'e>(
        &mut self,
        entries: impl IntoIterator<Item = (&'e [u8], &'e [u8])>,
        work: &mut [Pending<'e>],
    ) -> Result<u64> {
        self.editor.extend(entries, work)
    }

    /// Removes `key`; whether it was there.
    ///
    /// # Errors
    /// Those of the store, and damage.
    pub fn remove(&mut self, key: &[u8]) -> Result<bool> {
        let mut place = Place::new();
        place.seek(&*self.editor.txn, self.editor.record, key)?;
        let found = place.at == At::Entry;
        if found {
            self.editor.remove(&mut place)?;
        }
        Ok(found)
    }

    /// Removes the first entry after showing it to `see`; `None` where the tree is empty.
    ///
    /// # Errors
    /// As [`remove`](TreeMut::remove).
    pub fn pop_first<T>(&mut self, see: impl FnOnce(&Key<'_>, &[u8]) -> T) -> Result<Option<T>> {
        let mut place = Place::new();
        place.first(&*self.editor.txn, self.editor.record)?;
        self.pop(place, see)
    }

    /// Removes the last entry after showing it to `see`; `None` where the tree is empty.
    ///
    /// # Errors
    /// As [`remove`](TreeMut::remove).
    pub fn pop_last<T>(&mut self, see: impl FnOnce(&Key<'_>, &[u8]) -> T) -> Result<Option<T>> {
        let mut place = Place::new();
        place.last(&*self.editor.txn, self.editor.record)?;
        self.pop(place, see)
    }

    fn pop<T>(
        &mut self,
        mut place: Place,
        see: impl FnOnce(&Key<'_>, &[u8]) -> T,
    ) -> Result<Option<T>> {
        let pages = &*self.editor.txn;
        let (Some(leaf), Some(step)) = (place.leaf(pages)?, place.entry()) else { return Ok(None) };
        let (key, value) = entry_of(pages, &leaf, step.index())?;
        let seen = see(&key, value);
        self.editor.remove(&mut place)?;
        Ok(Some(seen))
    }

    /// Removes the entries for which `keep` is false; how many.
    ///
    /// # Errors
    /// As [`remove`](TreeMut::remove); entries seen before it stay removed, as they do after a panic in `keep`.
    pub fn retain(&mut self, mut keep: impl FnMut(&Key<'_>, &[u8]) -> bool) -> Result<u64> {
        let mut cursor = self.cursor_mut();
        let mut removed = 0;
        while let Some((key, value)) = cursor.next()? {
            if !keep(&key, value) {
                cursor.remove()?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// Removes the entries whose keys lie in `range`; how many.
    ///
    /// Subtrees that lie in the range whole are freed by their pages alone: a page header a leaf,
    /// and its entries only where the tree has values in runs.
    ///
    /// # Errors
    /// As [`remove`](TreeMut::remove).
    pub fn remove_range<R: KeyRange>(&mut self, range: R) -> Result<u64> {
        let removed = self.editor.remove_range(&range)?;
        if removed > 0
            && let Some(log) = &mut self.editor.log
        {
            log.remove_range(self.editor.txn, range.start(), range.end());
        }
        Ok(removed)
    }

    /// Removes all entries. Costs a visit to each page's header.
    ///
    /// # Errors
    /// As [`remove`](TreeMut::remove).
    pub fn clear(&mut self) -> Result<()> {
        self.editor.clear()?;
        if let Some(log) = &mut self.editor.log {
            log.clear(self.editor.txn);
        }
        Ok(())
    }

    /// A cursor that can replace and remove, at no entry.
    pub fn cursor_mut(&mut self) -> CursorMut<'_, 's> {
        CursorMut::new(self.editor.reborrow())
    }
}

/// Fails the transaction when dropped armed: an entry whose value was not written must not be
/// committed.
struct FailOnPanic<'t, 's> {
    editor: Editor<'t, 's>,
    armed: bool,
}

impl Drop for FailOnPanic<'_, '_> {
    fn drop(&mut self) {
        if self.armed {
            self.editor.txn.fail();
        }
    }
}
