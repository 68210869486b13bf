//! System calls of a program, as strace shows them.

use std::path::Path;
use std::process::Command;

/// Calls that make something durable; of `pwritev2` only those with `RWF_DSYNC`.
const BARRIERS: [&str; 4] = ["fsync(", "fdatasync(", "msync(", "sync_file_range("];

/// Whether a line of strace shows a call that makes something durable.
#[must_use]
pub fn is_barrier(call: &str) -> bool {
    let name = call.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ');
    BARRIERS.iter().any(|barrier| name.starts_with(barrier))
        || (name.starts_with("pwritev2(") && name.contains("RWF_DSYNC"))
}

/// Runs `traced JOB FILE COUNT` (src/bin/traced.rs, at `program`) under strace; the calls of all its threads
/// between its marks. Leaves `FILE.strace` behind.
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
    let calls = text.lines().skip_while(|line| !line.contains("/mapleaf-begin")).skip(1);
    let calls: Vec<String> =
        calls.take_while(|line| !line.contains("/mapleaf-end")).map(str::to_owned).collect();
    assert!(text.contains("/mapleaf-end"), "the trace shows no end");
    calls
}
