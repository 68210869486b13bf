//! Commands that people run by hand.
//!
//! ```sh
//! cargo xtask demo [DIR]                        # the README's main job
//! cargo xtask acceptance [--quick] [--dir DIR] [NAME...]
//! cargo xtask big-endian                        # tests on s390x, stores exchanged with it
//! cargo xtask codegen                       # what the searches of a page compile to
//! cargo xtask coverage [--missed]              # lines of the core that its tests run; fails below 95 %
//! cargo xtask gates [--record]                  # what operations cost, against recorded budgets
//! cargo xtask golden                            # writes golden files that are not there yet
//! cargo xtask model [--cases N]               # random programs against an oracle
//! cargo xtask readers [--seconds N]             # readers beside a writer, judged by a history
//! cargo xtask kills [--count N] [--seed S]      # a writer killed at any moment
//! cargo xtask lab [DIR]                         # the laboratory, quickly, and whether its figures can be
//! cargo xtask loom [NAME...]                    # every interleaving of the readers' protocol
//! cargo xtask mutants [--sample N] [--seed S]   # changes of the pager that no test notices
//! cargo xtask sanitize [thread|address]         # tests under a sanitizer
//! cargo xtask stalls [--mib N] [...]           # how long lookups hold a thread up when memory is short
//! cargo xtask write-order [--images N] [--seed S]  # power loss below a real ext4
//! cargo xtask fuzz-canaries [TARGET...]         # each fuzzer finds the bug planted for it
//! cargo xtask crash [--quick] [...]             # crashes at every point of simulated histories
//! cargo xtask canaries [SEED]                   # plants bugs, which the crashes must find
//! ```

mod acceptance;
mod big_endian;
mod codegen;
mod coverage;
mod crash;
mod data;
mod demo;
mod fuzz;
mod gates;
mod golden;
mod history;
mod kills;
mod lab;
mod loom;
mod model;
mod mutants;
mod names;
mod process;
mod readers;
mod sanitize;
mod stalls;
mod write_order;

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
  big-endian [--quick]                       tests on s390x under QEMU, stores exchanged with it
  codegen                                    what the searches of a page compile to: moves, not branches
  coverage [--missed] [--branches] [--again] lines of the core that its tests run; fails below 95 %
  gates [--record]                           instructions, system calls, device writes of operations, against budgets
  golden                                     write golden files of format v1 that are not there yet
  model [--cases N] [--seed N] [--planted]   random programs over the whole API, against an oracle
  readers [--seconds N] [--seed N] [--planted]  readers beside a writer, judged by a history
  kills [--count N] [--seed S] [--dir DIR] [--threads N] [--planted]  a writer killed at any moment loses nothing
  lab [DIR]                                  all of `mapleaf lab --quick`, and whether its figures can be
  loom [BUG...]                              every interleaving of the readers' protocol; planted bugs
  mutants [--sample N] [--seed S] [--file NAME]... [--only ID,...] [--test NAME]... [--programs N] [--heavy] [--list]
                                             changes of the pager's code that no test notices
  sanitize [thread|address] [--quick]        the tests under a sanitizer, and a planted bug
  stalls [--mib N] [--percent N] [--seconds N] [--rate N] [--empty N] [--dir DIR]
                                             how long lookups hold a thread up when memory is short
  write-order [--images N] [--seed S] [--threads N] [--planted]  power loss below a real ext4, image by image
  fuzz-canaries [TARGET...]                  each fuzzer finds the bug that is planted for it
  crash [--quick] [--words N [--letters L] [--from K] | --drawn N | --histories N] [--seed S] [--states N] [--seconds N]
        [--threads N]                        crashes at every point of simulated histories; L: of those steps
  crash [--seed S] --faults N                every call of the mapping fails, in N random histories
  crash --replay SETUP:HISTORY [--last]      one of them, as a failure prints it
  canaries [SEED [NAME...]]                  plants bugs, which the crashes must find";

fn run(words: &[String]) -> Result<bool> {
    let (command, rest) = words.split_first().ok_or(USAGE)?;
    match command.as_str() {
        "demo" => demo::run(rest.first().map_or_else(std::env::temp_dir, PathBuf::from)),
        "acceptance" => acceptance::run(rest),
        "big-endian" => big_endian::run(rest),
        "codegen" => codegen::run(),
        "coverage" => coverage::run(rest),
        "gates" => gates::run(rest),
        "golden" => golden::run(),
        "model" => model::run(rest),
        "readers" => readers::run(rest),
        "kills" => kills::run(rest),
        "lab" => lab::run(rest),
        "loom" => loom::run(rest),
        "mutants" => mutants::run(rest),
        "sanitize" => sanitize::run(rest),
        "stalls" => stalls::run(rest),
        "write-order" => write_order::run(rest),
        "fuzz-canaries" => fuzz::canaries(rest),
        "crash" => crash::run(rest),
        "canaries" => crash::canaries(rest),
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
