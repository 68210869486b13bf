//! Every page that the space accounts for: for `check`.

use super::bitmap::{Child, Shape, inner_sum, leaf_bits, leaf_sum};
use super::bits;
use super::entry::{Chain, Entry, Head};
use super::{Space, SpaceHost, SpaceStats};
use crate::{Damage, Error, PageId, Result};

/// What a page is to the space structures.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SpaceUse {
    /// A page of the space structures themselves.
    Space,
    /// Reusable.
    Free,
    /// Freed, but a pinned state may see it.
    Pinned,
}

/// A visit in progress.
struct Visit<'v> {
    space: &'v Space,
    host: &'v dyn SpaceHost,
    with: &'v mut dyn FnMut(PageId, u32, SpaceUse),
    seen: SpaceStats,
}

impl Space {
    /// Calls `with` for every run of pages that is free, pinned or the space's own, and compares the
    /// counts. It does not see whether a page is named twice: the caller, who knows the tree's pages
    /// too, does.
    ///
    /// # Errors
    /// `Corrupt`: a damaged page, or a count that differs. It ends whatever the pages hold, since no
    /// more pages are visited than the record counts.
    pub(crate) fn visit(
        &self,
        host: &dyn SpaceHost,
        with: &mut dyn FnMut(PageId, u32, SpaceUse),
    ) -> Result<()> {
        let mut visit = Visit { space: self, host, with, seen: SpaceStats::default() };
        for page in self.reserve.as_slice().iter().chain(self.ready.as_slice()) {
            visit.count(PageId(*page), 1, SpaceUse::Free)?;
        }
        for entry in self.pinned.as_slice() {
            visit.count(entry.page, entry.pages, SpaceUse::Pinned)?;
        }
        visit.chain(self.fresh, false)?;
        visit.chain(self.walking, false)?;
        visit.chain(self.ended, true)?;
        for bucket in self.buckets.as_slice() {
            visit.chain(bucket.chain, false)?;
        }
        if self.bitmap.is_some() {
            visit.bitmap(self.bitmap, self.height, 0)?;
        }
        let seen = visit.seen;
        if seen == self.stats { Ok(()) } else { Err(damaged(PageId::NONE)) }
    }
}

impl Visit<'_> {
    fn count(&mut self, first: PageId, pages: u32, what: SpaceUse) -> Result<()> {
        self.space.check_range(first, pages)?;
        let (seen, recorded) = match what {
            SpaceUse::Space => (&mut self.seen.space_pages, self.space.stats.space_pages),
            SpaceUse::Free => (&mut self.seen.free_pages, self.space.stats.free_pages),
            SpaceUse::Pinned => (&mut self.seen.pinned_pages, self.space.stats.pinned_pages),
        };
        *seen = seen.saturating_add(pages);
        if *seen > recorded {
            return Err(damaged(first));
        }
        (self.with)(first, pages, what);
        Ok(())
    }

    /// The pages and entries of a chain. With `links`, and of the chains that it links to.
    fn chain(&mut self, mut chain: Chain, links: bool) -> Result<()> {
        let host = self.host;
        while !chain.is_empty() {
            self.count(chain.head, 1, SpaceUse::Space)?;
            let head = Head::read(host, chain, self.space.page_count)?;
            for at in 0..head.len() {
                self.entry(chain.head, &head.entry(at), links)?;
            }
            chain = head.rest;
        }
        Ok(())
    }

    fn entry(&mut self, list: PageId, entry: &Entry, links: bool) -> Result<()> {
        match entry.as_link() {
            Some(linked) if links => self.chain(linked, false),
            None if entry.birth <= entry.freed_at => {
                self.count(entry.page, entry.pages, SpaceUse::Pinned)
            }
            _ => Err(Error::corrupt(list, Damage::Layout)),
        }
    }

    /// The pages below the bitmap page `id`, whose first leaf is `leaf`; what its entry must say.
    fn bitmap(&mut self, id: PageId, level: u8, leaf: u64) -> Result<Child> {
        self.count(id, 1, SpaceUse::Space)?;
        let host = self.host;
        let shape = Shape::new(host.page_size());
        let body = self.space.bitmap_page(host, id, level)?;
        if level == 1 {
            let pages = leaf.saturating_mul(u64::from(shape.bits));
            let first = u32::try_from(pages).map_err(|_| Error::corrupt(id, Damage::OutOfRange))?;
            for (bit, pages) in bits::runs(leaf_bits(body)) {
                let page = self.space.in_file(id, first, bit, pages)?;
                self.count(PageId(page), pages, SpaceUse::Free)?;
            }
            return Ok(leaf_sum(id, body));
        }
        for slot in 0..shape.fanout {
            let child = Child::read(body, slot);
            if child == Child::default() {
                continue;
            }
            let leaf = leaf + u64::from(slot) * shape.leaves_below(level);
            if self.bitmap(child.page, level - 1, leaf)? != child {
                return Err(damaged(child.page));
            }
        }
        inner_sum(id, body, shape)
    }
}

fn damaged(page: PageId) -> Error {
    Error::corrupt(page, Damage::Count)
}
