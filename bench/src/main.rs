//! mapleaf and LMDB side by side, in one run, on one disk.
//!
//! Every job is done in chunks, and the peers take turns chunk by chunk, so that what the machine
//! does meanwhile meets all of them. A figure is the median of its chunks. What the peers answer is
//! compared with what was stored.
//!
//! ```sh
//! cargo run --release -p mapleaf-bench -- [--quick] [--entries N] [--dir DIR] [--json FILE]
//! ```

mod data;
mod jobs;
mod lmdb;
mod mapleaf_peer;
mod peer;
mod report;

use std::path::PathBuf;
use std::process::ExitCode;

/// What the command line asks for.
struct Args {
    /// Entries of the loaded store.
    entries: u64,
    /// Where the files are made; on the disk to measure.
    dir: PathBuf,
    /// Where the figures go as JSON.
    json: Option<PathBuf>,
    sizes: jobs::Sizes,
}

const ENTRIES: u64 = 1_000_000;
const ENTRIES_QUICK: u64 = 100_000;

fn parse() -> Result<Args, String> {
    let mut args =
        Args { entries: ENTRIES, dir: PathBuf::from("."), json: None, sizes: jobs::Sizes::FULL };
    let mut words = std::env::args_os().skip(1);
    while let Some(word) = words.next() {
        let mut value = |name: &str| words.next().ok_or(format!("{name} needs a value"));
        match word.to_str() {
            Some("--quick") => {
                args.entries = ENTRIES_QUICK;
                args.sizes = jobs::Sizes::QUICK;
            }
            Some("--entries") => {
                let count = value("--entries")?.to_string_lossy().parse::<u64>();
                args.entries = count.map_err(|error| format!("--entries: {error}"))?.max(1000);
            }
            Some("--dir") => args.dir = value("--dir")?.into(),
            Some("--json") => args.json = Some(value("--json")?.into()),
            Some("--help" | "-h") => {
                return Err(
                    "usage: mapleaf-bench [--quick] [--entries N] [--dir DIR] [--json FILE]".into(),
                );
            }
            _ => return Err(format!("unknown argument {}", word.to_string_lossy())),
        }
    }
    Ok(args)
}

fn run(args: &Args) -> Result<(), peer::Failure> {
    let directory = tempfile::Builder::new().prefix("mapleaf-bench-").tempdir_in(&args.dir)?;
    let figures = jobs::run(directory.path(), args.entries, &args.sizes)?;
    print!("{}", report::markdown(args.entries, &figures));
    if let Some(path) = &args.json {
        std::fs::write(path, report::json(args.entries, &figures))?;
    }
    Ok(())
}

fn main() -> ExitCode {
    let args = match parse() {
        Ok(args) => args,
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::from(2);
        }
    };
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mapleaf-bench: {error}");
            ExitCode::FAILURE
        }
    }
}
