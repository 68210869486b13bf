//! Tests that need a process of their own: the test binary runs one of its tests again.

use std::process::{Command, Output};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The word that tells the test that it is the child, and what to do.
const CHILD: &str = "MAPLEAF_TEST_CHILD";

/// Keeps the other tests of the binary, if they ask too, from starting a process meanwhile: a child has
/// all files of its parent until it calls `exec`, so that a file that was removed still takes room, and
/// a file system is in use.
pub fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What this process is asked to do, if it is such a child.
#[must_use]
pub fn asked() -> Option<String> {
    std::env::var(CHILD).ok()
}

/// Runs the test of this name again, asked to do `what`.
///
/// # Panics
/// Where the test binary cannot be started.
#[must_use]
pub fn run(test: &str, what: &str) -> Output {
    run_behind("exec \"$0\" \"$@\"", test, what)
}

/// As [`run`], through a shell that runs `script`, which ends with `exec "$0" "$@"`.
///
/// # Panics
/// As [`run`].
#[must_use]
pub fn run_behind(script: &str, test: &str, what: &str) -> Output {
    let mut shell = Command::new("sh");
    shell.args(["-c", script]).arg(std::env::current_exe().unwrap());
    shell.args(["--exact", test, "--nocapture", "--test-threads=1"]);
    shell.env(CHILD, what).output().unwrap()
}

/// The lines of the child's output that begin with `mark`, without it.
#[must_use]
pub fn said(output: &Output, mark: &str) -> Vec<String> {
    let text = String::from_utf8_lossy(&output.stdout);
    // libtest prints its own words before the first line, without ending theirs.
    let lines = text.lines().filter_map(|line| line.split_once(mark));
    lines.map(|(_, rest)| rest.trim().to_owned()).collect()
}
