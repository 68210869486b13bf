//! Comparing every checksum beside readers and the writer.

use crate::database::Database;
use crate::error::Result;
use crate::salvage::{Trouble, What};
use crate::words::slot_hint;
use mapleaf_btree::{Key, ScrubFinding, ScrubVisitor, Scrubbed};
use mapleaf_pager::{Error as StoreError, PageId, Pages, TxnId};

/// Damages that a report lists; the rest are counted.
const FOUND_MAX: usize = 1000;

/// One damaged page.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Scar {
    /// Name of the tree; `None`: the names themselves, or the free pages.
    pub tree: Option<String>,
    /// The page (of a large value: the first); [`PageId::NONE`] where the damage is in no page.
    pub page: PageId,
    /// Where it starts in the file, in bytes.
    pub offset: u64,
    /// What is wrong with it.
    pub trouble: Trouble,
    /// What it holds; `None`: which pages are free.
    pub what: Option<What>,
    /// Keys from here on lie on it, or below it; `None`: from the tree's first.
    pub from: Option<Vec<u8>>,
    /// Keys below this one do; `None`: to the tree's last.
    pub to: Option<Vec<u8>>,
}

/// What a scrub read and found; see [`Database::scrub`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ScrubReport {
    /// The transaction whose state was read.
    pub txn: TxnId,
    /// Page size in bytes.
    pub page_size: u64,
    /// Pages whose checksum was compared.
    pub pages: u64,
    /// Which of the two metas are whole; see [`CheckReport::metas_whole`](crate::CheckReport::metas_whole).
    pub metas_whole: [bool; 2],
    /// Damaged pages and values.
    pub damages: u64,
    /// The first thousand of them.
    pub found: Vec<Scar>,
}

impl ScrubReport {
    /// Whether every checksum was right.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.damages == 0
    }
}

impl Database {
    /// Reads every page that is in use in the newest state, and compares its checksum. Nobody waits:
    /// readers and the writer go on (unlike with [`check`](Database::check), which proves more). Damage is
    /// reported with what it hits, and never ends a scrub. Pages that only a damaged one leads to are not
    /// found, and so not read.
    ///
    /// `progress` is told the pages read, and how many there are, every few pages; to scrub slowly, let it
    /// sleep. Holds a snapshot while it runs; takes no memory besides the report. The pages of trees come
    /// in the order of keys, then the structures of free pages. Log blocks, which are verified when the
    /// file is opened, are not read: they change all the time. Of the metas the report says whether they are whole.
    ///
    /// What is read is what anybody would read: of a page that is in the page cache that copy, not the
    /// medium's. [`evict`](Database::evict) before it where the medium is in question. A page that the
    /// medium does not deliver ends the process like any read of it, but where
    /// `Builder::sigbus_guard` is on: then it is a damage like others.
    ///
    /// With [`Verify::FirstTouch`](crate::Verify) a page that is found damaged is not lent any more.
    ///
    /// ```
    /// let db = mapleaf::Database::in_memory()?;
    /// let report = db.scrub(&mut |done, pages| assert!(done <= pages))?;
    /// assert!(report.is_clean());
    /// # Ok::<(), mapleaf::Error>(())
    /// ```
    ///
    /// # Errors
    /// Damage is in the report. [`StoreError::ReadersFull`].
    pub fn scrub(&self, progress: &mut dyn FnMut(u64, u64)) -> Result<ScrubReport> {
        let inner = self.inner();
        let scrub =
            inner.store.begin_scrub(slot_hint()).map_err(|error| inner.name.error(error))?;
        let (snapshot, page_size) = (scrub.snapshot(), inner.store.page_size());
        let report = ScrubReport {
            txn: snapshot.txn(),
            page_size: page_size as u64,
            pages: 0,
            metas_whole: inner.store.metas_whole(),
            damages: 0,
            found: Vec::new(),
        };
        let mut gatherer = Gatherer { report, total: scrub.pages_in_use().into(), progress };
        mapleaf_btree::scrub(snapshot, snapshot.page_count(), &mut gatherer);
        let space = scrub.space(&mut vec![0; page_size], &mut |page, error| {
            gatherer.note(None, page, error.into(), None, [None; 2]);
        });
        gatherer.pages(space);
        Ok(gatherer.report)
    }

    /// Asks the system to drop what it has in memory of the file, so that what is read next is read from
    /// the medium; pages that are newer than the medium stay. Costs everybody who reads the file a page
    /// fault a page. Nothing to do where the file is not mapped. A hint: it may do nothing.
    pub fn evict(&self) {
        self.inner().store.evict();
    }
}

struct Gatherer<'p> {
    report: ScrubReport,
    total: u64,
    progress: &'p mut dyn FnMut(u64, u64),
}

impl Gatherer<'_> {
    fn note(
        &mut self,
        tree: Option<Key<'_>>,
        page: PageId,
        error: mapleaf_btree::Error,
        what: Option<What>,
        [from, to]: [Option<Key<'_>>; 2],
    ) {
        self.report.damages += 1;
        if self.report.found.len() >= FOUND_MAX {
            return;
        }
        let (page, trouble) = match error {
            mapleaf_btree::Error::Pager(StoreError::Corrupt { page, damage }) => {
                (page, Trouble::Damaged(damage))
            }
            mapleaf_btree::Error::Pager(StoreError::Io { code }) => {
                (page, Trouble::Unreadable(code))
            }
            _ => (page, Trouble::Unreadable(0)),
        };
        self.report.found.push(Scar {
            tree: tree.map(|name| String::from_utf8_lossy(&name.to_vec()).into_owned()),
            page,
            offset: u64::from(page.0) * self.report.page_size,
            trouble,
            what,
            from: from.map(|key| key.to_vec()),
            to: to.map(|key| key.to_vec()),
        });
    }
}

impl ScrubVisitor for Gatherer<'_> {
    fn pages(&mut self, count: u32) {
        self.report.pages += u64::from(count);
        // A damaged record may have counted too few.
        self.total = self.total.max(self.report.pages);
        (self.progress)(self.report.pages, self.total);
    }

    fn damage(&mut self, finding: &ScrubFinding<'_>) {
        let what = match finding.what {
            Scrubbed::Leaf => What::Leaf,
            Scrubbed::Value(key) => What::Value(key.to_vec()),
            Scrubbed::Tree => What::Tree,
            _ => What::Subtree,
        };
        let range = [finding.from, finding.to];
        self.note(finding.tree, finding.page, finding.error, Some(what), range);
    }
}
