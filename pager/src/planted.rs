//! Bugs to plant, one at a time, so that a test can show that it would find them.
//!
//! Every build but one with `--cfg mapleaf_planted` (`cargo xtask canaries`) has none: there
//! [`is`] is `false` when it is compiled, and what depends on it is gone.

/// A bug that the crash campaign must find.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Bug {
    /// Pages of the durable checkpoint are reused before the next one is durable.
    EarlyReuse = 1,
    /// Pages of a checkpoint in progress are reused.
    ReuseInProgress,
    /// The first meta of an opening is not made durable.
    NoEpochMeta,
    /// The chosen meta is not stored again at an opening.
    NoConfirm,
    /// A torn newer meta stays in its slot while the log is replayed.
    TornMetaKept,
    /// Readers see an unlogged commit before its meta is durable.
    PublishedEarly,
    /// What a flush of the log is about to make durable is said to be.
    SyncedEarly,
    /// A block is taken for the next one whatever it follows.
    AnyPredecessor,
    /// `Sync` flushes its own block, and not those before it.
    LogHole,
    /// A flushed unit of the log is written again.
    NoPadding,
    /// A checkpoint stores its meta over the durable one.
    WrongSlot,
    /// Pages are committed without their checksum.
    NoPageChecksum,
    /// A meta is taken for whole without a look at its checksum.
    NoMetaChecksum,
    /// A log block is taken for whole without a look at its checksum.
    NoBlockChecksum,
    /// A live reader's slot is overlooked.
    ReaderOverlooked,
    /// A freed page is forgotten.
    PageLeaked,
    /// A checkpoint does not publish what is held.
    HeldNotPublished,
    /// The last run of a commit is held with its pages, and published in more than one piece.
    RunHeld,
    /// A failed flush does not poison the store.
    NotPoisoned,
    /// A failed flush is told as a full medium.
    FailureMisnamed,
    /// The right half of a split leaf begins one entry too late.
    SplitOffByOne,
}

#[cfg(mapleaf_planted)]
static PLANTED: core::sync::atomic::AtomicU32 = core::sync::atomic::AtomicU32::new(0);

/// Plants a bug, in place of the one before.
#[cfg(mapleaf_planted)]
pub fn plant(bug: Option<Bug>) {
    PLANTED.store(bug.map_or(0, |bug| bug as u32), core::sync::atomic::Ordering::SeqCst);
}

/// Whether this bug is planted.
#[cfg(mapleaf_planted)]
#[must_use]
pub fn is(bug: Bug) -> bool {
    PLANTED.load(core::sync::atomic::Ordering::Relaxed) == bug as u32
}

/// Whether this bug is planted: never.
#[cfg(not(mapleaf_planted))]
#[inline(always)]
#[must_use]
pub const fn is(_bug: Bug) -> bool {
    false
}
