//! Opening a large, cleanly closed file that is not in memory reads a few pages of it.

#![allow(unsafe_code)] // Opens a mapped database that this run has made.

use super::{Context, Finding, file_bytes};
use crate::process::{child as child_process, output};
use crate::{Result, data};
use mapleaf::{Create, Database};
use rustix::fs::{Advice, fadvise};
use std::fs::File;
use std::path::Path;
use std::process::Command;

/// Bytes of a large value; small entries stand between them.
const VALUE_BYTES: usize = 1 << 20;
const SMALL_A_LARGE: u64 = 50;
/// Pages that opening may touch.
const PAGES_MAX: u64 = 64;

pub(super) fn run(context: &Context) -> Result<Vec<Finding>> {
    let path = context.path("cold.leaf");
    build(&path, context.size(10 << 10, 512))?;
    let bytes = file_bytes(&path)?;
    // Twice: a page that is being written back is not dropped.
    for _ in 0..2 {
        let file = File::open(&path)?;
        file.sync_all()?;
        fadvise(&file, 0, None, Advice::DontNeed)?;
    }
    let before = cached_pages(&path)?;
    let words = ["cold", path.to_str().ok_or("path")?];
    let printed = String::from_utf8(output(&mut child_process(&words)?)?)?;
    let after = cached_pages(&path)?;
    let touched = after.saturating_sub(before);
    let what = format!("pages read by opening {} MB, cold", bytes / 1_000_000);
    Ok(vec![
        Finding::new("pages in memory before", before.to_string(), before <= PAGES_MAX),
        Finding::new(what, format!("{touched} (limit {PAGES_MAX})"), touched <= PAGES_MAX),
        Finding::new("time to open", printed.trim(), true),
    ])
}

fn build(path: &Path, mebibytes: u64) -> Result<()> {
    // SAFETY: a new file in a directory of this run's own.
    let db = unsafe { Database::open(path) }?;
    for batch in 0..mebibytes.div_ceil(64) {
        let mut txn = db.write()?;
        let (large, small) = (txn.open_or_create("large")?, txn.open_or_create("small")?);
        for number in batch * 64..(batch * 64 + 64).min(mebibytes) {
            let fill = |bytes: &mut [u8]| bytes.fill(number as u8);
            txn.tree(large)?.reserve(&data::key(number), VALUE_BYTES, fill)?;
            for i in 0..SMALL_A_LARGE {
                let entry = number * SMALL_A_LARGE + i;
                txn.tree(small)?.insert(&data::key(entry), &data::value(entry, 0, 100))?;
            }
        }
        txn.commit()?;
    }
    Ok(db.close()?)
}

/// Opens the file, and prints how long that took.
pub(super) fn child(path: &Path) -> Result<bool> {
    let start = std::time::Instant::now();
    // SAFETY: the parent made the file, and does nothing with it meanwhile.
    let db = unsafe { Database::builder().create(Create::Never).open(path) }?;
    let took = start.elapsed();
    println!("{:.2} ms, transaction {}", took.as_secs_f64() * 1e3, db.read()?.txn().0);
    Ok(true)
}

/// Pages of the file that are in the page cache.
fn cached_pages(path: &Path) -> Result<u64> {
    let mut fincore = Command::new("fincore");
    fincore.args(["--noheadings", "--output", "PAGES"]).arg(path);
    Ok(String::from_utf8(output(&mut fincore)?)?.trim().parse()?)
}
