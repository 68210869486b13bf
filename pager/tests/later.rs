//! Files that a later mapleaf may write, whole and with right checksums: opened where the format says that this
//! build can, refused by name where it cannot, never changed where it must not be.

#![allow(unsafe_code)] // Opens forged files, as a caller of `Repair::open` and `Store::open` may.

mod double;

use double::{Double, Nothing, words};
use mapleaf_pager::{Durability, Error, Options, Repair, Result, Store, Unsupported};
use std::sync::atomic::AtomicU32;

const PAGE: usize = 512;
const CAPACITY: usize = 256 * PAGE;
/// An opening takes numbers so far above those it finds.
const EPOCH_GAP: u64 = 1 << 32;

type TestStore = Store<Double, Box<[AtomicU32]>>;

fn options() -> Options {
    Options::default().page_size(PAGE as u32).log_bytes(0, 0)
}

/// A closed store with one commit, whose metas have `bytes` at `at` and right checksums.
fn forged(at: usize, bytes: &[u8]) -> Vec<u8> {
    let store =
        Store::create(Double::new(&[], CAPACITY, PAGE, false), words(), &options()).unwrap();
    let mut txn = store.begin_write().unwrap();
    txn.set_root(&[9; 64]);
    txn.claim().unwrap();
    txn.commit(Durability::Sync).unwrap();
    store.close().unwrap();
    let mut image = store.mapping().durable();
    for slot in 0..2usize {
        let meta = &mut image[slot * PAGE..(slot + 1) * PAGE];
        meta[at..at + bytes.len()].copy_from_slice(bytes);
        let mixed = (slot as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let sum = xxhash_rust::xxh3::xxh3_64(&meta[8..]) ^ mixed;
        meta[..8].copy_from_slice(&sum.to_le_bytes());
    }
    image
}

fn open(image: &[u8], options: &Options) -> Result<TestStore> {
    let mapping = Double::new(image, CAPACITY, PAGE, false);
    Store::open_proven(mapping, words(), options, &mut Nothing, &mut [])
}

#[test]
fn what_a_file_needs_and_this_build_lacks_is_named() {
    let refused = |at, bytes: &[u8]| {
        let image = forged(at, bytes);
        let repair = Repair::open(Double::new(&image, CAPACITY, PAGE, false), words(), &options());
        let (error, repair) = (open(&image, &options()).err(), repair.err());
        assert_eq!(error, repair, "a repair must not change such a file either");
        match error {
            Some(Error::Unsupported(why)) => why,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(refused(16, &[2]), Unsupported::Version { found: 2 });
    assert_eq!(refused(20, &0x0A0B_0C0Du32.to_be_bytes()), Unsupported::Endianness);
    assert_eq!(refused(24, &[20, 0, 0, 0, 1]), Unsupported::Features { unknown: 16 | 1 << 32 });
    // Leaves of fingerprints, in a build that does not have them.
    #[cfg(not(feature = "fingerprints"))]
    assert_eq!(refused(24, &[12]), Unsupported::Features { unknown: 8 });
    assert_eq!(refused(32, &[16]), Unsupported::WriteFeatures { unknown: 16 });
    let layouts = [(48, 9), (49, 8), (52, 16), (53, 1)];
    for (at, value) in layouts {
        assert_eq!(refused(at, &[value]), Unsupported::Layout, "{at}");
    }
    // No page size of format v1: not a record to be taken at its word.
    assert_eq!(open(&forged(50, &[17]), &options()).err(), Some(Error::NoMeta));
}

#[test]
fn a_file_with_features_for_writers_can_be_read() {
    let image = forged(32, &[16]);
    let mut read_only = options();
    read_only.read_only = true;
    let store = open(&image, &read_only).unwrap();
    let snapshot = store.begin_read(0).unwrap();
    assert_eq!(mapleaf_pager::Pages::root(&snapshot), &[9; 64]);
    assert!(matches!(store.begin_write(), Err(Error::ReadOnly)));
    // Compatible ones are none of its business: it writes, and keeps them.
    let store = open(&forged(40, &[3]), &options()).unwrap();
    drop(store.begin_write().unwrap());
    store.close().unwrap();
    let kept = store.mapping().durable();
    assert_eq!([kept[40], kept[PAGE + 40]], [3; 2]);
}

/// Numbers that wrap would make old states the newest.
#[test]
fn transaction_numbers_end_in_an_error() {
    let opened = |txn: u64| open(&forged(80, &txn.to_le_bytes()), &options()).unwrap();
    let store = opened(u64::MAX - 5);
    assert!(matches!(store.begin_write(), Err(Error::InvalidArgument)), "no room for an epoch");
    let store = opened(u64::MAX - 3 - EPOCH_GAP);
    let mut txn = store.begin_write().unwrap();
    assert_eq!(txn.id().0, u64::MAX - 2);
    assert!(matches!(txn.savepoint(), Err(Error::InvalidArgument)));
    txn.set_root(&[7; 64]);
    txn.commit(Durability::Sync).unwrap();
    assert!(matches!(store.begin_write(), Err(Error::InvalidArgument)));
    let snapshot = store.begin_read(0).unwrap();
    assert_eq!(mapleaf_pager::Pages::root(&snapshot), &[7; 64], "what was committed is there");
}

#[test]
fn a_feature_that_this_build_does_not_know_is_not_announced() {
    let store = open(&forged(32, &[0]), &options()).unwrap();
    let mut txn = store.begin_write().unwrap();
    for unknown in [1, 1 << 4, 1 << 40, u64::MAX] {
        assert_eq!(txn.announce(unknown), Err(Error::InvalidArgument));
    }
    txn.announce(mapleaf_pager::features::FIXED_WIDTH).unwrap();
    txn.commit(Durability::Sync).unwrap();
    let image = store.mapping().durable();
    drop(store);
    assert!(open(&image, &options()).is_ok(), "what was announced opens again");
}
