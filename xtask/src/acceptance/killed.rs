//! A loader killed at any moment leaves a file that opens with every acknowledged commit.
//!
//! Invariants checked: each transaction is there whole or not at all; those that were acknowledged are
//! there; at most one more is; the check is clean.

#![allow(unsafe_code)] // Opens a mapped database that this run has made.

use super::{Context, Finding};
use crate::process::child as child_process;
use crate::{Result, data};
use mapleaf::{Database, Durability};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Entries of a transaction, at most.
const BATCH_MAX: u64 = 400;
/// Keys that the transactions write to.
const KEYS: u64 = 20_000;
/// A loader lives at most so long.
const LIFE_MAX_MS: u64 = 700;

/// The transaction `number`: which entries it writes. Small and large ones, so that log commits and
/// checkpoints both are met.
fn writes(number: u64) -> impl Iterator<Item = (u64, usize)> {
    let count = match data::mix(number) % 4 {
        0 => 1,
        1 => BATCH_MAX,
        _ => data::mix(number ^ 1) % 40 + 1,
    };
    (0..count).map(move |i| {
        let seed = data::mix(number.wrapping_mul(BATCH_MAX) + i);
        let len = if seed.is_multiple_of(101) { 9000 } else { (seed >> 8) % 300 };
        (seed % KEYS, len as usize)
    })
}

/// Loads for ever, from the transaction behind the last one in the file on; prints each number once
/// it is acknowledged.
pub(super) fn child(path: &Path, first: u64) -> Result<bool> {
    // SAFETY: the parent made the directory for this file alone, and waits for this process.
    let db = unsafe { Database::open(path) }?;
    let mut out = std::io::stdout().lock();
    for number in first.. {
        let mut txn = db.write()?;
        let mut tree = txn.tree("t")?;
        for (entry, len) in writes(number) {
            tree.insert(&data::key(entry), &data::value(entry, number, len))?;
        }
        txn.tree("last")?.insert(b"number", &number.to_le_bytes())?;
        let durability =
            if number.is_multiple_of(3) { Durability::Eventual } else { Durability::Sync };
        txn.commit_with(durability)?;
        writeln!(out, "{number}")?;
        out.flush()?;
    }
    Ok(true)
}

pub(super) fn run(context: &Context) -> Result<Vec<Finding>> {
    let path = context.path("killed.leaf");
    let kills = context.size(200, 25);
    let seed = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos() as u64;
    println!("killed: seed {seed}");
    // Which transaction wrote each key last.
    let mut model = vec![None; KEYS as usize];
    let (mut committed, mut replayed, mut in_flight) = (0, 0, 0);
    for kill in 0..kills {
        let acknowledged = kill_one(&path, committed + 1, data::mix(seed ^ kill) % LIFE_MAX_MS)?;
        // Every other time a copy is looked at, so that the next loader meets what the kill left.
        let looked_at = if kill % 2 == 0 { path.clone() } else { context.path("copy.leaf") };
        if looked_at != path {
            std::fs::copy(&path, &looked_at)?;
        }
        // SAFETY: the loader is dead; nobody else knows of the file.
        let db = unsafe { Database::open(&looked_at) }?;
        let found = last(&db)?;
        let acknowledged = acknowledged.unwrap_or(committed);
        if found != acknowledged && found != acknowledged + 1 {
            return Err(
                format!("kill {kill}: {acknowledged} was acknowledged, found {found}").into()
            );
        }
        in_flight += u64::from(found > acknowledged);
        replayed += u64::from(db.stats().store.replayed_blocks > 0);
        for number in committed + 1..=found {
            for (entry, len) in writes(number) {
                model[entry as usize] = Some((number, len));
            }
        }
        committed = found;
        compare(&db, &model)?;
        if !db.check()?.is_sound() {
            return Err(format!("kill {kill}: the check is not clean").into());
        }
    }
    let text =
        format!("{kills} kills, {committed} transactions, {in_flight} times the one in flight");
    Ok(vec![
        Finding::new("every acknowledged commit is there", text, committed > kills),
        Finding::new("openings that replayed the log", replayed.to_string(), replayed > 0),
    ])
}

/// Runs a loader for so long; the last number it printed.
fn kill_one(path: &Path, first: u64, life_ms: u64) -> Result<Option<u64>> {
    let words = ["killed", path.to_str().ok_or("path")?, &first.to_string()];
    let mut loader = child_process(&words)?.stdout(Stdio::piped()).spawn()?;
    let pipe = loader.stdout.take().ok_or("no output")?;
    std::thread::sleep(Duration::from_millis(life_ms));
    // SIGKILL. What it has printed stays in the pipe; a loader that waits for room there has not
    // been told apart from one that works, so the pipe is read only now.
    loader.kill()?;
    let mut last = None;
    for line in BufReader::new(pipe).split(b'\n') {
        // A line without an end was not acknowledged whole: `write` of a pipe is whole or absent.
        last = Some(String::from_utf8(line?)?.parse()?);
    }
    loader.wait()?;
    Ok(last)
}

fn last(db: &Database) -> Result<u64> {
    let snapshot = db.read()?;
    let Ok(tree) = snapshot.tree("last") else { return Ok(0) };
    let bytes = tree.get(b"number")?.unwrap_or(&[]);
    Ok(u64::from_le_bytes(bytes.try_into()?))
}

fn compare(db: &Database, model: &[Option<(u64, usize)>]) -> Result<()> {
    let snapshot = db.read()?;
    let Ok(tree) = snapshot.tree("t") else {
        return if model.iter().all(Option::is_none) {
            Ok(())
        } else {
            Err("the tree is gone".into())
        };
    };
    for (entry, wrote) in model.iter().enumerate() {
        let expected = wrote.map(|(number, len)| data::value(entry as u64, number, len));
        if tree.get(&data::key(entry as u64))? != expected.as_deref() {
            return Err(
                format!("entry {entry}: another value than transaction {wrote:?} wrote").into()
            );
        }
    }
    Ok(())
}
