//! Figures of a store.

use crate::TxnId;
use crate::checkpoint::counted;
use crate::store::Parts;

/// Figures of a store, taken without a system call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Stats {
    /// Page size in bytes.
    pub page_size: u32,
    /// Pages of the newest state, whatever their use.
    pub page_count: u32,
    /// Pages that the mapping holds.
    pub mapped_pages: u32,
    /// Reusable pages.
    pub free_pages: u32,
    /// Freed pages that an older state may still see.
    pub pinned_pages: u32,
    /// Of these, about so many wait for a checkpoint.
    pub waiting_pages: u32,
    /// Pages of the structures that keep free pages.
    pub space_pages: u32,
    /// Pages of the log ring.
    pub log_pages: u32,
    /// Bytes of the log that the next opening would replay.
    pub log_used_bytes: u64,
    /// The newest transaction.
    pub txn: TxnId,
    /// The newest transaction known to survive power loss.
    pub synced: TxnId,
    /// The last checkpoint's transaction.
    pub checkpoint: TxnId,
    /// How often the store was opened for writing.
    pub epoch: u64,
    /// Reader slots that are taken, and how many there are.
    pub readers: u32,
    /// Reader slots.
    pub readers_max: u32,
    /// Commits through the log since the store was opened.
    pub log_commits: u32,
    /// Checkpoints since the store was opened.
    pub checkpoints: u32,
    /// Times that a transaction published pages before its commit, to bound memory.
    pub spills: u32,
    /// Blocks of the log that were replayed when the store was opened.
    pub replayed_blocks: u32,
}

pub(crate) fn of(parts: Parts<'_>) -> Stats {
    let Parts { view, shared, core } = parts;
    let latest = core.latest.lock();
    let state = &latest.state;
    let space = state.space.stats();
    let log_bytes = u64::from(state.log.pages) * view.page_size() as u64;
    Stats {
        page_size: view.page_size() as u32,
        page_count: state.space.page_count,
        mapped_pages: view.mapped_pages(),
        free_pages: space.free_pages,
        pinned_pages: space.pinned_pages,
        waiting_pages: latest.waiting(),
        space_pages: space.space_pages,
        log_pages: state.log.pages,
        log_used_bytes: latest.log_used(log_bytes),
        txn: state.txn,
        synced: latest.synced,
        checkpoint: latest.durable.txn,
        epoch: latest.identity.epoch,
        readers: shared.readers(),
        readers_max: shared.slot_count() as u32,
        log_commits: counted(&core.counters.log_commits),
        checkpoints: counted(&core.counters.checkpoints),
        spills: counted(&core.counters.spills),
        replayed_blocks: counted(&core.counters.replayed_blocks),
    }
}
