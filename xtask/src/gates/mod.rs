//! `cargo xtask gates`: what an operation costs, in numbers that no noise moves, against a recorded budget
//! (`bench/budgets.toml`): instructions (callgrind), system calls and barriers (strace). Bytes and flushes of
//! the block device are in `tests/tests/device.rs`.
//!
//! With `--planted` each budget is taken to be too small; every gate must then fail.

mod budgets;
mod count;

use crate::{Result, process};
use budgets::Budgets;
use std::path::PathBuf;
use std::process::Command;

/// A number and what it may be.
struct Gate {
    section: &'static str,
    name: &'static str,
    found: f64,
}

/// Jobs of `counted`, whose instructions are counted.
const COUNTED: [&str; 6] = ["get", "get-many", "insert", "commit-eventual", "commit-sync", "scan"];
/// Jobs of `traced`, whose system calls are counted, and how many operations of each.
const TRACED: [(&str, u64); 4] =
    [("gets", 20_000), ("eventual", 300), ("sync-place", 20), ("sync-shadow", 20)];

/// Sections of the file.
const INSTRUCTIONS: &str = "instructions";
const CALLS: &str = "calls";
const BARRIERS: &str = "barriers";

/// What `--planted` makes of each budget: a tenth less, and less than zero where it is zero.
fn planted(budget: f64) -> f64 {
    budget * 0.9 - 1.0
}

/// Measures, prints, compares.
pub(crate) fn run(words: &[String]) -> Result<bool> {
    let (mut plant, mut record) = (false, false);
    for word in words {
        match word.as_str() {
            "--planted" => plant = true,
            "--record" => record = true,
            _ => return Err(format!("gates does not know {word}").into()),
        }
    }
    let file = process::root().join("bench/budgets.toml");
    let toolchain = toolchain()?;
    let gates = measure()?;
    if record {
        let numbers: Vec<_> =
            gates.iter().map(|gate| (gate.section, gate.name, gate.found)).collect();
        std::fs::write(&file, budgets::text(&toolchain, &numbers))?;
        println!("recorded in {}", file.display());
        return Ok(true);
    }
    let budgets = Budgets::read(&std::fs::read_to_string(&file)?)?;
    if budgets.toolchain != toolchain {
        return Err(format!(
            "the budgets are those of Rust {}, this is {toolchain}: another compiler makes other \
             instructions. Compare by hand, then `cargo xtask gates --record`",
            budgets.toolchain
        )
        .into());
    }
    let mut failed = 0;
    for gate in &gates {
        failed += usize::from(!holds(gate, &budgets, plant)?);
    }
    if !plant {
        println!("{} gates, {failed} failed", gates.len());
        return Ok(failed == 0);
    }
    println!("planted: {} gates, {failed} failed, as all must", gates.len());
    Ok(failed == gates.len())
}

/// Whether a number is within its budget; says so.
fn holds(gate: &Gate, budgets: &Budgets, plant: bool) -> Result<bool> {
    let budget = budgets.of(gate.section, gate.name)?;
    let budget = if plant { planted(budget) } else { budget };
    // Only instructions may differ a little: between machines, by what their C library chooses.
    let tolerance = if gate.section == INSTRUCTIONS { budgets.tolerance_percent } else { 0.0 };
    let holds = gate.found <= budget * (1.0 + tolerance / 100.0);
    let verdict = match holds {
        false => "FAILED",
        true if gate.found < budget * (1.0 - tolerance / 100.0) => "less: record it",
        true => "ok",
    };
    println!(
        "{:<13} {:<16} {:>10.1} of {budget:>10.1}  {verdict}",
        gate.section, gate.name, gate.found
    );
    Ok(holds)
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
    let directory = tempfile::tempdir()?;
    let mut gates = Vec::new();
    for name in COUNTED {
        let file = directory.path().join(format!("{name}.leaf"));
        let found = count::instructions(&beside("counted")?, name, &file)?;
        gates.push(Gate { section: INSTRUCTIONS, name, found });
    }
    for (name, operations) in TRACED {
        let file = directory.path().join(format!("{name}.leaf"));
        let (calls, barriers) = count::calls(&beside("traced")?, name, &file, operations);
        gates.push(Gate { section: CALLS, name, found: calls as f64 });
        gates.push(Gate { section: BARRIERS, name, found: barriers as f64 });
    }
    Ok(gates)
}

/// The compiler's version.
fn toolchain() -> Result<String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let text = String::from_utf8(process::output(Command::new(rustc).arg("--version"))?)?;
    let version = text.split_whitespace().nth(1);
    Ok(version.ok_or("rustc does not say its version")?.to_owned())
}
