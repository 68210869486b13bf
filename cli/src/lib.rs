//! What the `mapleaf` command is made of, so that its parsers can be fuzzed. No API: the crate for programs
//! is `mapleaf`.
//!
//! The command loads, reads, changes, checks, draws and dumps mapleaf stores.
//!
//! Exit codes: 0 done, 1 not found, damage found or something lost, 2 wrong usage, nothing to be
//! salvaged or no scrub, 3 anything else.
#![deny(unsafe_code)]

mod args;
mod check;
mod copy;
mod dump;
mod entry;
mod failure;
mod figures;
#[cfg(feature = "inspect")]
mod inspect;
mod json;
#[cfg(all(feature = "lab", target_os = "linux"))]
mod lab;
mod lmdb;
mod load;
mod loader;
mod output;
mod page;
mod progress;
mod range;
mod repair;
mod salvage;
mod scan;
mod scrub;
mod stat;
mod store;
mod text;
mod tree;

use crate::args::{Args, Command};
use crate::failure::Outcome;
use crate::store::Place;
use clap::Parser;
use std::ffi::OsString;
use std::process::ExitCode;

pub use crate::args::Format;
pub use crate::load::load_text;

/// Runs the command with the arguments of the process; its exit code.
#[must_use]
pub fn run_command() -> ExitCode {
    match parse_and_run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if let Some(message) = failure.message() {
                output::say(&format!("mapleaf: {message}"));
            }
            ExitCode::from(failure.code())
        }
    }
}

fn parse_and_run() -> Outcome {
    let words = spelled_out(std::env::args_os().collect());
    // The one command without a store. A store of that name is `./lab`.
    #[cfg(all(feature = "lab", target_os = "linux"))]
    if words.get(1).is_some_and(|first| first == "lab") {
        return lab::run(&lab::args::Args::parse_from(words.into_iter().skip(1)));
    }
    run(&Args::parse_from(words))
}

/// `mapleaf help` and `mapleaf help COMMAND`, which have no store either, as the options that they stand for.
fn spelled_out(words: Vec<OsString>) -> Vec<OsString> {
    let [program, first, rest @ ..] = &words[..] else { return words };
    match rest {
        _ if first != "help" => words,
        [] => vec![program.clone(), "--help".into()],
        [command] if command == "lab" => vec![program.clone(), "lab".into(), "--help".into()],
        [command] => vec![program.clone(), "STORE".into(), command.clone(), "--help".into()],
        _ => words,
    }
}

fn run(args: &Args) -> Outcome {
    let file = &Place { path: &args.store, verify: args.verify.into() };
    match &args.command {
        Command::Load(load) => load::run(file, load),
        Command::Get(get) => entry::get(file, get),
        Command::Put(put) => entry::put(file, put),
        Command::Del(del) => entry::del(file, del),
        Command::Scan(scan) => scan::run(file, scan),
        Command::Count(count) => scan::count(file, count),
        Command::Trees(trees) => stat::trees(file, trees),
        Command::Stat(stat) => stat::run(file, stat),
        Command::Check(check) => check::run(file, check),
        Command::Scrub(scrub) => scrub::run(file, scrub),
        Command::Copy(copy) => copy::run(file, copy),
        Command::Salvage(salvage) => salvage::run(file, salvage),
        Command::Dump(dump) => dump::run(file, dump),
        #[cfg(feature = "inspect")]
        Command::Inspect(inspect) => inspect::run(file, inspect),
        Command::Page(page) => page::run(file, page),
        Command::Tree(tree) => tree::run(file, tree),
    }
}
