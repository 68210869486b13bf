//! The process that writes: what it is told, what it does, what it says.

use super::plan::{self, Change, Detour, TREES, Then};
use super::{Plan, STATE_KEY, STATE_TREE, State, open, state};
use crate::Result;
use crate::process::child;
use mapleaf::{Database, Durability, OwnedReadTxn, WriteMode, WriteTxn};
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

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
    /// `Eventual` commits are said to survive power loss.
    Eventual,
}

/// What a writer is told.
#[derive(Clone, Debug)]
pub(crate) struct Orders {
    pub(crate) path: PathBuf,
    pub(crate) mode: WriteMode,
    pub(crate) plan: Plan,
    pub(crate) life: u64,
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
    /// device's log had then.
    Done { number: u64, safe: bool, entries: u64 },
    /// It is about to close the database.
    Closing,
}

impl Said {
    fn line(self) -> String {
        match self {
            Said::Opening => "opening\n".into(),
            Said::Open(at) => format!("open {} {}\n", at.number, at.life),
            Said::Done { number, safe, entries } => format!("done {number} {safe} {entries}\n"),
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
            ["done", number, safe, entries] => Said::Done {
                number: number.parse()?,
                safe: safe.parse()?,
                entries: entries.parse()?,
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
        for number in [seed, keys, batch_max, self.life, self.commits] {
            command.arg(number.to_string());
        }
        command.arg(format!("{:?}", self.mode)).arg(format!("{:?}", self.ending));
        command.arg(format!("{:?}", self.planted));
        Ok(command)
    }

    fn parse(words: &[String]) -> Result<Orders> {
        let [path, log, seed, keys, batch_max, life, commits, mode, ending, planted] = words else {
            return Err("a writer was told nothing it understands".into());
        };
        let plan = Plan { seed: seed.parse()?, keys: keys.parse()?, batch_max: batch_max.parse()? };
        Ok(Orders {
            path: path.into(),
            log: (!log.is_empty()).then(|| log.into()),
            plan,
            life: life.parse()?,
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
    let mut out = std::io::stdout().lock();
    // A line is one write: whole in the pipe, or not there.
    let mut say = |what: Said| out.write_all(what.line().as_bytes()).and_then(|()| out.flush());
    let log = orders.log.as_ref().map(File::open).transpose()?;
    say(Said::Opening)?;
    let db = open(&orders.path, orders.mode)?;
    let began = state(&db)?;
    say(Said::Open(began))?;
    let mut held = None;
    let commits = if orders.ending == Ending::Killed { u64::MAX } else { orders.commits };
    for number in began.number + 1..=began.number.saturating_add(commits) {
        let at = State { number, life: orders.life };
        let mut safe = orders.plan.durability(at) == Durability::Sync;
        let planted = orders.planted;
        if planted == Planted::Early {
            say(Said::Done { number, safe, entries: 0 })?;
        }
        commit(&db, &orders.plan, at)?;
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
            say(Said::Done { number, safe, entries: entries(log.as_ref())? })?;
        }
        pin(&db, &orders.plan, at, &mut held)?;
    }
    match orders.ending {
        Ending::Drop | Ending::Killed => {}
        Ending::Close => {
            drop(held);
            say(Said::Closing)?;
            db.close()?;
        }
    }
    Ok(true)
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

fn commit(db: &Database, plan: &Plan, at: State) -> Result<()> {
    let changes = plan.changes(at);
    let (first, second) = changes.split_at(changes.len() / 2);
    // What no commit ever writes.
    let wrong = State { number: !at.number, life: at.life };
    let mut txn = db.write()?;
    let detour = plan.detour(at);
    if detour == Detour::Dropped {
        write(&mut txn, &plan.changes(wrong), wrong)?;
        txn.rollback();
        txn = db.write()?;
    }
    write(&mut txn, first, at)?;
    match detour {
        Detour::TakenBack => {
            let before = txn.savepoint()?;
            write(&mut txn, &plan.changes(wrong), wrong)?;
            let inner = txn.savepoint()?;
            write(&mut txn, second, wrong)?;
            txn.release(inner)?;
            txn.rollback_to(before)?;
            write(&mut txn, second, at)?;
        }
        Detour::Released => {
            let before = txn.savepoint()?;
            write(&mut txn, second, at)?;
            txn.release(before)?;
        }
        Detour::None | Detour::Dropped => write(&mut txn, second, at)?,
    }
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&at.number.to_le_bytes());
    bytes[8..].copy_from_slice(&at.life.to_le_bytes());
    txn.tree(STATE_TREE)?.insert(STATE_KEY, &bytes)?;
    txn.commit_with(plan.durability(at))?;
    Ok(())
}

fn write(txn: &mut WriteTxn<'_>, changes: &[Change], at: State) -> Result<()> {
    for change in changes {
        let key = plan::key(change.entry);
        let mut tree = txn.tree(TREES[plan::tree_of(change.entry)])?;
        match change.len {
            Some(len) => tree.insert(&key, &plan::value(change.entry, at, len)).map(drop)?,
            None => tree.remove(&key).map(drop)?,
        }
    }
    Ok(())
}
