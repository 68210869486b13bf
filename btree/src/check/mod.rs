//! Proving a state sound.

mod reach;
mod rebuild;
mod scrub;
mod walk;

pub use reach::ReachSet;
pub use rebuild::rebuild;
pub use scrub::{ScrubFinding, ScrubVisitor, Scrubbed, scrub};

use crate::error::{Error, Result};
use crate::key::Key;
use crate::{Tree, TreeRecord};
use mapleaf_pager::{Damage, PageId, Pages};
use walk::Walk;

/// What a check counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct CheckReport {
    /// Named trees.
    pub trees: u64,
    /// Entries in them.
    pub entries: u64,
    /// Inner pages, the catalog's included.
    pub inner_pages: u64,
    /// Leaf pages, the catalog's included.
    pub leaf_pages: u64,
    /// Pages in the runs of large values.
    pub run_pages: u64,
    /// Bytes in use on leaf pages, headers included.
    pub leaf_bytes_used: u64,
    /// Depth in pages of the deepest tree.
    pub height_max: u8,
    /// Damages found and told to the visitor.
    pub damages: u64,
}

/// One damage.
#[derive(Clone, Copy, Debug)]
pub struct Finding<'a> {
    /// Name of the tree; `None`: the catalog, or no tree.
    pub tree: Option<Key<'a>>,
    /// The page, or [`PageId::NONE`].
    pub page: PageId,
    /// What is wrong with it.
    pub damage: Damage,
}

/// Who listens to a check.
pub trait CheckVisitor {
    /// A damage was found; the check goes on beside it.
    fn damage(&mut self, finding: &Finding<'_>);

    /// `reach` holds the pages of one window that the trees reach. Mark there what else is in use
    /// (metas, log, space pages, free pages), report what [`ReachSet::mark`] says is in use twice,
    /// and what stays unmarked: every page accounted for once.
    ///
    /// # Errors
    /// Ends the check.
    fn window(&mut self, reach: &mut ReachSet<'_>) -> Result<()> {
        let _ = reach;
        Ok(())
    }
}

/// Checks the catalog and all trees of a state of `page_count` pages: every page's checksum, kind
/// and layout, the order of keys and separators, depth, the recorded counts, and that no page is
/// reached twice.
///
/// `work` is cleared and used as a bitmap: with `page_count / 8` bytes one pass over the trees'
/// inner pages finds pages reached twice, with less it takes as many passes as windows fit.
///
/// ```
/// # use mapleaf_btree::{CheckVisitor, Finding, Replayer, TreeOptions, Writer, check};
/// # use mapleaf_pager::{Durability, Options, SliceMapping, Store};
/// # use core::sync::atomic::AtomicU32;
/// struct Print;
/// impl CheckVisitor for Print {
///     fn damage(&mut self, finding: &Finding<'_>) {
///         println!("{}: {}", finding.page, finding.damage);
///     }
/// }
/// # let mut ram = vec![0u8; 1 << 20];
/// # let words = [const { AtomicU32::new(0) }; mapleaf_pager::words_for(4)];
/// let store = Store::create(SliceMapping::empty(&mut ram), words, &Options::default().log_bytes(0,
/// 0))?; let mut writer = Writer::new(store.begin_write()?)?;
/// let tree = writer.create("numbers", TreeOptions::default())?;
/// writer.tree(tree)?.insert(b"one", b"1")?;
/// writer.commit(Durability::Sync)?;
///
/// let snapshot = store.begin_read(0)?;
/// let mut work = [0; 128];
/// let report = check(&snapshot, snapshot.page_count(), &mut work, &mut Print)?;
/// assert_eq!((report.trees, report.entries, report.damages), (1, 1, 0));
/// # Ok::<(), mapleaf_btree::Error>(())
/// ```
///
/// # Errors
/// Damage is told to the visitor, not returned.
/// [`WorkAreaTooSmall`](crate::Error::WorkAreaTooSmall): `work` is empty. Errors that are not
/// damage, and those of the visitor.
pub fn check<'a, P: Pages<'a>>(
    pages: P,
    page_count: u32,
    work: &mut [u8],
    visitor: &mut dyn CheckVisitor,
) -> Result<CheckReport> {
    let window = u32::try_from(work.len().saturating_mul(8)).unwrap_or(u32::MAX);
    if window == 0 {
        return Err(Error::WorkAreaTooSmall { needed_bytes: 1 });
    }
    let mut report = CheckReport::default();
    let mut first = 0;
    loop {
        let len = window.min(page_count - first);
        let bits = work.get_mut(..(len as usize).div_ceil(8)).unwrap_or_default();
        let reach = ReachSet::new(first, len, bits);
        let mut pass = Pass {
            pages,
            budget: page_count,
            reach,
            visitor: &mut *visitor,
            report,
            full: first == 0,
        };
        pass.trees()?;
        pass.visitor.window(&mut pass.reach)?;
        report = pass.report;
        first += len;
        if first >= page_count {
            return Ok(report);
        }
    }
}

/// One pass over all trees: the first looks at everything, later ones only at what is reached.
struct Pass<'v, 'w, P> {
    pages: P,
    /// Pages that may still be visited: no state reaches more than there are. Bounds the pass where pages
    /// outside the window are reached again and again, by one tree or by many names.
    budget: u32,
    reach: ReachSet<'w>,
    visitor: &'v mut dyn CheckVisitor,
    report: CheckReport,
    full: bool,
}

impl<'a, P: Pages<'a>> Pass<'_, '_, P> {
    /// Tells the visitor of a damage (once: the first pass finds all but pages that are reached
    /// twice). Other errors end the check.
    fn tell(&mut self, tree: Option<Key<'_>>, error: Error) -> Result<()> {
        let Error::Pager(mapleaf_pager::Error::Corrupt { page, damage }) = error else {
            return Err(error);
        };
        if self.full || damage == Damage::Shared {
            self.report.damages += 1;
            self.visitor.damage(&Finding { tree, page, damage });
        }
        Ok(())
    }

    /// As [`tell`](Pass::tell); the value where there is one.
    fn good<T>(&mut self, tree: Option<Key<'_>>, result: Result<T>) -> Result<Option<T>> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error) => self.tell(tree, error).map(|()| None),
        }
    }

    /// The catalog, and every tree it names.
    fn trees(&mut self) -> Result<()> {
        let Some(catalog) = self.good(None, TreeRecord::decode_names(self.pages.root()))? else {
            return Ok(());
        };
        let found = Walk::new(self, None, catalog).run()?;
        let mut names = Tree::open(self.pages, catalog).iter();
        // On a damaged catalog this ends with its first error, or with as many names as it has.
        for _ in 0..found {
            let Some(entry) = names.next() else { break };
            let Some((name, value)) = self.good(None, entry)? else { break };
            if self.full {
                self.report.trees += 1;
            }
            let Some(record) = self.good(Some(name), TreeRecord::decode(value))? else { continue };
            let entries = Walk::new(self, Some(name), record).run()?;
            if self.full {
                self.report.entries = self.report.entries.saturating_add(entries);
            }
        }
        Ok(())
    }
}
