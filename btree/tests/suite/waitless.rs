//! Reading without waiting, warming, and what is read together, over a mapping that says what is in memory.
//!
//! Invariants checked: 1. without waiting, every operation answers what the plain one does or names pages
//! that are absent, whichever are; 2. repeated after those were read it gets further, and scans and
//! cursors leave nothing out and give nothing twice; 3. upper levels are warmed before lower ones, within
//! the budget; 4. a scan asks for each leaf once, only where the store is larger than memory.

#![allow(unsafe_code)] // The mapping contract is unsafe to implement.

use crate::support::{PAGE, options, words};
use mapleaf_btree::{Catalog, Error, Result, Tree, TreeOptions, Warmed, Writer};
use mapleaf_pager::{
    Bytes, Durability, Error as PagerError, Mapping, Pages, SliceMapping, Snapshot, Store,
};
use quickcheck::{QuickCheck, TestResult};
use std::collections::BTreeSet;
use std::ptr::NonNull;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// RAM that says what of it is in memory.
struct Cold<'a> {
    ram: SliceMapping<'a>,
    sparse: AtomicBool,
    /// Numbers of pages.
    present: Mutex<BTreeSet<u64>>,
    /// Pages that were asked for together.
    fetched: Mutex<Vec<Vec<u64>>>,
}

type ColdStore<'a> = Store<Cold<'a>, Box<[AtomicU32]>>;

fn pages(range: &Bytes) -> impl Iterator<Item = u64> + use<> {
    range.start / PAGE as u64..range.end.div_ceil(PAGE as u64)
}

// SAFETY: passes all that reads or writes on to a mapping that keeps the contract.
unsafe impl Mapping for Cold<'_> {
    fn base(&self) -> NonNull<u8> {
        self.ram.base()
    }
    fn write_base(&self) -> NonNull<u8> {
        self.ram.write_base()
    }
    fn len(&self) -> u64 {
        self.ram.len()
    }
    fn write_unit(&self) -> u32 {
        self.ram.write_unit()
    }
    unsafe fn claim(&self, range: Bytes, keep: bool) -> mapleaf_pager::Result<()> {
        // SAFETY: the caller's promise.
        unsafe { self.ram.claim(range, keep) }
    }
    unsafe fn publish(&self, ranges: &[Bytes]) -> mapleaf_pager::Result<()> {
        // SAFETY: the caller's promise.
        unsafe { self.ram.publish(ranges) }
    }
    unsafe fn flush(&self, ranges: &[Bytes]) -> mapleaf_pager::Result<()> {
        // SAFETY: the caller's promise.
        unsafe { self.ram.flush(ranges) }
    }
    unsafe fn publish_and_flush(&self, range: Bytes) -> mapleaf_pager::Result<()> {
        // SAFETY: the caller's promise.
        unsafe { self.ram.publish_and_flush(range) }
    }
    fn grow(&self, len: u64) -> mapleaf_pager::Result<()> {
        self.ram.grow(len)
    }
    unsafe fn shrink(&self, len: u64) -> mapleaf_pager::Result<()> {
        // SAFETY: the caller's promise.
        unsafe { self.ram.shrink(len) }
    }
    fn prefetch(&self, ranges: &[Bytes]) {
        self.fetched.lock().unwrap().push(ranges.iter().flat_map(pages).collect());
    }
    fn prefault(&self, range: Bytes) -> mapleaf_pager::Result<()> {
        self.present.lock().unwrap().extend(pages(&range));
        Ok(())
    }
    fn resident(&self, range: Bytes) -> bool {
        let present = self.present.lock().unwrap();
        pages(&range).all(|page| present.contains(&page))
    }
    fn sparse(&self) -> bool {
        self.sparse.load(Ordering::Relaxed)
    }
}

impl Cold<'_> {
    /// Drops pages: all where `part` is 0, else those whose number it divides.
    fn evict(&self, part: u64) {
        self.present.lock().unwrap().retain(|page| part > 0 && page % part > 0);
    }

    /// Reads what an operation has found missing, which must be absent.
    fn read(&self, error: Error) {
        let Error::Pager(PagerError::WouldBlock { page, pages }) = error else {
            panic!("{error}");
        };
        let start = u64::from(page.0) * PAGE as u64;
        let range = start..start + u64::from(pages) * PAGE as u64;
        assert!(!self.resident(range.clone()), "{page} is in memory");
        self.prefault(range).unwrap();
    }

    fn fetched(&self) -> Vec<Vec<u64>> {
        std::mem::take(&mut self.fetched.lock().unwrap())
    }
}

fn key(number: u16) -> Vec<u8> {
    [b"key ".as_slice(), &number.to_be_bytes()].concat()
}

/// A store of the numbers below `count`, some of them with a value in a run; none of it in memory.
fn filled(ram: &mut [u8], count: u16) -> ColdStore<'_> {
    let mapping = Cold {
        ram: SliceMapping::empty(ram),
        sparse: AtomicBool::new(false),
        present: Mutex::default(),
        fetched: Mutex::default(),
    };
    let store = Store::create(mapping, words(), &options(PAGE, 0)).unwrap();
    let mut writer = Writer::new(store.begin_write().unwrap()).unwrap();
    let handle = writer.create("t", TreeOptions::default()).unwrap();
    for number in 0..count {
        let len = if number % 97 == 5 { 2000 } else { usize::from(number % 40) };
        writer.tree(handle).unwrap().insert(&key(number), &vec![number as u8; len]).unwrap();
    }
    writer.commit(Durability::Sync).unwrap();
    store.mapping().evict(0);
    store.mapping().fetched();
    store
}

fn tree<'s>(snapshot: &'s Snapshot<'s>) -> Tree<'s, &'s Snapshot<'s>> {
    Catalog::new(snapshot).unwrap().open("t").unwrap()
}

/// Repeats an operation until it need not wait; how often it would have.
fn patiently<T>(mapping: &Cold<'_>, mut call: impl FnMut() -> Result<T>) -> (T, usize) {
    for rounds in 0.. {
        match call() {
            Ok(answer) => return (answer, rounds),
            Err(error) => mapping.read(error),
        }
        assert!(rounds < 10_000, "it gets no further");
    }
    unreachable!("the loop ends by returning")
}

#[test]
fn lookups_answer_or_name_what_is_absent() {
    let mut ram = vec![0; 4 << 20];
    let store = filled(&mut ram, 4000);
    let (mapping, snapshot) = (store.mapping(), store.begin_read(0).unwrap());
    let plain = tree(&snapshot);
    let tree = plain.without_waiting();
    let height = usize::from(plain.record().height);
    assert!(height >= 3, "{height}");
    for number in (0..4010).step_by(7) {
        let key = key(number);
        mapping.evict(u64::from(number % 5));
        let wanted = plain.get(&key).unwrap();
        let (found, rounds) = patiently(mapping, || tree.get(&key));
        // A page a level, and a run as a whole.
        assert!(found == wanted && rounds <= height + 1, "{number} {rounds}");
        assert_eq!(plain.try_get(&key), Ok(wanted));
        mapping.evict(0);
        let (there, rounds) = patiently(mapping, || tree.contains(&key));
        assert_eq!((there, rounds), (wanted.is_some(), height));
        mapping.evict(3);
        let keys = [&key[..], b"none", b"key \0\x05"];
        let mut values = [None; 3];
        patiently(mapping, || tree.get_many(&keys, &mut values));
        assert_eq!(values, [wanted, None, plain.get(b"key \0\x05").unwrap()]);
    }
    mapping.evict(0);
    let (ends, _) = patiently(mapping, || Ok((tree.first()?, tree.last()?)));
    assert_eq!(ends, (plain.first().unwrap(), plain.last().unwrap()));
    mapping.evict(0);
    let (names, rounds) = patiently(mapping, || {
        Catalog::new(mapleaf_pager::Waitless::new(&snapshot))?.open("t").map(|tree| tree.len())
    });
    assert_eq!((names, rounds), (4000, 1));
}

/// What happens between two steps of a scan is drawn from `moves`.
fn scans_agree(moves: Vec<u8>, sparse: bool) -> TestResult {
    const COUNT: u16 = 600;
    let mut ram = vec![0; 1 << 20];
    let store = filled(&mut ram, COUNT);
    let (mapping, snapshot) = (store.mapping(), store.begin_read(0).unwrap());
    mapping.sparse.store(sparse, Ordering::Relaxed);
    let plain = tree(&snapshot);
    let (start, end) = (key(17), key(COUNT - 3));
    let (mut range, _) = patiently(mapping, || plain.try_range(&start[..]..&end[..]));
    let mut oracle = plain.range(&start[..]..&end[..]);
    let waitless = plain.without_waiting();
    let (mut cursor, mut plain_cursor) = (waitless.cursor(), plain.cursor());
    for step in 0.. {
        let what = moves.get(step % moves.len().max(1)).copied().unwrap_or(0);
        if what % 3 == 0 {
            mapping.evict(u64::from(what / 3 % 4));
        }
        let (found, _) = if what & 64 == 0 {
            patiently(mapping, || range.try_next())
        } else {
            patiently(mapping, || range.next_back().transpose())
        };
        let wanted = if what & 64 == 0 { oracle.next() } else { oracle.next_back() };
        assert_eq!(found, wanted.transpose().unwrap());
        let (found, _) = match what % 5 {
            0 => patiently(mapping, || cursor.prev()),
            1 => patiently(mapping, || cursor.seek_at_or_after(&key(u16::from(what)))),
            _ => patiently(mapping, || cursor.next()),
        };
        let wanted = match what % 5 {
            0 => plain_cursor.prev(),
            1 => plain_cursor.seek_at_or_after(&key(u16::from(what))),
            _ => plain_cursor.next(),
        };
        assert_eq!(found, wanted.unwrap());
        let (value, _) = patiently(mapping, || Ok((cursor.key()?, cursor.value()?)));
        assert_eq!(value, (plain_cursor.key().unwrap(), plain_cursor.value().unwrap()));
        if range.clone().try_next() == Ok(None) {
            assert_eq!(oracle.next(), None);
            break;
        }
    }
    TestResult::passed()
}

#[test]
fn scans_leave_nothing_out_and_give_nothing_twice() {
    QuickCheck::new().tests(60).quickcheck(scans_agree as fn(Vec<u8>, bool) -> TestResult);
    let _ = scans_agree(vec![0], true);
}

#[test]
fn a_range_that_could_not_be_made_never_looks_finished() {
    let mut ram = vec![0; 1 << 20];
    let store = filled(&mut ram, 600);
    let snapshot = store.begin_read(0).unwrap();
    let tree = tree(&snapshot).without_waiting();
    let mut range = tree.iter();
    for _ in 0..3 {
        assert!(range.next().is_some_and(|entry| entry.is_err_and(|error| error.would_block())));
        assert!(range.next_back().is_some_and(|entry| entry.is_err()));
    }
}

#[test]
fn upper_levels_are_warmed_first_and_no_more_than_the_budget() {
    let mut ram = vec![0; 4 << 20];
    let store = filled(&mut ram, 4000);
    let (mapping, snapshot) = (store.mapping(), store.begin_read(0).unwrap());
    let tree = tree(&snapshot);
    let record = tree.record();
    let (inner, leaves) = (record.inner_pages, record.leaf_pages);
    let all = u64::from(inner) + u64::from(leaves);
    let page = PAGE as u64;
    assert_eq!(tree.warm(page - 1).unwrap(), Warmed::default());
    let mut levels = 0;
    for budget in [1, 2, u64::from(inner), u64::from(inner) + 10, all - 1, all, all + 50] {
        mapping.evict(0);
        let warmed = tree.warm(budget * page).unwrap();
        let present = mapping.present.lock().unwrap().clone();
        assert_eq!((warmed.read_pages, warmed.resident_pages), (budget.min(all), 0));
        assert_eq!(present.len() as u64, budget.min(all));
        assert!(present.contains(&u64::from(record.root.0)));
        assert!(warmed.levels >= levels);
        levels = warmed.levels;
        match budget {
            1 => assert_eq!(levels, 1),
            _ if budget >= all => assert_eq!(levels, record.height),
            _ if budget >= u64::from(inner) => assert_eq!(levels, record.height - 1),
            _ => {}
        }
        // Each was asked for before it was waited for, and once.
        let mut asked: Vec<u64> = mapping.fetched().concat();
        asked.sort_unstable();
        assert!(asked.iter().eq(present.iter()));
    }
    let again = tree.warm(u64::MAX).unwrap();
    assert_eq!((again.read_pages, again.resident_pages), (0, all));
    // Half of it is there already, and costs no budget.
    mapping.evict(2);
    let rest = tree.warm(u64::MAX).unwrap();
    assert_eq!(rest.read_pages + rest.resident_pages, all);
    assert!(rest.read_pages > all / 4 && rest.resident_pages > all / 4, "{rest:?}");
    assert_eq!(rest.levels, record.height);
}

/// Leaves that are asked for in one call.
const TOGETHER: usize = if cfg!(feature = "large") { 32 } else { 4 };

#[test]
fn leaves_are_read_together_where_the_store_is_larger_than_memory() {
    let mut ram = vec![0; 4 << 20];
    let store = filled(&mut ram, 4000);
    let (mapping, snapshot) = (store.mapping(), store.begin_read(0).unwrap());
    let tree = tree(&snapshot);
    let leaves = tree.record().leaf_pages as usize;
    let keys: Vec<Vec<u8>> = (0..64).map(|number| key(number * 60)).collect();
    let mut values = vec![None; keys.len()];
    assert_eq!(tree.iter().count() + tree.iter().rev().count(), 8000);
    tree.get_many(&keys, &mut values).unwrap();
    assert_eq!(mapping.fetched(), Vec::<Vec<u64>>::new());

    mapping.sparse.store(true, Ordering::Relaxed);
    tree.get_many(&keys, &mut values).unwrap();
    let calls = mapping.fetched();
    // Each group's pages of each level below the root, and of each level all before those of the next.
    let levels = usize::from(tree.record().height) - 1;
    assert!(levels >= 2 && calls.iter().all(|call| call.len() == TOGETHER), "{calls:?}");
    assert_eq!(calls.len(), levels * keys.len() / TOGETHER);
    // The first is looked at when all leaves have been asked for, of as many keys as eight groups have.
    let at_once = &keys[..keys.len().min(8 * TOGETHER)];
    let paths: BTreeSet<u64> =
        calls[..levels * at_once.len() / TOGETHER].concat().into_iter().collect();
    let last = calls[levels * at_once.len() / TOGETHER - 1].clone();
    let inner: BTreeSet<u64> =
        calls.iter().skip(levels - 1).step_by(levels).flatten().copied().collect();
    mapping.evict(0);
    mapping.present.lock().unwrap().extend(paths.difference(&inner));
    mapping.present.lock().unwrap().insert(u64::from(tree.record().root.0));
    tree.without_waiting().get_many(at_once, &mut values[..at_once.len()]).unwrap_err();
    assert_eq!(mapping.fetched().last(), Some(&last));
    // What is in memory costs no call, but for the leaves.
    mapping.present.lock().unwrap().extend(0..store.stats().page_count as u64);
    tree.get_many(&keys, &mut values).unwrap();
    assert_eq!(mapping.fetched().len(), keys.len() / TOGETHER);
    mapping.evict(0);
    for backwards in [false, true] {
        let count = if backwards { tree.iter().rev().count() } else { tree.iter().count() };
        assert_eq!(count, 4000);
        let calls = mapping.fetched();
        let asked: Vec<u64> = calls.concat();
        let distinct: BTreeSet<u64> = asked.iter().copied().collect();
        assert_eq!(asked.len(), distinct.len(), "a page was asked for twice");
        // All but those of the first group, and few calls for it.
        assert!(distinct.len() + 2 * TOGETHER > leaves, "{} of {leaves}", distinct.len());
        assert!(calls.len() < leaves * 8 / TOGETHER.max(16), "{} for {leaves}", calls.len());
    }
    // A short scan asks for nothing it does not come to.
    assert!(tree.range(&key(100)[..]..).take(3).all(|entry| entry.is_ok()));
    assert!(mapping.fetched().concat().len() <= TOGETHER);
}

#[test]
fn a_write_transaction_reads_together_what_it_looks_up() {
    let mut ram = vec![0; 4 << 20];
    let store = filled(&mut ram, 4000);
    let mapping = store.mapping();
    mapping.sparse.store(true, Ordering::Relaxed);
    let keys: Vec<Vec<u8>> = (0..64).map(|number| key(number * 60)).collect();
    let mut wanted = vec![None; keys.len()];
    let snapshot = store.begin_read(0).unwrap();
    tree(&snapshot).get_many(&keys, &mut wanted).unwrap();
    let calls = mapping.fetched();
    assert!(!calls.is_empty());

    let mut writer = Writer::new(store.begin_write().unwrap()).unwrap();
    let handle = writer.open("t").unwrap();
    let mut found = vec![None; keys.len()];
    mapping.evict(0);
    writer.tree_ref(handle).unwrap().get_many(&keys, &mut found).unwrap();
    assert_eq!((found, mapping.fetched()), (wanted, calls));
    // And reads in what it is to warm, its own pages too, which are nowhere but in memory.
    writer.tree(handle).unwrap().insert(&key(4000), b"new").unwrap();
    mapping.evict(0);
    let record = writer.record(handle).unwrap();
    let all = u64::from(record.inner_pages) + u64::from(record.leaf_pages);
    let warmed = writer.tree_ref(handle).unwrap().warm(u64::MAX).unwrap();
    assert_eq!((warmed.read_pages, warmed.resident_pages), (all, 0));
    assert_eq!(mapping.present.lock().unwrap().len() as u64, all);
}

#[test]
fn a_page_that_is_absent_is_not_waited_for_to_be_verified() {
    let mut ram = vec![0; 1 << 20];
    let store = filled(&mut ram, 600);
    let snapshot = store.begin_read(0).unwrap();
    let waitless = mapleaf_pager::Waitless::new(&snapshot);
    assert_eq!(waitless.txn(), snapshot.txn());
    let root = tree(&snapshot).record().root;
    let absent = Err(PagerError::WouldBlock { page: root, pages: 1 });
    assert_eq!((waitless.verify(root), waitless.read_in(root)), (absent, absent));
    waitless.fetch(&[root]);
    assert_eq!(store.mapping().fetched(), [[u64::from(root.0)]]);
    (&snapshot).read_in(root).unwrap();
    assert_eq!((waitless.verify(root), waitless.read_in(root)), (Ok(()), Ok(())));
}
