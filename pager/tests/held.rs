//! References into the write view while checkpoints and spills publish what is held there.

#![allow(unsafe_code)] // Implements the mapping contract by passing calls on.

mod double;

use double::Double;
use mapleaf_pager::{
    Bytes, Durability, Mapping, Options, PageId, Pages, Part, Result, Store, WriteTxn, words_for,
};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};

const PAGE: usize = 512;
const RING: u64 = 16 * 1024;

/// A mapping that does something right after it has published what was held.
struct Interrupted {
    inner: Double,
    after: Mutex<Option<Box<dyn FnOnce() + Send>>>,
    pressed: AtomicBool,
    /// What was answered to whoever publishes what is held a little at a time.
    asked: Mutex<Vec<bool>>,
    /// How often it says that too much is held.
    overladen: AtomicU32,
}

// SAFETY: passes every call on to a mapping that keeps the contract.
unsafe impl Mapping for Interrupted {
    fn base(&self) -> NonNull<u8> {
        self.inner.base()
    }
    fn write_base(&self) -> NonNull<u8> {
        self.inner.write_base()
    }
    fn len(&self) -> u64 {
        self.inner.len()
    }
    fn write_unit(&self) -> u32 {
        self.inner.write_unit()
    }
    fn claimed(&self, offset: u64) -> bool {
        self.inner.claimed(offset)
    }
    unsafe fn claim(&self, range: Bytes, keep: bool) -> Result<()> {
        // SAFETY: the caller's promise.
        unsafe { self.inner.claim(range, keep) }
    }
    unsafe fn discard(&self, range: Bytes) {
        // SAFETY: the caller's promise.
        unsafe { self.inner.discard(range) }
    }
    unsafe fn publish(&self, ranges: &[Bytes]) -> Result<()> {
        // SAFETY: the caller's promise.
        unsafe { self.inner.publish(ranges) }
    }
    unsafe fn hold(&self, range: Bytes) -> Result<()> {
        // SAFETY: the caller's promise.
        unsafe { self.inner.hold(range) }
    }
    fn held(&self, offset: u64) -> bool {
        self.inner.held(offset)
    }
    unsafe fn publish_held(&self, ranges: &[Bytes]) -> Result<()> {
        // SAFETY: the caller's promise.
        let published = unsafe { self.inner.publish_held(ranges) };
        if let Some(after) = self.after.lock().unwrap().take() {
            after();
        }
        published
    }
    unsafe fn publish_held_aside(
        &self,
        ranges: &[Bytes],
        pressed: &mut dyn FnMut() -> bool,
    ) -> Result<()> {
        self.asked.lock().unwrap().push(pressed());
        // SAFETY: the caller's promise.
        unsafe { self.publish_held(ranges) }
    }
    unsafe fn release_held(&self, unseen: &mut dyn FnMut(u64) -> bool) {
        // SAFETY: the caller's promise.
        unsafe { self.inner.release_held(unseen) }
    }
    unsafe fn flush(&self, ranges: &[Bytes]) -> Result<()> {
        // SAFETY: the caller's promise.
        unsafe { self.inner.flush(ranges) }
    }
    unsafe fn publish_and_flush(&self, range: Bytes) -> Result<()> {
        // SAFETY: the caller's promise.
        unsafe { self.inner.publish_and_flush(range) }
    }
    fn grow(&self, len: u64) -> Result<()> {
        self.inner.grow(len)
    }
    unsafe fn shrink(&self, len: u64) -> Result<()> {
        // SAFETY: the caller's promise.
        unsafe { self.inner.shrink(len) }
    }
    fn overladen(&self) -> bool {
        let less = |left: u32| left.checked_sub(1);
        self.overladen.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }
    fn pressure(&self) -> bool {
        self.pressed.swap(false, Ordering::Relaxed)
    }
}

type TestStore = Store<Interrupted, Box<[AtomicU32]>>;

fn created() -> TestStore {
    let words: Box<[AtomicU32]> = (0..words_for(4)).map(|_| AtomicU32::new(0)).collect();
    let options = Options::default().page_size(PAGE as u32).log_bytes(RING, RING);
    let mapping = Interrupted {
        inner: Double::new(&[], 4096 * PAGE, PAGE, true),
        after: Mutex::new(None),
        pressed: AtomicBool::new(false),
        asked: Mutex::new(Vec::new()),
        overladen: AtomicU32::new(0),
    };
    Store::create(mapping, words, &options).unwrap()
}

/// Commits a page full of `value` through the log; the page.
fn commit(store: &TestStore, value: u8) -> PageId {
    commit_in(store, store.begin_write().unwrap(), value)
}

fn commit_in(store: &TestStore, mut txn: WriteTxn<'_>, value: u8) -> PageId {
    let page = txn.claim().unwrap();
    // So that the log is the cheaper way.
    let run = txn.claim_run(4 * PAGE as u64).unwrap();
    txn.free_run(run).unwrap();
    let ([], [bytes]) = txn.edit([], [page]).unwrap();
    bytes[0] = 2;
    bytes[16..].fill(value);
    let mut root = [0; 64];
    root[0] = value;
    txn.set_root(&root);
    txn.redo(&[Part::Bytes(&[value; 10])]);
    let logged = store.stats().log_commits;
    txn.commit(Durability::Sync).unwrap();
    assert_eq!(store.stats().log_commits, logged + 1, "not logged");
    page
}

fn all(bytes: &[u8], value: u8) -> bool {
    bytes[16..].iter().all(|byte| *byte == value)
}

/// Else a lookup in a write transaction could see zeros, and a page be copied from them.
#[test]
fn what_a_write_transaction_reads_survives_a_checkpoint() {
    let store = created();
    let page = commit(&store, 7);
    let txn = store.begin_write().unwrap();
    let slice = (&txn).page(page).unwrap();
    assert!(all(slice, 7));
    store.checkpoint().unwrap();
    assert!(all(slice, 7), "changed under a live slice: {:x}", slice[20]);
    drop(txn);
    store.checkpoint().unwrap();
    assert!(all((&store.begin_read(0).unwrap()).page(page).unwrap(), 7));
}

/// Else a load through long transactions would keep what it has written twice and three times over: a checkpoint
/// that ends within one can let go of nothing. And readers would see zeros if their pages went too.
#[test]
fn a_commit_lets_go_of_what_only_its_transaction_kept() {
    let store = created();
    let seen = commit(&store, 7);
    let snapshot = store.begin_read(0).unwrap();
    let slice = (&snapshot).page(seen).unwrap();
    commit(&store, 8);
    let txn = store.begin_write().unwrap();
    store.checkpoint().unwrap();
    let kept = store.mapping().inner.retired();
    assert!(kept >= 2, "{kept}");
    store.mapping().overladen.store(1, Ordering::Relaxed);
    commit_in(&store, txn, 9);
    let left = store.mapping().inner.retired();
    assert!((1..kept).contains(&left), "{left} of {kept} kept");
    assert!(all(slice, 7), "changed under a live slice: {:x}", slice[20]);
    drop(snapshot);
    store.mapping().overladen.store(1, Ordering::Relaxed);
    commit(&store, 10);
    assert_eq!(store.mapping().inner.retired(), 0);
}

/// Else a publication that fails in the middle would leave a large value in two views, and readers its first part only.
#[test]
fn runs_are_published_by_the_commit_that_wrote_them_wherever_they_lie() {
    const RUN_BYTES: u64 = 3 * PAGE as u64;
    for between in [0, 1, 2] {
        let store = created();
        let mut txn = store.begin_write().unwrap();
        let spare = txn.claim_run(60 * PAGE as u64).unwrap();
        let (mut runs, mut single) = (Vec::new(), None);
        for _ in 0..3 {
            runs.push(txn.claim_run(RUN_BYTES).unwrap());
            for _ in 0..between {
                single = Some(txn.claim().unwrap());
            }
        }
        // So that the log is the cheaper way.
        txn.free_run(spare).unwrap();
        txn.set_root(&[1; 64]);
        txn.redo(&[Part::Bytes(&[1; 10])]);
        txn.commit(Durability::Sync).unwrap();
        assert_eq!(store.stats().log_commits, 1, "not logged");
        let held = |page: u32| store.mapping().held(u64::from(page) * PAGE as u64);
        assert!(single.is_none_or(|page| held(page.0)), "pages wait");
        for run in &runs {
            let pages = run.0..run.0 + 4;
            assert!(pages.clone().all(|page| !held(page)), "{pages:?} of {runs:?}, {between}");
        }
    }
}

/// Else a reader could see zeros when a transaction larger than memory is written beside a checkpoint.
#[test]
fn what_a_reader_sees_survives_a_spill_beside_a_checkpoint() {
    // For as long as what its mapping calls.
    static STORE: OnceLock<TestStore> = OnceLock::new();
    let store = STORE.get_or_init(created);
    let page = commit(store, 7);
    let snapshot = store.begin_read(0).unwrap();
    let slice = (&snapshot).page(page).unwrap();
    let mut txn = store.begin_write().unwrap();
    let (begin, begun) = std::sync::mpsc::channel();
    *store.mapping().after.lock().unwrap() = Some(Box::new(move || {
        let checkpoint = std::thread::spawn(move || store.checkpoint());
        begin.send(checkpoint).unwrap();
        // Time for it to do what it must not do yet. (A test that ends early passes; none fails.)
        std::thread::sleep(std::time::Duration::from_millis(50));
    }));
    store.mapping().pressed.store(true, Ordering::Relaxed);
    txn.claim().unwrap();
    assert_eq!(store.stats().spills, 1);
    assert!(all(slice, 7), "changed under a live slice: {:x}", slice[20]);
    let _ = begun.recv().unwrap().join().unwrap();
    assert!(all(slice, 7), "changed under a live slice: {:x}", slice[20]);
}

/// Else a full disk, or a damaged list of free pages, would keep every close from being clean.
#[test]
fn closing_does_without_trimming_where_it_must() {
    let store = created();
    double::stores::emptied(&store);
    store.checkpoint().unwrap();
    store.mapping().inner.fail_publish.store(true, Ordering::Relaxed);
    assert_eq!(store.close(), Ok(()));
    assert_eq!(store.stats().synced, store.stats().txn);
}

/// Else closing a small store would try 64 times, and gain nothing.
#[test]
fn closing_cuts_pages_that_only_the_inline_lists_hold() {
    let store = created();
    let mut txn = store.begin_write().unwrap();
    let pages: Vec<_> = (0..60).map(|_| txn.claim().unwrap()).collect();
    txn.set_root(&[1; 64]);
    txn.commit(Durability::Sync).unwrap();
    let mut txn = store.begin_write().unwrap();
    pages[8..].iter().for_each(|page| txn.free(*page).unwrap());
    txn.set_root(&[2; 64]);
    txn.commit(Durability::Sync).unwrap();
    let (before, barriers) =
        (store.stats(), store.mapping().inner.barriers.load(Ordering::Relaxed));
    store.close().unwrap();
    let barriers = store.mapping().inner.barriers.load(Ordering::Relaxed) - barriers;
    assert!(store.stats().page_count + 30 < before.page_count, "{:?}", store.stats());
    assert!(barriers <= 16, "{barriers} barriers");
}

/// Else commits would wait for a full log while the checkpoint that empties it takes its time, or each commit's
/// barrier for all that a checkpoint writes.
#[test]
fn a_checkpoint_beside_commits_takes_its_time_until_the_log_is_three_quarters_full() {
    let store = created();
    let asked = || std::mem::take(&mut *store.mapping().asked.lock().unwrap());
    commit(&store, 1);
    store.checkpoint().unwrap();
    assert_eq!(asked(), [], "who asks for a checkpoint waits for it");
    commit(&store, 2);
    let txn = store.checkpoint_aside().unwrap();
    assert_eq!((asked(), store.stats().checkpoint), (vec![false], txn));
    while store.stats().log_used_bytes <= RING / 4 * 3 {
        commit(&store, 3);
        assert_eq!(store.stats().checkpoint, txn, "the log had no room");
    }
    store.checkpoint_aside().unwrap();
    assert_eq!(asked(), [true]);
}
