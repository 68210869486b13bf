//! One life: from what a crash has left, through the steps of a history.

use super::met::{Met, Watch};
use super::model::{Model, found};
use super::verify::{SimStore, WORK_BYTES, newest, words};
use super::{History, Setup, Step};
use crate::sim::{Call, Disk, Faults, Lie, Moment, SimMapping};
use mapleaf_btree::{Error, Replayer};
use mapleaf_pager::{Error as PagerError, Pages, Snapshot, Store};
use std::sync::Arc;

/// What may be found after a crash: hashes of states.
#[derive(Clone, Debug)]
pub struct Expect {
    /// After a power loss.
    pub power: Arc<[u64]>,
    /// After the death of the process.
    pub death: Arc<[u64]>,
}

/// What a crash has left, and what may be found on it.
#[derive(Clone, Debug)]
pub struct Left {
    /// The medium and the page cache.
    pub disk: Disk,
    /// States that a power loss may take the store back to, oldest first; the last is the newest commit.
    pub possible: Vec<Arc<Model>>,
    /// A commit that was on its way.
    pub attempted: Option<Arc<Model>>,
}

/// What a life was.
#[derive(Debug)]
pub struct Lived {
    /// What reached the medium, and what might be found after each moment.
    pub tape: Vec<Moment<Expect>>,
    /// All states that there were.
    pub models: Vec<Arc<Model>>,
    /// What failed first, and as what that showed, if it did.
    pub failed: Option<(Call, Option<Error>)>,
    /// What it left.
    pub possible: Vec<Arc<Model>>,
    /// The commit that failed.
    pub attempted: Option<Arc<Model>>,
    /// What happened in it.
    pub met: Met,
    /// Where on the tape its last step begins, with the opening before it.
    pub last: usize,
}

/// Why a step did not go through.
#[derive(Debug)]
pub(super) enum Stop {
    /// The store said so.
    Error(Error),
    /// What must not be.
    Wrong(String),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Stop {
        Stop::Error(error)
    }
}

impl From<mapleaf_pager::Error> for Stop {
    fn from(error: mapleaf_pager::Error) -> Stop {
        Stop::Error(error.into())
    }
}

pub(super) type Stopped<T = ()> = Result<T, Stop>;

/// A life that goes on.
pub(super) struct Life<'c> {
    pub(super) setup: &'c Setup,
    pub(super) mapping: SimMapping<Expect>,
    pub(super) possible: Vec<Arc<Model>>,
    pub(super) attempted: Option<Arc<Model>>,
    models: Vec<Arc<Model>>,
    /// The first error that a fault has brought about.
    error: Option<Error>,
    last: Option<usize>,
    /// Tells one value from the next.
    pub(super) fill: u64,
    pub(super) watch: Watch,
}

/// Lives through a history. `Err`: something that must not be.
///
/// # Errors
/// What was wrong, in words.
pub(super) fn live(
    setup: &Setup,
    left: &Left,
    history: &History,
    lie: Lie,
    faults: Option<Faults>,
) -> Result<Lived, String> {
    let mapping = SimMapping::new(setup.capacity(), setup.unit, setup.two_views, setup.budget);
    mapping.load(left.disk.cells.iter().map(|cell| &*cell.newest().bytes));
    mapping.record(&left.disk);
    mapping.lie(lie);
    mapping.fail(faults);
    let mut life = Life {
        setup,
        mapping,
        possible: left.possible.clone(),
        attempted: left.attempted.clone(),
        models: left.possible.iter().chain(&left.attempted).cloned().collect(),
        error: None,
        last: None,
        fill: left.disk.clock,
        watch: Watch::default(),
    };
    life.note();
    match life.through(&history.0) {
        Ok(()) => {}
        Err(Stop::Error(error)) => return Err(format!("an error without a fault: {error}")),
        Err(Stop::Wrong(what)) => return Err(what),
    }
    life.note();
    let Life { mapping, possible, attempted, models, error, watch, last, .. } = life;
    let failed = mapping.failed().map(|call| (call, error));
    let (tape, last) = (mapping.tape(), last.unwrap_or(0));
    Ok(Lived { tape, models, failed, possible, attempted, met: watch.met, last })
}

impl Life<'_> {
    /// Writes on the tape what may be found from here on.
    pub(super) fn note(&self) {
        let tried = self.attempted.iter().map(|model| model.hash);
        let power = self.possible.iter().map(|model| model.hash).chain(tried.clone()).collect();
        let death = self.newest().into_iter().map(|model| model.hash).chain(tried).collect();
        self.mapping.note(Expect { power, death });
    }

    pub(super) fn newest(&self) -> Option<&Arc<Model>> {
        self.possible.last()
    }

    /// A copy of the newest state, to be changed.
    pub(super) fn draft(&self) -> Model {
        self.newest().map(|model| Model::clone(model)).unwrap_or_default()
    }

    pub(super) fn attempt(&mut self, model: Model) {
        let model = Arc::new(model);
        self.models.push(model.clone());
        self.attempted = Some(model);
        self.note();
    }

    /// The commit in flight was acknowledged.
    pub(super) fn committed(&mut self, durable: bool) {
        self.possible.extend(self.attempted.take());
        if durable {
            self.all_durable();
        }
        self.note();
    }

    /// Everything committed survives from here on.
    pub(super) fn all_durable(&mut self) {
        let older = self.possible.len().saturating_sub(1);
        self.possible.drain(..older);
        self.note();
    }

    fn through(&mut self, steps: &[Step]) -> Stopped {
        let (mut rest, mut opened) = (steps, 2);
        loop {
            self.left(rest.len());
            match self.open() {
                Ok(store) => rest = self.era(&store, rest)?,
                // Once more, in the same boot; and no more where that fails for ever.
                Err(Stop::Error(error)) if self.mapping.failed().is_some() => {
                    self.error.get_or_insert(error);
                    opened -= 1;
                }
                Err(stop) => return Err(stop),
            }
            self.mapping.forget_views();
            if rest.is_empty() || opened == 0 {
                return Ok(());
            }
        }
    }

    /// So many steps are still to come.
    fn left(&mut self, steps: usize) {
        if steps == 1 && self.last.is_none() {
            self.last = Some(self.mapping.taped());
        }
    }

    fn open(&mut self) -> Stopped<SimStore> {
        let mut work = [0; WORK_BYTES];
        let mapping = self.mapping.clone();
        let options = self.setup.options();
        let opened =
            Store::open_proven(mapping, words(), &options, &mut Replayer::new(), &mut work);
        let store = opened?;
        let held = newest(&store).map_err(Stop::Wrong)?;
        let is = |model: &&Arc<Model>| model.hash == held;
        let Some(model) = self.attempted.iter().chain(self.newest()).find(is).cloned() else {
            return Err(Stop::Wrong("opens as something else than the newest state".into()));
        };
        if self.attempted.take().is_some_and(|tried| tried.hash == held) {
            self.possible.push(model);
        }
        if store.stats().replayed_blocks > 0 {
            self.all_durable();
        }
        self.note();
        self.watch_opened(&store);
        Ok(store)
    }

    /// One opening: the steps up to the next closing or death; what is left of them.
    fn era<'h>(&mut self, store: &SimStore, steps: &'h [Step]) -> Stopped<&'h [Step]> {
        let mut readers = std::collections::VecDeque::new();
        for (at, step) in steps.iter().enumerate() {
            self.left(steps.len() - at);
            let oldest =
                readers.front().map(|(snapshot, _): &(Snapshot<'_>, u64)| snapshot.txn().0);
            let before = store.stats().checkpoints;
            match step.letter {
                b'k' => return Ok(&steps[at + 1..]),
                b'x' => {
                    drop(std::mem::take(&mut readers));
                    match store.close() {
                        Err(error) if self.mapping.failed().is_some() => {
                            self.after_fault(store, error.into())?;
                        }
                        // What was closed, and not written to since, is left as it is.
                        Ok(()) if store.stats().checkpoints == before => {}
                        closed => {
                            closed?;
                            self.all_durable();
                        }
                    }
                    self.watch_step(store, None, before);
                    return Ok(&steps[at + 1..]);
                }
                b'r' if readers.len() > usize::from(step.digit % 3) => drop(readers.pop_front()),
                b'r' => readers.push_back((store.begin_read(0)?, self.draft().hash)),
                _ => match self.step(store, *step) {
                    Err(Stop::Error(error)) if self.mapping.failed().is_some() => {
                        if self.after_fault(store, error)? {
                            return Ok(&[]);
                        }
                    }
                    stepped => stepped?,
                },
            }
            self.watch_step(store, oldest, before);
            if newest(store).map_err(Stop::Wrong)? != self.draft().hash {
                return Err(Stop::Wrong(format!("step {at} shows something else")));
            }
            for (snapshot, hash) in &readers {
                if found(snapshot).ok() != Some(*hash) {
                    let txn = snapshot.txn();
                    return Err(Stop::Wrong(format!("the reader of {txn} sees something else")));
                }
            }
        }
        Ok(&[])
    }

    /// A step did not go through, because of a fault; whether the store has had its day.
    fn after_fault(&mut self, store: &SimStore, error: Error) -> Stopped<bool> {
        self.error.get_or_insert(error);
        if newest(store).map_err(Stop::Wrong)? != self.draft().hash {
            return Err(Stop::Wrong("what failed is seen".into()));
        }
        if self.mapping.failed() != Some(Call::Flush) {
            return Ok(false);
        }
        // Nothing more is acknowledged, whatever the mapping says now.
        let refused = [
            store.begin_write().err(),
            store.checkpoint().err(),
            store.sync().err(),
            store.close().err(),
        ];
        if refused.iter().any(|error| *error != Some(PagerError::Poisoned)) {
            return Err(Stop::Wrong(format!("after a failed flush: {refused:?}")));
        }
        Ok(true)
    }
}
