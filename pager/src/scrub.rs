//! What a scrub reads: a committed state beside whoever reads and writes, its free pages' structures too.

use crate::meta::State;
use crate::snapshot::Snapshot;
use crate::store::Parts;
use crate::{Error, PageId, Result};

/// A committed state, held as by a snapshot, to compare the checksums of all that is in use in it. It holds
/// nobody up. `Send + Sync`.
pub struct Scrub<'s> {
    snapshot: Snapshot<'s>,
    state: State,
}

impl<'s> Parts<'s> {
    pub(crate) fn scrub(&self, hint: usize) -> Result<Scrub<'s>> {
        // Nothing is published while this is held: both are the same state.
        let latest = self.core.latest.lock();
        let (snapshot, state) = (self.snapshot(hint)?, latest.state);
        Ok(Scrub { snapshot, state })
    }
}

impl<'s> Scrub<'s> {
    /// The state's pages.
    #[must_use]
    pub fn snapshot(&self) -> &Snapshot<'s> {
        &self.snapshot
    }

    /// Pages that trees and the structures of free pages have: what there is to read.
    #[must_use]
    pub fn pages_in_use(&self) -> u32 {
        let (space, log) = (self.state.space.stats(), self.state.log.pages);
        let unused = [2, log, space.free_pages, space.pinned_pages];
        unused.into_iter().fold(self.state.space.page_count, u32::saturating_sub)
    }

    /// Reads each page of the structures that keep free pages, and calls `with` for those that are damaged
    /// or cannot be read; how many there are. What only a damaged one leads to is not read. `page` is a
    /// page long.
    pub fn space(&self, page: &mut [u8], with: &mut dyn FnMut(PageId, Error)) -> u32 {
        let mut read = |id: PageId, page: &mut [u8]| match self.snapshot.copy_sealed(id, page) {
            Ok(()) => true,
            Err(error) => {
                with(id, error);
                false
            }
        };
        let space = &self.state.space;
        space.survey(page, &mut read, &mut |_, _, _| {});
        space.stats().space_pages
    }
}
