//! Looking up many keys at a time: what one of them waits for, the others wait for with it.

use crate::error::{Error, Result};
use crate::path::{PREFETCH_LINES, inner, leaf, prefetch_blocks};
use crate::tree::{Tree, bytes_of};
use mapleaf_pager::{PageId, Pages};

/// Keys that go down the tree together: enough to hide a load behind the others, few enough that what
/// was asked for is still in the first cache when it is looked at.
pub(crate) const GROUP: usize = if cfg!(feature = "large") { 32 } else { 4 };
/// Keys whose leaves are read together, where they lie on a medium: as many reads as it likes to have at a time.
const COLD: usize = GROUP * 8;
/// Cache lines of a cell asked for before it is compared.
const CELL_LINES: usize = 3;
/// Bytes of a cache line of today's processors.
const LINE: usize = 64;
/// Cache lines of a page that is to be copied: 4 KiB. Behind them the processor has seen where this goes.
const COPY_LINES: usize = 64;

impl<'a, P: Pages<'a>> Tree<'a, P> {
    /// The values of `keys`, each in its place in `values`; `None` where there is no such key. The same
    /// answers as [`get`](Tree::get), at a fraction of the time where the tree is larger than the
    /// processor's caches.
    ///
    /// Groups of 32 keys go down level by level: on each level all pages are searched, and all children
    /// asked for, before the first of them is looked at; in the leaves, all cells. Keys may come in any
    /// order and more than once. Nothing is allocated. No system call, unless the store is expected to be
    /// larger than memory: then one to three for each group and level that is not in memory, whose pages are read
    /// together, and the leaves of eight groups before the first is waited for.
    ///
    /// ```
    /// use core::sync::atomic::AtomicU32;
    /// use mapleaf_btree::{Catalog, TreeOptions, Writer};
    /// use mapleaf_pager::{Durability, Options, SliceMapping, Store, words_for};
    ///
    /// let mut ram = [0u8; 64 * 512];
    /// let words: [AtomicU32; words_for(4)] = [const { AtomicU32::new(0) }; words_for(4)];
    /// let options = Options::default().page_size(512).log_bytes(0, 0);
    /// let store = Store::create(SliceMapping::empty(&mut ram), words, &options)?;
    /// let mut writer = Writer::new(store.begin_write()?)?;
    /// let users = writer.create("users", TreeOptions::default())?;
    /// writer.tree(users)?.insert(b"ada", b"1815")?;
    /// writer.commit(Durability::Sync)?;
    /// let snapshot = store.begin_read(0)?;
    /// let mut years = [None; 2];
    /// Catalog::new(&snapshot)?.open("users")?.get_many(&["ada", "alan"], &mut years)?;
    /// assert_eq!(years, [Some(&b"1815"[..]), None]);
    /// # Ok::<(), mapleaf_btree::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`InvalidArgument`](mapleaf_pager::Error::InvalidArgument): there are not as many places as keys.
    /// Damage. What `values` holds then is unspecified.
    pub fn get_many<K: AsRef<[u8]>>(
        &self,
        keys: &[K],
        values: &mut [Option<&'a [u8]>],
    ) -> Result<()> {
        if keys.len() != values.len() {
            return Err(Error::Pager(mapleaf_pager::Error::InvalidArgument));
        }
        if self.record.height == 0 {
            values.fill(None);
            return Ok(());
        }
        let sparse = self.pages.sparse();
        // Where they lie on a medium, reading is begun for all of them before the first is waited for.
        let together = if sparse { COLD } else { GROUP };
        for (keys, values) in keys.chunks(together).zip(values.chunks_mut(together)) {
            let mut leaves = [[PageId::NONE; GROUP]; COLD / GROUP];
            for (ids, keys) in leaves.iter_mut().zip(keys.chunks(GROUP)) {
                *ids = self.leaves_of(keys.iter().map(AsRef::as_ref), sparse)?;
            }
            let groups = keys.chunks(GROUP).zip(values.chunks_mut(GROUP));
            for (ids, (keys, values)) in leaves.iter().zip(groups) {
                self.get_group(ids, keys, values)?;
            }
        }
        Ok(())
    }

    fn get_group<K: AsRef<[u8]>>(
        &self,
        ids: &[PageId],
        keys: &[K],
        values: &mut [Option<&'a [u8]>],
    ) -> Result<()> {
        for (id, key) in ids.iter().zip(keys) {
            if let Some(at) = leaf(self.pages, *id)?.place_of(key.as_ref()) {
                self.pages.prefetch(*id, at, CELL_LINES);
            }
        }
        for ((id, key), value) in ids.iter().zip(keys).zip(values) {
            let found = leaf(self.pages, *id)?.get(key.as_ref())?;
            *value = found.map(|value| bytes_of(self.pages, value)).transpose()?;
        }
        Ok(())
    }

    /// The leaves where up to [`GROUP`] keys belong, on their way to the processor. The tree has leaves.
    ///
    /// With `read`, the pages of each level are begun to be read, at worst from the medium, before one of them is
    /// looked at; the leaves too. (Inner pages where one of two is not in memory: most are, soon.)
    fn leaves_of<'k>(
        &self,
        keys: impl Iterator<Item = &'k [u8]> + Clone,
        read: bool,
    ) -> Result<[PageId; GROUP]> {
        let mut ids: [PageId; GROUP] = [self.record.root; GROUP];
        for level in 1..self.record.height {
            for (id, key) in ids.iter_mut().zip(keys.clone()) {
                let page = inner(self.pages, *id)?;
                *id = page.child(page.search(key)?)?;
                let is_leaf = level + 1 == self.record.height;
                if !(is_leaf && prefetch_blocks(self.pages, *id, &self.record)) {
                    self.pages.prefetch(*id, 0, PREFETCH_LINES);
                }
            }
            if read {
                let ids = ids.get(..keys.clone().count()).unwrap_or(&[]);
                let mut sample = ids.iter().step_by(ids.len().div_ceil(2).max(1));
                if level + 1 == self.record.height || sample.any(|id| !self.pages.resident(*id, 1))
                {
                    self.pages.fetch(ids);
                }
            }
        }
        Ok(ids)
    }

    /// Asks for all of the leaves that up to [`GROUP`] keys belong to: they are about to be copied.
    pub(crate) fn prefetch_leaves<'k>(
        &self,
        keys: impl Iterator<Item = &'k [u8]> + Clone,
    ) -> Result<()> {
        if self.record.height > 0 {
            let ids = self.leaves_of(keys.clone(), self.pages.sparse())?;
            for (id, _) in ids.iter().zip(keys) {
                self.pages.prefetch(*id, PREFETCH_LINES * LINE, COPY_LINES - PREFETCH_LINES);
            }
        }
        Ok(())
    }
}
