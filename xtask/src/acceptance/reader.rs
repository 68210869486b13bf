//! An old reader, held while everything is rewritten again and again, holds back what it can see and
//! no more.

#![allow(unsafe_code)] // Opens a mapped database that this run has made.

use super::{Context, Finding, file_bytes};
use crate::{Result, data};
use mapleaf::Database;

const REWRITES: u64 = 20;
const VALUE_BYTES: usize = 150;
/// A transaction writes this part of the entries.
const BATCH_PART: u64 = 1000;
/// The file may be so many times the live data: what the reader sees, what is new, and some room.
const SIZE_MAX: f64 = 2.3;

pub(super) fn run(context: &Context) -> Result<Vec<Finding>> {
    let entries = context.size(1_000_000, 100_000);
    let path = context.path("reader.leaf");
    // SAFETY: a new file in a directory of this run's own.
    let db = unsafe { Database::open(&path) }?;
    write_all(&db, entries, 0)?;
    let report = db.check()?;
    let live = (report.inner_pages + report.leaf_pages + report.run_pages) * report.page_size;
    let loaded = file_bytes(&path)?;
    let old = db.read()?;
    for version in 1..=REWRITES {
        write_all(&db, entries, version)?;
    }
    let bytes = file_bytes(&path)?;
    let (before, now) = (old.tree("t")?, db.read()?);
    for number in (0..entries).step_by(7) {
        let key = data::key(number);
        let right = before.get(&key)? == Some(&data::value(number, 0, VALUE_BYTES)[..])
            && now.tree("t")?.get(&key)? == Some(&data::value(number, REWRITES, VALUE_BYTES)[..]);
        if !right {
            return Err(format!("entry {number}: another value").into());
        }
    }
    let sound = db.check()?.is_sound();
    let what = format!("bytes after {REWRITES} rewrites beside an old reader");
    let pages = db.stats().store;
    let text = format!(
        "{} in use, {} free, {} pinned, {} log, {} mapped; {loaded} bytes before",
        pages.page_count, pages.free_pages, pages.pinned_pages, pages.log_pages, pages.mapped_pages
    );
    Ok(vec![
        Finding::new("pages", text, true),
        Finding::at_most(&what, bytes as f64, live as f64, SIZE_MAX),
        Finding::new("check", "", sound),
    ])
}

fn write_all(db: &Database, entries: u64, version: u64) -> Result<()> {
    for batch in data::shuffled(entries, version).chunks((entries / BATCH_PART) as usize) {
        let mut txn = db.write()?;
        let mut tree = txn.tree("t")?;
        for number in batch {
            tree.insert(&data::key(*number), &data::value(*number, version, VALUE_BYTES))?;
        }
        txn.commit()?;
    }
    Ok(())
}
