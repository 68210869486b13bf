//! A newest meta that the medium has damaged: what was acknowledged since the other one is there, or is said to be missing.

mod double;

use double::stores::{CAPACITY, PAGE, TestStore, created, options};
use double::{Double, Last, words};
use mapleaf_pager::{Damage, Durability, Error, PageId, Pages, Part, Result, Store};

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
        let mut lost = image.clone();
        lost[slot * PAGE..(slot + 1) * PAGE].fill(0);
        damaged(&lost, &"zeroed");
        assert_eq!(told + harmless, PAGE * 8 + 1, "{whose}");
        // The chain of one opening can be walked from its checkpoint before; that of another cannot.
        assert_eq!(
            told > 0,
            whose != "a checkpoint's",
            "{whose}: {told} told, {harmless} harmless"
        );
    }
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

/// What is in the log can be anything that programs store, blocks of another store's log among them.
#[test]
fn blocks_of_another_log_say_nothing_where_the_torn_meta_is_one_of_this_store() {
    let mapping = Double::new(&[], CAPACITY, PAGE, true);
    let mut others = options();
    others.entropy = 77;
    let other = Store::create(mapping, words(), &others).unwrap();
    (0..200).for_each(|value| put(&other, value));
    let other = other.mapping().durable();
    let ring = &other[2 * PAGE..][..8 * PAGE];

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
        txn.redo(&[
            Part::Bytes(&rest[shift..]),
            Part::Bytes(&ring[..PAGE + 88]),
            Part::Bytes(&rest[..shift]),
        ]);
    }
    txn.redo(&[Part::Bytes(&[2])]);
    txn.commit(Durability::Sync).unwrap();
    let mut image = store.mapping().durable();
    assert_eq!(value(&open(&image).unwrap()), 2);
    let older = 1 - newest(&image);
    image[older * PAGE + 300] ^= 1;
    assert_eq!(value(&open(&image).unwrap()), 2, "the older meta knows of nothing newer");
    image[older * PAGE + 300] ^= 1;
    let newer = 1 - older;
    image[newer * PAGE + 300] ^= 1;
    assert_eq!(value(&open(&image).unwrap()), 2, "the older one leads to the same log");
}
