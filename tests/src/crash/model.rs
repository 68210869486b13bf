//! What a store should hold, and its hash.

use super::many::FIXED;
use crate::sim::{fold, hash};
use mapleaf_btree::{Catalog, Result};
use mapleaf_pager::Pages;
use std::collections::BTreeMap;

/// Entries by tree and key.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Model {
    trees: BTreeMap<String, BTreeMap<Vec<u8>, Vec<u8>>>,
    /// The sum over all trees and entries: whatever changes, it is known at once.
    pub hash: u64,
}

/// What one entry adds to the hash of a state.
pub(super) fn entry_hash(tree: &[u8], key: &[u8], value: &[u8]) -> u64 {
    fold(fold(hash(tree), hash(key)), hash(value))
}

/// What a tree adds by being there. Whether it has a fixed width goes with its name.
fn tree_hash(tree: &[u8], fixed: bool) -> u64 {
    fold(hash(tree), if fixed { 0x66_69_78 } else { 0x74_72_65_65 })
}

fn named_hash(tree: &str) -> u64 {
    tree_hash(tree.as_bytes(), tree == FIXED)
}

impl Model {
    /// Makes the tree, where there is none.
    pub(super) fn create(&mut self, tree: &str) {
        if !self.trees.contains_key(tree) {
            self.trees.insert(tree.into(), BTreeMap::new());
            self.hash = self.hash.wrapping_add(named_hash(tree));
        }
    }

    /// Stores an entry.
    pub(super) fn put(&mut self, tree: &str, key: &[u8], value: &[u8]) {
        self.create(tree);
        self.remove(tree, key);
        self.hash = self.hash.wrapping_add(entry_hash(tree.as_bytes(), key, value));
        if let Some(entries) = self.trees.get_mut(tree) {
            entries.insert(key.into(), value.into());
        }
    }

    /// Removes an entry; whether it was there.
    pub(super) fn remove(&mut self, tree: &str, key: &[u8]) -> bool {
        let old = self.trees.get_mut(tree).and_then(|entries| entries.remove(key));
        if let Some(old) = &old {
            self.hash = self.hash.wrapping_sub(entry_hash(tree.as_bytes(), key, old));
        }
        old.is_some()
    }

    /// Drops a tree; whether it was there.
    pub(super) fn drop_tree(&mut self, tree: &str) -> bool {
        let Some(entries) = self.trees.remove(tree) else { return false };
        self.hash = self.hash.wrapping_sub(named_hash(tree));
        for (key, value) in &entries {
            self.hash = self.hash.wrapping_sub(entry_hash(tree.as_bytes(), key, value));
        }
        true
    }

    /// Keys of a tree.
    pub(super) fn keys(&self, tree: &str) -> Vec<Vec<u8>> {
        self.trees.get(tree).into_iter().flat_map(|entries| entries.keys().cloned()).collect()
    }
}

/// The hash of what a state holds, by a scan of all its trees.
///
/// # Errors
/// Damage that the scan finds.
pub(super) fn found<'a, P: Pages<'a>>(pages: P) -> Result<u64> {
    let catalog = Catalog::new(pages)?;
    let mut sum = 0u64;
    let mut buffer = [0; 512];
    for named in catalog.list() {
        let (name, record) = named?;
        let name = name.to_vec();
        sum = sum.wrapping_add(tree_hash(&name, record.fixed.is_some()));
        let Ok(name) = std::str::from_utf8(&name) else { continue };
        for entry in catalog.open(name)?.iter() {
            let (key, value) = entry?;
            let key = key.copy_to(&mut buffer).unwrap_or_default();
            sum = sum.wrapping_add(entry_hash(name.as_bytes(), key, value));
        }
    }
    Ok(sum)
}
