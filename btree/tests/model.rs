//! Whole trees against `BTreeMap`, on pages of 512 bytes.
//!
//! Invariants checked, after each operation or commit:
//! - every operation answers what the oracle answers, and leaves what it leaves;
//! - a snapshot taken before sees what it saw then;
//! - a rollback, whole or to a savepoint, restores trees, tags and handles;
//! - after the death of the process the log brings every commit back;
//! - `check` finds no damage, and every page is reachable, free or the pager's: exactly once.
//!
//! A failure prints the program; quickcheck shrinks it.

mod support;

use mapleaf_btree::{Error, Savepoint, TreeHandle, TreeOptions, Writer};
use mapleaf_pager::{Durability, Snapshot};
use quickcheck::{Arbitrary, Gen, QuickCheck};
use std::ops::Bound;
use support::*;

const NAMES: [&str; 4] =
    ["a", "tree", "tree2", "a rather long name of a tree, so that it has a cell"];

/// Where a range ends: a kind and the seed of a key.
type Side = (u8, u16);

#[derive(Clone, Debug)]
enum Op {
    Insert(u16, u16),
    InsertIfAbsent(u16, u16),
    Reserve(u16, u16),
    Append(u16),
    Fill(u16, u8),
    Remove(u16),
    PopFirst(u8),
    PopLast(u8),
    Retain(u8),
    RemoveRange(Side, Side),
    Clear,
    Get(u16),
    Range(Side, Side, u8),
    Prefix(u16, u8),
    Walk(u16, Vec<u8>),
    WalkMut(u16, Vec<u8>),
    Select(u8),
    Rename(u8),
    Drop(u8),
    Tag(u16),
    Savepoint,
    Release(u8),
    RollbackTo(u8),
    Commit(bool),
    Rollback,
    Snapshot,
    Checkpoint,
    Reopen,
}

impl Arbitrary for Op {
    fn arbitrary(g: &mut Gen) -> Op {
        let side = |g: &mut Gen| (u8::arbitrary(g) % 3, u16::arbitrary(g));
        let moves = |g: &mut Gen| (0..40).map(|_| u8::arbitrary(g)).collect();
        let (a, b, n) = (u16::arbitrary(g), u16::arbitrary(g), u8::arbitrary(g));
        match u8::arbitrary(g) % 64 {
            0..=10 => Op::Insert(a, b),
            11..=12 => Op::InsertIfAbsent(a, b),
            13..=14 => Op::Reserve(a, b),
            15 => Op::Append(b),
            16..=22 => Op::Fill(a, n),
            23..=29 => Op::Remove(a),
            30 => Op::PopFirst(n % 30),
            31 => Op::PopLast(n % 30),
            32 => Op::Retain(n),
            33..=34 => Op::RemoveRange(side(g), side(g)),
            35 if n % 4 == 0 => Op::Clear,
            36..=37 => Op::Get(a),
            38..=39 => Op::Range(side(g), side(g), n),
            40 => Op::Prefix(a, n),
            41..=42 => Op::Walk(a, moves(g)),
            43..=45 => Op::WalkMut(a, moves(g)),
            46..=48 => Op::Select(n),
            49 => Op::Rename(n),
            50 if n % 4 == 0 => Op::Drop(n),
            51 => Op::Tag(a),
            52..=53 => Op::Savepoint,
            54 => Op::Release(n),
            55..=56 => Op::RollbackTo(n),
            57..=58 => Op::Commit(n % 2 == 0),
            59 => Op::Rollback,
            60 => Op::Snapshot,
            61 => Op::Checkpoint,
            62 => Op::Reopen,
            _ => Op::Get(b),
        }
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Op>> {
        match self.clone() {
            Op::Fill(a, n) if n > 0 => {
                Box::new([0, n / 2, n - 1].into_iter().map(move |n| Op::Fill(a, n)))
            }
            Op::Walk(a, moves) => Box::new(moves.shrink().map(move |moves| Op::Walk(a, moves))),
            Op::WalkMut(a, moves) => {
                Box::new(moves.shrink().map(move |moves| Op::WalkMut(a, moves)))
            }
            _ => quickcheck::empty_shrinker(),
        }
    }
}

/// What must survive the store's being closed and opened.
#[derive(Clone)]
struct World {
    committed: Trees,
    log_bytes: u64,
}

/// The oracle of one transaction.
struct Txn<'s> {
    writer: Writer<'s>,
    trees: Trees,
    name: String,
    handle: TreeHandle,
    savepoints: Vec<(Savepoint, Trees)>,
    stamp: u32,
}

fn bound(side: Side) -> Bound<Vec<u8>> {
    match side.0 {
        0 => Bound::Unbounded,
        1 => Bound::Included(key_of(side.1)),
        _ => Bound::Excluded(key_of(side.1)),
    }
}

/// The oracle's answer to a range, which may end before it starts.
fn in_range(entries: &Entries, start: &Bound<Vec<u8>>, end: &Bound<Vec<u8>>) -> Vec<Vec<u8>> {
    let after = |key: &Vec<u8>| match start {
        Bound::Unbounded => true,
        Bound::Included(start) => key >= start,
        Bound::Excluded(start) => key > start,
    };
    let before = |key: &Vec<u8>| match end {
        Bound::Unbounded => true,
        Bound::Included(end) => key <= end,
        Bound::Excluded(end) => key < end,
    };
    entries.keys().filter(|key| after(key) && before(key)).cloned().collect()
}

impl<'s> Txn<'s> {
    fn begin(store: &'s RamStore<'_>, committed: &Trees) -> Txn<'s> {
        let mut writer = Writer::new(store.begin_write().unwrap()).unwrap();
        let mut trees = committed.clone();
        let name = NAMES[1].to_string();
        let handle = writer.open_or_create(&name, TreeOptions::default().tag(7)).unwrap();
        trees.entry(name.clone()).or_insert_with(|| (7, Entries::new()));
        Txn { writer, trees, name, handle, savepoints: Vec::new(), stamp: 0 }
    }

    fn entries(&mut self) -> &mut Entries {
        &mut self.trees.get_mut(&self.name).unwrap().1
    }

    fn value(&mut self, seed: u16) -> Vec<u8> {
        self.stamp += 1;
        value_of(len_of_value(seed), self.stamp)
    }

    /// Makes sure that the selected tree is there and open.
    fn select(&mut self, name: &str) {
        let options = TreeOptions::default().tag(9);
        self.handle = self.writer.open_or_create(name, options).unwrap();
        assert_eq!(self.writer.open(name), Ok(self.handle));
        assert_eq!(self.writer.create(name, options), Err(Error::TreeExists));
        self.trees.entry(name.to_string()).or_insert_with(|| (9, Entries::new()));
        self.name = name.to_string();
    }

    fn change(&mut self, op: &Op) {
        let handle = self.handle;
        match op {
            Op::Insert(key, len) => {
                let (key, value) = (key_of(*key), self.value(*len));
                let replaced = self.writer.tree(handle).unwrap().insert(&key, &value).unwrap();
                assert_eq!(replaced, self.entries().insert(key, value).is_some());
            }
            Op::InsertIfAbsent(key, len) => {
                let (key, value) = (key_of(*key), self.value(*len));
                let stored = self.writer.tree(handle).unwrap().insert_if_absent(&key, &value);
                assert_eq!(stored, Ok(!self.entries().contains_key(&key)));
                self.entries().entry(key).or_insert(value);
            }
            Op::Reserve(key, len) => {
                let (key, value) = (key_of(*key), self.value(*len));
                let fill = |place: &mut [u8]| place.copy_from_slice(&value);
                let mut tree = self.writer.tree(handle).unwrap();
                let replaced = tree.reserve(&key, value.len(), fill).unwrap();
                assert_eq!(replaced, self.entries().insert(key, value).is_some());
            }
            Op::Append(len) => {
                let last = self.entries().last_key_value().map(|(key, _)| key.clone());
                let value = self.value(*len);
                let mut tree = self.writer.tree(handle).unwrap();
                if let Some(last) = &last {
                    assert_eq!(tree.append(last, &value), Err(Error::NotSorted));
                }
                let mut key = last.unwrap_or_default();
                key.push(0);
                if key.len() > KEY_MAX {
                    let limit_bytes = KEY_MAX;
                    assert_eq!(tree.append(&key, &value), Err(Error::KeyTooLong { limit_bytes }));
                } else {
                    tree.append(&key, &value).unwrap();
                    self.entries().insert(key, value);
                }
            }
            Op::Fill(seed, count) => {
                for i in 0..u16::from(*count) {
                    self.change(&Op::Insert(seed.wrapping_add(i * 16), seed.wrapping_add(i)));
                }
            }
            Op::Remove(key) => {
                let key = key_of(*key);
                let removed = self.writer.tree(handle).unwrap().remove(&key).unwrap();
                assert_eq!(removed, self.entries().remove(&key).is_some());
            }
            _ => self.change_many(op),
        }
    }

    fn change_many(&mut self, op: &Op) {
        let handle = self.handle;
        let see = |key: &mapleaf_btree::Key<'_>, value: &[u8]| (bytes(key), value.to_vec());
        match op {
            Op::PopFirst(count) => {
                for _ in 0..*count {
                    let popped = self.writer.tree(handle).unwrap().pop_first(see).unwrap();
                    assert_eq!(popped, self.entries().pop_first());
                }
            }
            Op::PopLast(count) => {
                for _ in 0..*count {
                    let popped = self.writer.tree(handle).unwrap().pop_last(see).unwrap();
                    assert_eq!(popped, self.entries().pop_last());
                }
            }
            Op::Retain(seed) => {
                let keep =
                    |key: &[u8]| key.iter().fold(*seed, |h, b| h.rotate_left(3) ^ b) % 4 != 0;
                let mut tree = self.writer.tree(handle).unwrap();
                let removed = tree.retain(|key, _| keep(&bytes(key))).unwrap();
                let before = self.entries().len();
                self.entries().retain(|key, _| keep(key));
                assert_eq!(removed, (before - self.entries().len()) as u64);
            }
            Op::RemoveRange(start, end) => {
                let (start, end) = (bound(*start), bound(*end));
                let gone = in_range(self.entries(), &start, &end);
                let mut tree = self.writer.tree(handle).unwrap();
                assert_eq!(tree.remove_range((start, end)), Ok(gone.len() as u64));
                gone.iter().for_each(|key| drop(self.entries().remove(key)));
            }
            Op::Clear => {
                self.writer.tree(handle).unwrap().clear().unwrap();
                self.entries().clear();
            }
            Op::WalkMut(key, moves) => self.walk_mut(*key, moves),
            _ => unreachable!("{op:?}"),
        }
    }

    fn read(&mut self, op: &Op) {
        let entries = self.trees[&self.name].1.clone();
        let tree = self.writer.tree_ref(self.handle).unwrap();
        match op {
            Op::Get(key) => {
                let key = key_of(*key);
                assert_eq!(tree.get(&key).unwrap(), entries.get(&key).map(|value| &value[..]));
                assert_eq!(tree.contains(&key), Ok(entries.contains_key(&key)));
            }
            Op::Range(start, end, turns) => {
                let (start, end) = (bound(*start), bound(*end));
                let keys = in_range(&entries, &start, &end);
                take_both_ways(tree.range((start, end)), keys, *turns);
            }
            Op::Prefix(key, turns) => {
                let mut prefix = key_of(*key);
                prefix.truncate(usize::from(*turns) % 8);
                let keys = entries.keys().filter(|key| key.starts_with(&prefix)).cloned().collect();
                take_both_ways(tree.prefix(&prefix), keys, *turns);
            }
            Op::Walk(key, moves) => {
                let keys: Vec<_> = entries.keys().cloned().collect();
                let mut cursor = tree.cursor();
                let mut at = Where::Nowhere;
                for step in moves {
                    let key = key_of(key.wrapping_add(u16::from(*step) * 16));
                    let found = match step % 8 {
                        0 => cursor.seek(&key),
                        1 => cursor.seek_at_or_after(&key),
                        2 => cursor.seek_at_or_before(&key),
                        3 if step % 5 == 0 => cursor.first(),
                        4 if step % 5 == 0 => cursor.last(),
                        3 | 5 | 7 => cursor.next(),
                        _ => cursor.prev(),
                    };
                    let found = found.unwrap().map(|(key, value)| (bytes(&key), value.to_vec()));
                    at = at.moved(&keys, *step, &key);
                    let wanted = at.entry(&keys).map(|key| (key.clone(), entries[key].clone()));
                    assert_eq!(found, wanted);
                    assert_eq!(
                        cursor.key().unwrap().map(|key| bytes(&key)),
                        wanted.clone().map(|e| e.0)
                    );
                    assert_eq!(cursor.value().unwrap(), wanted.as_ref().map(|entry| &entry.1[..]));
                }
            }
            _ => unreachable!("{op:?}"),
        }
    }

    fn walk_mut(&mut self, key: u16, moves: &[u8]) {
        let mut entries = self.trees[&self.name].1.clone();
        let mut stamp = self.stamp;
        let mut tree = self.writer.tree(self.handle).unwrap();
        let mut cursor = tree.cursor_mut();
        let mut at = Where::Nowhere;
        for step in moves {
            let keys: Vec<_> = entries.keys().cloned().collect();
            let here = at.entry(&keys).cloned();
            match step % 16 {
                // Half of the steps change something, where there is something.
                8..=11 => {
                    assert_eq!(cursor.remove(), Ok(here.is_some()));
                    if let Some(here) = here {
                        entries.remove(&here);
                        at = at.gap();
                    }
                    assert!(cursor.current().unwrap().is_none());
                }
                12..=14 => {
                    stamp += 1;
                    let value = value_of(len_of_value(u16::from(*step) * 77 ^ key), stamp);
                    assert_eq!(cursor.replace(&value), Ok(here.is_some()));
                    if let Some(here) = here {
                        entries.insert(here, value);
                    }
                }
                _ => {
                    let key = key_of(key.wrapping_add(u16::from(*step) * 16));
                    let found = match step % 8 {
                        0 => cursor.seek(&key),
                        1 => cursor.seek_at_or_after(&key),
                        2 => cursor.seek_at_or_before(&key),
                        3 | 5 | 7 => cursor.next(),
                        _ => cursor.prev(),
                    };
                    let found = found.unwrap().map(|(key, value)| (bytes(&key), value.to_vec()));
                    // A cursor that writes has no `first` and `last`.
                    at = at.moved(
                        &keys,
                        if step % 8 == 3 {
                            5
                        } else if step % 8 == 4 {
                            6
                        } else {
                            *step
                        },
                        &key,
                    );
                    assert_eq!(
                        found,
                        at.entry(&keys).map(|key| (key.clone(), entries[key].clone()))
                    );
                }
            }
        }
        self.stamp = stamp;
        *self.entries() = entries;
    }

    fn names(&mut self, op: &Op) {
        match op {
            Op::Select(n) => self.select(NAMES[usize::from(*n) % NAMES.len()]),
            Op::Rename(n) => {
                let to = NAMES[usize::from(*n) % NAMES.len()];
                let renamed = self.writer.rename(&self.name, to);
                if to == self.name {
                    assert_eq!(renamed, Ok(()));
                } else if self.trees.contains_key(to) {
                    assert_eq!(renamed, Err(Error::TreeExists));
                } else {
                    assert_eq!(renamed, Ok(()));
                    let tree = self.trees.remove(&self.name).unwrap();
                    self.trees.insert(to.to_string(), tree);
                    assert_eq!(self.writer.open(&self.name), Err(Error::NoSuchTree));
                    self.name = to.to_string();
                }
            }
            Op::Drop(n) => {
                let name = NAMES[usize::from(*n) % NAMES.len()];
                let old = self.writer.open(name).ok();
                let dropped = self.writer.drop_tree(name).unwrap();
                assert_eq!(dropped, self.trees.remove(name).is_some());
                if let Some(old) = old {
                    assert_eq!(self.writer.tree(old).err(), Some(Error::NoSuchTree));
                }
                let selected = self.name.clone();
                self.select(&selected);
            }
            Op::Tag(tag) => {
                self.writer.set_tag(self.handle, u64::from(*tag)).unwrap();
                self.trees.get_mut(&self.name).unwrap().0 = u64::from(*tag);
            }
            Op::Savepoint => {
                let savepoint = self.writer.savepoint().unwrap();
                self.savepoints.push((savepoint, self.trees.clone()));
            }
            Op::Release(n) if !self.savepoints.is_empty() => {
                let at = usize::from(*n) % self.savepoints.len();
                self.writer.release(self.savepoints[at].0).unwrap();
                self.savepoints.truncate(at);
            }
            Op::RollbackTo(n) if !self.savepoints.is_empty() => {
                let at = usize::from(*n) % self.savepoints.len();
                let (savepoint, trees) = self.savepoints[at].clone();
                self.writer.rollback_to(savepoint).unwrap();
                let stale = Err(Error::Pager(mapleaf_pager::Error::Stale));
                assert_eq!(self.writer.rollback_to(savepoint), stale);
                self.savepoints.truncate(at);
                self.trees = trees;
                let selected = self.name.clone();
                self.select(&selected);
            }
            Op::Release(_) | Op::RollbackTo(_) => {}
            _ => unreachable!("{op:?}"),
        }
    }

    fn compare(&mut self) {
        self.writer.list().unwrap();
        check_state(self.writer.txn());
        compare_all(self.writer.txn(), &self.trees);
    }
}

/// Where a cursor is, in the oracle: an index among the keys.
#[derive(Clone, Copy, Debug)]
enum Where {
    Nowhere,
    At(usize),
    /// Before the key of this index.
    Gap(usize),
}

impl Where {
    fn entry(self, keys: &[Vec<u8>]) -> Option<&Vec<u8>> {
        if let Where::At(i) = self { keys.get(i) } else { None }
    }

    fn gap(self) -> Where {
        if let Where::At(i) = self { Where::Gap(i) } else { self }
    }

    fn moved(self, keys: &[Vec<u8>], step: u8, key: &Vec<u8>) -> Where {
        let next = |at: Where| match at {
            _ if keys.is_empty() => Where::Nowhere,
            Where::Nowhere => Where::At(0),
            Where::At(i) if i + 1 < keys.len() => Where::At(i + 1),
            Where::Gap(i) if i < keys.len() => Where::At(i),
            _ => Where::Gap(keys.len()),
        };
        let prev = |at: Where| match at {
            _ if keys.is_empty() => Where::Nowhere,
            Where::Nowhere => Where::At(keys.len() - 1),
            Where::At(0) | Where::Gap(0) => Where::Gap(0),
            Where::At(i) | Where::Gap(i) => Where::At(i - 1),
        };
        let sought = match keys.binary_search(key) {
            Ok(i) => Where::At(i),
            Err(_) if keys.is_empty() => Where::Nowhere,
            Err(i) => Where::Gap(i),
        };
        match (step % 8, sought) {
            (0, _) | (1 | 2, Where::At(_)) => sought,
            (1, _) => next(sought),
            (2, _) => prev(sought),
            (3, _) if step % 5 == 0 => next(Where::Nowhere),
            (4, _) if step % 5 == 0 => prev(Where::Nowhere),
            (3 | 5 | 7, _) => next(self),
            _ => prev(self),
        }
    }
}

/// Takes a range's entries from both ends, as the bits of `turns` say.
fn take_both_ways<'a, I>(mut range: I, keys: Vec<Vec<u8>>, turns: u8)
where
    I: DoubleEndedIterator<Item = mapleaf_btree::Result<mapleaf_btree::Entry<'a>>>,
{
    let mut keys = keys.into_iter();
    for turn in 0.. {
        let (found, wanted) = match turns >> (turn % 8) & 1 {
            0 => (range.next(), keys.next()),
            _ => (range.next_back(), keys.next_back()),
        };
        assert_eq!(found.map(|entry| owned(entry).0), wanted);
        if wanted.is_none() {
            break;
        }
    }
    assert!(range.next().is_none() && range.next_back().is_none());
}

/// Runs operations until the store is to be opened anew; what is left of them.
fn run<'o>(store: &RamStore<'_>, world: &mut World, ops: &'o [Op]) -> &'o [Op] {
    let mut held: Vec<(Snapshot<'_>, Trees)> = Vec::new();
    let mut txn: Option<Txn<'_>> = None;
    let mut rest = ops;
    while let Some((op, more)) = rest.split_first() {
        rest = more;
        let running = match op {
            Op::Commit(_) | Op::Rollback | Op::Snapshot | Op::Checkpoint | Op::Reopen => txn.take(),
            _ => Some(txn.take().unwrap_or_else(|| Txn::begin(store, &world.committed))),
        };
        match (op, running) {
            (Op::Commit(sync), Some(mut running)) => {
                running.compare();
                let durability = if *sync { Durability::Sync } else { Durability::Eventual };
                running.writer.commit(durability).unwrap();
                world.committed = running.trees;
                prove(store);
            }
            (Op::Rollback, _) => {}
            (Op::Snapshot, running) => {
                if held.len() > 3 {
                    held.remove(0);
                }
                held.push((store.begin_read(0).unwrap(), world.committed.clone()));
                txn = running;
            }
            (Op::Checkpoint, None) => drop(store.checkpoint().unwrap()),
            (Op::Checkpoint | Op::Commit(_), running) => txn = running,
            (Op::Reopen, _) => break,
            (_, Some(mut running)) => {
                step(&mut running, op);
                txn = Some(running);
            }
            (_, None) => unreachable!(),
        }
    }
    if let Some(mut running) = txn {
        running.compare();
    }
    for (snapshot, trees) in &held {
        check_state(snapshot);
        compare_all(snapshot, trees);
    }
    rest
}

fn step(txn: &mut Txn<'_>, op: &Op) {
    match op {
        Op::Get(_) | Op::Range(..) | Op::Prefix(..) | Op::Walk(..) => txn.read(op),
        Op::Select(_) | Op::Rename(_) | Op::Drop(_) | Op::Tag(_) => txn.names(op),
        Op::Savepoint | Op::Release(_) | Op::RollbackTo(_) => txn.names(op),
        _ => txn.change(op),
    }
}

fn program(ops: &[Op], log_bytes: u64) {
    let mut ram = vec![0; 8192 * PAGE];
    let mut world = World { committed: Trees::new(), log_bytes };
    let mut len = {
        let store = create(&mut ram, PAGE, world.log_bytes);
        len_of(&store)
    };
    let mut rest = ops;
    loop {
        let (_, store) = reopen(&mut ram, len, &options(PAGE, world.log_bytes));
        compare_all(&store.begin_read(0).unwrap(), &world.committed);
        if rest.is_empty() {
            return;
        }
        rest = run(&store, &mut world, rest);
        prove(&store);
        len = len_of(&store);
    }
}

#[test]
fn trees_do_what_maps_do() {
    fn holds(ops: Vec<Op>) -> bool {
        program(&ops, 0);
        true
    }
    QuickCheck::new().rng(Gen::new(250)).quickcheck(holds as fn(Vec<Op>) -> bool);
}

#[test]
fn the_log_brings_every_commit_back() {
    fn holds(ops: Vec<Op>) -> bool {
        program(&ops, 256 * 1024);
        true
    }
    QuickCheck::new().rng(Gen::new(250)).quickcheck(holds as fn(Vec<Op>) -> bool);
}
