//! `cargo xtask readers`: concurrent readers of a mapped database, judged by a history.
//!
//! A writer commits random batches, `Eventual` and `Sync` mixed, values of a few bytes to many pages, with
//! checkpoints in the background; every value says which key it is of and which commit wrote it. Readers
//! take snapshots, keep some for a while, and compare what they see with the history of commits.
//!
//! Invariants checked, in both write modes:
//! - a snapshot is one commit: every key has the value that the newest commit up to it wrote, none of a
//!   later one, and the same at its end as at its beginning, however many pages were reused meanwhile;
//! - commits do not go back within a thread, and one that was acknowledged before `read` was called is seen;
//! - transaction numbers ascend with commits; a walk finds the keys that lookups find;
//! - afterwards, and after reopening, the last commit is there and `check` passes.

#![allow(unsafe_code)] // Opens a mapped database that this run has made.

use crate::data::{mix, value};
use crate::{Failure, Result};
use mapleaf::{Database, Durability, ReadTxn, TreeHandle, WriteMode};
use std::collections::VecDeque;
use std::path::Path;
use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const KEYS: u64 = 600;
const READERS: u64 = 3;
/// Snapshots that a reader keeps at a time.
const HELD: usize = 6;
/// Keys that one commit writes, at most.
const BATCH_MAX: u64 = 40;
/// The key of the number of the last commit.
const LAST: &[u8] = b"last";

/// Which commits wrote a key (0: none), by key; oldest first.
type History = RwLock<Vec<Vec<u64>>>;

/// One run.
struct Run {
    db: Database,
    history: History,
    /// The last commit that was acknowledged.
    acknowledged: AtomicU64,
    over: AtomicBool,
    planted: bool,
    seed: u64,
}

pub(crate) fn run(words: &[String]) -> Result<bool> {
    let mut seconds = 10;
    let mut planted = false;
    let mut seed = u64::from(std::process::id());
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut number = || words.next().and_then(|word| word.parse().ok()).ok_or(crate::USAGE);
        match word.as_str() {
            "--seconds" => seconds = number()?,
            "--seed" => seed = number()?,
            "--planted" => planted = true,
            _ => return Err(crate::USAGE.into()),
        }
    }
    println!(
        "readers: seed {seed}; again: cargo xtask readers --seconds {seconds} --seed {seed}{}",
        if planted { " --planted" } else { "" }
    );
    let dir = tempfile::tempdir()?;
    for mode in [WriteMode::Shadow, WriteMode::InPlace] {
        let path = dir.path().join("readers.leaf");
        let _ = std::fs::remove_file(&path);
        let time = Duration::from_secs(seconds.div_ceil(2));
        match campaign(&path, mode, time, seed, planted) {
            Err(found) if planted => println!("found, as planted: {found}"),
            Ok(()) if planted => return Err("the planted bug was not found".into()),
            done => done?,
        }
    }
    Ok(true)
}

fn campaign(path: &Path, mode: WriteMode, time: Duration, seed: u64, planted: bool) -> Result<()> {
    let builder = Database::builder().write_mode(mode).log_bytes(256 << 10, 1 << 20);
    // SAFETY: a file of this run's own.
    let db = unsafe { builder.open(path) }?;
    let run = Run {
        db,
        history: RwLock::new(vec![Vec::new(); KEYS as usize]),
        acknowledged: AtomicU64::new(0),
        over: AtomicBool::new(false),
        planted,
        seed,
    };
    let mut commits = 0;
    let mut snapshots = 0;
    std::thread::scope(|scope| -> Result<()> {
        let readers: Vec<_> = (0..READERS)
            .map(|number| {
                let run = &run;
                scope.spawn(move || until_over(run, || read(run, number)))
            })
            .collect();
        let written = until_over(&run, || write(&run, Instant::now() + time));
        run.over.store(true, Ordering::Release);
        for reader in readers {
            snapshots += reader.join().map_err(|_| "a reader panicked")??;
        }
        commits = written?;
        Ok(())
    })?;
    look(&run, &run.db.read()?, commits)?;
    let stats = run.db.stats();
    let sound = run.db.check()?.is_sound();
    let Run { db, history, .. } = run;
    db.close()?;
    // SAFETY: as above.
    let db = unsafe { Database::open(path) }?;
    let last = last_commit(&db.read()?)?;
    println!(
        "{mode:?}: {commits} commits, {snapshots} snapshots, {} checkpoints, {} of {} pages free",
        stats.store.checkpoints, stats.store.free_pages, stats.store.page_count
    );
    drop(history);
    if !sound || last != commits || stats.checkpoint_error.is_some() {
        return Err(format!("sound {sound}, commit {last} of {commits} after opening").into());
    }
    Ok(())
}

/// Runs a thread's job; its failure ends the others.
fn until_over(run: &Run, job: impl FnOnce() -> Result<u64>) -> Result<u64, String> {
    let done = job().map_err(|failure| failure.to_string());
    if done.is_err() {
        run.over.store(true, Ordering::Release);
    }
    done
}

fn key(number: u64) -> Vec<u8> {
    format!("{:06}/{}", mix(number) % 1_000_000, number).into_bytes()
}

/// Mostly short values, some of a leaf's size, a few of many pages.
fn value_of(number: u64, commit: u64) -> Vec<u8> {
    let dice = mix(number.wrapping_mul(31) ^ commit);
    let len = match dice % 64 {
        0 => 4096 + dice as usize / 64 % 100_000,
        1..=8 => 300 + dice as usize / 64 % 1500,
        _ => dice as usize / 64 % 100,
    };
    value(number, commit, len)
}

/// The keys that a commit writes or removes, and whether it removes.
fn batch(run: &Run, commit: u64) -> impl Iterator<Item = (u64, bool)> {
    let seed = mix(run.seed ^ mix(commit));
    (0..1 + seed % BATCH_MAX).map(move |step| {
        let dice = mix(seed ^ step);
        (dice % KEYS, (dice / KEYS).is_multiple_of(8))
    })
}

/// Removals are kept in the history with this bit.
const REMOVED: u64 = 1 << 63;

fn write(run: &Run, until: Instant) -> Result<u64> {
    let mut commit = 0;
    let mut newest = mapleaf::TxnId(0);
    while !run.over.load(Ordering::Acquire) && Instant::now() < until {
        commit += 1;
        let mut txn = run.db.write()?;
        let tree = txn.open_or_create("t")?;
        change(run, &mut txn, tree, commit)?;
        if mix(commit ^ run.seed).is_multiple_of(16) {
            // Written and taken back: nobody may see it.
            txn.rollback();
            txn = run.db.write()?;
            let tree = txn.open_or_create("t")?;
            change(run, &mut txn, tree, commit)?;
        }
        {
            // Before the commit: whoever can see it finds it in the history.
            let mut history = run.history.write().map_err(|_| "a reader panicked")?;
            for (number, removed) in batch(run, commit) {
                let bit = if removed { REMOVED } else { 0 };
                history[number as usize].push(commit | bit);
            }
        }
        let how = if commit.is_multiple_of(8) { Durability::Sync } else { Durability::Eventual };
        let number = txn.commit_with(how)?;
        if number <= newest {
            return Err(format!("{number} was committed after {newest}").into());
        }
        newest = number;
        run.acknowledged.store(commit, Ordering::Release);
    }
    Ok(commit)
}

fn change(run: &Run, txn: &mut mapleaf::WriteTxn<'_>, tree: TreeHandle, commit: u64) -> Result<()> {
    let mut tree = txn.tree(tree)?;
    for (step, (number, removed)) in batch(run, commit).enumerate() {
        // A planted bug: now and then a commit leaves what an earlier one wrote.
        if run.planted && commit.is_multiple_of(50) && step == 0 {
            continue;
        }
        if removed {
            tree.remove(&key(number))?;
        } else {
            tree.insert(&key(number), &value_of(number, commit))?;
        }
    }
    tree.insert(LAST, &commit.to_le_bytes())?;
    Ok(())
}

fn last_commit(snapshot: &ReadTxn<'_>) -> Result<u64> {
    let Ok(tree) = snapshot.tree("t") else { return Ok(0) };
    let found = tree.get(LAST)?.ok_or("no commit has a number")?;
    Ok(u64::from_le_bytes(found.try_into()?))
}

/// The commit that wrote what `number` has in the state of `commit`; `None`: the key is not there.
fn writer_of(history: &[Vec<u64>], number: u64, commit: u64) -> Option<u64> {
    let writes = &history[number as usize];
    let behind = writes.partition_point(|write| write & !REMOVED <= commit);
    let last = *writes.get(behind.checked_sub(1)?)?;
    (last & REMOVED == 0).then_some(last)
}

/// Compares the whole snapshot with the history.
fn look(run: &Run, snapshot: &ReadTxn<'_>, commit: u64) -> Result<()> {
    if commit == 0 {
        return Ok(());
    }
    let wrong = |what: &str, number: u64| -> Failure {
        format!("commit {commit} ({}), key {number}: {what}", snapshot.txn()).into()
    };
    let wanted: Vec<Option<u64>> = {
        let history = run.history.read().map_err(|_| "the writer panicked")?;
        (0..KEYS).map(|number| writer_of(&history, number, commit)).collect()
    };
    let tree = snapshot.tree("t")?;
    for (number, writer) in (0..).zip(&wanted) {
        match (tree.get(&key(number))?, writer) {
            (None, None) => {}
            (Some(found), Some(writer)) if found == value_of(number, *writer) => {}
            (None, Some(_)) => return Err(wrong("is missing", number)),
            (Some(_), None) => return Err(wrong("was removed", number)),
            (Some(_), Some(_)) => return Err(wrong("has another value", number)),
        }
    }
    let mut entries = 0;
    for entry in tree.iter() {
        entries += usize::from(entry.is_ok());
    }
    if entries != wanted.iter().flatten().count() + 1 {
        return Err(wrong("a walk finds another number of keys", entries as u64));
    }
    Ok(())
}

fn read(run: &Run, number: u64) -> Result<u64> {
    let mut held: VecDeque<(ReadTxn<'_>, u64)> = VecDeque::new();
    let (mut newest, mut newest_txn, mut seen) = (0, mapleaf::TxnId(0), 0);
    let mut dice = mix(run.seed ^ number);
    while !run.over.load(Ordering::Acquire) {
        let acknowledged = run.acknowledged.load(Ordering::Acquire);
        let snapshot = run.db.read()?;
        let commit = last_commit(&snapshot)?;
        if commit < newest || commit < acknowledged || snapshot.txn() < newest_txn {
            return Err(format!("went back to {commit} from {newest}, {acknowledged}").into());
        }
        if (commit == newest) != (snapshot.txn() == newest_txn) && newest > 0 {
            return Err(format!("{} has commit {commit}, as another", snapshot.txn()).into());
        }
        (newest, newest_txn, seen) = (commit, snapshot.txn(), seen + 1);
        look(run, &snapshot, commit)?;
        held.push_back((snapshot, commit));
        dice = mix(dice);
        if held.len() > HELD || dice.is_multiple_of(4) {
            let which = (dice >> 8) as usize % held.len();
            if let Some((old, commit)) = held.remove(which) {
                if last_commit(&old)? != commit {
                    return Err(format!("{} has changed while it was held", old.txn()).into());
                }
                look(run, &old, commit)?;
            }
        }
    }
    for (old, commit) in held {
        look(run, &old, commit)?;
    }
    Ok(seen)
}
