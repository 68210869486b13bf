//! Proving a whole database sound.

use crate::database::Database;
use crate::error::Result;
use mapleaf_btree::{CheckVisitor, Finding, ReachSet};
use mapleaf_pager::{Damage, Error as StoreError, Inspection, PageId, PageUse};

/// Damages that a report lists; the rest are counted.
const FOUND_MAX: usize = 1000;

/// Pages by what they are used for besides trees.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct PageUses {
    /// Metas.
    pub meta: u64,
    /// The log.
    pub log: u64,
    /// The structures that keep free pages.
    pub space: u64,
    /// Reusable.
    pub free: u64,
    /// Freed, but visible to a snapshot or the last checkpoint.
    pub pinned: u64,
}

/// One damage.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Found {
    /// Name of the tree; `None`: the names themselves, or no tree.
    pub tree: Option<String>,
    /// The page; [`PageId::NONE`] where the damage is in no single page.
    pub page: PageId,
    /// What is wrong with it.
    pub damage: Damage,
}

/// What a check counted and found; see [`Database::check`].
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct CheckReport {
    /// Named trees.
    pub trees: u64,
    /// Entries in them.
    pub entries: u64,
    /// Inner pages, those of the names included.
    pub inner_pages: u64,
    /// Leaf pages, those of the names included.
    pub leaf_pages: u64,
    /// Pages of large values.
    pub run_pages: u64,
    /// Bytes in use on leaf pages, headers included.
    pub leaf_bytes_used: u64,
    /// Pages from the root to a leaf of the deepest tree.
    pub height_max: u8,
    /// Pages of the checked state, whatever their use.
    pub page_count: u64,
    /// Page size in bytes.
    pub page_size: u64,
    /// Pages besides trees.
    pub uses: PageUses,
    /// Which of the two metas are whole. One that is not is no damage to the state that was checked: a checkpoint
    /// was cut short when it was stored, or it was damaged; then the file has no other left.
    pub metas_whole: [bool; 2],
    /// Damages found.
    pub damages: u64,
    /// The first thousand of them.
    pub found: Vec<Found>,
}

impl CheckReport {
    /// Whether every page is as it should be.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.damages == 0
    }

    /// Mean fill of the leaf pages, from 0 to 1; 1 where there are none.
    #[must_use]
    pub fn leaf_fill(&self) -> f64 {
        let room = self.leaf_pages as f64 * self.page_size as f64;
        if room > 0.0 { self.leaf_bytes_used as f64 / room } else { 1.0 }
    }
}

impl Database {
    /// Reads every page of the newest state: checksums, order of keys, separators, depth, counts, and
    /// that every page of the file is in use once, or free. Waits for the write transaction; the next
    /// one waits for it.
    ///
    /// Takes a bit of memory a page, and as long as reading the file does.
    ///
    /// ```
    /// let db = mapleaf::Database::in_memory()?;
    /// assert!(db.check()?.is_sound());
    /// # Ok::<(), mapleaf::Error>(())
    /// ```
    ///
    /// # Errors
    /// Damage is in the report. [`StoreError::ReadersFull`].
    pub fn check(&self) -> Result<CheckReport> {
        let inner = self.inner();
        let turn = inner.turns.wait();
        let inspection = inner.when_free(&turn, || inner.store.inspect())?;
        let checked = inspected(&inspection, inner.store.page_size(), None);
        let report = checked.map_err(|error| inner.name.error(error))?.report;
        drop(inspection);
        Ok(CheckReport { metas_whole: inner.store.metas_whole(), ..report })
    }
}

/// A check's report, and whose damages they are.
pub(crate) struct Checked {
    pub(crate) report: CheckReport,
    /// Damages that are not the space's: to trees, or to what belongs to a tree and the log at once.
    pub(crate) tree_damages: u64,
}

/// Checks the state that is held still. `space`: its record of the space is this damaged.
pub(crate) fn inspected(
    inspection: &Inspection<'_>,
    page_size: usize,
    space: Option<StoreError>,
) -> mapleaf_btree::Result<Checked> {
    let snapshot = inspection.snapshot();
    let pages = snapshot.page_count();
    let mut work = vec![0; pages as usize / 8 + 1];
    let report = CheckReport {
        page_count: u64::from(pages),
        page_size: page_size as u64,
        ..CheckReport::default()
    };
    let mut gatherer = Gatherer { inspection, report, first_window: true, space, tree_damages: 0 };
    let checked = mapleaf_btree::check(snapshot, pages, &mut work, &mut gatherer)?;
    let report = CheckReport {
        trees: checked.trees,
        entries: checked.entries,
        inner_pages: checked.inner_pages,
        leaf_pages: checked.leaf_pages,
        run_pages: checked.run_pages,
        leaf_bytes_used: checked.leaf_bytes_used,
        height_max: checked.height_max,
        ..gatherer.report
    };
    Ok(Checked { report, tree_damages: gatherer.tree_damages })
}

/// Gathers what a check finds, and accounts for what is in use besides trees.
struct Gatherer<'i, 's> {
    inspection: &'i Inspection<'s>,
    report: CheckReport,
    first_window: bool,
    space: Option<StoreError>,
    tree_damages: u64,
}

impl Gatherer<'_, '_> {
    fn note(&mut self, tree: Option<String>, page: PageId, damage: Damage) {
        self.report.damages += 1;
        if self.report.found.len() < FOUND_MAX {
            self.report.found.push(Found { tree, page, damage });
        }
    }

    fn count(&mut self, pages: u32, used: PageUse) {
        let uses = &mut self.report.uses;
        let count = match used {
            PageUse::Meta => &mut uses.meta,
            PageUse::Log => &mut uses.log,
            PageUse::Space => &mut uses.space,
            PageUse::Free => &mut uses.free,
            PageUse::Pinned => &mut uses.pinned,
            _ => return,
        };
        *count += u64::from(pages);
    }
}

impl CheckVisitor for Gatherer<'_, '_> {
    fn damage(&mut self, finding: &Finding<'_>) {
        let tree = finding.tree.map(|name| String::from_utf8_lossy(&name.to_vec()).into_owned());
        self.note(tree, finding.page, finding.damage);
        self.tree_damages += 1;
    }

    fn window(&mut self, reach: &mut ReachSet<'_>) -> mapleaf_btree::Result<()> {
        let inspection = self.inspection;
        let window = reach.window();
        let visited = inspection.visit(&mut |page, pages, used| {
            if self.first_window {
                self.count(pages, used);
            }
            let from = page.0.max(window.start);
            let to = page.0.saturating_add(pages).min(window.end);
            for page in (from..to).map(PageId) {
                if !reach.mark(page) {
                    self.note(None, page, Damage::Shared);
                    let fixed = matches!(used, PageUse::Meta | PageUse::Log);
                    self.tree_damages += u64::from(fixed);
                }
            }
        });
        self.first_window = false;
        match visited.and(self.space.map_or(Ok(()), Err)) {
            Ok(()) => {
                for page in reach.unmarked() {
                    self.note(None, page, Damage::Lost);
                }
            }
            // What the damaged page would have told is unknown: no page can be called lost.
            Err(StoreError::Corrupt { page, damage }) => self.note(None, page, damage),
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}
