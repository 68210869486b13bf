//! Looking at a file page by page, from outside: what a picture of it is made of.
//!
//! Nothing is opened, locked or mapped: the file is read by position, and nothing in it is believed. So
//! this works beside a writer, in this process or another, and on damaged files.

mod explained;
mod outline;
mod residency;
mod walk;

pub use explained::{ExplainedField, ExplainedPage, FieldContent, PageChecksum};
pub use outline::{OutlineNode, TreeOutline};

use crate::error::{Name, Result};
use crate::lock;
use crate::page_file::{self, Bits, PageFile};
use crate::salvage::Trouble;
use mapleaf_btree::TreeRecord;
use mapleaf_pager::{Error as StoreError, LooseMeta, PageId, Redo, TxnId, Unsupported};
use std::fs::{File, OpenOptions};
use std::path::Path;

/// How often a file that changes while it is read is read anew.
const ATTEMPTS: u32 = 4;
/// Damages that are listed; the rest are counted.
const LISTED_MAX: usize = 1000;

/// What a page is used for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
#[non_exhaustive]
pub enum PageKind {
    /// A meta.
    Meta,
    /// The log ring.
    Log,
    /// An inner page of a tree.
    Inner,
    /// A leaf of a tree.
    Leaf,
    /// A page of a large value.
    Value,
    /// A page of the structures that keep free pages.
    Space,
    /// Reusable.
    Free,
    /// Freed, but perhaps visible to a snapshot or the other meta.
    Pinned,
    /// Nothing that can be read leads to it: lost, or below something damaged.
    Unreached,
}

impl PageKind {
    /// All kinds, in order.
    pub const ALL: [PageKind; 9] = [
        PageKind::Meta,
        PageKind::Log,
        PageKind::Inner,
        PageKind::Leaf,
        PageKind::Value,
        PageKind::Space,
        PageKind::Free,
        PageKind::Pinned,
        PageKind::Unreached,
    ];

    /// Its name in one word, lower case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            PageKind::Meta => "meta",
            PageKind::Log => "log",
            PageKind::Inner => "inner",
            PageKind::Leaf => "leaf",
            PageKind::Value => "value",
            PageKind::Space => "space",
            PageKind::Free => "free",
            PageKind::Pinned => "pinned",
            PageKind::Unreached => "unreached",
        }
    }
}

/// What is known about a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct PageFacts {
    /// What it is used for.
    pub kind: PageKind,
    /// How much of it is in use, in percent: of trees' pages and large values.
    pub fill_percent: Option<u8>,
    /// The transaction that claimed it: of pages that are in use and have a header.
    pub birth: Option<TxnId>,
    /// The tree it belongs to, as an index into [`PageMap::trees`].
    pub tree: Option<usize>,
    /// Whether all of it was in memory when the residency was measured; `None` where the system does not
    /// tell.
    pub resident: Option<bool>,
}

/// As [`PageFacts`], in 16 bytes.
#[derive(Clone, Copy)]
struct Packed {
    birth: TxnId,
    tree: u16,
    kind: PageKind,
    fill_percent: u8,
}

impl Packed {
    const UNREACHED: Packed = Packed {
        birth: TxnId(0),
        tree: u16::MAX,
        kind: PageKind::Unreached,
        fill_percent: u8::MAX,
    };
}

/// Every page of a file and what it is used for, in the state of the newest meta: the last checkpoint.
///
/// ```
/// use mapleaf::{PageKind, PageMap};
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("app.leaf");
/// let db = mapleaf::Database::open_buffered(&path)?;
/// let mut txn = db.write()?;
/// txn.tree("users")?.insert(b"ada", b"1815")?;
/// txn.commit()?;
/// db.checkpoint()?;
///
/// let map = PageMap::read(&path)?; // beside the open database
/// let counts = map.counts();
/// assert_eq!(counts.iter().sum::<u64>(), u64::from(map.page_count()));
/// assert_eq!(counts[PageKind::Leaf as usize], 2); // the users, and the names of the trees
/// assert_eq!(map.trees()[1].0, "users");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct PageMap {
    file: PageFile,
    file_bytes: u64,
    meta: Option<LooseMeta>,
    metas_whole: [bool; 2],
    pages: Vec<Packed>,
    trees: Vec<(String, TreeRecord)>,
    /// Large values of more than one page: first page and pages, in order.
    runs: Vec<(u32, u32)>,
    damages: u64,
    damaged: Vec<(PageId, Trouble)>,
    pending: u64,
    changed: bool,
    resident: Option<Bits>,
}

impl PageMap {
    /// Reads every page of trees and lists once, headers of large values, and no free page. Takes no
    /// lock, and 16 bytes of memory a page. Where a writer changes the file meanwhile it reads anew; see
    /// [`has_changed`](PageMap::has_changed).
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io); [`Error::Store`](crate::Error::Store): nothing in it shows that
    /// it is a mapleaf file, or it is of another version. Damage is no error.
    pub fn read(path: impl AsRef<Path>) -> Result<PageMap> {
        let name = Name::of(path.as_ref());
        let mut attempt = 1;
        loop {
            let opened = lock::regular(OpenOptions::new().read(true), path.as_ref());
            let file = opened.map_err(|error| name.io("cannot open", error))?;
            let mut map = PageMap::once(file, &name)?;
            if map.damages == 0 || !map.is_outdated() {
                return Ok(map);
            }
            if attempt == ATTEMPTS {
                map.changed = true;
                return Ok(map);
            }
            attempt += 1;
        }
    }

    fn once(file: File, name: &Name) -> Result<PageMap> {
        let file_bytes = file.metadata().map_err(|error| name.io("cannot read", error))?.len();
        let metas = page_file::metas(&file, name)?;
        let page_size = match metas.iter().flatten().next() {
            Some(meta) => Some(meta.page_size()),
            None => page_file::page_size_by_trial(&file, file_bytes),
        };
        let nothing = StoreError::Unsupported(Unsupported::NotMapleaf);
        let page_size = page_size.ok_or_else(|| name.error(nothing))?;
        let metas_whole = metas.each_ref().map(Option::is_some);
        let meta = newest(metas);
        let file = PageFile::new(file, file_bytes, page_size);
        let page_count = meta.as_ref().map_or(file.pages, |meta| meta.page_count().min(file.pages));
        let mut map = PageMap {
            file,
            file_bytes,
            meta,
            metas_whole,
            pages: vec![Packed::UNREACHED; page_count as usize],
            trees: Vec::new(),
            runs: Vec::new(),
            damages: 0,
            damaged: Vec::new(),
            pending: 0,
            changed: false,
            resident: None,
        };
        map.measure_residency();
        map.walk();
        map.pending = map.count_pending();
        map.drop_what_was_read();
        Ok(map)
    }

    fn damage(&mut self, page: PageId, trouble: Trouble) {
        self.damages += 1;
        if self.damaged.len() < LISTED_MAX {
            self.damaged.push((page, trouble));
        }
    }

    fn count_pending(&self) -> u64 {
        let Some(meta) = self.meta.as_ref().filter(|meta| !meta.is_clean()) else { return 0 };
        let (log, pages) = meta.log();
        let Ok(ring) = self.file.read_stretch(log, pages) else { return 0 };
        meta.redo(&ring).filter(|redo| matches!(redo, Ok(Redo::Begin(_)))).count() as u64
    }

    /// Whether the file has another state by now. Reads the metas.
    #[must_use]
    pub fn is_outdated(&self) -> bool {
        let metas = page_file::metas(&self.file.file, &Name::memory());
        let now = metas.ok().and_then(newest).map(|meta| (meta.txn(), meta.is_clean()));
        let mine = self.meta.as_ref().map(|meta| (meta.txn(), meta.is_clean()));
        now != mine
    }

    /// Whether the file changed faster than it could be read: damage may then be none.
    #[must_use]
    pub fn has_changed(&self) -> bool {
        self.changed
    }

    /// What is known about a page; `None` behind the state's pages.
    #[must_use]
    pub fn page(&self, id: PageId) -> Option<PageFacts> {
        let page = self.pages.get(id.0 as usize)?;
        Some(PageFacts {
            kind: page.kind,
            fill_percent: Some(page.fill_percent).filter(|fill| *fill != u8::MAX),
            birth: Some(page.birth).filter(|birth| birth.0 != 0),
            tree: Some(usize::from(page.tree)).filter(|_| page.tree != u16::MAX),
            resident: self.resident.as_ref().map(|resident| resident.has(id)),
        })
    }

    /// All pages of the state, in order.
    pub fn pages(&self) -> impl ExactSizeIterator<Item = PageFacts> + '_ {
        (0..self.page_count()).map(|id| {
            self.page(PageId(id)).unwrap_or(PageFacts {
                kind: PageKind::Unreached,
                fill_percent: None,
                birth: None,
                tree: None,
                resident: None,
            })
        })
    }

    /// Pages by [`PageKind`]: they sum up to [`page_count`](PageMap::page_count).
    #[must_use]
    pub fn counts(&self) -> [u64; PageKind::ALL.len()] {
        let mut counts = [0; PageKind::ALL.len()];
        for page in &self.pages {
            counts[page.kind as usize] += 1;
        }
        counts
    }

    /// Page size in bytes.
    #[must_use]
    pub fn page_size(&self) -> u32 {
        self.file.page_size as u32
    }

    /// Pages of the state, metas included; of the file where no meta is whole.
    #[must_use]
    pub fn page_count(&self) -> u32 {
        self.pages.len() as u32
    }

    /// Whole pages in the file: those behind the state's are grown, and not yet in use.
    #[must_use]
    pub fn file_pages(&self) -> u32 {
        self.file.pages
    }

    /// Length of the file in bytes.
    #[must_use]
    pub fn file_bytes(&self) -> u64 {
        self.file_bytes
    }

    /// The transaction that made the state; `None` where no meta is whole.
    #[must_use]
    pub fn txn(&self) -> Option<TxnId> {
        self.meta.as_ref().map(LooseMeta::txn)
    }

    /// Whether the store was closed cleanly.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.meta.as_ref().is_some_and(LooseMeta::is_clean)
    }

    /// Transactions in the log behind the state, which the next opening replays.
    #[must_use]
    pub fn pending_transactions(&self) -> u64 {
        self.pending
    }

    /// Which of the two metas are whole.
    #[must_use]
    pub fn metas_whole(&self) -> [bool; 2] {
        self.metas_whole
    }

    /// Names and records of the trees; the first is the tree of the names themselves, without a name.
    #[must_use]
    pub fn trees(&self) -> &[(String, TreeRecord)] {
        &self.trees
    }

    /// Damages found on the way; [`check`](crate::Database::check) finds more.
    #[must_use]
    pub fn damages(&self) -> u64 {
        self.damages
    }

    /// The first thousand of them; [`PageId::NONE`] where it is no single page.
    #[must_use]
    pub fn damaged(&self) -> &[(PageId, Trouble)] {
        &self.damaged
    }
}

impl std::fmt::Debug for PageMap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PageMap")
            .field("page_count", &self.page_count())
            .field("txn", &self.txn())
            .field("damages", &self.damages)
            .finish_non_exhaustive()
    }
}

fn newest(metas: [Option<LooseMeta>; 2]) -> Option<LooseMeta> {
    metas.into_iter().flatten().max_by_key(|meta| (meta.txn(), meta.is_clean()))
}
