//! The write transaction: claims, copies, edits and frees of pages.

#![allow(unsafe_code)] // Hands out page bytes; its exclusive borrow is what makes that sound.

use crate::checkpoint::Haste;
use crate::page::{HEADER_BYTES, OWNED_BYTES, kind};
use crate::pages::{Pages, Root};
use crate::planted::{self, Bug};
use crate::reading::built_here;
use crate::running::Host;
use crate::space::SpaceHost;
use crate::store::{Core, Parts, Writer};
use crate::tail::{Ring, Tail};
use crate::view::{birth_of, kind_of, run_pages_of};
use crate::{Advice, Damage, Error, PageId, Result, Snapshot, TxnId};
use core::sync::atomic::Ordering;
use spin::MutexGuard;

/// What a commit promises when it returns.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Durability {
    /// The transaction survives power loss. One barrier (a log commit) or two (a checkpoint).
    #[default]
    Sync,
    /// The transaction survives the death of the process; power loss may take it back to an
    /// earlier commit, never to a corrupt state. No barrier.
    Eventual,
}

/// A piece of a redo record.
#[derive(Clone, Copy, Debug)]
pub enum Part<'a> {
    /// Bytes of the caller.
    Bytes(&'a [u8]),
    /// Bytes of a page's body (as [`Pages::page`] returns it), from `.1` on, `.2` of them, read in
    /// this transaction's state.
    Page(PageId, usize, usize),
    /// The first `.1` bytes of the run's value.
    Run(PageId, u64),
}

/// A savepoint inside a write transaction; see [`WriteTxn::savepoint`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Savepoint {
    pub(crate) page: PageId,
    pub(crate) started: TxnId,
}

/// The one write transaction. Dropping it without [`commit`](WriteTxn::commit) rolls back. `Send`.
pub struct WriteTxn<'s> {
    pub(crate) parts: Parts<'s>,
    pub(crate) writer: MutexGuard<'s, Writer>,
    /// Committed: nothing to roll back.
    pub(crate) done: bool,
}

impl<'s> WriteTxn<'s> {
    pub(crate) fn begin(parts: Parts<'s>) -> Result<WriteTxn<'s>> {
        parts.core.writable()?;
        let writer = parts.core.writer.try_lock().ok_or(Error::WriterBusy)?;
        WriteTxn::begin_with(parts, writer)
    }

    fn begin_with(parts: Parts<'s>, mut writer: MutexGuard<'s, Writer>) -> Result<WriteTxn<'s>> {
        parts.begin_epoch(&mut writer.next)?;
        if parts.core.starved.swap(false, Ordering::Relaxed) {
            // What waits for a checkpoint may be room enough. Without one all stays as it is.
            let _ = parts.checkpoint(parts.take_turn(), false);
        }
        WriteTxn::begin_here(parts, writer)
    }

    /// Begins without making a meta of this opening's own durable before.
    pub(crate) fn begin_here(
        parts: Parts<'s>,
        mut writer: MutexGuard<'s, Writer>,
    ) -> Result<WriteTxn<'s>> {
        let birth = writer.next;
        if birth.0 >= u64::MAX - 1 {
            return Err(Error::InvalidArgument);
        }
        let (durable, in_progress) = {
            let mut latest = parts.core.latest.lock();
            writer.state = latest.state;
            latest.writing_on = Some(writer.state.txn);
            (latest.durable, latest.in_progress.unwrap_or(latest.durable.txn))
        };
        writer.next = birth.next();
        let tail = Tail::new(&writer.state.log, durable.position);
        let base = writer.state.txn;
        writer.run.begin(birth, base, tail);
        writer.run.durable = durable.txn;
        writer.run.in_progress = in_progress;
        let mut txn = WriteTxn { parts, writer, done: false };
        let (mut host, space) = txn.split();
        host.collect_pins();
        space.begin(&mut host)?;
        Ok(txn)
    }

    /// The transaction's pages and its space, to be used together.
    pub(crate) fn split(&mut self) -> (Host<'_, 's>, &mut crate::space::Space) {
        let Writer { run, state, .. } = &mut *self.writer;
        let ring = state.log.start..PageId(state.log.start.0.saturating_add(state.log.pages));
        (
            Host {
                view: self.parts.view,
                shared: self.parts.shared,
                core: self.parts.core,
                ring,
                run,
            },
            &mut state.space,
        )
    }

    /// The number pages are born with now. A savepoint raises it.
    #[must_use]
    pub fn id(&self) -> TxnId {
        self.writer.run.birth
    }

    /// The state before the transaction, pinned like any snapshot: it may outlive the transaction,
    /// and its values can be inserted.
    ///
    /// # Errors
    /// [`ReadersFull`](Error::ReadersFull).
    pub fn base(&self) -> Result<Snapshot<'s>> {
        self.parts.snapshot(0)
    }

    /// Makes sure that the next `pages` single-page claims do not fail for want of space.
    ///
    /// # Errors
    /// [`Full`](Error::Full): nothing changed.
    pub fn reserve(&mut self, pages: u32) -> Result<()> {
        let (mut host, space) = self.split();
        space.ensure(&mut host, pages)
    }

    /// Claims a page: reused, or at the end of the file. Bytes 0..16 of its body are zero, the rest
    /// unspecified (but initialised). No system call unless the store grows.
    ///
    /// # Errors
    /// [`Full`](Error::Full), [`Io`](Error::Io), [`Corrupt`](Error::Corrupt) (space pages): nothing
    /// changed that a later claim would miss. Where a list of free pages broke off in the middle for want
    /// of a page, the commit is refused: [`TxnFailed`](Error::TxnFailed).
    pub fn claim(&mut self) -> Result<PageId> {
        self.spill_under_pressure()?;
        let (mut host, space) = self.split();
        if let Some(id) = host.reuse_freed()? {
            return Ok(id);
        }
        let id = space.claim(&mut host)?;
        host.start(id)?;
        if cfg!(feature = "locality")
            && let Some(next) = space.next_ready()
        {
            // Its memory was used long ago: the next claim's first store would wait for it.
            host.view.prefetch_built(next, 1);
        }
        Ok(id)
    }

    /// Claims a run of consecutive pages for a value of `len_bytes`; its bytes are unspecified until
    /// written through [`run_mut`](WriteTxn::run_mut).
    ///
    /// # Errors
    /// As [`claim`](WriteTxn::claim); [`ValueTooLong`](Error::ValueTooLong).
    pub fn claim_run(&mut self, len_bytes: u64) -> Result<PageId> {
        let (id, pages) = self.give_run(len_bytes)?;
        let (mut host, _) = self.split();
        host.start_run(id, pages, len_bytes)?;
        Ok(id)
    }

    /// Pages for a run, and how many, not started.
    pub(crate) fn give_run(&mut self, len_bytes: u64) -> Result<(PageId, u32)> {
        self.spill_under_pressure()?;
        let bytes = len_bytes.checked_add(HEADER_BYTES as u64).ok_or(Error::ValueTooLong)?;
        let pages = bytes.div_ceil(self.parts.view.page_size() as u64);
        let pages = u32::try_from(pages).map_err(|_| Error::ValueTooLong)?;
        if usize::try_from(bytes).is_err() {
            return Err(Error::ValueTooLong);
        }
        let (mut host, space) = self.split();
        Ok((space.claim_run(&mut host, pages)?, pages))
    }

    /// The value bytes of a run claimed in this transaction (since the last savepoint).
    ///
    /// # Errors
    /// [`InvalidArgument`](Error::InvalidArgument): not born here; [`Corrupt`](Error::Corrupt).
    pub fn run_mut(&mut self, id: PageId) -> Result<&mut [u8]> {
        let bytes = self.run_len(id)?;
        if !self.owned(id)? {
            return Err(Error::InvalidArgument);
        }
        let (mut host, _) = self.split();
        host.ensure_linked(id)?;
        let offset = self.parts.view.offset(id);
        // SAFETY: the run was born in this transaction and is claimed whole; the exclusive borrow of
        // the transaction keeps every other reference away.
        let whole = unsafe { self.parts.view.build(offset, bytes)? };
        Ok(whole.get_mut(HEADER_BYTES..).unwrap_or(&mut []))
    }

    /// The page itself where it was born in this transaction (since the last savepoint); else a
    /// claimed copy of it, whose checksum is looked at, and the old page is freed. The caller stores the new
    /// number in the parent.
    ///
    /// # Errors
    /// As [`claim`](WriteTxn::claim) and [`Pages::page`].
    pub fn own(&mut self, id: PageId) -> Result<PageId> {
        let Some(sealed) = self.to_be_copied(id)? else { return Ok(id) };
        let copy = self.claim()?;
        if copy == id {
            return Err(Error::corrupt(id, Damage::Shared));
        }
        let (mut host, _) = self.split();
        host.copy_page(id, copy, sealed)?;
        self.free(id)?;
        Ok(copy)
    }

    /// `None` where the page was born since the last savepoint; else whether the medium can have changed it.
    // Apart: what it needs of the stack is free again when a page is claimed.
    #[inline(never)]
    fn to_be_copied(&self, id: PageId) -> Result<Option<bool>> {
        let page = self.whole(id)?;
        if birth_of(page) == self.writer.run.birth {
            return Ok(None);
        }
        if kind_of(page) == kind::RUN {
            return Err(Error::corrupt(id, Damage::Kind));
        }
        Ok(Some(!built_here(self.parts.view, &self.writer.run, id, page)))
    }

    /// Whether the page was born in this transaction since the last savepoint, so that
    /// [`own`](WriteTxn::own) would return it unchanged.
    ///
    /// # Errors
    /// As [`Pages::page`].
    pub fn owned(&self, id: PageId) -> Result<bool> {
        Ok(birth_of(self.whole(id)?) == self.writer.run.birth)
    }

    /// Frees a page that this transaction's state no longer reaches. It is reused when no pinned state
    /// can see it.
    ///
    /// # Errors
    /// As [`claim`](WriteTxn::claim) and [`Pages::page`].
    pub fn free(&mut self, id: PageId) -> Result<()> {
        let page = self.whole(id)?;
        let birth = birth_of(page);
        if kind_of(page) == kind::RUN {
            return Err(Error::corrupt(id, Damage::Kind));
        }
        if self.waits_in_chain(id, birth) {
            let (mut host, _) = self.split();
            return host.push_freed(id);
        }
        self.free_pages(id, 1, birth)
    }

    /// Frees a run, by its first page.
    ///
    /// # Errors
    /// As [`free`](WriteTxn::free).
    pub fn free_run(&mut self, id: PageId) -> Result<()> {
        self.run_len(id)?;
        let page = self.whole(id)?;
        let (birth, pages) = (birth_of(page), run_pages_of(page));
        let published = cfg!(feature = "locality") && birth == self.writer.run.birth;
        if published || self.waits_in_chain(id, birth) {
            let (mut host, _) = self.split();
            // It waits for the commit as others do: the space would search no more for this transaction.
            host.link_first(id)?;
            return host.push_freed_run(id);
        }
        self.free_pages(id, pages, birth)
    }

    /// Born since the last savepoint, and not yet sealed.
    fn waits_in_chain(&self, id: PageId, birth: TxnId) -> bool {
        let view = self.parts.view;
        birth == self.writer.run.birth && (!view.two_views() || view.claimed(id))
    }

    fn free_pages(&mut self, id: PageId, pages: u32, birth: TxnId) -> Result<()> {
        let run = &mut self.writer.run;
        run.changed = true;
        if birth <= run.durable {
            run.freed_durable = run.freed_durable.saturating_add(pages);
        } else if birth <= run.in_progress {
            run.freed_between = run.freed_between.saturating_add(pages);
        }
        let now = run.birth;
        if planted::is(Bug::PageLeaked) {
            return Ok(());
        }
        let view = self.parts.view;
        if cfg!(feature = "locality") && view.two_views() {
            // Claimed again once nobody can see it any more.
            view.mapping().advise(view.range(id, pages), Advice::WillClaim);
        }
        let (mut host, space) = self.split();
        space.free(&mut host, id, pages, birth, now)
    }

    /// The only way to mutable pages: bodies (behind the 16 bytes the pager owns) of `read` pages of
    /// this state, and of `write` pages that were born in this transaction since the last savepoint.
    /// All `write` numbers are distinct from each other and from the `read` ones (which may repeat).
    ///
    /// # Errors
    /// [`InvalidArgument`](Error::InvalidArgument): not distinct, or a `write` page was not born here;
    /// [`Corrupt`](Error::Corrupt) as for [`Pages::page`], and the checksum of a `read` page that was not born
    /// here.
    #[allow(clippy::type_complexity)]
    pub fn edit<const R: usize, const W: usize>(
        &mut self,
        read: [PageId; R],
        write: [PageId; W],
    ) -> Result<([&[u8]; R], [&mut [u8]; W])> {
        self.may_edit(&read, &write)?;
        let (mut host, _) = self.split();
        let mut writes: [&mut [u8]; W] = core::array::from_fn(|_| &mut [][..]);
        for (slot, id) in writes.iter_mut().zip(write) {
            *slot = host.build(id)?.get_mut(OWNED_BYTES..).unwrap_or(&mut []);
        }
        let mut reads: [&[u8]; R] = [&[]; R];
        for (slot, id) in reads.iter_mut().zip(read) {
            *slot = host.lent(id)?.get(OWNED_BYTES..).unwrap_or(&[]);
        }
        Ok((reads, writes))
    }

    /// The body of one page, to be changed: as [`edit`](WriteTxn::edit), without what several need. `None` where
    /// the page was not born in this transaction since the last savepoint, and always without the feature
    /// `locality`: callers have another way, which this one only saves time of.
    ///
    /// # Errors
    /// [`Corrupt`](Error::Corrupt), as for [`Pages::page`].
    #[inline]
    pub fn edit_own(&mut self, id: PageId) -> Result<Option<&mut [u8]>> {
        if cfg!(not(feature = "locality")) || !self.owned(id)? {
            return Ok(None);
        }
        let (mut host, _) = self.split();
        host.ensure_linked(id)?;
        Ok(host.build(id)?.get_mut(OWNED_BYTES..))
    }

    /// Proves what [`edit`](WriteTxn::edit) needs, and links the pages to be written. Apart from it, so that
    /// this is compiled once.
    fn may_edit(&mut self, read: &[PageId], write: &[PageId]) -> Result<()> {
        for (at, id) in write.iter().enumerate() {
            let twice = write.iter().skip(at + 1).any(|other| other == id) || read.contains(id);
            if twice || !self.owned(*id)? {
                return Err(Error::InvalidArgument);
            }
        }
        // What is read goes into pages that get a checksum of their own.
        read.iter().try_for_each(|id| (&*self).verify(*id))?;
        let (mut host, _) = self.split();
        write.iter().try_for_each(|id| host.ensure_linked(*id))
    }

    /// Sets the tree layer's root data of the state that this transaction makes.
    pub fn set_root(&mut self, root: &Root) {
        if self.writer.state.root != *root {
            self.writer.state.root = *root;
            self.writer.run.changed = true;
        }
    }

    /// Says that the state that this transaction makes uses these features (bits of
    /// [`features`](crate::features)). Where they are new to the file the commit is a checkpoint, so that no
    /// build that does not know them finds them in the log. A rollback to a savepoint does not take it back.
    ///
    /// # Errors
    /// [`InvalidArgument`](Error::InvalidArgument): a feature that this build does not know; it could not open
    /// the file any more.
    pub fn announce(&mut self, features: u64) -> Result<()> {
        if features & !crate::features::KNOWN != 0 {
            return Err(Error::InvalidArgument);
        }
        let Writer { run, state, .. } = &mut *self.writer;
        run.changed |= state.features & features != features;
        state.features |= features;
        Ok(())
    }

    /// Whether a state may come to use these features where nobody asked for them by name: this build knows
    /// them, and [`Options::withhold`](crate::Options::withhold) does not name them.
    #[must_use]
    #[cfg(feature = "fingerprints")]
    pub fn may_use(&self, features: u64) -> bool {
        features & !(crate::features::KNOWN & !self.parts.core.options.withheld) == 0
    }

    /// Appends one redo record, the concatenation of `parts`, to the log's tail. Where the log is
    /// off or the record does not fit, the commit becomes a checkpoint instead. Never fails. Waits for the
    /// checkpoint in progress where the log is full.
    pub fn redo(&mut self, parts: &[Part<'_>]) {
        if !self.writer.run.tail.overflow && self.try_redo(parts) != Ok(true) {
            self.writer.run.tail.overflow = true;
        }
    }

    fn try_redo(&mut self, parts: &[Part<'_>]) -> Result<bool> {
        let mut len = 0u64;
        for part in parts {
            len = len.saturating_add(self.part(*part)?.len() as u64);
        }
        let Some(ring) = self.parts.ring(&self.writer.state) else { return Ok(false) };
        while !self.writer.run.tail.begin_record(&ring, len)? {
            if !self.more_of_the_ring(&ring, len) {
                return Ok(false);
            }
        }
        for part in parts {
            let mut tail = self.writer.run.tail;
            tail.put(&ring, self.part(*part)?)?;
            self.writer.run.tail = tail;
        }
        Ok(true)
    }

    /// Whether more of the ring can be reused than the tail knew of: a checkpoint has ended since, or ends while
    /// this waits. A commit that became a checkpoint instead would wait for that one all the same, and then for
    /// its own.
    // Apart: rarely called, and what it needs of the stack is free again.
    #[inline(never)]
    fn more_of_the_ring(&mut self, ring: &Ring<'_>, len: u64) -> bool {
        let parts = self.parts;
        let tail = &mut self.writer.run.tail;
        let (head, in_progress) = {
            let latest = parts.core.latest.lock();
            (latest.durable.position, latest.in_progress)
        };
        if tail.set_head(head) {
            return true;
        }
        if cfg!(not(feature = "locality")) || in_progress.is_none() || !tail.may_fit(ring, len) {
            return false;
        }
        parts.core.ring_short.store(true, Ordering::Relaxed);
        drop(parts.take_turn());
        let head = parts.core.latest.lock().durable.position;
        tail.set_head(head)
    }

    fn part<'p>(&'p self, part: Part<'p>) -> Result<&'p [u8]> {
        match part {
            Part::Bytes(bytes) => Ok(bytes),
            Part::Page(id, from, len) => {
                let end = from.checked_add(len).ok_or(Error::InvalidArgument)?;
                self.page(id)?.get(from..end).ok_or(Error::InvalidArgument)
            }
            Part::Run(id, len) => self.run(id, len),
        }
    }

    /// Whether the transaction can only be rolled back: a change of the trees, or of the lists of free
    /// pages, broke off in the middle.
    pub(crate) fn failed(&self) -> bool {
        self.writer.run.failed || self.writer.state.space.is_broken()
    }

    /// Whether it has changed a page, or the root data, so far.
    #[must_use]
    pub fn changed(&self) -> bool {
        self.writer.run.changed
    }

    /// Marks the transaction as broken half-way: it can only be rolled back (to a savepoint taken
    /// before, or whole). For a tree change that failed after it had begun.
    pub fn fail(&mut self) {
        self.writer.run.failed = true;
    }

    /// Publishes what was built, and forgets its claims, when too much memory is claimed.
    fn spill_under_pressure(&mut self) -> Result<()> {
        if !self.parts.view.mapping().pressure() {
            return Ok(());
        }
        let (mut host, _) = self.split();
        let published = host.seal().and_then(|()| self.publish_pages());
        if published.is_err() {
            // Pages are sealed, and their links gone, but some are claimed still: what is done to them
            // now could not be sealed again, nor savepoints find their chains.
            self.writer.run.failed = true;
            self.writer.run.savepoint = PageId::NONE;
            return published;
        }
        self.writer.run.spills += 1;
        // What earlier commits hold takes memory too.
        let turn = self.parts.take_turn();
        self.parts.publish_held(&turn, &self.writer.state, Haste::AtOnce)?;
        drop(turn);
        Core::count(&self.parts.core.counters.spills, 1);
        Ok(())
    }

    /// Makes every sealed page visible to readers of a later state, where it lies or by publishing it.
    pub(crate) fn hold_pages(&mut self) -> Result<()> {
        if !self.parts.view.two_views() {
            return Ok(());
        }
        for range in self.parts.page_ranges(&self.writer.state) {
            // SAFETY: the exclusive borrow of the transaction shows that no mutable reference to a claimed
            // page is alive; committed pages are changed by nobody.
            unsafe { self.parts.view.mapping().hold(range)? };
        }
        Ok(())
    }

    /// Publishes every sealed page of this transaction.
    pub(crate) fn publish_pages(&mut self) -> Result<()> {
        if !self.parts.view.two_views() {
            return Ok(());
        }
        let ranges = self.parts.page_ranges(&self.writer.state);
        // SAFETY: the exclusive borrow of the transaction shows that no reference to a claimed page
        // is alive.
        unsafe { self.parts.view.mapping().publish(&ranges) }
    }
}

impl Drop for WriteTxn<'_> {
    fn drop(&mut self) {
        // The borrows of what was lent have ended; the next transaction waits for the turn.
        self.parts.core.latest.lock().writing_on = None;
        if self.done || !self.parts.view.two_views() {
            return;
        }
        let view = self.parts.view;
        let all = view.range(PageId(2), view.mapped_pages().saturating_sub(2));
        // SAFETY: what is rolled back is read by nobody; metas are not in the range.
        unsafe { view.mapping().discard(all) };
    }
}
