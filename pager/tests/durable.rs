//! What is made durable before the first change, and what a checkpoint that is done no longer holds back.
//!
//! Each test is there since a change of the code went unnoticed without it: `docs/mutants.md`.

mod double;

use double::stores::{CAPACITY, PAGE, TestStore, created, options};
use double::{Call, Double, Last, words};
use mapleaf_pager::{
    Bytes, Durability, Inspection, PageId, Part, Redo, RedoLog, Replay, Result, Store, WriteTxn,
};
use std::sync::{Arc, Mutex};

/// Replaces all pages of the state; without redo, so that it is a checkpoint.
fn replace(store: &TestStore, live: &mut Vec<PageId>, value: u8) {
    let mut txn = store.begin_write().unwrap();
    let new: Vec<PageId> = live.iter().map(|_| txn.claim().unwrap()).collect();
    live.iter().for_each(|page| txn.free(*page).unwrap());
    txn.set_root(&[value; 64]);
    txn.commit(Durability::Sync).unwrap();
    *live = new;
}

/// Else the first meta of a new opening could tear the one that the medium has, while the one that was opened is in
/// the page cache only: a power failure then leaves none.
#[test]
fn what_only_the_page_cache_has_is_made_durable_before_a_meta_is_written_over() {
    for two_views in [false, true] {
        let store = created(two_views);
        let mut live = vec![
            store
                .begin_write()
                .map(|mut txn| {
                    let page = txn.claim().unwrap();
                    txn.set_root(&[1; 64]);
                    txn.commit(Durability::Sync).unwrap();
                    page
                })
                .unwrap(),
        ];
        let before = store.mapping().durable();
        replace(&store, &mut live, 2);
        let newer = {
            let now = store.mapping().published();
            let at = [0, PAGE].into_iter().find(|at| now[*at..][..PAGE] != before[*at..][..PAGE]);
            at.expect("a meta was stored") as u64
        };
        for blocks in [0, 1] {
            if blocks > 0 {
                let mut txn = store.begin_write().unwrap();
                txn.redo(&[Part::Bytes(&[3; 10])]);
                txn.set_root(&[3; 64]);
                txn.commit(Durability::Eventual).unwrap();
            }
            // The page cache has the second checkpoint, and the block; the medium all but the meta and that.
            let (cache, mut medium) = (store.mapping().published(), before.clone());
            medium.resize(cache.len(), 0);
            let mapping = Double::new(&cache, CAPACITY, PAGE, two_views).over(medium);
            let stored = Arc::new(Mutex::new(Vec::new()));
            let noted = Arc::clone(&stored);
            let hook = move |call: Call, range: &Bytes| {
                if call == Call::PublishAndFlush {
                    noted.lock().unwrap().push(range.start);
                }
            };
            assert!(mapping.hook.set(Box::new(hook)).is_ok());
            let again: TestStore =
                Store::open_proven(mapping, words(), &options(), &mut Last, &mut []).unwrap();
            assert_eq!(again.stats().replayed_blocks, blocks);
            drop(again.begin_write().unwrap());
            assert_eq!(stored.lock().unwrap()[..2], [newer, newer ^ PAGE as u64]);
        }
    }
}

/// Else the pages of one checkpoint would be kept until the next one of its kind, and the file be half as large again.
#[test]
fn a_checkpoint_that_is_done_and_replaced_holds_no_pages_back() {
    for two_views in [false, true] {
        let store = created(two_views);
        let mut txn = store.begin_write().unwrap();
        let mut live: Vec<PageId> = (0..500).map(|_| txn.claim().unwrap()).collect();
        txn.set_root(&[1; 64]);
        txn.redo(&[mapleaf_pager::Part::Bytes(&[1; 10])]);
        txn.commit(Durability::Eventual).unwrap();
        store.checkpoint().unwrap();
        for value in 2..7 {
            replace(&store, &mut live, value);
        }
        let pages = store.stats().page_count;
        assert!(pages < 2 * 500 + 200, "{pages} pages for two states of 500");
    }
}

/// All records of the log, as they are replayed.
#[derive(Default)]
struct Records(Vec<Vec<u8>>);

impl Replay for Records {
    fn replay<'s>(&mut self, txn: WriteTxn<'s>, log: RedoLog<'s>) -> Result<WriteTxn<'s>> {
        for step in log {
            if let Redo::Record(record) = step? {
                self.0.push(record.to_vec());
            }
        }
        Ok(txn)
    }

    fn prove(&mut self, _: &Inspection<'_>, _: &mut [u8]) -> Result<()> {
        Ok(())
    }
}

/// Else a power failure would take what a transaction did before its block came to the ring's end.
#[test]
fn a_block_that_moves_to_the_rings_start_takes_its_records_along() {
    for two_views in [false, true] {
        let store = created(two_views);
        let log_bytes = u64::from(store.stats().log_pages) * PAGE as u64;
        let block = |sizes: &[u64]| {
            let mut txn = store.begin_write().unwrap();
            let records = (1u8..).zip(sizes).map(|(value, len)| vec![value; *len as usize]);
            let records: Vec<Vec<u8>> = records.collect();
            records.iter().for_each(|record| txn.redo(&[Part::Bytes(record)]));
            txn.set_root(&[sizes.len() as u8; 64]);
            txn.commit(Durability::Eventual).unwrap();
            records
        };
        // Most of the ring in blocks of which each may have half, none of it needed any more.
        block(&[log_bytes / 8 * 3]);
        block(&[log_bytes / 8 * 3 - 50, 50]);
        store.checkpoint().unwrap();
        let wanted = block(&[log_bytes / 9, log_bytes / 10, log_bytes / 11, 0]);
        assert!(store.stats().log_used_bytes > log_bytes / 2, "it lies at the ring's start");
        store.sync().unwrap();
        let mut found = Records::default();
        let image = Double::new(&store.mapping().durable(), CAPACITY, PAGE, two_views);
        Store::open_proven(image, words(), &options(), &mut found, &mut []).unwrap();
        assert_eq!(found.0, wanted);
    }
}
