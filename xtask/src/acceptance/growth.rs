//! A large load through transactions of 10,000 entries: bounded memory; and no growth when all of it is
//! deleted and loaded again.

#![allow(unsafe_code)] // Opens a mapped database that this run has made.

use super::{Context, Finding, file_bytes};
use crate::process::{child as child_process, output};
use crate::{Result, data};
use mapleaf::Database;
use std::path::Path;

/// Entries of a transaction.
const BATCH: usize = 10_000;
/// Bytes of a value; with its key an entry has 1,000.
const VALUE_BYTES: usize = 976;
/// Memory of the process' own (not the page cache's) that it may use at any time.
/// By default the twin's part with large pages has 160 MiB and its pool 64, commits wait from 144 MiB on that are
/// held or on their way out, and such a transaction adds 48 when it commits, and 48 while the next one builds.
const OWN_MEMORY_MAX_MIB: f64 = 512.0;

pub(super) fn run(context: &Context) -> Result<Vec<Finding>> {
    let leaf = context.path("growth.leaf");
    let entries = context.size(2_000_000, 200_000);
    let words = ["growth", leaf.to_str().ok_or("path")?, &entries.to_string()];
    let printed = String::from_utf8(output(&mut child_process(&words)?)?)?;
    let numbers: Vec<f64> =
        printed.split_whitespace().map(str::parse).collect::<std::result::Result<_, _>>()?;
    let [loaded, peak_kib, emptied, again, check] = numbers[..] else {
        return Err(format!("the child printed {printed}").into());
    };
    let peak = peak_kib / 1024.0;
    let what = format!("peak of own memory, {} MB loaded", entries / 1000);
    Ok(vec![
        Finding::new(
            what,
            format!("{peak:.0} MiB (limit {OWN_MEMORY_MAX_MIB})"),
            peak <= OWN_MEMORY_MAX_MIB,
        ),
        Finding::at_most("bytes after deleting all", emptied, loaded, 1.0),
        Finding::at_most("bytes after loading again", again, loaded, 1.0),
        Finding::new("check", "", check == 1.0),
    ])
}

/// Prints: bytes after the load, peak of own memory in KiB, bytes after deleting all, bytes after
/// loading again, 1 if the check is clean. Each part opens the file and closes it, as the command does.
pub(super) fn child(path: &Path, entries: u64) -> Result<bool> {
    let mut peak = 0;
    let db = open(path)?;
    load(&db, &data::shuffled(entries, 5), &mut peak)?;
    db.close()?;
    let loaded = file_bytes(path)?;
    let db = open(path)?;
    delete(&db, &data::shuffled(entries, 6), &mut peak)?;
    db.close()?;
    let emptied = file_bytes(path)?;
    let db = open(path)?;
    // The same load again: in another order its leaves would be filled otherwise, by chance.
    load(&db, &data::shuffled(entries, 5), &mut peak)?;
    let sound = db.check()?.is_sound() && db.read()?.tree("growth")?.len() == entries;
    db.close()?;
    let again = file_bytes(path)?;
    println!("{loaded} {peak} {emptied} {again} {}", u8::from(sound));
    Ok(true)
}

fn open(path: &Path) -> Result<Database> {
    // SAFETY: the parent made the directory for this file alone.
    Ok(unsafe { Database::open(path) }?)
}

fn delete(db: &Database, numbers: &[u64], peak: &mut u64) -> Result<()> {
    for batch in numbers.chunks(BATCH) {
        let mut txn = db.write()?;
        let mut tree = txn.tree("growth")?;
        for number in batch {
            if !tree.remove(&data::key(*number))? {
                return Err(format!("entry {number} was not there").into());
            }
        }
        txn.commit()?;
        *peak = (*peak).max(own_memory_kib()?);
    }
    Ok(())
}

fn load(db: &Database, numbers: &[u64], peak: &mut u64) -> Result<()> {
    for batch in numbers.chunks(BATCH) {
        let mut txn = db.write()?;
        let mut tree = txn.tree("growth")?;
        for number in batch {
            tree.insert(&data::key(*number), &data::value(*number, 0, VALUE_BYTES))?;
        }
        *peak = (*peak).max(own_memory_kib()?);
        txn.commit()?;
        *peak = (*peak).max(own_memory_kib()?);
    }
    Ok(())
}

/// Anonymous memory that is resident: the heap, the stack, the twin of the file.
fn own_memory_kib() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = line.ok_or("no RssAnon")?.trim().trim_end_matches(" kB");
    Ok(kib.parse()?)
}
