//! Savepoints: the working state of a transaction, kept in a page of its own.
//!
//! A savepoint starts a new birth number, so that pages from before are copied before they change,
//! and nothing else need be remembered: going back restores the root, the space, the seal chain, the
//! lists of freed pages and the log's tail from the page. The page never belongs to a committed state.

use crate::page::{kind, put_u32, put_u64, u32_at, u64_at};
use crate::pages::ROOT_BYTES;
use crate::running::{OwnList, Running};
use crate::space::Space;
use crate::tail::Tail;
use crate::txn::{Savepoint, WriteTxn};
use crate::view::{birth_of, kind_of};
use crate::{Error, PageId, Result, TxnId};

/// Where the space record lies; as in a meta.
const AT_SPACE: usize = 256;
const AT_ROOT: usize = 32;
const AT_STATE: usize = AT_ROOT + ROOT_BYTES;

/// What of [`Running`] a savepoint restores.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Saved {
    birth: TxnId,
    /// The birth that the savepoint started: of no other one of the store, whose pages and earlier births may be
    /// the same.
    started: TxnId,
    previous: PageId,
    chain: PageId,
    chained: u32,
    spills: u32,
    dirty_pages: u64,
    freed: OwnList,
    freed_runs: OwnList,
    pinned_from: Option<TxnId>,
    freed_durable: u32,
    freed_between: u32,
    changed: bool,
    tail: Tail,
}

impl Saved {
    fn of(run: &Running, started: TxnId) -> Saved {
        Saved {
            birth: run.birth,
            started,
            previous: run.savepoint,
            chain: run.chain,
            chained: run.chained,
            spills: run.spills,
            dirty_pages: run.dirty_pages,
            freed: run.freed,
            freed_runs: run.freed_runs,
            pinned_from: run.pinned_from,
            freed_durable: run.freed_durable,
            freed_between: run.freed_between,
            changed: run.changed,
            tail: run.tail,
        }
    }

    /// Writes the fields behind the root data.
    fn encode(&self, page: &mut [u8]) {
        let small = [
            self.previous.0,
            self.chain.0,
            self.chained,
            self.spills,
            self.freed.head.0,
            self.freed.tail.0,
            self.freed_runs.head.0,
            self.freed_runs.tail.0,
            self.freed_durable,
            u32::from(self.changed) | u32::from(self.tail.overflow) << 1,
            self.freed_between,
        ];
        for (i, value) in small.into_iter().enumerate() {
            put_u32(page, AT_STATE + 4 * i, value);
        }
        let at = AT_STATE + 4 * small.len();
        let [start, len, claimed_to, head] = self.tail.words();
        let pinned_from = self.pinned_from.map_or(0, |from| from.0);
        let (birth, started) = (self.birth.0, self.started.0);
        let large = [birth, self.dirty_pages, pinned_from, start, len, claimed_to, head, started];
        for (i, value) in large.into_iter().enumerate() {
            put_u64(page, at + 8 * i, value);
        }
    }

    fn decode(page: &[u8]) -> Saved {
        let small = |i: usize| u32_at(page, AT_STATE + 4 * i);
        let large = |i: usize| u64_at(page, AT_STATE + 44 + 8 * i);
        let pinned_from = large(2);
        Saved {
            previous: PageId(small(0)),
            chain: PageId(small(1)),
            chained: small(2),
            spills: small(3),
            freed: OwnList { head: PageId(small(4)), tail: PageId(small(5)) },
            freed_runs: OwnList { head: PageId(small(6)), tail: PageId(small(7)) },
            freed_durable: small(8),
            freed_between: small(10),
            changed: small(9) & 1 != 0,
            birth: TxnId(large(0)),
            started: TxnId(large(7)),
            dirty_pages: large(1),
            pinned_from: (pinned_from != 0).then_some(TxnId(pinned_from)),
            tail: Tail::from_words([large(3), large(4), large(5), large(6)], small(9) & 2 != 0),
        }
    }
}

impl WriteTxn<'_> {
    /// Starts a savepoint; they nest. Pages born before it are copied before they change. Costs one
    /// page.
    ///
    /// # Errors
    /// As [`claim`](WriteTxn::claim); [`TxnFailed`](Error::TxnFailed).
    // A call, as `rollback_to`: its copies of the space are large for a small machine's stack.
    #[inline(never)]
    pub fn savepoint(&mut self) -> Result<Savepoint> {
        let birth = self.writer.run.birth;
        if self.failed() {
            return Err(Error::TxnFailed { txn: birth });
        }
        let next = self.writer.next;
        if next.0 >= u64::MAX - 1 {
            return Err(Error::InvalidArgument);
        }
        let id = self.claim()?;
        let saved = Saved::of(&self.writer.run, next);
        let root = self.writer.state.root;
        let page_size = self.parts.view.page_size();
        let (mut host, space) = self.split();
        let page = host.build(id)?;
        if let Some(at) = page.get_mut(16) {
            *at = kind::SAVEPOINT;
        }
        if let Some(to) = page.get_mut(AT_ROOT..AT_STATE) {
            to.copy_from_slice(&root);
        }
        saved.encode(page);
        if let Some(to) = page.get_mut(AT_SPACE..) {
            space.encode(page_size, to);
        }
        self.writer.next = next.next();
        let run = &mut self.writer.run;
        run.savepoint = id;
        run.birth = next;
        run.freed = OwnList::default();
        run.freed_runs = OwnList::default();
        let from = *run.pinned_from.get_or_insert(birth);
        run.pins.blanket(from);
        Ok(Savepoint { page: id, started: next })
    }

    /// The savepoint's page, and what it saved, if it is still alive.
    fn saved(&self, id: PageId) -> Result<Saved> {
        let page = crate::reading::whole::<false>(
            self.parts.view,
            &self.writer.run,
            id,
            self.parts.view.mapped_pages(),
        )?;
        if kind_of(page) == kind::SAVEPOINT { Ok(Saved::decode(page)) } else { Err(Error::Stale) }
    }

    /// Whether the savepoint is one of those alive.
    fn find(&self, savepoint: Savepoint) -> Result<()> {
        let mut id = self.writer.run.savepoint;
        while id.is_some() {
            let saved = self.saved(id)?;
            if id == savepoint.page && saved.started == savepoint.started {
                return Ok(());
            }
            // Births go down, so this ends.
            if saved.started <= savepoint.started {
                break;
            }
            id = saved.previous;
        }
        Err(Error::Stale)
    }

    /// Takes back everything since the savepoint, and ends it and all younger ones. A failed
    /// transaction goes on from there.
    ///
    /// # Errors
    /// [`Stale`](Error::Stale): it ended before.
    #[inline(never)]
    pub fn rollback_to(&mut self, savepoint: Savepoint) -> Result<()> {
        self.find(savepoint)?;
        let saved = self.saved(savepoint.page)?;
        let page_size = self.parts.view.page_size();
        let spilled = self.writer.run.spills != saved.spills;
        let (mut host, space) = self.split();
        host.discard_chain(if spilled { PageId::NONE } else { saved.chain })?;
        let page = host.whole(savepoint.page)?;
        *space = Space::decode(page_size, page.get(AT_SPACE..).unwrap_or(&[]))?;
        let mut root = [0; ROOT_BYTES];
        root.copy_from_slice(page.get(AT_ROOT..AT_STATE).unwrap_or(&[0; ROOT_BYTES]));
        self.writer.state.root = root;
        let run = &mut self.writer.run;
        run.birth = saved.birth;
        run.savepoint = saved.previous;
        (run.chain, run.chained) =
            if spilled { (PageId::NONE, 0) } else { (saved.chain, saved.chained) };
        run.dirty_pages = saved.dirty_pages;
        run.freed = saved.freed;
        run.freed_runs = saved.freed_runs;
        run.pinned_from = saved.pinned_from;
        run.freed_durable = saved.freed_durable;
        run.freed_between = saved.freed_between;
        run.changed = saved.changed;
        run.tail = saved.tail;
        run.failed = false;
        let (mut host, _) = self.split();
        host.collect_pins();
        self.drop_page(savepoint.page)
    }

    /// Ends the savepoint and all younger ones, and keeps what was done since.
    ///
    /// # Errors
    /// [`Stale`](Error::Stale): it ended before.
    pub fn release(&mut self, savepoint: Savepoint) -> Result<()> {
        self.find(savepoint)?;
        while self.end_newest()? != savepoint.page {}
        Ok(())
    }

    /// Ends all savepoints and keeps what was done since.
    pub(crate) fn release_all(&mut self) -> Result<()> {
        while self.writer.run.savepoint.is_some() {
            self.end_newest()?;
        }
        Ok(())
    }

    /// Ends the newest savepoint, which there is; its page.
    fn end_newest(&mut self) -> Result<PageId> {
        let id = self.writer.run.savepoint;
        let saved = self.saved(id)?;
        let (mut host, _) = self.split();
        host.join(saved.freed, saved.freed_runs)?;
        self.writer.run.savepoint = saved.previous;
        self.drop_page(id)?;
        Ok(id)
    }

    /// Frees a savepoint's page. Born in this transaction, and needed by no state.
    fn drop_page(&mut self, id: PageId) -> Result<()> {
        let view = self.parts.view;
        let (mut host, space) = self.split();
        if !view.two_views() || view.claimed(id) {
            return host.push_freed(id);
        }
        let birth = birth_of(host.whole(id)?);
        space.free(&mut host, id, 1, birth, birth)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Else going back would restore one field from another's place.
    #[test]
    fn a_savepoints_page_gives_back_what_was_saved() {
        for (changed, overflow, pinned_from) in
            [(false, false, None), (true, false, Some(TxnId(7))), (false, true, Some(TxnId(1)))]
        {
            let list = |at: u32| OwnList { head: PageId(at), tail: PageId(at + 1) };
            let saved = Saved {
                birth: TxnId(1 << 40 | 11),
                started: TxnId(1 << 41 | 27),
                previous: PageId(12),
                chain: PageId(13),
                chained: 14,
                spills: 15,
                dirty_pages: 1 << 33 | 16,
                freed: list(17),
                freed_runs: list(19),
                pinned_from,
                freed_durable: 21,
                freed_between: 22,
                changed,
                tail: Tail::from_words([1 << 34 | 23, 24, 25, 26], overflow),
            };
            let mut page = [0xFF; 512];
            saved.encode(&mut page);
            assert_eq!(Saved::decode(&page), saved);
            assert!(page[..AT_STATE].iter().all(|byte| *byte == 0xFF), "the root's place");
            assert!(page[AT_SPACE..].iter().all(|byte| *byte == 0xFF), "the space's place");
        }
    }
}
