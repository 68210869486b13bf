//! Damage that appears while a store is open, and who is lent it.
//!
//! Invariants checked, for pages and runs, in snapshots and in the write transaction, in one view and in two:
//! - with `Always` nothing that is damaged is lent;
//! - with `FirstTouch` nothing is that was not lent before since it was written; what was may be;
//! - a page written anew is compared anew, wherever it lies; so is one that `verify` found damaged;
//! - a page beyond the words is compared each time.

mod double;

use double::{Double, Nothing, stores};
use mapleaf_pager::{
    Damage, Durability, Error, OWNED_BYTES, Options, PageId, Pages, Result, Store, Verify,
    WriteTxn, first_touch_words_for, kind, words_for,
};
use std::sync::atomic::AtomicU32;

const PAGE: usize = 512;
const CAPACITY: usize = 256 * PAGE;
const RUN_BYTES: usize = 1000;
/// A byte of the run's last page, and one of its first.
const RUN_ENDS: [u64; 2] = [32 + RUN_BYTES as u64 - 1, 40];

type TestStore = Store<Double, Box<[AtomicU32]>>;

fn words(pages: u32) -> Box<[AtomicU32]> {
    // Full of what somebody else left there.
    (0..words_for(4) + first_touch_words_for(pages)).map(|_| AtomicU32::new(u32::MAX)).collect()
}

fn options() -> Options {
    Options::default().page_size(PAGE as u32).log_bytes(0, 0)
}

/// A page and a run of a store, committed.
#[derive(Clone, Copy)]
struct Two {
    page: PageId,
    run: PageId,
}

fn write(txn: &mut WriteTxn<'_>, two: Option<Two>, value: u8) -> Result<Two> {
    let page = match two {
        Some(two) => {
            txn.free_run(two.run)?;
            txn.own(two.page)?
        }
        None => txn.claim()?,
    };
    let run = txn.claim_run(RUN_BYTES as u64)?;
    txn.run_mut(run)?.fill(value);
    let ([], [bytes]) = txn.edit([], [page])?;
    bytes[0] = 2;
    bytes[16..].fill(value);
    let mut root = [0; 64];
    root[0] = value;
    txn.set_root(&root);
    Ok(Two { page, run })
}

/// Makes a store's file, and opens it.
fn open(two_views: bool, options: &Options) -> (TestStore, Two) {
    let mapping = Double::new(&[], CAPACITY, PAGE, two_views);
    let store = Store::create(mapping, words(0), &self::options()).unwrap();
    let mut txn = store.begin_write().unwrap();
    let two = write(&mut txn, None, 1).unwrap();
    txn.commit(Durability::Sync).unwrap();
    store.close().unwrap();
    let mapping = Double::new(&store.mapping().published(), CAPACITY, PAGE, two_views);
    let words = words(options.first_touch_pages);
    // SAFETY: the store's own bytes.
    #[allow(unsafe_code)]
    let store = unsafe { Store::open(mapping, words, options, &mut Nothing) };
    (store.unwrap(), two)
}

/// Whether page and run are lent; what is refused is refused for its checksum.
fn lent<'a, P: Pages<'a>>(pages: P, two: Two) -> [bool; 2] {
    let ok = |id: PageId, lent: Result<&[u8]>| match lent {
        Ok(_) => true,
        Err(error) => {
            let damage = Damage::Checksum;
            assert_eq!(error, Error::Corrupt { page: id, damage });
            false
        }
    };
    [ok(two.page, pages.page(two.page)), ok(two.run, pages.run(two.run, RUN_BYTES as u64))]
}

fn read(store: &TestStore, two: Two) -> [bool; 2] {
    lent(&store.begin_read(0).unwrap(), two)
}

fn flip(store: &TestStore, two: Two, end: u64) {
    for offset in [two.page.0 as u64 * PAGE as u64 + 500, two.run.0 as u64 * PAGE as u64 + end] {
        store.mapping().damage(offset, |byte| byte ^ 4);
    }
}

fn views() -> impl Iterator<Item = (bool, u64)> {
    [false, true].into_iter().flat_map(|views| RUN_ENDS.map(|end| (views, end)))
}

#[test]
fn never() {
    for (two_views, end) in views() {
        let (store, two) = open(two_views, &options());
        flip(&store, two, end);
        assert_eq!(read(&store, two), [true; 2]);
        let snapshot = store.begin_read(0).unwrap();
        assert!((&snapshot).verify(two.page).is_err() && (&snapshot).verify(two.run).is_err());
    }
}

/// Else `check` of what a transaction sees, or a copy of it, would call damaged pages whole.
#[test]
fn what_a_transaction_is_asked_to_verify_it_does() {
    for (two_views, end) in views() {
        let (store, two) = open(two_views, &options());
        let behind = PageId(store.begin_read(0).unwrap().page_count());
        let mut txn = store.begin_write().unwrap();
        for id in [PageId(1), behind] {
            let outside = Error::Corrupt { page: id, damage: Damage::OutOfRange };
            assert_eq!((&txn).verify(id), Err(outside));
            assert_eq!((&txn).page(id).err(), Some(outside));
        }
        let own = txn.claim().unwrap();
        txn.edit([], [own]).unwrap().1[0].fill(2);
        assert_eq!([two.page, two.run, own].map(|id| (&txn).verify(id)), [Ok(()); 3]);
        flip(&store, two, end);
        for id in [two.page, two.run] {
            let damage = Damage::Checksum;
            assert_eq!((&txn).verify(id), Err(Error::Corrupt { page: id, damage }));
        }
        assert_eq!((&txn).verify(own), Ok(()), "not sealed yet");
        // Nor does a copy of it get a checksum that says that it is whole.
        let damage = Damage::Checksum;
        assert_eq!(txn.own(two.page), Err(Error::Corrupt { page: two.page, damage }));
    }
}

/// Else whoever tries again, as a loop over keys does, would fill the file with copies that nobody uses.
#[test]
fn a_damaged_page_that_is_copied_again_and_again_takes_no_room() {
    let (store, two) = open(true, &options());
    flip(&store, two, RUN_ENDS[0]);
    let mut txn = store.begin_write().unwrap();
    let damage = Damage::Checksum;
    for _ in 0..2 * CAPACITY / PAGE {
        assert_eq!(txn.own(two.page), Err(Error::Corrupt { page: two.page, damage }));
    }
    assert!(txn.claim().is_ok());
}

/// Else a flipped bit of a list or a bitmap would have pages given out that are in use.
#[test]
fn a_damaged_page_of_the_space_is_not_believed() {
    let store = stores::created(false);
    let mut txn = store.begin_write().unwrap();
    let pages: Vec<PageId> = (0..1000).map(|_| txn.claim().unwrap()).collect();
    txn.set_root(&[1; 64]);
    txn.commit(Durability::Sync).unwrap();
    let mut txn = store.begin_write().unwrap();
    // No two that are neighbours.
    pages.into_iter().step_by(2).for_each(|page| txn.free(page).unwrap());
    txn.set_root(&[2; 64]);
    txn.commit(Durability::Sync).unwrap();
    store.checkpoint().unwrap();
    let image = store.mapping().durable();
    let kinds = [kind::BITMAP, kind::BITMAP_INNER, kind::FREED_LIST];
    let found: Vec<usize> = (2..image.len() / PAGE)
        .filter(|page| kinds.contains(&image[page * PAGE + OWNED_BYTES]))
        .collect();
    assert!(!found.is_empty());
    let mut damaged = image.clone();
    found.iter().for_each(|page| damaged[page * PAGE + 200] ^= 1);
    let opened = |image: &[u8]| {
        let mapping = Double::new(image, stores::CAPACITY, PAGE, false);
        Store::open_proven(mapping, words(0), &stores::options(), &mut Nothing, &mut [])
    };
    let claims = |store: TestStore| {
        let mut txn = store.begin_write()?;
        (0..400).try_for_each(|_| txn.claim().map(|_| ()))
    };
    assert_eq!(opened(&image).and_then(claims), Ok(()));
    match opened(&damaged).and_then(claims) {
        Err(Error::Corrupt { page, damage: Damage::Checksum }) => {
            assert!(found.contains(&(page.0 as usize)));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn always() {
    for (two_views, end) in views() {
        let (store, two) = open(two_views, &options().verify(Verify::Always));
        for _ in 0..2 {
            assert_eq!(read(&store, two), [true; 2]);
            assert_eq!(lent(&store.begin_write().unwrap(), two), [true; 2]);
            flip(&store, two, end);
            assert_eq!(read(&store, two), [false; 2]);
            let mut txn = store.begin_write().unwrap();
            assert_eq!(lent(&txn, two), [false; 2]);
            // Nor is a copy made of it, nor is it freed.
            let damaged = |id| Err(Error::Corrupt { page: id, damage: Damage::Checksum });
            assert_eq!(txn.own(two.page), damaged(two.page));
            assert_eq!(txn.free(two.page).map(|()| PageId::NONE), damaged(two.page));
            assert_eq!(txn.free_run(two.run).map(|()| PageId::NONE), damaged(two.run));
            let mine = txn.claim().unwrap();
            assert_eq!(txn.edit([two.page], [mine]).map(|_| mine), damaged(two.page));
            drop(txn);
            flip(&store, two, end);
        }
    }
}

#[test]
fn at_the_first_touch() {
    for (two_views, end) in views() {
        let (store, two) = open(two_views, &options().first_touch(CAPACITY as u32 / 512));
        // Before it.
        flip(&store, two, end);
        assert_eq!(read(&store, two), [false; 2]);
        assert_eq!(lent(&store.begin_write().unwrap(), two), [false; 2]);
        flip(&store, two, end);
        assert_eq!(read(&store, two), [true; 2]);
        // After it: missed, until somebody looks.
        flip(&store, two, end);
        assert_eq!(read(&store, two), [true; 2]);
        let snapshot = store.begin_read(0).unwrap();
        assert!((&snapshot).verify(two.page).is_err() && (&snapshot).verify(two.run).is_err());
        assert_eq!(read(&store, two), [false; 2]);
        flip(&store, two, end);
        assert_eq!(lent(&store.begin_write().unwrap(), two), [true; 2]);
        assert_eq!(read(&store, two), [true; 2]);
    }
}

/// Else readers would be lent what a write transaction was refused.
#[test]
fn what_a_copy_finds_damaged_is_lent_to_nobody() {
    for two_views in [false, true] {
        let (store, two) = open(two_views, &options().first_touch(CAPACITY as u32 / 512));
        assert_eq!(read(&store, two), [true; 2]);
        flip(&store, two, RUN_ENDS[0]);
        assert_eq!(read(&store, two), [true; 2], "looked at before");
        let mut txn = store.begin_write().unwrap();
        let damage = Damage::Checksum;
        assert_eq!(txn.own(two.page), Err(Error::Corrupt { page: two.page, damage }));
        assert_eq!(read(&store, two), [false, true]);
    }
}

/// Pages are used again and again, with bits from before: none vouches for what is written later.
#[test]
fn a_rewritten_page_is_touched_anew() {
    for (two_views, end) in views() {
        let (store, mut two) = open(two_views, &options().first_touch(CAPACITY as u32 / 512));
        let mut seen = vec![0; CAPACITY / PAGE];
        for value in 2..60 {
            assert_eq!(read(&store, two), [true; 2]);
            let mut txn = store.begin_write().unwrap();
            two = write(&mut txn, Some(two), value).unwrap();
            assert_eq!(lent(&txn, two), [true; 2]);
            txn.commit(Durability::Sync).unwrap();
            seen[two.page.0 as usize] += 1;
            flip(&store, two, end);
            assert_eq!(read(&store, two), [false; 2], "round {value}");
            flip(&store, two, end);
        }
        assert!(seen.iter().any(|times| *times > 3), "no page was used again");
    }
}

#[test]
fn beyond_the_words_each_time() {
    for (two_views, end) in views() {
        let (store, two) = open(two_views, &options().first_touch(2));
        assert!(first_touch_words_for(2) == 1 && two.run.0 < 32, "there is a bit for it");
        let _held = store.begin_read(1).unwrap();
        let mut txn = store.begin_write().unwrap();
        let rest: Vec<_> = (0..40).map(|_| txn.claim().unwrap()).collect();
        let far = write(&mut txn, Some(two), 77).unwrap();
        rest.into_iter().for_each(|page| txn.free(page).unwrap());
        txn.commit(Durability::Sync).unwrap();
        assert!(far.page.0 >= 32 && far.run.0 >= 32, "{} {}", far.page, far.run);
        assert_eq!(read(&store, far), [true; 2]);
        flip(&store, far, end);
        assert_eq!(read(&store, far), [false; 2]);
    }
}

/// In one view a page's birth says whose it is. Damage can give a committed page the running one's.
#[test]
fn a_forged_birth_does_not_pass_for_a_page_to_be_sealed() {
    for verify in [options().verify(Verify::Always), options().first_touch(100)] {
        let (store, two) = open(false, &verify);
        let mut txn = store.begin_write().unwrap();
        let birth = txn.id().0.to_le_bytes();
        for (at, byte) in birth.into_iter().enumerate() {
            for id in [two.page, two.run] {
                store.mapping().damage(u64::from(id.0) * PAGE as u64 + 8 + at as u64, |_| byte);
            }
        }
        assert_eq!(lent(&txn, two), [false; 2]);
        let damage = Damage::Checksum;
        assert_eq!(txn.own(two.page), Err(Error::Corrupt { page: two.page, damage }));
        assert_eq!(txn.run_mut(two.run).map(drop), Err(Error::Corrupt { page: two.run, damage }));
    }
}
