//! The bitmap of reusable pages: a radix tree of copy-on-write pages, read on demand.
//!
//! A leaf (kind `BITMAP`) holds bits from byte 32 of the page on; bit `i` of the n-th leaf is page
//! `n × bits a leaf + i`. An inner page (kind `BITMAP_INNER`) holds entries of 12 bytes from byte 32
//! on: child u32, free pages below it u32, longest run within one leaf below it u32. Bytes 18..20 hold
//! the level, leaves being 1. A child 0 stands for a subtree without a free page; a page whose last
//! bit is cleared is given up, so that no page of the tree is empty.

use super::bits;
use super::{Space, SpaceHost};
use crate::page::{OWNED_BYTES, kind, put_u32, u32_at};
use crate::{Damage, Error, PageId, Result};

/// Levels that 2^32 pages of the smallest page size need.
pub(super) const HEIGHT_MAX: usize = 5;
/// Bytes of an inner page's entry.
const CHILD_BYTES: usize = 12;

const AT_KIND: usize = 0;
const AT_LEVEL: usize = 18 - OWNED_BYTES;
const AT_BODY: usize = 32 - OWNED_BYTES;

/// How many pages a bitmap page stands for, by page size.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    /// Bits of a leaf.
    pub(super) bits: u32,
    /// Entries of an inner page.
    pub(super) fanout: u32,
}

impl Shape {
    pub(super) const fn new(page_size: usize) -> Shape {
        let bytes = page_size as u32 - 32;
        Shape { bits: bytes * 8, fanout: bytes / CHILD_BYTES as u32 }
    }

    /// Leaves below an inner page's entry at `level` (2 = its children are leaves).
    pub(super) fn leaves_below(self, level: u8) -> u64 {
        u64::from(self.fanout).saturating_pow(u32::from(level).saturating_sub(2))
    }

    /// Pages that a tree of this height stands for.
    pub(super) fn coverage(self, height: u8) -> u64 {
        match height {
            0 => 0,
            1 => u64::from(self.bits),
            _ => self
                .leaves_below(height)
                .saturating_mul(u64::from(self.fanout))
                .saturating_mul(u64::from(self.bits)),
        }
    }

    /// The entry that leads to `leaf` on an inner page at `level`.
    pub(super) fn slot(self, leaf: u32, level: u8) -> u32 {
        (u64::from(leaf) / self.leaves_below(level) % u64::from(self.fanout)) as u32
    }
}

/// An entry of an inner page: what is below one child.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Child {
    pub(super) page: PageId,
    pub(super) free: u32,
    pub(super) longest: u32,
}

impl Child {
    pub(super) fn read(body: &[u8], slot: u32) -> Child {
        let at = AT_BODY + slot as usize * CHILD_BYTES;
        Child {
            page: PageId(u32_at(body, at)),
            free: u32_at(body, at + 4),
            longest: u32_at(body, at + 8),
        }
    }

    fn write(self, body: &mut [u8], slot: u32) {
        let at = AT_BODY + slot as usize * CHILD_BYTES;
        put_u32(body, at, self.page.0);
        put_u32(body, at + 4, self.free);
        put_u32(body, at + 8, self.longest);
    }
}

/// What a leaf's entry must say about it.
pub(super) fn leaf_sum(page: PageId, body: &[u8]) -> Child {
    let bits = leaf_bits(body);
    Child { page, free: bits::count(bits), longest: bits::longest(bits) }
}

/// What an inner page's entry must say about it.
pub(super) fn inner_sum(page: PageId, body: &[u8], shape: Shape) -> Result<Child> {
    let (mut free, mut longest) = (0u64, 0);
    for slot in 0..shape.fanout {
        let child = Child::read(body, slot);
        free += u64::from(child.free);
        longest = longest.max(child.longest);
    }
    let free = u32::try_from(free).map_err(|_| Error::corrupt(page, Damage::Count))?;
    Ok(Child { page, free, longest })
}

/// The bits of a leaf's body.
pub(super) fn leaf_bits(body: &[u8]) -> &[u8] {
    body.get(AT_BODY..).unwrap_or(&[])
}

fn kind_at(level: u8) -> u8 {
    if level == 1 { kind::BITMAP } else { kind::BITMAP_INNER }
}

impl Space {
    /// The body of the bitmap page `id`, which is to be of `level`.
    pub(super) fn bitmap_page<'h>(
        &self,
        host: &'h dyn SpaceHost,
        id: PageId,
        level: u8,
    ) -> Result<&'h [u8]> {
        if !(2..self.page_count).contains(&id.0) {
            return Err(Error::corrupt(id, Damage::OutOfRange));
        }
        let body = host.read(id)?;
        if body.get(AT_KIND) != Some(&kind_at(level)) || body.get(AT_LEVEL) != Some(&level) {
            return Err(Error::corrupt(id, Damage::Kind));
        }
        Ok(body)
    }

    /// Makes the bits of `pages` pages from `first` on `free`, whatever leaves they are in.
    pub(super) fn mark_run(
        &mut self,
        host: &mut dyn SpaceHost,
        first: u32,
        pages: u32,
        free: bool,
    ) -> Result<()> {
        let shape = Shape::new(host.page_size());
        let (mut first, mut left) = (first, pages);
        while left > 0 {
            let at = first % shape.bits;
            let here = left.min(shape.bits - at);
            self.edit_leaf(host, first / shape.bits, &mut |bits| {
                bits::change(bits, at, here, free)
            })?;
            // Wraps only where nothing is left: pages end at most at 2^32 - 1.
            first = first.wrapping_add(here);
            left -= here;
        }
        Ok(())
    }

    /// Makes the bits of `pages` `free`; they are sorted, so that those of one leaf stand together.
    pub(super) fn mark_pages(
        &mut self,
        host: &mut dyn SpaceHost,
        pages: &[u32],
        free: bool,
    ) -> Result<()> {
        let shape = Shape::new(host.page_size());
        for group in pages.chunk_by(|a, b| a / shape.bits == b / shape.bits) {
            let Some(first) = group.first() else {
                continue;
            };
            self.edit_leaf(host, first / shape.bits, &mut |bits| {
                group.iter().try_for_each(|page| bits::change(bits, page % shape.bits, 1, free))
            })?;
        }
        Ok(())
    }

    /// Changes the bits of one leaf, and what the pages above it say about it. Copies at most one
    /// page a level.
    pub(super) fn edit_leaf(
        &mut self,
        host: &mut dyn SpaceHost,
        leaf: u32,
        change: &mut dyn FnMut(&mut [u8]) -> Result<(), Damage>,
    ) -> Result<()> {
        let shape = Shape::new(host.page_size());
        if cfg!(feature = "locality") && self.last_used / shape.bits == leaf {
            self.last_used = 0;
        }
        self.raise_to(host, shape, leaf)?;
        let mut path = [(PageId::NONE, 0u32); HEIGHT_MAX];
        let mut id = self.own_bitmap(host, self.bitmap, self.height)?;
        self.bitmap = id;
        for (level, step) in (2..=self.height).rev().zip(&mut path) {
            let slot = shape.slot(leaf, level);
            let child = Child::read(self.bitmap_page(host, id, level)?, slot);
            let owned = self.own_bitmap(host, child.page, level - 1)?;
            Child { page: owned, ..child }.write(host.edit(id)?, slot);
            *step = (id, slot);
            id = owned;
        }
        let body = host.edit(id)?;
        change(body.get_mut(AT_BODY..).unwrap_or(&mut []))
            .map_err(|damage| Error::corrupt(id, damage))?;
        let mut sum = leaf_sum(id, body);
        for step in path.iter().take(usize::from(self.height) - 1).rev() {
            if sum.free == 0 {
                self.release_own(host, sum.page)?;
                sum = Child::default();
            }
            let body = host.edit(step.0)?;
            sum.write(body, step.1);
            sum = inner_sum(step.0, body, shape)?;
        }
        if sum.free == 0 {
            self.release_own(host, sum.page)?;
            self.bitmap = PageId::NONE;
            self.height = 0;
        }
        Ok(())
    }

    /// Makes the tree high enough for `leaf`.
    fn raise_to(&mut self, host: &mut dyn SpaceHost, shape: Shape, leaf: u32) -> Result<()> {
        let page = u64::from(leaf) * u64::from(shape.bits);
        if self.bitmap.is_none() {
            self.height = 1;
            while shape.coverage(self.height) <= page {
                self.height += 1;
            }
            return Ok(());
        }
        while shape.coverage(self.height) <= page {
            let below = self.bitmap_page(host, self.bitmap, self.height)?;
            let below = if self.height == 1 {
                leaf_sum(self.bitmap, below)
            } else {
                inner_sum(self.bitmap, below, shape)?
            };
            let root = self.own_bitmap(host, PageId::NONE, self.height + 1)?;
            below.write(host.edit(root)?, 0);
            self.bitmap = root;
            self.height += 1;
        }
        Ok(())
    }

    /// An owned page with the content of `id`, or an empty one where `id` is none.
    fn own_bitmap(&mut self, host: &mut dyn SpaceHost, id: PageId, level: u8) -> Result<PageId> {
        if id.is_none() {
            let new = self.start_own(host, kind_at(level))?;
            let body = host.edit(new)?;
            if let Some(at) = body.get_mut(AT_LEVEL) {
                *at = level;
            }
            body.get_mut(AT_BODY..).unwrap_or(&mut []).fill(0);
            return Ok(new);
        }
        self.bitmap_page(host, id, level)?;
        if host.owned(id)? {
            return Ok(id);
        }
        let new = self.start_own(host, kind_at(level))?;
        host.copy(id, new)?;
        self.release_own(host, id)?;
        Ok(new)
    }

    /// Up to `wanted.len()` free pages of the first leaf that has any; how many were found.
    pub(super) fn first_free(&self, host: &dyn SpaceHost, wanted: &mut [u32]) -> Result<usize> {
        let Some((leaf, id, body)) = self.find_leaf(host, |child| child.free > 0)? else {
            return Ok(0);
        };
        let first = leaf * Shape::new(host.page_size()).bits;
        let pages = bits::runs(leaf_bits(body)).flat_map(|run| run.0..run.0 + run.1);
        let mut found = 0;
        for (place, bit) in wanted.iter_mut().zip(pages) {
            *place = self.in_file(id, first, bit, 1)?;
            found += 1;
        }
        if found == 0 { Err(Error::corrupt(id, Damage::Count)) } else { Ok(found) }
    }

    /// The first page of a free run of `pages` within one leaf: one page read a level.
    pub(super) fn first_run(&self, host: &dyn SpaceHost, pages: u32) -> Result<Option<u32>> {
        let Some((leaf, id, body)) = self.find_leaf(host, |child| child.longest >= pages)? else {
            return Ok(None);
        };
        let Some(bit) = bits::first_run(leaf_bits(body), pages) else {
            // A root that is a leaf has no entry that says how long its runs are.
            return if self.height == 1 {
                Ok(None)
            } else {
                Err(Error::corrupt(id, Damage::Count))
            };
        };
        let first = leaf * Shape::new(host.page_size()).bits;
        Ok(Some(self.in_file(id, first, bit, pages)?))
    }

    /// The first leaf whose entries, from the root down, all satisfy `wanted`: its number, page, body.
    fn find_leaf<'h>(
        &self,
        host: &'h dyn SpaceHost,
        wanted: impl Fn(&Child) -> bool,
    ) -> Result<Option<(u32, PageId, &'h [u8])>> {
        let shape = Shape::new(host.page_size());
        let (mut id, mut leaf) = (self.bitmap, 0u64);
        if id.is_none() {
            return Ok(None);
        }
        for level in (2..=self.height).rev() {
            let body = self.bitmap_page(host, id, level)?;
            let mut children = (0..shape.fanout).map(|slot| (slot, Child::read(body, slot)));
            let Some((slot, child)) = children.find(|(_, child)| wanted(child)) else {
                // Above the root nothing was promised.
                return if level == self.height {
                    Ok(None)
                } else {
                    Err(Error::corrupt(id, Damage::Count))
                };
            };
            leaf += u64::from(slot) * shape.leaves_below(level);
            id = child.page;
        }
        let body = self.bitmap_page(host, id, 1)?;
        match u32::try_from(leaf) {
            Ok(leaf) if u64::from(leaf) * u64::from(shape.bits) < u64::from(self.page_count) => {
                Ok(Some((leaf, id, body)))
            }
            _ => Err(Error::corrupt(id, Damage::OutOfRange)),
        }
    }

    /// The bits of the leaf that holds `page`'s, if there is one.
    pub(super) fn leaf_around<'h>(
        &self,
        host: &'h dyn SpaceHost,
        page: u32,
    ) -> Result<Option<&'h [u8]>> {
        let shape = Shape::new(host.page_size());
        let mut id = self.bitmap;
        if shape.coverage(self.height) <= u64::from(page) {
            return Ok(None);
        }
        for level in (2..=self.height).rev() {
            let body = self.bitmap_page(host, id, level)?;
            id = Child::read(body, shape.slot(page / shape.bits, level)).page;
            if id.is_none() {
                return Ok(None);
            }
        }
        Ok(Some(leaf_bits(self.bitmap_page(host, id, 1)?)))
    }

    /// The number of the page whose bit is `bit` behind page `first`, if `pages` from there on exist.
    pub(super) fn in_file(&self, leaf: PageId, first: u32, bit: u32, pages: u32) -> Result<u32> {
        let page = first.checked_add(bit).filter(|page| *page >= 2);
        let end = page.and_then(|page| page.checked_add(pages));
        match (page, end) {
            (Some(page), Some(end)) if end <= self.page_count => Ok(page),
            _ => Err(Error::corrupt(leaf, Damage::OutOfRange)),
        }
    }
}
