//! The running transaction's own pages: claims, the seal chain, and what it frees of its own.
//!
//! Until a page is sealed its checksum field holds the number of the page claimed before it. This
//! chain is what a commit walks to seal its pages; no list of dirty pages is kept anywhere else.

#![allow(unsafe_code)] // Stores into claimed pages; the turn is what makes that exclusive.

use crate::page::{self, HEADER_BYTES, OWNED_BYTES, kind, put_u32, put_u64, u32_at, u64_at};
use crate::pins::Pins;
use crate::planted::{self, Bug};
use crate::reading::{unsealed, whole};
use crate::shared::Shared;
use crate::space::SpaceHost;
use crate::store::Core;
use crate::tail::Tail;
use crate::verify::verify_bytes;
use crate::view::{View, birth_of, kind_of, run_bytes, run_pages_of};
use crate::{Damage, Error, PageId, Result, TxnId};
use core::ops::Range;
use core::sync::atomic::Ordering;

/// Where a freed single page of this transaction holds the number of the next one.
const NEXT_FREED: usize = 28;
/// Where the first page of a freed run of this transaction holds the first page of the next one.
const NEXT_FREED_RUN: usize = 32;

/// Cache lines of a page that are asked for while the one before it is sealed: 4 KiB. Behind them the
/// processor has seen where this goes.
const SEAL_LINES: usize = 64;

/// A list of freed pages that runs through the pages themselves.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct OwnList {
    pub(crate) head: PageId,
    pub(crate) tail: PageId,
}

/// What the running transaction has done so far. Plain data: it lives in the store.
pub(crate) struct Running {
    /// Pages are born with this number now.
    pub(crate) birth: TxnId,
    /// The state the transaction builds on.
    pub(crate) base: TxnId,
    /// Newest of the pages that are claimed but not sealed.
    pub(crate) chain: PageId,
    /// Length of the chain in pages and runs.
    pub(crate) chained: u32,
    /// Pages claimed, runs counted whole: what a checkpoint would have to write at least.
    pub(crate) dirty_pages: u64,
    /// How often the chain was sealed and published before the commit.
    pub(crate) spills: u32,
    /// Bytes of runs that were written without a claim.
    #[cfg(feature = "locality")]
    pub(crate) written_bytes: u64,
    /// Single pages born and freed since the last savepoint.
    pub(crate) freed: OwnList,
    /// Runs born and freed since the last savepoint.
    pub(crate) freed_runs: OwnList,
    /// Newest savepoint's page.
    pub(crate) savepoint: PageId,
    /// Births from here on count as pinned: those of savepoints of this transaction.
    pub(crate) pinned_from: Option<TxnId>,
    pub(crate) pins: Pins,
    pub(crate) tail: Tail,
    pub(crate) failed: bool,
    pub(crate) changed: bool,
    /// The commit lowers the page count.
    pub(crate) lowered: bool,
    /// The durable checkpoint when the transaction began.
    pub(crate) durable: TxnId,
    /// The checkpoint in progress then, or the durable one.
    pub(crate) in_progress: TxnId,
    /// Pages of the durable checkpoint freed: they wait for the next.
    pub(crate) freed_durable: u32,
    /// Pages of the one in progress freed that are younger than the durable one.
    pub(crate) freed_between: u32,
}

impl Running {
    pub(crate) fn new() -> Running {
        Running {
            birth: TxnId(0),
            base: TxnId(0),
            chain: PageId::NONE,
            chained: 0,
            dirty_pages: 0,
            spills: 0,
            #[cfg(feature = "locality")]
            written_bytes: 0,
            freed: OwnList::default(),
            freed_runs: OwnList::default(),
            savepoint: PageId::NONE,
            pinned_from: None,
            pins: Pins::new(),
            tail: Tail::default(),
            failed: false,
            changed: false,
            lowered: false,
            durable: TxnId(0),
            in_progress: TxnId(0),
            freed_durable: 0,
            freed_between: 0,
        }
    }

    /// Whether somebody reads a state older than the durable checkpoint.
    pub(crate) fn old_readers(&self) -> bool {
        self.pins.iter().next().is_some_and(|(oldest, _)| oldest < self.durable)
    }

    /// Starts over for a transaction that builds on `base`.
    pub(crate) fn begin(&mut self, birth: TxnId, base: TxnId, tail: Tail) {
        let pins = core::mem::replace(&mut self.pins, Pins::new());
        *self = Running { birth, base, tail, pins, ..Running::new() };
    }
}

/// The running transaction as the space structures see it, with raw access to its pages.
pub(crate) struct Host<'a, 's> {
    pub(crate) view: View<'s>,
    pub(crate) shared: Shared<'s>,
    pub(crate) core: &'s Core,
    /// Pages of the log ring: no page of a tree or of the space lies there.
    pub(crate) ring: Range<PageId>,
    pub(crate) run: &'a mut Running,
}

impl<'s> Host<'_, 's> {
    /// Collects the pins anew: readers, checkpoints, the base, savepoints.
    pub(crate) fn collect_pins(&mut self) {
        self.run.pins.clear();
        self.run.pins.add(self.run.base);
        self.core.add_checkpoint_pins(&mut self.run.pins);
        self.shared.collect(&mut self.run.pins);
        if let Some(from) = self.run.pinned_from {
            self.run.pins.blanket(from);
        }
    }

    /// Bytes of a page of this state, from whichever view holds it, for the pager's own use: not compared
    /// with their checksum.
    ///
    /// The result must not outlive the borrow of the transaction that the caller hands out.
    pub(crate) fn whole(&self, id: PageId) -> Result<&'s [u8]> {
        whole::<false>(self.view, self.run, id, self.view.mapped_pages())
    }

    /// As [`whole`](Host::whole), of a page of a tree: to be lent.
    pub(crate) fn lent(&self, id: PageId) -> Result<&'s [u8]> {
        whole::<true>(self.view, self.run, id, self.view.mapped_pages())
    }

    /// Why pages that the space gave cannot be written to, if they cannot.
    pub(crate) fn refused(&self, id: PageId, pages: u32) -> Result<()> {
        let end = PageId(id.0.saturating_add(pages));
        if id.0 < 2 || end.0 > self.view.mapped_pages() {
            return Err(Error::corrupt(id, Damage::OutOfRange));
        }
        // Given twice, where that can be seen: it must not enter the chain again. (A birth would not
        // tell: a page that was freed may hold any bytes there.)
        if (id < self.ring.end && self.ring.start < end) || self.view.claimed(id) {
            return Err(Error::corrupt(id, Damage::Shared));
        }
        Ok(())
    }

    fn claim_bytes(&mut self, id: PageId, pages: u32, keep: bool) -> Result<&'s mut [u8]> {
        self.refused(id, pages)?;
        // What was compared was what these pages held before.
        self.view.touched().remove(id, pages);
        let range = self.view.range(id, pages);
        let len = (range.end - range.start) as usize;
        let offset = range.start;
        // SAFETY: the space gave these pages to this transaction alone; no state that anybody may
        // read reaches them.
        unsafe { self.view.mapping().claim(range, keep)? };
        // SAFETY: just claimed, and no other reference into these pages exists.
        unsafe { self.view.build(offset, len) }
    }

    /// Mutable bytes of one claimed page.
    pub(crate) fn build(&mut self, id: PageId) -> Result<&'s mut [u8]> {
        // SAFETY: callers name pages that this transaction has claimed, one at a time, or distinct.
        unsafe { self.view.build(self.view.offset(id), self.view.page_size()) }
    }

    /// Copies a page behind its header into one that was just claimed. One that the medium can have changed is
    /// compared with its checksum: else the copy's own would vouch for what that has made of the page. That is done
    /// in the copy, which is in the processor's caches: the page itself often is not, and a copy waits less for it
    /// than a hash does.
    ///
    /// # Errors
    /// [`Checksum`](Damage::Checksum): the copy is free again.
    #[inline(never)]
    pub(crate) fn copy_page(&mut self, id: PageId, copy: PageId, compare: bool) -> Result<()> {
        let old = self.whole(id)?;
        let new = self.build(copy)?;
        let Some(header) = new.first_chunk::<OWNED_BYTES>().copied() else {
            return Err(Error::corrupt(copy, Damage::Layout));
        };
        if new.len() != old.len() {
            return Err(Error::corrupt(id, Damage::Layout));
        }
        new.copy_from_slice(old);
        let compared = if compare { verify_bytes(id, new) } else { Ok(()) };
        if let Some(place) = new.first_chunk_mut() {
            *place = header;
        }
        if compared.is_err() {
            self.view.touched().remove(id, 1);
            self.push_freed(copy)?;
        }
        compared
    }

    fn link(&mut self, page: &mut [u8], id: PageId) {
        put_u64(page, 0, u64::from(self.run.chain.0));
        self.run.chain = id;
        self.run.chained += 1;
        self.run.changed = true;
    }

    fn stamp(&self, page: &mut [u8]) {
        put_u64(page, 8, self.run.birth.0);
        if let Some(header) = page.get_mut(OWNED_BYTES..HEADER_BYTES) {
            header.fill(0);
        }
    }

    /// Takes possession of a run of pages that the space just gave.
    pub(crate) fn start_run(&mut self, id: PageId, pages: u32, len_bytes: u64) -> Result<()> {
        let bytes = self.claim_bytes(id, pages, false)?;
        self.link(bytes, id);
        self.stamp(bytes);
        if let Some(at) = bytes.get_mut(OWNED_BYTES) {
            *at = kind::RUN;
        }
        put_u32(bytes, 20, pages);
        put_u64(bytes, 24, len_bytes);
        self.run.dirty_pages += u64::from(pages);
        Ok(())
    }

    /// Takes a page that this transaction freed before: it is in the chain, unless it was spilled.
    fn start_again(&mut self, id: PageId) -> Result<()> {
        if self.view.two_views() && !self.view.claimed(id) {
            return self.start(id);
        }
        let page = self.build(id)?;
        self.stamp(page);
        Ok(())
    }

    /// A page that was born since the last savepoint, but spilled, is claimed and linked anew.
    pub(crate) fn ensure_linked(&mut self, id: PageId) -> Result<()> {
        if !self.view.two_views() || self.view.claimed(id) {
            return Ok(());
        }
        let whole = self.whole(id)?;
        let pages = if kind_of(whole) == kind::RUN { run_pages_of(whole) } else { 1 };
        let bytes = self.claim_bytes(id, pages, true)?;
        self.link(bytes, id);
        Ok(())
    }

    /// A run that was born since the last savepoint, but published: its first page is claimed and linked anew.
    pub(crate) fn link_first(&mut self, id: PageId) -> Result<()> {
        if cfg!(feature = "locality") && self.view.two_views() && !self.view.claimed(id) {
            let page = self.claim_bytes(id, 1, true)?;
            self.link(page, id);
        }
        Ok(())
    }

    /// Whether a page that was born in this transaction waits in the chain to be sealed.
    pub(crate) fn unsealed(&self, id: PageId) -> Result<bool> {
        Ok(unsealed(self.view, self.run, id, self.whole(id)?))
    }

    /// Keeps a freed page of this transaction's own, which is in the chain, for reuse.
    pub(crate) fn push_freed(&mut self, id: PageId) -> Result<()> {
        let next = self.run.freed.head;
        let page = self.build(id)?;
        if let Some(header) = page.get_mut(OWNED_BYTES..HEADER_BYTES) {
            header.fill(0);
        }
        put_u32(page, NEXT_FREED, next.0);
        self.run.freed.head = id;
        if next.is_none() {
            self.run.freed.tail = id;
        }
        Ok(())
    }

    /// A page that this transaction freed before, ready for use; `None` when there is none.
    pub(crate) fn reuse_freed(&mut self) -> Result<Option<PageId>> {
        let id = self.run.freed.head;
        if id.is_none() {
            return Ok(None);
        }
        let next = PageId(u32_at(self.whole(id)?, NEXT_FREED));
        self.start_again(id)?;
        self.run.freed.head = next;
        if next.is_none() {
            self.run.freed.tail = PageId::NONE;
        }
        Ok(Some(id))
    }

    /// The next freed page, taken off the list but not started: for the space, at the commit.
    pub(crate) fn pop_freed(&mut self) -> Result<Option<PageId>> {
        let id = self.run.freed.head;
        if id.is_some() {
            self.run.freed.head = PageId(u32_at(self.whole(id)?, NEXT_FREED));
        }
        Ok(id.is_some().then_some(id))
    }

    /// Keeps a freed run of this transaction's own until the commit: only its first page is kept
    /// claimed, and sealed as an empty run.
    pub(crate) fn push_freed_run(&mut self, id: PageId) -> Result<()> {
        let next = self.run.freed_runs.head;
        let page = self.build(id)?;
        let pages = run_pages_of(page);
        put_u64(page, 24, 0);
        put_u32(page, NEXT_FREED_RUN, next.0);
        if pages > 1 {
            let rest = self.view.range(PageId(id.0 + 1), pages - 1);
            // SAFETY: nobody reads the freed run's bytes any more.
            unsafe { self.view.mapping().discard(rest) };
        }
        self.run.freed_runs.head = id;
        if next.is_none() {
            self.run.freed_runs.tail = id;
        }
        Ok(())
    }

    /// The next freed run and its pages, taken off the list.
    pub(crate) fn pop_freed_run(&mut self) -> Result<Option<(PageId, u32)>> {
        let id = self.run.freed_runs.head;
        if id.is_none() {
            return Ok(None);
        }
        let page = self.whole(id)?;
        self.run.freed_runs.head = PageId(u32_at(page, NEXT_FREED_RUN));
        Ok(Some((id, run_pages_of(page))))
    }

    /// Appends the lists of an ended savepoint to the running ones.
    pub(crate) fn join(&mut self, freed: OwnList, freed_runs: OwnList) -> Result<()> {
        self.run.freed = self.concat(self.run.freed, freed, NEXT_FREED)?;
        self.run.freed_runs = self.concat(self.run.freed_runs, freed_runs, NEXT_FREED_RUN)?;
        Ok(())
    }

    fn concat(&mut self, front: OwnList, back: OwnList, at: usize) -> Result<OwnList> {
        if front.head.is_none() {
            return Ok(back);
        }
        if back.head.is_none() {
            return Ok(front);
        }
        self.ensure_linked(front.tail)?;
        let page = self.build(front.tail)?;
        put_u32(page, at, back.head.0);
        Ok(OwnList { head: front.head, tail: back.tail })
    }

    /// Seals every page of the chain: from here on its checksum field is its checksum. Runs, which must
    /// lie in one view as a whole, are published at once.
    pub(crate) fn seal(&mut self) -> Result<()> {
        let page_size = self.view.page_size();
        let mut runs = Run::default();
        let mut id = self.run.chain;
        for _ in 0..self.run.chained {
            let first = self.build(id)?;
            let before = PageId(u64_at(first, 0) as u32);
            // A large transaction's pages have left the caches: the next one comes while this one is hashed.
            self.view.prefetch_built(before, SEAL_LINES);
            let (is_run, pages) = (kind_of(first) == kind::RUN, run_pages_of(first));
            let len = if is_run {
                run_bytes(id, first, page_size, self.view.mapped_pages())?
            } else {
                page_size
            };
            // SAFETY: the page or run is in the chain, so this transaction has claimed it; `first` is
            // no longer used.
            let bytes = unsafe { self.view.build(self.view.offset(id), len)? };
            let checksum = page::checksum(id, bytes.get(8..).unwrap_or(&[]));
            if !planted::is(Bug::NoPageChecksum) {
                put_u64(bytes, 0, checksum);
            }
            if is_run && !runs.extend_down(id, pages) {
                self.publish_run(runs)?;
                runs = Run { first: id, pages };
            }
            id = before;
        }
        if !planted::is(Bug::RunHeld) {
            self.publish_run(runs)?;
        }
        self.run.chain = PageId::NONE;
        self.run.chained = 0;
        Ok(())
    }

    /// Publishes consecutive pages of sealed runs.
    fn publish_run(&self, run: Run) -> Result<()> {
        if run.pages == 0 || !self.view.two_views() {
            return Ok(());
        }
        // SAFETY: under the exclusive borrow of the transaction, which has claimed these pages and lends
        // none of them now.
        unsafe { self.view.mapping().publish(&[self.view.range(run.first, run.pages)]) }
    }

    /// Takes back the claims of the chain down to `end` (not included).
    pub(crate) fn discard_chain(&mut self, end: PageId) -> Result<()> {
        if !self.view.two_views() {
            return Ok(());
        }
        let mut id = self.run.chain;
        for _ in 0..self.run.chained {
            if id == end || id.is_none() {
                break;
            }
            let first = self.build(id)?;
            let before = PageId(u64_at(first, 0) as u32);
            let pages = if kind_of(first) == kind::RUN { run_pages_of(first) } else { 1 };
            // SAFETY: what is rolled back is read by nobody.
            unsafe { self.view.mapping().discard(self.view.range(id, pages)) };
            id = before;
        }
        Ok(())
    }
}

/// Consecutive pages.
#[derive(Clone, Copy, Default)]
struct Run {
    first: PageId,
    pages: u32,
}

impl Run {
    /// Adds `pages` from `first` on where they end at this run's start.
    fn extend_down(&mut self, first: PageId, pages: u32) -> bool {
        let adjoins = self.pages > 0 && first.0.checked_add(pages) == Some(self.first.0);
        if adjoins {
            *self = Run { first, pages: self.pages.saturating_add(pages) };
        }
        adjoins
    }
}

impl SpaceHost for Host<'_, '_> {
    fn page_size(&self) -> usize {
        self.view.page_size()
    }

    fn birth(&self) -> TxnId {
        self.run.birth
    }

    fn read(&self, id: PageId) -> Result<&[u8]> {
        let whole = self.whole(id)?;
        if !self.unsealed(id)? {
            verify_bytes(id, whole)?;
        }
        Ok(whole.get(OWNED_BYTES..).unwrap_or(&[]))
    }

    fn birth_of(&self, id: PageId) -> Result<TxnId> {
        Ok(birth_of(self.whole(id)?))
    }

    fn owned(&self, id: PageId) -> Result<bool> {
        Ok(birth_of(self.whole(id)?) == self.run.birth)
    }

    fn start(&mut self, id: PageId) -> Result<()> {
        let page = self.claim_bytes(id, 1, false)?;
        self.link(page, id);
        self.stamp(page);
        self.run.dirty_pages += 1;
        Ok(())
    }

    fn edit(&mut self, id: PageId) -> Result<&mut [u8]> {
        if !self.owned(id)? {
            return Err(Error::InvalidArgument);
        }
        self.ensure_linked(id)?;
        let page = self.build(id)?;
        Ok(page.get_mut(OWNED_BYTES..).unwrap_or(&mut []))
    }

    fn copy(&mut self, from: PageId, to: PageId) -> Result<()> {
        if from == to {
            return Err(Error::corrupt(from, Damage::Shared));
        }
        self.read(from)?;
        let old = self.whole(from)?.get(OWNED_BYTES..).unwrap_or(&[]);
        let new = self.edit(to)?;
        if new.len() == old.len() {
            new.copy_from_slice(old);
        }
        Ok(())
    }

    fn grow(&mut self, page_count: u32) -> Result<()> {
        if page_count <= self.view.mapped_pages() {
            return Ok(());
        }
        let range = self.view.range(PageId(0), page_count);
        let grown = self.view.mapping().grow(range.end);
        if grown == Err(Error::Full) {
            self.core.starved.store(true, Ordering::Relaxed);
        }
        grown
    }

    fn pins(&self) -> &Pins {
        &self.run.pins
    }

    fn refresh_pins(&mut self) {
        self.collect_pins();
    }
}
