//! Pages of trees without a state around them: what salvage reads a damaged file with, and
//! `inspect` any.

use crate::error::{Error, Result};
use crate::key::Key;
use crate::node::{InnerView, LeafView, Value};
use mapleaf_pager::{PageId, kind};

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

impl<'a> From<Value<'a>> for LooseValue<'a> {
    fn from(value: Value<'a>) -> LooseValue<'a> {
        match value {
            Value::Inline(bytes) => LooseValue::Inline(bytes),
            Value::Run { page, len_bytes } => LooseValue::Run { page, len_bytes },
        }
    }
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

    /// Bytes of the page in use, header included: dead cells and unused slots are not.
    #[must_use]
    pub fn used_bytes(&self) -> usize {
        self.0.used_bytes()
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
        Ok((key, value.into()))
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

    /// Bytes of the page in use, header included: dead cells and unused slots are not.
    #[must_use]
    pub fn used_bytes(&self) -> usize {
        self.0.used_bytes()
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

/// What a page says of a key: one step of a lookup.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LooseStep<'a> {
    /// The page to look at next.
    Child(PageId),
    /// The key is here.
    Found(LooseValue<'a>),
    /// The key is in no leaf.
    Absent,
}

/// One step of a lookup of `key`, as [`Tree::get`](crate::Tree::get) makes it, on the body (a page from byte
/// 16 on) of page `id`, whichever way the caller came by its bytes. Neither age nor place of the page is looked
/// at; a way down ends after as many steps as the tree's record says. No system call, no allocation.
///
/// ```
/// use core::sync::atomic::AtomicU32;
/// use mapleaf_btree::{Catalog, LooseStep, LooseValue, TreeOptions, Writer, loose_step};
/// use mapleaf_pager::{Durability, Options, PageId, Pages, SliceMapping, Store, words_for};
///
/// let mut ram = [0u8; 128 * 512];
/// let words: [AtomicU32; words_for(4)] = [const { AtomicU32::new(0) }; words_for(4)];
/// let options = Options::default().page_size(512).log_bytes(0, 0);
/// let store = Store::create(SliceMapping::empty(&mut ram), words, &options)?;
/// let mut writer = Writer::new(store.begin_write()?)?;
/// let users = writer.create("users", TreeOptions::default())?;
/// for number in 0..100u8 {
///     writer.tree(users)?.insert(&[number], &[number; 20])?;
/// }
/// writer.commit(Durability::Sync)?;
/// let snapshot = store.begin_read(0)?;
/// let record = Catalog::new(&snapshot)?.open("users")?.record();
///
/// let look = |key: &[u8]| {
///     let mut id = record.root;
///     for _ in 1..record.height {
///         match loose_step(id, (&snapshot).page(id)?, key)? {
///             LooseStep::Child(child) => id = child,
///             _ => unreachable!("this tree is whole"),
///         }
///     }
///     loose_step(id, (&snapshot).page(id)?, key)
/// };
/// assert!(record.height > 1);
/// assert_eq!(look(&[42])?, LooseStep::Found(LooseValue::Inline(&[42; 20])));
/// assert_eq!(look(&[200])?, LooseStep::Absent);
/// assert!(loose_step(PageId(9), &[7; 496], b"ada").is_err());
/// # Ok::<(), mapleaf_btree::Error>(())
/// ```
///
/// # Errors
/// [`Corrupt`](mapleaf_pager::Error::Corrupt): it is neither an inner page nor a leaf, or damaged where it
/// was looked at.
pub fn loose_step<'a>(id: PageId, body: &'a [u8], key: &[u8]) -> Result<LooseStep<'a>> {
    if body.first() == Some(&kind::INNER) {
        let inner = InnerView::new(body, id)?;
        return Ok(LooseStep::Child(inner.child(inner.search(key)?)?));
    }
    Ok(match LeafView::new(body, id)?.get(key)? {
        Some(value) => LooseStep::Found(value.into()),
        None => LooseStep::Absent,
    })
}
