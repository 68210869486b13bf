//! A newest meta that the medium has damaged: what was acknowledged since the other one is there, or is said to be missing.

mod double;

use double::stores::{CAPACITY, PAGE, TestStore, created, options};
use double::{Double, Last, words};
use mapleaf_pager::{
    Damage, Durability, Error, LooseMeta, PageId, Pages, Part, Redo, Result, Store,
};

fn put(store: &TestStore, value: u8) {
    let mut txn = store.begin_write().unwrap();
    let claimed: Vec<_> = (0..3).map(|_| txn.claim().unwrap()).collect();
    claimed.into_iter().for_each(|page| txn.free(page).unwrap());
    txn.set_root(&[value; 64]);
    txn.redo(&[Part::Bytes(&[value])]);
    txn.commit(Durability::Sync).unwrap();
}

fn open(image: &[u8]) -> Result<TestStore> {
    let mapping = Double::new(image, CAPACITY, PAGE, false);
    Store::open_proven(mapping, words(), &options(), &mut Last, &mut [])
}

fn value(store: &TestStore) -> u8 {
    (&store.begin_read(0).unwrap()).root()[0]
}

/// The slot of the newer meta.
fn newest(image: &[u8]) -> usize {
    let txn = |slot: usize| u64::from_le_bytes(image[slot * PAGE + 80..][..8].try_into().unwrap());
    assert_ne!(txn(0), txn(1));
    usize::from(txn(1) > txn(0))
}

/// Files of which the newest state is in the log behind the newest meta, and that state's value.
fn files() -> Vec<(&'static str, Vec<u8>, u8)> {
    let store = created(true);
    put(&store, 1);
    store.close().unwrap();
    let store = open(&store.mapping().durable()).unwrap();
    (2..=6).for_each(|value| put(&store, value));
    let opened = store.mapping().durable();

    let store = open(&opened).unwrap();
    assert!(store.stats().replayed_blocks > 0);
    (7..=9).for_each(|value| put(&store, value));
    let recovered = store.mapping().durable();

    let store = created(true);
    (1..=3).for_each(|value| put(&store, value));
    store.checkpoint().unwrap();
    (4..=6).for_each(|value| put(&store, value));
    let checkpointed = store.mapping().durable();

    // Ring space before the newest meta's position is written again.
    let store = created(true);
    for value in 1..=125 {
        put(&store, value);
        if value % 7 == 0 && value < 100 {
            store.checkpoint().unwrap();
        }
    }
    let wrapped = store.mapping().durable();
    vec![
        ("an opening's", opened, 6),
        ("a recovery's", recovered, 9),
        ("a checkpoint's", checkpointed, 6),
        ("a late checkpoint's", wrapped, 125),
    ]
}

#[test]
fn damage_to_the_newest_meta_does_not_cost_what_was_acknowledged_and_say_nothing() {
    let gap = Error::Corrupt { page: PageId::NONE, damage: Damage::LogGap };
    for (whose, image, last) in files() {
        assert_eq!(value(&open(&image).unwrap()), last, "{whose}");
        let slot = newest(&image);
        let (mut told, mut harmless) = (0, 0);
        let mut damaged = |image: &[u8], how: &dyn std::fmt::Display| match open(image) {
            Ok(store) if value(&store) == last => harmless += 1,
            Ok(store) => panic!("{whose}, {how}: {} instead of {last}", value(&store)),
            Err(error) => {
                assert_eq!(error, gap, "{whose}, {how}");
                told += 1;
            }
        };
        for bit in 0..PAGE * 8 {
            let mut image = image.clone();
            image[slot * PAGE + bit / 8] ^= 1 << (bit % 8);
            damaged(&image, &bit);
        }
        for byte in 0..PAGE {
            let mut image = image.clone();
            image[slot * PAGE + byte] ^= 0xFF;
            damaged(&image, &format_args!("byte {byte} inverted"));
        }
        let mut lost = image.clone();
        lost[slot * PAGE..(slot + 1) * PAGE].fill(0);
        damaged(&lost, &"zeroed");
        assert_eq!(told + harmless, PAGE * 9 + 1, "{whose}");
        // The chain of one opening can be walked from its checkpoint before; that of another cannot.
        assert_eq!(
            told > 0,
            whose != "a checkpoint's",
            "{whose}: {told} told, {harmless} harmless"
        );
    }
}

/// Where a block's first record is, which is a byte long: behind the block's header and its own.
const RECORD: usize = 64 + 4;

/// A file that was closed, opened again and left behind, with its newest meta in another slot where `rounds`
/// is odd; where the opening's first block is. The log has 2 to 6.
fn left_behind(rounds: u8) -> (Vec<u8>, usize) {
    let store = created(true);
    put(&store, 1);
    (0..rounds).for_each(|_| {
        put(&store, 1);
        store.checkpoint().unwrap();
    });
    store.close().unwrap();
    let closed = store.mapping().durable();
    let store = open(&closed).unwrap();
    put(&store, 2);
    let begun = store.mapping().durable();
    let first = (2 * PAGE..closed.len()).find(|at| closed[*at] != begun[*at]).unwrap();
    (3..=6).for_each(|value| put(&store, value));
    (store.mapping().durable(), first)
}

/// Changes a bit of the newer meta, where that has no fields.
fn without_newest(image: &[u8]) -> Vec<u8> {
    let mut image = image.to_vec();
    let slot = newest(&image);
    image[slot * PAGE + 300] ^= 1;
    image
}

#[test]
fn acknowledged_commits_are_missed_though_their_openings_first_block_is_damaged_too() {
    let gap = Error::Corrupt { page: PageId::NONE, damage: Damage::LogGap };
    let mut slots = [false; 2];
    for rounds in 0..2 {
        let (image, first) = left_behind(rounds);
        slots[newest(&image)] = true;
        let mut image = without_newest(&image);
        assert_eq!(open(&image).err(), Some(gap));
        image[first + RECORD] ^= 1;
        assert_eq!(open(&image).err(), Some(gap), "the meta's salt is there");
    }
    assert_eq!(slots, [true; 2]);
}

#[test]
fn which_metas_are_whole_is_told_of_each() {
    for rounds in 0..2 {
        let (image, _) = left_behind(rounds);
        let older = 1 - newest(&image);
        let mut damaged = image.clone();
        damaged[older * PAGE + 300] ^= 1;
        // Opening for reading stores no meta.
        let whole = |image: &[u8]| {
            let mapping = Double::new(image, CAPACITY, PAGE, false);
            let mut options = options();
            (options.read_only, options.at_checkpoint) = (true, true);
            Store::open_proven(mapping, words(), &options, &mut Last, &mut [])
                .unwrap()
                .metas_whole()
        };
        assert_eq!(whole(&image), [true; 2]);
        assert_eq!(whole(&damaged), [older != 0, older != 1]);
    }
}

/// The older meta by itself, and its log.
fn older(image: &[u8]) -> (LooseMeta, &[u8]) {
    let slot = 1 - newest(image);
    let meta = LooseMeta::read(&image[slot * PAGE..][..PAGE], slot as u8).unwrap().unwrap();
    let (start, pages) = meta.log();
    (meta, &image[start.0 as usize * PAGE..][..pages as usize * PAGE])
}

fn records(log: mapleaf_pager::RedoLog<'_>) -> Vec<u8> {
    let record = |step: Result<Redo<'_>>| match step.unwrap() {
        Redo::Record(record) => Some(record[0]),
        Redo::Begin(_) => None,
    };
    log.filter_map(record).collect()
}

/// What salvage goes by.
#[test]
fn an_opening_whose_meta_is_lost_is_read_behind_the_older_ones_log_or_said_to_be_missing() {
    let (left, first) = left_behind(0);
    // Behind a checkpoint in the middle of the ring, where the recovery's own log does not reach.
    let checkpointed = files().remove(2).1;
    let store = open(&checkpointed).unwrap();
    (7..=9).for_each(|value| put(&store, value));
    let recovered = store.mapping().durable();
    for (whose, image, first, behind, values) in [
        ("after a clean close", &left, Some(first), 0, 2..=6),
        ("after a crash", &recovered, None, 3, 7..=9),
    ] {
        let (meta, ring) = older(image);
        assert_eq!(meta.is_clean(), behind == 0, "{whose}");
        if behind > 0 {
            assert_eq!(records(meta.redo(ring)).len(), behind, "{whose}");
        }
        let lost = meta.redo_of_lost_opening(ring).unwrap();
        assert_eq!(records(lost), values.collect::<Vec<_>>(), "{whose}");
        assert!(!meta.has_log_gap(ring), "{whose}");
        if let Some(first) = first {
            // Each block has the opening's salt.
            let salt = &image[first + 56..][..8];
            let next = image[first + 64..].windows(8).position(|word| word == salt);
            let second = first + 8 + next.unwrap();
            let mut image = image.clone();
            image[second + RECORD] ^= 1;
            let (meta, ring) = older(&image);
            assert_eq!(records(meta.redo_of_lost_opening(ring).unwrap()), [2], "{whose}");
            assert!(meta.has_log_gap(ring), "{whose}");
        }
    }
    // Nothing was opened since.
    let (meta, ring) = older(&checkpointed);
    assert!(meta.redo_of_lost_opening(ring).is_none());
    assert_eq!(records(meta.redo(ring)), [1, 2, 3, 4, 5, 6]);
    assert!(!meta.has_log_gap(ring));
}

/// The older meta is from before the recovery, whose log has been written over what it led to. Where that log's end is not
/// known, nor is the number that the recovery's first block follows.
#[test]
fn damage_to_a_recoverys_meta_does_not_cost_what_was_acknowledged_and_say_nothing() {
    let opened = files().remove(0).1;
    let store = open(&opened).unwrap();
    (7..=30).for_each(|value| put(&store, value));
    let image = store.mapping().durable();
    assert_eq!(value(&open(&image).unwrap()), 30);
    let slot = newest(&image);
    let silent = |bit: &usize| {
        let mut image = image.clone();
        image[slot * PAGE + bit / 8] ^= 1 << (bit % 8);
        open(&image).is_ok_and(|store| value(&store) != 30)
    };
    let bits: Vec<_> = (0..PAGE * 8).filter(silent).collect();
    assert!(bits.is_empty(), "{bits:?}");
}

/// Else a power loss in the wrong moment would be taken for damage: the file would not open.
#[test]
fn a_meta_that_was_torn_before_anything_rested_on_it_is_none() {
    let store = created(true);
    put(&store, 1);
    store.close().unwrap();
    let closed = store.mapping().durable();
    let store = open(&closed).unwrap();
    put(&store, 2);
    let begun = store.mapping().durable();
    let slot = newest(&begun);
    for end in 1..PAGE {
        // As far as the meta was stored; nothing else was.
        let mut torn = closed.clone();
        torn[slot * PAGE..][..end].copy_from_slice(&begun[slot * PAGE..][..end]);
        assert_eq!(value(&open(&torn).unwrap()), 1, "{end}");
    }
}

/// The start of another store's log, after some openings and commits in the last one.
fn others_log(openings: usize, commits: u8) -> Vec<u8> {
    let mut options = options();
    options.entropy = 77;
    let mapping = Double::new(&[], CAPACITY, PAGE, true);
    let mut other = Store::create(mapping, words(), &options).unwrap();
    for _ in 1..openings {
        put(&other, 1);
        let mapping = Double::new(&other.mapping().durable(), CAPACITY, PAGE, true);
        other = Store::open_proven(mapping, words(), &options, &mut Last, &mut []).unwrap();
    }
    (0..commits).for_each(|value| put(&other, value));
    other.mapping().durable()[2 * PAGE..][..PAGE + 88].to_vec()
}

/// A file whose newest transaction, which is in the log, has stored these bytes; both metas lead to it.
fn with_stored(bytes: &[u8]) -> Vec<u8> {
    let store = created(true);
    put(&store, 1);
    store.checkpoint().unwrap();
    let mut txn = store.begin_write().unwrap();
    let claimed: Vec<_> = (0..40).map(|_| txn.claim().unwrap()).collect();
    claimed.into_iter().for_each(|page| txn.free(page).unwrap());
    txn.set_root(&[2; 64]);
    // Wherever records lie, they are aligned as blocks are in one of these, each of a multiple of eight bytes with
    // its length.
    for shift in 0..8 {
        let rest = [0; 12];
        txn.redo(&[Part::Bytes(&rest[shift..]), Part::Bytes(bytes), Part::Bytes(&rest[..shift])]);
    }
    txn.redo(&[Part::Bytes(&[2])]);
    txn.commit(Durability::Sync).unwrap();
    store.mapping().durable()
}

/// What is in the log can be anything that programs store, blocks of another store's log among them.
#[test]
fn blocks_of_another_log_say_nothing_where_the_torn_meta_is_one_of_this_store() {
    let mut image = with_stored(&others_log(1, 200));
    assert_eq!(value(&open(&image).unwrap()), 2);
    let older = 1 - newest(&image);
    image[older * PAGE + 300] ^= 1;
    assert_eq!(value(&open(&image).unwrap()), 2, "the older meta knows of nothing newer");
    image[older * PAGE + 300] ^= 1;
    let newer = 1 - older;
    image[newer * PAGE + 300] ^= 1;
    assert_eq!(value(&open(&image).unwrap()), 2, "the older one leads to the same log");
}

/// Else a backup of another store, kept in this one, would keep it from opening after a meta was lost.
#[test]
fn blocks_of_another_log_say_nothing_where_nothing_is_left_of_the_meta() {
    for (openings, commits) in [(1, 200), (1, 4), (2, 4), (3, 4), (3, 200)] {
        let image = with_stored(&others_log(openings, commits));
        for slot in 0..2 {
            let mut image = image.clone();
            image[slot * PAGE..][..PAGE].fill(0);
            assert_eq!(value(&open(&image).unwrap()), 2, "slot {slot}, {openings} openings");
        }
    }
}
