//! `cargo xtask kills`: a writer is killed (SIGKILL) at any moment: while it opens the file and recovers,
//! under load, while it closes.
//!
//! Invariants checked after each kill:
//! - every commit that was acknowledged, `Sync` or `Eventual`, is there with all before it, and at most the
//!   one in flight beside, of each thread; a writer that was killed while it opened or closed has changed nothing;
//! - threads that share barriers (`WriteTxn::commit_group`) are acknowledged once each, and none while more
//!   commits before it are unacknowledged than there are other threads;
//! - every entry of every tree is what the last of these commits wrote; `check` is clean;
//! - the next writer, which meets the file as the kill left it, finds the same.
//!
//! Death of the process only: the page cache survives it. `write-order` is about power.

use crate::data::mix;
use crate::history::{Ending, Model, Orders, Plan, Planted, Said, State, open, state};
use crate::{Result, history};
use mapleaf::WriteMode;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Kills after which the next writer makes a new file: making one is interrupted too.
const KILLS_PER_FILE: u64 = 25;
/// Writers that ended before they were killed, for one that was.
const MISSED_MAX: u64 = 20;
/// A writer that says nothing for so long hangs.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// Threads of every second life; the other half's is alone.
const THREADS: u64 = 4;
/// What is said of an acknowledged commit that is not there.
const LOST: &str = "commits are missing";
const SIGKILL: i32 = 9;

/// When a writer is killed: so long after what it says.
#[derive(Clone, Copy, Debug)]
enum Moment {
    Opening(Duration),
    Commit(u64, Duration),
    Closing(Duration),
}

/// What the kills met.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Met {
    /// Kills before the file was open, between commits or in them, and in `close`.
    pub(crate) opening: u64,
    pub(crate) loading: u64,
    pub(crate) closing: u64,
    /// Commits that were acknowledged, and those of them that were `Eventual`.
    pub(crate) commits: u64,
    pub(crate) eventual: u64,
    /// Kills while several threads wrote, and commits whose barrier was that of a later one too.
    pub(crate) threads: u64,
    pub(crate) shared: u64,
    /// Commits in flight that were there.
    pub(crate) in_flight: u64,
    /// Openings that replayed a log.
    pub(crate) replayed: u64,
    pub(crate) files: u64,
    pub(crate) bytes_max: u64,
}

impl Met {
    pub(crate) fn kills(&self) -> u64 {
        self.opening + self.loading + self.closing
    }
}

impl std::fmt::Display for Met {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (kills, commits) = (self.kills(), self.commits);
        write!(f, "{kills} kills ({} while opening, {} under load, ", self.opening, self.loading)?;
        write!(f, "{} while closing), {commits} commits ", self.closing)?;
        write!(f, "({} Eventual), {} of those in flight, ", self.eventual, self.in_flight)?;
        write!(f, "{} kills of several threads, {} of whose commits ", self.threads, self.shared)?;
        write!(f, "shared a barrier with a later one, ")?;
        write!(
            f,
            "{} replays, {} files of at most {} bytes",
            self.replayed, self.files, self.bytes_max
        )
    }
}

/// `kills [--count N] [--seed S] [--dir DIR] [--threads N] [--planted]`.
pub(crate) fn run(words: &[String]) -> Result<bool> {
    let mut count = 500;
    let mut seed = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos() as u64;
    let mut planted = Planted::None;
    let mut parent = std::env::temp_dir();
    let mut threads = None;
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut next = || words.next().ok_or(crate::USAGE);
        match word.as_str() {
            "--count" => count = next()?.parse()?,
            "--seed" => seed = next()?.parse()?,
            "--threads" => threads = Some(next()?.parse()?),
            "--dir" => parent = next()?.into(),
            "--planted" => planted = Planted::Early,
            _ => return Err(crate::USAGE.into()),
        }
    }
    let directory = tempfile::Builder::new().prefix("mapleaf-kills-").tempdir_in(parent)?;
    let start = Instant::now();
    match (campaign(directory.path(), count, seed, threads, planted), planted) {
        (Ok(met), Planted::None) => {
            println!("{met}; {:.0} s", start.elapsed().as_secs_f64());
            Ok(true)
        }
        (Err(found), Planted::None) => {
            println!("the files: {}", directory.keep().display());
            Err(found)
        }
        (Ok(met), _) => Err(format!("the planted bug was not found: {met}").into()),
        // Not just any failure: this is what that bug looks like.
        (Err(found), _) if found.to_string().contains(LOST) => {
            println!("found, as planted: {found}");
            Ok(true)
        }
        (Err(other), _) => Err(other),
    }
}

/// So many kills in files of this directory, of writers with so many threads, or one and several by turns.
///
/// # Errors
/// The first invariant that does not hold; the files stay as they were then.
pub(crate) fn campaign(
    directory: &Path,
    count: u64,
    seed: u64,
    threads: Option<u64>,
    planted: Planted,
) -> Result<Met> {
    let fixed = threads.map(|threads| format!(" --threads {threads}")).unwrap_or_default();
    println!("kills: seed {seed}; again: cargo xtask kills --count {count} --seed {seed}{fixed}");
    let mut met = Met::default();
    let mut missed = 0;
    let mut run = Run::new(directory, seed);
    for round in 0.. {
        if met.kills() >= count {
            break;
        }
        let before = met.kills();
        run.life(mix(seed ^ mix(round)), threads, planted, &mut met).map_err(|failure| {
            format!("seed {seed}, kill {}, life {round}: {failure}", met.kills())
        })?;
        missed += u64::from(met.kills() == before);
        if missed > MISSED_MAX + count {
            return Err(format!("only {} of {} writers could be killed", met.kills(), round).into());
        }
        if met.kills() / KILLS_PER_FILE != before / KILLS_PER_FILE {
            run = Run::new(directory, mix(seed ^ met.kills()));
        }
    }
    Ok(met)
}

/// What a writer has acknowledged.
#[derive(Clone, Copy, Debug)]
struct Acknowledged {
    newest: State,
    /// The number up to which commits may be there: one in flight of each thread.
    most: u64,
}

/// One file, and what it must hold.
struct Run {
    plan: Plan,
    path: PathBuf,
    copy: PathBuf,
    model: Model,
    life: u64,
}

impl Run {
    fn new(directory: &Path, seed: u64) -> Run {
        let (path, copy) = (directory.join("killed.leaf"), directory.join("copy.leaf"));
        let _ = std::fs::remove_file(&path);
        let plan = Plan { seed, keys: 4_000, batch_max: 400 };
        Run { plan, path, copy, model: Model::new(plan), life: 0 }
    }

    /// One writer, its end, and a look at what it left.
    fn life(
        &mut self,
        dice: u64,
        threads: Option<u64>,
        planted: Planted,
        met: &mut Met,
    ) -> Result<()> {
        self.life += 1;
        met.files += u64::from(self.life == 1);
        let mode = if dice.is_multiple_of(2) { WriteMode::Shadow } else { WriteMode::InPlace };
        let moment = moment(dice >> 1);
        let ending = if let Moment::Closing(_) = moment { Ending::Close } else { Ending::Killed };
        let commits = mix(dice) % 40;
        let (plan, life, path) = (self.plan, self.life, self.path.clone());
        let drawn = if mix(dice ^ 2).is_multiple_of(2) { THREADS } else { 1 };
        let threads = threads.unwrap_or(drawn);
        let orders =
            Orders { path, mode, plan, life, threads, commits, ending, planted, log: None };
        let (killed, said) = kill(&orders, moment)?;
        let acknowledged = self.acknowledged(&said, threads, met)?;
        if killed {
            met.threads += u64::from(threads > 1);
            match said.last() {
                None | Some(Said::Opening) => met.opening += 1,
                Some(Said::Closing) => met.closing += 1,
                Some(_) => met.loading += 1,
            }
        }
        self.look(mix(dice ^ 1), acknowledged, met)
            .map_err(|failure| format!("{moment:?}, {mode:?}: {failure}").into())
    }

    /// The newest state that the writer acknowledged, or found.
    fn acknowledged(&self, said: &[Said], threads: u64, met: &mut Met) -> Result<Acknowledged> {
        let mut at = self.model.at();
        let began = at.number;
        let mut numbers = BTreeSet::new();
        for what in said {
            match *what {
                Said::Open(found) if found != at => {
                    return Err(format!("a writer opened {found:?} instead of {at:?}").into());
                }
                Said::Done { number, safe, shared, .. } => {
                    let known = began + numbers.len() as u64;
                    if number <= began || number > known + threads || !numbers.insert(number) {
                        return Err(format!("{number} was acknowledged behind {numbers:?}").into());
                    }
                    at = State { number: at.number.max(number), life: self.life };
                    met.commits += 1;
                    met.eventual += u64::from(!safe);
                    met.shared += u64::from(shared);
                }
                _ => {}
            }
        }
        let in_flight = matches!(said.last(), Some(Said::Open(_) | Said::Done { .. }));
        let most = began + numbers.len() as u64 + if in_flight { threads } else { 0 };
        Ok(Acknowledged { newest: at, most })
    }

    /// Opens the file, or a copy so that the next writer meets what the kill left.
    fn look(&mut self, dice: u64, acknowledged: Acknowledged, met: &mut Met) -> Result<()> {
        let Acknowledged { newest, most } = acknowledged;
        if !self.path.exists() {
            return if newest.number == 0 { Ok(()) } else { Err("the file is gone".into()) };
        }
        met.bytes_max = met.bytes_max.max(std::fs::metadata(&self.path)?.len());
        let original = dice.is_multiple_of(4);
        if !original {
            std::fs::copy(&self.path, &self.copy)?;
        }
        let looked_at = if original { &self.path } else { &self.copy };
        let mode =
            if (dice >> 2).is_multiple_of(2) { WriteMode::Shadow } else { WriteMode::InPlace };
        let db = open(looked_at, mode)?;
        met.replayed += u64::from(db.stats().store.replayed_blocks > 0);
        let found = state(&db)?;
        let more = found.life == self.life && found.number > newest.number && found.number <= most;
        if found != newest && !more {
            return Err(format!("{LOST} of {acknowledged:?}: found {found:?}").into());
        }
        met.in_flight += found.number - newest.number;
        while self.model.at().number < found.number {
            self.model.commit(self.life);
        }
        self.model.compare(&db)?;
        if (dice >> 3).is_multiple_of(2) {
            db.close()?;
        }
        Ok(())
    }
}

fn moment(dice: u64) -> Moment {
    // As many of a few microseconds as of many milliseconds.
    let after = |micros_max_log2: u64| {
        let log2 = mix(dice) % (micros_max_log2 + 1);
        Duration::from_micros(mix(dice ^ 1) % (1 << log2))
    };
    match dice % 8 {
        0..=2 => Moment::Opening(after(14)),
        3 | 4 => Moment::Closing(after(12)),
        5 => Moment::Commit(0, after(18)),
        _ => Moment::Commit(mix(dice ^ 2) % 600, after(11)),
    }
}

/// Runs a writer and kills it; whether it was alive then, and what it said.
fn kill(orders: &Orders, moment: Moment) -> Result<(bool, Vec<Said>)> {
    let mut writer = orders.command()?.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let pipe = writer.stdout.take().ok_or("no output")?;
    let (reached, told) = channel();
    let reader = thread::spawn(move || {
        listen(pipe, moment, || {
            let _ = reached.send(());
        })
    });
    let waited = wait(&told, moment);
    // SIGKILL. What it has said stays in the pipe.
    writer.kill()?;
    let status = writer.wait()?;
    let said = reader.join().map_err(|_| "the reader panicked")??;
    waited?;
    let killed = status.signal() == Some(SIGKILL);
    if !killed && !status.success() {
        return Err(format!("the writer failed: {status}").into());
    }
    Ok((killed, said))
}

/// Reads what the writer says until it ends; tells when the moment is counted from.
fn listen(pipe: ChildStdout, moment: Moment, reached: impl Fn()) -> Result<Vec<Said>, String> {
    let mut said = Vec::new();
    let mut commits = 0;
    for line in BufReader::new(pipe).lines() {
        let line = line.map_err(|error| error.to_string())?;
        let what = history::Said::parse(&line).map_err(|error| error.to_string())?;
        said.push(what);
        match (what, moment) {
            (Said::Opening, Moment::Opening(_)) | (Said::Closing, Moment::Closing(_)) => reached(),
            (Said::Open(_) | Said::Done { .. }, Moment::Commit(nth, _)) => {
                if commits == nth {
                    reached();
                }
                commits += 1;
            }
            _ => {}
        }
    }
    Ok(said)
}

fn wait(told: &Receiver<()>, moment: Moment) -> Result<()> {
    let (Moment::Opening(after) | Moment::Commit(_, after) | Moment::Closing(after)) = moment;
    match told.recv_timeout(SILENCE_MAX) {
        Ok(()) => {}
        Err(std::sync::mpsc::RecvTimeoutError::Timeout) => return Err("the writer hangs".into()),
        // It has ended.
        Err(_) => return Ok(()),
    }
    let until = Instant::now() + after;
    // Sleeping is a matter of a hundred microseconds: too coarse for the short ones.
    if after > Duration::from_millis(2) {
        thread::sleep(after - Duration::from_millis(1));
    }
    while Instant::now() < until {
        std::hint::spin_loop();
    }
    Ok(())
}
