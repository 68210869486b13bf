//! Programs that a test needs and a machine may lack.

use std::process::Command;

/// Set by CI: a test whose tool is missing fails instead of saying that it skips.
pub const REQUIRED: &str = "MAPLEAF_TOOLS_REQUIRED";

/// Whether the test can run. Where not, says so loudly, and fails where tools are required.
///
/// # Panics
/// Where tools are required and `why` names one that is missing.
#[must_use]
pub fn can_run(test: &str, available: bool, why: &str) -> bool {
    if !available {
        assert!(std::env::var_os(REQUIRED).is_none(), "{test} needs {why}");
        eprintln!("\n*** SKIPPED: {test} needs {why}\n");
    }
    available
}

/// Whether a program can be started.
#[must_use]
pub fn has(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
        || Command::new(program).arg("-V").output().is_ok()
}

/// Drops a file's pages from memory: the next reader fetches them from the disk, in its own way.
///
/// # Panics
/// Where the file cannot be synced or `dd` cannot be run.
pub fn make_cold(file: &std::path::Path) {
    std::fs::File::open(file).unwrap().sync_all().unwrap();
    let mut input = std::ffi::OsString::from("if=");
    input.push(file);
    // `nocache` with nothing to copy is `posix_fadvise(.., DONTNEED)` of the whole file.
    let mut drop = Command::new("dd");
    drop.arg(input).args(["iflag=nocache", "count=0", "status=none"]);
    assert!(drop.status().unwrap().success());
}
