//! Campaigns: which histories are looked at, in which setups.

use super::{Breadth, Failure, History, LETTERS, Report, Search, Setup};
use crate::sim::Dice;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// Which histories a campaign looks at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Which {
    /// [`FIXED`].
    Fixed,
    /// All words of at most so many of these letters; of each the crashes of its last step, since shorter words have
    /// the others.
    Words(u32, &'static str),
    /// So many words of four letters, drawn.
    Drawn(u64),
    /// So many random ones, of ten to forty steps.
    Random(u64),
}

/// Histories that meet, in one setup or another, all [`EVENTS`](super::EVENTS): words of four letters seldom do.
pub const FIXED: [&str; 3] = [
    // Commits beside a checkpoint wait for room in a ring of 512 bytes: it moves.
    "L7e9b2s1", // Around that ring; an old reader.
    "S2s9b8s1", "y1c0r9L3",
];

/// What a campaign looks at, and when it ends.
#[derive(Clone, Copy, Debug)]
pub struct Campaign {
    /// Its histories.
    pub which: Which,
    /// How much of each.
    pub breadth: Breadth,
    /// From which everything follows.
    pub seed: u64,
    /// Histories to leave out at the start: an earlier run has looked at them.
    pub from: u64,
    /// Ends behind the crash that reaches so many states.
    pub states: u64,
    /// Or behind the one that is looked at then.
    pub time: Duration,
    /// Who look, each at a history of its own: 1 or more.
    pub threads: usize,
}

/// How far those who look have come.
struct Progress {
    begun: Instant,
    /// Histories begun.
    next: AtomicU64,
    states: AtomicU64,
    over: AtomicBool,
}

/// Bytes of a thread's stack: a history in the unoptimized build.
const STACK_BYTES: usize = 16 << 20;

/// Steps of random histories.
const STEPS_MIN: usize = 10;
const STEPS_MORE: usize = 31;

impl Campaign {
    /// The `number`-th history.
    fn history(&self, number: u64) -> Option<History> {
        let mut dice = Dice(self.seed ^ number.rotate_left(32));
        match self.which {
            Which::Fixed => FIXED.get(number as usize).and_then(|text| text.parse().ok()),
            Which::Words(longest, letters) => History::nth_word(number, longest, letters),
            Which::Drawn(most) if number < most => {
                let all = (LETTERS.len() as u64).pow(4);
                Some(History::word(dice.roll() % all, 4, LETTERS))
            }
            Which::Random(most) if number < most => {
                let steps = STEPS_MIN + dice.below(STEPS_MORE);
                Some(History::random(&mut dice, steps))
            }
            _ => None,
        }
    }

    /// Looks at the histories in turn, each in every setup. `tell` hears how far it is, now and then.
    ///
    /// # Errors
    /// The first failure.
    ///
    /// # Panics
    /// Where a thread cannot be had.
    pub fn run(&self, tell: &mut dyn FnMut(&Report, Duration)) -> Result<Report, Failure> {
        let begun = Instant::now();
        let progress = Progress {
            begun,
            next: AtomicU64::new(self.from),
            states: AtomicU64::new(0),
            over: AtomicBool::new(false),
        };
        thread::scope(|scope| {
            let (sender, reports) = channel();
            for _ in 0..self.threads {
                let (sender, progress) = (sender.clone(), &progress);
                let thread = thread::Builder::new().stack_size(STACK_BYTES);
                let looks = thread.spawn_scoped(scope, move || self.look(progress, &sender));
                looks.expect("a thread");
            }
            drop(sender);
            let (mut total, mut told) = (Report::default(), begun);
            for report in reports {
                let report = report.inspect_err(|_| progress.over.store(true, Relaxed))?;
                total.add(&report);
                if told.elapsed() >= Duration::from_secs(10) {
                    told = Instant::now();
                    tell(&total, begun.elapsed());
                }
            }
            Ok(total)
        })
    }

    /// Looks at histories that nobody has begun, till there are no more.
    fn look(&self, progress: &Progress, reports: &Sender<Result<Report, Failure>>) {
        let breadth = match self.which {
            Which::Random(_) => self.breadth.for_long(),
            Which::Fixed | Which::Words(..) | Which::Drawn(_) => self.breadth,
        };
        let searches = Setup::all().into_iter().map(|setup| {
            let mut search = Search::new(Setup { seed: self.seed, ..setup }, breadth);
            search.last_only = matches!(self.which, Which::Words(..));
            search.until = progress.begun.checked_add(self.time);
            search
        });
        let mut searches: Vec<_> = searches.collect();
        while let Some(history) = self.history(progress.next.fetch_add(1, Relaxed)) {
            for search in &mut searches {
                let seen = progress.states.load(Relaxed);
                let over = progress.over.load(Relaxed) || progress.begun.elapsed() >= self.time;
                if over || seen >= self.states {
                    return;
                }
                search.report = Report::default();
                search.states_max = self.states - seen;
                let report = search.history(&history).map(|()| search.report);
                progress.states.fetch_add(search.report.states, Relaxed);
                if reports.send(report).is_err() {
                    return;
                }
            }
        }
    }
}

/// The breadth with which a campaign would look at the history.
fn breadth_of(history: &History, breadth: Breadth) -> Breadth {
    if history.0.len() >= STEPS_MIN { breadth.for_long() } else { breadth }
}

/// Looks again at what failed: `SETUP:HISTORY`, as a failure prints it; at the crashes of the last step only, where that
/// was a word.
///
/// # Errors
/// The failure; or the text is no such thing.
pub fn replay(
    text: &str,
    breadth: Breadth,
    last_only: bool,
) -> Result<Result<Report, Failure>, String> {
    let (setup, history) = text.rsplit_once(':').ok_or("SETUP:HISTORY is what a failure prints")?;
    let (setup, history): (Setup, History) = (setup.parse()?, history.parse()?);
    let mut search = Search::new(setup, breadth_of(&history, breadth));
    search.last_only = last_only;
    Ok(search.history(&history).map(|()| search.report))
}

impl Report {
    fn add(&mut self, other: &Report) {
        self.histories += other.histories;
        self.crashes += other.crashes;
        self.states += other.states;
        self.images += other.images;
        self.met.add(&other.met);
        self.met_after.add(&other.met_after);
        for depth in 0..2 {
            self.lives[depth] += other.lives[depth];
            self.states_below[depth] += other.states_below[depth];
        }
    }
}
