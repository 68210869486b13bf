//! Crashes that cost somebody a store once, and a small campaign beside `cargo xtask crash`.

use mapleaf_btree::{Error, TreeOptions, Writer};
use mapleaf_pager::{Damage, Durability, Error as PagerError, Options, Store, words_for};
use mapleaf_tests::crash::{
    Breadth, Campaign, LETTERS, Met, Which, meta_torn_twice, torn_meta_comes_back,
};
use mapleaf_tests::sim::{Disk, Moment, SimMapping};
use std::sync::atomic::AtomicU32;
use std::time::Duration;

/// Power is lost while a checkpoint's meta is stored; and again while the recovery from that is.
#[test]
fn two_power_losses_in_the_same_meta_do_not_cost_the_store() {
    for two_views in [false, true] {
        meta_torn_twice(two_views).unwrap();
    }
}

/// A commit that was lost with its meta was seen to be lost; another crash must not bring it back.
#[test]
fn a_commit_that_a_power_loss_took_does_not_come_back_with_the_next_one() {
    for two_views in [false, true] {
        torn_meta_comes_back(two_views).unwrap();
    }
}

/// Every word of one letter, in every setup; fixed histories that meet what words do not; and a random one or two.
#[test]
fn every_crash_of_a_short_history_opens_as_what_was_committed() {
    let words = Campaign {
        which: Which::Words(1, LETTERS),
        breadth: Breadth::SHALLOW,
        seed: 1,
        from: 0,
        states: u64::MAX,
        time: Duration::from_secs(5),
        threads: 2,
    };
    let random = Campaign { which: Which::Random(2), seed: 2, ..words };
    let fixed = Campaign { which: Which::Fixed, time: Duration::MAX, ..words };
    let mut met = Met::default();
    for campaign in [fixed, words, random] {
        let report = campaign.run(&mut |_, _| ()).unwrap_or_else(|failure| panic!("{failure}"));
        println!("{report:?}");
        assert!(report.crashes > 100 && report.images > 500, "{report:?}");
        met.add(&report.met);
    }
    assert_eq!(met.never().next(), None, "{met}: no history has met it");
}

/// The page of an entry rots; another entry of it is changed. The copy's checksum must not vouch for what
/// has become of the first.
#[test]
fn a_rotten_value_is_not_given_a_right_checksum_by_the_next_commit() {
    const PAGE: usize = 512;
    const VALUE: [u8; 40] = *b"forty bytes that stand nowhere else here";
    let mapping: SimMapping<()> = SimMapping::new(64 * PAGE, PAGE, false, usize::MAX);
    let mut disk = Disk::settled(&[], PAGE);
    mapping.record(&disk);
    let words: Vec<AtomicU32> = (0..words_for(2)).map(|_| AtomicU32::new(0)).collect();
    let options = Options::default().page_size(PAGE as u32).log_bytes(0, 0);
    let store = Store::create(mapping.clone(), words, &options).unwrap();
    let put = |key: &[u8], value: &[u8]| {
        let mut writer = Writer::new(store.begin_write()?)?;
        let tree = writer.open_or_create("t", TreeOptions::default())?;
        writer.tree(tree)?.insert(key, value)?;
        writer.commit(Durability::Sync)
    };
    put(b"a", &VALUE).unwrap();
    for moment in mapping.tape() {
        if let Moment::Change(change) = moment {
            disk.apply(&change);
        }
    }
    let mut rotten = disk.cached();
    let at = rotten.windows(VALUE.len()).position(|bytes| bytes == VALUE).unwrap();
    rotten[at] ^= 1;
    mapping.load(rotten.chunks(PAGE));
    let error = put(b"b", b"").unwrap_err();
    let Error::Pager(PagerError::Corrupt { page, damage }) = error else { panic!("{error}") };
    assert_eq!((page.index(), damage), (at / PAGE, Damage::Checksum));
}
