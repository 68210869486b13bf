//! Calls that must not be answered: what a wrong tree layer, or a wrong caller, could ask for.

#![allow(unsafe_code)] // `Store::open_in` over a file that was made a moment before.

mod double;

use double::{Double, Nothing, words};
use mapleaf_pager::{
    Advice, Damage, Durability, Error, Options, PageId, Pages, Part, Repair, SliceMapping, Store,
    Unsupported,
};
use std::sync::atomic::Ordering;

const PAGE: usize = 512;
const CAPACITY: usize = 512 * PAGE;

fn options(log_bytes: u64) -> Options {
    Options::default().page_size(PAGE as u32).log_bytes(log_bytes, log_bytes)
}

fn medium(image: &[u8]) -> Double {
    Double::new(image, CAPACITY, PAGE, false)
}

/// No way leads to bytes that a snapshot may hold: this is what `&mut [u8]` rests on.
#[test]
fn a_transaction_lends_no_page_that_is_not_its_own() {
    let store = Store::create(medium(&[]), words(), &options(0)).unwrap();
    let mut txn = store.begin_write().unwrap();
    let (page, run) = (txn.claim().unwrap(), txn.claim_run(2000).unwrap());
    txn.edit([], [page]).unwrap().1[0][16..].fill(1);
    txn.run_mut(run).unwrap().fill(2);
    txn.commit(Durability::Sync).unwrap();
    let snapshot = store.begin_read(0).unwrap();

    let mut txn = store.begin_write().unwrap();
    let mine = txn.claim().unwrap();
    assert_eq!(txn.edit([], [page]).err(), Some(Error::InvalidArgument));
    assert_eq!(txn.edit([], [mine, mine]).err(), Some(Error::InvalidArgument));
    assert_eq!(txn.edit([mine], [mine]).err(), Some(Error::InvalidArgument));
    assert_eq!(txn.edit_own(page), Ok(None));
    assert_eq!(txn.edit_own(run), Ok(None));
    assert_eq!(txn.edit_own(mine).unwrap().is_some(), cfg!(feature = "locality"));
    let savepoint = txn.savepoint().unwrap();
    assert_eq!(txn.edit_own(mine), Ok(None), "what the savepoint restores");
    txn.rollback_to(savepoint).unwrap();
    assert_eq!(txn.edit_own(mine).unwrap().is_some(), cfg!(feature = "locality"));
    assert_eq!(txn.run_mut(run).err(), Some(Error::InvalidArgument));
    let no_page = Error::corrupt(run, Damage::Kind);
    assert_eq!(txn.own(run).err(), Some(no_page), "a run is no page to copy");
    assert_eq!(txn.free(run).err(), Some(no_page));
    let outside = PageId(snapshot.page_count() + 100);
    assert!(matches!(txn.edit([], [outside]).err(), Some(Error::Corrupt { .. })));
    assert!(matches!(txn.edit([outside], [mine]).err(), Some(Error::Corrupt { .. })));
    if cfg!(feature = "locality") {
        assert!(matches!(txn.edit_own(outside), Err(Error::Corrupt { .. })));
    }
    assert!(txn.edit([page], [mine]).is_ok());
    drop(txn);
    assert!((&snapshot).page(page).unwrap()[16..].iter().all(|byte| *byte == 1));
    assert!((&snapshot).run(run, 2000).unwrap().iter().all(|byte| *byte == 2));
    // A hint, and never more: whatever the range.
    snapshot.advise(page, 1, Advice::Random);
    snapshot.advise(PageId(u32::MAX), u32::MAX, Advice::Evict);
}

/// Making a store where something is would cost what is there.
#[test]
fn what_is_there_is_not_made_anew() {
    let store = Store::create(medium(&[]), words(), &options(0)).unwrap();
    let mut image = store.mapping().durable();
    let again = Store::create(medium(&image), words(), &options(0));
    assert_eq!(again.err(), Some(Error::InvalidArgument));
    image.fill(0);
    image[5] = 1;
    let mut ram = image.clone();
    let foreign = Store::create(SliceMapping::full(&mut ram), words(), &options(0));
    assert_eq!(foreign.err(), Some(Error::InvalidArgument));
    assert_eq!(ram, image);

    let create = |options: &Options| Store::create(medium(&[]), words(), options).err();
    for size in [0, 256, 768, 1 << 17] {
        assert_eq!(create(&options(0).page_size(size)), Some(Error::InvalidArgument), "{size}");
    }
    let mut read_only = options(0);
    read_only.read_only = true;
    assert_eq!(create(&read_only), Some(Error::InvalidArgument));
    let coarse = Store::create(Double::new(&[], CAPACITY, 4096, false), words(), &options(0));
    let why = Unsupported::PageSize { found: 512, wanted: 4096 };
    assert_eq!(coarse.err(), Some(Error::Unsupported(why)));
}

#[test]
fn a_place_of_the_callers_is_empty_after_an_error() {
    let mut place = None;
    Store::create_in(&mut place, medium(&[]), words(), &options(0)).unwrap();
    let image = place.as_ref().unwrap().mapping().durable();
    let broken = medium(&[]);
    broken.fail_flush.store(true, Ordering::Relaxed);
    let made = Store::create_in(&mut place, broken, words(), &options(0));
    assert_eq!((made, place.is_none()), (Err(Error::Io { code: 5 }), true));
    // SAFETY: mapleaf wrote the image, and nobody else has the copy.
    unsafe { Store::open_in(&mut place, medium(&image), words(), &options(0), &mut Nothing) }
        .unwrap();
    assert!(place.is_some());
    // SAFETY: as above; it is refused.
    let opened = unsafe {
        Store::open_in(&mut place, medium(&[7; 4096]), words(), &options(0), &mut Nothing)
    };
    assert_eq!(opened, Err(Error::Unsupported(Unsupported::NotMapleaf)));
    assert!(place.is_none());
}

/// A repair that forgot the log would lose acknowledged commits; one that freed metas, the store.
#[test]
fn a_repair_keeps_the_log_and_the_metas() {
    let store = Store::create(medium(&[]), words(), &options(16 << 10)).unwrap();
    let mut txn = store.begin_write().unwrap();
    let run = txn.claim_run(20_000).unwrap();
    txn.free_run(run).unwrap();
    txn.set_root(&[1; 64]);
    txn.redo(&[Part::Bytes(b"one")]);
    txn.commit(Durability::Sync).unwrap();
    assert_eq!(store.stats().log_commits, 1);
    let image = store.mapping().durable();
    let mut repair = Repair::open(medium(&image), words(), &options(16 << 10)).unwrap();
    assert_eq!(repair.pending_blocks(), 1);
    assert_eq!(repair.rebuild().err(), Some(Error::NeedsRecovery));
    repair.replay(&mut Nothing).unwrap();
    let (_, mut rebuild) = repair.rebuild().unwrap();
    let [metas, log] = rebuild.fixed();
    let end = rebuild.page_count();
    for (first, pages) in [(metas.start, 1), (1, 2), (log.end - 1, 2), (log.start, 1), (0, end)] {
        let refused = Error::corrupt(PageId(first), Damage::Shared);
        assert_eq!(rebuild.free(PageId(first), pages), Err(refused), "{first}, {pages}");
    }
    for (first, pages) in [(end, 1), (end - 1, 2), (u32::MAX, 1), (2, u32::MAX)] {
        let refused = Error::corrupt(PageId(first), Damage::OutOfRange);
        assert_eq!(rebuild.free(PageId(first), pages), Err(refused), "{first}, {pages}");
    }
}
