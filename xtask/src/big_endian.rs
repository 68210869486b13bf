//! The other byte order: the core's tests on s390x under QEMU, and stores exchanged with it.
//!
//! Invariants checked:
//! - the core's tests and those of the golden files pass there;
//! - the same histories give the same bytes there and here;
//! - each opens, checks and holds what it should on the other machine, and is written to there.
//!
//! Planted: a number stored in the machine's own byte order, and a flipped byte.

use crate::Result;
use crate::process::output;
use mapleaf_tests::golden::CASES;
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "s390x-unknown-linux-gnu";
const LINKER: &str = "s390x-linux-gnu-gcc";
const EMULATOR: [&str; 3] = ["qemu-s390x-static", "-L", "/usr/s390x-linux-gnu"];
/// Debian's compiler, which has its standard library's source beside it.
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
/// Property tests run so many cases there, unless the caller says otherwise: under emulation each
/// takes twenty times as long as here.
const BOUNDS: [(&str, &str); 3] =
    [("QUICKCHECK_TESTS", "20"), ("MODEL_TESTS", "60"), ("CRASH_TESTS", "120")];
/// With `--quick`.
const BOUNDS_QUICK: [(&str, &str); 3] =
    [("QUICKCHECK_TESTS", "5"), ("MODEL_TESTS", "9"), ("CRASH_TESTS", "15")];
/// What `--quick` leaves out: the longest, whose bytes shorter ones have too.
const SKIPPED: [&str; 10] = [
    "space::tests::churn",
    "space::tests::hostile",
    "a_claim_that_finds_no_room_leaves_what_is_free_as_it_was",
    "fixed_trees_do_what_maps_do",
    "leaves_stay_filled_when_most_is_removed",
    "leaves_are_as_full_as_they_are_told",
    "changes_find_no_room_in_the_middle",
    "what_waits_is_looked_at_piece_by_piece",
    "trees_do_what_maps_do_on_pages_of_every_size",
    "damage_to_the_newest_meta_does_not_cost_what_was_acknowledged_and_say_nothing",
];
/// Programs of tests that `--quick` leaves out: of threads, moments and memory, not of bytes.
const SKIPPED_PROGRAMS: [&str; 9] = [
    "beside",
    "checkpoints",
    "closing",
    "concurrent",
    "held",
    "lent",
    "making",
    "memory",
    "promises",
];

/// cargo for the other machine: rustup's standard library where there is one, else built from source.
fn cargo(directory: &Path) -> Result<Command> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let library = ["--print", "target-libdir", "--target", TARGET];
    let library = output(Command::new("rustc").args(library))?;
    let has_library = Path::new(String::from_utf8(library)?.trim()).exists();
    cargo.args(["test", "--locked", "--target", TARGET]);
    if !has_library {
        cargo.arg("-Zbuild-std").env("RUSTC_BOOTSTRAP", "1").env("RUSTC", DEBIAN_RUSTC);
    }
    cargo
        .env("CARGO_TARGET_DIR", directory)
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .env("CARGO_TARGET_S390X_UNKNOWN_LINUX_GNU_LINKER", LINKER)
        .env("CARGO_TARGET_S390X_UNKNOWN_LINUX_GNU_RUNNER", EMULATOR.join(" "));
    Ok(cargo)
}

/// Names of a crate's integration tests.
fn tests_of(krate: &str) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(Path::new(krate).join("tests"))? {
        let path = entry?.path();
        let is_test = path.extension().is_some_and(|e| e == "rs") || path.join("main.rs").exists();
        if let (true, Some(name)) = (is_test, path.file_stem()) {
            names.push(name.to_string_lossy().into_owned());
        }
    }
    Ok(names)
}

/// Runs the tests, and builds `exchange` on the way. Two runs, since cargo takes the names of tests for those
/// of any of the packages, and `mapleaf-tests` has a `crash`, a `full` and a `model` that are not about bytes.
fn test(directory: &Path, quick: bool) -> Result<()> {
    let mut core = [tests_of("pager")?, tests_of("btree")?].concat();
    core.retain(|name| !quick || !SKIPPED_PROGRAMS.contains(&name.as_str()));
    run_tests(directory, quick, &["mapleaf-pager", "mapleaf-btree"], true, &core)?;
    run_tests(directory, quick, &["mapleaf-tests"], !quick, &["golden".to_owned()])
}

fn run_tests(
    directory: &Path,
    quick: bool,
    packages: &[&str],
    libraries: bool,
    tests: &[String],
) -> Result<()> {
    let mut cargo = cargo(directory)?;
    cargo.args(libraries.then_some("--lib"));
    cargo.args(packages.iter().flat_map(|package| ["--package", package]));
    cargo.args(tests.iter().flat_map(|test| ["--test", test]));
    for (name, bound) in if quick { BOUNDS_QUICK } else { BOUNDS } {
        if std::env::var_os(name).is_none() {
            cargo.env(name, bound);
        }
    }
    if quick {
        cargo.arg("--").args(SKIPPED.iter().flat_map(|name| ["--skip", name]));
    }
    if cargo.status()?.success() { Ok(()) } else { Err("tests failed on s390x".into()) }
}

/// `exchange` on either machine.
struct Machines {
    there: PathBuf,
    here: PathBuf,
}

impl Machines {
    fn there(&self, words: &[&str], directory: &Path) -> Result<Vec<u8>> {
        let [emulator, rest @ ..] = EMULATOR;
        output(Command::new(emulator).args(rest).arg(&self.there).args(words).arg(directory))
    }

    fn here(&self, words: &[&str], directory: &Path) -> Result<Vec<u8>> {
        output(Command::new(&self.here).args(words).arg(directory))
    }
}

fn same(a: &Path, b: &Path) -> Result<bool> {
    for case in &CASES {
        if std::fs::read(a.join(case.name))? != std::fs::read(b.join(case.name))? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn exchange(machines: &Machines) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let make = |name| {
        let path = directory.path().join(name);
        std::fs::create_dir(&path).map(|()| path)
    };
    let (here, there) = (make("here")?, make("there")?);
    if machines.there(&["order"], &there)? != b"big\n"
        || machines.here(&["order"], &here)? != b"little\n"
    {
        return Err("the two machines have one byte order".into());
    }
    machines.here(&["write"], &here)?;
    machines.there(&["write"], &there)?;
    if !same(&here, &there)? {
        return Err("the same history gives other bytes on the other machine".into());
    }
    machines.here(&["read"], &there)?;
    machines.there(&["read"], &here)?;
    machines.here(&["planted"], &here)?;
    machines.there(&["planted"], &there)?;
    if same(&here, &there)? {
        return Err("planted: a number in the machine's byte order was not noticed".into());
    }
    let spoilt = here.join(CASES[0].name);
    let mut bytes = std::fs::read(&spoilt)?;
    // In both metas: the page count, backwards.
    for meta in [0, CASES[0].page_size as usize] {
        bytes[meta + 256..meta + 260].reverse();
    }
    std::fs::write(&spoilt, bytes)?;
    if machines.there(&["read"], &here).is_ok() {
        return Err("planted: a number written backwards was not noticed".into());
    }
    Ok(())
}

/// Runs all of it from the workspace's root; with `--quick` as much as CI does.
pub(crate) fn run(words: &[String]) -> Result<bool> {
    let quick = match words {
        [] => false,
        [word] if word == "--quick" => true,
        _ => return Err(crate::USAGE.into()),
    };
    std::env::set_current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))?;
    for program in [LINKER, EMULATOR[0]] {
        output(Command::new(program).arg("--version"))
            .map_err(|error| format!("{program} is needed ({error}): see docs/portability.md"))?;
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    let directory = std::path::absolute(target)?.join("big-endian");
    test(&directory, quick)?;
    let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    build.args([
        "build",
        "--quiet",
        "--locked",
        "--release",
        "-p",
        "mapleaf-tests",
        "--bin",
        "exchange",
    ]);
    output(&mut build)?;
    let here = std::env::current_exe()?.with_file_name("exchange");
    let machines = Machines { there: directory.join(TARGET).join("debug/exchange"), here };
    exchange(&machines)?;
    println!(
        "big-endian: tests pass; stores are the same bytes and open on both; notices planted ones"
    );
    Ok(true)
}
