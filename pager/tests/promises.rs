//! What callers are told, where only a power loss or a count of barriers shows whether it is kept.
//!
//! Each test is there since a change of the code went unnoticed without it: `docs/mutants.md`.

mod double;

use double::Double;
use mapleaf_pager::{
    Durability, Inspection, Mapping, Options, PageId, Pages, Part, Redo, RedoLog, Replay, Result,
    Store, WriteTxn, words_for,
};
use std::sync::atomic::{AtomicU32, Ordering};

const PAGE: usize = 512;
const CAPACITY: usize = 4096 * PAGE;
const RING: u64 = 16 * 1024;

type TestStore = Store<Double, Box<[AtomicU32]>>;

/// A tree layer of one byte.
struct Last;

impl Replay for Last {
    fn replay<'s>(&mut self, mut txn: WriteTxn<'s>, log: RedoLog<'s>) -> Result<WriteTxn<'s>> {
        for step in log {
            if let Redo::Record(record) = step? {
                txn.set_root(&[record[0]; 64]);
            }
        }
        Ok(txn)
    }

    fn prove(&mut self, _inspection: &Inspection<'_>, _work: &mut [u8]) -> Result<()> {
        Ok(())
    }
}

fn words() -> Box<[AtomicU32]> {
    (0..words_for(4)).map(|_| AtomicU32::new(0)).collect()
}

fn options() -> Options {
    Options::default().page_size(PAGE as u32).log_bytes(RING, RING)
}

fn created(two_views: bool) -> TestStore {
    Store::create(Double::new(&[], CAPACITY, PAGE, two_views), words(), &options()).unwrap()
}

fn after_power_loss(store: &TestStore) -> u8 {
    let mapping = Double::new(&store.mapping().durable(), CAPACITY, PAGE, false);
    let again = Store::open_proven(mapping, words(), &options(), &mut Last, &mut []).unwrap();
    (&again.begin_read(0).unwrap()).root()[0]
}

fn barriers(store: &TestStore) -> u64 {
    store.mapping().barriers.load(Ordering::Relaxed)
}

/// Sets the root, with `redo` bytes of redo; the transaction has claimed `pages`.
fn change<'s>(store: &'s TestStore, value: u8, redo: usize, pages: usize) -> WriteTxn<'s> {
    let mut txn = store.begin_write().unwrap();
    let claimed: Vec<_> = (0..pages).map(|_| txn.claim().unwrap()).collect();
    claimed.into_iter().for_each(|page| txn.free(page).unwrap());
    txn.set_root(&[value; 64]);
    if redo > 0 {
        txn.redo(&[Part::Bytes(&vec![value; redo])]);
    }
    txn
}

/// Else whoever commits `Sync` after an `Eventual` commit, and has changed nothing, loses that one.
#[test]
fn an_empty_commit_makes_durable_what_was_committed_before() {
    for two_views in [false, true] {
        let store = created(two_views);
        change(&store, 7, 10, 1).commit(Durability::Eventual).unwrap();
        let before = (barriers(&store), store.stats().txn);
        store.begin_write().unwrap().commit(Durability::Eventual).unwrap();
        assert_eq!((barriers(&store), store.stats().txn), before, "nothing to do, nothing done");
        store.begin_write().unwrap().commit(Durability::Sync).unwrap();
        assert_eq!((barriers(&store), store.stats().txn), (before.0 + 1, before.1));
        assert_eq!(after_power_loss(&store), 7);
    }
}

/// Else a commit that may be lost would wait for the medium.
#[test]
fn an_eventual_commit_makes_no_barrier_however_large_its_redo() {
    let store = created(true);
    change(&store, 1, 10, 1).commit(Durability::Sync).unwrap();
    let before = barriers(&store);
    change(&store, 2, 3000, 1).commit(Durability::Eventual).unwrap();
    assert_eq!((barriers(&store), store.stats().log_commits), (before, 2));
}

/// Else a reader that asks beyond the end of the file, within what its state says, dies.
#[test]
fn the_file_is_not_cut_below_what_a_reader_takes_for_its_length() {
    let store = created(true);
    let mut txn = store.begin_write().unwrap();
    let many: Vec<PageId> = (0..500).map(|_| txn.claim().unwrap()).collect();
    txn.set_root(&[1; 64]);
    txn.commit(Durability::Sync).unwrap();
    let mut txn = store.begin_write().unwrap();
    many.iter().for_each(|page| txn.free(*page).unwrap());
    txn.set_root(&[2; 64]);
    txn.commit(Durability::Sync).unwrap();
    let reader = store.begin_read(0).unwrap();
    let pages = reader.page_count();
    let mut value = 2;
    while store.stats().page_count == pages {
        value += 1;
        change(&store, value, 0, 1).commit(Durability::Sync).unwrap();
    }
    for _ in 0..3 {
        value += 1;
        change(&store, value, 0, 1).commit(Durability::Sync).unwrap();
        assert!(store.mapping().len() >= u64::from(pages) * PAGE as u64, "cut below a reader");
    }
    drop(reader);
    change(&store, value + 1, 0, 1).commit(Durability::Sync).unwrap();
    assert!(store.mapping().len() < u64::from(pages) * PAGE as u64, "never cut");
    assert_eq!(after_power_loss(&store), value + 1);
}
