//! What a state says of the pages that no tree reaches, as far as its space can be read: for salvage and
//! for pictures of a file.

use super::bitmap::{Child, Shape, leaf_bits};
use super::bits;
use super::entry::{Chain, Head};
use super::{Space, SpaceHost, SpaceUse};
use crate::pins::Pins;
use crate::{Error, PageId, Result, TxnId};

/// Reads a page into the buffer, and its checksum; false where it is damaged.
pub(crate) type ReadPage<'r> = dyn FnMut(PageId, &mut [u8]) -> bool + 'r;

/// A survey in progress: one page in memory at a time.
struct Survey<'v> {
    space: &'v Space,
    read: &'v mut ReadPage<'v>,
    page: &'v mut [u8],
    with: &'v mut dyn FnMut(PageId, u32, SpaceUse),
    /// Pages that may still be read: as many as the record counts, whatever they say.
    budget: u32,
}

impl Space {
    /// Calls `with` for pages that are free, freed or the space's own; whether these are all. `page` is
    /// a page long.
    pub(crate) fn survey(
        &self,
        page: &mut [u8],
        read: &mut ReadPage<'_>,
        with: &mut dyn FnMut(PageId, u32, SpaceUse),
    ) -> bool {
        for page in self.reserve.as_slice().iter().chain(self.ready.as_slice()) {
            with(PageId(*page), 1, SpaceUse::Free);
        }
        for entry in self.pinned.as_slice() {
            with(entry.page, entry.pages, SpaceUse::Pinned);
        }
        let budget = self.stats.space_pages;
        let mut read = |id: PageId, page: &mut [u8]| read(id, page);
        let mut with = |first: PageId, pages: u32, used| with(first, pages, used);
        let mut survey = Survey { space: self, read: &mut read, page, with: &mut with, budget };
        let mut whole = true;
        for chain in [self.fresh, self.walking] {
            whole &= survey.chain(chain, false);
        }
        whole &= survey.chain(self.ended, true);
        for bucket in self.buckets.as_slice() {
            whole &= survey.chain(bucket.chain, false);
        }
        if self.bitmap.is_some() {
            whole &= survey.bitmap(self.bitmap, self.height, 0);
        }
        whole
    }
}

impl Survey<'_> {
    /// Reads a page, if it is whole.
    fn load(&mut self, id: PageId) -> bool {
        let there = self.space.check_range(id, 1).is_ok() && self.budget > 0;
        self.budget = self.budget.saturating_sub(1);
        if there {
            (self.with)(id, 1, SpaceUse::Space);
        }
        there && (self.read)(id, self.page)
    }

    fn tell(&mut self, first: PageId, pages: u32) -> bool {
        let inside = self.space.check_range(first, pages).is_ok();
        if inside {
            (self.with)(first, pages, SpaceUse::Pinned);
        }
        inside
    }

    fn chain(&mut self, mut chain: Chain, links: bool) -> bool {
        while !chain.is_empty() {
            if !self.load(chain.head) {
                return false;
            }
            let mut at = 0;
            loop {
                let one = OnePage::new(self.page, chain.head);
                let Ok(head) = Head::read(&one, chain, self.space.page_count) else { return false };
                if at >= head.len() {
                    chain = head.rest;
                    break;
                }
                let entry = head.entry(at);
                at += 1;
                let told = match entry.as_link() {
                    // The page is read again after it: it was whole a moment ago.
                    Some(linked) if links => {
                        self.chain(linked, false) && (self.read)(chain.head, self.page)
                    }
                    Some(_) => false,
                    None => self.tell(entry.page, entry.pages),
                };
                if !told {
                    return false;
                }
            }
        }
        true
    }

    /// At most as deep as bitmaps are high: each level names its own.
    fn bitmap(&mut self, id: PageId, level: u8, leaf: u64) -> bool {
        if !self.load(id) {
            return false;
        }
        let shape = Shape::new(self.page.len());
        let checked = self.space.bitmap_page(&OnePage::new(self.page, id), id, level).is_ok();
        if !checked || level == 0 {
            return false;
        }
        let Ok(first) = u32::try_from(leaf.saturating_mul(u64::from(shape.bits))) else {
            return false;
        };
        if level == 1 {
            let body = self.page.get(crate::page::OWNED_BYTES..).unwrap_or(&[]);
            let (space, with) = (self.space, &mut self.with);
            return bits::runs(leaf_bits(body)).all(|(bit, pages)| {
                let first = PageId(first.saturating_add(bit));
                let inside = space.check_range(first, pages).is_ok();
                if inside {
                    with(first, pages, SpaceUse::Free);
                }
                inside
            });
        }
        let mut whole = true;
        for slot in 0..shape.fanout {
            // A child was read over it; it was whole a moment ago.
            if slot > 0 && !(self.read)(id, self.page) {
                return false;
            }
            let child = Child::read(self.page.get(crate::page::OWNED_BYTES..).unwrap_or(&[]), slot);
            if child.page.is_some() {
                let leaf = leaf + u64::from(slot) * shape.leaves_below(level);
                whole &= self.bitmap(child.page, level - 1, leaf);
            }
        }
        whole
    }
}

/// One page, as a host that has no other.
struct OnePage<'b> {
    bytes: &'b [u8],
    id: PageId,
    pins: Pins,
}

impl<'b> OnePage<'b> {
    fn new(bytes: &'b [u8], id: PageId) -> OnePage<'b> {
        OnePage { bytes, id, pins: Pins::new() }
    }
}

impl SpaceHost for OnePage<'_> {
    fn page_size(&self) -> usize {
        self.bytes.len()
    }

    fn birth(&self) -> TxnId {
        TxnId(0)
    }

    fn read(&self, id: PageId) -> Result<&[u8]> {
        let body = self.bytes.get(crate::page::OWNED_BYTES..).filter(|_| id == self.id);
        body.ok_or(Error::InvalidArgument)
    }

    fn birth_of(&self, _id: PageId) -> Result<TxnId> {
        Err(Error::ReadOnly)
    }

    fn owned(&self, _id: PageId) -> Result<bool> {
        Ok(false)
    }

    fn start(&mut self, _id: PageId) -> Result<()> {
        Err(Error::ReadOnly)
    }

    fn edit(&mut self, _id: PageId) -> Result<&mut [u8]> {
        Err(Error::ReadOnly)
    }

    fn grow(&mut self, _page_count: u32) -> Result<()> {
        Err(Error::ReadOnly)
    }

    fn pins(&self) -> &Pins {
        &self.pins
    }

    fn refresh_pins(&mut self) {}
}
