//! The search: every crash of a history, and the lives after it.

use super::choices::Choices;
use super::life::{Expect, Left, live};
use super::met::Met;
use super::model::Model;
use super::{Breadth, Failure, History, Setup, verify};
use crate::sim::{Dice, Disk, Moment, SimMapping, Version};
use mapleaf_pager::Store;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

/// What a campaign has looked at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Report {
    /// Histories.
    pub histories: u64,
    /// Places in them, and in the lives after them, at which a crash came.
    pub crashes: u64,
    /// Images that the medium may hold then: crash states.
    pub states: u64,
    /// Images that no other state of the same history had: opened, proven, and written to.
    pub images: u64,
    /// Lives after a crash, in which crashes came again; by depth.
    pub lives: [u64; 2],
    /// States in these lives.
    pub states_below: [u64; 2],
    /// What happened in how many of the histories.
    pub met: Met,
    /// And of the lives after a crash.
    pub met_after: Met,
}

/// Keys are hashes already.
#[derive(Default)]
struct Same(u64);

impl Hasher for Same {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {}

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

type Found = HashMap<u64, u64, BuildHasherDefault<Same>>;

/// Looks at histories of one setup.
pub struct Search {
    pub(super) setup: Setup,
    breadth: Breadth,
    /// What each image of this history held.
    seen: Found,
    /// Media that a death has left, and that were looked at.
    dead: HashSet<u64, BuildHasherDefault<Same>>,
    models: HashMap<u64, Arc<Model>>,
    empty: Disk,
    /// Draws what is drawn; begins anew with each history.
    dice: Dice,
    /// Looks only at what comes behind the last step but one: histories before have looked at the rest.
    pub(super) last_only: bool,
    /// What it has seen so far.
    pub report: Report,
    /// Ends behind the crash that reaches so many states, or this time.
    pub(super) states_max: u64,
    pub(super) until: Option<Instant>,
}

type Wrong<T = ()> = Result<T, String>;

/// Steps of the lives after a crash.
const AFTER: [&str; 9] = ["s1", "e1s2", "e4c0", "L1", "S3", "k0s2", "b3", "h4", "D2x0"];

impl Search {
    /// Starts with a new store.
    ///
    /// # Panics
    /// Where none can be made.
    #[must_use]
    pub fn new(setup: Setup, breadth: Breadth) -> Search {
        let mapping: SimMapping<Expect> =
            SimMapping::new(setup.capacity(), setup.unit, setup.two_views, usize::MAX);
        let nothing = Disk::settled(&[], setup.unit);
        mapping.record(&nothing);
        let made = Store::create(mapping.clone(), verify::words(), &setup.options());
        drop(made.expect("a new store"));
        let mut empty = nothing;
        for moment in mapping.tape() {
            if let Moment::Change(change) = moment {
                empty.apply(&change);
            }
        }
        Search {
            setup,
            breadth,
            seen: Found::default(),
            dead: HashSet::default(),
            models: HashMap::new(),
            empty,
            dice: Dice(0),
            last_only: false,
            report: Report::default(),
            states_max: u64::MAX,
            until: None,
        }
    }

    /// Whether it has looked at as much as it may.
    fn over(&self) -> bool {
        self.report.states >= self.states_max || self.until.is_some_and(|end| Instant::now() >= end)
    }

    /// Begins anew, as with nothing looked at.
    pub(super) fn forget(&mut self) {
        self.seen.clear();
        self.dead.clear();
        self.models.clear();
        self.dice = Dice(self.setup.seed);
    }

    /// A new store.
    pub(super) fn begin(&self) -> Left {
        let possible = vec![Arc::new(Model::default())];
        Left { disk: self.empty.clone(), possible, attempted: None }
    }

    /// States that may be found from now on.
    pub(super) fn learn(&mut self, models: &[Arc<Model>]) {
        self.models.extend(models.iter().map(|model| (model.hash, model.clone())));
    }

    /// The medium of a new store.
    pub(super) fn into_empty(self) -> Disk {
        self.empty
    }

    /// Looks at every crash of a history.
    ///
    /// # Errors
    /// The first thing that must not be.
    pub fn history(&mut self, history: &History) -> Result<(), Failure> {
        self.forget();
        self.report.histories += 1;
        let left = self.begin();
        let looked = catch_unwind(AssertUnwindSafe(|| self.life(&left, history, 0)));
        let looked = looked.unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            Err(format!("panic: {}", text.unwrap_or("?")))
        });
        looked.map_err(|what| Failure { setup: self.setup, history: history.clone(), what })
    }

    fn life(&mut self, left: &Left, history: &History, depth: usize) -> Wrong {
        let lived = live(&self.setup, left, history, self.breadth.lie, None)
            .map_err(|what| format!("in {history} at depth {depth}: {what}"))?;
        let met = if depth == 0 { &mut self.report.met } else { &mut self.report.met_after };
        met.add(&lived.met);
        self.learn(&lived.models);
        let from = if depth == 0 && self.last_only { lived.last } else { 0 };
        self.crashes(left.disk.clone(), &lived.tape, from, depth)
            .map(drop)
            .map_err(|what| format!("{what} in {history}, depth {depth}"))
    }

    /// Looks at every crash of a tape that begins over `disk`, from a moment on; the medium at its end.
    pub(super) fn crashes(
        &mut self,
        mut disk: Disk,
        tape: &[Moment<Expect>],
        from: usize,
        depth: usize,
    ) -> Wrong<Disk> {
        let mut expect = None;
        let mut changed = true;
        for (at, moment) in tape.iter().enumerate() {
            match moment {
                Moment::Change(change) => {
                    disk.apply(change);
                    changed = true;
                }
                Moment::Note(note) => {
                    expect = Some(note.clone());
                    changed = true;
                }
                Moment::Point if changed && at >= from => {
                    let Some(expect) = &expect else { continue };
                    self.crash(&disk, expect, depth)
                        .map_err(|what| format!("{what}\n  crash at {at} of {}", tape.len()))?;
                    changed = false;
                }
                Moment::Load(_) | Moment::Point => {}
            }
        }
        Ok(disk)
    }

    fn crash(&mut self, disk: &Disk, expect: &Expect, depth: usize) -> Wrong {
        if depth == 0 && self.over() {
            return Ok(());
        }
        self.report.crashes += 1;
        self.death(disk, expect, depth)?;
        let most = self.breadth.choices[depth];
        let mut dice = Dice(self.dice.roll());
        for choices in Choices::of(disk) {
            choices.each(most, &mut dice, &mut |key, image| {
                self.count(depth);
                if let Some(found) = self.seen.get(&key) {
                    return self.fits("power loss", *found, &expect.power);
                }
                let image = image();
                let found = self.open(key, image.versions())?;
                self.fits("power loss", found, &expect.power)?;
                if self.goes_on(key, depth) {
                    let settled = Disk::of(image.versions().cloned(), disk.unit);
                    return self.after(settled, vec![found], None, depth);
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    /// The process dies: the page cache stays, over a medium that lags behind.
    fn death(&mut self, disk: &Disk, expect: &Expect, depth: usize) -> Wrong {
        self.count(depth);
        let key = disk.cached_hash();
        let found = match self.seen.get(&key) {
            Some(found) => *found,
            None => self.open(key, disk.cells.iter().map(|cell| cell.newest()))?,
        };
        self.fits("death", found, &expect.death)?;
        // Deaths are few beside power losses, and what follows them is another story each time.
        let lives = self.breadth.lives.get(depth).is_some_and(|lives| {
            let more = disk.cells.iter().map(|cell| cell.since.len() as u64);
            let lag = more.fold(key, |sum, len| sum.rotate_left(7) ^ len);
            self.dead.insert(lag) && lag.is_multiple_of((*lives as u64 / 16).max(1))
        });
        if !lives {
            return Ok(());
        }
        let (power, death) = (&expect.power, &expect.death);
        let tried = (death.len() > 1).then(|| death[1]);
        let possible = &power[..power.len() - usize::from(tried.is_some())];
        self.after(disk.clone(), possible.to_vec(), tried, depth)
    }

    fn count(&mut self, depth: usize) {
        self.report.states += 1;
        if let Some(below) = depth.checked_sub(1) {
            self.report.states_below[below] += 1;
        }
    }

    fn goes_on(&self, key: u64, depth: usize) -> bool {
        self.breadth.lives.get(depth).is_some_and(|lives| key.is_multiple_of(*lives as u64))
    }

    /// Lives on after a crash.
    fn after(
        &mut self,
        disk: Disk,
        possible: Vec<u64>,
        attempted: Option<u64>,
        depth: usize,
    ) -> Wrong {
        self.report.lives[depth] += 1;
        let models = &self.models;
        let model = |hash: &u64| models.get(hash).cloned().ok_or("a state of no commit");
        let possible = possible.iter().map(model).collect::<Result<_, _>>()?;
        let attempted = attempted.as_ref().map(model).transpose()?;
        let steps: History = AFTER[self.dice.below(AFTER.len())].parse()?;
        self.life(&Left { disk, possible, attempted }, &steps, depth + 1)
    }

    fn open<'v>(&mut self, key: u64, image: impl Iterator<Item = &'v Version>) -> Wrong<u64> {
        self.report.images += 1;
        let found = verify::image(&self.setup, image.map(|version| &*version.bytes))?;
        self.seen.insert(key, found);
        Ok(found)
    }

    fn fits(&self, crash: &str, found: u64, expected: &[u64]) -> Wrong {
        if expected.contains(&found) {
            return Ok(());
        }
        let known = if self.models.contains_key(&found) { "another" } else { "no" };
        Err(format!("after a {crash} the store holds {known} commit's state"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crashes(setup: Setup, history: &str, last_only: bool) -> u64 {
        let mut search = Search::new(setup, Breadth { choices: [1, 0, 0], ..Breadth::SHALLOW });
        search.last_only = last_only;
        search.history(&history.parse().unwrap()).unwrap();
        search.report.crashes
    }

    #[test]
    fn the_last_step_and_the_word_before_it_have_all_crashes_of_a_word() {
        for setup in Setup::all() {
            for (word, first) in
                [("s0e3", "s0"), ("k0s3", "k0"), ("s0x3e2", "s0x3"), ("e0b3", "e0")]
            {
                let whole = crashes(setup, word, false);
                let (before, last) = (crashes(setup, first, false), crashes(setup, word, true));
                // Where the shorter word ends, both may look.
                assert!((whole..=whole + 1).contains(&(before + last)), "{setup}:{word}: {whole}");
                assert!(last > 1 && before > 1, "{setup}:{word}: {before} and {last}");
                assert_eq!(
                    crashes(setup, first, true) == before,
                    first.len() == 2,
                    "{setup}:{first}"
                );
            }
        }
    }
}
