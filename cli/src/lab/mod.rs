//! `mapleaf lab`: page faults and system calls, measured on the user's machine.
//!
//! An experiment is a function from a [`Bench`](bench::Bench) to [`Findings`](findings::Findings): tables of
//! medians with what the kernel counted meanwhile, and sentences about them. Here they are run and shown.

mod access;
pub(crate) mod args;
mod bench;
mod child;
mod counters;
mod device;
mod experiments;
mod findings;
mod group;
mod lines;
mod machine;
mod map;
mod meter;
mod order;
mod plot;
mod report;
mod samples;
mod scale;
mod scratch;
mod terminal;
mod units;

use crate::failure::{Failure, Outcome};
use crate::lab::args::Args;
use crate::lab::bench::Bench;
use crate::lab::counters::Counters;
use crate::lab::device::Device;
use crate::lab::experiments::{EXPERIMENTS, Experiment};
use crate::lab::findings::{Findings, Stop};
use crate::lab::report::Section;
use crate::lab::scratch::Scratch;
use crate::output::Output;
use crate::progress::Progress;
use std::time::{Duration, Instant};

/// Bytes of the file by default: with `--quick`, and without.
const FILE_BYTES: (u64, u64) = (128 << 20, 512 << 20);

/// Runs the experiments that were asked for.
pub(crate) fn run(args: &Args) -> Outcome {
    if let Some(part) = &args.inside {
        return experiments::inside(part);
    }
    if args.list {
        return list();
    }
    let chosen = chosen(&args.experiments)?;
    if let Some(dir) = &args.report {
        // Before minutes of work.
        std::fs::create_dir_all(dir).map_err(|error| Failure::io(dir, &error))?;
    }
    let bytes = args.size.unwrap_or(if args.quick { FILE_BYTES.0 } else { FILE_BYTES.1 });
    let progress = Progress::of_work("making the file");
    let scratch =
        Scratch::make(&args.dir, bytes).map_err(|error| Failure::io(&args.dir, &error))?;
    drop(progress);
    let device = Device::below(&scratch);
    let bench = Bench { scratch, counters: Counters::open(), device, quick: args.quick };
    let facts = machine::facts(&bench.scratch);
    let mut output = Output::new();
    if args.json {
        output.line(&lines::machine(&facts, args.quick).to_string())?;
    } else {
        facts.iter().try_for_each(|(name, text)| output.line(&format!("{name:<12} {text}")))?;
        output.line("")?;
    }
    let mut sections = Vec::new();
    for experiment in chosen {
        let section = one(&bench, experiment)?;
        show(&mut output, &section, args.json)?;
        sections.push(section);
    }
    if let Some(dir) = &args.report {
        let path =
            report::write(dir, &facts, &sections).map_err(|error| Failure::io(dir, &error))?;
        if !args.json {
            output.line(&format!("The report with the plots: {}", path.display()))?;
        }
    }
    output.end()
}

/// The experiments of these names; all where there are none.
fn chosen(names: &[String]) -> Outcome<Vec<&'static Experiment>> {
    if names.is_empty() {
        return Ok(EXPERIMENTS.iter().collect());
    }
    let find = |name: &String| {
        let found = EXPERIMENTS.iter().find(|experiment| experiment.name == name);
        let missing = || Failure::Usage(format!("no experiment {name:?}; --list shows them"));
        found.ok_or_else(missing)
    };
    names.iter().map(find).collect()
}

fn list() -> Outcome {
    let mut output = Output::new();
    for experiment in EXPERIMENTS {
        output.line(&format!("{:<11} {}", experiment.name, experiment.question))?;
    }
    output.end()
}

/// Runs an experiment.
fn one(bench: &Bench, experiment: &'static Experiment) -> Outcome<Section> {
    let progress = Progress::of_work(experiment.name);
    let start = Instant::now();
    let found = (experiment.run)(bench);
    let took = start.elapsed();
    drop(progress);
    let result = match found {
        Ok(findings) => Ok(findings),
        Err(Stop::Skip(reason)) => Err(reason),
        Err(Stop::Failed(error)) => {
            return Err(Failure::Other(format!("{}: {error}", experiment.name)));
        }
    };
    Ok(Section { experiment, result, took })
}

fn show(output: &mut Output, section: &Section, json: bool) -> Outcome {
    let name = section.experiment.name;
    if json {
        let lines = match &section.result {
            Ok(findings) => lines::found(name, findings),
            Err(reason) => vec![lines::skipped(name, reason)],
        };
        return lines.iter().try_for_each(|line| output.line(&line.to_string()));
    }
    output.line(&format!("{name}: {}", section.experiment.question))?;
    match &section.result {
        Ok(findings) => {
            output.line("")?;
            terminal::lines(findings).iter().try_for_each(|line| output.line(line))?;
            output.line(&spent(findings, section.took))?;
        }
        Err(reason) => output.line(&format!("  left out: {reason}"))?,
    }
    output.line("")
}

fn spent(findings: &Findings, took: Duration) -> String {
    format!("  ({} in {:.1} s)", terminal::measured(findings), took.as_secs_f64())
}
