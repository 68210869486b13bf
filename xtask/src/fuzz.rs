//! `cargo xtask fuzz-canaries`: runs the fuzzers with a bug planted for each, and fails unless each reports it. A fuzzer
//! that finds nothing is then known to look.

use crate::Result;
use crate::process::{cargo, root};
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Inputs after which a fuzzer is said to be dead; and the time that a starved machine may take for those.
const RUNS_MAX: u32 = 200_000;
const SECONDS_MAX: u32 = 600;

/// Fuzzers beside each other: each has one thread.
const BESIDE: usize = 2;

pub(crate) fn canaries(wanted: &[String]) -> Result<bool> {
    let scratch = tempfile::tempdir()?;
    let mut targets = targets()?;
    targets.retain(|target| wanted.is_empty() || wanted.contains(target));
    for target in &targets {
        let mut build = cargo();
        build.args(["fuzz", "build", target]);
        let built = build.current_dir(root()).env("RUSTC_BOOTSTRAP", "1").status()?;
        if !built.success() {
            return Err(format!("{target} does not build").into());
        }
    }
    let (next, missed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let hunt = || {
        while let Some(target) = targets.get(next.fetch_add(1, Relaxed)) {
            let found = finds(target, scratch.path());
            match &found {
                Ok(true) => println!("{target}: the planted bug is found"),
                Ok(false) => println!("{target}: the planted bug is NOT FOUND"),
                Err(error) => println!("{target}: {error}"),
            }
            missed.fetch_add(usize::from(!found.is_ok_and(|found| found)), Relaxed);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..BESIDE {
            scope.spawn(hunt);
        }
    });
    Ok(missed.into_inner() == 0)
}

/// Whether the fuzzer crashes, from its corpus on, and leaves the input that did it.
fn finds(target: &str, scratch: &Path) -> Result<bool> {
    let grown = scratch.join(target);
    let artifacts = scratch.join(format!("{target}-"));
    std::fs::create_dir_all(&grown)?;
    let mut run = cargo();
    run.args(["fuzz", "run", target]).env("MAPLEAF_FUZZ_PLANTED", "1");
    // New inputs go to the first directory: the corpus stays as it is.
    run.arg(&grown).arg(root().join("fuzz/corpus").join(target));
    run.arg("--").args([
        format!("-runs={RUNS_MAX}"),
        format!("-max_total_time={SECONDS_MAX}"),
        format!("-artifact_prefix={}", artifacts.display()),
        "-seed=1".into(),
        "-verbosity=0".into(),
    ]);
    run.current_dir(root()).env("RUSTC_BOOTSTRAP", "1");
    let done = run.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    let crash = format!("{target}-crash-");
    let left = std::fs::read_dir(scratch)?.filter_map(|entry| entry.ok());
    let left = left.filter(|entry| entry.file_name().to_string_lossy().starts_with(&crash)).count();
    Ok(!done.success() && left > 0)
}

/// The fuzzers that fuzz/Cargo.toml names.
fn targets() -> Result<Vec<String>> {
    let manifest = std::fs::read_to_string(root().join("fuzz/Cargo.toml"))?;
    let names = manifest.split("[[bin]]").skip(1).filter_map(|bin| bin.split('"').nth(1));
    Ok(names.map(str::to_owned).collect())
}
