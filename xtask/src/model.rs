//! `cargo xtask model`: random programs over the whole API, against an oracle; see
//! `mapleaf_tests::programs`.

use crate::Result;
use mapleaf_tests::programs::{Campaign, Planted};
use std::time::Instant;

/// Programs where none are asked for.
const CASES_DEFAULT: u64 = 10_000;
/// Programs after which a planted bug is said to be missed.
const PLANTED_CASES_MAX: u64 = 20_000;

pub(crate) fn run(words: &[String]) -> Result<bool> {
    let (mut cases, mut seed, mut planted) = (None, None, false);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut number = || words.next().and_then(|word| word.parse().ok()).ok_or(crate::USAGE);
        match word.as_str() {
            "--cases" => cases = Some(number()?),
            "--seed" => seed = Some(number()?),
            "--planted" => planted = true,
            _ => return Err(crate::USAGE.into()),
        }
    }
    // A new campaign looks somewhere else; what it finds says how to look there again.
    let seed = seed.unwrap_or_else(|| crate::data::mix(u64::from(std::process::id())) >> 20);
    let threads = std::thread::available_parallelism()?.get();
    let cases = cases.unwrap_or(if planted { PLANTED_CASES_MAX } else { CASES_DEFAULT });
    let campaign = Campaign { seed, cases, threads, planted: None };
    if planted { self::planted(campaign) } else { Ok(ran(campaign)) }
}

fn ran(campaign: Campaign) -> bool {
    println!("model: {} programs from seed {}", campaign.cases, campaign.seed);
    let started = Instant::now();
    let outcome = campaign.run();
    let figures = outcome.figures;
    println!(
        "{} programs, {} steps, {:.0} s: {} commits ({} through a log), {} checkpoints, {} openings \
         ({} blocks replayed), {} states compared whole; {} levels and {} pages at the most",
        outcome.cases,
        figures.steps,
        started.elapsed().as_secs_f64(),
        figures.commits,
        figures.log_commits,
        figures.checkpoints,
        figures.openings,
        figures.replayed,
        figures.states,
        figures.height_max,
        figures.pages_max,
    );
    if let Some(found) = &outcome.found {
        println!("{found}");
    }
    outcome.found.is_none()
}

/// Whether each planted bug is found.
fn planted(campaign: Campaign) -> Result<bool> {
    let mut missed = 0;
    for bug in Planted::ALL {
        let outcome = Campaign { planted: Some(bug), ..campaign }.run();
        match outcome.found {
            Some(found) => println!(
                "{bug:?}: found after {} programs; {} steps shrunk to {}",
                outcome.cases,
                found.steps,
                found.shrunk.len()
            ),
            None => {
                println!("{bug:?}: NOT FOUND");
                missed += 1;
            }
        }
    }
    Ok(missed == 0)
}
