//! The write transaction, its names and savepoints, and what the oracle thinks of it.

use super::compare;
use super::data::{Key, Name};
use super::oracle::{Entries, Tree, Trees};
use super::planted::Planted;
use super::step::Step;
use super::walking::read;
use super::world::Env;
use mapleaf::{
    Database, NAME_BYTES_MAX, Savepoint, StoreError, TREES_MAX, TreeError, TreeHandle, TreeMut,
    TreeOptions, WriteTxn,
};
use std::rc::Rc;

/// Bytes of names that a transaction has room for, as `Writer::open` has it.
const OPEN_NAMES_BYTES: usize = 16 * NAME_BYTES_MAX;

/// Trees of these names are made with a fixed width, where they are selected.
const FIXED_NAMES: [&str; 2] = ["users\0", "\u{e9}t\u{e9}"];

/// A savepoint, and what was so when it began.
#[derive(Clone)]
struct Saved {
    savepoint: Savepoint,
    trees: Trees,
    named: usize,
}

/// The write transaction and its oracle.
pub(super) struct Txn<'db> {
    pub(super) txn: WriteTxn<'db>,
    pub(super) db: &'db Database,
    pub(super) env: Env,
    /// The state before it.
    pub(super) base: Trees,
    pub(super) trees: Trees,
    /// The selected tree, which is there always.
    pub(super) name: String,
    pub(super) handle: TreeHandle,
    savepoints: Vec<Saved>,
    /// Names that trees were given, by creation or renaming, in order.
    named: Vec<String>,
    /// Counts the values that were made.
    pub(super) stamp: u64,
}

impl<'db> Txn<'db> {
    pub(super) fn begin(
        db: &'db Database,
        env: Env,
        base: &Trees,
        name: String,
        stamp: u64,
    ) -> Txn<'db> {
        let mut txn = match stamp % 2 {
            0 => db.write().unwrap(),
            _ => db.try_write().unwrap().expect("nobody else writes"),
        };
        assert!(db.try_write().unwrap().is_none(), "two write transactions");
        let handle = txn.open_or_create(&name).unwrap();
        let (base, trees) = (base.clone(), base.clone());
        let (savepoints, named) = (Vec::new(), Vec::new());
        let mut txn = Txn { txn, db, env, base, trees, name, handle, savepoints, named, stamp };
        txn.selected();
        txn
    }

    pub(super) fn plants(&self, bug: Planted) -> bool {
        self.env.planted == Some(bug)
    }

    pub(super) fn tree(&mut self) -> TreeMut<'_, 'db> {
        self.txn.tree(self.handle).unwrap()
    }

    /// The entries of the selected tree, to change.
    pub(super) fn entries(&mut self) -> &mut Entries {
        Rc::make_mut(&mut self.trees.get_mut(&self.name).expect("selected").entries)
    }

    /// A key of the size that those of the selected tree have.
    pub(super) fn sized_key(&self, mut key: Vec<u8>) -> Vec<u8> {
        if let Some(width) = self.trees[&self.name].fixed {
            key.resize(usize::from(width.key_bytes), 0);
        }
        key
    }

    /// As [`Key::bytes`], of such a size.
    pub(super) fn key(&self, key: Key) -> Vec<u8> {
        self.sized_key(key.bytes(self.env.key_max))
    }

    /// The length that values of the selected tree have, else this one.
    pub(super) fn sized_len(&self, len: usize) -> usize {
        self.trees[&self.name].fixed.map_or(len, |width| usize::from(width.value_bytes))
    }

    /// The entries of the selected tree.
    pub(super) fn now(&self) -> &Entries {
        &self.trees[&self.name].entries
    }

    /// Reads the selected tree, as it is in the transaction, in either way there is.
    pub(super) fn read(&mut self, step: &Step) {
        let (env, entries) = (self.env, Rc::clone(&self.trees[&self.name].entries));
        read(self.txn.tree_ref(self.handle).unwrap(), &entries, step, env);
        read(self.tree().as_tree(), &entries, step, env);
        if let Step::Get(key) = step {
            let key = key.sought(env.key_max);
            assert!(self.tree().get(&key).unwrap() == entries.get(&key).map(|value| &value[..]));
        }
    }

    /// Makes sure that the selected tree is there and open.
    fn select(&mut self, name: &str) {
        let known = self.txn.open(name);
        assert_eq!(known.err(), (!self.trees.contains_key(name)).then_some(TreeError::NoSuchTree));
        if known.is_err() && FIXED_NAMES.contains(&name) {
            // A tag that makes it of one width or another.
            self.create(name, (self.stamp % 2) as u16 * 8 + 6);
        }
        let known = self.txn.open(name);
        // A name makes the tree as a handle finds it.
        assert!(self.txn.tree(&name.to_string()).unwrap().is_empty() || known.is_ok());
        self.handle = self.txn.open_or_create(name).unwrap();
        assert_eq!(self.txn.open(name), Ok(self.handle));
        self.name = name.to_string();
        self.selected();
    }

    /// The selected tree is there now.
    fn selected(&mut self) {
        if !self.trees.contains_key(&self.name) {
            self.named.push(self.name.clone());
            self.trees.insert(self.name.clone(), Tree::default());
        }
    }

    pub(super) fn names(&mut self, step: &Step) {
        let key_max = self.env.key_max;
        match step {
            Step::Select(name) => self.select(&name.text(key_max)),
            Step::Create(name, tag) => self.create(&name.text(key_max), *tag),
            Step::Rename(from, to) => self.rename(*from, *to),
            Step::DropTree(name) => {
                let name = name.text(key_max);
                // A tree that is not open can be dropped too.
                let old = self.stamp.is_multiple_of(2).then(|| self.txn.open(&name).ok()).flatten();
                let dropped = self.txn.drop_tree(&name);
                assert_eq!(dropped, Ok(self.trees.remove(&name).is_some()), "drop_tree");
                if let Some(old) = old {
                    assert_eq!(self.txn.tree(old).err(), Some(TreeError::NoSuchTree));
                    assert_eq!(self.txn.tree_ref(old).err(), Some(TreeError::NoSuchTree));
                    assert_eq!(self.txn.record(old).err(), Some(TreeError::NoSuchTree));
                    assert_eq!(self.txn.set_tag(old, 1), Err(TreeError::NoSuchTree));
                }
                self.reselect();
            }
            Step::Tag(tag) => {
                self.txn.set_tag(self.handle, u64::from(*tag)).unwrap();
                self.trees.get_mut(&self.name).expect("selected").tag = u64::from(*tag);
                assert_eq!(self.txn.record(self.handle).unwrap().tag, u64::from(*tag));
            }
            Step::List => {
                compare::names(self.txn.trees().unwrap(), &self.trees);
                let long = "n".repeat(NAME_BYTES_MAX.min(key_max) + 1);
                let limit_bytes = NAME_BYTES_MAX.min(key_max);
                let refused = Err(TreeError::KeyTooLong { limit_bytes });
                assert_eq!(self.txn.create(&long), refused);
                assert_eq!(self.txn.rename(&self.name, &long), refused.map(drop));
                assert_eq!(self.txn.open(&long), Err(TreeError::NoSuchTree));
                assert_eq!(self.txn.drop_tree(&long), Ok(false));
            }
            Step::ManyTrees => self.many_trees(),
            Step::Savepoint => {
                let savepoint = self.txn.savepoint().unwrap();
                let (trees, named) = (self.trees.clone(), self.named.len());
                self.savepoints.push(Saved { savepoint, trees, named });
            }
            Step::Release(n) | Step::RollbackTo(n) if !self.savepoints.is_empty() => {
                let at = usize::from(*n) % self.savepoints.len();
                let back = matches!(step, Step::RollbackTo(_));
                self.end_savepoint(at, back);
            }
            Step::Release(_) | Step::RollbackTo(_) => {}
            other => unreachable!("{other:?} is not about names"),
        }
    }

    /// After a rollback to a savepoint: the selected tree may be gone.
    pub(super) fn reselect(&mut self) {
        let name = self.name.clone();
        self.select(&name);
    }

    fn create(&mut self, name: &str, tag: u16) {
        let tag = u64::from(tag);
        let mut options = TreeOptions::default().tag(tag);
        options = match tag % 16 {
            6 => options.fixed_width(8, 8),
            14 => options.fixed_width(21, 3),
            3 => options.fixed_width(2, 0),
            _ => options,
        };
        let created = match tag % 4 {
            0 => self.txn.create(name),
            _ => self.txn.create_with(name, options),
        };
        if self.trees.contains_key(name) {
            assert_eq!(created, Err(TreeError::TreeExists));
            return;
        }
        let tag = if tag % 4 == 0 { 0 } else { tag };
        assert_eq!(self.txn.record(created.unwrap()).map(|record| record.tag), Ok(tag));
        self.named.push(name.to_string());
        self.trees.insert(name.to_string(), Tree { tag, fixed: options.fixed, ..Tree::default() });
    }

    fn rename(&mut self, from: Name, to: Name) {
        let (from, to) = (from.text(self.env.key_max), to.text(self.env.key_max));
        let renamed = self.txn.rename(&from, &to);
        if !self.trees.contains_key(&from) {
            assert_eq!(renamed, Err(TreeError::NoSuchTree), "rename");
        } else if from == to {
            assert_eq!(renamed, Ok(()), "rename");
        } else if self.trees.contains_key(&to) {
            assert_eq!(renamed, Err(TreeError::TreeExists), "rename");
        } else {
            assert_eq!(renamed, Ok(()), "rename");
            if self.plants(Planted::RenameForgetsTag) {
                let handle = self.txn.open(&to).unwrap();
                self.txn.set_tag(handle, 0).unwrap();
            }
            if let Some(tree) = self.trees.remove(&from) {
                self.trees.insert(to.clone(), tree);
                self.named.push(to.clone());
            }
            assert_eq!(self.txn.open(&from), Err(TreeError::NoSuchTree));
            if self.name == from {
                // The handle goes on with its tree.
                self.name = to;
                assert_eq!(self.txn.open(&self.name), Ok(self.handle));
            }
        }
    }

    /// Opens trees until no more can be, and takes that back.
    fn many_trees(&mut self) {
        let (savepoint, trees) = (self.txn.savepoint().unwrap(), self.trees.clone());
        let mut made = 0;
        let refused = loop {
            match self.txn.create(&format!("many/{made}")) {
                Ok(_) => made += 1,
                Err(error) => break error,
            }
            assert!(made <= TREES_MAX && made * "many/0".len() <= OPEN_NAMES_BYTES);
        };
        assert_eq!(refused, TreeError::TooManyTrees);
        assert!(made + 16 >= TREES_MAX, "too many trees after {made}");
        // It changed nothing: the transaction goes on.
        let (key, len) = (self.sized_key(b"many".to_vec()), self.sized_len(5));
        self.txn.tree(self.handle).unwrap().insert(&key, &vec![1; len]).unwrap();
        self.txn.rollback_to(savepoint).unwrap();
        self.trees = trees;
        self.reselect();
    }

    fn end_savepoint(&mut self, at: usize, back: bool) {
        let Saved { savepoint, trees, named } = self.savepoints[at].clone();
        let younger = self.savepoints.last().filter(|_| at + 1 < self.savepoints.len());
        let ended = [Some(savepoint), younger.map(|younger| younger.savepoint)];
        let open: Vec<_> =
            self.trees.keys().map(|name| (name.clone(), self.txn.open(name).unwrap())).collect();
        if !back || self.savepoints.len() == 1 && self.plants(Planted::RollbackKeeps) {
            self.txn.release(savepoint).unwrap();
        } else {
            self.txn.rollback_to(savepoint).unwrap();
        }
        for ended in ended.into_iter().flatten() {
            let stale = Err(TreeError::Pager(StoreError::Stale));
            assert_eq!(self.txn.rollback_to(ended), stale);
            assert_eq!(self.txn.release(ended), stale);
        }
        self.savepoints.truncate(at);
        if back {
            self.trees = trees;
            // A handle goes on with its tree, unless that got its name since; where others did, it
            // depends on when it was opened.
            let since = self.named.split_off(named);
            for (name, handle) in open {
                let found = self.txn.tree_ref(handle).map(|tree| tree.len());
                match self.trees.get(&name).filter(|_| !since.contains(&name)) {
                    Some(_) if !since.is_empty() && found == Err(TreeError::NoSuchTree) => {}
                    Some(tree) => assert_eq!(found, Ok(tree.entries.len() as u64), "{name:?}"),
                    None => assert_eq!(found, Err(TreeError::NoSuchTree), "{name:?}"),
                }
            }
            self.reselect();
        }
    }

    /// Compares the whole transaction with the oracle.
    pub(super) fn compare(&mut self) {
        compare::names(self.txn.trees().unwrap(), &self.trees);
        for (name, tree) in &self.trees {
            let handle = self.txn.open(name).unwrap();
            compare::tree(self.txn.tree_ref(handle).unwrap(), &tree.entries);
        }
    }
}
