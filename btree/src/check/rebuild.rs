//! Making the space anew from what the trees reach.

use super::{CheckReport, CheckVisitor, Finding, ReachSet, check};
use crate::error::{Error, Result};
use mapleaf_pager::{Damage, PageId, Rebuild, Snapshot};

/// Makes every page free that neither the trees of `snapshot` reach nor the store needs otherwise.
///
/// `work` as for [`check`]: a bit a page, or as many passes as windows fit.
///
/// # Errors
/// [`Corrupt`](mapleaf_pager::Error::Corrupt): a tree is damaged, or reaches a page that is the log's;
/// the transaction is to be dropped then, since what was lost of the tree is not known to be free.
/// [`WorkAreaTooSmall`](Error::WorkAreaTooSmall); those of the store.
pub fn rebuild(
    snapshot: &Snapshot<'_>,
    rebuild: &mut Rebuild<'_>,
    work: &mut [u8],
) -> Result<CheckReport> {
    let page_count = rebuild.page_count();
    let mut unreached = Unreached { rebuild, found: None };
    let report = check(snapshot, page_count, work, &mut unreached)?;
    match unreached.found {
        Some(error) => Err(error),
        None => Ok(report),
    }
}

/// Frees what is not reached, unless a damage was found.
struct Unreached<'r, 's> {
    rebuild: &'r mut Rebuild<'s>,
    found: Option<Error>,
}

impl CheckVisitor for Unreached<'_, '_> {
    fn damage(&mut self, finding: &Finding<'_>) {
        self.found.get_or_insert(Error::corrupt(finding.page, finding.damage));
    }

    fn window(&mut self, reach: &mut ReachSet<'_>) -> Result<()> {
        for fixed in self.rebuild.fixed() {
            if let Some(page) = reach.mark_run(PageId(fixed.start), fixed.end - fixed.start) {
                return Err(Error::corrupt(page, Damage::Shared));
            }
        }
        if let Some(error) = self.found {
            return Err(error);
        }
        let mut open: Option<(PageId, u32)> = None;
        for page in reach.unmarked() {
            open = match open {
                Some((first, pages)) if first.0 + pages == page.0 => Some((first, pages + 1)),
                Some((first, pages)) => {
                    self.rebuild.free(first, pages)?;
                    Some((page, 1))
                }
                None => Some((page, 1)),
            };
        }
        match open {
            Some((first, pages)) => Ok(self.rebuild.free(first, pages)?),
            None => Ok(()),
        }
    }
}
