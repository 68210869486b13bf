//! Runs of consecutive pages for large values.

use super::bitmap::{Child, Shape, leaf_bits};
use super::bits;
use super::reclaim::DRY_CLAIMS;
use super::record::Limits;
use super::{Space, SpaceHost};
use crate::{PageId, Result};

/// Entries of ended chains that are looked at before the file grows by a run.
const WALK_RUN: usize = 256;
/// Bitmap leaves that a search across their borders reads at most.
const LEAVES_READ_MAX: u32 = 4096;
/// A run across leaves is searched for when it is longer than this part of a leaf; below, what is lost
/// at the borders is little.
const BORDER_PART: u32 = 8;

impl Space {
    /// Takes a run of free pages; `None` where none was found in bounded time.
    pub(super) fn find_run(&mut self, host: &mut dyn SpaceHost, pages: u32) -> Result<Option<u32>> {
        if self.closing {
            return Ok(None);
        }
        let limits = Limits::new(host.page_size());
        self.prepare(host, &limits)?;
        if let Some(first) = self.take_run(host, pages)? {
            return Ok(Some(first));
        }
        if let Some(dry) = self.dry_runs.checked_sub(1) {
            self.dry_runs = dry;
            return Ok(None);
        }
        self.look_again(host)?;
        self.walk(host, &limits, WALK_RUN, usize::MAX)?;
        let found = self.take_run(host, pages)?;
        if found.is_none() && self.all_walked() {
            self.dry_runs = DRY_CLAIMS;
        }
        Ok(found)
    }

    fn take_run(&mut self, host: &mut dyn SpaceHost, pages: u32) -> Result<Option<u32>> {
        if let Some(first) = self.take_inline_run(host, pages)? {
            return Ok(Some(first));
        }
        let mut first = self.first_run(host, pages)?;
        let long = pages > Shape::new(host.page_size()).bits / BORDER_PART;
        if first.is_none() && long && self.stats.free_pages >= pages {
            first = self.run_across(host, pages)?;
        }
        if let Some(first) = first {
            self.mark_run(host, first, pages, false)?;
            self.count_free_less(pages)?;
        }
        Ok(first)
    }

    /// The start of the shortest inline entry that is reusable and long enough: a value that was
    /// replaced a moment ago makes room for the next one without a structure being touched.
    fn take_inline_run(&mut self, host: &dyn SpaceHost, pages: u32) -> Result<Option<u32>> {
        let entries = self.pinned.as_slice().iter().enumerate();
        let best = entries
            .filter(|(_, entry)| entry.pages >= pages && self.reusable(host.pins(), entry))
            .min_by_key(|(_, entry)| entry.pages)
            .map(|(at, entry)| (at, entry.page.0));
        let Some((at, first)) = best else {
            return Ok(None);
        };
        self.take_inline(at, pages)?;
        Ok(Some(first))
    }

    /// The first run of `pages` free pages that spans leaves.
    pub(super) fn run_across(&self, host: &dyn SpaceHost, pages: u32) -> Result<Option<u32>> {
        if self.height < 2 {
            return Ok(None);
        }
        let shape = Shape::new(host.page_size());
        let mut across = Across { shape, pages, open: 0, first: 0, left: LEAVES_READ_MAX };
        let found = self.scan(host, &mut across, self.bitmap, self.height, 0)?;
        match found {
            Some(first) => self.in_file(self.bitmap, first, 0, pages).map(Some),
            None => Ok(None),
        }
    }

    /// Looks through the subtree of `id`, whose first leaf is `leaf`. At most `HEIGHT_MAX` deep.
    fn scan(
        &self,
        host: &dyn SpaceHost,
        across: &mut Across,
        id: PageId,
        level: u8,
        leaf: u64,
    ) -> Result<Option<u32>> {
        let body = self.bitmap_page(host, id, level)?;
        for slot in 0..across.shape.fanout {
            let child = Child::read(body, slot);
            let leaf = leaf + u64::from(slot) * across.shape.leaves_below(level);
            let Ok(first) = u32::try_from(leaf * u64::from(across.shape.bits)) else {
                return Ok(None);
            };
            let found = if child.free == 0 || across.left == 0 {
                across.open = 0;
                None
            } else if level > 2 {
                self.scan(host, across, child.page, level - 1, leaf)?
            } else if child.free == across.shape.bits {
                across.add(first, across.shape.bits)
            } else {
                across.left -= 1;
                across.read(first, leaf_bits(self.bitmap_page(host, child.page, 1)?))
            };
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }
}

/// A search for a run across leaves.
struct Across {
    shape: Shape,
    pages: u32,
    /// Free pages right before the leaf that comes next.
    open: u32,
    /// The first of them.
    first: u32,
    /// Leaves that may still be read.
    left: u32,
}

impl Across {
    /// Adds free pages that follow the open ones; the run's first page where it is long enough.
    fn add(&mut self, first: u32, pages: u32) -> Option<u32> {
        if self.open == 0 {
            self.first = first;
        }
        self.open = self.open.saturating_add(pages);
        (self.open >= self.pages).then_some(self.first)
    }

    fn read(&mut self, first: u32, bits: &[u8]) -> Option<u32> {
        let found = self.add(first, bits::leading(bits));
        if found.is_none() {
            self.open = bits::trailing(bits, self.shape.bits);
            self.first = first + (self.shape.bits - self.open);
        }
        found
    }
}
