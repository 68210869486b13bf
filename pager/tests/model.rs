//! The pager against a naive oracle: an array of values, each in a page or run of its own.
//!
//! Invariants checked:
//! - a transaction, a savepoint and a snapshot each see exactly what the oracle has for them;
//! - every value that is reachable has a right checksum once committed;
//! - after power loss (only what a flush promised is left) every `Sync` commit is there, after the
//!   death of the process every commit;
//! - every page is reachable, free, pinned, log or meta: exactly once.
//!
//! A failure prints the program, and the command that draws it again; quickcheck shrinks it.

mod double;
mod seeded;
mod toy;

use double::Double;
use mapleaf_pager::{
    Durability, Error, Options, Pages, Savepoint, Snapshot, Store, Verify, WriteTxn,
    first_touch_words_for, words_for,
};
use quickcheck::{Arbitrary, Gen};
use seeded::seeded;
use std::sync::atomic::AtomicU32;
use toy::{PAGE, SLOTS, Toy, Values, account, put, values};

const CAPACITY: usize = 4096 * PAGE;

type TestStore = Store<Double, Box<[AtomicU32]>>;

#[derive(Clone, Debug)]
enum Step {
    Put(u8, u16),
    Delete(u8),
    Savepoint,
    Rollback(u8),
    Release(u8),
    Commit(bool),
    Abort,
    HoldSnapshot,
    DropSnapshot(u8),
    Checkpoint,
    Sync,
    PowerLoss,
    Kill,
    Close,
}

impl Arbitrary for Step {
    fn arbitrary(g: &mut Gen) -> Step {
        let slot = u8::arbitrary(g) % SLOTS as u8;
        match u8::arbitrary(g) % 32 {
            0..=9 => Step::Put(slot, u16::arbitrary(g) % 300),
            10 | 11 => Step::Put(slot, u16::arbitrary(g) % 5000),
            12..=14 => Step::Delete(slot),
            15 | 16 => Step::Savepoint,
            17 => Step::Rollback(u8::arbitrary(g)),
            18 => Step::Release(u8::arbitrary(g)),
            19..=21 => Step::Commit(true),
            22 | 23 => Step::Commit(false),
            24 => Step::Abort,
            25 => Step::HoldSnapshot,
            26 => Step::DropSnapshot(u8::arbitrary(g)),
            27 => Step::Checkpoint,
            28 => Step::Sync,
            29 => Step::PowerLoss,
            30 => Step::Kill,
            _ => Step::Close,
        }
    }
}

/// What a campaign met, summed over its stores: it must have met what it is for.
#[derive(Clone, Copy, Debug, Default)]
struct Met {
    replayed: u32,
    log_commits: u32,
    checkpoints: u32,
    spills: u32,
    space_pages: u32,
    pinned_pages: u32,
}

thread_local!(static MET: std::cell::Cell<Met> = const { std::cell::Cell::new(Met {
    replayed: 0, log_commits: 0, checkpoints: 0, spills: 0, space_pages: 0, pinned_pages: 0,
}) });

fn meet(store: &TestStore) {
    let (stats, mut met) = (store.stats(), MET.get());
    met.replayed += stats.replayed_blocks;
    met.log_commits += stats.log_commits;
    met.checkpoints += stats.checkpoints;
    met.spills += stats.spills;
    met.space_pages = met.space_pages.max(stats.space_pages);
    met.pinned_pages = met.pinned_pages.max(stats.pinned_pages);
    MET.set(met);
}

/// Pages that there is a bit for; the stores outgrow them.
const TOUCHED: u32 = 96;

#[derive(Clone, Copy, Debug)]
struct Setup {
    two_views: bool,
    log_bytes: u64,
    budget: usize,
}

fn words() -> Box<[AtomicU32]> {
    (0..words_for(16) + first_touch_words_for(TOUCHED)).map(|_| AtomicU32::new(0)).collect()
}

fn options(setup: Setup) -> Options {
    let options = Options::default().page_size(PAGE as u32).log_bytes(setup.log_bytes, 64 * 1024);
    // What is whole is lent, whenever its checksum is compared.
    if setup.log_bytes > 8 * 1024 {
        options.first_touch(TOUCHED)
    } else {
        options.verify(Verify::Always)
    }
}

fn reopen(image: &[u8], setup: Setup) -> TestStore {
    let mut mapping = Double::new(image, CAPACITY, PAGE, setup.two_views);
    mapping.budget = setup.budget;
    if image.is_empty() {
        return Store::create(mapping, words(), &options(setup)).unwrap();
    }
    Store::open_proven(mapping, words(), &options(setup), &mut Toy, &mut []).unwrap()
}

/// How an era of a store ends.
enum End {
    Over,
    Image(Vec<u8>, Vec<Values>),
}

struct Era<'s> {
    store: &'s TestStore,
    /// The states that a power loss may take the store back to: the last durable one and later.
    possible: Vec<Values>,
    held: Vec<(Snapshot<'s>, Values)>,
    txn: Option<(WriteTxn<'s>, Values)>,
    savepoints: Vec<(Savepoint, Values)>,
    fill: u8,
}

impl<'s> Era<'s> {
    fn newest(&self) -> &Values {
        self.possible.last().unwrap()
    }

    fn txn(&mut self) -> &mut (WriteTxn<'s>, Values) {
        if self.txn.is_none() {
            self.savepoints.clear();
            self.txn = Some((self.store.begin_write().unwrap(), self.newest().clone()));
        }
        self.txn.as_mut().unwrap()
    }

    fn step(&mut self, step: &Step) -> Option<End> {
        match *step {
            Step::Put(slot, len) => {
                self.fill = self.fill.wrapping_add(1);
                let value = vec![self.fill; usize::from(len)];
                let (txn, model) = self.txn();
                put(txn, usize::from(slot), Some(&value), true).unwrap();
                model[usize::from(slot)] = Some(value);
            }
            Step::Delete(slot) => {
                let (txn, model) = self.txn();
                put(txn, usize::from(slot), None, true).unwrap();
                model[usize::from(slot)] = None;
            }
            Step::Savepoint => {
                let (txn, model) = self.txn();
                let saved = (txn.savepoint().unwrap(), model.clone());
                self.savepoints.push(saved);
            }
            Step::Rollback(which) => self.end_savepoint(which, true),
            Step::Release(which) => self.end_savepoint(which, false),
            Step::Commit(sync) => self.commit(sync),
            Step::Abort => self.txn = None,
            Step::HoldSnapshot if self.held.len() < 8 => {
                self.held.push((self.store.begin_read(0).unwrap(), self.newest().clone()));
            }
            Step::DropSnapshot(which) if !self.held.is_empty() => {
                let which = usize::from(which) % self.held.len();
                self.held.remove(which);
            }
            Step::HoldSnapshot | Step::DropSnapshot(_) => {}
            Step::Checkpoint => {
                self.store.checkpoint().unwrap();
                self.all_durable();
            }
            Step::Sync => {
                self.store.sync().unwrap();
                self.all_durable();
            }
            Step::PowerLoss => {
                return Some(End::Image(self.store.mapping().durable(), self.possible.clone()));
            }
            Step::Kill => {
                let newest = vec![self.newest().clone()];
                return Some(End::Image(self.store.mapping().published(), newest));
            }
            Step::Close => {
                self.txn = None;
                self.store.close().unwrap();
                let newest = vec![self.newest().clone()];
                return Some(End::Image(self.store.mapping().durable(), newest));
            }
        }
        None
    }

    fn all_durable(&mut self) {
        self.possible = vec![self.newest().clone()];
    }

    fn end_savepoint(&mut self, which: u8, rollback: bool) {
        let Some((txn, model)) = self.txn.as_mut() else { return };
        if self.savepoints.is_empty() {
            return;
        }
        let which = usize::from(which) % self.savepoints.len();
        let (savepoint, saved) = self.savepoints[which].clone();
        if rollback {
            txn.rollback_to(savepoint).unwrap();
            *model = saved;
        } else {
            txn.release(savepoint).unwrap();
        }
        for (ended, _) in self.savepoints.drain(which..) {
            assert_eq!(txn.rollback_to(ended), Err(Error::Stale));
        }
    }

    fn commit(&mut self, sync: bool) {
        let Some((txn, model)) = self.txn.take() else { return };
        assert_eq!(values(&txn).unwrap(), model);
        txn.commit(if sync { Durability::Sync } else { Durability::Eventual }).unwrap();
        self.possible.push(model);
        if sync {
            self.all_durable();
        }
    }

    fn check(&self) {
        let now = self.store.begin_read(1).unwrap();
        assert_eq!(&values(&now).unwrap(), self.newest(), "newest");
        for (snapshot, model) in &self.held {
            assert_eq!(&values(snapshot).unwrap(), model, "held {:?}", snapshot.txn());
        }
        if let Some((txn, model)) = &self.txn {
            assert_eq!(&values(txn).unwrap(), model, "transaction");
        } else {
            account(&self.store.inspect().unwrap());
        }
    }
}

fn run(program: &[Step], setup: Setup) {
    let mut image = Vec::new();
    let mut start: Values = vec![None; SLOTS];
    let mut rest = program;
    loop {
        let store = reopen(&image, setup);
        if !image.is_empty() {
            assert_eq!(values(&store.begin_read(0).unwrap()).unwrap(), start, "reopened");
        }
        let mut era = Era {
            store: &store,
            possible: vec![start.clone()],
            held: Vec::new(),
            txn: None,
            savepoints: Vec::new(),
            fill: 0,
        };
        let mut end = End::Over;
        while let Some((step, later)) = rest.split_first() {
            rest = later;
            if let Some(ended) = era.step(step) {
                end = ended;
                break;
            }
            era.check();
        }
        drop(era);
        meet(&store);
        let End::Image(bytes, possible) = end else { return };
        let reopened = reopen(&bytes, setup);
        meet(&reopened);
        let found = values(&reopened.begin_read(0).unwrap()).unwrap();
        assert!(possible.contains(&found), "lost: {found:?}\nof {possible:?}");
        start = found;
        image = reopened.mapping().published();
        if rest.is_empty() {
            return;
        }
    }
}

const PROGRAMS: u32 = 300;

/// What the programs met; nothing where a slow machine asked for fewer than [`PROGRAMS`], since small samples scatter.
fn campaign(setup: Setup) -> Option<Met> {
    fn property(program: Vec<Step>, setup: Setup) -> bool {
        run(&program, setup);
        true
    }
    #[derive(Clone, Debug)]
    struct Case(Vec<Step>);
    impl Arbitrary for Case {
        fn arbitrary(g: &mut Gen) -> Case {
            Case(Vec::arbitrary(g))
        }
        fn shrink(&self) -> Box<dyn Iterator<Item = Case>> {
            Box::new(self.0.shrink().map(Case))
        }
    }
    thread_local!(static SETUP: std::cell::Cell<Option<Setup>> = const { std::cell::Cell::new(None) });
    SETUP.set(Some(setup));
    fn case(case: Case) -> bool {
        property(case.0, SETUP.get().unwrap())
    }
    // `MODEL_TESTS=n` runs n programs instead.
    let tests = std::env::var("MODEL_TESTS").map_or(PROGRAMS, |n| n.parse().expect("a number"));
    seeded(150).tests(tests.into()).quickcheck(case as fn(Case) -> bool);
    // Long programs fill lists and bitmaps.
    seeded(3000).tests(tests.div_ceil(30).into()).quickcheck(case as fn(Case) -> bool);
    let met = (tests >= PROGRAMS).then(|| MET.get())?;
    assert!(met.checkpoints > 100, "{met:?}");
    assert!(met.pinned_pages > 8 && met.space_pages > 1, "{met:?}");
    Some(met)
}

fn uses_the_log(met: Met) -> bool {
    met.log_commits > 100 && met.replayed > 40
}

#[test]
fn one_view_without_log() {
    let met = campaign(Setup { two_views: false, log_bytes: 0, budget: usize::MAX });
    assert!(met.is_none_or(|met| met.log_commits == 0), "{met:?}");
}

#[test]
fn one_view_with_log() {
    let met = campaign(Setup { two_views: false, log_bytes: 16 * 1024, budget: usize::MAX });
    assert!(met.is_none_or(uses_the_log), "{met:?}");
}

#[test]
fn two_views_with_small_log() {
    let met = campaign(Setup { two_views: true, log_bytes: 8 * 1024, budget: usize::MAX });
    assert!(met.is_none_or(|met| uses_the_log(met) && met.spills == 0), "{met:?}");
}

#[test]
fn two_views_that_spill() {
    let met = campaign(Setup { two_views: true, log_bytes: 32 * 1024, budget: 6 });
    assert!(met.is_none_or(|met| uses_the_log(met) && met.spills > 40), "{met:?}");
}
