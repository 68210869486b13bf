//! Files with right checksums that lie: what is read is compared with what it could do harm to.

#![allow(unsafe_code)] // Opens forged files as if mapleaf had written them.

mod double;

use double::{Double, Last, words};
use mapleaf_pager::{Damage, Durability, Error, Options, PageId, Part, Result, Store};
use std::sync::atomic::AtomicU32;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

const PAGE: usize = 512;
const CAPACITY: usize = 512 * PAGE;
/// The ring of a new store begins behind the metas.
const RING: PageId = PageId(2);
const RING_BYTES: u64 = 16 << 10;
/// Where the space record stands in a meta, and its lists in it.
const SPACE: usize = 256;
const LISTS: usize = SPACE + 74;

type TestStore = Store<Double, Box<[AtomicU32]>>;

fn created() -> TestStore {
    Store::create(Double::new(&[], CAPACITY, PAGE, false), words(), &options()).unwrap()
}

fn options() -> Options {
    Options::default().page_size(PAGE as u32).log_bytes(RING_BYTES, RING_BYTES)
}

fn open(image: &[u8]) -> Result<TestStore> {
    let mapping = Double::new(image, CAPACITY, PAGE, false);
    // SAFETY: the forged bytes lead to errors before anything is lent: that is the test.
    unsafe { Store::open(mapping, words(), &options(), &mut Last) }
}

/// A page of the log that counts as free would be written by a transaction, and the log be lost.
#[test]
fn a_free_page_in_the_log_is_not_given_out() {
    let store = created();
    let mut txn = store.begin_write().unwrap();
    let pages: Vec<PageId> = (0..30).map(|_| txn.claim().unwrap()).collect();
    txn.commit(Durability::Sync).unwrap();
    let mut txn = store.begin_write().unwrap();
    pages.iter().take(29).for_each(|page| txn.free(*page).unwrap());
    txn.commit(Durability::Sync).unwrap();
    store.checkpoint().unwrap();
    // What was freed becomes ready.
    let mut txn = store.begin_write().unwrap();
    let page = txn.claim().unwrap();
    txn.free(page).unwrap();
    txn.set_root(&[1; 64]);
    txn.commit(Durability::Sync).unwrap();
    store.checkpoint().unwrap();

    let mut image = store.mapping().durable();
    let mut ready = 0;
    for slot in 0..2usize {
        let meta = &mut image[slot * PAGE..(slot + 1) * PAGE];
        let (reserve, count) = (usize::from(meta[SPACE + 9]), usize::from(meta[SPACE + 10]));
        if count > 0 {
            ready = count;
            let first = LISTS + 4 * reserve;
            meta[first..first + 4].copy_from_slice(&(RING.0 + 1).to_le_bytes());
        }
        let mixed = (slot as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let sum = xxh3_64(&meta[8..]) ^ mixed;
        meta[..8].copy_from_slice(&sum.to_le_bytes());
    }
    assert!(ready > 0, "nothing to forge");
    let store = open(&image).unwrap();
    let forged = PageId(RING.0 + 1);
    let mut old: Vec<PageId> = Vec::new();
    // Holes, so that the space needs pages of its own: it takes those that are ready.
    let refused = (0..20).find_map(|_| {
        let mut txn = store.begin_write().unwrap();
        let freed = old.drain(..).step_by(2).find_map(|page| txn.free(page).err());
        let claimed = (0..40).find_map(|_| match txn.claim() {
            Ok(page) if page == forged => panic!("{page} was given out"),
            Ok(page) => {
                old.push(page);
                None
            }
            Err(error) => Some(error),
        });
        freed.or(claimed).or_else(|| txn.commit(Durability::Sync).err())
    });
    assert_eq!(refused, Some(Error::corrupt(forged, Damage::Shared)));
}

/// A record that is longer than what is left of its block ends the opening, and changes nothing.
#[test]
fn a_record_that_leaves_its_block_is_damage() {
    let store = created();
    let mut txn = store.begin_write().unwrap();
    let run = txn.claim_run(10_000).unwrap();
    txn.free_run(run).unwrap();
    txn.set_root(&[7; 64]);
    txn.redo(&[Part::Bytes(&[7; 20])]);
    txn.commit(Durability::Sync).unwrap();
    assert_eq!(store.stats().log_commits, 1);
    let image = store.mapping().durable();
    let opened = open(&image).unwrap();
    assert_eq!(opened.stats().replayed_blocks, 1);

    let start = RING.index() * PAGE;
    for length in [21u32, 1000, u32::MAX] {
        let mut image = image.clone();
        let block = &mut image[start..];
        let word =
            |block: &[u8], at: usize| u64::from_le_bytes(block[at..at + 8].try_into().unwrap());
        let (len, salt) = (word(block, 48) as u32 as usize, word(block, 56));
        assert_eq!(len, 64 + 4 + 20);
        block[64..68].copy_from_slice(&length.to_le_bytes());
        let sum = xxh3_64_with_seed(&block[8..len], salt);
        block[..8].copy_from_slice(&sum.to_le_bytes());
        let redo = Error::corrupt(PageId::NONE, Damage::Redo);
        assert_eq!(open(&image).err(), Some(redo), "{length}");
    }
}
