//! Pages and metas without a store around them: what salvage reads a damaged file with, and `inspect` any.
//!
//! Nothing here looks further than the bytes it is given, so that a caller may read them one page at a
//! time, from wherever it likes. What is checked is what a page can prove by itself: its checksum, which
//! holds its number.

use crate::checkpoint::EPOCH_GAP;
use crate::log::{Block, Chain, RedoLog, hashing_budget, search};
use crate::meta::{self, Identity, State};
use crate::pages::Root;
use crate::space::{Space, SpaceUse};
use crate::verify::verify_bytes;
use crate::view::{birth_of, kind_of, run_bytes, run_len_of, run_pages_of};
use crate::{Field, PageId, PageUse, Result, TxnId, explain};
use core::ops::Range;

/// Bytes of the longest meta: what [`LooseMeta::read`] is best given.
pub const META_BYTES_MAX: usize = 4096;

/// A whole meta.
#[derive(Clone, Debug)]
pub struct LooseMeta {
    identity: Identity,
    state: State,
    space: Option<Space>,
}

impl LooseMeta {
    /// The meta of slot `slot` (0 or 1) at the start of `bytes`; `None` where there is no whole one.
    ///
    /// # Errors
    /// [`Unsupported`](crate::Error::Unsupported): whole, but of another version.
    pub fn read(bytes: &[u8], slot: u8) -> Result<Option<LooseMeta>> {
        let Some(shift) = meta::valid_shift(bytes, slot) else { return Ok(None) };
        let record = bytes.get(..meta::record_len(1 << shift)).unwrap_or(bytes);
        let (identity, state, space) = meta::decode(record)?;
        let space = space.ok().map(|()| state.space);
        Ok(Some(LooseMeta { identity, state, space }))
    }

    /// Page size in bytes.
    #[must_use]
    pub fn page_size(&self) -> usize {
        1 << self.identity.page_shift
    }

    /// The transaction that made the state.
    #[must_use]
    pub fn txn(&self) -> TxnId {
        self.state.txn
    }

    /// Pages of the state, metas included.
    #[must_use]
    pub fn page_count(&self) -> u32 {
        self.state.space.page_count
    }

    /// The tree layer's root data.
    #[must_use]
    pub fn root(&self) -> &Root {
        &self.state.root
    }

    /// First page of the log, and its pages; 0 where there is none.
    #[must_use]
    pub fn log(&self) -> (PageId, u32) {
        (self.state.log.start, self.state.log.pages)
    }

    /// Whether the store was closed cleanly: there is nothing behind the state in the log.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.identity.clean
    }

    /// What the log, whose bytes are `ring`, holds behind the state.
    #[must_use]
    pub fn redo<'r>(&self, ring: &'r [u8]) -> RedoLog<'r> {
        RedoLog { chain: self.chain(ring), records: &[], blocks: 0 }
    }

    /// What the log, whose bytes are `ring`, holds of the opening behind that, where its own meta is lost. That has
    /// a number and a salt of its own, and else nothing that the state and the log behind it do not have; so what
    /// it says of the log can be found in its first block.
    #[must_use]
    pub fn redo_of_lost_opening<'r>(&self, ring: &'r [u8]) -> Option<RedoLog<'r>> {
        let mut chain = self.chain(ring);
        while !self.is_clean() && chain.next().is_some() {}
        let own = TxnId(chain.txn().0.checked_add(EPOCH_GAP)?);
        let first = |block: &Block| block.is_first_behind(own);
        let (position, salt) = search(ring, &mut hashing_budget(ring), &|_| true, &first)?;
        let chain = Chain::new(ring, salt, position, 0, own);
        Some(RedoLog { chain, records: &[], blocks: 0 })
    }

    /// Whether the log shows that acknowledged transactions are missing from it: behind the state, or behind
    /// what a [lost opening](LooseMeta::redo_of_lost_opening) left.
    #[must_use]
    pub fn has_log_gap(&self, ring: &[u8]) -> bool {
        let lost = self.redo_of_lost_opening(ring);
        let mut chain = lost.map_or_else(|| self.chain(ring), |log| log.chain);
        while chain.next().is_some() {}
        chain.nothing_durable_behind().is_err()
    }

    fn chain<'r>(&self, ring: &'r [u8]) -> Chain<'r> {
        let log = &self.state.log;
        Chain::new(ring, log.salt, log.position, log.last_checksum, self.state.txn)
    }

    /// Calls `with` for stretches of pages that the state does not use: free ones, and freed ones that
    /// older states may see. True where that is all of them, false where damage hides some.
    ///
    /// `read` reads a page and verifies it (false: it is damaged); `page` is a page long. Reads each
    /// page of the space once, the bitmap's inner ones once a child.
    pub fn unused(
        &self,
        page: &mut [u8],
        read: &mut dyn FnMut(PageId, &mut [u8]) -> bool,
        with: &mut dyn FnMut(PageId, u32),
    ) -> bool {
        self.uses(page, read, &mut |first, pages, used| {
            if used != PageUse::Space {
                with(first, pages);
            }
        })
    }

    /// As [`unused`](LooseMeta::unused), with what each stretch is: [`Free`](PageUse::Free),
    /// [`Pinned`](PageUse::Pinned), or a page of the [`Space`](PageUse::Space) itself.
    pub fn uses(
        &self,
        page: &mut [u8],
        read: &mut dyn FnMut(PageId, &mut [u8]) -> bool,
        with: &mut dyn FnMut(PageId, u32, PageUse),
    ) -> bool {
        let fits = page.len() == self.page_size();
        let mut with = |first, pages, used| {
            let used = match used {
                SpaceUse::Space => PageUse::Space,
                SpaceUse::Free => PageUse::Free,
                SpaceUse::Pinned => PageUse::Pinned,
            };
            with(first, pages, used);
        };
        self.space.as_ref().is_some_and(|space| fits && space.survey(page, read, &mut with))
    }

    /// Names the fields of the bytes `window` of the log, whose bytes are `ring`: whole blocks, current
    /// or old, as far as they lie in the window. Offsets count from its start. Hashes each block of the
    /// ring once.
    pub fn explain_log<'r>(
        &self,
        ring: &'r [u8],
        window: Range<usize>,
        with: &mut dyn FnMut(Field<'r>),
    ) {
        explain::log(ring, self.state.log.salt, window, with);
    }
}

/// What the header of a page says; by itself it proves nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct LoosePage {
    /// The page's [`kind`](crate::kind).
    pub kind: u8,
    /// The transaction that claimed it.
    pub birth: TxnId,
    /// Pages of a run.
    pub run_pages: u32,
    /// Length in bytes of a run's value.
    pub run_bytes: u64,
}

impl LoosePage {
    /// The header at the start of `bytes`, which are 32 at least.
    #[must_use]
    pub fn read(bytes: &[u8]) -> LoosePage {
        LoosePage {
            kind: kind_of(bytes),
            birth: birth_of(bytes),
            run_pages: run_pages_of(bytes),
            run_bytes: run_len_of(bytes),
        }
    }
}

/// Bytes from the start of a run to its value's end, as its first page says, in a file of `page_count`
/// pages.
///
/// # Errors
/// [`Corrupt`](crate::Error::Corrupt): not a run, or one that leaves the file or its own pages.
pub fn run_extent(id: PageId, first: &[u8], page_count: u32) -> Result<usize> {
    run_bytes(id, first, first.len(), page_count)
}

/// Verifies the checksum of a page, or of a run up to its value's end.
///
/// # Errors
/// [`Corrupt`](crate::Error::Corrupt).
pub fn verify_sealed(id: PageId, bytes: &[u8]) -> Result<()> {
    verify_bytes(id, bytes)
}
