//! Stores whose space is damaged, repaired.
//!
//! Invariants checked: however the space pages and the space's record are damaged, the repaired store
//! holds every entry, every page of it is accounted for once, and it can be written to as before; no
//! page that lay in the file is overwritten but metas; a repair that ends half-way leaves the trees; a
//! damaged tree is refused, and nothing is changed.

use crate::support::{
    PAGE, Trees, compare_all, create, key_of, len_of, len_of_value, options, prove, reopen,
    value_of, words,
};
use mapleaf_btree::{Error, Replayer, TREES_MAX, TreeOptions, Writer, rebuild};
use mapleaf_pager::{
    Damage, Durability, Error as StoreError, PageId, PageUse, Repair, SliceMapping,
};
use quickcheck::{Arbitrary, Gen, QuickCheck};
use std::collections::BTreeMap;
use xxhash_rust::xxh3::xxh3_64;

const RAM: usize = 1 << 20;
/// Where the space record begins in a meta.
const SPACE: usize = 256;

/// A damage to the space.
#[derive(Clone, Copy, Debug)]
enum Harm {
    /// A bit of a space page.
    Flip(u16, u16),
    /// A space page of zeros.
    Zero(u16),
    /// A byte of a space page, which is then sealed again.
    Forge(u16, u16, u8),
    /// A byte of the newest state's space record, both metas that hold it sealed again.
    Record(u16, u8),
    /// A meta.
    Torn(bool),
}

impl Arbitrary for Harm {
    fn arbitrary(g: &mut Gen) -> Harm {
        let (page, at) = (u16::arbitrary(g), u16::arbitrary(g));
        match u8::arbitrary(g) % 8 {
            0 => Harm::Flip(page, at),
            1 => Harm::Zero(page),
            2..=4 => Harm::Forge(page, at, u8::arbitrary(g)),
            5..=6 => Harm::Record(at, u8::arbitrary(g)),
            _ => Harm::Torn(bool::arbitrary(g)),
        }
    }
}

#[derive(Clone, Debug)]
struct Case {
    /// Seeds of the entries; what is divisible by three is a removal.
    seeds: Vec<(u8, u16)>,
    harms: Vec<Harm>,
    log: bool,
    close: bool,
}

impl Arbitrary for Case {
    fn arbitrary(g: &mut Gen) -> Case {
        let seeds = (0..800).map(|_| Arbitrary::arbitrary(g)).collect();
        let harms = (0..1 + u8::arbitrary(g) % 4).map(|_| Arbitrary::arbitrary(g)).collect();
        Case { seeds, harms, log: bool::arbitrary(g), close: bool::arbitrary(g) }
    }
    fn shrink(&self) -> Box<dyn Iterator<Item = Case>> {
        // The history is as it is: building it is what takes time.
        let case = self.clone();
        Box::new(self.harms.shrink().map(move |harms| Case { harms, ..case.clone() }))
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

/// The checksum that a page (or meta) should have.
fn sum(bytes: &[u8], page: usize) -> u64 {
    xxh3_64(&bytes[8..]) ^ (page as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

fn is_sealed(bytes: &[u8], page: usize) -> bool {
    u64_at(bytes, 0) == sum(bytes, page)
}

/// Gives a page (or meta) the checksum that its bytes should have.
fn seal(ram: &mut [u8], page: usize) {
    let bytes = &mut ram[page * PAGE..(page + 1) * PAGE];
    let sum = sum(bytes, page);
    bytes[..8].copy_from_slice(&sum.to_le_bytes());
}

fn harm(ram: &mut [u8], space: &[u32], harm: Harm) {
    let page = |n: u16| space.get(usize::from(n) % space.len().max(1)).map(|page| *page as usize);
    match harm {
        Harm::Flip(n, at) => {
            if let Some(page) = page(n) {
                ram[page * PAGE + usize::from(at) % PAGE] ^= 1 << (at % 8);
            }
        }
        Harm::Zero(n) => {
            if let Some(page) = page(n) {
                ram[page * PAGE..(page + 1) * PAGE].fill(0);
            }
        }
        Harm::Forge(n, at, byte) => {
            if let Some(page) = page(n) {
                ram[page * PAGE + 16 + usize::from(at) % (PAGE - 16)] ^= byte;
                seal(ram, page);
            }
        }
        Harm::Record(at, byte) => {
            let newest = (0..2).map(|slot| u64_at(ram, slot * PAGE + 80)).max().unwrap();
            for slot in 0..2 {
                // Not the page count, which says how long the file is.
                let at = slot * PAGE + SPACE + 4 + usize::from(at) % 250;
                if u64_at(ram, slot * PAGE + 80) == newest && at < (slot + 1) * PAGE {
                    ram[at] ^= byte;
                    seal(ram, slot);
                }
            }
        }
        Harm::Torn(second) => {
            // The one with the same state, if any, or the older one.
            let slot = usize::from(second);
            let other = &ram[(1 - slot) * PAGE..(2 - slot) * PAGE];
            if is_sealed(other, 1 - slot) && u64_at(other, 80) >= u64_at(ram, slot * PAGE + 80) {
                ram[slot * PAGE + 100] ^= 1;
            }
        }
    }
}

/// Builds a store; what it holds, its length, and the pages that are in such use.
fn build(ram: &mut [u8], case: &Case, wanted: &[PageUse]) -> (Trees, usize, Vec<u32>) {
    let store = create(ram, PAGE, if case.log { 256 * PAGE as u64 } else { 0 });
    let mut trees: Trees = BTreeMap::new();
    let mut held = Vec::new();
    for (round, seeds) in case.seeds.chunks(100).enumerate() {
        let mut writer = Writer::new(store.begin_write().unwrap()).unwrap();
        for (at, (tree, seed)) in seeds.iter().enumerate() {
            let name = format!("tree {}", usize::from(*tree) % 12.min(TREES_MAX));
            let handle = writer.open_or_create(&name, TreeOptions::default()).unwrap();
            let (_, entries) = trees.entry(name).or_default();
            let key = key_of(*seed);
            if round > 3 && seed % 3 > 0 {
                writer.tree(handle).unwrap().remove(&key).unwrap();
                entries.remove(&key);
            } else {
                let value = value_of(len_of_value(*seed), at as u32);
                writer.tree(handle).unwrap().insert(&key, &value).unwrap();
                entries.insert(key, value);
            }
        }
        let durability = if round < 6 { Durability::Sync } else { Durability::Eventual };
        writer.commit(durability).unwrap();
        if round % 2 == 0 {
            held.push(store.begin_read(0).unwrap());
        }
        if round == 5 {
            held.truncate(1);
        }
    }
    drop(held);
    if case.close {
        store.close().unwrap();
    }
    let mut found = Vec::new();
    let mut note = |page: PageId, pages, used| {
        if wanted.contains(&used) {
            found.extend(page.0..page.0 + pages);
        }
    };
    store.inspect().unwrap().visit(&mut note).unwrap();
    (trees, len_of(&store), found)
}

/// Repairs the store in `ram`; its length then. Half-way: stops before the commit.
fn repair(ram: &mut [u8], len: usize, half_way: bool) -> Result<usize, Error> {
    let mapping = SliceMapping::with_len(ram, len);
    let mut repair = Repair::open(mapping, words(), &options(PAGE, 0))?;
    repair.replay(&mut Replayer::new())?;
    let mut work = vec![0; RAM / PAGE / 8];
    let end = {
        let (snapshot, mut txn) = repair.rebuild()?;
        rebuild(&snapshot, &mut txn, &mut work)?;
        if half_way { None } else { Some(txn.commit()?) }
    };
    let pages = repair.mapped_pages() as usize;
    if end.is_some() {
        repair.close()?;
    }
    Ok(pages * PAGE)
}

fn space_damage_is_repaired(case: Case) -> bool {
    let mut ram = vec![0; RAM];
    let (mut trees, len, space) = build(&mut ram, &case, &[PageUse::Space]);
    let log = u32_at(&ram, 88) as usize..u32_at(&ram, 88) as usize + u32_at(&ram, 92) as usize;
    for one in &case.harms {
        harm(&mut ram, &space, *one);
    }
    let before = ram.clone();
    // First one that ends before its commit.
    let half_len = repair(&mut ram, len, true).unwrap();
    let file_len = len;
    let len = repair(&mut ram, half_len, false).unwrap();
    for page in 2..file_len / PAGE {
        let bytes = page * PAGE..(page + 1) * PAGE;
        assert!(
            log.contains(&page) || ram[bytes.clone()] == before[bytes],
            "page {page} was overwritten"
        );
    }
    let (_, store) = reopen(&mut ram, len, &options(PAGE, 0));
    prove(&store);
    compare_all(&store.begin_read(0).unwrap(), &trees);
    // And it works as before.
    for round in 0..6u16 {
        let mut writer = Writer::new(store.begin_write().unwrap()).unwrap();
        let tree = writer.open_or_create("new", TreeOptions::default()).unwrap();
        let (_, entries) = trees.entry("new".into()).or_default();
        for seed in 0..100u16 {
            let (key, value) = (key_of(seed * 7 + round), value_of(usize::from(seed), 1));
            writer.tree(tree).unwrap().insert(&key, &value).unwrap();
            entries.insert(key, value);
        }
        writer.commit(Durability::Sync).unwrap();
    }
    prove(&store);
    compare_all(&store.begin_read(0).unwrap(), &trees);
    true
}

#[test]
fn whatever_the_damage_to_the_space() {
    QuickCheck::new()
        .rng(Gen::new(50))
        .tests(60)
        .quickcheck(space_damage_is_repaired as fn(Case) -> bool);
}

#[test]
fn damaged_trees_are_refused() {
    let mut g = Gen::new(50);
    let case = Case { close: true, ..Case::arbitrary(&mut g) };
    let mut ram = vec![0; RAM];
    let (_, len, _) = build(&mut ram, &case, &[]);
    let leaves = (2..len / PAGE).filter(|page| ram[page * PAGE + 16] == 2);
    let mut refused = 0;
    for page in leaves.collect::<Vec<_>>() {
        let mut damaged = ram.clone();
        damaged[page * PAGE + 200] ^= 1;
        let before = damaged.clone();
        match repair(&mut damaged, len, false) {
            Ok(_) => {} // A leaf of an older state.
            Err(error) => {
                // Of a run the first page is named.
                let Error::Pager(StoreError::Corrupt { page: named, damage }) = error else {
                    panic!("{error}");
                };
                assert!(named.0 as usize <= page && damage == Damage::Checksum, "{error}");
                assert!(damaged[2 * PAGE..len] == before[2 * PAGE..len]);
                refused += 1;
            }
        }
    }
    assert!(refused > 20, "{refused}");
}

#[test]
fn a_cut_tail_of_free_pages_is_no_loss() {
    let mut ram = vec![0; RAM];
    let mut trees: Trees = BTreeMap::new();
    let (len, free) = {
        let store = create(&mut ram, PAGE, 0);
        let mut put = |name: &str, keys: std::ops::Range<u16>| {
            let mut writer = Writer::new(store.begin_write().unwrap()).unwrap();
            if keys.is_empty() {
                assert!(writer.drop_tree(name).unwrap());
                trees.remove(name);
            }
            for key in keys {
                let tree = writer.open_or_create(name, TreeOptions::default()).unwrap();
                let (key, value) = (key.to_be_bytes().to_vec(), vec![1; 90]);
                writer.tree(tree).unwrap().insert(&key, &value).unwrap();
                trees.entry(name.to_string()).or_default().1.insert(key, value);
            }
            writer.commit(Durability::Sync).unwrap();
        };
        put("kept", 0..3000);
        // The pages that these free are what the others need.
        (0..4).for_each(|_| put("kept", 0..100));
        put("dropped", 0..100);
        (0..2).for_each(|_| put("kept", 0..10));
        put("dropped", 0..0);
        put("kept", 0..1);
        let mut unused = Vec::new();
        let mut note = |page: PageId, pages, used| {
            if matches!(used, PageUse::Free | PageUse::Pinned) {
                unused.extend(page.0..page.0 + pages);
            }
        };
        store.inspect().unwrap().visit(&mut note).unwrap();
        let page_count = store.begin_read(0).unwrap().page_count();
        let free = (0..page_count).rev().take_while(|page| unused.contains(page)).count();
        (page_count as usize * PAGE, free)
    };
    assert!(free > 0, "{free}");
    for cut in 1..=free {
        let mut ram = ram.clone();
        let end = len - cut * PAGE;
        ram[end..].fill(0xA5);
        let len = repair(&mut ram, end, false).unwrap();
        let (_, store) = reopen(&mut ram, len, &options(PAGE, 0));
        prove(&store);
        compare_all(&store.begin_read(0).unwrap(), &trees);
    }
    // One more is a page of a tree, or of the space.
    let end = len - (free + 1) * PAGE;
    match repair(&mut ram, end, false) {
        Ok(_) => {}
        Err(error) => assert!(matches!(error, Error::Pager(StoreError::Corrupt { .. })), "{error}"),
    }
}
