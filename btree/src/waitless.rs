//! Lookups and scans that say what they would wait for, instead of waiting.

use crate::error::Result;
use crate::{KeyRange, Range, Tree};
use mapleaf_pager::{Pages, Waitless};

impl<'a, P: Pages<'a>> Tree<'a, P> {
    /// The same tree, read without waiting for the medium: where a page is not in memory, every operation
    /// of it and of its cursors and ranges is
    /// [`WouldBlock`](mapleaf_pager::Error::WouldBlock), which names the page. Whoever may wait has it
    /// read; then the operation gets further.
    ///
    /// A [`Cursor`](crate::Cursor) stays where it was, so that `next` and `prev` can be repeated; so does a
    /// [`Range`], once it is [made](Tree::try_range). A lookup costs, over the plain one, a question to the
    /// mapping for each page: a look at a bit where the page was seen resident lately, else a system call.
    /// The plain tree pays nothing for this.
    ///
    /// What is promised is that no page is read which the system calls missing. It may drop a page between its
    /// answer and the load, which then waits after all: a map cannot be asked and read in one step. That gap
    /// is a microsecond or two, or as long as the mapping remembers what it saw; docs/stalls.md has how often
    /// it is hit. Only what is locked in memory has none.
    #[must_use]
    pub fn without_waiting(&self) -> Tree<'a, Waitless<P>> {
        Tree::open(Waitless::new(self.pages), self.record)
    }

    /// [`get`](Tree::get) [without waiting](Tree::without_waiting): a value that is returned was in memory
    /// too, all of it, a moment ago. What is kept and read later can have been dropped meanwhile.
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
    /// let users = Catalog::new(&snapshot)?.open("users")?;
    /// match users.try_get(b"ada") {
    ///     Ok(found) => assert_eq!(found, Some(&b"1815"[..])),
    ///     Err(error) if error.would_block() => println!("have it read, and ask again"),
    ///     Err(error) => return Err(error),
    /// }
    /// # Ok::<(), mapleaf_btree::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`WouldBlock`](mapleaf_pager::Error::WouldBlock); damage.
    pub fn try_get(&self, key: &[u8]) -> Result<Option<&'a [u8]>> {
        self.without_waiting().get(key)
    }

    /// [`range`](Tree::range) without waiting, for [`Range::try_next`]. To be asked for again where it
    /// would block: both ends are looked up here.
    ///
    /// # Errors
    /// [`WouldBlock`](mapleaf_pager::Error::WouldBlock); damage.
    pub fn try_range<R: KeyRange>(&self, range: R) -> Result<Range<'a, Waitless<P>>> {
        self.without_waiting().range(range).made()
    }
}
