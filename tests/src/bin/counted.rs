//! Work whose instructions a counter counts: `counted JOB FILE`. What is counted is [`counted_part`] alone:
//! `valgrind --tool=callgrind --toggle-collect='*counted_part*' counted JOB FILE`.
//!
//! It prints how many operations were counted. Data, order and file are the same in each run, and no
//! thread works in the background, so the same compiler gives the same count.
//!
//! | job | an operation |
//! |---|---|
//! | `get` | get of one of 50,000 keys, one snapshot |
//! | `get-many` | the same, 32 at a time |
//! | `get-fixed` | get of one of 50,000 keys of 8 bytes, in a tree of fixed width |
//! | `begin-get-end` | a snapshot of one get |
//! | `scan` | entry of a scan |
//! | `insert` | insert of a new key among 50,000, in no order |
//! | `commit-eventual` | `Eventual` transaction of one put, in place |
//! | `commit-sync` | `Sync` transaction of one put, through a shadow |
//! | `batch` | put of a `Sync` transaction of 1,000, through a shadow |

#![allow(unsafe_code)] // Opens a mapped database that the caller has made room for.

use mapleaf::{Database, Durability, TreeOptions, WriteMode};
use mapleaf_tests::data::{key, mix, value};
use std::error::Error;
use std::hint::black_box;

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

const TREE: &str = "t";
const ENTRIES: u64 = 50_000;
const VALUE_BYTES: usize = 150;
/// The tree of fixed width.
const FIXED: &str = "fixed";
const FIXED_BYTES: u16 = 8;
/// Operations that are counted.
const OPERATIONS: u64 = 20_000;
/// Transactions that are counted.
const COMMITS: u64 = 500;
/// Keys that are looked up together.
const TOGETHER: usize = 32;
/// Puts of a large transaction, and how many of these are counted.
const BATCH: u64 = 1000;
const BATCHES: u64 = 5;

/// The counter starts and stops where this begins and ends.
#[inline(never)]
fn counted_part<W: FnOnce() -> Result<u64>>(work: W) -> Result<u64> {
    black_box(work())
}

fn keys(count: u64) -> Vec<[u8; 24]> {
    (0..count).map(|number| key(mix(number) % ENTRIES)).collect()
}

/// Entries to put: keys that are there, and new values for them.
fn puts(count: u64) -> Vec<([u8; 24], Vec<u8>)> {
    (0..count).map(|i| (key(mix(i) % ENTRIES), value(i, 1, VALUE_BYTES))).collect()
}

fn get<const LEN: usize>(db: &Database, tree: &str, keys: &[[u8; LEN]]) -> Result<u64> {
    let snapshot = db.read()?;
    let tree = snapshot.tree(tree)?;
    counted_part(|| {
        let mut found = 0;
        for key in keys {
            found += u64::from(tree.get(key)?.is_some());
        }
        Ok(found)
    })
}

fn get_many(db: &Database) -> Result<u64> {
    let keys = keys(OPERATIONS);
    let snapshot = db.read()?;
    let tree = snapshot.tree(TREE)?;
    counted_part(|| {
        let mut found = 0;
        for keys in keys.chunks(TOGETHER) {
            let mut values = [None; TOGETHER];
            tree.get_many(keys, &mut values[..keys.len()])?;
            found += values.iter().flatten().count() as u64;
        }
        Ok(found)
    })
}

fn begin_get_end(db: &Database) -> Result<u64> {
    let keys = keys(OPERATIONS);
    counted_part(|| {
        let mut found = 0;
        for key in &keys {
            let snapshot = db.read()?;
            found += u64::from(snapshot.tree(TREE)?.get(key)?.is_some());
        }
        Ok(found)
    })
}

fn scan(db: &Database) -> Result<u64> {
    let snapshot = db.read()?;
    let tree = snapshot.tree(TREE)?;
    counted_part(|| {
        let mut entries = 0;
        for entry in tree.iter() {
            let (key, value) = entry?;
            entries += u64::from(!key.is_empty() && !value.is_empty());
        }
        Ok(entries)
    })
}

fn insert(db: &Database) -> Result<u64> {
    let new: Vec<_> = (ENTRIES..ENTRIES + OPERATIONS)
        .map(|number| (key(number), value(number, 0, VALUE_BYTES)))
        .collect();
    let mut txn = db.write()?;
    let mut tree = txn.tree(TREE)?;
    counted_part(|| {
        for (key, value) in &new {
            tree.insert(key, value)?;
        }
        Ok(OPERATIONS)
    })
}

/// Transactions of `batch` puts.
fn commits(db: &Database, count: u64, batch: u64, durability: Durability) -> Result<u64> {
    let puts = puts(count * batch);
    let commit = |puts: &[([u8; 24], Vec<u8>)]| -> Result<()> {
        let mut txn = db.write()?;
        let mut tree = txn.tree(TREE)?;
        for (key, value) in puts {
            tree.insert(key, value)?;
        }
        txn.commit_with(durability)?;
        Ok(())
    };
    // The first transactions of an opening make a meta of its own durable.
    puts.chunks(1).take(3).try_for_each(commit)?;
    counted_part(|| {
        puts.chunks(batch as usize).try_for_each(commit)?;
        Ok(puts.len() as u64)
    })
}

fn load(db: &Database) -> Result<()> {
    let mut txn = db.write()?;
    let mut tree = txn.tree(TREE)?;
    for number in 0..ENTRIES {
        tree.insert(&key(number), &value(number, 0, VALUE_BYTES))?;
    }
    let fixed =
        txn.create_with(FIXED, TreeOptions::default().fixed_width(FIXED_BYTES, FIXED_BYTES))?;
    let mut fixed = txn.tree(fixed)?;
    for number in 0..ENTRIES {
        fixed.insert(&mix(number).to_be_bytes(), &number.to_le_bytes())?;
    }
    txn.commit()?;
    Ok(())
}

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [job, path] = &words[..] else { return Err("counted JOB FILE".into()) };
    let mode = if job == "commit-eventual" { WriteMode::InPlace } else { WriteMode::Shadow };
    let builder = Database::builder().background(false).write_mode(mode);
    // SAFETY: the caller names a file of its own.
    let db = unsafe { builder.open(path) }?;
    load(&db)?;
    let operations = match job.as_str() {
        "get" => get(&db, TREE, &keys(OPERATIONS))?,
        "get-many" => get_many(&db)?,
        "get-fixed" => {
            let keys = (0..OPERATIONS).map(|number| mix(mix(number) % ENTRIES).to_be_bytes());
            get(&db, FIXED, &keys.collect::<Vec<_>>())?
        }
        "begin-get-end" => begin_get_end(&db)?,
        "scan" => scan(&db)?,
        "insert" => insert(&db)?,
        "commit-eventual" => commits(&db, COMMITS, 1, Durability::Eventual)?,
        "commit-sync" => commits(&db, COMMITS, 1, Durability::Sync)?,
        "batch" => commits(&db, BATCHES, BATCH, Durability::Sync)?,
        other => return Err(format!("no such job: {other}").into()),
    };
    println!("{operations}");
    Ok(())
}
