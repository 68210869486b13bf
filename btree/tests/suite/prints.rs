//! Trees whose keys start alike, so that their leaves are of fingerprints and of heads side by side, against
//! `BTreeMap`, on pages of 512 bytes.
//!
//! Invariants checked: they do what maps do; leaves are of fingerprints where heads tie, and of heads where they
//! differ or where the store shall do without; a file says that it has such leaves before it has one.

use crate::support::*;
use mapleaf_btree::{Catalog, LooseInner, TreeHandle, TreeOptions, TreeRecord, Writer};
use mapleaf_pager::{Durability, Options, PageId, Pages, Verify, features, kind};
use quickcheck::{Arbitrary, Gen, QuickCheck};
use std::collections::BTreeSet;

/// URLs of a few hosts: the hosts' names part early, the paths late. Some other keys between them.
fn url(seed: u16) -> Vec<u8> {
    let n = seed / 8;
    match seed % 8 {
        0 => n.to_be_bytes().to_vec(),
        1 => format!("https://{}/", [b'a', b'h', b'w', b'x'][usize::from(n % 4)] as char).into(),
        2 => format!("https://www.example.org/{:b}", n % 64).into(),
        host => {
            let path = "/path".repeat(usize::from(n % 7));
            format!("https://www.{}.org/common{path}/{:03}", host % 3, n % 500).into()
        }
    }
}

/// Leaves of heads and of fingerprints below a page, `height` levels in all.
fn kinds<'a, P: Pages<'a>>(pages: P, page: PageId, height: u8) -> [usize; 2] {
    if height == 0 {
        return [0, 0];
    }
    let body = pages.page(page).unwrap();
    if height > 1 {
        let inner = LooseInner::read(page, body).unwrap();
        let below =
            (0..inner.children()).map(|i| kinds(pages, inner.child(i).unwrap(), height - 1));
        return below.fold([0; 2], |[a, b], [c, d]| [a + c, b + d]);
    }
    match body[0] {
        kind::LEAF => [1, 0],
        kind::LEAF_FINGERPRINT => [0, 1],
        other => panic!("page {page:?} is of kind {other}"),
    }
}

fn kinds_of<'a, P: Pages<'a>>(pages: P, record: &TreeRecord) -> [usize; 2] {
    let [heads, prints] = kinds(pages, record.root, record.height);
    assert_eq!(heads + prints, record.leaf_pages as usize);
    [heads, prints]
}

/// Incompatible features of the newer meta.
fn features_of(ram: &[u8]) -> u64 {
    let at = |slot: usize, at: usize| {
        u64::from_le_bytes(ram[slot * PAGE + at..][..8].try_into().unwrap())
    };
    if at(0, 80) > at(1, 80) { at(0, 24) } else { at(1, 24) }
}

#[derive(Clone, Debug)]
enum Op {
    Put(u16, u8),
    Many(u16, u8),
    Replace(u16, u8),
    Load(u8),
    Extend(u16, u8),
    Remove(u16),
    RemoveMany(u16, u8),
    RemoveRange(u16, u16),
    Savepoint,
    Rollback,
    Clear,
    Look(u16),
    Commit(bool),
    Reopen(bool),
}

impl Arbitrary for Op {
    fn arbitrary(g: &mut Gen) -> Op {
        let (a, b, n) = (u16::arbitrary(g), u8::arbitrary(g), u8::arbitrary(g));
        match n % 32 {
            0..=4 => Op::Put(a, b),
            5..=9 => Op::Many(a, b),
            10..=11 => Op::Replace(a, b),
            12 => Op::Load(b),
            13..=14 => Op::Extend(a, b),
            15..=17 => Op::Remove(a),
            18..=20 => Op::RemoveMany(a, b),
            21 => Op::RemoveRange(a, a.wrapping_add(u16::from(b))),
            22 => Op::Savepoint,
            23 if b.is_multiple_of(2) => Op::Rollback,
            24 if b.is_multiple_of(16) => Op::Clear,
            25..=27 => Op::Commit(b.is_multiple_of(2)),
            28 => Op::Reopen(b.is_multiple_of(3)),
            _ => Op::Look(a),
        }
    }
}

struct Txn<'s> {
    writer: Writer<'s>,
    tree: TreeHandle,
    entries: Entries,
    saved: Option<(mapleaf_btree::Savepoint, Entries)>,
    stamp: u32,
}

impl<'s> Txn<'s> {
    fn begin(store: &'s RamStore<'_>, entries: &Entries) -> Txn<'s> {
        let mut writer = Writer::new(store.begin_write().unwrap()).unwrap();
        let tree = writer.open_or_create("t", TreeOptions::default()).unwrap();
        Txn { writer, tree, entries: entries.clone(), saved: None, stamp: 0 }
    }

    fn value(&mut self, len: u8) -> Vec<u8> {
        self.stamp += 1;
        value_of(usize::from(len) % if len > 250 { 700 } else { 24 }, self.stamp)
    }

    fn some(&mut self, seed: u16, count: u8) -> Vec<(Vec<u8>, Vec<u8>)> {
        let seeds = (0..u16::from(count % 64)).map(|i| seed.wrapping_add(i * 37));
        seeds.map(|seed| (url(seed), self.value(seed as u8))).collect()
    }

    fn put(&mut self, seed: u16, len: u8) {
        let (key, value) = (url(seed), self.value(len));
        let replaced = self.writer.tree(self.tree).unwrap().insert(&key, &value).unwrap();
        assert_eq!(replaced, self.entries.insert(key, value).is_some());
    }

    fn remove(&mut self, seed: u16) {
        let key = url(seed);
        let removed = self.writer.tree(self.tree).unwrap().remove(&key).unwrap();
        assert_eq!(removed, self.entries.remove(&key).is_some());
    }

    fn apply(&mut self, op: &Op) {
        match op {
            Op::Put(seed, len) => self.put(*seed, *len),
            Op::Many(seed, count) => {
                (0..u16::from(*count)).for_each(|i| self.put(seed.wrapping_add(i), i as u8));
            }
            Op::Replace(rank, len) => {
                let Some(rank) = usize::from(*rank).checked_rem(self.entries.len()) else { return };
                let key = self.entries.keys().nth(rank).unwrap().clone();
                let value = self.value(*len);
                assert_eq!(self.writer.tree(self.tree).unwrap().insert(&key, &value), Ok(true));
                self.entries.insert(key, value);
            }
            Op::Load(count) => {
                let more = self.some(u16::from(*count) * 64 + 3, 63);
                let tree = self.writer.tree(self.tree).unwrap();
                load_behind(tree, &mut self.entries, more, 40 + count % 61);
            }
            Op::Extend(seed, count) => {
                let more = self.some(*seed, *count);
                extend_both(self.writer.tree(self.tree).unwrap(), &mut self.entries, more);
            }
            Op::Remove(seed) => self.remove(*seed),
            Op::RemoveMany(seed, count) => {
                (0..u16::from(*count)).for_each(|i| self.remove(seed.wrapping_add(i * 3)));
            }
            _ => self.apply_rare(op),
        }
    }

    fn apply_rare(&mut self, op: &Op) {
        match op {
            Op::RemoveRange(from, to) => {
                let (from, to) = (url(*from), url(*to));
                let before = self.entries.len();
                self.entries.retain(|key, _| !(from <= *key && *key < to));
                let gone = (before - self.entries.len()) as u64;
                let mut tree = self.writer.tree(self.tree).unwrap();
                assert_eq!(tree.remove_range(&from[..]..&to[..]), Ok(gone));
            }
            Op::Savepoint => {
                self.saved = Some((self.writer.savepoint().unwrap(), self.entries.clone()));
            }
            Op::Rollback => {
                let Some((savepoint, entries)) = self.saved.take() else { return };
                self.writer.rollback_to(savepoint).unwrap();
                self.entries = entries;
            }
            Op::Clear => {
                self.writer.tree(self.tree).unwrap().clear().unwrap();
                self.entries.clear();
            }
            Op::Look(seed) => self.look(*seed),
            _ => unreachable!("{op:?}"),
        }
    }

    fn look(&self, seed: u16) {
        let tree = self.writer.tree_ref(self.tree).unwrap();
        let sought = url(seed);
        for key in [&sought[..], &sought[..sought.len() / 2], &[&sought[..], b"\0"].concat()] {
            assert_eq!(tree.get(key).unwrap(), self.entries.get(key).map(|value| &value[..]));
            assert_eq!(tree.contains(key), Ok(self.entries.contains_key(key)));
            let above = self.entries.range(key.to_vec()..).next();
            let found = tree.cursor().seek_at_or_after(key).unwrap();
            let found = found.map(|(key, value)| (bytes(&key), value.to_vec()));
            assert_eq!(found, above.map(|(key, value)| (key.clone(), value.clone())));
            let below = self.entries.range(..key.to_vec()).map(|(key, _)| key.clone());
            assert!(tree.range(..key).rev().map(|entry| owned(entry).0).eq(below.rev()));
        }
        let keys: Vec<_> = (0..40).map(|i| url(seed.wrapping_add(i))).collect();
        let mut values = vec![None; keys.len()];
        tree.get_many(&keys, &mut values).unwrap();
        let wanted: Vec<_> = keys.iter().map(|key| self.entries.get(key).map(|v| &v[..])).collect();
        assert_eq!(values, wanted);
    }
}

/// Leaves of each kind met in committed states.
fn program(ops: &[Op], log_bytes: u64) -> [usize; 2] {
    let mut ram = vec![0; 8192 * PAGE];
    let mut len = len_of(&create(&mut ram, PAGE, log_bytes));
    let (mut committed, mut met, mut withheld) = (Entries::new(), [0; 2], false);
    let mut rest = ops;
    while !rest.is_empty() {
        let mut options = options(PAGE, log_bytes).verify(Verify::Always);
        if withheld {
            options = options.withhold(features::FINGERPRINTS);
        }
        let (_, store) = reopen(&mut ram, len, &options);
        let mut txn: Option<Txn<'_>> = None;
        let mut durable = false;
        while let Some((op, more)) = rest.split_first() {
            rest = more;
            match op {
                Op::Reopen(without) => {
                    withheld = *without;
                    break;
                }
                Op::Commit(sync) => {
                    let Some(mut txn) = txn.take() else { continue };
                    let durability = if *sync { Durability::Sync } else { Durability::Eventual };
                    txn.writer.write_back().unwrap();
                    check_state(txn.writer.txn());
                    txn.writer.commit(durability).unwrap();
                    committed = txn.entries;
                    prove(&store);
                    durable = true;
                }
                _ => txn.get_or_insert_with(|| Txn::begin(&store, &committed)).apply(op),
            }
        }
        drop(txn);
        let snapshot = store.begin_read(0).unwrap();
        let mut kinds = [0; 2];
        if let Some(record) = Catalog::new(&snapshot).unwrap().get("t").unwrap() {
            compare(Catalog::new(&snapshot).unwrap().open("t").unwrap(), &committed);
            kinds = kinds_of(&snapshot, &record);
        }
        drop(snapshot);
        len = len_of(&store);
        drop(store);
        let announced = features_of(&ram) & features::FINGERPRINTS != 0;
        assert!(announced || kinds[1] == 0, "not announced: {kinds:?}, {durable}");
        met = [met[0] + kinds[0], met[1] + kinds[1]];
    }
    met
}

#[test]
fn trees_of_urls_do_what_maps_do() {
    fn holds(ops: Vec<Op>, logged: bool) -> bool {
        program(&ops, if logged { 256 * 1024 } else { 0 });
        true
    }
    QuickCheck::new().rng(Gen::new(150)).quickcheck(holds as fn(Vec<Op>, bool) -> bool);
}

#[test]
fn the_programs_meet_both_kinds() {
    // Drawn anew each time: four programs are nearly always enough, and a kind that a hundred do not
    // meet is not made any more.
    let mut g = Gen::new(600);
    let mut met = [0; 2];
    for _ in 0..100 {
        let some = program(&Vec::arbitrary(&mut g), 64 * 1024);
        met = [met[0] + some[0], met[1] + some[1]];
        if met.iter().all(|count| *count > 50) {
            return;
        }
    }
    panic!("{met:?}");
}

/// A tree of these keys, in this order; its leaves of each kind, and the features of its file.
fn made(keys: &[Vec<u8>], page_size: usize, store: &Options, load: bool) -> ([usize; 2], u64) {
    let mut ram = vec![0; 16 << 20];
    let store = store.page_size(page_size as u32).log_bytes(0, 0);
    let store =
        mapleaf_pager::Store::create(mapleaf_pager::SliceMapping::empty(&mut ram), words(), &store)
            .unwrap();
    let mut writer = Writer::new(store.begin_write().unwrap()).unwrap();
    let handle = writer.create("t", TreeOptions::default()).unwrap();
    let mut tree = writer.tree(handle).unwrap();
    if load {
        tree.load(keys.iter().map(|key| (key, b"value")), 100).unwrap();
    } else {
        keys.iter().for_each(|key| assert_eq!(tree.insert(key, b"value"), Ok(false)));
    }
    let record = writer.record(handle).unwrap();
    let kinds = kinds_of(writer.txn(), &record);
    writer.commit(Durability::Sync).unwrap();
    prove(&store);
    drop(store);
    (
        kinds,
        u64::from_le_bytes(ram[page_size + 24..][..8].try_into().unwrap()) | features_at_0(&ram),
    )
}

fn features_at_0(ram: &[u8]) -> u64 {
    u64::from_le_bytes(ram[24..32].try_into().unwrap())
}

#[test]
fn leaves_are_of_fingerprints_where_heads_tie() {
    let mixed = |n: u64| n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let host = |n: u64| (mixed(n) >> 32) % 40;
    let urls: Vec<Vec<u8>> = (0..6000u64)
        .map(|n| format!("https://host{:02}.org/some/path/{:06}", host(n), mixed(n) >> 44).into())
        .collect();
    let sorted: Vec<Vec<u8>> = urls.iter().cloned().collect::<BTreeSet<_>>().into_iter().collect();
    let random: Vec<Vec<u8>> =
        (0..6000u64).map(|n| format!("{:016x}{:08x}", mixed(n), mixed(n) >> 3).into()).collect();
    let tied: Vec<Vec<u8>> = (0..3000u64)
        .map(|n| [&mixed(n).to_be_bytes()[..1], b"/home/", &n.to_be_bytes()].concat())
        .collect();
    let sorted_ties: Vec<Vec<u8>> =
        tied.iter().cloned().collect::<BTreeSet<_>>().into_iter().collect();
    let (any, without) = (Options::default(), Options::default().withhold(features::FINGERPRINTS));
    let bit = features::FINGERPRINTS;
    for page_size in [512, 4096] {
        let (kinds, announced) = made(&random, page_size, &any, false);
        assert_eq!((kinds[1], announced), (0, 0), "heads differ");
        let ([heads, prints], _) = made(&sorted, page_size, &any, true);
        assert!(prints < heads / 4, "heads behind the page's prefix differ: {prints} of {heads}");
        for (keys, load) in [(&tied, false), (&sorted_ties, true), (&urls, false)] {
            let ([heads, prints], announced) = made(keys, page_size, &any, load);
            let few = keys == &urls || page_size == 512;
            assert!(prints > heads || few, "{heads} of heads, {prints} of fingerprints");
            assert!(prints == 0 || announced == bit);
            let ([_, prints], announced) = made(keys, page_size, &without, load);
            assert_eq!((prints, announced), (0, 0), "withheld");
        }
    }
}

/// The first transaction that makes one is a checkpoint; what is behind it in the log makes more of them.
#[test]
fn a_file_says_that_it_has_such_leaves_before_it_has_one() {
    let options = options(PAGE, 64 * 1024);
    let mut ram = vec![0; 1 << 20];
    let store = create(&mut ram, PAGE, 64 * 1024);
    let put = |store: &RamStore<'_>, range: std::ops::Range<u16>| {
        let mut writer = Writer::new(store.begin_write().unwrap()).unwrap();
        let tree = writer.open_or_create("t", TreeOptions::default()).unwrap();
        for n in range {
            let key = [&[(n % 7) as u8], &b"/the same/"[..], &n.to_be_bytes()].concat();
            writer.tree(tree).unwrap().insert(&key, b"v").unwrap();
        }
        writer.commit(Durability::Eventual).unwrap();
        let snapshot = store.begin_read(0).unwrap();
        let record = Catalog::new(&snapshot).unwrap().get("t").unwrap().unwrap();
        (kinds_of(&snapshot, &record)[1], store.stats().log_commits)
    };
    assert_eq!(put(&store, 0..5), (0, 1));
    let (prints, logged) = put(&store, 5..60);
    assert!(prints > 0 && logged == 1, "{prints} of fingerprints, {logged} commits to the log");
    let (more, logged) = put(&store, 60..90);
    assert!(more > prints && logged == 2);
    let len = len_of(&store);
    drop(store);
    assert_eq!(features_of(&ram), features::FINGERPRINTS);
    let (records, store) = reopen(&mut ram, len, &options.withhold(features::FINGERPRINTS));
    assert!(records > 0);
    let snapshot = store.begin_read(0).unwrap();
    let tree = Catalog::new(&snapshot).unwrap().open("t").unwrap();
    assert_eq!(tree.len(), 90);
    assert!(kinds_of(&snapshot, &tree.record())[1] > 0);
}
