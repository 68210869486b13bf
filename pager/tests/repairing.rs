//! Repair, step by step: what it says before it changes anything, and what it leaves.
//!
//! Each test is there since a change of the code went unnoticed without it: `docs/mutants.md`.

mod double;

use double::{Double, Last, Nothing, Shared, words};
use mapleaf_pager::{
    Damage, Durability, Error, Options, PageId, Pages, Part, Repair, Store, WriteTxn,
};
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

const PAGE: usize = 512;
const CAPACITY: usize = 8192 * PAGE;
const RING: u64 = 4096;
/// Transactions that an opening skips.
const GAP: u64 = 1 << 32;

/// Fields of a meta: docs/format.md.
const FLAGS: usize = 54;
const EPOCH: usize = 72;
const TXN: usize = 80;
const RING_START: usize = 88;
const RING_PAGES: usize = 92;
const SALT: usize = 96;
const PAGE_COUNT: usize = 256;

type TestStore = Store<Double, Box<[AtomicU32]>>;

fn options(ring_max: u64) -> Options {
    Options::default().page_size(PAGE as u32).log_bytes(RING, ring_max)
}

fn over(image: &[u8]) -> Double {
    Double::new(image, CAPACITY, PAGE, false)
}

fn u32_at(image: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(image[at..at + 4].try_into().unwrap())
}

fn u64_at(image: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(image[at..at + 8].try_into().unwrap())
}

/// Where the newest meta begins; of two with the same state the clean one.
fn newest(image: &[u8]) -> usize {
    let state = |slot: usize| (u64_at(image, slot * PAGE + TXN), image[slot * PAGE + FLAGS] & 1);
    if state(0) >= state(1) { 0 } else { PAGE }
}

/// Sets the root; has claimed a page, so that the log is the shorter way.
fn begin(store: &TestStore, root: u8) -> WriteTxn<'_> {
    let mut txn = store.begin_write().unwrap();
    let page = txn.claim().unwrap();
    txn.free(page).unwrap();
    txn.set_root(&[root; 64]);
    txn.redo(&[Part::Bytes(&[root])]);
    txn
}

/// Claims so many bytes, and commits that by a checkpoint.
fn claim(store: &TestStore, bytes: u64) -> PageId {
    let mut txn = store.begin_write().unwrap();
    let run = txn.claim_run(bytes).unwrap();
    txn.set_root(&[1; 64]);
    txn.commit(Durability::Sync).unwrap();
    run
}

/// A store whose process has died: a checkpoint, and so many commits behind it in the log.
fn died(log_commits: u8) -> Vec<u8> {
    let store = Store::create(over(&[]), words(), &options(RING)).unwrap();
    let run = claim(&store, 20_000);
    let mut txn = begin(&store, 2);
    txn.free_run(run).unwrap();
    txn.commit(Durability::Sync).unwrap();
    store.checkpoint().unwrap();
    for root in 0..log_commits {
        begin(&store, 3 + root).commit(Durability::Sync).unwrap();
    }
    let logged = store.stats().log_commits;
    assert!(logged >= u32::from(log_commits), "{logged}");
    store.mapping().durable()
}

/// Whoever decides about a repair by what it says must be told what is so.
#[test]
fn what_a_repair_says_before_it_changes_anything() {
    let image = died(3);
    let repair = Repair::open(over(&image), words(), &options(RING)).unwrap();
    assert_eq!(repair.pending_blocks(), 3);
    assert_eq!(repair.page_size(), PAGE);
    assert_eq!(repair.mapped_pages() as usize, image.len() / PAGE);
    assert_eq!((repair.metas_whole(), repair.space_error()), ([true; 2], None));

    // As long as it says, and not a page longer.
    let pages = u32_at(&image, newest(&image) + PAGE_COUNT);
    let whole = &image[..pages as usize * PAGE];
    let repair = Repair::open(over(whole), words(), &options(RING)).unwrap();
    assert_eq!((repair.mapped_pages(), repair.space_error()), (pages, None));
    let cut = &image[..(pages as usize - 1) * PAGE];
    let repair = Repair::open(over(cut), words(), &options(RING)).unwrap();
    let missing = Error::corrupt(PageId(pages - 1), Damage::CutOff);
    assert_eq!((repair.mapped_pages(), repair.space_error()), (pages - 1, Some(missing)));
}

/// Repairs what a death has left, freeing nothing.
fn repaired(image: &[u8], options: &Options, close: bool) -> Vec<u8> {
    let mapping = Arc::new(over(image));
    let mut repair = Repair::open(Shared(mapping.clone()), words(), options).unwrap();
    repair.replay(&mut Last).unwrap();
    let (snapshot, made) = repair.rebuild().unwrap();
    let (root, before) = (*(&snapshot).root(), snapshot.txn());
    let txn = made.commit().unwrap();
    assert!(txn.0 >= before.0 + GAP, "{txn} behind {before}");
    drop(snapshot);
    if close {
        repair.close().unwrap();
    }
    let image = mapping.durable();
    assert_eq!(u64_at(&image, newest(&image) + TXN), txn.0);
    assert_eq!(image[newest(&image) + 128..newest(&image) + 192], root);
    image
}

/// Else what the old state has left in the log, or what is written after a copy of it, could be taken for
/// what follows the new one.
#[test]
fn what_is_repaired_has_a_salt_an_epoch_and_numbers_of_its_own() {
    for log_commits in [0, 2] {
        let before = died(log_commits);
        let after = repaired(&before, &options(RING), false);
        let (old, new) = (newest(&before), newest(&after));
        assert_ne!(u64_at(&after, new + SALT), u64_at(&before, old + SALT));
        let epochs = (u64_at(&before, old + EPOCH), u64_at(&after, new + EPOCH));
        assert_eq!(epochs.1, epochs.0 + 1, "{log_commits} commits in the log");
    }
}

/// Else the first opening behind a repair would look for a log, and one torn meta would cost the store.
#[test]
fn both_metas_of_a_repaired_store_have_its_state_and_one_the_clean_mark() {
    let image = repaired(&died(2), &options(RING), true);
    assert_eq!(u64_at(&image, TXN), u64_at(&image, PAGE + TXN));
    assert_eq!((image[FLAGS] | image[PAGE + FLAGS]) & 1, 1);
    let store =
        Store::open_proven(over(&image), words(), &options(RING), &mut Nothing, &mut []).unwrap();
    assert_eq!((&store.begin_read(0).unwrap()).root()[0], 4, "the log's last");
}

/// What a repair opens may lie in the page cache only. Before it stores anything else it must be on the
/// medium, or a power loss while the other meta is stored leaves none.
#[test]
fn a_repair_makes_the_state_durable_that_it_begins_with() {
    let image = died(0);
    let chosen = newest(&image);
    // The medium missed the last checkpoint's meta.
    let mut durable = image.clone();
    durable[chosen..chosen + PAGE].fill(0);
    let mapping = Arc::new(over(&image).over(durable));
    let mut repair = Repair::open(Shared(mapping.clone()), words(), &options(RING)).unwrap();
    let begun = repair.rebuild().unwrap();
    assert!(mapping.durable()[chosen..chosen + PAGE] == image[chosen..chosen + PAGE]);
    drop(begun);
}

/// A store that has outgrown its ring, which is not moved yet: for want of permission.
fn outgrown() -> Vec<u8> {
    let store = Store::create(over(&[]), words(), &options(RING)).unwrap();
    for _ in 0..4 {
        claim(&store, 512 << 10);
    }
    store.mapping().durable()
}

fn ring(image: &[u8]) -> (u32, u32) {
    let newest = newest(image);
    (u32_at(image, newest + RING_START), u32_at(image, newest + RING_PAGES))
}

/// A larger ring would take pages whose being free is what the repair finds out.
#[test]
fn a_repair_leaves_the_log_where_it_is() {
    let before = outgrown();
    let after = repaired(&before, &options(64 * RING), false);
    assert_eq!(ring(&after), ring(&before));
}

/// The page before the log is a page like any other.
#[test]
fn pages_beside_a_log_that_has_moved_are_freed() {
    let image = outgrown();
    let store =
        Store::open_proven(over(&image), words(), &options(64 * RING), &mut Nothing, &mut [])
            .unwrap();
    claim(&store, 512 << 10);
    let image = store.mapping().durable();
    let (start, pages) = ring(&image);
    assert!(start > 2 && u64::from(pages) * PAGE as u64 > RING, "{start}, {pages}: has not moved");
    let mut repair = Repair::open(over(&image), words(), &options(RING)).unwrap();
    let (_, mut rebuild) = repair.rebuild().unwrap();
    assert_eq!(rebuild.fixed(), [0..2, start..start + pages]);
    rebuild.free(PageId(start - 1), 1).unwrap();
    rebuild.free(PageId(start + pages), 1).unwrap();
    let shared = |page| Err(Error::corrupt(PageId(page), Damage::Shared));
    assert_eq!(rebuild.free(PageId(start - 2), 3), shared(start - 2));
    assert_eq!(rebuild.free(PageId(start + pages - 1), 1), shared(start + pages - 1));
}

/// Else a repair would leave the file as long as it was, for good: what it has found free, nobody would use.
#[test]
fn what_a_repair_frees_is_free() {
    let mapping = Arc::new(over(&outgrown()));
    let mut repair = Repair::open(Shared(mapping.clone()), words(), &options(RING)).unwrap();
    let (snapshot, mut rebuild) = repair.rebuild().unwrap();
    let end = rebuild.page_count();
    rebuild.free(PageId(end - 1500), 1000).unwrap();
    rebuild.commit().unwrap();
    drop(snapshot);
    let image = mapping.durable();
    let store =
        Store::open_proven(over(&image), words(), &options(RING), &mut Nothing, &mut []).unwrap();
    assert_eq!(store.stats().free_pages, 1000);
    let claimed = claim(&store, 256 << 10);
    assert!((end - 1500..end - 500).contains(&claimed.0), "{claimed}");
}
