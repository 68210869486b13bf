//! The simulated mapping: one view or two, and a tape of what reaches the medium.

mod contract;

use super::disk::{Change, Disk, Version, version};
use super::memory::Memory;
use mapleaf_pager::{Bytes, Error, PAGE_SIZE_MAX, Result};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard};

/// A call that can fail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Call {
    /// Of `Mapping::claim`.
    Claim,
    /// Of `Mapping::publish`, `hold` and `publish_held`.
    Publish,
    /// Of `Mapping::flush` and `publish_and_flush`.
    Flush,
    /// Of `Mapping::grow`.
    Grow,
    /// Of `Mapping::shrink`.
    Shrink,
}

/// All calls that can fail.
pub const CALLS: [Call; 5] = [Call::Claim, Call::Publish, Call::Flush, Call::Grow, Call::Shrink];

/// As what a call fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// There is no room: [`Error::Full`].
    Full,
    /// `EIO`.
    Io,
}

impl Kind {
    /// The error that shows it.
    #[must_use]
    pub const fn error(self) -> Error {
        match self {
            Kind::Full => Error::Full,
            Kind::Io => IO,
        }
    }
}

impl Call {
    /// As what it can fail.
    #[must_use]
    pub const fn kinds(self) -> &'static [Kind] {
        match self {
            Call::Claim | Call::Publish | Call::Grow => &[Kind::Full, Kind::Io],
            Call::Flush | Call::Shrink => &[Kind::Io],
        }
    }
}

/// Which calls fail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Faults {
    /// Of this kind,
    pub call: Call,
    /// from this one on (0 is the next),
    pub first: u64,
    /// and all later ones too,
    pub forever: bool,
    /// as this.
    pub kind: Kind,
}

/// What a planted bug makes of a barrier.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Lie {
    /// Nothing.
    #[default]
    None,
    /// The flush of the pages is forgotten.
    NoPageFlush,
    /// The flush of log blocks and metas is forgotten.
    NoBlockFlush,
    /// The pages are flushed behind the meta that names them.
    MetaFirst,
}

/// One entry of the tape.
#[derive(Clone, Debug)]
pub enum Moment<N> {
    /// Something happened to the medium.
    Change(Change),
    /// A unit is about to be read by whoever was lent it; where [loads are watched](SimMapping::watch_loads).
    Load(usize),
    /// Here a crash may come.
    Point,
    /// What the history has to say.
    Note(N),
}

/// A unit is claimed; it is held; it was published while readers may look at the twin.
const CLAIMED: u8 = 1;
const HELD: u8 = 2;
const RETIRED: u8 = 4;
/// What the twin holds where nobody may look.
const JUNK: u8 = 0xA5;
/// `EIO`.
const IO: Error = Error::Io { code: 5 };

struct Tape<N> {
    moments: Vec<Moment<N>>,
    newest: Vec<Version>,
}

struct Inner<N> {
    tape: Option<Tape<N>>,
    clock: u64,
    faults: Option<Faults>,
    failed: Option<Call>,
    lie: Lie,
    /// A flush that a lie puts off.
    put_off: Option<Vec<Range<usize>>>,
}

/// Called at the start of each flush, and half-way through a publication aside; told whether it is a flush of a
/// log block or a meta.
type Hook = Box<dyn FnMut(bool) + Send>;

struct Sim<N> {
    read: Memory,
    twin: Option<Memory>,
    unit: usize,
    len: AtomicU64,
    states: Box<[AtomicU8]>,
    in_twin: AtomicUsize,
    /// Units that were published and that readers referred to when it was last asked.
    kept: AtomicUsize,
    budget: usize,
    /// Whether loads are put on the tape.
    watched: AtomicBool,
    inner: Mutex<Inner<N>>,
    hook: Mutex<Option<Hook>>,
    /// Lets go of whoever waits in the hook.
    gate: Mutex<Option<Sender<()>>>,
}

/// The mapping. Clones are the same one, so that it can be looked at when its store is gone.
pub struct SimMapping<N>(Arc<Sim<N>>);

impl<N> Clone for SimMapping<N> {
    fn clone(&self) -> SimMapping<N> {
        SimMapping(self.0.clone())
    }
}

impl<N> SimMapping<N> {
    /// A mapping of at most `capacity` bytes over what the page cache holds. Above `budget` units in
    /// the twin it asks for a spill. Nothing is recorded.
    #[must_use]
    pub fn new(capacity: usize, unit: usize, two_views: bool, budget: usize) -> SimMapping<N> {
        let inner = Inner {
            tape: None,
            clock: 0,
            faults: None,
            failed: None,
            lie: Lie::None,
            put_off: None,
        };
        SimMapping(Arc::new(Sim {
            read: Memory::new(capacity),
            twin: two_views.then(|| Memory::new(capacity)),
            unit,
            len: AtomicU64::new(0),
            states: (0..capacity / unit).map(|_| AtomicU8::new(0)).collect(),
            in_twin: AtomicUsize::new(0),
            kept: AtomicUsize::new(0),
            budget,
            watched: AtomicBool::new(false),
            inner: Mutex::new(inner),
            hook: Mutex::new(None),
            gate: Mutex::new(None),
        }))
    }

    /// Fills the page cache.
    pub fn load<'v>(&self, units: impl Iterator<Item = &'v [u8]>) {
        let mut len = 0;
        for bytes in units {
            self.0.read.put(len, bytes);
            len += bytes.len();
        }
        self.0.len.store(len as u64, Ordering::Release);
    }

    /// Bytes of the page cache, as they are between two calls.
    #[must_use]
    pub fn cached(&self, range: &Bytes) -> Vec<u8> {
        self.0.read.bytes(range.start as usize..range.end as usize).to_vec()
    }

    /// Begins to record, over `disk`, whose newest versions the page cache holds.
    pub fn record(&self, disk: &Disk) {
        let mut inner = self.inner();
        inner.clock = disk.clock;
        let newest = disk.cells.iter().map(|cell| cell.newest().clone()).collect();
        inner.tape = Some(Tape { moments: Vec::new(), newest });
    }

    /// Puts on the tape, of stores opened from now on, each unit of what they lend. They ask for it as of a mapping
    /// that can lose pages, [`Mapping::guarded`](mapleaf_pager::Mapping::guarded): the questions are the store's
    /// own. For a value in a run it is all of the run, since all of it is lent.
    pub fn watch_loads(&self) {
        self.0.watched.store(true, Ordering::Relaxed);
    }

    /// What was recorded.
    #[must_use]
    pub fn tape(&self) -> Vec<Moment<N>> {
        self.inner().tape.take().map(|tape| tape.moments).unwrap_or_default()
    }

    /// How many moments were recorded.
    pub(crate) fn taped(&self) -> usize {
        self.inner().tape.as_ref().map_or(0, |tape| tape.moments.len())
    }

    /// Writes on the tape what the history has to say.
    pub fn note(&self, note: N) {
        let mut inner = self.inner();
        self.point(&mut inner);
        if let Some(tape) = &mut inner.tape {
            tape.moments.push(Moment::Note(note));
        }
    }

    /// Lets calls fail from now on.
    pub fn fail(&self, faults: Option<Faults>) {
        self.inner().faults = faults;
    }

    /// The last call that failed.
    #[must_use]
    pub fn failed(&self) -> Option<Call> {
        self.inner().failed
    }

    /// Plants a bug below the store.
    pub fn lie(&self, lie: Lie) {
        self.inner().lie = lie;
    }

    /// Called at the start of each flush, and half-way through a publication aside, but of those that are made
    /// meanwhile; told whether it is a flush of a log block or a meta.
    pub fn on_flush(&self, hook: Option<Hook>) {
        *self.0.hook.lock().expect("no panic while it is held") = hook;
    }

    /// Keeps what whoever waits in the hook waits for, until another thread waits for a checkpoint.
    pub fn keep_gate(&self, gate: Option<Sender<()>>) {
        *self.0.gate.lock().expect("no panic while it is held") = gate;
    }

    /// The process dies: what it claimed or held is gone.
    pub fn forget_views(&self) {
        self.0.states.iter().for_each(|state| state.store(0, Ordering::Relaxed));
        self.0.in_twin.store(0, Ordering::Relaxed);
        self.0.kept.store(0, Ordering::Relaxed);
    }

    fn inner(&self) -> MutexGuard<'_, Inner<N>> {
        self.0.inner.lock().expect("no panic while it is held")
    }

    fn bytes_now(&self) -> usize {
        self.0.len.load(Ordering::Acquire) as usize
    }

    fn units(&self, range: &Bytes) -> Range<usize> {
        range.start as usize / self.0.unit..(range.end as usize).div_ceil(self.0.unit)
    }

    fn bytes_of(&self, at: usize) -> Range<usize> {
        at * self.0.unit..(at + 1) * self.0.unit
    }

    /// Fails, where the call is to.
    fn may_fail(&self, inner: &mut Inner<N>, call: Call) -> Result<()> {
        let Some(faults) = inner.faults.as_mut().filter(|faults| faults.call == call) else {
            return Ok(());
        };
        let fails = faults.first == 0;
        faults.first = faults.first.saturating_sub(1);
        if !fails {
            return Ok(());
        }
        let error = faults.kind.error();
        inner.failed = Some(call);
        if !faults.forever {
            inner.faults = None;
        }
        Err(error)
    }

    /// Records what was stored since, and that a crash may come here.
    fn point(&self, inner: &mut Inner<N>) {
        let Some(tape) = &mut inner.tape else { return };
        if self.0.twin.is_none() {
            for (at, newest) in tape.newest.iter_mut().enumerate() {
                let bytes = self.0.read.bytes(self.bytes_of(at));
                if *bytes != *newest.bytes {
                    inner.clock += 1;
                    *newest = version(bytes);
                    let change = Change::Write(at, newest.clone(), inner.clock);
                    tape.moments.push(Moment::Change(change));
                }
            }
        }
        tape.moments.push(Moment::Point);
    }

    /// Makes the unit dirty as it is.
    fn soil(&self, inner: &mut Inner<N>, at: usize) {
        let Some(tape) = &mut inner.tape else { return };
        let bytes = self.0.read.bytes(self.bytes_of(at));
        let Some(newest) = tape.newest.get_mut(at) else { return };
        if *bytes != *newest.bytes {
            *newest = version(bytes);
        }
        inner.clock += 1;
        tape.moments.push(Moment::Change(Change::Write(at, newest.clone(), inner.clock)));
    }

    fn change(inner: &mut Inner<N>, change: Change) {
        if let Some(tape) = &mut inner.tape {
            tape.moments.push(Moment::Change(change));
        }
    }

    fn state(&self, at: usize) -> u8 {
        self.0.states.get(at).map_or(0, |state| state.load(Ordering::Relaxed))
    }

    fn set_state(&self, at: usize, to: u8) {
        let was = self.0.states[at].swap(to, Ordering::Relaxed);
        let busy = |state| usize::from(state & (CLAIMED | HELD) != 0);
        self.0.in_twin.fetch_add(busy(to), Ordering::Relaxed);
        self.0.in_twin.fetch_sub(busy(was), Ordering::Relaxed);
    }

    /// Units of `ranges` that are in one of `states`.
    fn in_states(&self, ranges: &[Bytes], states: u8) -> Vec<usize> {
        let units = ranges.iter().flat_map(|range| self.units(range));
        units.filter(|at| self.state(*at) & states != 0).collect()
    }

    /// How many units are in the state.
    fn count(&self, state: u8) -> usize {
        let units = 0..self.bytes_now() / self.0.unit;
        units.filter(|at| self.state(*at) & state != 0).count()
    }

    /// So many held units ask for a checkpoint.
    fn load_max(&self) -> usize {
        (self.0.budget / 2).clamp(1, usize::MAX / 3)
    }

    /// Publishes the first `most` units of `ranges` that are in one of `states`.
    fn publish_units(&self, inner: &mut Inner<N>, ranges: &[Bytes], states: u8, most: usize) {
        let Some(twin) = &self.0.twin else { return };
        let units = ranges.iter().flat_map(|range| self.units(range));
        let kept = if states == HELD { RETIRED } else { 0 };
        for at in units.filter(|at| self.state(*at) & states != 0).take(most) {
            self.point(inner);
            let bytes = self.bytes_of(at);
            self.0.read.put(bytes.start, twin.bytes(bytes));
            self.set_state(at, kept);
            self.soil(inner, at);
        }
    }

    fn publish_or_fail(&self, ranges: &[Bytes], states: u8) -> Result<()> {
        let mut inner = self.inner();
        self.point(&mut inner);
        if self.0.twin.is_none() {
            return Ok(());
        }
        let Err(error) = self.may_fail(&mut inner, Call::Publish) else {
            self.publish_units(&mut inner, ranges, states, usize::MAX);
            return Ok(());
        };
        let units = self.in_states(ranges, states);
        let part = if states == HELD { self.half_of_held(&units) } else { units.len() / 2 };
        self.publish_units(&mut inner, ranges, states, part);
        Err(error)
    }

    /// How many of these units are half of their stretches: what is held ceases to be so stretch by stretch, none
    /// of which goes beyond a block as large as the largest page.
    fn half_of_held(&self, units: &[usize]) -> usize {
        let block = (PAGE_SIZE_MAX / self.0.unit).max(1);
        let begins = |at: &usize| {
            *at == 0 || units[at - 1] + 1 != units[*at] || units[*at].is_multiple_of(block)
        };
        let starts: Vec<usize> = (0..units.len()).filter(begins).collect();
        starts.get(starts.len() / 2).copied().unwrap_or_default()
    }

    /// Others do what they do while a flush, or a publication, takes its time.
    fn meanwhile(&self, block: bool) {
        let hook = self.0.hook.lock().expect("no panic while it is held").take();
        if let Some(mut hook) = hook {
            hook(block);
            self.0.hook.lock().expect("no panic while it is held").get_or_insert(hook);
        }
    }

    fn barrier(&self, ranges: &[Bytes], block: bool) -> Result<()> {
        let began = {
            let mut inner = self.inner();
            self.point(&mut inner);
            inner.clock
        };
        self.meanwhile(block);
        let mut inner = self.inner();
        self.point(&mut inner);
        let units: Vec<_> = ranges.iter().map(|range| self.units(range)).collect();
        if let Err(error) = self.may_fail(&mut inner, Call::Flush) {
            Self::change(&mut inner, Change::Flushed(units, began, false));
            self.point(&mut inner);
            return Err(error);
        }
        match (inner.lie, block) {
            (Lie::NoPageFlush, false) | (Lie::NoBlockFlush, true) => {}
            (Lie::MetaFirst, false) => inner.put_off = Some(units),
            _ => Self::change(&mut inner, Change::Flushed(units, began, true)),
        }
        self.point(&mut inner);
        if let (true, Some(units)) = (block, inner.put_off.take()) {
            let clock = inner.clock;
            Self::change(&mut inner, Change::Flushed(units, clock, true));
        }
        Ok(())
    }
}
