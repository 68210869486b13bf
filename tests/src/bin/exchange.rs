//! Stores for a machine of the other byte order: `exchange JOB [DIRECTORY]`.
//!
//! | job | |
//! |---|---|
//! | `order` | prints this machine's byte order |
//! | `write` | writes the store of every golden case into the directory |
//! | `read` | opens each of them, as bytes and as a file; its pages and its content must be right |
//! | `planted` | as `write`, with a number in this machine's byte order: the files then differ |

use mapleaf::Database;
use mapleaf_tests::golden::{CASES, Case, content, read, write, write_with};
use std::error::Error;
use std::path::Path;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Opens a copy of the file (opening may write) and looks at all that is in it.
fn look(case: &Case, path: &Path) -> Result<()> {
    let bytes = std::fs::read(path)?;
    let (found, _) = read(&bytes)?;
    if found != content(case) {
        return Err("other content".into());
    }
    // The write unit of a file: no database has smaller pages.
    if case.page_size < 4096 {
        return Ok(());
    }
    let directory = tempfile::tempdir()?;
    let copy = directory.path().join(case.name);
    std::fs::write(&copy, &bytes)?;
    let db = Database::open_buffered(&copy)?;
    let report = db.check()?;
    if !report.is_sound() {
        return Err(format!("not sound: {:?}", report.found).into());
    }
    // It goes on from there.
    let mut txn = db.write()?;
    txn.tree("exchanged")?.insert(b"by", std::env::consts::ARCH.as_bytes())?;
    txn.commit()?;
    drop(db);
    let (mut found, _) = read(&std::fs::read(&copy)?)?;
    let exchanged = found.remove("exchanged").ok_or("what was written next is not there")?;
    if exchanged.1.len() != 1 || found != content(case) {
        return Err("other content after it was written to".into());
    }
    Ok(())
}

fn run(job: &str, directory: &Path) -> Result<()> {
    for case in &CASES {
        let path = directory.join(case.name);
        match job {
            "write" => std::fs::write(&path, write(case)?)?,
            "planted" => {
                let native = u64::from_ne_bytes(*b"mapleaf!");
                std::fs::write(&path, write_with(case, native)?)?;
            }
            "read" => look(case, &path).map_err(|error| format!("{}: {error}", case.name))?,
            _ => return Err("exchange order|write|read|planted [DIRECTORY]".into()),
        }
    }
    Ok(())
}

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let job = words.first().map_or("", String::as_str);
    if job == "order" {
        println!("{}", if cfg!(target_endian = "big") { "big" } else { "little" });
        return Ok(());
    }
    run(job, Path::new(words.get(1).ok_or("which directory?")?))
}
