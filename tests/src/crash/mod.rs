//! Crashes at every point of a history, over the real tree layer and a medium that lies.
//!
//! Invariants checked, of every image that the medium may hold after a crash:
//! - it opens, and holds the last acknowledged commit or the one in flight; after `Eventual` commits,
//!   any prefix that holds everything that was synced; after the death of the process alone, the
//!   newest;
//! - every page is in use exactly once, every checksum is right, every key in its place;
//! - another commit goes through, and is there; a crash during it, or during the opening before it,
//!   is looked at in the same way, to the depth that the [`Breadth`] says;
//! - meanwhile snapshots show what they showed, and nothing that could yet be lost in an unlogged commit.
//!
//! A failure prints the command that replays it: `cargo xtask crash --replay SETUP:HISTORY`.

mod act;
mod after;
mod campaign;
mod canaries;
mod choices;
mod faults;
mod group;
mod life;
mod many;
mod met;
mod model;
mod search;
mod steps;
mod twice;
mod verify;

pub use after::{Calm, calm, open_image};
pub use campaign::{Campaign, FIXED, Which, replay};
#[cfg(mapleaf_planted)]
pub use canaries::hunt_all;
pub use canaries::{CANARIES, Canary, Fate, hunt};
pub use faults::{FaultReport, Kinds};
pub use life::{Expect, Left, Lived};
pub use met::{EVENTS, Event, Met};
pub use model::Model;
pub use search::{Report, Search};
pub use steps::{History, LETTERS, Step};
pub use twice::{meta_torn_twice, torn_meta_comes_back};

use crate::sim::Lie;
use mapleaf_pager::Options;
use std::fmt;

/// The store under test, and the kernel under it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Setup {
    /// Whether pages are built in a twin.
    pub two_views: bool,
    /// Bytes of a page.
    pub page: usize,
    /// Bytes of a write unit.
    pub unit: usize,
    /// Bytes of the first log ring; 0 for none.
    pub log: usize,
    /// Units in the twin above which a transaction spills.
    pub budget: usize,
    /// Chooses what is chosen at random.
    pub seed: u64,
}

/// Bytes that a store may grow to, in pages.
const CAPACITY_PAGES: usize = 512;

impl Setup {
    /// What most failures need: pages and units of 512 bytes, the smallest ring.
    #[must_use]
    pub const fn small(two_views: bool) -> Setup {
        Setup { two_views, page: 512, unit: 512, log: 4096, budget: usize::MAX, seed: 1 }
    }

    /// All setups of a campaign. A ring of one page of eight units moves when the store has 64 pages.
    #[must_use]
    pub fn all() -> Vec<Setup> {
        let mut all = Vec::new();
        for two_views in [false, true] {
            let small = Setup::small(two_views);
            all.push(small);
            all.push(Setup { log: 0, ..small });
            all.push(Setup { unit: 64, log: 512, ..small });
            all.push(Setup { page: 4096, log: 8 * 4096, unit: 4096, ..small });
            all.push(Setup { page: 4096, log: 8192, ..small });
        }
        all.push(Setup { budget: 6, ..Setup::small(true) });
        all
    }

    pub(crate) fn options(&self) -> Options {
        let log = self.log as u64;
        Options::default().page_size(self.page as u32).log_bytes(log, 8 * log)
    }

    pub(crate) fn capacity(&self) -> usize {
        CAPACITY_PAGES * self.page
    }
}

impl fmt::Display for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let views = 1 + u8::from(self.two_views);
        write!(f, "{views}:{}:{}:{}:", self.page, self.unit, self.log)?;
        let budget = if self.budget == usize::MAX { 0 } else { self.budget };
        write!(f, "{budget}:{}", self.seed)
    }
}

impl std::str::FromStr for Setup {
    type Err = String;

    fn from_str(text: &str) -> Result<Setup, String> {
        let numbers: Result<Vec<u64>, _> = text.split(':').map(str::parse).collect();
        match numbers.map_err(|error| error.to_string())?[..] {
            [views @ 1..=2, page, unit, log, budget, seed] => Ok(Setup {
                two_views: views == 2,
                page: page as usize,
                unit: unit as usize,
                log: log as usize,
                budget: if budget == 0 { usize::MAX } else { budget as usize },
                seed,
            }),
            _ => Err("a setup is VIEWS:PAGE:UNIT:LOG:BUDGET:SEED".into()),
        }
    }
}

/// How much of what may be on the medium is looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Breadth {
    /// So many choices at a crash are all made; of more, so many are drawn. By depth: in the history
    /// itself, in the life after its crash, in the one after that.
    pub choices: [usize; 3],
    /// One in so many images gets a life of its own, with crashes in it. By the depth of that life.
    pub lives: [usize; 2],
    /// A bug below the store.
    pub lie: Lie,
}

impl Breadth {
    /// As the issue asks: every subset while they are at most 2^12.
    pub const FULL: Breadth =
        Breadth { choices: [4096, 256, 64], lives: [256, 512], lie: Lie::None };
    /// Crashes in the history itself, and none after them.
    pub const SHALLOW: Breadth =
        Breadth { choices: [128, 0, 0], lives: [usize::MAX; 2], lie: Lie::None };
    /// Of lives with a fault in them.
    pub const FAULTS: Breadth = Breadth { choices: [0, 8, 0], ..Breadth::SHALLOW };
    /// Power losses in the life after each death of the process.
    pub const DEATHS: Breadth =
        Breadth { choices: [8, 128, 0], lives: [16, usize::MAX], lie: Lie::None };
    /// For CI.
    pub const QUICK: Breadth =
        Breadth { choices: [128, 24, 12], lives: [256, 512], lie: Lie::None };
}

impl Breadth {
    /// Of long histories, which have more crashes and more units that are dirty: less of each.
    #[must_use]
    pub const fn for_long(self) -> Breadth {
        let [choices, after, last] = self.choices;
        let [lives, more] = self.lives;
        let lives = [lives.saturating_mul(32), more.saturating_mul(8)];
        Breadth { choices: [choices / 4, after / 2, last / 2], lives, ..self }
    }
}

/// What a crash showed that must not be.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Which store, which kernel.
    pub setup: Setup,
    /// Which history.
    pub history: History,
    /// What was found.
    pub what: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Failure { setup, history, what } = self;
        write!(f, "{what}\nreplay: cargo xtask crash --replay {setup}:{history}")
    }
}
