//! The opened store: a mapping, shared words, and what the writer and the checkpoint hold.

use crate::checkpoint::{Checkpointed, Haste, wait_for};
use crate::close::PackTrees;
use crate::mapping::Mapping;
use crate::meta::{Identity, State};
use crate::options::Options;
use crate::pins::Pins;
use crate::planted::{self, Bug};
use crate::running::Running;
use crate::shared::{Record, Shared};
use crate::tail::Ring;
use crate::verify::Touched;
use crate::view::View;
use crate::{Bytes, Error, PageId, Result, Snapshot, Stats, TxnId, WriteTxn};
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use spin::{Mutex, MutexGuard};

/// What the writer's turn protects.
pub(crate) struct Writer {
    pub(crate) run: Running,
    /// The state being built.
    pub(crate) state: State,
    /// Numbers below were given to a transaction or savepoint.
    pub(crate) next: TxnId,
}

/// The newest published state, and what is known about durability.
pub(crate) struct Latest {
    pub(crate) identity: Identity,
    pub(crate) state: State,
    /// The last durable checkpoint.
    pub(crate) durable: Checkpointed,
    /// The checkpoint being written out.
    pub(crate) in_progress: Option<TxnId>,
    /// The last checkpoint was made beside those who commit, by somebody who will make the next one too.
    pub(crate) aside: bool,
    /// The newest transaction known to survive power loss.
    pub(crate) synced: TxnId,
    /// Log blocks from here on (in bytes from the ring's start) await a flush.
    pub(crate) unflushed: Option<u64>,
    /// This opening has made a meta of its own durable.
    pub(crate) epoch_begun: bool,
    /// This opening has seen a flush of the durable meta succeed: it is not in the page cache only.
    pub(crate) confirmed: bool,
    /// Readers of later states find published what was held up to the last publication.
    pub(crate) held_till: TxnId,
    /// The state that the running write transaction builds on: it refers to pages of it as a reader does.
    pub(crate) writing_on: Option<TxnId>,
    /// The transaction that last lowered the page count.
    pub(crate) lowered_at: TxnId,
    /// Pages of the durable checkpoint that were freed since: they wait for the next one.
    pub(crate) freed_durable: u32,
    /// How many those were when the checkpoint in progress began.
    pub(crate) freed_at_start: u32,
    /// Pages born after the durable checkpoint that the one in progress reaches, freed since it began.
    pub(crate) freed_between: u32,
    /// The last transaction found readers of states older than the durable checkpoint.
    pub(crate) old_readers: bool,
}

#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) log_commits: AtomicU32,
    pub(crate) checkpoints: AtomicU32,
    pub(crate) spills: AtomicU32,
    pub(crate) replayed_blocks: AtomicU32,
}

/// All of a store that does not depend on its mapping's type.
pub(crate) struct Core {
    pub(crate) shift: u32,
    pub(crate) options: Options,
    pub(crate) writer: Mutex<Writer>,
    pub(crate) latest: Mutex<Latest>,
    /// The turn to write a meta; holds the state that is being made durable.
    pub(crate) turn: Mutex<State>,
    poisoned: AtomicU32,
    /// A transaction found no room. What waits for a checkpoint may be room for the next.
    pub(crate) starved: AtomicBool,
    /// A transaction waited for room in the log's ring.
    pub(crate) ring_short: AtomicBool,
    pub(crate) counters: Counters,
}

impl Core {
    // Always, and from references: it is built where it stays, not on a small machine's stack.
    #[inline(always)]
    pub(crate) fn new(options: &Options, identity: &Identity, state: &State, slot: u8) -> Core {
        let durable = Checkpointed { txn: state.txn, slot, position: state.log.position };
        Core {
            shift: identity.page_shift,
            options: *options,
            writer: Mutex::new(Writer {
                run: Running::new(),
                state: *state,
                next: state.txn.next(),
            }),
            latest: Mutex::new(Latest {
                identity: *identity,
                state: *state,
                durable,
                in_progress: None,
                aside: false,
                synced: state.txn,
                unflushed: None,
                epoch_begun: false,
                confirmed: false,
                held_till: state.txn,
                writing_on: None,
                lowered_at: TxnId(0),
                freed_durable: 0,
                freed_at_start: 0,
                freed_between: 0,
                old_readers: false,
            }),
            turn: Mutex::new(*state),
            poisoned: AtomicU32::new(0),
            starved: AtomicBool::new(false),
            ring_short: AtomicBool::new(false),
            counters: Counters::default(),
        }
    }

    /// Adds what checkpoints pin.
    pub(crate) fn add_checkpoint_pins(&self, pins: &mut Pins) {
        let latest = self.latest.lock();
        if !planted::is(Bug::EarlyReuse) {
            pins.add(latest.durable.txn);
        }
        if let Some(txn) = latest.in_progress.filter(|_| !planted::is(Bug::ReuseInProgress)) {
            pins.add(txn);
        }
    }

    /// # Errors
    /// `Poisoned` after a failed flush.
    pub(crate) fn healthy(&self) -> Result<()> {
        if self.poisoned.load(Ordering::Acquire) == 0 { Ok(()) } else { Err(Error::Poisoned) }
    }

    /// Passes a flush's result on; a failure ends all commits, those included whose own flush ended
    /// well after another one's failed.
    pub(crate) fn flushed(&self, result: Result<()>) -> Result<()> {
        if result.is_err() && !planted::is(Bug::NotPoisoned) {
            self.poisoned.store(1, Ordering::Release);
        }
        if result.is_err() && planted::is(Bug::FailureMisnamed) {
            return Err(Error::Full);
        }
        result.and_then(|()| self.healthy())
    }

    /// # Errors
    /// `ReadOnly`, `Poisoned`.
    pub(crate) fn writable(&self) -> Result<()> {
        if self.options.read_only { Err(Error::ReadOnly) } else { self.healthy() }
    }

    pub(crate) fn count(counter: &AtomicU32, by: u32) {
        counter.fetch_add(by, Ordering::Relaxed);
    }
}

/// The parts of a store, as its transactions need them.
#[derive(Clone, Copy)]
pub(crate) struct Parts<'s> {
    pub(crate) view: View<'s>,
    pub(crate) shared: Shared<'s>,
    pub(crate) core: &'s Core,
}

impl<'s> Parts<'s> {
    pub(crate) fn ring(&self, state: &State) -> Option<Ring<'s>> {
        Ring::new(self.view, &state.log)
    }

    /// All bytes but the metas and the log: where pages are. The second may be empty.
    pub(crate) fn page_ranges(&self, state: &State) -> [Bytes; 2] {
        let all = self.view.range(PageId(2), self.view.mapped_pages().saturating_sub(2));
        if state.log.pages == 0 {
            return [all.clone(), all.end..all.end];
        }
        let ring = self.view.range(state.log.start, state.log.pages);
        [all.start..ring.start, ring.end..all.end]
    }

    /// The turn to write a meta; waits for whoever has it.
    pub(crate) fn take_turn(&self) -> MutexGuard<'s, State> {
        wait_for(&self.core.turn, self.view.mapping())
    }
}

/// An opened store over a mapping. `Send + Sync`; one write transaction at a time, any number of
/// snapshots up to the slots in the shared words.
///
/// ```
/// use core::sync::atomic::AtomicU32;
/// use mapleaf_pager::{Options, Pages, SliceMapping, Store, words_for};
///
/// let mut ram = [0u8; 64 * 512];
/// let words: [AtomicU32; words_for(4)] = [const { AtomicU32::new(0) }; words_for(4)];
/// let options = Options::default().page_size(512).log_bytes(0, 0);
/// let store = Store::create(SliceMapping::empty(&mut ram), words, &options)?;
/// let mut txn = store.begin_write()?;
/// let page = txn.claim()?;
/// let ([], [bytes]) = txn.edit([], [page])?;
/// bytes[16..21].copy_from_slice(b"hello");
/// txn.commit(mapleaf_pager::Durability::Sync)?;
/// let snapshot = store.begin_read(0)?;
/// assert_eq!(&(&snapshot).page(page)?[16..21], b"hello");
/// # Ok::<(), mapleaf_pager::Error>(())
/// ```
pub struct Store<M, W> {
    mapping: M,
    words: W,
    core: Core,
}

impl<M: Mapping, W: AsRef<[AtomicU32]>> Store<M, W> {
    /// Puts a store together where it stays, from the meta in `slot`.
    // Of its own: what it needs of the stack is free again before anything else happens.
    #[inline(never)]
    pub(crate) fn assemble(
        place: &mut Option<Store<M, W>>,
        mapping: M,
        words: W,
        options: &Options,
        slot: u8,
        identity: &Identity,
        state: &State,
    ) -> Result<()> {
        let core = Core::new(options, identity, state, slot);
        let (slots, touched) = split_words(words.as_ref(), options);
        let shared = Shared::new(slots)?;
        shared.reset();
        // Whatever the words held before. Pages behind these are claimed before anybody reads them.
        touched.remove(PageId(0), View::new(&mapping, core.shift).mapped_pages());
        shared.publish(&record_of(state));
        *place = Some(Store { mapping, words, core });
        Ok(())
    }

    pub(crate) fn parts(&self) -> Parts<'_> {
        let (slots, touched) = split_words(self.words.as_ref(), &self.core.options);
        let view = View::new(&self.mapping, self.core.shift);
        let view = view.verifying(self.core.options.verify, touched);
        // `assemble` has made it once: the words are enough.
        let shared = Shared::of(slots);
        Parts { view, shared, core: &self.core }
    }

    /// The mapping.
    pub fn mapping(&self) -> &M {
        &self.mapping
    }

    /// Page size in bytes.
    #[must_use]
    pub fn page_size(&self) -> usize {
        1 << self.core.shift
    }

    /// UUID of the store, given when it was made.
    #[must_use]
    pub fn uuid(&self) -> [u8; 16] {
        self.core.latest.lock().identity.uuid
    }

    /// Pins the newest committed state. `hint` says where to look for a free slot first: a number
    /// that differs between threads keeps them on cache lines of their own.
    ///
    /// No system call, no lock, no allocation.
    ///
    /// # Errors
    /// [`ReadersFull`](Error::ReadersFull).
    pub fn begin_read(&self, hint: usize) -> Result<Snapshot<'_>> {
        self.parts().snapshot(hint)
    }

    /// Begins the write transaction. The first one of an opening writes two metas; one behind a transaction
    /// that found no room ([`Full`](Error::Full)) makes a checkpoint, for what has waited for it.
    ///
    /// # Errors
    /// [`WriterBusy`](Error::WriterBusy), [`ReadOnly`](Error::ReadOnly), [`Poisoned`](Error::Poisoned),
    /// [`Io`](Error::Io).
    pub fn begin_write(&self) -> Result<WriteTxn<'_>> {
        WriteTxn::begin(self.parts())
    }

    /// Makes everything committed so far survive power loss: flushes the log, or checkpoints where
    /// there is none or a write transaction is open.
    ///
    /// # Errors
    /// [`Poisoned`](Error::Poisoned), [`Io`](Error::Io).
    pub fn sync(&self) -> Result<TxnId> {
        self.parts().sync()
    }

    /// Writes the newest committed state out and makes it the one from which the store opens. May
    /// run beside a write transaction and readers. Two barriers.
    ///
    /// # Errors
    /// [`CheckpointBusy`](Error::CheckpointBusy): another one runs; [`Poisoned`](Error::Poisoned),
    /// [`ReadOnly`](Error::ReadOnly), [`Io`](Error::Io).
    pub fn checkpoint(&self) -> Result<TxnId> {
        let turn = self.core.turn.try_lock().ok_or(Error::CheckpointBusy)?;
        self.parts().checkpoint(turn, false)
    }

    /// As [`checkpoint`](Store::checkpoint), for a thread that makes checkpoints beside those who commit: what it
    /// writes out goes to the medium in parts, as long as no commit will wait for it, so that a commit's barrier
    /// waits for little more than its own block. Some ten milliseconds longer.
    ///
    /// # Errors
    /// As [`checkpoint`](Store::checkpoint).
    pub fn checkpoint_aside(&self) -> Result<TxnId> {
        let turn = self.core.turn.try_lock().ok_or(Error::CheckpointBusy)?;
        self.parts().checkpoint_in(turn, false, Haste::Aside)
    }

    /// Whether it is time for a checkpoint: the log is half full, or many pages wait for one.
    #[must_use]
    pub fn checkpoint_due(&self) -> bool {
        self.parts().checkpoint_due()
    }

    /// Checkpoints and marks the store as closed cleanly, so that the next opening reads two metas
    /// and nothing else. Dropping a store without it is safe, and costs the next opening a recovery.
    ///
    /// A store that was found closed, and not written to since, is left as it is: what the closing before
    /// promised holds. [`sync`](Store::sync) promises it anew.
    ///
    /// # Errors
    /// [`WriterBusy`](Error::WriterBusy); as [`checkpoint`](Store::checkpoint).
    pub fn close(&self) -> Result<()> {
        self.parts().close(Some(&mut ()))
    }

    /// As [`close`](Store::close); where much of the file is free, `trees` first moves pages at its end to the
    /// front, so that more of it can be cut.
    ///
    /// # Errors
    /// As [`close`](Store::close).
    pub fn close_packed(&self, trees: &mut dyn PackTrees) -> Result<()> {
        self.parts().close(Some(trees))
    }

    /// Whether the store does what it is there for: nothing that was read was lost (in a mapping that
    /// can tell, [`Mapping::guarded`]), and no flush failed. Asked *after* reading it vouches for what
    /// was read. No system call.
    ///
    /// # Errors
    /// [`Io`](Error::Io): bytes were lost; [`Poisoned`](Error::Poisoned).
    pub fn health(&self) -> Result<()> {
        self.mapping.health()?;
        self.core.healthy()
    }

    /// Figures of the store. No system call.
    #[must_use]
    pub fn stats(&self) -> Stats {
        crate::stats::of(self.parts())
    }

    /// Holds the newest committed state to compare the checksums of what is in use in it, beside readers
    /// and the writer. `hint` as for [`begin_read`](Store::begin_read).
    ///
    /// # Errors
    /// [`ReadersFull`](Error::ReadersFull).
    pub fn begin_scrub(&self, hint: usize) -> Result<crate::Scrub<'_>> {
        self.parts().scrub(hint)
    }

    /// Asks the mapping to drop what is in memory only to be read faster, so that the medium is read
    /// next; see [`Advice::Evict`](crate::Advice::Evict).
    pub fn evict(&self) {
        self.mapping.advise(0..self.mapping.len(), crate::Advice::Evict);
    }

    /// Lets the mapping do what makes the next transactions cheaper, beside readers and the writer: worth it
    /// after a checkpoint. See [`Mapping::tend`].
    pub fn tend(&self) {
        self.mapping.tend();
    }

    /// Has the mapping look at how it is used; whether to call this again. See [`Mapping::attend`].
    pub fn attend(&self, last: bool) -> bool {
        self.mapping.attend(last)
    }

    /// Which of the two slots hold a whole meta. One that is not was torn when a checkpoint was cut short, or is
    /// damaged; the next checkpoint, or the first change of an opening, stores it anew. Waits for a checkpoint in progress. Two pages are read.
    #[must_use]
    pub fn metas_whole(&self) -> [bool; 2] {
        self.parts().metas_whole()
    }

    /// Holds the writer's turn to look at a state that does not change meanwhile: for checks.
    ///
    /// # Errors
    /// [`WriterBusy`](Error::WriterBusy), [`ReadersFull`](Error::ReadersFull).
    pub fn inspect(&self) -> Result<crate::Inspection<'_>> {
        crate::Inspection::begin(self.parts())
    }
}

/// What readers need of a state.
pub(crate) fn record_of(state: &State) -> Record {
    Record { txn: state.txn, page_count: state.space.page_count, root: state.root }
}

/// The words for readers, and those for the pages whose checksum was compared.
fn split_words<'a>(words: &'a [AtomicU32], options: &Options) -> (&'a [AtomicU32], Touched<'a>) {
    let slots = words.len().saturating_sub(options.first_touch_words());
    let (slots, bits) = words.split_at_checked(slots).unwrap_or((words, &[]));
    (slots, Touched::new(bits))
}
