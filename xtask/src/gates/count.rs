//! Counting: instructions with callgrind, system calls with strace.

use crate::Result;
use mapleaf_tests::trace;
use std::path::Path;
use std::process::Command;

/// What callgrind prints before its count.
const COLLECTED: &str = "Collected : ";

/// Instructions an operation of a job of `counted`.
pub(super) fn instructions(counted: &Path, job: &str, file: &Path) -> Result<f64> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    valgrind.arg("--toggle-collect=*counted_part*").arg(counted).arg(job).arg(file);
    let output = valgrind.output().map_err(|error| format!("valgrind: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("{job} under valgrind: {said}").into());
    }
    let collected = said.lines().find_map(|line| line.split_once(COLLECTED)).map(|(_, n)| n.trim());
    let collected: f64 = collected.ok_or("callgrind has not said what it counted")?.parse()?;
    let operations: f64 = String::from_utf8(output.stdout)?.trim().parse()?;
    if collected < operations {
        return Err(format!("{job}: callgrind has not seen the counted part").into());
    }
    Ok(collected / operations)
}

/// System calls of a job of `traced`, and how many of them are barriers.
pub(super) fn calls(traced: &Path, job: &str, file: &Path, operations: u64) -> (u64, u64) {
    let calls = trace::watched(traced, job, file, operations);
    let barriers = calls.iter().filter(|call| trace::is_barrier(call)).count();
    (calls.len() as u64, barriers as u64)
}
