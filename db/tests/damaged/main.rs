//! Damaged files, repaired and salvaged.
//!
//! Invariants checked, of salvage: it never fails on what a file holds, nor panics; every pair that it
//! copies was committed once, in the tree of that name; every entry that undamaged pages lead to is
//! copied; what is missing is reported. Of repair: a file whose trees are whole keeps every entry, is
//! sound, and can be written to; an undamaged one is not changed. The oracle is a second reader of the
//! format.
//!
//! A failure prints the damage, and the command that draws it again.

mod entries;
#[cfg(target_os = "linux")]
mod metas;
mod naive;
#[cfg(target_os = "linux")]
mod scrub;
#[path = "../../../pager/tests/seeded/mod.rs"]
mod seeded;

use entries::{FIXED_WIDTH, entry_of, key_of};
use mapleaf::{Builder, Database, RepairOutcome, Salvage, SalvageReport};
use mapleaf_btree::Writer;
use mapleaf_pager::{Durability, Options, PageId, SliceMapping, Store, verify_sealed, words_for};
use naive::{Naive, Trees, u32_at};
use quickcheck::{Arbitrary, Gen};
use seeded::seeded;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU32;

/// Every pair that was ever committed, with its tree's name.
type Ever = BTreeSet<(String, Vec<u8>, Vec<u8>)>;

#[derive(Clone, Copy, Debug)]
enum Harm {
    Flip(u32, u32),
    Zero(u32),
    Noise(u32, u64),
    Swap(u32, u32),
    Cut(u32),
    Meta(bool),
}

impl Arbitrary for Harm {
    fn arbitrary(g: &mut Gen) -> Harm {
        let (a, b) = (u32::arbitrary(g), u32::arbitrary(g));
        match u8::arbitrary(g) % 16 {
            0..=5 => Harm::Flip(a, b),
            6..=8 => Harm::Zero(a),
            9..=10 => Harm::Noise(a, u64::from(b) | 1),
            11..=13 => Harm::Swap(a, b),
            14 => Harm::Cut(a),
            _ => Harm::Meta(bool::arbitrary(g)),
        }
    }
}

#[derive(Clone, Debug)]
struct Case {
    seeds: Vec<(u8, u16)>,
    harms: Vec<Harm>,
    large_pages: bool,
    log: bool,
    close: bool,
}

impl Arbitrary for Case {
    fn arbitrary(g: &mut Gen) -> Case {
        let seeds = (0..1500).map(|_| Arbitrary::arbitrary(g)).collect();
        let harms = (0..1 + u8::arbitrary(g) % 8).map(|_| Arbitrary::arbitrary(g)).collect();
        let flag = bool::arbitrary;
        Case { seeds, harms, large_pages: flag(g), log: flag(g), close: u8::arbitrary(g) % 4 > 0 }
    }
    fn shrink(&self) -> Box<dyn Iterator<Item = Case>> {
        // The history is as it is: building it is what takes time.
        let case = self.clone();
        Box::new(self.harms.shrink().map(move |harms| Case { harms, ..case.clone() }))
    }
}

/// A store's file.
struct Built {
    bytes: Vec<u8>,
    page: usize,
    trees: Trees,
    ever: Ever,
}

/// A new store of a few trees, in bytes: only so can its pages be of 512 bytes.
fn build(case: &Case) -> Built {
    let page = if case.large_pages { 4096 } else { 512 };
    let mut ram = vec![0; 8 << 20];
    let log_bytes = if case.log { 512 << 10 } else { 0 };
    let options = Options::default().page_size(page as u32).log_bytes(log_bytes, log_bytes);
    let words: Vec<AtomicU32> = (0..words_for(8)).map(|_| AtomicU32::new(0)).collect();
    let store = Store::create(SliceMapping::empty(&mut ram), words, &options).unwrap();
    let (mut trees, mut ever) = (Trees::new(), Ever::new());
    for (round, seeds) in case.seeds.chunks(250).enumerate() {
        let mut writer = Writer::new(store.begin_write().unwrap()).unwrap();
        let mut stored = BTreeMap::new();
        for (at, (tree, seed)) in seeds.iter().enumerate() {
            let (name, options, key, value) = entry_of(*tree, *seed, round * 1000 + at);
            let handle = writer.open_or_create(&name, options).unwrap();
            let entries = trees.entry(name.clone()).or_default();
            if round > 1 && seed % 5 == 0 {
                writer.tree(handle).unwrap().remove(&key).unwrap();
                entries.remove(&key);
                stored.remove(&(name, key));
            } else {
                writer.tree(handle).unwrap().insert(&key, &value).unwrap();
                entries.insert(key.clone(), value.clone());
                stored.insert((name, key), value);
            }
        }
        let durability = if round % 2 == 0 { Durability::Sync } else { Durability::Eventual };
        writer.commit(durability).unwrap();
        ever.extend(stored.into_iter().map(|((name, key), value)| (name, key, value)));
    }
    if case.close {
        store.close().unwrap();
    }
    let len = mapleaf_pager::Mapping::len(store.mapping()) as usize;
    drop(store);
    ram.truncate(len);
    Built { bytes: ram, page, trees, ever }
}

fn harm(bytes: &mut Vec<u8>, page: usize, harm: Harm) {
    let pages = bytes.len() / page;
    let place = |n: u32| n as usize % pages * page;
    match harm {
        Harm::Flip(n, at) => bytes[place(n) + at as usize % page] ^= 1 << (at % 8),
        Harm::Zero(n) => bytes[place(n)..place(n) + page].fill(0),
        Harm::Noise(n, mut state) => {
            for byte in &mut bytes[place(n)..place(n) + page] {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                *byte = (state >> 33) as u8;
            }
        }
        Harm::Swap(a, b) => {
            for i in 0..page {
                bytes.swap(place(a) + i, place(b) + i);
            }
        }
        Harm::Cut(n) => bytes.truncate((bytes.len() - n as usize % (bytes.len() / 4)).max(4096)),
        Harm::Meta(second) => bytes[usize::from(second) * page + 90] ^= 0x40,
    }
}

/// Salvages a file; what is in the new store.
fn salvaged(path: &Path) -> Option<(Trees, SalvageReport)> {
    let salvage = match Salvage::open(path) {
        Ok(salvage) => salvage,
        // So little is left that nothing shows what it was.
        Err(error) => {
            assert!(error.to_string().contains("not a mapleaf file"), "{error}");
            return None;
        }
    };
    let to = Builder::new().page_size(salvage.page_size()).in_memory().unwrap();
    let report = salvage.copy_to(&to, &mut |done, pages| assert!(done <= pages)).unwrap();
    assert!(to.check().unwrap().is_sound());
    let read = to.read().unwrap();
    let mut trees = Trees::new();
    for tree in read.trees().unwrap() {
        let name = String::from_utf8(tree.unwrap().0.to_vec()).unwrap();
        let entries = read.tree(&name).unwrap();
        let sizes = entries.record().fixed.map(|width| (width.key_bytes, width.value_bytes));
        // Where its record is lost too, the log's changes are applied to a tree made anew without sizes.
        if sizes.is_some() || report.names.is_empty() {
            assert_eq!(sizes, (name == "fixed width").then_some(FIXED_WIDTH), "sizes of {name}");
        }
        let entries = entries.iter().map(|entry| {
            let (key, value) = entry.unwrap();
            (key.to_vec(), value.to_vec())
        });
        trees.insert(name.clone(), entries.collect());
    }
    Some((trees, report))
}

fn write(dir: &Path, bytes: &[u8]) -> PathBuf {
    let path = dir.join("a.leaf");
    std::fs::write(&path, bytes).unwrap();
    path
}

/// That no pair was invented: under a tree's own name it is one of that tree's.
fn nothing_invented(found: &Trees, ever: &Ever) {
    let pairs: BTreeSet<_> = ever.iter().map(|(_, key, value)| (key, value)).collect();
    for (name, entries) in found {
        let lost_and_found = name.starts_with("lost+found/");
        for (key, value) in entries {
            let once = if lost_and_found {
                pairs.contains(&(key, value))
            } else {
                ever.contains(&(name.clone(), key.clone(), value.clone()))
            };
            assert!(once, "{name}: {key:?} was never committed with this value");
        }
    }
}

fn salvage_copies_what_is_whole(case: Case) -> bool {
    let built = build(&case);
    let mut bytes = built.bytes.clone();
    for one in &case.harms {
        harm(&mut bytes, built.page, *one);
    }
    let dir = tempfile::tempdir().unwrap();
    let Some((found, report)) = salvaged(&write(dir.path(), &bytes)) else { return true };
    nothing_invented(&found, &built.ever);
    let naive = Naive { before: &built.bytes, after: &bytes, page: built.page };
    if !case.close || !naive.intact(naive.newest()) {
        return true;
    }
    for (name, entries) in naive.readable() {
        let found = &found[&name];
        for (key, value) in entries {
            assert_eq!(found.get(&key), Some(&value), "{name}: {key:?}");
        }
    }
    let mut named = found.clone();
    named.retain(|name, _| !name.starts_with("lost+found/"));
    assert!(named == built.trees || !report.is_complete(), "lost in silence: {report:?}");
    for tree in &report.trees {
        assert!(tree.recorded.is_none_or(|recorded| tree.entries == recorded) || tree.losses > 0);
    }
    true
}

#[test]
fn salvage_of_any_damage() {
    seeded(50).tests(150).quickcheck(salvage_copies_what_is_whole as fn(Case) -> bool);
}

fn undamaged_is_copied_whole(case: Case) -> bool {
    let built = build(&case);
    let naive = Naive { before: &built.bytes, after: &built.bytes, page: built.page };
    if case.close {
        assert!(naive.readable() == built.trees, "the oracle");
    }
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), &built.bytes);
    let (found, report) = salvaged(&path).unwrap();
    assert!(report.is_complete(), "{report:?}");
    assert!(found == built.trees);
    if case.large_pages {
        let report = Database::repair_buffered(&path).unwrap();
        assert_eq!((report.outcome, report.before.damages), (RepairOutcome::Sound, 0));
        assert!(std::fs::read(&path).unwrap() == built.bytes, "changed");
    }
    true
}

#[test]
fn undamaged_files() {
    seeded(50).tests(30).quickcheck(undamaged_is_copied_whole as fn(Case) -> bool);
}

/// Without metas nothing is known but what each page says; nothing is lost all the same.
fn both_metas_lost(case: Case) -> bool {
    let built = build(&Case { close: true, ..case });
    let mut bytes = built.bytes.clone();
    bytes[..2 * built.page].fill(0xA5);
    let dir = tempfile::tempdir().unwrap();
    let (found, report) = salvaged(&write(dir.path(), &bytes)).unwrap();
    assert!(!report.is_complete() && report.scanned && report.txn.is_none());
    assert_eq!(report.page_size, built.page as u64);
    nothing_invented(&found, &built.ever);
    let pairs: BTreeSet<_> = found.values().flatten().collect();
    for (name, entries) in &built.trees {
        for pair in entries {
            assert!(pairs.contains(&pair), "{name}: {:?} {report:?}", pair.0);
        }
    }
    true
}

#[test]
fn without_metas() {
    seeded(50).tests(20).quickcheck(both_metas_lost as fn(Case) -> bool);
}

/// A lost page of names, or an inner page of a tree: its leaves are found again, and where free pages
/// are known nothing else is.
fn one_inner_page_lost(case: Case) -> bool {
    let built = build(&Case { close: true, ..case });
    let dir = tempfile::tempdir().unwrap();
    let newest = Naive { before: &built.bytes, after: &built.bytes, page: built.page }.newest();
    let root = u32_at(&built.bytes, newest * built.page + 128);
    let mut bytes = built.bytes.clone();
    bytes[root * built.page + 40] ^= 1;
    let (found, report) = salvaged(&write(dir.path(), &bytes)).unwrap();
    assert!(report.names.len() == 1 && report.scanned && report.free_pages_known);
    nothing_invented(&found, &built.ever);
    let found: BTreeSet<_> = found.values().flatten().collect();
    let wanted: BTreeSet<_> = built.trees.values().flatten().collect();
    // Leaves of small trees clash where no page of names is left to tell them apart.
    let missing = wanted.difference(&found).count();
    let roots_named = built.bytes[newest * built.page + 128 + 4] > 1;
    assert!(missing == 0 || !roots_named, "{missing} of {} {report:?}", wanted.len());
    assert!(found.is_subset(&wanted), "out of date");
    true
}

#[test]
fn the_root_of_the_names_lost() {
    seeded(50).tests(20).quickcheck(one_inner_page_lost as fn(Case) -> bool);
}

/// Damages every space page in a file, one after the other, and repairs it.
fn each_space_page_repaired(case: Case) -> bool {
    let built = build(&Case { large_pages: true, ..case });
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), &built.bytes);
    let pages = built.bytes.len() / built.page;
    // Kinds 6 to 8, some of older states: what is not the state's is no damage.
    let space = |page: &usize| {
        let bytes = &built.bytes[page * built.page..(page + 1) * built.page];
        (6..=8).contains(&bytes[16]) && verify_sealed(PageId(*page as u32), bytes).is_ok()
    };
    for page in (2..pages).filter(space).take(4) {
        let mut bytes = built.bytes.clone();
        bytes[page * built.page + 100] ^= 0x10;
        std::fs::write(&path, &bytes).unwrap();
        let report = Database::repair_buffered(&path).unwrap();
        assert_ne!(report.outcome, RepairOutcome::TreesDamaged);
        works_as_before(&path, &built.trees);
    }
    // A torn meta, in a file that was closed: both have the state.
    let mut bytes = built.bytes.clone();
    let naive = Naive { before: &bytes, after: &bytes, page: built.page };
    let older = 1 - naive.newest();
    bytes[older * built.page + 300] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let report = Database::repair_buffered(&path).unwrap();
    assert_eq!(report.outcome, RepairOutcome::Repaired);
    assert!(!report.metas_whole[older] && report.after.unwrap().is_sound());
    works_as_before(&path, &built.trees);
    true
}

/// That the file holds these entries, is sound, and stays so when it is written to.
fn works_as_before(path: &Path, trees: &Trees) {
    let db = Database::open_buffered(path).unwrap();
    for (name, wanted) in trees {
        let read = db.read().unwrap();
        let tree = read.tree(name).unwrap();
        assert_eq!(tree.len(), wanted.len() as u64);
        for (key, value) in wanted {
            assert_eq!(tree.get(key).unwrap(), Some(&value[..]), "{name}");
        }
    }
    for round in 0..3u16 {
        let mut txn = db.write().unwrap();
        for seed in 0..200u16 {
            txn.tree("new").unwrap().insert(&key_of(seed * 3 + round), &[1; 100]).unwrap();
        }
        txn.commit().unwrap();
        assert!(db.check().unwrap().is_sound());
    }
}

#[test]
fn repair_of_damaged_space() {
    seeded(50).tests(15).quickcheck(each_space_page_repaired as fn(Case) -> bool);
}
