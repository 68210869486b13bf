//! What a database must hold, entry by entry.

use super::plan::{self, TREES};
use super::{Plan, State, state};
use crate::Result;
use mapleaf::Database;

/// Which commit wrote each entry last, and how many bytes.
#[derive(Clone)]
pub(crate) struct Model {
    plan: Plan,
    at: State,
    entries: Vec<Option<(State, usize)>>,
}

impl Model {
    /// The empty database's.
    pub(crate) fn new(plan: Plan) -> Model {
        Model { plan, at: State::default(), entries: vec![None; plan.keys as usize] }
    }

    /// The commit that follows, made by this life.
    pub(crate) fn commit(&mut self, life: u64) {
        self.at = State { number: self.at.number + 1, life };
        for change in self.plan.changes(self.at) {
            self.entries[change.entry as usize] = change.len.map(|len| (self.at, len));
        }
    }

    /// The state it is at.
    pub(crate) fn at(&self) -> State {
        self.at
    }

    /// Compares all that a database has with this, and checks its pages.
    ///
    /// # Errors
    /// The first difference; a check that is not clean.
    pub(crate) fn compare(&self, db: &Database) -> Result<()> {
        let found = state(db)?;
        if found != self.at {
            return Err(format!("the state is {found:?} instead of {:?}", self.at).into());
        }
        let snapshot = db.read()?;
        for (which, name) in TREES.iter().enumerate() {
            let entries = (0..).zip(&self.entries).filter(|(n, _)| plan::tree_of(*n) == which);
            let Ok(tree) = snapshot.tree(name) else {
                if entries.into_iter().any(|(_, wrote)| wrote.is_some()) {
                    return Err(format!("{found:?}: the tree {name} is gone").into());
                }
                continue;
            };
            let mut count = 0;
            for (entry, wrote) in entries {
                count += u64::from(wrote.is_some());
                let expected = wrote.map(|(by, len)| plan::value(entry, by, len));
                if tree.get(&plan::key(entry))? != expected.as_deref() {
                    let text = format!("{found:?}: entry {entry} is not what {wrote:?} wrote");
                    return Err(text.into());
                }
            }
            let mut walked = 0;
            for entry in tree.iter() {
                let _ = entry?;
                walked += 1;
            }
            if (walked, tree.len()) != (count, count) {
                let text = format!("{found:?}: {name} has {walked} entries instead of {count}");
                return Err(text.into());
            }
        }
        let report = db.check()?;
        if !report.is_sound() {
            return Err(format!("{found:?}: the check found {:?}", report.found).into());
        }
        Ok(())
    }
}
