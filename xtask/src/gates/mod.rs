//! `cargo xtask gates`: what an operation costs, in numbers that no noise moves, against a recorded budget
//! (`bench/budgets.toml`): instructions (callgrind), system calls and barriers (strace), bytes and flushes of
//! a block device (its own counters).
//!
//! Instructions of the program itself are the same on every x86-64. Those of the C library are not: it chooses
//! its copies by the processor, so it is made to choose the plain ones, and they are counted apart.
//!
//! At the end every number is compared with a budget that is too small: each of these gates must fail.

mod budgets;
mod count;

use crate::{Result, process};
use budgets::Budgets;
use mapleaf_tests::disk::{self, Disk, Sent};
use mapleaf_tests::tools;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What is counted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Section {
    Instructions,
    Library,
    Calls,
    Barriers,
    Writes,
    Bytes,
    Flushes,
}

impl Section {
    fn name(self) -> &'static str {
        match self {
            Section::Instructions => "instructions",
            Section::Library => "library",
            Section::Calls => "calls",
            Section::Barriers => "barriers",
            Section::Writes => "writes",
            Section::Bytes => "bytes",
            Section::Flushes => "flushes",
        }
    }

    fn about(self) -> &'static str {
        match self {
            Section::Instructions => {
                "An operation of tests/src/bin/counted.rs under callgrind, without the C library."
            }
            Section::Library => {
                "Instructions of an operation in the C library: copies, comparisons."
            }
            Section::Calls => "System calls of 20,000 gets, of 20 operations of the others. Exact.",
            Section::Barriers => "Those of them that make something durable. Exact.",
            Section::Writes => "Those of them that write to a file or change its size. Exact.",
            Section::Bytes => "What an operation sends to the disk (median of 20). Exact.",
            Section::Flushes => "How often it has the disk make it durable (median of 20). Exact.",
        }
    }

    /// How far above its budget a number may lie, in percent; what is exact may not be below it either.
    fn tolerance_percent(self, same_compiler: bool) -> Option<f64> {
        match (self, same_compiler) {
            // Another compiler makes other instructions, and is not to stop everybody.
            (Section::Instructions, false) => Some(15.0),
            (Section::Instructions, true) => Some(3.0),
            // As the C library's version may be another too.
            (Section::Library, _) => Some(25.0),
            _ => None,
        }
    }
}

/// A number that was found.
struct Gate {
    section: Section,
    name: &'static str,
    found: f64,
}

/// Jobs of `counted`, whose instructions are counted.
const COUNTED: [&str; 9] = [
    "get",
    "get-many",
    "get-fixed",
    "begin-get-end",
    "scan",
    "insert",
    "commit-eventual",
    "commit-sync",
    "batch",
];
/// Jobs of `traced`, whose system calls are counted, and how many operations of each.
const TRACED: [(&str, u64); 9] = [
    ("gets", 20_000),
    ("eventual-place", OPERATIONS),
    ("eventual-shadow", OPERATIONS),
    ("sync-place", OPERATIONS),
    ("sync-shadow", OPERATIONS),
    ("checkpoint-place", OPERATIONS),
    ("checkpoint-shadow", OPERATIONS),
    ("open-place", OPERATIONS),
    ("open-shadow", OPERATIONS),
];
const OPERATIONS: u64 = 20;
/// Of which the calls that are no writes and no barriers are the machine's: how its control groups nest, where
/// the kernel puts a map.
const OPENINGS: &str = "open-";
/// Jobs of `traced` on a file system whose device counts. (Opening makes no call that writes.)
const SENT: [&str; 3] = ["eventual-shadow", "sync-shadow", "checkpoint-shadow"];
/// In the file before, where a job does not make its own.
const ENTRIES: u64 = 20_000;

/// Measures, prints, compares.
pub(crate) fn run(words: &[String]) -> Result<bool> {
    let record = match words {
        [] => false,
        [word] if word == "--record" => true,
        _ => return Err("usage: gates [--record]".into()),
    };
    let file = process::root().join("bench/budgets.toml");
    let toolchain = toolchain()?;
    let gates = measure()?;
    if record {
        std::fs::write(&file, budgets::text(&toolchain, &gates))?;
        println!("recorded in {}", file.display());
        return Ok(true);
    }
    let budgets = Budgets::read(&std::fs::read_to_string(&file)?)?;
    let same_compiler = budgets.toolchain == toolchain;
    if !same_compiler {
        println!(
            "the budgets are those of Rust {}, this is {toolchain}: instructions may be more",
            budgets.toolchain
        );
    }
    let (mut failed, mut planted) = (0, 0);
    for gate in &gates {
        let budget = budgets.of(gate.section.name(), gate.name)?;
        let tolerance = gate.section.tolerance_percent(same_compiler);
        failed += usize::from(!holds(gate, budget, tolerance, true));
        // As if the operation had become a third dearer.
        planted += usize::from(!holds(gate, gate.found * 0.75 - 1.0, tolerance, false));
    }
    println!("{} gates, {failed} failed; with budgets that are too small {planted}", gates.len());
    Ok(failed == 0 && planted == gates.len())
}

/// Whether a number is within its budget; says so where it is to.
fn holds(gate: &Gate, budget: f64, tolerance_percent: Option<f64>, say: bool) -> bool {
    // Numbers are recorded with one digit after the point.
    let found = (gate.found * 10.0).round() / 10.0;
    let (least, most) = match tolerance_percent {
        // Of a few instructions one more is a large part.
        Some(percent) => (0.0, budget * (1.0 + percent / 100.0) + 1.0),
        None => (budget, budget),
    };
    let holds = (least..=most).contains(&found);
    let verdict = match tolerance_percent {
        _ if !holds => "FAILED",
        Some(percent) if found < budget * (1.0 - percent / 100.0) => "less: record it",
        _ => "ok",
    };
    if say {
        let name = gate.section.name();
        println!("{name:<13} {:<18} {found:>9.1} of {budget:>9.1}  {verdict}", gate.name);
    }
    holds
}

fn measure() -> Result<Vec<Gate>> {
    let mut build = process::cargo();
    build.args(["build", "--quiet", "--release", "--package", "mapleaf-tests"]);
    build.args(["--bin", "counted", "--bin", "traced"]);
    if !build.status()?.success() {
        return Err("what is measured does not build".into());
    }
    // This program was built in release too: they lie beside.
    let beside =
        |name: &str| -> Result<PathBuf> { Ok(std::env::current_exe()?.with_file_name(name)) };
    let (counted, traced) = (beside("counted")?, beside("traced")?);
    let directory = tempfile::tempdir()?;
    let mut gates = Vec::new();
    let mut add = |section, name, found: f64| gates.push(Gate { section, name, found });
    for name in COUNTED {
        let file = directory.path().join(name);
        let found = count::instructions(&counted, name, &file)?;
        add(Section::Instructions, name, found.own);
        add(Section::Library, name, found.library);
        std::fs::remove_file(file)?;
    }
    for (name, operations) in TRACED {
        let file = directory.path().join(name);
        make(&traced, name, &file)?;
        let found = count::calls(&traced, name, &file, operations);
        if !name.starts_with(OPENINGS) {
            add(Section::Calls, name, found.all as f64);
        }
        add(Section::Barriers, name, found.barriers as f64);
        add(Section::Writes, name, found.writes as f64);
    }
    let disk = Disk::new();
    if tools::can_run("gates: what is sent to a disk", disk.is_some(), disk::NEEDED) {
        let disk = disk.ok_or(disk::NEEDED)?;
        for name in SENT {
            let file = disk.path().join(name);
            make(&traced, name, &file)?;
            let sent = disk.watched(&traced, name, &file, OPERATIONS);
            add(Section::Bytes, name, median(&sent, |sent| sent.bytes));
            add(Section::Flushes, name, median(&sent, |sent| sent.flushes));
        }
    }
    Ok(gates)
}

/// The file that a job of `traced` finds.
fn make(traced: &Path, job: &str, file: &Path) -> Result<()> {
    // These make theirs.
    if !job.starts_with("gets") && !job.starts_with("eventual") {
        let mut make = Command::new(traced);
        process::output(make.arg("make").arg(file).arg(ENTRIES.to_string()))?;
    }
    Ok(())
}

/// The middle: the file system's journal and the kernel's own write-back disturb a few.
fn median(sent: &[Sent], of: impl Fn(&Sent) -> u64) -> f64 {
    let mut numbers: Vec<u64> = sent.iter().map(of).collect();
    numbers.sort_unstable();
    numbers.get(numbers.len() / 2).map_or(f64::NAN, |&number| number as f64)
}

/// The compiler's version.
fn toolchain() -> Result<String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let text = String::from_utf8(process::output(Command::new(rustc).arg("--version"))?)?;
    let version = text.split_whitespace().nth(1);
    Ok(version.ok_or("rustc does not say its version")?.to_owned())
}
