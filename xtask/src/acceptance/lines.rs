//! A file tree's paths: what comes out is `sort -u` of what went in; loading again does not bloat.

use super::{Context, Finding, file_bytes};
use crate::Result;
use crate::names::write_names;
use crate::process::{build_command, output};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::{Command, Stdio};

/// A second load of the same input leaves the file at most so many times as large.
const SECOND_LOAD_MAX: f64 = 1.2;
const LINES_MIN: u64 = 200_000;

pub(super) fn run(context: &Context) -> Result<Vec<Finding>> {
    let mapleaf = build_command()?;
    let (leaf, list) = (context.path("t.leaf"), context.path("names"));
    let mut names = BufWriter::new(File::create(&list)?);
    let counts = write_names(LINES_MIN, &mut names)?;
    names.flush()?;
    load(&mapleaf, &leaf, &list)?;
    let mut findings = vec![
        Finding::new(
            "paths loaded",
            format!("{} found, {} made up", counts.found, counts.made_up),
            true,
        ),
        same_as_sort(&mapleaf, &leaf, &list)?,
        sound(&mapleaf, &leaf),
    ];
    let first = file_bytes(&leaf)?;
    load(&mapleaf, &leaf, &list)?;
    let second = file_bytes(&leaf)?;
    findings.push(Finding::at_most(
        "bytes after a second load",
        second as f64,
        first as f64,
        SECOND_LOAD_MAX,
    ));
    findings.push(same_as_sort(&mapleaf, &leaf, &list)?);
    findings.push(sound(&mapleaf, &leaf));
    Ok(findings)
}

fn load(mapleaf: &Path, leaf: &Path, list: &Path) -> Result<()> {
    let mut load = Command::new(mapleaf);
    load.arg(leaf).args(["load", "--format", "lines", "-"]);
    load.stdin(File::open(list)?).stdout(Stdio::null());
    if load.status()?.success() { Ok(()) } else { Err("the load failed".into()) }
}

fn same_as_sort(mapleaf: &Path, leaf: &Path, list: &Path) -> Result<Finding> {
    let scanned = output(Command::new(mapleaf).arg(leaf).args(["scan", "--keys-only"]))?;
    let sorted = output(Command::new("sort").env("LC_ALL", "C").arg("-u").arg(list))?;
    let text = format!("{} and {} bytes", scanned.len(), sorted.len());
    Ok(Finding::new("scan --keys-only is sort -u of the input", text, scanned == sorted))
}

fn sound(mapleaf: &Path, leaf: &Path) -> Finding {
    let checked = output(Command::new(mapleaf).arg(leaf).arg("check"));
    let text = checked.as_ref().map_or_else(ToString::to_string, |_| "clean".into());
    Finding::new("check", text, checked.is_ok())
}
