//! A write transaction and its oracle.

use super::NAMES;
use super::ops::Op;
use super::oracle::{Where, bound, in_range, take_both_ways};
use crate::support::*;
use mapleaf_btree::{Error, Pending, Savepoint, TreeHandle, TreeOptions, Writer};

/// The oracle of one transaction.
pub(crate) struct Txn<'s> {
    pub(crate) writer: Writer<'s>,
    pub(crate) trees: Trees,
    name: String,
    handle: TreeHandle,
    savepoints: Vec<(Savepoint, Trees)>,
    stamp: u32,
}

impl<'s> Txn<'s> {
    pub(crate) fn begin(store: &'s RamStore<'_>, committed: &Trees) -> Txn<'s> {
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

    pub(crate) fn change(&mut self, op: &Op) {
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
            Op::Load(seed, count, fill) => self.load(*seed, *count, 40 + fill % 61),
            Op::Extend(seed, count, work) => self.extend(*seed, *count, 1 + usize::from(work % 90)),
            _ => unreachable!("{op:?}"),
        }
    }

    /// Entries of `count` keys in no order, some of them twice.
    fn some_entries(&mut self, seed: u16, count: u8) -> Vec<(Vec<u8>, Vec<u8>)> {
        let seeds = (0..u16::from(count)).map(|i| seed.wrapping_add(i * 16).rotate_left(4));
        seeds.map(|seed| (key_of(seed), self.value(seed))).collect()
    }

    /// Loads what stands behind the last key; then once what does not.
    fn load(&mut self, seed: u16, count: u8, fill: u8) {
        let mut entries: Entries = self.some_entries(seed, count).into_iter().collect();
        let last = self.entries().last_key_value().map(|(key, _)| key.clone());
        if let Some(last) = &last {
            entries = entries.split_off(last);
            entries.remove(last);
        }
        let mut tree = self.writer.tree(self.handle).unwrap();
        assert_eq!(tree.load(&entries, fill), Ok(entries.len() as u64));
        self.entries().extend(entries);
        if let Some(last) = self.entries().last_key_value().map(|(key, _)| key.clone()) {
            let mut tree = self.writer.tree(self.handle).unwrap();
            assert_eq!(tree.loader(fill).unwrap().push(&last, b"x"), Err(Error::NotSorted));
        }
    }

    fn extend(&mut self, seed: u16, count: u8, work: usize) {
        let entries = self.some_entries(seed, count);
        let before = self.entries().len();
        self.entries().extend(entries.iter().cloned());
        let added = self.entries().len() - before;
        let entries = entries.iter().map(|(key, value)| (&key[..], &value[..]));
        let mut work = vec![Pending::default(); work];
        let mut tree = self.writer.tree(self.handle).unwrap();
        assert_eq!(tree.extend(entries, &mut work), Ok(added as u64));
    }

    pub(crate) fn read(&mut self, op: &Op) {
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
                    let value = value_of(len_of_value((u16::from(*step) * 77) ^ key), stamp);
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

    pub(crate) fn names(&mut self, op: &Op) {
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

    pub(crate) fn compare(&mut self) {
        self.writer.list().unwrap();
        check_state(self.writer.txn());
        compare_all(self.writer.txn(), &self.trees);
    }
}
