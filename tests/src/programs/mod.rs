//! The model campaign: random programs over the whole of `mapleaf`, against maps of maps.
//!
//! A program has a database made somehow (in memory, in a mapped file in both
//! write modes, in a buffered file; pages of all sizes; logs of a few blocks) and steps. Each does what
//! it says to the database and to the oracle, and compares what both answer.
//!
//! Invariants checked:
//! - every call answers what the oracle answers, errors included, and a refused one changes nothing;
//! - a transaction sees its own changes; after a rollback, to a savepoint or of the whole, there is no
//!   trace of what was done; a commit leaves all of it;
//! - a snapshot shows the same whole state for as long as it is held, whatever is committed, freed,
//!   checkpointed or closed meanwhile, and a walk in it does too;
//! - a file that is closed, dropped, or left behind by a dying process opens with every commit, whether
//!   durable or not; the last checkpoint is some commit; salvage finds all, and repair nothing to do;
//! - `check` accounts for every page after each program, and counts what the oracle counts.
//!
//! One seed makes one program; a failing one is shrunk.

mod campaign;
mod compare;
mod data;
mod loading;
mod oracle;
mod planted;
mod session;
mod setup;
mod step;
mod txn;
mod walking;
mod world;
mod writing;

pub use campaign::{Campaign, Found, Outcome};
pub use planted::Planted;
pub use world::Figures;

use quickcheck::{Arbitrary, Gen};
use session::{End, session};
use setup::Setup;
use std::fmt;
use step::{Step, Theme};
use world::World;

/// Steps of a program, at most.
const STEPS_MAX: usize = 150;

/// A random program.
#[derive(Clone)]
pub struct Program {
    setup: Setup,
    steps: Vec<Step>,
}

impl Program {
    /// The program of a seed.
    #[must_use]
    pub fn of(seed: u64) -> Program {
        Program::arbitrary(&mut Gen::from_size_and_seed(STEPS_MAX, seed))
    }

    /// How many steps it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Whether it does nothing but make a database.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Runs it; panics where an invariant does not hold.
    pub(crate) fn run(&self, planted: Option<Planted>) -> Figures {
        let (mut world, mut db) = World::new(self.setup, planted);
        let mut steps = self.steps.iter();
        while session(&mut world, db, &mut steps) != End::Program {
            db = world.reopen();
        }
        if self.setup.is_file() {
            let db = world.reopen();
            world.check(&db);
        }
        world.end()
    }
}

impl Arbitrary for Program {
    fn arbitrary(g: &mut Gen) -> Program {
        let (setup, theme) = (Setup::arbitrary(g), Theme::arbitrary(g));
        let count = usize::arbitrary(g) % (g.size() + 1);
        Program { setup, steps: (0..count).map(|_| Step::random(theme, g)).collect() }
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Program>> {
        // First the steps, of which most are of no use; then how the database is made.
        let shrunk = (self.steps.clone(), self.setup).shrink();
        Box::new(shrunk.map(|(steps, setup)| Program { setup, steps }))
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:?}", self.setup)?;
        for (i, step) in self.steps.iter().enumerate() {
            writeln!(f, "{:4}  {step:?}", i + 1)?;
        }
        Ok(())
    }
}
