//! Every call of the mapping fails in turn; see `mapleaf_tests::crash`.

use mapleaf_tests::crash::{Breadth, FaultReport, Kinds, Search, Setup};

/// Every step at least once, in lives short enough that every call can fail.
const HISTORIES: [&str; 7] =
    ["s1e2c0y0", "E1L2d0e3w1", "F1F2p3b1", "v2n1D8s9D9", "e1k0s2x0e3", "S1r0c0S2l1r1", "g0g2g3"];

#[test]
fn every_call_fails_once_and_for_ever() {
    let mut all = FaultReport::default();
    // The others by hand: `cargo xtask crash --faults`.
    for setup in
        [Setup::small(false), Setup::small(true), Setup { budget: 6, ..Setup::small(true) }]
    {
        let mut search = Search::new(setup, Breadth::FAULTS);
        for history in HISTORIES {
            let report = search.faults(&history.parse().unwrap(), Kinds::InTurn);
            let report = report.unwrap_or_else(|failure| panic!("{failure}"));
            all.lives += report.lives;
            all.errors += report.errors;
            all.poisoned += report.poisoned;
            all.unharmed += report.unharmed;
        }
        println!("{setup} {all:?} {:?}", search.report);
    }
    assert!(all.errors > 1000 && all.poisoned > 100 && all.unharmed > 50, "{all:?}");
}
