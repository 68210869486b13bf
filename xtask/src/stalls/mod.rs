//! `cargo xtask stalls`: how long lookups hold up a thread that serves, when memory is short.
//!
//! A file is served by one thread in a process whose control group has a quarter of the file's size of
//! memory (`--part`). Requests are for random keys: 80 % from a tenth of the file, 20 % from all of it.
//! `closed`: as many as are answered; `open`: at a fixed rate, whatever the thread does, as clients
//! ask. Printed is how long single calls held the thread up, and how long answers took from the moment of
//! asking. `--empty N` drops all that the group has in memory N times a second, whatever was used a moment ago:
//! how often the kernel takes a page between the question whether it is there and the load. Needs the right to make a control group with a memory limit: root, as a rule.

#![allow(unsafe_code)] // Opens a mapped database that this run has made.

// One text for all that limit memory; the command, which is published, owns it.
#[path = "../../../cli/src/lab/group.rs"]
mod group;

mod distribution;
mod serve;

use crate::data::value;
use crate::{Result, process};
use group::Group;
use mapleaf::{Builder, Database};
use serve::{Load, Way, serve};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Bytes of a value; with its key and its share of the pages an entry takes about 190.
const VALUE_BYTES: usize = 150;
const ENTRIES_A_MIB: u64 = 5200;
/// Requests a second of the open load: a third of what a disk of this kind answers one after the other.
const RATE_DEFAULT: u64 = 4000;

struct Plan {
    mebibytes: u64,
    /// Memory, in hundredths of the file's length.
    percent: u64,
    seconds: u64,
    rate: u64,
    /// Times a second that the group is emptied; 0 for never.
    empty: u64,
    directory: PathBuf,
}

pub(crate) fn run(words: &[String]) -> Result<bool> {
    let directory = std::env::temp_dir();
    let (rate, empty) = (RATE_DEFAULT, 0);
    let mut plan = Plan { mebibytes: 512, percent: 25, seconds: 5, rate, empty, directory };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let next = words.next().ok_or(crate::USAGE)?;
        match word.as_str() {
            "--mib" => plan.mebibytes = next.parse()?,
            "--percent" => plan.percent = next.parse()?,
            "--seconds" => plan.seconds = next.parse()?,
            "--rate" => plan.rate = next.parse()?,
            "--empty" => plan.empty = next.parse()?,
            "--dir" => plan.directory = next.into(),
            _ => return Err(crate::USAGE.into()),
        }
    }
    let scratch = tempfile::tempdir_in(&plan.directory)?;
    let path = scratch.path().join("stalls.leaf");
    let bytes = build(&path, plan.mebibytes * ENTRIES_A_MIB)?;
    let limit = bytes * plan.percent / 100;
    println!(
        "{} MiB file, {} MiB of memory, 4 KiB pages; {} s each after as much warming",
        bytes >> 20,
        limit >> 20,
        plan.seconds
    );
    println!(
        "{:<26} {:>9}  {:>34}  {:>34} {:>6}",
        "", "answers/s", "a call, us", "an answer, us", "hard"
    );
    println!("{:<26} {:>9}  {}  {} {:>6}", "", "", serve::HEAD, serve::HEAD, "%");
    for rate in [0, plan.rate] {
        println!("{}", if rate == 0 { "closed".into() } else { format!("open, {rate} a second") });
        for way in Way::ALL {
            let group = Group::new("mapleaf-stalls", limit)?;
            let path = path.to_str().ok_or("a path that is not UTF-8")?;
            let words = ["stalls", way.name(), path, &rate.to_string(), &plan.seconds.to_string()];
            let mut child = process::child(&words)?;
            child.env("MAPLEAF_GROUP", group.entrance());
            let served = emptied(&group, plan.empty, || process::output(&mut child))?;
            print!("{}", String::from_utf8(served)?);
        }
    }
    Ok(true)
}

/// Runs something while the group is emptied so many times a second.
fn emptied<T>(group: &Group, times: u64, run: impl FnOnce() -> T) -> T {
    let Some(pause) = Duration::from_secs(1).checked_div(u32::try_from(times).unwrap_or(0)) else {
        return run();
    };
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                group.empty();
                std::thread::sleep(pause);
            }
        });
        let done = run();
        over.store(true, Ordering::Relaxed);
        done
    })
}

/// One way of serving, in a process of its own: `WAY PATH RATE SECONDS`.
pub(crate) fn child(words: &[String]) -> Result<bool> {
    let [way, path, rate, seconds] = words else { return Err(crate::USAGE.into()) };
    let way = Way::ALL.into_iter().find(|known| known.name() == way).ok_or(crate::USAGE)?;
    if let Some(procs) = std::env::var_os("MAPLEAF_GROUP") {
        std::fs::write(procs, std::process::id().to_string())?;
    }
    let builder = Builder::new().read_only(true).access(way.access());
    // SAFETY: the parent's own file, which nothing changes.
    let db = unsafe { builder.open(path) }?;
    // What the parent has left in memory is not charged to this group.
    db.evict();
    let entries = db.read()?.tree("t")?.len();
    let time = Duration::from_secs(seconds.parse()?);
    let load = Load { entries, rate: rate.parse()?, time };
    // Other requests than those that are measured.
    serve(&db, way, &load, 1)?;
    println!("{:<26} {}", way.name(), serve(&db, way, &load, 2)?);
    Ok(true)
}

/// A file of `entries` entries with keys in ascending order; its length in bytes.
fn build(path: &Path, entries: u64) -> Result<u64> {
    /// Entries a transaction.
    const BATCH: u64 = 100_000;
    // SAFETY: a new file in a directory of its own.
    let db = unsafe { Database::open(path) }?;
    for first in (0..entries).step_by(BATCH as usize) {
        let mut txn = db.write()?;
        let mut tree = txn.tree("t")?;
        for number in first..entries.min(first + BATCH) {
            tree.append(&serve::key(number), &value(number, 0, VALUE_BYTES))?;
        }
        txn.commit()?;
    }
    let bytes = db.stats().file_bytes;
    db.close()?;
    Ok(bytes)
}
