//! Faults: every call of the mapping is made to fail in turn, once and then for ever.
//!
//! Invariants checked:
//! - a failed call shows as the error that it failed with: a flush as `Io` (and `Poisoned` from then on), a
//!   claim, a growth, a publication as `Full` or `Io`; or not at all, where a failure changes nothing (a cut; a
//!   claim for a record of the log, whose commit becomes a checkpoint; want of room for a larger ring, or to tidy);
//! - after a failed flush nothing more is acknowledged, and readers go on;
//! - after any other failure the transaction is rolled back and the store goes on, as soon as the calls
//!   succeed again;
//! - after each, whatever the medium may hold opens as a committed state that has all that was
//!   acknowledged; so does the page cache of the same boot, in which lost pages look clean, and power may
//!   be lost after that.

use super::life::{Left, Lived, live};
use super::search::Search;
use super::{Failure, History, Setup};
use crate::sim::{CALLS, Call, Faults, Kind, Lie};
use mapleaf_btree::Error;

/// What a fault campaign has looked at.
#[derive(Clone, Copy, Debug, Default)]
pub struct FaultReport {
    /// Lives with a fault in them.
    pub lives: u64,
    /// Of these, ended by an error.
    pub errors: u64,
    /// And by a failed flush.
    pub poisoned: u64,
    /// Went on beside it.
    pub unharmed: u64,
}

impl FaultReport {
    /// Adds what another has looked at.
    pub fn add(&mut self, other: &FaultReport) {
        self.lives += other.lives;
        self.errors += other.errors;
        self.poisoned += other.poisoned;
        self.unharmed += other.unharmed;
    }
}

/// Calls whose `EIO` may go unseen: a record that cannot be put into the log makes a checkpoint of its commit, which
/// is then durable all the same; a cut is a favour.
const MAY_HIDE: [Call; 2] = [Call::Claim, Call::Shrink];
/// The breadth of lives with faults: that of lives after a crash.
const DEPTH: usize = 1;
/// Steps of the next process.
const AGAIN: &str = "s7c0";
/// More calls of one kind than any history here makes.
const CALLS_MAX: u64 = 20_000;

/// As what each call fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kinds {
    /// As each error that it may.
    Each,
    /// As one of them, in turn.
    InTurn,
}

impl Kinds {
    /// The rounds, and the errors that take turns in each.
    fn of(self, call: Call) -> impl Iterator<Item = &'static [Kind]> {
        let kinds = call.kinds();
        kinds.chunks(if self == Kinds::Each { 1 } else { kinds.len() })
    }
}

impl Search {
    /// Makes each call of each kind fail in a life of `history`, until it passes, and looks at every
    /// crash of the life and of the one after.
    ///
    /// # Errors
    /// The first thing that must not be.
    pub fn faults(&mut self, history: &History, kinds: Kinds) -> Result<FaultReport, Failure> {
        let mut report = FaultReport::default();
        for (call, forever) in CALLS.iter().flat_map(|call| [(*call, false), (*call, true)]) {
            for kinds in kinds.of(call) {
                for first in 0..CALLS_MAX {
                    self.forget();
                    let kind = kinds[first as usize % kinds.len()];
                    let faults = Faults { call, first, forever, kind };
                    let met = self.fault(history, faults, &mut report).map_err(|what| Failure {
                        setup: self.setup,
                        history: history.clone(),
                        what: format!("with {faults:?}: {what}"),
                    })?;
                    if !met {
                        break;
                    }
                }
            }
        }
        Ok(report)
    }

    /// Whether the fault was met.
    fn fault(
        &mut self,
        history: &History,
        faults: Faults,
        report: &mut FaultReport,
    ) -> Result<bool, String> {
        let left = self.begin();
        let lived = live(&self.setup, &left, history, Lie::None, Some(faults))?;
        let Some((failed, shown)) = lived.failed else { return Ok(false) };
        report.lives += 1;
        match shown {
            None if faults.kind == Kind::Io && !MAY_HIDE.contains(&failed) => {
                return Err(format!("a failed {failed:?} went unseen"));
            }
            None => report.unharmed += 1,
            Some(error) if !fits(&self.setup, faults, error) => {
                return Err(format!("a failed {failed:?} shows as {error}"));
            }
            Some(_) => report.errors += 1,
        }
        report.poisoned += u64::from(failed == Call::Flush);
        self.learn(&lived.models);
        let disk = self.crashes(left.disk, &lived.tape, 0, DEPTH)?;
        // The process ends, and another opens what the page cache holds.
        let Lived { possible, attempted, .. } = lived;
        let left = Left { disk: disk.clone(), possible, attempted };
        let again = live(&self.setup, &left, &AGAIN.parse()?, Lie::None, None)
            .map_err(|what| format!("in the same boot: {what}"))?;
        self.learn(&again.models);
        let crashed = self.crashes(disk, &again.tape, 0, DEPTH);
        crashed.map(|_| true).map_err(|what| format!("in the same boot: {what}"))
    }
}

/// Whether an error is the one that the call failed with.
fn fits(setup: &Setup, faults: Faults, error: Error) -> bool {
    let shows = match faults.call {
        Call::Flush | Call::Claim | Call::Grow => true,
        Call::Publish => setup.two_views,
        Call::Shrink => false,
    };
    shows && error == Error::Pager(faults.kind.error())
}
