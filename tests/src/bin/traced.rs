//! Work that other programs watch: `traced JOB FILE COUNT [WORD]`.
//!
//! Where a watched part begins and ends it asks for a file that is not there, so that a trace of its
//! system calls shows it: `/mapleaf-begin` and `/mapleaf-end`.
//!
//! | job | watched |
//! |---|---|
//! | `gets` | COUNT warm gets in one snapshot, and as many snapshots of one get each |
//! | `eventual-place`, `eventual-shadow` | COUNT `Eventual` transactions of one put |
//! | `sync-place`, `sync-shadow` | COUNT `Sync` transactions of one put |
//! | `checkpoint-place`, `checkpoint-shadow` | COUNT checkpoints, each after an `Eventual` put |
//! | `aside` | `Eventual` transactions of one put into COUNT entries, till the thread beside has made a checkpoint |
//! | `open-place`, `open-shadow` | COUNT openings of the file, which was closed before |
//! | `scanned-auto`, .. | after a scan of all COUNT entries: two `Sync` transactions of one put, a checkpoint |
//! | `make` | nothing: makes FILE with COUNT entries, and closes it |
//! | `look` | nothing: COUNT gets of the 100,000 entries that FILE was made with, in one snapshot |
//!
//! With the fourth word `wait` jobs other than `gets` say `ready` before each watched part, begin it
//! on a line of input, and say `done` behind it. The fourth word of `look` says when checksums are
//! compared: `first`, `always`.

#![allow(unsafe_code)] // Opens a mapped database that the caller has made for it.

use mapleaf::{Database, Durability, Verify, WriteMode};
use mapleaf_tests::data::{key, mix, value};
use std::error::Error;
use std::io::Write as _;

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

const TREE: &str = "t";
const VALUE_BYTES: usize = 150;
/// Entries of the file that `look` reads.
const LOOKED_AT: u64 = 100_000;

fn mark(name: &str) {
    let _ = std::fs::symlink_metadata(name);
}

/// The parts that are watched.
struct Watch {
    wait: bool,
}

impl Watch {
    /// Does what is watched, when the watcher says so.
    fn part<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        if self.wait {
            self.say("ready")?;
            std::io::stdin().read_line(&mut String::new())?;
        }
        mark("/mapleaf-begin");
        let done = work()?;
        mark("/mapleaf-end");
        if self.wait {
            self.say("done")?;
        }
        Ok(done)
    }

    fn say(&self, word: &str) -> Result<()> {
        let mut out = std::io::stdout();
        writeln!(out, "{word}")?;
        Ok(out.flush()?)
    }
}

fn open(path: &str, mode: WriteMode) -> Result<Database> {
    // No thread of its own: what is watched is what the commits do.
    let builder = Database::builder().background(false).write_mode(mode);
    // SAFETY: the caller made the file's directory for this test.
    Ok(unsafe { builder.open(path) }?)
}

fn load(db: &Database, count: u64) -> Result<()> {
    let mut txn = db.write()?;
    let mut tree = txn.tree(TREE)?;
    for number in 0..count {
        tree.insert(&key(number), &value(number, 0, VALUE_BYTES))?;
    }
    txn.commit()?;
    Ok(())
}

fn put(db: &Database, number: u64, durability: Durability) -> Result<()> {
    let mut txn = db.write()?;
    txn.tree(TREE)?.insert(&key(number), &value(number, 1, VALUE_BYTES))?;
    txn.commit_with(durability)?;
    Ok(())
}

fn gets(path: &str, count: u64) -> Result<()> {
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
fn look(path: &str, count: u64, verify: Verify) -> Result<()> {
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

fn eventual(path: &str, count: u64, mode: WriteMode, watch: &Watch) -> Result<()> {
    let db = open(path, mode)?;
    load(&db, count)?;
    // As many before as are watched: their pages are there, and the lists of free pages are filled.
    for number in 0..count {
        put(&db, mix(number) % count, Durability::Eventual)?;
    }
    for number in 0..count {
        watch.part(|| put(&db, mix(number + count) % count, Durability::Eventual))?;
    }
    Ok(())
}

fn sync(path: &str, count: u64, mode: WriteMode, watch: &Watch) -> Result<()> {
    let db = open(path, mode)?;
    // The first transactions of an opening make a meta of its own durable.
    for number in 0..3 {
        put(&db, number, Durability::Sync)?;
    }
    for number in 0..count {
        watch.part(|| put(&db, mix(number), Durability::Sync))?;
    }
    Ok(())
}

fn checkpoints(path: &str, count: u64, mode: WriteMode, watch: &Watch) -> Result<()> {
    let db = open(path, mode)?;
    for number in 0..count {
        put(&db, mix(number), Durability::Eventual)?;
        watch.part(|| Ok(db.checkpoint()?))?;
    }
    Ok(())
}

fn aside(path: &str, count: u64, watch: &Watch) -> Result<()> {
    // A small ring: it is what makes a checkpoint due, and the writer knows when.
    let builder = Database::builder().log_bytes(256 << 10, 256 << 10);
    // SAFETY: the caller made the file's directory for this test.
    let db = unsafe { builder.open(path) }?;
    load(&db, count)?;
    db.checkpoint()?;
    let before = db.stats().store.checkpoint;
    watch.part(|| {
        for number in 0..count {
            // Half of the log's ring: from then on a checkpoint is due, and it is the thread's turn.
            let stats = db.stats().store;
            if stats.log_used_bytes * 2 > u64::from(stats.log_pages) * u64::from(stats.page_size) {
                break;
            }
            put(&db, mix(number) % count, Durability::Eventual)?;
        }
        for _ in 0..10_000 {
            if db.stats().store.checkpoint != before {
                return Ok(());
            }
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        Err("no checkpoint was made".into())
    })
}

fn openings(path: &str, count: u64, mode: WriteMode, watch: &Watch) -> Result<()> {
    for number in 0..count {
        let db = watch.part(|| open(path, mode))?;
        put(&db, mix(number), Durability::Sync)?;
        db.close()?;
    }
    Ok(())
}

fn scanned(path: &str, count: u64, mode: WriteMode, watch: &Watch) -> Result<()> {
    let db = open(path, mode)?;
    let entries = db.read()?.tree(TREE)?.iter().filter(Result::is_ok).count();
    if entries as u64 != count {
        return Err("entries are missing".into());
    }
    for number in 0..2 {
        watch.part(|| put(&db, mix(number), Durability::Sync))?;
    }
    watch.part(|| Ok(db.checkpoint()?))?;
    Ok(())
}

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let word = |at: usize| words.get(at).map_or("", String::as_str);
    let (path, count) = (word(1), word(2).parse::<u64>()?);
    let watch = Watch { wait: word(3) == "wait" };
    // The first time std asks about a file it also asks whether it may ask so.
    mark("/mapleaf-first");
    match word(0).split_once('-').unwrap_or((word(0), "")) {
        ("gets", _) => gets(path, count),
        ("eventual", mode) => eventual(path, count, write_mode(mode)?, &watch),
        ("sync", mode) => sync(path, count, write_mode(mode)?, &watch),
        ("checkpoint", mode) => checkpoints(path, count, write_mode(mode)?, &watch),
        ("aside", _) => aside(path, count, &watch),
        ("open", mode) => openings(path, count, write_mode(mode)?, &watch),
        ("scanned", mode) => scanned(path, count, write_mode(mode)?, &watch),
        ("look", _) => {
            let verify = match word(3) {
                "first" => Verify::FirstTouch,
                "always" => Verify::Always,
                _ => Verify::None,
            };
            look(path, count, verify)
        }
        ("make", _) => {
            let db = open(path, WriteMode::Auto)?;
            load(&db, count)?;
            Ok(db.close()?)
        }
        (other, _) => Err(format!("no such job: {other}").into()),
    }
}

fn write_mode(word: &str) -> Result<WriteMode> {
    match word {
        // What users get.
        "auto" => Ok(WriteMode::Auto),
        "place" => Ok(WriteMode::InPlace),
        "shadow" => Ok(WriteMode::Shadow),
        _ => Err(format!("no such mode: {word}").into()),
    }
}
