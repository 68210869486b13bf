//! Freed pages that may still be seen: the inline list, and what it spills to.

use super::entry::{Bucket, Chain, Entry, Head};
use super::record::Limits;
use super::{Space, SpaceHost};
use crate::pins::Pins;
use crate::{Damage, Error, PageId, Result, TxnId};

/// Entries taken off a list page at a time.
pub(super) const BATCH: usize = if cfg!(feature = "large") { 32 } else { 4 };

/// Entries on their way from a list page to where they belong.
pub(super) type Batch = super::Inline<Entry, BATCH>;

impl Space {
    /// Whether the pages can be claimed now.
    pub(super) fn reusable(&self, pins: &Pins, entry: &Entry) -> bool {
        entry.birth < self.started && !pins.pinned(entry.birth, entry.freed_at)
    }

    /// The pin to wait for: the newest that sees the entry, the base state aside. `None` where there is
    /// no other than the base (or the entry only waits for the transaction's end).
    pub(super) fn tag(&self, pins: &Pins, entry: &Entry) -> Option<TxnId> {
        let below = entry.freed_at.min(self.base);
        pins.newest_below(below).filter(|_| pins.pinned(entry.birth, below))
    }

    /// Keeps freed pages until they are reusable.
    pub(super) fn pin(&mut self, host: &mut dyn SpaceHost, entry: Entry) -> Result<()> {
        let pinned_pages = self.stats.pinned_pages.checked_add(entry.pages);
        let damaged = Error::corrupt(PageId::NONE, Damage::Count);
        self.stats.pinned_pages = pinned_pages.ok_or(damaged)?;
        if self.pinned.as_mut_slice().last_mut().is_some_and(|last| last.join(&entry)) {
            return Ok(());
        }
        let limits = Limits::new(host.page_size());
        if self.pinned.len() >= limits.pinned {
            self.spill(host, &limits)?;
        }
        // There is room: the spill left some.
        let _ = self.pinned.push(entry);
        Ok(())
    }

    /// Moves inline entries to list pages: first those that wait for older pins than the base, and if
    /// these are few, all.
    fn spill(&mut self, host: &mut dyn SpaceHost, limits: &Limits) -> Result<()> {
        let before = self.pinned.len();
        for everything in [false, true] {
            let mut at = 0;
            while let Some(entry) = self.pinned.get(at) {
                let tag = self.tag(host.pins(), &entry);
                if tag.is_none() && !everything {
                    at += 1;
                    continue;
                }
                let _ = self.pinned.swap_remove(at);
                self.file(host, limits, tag, &entry)?;
            }
            if self.pinned.len() <= before / 2 {
                break;
            }
        }
        Ok(())
    }

    /// Puts an entry where it waits for `tag`.
    pub(super) fn file(
        &mut self,
        host: &mut dyn SpaceHost,
        limits: &Limits,
        tag: Option<TxnId>,
        entry: &Entry,
    ) -> Result<()> {
        let Some(tag) = tag else {
            self.fresh = self.push_entry(host, self.fresh, entry)?;
            return Ok(());
        };
        let at = self.bucket_for(limits, tag);
        let chain = self.buckets.get(at).map_or(Chain::EMPTY, |bucket| bucket.chain);
        let chain = self.push_entry(host, chain, entry)?;
        if let Some(bucket) = self.buckets.as_mut_slice().get_mut(at) {
            bucket.chain = chain;
        }
        Ok(())
    }

    /// The bucket of a pin: its own, a new one, else the nearest newer one, else the newest. A pin that
    /// is not the right one only lets the entry be looked at sooner or later.
    fn bucket_for(&mut self, limits: &Limits, tag: TxnId) -> usize {
        let buckets = self.buckets.as_slice();
        if let Some(at) = buckets.iter().position(|bucket| bucket.tag == tag) {
            return at;
        }
        let free = buckets.len();
        if free < limits.buckets && self.buckets.push(Bucket { tag, chain: Chain::EMPTY }) {
            return free;
        }
        let distance = |(_, bucket): &(usize, &Bucket)| {
            let newer = bucket.tag.0.checked_sub(tag.0);
            (newer.is_none(), newer.unwrap_or_else(|| tag.0 - bucket.tag.0))
        };
        self.buckets.as_slice().iter().enumerate().min_by_key(distance).map_or(0, |(at, _)| at)
    }

    /// Declares the buckets ended whose pins have ended.
    pub(super) fn end_buckets(&mut self, host: &mut dyn SpaceHost) -> Result<()> {
        let mut at = 0;
        while let Some(bucket) = self.buckets.get(at) {
            if host.pins().contains(bucket.tag) {
                at += 1;
                continue;
            }
            let _ = self.buckets.swap_remove(at);
            self.end_chain(host, bucket.chain)?;
        }
        Ok(())
    }

    /// Settles what only the previous transaction's base held, now that there is another base.
    pub(super) fn end_fresh(&mut self, host: &mut dyn SpaceHost, base: TxnId) -> Result<()> {
        let chain = core::mem::take(&mut self.fresh);
        let limits = Limits::new(host.page_size());
        let room = self.buckets.len() < limits.buckets;
        if host.pins().contains(base) && room && !chain.is_empty() {
            // Somebody else pins that state too: no use in walking the chain before that ends.
            let _ = self.buckets.push(Bucket { tag: base, chain });
            return Ok(());
        }
        self.end_chain(host, chain)
    }

    /// Makes a chain one to be walked. Where two are waiting already, it is linked to the second.
    pub(super) fn end_chain(&mut self, host: &mut dyn SpaceHost, chain: Chain) -> Result<()> {
        if chain.is_empty() {
            return Ok(());
        }
        if self.walking.is_empty() {
            self.walking = chain;
        } else if self.ended.is_empty() {
            self.ended = chain;
        } else {
            self.ended = self.push_entry(host, self.ended, &chain.as_link())?;
        }
        Ok(())
    }

    /// Takes up to `limit` entries off the ended chains, into `batch`, which is empty; none where these
    /// are used up.
    // Of its own: what it needs of the stack is free again before the entries are settled.
    #[inline(never)]
    pub(super) fn take_ended(
        &mut self,
        host: &mut dyn SpaceHost,
        limit: usize,
        batch: &mut Batch,
    ) -> Result<()> {
        if self.walking.is_empty() {
            self.follow_link(host)?;
        }
        let from_ended = self.walking.is_empty();
        let chain = if from_ended { self.ended } else { self.walking };
        if chain.is_empty() {
            return Ok(());
        }
        let head = Head::read(host, chain, self.page_count)?;
        let (rest, mut used) = (head.rest, head.len());
        while let Some(at) = used.checked_sub(1)
            && batch.len() < limit.min(BATCH)
        {
            let entry = head.entry(at);
            if entry.as_link().is_some() && from_ended && !batch.is_empty() {
                break;
            }
            self.check_entry(host, chain.head, &entry)?;
            let _ = batch.push(entry);
            used = at;
        }
        let rest = shortened(chain, rest, used);
        *(if from_ended { &mut self.ended } else { &mut self.walking }) = rest;
        if used == 0 {
            self.release_own(host, chain.head)?;
        }
        Ok(())
    }

    /// Where the top of `ended` is a link, its chain is the next to be walked.
    fn follow_link(&mut self, host: &mut dyn SpaceHost) -> Result<()> {
        let chain = self.ended;
        if chain.is_empty() {
            return Ok(());
        }
        let head = Head::read(host, chain, self.page_count)?;
        let (rest, top) = (head.rest, head.len() - 1);
        if let Some(linked) = head.entry(top).as_link() {
            self.walking = linked;
            self.ended = shortened(chain, rest, top);
            if top == 0 {
                self.release_own(host, chain.head)?;
            }
        }
        Ok(())
    }

    /// Refuses an entry that cannot be true.
    fn check_entry(&self, host: &dyn SpaceHost, list: PageId, entry: &Entry) -> Result<()> {
        let ordered = entry.birth <= entry.freed_at && entry.freed_at <= host.birth();
        if ordered && self.check_range(entry.page, entry.pages).is_ok() {
            Ok(())
        } else {
            Err(Error::corrupt(list, Damage::Layout))
        }
    }
}

/// A chain of whose head page only the first `used` entries are left; `rest` is the chain behind it.
fn shortened(chain: Chain, rest: Chain, used: usize) -> Chain {
    if used == 0 {
        return rest;
    }
    let taken = usize::from(chain.head_len).saturating_sub(used) as u32;
    Chain { head_len: used as u16, entries: chain.entries.saturating_sub(taken), ..chain }
}
