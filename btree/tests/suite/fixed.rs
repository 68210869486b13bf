//! Trees of fixed width against `BTreeMap`, on pages of 512 bytes.
//!
//! Invariants checked: they do what other trees do, for keys of every size that is searched in its own way; entries
//! of other sizes are refused and change nothing; a file says that it has such trees before it has one; leaves
//! hold as many entries as there is room for.

use crate::support::*;
use mapleaf_btree::{Catalog, Error, FixedWidth, Pending, TreeHandle, TreeOptions, Writer};
use mapleaf_pager::{Durability, Verify};
use quickcheck::{Arbitrary, Gen, QuickCheck};

const WIDTHS: [(u16, u16); 9] =
    [(1, 0), (2, 3), (4, 4), (8, 8), (8, 0), (9, 2), (16, 8), (24, 60), (90, 29)];

fn width(of: (u16, u16)) -> FixedWidth {
    let mut options = TreeOptions::default();
    options = options.fixed_width(of.0, of.1);
    options.fixed.unwrap()
}

/// Keys of this size: few, some that differ in their first bytes, some in their last only.
fn key(width: FixedWidth, seed: u16) -> Vec<u8> {
    let len = usize::from(width.key_bytes);
    let mut key = if seed.is_multiple_of(3) { vec![b'k'; len] } else { vec![0; len] };
    let number = (seed / 3 % 600).to_be_bytes();
    let at = if seed.is_multiple_of(2) { 0 } else { len.saturating_sub(2) };
    for (to, from) in key[at..].iter_mut().zip(number.iter().skip(2usize.saturating_sub(len))) {
        *to = *from;
    }
    key
}

fn value(width: FixedWidth, stamp: u32) -> Vec<u8> {
    value_of(usize::from(width.value_bytes), stamp)
}

#[derive(Clone, Debug)]
enum Op {
    Put(u16),
    PutIfAbsent(u16),
    Reserve(u16),
    Many(u16, u8),
    Load(u8),
    Extend(u16, u8),
    Remove(u16),
    RemoveMany(u16, u8),
    RemoveRange(u16, u16),
    Pop(bool),
    Clear,
    Wrong(u8),
    Look(u16),
    Commit(bool),
    Reopen,
}

impl Arbitrary for Op {
    fn arbitrary(g: &mut Gen) -> Op {
        let (a, b, n) = (u16::arbitrary(g), u16::arbitrary(g), u8::arbitrary(g));
        match n % 32 {
            0..=4 => Op::Put(a),
            5 => Op::PutIfAbsent(a),
            6 => Op::Reserve(a),
            7..=11 => Op::Many(a, b as u8),
            12 => Op::Load(b as u8),
            13..=14 => Op::Extend(a, b as u8),
            15..=17 => Op::Remove(a),
            18..=20 => Op::RemoveMany(a, b as u8),
            21 => Op::RemoveRange(a, b),
            22 => Op::Pop(a % 2 == 0),
            23 if a % 8 == 0 => Op::Clear,
            24 => Op::Wrong(b as u8),
            25..=27 => Op::Commit(a % 2 == 0),
            28 => Op::Reopen,
            _ => Op::Look(a),
        }
    }
}

struct Txn<'s> {
    writer: Writer<'s>,
    tree: TreeHandle,
    width: FixedWidth,
    entries: Entries,
    stamp: u32,
}

impl<'s> Txn<'s> {
    fn begin(store: &'s RamStore<'_>, width: FixedWidth, entries: &Entries) -> Txn<'s> {
        let mut writer = Writer::new(store.begin_write().unwrap()).unwrap();
        let options = TreeOptions::default().fixed_width(width.key_bytes, width.value_bytes);
        let tree = writer.open_or_create("t", options.tag(5)).unwrap();
        assert_eq!(writer.record(tree).unwrap().fixed, Some(width));
        Txn { writer, tree, width, entries: entries.clone(), stamp: entries.len() as u32 }
    }

    fn entry(&mut self, seed: u16) -> (Vec<u8>, Vec<u8>) {
        self.stamp += 1;
        (key(self.width, seed), value(self.width, self.stamp))
    }

    fn some(&mut self, seed: u16, count: u8) -> Vec<(Vec<u8>, Vec<u8>)> {
        (0..u16::from(count)).map(|i| self.entry(seed.wrapping_add(i * 37))).collect()
    }

    fn apply(&mut self, op: &Op) {
        match op {
            Op::Put(seed) => self.put(*seed),
            Op::Many(seed, count) => {
                (0..u16::from(*count)).for_each(|i| self.put(seed.wrapping_add(i)));
            }
            Op::PutIfAbsent(seed) => {
                let (key, value) = self.entry(*seed);
                let stored = self.writer.tree(self.tree).unwrap().insert_if_absent(&key, &value);
                assert_eq!(stored, Ok(!self.entries.contains_key(&key)));
                self.entries.entry(key).or_insert(value);
            }
            Op::Reserve(seed) => {
                let (key, value) = self.entry(*seed);
                let fill = |place: &mut [u8]| place.copy_from_slice(&value);
                let mut tree = self.writer.tree(self.tree).unwrap();
                let replaced = tree.reserve(&key, value.len(), fill).unwrap();
                assert_eq!(replaced, self.entries.insert(key, value).is_some());
            }
            Op::Load(count) => {
                let more = self.some(0, *count);
                let tree = self.writer.tree(self.tree).unwrap();
                load_behind(tree, &mut self.entries, more, 40 + count % 61);
            }
            Op::Extend(seed, count) => {
                let more = self.some(*seed, *count);
                extend_both(self.writer.tree(self.tree).unwrap(), &mut self.entries, more);
            }
            _ => self.take(op),
        }
    }

    fn put(&mut self, seed: u16) {
        let (key, value) = self.entry(seed);
        let replaced = self.writer.tree(self.tree).unwrap().insert(&key, &value).unwrap();
        assert_eq!(replaced, self.entries.insert(key, value).is_some());
    }

    fn take(&mut self, op: &Op) {
        let mut tree = self.writer.tree(self.tree).unwrap();
        match op {
            Op::Remove(seed) => {
                let key = key(self.width, *seed);
                assert_eq!(tree.remove(&key), Ok(self.entries.remove(&key).is_some()));
            }
            Op::RemoveMany(seed, count) => {
                for i in 0..u16::from(*count) {
                    let key = key(self.width, seed.wrapping_add(i * 3));
                    assert_eq!(tree.remove(&key), Ok(self.entries.remove(&key).is_some()));
                }
            }
            Op::RemoveRange(from, to) => {
                let (from, to) = (key(self.width, *from), key(self.width, *to));
                let before = self.entries.len();
                self.entries.retain(|key, _| !(from <= *key && *key < to));
                let gone = (before - self.entries.len()) as u64;
                assert_eq!(tree.remove_range(&from[..]..&to[..]), Ok(gone));
            }
            Op::Pop(first) => {
                let see = |key: &mapleaf_btree::Key<'_>, value: &[u8]| (bytes(key), value.to_vec());
                let popped = if *first { tree.pop_first(see) } else { tree.pop_last(see) };
                let wanted =
                    if *first { self.entries.pop_first() } else { self.entries.pop_last() };
                assert_eq!(popped, Ok(wanted));
            }
            Op::Clear => {
                tree.clear().unwrap();
                self.entries.clear();
            }
            Op::Wrong(seed) => self.refuse(*seed),
            Op::Look(seed) => self.look(*seed),
            _ => unreachable!("{op:?}"),
        }
    }

    /// Entries of other sizes change nothing.
    fn refuse(&mut self, seed: u8) {
        let width = self.width;
        let (good_key, good_value) = (key(width, u16::from(seed) * 3), value(width, 1));
        let (long_key, long_value) =
            ([&good_key[..], b"x"].concat(), [&good_value[..], b"x"].concat());
        let wrong = Error::WrongWidth { width };
        let mut tree = self.writer.tree(self.tree).unwrap();
        for (key, value) in [
            (&long_key, &good_value),
            (&good_key, &long_value),
            (&Vec::new(), &good_value),
            (&long_key, &vec![1; 2000]),
        ] {
            assert_eq!(tree.insert(key, value), Err(wrong));
            assert_eq!(tree.reserve(key, value.len(), |_| ()), Err(wrong));
            let mut work = [Pending::default(); 2];
            assert_eq!(tree.extend([(&key[..], &value[..])], &mut work), Err(wrong));
            let loaded = tree.load([(key, value)], 100);
            assert!(
                matches!(loaded, Err(Error::WrongWidth { .. } | Error::NotSorted)),
                "{loaded:?}"
            );
        }
        assert_eq!(tree.remove(&long_key), Ok(false));
        assert_eq!(tree.get(&[]), Ok(None));
    }

    fn look(&self, seed: u16) {
        let tree = self.writer.tree_ref(self.tree).unwrap();
        let sought = key(self.width, seed);
        // Shorter and longer keys lie between those that are there.
        for key in [&sought[..], &sought[..sought.len() / 2], &[&sought[..], b"\0"].concat()] {
            assert_eq!(tree.get(key).unwrap(), self.entries.get(key).map(|value| &value[..]));
            assert_eq!(tree.contains(key), Ok(self.entries.contains_key(key)));
            let above = self.entries.range(key.to_vec()..).next();
            let found = tree.cursor().seek_at_or_after(key).unwrap();
            let found = found.map(|(key, value)| (bytes(&key), value.to_vec()));
            assert_eq!(found, above.map(|(key, value)| (key.clone(), value.clone())));
            let below = self.entries.range(..key.to_vec()).map(|(key, _)| key.clone());
            let walked = tree.range(..key).rev().map(|entry| owned(entry).0);
            assert!(walked.eq(below.rev()));
            let starting = self.entries.keys().filter(|found| found.starts_with(key)).cloned();
            assert!(tree.prefix(key).map(|entry| owned(entry).0).eq(starting));
        }
        let keys: Vec<_> = (0..40).map(|i| key(self.width, seed.wrapping_add(i))).collect();
        let mut values = vec![None; keys.len()];
        tree.get_many(&keys, &mut values).unwrap();
        let wanted: Vec<_> = keys.iter().map(|key| self.entries.get(key).map(|v| &v[..])).collect();
        assert_eq!(values, wanted);
    }
}

fn program(ops: &[Op], width: FixedWidth, log_bytes: u64) {
    let mut ram = vec![0; 4096 * PAGE];
    let mut len = len_of(&create(&mut ram, PAGE, log_bytes));
    let mut committed = None;
    let mut rest = ops;
    while !rest.is_empty() {
        let options = options(PAGE, log_bytes).verify(Verify::Always);
        let (_, store) = reopen(&mut ram, len, &options);
        let mut txn: Option<Txn<'_>> = None;
        while let Some((op, more)) = rest.split_first() {
            rest = more;
            match op {
                Op::Reopen => break,
                Op::Commit(sync) => {
                    let Some(txn) = txn.take() else { continue };
                    let durability = if *sync { Durability::Sync } else { Durability::Eventual };
                    check_state(txn.writer.txn());
                    txn.writer.commit(durability).unwrap();
                    committed = Some(txn.entries);
                    let report = prove(&store);
                    assert_eq!(report.run_pages, 0);
                }
                _ => {
                    let none = Entries::new();
                    let entries = committed.as_ref().unwrap_or(&none);
                    txn.get_or_insert_with(|| Txn::begin(&store, width, entries)).apply(op);
                }
            }
        }
        drop(txn);
        if let Some(entries) = &committed {
            let snapshot = store.begin_read(0).unwrap();
            let trees = Trees::from([("t".to_string(), (5, entries.clone()))]);
            compare_all(&snapshot, &trees);
            let record = Catalog::new(&snapshot).unwrap().get("t").unwrap().unwrap();
            assert_eq!(record.fixed, Some(width));
        }
        len = len_of(&store);
    }
}

#[test]
fn fixed_trees_do_what_maps_do() {
    for (i, of) in WIDTHS.into_iter().enumerate() {
        for log_bytes in [0, 256 * 1024] {
            let run = move |ops: Vec<Op>| {
                program(&ops, width(WIDTHS[(ops.len() + i) % WIDTHS.len()]), log_bytes);
                program(&ops, width(of), log_bytes);
                true
            };
            // `quickcheck` takes functions and closures without captures only: drawn here.
            let mut gen_ops = Gen::new(120);
            for _ in 0..12 {
                assert!(run(Vec::arbitrary(&mut gen_ops)));
            }
        }
    }
}

#[test]
fn any_width_does_what_maps_do() {
    fn holds(ops: Vec<Op>, of: u8, logged: bool) -> bool {
        let log_bytes = if logged { 256 * 1024 } else { 0 };
        program(&ops, width(WIDTHS[usize::from(of) % WIDTHS.len()]), log_bytes);
        true
    }
    QuickCheck::new().rng(Gen::new(150)).quickcheck(holds as fn(Vec<Op>, u8, bool) -> bool);
}

#[test]
fn widths_that_no_page_holds_are_refused() {
    for (&page_size, most) in PAGES.iter().zip([119u16, 1015, 16_375]) {
        let mut ram = vec![0; 4 << 20];
        let store = create(&mut ram, page_size, 0);
        let mut writer = Writer::new(store.begin_write().unwrap()).unwrap();
        let limit_bytes = usize::from(most);
        for (key_bytes, value_bytes) in [(0, 8), (most + 1, 0), (1, most), (u16::MAX, u16::MAX)] {
            let options = TreeOptions::default().fixed_width(key_bytes, value_bytes);
            assert_eq!(writer.create("t", options), Err(Error::WidthTooLarge { limit_bytes }));
        }
        let tree = writer.create("t", TreeOptions::default().fixed_width(most - 7, 7)).unwrap();
        for n in 0..9u8 {
            let key = vec![n; usize::from(most) - 7];
            assert_eq!(writer.tree(tree).unwrap().insert(&key, b"1234567"), Ok(false));
        }
        writer.commit(Durability::Sync).unwrap();
        assert_eq!(prove(&store).leaf_pages, 1 + 3, "four entries a leaf, and the catalog's");
    }
}

#[test]
#[cfg(feature = "large")]
fn leaves_hold_what_there_is_room_for() {
    for (of, a_leaf) in [((8, 8), 254), ((4, 0), 1016), ((1, 0), 256), ((24, 150), 23)] {
        let mut ram = vec![0; 4 << 20];
        let store = create(&mut ram, 4096, 0);
        let mut writer = Writer::new(store.begin_write().unwrap()).unwrap();
        let options = TreeOptions::default().fixed_width(of.0, of.1);
        let tree = writer.create("t", options).unwrap();
        let count = if of.0 == 1 { 256 } else { 10 * a_leaf };
        let entries = (0..count as u64).map(|n| {
            let mut key = vec![0; usize::from(of.0)];
            let bytes = n.to_be_bytes();
            let len = key.len().min(8);
            key[..len].copy_from_slice(&bytes[8 - len..]);
            (key, vec![7; usize::from(of.1)])
        });
        writer.tree(tree).unwrap().load(entries, 100).unwrap();
        assert_eq!(writer.record(tree).unwrap().leaf_pages as usize, count / a_leaf, "{of:?}");
        writer.commit(Durability::Sync).unwrap();
        prove(&store);
    }
}

#[test]
fn a_file_says_that_it_has_such_trees_before_it_has_one() {
    /// Incompatible features of the newer meta.
    fn features(ram: &[u8]) -> u64 {
        let at = |slot: usize, at: usize| {
            let bytes = ram[slot * PAGE + at..][..8].try_into().unwrap();
            u64::from_le_bytes(bytes)
        };
        if at(0, 80) > at(1, 80) { at(0, 24) } else { at(1, 24) }
    }
    let mut ram = vec![0; 1 << 20];
    let len = {
        let store = create(&mut ram, PAGE, 64 * 1024);
        let mut writer = Writer::new(store.begin_write().unwrap()).unwrap();
        let plain = writer.create("plain", TreeOptions::default()).unwrap();
        writer.tree(plain).unwrap().insert(b"a", b"b").unwrap();
        writer.commit(Durability::Sync).unwrap();
        assert_eq!(store.stats().log_commits, 1);
        len_of(&store)
    };
    assert_eq!(features(&ram), 0);
    let len = {
        let (_, store) = reopen(&mut ram, len, &options(PAGE, 64 * 1024));
        for name in ["first", "second"] {
            let mut writer = Writer::new(store.begin_write().unwrap()).unwrap();
            writer.create(name, TreeOptions::default().fixed_width(8, 8)).unwrap();
            writer.commit(Durability::Eventual).unwrap();
        }
        // The first that makes one is a checkpoint, though it is small.
        assert_eq!(store.stats().log_commits, 1);
        len_of(&store)
    };
    assert_eq!(features(&ram), 1 << 2);
    let (_, store) = reopen(&mut ram, len, &options(PAGE, 64 * 1024));
    let snapshot = store.begin_read(0).unwrap();
    let record = Catalog::new(&snapshot).unwrap().get("second").unwrap().unwrap();
    assert_eq!(record.fixed, Some(width((8, 8))));
}
