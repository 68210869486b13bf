//! Changing the entries of a tree in the write transaction.

use super::compare::{same, wanted};
use super::data::{self, Key, Len, Name, range};
use super::oracle::{Place, in_range};
use super::planted::Planted;
use super::step::{Move, Step};
use super::txn::Txn;
use super::walking::walk;
use mapleaf::{FixedWidth, StoreError, TreeError};
use std::ops::Bound;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;

impl Txn<'_> {
    /// Does a step that changes one entry, or a row of them.
    pub(super) fn change(&mut self, step: &Step) {
        let handle = self.handle;
        match step {
            Step::Insert(key, len) => self.insert(*key, len.bytes(self.env.page_size)),
            Step::InsertIfAbsent(key, len) => {
                let (key, value) = (self.key(*key), self.value(*len));
                let stored = self.tree().insert_if_absent(&key, &value);
                assert_eq!(stored, Ok(!self.entries().contains_key(&key)), "insert_if_absent");
                self.entries().entry(key).or_insert(value);
            }
            Step::Reserve(key, len) => self.reserve(*key, *len),
            Step::Append(len) => self.append(*len),
            Step::Fill(key, count, len) => {
                let len = len.of_many(self.env.page_size);
                (0..*count).for_each(|i| self.insert(key.after(i), len));
            }
            Step::Extend(key, count, len) => self.extend(*key, *count, *len),
            Step::Load(key, count, len) => self.load(*key, *count, *len),
            Step::Remove(key) => self.remove(&key.sought(self.env.key_max)),
            Step::Drain(key, count) => {
                (0..*count).for_each(|i| self.remove(&self.key(key.after(i))));
            }
            Step::PopFirst(count) | Step::PopLast(count) => {
                let first = matches!(step, Step::PopFirst(_));
                for _ in 0..*count {
                    let see =
                        |key: &mapleaf::Key<'_>, value: &[u8]| (key.to_vec(), Rc::from(value));
                    let mut tree = self.txn.tree(handle).unwrap();
                    let popped = if first { tree.pop_first(see) } else { tree.pop_last(see) };
                    let entries = self.entries();
                    let wanted = if first { entries.pop_first() } else { entries.pop_last() };
                    assert!(popped.unwrap() == wanted, "popped is not {wanted:?}");
                }
            }
            Step::Clear => {
                self.tree().clear().unwrap();
                self.entries().clear();
            }
            _ => self.change_many(step),
        }
        assert_eq!(self.tree().len(), self.now().len() as u64, "entries after {step:?}");
        assert_eq!(self.tree().is_empty(), self.now().is_empty());
    }

    fn change_many(&mut self, step: &Step) {
        match step {
            Step::Retain(seed) => {
                let kept = |key: &[u8], value: &[u8]| {
                    let hash = key.iter().fold(*seed, |hash, byte| hash.rotate_left(3) ^ byte);
                    seed % 16 != 0 && !(hash ^ value.len() as u8).is_multiple_of(4)
                };
                let last = self.now().keys().next_back().cloned();
                let forgets = self.env.planted == Some(Planted::RetainForgetsLast);
                let removed = self.tree().retain(|key, value| {
                    let key = key.to_vec();
                    kept(&key, value) || forgets && Some(&key) == last.as_ref()
                });
                let before = self.now().len();
                self.entries().retain(|key, value| kept(key, value));
                assert_eq!(removed, Ok((before - self.now().len()) as u64), "retain");
            }
            Step::RemoveRange(start, end) => {
                let (start, end) = (start.bound(self.env.key_max), end.bound(self.env.key_max));
                let keys: Vec<_> =
                    in_range(self.now(), &start, &end).into_iter().cloned().collect();
                let end = match end {
                    Bound::Excluded(end) if self.plants(Planted::RangeRemovesItsEnd) => {
                        Bound::Included(end)
                    }
                    other => other,
                };
                let removed = self.tree().remove_range(&*range(start, end));
                assert_eq!(removed, Ok(keys.len() as u64), "remove_range");
                keys.iter().for_each(|key| drop(self.entries().remove(key)));
            }
            Step::TooLong(extra) => self.too_long(*extra),
            Step::FillPanics(key, len) => self.fill_panics(*key, *len),
            Step::WalkMut(moves) => self.walk_mut(moves),
            Step::CopyBase(name, count) => self.copy_base(*name, *count),
            Step::Beside(moves, puts) => self.beside(moves, puts),
            other => unreachable!("{other:?} does not change entries"),
        }
    }

    fn value(&mut self, len: Len) -> Rc<[u8]> {
        self.stamp += 1;
        data::value(self.sized_len(len.bytes(self.env.page_size)), self.stamp)
    }

    fn insert(&mut self, key: Key, len: usize) {
        self.stamp += 1;
        let (key, value) = (self.key(key), data::value(self.sized_len(len), self.stamp));
        let replaced = self.tree().insert(&key, &value);
        assert_eq!(replaced, Ok(self.entries().insert(key, value).is_some()), "insert");
    }

    fn remove(&mut self, key: &[u8]) {
        let removed = self.tree().remove(key);
        assert_eq!(removed, Ok(self.entries().remove(key).is_some()), "remove {key:?}");
    }

    fn reserve(&mut self, key: Key, len: Len) {
        let (key, value) = (self.key(key), self.value(len));
        let leaves = self.plants(Planted::ReserveLeavesLastByte) && value.len() > 4096;
        let replaced = self.tree().reserve(&key, value.len(), |room| {
            room.copy_from_slice(&value);
            if leaves {
                room[value.len() - 1] = 0;
            }
        });
        assert_eq!(replaced, Ok(self.entries().insert(key, value).is_some()), "reserve");
    }

    fn append(&mut self, len: Len) {
        let (value, key_max) = (self.value(len), self.env.key_max);
        let fixed = self.trees[&self.name].fixed.is_some();
        let mut key = self.now().keys().next_back().cloned().unwrap_or_default();
        key = self.sized_key(key);
        if !self.now().is_empty() {
            assert_eq!(self.tree().append(&key, &value), Err(TreeError::NotSorted));
            // The next key of this length, or a longer one where there is none.
            match key.iter().rposition(|byte| *byte < 0xFF) {
                Some(at) if value.len() % 2 == 0 || fixed => {
                    key.truncate(at + 1);
                    key[at] += 1;
                    key = self.sized_key(key);
                }
                _ if key.len() < key_max && !fixed => key.push(0),
                _ => return,
            }
        }
        self.tree().append(&key, &value).unwrap();
        self.entries().insert(key, value);
    }

    /// Every call with a key that is too long says so, or that it is not there, and changes nothing.
    fn too_long(&mut self, extra: u16) {
        let limit_bytes = self.env.key_max;
        let key = vec![0xFF; limit_bytes + 1 + usize::from(extra)];
        let fixed = self.trees[&self.name].fixed;
        let wrong = fixed.map(|width| TreeError::WrongWidth { width });
        let refused = wrong.unwrap_or(TreeError::KeyTooLong { limit_bytes });
        let mut tree = self.tree();
        assert_eq!(tree.insert(&key, b"v"), Err(refused));
        assert_eq!(tree.insert_if_absent(&key, b"v"), Err(refused));
        assert_eq!(tree.append(&key, b"v"), Err(refused));
        let filled = tree.reserve(&key, 1, |_| panic!("a value without an entry is filled"));
        assert_eq!(filled, Err(refused));
        let filled = tree.reserve(b"k", usize::MAX, |_| panic!("there is no such memory"));
        assert_eq!(filled, Err(wrong.unwrap_or(TreeError::ValueTooLong)));
        assert_eq!(tree.remove(&key), Ok(false));
        assert_eq!(tree.get(&key), Ok(None));
        assert!(tree.cursor_mut().seek(&key).unwrap().is_none());
        assert_eq!(tree.remove_range(&key[..]..&[]), Ok(0));
    }

    /// A value that was not written to its end fails the transaction, which a savepoint saves.
    fn fill_panics(&mut self, key: Key, len: Len) {
        let savepoint = self.txn.savepoint().unwrap();
        self.fail(key, len);
        let refused = self.txn.savepoint().err();
        assert!(matches!(refused, Some(TreeError::Pager(StoreError::TxnFailed { .. }))));
        self.txn.rollback_to(savepoint).unwrap();
        self.reselect();
    }

    /// Leaves a value that was not written to its end.
    pub(super) fn fail(&mut self, key: Key, len: Len) {
        let (key, len) = (self.key(key), self.sized_len(len.bytes(self.env.page_size)));
        let mut tree = self.tree();
        let filled = std::panic::catch_unwind(AssertUnwindSafe(|| {
            tree.reserve(&key, len, |room| {
                room.fill(1);
                panic!("the value's writer panics, as it should");
            })
        }));
        assert!(filled.is_err(), "a panic is lost");
    }

    fn walk_mut(&mut self, moves: &[Move]) {
        let (env, page_size, handle) = (self.env, self.env.page_size, self.handle);
        let fixed = self.trees[&self.name].fixed;
        let mut entries = (*self.trees[&self.name].entries).clone();
        let mut tree = self.txn.tree(handle).unwrap();
        let mut cursor = tree.cursor_mut();
        let mut place = Place::New;
        for step in moves {
            let (found, to) = match step {
                Move::Remove => {
                    let here = place.key().cloned();
                    assert_eq!(cursor.remove(), Ok(here.is_some()), "a cursor's remove");
                    if let Some(here) = here {
                        entries.remove(&here);
                        place = Place::Around(here);
                        if env.planted == Some(Planted::CursorSkipsAfterRemove) {
                            cursor.next().unwrap();
                        }
                    }
                    continue;
                }
                Move::Replace(len) => {
                    self.stamp += 1;
                    let len = len.bytes(page_size);
                    let len = fixed.map_or(len, |width| usize::from(width.value_bytes));
                    let value = data::value(len, self.stamp);
                    let here = place.key().cloned();
                    assert_eq!(cursor.replace(&value), Ok(here.is_some()), "a cursor's replace");
                    if let Some(here) = here {
                        entries.insert(here, value);
                    }
                    let here = place.key().and_then(|key| wanted(&entries, key));
                    same("what was replaced", cursor.current().unwrap(), here);
                    continue;
                }
                Move::Next | Move::First => (cursor.next(), place.next(&entries)),
                Move::Prev | Move::Last => (cursor.prev(), place.prev(&entries)),
                Move::Seek(key) => {
                    let key = key.sought(env.key_max);
                    (cursor.seek(&key), Place::sought(&entries, &key))
                }
                Move::AtOrAfter(key) => {
                    let key = key.sought(env.key_max);
                    (cursor.seek_at_or_after(&key), Place::at_or_after(&entries, &key))
                }
                Move::AtOrBefore(key) => {
                    let key = key.sought(env.key_max);
                    (cursor.seek_at_or_before(&key), Place::at_or_before(&entries, &key))
                }
            };
            place = to;
            let here = place.key().and_then(|key| wanted(&entries, key));
            same("a move of a cursor that writes", found.unwrap(), here);
        }
        *self.entries() = entries;
    }

    fn copy_base(&mut self, name: Name, count: u8) {
        let name = name.text(self.env.key_max);
        let base = self.txn.base().unwrap();
        let Some(from) = self.base.get(&name).cloned() else {
            assert_eq!(base.tree(&name).err(), Some(TreeError::NoSuchTree));
            return;
        };
        let (tree, handle) = (base.tree(&name).unwrap(), self.handle);
        for (entry, (key, value)) in tree.iter().zip(&*from.entries).take(usize::from(count % 64)) {
            let (found, bytes) = entry.unwrap();
            // As it lies in the file: what is written must not change it on the way.
            let inserted = self.txn.tree(handle).unwrap().insert(&found.to_vec(), bytes);
            let wrong = |width: &FixedWidth| {
                (found.len(), bytes.len()) != (width.key_bytes.into(), width.value_bytes.into())
            };
            if let Some(width) = self.trees[&self.name].fixed.filter(wrong) {
                assert_eq!(
                    inserted,
                    Err(TreeError::WrongWidth { width }),
                    "of another tree's sizes"
                );
                continue;
            }
            inserted.unwrap();
            same("the base's entry", Some((found, bytes)), Some((key.clone(), &value[..])));
            self.entries().insert(key.clone(), Rc::clone(value));
        }
        super::compare::tree(tree, &from.entries);
    }

    fn beside(&mut self, moves: &[Move], puts: &[(Key, Len)]) {
        let snapshot = self.db.read().unwrap();
        let Some(before) = self.base.get(&self.name).cloned() else { return };
        let tree = snapshot.tree(&self.name).unwrap();
        walk(tree, &before.entries, moves, self.env, |i| {
            let Some((key, len)) = puts.get(i % puts.len().max(1)) else { return };
            self.insert(key.after(i as u8), len.bytes(self.env.page_size));
            self.remove(&key.after(i as u8 / 2).bytes(self.env.key_max));
        });
        super::compare::tree(tree, &before.entries);
    }
}
