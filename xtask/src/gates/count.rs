//! Counting: instructions with callgrind, system calls with strace.

use crate::Result;
use mapleaf_tests::trace;
use std::path::Path;
use std::process::Command;

/// Has the C library copy and compare as on the first x86-64, whatever this processor can do. Valgrind
/// passes on what the processor can, in kinds: with and without AVX2.
const PLAIN_COPIES: &str = "glibc.cpu.hwcaps=-AVX2,-AVX512F,-AVX512VL,-ERMS,-FSRM,-SSSE3,-SSE4_1,-SSE4_2,\
    -AVX_Fast_Unaligned_Load,-Fast_Unaligned_Copy,-Prefer_ERMS,-Prefer_FSRM";

/// Instructions of an operation.
pub(super) struct Instructions {
    /// In the program itself.
    pub(super) own: f64,
    /// In the libraries that it calls: copying, comparing, clearing.
    pub(super) library: f64,
}

/// Instructions an operation of a job of `counted`.
pub(super) fn instructions(counted: &Path, job: &str, file: &Path) -> Result<Instructions> {
    let profile = file.with_extension("callgrind");
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--compress-strings=no", "--compress-pos=no"]);
    valgrind.args(["--dump-line=no", "--toggle-collect=*counted_part*"]);
    valgrind.arg(format!("--callgrind-out-file={}", profile.display()));
    valgrind.env("GLIBC_TUNABLES", PLAIN_COPIES).arg(counted).arg(job).arg(file);
    let output = valgrind.output().map_err(|error| format!("valgrind: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{job} under valgrind: {said}").into());
    }
    let text = String::from_utf8_lossy(&std::fs::read(&profile)?).into_owned();
    let program = counted.to_string_lossy();
    let (own, library) = split(&text, &program);
    let operations: f64 = String::from_utf8(output.stdout)?.trim().parse()?;
    if (own as f64) < operations {
        return Err(format!("{job}: callgrind has not seen the counted part").into());
    }
    Ok(Instructions { own: own as f64 / operations, library: library as f64 / operations })
}

/// The costs of a profile in callgrind's format (valgrind's manual, chapter "Callgrind Format Specification"):
/// in the functions of this program, and in all others.
fn split(profile: &str, program: &str) -> (u64, u64) {
    let (mut own, mut others, mut in_program) = (0, 0, false);
    let mut lines = profile.lines();
    while let Some(line) = lines.next() {
        if let Some(object) = line.strip_prefix("ob=") {
            in_program = object == program;
        } else if line.starts_with("calls=") {
            // What the callee has cost, which is counted where it stands.
            lines.next();
        } else if line.starts_with(|first: char| first.is_ascii_digit()) {
            let cost: u64 = line.split(' ').nth(1).and_then(|cost| cost.parse().ok()).unwrap_or(0);
            *if in_program { &mut own } else { &mut others } += cost;
        }
    }
    (own, others)
}

/// System calls of a job of `traced`.
pub(super) struct Calls {
    pub(super) all: u64,
    /// Those that make something durable.
    pub(super) barriers: u64,
    /// Those that write to a file or change its size.
    pub(super) writes: u64,
}

pub(super) fn calls(traced: &Path, job: &str, file: &Path, operations: u64) -> Calls {
    const WRITES: [&str; 4] = ["pwrite", "write", "fallocate(", "ftruncate("];
    let calls = trace::watched(traced, job, file, operations);
    let count = |kind: &dyn Fn(&str) -> bool| calls.iter().filter(|call| kind(call)).count() as u64;
    let writes = |call: &str| WRITES.iter().any(|start| trace::name(call).starts_with(start));
    Calls { all: calls.len() as u64, barriers: count(&trace::is_barrier), writes: count(&writes) }
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn a_call_is_counted_where_it_stands() {
        let profile = "positions: line\nevents: Ir\nsummary: 21\n\nob=/p\nfn=a\n0 5\ncob=/lib\ncfn=copy\n\
                       calls=2 0\n0 14\n7 1\n\nob=/lib\nfn=copy\n0 14\n\nob=/p\nfn=b\n3 1\ntotals: 21\n";
        assert_eq!(split(profile, "/p"), (7, 14));
    }
}
