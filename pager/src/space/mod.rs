//! Space: which pages are reusable, and which are freed but may still be seen.
//!
//! A page that was born at *a* and freed at *t* is reusable as soon as no pinned state *s* has
//! a ≤ s < t. Pages move like this:
//!
//! ```text
//! free ─► pinned (inline) ─► buckets, one a pin ─► ended chains ─► ready (inline) ─► claim
//!                       └──► fresh ─────────────────┘    └──► bitmap ──┘
//! ```
//!
//! - `pinned`: the last freed entries, looked at again when a transaction begins. A small transaction
//!   gets by with this list and `ready`, and touches no space page.
//! - When `pinned` is full it is spilled to list pages. What an older pin than the base state holds
//!   goes to the bucket of the newest such pin; what only the base holds goes to `fresh`, since that
//!   pin ends first.
//! - When the pin of a bucket ends (and `fresh` when the next transaction begins), its chain is
//!   *ended*: `walking` or, where that is taken, `ended`, which may hold links to more chains. Ended
//!   chains are walked a bounded number of entries at a time, as pages are needed. Each entry is
//!   looked at by itself, so a bucket may hold any entry: the tag only says when to look again.
//! - `bitmap` holds what `ready` has no room for, and every longer run.
//! - `reserve` holds free pages for the space's own use, so that changing a structure does not need
//!   another structure. Below these layers nothing calls up: `own` (reserve, growth) < `freed` (pinned,
//!   buckets) < `bitmap` < `claim`, `reclaim`, `trim`. So every operation ends, and encoding the state
//!   at a commit takes no page.
//!
//! Pages born in the running transaction are in its seal chain, which must not meet a page twice. So
//! what it frees of its own is not reused before it ends, the space's own pages included.
//!
//! The state's record (little-endian; P = page size):
//!
//! | bytes | field |
//! |---|---|
//! | 0..4 | page count |
//! | 4..8 | root of the bitmap, 0 = none |
//! | 8 | its height: 1 = the root is a leaf |
//! | 9, 10, 11, 12 | length of the reserve, ready, pinned, buckets |
//! | 13 | ready pages that the transaction which made this state may still reuse |
//! | 14 | flags: 1 = that transaction has freed many pages of its own |
//! | 15 | reserved, 0 |
//! | 16..20, 20..24, 24..28 | free pages, pinned pages, space pages |
//! | 28..36 | first birth of the transaction that made this state |
//! | 36..44 | the state it is based on |
//! | 44..54, 54..64, 64..74 | chains `fresh`, `walking`, `ended`: head u32, entries u32, head length u16 |
//! | 74.. | reserve u32 each, ready u32 each, pinned 24 each (see `entry`), buckets 18 each: tag u64, chain |

mod bitmap;
mod bits;
mod claim;
mod entry;
mod freed;
mod host;
mod inline;
mod own;
mod pack;
mod rebuild;
mod reclaim;
mod record;
mod runs;
mod survey;
mod trim;
mod visit;

#[cfg(test)]
mod tests;

pub(crate) use entry::{ENTRY_BYTES, LINK};
pub(crate) use host::SpaceHost;
pub(crate) use visit::SpaceUse;

use crate::page::PAGE_SIZE_MAX;
use crate::{Damage, Error, PageId, Result, TxnId};
use entry::{Bucket, Chain, Entry};
use inline::Inline;
use record::Limits;

/// Inline capacities: what the largest pages of this build have room for.
const CAPACITY: Limits = Limits::new(PAGE_SIZE_MAX);
const RESERVE_MAX: usize = CAPACITY.reserve;
const READY_MAX: usize = CAPACITY.ready;
const PINNED_MAX: usize = CAPACITY.pinned;
const BUCKETS_MAX: usize = CAPACITY.buckets;

/// Pages by use.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct SpaceStats {
    /// Reusable pages.
    pub(crate) free_pages: u32,
    /// Freed pages that a pinned state may see, or that were not looked at since.
    pub(crate) pinned_pages: u32,
    /// Pages of the space structures.
    pub(crate) space_pages: u32,
}

/// Which pages are free or freed in one state. Plain data without heap, copied with the state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Space {
    /// Pages of the file in this state, metas included.
    pub(crate) page_count: u32,
    bitmap: PageId,
    height: u8,
    /// The running transaction has freed many pages of its own: only what is known to be older is
    /// reused until it ends.
    closing: bool,
    /// A change of the structures broke off in the middle, for want of a page: this state is not to be
    /// committed.
    broken: bool,
    /// The first so many pages of `ready` may be reused now.
    claimable: usize,
    /// Claims of pages, and of runs, that grow the file at once, since a search found nothing.
    dry: u32,
    dry_runs: u32,
    /// Searches of the running transaction that may still pass before it gathers.
    ungathered: u8,
    /// A page that was in use when [`trim`](Space::trim) looked from the end, and is still: no later page is worth
    /// another look till this one is free. 0 = not known.
    last_used: u32,
    stats: SpaceStats,
    /// Pages from this birth on were born in the running transaction.
    started: TxnId,
    /// The state that the running transaction builds on.
    base: TxnId,
    fresh: Chain,
    walking: Chain,
    ended: Chain,
    reserve: Inline<u32, RESERVE_MAX>,
    ready: Inline<u32, READY_MAX>,
    pinned: Inline<Entry, PINNED_MAX>,
    buckets: Inline<Bucket, BUCKETS_MAX>,
}

impl Space {
    /// A store of `page_count` pages, none of them free.
    pub(crate) const fn new(page_count: u32) -> Space {
        let nothing = Entry { page: PageId::NONE, pages: 0, birth: TxnId(0), freed_at: TxnId(0) };
        Space {
            page_count,
            bitmap: PageId::NONE,
            height: 0,
            closing: false,
            broken: false,
            claimable: 0,
            dry: 0,
            dry_runs: 0,
            ungathered: 0,
            last_used: 0,
            stats: SpaceStats { free_pages: 0, pinned_pages: 0, space_pages: 0 },
            started: TxnId(0),
            base: TxnId(0),
            fresh: Chain::EMPTY,
            walking: Chain::EMPTY,
            ended: Chain::EMPTY,
            reserve: Inline::new(0),
            ready: Inline::new(0),
            pinned: Inline::new(nothing),
            buckets: Inline::new(Bucket { tag: TxnId(0), chain: Chain::EMPTY }),
        }
    }

    /// Pages by use. O(1).
    pub(crate) fn stats(&self) -> SpaceStats {
        self.stats
    }

    /// Whether a change of the structures broke off in the middle.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Refuses pages that this state does not have, or that are metas.
    fn check_range(&self, first: PageId, pages: u32) -> Result<()> {
        let end = first.0.checked_add(pages);
        if first.0 >= 2 && pages > 0 && end.is_some_and(|end| end <= self.page_count) {
            Ok(())
        } else {
            Err(Error::corrupt(first, Damage::OutOfRange))
        }
    }
}
