//! `cargo xtask lab`: all of the laboratory, quickly, and whether what it says can be.
//!
//! Checked of `mapleaf lab --quick --json --report`:
//! - it ends within three minutes;
//! - each experiment of `--list` has cases and words; `memory` may be left out where there is no memory
//!   control group, nothing else;
//! - each case has a median above zero, between its low and its high, of at least one sample and operation;
//! - the report has a section for each experiment, with a plot for each of its tables.
//!
//! Then each of these is spoilt in what was just read, and must be objected to.

use crate::process::{build_command, output};
use crate::{Failure, Result};
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// What `--quick` promises, on two processors.
const TIME_MAX: Duration = Duration::from_secs(180);

/// The one experiment that takes rights which not everybody has, and how it says so.
const MAY_BE_LEFT_OUT: (&str, &str) = ("memory", "no memory control group");

/// A run as it was printed.
#[derive(Clone)]
struct Run {
    /// Names of experiments, from the list.
    names: Vec<String>,
    lines: Vec<Value>,
    /// The report.
    html: String,
    took: Duration,
}

/// `[DIR]`: where the file is made; beside this program by default, which is on a disk as a rule.
pub(crate) fn run(words: &[String]) -> Result<bool> {
    let command = build_command()?;
    let beside = command.parent().unwrap_or(Path::new("."));
    let scratch = tempfile::tempdir_in(words.first().map_or(beside, Path::new))?;
    let run = printed(&command, scratch.path())?;
    let objections = objections(&run);
    objections.iter().for_each(|objection| println!("lab: {objection}"));
    let missed: Vec<&str> = planted(&run)
        .into_iter()
        .filter_map(|(name, spoilt)| {
            (self::objections(&spoilt).len() <= objections.len()).then_some(name)
        })
        .collect();
    missed.iter().for_each(|name| println!("lab: nobody objects to {name}"));
    let cases = run.lines.iter().filter(|line| line["case"].is_string()).count();
    println!("{} experiments, {cases} cases in {:.0} s", run.names.len(), run.took.as_secs_f64());
    Ok(objections.is_empty() && missed.is_empty())
}

fn printed(command: &Path, dir: &Path) -> Result<Run> {
    let list = String::from_utf8(output(Command::new(command).args(["lab", "--list"]))?)?;
    let names = list.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect();
    let report = dir.join("report");
    let mut lab = Command::new(command);
    lab.args(["lab", "--quick", "--json", "--dir"]).arg(dir).arg("--report").arg(&report);
    let start = Instant::now();
    let text = String::from_utf8(output(&mut lab)?)?;
    let took = start.elapsed();
    let lines = text.lines().map(|line| Ok(serde_json::from_str(line)?));
    let lines = lines.collect::<Result<_, Failure>>()?;
    Ok(Run { names, lines, html: std::fs::read_to_string(report.join("index.html"))?, took })
}

/// What cannot be.
fn objections(run: &Run) -> Vec<String> {
    let mut found = Vec::new();
    if run.took > TIME_MAX {
        found.push(format!("it took {:.0} s", run.took.as_secs_f64()));
    }
    if run.names.len() < 2 || !run.lines.first().is_some_and(|line| line["quick"] == true) {
        found.push("no list, or no line about the machine".to_owned());
    }
    for name in &run.names {
        let lines: Vec<&Value> =
            run.lines.iter().filter(|line| line["experiment"] == **name).collect();
        found.extend(of_experiment(name, &lines).into_iter().map(|what| format!("{name}: {what}")));
        found.extend(of_section(name, &lines, &run.html).map(|what| format!("{name}: {what}")));
    }
    found
}

fn of_experiment(name: &str, lines: &[&Value]) -> Vec<String> {
    if let Some(reason) = lines.iter().find_map(|line| line["skipped"].as_str()) {
        let allowed = name == MAY_BE_LEFT_OUT.0 && reason.contains(MAY_BE_LEFT_OUT.1);
        return if allowed { Vec::new() } else { vec![format!("left out: {reason}")] };
    }
    let cases = lines.iter().filter(|line| line["case"].is_string());
    let mut found: Vec<String> = cases
        .clone()
        .filter(|line| !is_sane(line))
        .map(|line| format!("cannot be: {line}"))
        .collect();
    if cases.count() == 0 {
        found.push("no case".to_owned());
    }
    let words = lines.iter().find_map(|line| line["found"].as_array());
    if !words.is_some_and(|words| {
        words.iter().any(|text| text.as_str().is_some_and(|text| !text.is_empty()))
    }) {
        found.push("no words about what was found".to_owned());
    }
    found
}

/// Whether a case's figures can be.
fn is_sane(line: &Value) -> bool {
    let number = |name: &str| line[name].as_f64().filter(|number| number.is_finite());
    let (Some(low), Some(median), Some(high)) = (number("low"), number("median"), number("high"))
    else {
        return false;
    };
    let counted = |name: &str| line[name].as_u64().is_some_and(|count| count > 0);
    0.0 < median && low <= median && median <= high && counted("samples") && counted("operations")
}

/// What is missing in an experiment's section of the report.
fn of_section(name: &str, lines: &[&Value], html: &str) -> Option<String> {
    let Some((_, rest)) = html.split_once(&format!("<h2 id=\"{name}\">")) else {
        return Some("no section in the report".to_owned());
    };
    let section = rest.split("<h2 ").next().unwrap_or(rest);
    let mut tables: Vec<&str> = lines.iter().filter_map(|line| line["table"].as_str()).collect();
    tables.dedup();
    let plots = section.matches("<svg").count().min(section.matches("</svg>").count());
    (plots != tables.len()).then(|| format!("{plots} plots of {} tables", tables.len()))
}

/// The run, spoilt in each of the ways that must be objected to.
fn planted(run: &Run) -> Vec<(&'static str, Run)> {
    let spoilt = |change: &dyn Fn(&mut Run)| {
        let mut run = run.clone();
        change(&mut run);
        run
    };
    let last_case = run.lines.iter().rposition(|line| line["case"].is_string()).unwrap_or(0);
    vec![
        ("a slow run", spoilt(&|run| run.took = TIME_MAX * 2)),
        (
            "a missing experiment",
            spoilt(&|run| run.lines.retain(|line| line["experiment"] != "warm")),
        ),
        ("a median of zero", spoilt(&|run| run.lines[last_case]["median"] = 0.into())),
        ("a median below its low", spoilt(&|run| run.lines[last_case]["low"] = f64::MAX.into())),
        ("no samples", spoilt(&|run| run.lines[last_case]["samples"] = 0.into())),
        ("no words", spoilt(&|run| run.lines.retain(|line| line["found"].is_null()))),
        ("a missing plot", spoilt(&|run| run.html = run.html.replacen("<svg", "<div", 1))),
    ]
}
