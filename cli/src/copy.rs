//! A compact copy of a store: `copy`.

use crate::args::Copy;
use crate::failure::{Failure, Outcome};
use crate::figures::{bytes, counted};
use crate::output::{Output, say};
use crate::progress::Progress;
use crate::store::{self, Place};
use mapleaf::{CopyReport, Database};
use serde_json::json;
use std::fs::File;
use std::path::Path;
use std::time::Instant;

/// Copies, and says what was copied.
pub(crate) fn run(path: &Place<'_>, args: &Copy) -> Outcome {
    let start = Instant::now();
    let db = store::to_read(path)?;
    let page_size = args.page_size.unwrap_or(db.stats().store.page_size);
    if args.dest.symlink_metadata().is_ok() {
        let dest = args.dest.display();
        return Err(Failure::Other(format!("{dest}: cannot create: File exists")));
    }
    let (report, file_bytes) = copied(&db, &args.dest, page_size, args.fill)?;
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

/// Makes the copy; the file's length. It has another name until it is whole: a copy that was killed would be a
/// sound store, without entries.
fn copied(db: &Database, dest: &Path, page_size: u32, fill: u8) -> Outcome<(CopyReport, u64)> {
    let mut part = dest.as_os_str().to_owned();
    part.push(".part");
    let part = Path::new(&part);
    let to = store::new(part, page_size)?;
    let whole = filled(db, to, fill).and_then(|report| {
        let file = part.metadata().map_err(|error| Failure::io(part, &error))?;
        std::fs::rename(part, dest).map_err(|error| Failure::io(dest, &error))?;
        sync_directory(dest).map_err(|error| Failure::io(dest, &error))?;
        Ok((report, file.len()))
    });
    whole.inspect_err(|_| drop(std::fs::remove_file(part)))
}

/// Copies everything into the new store, and closes it.
fn filled(db: &Database, to: Database, fill: u8) -> Outcome<CopyReport> {
    let mut progress = Progress::of_entries(0);
    let report = db.copy_to(&to, fill, &mut |done, entries| progress.set(done, entries));
    drop(progress);
    let report = report?;
    to.close()?;
    Ok(report)
}

/// Makes the file's new name survive a power failure.
fn sync_directory(path: &Path) -> std::io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}
