//! Readers, a writer and a checkpointing thread on one store.
//!
//! Invariants checked: a snapshot's pages all hold its own transaction's mark for as long as it lives;
//! transactions never go back; after the last commit a power loss leaves a state that was committed.

mod double;

use double::Double;
use mapleaf_pager::{
    Durability, Error, Inspection, Options, PageId, Pages, Part, Redo, RedoLog, Replay, Result,
    Snapshot, Store, WriteTxn, first_touch_words_for, words_for,
};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

const PAGE: usize = 512;
const PAGES: usize = 12;
const COMMITS: u64 = 3000;
/// Pages that there is a bit for: what readers and the writer set and clear.
const TOUCHED: u32 = 512;

type TestStore = Store<Double, Box<[AtomicU32]>>;

/// Stores `mark` on every page that the root data names, copying each.
fn mark_all(txn: &mut WriteTxn<'_>, mark: u64) -> Result<()> {
    let mut root = *(&*txn).root();
    for slot in root.as_chunks_mut::<4>().0.iter_mut().take(PAGES) {
        let old = PageId(u32::from_le_bytes(*slot));
        let page = if old.is_none() { txn.claim()? } else { txn.own(old)? };
        let ([], [bytes]) = txn.edit([], [page])?;
        for chunk in bytes[16..].as_chunks_mut::<8>().0 {
            *chunk = mark.to_le_bytes();
        }
        *slot = page.0.to_le_bytes();
    }
    root[60..].copy_from_slice(&(mark as u32).to_le_bytes());
    txn.set_root(&root);
    txn.redo(&[Part::Bytes(&mark.to_le_bytes())]);
    Ok(())
}

/// The one mark of the snapshot.
fn mark_of(snapshot: &Snapshot<'_>) -> u64 {
    let root = snapshot.root();
    let mark = u64::from(u32::from_le_bytes(root[60..].try_into().unwrap()));
    for slot in root.as_chunks::<4>().0.iter().take(PAGES) {
        let page = PageId(u32::from_le_bytes(*slot));
        if page.is_some() {
            snapshot.verify(page).unwrap();
            let bytes = snapshot.page(page).unwrap();
            assert!(
                bytes[16..].as_chunks::<8>().0.iter().all(|chunk| *chunk == mark.to_le_bytes())
            );
        }
    }
    mark
}

struct Marks;

impl Replay for Marks {
    fn replay<'s>(&mut self, mut txn: WriteTxn<'s>, log: RedoLog<'s>) -> Result<WriteTxn<'s>> {
        for step in log {
            if let Redo::Record(record) = step? {
                mark_all(&mut txn, u64::from_le_bytes(record.try_into().unwrap()))?;
            }
        }
        Ok(txn)
    }

    fn prove(&mut self, _inspection: &Inspection<'_>, _work: &mut [u8]) -> Result<()> {
        Ok(())
    }
}

fn words() -> Box<[AtomicU32]> {
    (0..words_for(8) + first_touch_words_for(TOUCHED)).map(|_| AtomicU32::new(0)).collect()
}

fn write(store: &TestStore) {
    for mark in 1..=COMMITS {
        let mut txn = store.begin_write().unwrap();
        mark_all(&mut txn, mark).unwrap();
        let durability = if mark % 5 == 0 { Durability::Sync } else { Durability::Eventual };
        txn.commit(durability).unwrap();
    }
}

fn read(store: &TestStore, hint: usize, over: &AtomicBool) -> u64 {
    let (mut newest, mut seen, mut held) = (0, 0, Vec::new());
    while !over.load(Ordering::Acquire) || seen == 0 {
        let snapshot = store.begin_read(hint).unwrap();
        let mark = mark_of(&snapshot);
        assert!(mark >= newest, "went back from {newest} to {mark}");
        newest = mark;
        seen += 1;
        held.push((snapshot, mark));
        if held.len() > 1 {
            // An older snapshot still says what it said.
            let (old, said) = held.remove(0);
            assert_eq!(mark_of(&old), said);
        }
    }
    newest
}

fn campaign(two_views: bool) {
    let options = Options::default().page_size(PAGE as u32).log_bytes(8 * 1024, 64 * 1024);
    let options = options.first_touch(TOUCHED);
    let mapping = Double::new(&[], 65_536 * PAGE, PAGE, two_views);
    let store: TestStore = Store::create(mapping, words(), &options).unwrap();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for hint in 0..2 {
            let (store, over) = (&store, &over);
            scope.spawn(move || read(store, hint, over));
        }
        scope.spawn(|| {
            while !over.load(Ordering::Acquire) {
                match store.checkpoint() {
                    Ok(_) | Err(Error::CheckpointBusy) => {}
                    Err(error) => panic!("{error}"),
                }
                std::thread::yield_now();
            }
        });
        write(&store);
        over.store(true, Ordering::Release);
    });
    assert_eq!(mark_of(&store.begin_read(0).unwrap()), COMMITS);
    // Without reuse there would be twelve pages a commit.
    assert!(u64::from(store.stats().page_count) < COMMITS * 6, "{:?}", store.stats());
    let image = store.mapping().durable();
    let mapping = Double::new(&image, 65_536 * PAGE, PAGE, two_views);
    // SAFETY: written by the store above.
    let after = unsafe { Store::open(mapping, words(), &options, &mut Marks) }.unwrap();
    assert_eq!(mark_of(&after.begin_read(0).unwrap()), COMMITS);
}

#[test]
fn one_view() {
    campaign(false);
}

#[test]
fn two_views() {
    campaign(true);
}

#[test]
fn what_a_write_transaction_has_read_stays_while_a_checkpoint_runs() {
    let options = Options::default().page_size(PAGE as u32).log_bytes(8 * 1024, 64 * 1024);
    let store: TestStore =
        Store::create(Double::new(&[], 4096 * PAGE, PAGE, true), words(), &options).unwrap();
    let mut txn = store.begin_write().unwrap();
    mark_all(&mut txn, 1).unwrap();
    txn.commit(Durability::Eventual).unwrap();
    // Held in the write view: the transaction refers to it there, and no reader does.
    let txn = store.begin_write().unwrap();
    let page = PageId(u32::from_le_bytes(*(&txn).root().first_chunk().unwrap()));
    let bytes = (&txn).page(page).unwrap();
    let before = bytes.to_vec();
    for _ in 0..2 {
        std::thread::scope(|scope| scope.spawn(|| store.checkpoint().unwrap()).join().unwrap());
        assert!(bytes == before, "memory of the page was given away");
    }
    drop(txn);
    // And it is given away afterwards.
    let mut txn = store.begin_write().unwrap();
    mark_all(&mut txn, 2).unwrap();
    txn.commit(Durability::Eventual).unwrap();
    store.checkpoint().unwrap();
    assert_eq!(mark_of(&store.begin_read(0).unwrap()), 2);
}

#[test]
fn handles_move_between_threads() {
    fn send<T: Send>() {}
    fn sync<T: Sync>() {}
    send::<WriteTxn<'_>>();
    send::<Snapshot<'_>>();
    sync::<Snapshot<'_>>();
    send::<TestStore>();
    sync::<TestStore>();
}
