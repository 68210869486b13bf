//! Crashes at any call of the mapping, over a medium that lies as far as its contract allows.
//!
//! Invariants checked:
//! - after power loss the store is in the last acknowledged state, a later committed one, or the one
//!   whose commit was on its way; after the death of the process in the newest, or the one on its way;
//! - the same when opening itself is interrupted, again and again, and when a flush fails;
//! - every value has a right checksum, every page is in use exactly once;
//! - snapshots and transactions see what they should, meanwhile.
//!
//! A failure prints program and seed, and the command that draws it again; quickcheck shrinks the program.
//! `CRASH_TESTS=n` runs n programs.

mod double;
mod liar;
mod seeded;
mod toy;

use liar::{Dice, Liar, Rest};
use mapleaf_pager::{
    Durability, Options, Pages, Result, Savepoint, Snapshot, Store, Verify, WriteTxn, words_for,
};
use quickcheck::{Arbitrary, Gen};
use seeded::seeded;
use std::cell::Cell;
use std::sync::atomic::AtomicU32;
use toy::{PAGE, SLOTS, Toy, Values, account, put, values};

const CAPACITY: usize = 7000 * PAGE;
/// The smallest log ring that a store takes.
const RING_MIN: u64 = 4096;
/// Values from here on are long.
const LONG: usize = 300;

type TestStore = Store<Liar, Box<[AtomicU32]>>;

#[derive(Clone, Copy, Debug)]
struct Setup {
    two_views: bool,
    log_bytes: u64,
    budget: usize,
}

/// How often a campaign met what it is for.
#[derive(Clone, Copy, Debug, Default)]
struct Met {
    power_losses: u32,
    deaths: u32,
    in_opening: u32,
    failed_flushes: u32,
    replayed: u32,
    went_back: u32,
    spills: u32,
    larger_rings: u32,
}

thread_local! {
    static MET: Cell<Met> = const { Cell::new(Met {
        power_losses: 0, deaths: 0, in_opening: 0, failed_flushes: 0,
        replayed: 0, went_back: 0, spills: 0, larger_rings: 0,
    }) };
    static SETUP: Cell<Setup> =
        const { Cell::new(Setup { two_views: false, log_bytes: 0, budget: 0 }) };
}

fn meet(note: impl FnOnce(&mut Met)) {
    let mut met = MET.get();
    note(&mut met);
    MET.set(met);
}

#[derive(Clone, Debug)]
enum Step {
    Put(u8, u16),
    Delete(u8),
    Savepoint,
    Rollback(u8),
    Commit(bool),
    Abort,
    Hold,
    Release,
    Checkpoint,
    Sync,
    Close,
}

impl Arbitrary for Step {
    fn arbitrary(g: &mut Gen) -> Step {
        let slot = u8::arbitrary(g) % SLOTS as u8;
        match u8::arbitrary(g) % 64 {
            0..=13 => Step::Put(slot, u16::arbitrary(g) % 300),
            14..=20 => Step::Put(slot, 300 + u16::arbitrary(g) % 6000),
            21..=23 => Step::Delete(slot),
            24 | 25 => Step::Savepoint,
            26 => Step::Rollback(u8::arbitrary(g)),
            27..=37 => Step::Commit(true),
            38..=51 => Step::Commit(false),
            52 => Step::Abort,
            53 => Step::Hold,
            54 => Step::Release,
            55 | 56 => Step::Checkpoint,
            57..=60 => Step::Sync,
            61 | 62 => Step::Commit(false),
            _ => Step::Close,
        }
    }
}

/// First byte and length of each value, for messages.
fn brief(values: &Values) -> Vec<(usize, u8, usize)> {
    let some = values.iter().enumerate().filter_map(|(slot, value)| Some((slot, value.as_ref()?)));
    some.map(|(slot, value)| (slot, value.first().copied().unwrap_or(0), value.len())).collect()
}

/// One opening of the store.
struct Era<'s> {
    store: &'s TestStore,
    /// What a power loss may take the store back to: the last state known durable, and later ones.
    possible: Vec<Values>,
    /// The state of a commit that failed: it may be found.
    attempted: Option<Values>,
    txn: Option<(WriteTxn<'s>, Values)>,
    savepoints: Vec<(Savepoint, Values)>,
    held: Vec<(Snapshot<'s>, Values)>,
    fill: u8,
    short: bool,
}

impl<'s> Era<'s> {
    fn newest(&self) -> &Values {
        self.possible.last().unwrap()
    }

    fn txn(&mut self) -> Result<&mut (WriteTxn<'s>, Values)> {
        if self.txn.is_none() {
            self.savepoints.clear();
            self.txn = Some((self.store.begin_write()?, self.newest().clone()));
        }
        Ok(self.txn.as_mut().unwrap())
    }

    fn step(&mut self, step: &Step) -> Result<()> {
        match *step {
            Step::Put(slot, len) => {
                self.fill = self.fill.wrapping_add(1);
                // Short values only: more of them go through the log, and around its ring.
                let len = usize::from(if self.short { len % 100 } else { len });
                // With the smallest ring longer values, so that the store outgrows it.
                let small_ring = SETUP.get().log_bytes == RING_MIN;
                let len = if small_ring && len >= LONG { 8 * len } else { len };
                let value = vec![self.fill; len];
                let (txn, model) = self.txn()?;
                put(txn, usize::from(slot), Some(&value), true)?;
                model[usize::from(slot)] = Some(value);
            }
            Step::Delete(slot) => {
                let (txn, model) = self.txn()?;
                put(txn, usize::from(slot), None, true)?;
                model[usize::from(slot)] = None;
            }
            Step::Savepoint => {
                let (txn, model) = self.txn()?;
                let saved = (txn.savepoint()?, model.clone());
                self.savepoints.push(saved);
            }
            Step::Rollback(which) => {
                if let (Some((txn, model)), false) = (&mut self.txn, self.savepoints.is_empty()) {
                    let which = usize::from(which) % self.savepoints.len();
                    let (savepoint, saved) = self.savepoints.swap_remove(which);
                    self.savepoints.truncate(which);
                    txn.rollback_to(savepoint)?;
                    *model = saved;
                }
            }
            Step::Commit(sync) => self.commit(sync)?,
            Step::Abort => self.txn = None,
            Step::Hold if self.held.len() < 4 => {
                self.held.push((self.store.begin_read(0)?, self.newest().clone()));
            }
            Step::Hold => {}
            Step::Release => drop(self.held.pop()),
            Step::Checkpoint => {
                self.store.checkpoint()?;
                self.all_durable();
            }
            Step::Sync => {
                self.store.sync()?;
                self.all_durable();
            }
            Step::Close => {
                self.txn = None;
                self.store.close()?;
            }
        }
        Ok(())
    }

    fn all_durable(&mut self) {
        self.possible = vec![self.newest().clone()];
    }

    fn commit(&mut self, sync: bool) -> Result<()> {
        let Some((txn, model)) = self.txn.take() else { return Ok(()) };
        self.attempted = Some(model.clone());
        txn.commit(if sync { Durability::Sync } else { Durability::Eventual })?;
        self.attempted = None;
        self.possible.push(model);
        if sync {
            self.all_durable();
        }
        Ok(())
    }

    fn check(&self) {
        let now = self.store.begin_read(1).unwrap();
        assert!(&values(&now).unwrap() == self.newest(), "newest");
        for (snapshot, model) in &self.held {
            assert!(&values(snapshot).unwrap() == model, "held {:?}", snapshot.txn());
        }
    }
}

fn words() -> Box<[AtomicU32]> {
    (0..words_for(8)).map(|_| AtomicU32::new(0)).collect()
}

fn options(setup: Setup) -> Options {
    let options = Options::default().page_size(PAGE as u32).log_bytes(setup.log_bytes, 32 * 1024);
    // No crash leaves a page that would be refused.
    if setup.two_views { options.verify(Verify::Always) } else { options }
}

/// What one opening leaves for the next: what the medium is, and what may be found on it.
#[derive(Clone)]
struct Left {
    rest: Rest,
    /// Power was lost since a state was last seen.
    power: bool,
    /// Oldest first; the last is the newest commit.
    possible: Vec<Values>,
    /// A commit that was on its way.
    attempted: Option<Values>,
}

impl Left {
    fn new(rest: Rest, possible: Vec<Values>, attempted: Option<Values>) -> Left {
        Left { power: rest.power, rest, possible, attempted }
    }

    /// Whether the state may be found, and what a further power loss may take it back to.
    fn find(&self, found: &Values, replayed: bool) -> Vec<Values> {
        let known = self.possible.iter().rposition(|values| values == found);
        let tried = self.attempted.as_ref() == Some(found);
        let newest = self.possible.last() == Some(found);
        let fits = if self.power { known.is_some() || tried } else { newest || tried };
        let (possible, tried) =
            (self.possible.iter().map(brief), self.attempted.as_ref().map(brief));
        assert!(
            fits,
            "lost, power {}: {:?}\nof {:?}\nor {tried:?}",
            self.power,
            brief(found),
            possible.collect::<Vec<_>>()
        );
        if self.power || replayed {
            meet(|met| met.went_back += u32::from(!newest));
            return vec![found.clone()];
        }
        let mut possible = self.possible.clone();
        if !newest {
            possible.push(found.clone());
        }
        possible
    }
}

/// Opens what the last era left, with a stop on the way perhaps. `Err`: it stopped there.
fn open(left: &Left, setup: Setup, dice: &mut Dice) -> Result<(TestStore, Vec<Values>), Box<Left>> {
    let liar =
        Liar::new(left.rest.clone(), CAPACITY, PAGE, setup.two_views, setup.budget, dice.next());
    if dice.below(4) == 0 {
        liar.stop_after(1 + (1 << dice.below(9)) + dice.below(8));
    }
    if dice.below(12) == 0 {
        liar.fail_after(dice.below(4));
    }
    let opened = Store::open_proven(liar.clone(), words(), &options(setup), &mut Toy, &mut []);
    let found = opened.as_ref().ok().map(|store| {
        let found = values(&store.begin_read(0).unwrap()).unwrap();
        (found, store.stats().replayed_blocks)
    });
    if let Some(rest) = liar.stopped() {
        meet(|met| met.in_opening += 1);
        let Left { possible, attempted, .. } = left.clone();
        return Err(Box::new(match found {
            Some((found, _)) => Left::new(rest, left.find(&found, false), None),
            None => Left { power: left.power || rest.power, rest, possible, attempted },
        }));
    }
    let store = match opened {
        Ok(store) => store,
        Err(error) => {
            assert!(liar.failed(), "does not open: {error:?}");
            let rest = liar.stop(dice.below(2) == 0);
            return Err(Box::new(Left { power: left.power || rest.power, rest, ..left.clone() }));
        }
    };
    let (found, replayed) = found.unwrap();
    meet(|met| met.replayed += replayed);
    let possible = left.find(&found, replayed > 0);
    Ok((store, possible))
}

/// Runs steps until the store stops, or they are used up.
fn live(store: &TestStore, possible: Vec<Values>, rest: &mut &[Step], dice: &mut Dice) -> Left {
    let liar = store.mapping().clone();
    match dice.below(3) {
        0 => liar.stop_after(1 + (1 << dice.below(13)) + dice.below(64)),
        1 => liar.stop_after_flushes(dice.below(12)),
        _ => liar.stop_after_flushes(dice.below(80)),
    }
    if dice.below(6) == 0 {
        liar.fail_after(dice.below(6));
    }
    let mut era = Era {
        store,
        possible,
        attempted: None,
        txn: None,
        savepoints: Vec::new(),
        held: Vec::new(),
        fill: dice.next() as u8,
        short: dice.below(3) > 0,
    };
    while let Some((step, later)) = rest.split_first() {
        *rest = later;
        let before = era.possible.clone();
        let result = era.step(step);
        if let Some(rest) = liar.stopped() {
            let done = (era.newest() != before.last().unwrap()).then(|| era.newest().clone());
            let attempted = era.attempted.take().or(done);
            return Left::new(rest, before, attempted);
        }
        if let Err(error) = result {
            assert!(liar.failed(), "{step:?}: {error:?}");
            meet(|met| met.failed_flushes += 1);
            let rest = liar.stop(dice.below(2) == 0);
            return Left::new(rest, era.possible, era.attempted);
        }
        era.check();
    }
    let rest = liar.stop(dice.below(2) == 0);
    Left::new(rest, era.possible, None)
}

fn run(program: &[Step], setup: Setup, seed: u64) {
    let (mut dice, mut rest) = (Dice(seed), program);
    let Setup { two_views, budget, .. } = setup;
    let liar = Liar::new(Rest::default(), CAPACITY, PAGE, two_views, budget, dice.next());
    let mut store = Store::create(liar, words(), &options(setup)).unwrap();
    let mut possible = vec![vec![None; SLOTS]];
    loop {
        let mut left = live(&store, possible, &mut rest, &mut dice);
        let stats = store.stats();
        meet(|met| {
            met.spills += stats.spills;
            met.larger_rings +=
                u32::from(u64::from(stats.log_pages) * PAGE as u64 > setup.log_bytes);
        });
        (store, possible) = loop {
            let power = u32::from(left.rest.power);
            meet(|met| {
                (met.power_losses, met.deaths) = (met.power_losses + power, met.deaths + 1 - power)
            });
            match open(&left, setup, &mut dice) {
                Ok(opened) => break opened,
                Err(again) => left = *again,
            }
        };
        account(&store.inspect().unwrap());
        if rest.is_empty() {
            return;
        }
    }
}

#[derive(Clone, Debug)]
struct Case(Vec<Step>, u64);

impl Arbitrary for Case {
    fn arbitrary(g: &mut Gen) -> Case {
        Case(Vec::arbitrary(g), u64::arbitrary(g))
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Case>> {
        let seed = self.1;
        Box::new(self.0.shrink().map(move |program| Case(program, seed)))
    }
}

const PROGRAMS: u32 = 400;

fn campaign(setup: Setup) {
    fn case(case: Case) -> bool {
        run(&case.0, SETUP.get(), case.1);
        true
    }
    SETUP.set(setup);
    let tests = std::env::var("CRASH_TESTS").map_or(PROGRAMS, |n| n.parse().expect("a number"));
    seeded(400).tests(tests.into()).quickcheck(case as fn(Case) -> bool);
    let met = MET.get();
    println!("{setup:?} {met:?}");
    let log = setup.log_bytes > 0;
    // Small samples scatter: a slow machine, which asks for fewer, need not have met them all.
    if tests < PROGRAMS {
        return;
    }
    assert!(met.power_losses > 100 && met.deaths > 100, "{met:?}");
    assert!(met.failed_flushes >= 10, "{met:?}");
    assert_eq!(met.replayed > 50, log, "{met:?}");
    assert!(!log || met.in_opening >= 10 && met.went_back >= 10, "{met:?}");
    assert_eq!(met.spills > 10, setup.budget < 100, "{met:?}");
    assert!(met.larger_rings >= 1 || setup.log_bytes != RING_MIN, "{met:?}");
}

#[test]
fn one_view_without_log() {
    campaign(Setup { two_views: false, log_bytes: 0, budget: usize::MAX });
}

#[test]
fn one_view_with_log() {
    campaign(Setup { two_views: false, log_bytes: RING_MIN, budget: usize::MAX });
}

#[test]
fn two_views_with_log() {
    campaign(Setup { two_views: true, log_bytes: 8 * 1024, budget: usize::MAX });
}

#[test]
fn two_views_that_spill() {
    campaign(Setup { two_views: true, log_bytes: 16 * 1024, budget: 6 });
}
