//! Work that other programs watch: `traced JOB FILE COUNT`.
//!
//! Where the watched part begins and ends it asks for a file that is not there, so that a trace of its
//! system calls shows it: `/mapleaf-begin` and `/mapleaf-end`.
//!
//! | job | watched |
//! |---|---|
//! | `gets` | COUNT warm gets in one snapshot, and as many snapshots of one get each |
//! | `eventual` | COUNT `Eventual` transactions of one put, in place |
//! | `sync-place`, `sync-shadow` | COUNT `Sync` transactions of one put |
//! | `make` | nothing: makes FILE with COUNT entries, and closes it |
//! | `look` | nothing: COUNT gets of the 100,000 entries that FILE was made with, in one snapshot |
//!
//! With a fourth word (`wait`) the `sync` jobs wait for a line of input before each transaction and
//! answer with one behind it. That of `look` says when checksums are compared: `first`, `always`.

#![allow(unsafe_code)] // Opens a mapped database that the caller has made for it.

use mapleaf::{Database, Durability, Verify, WriteMode};
use mapleaf_tests::data::{key, mix, value};
use std::error::Error;
use std::io::{BufRead as _, Write as _};

const TREE: &str = "t";
const VALUE_BYTES: usize = 150;
/// Entries of the file that `look` reads.
const LOOKED_AT: u64 = 100_000;

fn mark(name: &str) {
    let _ = std::fs::symlink_metadata(name);
}

fn open(path: &str, mode: WriteMode) -> Result<Database, Box<dyn Error>> {
    // No thread of its own: what is watched is what the commits do.
    let builder = Database::builder().background(false).write_mode(mode);
    // SAFETY: the caller made the file's directory for this test.
    Ok(unsafe { builder.open(path) }?)
}

fn load(db: &Database, count: u64) -> Result<(), Box<dyn Error>> {
    let mut txn = db.write()?;
    let mut tree = txn.tree(TREE)?;
    for number in 0..count {
        tree.insert(&key(number), &value(number, 0, VALUE_BYTES))?;
    }
    txn.commit()?;
    Ok(())
}

fn put(db: &Database, number: u64, durability: Durability) -> Result<(), Box<dyn Error>> {
    let mut txn = db.write()?;
    txn.tree(TREE)?.insert(&key(number), &value(number, 1, VALUE_BYTES))?;
    txn.commit_with(durability)?;
    Ok(())
}

fn gets(path: &str, count: u64) -> Result<(), Box<dyn Error>> {
    let db = open(path, WriteMode::Auto)?;
    load(&db, count)?;
    let snapshot = db.read()?;
    let tree = snapshot.tree(TREE)?;
    let mut found = 0u64;
    // The first round makes the pages resident in this process.
    for round in 0..2 {
        if round == 1 {
            mark("/mapleaf-begin");
        }
        for number in 0..count {
            found += u64::from(tree.get(&key(number))?.is_some());
        }
    }
    for number in 0..count {
        let snapshot = db.read()?;
        found += u64::from(snapshot.tree(TREE)?.get(&key(mix(number) % count))?.is_some());
    }
    mark("/mapleaf-end");
    if found == 3 * count { Ok(()) } else { Err("entries are missing".into()) }
}

/// What an instruction counter counts, less the same with a COUNT of 0.
fn look(path: &str, count: u64, verify: Verify) -> Result<(), Box<dyn Error>> {
    let builder = Database::builder().background(false).read_only(true).verify(verify);
    // SAFETY: the caller made the file for this.
    let db = unsafe { builder.open(path) }?;
    let snapshot = db.read()?;
    let tree = snapshot.tree(TREE)?;
    let mut found = 0u64;
    for number in 0..count {
        found += u64::from(tree.get(&key(mix(number) % LOOKED_AT))?.is_some());
    }
    if found == count { Ok(()) } else { Err("entries are missing".into()) }
}

fn eventual(path: &str, count: u64) -> Result<(), Box<dyn Error>> {
    let db = open(path, WriteMode::InPlace)?;
    load(&db, count)?;
    // As many before as are watched: their pages are there, and the lists of free pages are filled.
    for number in 0..count {
        put(&db, mix(number) % count, Durability::Eventual)?;
    }
    mark("/mapleaf-begin");
    for number in 0..count {
        put(&db, mix(number + count) % count, Durability::Eventual)?;
    }
    mark("/mapleaf-end");
    Ok(())
}

fn sync(path: &str, count: u64, mode: WriteMode, wait: bool) -> Result<(), Box<dyn Error>> {
    let db = open(path, mode)?;
    // The first transactions of an opening make a meta of its own durable.
    for number in 0..3 {
        put(&db, number, Durability::Sync)?;
    }
    let mut lines = std::io::stdin().lock().lines();
    let mut out = std::io::stdout().lock();
    if wait {
        writeln!(out, "ready")?;
    }
    mark("/mapleaf-begin");
    for number in 0..count {
        if wait {
            out.flush()?;
            lines.next().transpose()?;
        }
        put(&db, mix(number), Durability::Sync)?;
        if wait {
            writeln!(out, "{number}")?;
        }
    }
    mark("/mapleaf-end");
    out.flush()?;
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let word = |at: usize| words.get(at).map_or("", String::as_str);
    let (path, count) = (word(1), word(2).parse::<u64>()?);
    let wait = word(3) == "wait";
    // The first time std asks about a file it also asks whether it may ask so.
    mark("/mapleaf-first");
    match word(0) {
        "gets" => gets(path, count),
        "eventual" => eventual(path, count),
        "sync-place" => sync(path, count, WriteMode::InPlace, wait),
        "sync-shadow" => sync(path, count, WriteMode::Shadow, wait),
        "look" => {
            let verify = match word(3) {
                "first" => Verify::FirstTouch,
                "always" => Verify::Always,
                _ => Verify::None,
            };
            look(path, count, verify)
        }
        "make" => {
            let db = open(path, WriteMode::Auto)?;
            load(&db, count)?;
            Ok(db.close()?)
        }
        other => Err(format!("no such job: {other}").into()),
    }
}
