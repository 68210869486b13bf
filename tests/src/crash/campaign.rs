//! Campaigns: which histories are looked at, in which setups.

use super::{Breadth, Failure, History, LETTERS, Report, Search, Setup};
use crate::sim::Dice;
use std::time::{Duration, Instant};

/// Which histories a campaign looks at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Which {
    /// [`FIXED`].
    Fixed,
    /// All words of so many letters.
    Words(u32),
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
    /// Ends behind the crash that reaches so many states.
    pub states: u64,
    /// Or behind the one that is looked at then.
    pub time: Duration,
}

/// Steps of random histories.
const STEPS_MIN: usize = 10;
const STEPS_MORE: usize = 31;

impl Campaign {
    /// The `number`-th history.
    fn history(&self, number: u64) -> Option<History> {
        let letters = LETTERS.len() as u64;
        let mut dice = Dice(self.seed ^ number.rotate_left(32));
        match self.which {
            Which::Fixed => FIXED.get(number as usize).and_then(|text| text.parse().ok()),
            Which::Words(length) if number < letters.pow(length) => {
                Some(History::word(number, length, LETTERS))
            }
            Which::Drawn(most) if number < most => {
                Some(History::word(dice.roll() % letters.pow(4), 4, LETTERS))
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
    pub fn run(&self, tell: &mut dyn FnMut(&Report, Duration)) -> Result<Report, Failure> {
        let begun = Instant::now();
        let mut told = begun;
        let setups = Setup::all();
        let breadth = match self.which {
            Which::Random(_) => self.breadth.for_long(),
            Which::Fixed | Which::Words(_) | Which::Drawn(_) => self.breadth,
        };
        let searches = setups.iter().map(|setup| {
            let setup = Setup { seed: self.seed, ..*setup };
            Search::new(setup, breadth)
        });
        let mut searches: Vec<_> = searches.collect();
        let mut total = Report::default();
        for history in (0..).map_while(|number| self.history(number)) {
            for search in &mut searches {
                search.report = Report::default();
                search.states_max = self.states - total.states;
                search.until = begun.checked_add(self.time);
                search.history(&history)?;
                total.add(&search.report);
                if total.states >= self.states || begun.elapsed() >= self.time {
                    return Ok(total);
                }
                if told.elapsed() >= Duration::from_secs(10) {
                    told = Instant::now();
                    tell(&total, begun.elapsed());
                }
            }
        }
        Ok(total)
    }
}

/// The breadth with which a campaign would look at the history.
fn breadth_of(history: &History, breadth: Breadth) -> Breadth {
    if history.0.len() >= STEPS_MIN { breadth.for_long() } else { breadth }
}

/// Looks again at what failed: `SETUP:HISTORY`, as a failure prints it.
///
/// # Errors
/// The failure; or the text is no such thing.
pub fn replay(text: &str, breadth: Breadth) -> Result<Result<Report, Failure>, String> {
    let (setup, history) = text.rsplit_once(':').ok_or("SETUP:HISTORY is what a failure prints")?;
    let (setup, history): (Setup, History) = (setup.parse()?, history.parse()?);
    let mut search = Search::new(setup, breadth_of(&history, breadth));
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
