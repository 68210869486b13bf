//! What a mapping says of memory, and of what was lost of it, reaches whoever reads in a write transaction.

#![allow(unsafe_code)] // Implements the mapping contract by passing calls on.

mod double;

use double::stores::{CAPACITY, PAGE, created as created_in_memory, options};
use double::{Double, words};
use mapleaf_pager::{Bytes, Durability, Error, Mapping, PageId, Pages, Result, Store};
use std::ptr::NonNull;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// A mapping larger than memory of which nothing is in memory, on a medium that may lose what was read.
struct Cold {
    inner: Double,
    /// Where a byte was lost.
    lost: AtomicU64,
    /// What was read together, and what was waited for.
    fetched: Mutex<Vec<Bytes>>,
    read_in: Mutex<Vec<Bytes>>,
}

// SAFETY: passes every call on to a mapping that keeps the contract.
unsafe impl Mapping for Cold {
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
        unsafe { self.inner.publish_held(ranges) }
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
    fn resident(&self, _: Bytes) -> bool {
        false
    }
    fn sparse(&self) -> bool {
        true
    }
    fn prefetch(&self, ranges: &[Bytes]) {
        self.fetched.lock().unwrap().extend_from_slice(ranges);
    }
    fn prefault(&self, range: Bytes) -> Result<()> {
        self.read_in.lock().unwrap().push(range);
        Ok(())
    }
    fn guarded(&self) -> bool {
        true
    }
    fn probe(&self, range: Bytes) -> Result<()> {
        let lost = range.contains(&self.lost.load(Ordering::Relaxed));
        if lost { Err(Error::Io { code: 5 }) } else { Ok(()) }
    }
}

/// A store with a page and a run of `LEN` bytes.
fn created(two_views: bool) -> (Store<Cold, Box<[AtomicU32]>>, PageId, PageId) {
    let mapping = Cold {
        inner: Double::new(&[], CAPACITY, PAGE, two_views),
        lost: AtomicU64::new(u64::MAX),
        fetched: Mutex::new(Vec::new()),
        read_in: Mutex::new(Vec::new()),
    };
    let store = Store::create(mapping, words(), &options()).unwrap();
    let mut txn = store.begin_write().unwrap();
    let (page, run) = (txn.claim().unwrap(), txn.claim_run(LEN).unwrap());
    txn.edit([], [page]).unwrap().1[0][0] = 2;
    txn.run_mut(run).unwrap().fill(7);
    txn.set_root(&[1; 64]);
    txn.commit(Durability::Sync).unwrap();
    store.checkpoint().unwrap();
    (store, page, run)
}

const LEN: u64 = 3 * PAGE as u64;

fn range(page: PageId) -> Bytes {
    let start = u64::from(page.0) * PAGE as u64;
    start..start + PAGE as u64
}

/// Else each descent in a small store would cost a system call that gains nothing.
#[test]
fn a_transaction_in_memory_has_nothing_read_together() {
    let store = created_in_memory(true);
    let txn = store.begin_write().unwrap();
    assert!(!(&txn).sparse() && (&txn).resident(PageId(2), 1));
}

/// Else a transaction over a file larger than memory would read its pages one after the other, or believe them to be
/// in memory and wait where it must not.
#[test]
fn a_transaction_says_of_its_pages_what_the_mapping_says() {
    for two_views in [false, true] {
        let (store, page, run) = created(two_views);
        let mut txn = store.begin_write().unwrap();
        let own = txn.claim().unwrap();
        txn.edit([], [own]).unwrap().1[0][0] = 2;
        assert_eq!(((&txn).page_size(), (&txn).txn()), (PAGE, txn.id()));
        assert!((&txn).sparse());
        assert!(!(&txn).resident(page, 1) && !(&txn).resident(run, 3));
        assert_eq!((&txn).resident(own, 1), two_views, "what it builds is in memory");
        assert!((&txn).resident(PageId(u32::MAX), 1), "reading it is an error at once");
        store.mapping().fetched.lock().unwrap().clear();
        (&txn).fetch(&[page, run, PageId(u32::MAX)]);
        assert_eq!(*store.mapping().fetched.lock().unwrap(), [range(page), range(run)]);
        (&txn).read_in(page).unwrap();
        (&txn).read_in(PageId(u32::MAX)).unwrap();
        assert_eq!(*store.mapping().read_in.lock().unwrap(), [range(page)]);
    }
}

/// Else zeros would be lent in place of what the medium has lost.
#[test]
fn what_the_medium_has_lost_is_not_lent() {
    for two_views in [false, true] {
        let (store, page, run) = created(two_views);
        let txn = store.begin_write().unwrap();
        assert!((&txn).page(page).is_ok());
        assert!((&txn).run(run, LEN).unwrap().iter().all(|byte| *byte == 7));
        let lost = |offset: u64| store.mapping().lost.store(offset, Ordering::Relaxed);
        lost(range(page).end - 1);
        assert_eq!((&txn).page(page).err(), Some(Error::Io { code: 5 }));
        assert!((&txn).run(run, LEN).is_ok());
        for at in 0..3 {
            lost(range(PageId(run.0 + at)).start);
            assert_eq!((&txn).run(run, LEN).err(), Some(Error::Io { code: 5 }));
            assert!((&txn).page(page).is_ok());
        }
    }
}
