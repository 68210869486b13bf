//! Crash campaigns, and the bugs that they must find.

use crate::Result;
use mapleaf_tests::crash::{
    Breadth, Campaign, History, Kinds, LETTERS, Met, Report, Search, Setup, Which, replay,
};
use mapleaf_tests::sim::Dice;
use std::process::Command;
use std::time::{Duration, Instant};

/// What `--quick` looks at: fixed histories, whatever they take; all words of one letter, drawn ones of four, random ones,
/// each for so long.
const QUICK_DRAWN: u64 = 60;
const QUICK_RANDOM: u64 = 20;
const QUICK_SECONDS: u64 = 8;
/// What `--quick` comes to at the least, or it has not looked.
const QUICK_STATES_MIN: u64 = 200_000;
/// Steps of histories with faults in them.
const FAULTY_STEPS: usize = 4;

/// `cargo xtask crash`.
pub(crate) fn run(words: &[String]) -> Result<bool> {
    let mut breadth = Breadth::FULL;
    let mut which = None;
    let (mut seed, mut states, mut seconds, mut from) = (1, u64::MAX, u64::MAX, 0);
    let (mut letters, mut threads, mut last_only) = (LETTERS, 1, false);
    let (mut again, mut faulty) = (None, None);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--quick" => {
                breadth = Breadth::QUICK;
                continue;
            }
            "--last" => {
                last_only = true;
                continue;
            }
            _ => {}
        }
        let value = words.next().ok_or_else(|| format!("{word}: a value is missing"))?;
        match word.as_str() {
            "--words" => which = Some(Which::Words(value.parse()?, LETTERS)),
            "--letters" => letters = steps(value)?,
            "--threads" => threads = value.parse::<usize>()?.max(1),
            "--drawn" => which = Some(Which::Drawn(value.parse()?)),
            "--faults" => faulty = Some(value.parse()?),
            "--histories" => which = Some(Which::Random(value.parse()?)),
            "--seed" => seed = value.parse()?,
            "--from" => from = value.parse()?,
            "--states" => states = value.parse()?,
            "--seconds" => seconds = value.parse()?,
            "--replay" => again = Some(value),
            _ => return Err(format!("crash: what is {word}?").into()),
        }
    }
    if let Some(text) = again {
        return Ok(
            told(Instant::now(), breadth, last_only, replay(text, breadth, last_only)?).is_some()
        );
    }
    if let Some(histories) = faulty {
        let quick = breadth == Breadth::QUICK;
        return faults(seed, histories, if quick { Kinds::InTurn } else { Kinds::Each });
    }
    let quick = which.is_none() && breadth == Breadth::QUICK;
    if quick && from > 0 {
        return Err("--from is of one campaign: name it".into());
    }
    let all = match which {
        Some(Which::Words(longest, _)) => vec![Which::Words(longest, letters)],
        Some(which) => vec![which],
        None if quick => {
            seconds = seconds.min(QUICK_SECONDS);
            vec![
                Which::Fixed,
                Which::Words(1, LETTERS),
                Which::Drawn(QUICK_DRAWN),
                Which::Random(QUICK_RANDOM),
            ]
        }
        None => vec![Which::Words(4, letters)],
    };
    println!("seed {seed}");
    let (mut seen, mut met) = (0, Met::default());
    for which in all {
        let begun = Instant::now();
        let time = if which == Which::Fixed { u64::MAX } else { seconds };
        let time = Duration::from_secs(time);
        println!("{which:?}");
        let campaign = Campaign { which, breadth, seed, from, states, time, threads };
        let result = campaign.run(&mut |report, time| print(report, time));
        let Some(report) = told(begun, breadth, matches!(which, Which::Words(..)), result) else {
            return Ok(false);
        };
        seen += report.states;
        met.add(&report.met);
    }
    if seen == 0 {
        return Err("nothing was looked at".into());
    }
    if quick && seen < QUICK_STATES_MIN {
        return Err(format!("{seen} states are fewer than {QUICK_STATES_MIN}").into());
    }
    let never: Vec<_> = met.never().collect();
    if quick && !never.is_empty() {
        return Err(format!("no history has met {never:?}").into());
    }
    Ok(true)
}

/// Letters of steps, for as long as the program runs.
fn steps(letters: &str) -> Result<&'static str> {
    match letters.chars().find(|letter| !LETTERS.contains(*letter)) {
        None if letters.is_empty() => Err("no steps, no histories".into()),
        Some(letter) => Err(format!("{letter:?} is no step").into()),
        None => Ok(letters.to_owned().leak()),
    }
}

/// Every call fails in turn, in so many random histories; with `--quick` as one error, not as each that it may.
fn faults(seed: u64, histories: u64, kinds: Kinds) -> Result<bool> {
    for number in 0..histories {
        let history = History::random(&mut Dice(seed + number), FAULTY_STEPS);
        for setup in Setup::all() {
            let mut search = Search::new(Setup { seed: seed + number, ..setup }, Breadth::FAULTS);
            match search.faults(&history, kinds) {
                Ok(report) => println!("{setup}:{history}: {report:?}"),
                Err(failure) => {
                    println!(
                        "{setup}:{history}: {}\nreplay: cargo xtask crash --seed {} --faults 1",
                        failure.what,
                        seed + number
                    );
                    return Ok(false);
                }
            }
        }
    }
    Ok(true)
}

/// Prints what was found; what was looked at, where nothing was.
fn told(
    begun: Instant,
    breadth: Breadth,
    last_only: bool,
    result: Result<Report, mapleaf_tests::crash::Failure>,
) -> Option<Report> {
    match result {
        Ok(report) => {
            print(&report, begun.elapsed());
            Some(report)
        }
        Err(failure) => {
            // Drawn choices are others where they are fewer, or begin elsewhere: the last line is the command.
            let quick = if breadth == Breadth::QUICK { " --quick" } else { "" };
            let last = if last_only { " --last" } else { "" };
            println!("{failure}{quick}{last}");
            None
        }
    }
}

fn print(report: &Report, time: Duration) {
    let Report { histories, crashes, states, images, lives, states_below, met, met_after } = report;
    let rate = *states as f64 / time.as_secs_f64().max(1e-9);
    println!(
        "{histories} histories, {crashes} crash points, {states} states ({images} different images), \
         of them {} after {} crashes in a row, {} after {}; lives begun {} and {}; {:.1} s, {rate:.0} \
         states/s",
        states_below[0],
        2,
        states_below[1],
        3,
        lives[0],
        lives[1],
        time.as_secs_f64()
    );
    println!("  met in histories: {met}; in lives after a crash: {met_after}");
}

/// `cargo xtask canaries`: builds everything with the bugs in it, apart from other builds, and hunts them.
pub(crate) fn canaries(words: &[String]) -> Result<bool> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    let target = std::path::Path::new(&target).join("planted");
    let mut run = Command::new(cargo);
    run.args(["run", "--quiet", "--release", "--package", "mapleaf-tests", "--bin", "canaries"]);
    run.arg("--target-dir").arg(target).arg("--").args(words);
    run.env("RUSTFLAGS", "--cfg mapleaf_planted");
    // A hunt is short; the build is not.
    run.env("CARGO_PROFILE_RELEASE_LTO", "off").env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
    Ok(run.status()?.success())
}
