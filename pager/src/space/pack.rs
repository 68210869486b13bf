//! Moving the bitmap's own pages forward, so that the file's end is free to be cut.

use super::bitmap::{Child, Shape};
use super::record::Limits;
use super::{READY_MAX, RESERVE_MAX, Space, SpaceHost};
use crate::{PageId, Result};

/// Leaves of the bitmap that are looked at.
const LEAVES_MAX: u32 = 1 << 16;
/// The end is worth packing for where the pages in use, and a part as large as this of them, fit before it.
const ROOM_PART: u32 = 4;
const ROOM_MIN: u32 = 64;

impl Space {
    /// Before which page all that is in use would fit, with some room.
    pub(crate) fn packed_end(&self) -> u32 {
        let not_in_use = self.stats.free_pages.saturating_add(self.stats.pinned_pages);
        let in_use = self.page_count.saturating_sub(not_in_use);
        in_use.saturating_add(in_use / ROOM_PART).saturating_add(ROOM_MIN)
    }

    /// Moves pages of the bitmap that lie at `from` or behind it to the lowest free pages, as many as are
    /// at hand; whether any moved. Where they were is free when the next checkpoint is durable.
    ///
    /// # Errors
    /// `Corrupt`: a page of the structures. `Full`, `Io`: a structure had to grow.
    #[inline(never)]
    pub(crate) fn pack(&mut self, host: &mut dyn SpaceHost, from: u32) -> Result<bool> {
        let limits = Limits::new(host.page_size());
        if self.closing || self.height == 0 || !self.all_walked() {
            return Ok(false);
        }
        let root_lay_behind = self.bitmap.0 >= from;
        self.prepare(host, &limits)?;
        self.take_lowest(host, &limits)?;
        let mut moved = root_lay_behind && self.bitmap.0 < from;
        let leaves = self.page_count.div_ceil(Shape::new(host.page_size()).bits);
        for leaf in 0..leaves.min(LEAVES_MAX) {
            let low = self.reserve.as_slice().iter().chain(self.ready.as_slice());
            if low.filter(|page| **page < from).count() <= usize::from(self.height) {
                break;
            }
            if self.path_reaches(host, leaf, from)? {
                self.edit_leaf(host, leaf, &mut |_| Ok(()))?;
                moved = true;
            }
        }
        Ok(moved)
    }

    /// Has the lowest free pages at hand, the lowest of them to be taken first.
    fn take_lowest(&mut self, host: &mut dyn SpaceHost, limits: &Limits) -> Result<()> {
        self.sort_at_hand();
        if self.ready.len() > limits.ready / 2 {
            // Those at the file's end.
            self.flush_ready(host)?;
        }
        let mut pages = [0; READY_MAX];
        let room = limits.ready.saturating_sub(self.ready.len());
        let found = self.first_free(host, pages.get_mut(..room).unwrap_or(&mut []))?;
        let drawn = pages.get(..found).unwrap_or(&[]);
        self.mark_pages(host, drawn, false)?;
        for page in drawn {
            let _ = self.push_ready(limits, *page);
        }
        self.sort_at_hand();
        Ok(())
    }

    /// Has the lowest of the pages at hand taken first: the reserve is, and the last one of a list.
    fn sort_at_hand(&mut self) {
        let mut pages = [0; READY_MAX + RESERVE_MAX];
        let at_hand = self.reserve.as_slice().iter().chain(self.ready.as_slice());
        let len = pages.iter_mut().zip(at_hand).map(|(place, page)| *place = *page).count();
        let pages = pages.get_mut(..len).unwrap_or(&mut []);
        pages.sort_unstable();
        let (low, high) = pages.split_at(self.reserve.len().min(len));
        let refill = |list: &mut [u32], from: &[u32]| {
            list.iter_mut().zip(from.iter().rev()).for_each(|(place, page)| *place = *page);
        };
        refill(self.reserve.as_mut_slice(), low);
        refill(self.ready.as_mut_slice(), high);
    }

    /// Whether a page on the bitmap's way to `leaf`, or the leaf, lies at `from` or behind it.
    fn path_reaches(&self, host: &dyn SpaceHost, leaf: u32, from: u32) -> Result<bool> {
        let shape = Shape::new(host.page_size());
        let mut id = self.bitmap;
        if u64::from(leaf) * u64::from(shape.bits) >= shape.coverage(self.height) {
            return Ok(false);
        }
        let mut reaches = false;
        for level in (1..=self.height).rev() {
            if id.is_none() {
                return Ok(false);
            }
            reaches |= id >= PageId(from);
            if level > 1 {
                id = Child::read(self.bitmap_page(host, id, level)?, shape.slot(leaf, level)).page;
            }
        }
        Ok(reaches)
    }
}
