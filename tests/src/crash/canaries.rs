//! Bugs that the campaign must find, each by itself.
//!
//! Not among them: *recover over a living reader's pages*. In format and code of v0.1 the slots of
//! readers lie in the memory of the process that opens the store, and recovery comes before the first
//! of them can be taken. Readers in another process are kept apart by the file's lock:
//! `tests/tests/living_reader.rs` plants its loss.

use super::{
    Breadth, Failure, History, Kinds, Search, Setup, meta_torn_twice, torn_meta_comes_back,
};
use crate::sim::{Dice, Lie};
use mapleaf_pager::planted::Bug;
use std::time::{Duration, Instant};

/// A planted bug.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Canary {
    /// Below the store: what a wrapper around the mapping can do.
    Below(Lie),
    /// In the store: `pager/src/planted.rs`.
    Within(Bug),
}

/// All of them, each with histories that meet it (random ones follow).
pub const CANARIES: [(Canary, &[&str]); 24] = [
    (Canary::Below(Lie::NoPageFlush), &["s1c0"]),
    (Canary::Below(Lie::NoBlockFlush), &["s1s2"]),
    (Canary::Below(Lie::MetaFirst), &["s1c0"]),
    // Reopened, killed and read: crashes of shorter ones do not meet it since leaves of fingerprints.
    (Canary::Within(Bug::EarlyReuse), &["r3e8e7k8r3e5v1d9k6E3r6D3k4a0k0e6"]),
    (Canary::Within(Bug::ReuseInProgress), &["S1c0S2c0S3c0E1b0e1", "S1b1S2b2S3b3S1b0"]),
    (Canary::Within(Bug::NoEpochMeta), &["s1s2"]),
    (Canary::Within(Bug::NoConfirm), &["s1c0s1s2"]),
    // Two crashes that must meet: looked for by itself.
    (Canary::Within(Bug::TornMetaKept), &[]),
    (Canary::Within(Bug::PublishedEarly), &["v2"]),
    // Whoever makes the barrier: the last of the group, a `sync`.
    (Canary::Within(Bug::SyncedEarly), &["g0", "g2"]),
    // Thrice around the ring: the first fills leaves of fingerprints, which makes it a checkpoint.
    (Canary::Within(Bug::AnyPredecessor), &["F1F2F3c0E1E2E3E4E5"]),
    (Canary::Within(Bug::LogHole), &["e1s2", "E1E2s3"]),
    (Canary::Within(Bug::NoPadding), &["s1s2s3"]),
    (Canary::Within(Bug::WrongSlot), &["s1c0"]),
    (Canary::Within(Bug::NoPageChecksum), &["s1c0"]),
    (Canary::Within(Bug::NoMetaChecksum), &["s1c0s2c0"]),
    (Canary::Within(Bug::NoBlockChecksum), &["E1s2"]),
    (Canary::Within(Bug::ReaderOverlooked), &["S1S2c0S3c0r0S1c0S2c0S3c0S1c0S2c0"]),
    (Canary::Within(Bug::PageLeaked), &["s1s2"]),
    (Canary::Within(Bug::HeldNotPublished), &["s1c0"]),
    // Not a crash: a publication that fails in the middle of a value. Looked for by faults.
    (Canary::Within(Bug::RunHeld), &["l0l2l4l6l8l0l2l4c0"]),
    // The same: a flush that fails.
    (Canary::Within(Bug::NotPoisoned), &["s1c0s2"]),
    (Canary::Within(Bug::FailureMisnamed), &["s1c0s2"]),
    (Canary::Within(Bug::SplitOffByOne), &["S1S2S3S4", "F1F2"]),
];

/// How a canary fared.
#[derive(Debug)]
pub struct Fate {
    /// Which.
    pub canary: Canary,
    /// What found it; `None`: nothing did.
    pub found: Option<Failure>,
    /// How long that took.
    pub took: Duration,
}

/// Random histories behind a canary's own.
const RANDOM: u64 = 20;
/// Steps of each.
const STEPS: usize = 16;
/// A canary that is not found by then is not found.
const TIME_MAX: Duration = Duration::from_secs(60);

/// Looks for a bug that has been planted; `lie` where it is one below the store.
#[must_use]
pub fn hunt(canary: Canary, histories: &[&str], seed: u64) -> Fate {
    let begun = Instant::now();
    let lie = if let Canary::Below(lie) = canary { lie } else { Lie::None };
    let own: Vec<History> = histories.iter().map(|text| text.parse().expect("a history")).collect();
    let random = |number| History::random(&mut Dice(seed + number), STEPS);
    let random: Vec<History> = (0..RANDOM).map(random).collect();
    // Most are found by a crash alone; some by one in the life after it.
    let passes = [
        (&own, Breadth::SHALLOW),
        (&own, Breadth::DEATHS),
        (&own, Breadth::QUICK),
        (&random, Breadth::SHALLOW),
    ];
    if canary == Canary::Within(Bug::TornMetaKept) {
        let twice = |views| meta_torn_twice(views).and_then(|()| torn_meta_comes_back(views));
        let what = [false, true].iter().find_map(|views| twice(*views).err());
        let (setup, history) = (Setup::small(false), History::default());
        let found = what.map(|what| Failure { setup, history, what });
        return Fate { canary, found, took: begun.elapsed() };
    }
    // One of them needs a value whose pages straddle what is published as one.
    let straddles = |setup: &Setup| setup.two_views && setup.page > 512;
    if let Canary::Within(bug @ (Bug::RunHeld | Bug::NotPoisoned | Bug::FailureMisnamed)) = canary {
        let found = pairs(&own)
            .filter(|(_, setup)| bug != Bug::RunHeld || straddles(setup))
            .find_map(|(history, setup)| {
                Search::new(setup, Breadth::FAULTS).faults(history, Kinds::Each).err()
            });
        return Fate { canary, found, took: begun.elapsed() };
    }
    for (histories, breadth) in passes {
        for (history, setup) in pairs(histories) {
            let mut search = Search::new(Setup { seed, ..setup }, Breadth { lie, ..breadth });
            if let Err(failure) = search.history(history) {
                return Fate { canary, found: Some(failure), took: begun.elapsed() };
            }
            if begun.elapsed() > TIME_MAX {
                break;
            }
        }
    }
    Fate { canary, found: None, took: begun.elapsed() }
}

/// Each history in each setup.
fn pairs(histories: &[History]) -> impl Iterator<Item = (&History, Setup)> {
    histories.iter().flat_map(|history| Setup::all().into_iter().map(move |setup| (history, setup)))
}

/// Plants each bug in turn, or those that `names` names, and looks for it. Only where bugs are compiled in.
#[cfg(mapleaf_planted)]
pub fn hunt_all(seed: u64, names: &[String], tell: &mut dyn FnMut(&Fate)) -> bool {
    let mut all = true;
    let named = |canary: &Canary| {
        let text = format!("{canary:?}");
        names.is_empty() || names.iter().any(|name| text.contains(name.as_str()))
    };
    for (canary, histories) in CANARIES.into_iter().filter(|(canary, _)| named(canary)) {
        let bug = if let Canary::Within(bug) = canary { Some(bug) } else { None };
        mapleaf_pager::planted::plant(bug);
        let fate = hunt(canary, histories, seed);
        mapleaf_pager::planted::plant(None);
        all &= fate.found.is_some();
        tell(&fate);
    }
    all
}
