//! Running programs by the thousand, and shrinking the one that fails.

use super::{Figures, Planted, Program};
use quickcheck::Arbitrary;
use std::cell::RefCell;
use std::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, Once, PoisonError};
use std::time::{Duration, Instant};

/// Programs tried to shrink one.
const SHRINKS_MAX: u32 = 20_000;
/// What one program may take; it takes milliseconds.
const PROGRAM_TIME_MAX: Duration = Duration::from_secs(120);
/// How often that is looked at.
const WATCH_EVERY: Duration = Duration::from_millis(50);

/// Many programs, of seeds in a row.
#[derive(Clone, Copy, Debug)]
pub struct Campaign {
    /// The first program's seed.
    pub seed: u64,
    /// How many programs.
    pub cases: u64,
    /// Threads that run them.
    pub threads: usize,
    /// The bug to find.
    pub planted: Option<Planted>,
}

/// A program that fails.
#[derive(Clone)]
pub struct Found {
    /// The seed it is of.
    pub seed: u64,
    /// How many steps it had.
    pub steps: usize,
    /// The smallest program that was found to fail.
    pub shrunk: Program,
    /// What it says.
    pub message: String,
}

/// What came of a campaign.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Programs that ran.
    pub cases: u64,
    /// All they did.
    pub figures: Figures,
    /// The failing program of the smallest seed, of those that ran.
    pub found: Option<Found>,
}

impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the program of seed {} fails; {} steps, shrunk:", self.seed, self.steps)?;
        write!(f, "{}", self.shrunk)?;
        writeln!(f, "{}", self.message)?;
        write!(f, "replay: cargo xtask model --cases 1 --seed {}", self.seed)
    }
}

/// What a thread runs, and since when.
#[derive(Default)]
struct Running(Mutex<Option<(u64, Instant)>>);

/// What the threads share.
struct Shared {
    running: Vec<Running>,
    /// Threads that are not done.
    left: AtomicUsize,
    next: AtomicU64,
    over: AtomicBool,
    outcome: Mutex<Outcome>,
}

/// Counts a thread out, however it ends.
struct Done<'a>(&'a AtomicUsize);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Release);
    }
}

impl Campaign {
    /// Runs the programs until one fails. One that does not end within two minutes ends the process.
    #[must_use]
    pub fn run(&self) -> Outcome {
        let outcome = Outcome { cases: 0, figures: Figures::default(), found: None };
        let shared = Shared {
            running: (0..self.threads).map(|_| Running::default()).collect(),
            left: AtomicUsize::new(self.threads),
            next: AtomicU64::new(0),
            over: AtomicBool::new(false),
            outcome: Mutex::new(outcome),
        };
        std::thread::scope(|scope| {
            for running in &shared.running {
                scope.spawn(|| {
                    let _done = Done(&shared.left);
                    self.work(&shared, running);
                });
            }
            scope.spawn(|| watch(&shared));
        });
        shared.outcome.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// One thread's work.
    fn work(&self, shared: &Shared, running: &Running) {
        let mut sum = (0, Figures::default());
        while !shared.over.load(Ordering::Relaxed) {
            let case = shared.next.fetch_add(1, Ordering::Relaxed);
            if case >= self.cases {
                break;
            }
            let seed = self.seed.wrapping_add(case);
            let program = Program::of(seed);
            sum.0 += 1;
            match judge(&program, self.planted, seed, running) {
                Ok(figures) => sum.1 = sum.1.and(figures),
                Err(message) => {
                    shared.over.store(true, Ordering::Relaxed);
                    let (shrunk, message) = self.shrink(program.clone(), message, seed, running);
                    let found = Found { seed, steps: program.len(), shrunk, message };
                    let mut outcome = lock(&shared.outcome);
                    if outcome.found.as_ref().is_none_or(|other| other.seed > seed) {
                        outcome.found = Some(found);
                    }
                }
            }
        }
        let mut outcome = lock(&shared.outcome);
        outcome.cases += sum.0;
        outcome.figures = outcome.figures.and(sum.1);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Figures {
    /// Both together.
    fn and(self, other: Figures) -> Figures {
        Figures {
            steps: self.steps + other.steps,
            commits: self.commits + other.commits,
            openings: self.openings + other.openings,
            states: self.states + other.states,
            log_commits: self.log_commits + other.log_commits,
            checkpoints: self.checkpoints + other.checkpoints,
            replayed: self.replayed + other.replayed,
            height_max: self.height_max.max(other.height_max),
            pages_max: self.pages_max.max(other.pages_max),
        }
    }
}

thread_local! {
    /// Where a judged program's panic goes, instead of to the terminal.
    static MESSAGE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Keeps the panics of judged programs for their judge; all others go where they went before.
fn catch_messages() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let kept = MESSAGE.with_borrow_mut(|message| match message {
                Some(message) => {
                    *message = info.to_string();
                    true
                }
                None => false,
            });
            if !kept {
                before(info);
            }
        }));
    });
}

/// Runs a program; what it says where it fails.
fn judge(
    program: &Program,
    planted: Option<Planted>,
    seed: u64,
    running: &Running,
) -> Result<Figures, String> {
    catch_messages();
    MESSAGE.set(Some(String::new()));
    *lock(&running.0) = Some((seed, Instant::now()));
    let ran = panic::catch_unwind(AssertUnwindSafe(|| program.run(planted)));
    *lock(&running.0) = None;
    let message = MESSAGE.take().unwrap_or_default();
    ran.map_err(|_| message)
}

/// Ends the process where a program does not end.
fn watch(shared: &Shared) {
    while shared.left.load(Ordering::Acquire) > 0 {
        std::thread::sleep(WATCH_EVERY);
        for running in &shared.running {
            if let Some((seed, since)) = *lock(&running.0)
                && since.elapsed() > PROGRAM_TIME_MAX
            {
                eprintln!("the program of seed {seed}, or a shrunk one, does not end");
                eprintln!("replay: cargo xtask model --cases 1 --seed {seed}");
                std::process::exit(1);
            }
        }
    }
}

impl Campaign {
    /// A smaller program that fails too, and what it says; as quickcheck does it, but with an end.
    fn shrink(
        &self,
        mut program: Program,
        mut message: String,
        seed: u64,
        running: &Running,
    ) -> (Program, String) {
        let mut tried = 0;
        'smaller: loop {
            for smaller in program.shrink() {
                tried += 1;
                if tried > SHRINKS_MAX {
                    break 'smaller;
                }
                if let Err(said) = judge(&smaller, self.planted, seed, running) {
                    (program, message) = (smaller, said);
                    continue 'smaller;
                }
            }
            break;
        }
        (program, message)
    }
}
