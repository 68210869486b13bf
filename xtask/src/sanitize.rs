//! `cargo xtask sanitize`: the tests under ThreadSanitizer or AddressSanitizer, and a planted bug that each
//! must report. No nightly compiler: `RUSTC_BOOTSTRAP` lets the stable one take the flag.

use crate::Result;
use crate::process::{cargo, root};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The only machine that CI has. A `--target` keeps the flags off build scripts.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// The medium of the pager's tests reads what a writer builds in place meanwhile, as a disk does.
const SUPPRESSED: &str = "race:double::Double>::harden\n";

/// A test that leaves the process too little address space for a sanitizer.
const LITTLE_SPACE: &str = "little_address_space_makes_a_smaller_reservation";

/// Rounds of the test that takes longest, a fifth of what it has by itself.
const HELD_ROUNDS: &str = "400";
/// Tests that have threads, or look at memory that others may have: (package, tests).
const QUICK: [(&str, &[&str]); 2] = [
    ("mapleaf-pager", &["--test", "concurrent"]),
    ("mapleaf-sys-linux", &["--test", "held", "publishing_beside"]),
];
/// Only under AddressSanitizer: databases in memory set 64 GiB aside each, which ThreadSanitizer keeps books
/// of until the machine's memory is used up. It watches `readers` instead.
const DATABASES: (&str, &[&str]) = ("mapleaf", &["--tests"]);
/// What the suite has beyond that.
const REST: [(&str, &[&str]); 3] = [
    ("mapleaf-pager", &["--tests"]),
    ("mapleaf-btree", &["--tests"]),
    ("mapleaf-sys-linux", &["--tests"]),
];

pub(crate) fn run(words: &[String]) -> Result<bool> {
    let quick = words.iter().any(|word| word == "--quick");
    let named: Vec<&str> =
        words.iter().map(String::as_str).filter(|word| *word != "--quick").collect();
    let all = if named.is_empty() { vec!["thread", "address"] } else { named };
    let folder = tempfile::tempdir()?;
    let suppressions = folder.path().join("suppressions");
    std::fs::write(&suppressions, SUPPRESSED)?;
    let suppressions = suppressions.to_str().ok_or("a temporary path that is no text")?;
    for sanitizer in all {
        let (bug, report) = match sanitizer {
            "thread" => ("race", "ThreadSanitizer: data race"),
            "address" => ("overrun", "AddressSanitizer: heap-buffer-overflow"),
            _ => return Err(crate::USAGE.into()),
        };
        let program = planted(sanitizer, folder.path())?;
        let output = Command::new(program).arg(bug).stdin(Stdio::null()).output()?;
        if output.status.success() || !String::from_utf8_lossy(&output.stderr).contains(report) {
            eprintln!("{}", String::from_utf8_lossy(&output.stderr));
            return Err(format!("{sanitizer}: the planted {bug} was not found").into());
        }
        println!("{sanitizer}: the planted {bug} is found");
        let more = REST.iter().filter(|_| !quick);
        let databases = [DATABASES].into_iter().filter(|_| sanitizer == "address");
        for (package, tests) in QUICK.iter().chain(more).copied().chain(databases) {
            let mut test = sanitized(sanitizer, suppressions);
            test.args(["test", "--quiet"]).args(instrumented(sanitizer));
            test.args(["--package", package]).args(tests).args(["--", "--skip", LITTLE_SPACE]);
            if !test.status()?.success() {
                println!("{sanitizer}: {package} FAILED");
                return Ok(false);
            }
        }
        if quick {
            continue; // CI runs it without a sanitizer; and it would have to be built once more.
        }
        let mut readers = sanitized(sanitizer, suppressions);
        readers.args(["run", "--quiet"]).args(instrumented(sanitizer));
        readers.args(["--package", "xtask", "--", "readers", "--seconds", "20"]);
        if !readers.status()?.success() {
            println!("{sanitizer}: readers FAILED");
            return Ok(false);
        }
    }
    Ok(true)
}

/// Builds the planted bugs, over a standard library as it is delivered: they need no more of it.
fn planted(sanitizer: &str, folder: &Path) -> Result<PathBuf> {
    let program = folder.join(sanitizer);
    let mut build = Command::new("rustc");
    build.env("RUSTC_BOOTSTRAP", "1").args(["--edition", "2024", "--target", TARGET]);
    build.arg(format!("-Zsanitizer={sanitizer}")).arg("-Cunsafe-allow-abi-mismatch=sanitizer");
    build.arg("-o").arg(&program).arg(root().join("xtask/planted/sanitized.rs"));
    if build.status()?.success() {
        Ok(program)
    } else {
        Err("the planted bugs do not build".into())
    }
}

/// ThreadSanitizer must see the standard library's own locks: as it is delivered, whoever waited for a
/// contended `Mutex` looks like a race. Needs the component rust-src.
fn instrumented(sanitizer: &str) -> &'static [&'static str] {
    if sanitizer == "thread" { &["-Zbuild-std"] } else { &[] }
}

fn sanitized(sanitizer: &str, suppressions: &str) -> Command {
    let mut command = cargo();
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), Into::into);
    command
        .current_dir(root())
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", format!("-Zsanitizer={sanitizer}"))
        .env("CARGO_TARGET_DIR", target.join(format!("sanitize-{sanitizer}")))
        .env("CARGO_BUILD_TARGET", TARGET)
        .env("HELD_ROUNDS", HELD_ROUNDS)
        // Tests ask for more memory than there is, and want to be refused.
        .env("TSAN_OPTIONS", format!("allocator_may_return_null=1:suppressions={suppressions}"))
        .env("ASAN_OPTIONS", "allocator_may_return_null=1");
    command
}
