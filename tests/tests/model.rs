//! A short share of the model campaign, and whether it would find something. `cargo xtask model` runs as
//! much of it as one likes; `src/programs` says what it checks.

use mapleaf_tests::programs::{Campaign, Planted};

/// The same programs in every run.
const SEED: u64 = 1;

fn campaign(cases: u64, planted: Option<Planted>) -> Campaign {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    Campaign { seed: SEED, cases, threads, planted }
}

#[test]
fn programs_do_what_the_oracle_does() {
    let outcome = campaign(200, None).run();
    if let Some(found) = &outcome.found {
        panic!("{found}");
    }
    let figures = outcome.figures;
    assert_eq!(outcome.cases, 200);
    // What the programs met, so that they do not become tame unnoticed.
    assert!(figures.height_max >= 3 && figures.pages_max >= 200, "{figures:?}");
    assert!(figures.openings >= 80 && figures.replayed >= 10, "{figures:?}");
    assert!(figures.log_commits >= 100 && figures.checkpoints >= 300, "{figures:?}");
}

#[test]
fn planted_bugs_are_found_and_shrunk() {
    // `cargo xtask model --planted` has them all.
    for bug in [Planted::RetainForgetsLast, Planted::RollbackKeeps, Planted::SnapshotMoves] {
        let found = campaign(2000, Some(bug)).run().found;
        let found = found.unwrap_or_else(|| panic!("{bug:?} is not found"));
        assert!(found.shrunk.len() <= 6, "{bug:?} is shrunk to this only: {found}");
        // The seed alone brings the program back.
        let again = Campaign { seed: found.seed, ..campaign(1, Some(bug)) }.run().found;
        assert_eq!(again.map(|again| again.seed), Some(found.seed), "{bug:?}");
    }
}

#[test]
fn a_seed_makes_one_program() {
    use mapleaf_tests::programs::Program;
    assert_eq!(Program::of(7).to_string(), Program::of(7).to_string());
    assert_ne!(Program::of(7).to_string(), Program::of(8).to_string());
}
