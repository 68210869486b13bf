//! Which changes of the pager's code would no test notice?
//!
//! One build has all mutants, each behind a switch that an environment variable sets: a mutant then costs the
//! tests that it takes to catch it, and no build. `docs/mutants.md` has what was found.
//!
//! ```sh
//! cargo xtask mutants [--sample N] [--seed S] [--file NAME...] [--only ID,..] [--test NAME] [--heavy]
//!     [--programs N] [--list]
//! ```
//! Results go to `mutants.tsv` in the target directory; a run goes on where one was stopped.

mod build;
mod find;
mod plant;
mod run;

use plant::Source;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

pub(crate) type Failure = Box<dyn std::error::Error>;
pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

/// What is mutated, in this order.
const FILES: [&str; 35] = [
    "commit.rs",
    "checkpoint.rs",
    "close.rs",
    "reading.rs",
    "txn_pages.rs",
    "recover.rs",
    "remains.rs",
    "chosen.rs",
    "making.rs",
    "log.rs",
    "loose.rs",
    "meta.rs",
    "tail.rs",
    "room.rs",
    "rebuild.rs",
    "savepoint.rs",
    "running.rs",
    "pins.rs",
    "space/bitmap.rs",
    "space/bits.rs",
    "space/claim.rs",
    "space/entry.rs",
    "space/freed.rs",
    "space/host.rs",
    "space/inline.rs",
    "space/mod.rs",
    "space/own.rs",
    "space/pack.rs",
    "space/rebuild.rs",
    "space/reclaim.rs",
    "space/record.rs",
    "space/runs.rs",
    "space/survey.rs",
    "space/trim.rs",
    "space/visit.rs",
];

pub(crate) struct Wanted {
    sample: usize,
    seed: u64,
    files: Vec<String>,
    only: Vec<usize>,
    /// Of the tests those with these names; all, where there are none.
    tests: Vec<String>,
    heavy: bool,
    /// Programs of a campaign.
    programs: u32,
    list: bool,
}

/// Enough to meet what a campaign is for.
const PROGRAMS: u32 = 80;

fn wanted() -> Result<Wanted> {
    let mut wanted = Wanted {
        sample: usize::MAX,
        seed: 1,
        files: vec![],
        only: vec![],
        tests: vec![],
        heavy: false,
        programs: PROGRAMS,
        list: false,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        match word.as_str() {
            "--sample" => wanted.sample = value()?.parse()?,
            "--seed" => wanted.seed = value()?.parse()?,
            "--file" => wanted.files.push(value()?),
            "--only" => {
                wanted.only = value()?.split(',').map(str::parse).collect::<Result<_, _>>()?;
            }
            "--test" => wanted.tests.push(value()?),
            "--programs" => wanted.programs = value()?.parse()?,
            "--heavy" => wanted.heavy = true,
            "--list" => wanted.list = true,
            _ => return Err(format!("what is {word}?").into()),
        }
    }
    Ok(wanted)
}

/// A number that looks drawn: SplitMix64.
fn drawn(seed: u64, id: usize) -> u64 {
    let mut x = seed.wrapping_add((id as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    x = (x ^ x >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ x >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ x >> 31
}

fn main() -> Result<()> {
    let wanted = wanted()?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let target = std::path::absolute(target)?.join("mutants");
    let mut next = 1;
    let mut sources = Vec::new();
    for file in FILES {
        let text = std::fs::read_to_string(root.join("pager/src").join(file))?;
        sources.push(Source::new(file, text, &mut next)?);
    }
    let tree = build::copy(&root, &target)?;
    let unviable = build::plant(&tree, &target, &sources)?;
    let mut chosen: Vec<_> = sources.iter().flat_map(Source::mutants).collect();
    if !wanted.files.is_empty() {
        chosen.retain(|mutant| wanted.files.contains(&mutant.file));
    }
    println!("{} mutants, {} of them not viable", chosen.len(), of(&unviable, &chosen));
    chosen.retain(|mutant| !unviable.contains(&mutant.id));
    if !wanted.only.is_empty() {
        chosen.retain(|mutant| wanted.only.contains(&mutant.id));
    }
    if wanted.sample < chosen.len() {
        let mut by_draw: Vec<_> =
            chosen.iter().map(|mutant| (drawn(wanted.seed, mutant.id), mutant.id)).collect();
        by_draw.sort_unstable();
        let drawn: BTreeSet<_> = by_draw[..wanted.sample].iter().map(|(_, id)| *id).collect();
        chosen.retain(|mutant| drawn.contains(&mutant.id));
    }
    if wanted.list {
        for mutant in &chosen {
            println!(
                "{}\t{}:{}\t{}\t{}",
                mutant.id, mutant.file, mutant.line, mutant.function, mutant.what
            );
        }
        return Ok(());
    }
    let mut tests = build::tests(&tree, &target, wanted.heavy, wanted.programs)?;
    if let Some(name) =
        wanted.tests.iter().find(|name| tests.iter().all(|test| test.name != **name))
    {
        return Err(format!("no test {name}").into());
    }
    tests.retain(|test| {
        wanted.tests.is_empty() || wanted.tests.iter().any(|name| name == test.name)
    });
    run::run(
        !wanted.only.is_empty(),
        &chosen,
        &tests,
        &tree,
        &target.join(if wanted.heavy { "heavy.tsv" } else { "mutants.tsv" }),
    )?;
    Ok(())
}

fn of(unviable: &BTreeSet<usize>, chosen: &[plant::Mutant]) -> usize {
    chosen.iter().filter(|mutant| unviable.contains(&mutant.id)).count()
}
