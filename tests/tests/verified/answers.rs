//! What a tree answers, against a map.

use crate::{Entries, key_of};
use mapleaf::Tree;
use mapleaf_pager::Pages;
use std::ops::Bound;

/// Answers that were wrong, and that were refused.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Count {
    pub(crate) right: u64,
    pub(crate) wrong: u64,
    pub(crate) refused: u64,
}

impl Count {
    fn note<T: PartialEq>(&mut self, found: mapleaf_btree::Result<T>, wanted: &T) {
        match found {
            Ok(found) if found == *wanted => self.right += 1,
            Ok(_) => self.wrong += 1,
            Err(_) => self.refused += 1,
        }
    }

    /// Of a walk everything up to an error counts.
    fn walk<'e>(
        &mut self,
        found: impl Iterator<Item = mapleaf_btree::Result<mapleaf::Entry<'e>>>,
        wanted: impl Iterator<Item = (&'e Vec<u8>, &'e Vec<u8>)>,
    ) {
        let mut wanted = wanted;
        for entry in found {
            match entry {
                Ok((key, value)) => {
                    let right =
                        wanted.next().is_some_and(|(k, v)| key == k.as_slice() && value == v);
                    if !right {
                        self.wrong += 1;
                        return;
                    }
                    self.right += 1;
                }
                Err(_) => {
                    self.refused += 1;
                    return;
                }
            }
        }
        self.wrong += u64::from(wanted.next().is_some());
    }
}

/// Asks a tree everything there is to ask.
pub(crate) fn ask<'a, P: Pages<'a>>(
    tree: &Tree<'a, P>,
    entries: &'a Entries,
    probes: &[u16],
    count: &mut Count,
) {
    for key in entries.keys().cloned().chain(probes.iter().map(|seed| key_of(*seed))) {
        let wanted = entries.get(&key).map(Vec::as_slice);
        count.note(tree.get(&key), &wanted);
        count.note(tree.contains(&key), &wanted.is_some());
    }
    count.walk(tree.iter(), entries.iter());
    count.walk(tree.iter().rev(), entries.iter().rev());
    for pair in probes.chunks(2).take(8) {
        let (mut from, mut to) = (key_of(pair[0]), key_of(pair[pair.len() - 1]));
        if from > to {
            (from, to) = (to, from);
        }
        let bounds = (Bound::Included(from.clone()), Bound::Excluded(to.clone()));
        count.walk(tree.range(&from[..]..&to[..]), entries.range(bounds));
        let prefix = &from[..from.len() / 2];
        let wanted = entries.iter().filter(|(key, _)| key.starts_with(prefix));
        count.walk(tree.prefix(prefix), wanted);
    }
}
