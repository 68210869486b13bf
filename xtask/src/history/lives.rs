//! Which life made which commit, where some commits were lost and made again.

use super::{Model, Plan, State};
use crate::Result;

/// The states that lives began at; the first life is 1.
#[derive(Default)]
pub(crate) struct Lives {
    /// Where each began, and the number of the last commit that it may have made.
    lives: Vec<(State, u64)>,
}

impl Lives {
    /// The next life, which found this state when it opened the file, and may have made a commit by each of
    /// its threads.
    pub(crate) fn begin(&mut self, at: State, threads: u64) {
        self.lives.push((at, at.number + threads));
    }

    /// The number of the life that begins next.
    pub(crate) fn next(&self) -> u64 {
        self.lives.len() as u64 + 1
    }

    /// The last life may have made the commit of this number.
    pub(crate) fn attempted(&mut self, number: u64) {
        if let Some((_, last)) = self.lives.last_mut() {
            *last = number;
        }
    }

    /// The life that made commit `number` of those that `state` has.
    fn maker(&self, state: State, number: u64) -> Result<u64> {
        let mut life = state.life;
        while let Some((began, _)) = self.lives.get((life as usize).wrapping_sub(1)) {
            if number > began.number {
                return Ok(life);
            }
            life = began.life;
        }
        Err(format!("{state:?} has a commit {number} that no life made").into())
    }

    /// Whether `state` has all commits of `older`.
    pub(crate) fn holds(&self, state: State, older: State) -> bool {
        older.number == 0
            || older.number <= state.number
                && self.maker(state, older.number).is_ok_and(|life| life == older.life)
    }

    /// What a database in this state holds.
    ///
    /// # Errors
    /// No life was ever there.
    pub(crate) fn model(&self, plan: Plan, state: State) -> Result<Model> {
        if state.number > 0 {
            let life = (state.life as usize).wrapping_sub(1);
            let (_, last) = self.lives.get(life).ok_or("a life that never was")?;
            if state.number > *last {
                return Err(format!("{state:?}, but that life ended at {last}").into());
            }
        }
        let mut model = Model::new(plan);
        for number in 1..=state.number {
            model.commit(self.maker(state, number)?);
        }
        Ok(model)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_made_again_is_another() {
        let mut lives = Lives::default();
        lives.begin(State::default(), 1);
        lives.attempted(5);
        // Commit 5 was lost.
        lives.begin(State { number: 4, life: 1 }, 1);
        lives.attempted(6);
        let at = |number, life| State { number, life };
        assert!(lives.holds(at(6, 2), at(4, 1)));
        assert!(lives.holds(at(6, 2), at(5, 2)));
        assert!(!lives.holds(at(6, 2), at(5, 1)));
        assert!(!lives.holds(at(3, 1), at(4, 1)));
        let plan = Plan { seed: 1, keys: 10, batch_max: 4 };
        assert!(lives.model(plan, at(5, 1)).is_ok());
        assert!(lives.model(plan, at(6, 1)).is_err(), "no such commit");
        assert_eq!(lives.model(plan, at(6, 2)).map(|model| model.at()).ok(), Some(at(6, 2)));
    }
}
