//! System calls of a program, as strace shows them.

use std::path::Path;
use std::process::Command;

/// Calls that make something durable; of `pwritev2` only those with `RWF_DSYNC`.
const BARRIERS: [&str; 4] = ["fsync(", "fdatasync(", "msync(", "sync_file_range("];

/// A line of strace from the call's name on: the number of its thread stands before.
#[must_use]
pub fn name(call: &str) -> &str {
    call.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ')
}

/// Whether a line of strace shows a call that makes something durable.
#[must_use]
pub fn is_barrier(call: &str) -> bool {
    let name = name(call);
    BARRIERS.iter().any(|barrier| name.starts_with(barrier))
        || (name.starts_with("pwritev2(") && name.contains("RWF_DSYNC"))
}

/// Runs `traced JOB FILE COUNT` (src/bin/traced.rs, at `program`) under strace; the calls of all its threads
/// in its watched parts. Leaves `FILE.strace` behind.
///
/// # Panics
/// Where strace cannot be run, the program fails or its marks are not seen.
#[must_use]
pub fn watched(program: &Path, job: &str, file: &Path, count: u64) -> Vec<String> {
    let log = file.with_extension("strace");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-s", "0", "-o"]).arg(&log).arg(program);
    let output = strace.arg(job).arg(file).arg(count.to_string()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&std::fs::read(&log).unwrap()).into_owned();
    let (mut calls, mut parts, mut inside) = (Vec::new(), 0, false);
    for line in text.lines() {
        if line.contains("/mapleaf-begin") {
            inside = true;
        } else if line.contains("/mapleaf-end") {
            inside = false;
            parts += 1;
        } else if inside {
            calls.push(line.to_owned());
        }
    }
    assert!(parts > 0 && !inside, "the trace shows no end");
    calls
}
