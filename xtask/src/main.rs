//! Commands that people run by hand.
//!
//! ```sh
//! cargo xtask demo [DIR]                        # the README's main job
//! cargo xtask acceptance [--quick] [--dir DIR] [NAME...]
//! cargo xtask big-endian                        # tests on s390x, stores exchanged with it
//! cargo xtask golden                            # writes golden files that are not there yet
//! ```

mod acceptance;
mod big_endian;
mod data;
mod demo;
mod golden;
mod names;
mod process;

use std::path::PathBuf;
use std::process::ExitCode;

/// Why a command failed.
pub(crate) type Failure = Box<dyn std::error::Error>;
/// Result of a command.
pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

const USAGE: &str = "\
usage: cargo xtask COMMAND
  demo [DIR]                                 load the paths of a file tree, reopen, look up, scan, check
  acceptance [--quick] [--dir DIR] [NAME...] growth, shrinking, old readers, killed writers, cold opening
  big-endian                                 tests on s390x under QEMU, stores exchanged with it
  golden                                     write golden files of format v1 that are not there yet";

fn run(words: &[String]) -> Result<bool> {
    let (command, rest) = words.split_first().ok_or(USAGE)?;
    match command.as_str() {
        "demo" => demo::run(rest.first().map_or_else(std::env::temp_dir, PathBuf::from)),
        "acceptance" => acceptance::run(rest),
        "big-endian" => big_endian::run(),
        "golden" => golden::run(),
        // What acceptance runs in processes of their own.
        "child" => acceptance::child(rest),
        _ => Err(USAGE.into()),
    }
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match run(&words) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::from(2)
        }
    }
}
