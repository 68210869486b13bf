//! What a store must keep to on real files: sizes, memory, readers, killed writers, cold openings.

mod cold;
mod growth;
mod killed;
mod lines;
mod reader;
mod sparse;
mod values;

use crate::Result;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// One thing that was measured, and what it must not pass.
pub(crate) struct Finding {
    what: String,
    measured: String,
    holds: bool,
}

impl Finding {
    fn new(what: impl Into<String>, measured: impl Into<String>, holds: bool) -> Finding {
        Finding { what: what.into(), measured: measured.into(), holds }
    }

    /// `measured / base` must be at most `limit`.
    fn at_most(what: &str, measured: f64, base: f64, limit: f64) -> Finding {
        let times = measured / base;
        let text = format!("{times:.3} times {base:.0} (limit {limit})");
        Finding::new(what, text, times <= limit)
    }
}

/// Where and how large.
pub(crate) struct Context {
    directory: PathBuf,
    quick: bool,
}

impl Context {
    /// `full`, or `quick` where that was asked for.
    fn size(&self, full: u64, quick: u64) -> u64 {
        if self.quick { quick } else { full }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

type Job = fn(&Context) -> Result<Vec<Finding>>;

const JOBS: [(&str, Job); 7] = [
    ("lines", lines::run),
    ("growth", growth::run),
    ("values", values::run),
    ("sparse", sparse::run),
    ("reader", reader::run),
    ("killed", killed::run),
    ("cold", cold::run),
];

/// Runs all jobs, or those that are named. Whether everything holds.
pub(crate) fn run(words: &[String]) -> Result<bool> {
    let mut quick = false;
    let mut parent = std::env::temp_dir();
    let mut names: Vec<&str> = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--quick" => quick = true,
            "--dir" => parent = words.next().ok_or("--dir needs a directory")?.into(),
            name if JOBS.iter().any(|(job, _)| *job == name) => names.push(name),
            other => return Err(format!("no such option or job: {other}").into()),
        }
    }
    let directory = tempfile::Builder::new().prefix("mapleaf-acceptance-").tempdir_in(parent)?;
    let mut all = true;
    for (name, job) in JOBS {
        if !names.is_empty() && !names.contains(&name) {
            continue;
        }
        let own = directory.path().join(name);
        std::fs::create_dir(&own)?;
        let start = Instant::now();
        let findings = job(&Context { directory: own.clone(), quick })?;
        println!("{name} ({:.1} s)", start.elapsed().as_secs_f64());
        for finding in &findings {
            let mark = if finding.holds { "ok  " } else { "FAIL" };
            println!("  {mark} {}: {}", finding.what, finding.measured);
            all &= finding.holds;
        }
        std::fs::remove_dir_all(own)?;
    }
    Ok(all)
}

/// A job's part in a process of its own.
pub(crate) fn child(words: &[String]) -> Result<bool> {
    let word = |at: usize| words.get(at).map_or("", String::as_str);
    let number = |at: usize| word(at).parse::<u64>();
    let path = Path::new(word(1));
    match word(0) {
        "growth" => growth::child(path, number(2)?),
        "cold" => cold::child(path),
        "stalls" => crate::stalls::child(words.get(1..).unwrap_or(&[])),
        "writer" => crate::history::writer(words.get(1..).unwrap_or(&[])),
        other => Err(format!("no such child: {other}").into()),
    }
}

/// Bytes of a file.
fn file_bytes(path: &Path) -> Result<u64> {
    Ok(std::fs::metadata(path)?.len())
}
