//! One thread that answers requests, by plain lookups or without waiting.

use super::distribution::Distribution;
use crate::Result;
use crate::data::mix;
use mapleaf::{Access, Database, Faults, ReadTree};
use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;
use std::time::{Duration, Instant};

/// Requests that a closed load keeps under way where that is possible.
const WINDOW: usize = 32;

/// How requests are answered.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// `get` on a map that the kernel reads ahead in, as maps are by default.
    DefaultMap,
    /// `get` on a map advised as random.
    Plain,
    /// `try_get`; what is missing is begun to be read, and asked for again later.
    TryGet,
    /// The same with `Access::Fetched`: the kernel heeds what is used.
    TryGetFetched,
}

impl Way {
    pub(super) const ALL: [Way; 4] = [Way::DefaultMap, Way::Plain, Way::TryGet, Way::TryGetFetched];

    pub(super) fn name(self) -> &'static str {
        match self {
            Way::DefaultMap => "get, default map",
            Way::Plain => "get, MADV_RANDOM",
            Way::TryGet => "try_get, MADV_RANDOM",
            Way::TryGetFetched => "try_get, Fetched",
        }
    }

    pub(super) fn access(self) -> Access {
        match self {
            Way::DefaultMap => Access::Resident,
            Way::TryGetFetched => Access::Fetched,
            Way::Plain | Way::TryGet => Access::Sparse,
        }
    }

    fn waits(self) -> bool {
        matches!(self, Way::DefaultMap | Way::Plain)
    }
}

/// What is asked for.
pub(super) struct Load {
    pub(super) entries: u64,
    /// Requests a second; 0 for as many as are answered.
    pub(super) rate: u64,
    pub(super) time: Duration,
}

/// Key of an entry: ascending, 24 bytes.
pub(super) fn key(number: u64) -> [u8; 24] {
    let mut key = *b"entry number ...........";
    key[16..].copy_from_slice(&number.to_be_bytes());
    key
}

/// A request under way.
struct Request {
    number: u64,
    asked: Instant,
    /// What it waits for, and since when that is being read.
    begun: Option<(Range<u64>, Instant)>,
}

/// What came of it.
pub(super) struct Served {
    calls: Distribution,
    answers: Distribution,
    hard: u64,
    time: Duration,
}

/// The columns of a distribution.
pub(super) const HEAD: &str = "     p50      p99    p99.9      max";

impl fmt::Display for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = self.answers.len() as f64 / self.time.as_secs_f64();
        write!(f, "{rate:>9.0} ")?;
        for times in [&self.calls, &self.answers] {
            for part in [0.5, 0.99, 0.999, 1.0] {
                write!(f, " {:>8.1}", times.quantile(part) as f64 / 1000.0)?;
            }
            write!(f, " ")?;
        }
        write!(f, "{:>6.1}", self.hard as f64 * 100.0 / self.answers.len().max(1) as f64)
    }
}

/// Answers requests for as long as the load says.
pub(super) fn serve(db: &Database, way: Way, load: &Load, seed: u64) -> Result<Served> {
    let snap = db.read()?;
    let tree = snap.tree("t")?;
    let (calls, answers) = (Distribution::new(), Distribution::new());
    let mut served = Served { calls, answers, hard: 0, time: load.time };
    let mut blocked: VecDeque<Request> = VecDeque::new();
    let mut random = mix(seed);
    let (start, faults) = (Instant::now(), Faults::of_thread());
    let mut asked = 0;
    while start.elapsed() < load.time {
        let request = if let Some(when) = due(load, asked, start, blocked.len(), way) {
            asked += 1;
            random = mix(random);
            Request { number: number(random, load.entries), asked: when, begun: None }
        } else if let Some(request) = blocked.pop_front() {
            request
        } else {
            std::hint::spin_loop();
            continue;
        };
        let before = Instant::now();
        let missing = attempt(db, &tree, way, &request)?;
        let after = Instant::now();
        served.calls.add((after - before).as_nanos() as u64);
        if let Some(missing) = missing {
            blocked.push_back(Request { begun: Some(missing), ..request });
        } else {
            served.answers.add((after - request.asked).as_nanos() as u64);
        }
    }
    served.time = start.elapsed();
    served.hard = Faults::of_thread().since(faults).major;
    Ok(served)
}

/// When the next request was asked, if it is its turn.
fn due(load: &Load, asked: u64, start: Instant, blocked: usize, way: Way) -> Option<Instant> {
    let now = Instant::now();
    if load.rate == 0 {
        let room = if way.waits() { 1 } else { WINDOW };
        return (blocked < room).then_some(now);
    }
    let when = start + Duration::from_nanos(asked * 1_000_000_000 / load.rate);
    (when <= now).then_some(when)
}

/// What the request waits for; `None` where it was answered, and its value read.
fn attempt(
    db: &Database,
    tree: &ReadTree<'_>,
    way: Way,
    request: &Request,
) -> Result<Option<(Range<u64>, Instant)>> {
    /// A page that was not there after so long was read and dropped again.
    const PATIENCE: Duration = Duration::from_millis(20);
    let key = key(request.number);
    let found = if way.waits() { tree.get(&key) } else { tree.try_get(&key) };
    let error = match found {
        Ok(value) => {
            let value = value.ok_or("an entry is missing")?;
            std::hint::black_box(value.iter().map(|&byte| u64::from(byte)).sum::<u64>());
            return Ok(None);
        }
        Err(error) => error,
    };
    let missing = db.missing(error).ok_or(error)?;
    match &request.begun {
        Some((range, since)) if *range == missing && since.elapsed() < PATIENCE => {
            Ok(Some((missing, *since)))
        }
        _ => {
            db.prefetch(std::slice::from_ref(&missing));
            Ok(Some((missing, Instant::now())))
        }
    }
}

/// A random entry: 80 % from a tenth of the file.
fn number(random: u64, entries: u64) -> u64 {
    let number = mix(random) % entries;
    if random % 10 < 8 { number / 10 } else { number }
}
