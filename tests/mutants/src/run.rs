//! Runs the tests against one mutant after the other.

use crate::Result;
use crate::build::{self, Test};
use crate::plant::Mutant;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The longest that one look at an idle test counts for: whoever freezes the machine's other commands to measure
/// freezes this one too, and the clock goes on.
const LOOK_MAX: Duration = Duration::from_millis(50);
/// A test that takes this many times the processor's time that it takes without a mutant hangs; so does one
/// that takes none for as long as [`IDLE_MAX`]. Time by the clock says nothing where others work too.
const PATIENCE: u32 = 10;
const PATIENCE_MIN: Duration = Duration::from_secs(8);
const IDLE_MAX: Duration = Duration::from_secs(30);
/// Of `/proc/PID/stat`, on every machine that Linux runs on today.
const TICKS_A_SECOND: u64 = 100;
/// Memory of a test, so that a mutant that takes more and more ends; KiB.
const MEMORY_KB: u32 = 4 << 20;

enum Outcome {
    /// After so much of the processor's time.
    Passed(Duration),
    Failed(String),
    Hung,
}

/// Whether the test notices. What it prints, but for the name of the test that failed, is nobody's.
fn outcome(test: &Test, mutant: usize, tree: &Path, limit: Duration) -> Result<Outcome> {
    let mut run = Command::new("sh");
    run.arg("-c")
        .arg(format!("ulimit -v {MEMORY_KB}; ulimit -c 0; exec \"$0\" \"$@\""))
        .arg(&test.program);
    run.args(test.arguments).arg("--test-threads=1").current_dir(tree.join(test.folder));
    run.env("MUTANT", mutant.to_string());
    if let Some(programs) = test.programs {
        run.env("MODEL_TESTS", programs.to_string());
        run.env("CRASH_TESTS", (programs * 3 / 4).to_string());
    }
    run.env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = run.spawn()?;
    let output = child.stdout.take();
    let reader = std::thread::spawn(move || first_failure(output));
    let (mut looked, mut idle, mut before) = (Instant::now(), Duration::ZERO, Duration::ZERO);
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break Some(status);
        }
        let used = processor_time(child.id()).unwrap_or(before);
        idle = if used > before { Duration::ZERO } else { idle + looked.elapsed().min(LOOK_MAX) };
        (looked, before) = (Instant::now(), used);
        if used > limit || idle > IDLE_MAX {
            stop(&mut child)?;
            break None;
        }
        // The first test that fails decides.
        if reader.is_finished() {
            stop(&mut child)?;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let failed = reader.join().unwrap_or_default();
    Ok(match status {
        None => Outcome::Hung,
        Some(status) if status.success() => Outcome::Passed(before),
        Some(_) => Outcome::Failed(failed),
    })
}

/// What a process has used of the processor, its own and the kernel's, so far.
fn processor_time(process: u32) -> Option<Duration> {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // Behind the program's name, which may hold anything: the state is the third field.
    let mut fields = text.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    let (own, kernel) = (ticks()?, ticks()?);
    Some(Duration::from_millis((own + kernel) * 1000 / TICKS_A_SECOND))
}

fn stop(child: &mut Child) -> Result<()> {
    // Its own program: `sh` has become it.
    let _ = child.kill();
    child.wait()?;
    Ok(())
}

/// Reads until a test has failed; its name, or of the one that was running.
fn first_failure(output: Option<impl Read>) -> String {
    let Some(mut output) = output else { return String::new() };
    let mut text = Vec::new();
    let mut piece = [0; 4096];
    while let Ok(len @ 1..) = output.read(&mut piece) {
        text.extend_from_slice(&piece[..len]);
        let so_far = String::from_utf8_lossy(&text);
        let failed = so_far.lines().find(|line| line.ends_with("... FAILED"));
        if let Some(name) = failed.and_then(|line| line.split(' ').nth(1)) {
            return name.to_string();
        }
    }
    let text = String::from_utf8_lossy(&text);
    let last = text.lines().rfind(|line| line.starts_with("test "));
    last.and_then(|line| line.split(' ').nth(1)).unwrap_or("").to_string()
}

/// How long to wait for a test, which passes without a mutant.
fn patience(test: &Test, tree: &Path) -> Result<Duration> {
    let Outcome::Passed(used) = outcome(test, 0, tree, Duration::from_secs(600))? else {
        return Err(format!("{} fails without a mutant", test.name).into());
    };
    println!("{}: {:.1} s without a mutant", test.name, used.as_secs_f64());
    Ok((used * PATIENCE).max(PATIENCE_MIN))
}

/// Number, place and change of a line of the results.
fn told_of(line: &str) -> Option<(&str, &str, &str)> {
    let mut fields = line.split('\t');
    Some((fields.next()?, fields.nth(1)?, fields.nth(1)?))
}

/// Runs the mutants that are not among the results yet, or all if they are to be run `again`.
pub(crate) fn run(
    again: bool,
    chosen: &[Mutant],
    tests: &[Test],
    tree: &Path,
    path: &Path,
) -> Result<()> {
    let mut limits = vec![None; tests.len()];
    let known = std::fs::read_to_string(path).unwrap_or_default();
    let known: BTreeSet<_> = known.lines().filter_map(told_of).collect();
    let mut results = std::fs::OpenOptions::new().create(true).append(true).open(path)?;
    let mut counts: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
    for mutant in chosen {
        let Mutant { id, file, line, function, what } = mutant;
        let place = format!("{file}:{line}");
        if !again && known.contains(&(id.to_string().as_str(), place.as_str(), what.as_str())) {
            continue;
        }
        let begun = Instant::now();
        let (mut result, mut by) = ("missed", String::new());
        for (test, limit) in tests.iter().zip(&mut limits) {
            // These look at the space alone.
            if test.name == build::SPACE_TESTS && !file.starts_with("space/") {
                continue;
            }
            let limit = match *limit {
                Some(limit) => limit,
                None => *limit.insert(patience(test, tree)?),
            };
            (result, by) = match outcome(test, mutant.id, tree, limit)? {
                Outcome::Passed(_) => continue,
                Outcome::Failed(name) => ("caught", format!("{}: {name}", test.name)),
                Outcome::Hung => ("timeout", test.name.to_string()),
            };
            break;
        }
        let seconds = begun.elapsed().as_secs_f64();
        let told = format!("{id}\t{result}\t{place}\t{function}\t{what}\t{by}\t{seconds:.1}");
        writeln!(results, "{told}")?;
        if result != "caught" {
            println!("{told}");
        }
        let counts = counts.entry(file.as_str()).or_default();
        counts[["caught", "missed", "timeout"]
            .iter()
            .position(|name| *name == result)
            .unwrap_or(0)] += 1;
    }
    for (file, [caught, missed, timeout]) in counts {
        println!("{file}: {caught} caught, {missed} missed, {timeout} timed out");
    }
    println!("{}", path.display());
    Ok(())
}
