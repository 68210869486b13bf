//! Every call of the mapping fails in turn; see `mapleaf_tests::crash`.

use mapleaf_tests::crash::{Breadth, FaultReport, Kinds, Search, Setup};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Every step at least once, in lives short enough that every call can fail.
const HISTORIES: [&str; 7] =
    ["s1e2c0y0", "E1L2d0e3w1", "F1F2p3b1", "v2n1D8s9D9", "e1k0s2x0e3", "S1r0c0S2l1r1", "g0g2g3"];

/// Who look, each at a history in a setup that nobody has taken.
const THREADS: usize = 2;

#[test]
fn every_call_fails_once_and_for_ever() {
    // All of them: `cargo xtask crash --faults`.
    let little = Setup { budget: 6, ..Setup::small(true) };
    let setups = [Setup::small(true), little];
    let next = AtomicUsize::new(0);
    let look = || {
        let mut all = FaultReport::default();
        loop {
            let job = next.fetch_add(1, Ordering::Relaxed);
            let history = HISTORIES[job % HISTORIES.len()];
            let Some(setup) = setups.get(job / HISTORIES.len()) else { return all };
            let mut search = Search::new(*setup, Breadth::FAULTS);
            let report = search.faults(&history.parse().unwrap(), Kinds::InTurn);
            let report = report.unwrap_or_else(|failure| panic!("{failure}"));
            println!("{setup}:{history} {report:?} {:?}", search.report);
            all.add(&report);
        }
    };
    let mut all = FaultReport::default();
    std::thread::scope(|scope| {
        for looks in [(); THREADS].map(|()| scope.spawn(look)) {
            all.add(&looks.join().expect("nothing that must not be"));
        }
    });
    assert!(all.errors > 1000 && all.poisoned > 100 && all.unharmed > 50, "{all:?}");
}
