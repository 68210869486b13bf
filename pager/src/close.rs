//! Closing: the end of the file is given back, the last checkpoint has the clean mark.

#![allow(unsafe_code)] // Cuts the file.

use crate::store::{Parts, Writer};
use crate::{Error, PageId, Result, TxnId, WriteTxn};
use spin::MutexGuard;

/// Transactions that closing makes to take free pages off the file's end, each of which looks at a
/// bounded number of them.
const TRIMS_MAX: u32 = 64;
const DRAINED_MAX: usize = 1 << 16;
/// How often closing asks for the writer's turn again, which a barrier of another thread may hold.
const WRITER_WAITS: u32 = 10_000;

/// What small files grow ahead by, at the most.
const AHEAD_BYTES_MAX: u32 = 2 << 20;

/// Moves pages of the trees, as [`Store::close_packed`](crate::Store::close_packed) asks the tree layer to.
pub trait PackTrees {
    /// Moves what it can of the trees' pages that lie at `from` or behind it: the next pages that are claimed
    /// lie before it. Changes nothing else.
    ///
    /// # Errors
    /// The transaction is rolled back.
    fn pack<'s>(&mut self, txn: WriteTxn<'s>, from: PageId) -> Result<WriteTxn<'s>>;
}

/// No trees.
impl PackTrees for () {
    fn pack<'s>(&mut self, txn: WriteTxn<'s>, _: PageId) -> Result<WriteTxn<'s>> {
        Ok(txn)
    }
}

impl<'s> Parts<'s> {
    /// The last checkpoint, with the clean mark; gives back unused length, with `trees` after sorting out what
    /// is free and moving what lies at the end.
    pub(crate) fn close(&self, trees: Option<&mut dyn PackTrees>) -> Result<()> {
        if self.core.options.read_only {
            return Ok(());
        }
        let mut writer = self.core.writer.try_lock().ok_or(Error::WriterBusy)?;
        self.core.healthy()?;
        let (begun, clean) = {
            let latest = self.core.latest.lock();
            (latest.epoch_begun, latest.identity.clean)
        };
        if !begun {
            // What was closed stays as it is, and so does what a repair has only looked at.
            if clean || trees.is_none() {
                return Ok(());
            }
            self.begin_epoch(&mut writer.next)?;
        }
        let writer = match trees {
            Some(trees) => self.trim(writer, trees)?,
            None => writer,
        };
        self.checkpoint(self.take_turn(), true)?;
        {
            let mut latest = self.core.latest.lock();
            latest.epoch_begun = false;
            latest.identity.clean = true;
        }
        self.shrink(true);
        drop(writer);
        Ok(())
    }

    /// Takes free pages off the file's end, in transactions of their own: what a commit does of that is
    /// bounded, and is done before its own pages are free.
    #[inline(never)]
    fn trim(
        &self,
        writer: MutexGuard<'s, Writer>,
        trees: &mut dyn PackTrees,
    ) -> Result<MutexGuard<'s, Writer>> {
        let mut writer = Some(writer);
        let mut end = u32::MAX;
        for _ in 0..TRIMS_MAX {
            let Some(guard) = writer.take().or_else(|| self.writer_soon()) else {
                return Err(Error::WriterBusy);
            };
            if !self.core.latest.lock().state.space.trimmable() {
                return Ok(guard);
            }
            match self.trim_once(guard, &mut end, trees) {
                Ok(true) => {}
                // A flush has failed: whoever closes is to hear of that, not of what it leads to.
                Err(error) if self.core.healthy().is_err() => return Err(error),
                // A full disk, or a damaged list of free pages, is no reason not to close.
                Ok(false) | Err(_) => break,
            }
        }
        self.writer_soon().ok_or(Error::WriterBusy)
    }

    /// One transaction of [`trim`](Parts::trim): whether it gained anything. First it finds out what is free;
    /// then what lies behind `end`, where all that is in use would fit before it, is moved there.
    #[inline(never)]
    fn trim_once(
        &self,
        writer: MutexGuard<'s, Writer>,
        end: &mut u32,
        trees: &mut dyn PackTrees,
    ) -> Result<bool> {
        // What the newest state has freed is free once it is the durable one.
        self.checkpoint(self.take_turn(), false)?;
        let before = self.core.latest.lock().state;
        let mut txn = WriteTxn::begin_here(*self, writer)?;
        let (mut host, space) = txn.split();
        let mut gained = space.drain(&mut host, DRAINED_MAX)?;
        // What was moved, a smaller ring above all, may have made room for less: but never for more again.
        *end = space.packed_end().min(*end);
        let end = *end;
        if !gained && end < space.page_count {
            gained = space.pack(&mut host, end)?;
            if !gained {
                txn = trees.pack(txn, PageId(end))?;
                gained = txn.writer.state.root != before.root;
            }
            gained |= txn.shrink_log(end)?;
        }
        txn.settle()?;
        gained |= txn.writer.state.space.page_count < before.space.page_count;
        if !gained {
            return Ok(false);
        }
        txn.writer.run.changed = true;
        txn.commit_as_checkpoint()?;
        Ok(true)
    }

    /// The writer's turn, if whoever has it is about to end: a [`sync`](Parts::sync).
    fn writer_soon(&self) -> Option<MutexGuard<'s, Writer>> {
        for _ in 0..WRITER_WAITS {
            if let Some(writer) = self.core.writer.try_lock() {
                return Some(writer);
            }
            self.view.mapping().relax();
        }
        None
    }

    /// Truncates what no state that anybody may read, or recover to, reaches. The caller has the
    /// writer's turn and the newest state is durable.
    pub(crate) fn shrink(&self, all: bool) {
        let (page_count, lowered_at) = {
            let latest = self.core.latest.lock();
            (latest.state.space.page_count, latest.lowered_at)
        };
        let mapped = self.view.mapped_pages();
        let slack = match lowered_at {
            // Nothing was removed, so all there may be is room that the file grew ahead; or what a transaction that
            // was rolled back, or has died, had taken.
            TxnId(0) if all => (page_count / 4).max(AHEAD_BYTES_MAX >> self.core.shift),
            TxnId(0) => return,
            _ if all => 0,
            _ => page_count / 4,
        };
        if mapped <= page_count.saturating_add(slack) {
            return;
        }
        let mut pins = crate::pins::Pins::new();
        self.shared.collect(&mut pins);
        if pins.iter().next().is_some_and(|(oldest, _)| oldest < lowered_at) {
            return;
        }
        let len = self.view.range(PageId(0), page_count).end;
        // SAFETY: no reader's state reaches past the newest one's pages (the page count has not been
        // lowered since the oldest pin), and the newest one is durable. A failure changes nothing.
        let _ = unsafe { self.view.mapping().shrink(len) };
    }
}
