//! Crashes that cost somebody a store once, and a small campaign beside `cargo xtask crash`.

use mapleaf_tests::crash::{Breadth, Campaign, Which, meta_torn_twice};
use std::time::Duration;

/// Power is lost while a checkpoint's meta is stored; and again while the recovery from that is.
#[test]
fn two_power_losses_in_the_same_meta_do_not_cost_the_store() {
    for two_views in [false, true] {
        meta_torn_twice(two_views).unwrap();
    }
}

/// Every word of one letter, in every setup; and a random history or two.
#[test]
fn every_crash_of_a_short_history_opens_as_what_was_committed() {
    let words = Campaign {
        which: Which::Words(1),
        breadth: Breadth::SHALLOW,
        seed: 1,
        states: u64::MAX,
        time: Duration::from_secs(10),
    };
    let random = Campaign { which: Which::Random(2), seed: 2, ..words };
    for campaign in [words, random] {
        let report = campaign.run(&mut |_, _| ()).unwrap_or_else(|failure| panic!("{failure}"));
        println!("{report:?}");
        assert!(report.crashes > 100 && report.images > 500, "{report:?}");
    }
}
