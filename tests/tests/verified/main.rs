//! Damaged stores, opened with checksums compared: what is answered is what was stored.
//!
//! Invariants checked, in memory and through both kinds of file mapping, for damage to any pages but the
//! metas (flipped bits, zeros, noise, pages in each other's place):
//! - with `Always` and `FirstTouch` every get, range, scan and prefix either fails or answers what a map
//!   of the entries answers, in snapshots and in write transactions, which can change what is whole;
//! - undamaged stores never fail;
//! - with `None` some answers are wrong: the damage is such as this is there for.
//!
//! A failure prints the damage, and the command that draws it again.
//!
//! Out of reach, and not tested: an older version of a page in its own place, which is whole.

#![allow(unsafe_code)] // Opens mapped files in directories of their own.

mod answers;
#[path = "../../../pager/tests/seeded/mod.rs"]
mod seeded;

use answers::{Count, ask};
use mapleaf::{Builder, Database, Verify, WriteMode};
use mapleaf_btree::{Catalog, Replayer, TreeOptions, Writer};
use mapleaf_pager::{
    Durability, Mapping, Options, SliceMapping, Store, first_touch_words_for, words_for,
};
use quickcheck::{Arbitrary, Gen};
use seeded::seeded;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::AtomicU32;

const TREE: &str = "t";
/// Fewer pages than some of the stores have.
const TOUCHED: u32 = 200;

type Entries = BTreeMap<Vec<u8>, Vec<u8>>;

#[derive(Clone, Copy, Debug)]
enum Harm {
    Flip(u32, u32),
    Zero(u32, u32),
    Noise(u32, u32),
    Swap(u32, u32),
}

impl Arbitrary for Harm {
    fn arbitrary(g: &mut Gen) -> Harm {
        let (a, b) = (u32::arbitrary(g), u32::arbitrary(g));
        match u8::arbitrary(g) % 8 {
            0..=4 => Harm::Flip(a, b),
            5 => Harm::Zero(a, b),
            6 => Harm::Noise(a, b),
            _ => Harm::Swap(a, b),
        }
    }
}

#[derive(Clone, Debug)]
struct Case {
    seeds: Vec<u16>,
    harms: Vec<Harm>,
    changes: Vec<u16>,
}

impl Arbitrary for Case {
    fn arbitrary(g: &mut Gen) -> Case {
        let mut some = |n: u16| (0..n).map(|_| u16::arbitrary(g)).collect();
        let (seeds, changes) = (some(600), some(40));
        let harms = (0..1 + u8::arbitrary(g) % 24).map(|_| Harm::arbitrary(g)).collect();
        Case { seeds, harms, changes }
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Case>> {
        let case = self.clone();
        Box::new(self.harms.shrink().map(move |harms| Case { harms, ..case.clone() }))
    }
}

fn key_of(seed: u16) -> Vec<u8> {
    match seed % 3 {
        0 => format!("user/{:05}", seed % 3000).into_bytes(),
        1 => [&[b'p'; 30][..], &seed.to_be_bytes()].concat(),
        _ => seed.to_be_bytes().to_vec(),
    }
}

fn value_of(seed: u16, round: usize) -> Vec<u8> {
    let len = match seed % 16 {
        0 => usize::from(seed) % 9000,
        1..=8 => 90,
        n => usize::from(n),
    };
    (0..len).map(|i| (round * 31 + i * 7) as u8).collect()
}

fn words() -> Vec<AtomicU32> {
    (0..words_for(4) + first_touch_words_for(TOUCHED)).map(|_| AtomicU32::new(0)).collect()
}

/// A closed store of one tree, its page size, and what is in it.
fn build(case: &Case, page: usize) -> (Vec<u8>, Entries) {
    let mut ram = vec![0; 8 << 20];
    let options = Options::default().page_size(page as u32).log_bytes(0, 0);
    let store = Store::create(SliceMapping::empty(&mut ram), words(), &options).unwrap();
    let mut entries = Entries::new();
    for (round, seeds) in case.seeds.chunks(120).enumerate() {
        let mut writer = Writer::new(store.begin_write().unwrap()).unwrap();
        let tree = writer.open_or_create(TREE, TreeOptions::default()).unwrap();
        for seed in seeds {
            let (key, value) = (key_of(*seed), value_of(*seed, round));
            writer.tree(tree).unwrap().insert(&key, &value).unwrap();
            entries.insert(key, value);
        }
        writer.commit(Durability::Sync).unwrap();
    }
    store.close().unwrap();
    let len = store.mapping().len() as usize;
    drop(store);
    ram.truncate(len);
    (ram, entries)
}

fn harm(bytes: &mut [u8], page: usize, harm: Harm) {
    let pages = bytes.len() / page - 2;
    let place = |n: u32| (2 + n as usize % pages) * page;
    match harm {
        Harm::Flip(n, at) => bytes[place(n) + at as usize % page] ^= 1 << (at >> 29),
        Harm::Zero(n, at) => bytes[place(n) + at as usize % page..place(n) + page].fill(0),
        Harm::Noise(n, mut state) => {
            for byte in &mut bytes[place(n)..place(n) + page] {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                *byte = (state >> 24) as u8;
            }
        }
        Harm::Swap(a, b) => {
            let (a, b) = (place(a), place(b));
            (0..page).for_each(|i| bytes.swap(a + i, b + i));
        }
    }
}

/// Asks a store everything, twice: the second time pages were touched before.
fn exercise<M: Mapping>(
    store: &Store<M, Vec<AtomicU32>>,
    entries: &Entries,
    case: &Case,
    count: &mut Count,
) {
    for _ in 0..2 {
        let snapshot = store.begin_read(0).unwrap();
        match Catalog::new(&snapshot).and_then(|catalog| catalog.open(TREE)) {
            Ok(tree) => ask(&tree, entries, &case.changes, count),
            Err(_) => count.refused += 1,
        }
    }
}

/// Changes that fail leave everything as it was.
fn change<M: Mapping>(
    store: &Store<M, Vec<AtomicU32>>,
    entries: &mut Entries,
    case: &Case,
    count: &mut Count,
) {
    for (round, seeds) in case.changes.chunks(4).enumerate() {
        let mut after = entries.clone();
        let mut attempt = || -> mapleaf_btree::Result<()> {
            let mut writer = Writer::new(store.begin_write()?)?;
            let handle = writer.open(TREE)?;
            for seed in seeds {
                let key = key_of(*seed);
                if seed % 3 == 1 {
                    let there = writer.tree(handle)?.remove(&key)?;
                    assert_eq!(there, after.remove(&key).is_some());
                } else {
                    let value = value_of(seed.wrapping_mul(31), round + 7);
                    writer.tree(handle)?.insert(&key, &value)?;
                    after.insert(key, value);
                }
            }
            ask(&writer.tree_ref(handle)?, &after, &case.changes, count);
            writer.commit(Durability::Sync)?;
            Ok(())
        };
        match attempt() {
            Ok(()) => *entries = after,
            Err(_) => count.refused += 1,
        }
    }
}

fn modes() -> [Options; 3] {
    let options = Options::default();
    [options, options.verify(Verify::Always), options.first_touch(TOUCHED)]
}

fn in_memory(case: &Case, bytes: &[u8], entries: &Entries) -> [Count; 3] {
    modes().map(|options| {
        let (mut ram, mut entries) = (bytes.to_vec(), entries.clone());
        let (mut count, len) = (Count::default(), bytes.len());
        ram.resize(len + (2 << 20), 0);
        let mapping = SliceMapping::with_len(&mut ram, len);
        // SAFETY: of no mapping but this one; damage is refused where it could give a page out twice,
        // and nothing is written where it is not compared.
        let opened = unsafe { Store::open(mapping, words(), &options, &mut Replayer::new()) };
        let Ok(store) = opened else {
            count.refused += 1;
            return count;
        };
        exercise(&store, &entries, case, &mut count);
        if options.verify != Verify::None {
            change(&store, &mut entries, case, &mut count);
            exercise(&store, &entries, case, &mut count);
        }
        count
    })
}

fn through_files(case: &Case, bytes: &[u8], entries: &Entries) -> [Count; 3] {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("t.leaf");
    [Verify::None, Verify::Always, Verify::FirstTouch].map(|verify| {
        let mut count = Count::default();
        for mode in [WriteMode::InPlace, WriteMode::Shadow] {
            std::fs::write(&path, bytes).unwrap();
            let builder = Database::builder().verify(verify).write_mode(mode).background(false);
            let mut entries = entries.clone();
            let writes = verify != Verify::None;
            in_file(&builder, &path, case, &mut entries, &mut count, writes);
        }
        count
    })
}

fn in_file(
    builder: &Builder,
    path: &Path,
    case: &Case,
    entries: &mut Entries,
    count: &mut Count,
    writes: bool,
) {
    // SAFETY: as in memory.
    let Ok(db) = (unsafe { builder.open(path) }) else {
        count.refused += 1;
        return;
    };
    for round in 0..2 {
        let read = db.read().unwrap();
        match read.tree(TREE) {
            Ok(tree) => ask(&tree, entries, &case.changes, count),
            Err(_) => count.refused += 1,
        }
        drop(read);
        if !writes || round == 1 {
            continue;
        }
        for seeds in case.changes.chunks(8) {
            let mut after = entries.clone();
            let mut attempt = || -> mapleaf::Result<()> {
                let mut txn = db.write()?;
                let handle = txn.open(TREE)?;
                for seed in seeds {
                    let (key, value) = (key_of(*seed), value_of(*seed, 99));
                    txn.tree(handle)?.insert(&key, &value)?;
                    after.insert(key, value);
                }
                ask(&txn.tree_ref(handle)?, &after, seeds, count);
                txn.commit()?;
                Ok(())
            };
            match attempt() {
                Ok(()) => *entries = after,
                Err(_) => count.refused += 1,
            }
        }
    }
}

thread_local!(static MET: Cell<[Count; 3]> = const {
    Cell::new([Count { right: 0, wrong: 0, refused: 0 }; 3])
});

fn meet(counts: [Count; 3]) {
    let mut met = MET.get();
    for (met, count) in met.iter_mut().zip(counts) {
        met.right += count.right;
        met.wrong += count.wrong;
        met.refused += count.refused;
    }
    MET.set(met);
    for count in &counts[1..] {
        assert_eq!(count.wrong, 0, "{counts:?}");
    }
}

/// Damages a store; whatever is compared answers right or not at all.
fn holds(case: &Case, page: usize, run: fn(&Case, &[u8], &Entries) -> [Count; 3]) {
    let (mut bytes, entries) = build(case, page);
    for one in &case.harms {
        harm(&mut bytes, page, *one);
    }
    meet(run(case, &bytes, &entries));
}

/// Over all tests of this thread: wrong answers where nothing is compared, and right and refused ones
/// where it is.
fn all_was_met() {
    let [none, always, first] = MET.get();
    assert!(none.wrong > 10, "no damage that matters: {none:?}");
    assert!(always.refused > 100 && always.right > 10_000, "{always:?}");
    assert!(first.refused > 100 && first.right > 10_000, "{first:?}");
}

#[test]
fn in_memory_right_or_refused() {
    fn property(case: Case) -> bool {
        holds(&case, 512, in_memory);
        true
    }
    seeded(50).tests(60).quickcheck(property as fn(Case) -> bool);
    all_was_met();
}

#[test]
fn through_files_right_or_refused() {
    fn property(case: Case) -> bool {
        holds(&case, 4096, through_files);
        true
    }
    seeded(50).tests(30).quickcheck(property as fn(Case) -> bool);
    all_was_met();
}

#[test]
fn what_is_whole_is_never_refused() {
    fn property(case: Case) -> bool {
        let (bytes, entries) = build(&case, 512);
        for count in in_memory(&case, &bytes, &entries) {
            assert_eq!((count.wrong, count.refused), (0, 0), "{count:?}");
        }
        let (bytes, entries) = build(&case, 4096);
        for count in through_files(&case, &bytes, &entries) {
            assert_eq!((count.wrong, count.refused), (0, 0), "{count:?}");
        }
        true
    }
    seeded(50).tests(6).quickcheck(property as fn(Case) -> bool);
}
