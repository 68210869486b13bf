//! Space made anew, from what is known to be unreached.

use super::{Space, SpaceHost};
use crate::{Damage, Error, PageId, Result};

impl Space {
    /// Adds pages that no state reaches, straight to the bitmap. In a space that knows no other free
    /// page, as [`new`](Space::new) makes it, the bitmap's own pages are new ones at the file's end: no
    /// page that was there before is written to.
    ///
    /// # Errors
    /// `Corrupt`: the pages are out of range, or were added before. `Full`, `Io`: no room for the bitmap.
    pub(crate) fn add_unreached(
        &mut self,
        host: &mut dyn SpaceHost,
        first: PageId,
        pages: u32,
    ) -> Result<()> {
        self.check_range(first, pages)?;
        let free_pages = self.stats.free_pages.checked_add(pages);
        self.stats.free_pages = free_pages.ok_or(Error::corrupt(first, Damage::Count))?;
        self.mark_run(host, first.0, pages, true)
    }
}
