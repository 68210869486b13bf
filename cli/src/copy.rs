//! A compact copy of a store: `copy`.

use crate::args::Copy;
use crate::failure::{Failure, Outcome};
use crate::figures::{bytes, counted};
use crate::output::{Output, say};
use crate::progress::Progress;
use crate::store::{self, Place};
use mapleaf::{CopyReport, Database};
use serde_json::json;
use std::path::Path;
use std::time::Instant;

/// Copies, and says what was copied.
pub(crate) fn run(path: &Place<'_>, args: &Copy) -> Outcome {
    let start = Instant::now();
    let db = store::to_read(path)?;
    let page_size = args.page_size.unwrap_or(db.stats().store.page_size);
    let was_there = args.dest.symlink_metadata().is_ok();
    let copied = copied(&db, &args.dest, page_size, args.fill);
    let (report, file_bytes) = copied.inspect_err(|_| {
        // What is not a whole copy is none.
        if !was_there {
            let _ = std::fs::remove_file(&args.dest);
        }
    })?;
    let took = start.elapsed();
    if args.json {
        let done = json!({
            "trees": report.trees,
            "entries": report.entries,
            "file_bytes": file_bytes,
            "seconds": took.as_secs_f64(),
        });
        let mut output = Output::new();
        output.line(&done.to_string())?;
        return output.end();
    }
    let entries = counted(report.entries, "entry", "entries");
    let trees = counted(report.trees, "tree", "trees");
    let (size, seconds) = (bytes(file_bytes), took.as_secs_f64());
    let dest = args.dest.display();
    say(&format!("{dest}: copied {entries} in {trees}, {size}, in {seconds:.2} s"));
    Ok(())
}

/// Makes the copy; the file's length.
fn copied(db: &Database, dest: &Path, page_size: u32, fill: u8) -> Outcome<(CopyReport, u64)> {
    let to = store::new(dest, page_size)?;
    let mut progress = Progress::of_entries(0);
    let report = db.copy_to(&to, fill, &mut |done, entries| progress.set(done, entries));
    drop(progress);
    let report = report?;
    to.close()?;
    let file = dest.metadata().map_err(|error| Failure::io(dest, &error))?;
    Ok((report, file.len()))
}
