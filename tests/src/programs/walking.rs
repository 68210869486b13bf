//! Reading a tree: by key, by cursor, by range.

use super::compare::{both_ways, same, wanted};
use super::data::range;
use super::oracle::{Entries, Place, in_range};
use super::planted::Planted;
use super::step::{Move, Step};
use super::world::Env;
use mapleaf::Tree;
use mapleaf_pager::Pages;
use std::ops::Bound;

/// Reads a tree as a step says, and compares.
pub(super) fn read<'a, P: Pages<'a>>(tree: Tree<'a, P>, entries: &Entries, step: &Step, env: Env) {
    match step {
        Step::Get(key) => {
            let key = key.sought(env.key_max);
            let value = entries.get(&key);
            assert!(tree.get(&key).unwrap() == value.map(|value| &value[..]), "get of {key:?}");
            assert_eq!(tree.contains(&key), Ok(value.is_some()), "contains {key:?}");
        }
        Step::Ends => {
            let end = |key: Option<&Vec<u8>>| key.and_then(|key| wanted(entries, key));
            same("first", tree.first().unwrap(), end(entries.keys().next()));
            same("last", tree.last().unwrap(), end(entries.keys().next_back()));
        }
        Step::Range(start, end, turns) => {
            let (start, end) = (start.bound(env.key_max), end.bound(env.key_max));
            let keys = in_range(entries, &start, &end);
            let found = match (&start, &end) {
                // A pair of keys is half open.
                (Bound::Included(start), Bound::Excluded(end)) if turns % 2 == 1 => {
                    tree.range((&start[..], &end[..]))
                }
                _ => tree.range(&*range(start, end)),
            };
            let misses = env.planted == Some(Planted::BackMissesLastOfRange);
            both_ways(found, entries, &keys, *turns, misses);
        }
        Step::Prefix(key, len, turns) => {
            let mut prefix = key.sought(env.key_max);
            prefix.truncate(usize::from(*len) % (prefix.len() + 1));
            let keys: Vec<_> = entries.keys().filter(|key| key.starts_with(&prefix)).collect();
            both_ways(tree.prefix(&prefix), entries, &keys, *turns, false);
        }
        Step::Walk(moves) => walk(tree, entries, moves, env, |_| {}),
        other => unreachable!("{other:?} does not read"),
    }
}

/// Moves a cursor, and compares where it is after each move, and once more after `between`.
pub(super) fn walk<'a, P: Pages<'a>>(
    tree: Tree<'a, P>,
    entries: &Entries,
    moves: &[Move],
    env: Env,
    mut between: impl FnMut(usize),
) {
    let mut cursor = tree.cursor();
    let mut place = Place::New;
    for (i, step) in moves.iter().enumerate() {
        let (found, to) = match step {
            Move::First => (cursor.first(), Place::New.next(entries)),
            Move::Last => (cursor.last(), Place::New.prev(entries)),
            Move::Prev => (cursor.prev(), place.prev(entries)),
            Move::Seek(key) => {
                let key = key.sought(env.key_max);
                (cursor.seek(&key), Place::sought(entries, &key))
            }
            Move::AtOrAfter(key) => {
                let key = key.sought(env.key_max);
                (cursor.seek_at_or_after(&key), Place::at_or_after(entries, &key))
            }
            Move::AtOrBefore(key) => {
                let key = key.sought(env.key_max);
                (cursor.seek_at_or_before(&key), Place::at_or_before(entries, &key))
            }
            Move::Next | Move::Replace(_) | Move::Remove => (cursor.next(), place.next(entries)),
        };
        place = to;
        let here = || place.key().and_then(|key| wanted(entries, key));
        same("a move", found.unwrap(), here());
        between(i);
        same("where a cursor is", cursor.current().unwrap(), here());
        assert!(cursor.key().unwrap().map(|key| key.to_vec()) == here().map(|entry| entry.0));
        assert!(cursor.value().unwrap() == here().map(|entry| entry.1), "a cursor's value");
        if i % 5 == 4 {
            cursor = cursor.clone();
        }
    }
}
