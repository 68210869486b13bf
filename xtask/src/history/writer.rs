//! The process that writes: what it is told, what it does, what it says.

use super::commit::{begin, fill};
use super::plan::Then;
use super::{Plan, State, open, state};
use crate::Result;
use crate::process::child;
use mapleaf::{Database, Durability, OwnedReadTxn, WriteMode, WriteTxn};
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// How a writer ends when it has made all its commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It closes the database.
    Close,
    /// It drops it.
    Drop,
    /// It goes on until it is killed.
    Killed,
}

/// A bug of the writer, for whoever looks at the file to find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Planted {
    None,
    /// Commits are acknowledged before they are made.
    Early,
    /// `Eventual` commits are said to survive power loss; threads that share a barrier do not wait for it.
    Eventual,
}

/// What a writer is told.
#[derive(Clone, Debug)]
pub(crate) struct Orders {
    pub(crate) path: PathBuf,
    pub(crate) mode: WriteMode,
    pub(crate) plan: Plan,
    pub(crate) life: u64,
    /// Threads that write, and share barriers; one that is alone makes its own.
    pub(crate) threads: u64,
    pub(crate) commits: u64,
    pub(crate) ending: Ending,
    pub(crate) planted: Planted,
    /// The log of the device, whose length is told with each commit.
    pub(crate) log: Option<PathBuf>,
}

/// What a writer says, a line each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// It is about to open the file.
    Opening,
    /// It found this state there.
    Open(State),
    /// This commit was acknowledged. `safe`: as one that survives power loss. `entries`: how many the
    /// device's log had then. `shared`: the barrier was that of a later one too.
    Done { number: u64, safe: bool, entries: u64, shared: bool },
    /// It is about to close the database.
    Closing,
}

impl Said {
    fn line(self) -> String {
        match self {
            Said::Opening => "opening\n".into(),
            Said::Open(at) => format!("open {} {}\n", at.number, at.life),
            Said::Done { number, safe, entries, shared } => {
                format!("done {number} {safe} {entries} {shared}\n")
            }
            Said::Closing => "closing\n".into(),
        }
    }

    /// What a line says.
    ///
    /// # Errors
    /// Nothing that a writer says.
    pub(crate) fn parse(line: &str) -> Result<Said> {
        let words: Vec<&str> = line.split_whitespace().collect();
        Ok(match words[..] {
            ["opening"] => Said::Opening,
            ["open", number, life] => {
                Said::Open(State { number: number.parse()?, life: life.parse()? })
            }
            ["done", number, safe, entries, shared] => Said::Done {
                number: number.parse()?,
                safe: safe.parse()?,
                entries: entries.parse()?,
                shared: shared.parse()?,
            },
            ["closing"] => Said::Closing,
            _ => return Err(format!("a writer said: {line}").into()),
        })
    }
}

impl Orders {
    /// The process, not started yet.
    pub(crate) fn command(&self) -> Result<Command> {
        let Plan { seed, keys, batch_max } = self.plan;
        let mut command = child(&["writer"])?;
        command.arg(&self.path).arg(self.log.as_deref().unwrap_or(Path::new("")));
        for number in [seed, keys, batch_max, self.life, self.threads, self.commits] {
            command.arg(number.to_string());
        }
        command.arg(format!("{:?}", self.mode)).arg(format!("{:?}", self.ending));
        command.arg(format!("{:?}", self.planted));
        Ok(command)
    }

    fn parse(words: &[String]) -> Result<Orders> {
        let [path, log, seed, keys, batch_max, life, threads, commits, mode, ending, planted] =
            words
        else {
            return Err("a writer was told nothing it understands".into());
        };
        let plan = Plan { seed: seed.parse()?, keys: keys.parse()?, batch_max: batch_max.parse()? };
        Ok(Orders {
            path: path.into(),
            log: (!log.is_empty()).then(|| log.into()),
            plan,
            life: life.parse()?,
            threads: threads.parse()?,
            commits: commits.parse()?,
            mode: named(mode, [WriteMode::Shadow, WriteMode::InPlace])?,
            ending: named(ending, [Ending::Close, Ending::Drop, Ending::Killed])?,
            planted: named(planted, [Planted::None, Planted::Early, Planted::Eventual])?,
        })
    }
}

fn named<T: std::fmt::Debug, const N: usize>(name: &str, all: [T; N]) -> Result<T> {
    let found = all.into_iter().find(|each| format!("{each:?}") == name);
    found.ok_or_else(|| format!("no such thing: {name}").into())
}

/// The process itself.
pub(crate) fn writer(words: &[String]) -> Result<bool> {
    let orders = Orders::parse(words)?;
    let log = orders.log.as_ref().map(File::open).transpose()?;
    let voice = Voice { log, out: Mutex::new(std::io::stdout()) };
    voice.say(|_| Said::Opening)?;
    let db = open(&orders.path, orders.mode)?;
    let began = state(&db)?;
    voice.say(|_| Said::Open(began))?;
    let commits = if orders.ending == Ending::Killed { u64::MAX } else { orders.commits };
    let last = began.number.saturating_add(commits);
    std::thread::scope(|scope| {
        let write = || write(&db, &orders, last, &voice).map_err(|error| error.to_string());
        let threads: Vec<_> = (0..orders.threads).map(|_| scope.spawn(write)).collect();
        threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a panic")?)
    })?;
    if orders.ending == Ending::Close {
        voice.say(|_| Said::Closing)?;
        db.close()?;
    }
    Ok(true)
}

/// Where a writer says what it does.
struct Voice {
    log: Option<File>,
    out: Mutex<std::io::Stdout>,
}

impl Voice {
    /// Says what it is where the device's log has so many entries. A line is one write: whole in the pipe, or
    /// not there. Those of several threads have their numbers of entries in order.
    fn say(&self, what: impl FnOnce(u64) -> Said) -> Result<()> {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        let line = what(entries(self.log.as_ref())?).line();
        out.write_all(line.as_bytes())?;
        Ok(out.flush()?)
    }
}

/// Commits up to that of the number `last`; what one thread does.
fn write(db: &Database, orders: &Orders, last: u64, voice: &Voice) -> Result<()> {
    let mut held = None;
    loop {
        let (mut txn, at) = begin(db, &orders.plan, orders.life)?;
        let State { number, .. } = at;
        if number > last {
            return Ok(());
        }
        let mut safe = orders.plan.durability(at) == Durability::Sync;
        let planted = orders.planted;
        if planted == Planted::Early {
            voice.say(|entries| Said::Done { number, safe, entries, shared: false })?;
        }
        fill(&mut txn, &orders.plan, at)?;
        let shared = commit(db, txn, orders, safe)?;
        match orders.plan.then(at) {
            Then::Nothing => safe |= planted == Planted::Eventual,
            Then::Sync => {
                db.sync()?;
                safe = true;
            }
            Then::Checkpoint => {
                db.checkpoint()?;
                safe = true;
            }
        }
        if planted != Planted::Early {
            voice.say(|entries| Said::Done { number, safe, entries, shared })?;
        }
        pin(db, &orders.plan, at, &mut held)?;
    }
}

/// Commits so that it is safe, or not; whether it shared its barrier with a later one.
fn commit(db: &Database, txn: WriteTxn<'_>, orders: &Orders, safe: bool) -> Result<bool> {
    let durability = if safe { Durability::Sync } else { Durability::Eventual };
    match (durability, orders.threads) {
        (Durability::Eventual, _) | (_, 1) => txn.commit_with(durability)?,
        _ if orders.planted == Planted::Eventual => txn.commit_with(Durability::Eventual)?,
        _ => {
            let txn = txn.commit_group()?;
            return Ok(db.stats().store.synced > txn);
        }
    };
    Ok(false)
}

/// Keeps a snapshot for some commits, so that what they free cannot be reused at once.
fn pin(db: &Database, plan: &Plan, at: State, held: &mut Option<OwnedReadTxn>) -> Result<()> {
    if plan.pins(at) {
        *held = if held.is_some() { None } else { Some(db.read_owned()?) };
    }
    Ok(())
}

/// Entries of the device's log, as its superblock says (the third number of it); it is brought up to date
/// with each flush.
fn entries(log: Option<&File>) -> Result<u64> {
    let mut bytes = [0; 8];
    if let Some(log) = log {
        log.read_exact_at(&mut bytes, 16)?;
    }
    Ok(u64::from_le_bytes(bytes))
}
