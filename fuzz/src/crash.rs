//! Histories of changes over a medium that loses what nobody flushed.
//!
//! The medium is the pager's own (pager/tests/liar): it lies as far as the contract of `Mapping` allows,
//! with one view or two. Here the trees are on top, and the fuzzer chooses where it stops.

use crate::liar::{Liar, Rest};
use crate::source::Source;
use crate::{ops, words};
use mapleaf_btree::{Replayer, Writer};
use mapleaf_pager::{Error, Options, Store};
use std::rc::Rc;
use std::sync::atomic::AtomicU32;

const PAGE: usize = 512;
const CAPACITY: usize = 1200 * PAGE;
/// Crashes of one history.
const ERAS_MAX: usize = 6;
/// Openings that are cut short, one after the other, before one is let through.
const OPENINGS_MAX: usize = 3;
/// Commits between two crashes.
const COMMITS_MAX: usize = 24;

type Model = ops::Model;
type CrashStore = Store<Liar, Vec<AtomicU32>>;

/// How the medium and the store are set up.
struct Setup {
    two_views: bool,
    budget: usize,
    options: Options,
    /// Sizes of the tree's keys and values, if it has any.
    width: Option<(u16, u16)>,
}

impl Setup {
    fn read(source: &mut Source<'_>) -> Option<Setup> {
        let byte = source.byte()?;
        let log = [0, 4096, 8192, 16_384][usize::from(byte / 2 % 4)];
        Some(Setup {
            two_views: byte % 2 == 1,
            // So few claimed units that transactions spill.
            budget: if byte / 8 % 4 == 0 { 6 } else { usize::MAX },
            options: Options::default().page_size(PAGE as u32).log_bytes(log, 32 << 10),
            width: match byte >> 5 {
                6 => Some((8, 8)),
                7 => Some((3, 40)),
                _ => None,
            },
        })
    }

    fn liar(&self, rest: Rest, source: &mut Source<'_>) -> Liar {
        let seed = u64::from(source.word().unwrap_or(0));
        Liar::new(rest, CAPACITY, PAGE, self.two_views, self.budget, seed)
    }
}

/// What a stop leaves, and which states may be found there.
struct Left {
    rest: Rest,
    /// Power was lost since a state was last seen.
    power: bool,
    /// Oldest first; the last is the newest commit.
    possible: Vec<Rc<Model>>,
    /// The state of a commit that was on its way.
    attempted: Option<Rc<Model>>,
}

impl Left {
    /// Fails unless the state may be found; what a further loss of power may take the store back to.
    fn find(&self, found: &Model, replayed: bool) -> Vec<Rc<Model>> {
        let newest = self.possible.last().is_some_and(|model| **model == *found);
        let tried = self.attempted.as_ref().is_some_and(|model| **model == *found);
        let known = self.power && self.possible.iter().any(|model| **model == *found);
        assert!(newest || tried || known, "acknowledged commits were lost, power {}", self.power);
        let found = Rc::new(found.clone());
        if self.power || replayed {
            return vec![found];
        }
        let mut possible = self.possible.clone();
        if !newest {
            possible.push(found);
        }
        possible
    }
}

/// Transactions, checkpoints and closings until the medium stops or the bytes are used up.
fn live(
    store: &CrashStore,
    setup: &Setup,
    mut possible: Vec<Rc<Model>>,
    source: &mut Source<'_>,
) -> Left {
    let liar = store.mapping().clone();
    let (how, when) = (source.byte().unwrap_or(0), source.byte().unwrap_or(0));
    match how % 4 {
        0 | 1 => liar.stop_after(1 + u64::from(when) * [1, 16][usize::from(how % 2)]),
        2 => liar.stop_after_flushes(u64::from(when % 40)),
        _ => liar.fail_after(u64::from(when % 12)),
    }
    if crate::planted() {
        liar.forget_after(3);
    }
    for _ in 0..COMMITS_MAX {
        let before = possible.clone();
        let newest = possible.last().cloned().unwrap_or_default();
        let mut attempted = None;
        let step = step(store, setup, &newest, source, &mut attempted);
        let done = matches!(step, Step::Committed { .. });
        let attempted = attempted.map(Rc::new).filter(|_| done || matches!(step, Step::Failed(_)));
        if let Some(rest) = liar.stopped() {
            return Left { power: rest.power, rest, possible: before, attempted };
        }
        match step {
            Step::Failed(error) => {
                assert!(liar.failed() || error == Error::Full, "without a failed flush: {error:?}");
                let rest = liar.stop(how > 127);
                return Left { power: rest.power, rest, possible, attempted };
            }
            Step::Committed { durable: true } => possible = attempted.into_iter().collect(),
            Step::Committed { durable: false } => possible.extend(attempted),
            Step::Durable => possible = vec![newest],
            Step::Nothing => {}
            Step::Over => break,
        }
        let now = store.begin_read(0).expect("a slot");
        assert!(ops::entries(&now) == **possible.last().expect("a state"), "the newest state");
    }
    let rest = liar.stop(how > 127);
    Left { power: rest.power, rest, possible, attempted: None }
}

enum Step {
    Committed {
        durable: bool,
    },
    /// What was committed before is durable.
    Durable,
    Nothing,
    Failed(Error),
    Over,
}

fn step(
    store: &CrashStore,
    setup: &Setup,
    newest: &Model,
    source: &mut Source<'_>,
    attempted: &mut Option<Model>,
) -> Step {
    let durable = match source.byte() {
        None => return Step::Over,
        Some(0..=9) => store.checkpoint().map(drop),
        Some(10..=19) => store.sync().map(drop),
        Some(20..=24) => {
            // What was closed, and not written to since, is left as it is: nothing is promised anew.
            let before = store.stats().checkpoints;
            match store.close() {
                Ok(()) if store.stats().checkpoints == before => return Step::Nothing,
                closed => closed,
            }
        }
        Some(_) => {
            let begun = store.begin_write().map_err(mapleaf_btree::Error::from);
            let writer = begun.and_then(Writer::new);
            return match writer.and_then(|writer| {
                ops::transaction(writer, setup.width, source, newest, attempted, false)
            }) {
                Ok(Some(durability)) => {
                    Step::Committed { durable: durability == mapleaf_pager::Durability::Sync }
                }
                Ok(None) => Step::Nothing,
                Err(mapleaf_btree::Error::Pager(error)) => Step::Failed(error),
                Err(error) => panic!("{error:?}"),
            };
        }
    };
    durable.map_or_else(Step::Failed, |()| Step::Durable)
}

/// Opens what was left, with stops on the way as the fuzzer likes; what may be lost from there.
fn reopen(mut left: Left, setup: &Setup, source: &mut Source<'_>) -> (CrashStore, Vec<Rc<Model>>) {
    for attempt in 0..=OPENINGS_MAX {
        let liar = setup.liar(left.rest.clone(), source);
        let choice = source.byte().unwrap_or(255);
        if choice < 64 && attempt < OPENINGS_MAX {
            liar.stop_after(1 + u64::from(choice));
        }
        let mut work = [0; 1 << 10];
        let opened = Store::open_proven(
            liar.clone(),
            words(),
            &setup.options,
            &mut Replayer::new(),
            &mut work,
        );
        let found = opened.as_ref().ok().map(|store| ops::entries(&store.begin_read(0).unwrap()));
        let Some(rest) = liar.stopped() else {
            let store = opened.unwrap_or_else(|error| panic!("does not open: {error:?}"));
            let replayed = store.stats().replayed_blocks > 0;
            let possible = left.find(&found.expect("opened"), replayed);
            return (store, possible);
        };
        if let Some(found) = found {
            left = Left { possible: left.find(&found, false), attempted: None, ..left };
        }
        left = Left { power: left.power || rest.power, rest, ..left };
    }
    unreachable!("the last attempt is not stopped");
}

/// Runs one history and its crashes.
pub fn run(bytes: &[u8]) {
    let mut source = Source(bytes);
    let Some(setup) = Setup::read(&mut source) else { return };
    let liar = setup.liar(Rest::default(), &mut source);
    let mut store = Store::create(liar, words(), &setup.options).expect("room");
    let mut possible = vec![Rc::new(Model::new())];
    for _ in 0..ERAS_MAX {
        let left = live(&store, &setup, possible, &mut source);
        (store, possible) = reopen(left, &setup, &mut source);
        if source.0.is_empty() {
            break;
        }
    }
    // And once more, whatever is left of the bytes.
    let left = live(&store, &setup, possible, &mut Source(&[1, 40, 200, 3, 0, 5, 7, 30, 9]));
    reopen(left, &setup, &mut Source(&[]));
}
