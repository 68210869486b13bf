//! Writing while walking through trees of several levels.
//!
//! Invariants checked: a cursor that makes its tree grow, shrink or vanish under it goes on to the
//! neighbours of where it is, in both directions; each entry is met once.

use crate::support::*;
use mapleaf_btree::{CursorMut, TreeHandle, TreeOptions, Writer};
use mapleaf_pager::Durability;

/// Keys of many lengths and shared prefixes, in order.
fn keys() -> Vec<Vec<u8>> {
    let mut keys: Vec<_> = (0..u16::MAX).step_by(3).map(key_of).collect();
    keys.sort();
    keys.dedup();
    keys
}

fn with_tree(test: impl FnOnce(&mut Writer<'_>, TreeHandle, &mut Entries)) {
    let mut ram = vec![0; 64 << 20];
    let store = create(&mut ram, PAGE, 0);
    let mut writer = Writer::new(store.begin_write().unwrap()).unwrap();
    let tree = writer.create("t", TreeOptions::default()).unwrap();
    let mut entries = Entries::new();
    for key in keys() {
        writer.tree(tree).unwrap().insert(&key, b"thirty bytes of value, or less").unwrap();
        entries.insert(key, b"thirty bytes of value, or less".to_vec());
    }
    assert!(writer.record(tree).unwrap().height >= 4, "{:?}", writer.record(tree));
    // Pages of an older transaction are copied on the way.
    writer.commit(Durability::Sync).unwrap();
    let mut writer = Writer::new(store.begin_write().unwrap()).unwrap();
    let tree = writer.open("t").unwrap();
    test(&mut writer, tree, &mut entries);
    writer.list().unwrap();
    check_state(writer.txn());
    compare(writer.tree_ref(tree).unwrap(), &entries);
    writer.commit(Durability::Sync).unwrap();
    prove(&store);
}

/// The keys in the order in which a cursor meets them.
fn keys_of(entries: &Entries, backwards: bool) -> Vec<Vec<u8>> {
    let mut keys: Vec<_> = entries.keys().cloned().collect();
    if backwards {
        keys.reverse();
    }
    keys
}

/// Moves the cursor on, which must be at `key` then.
fn step_to(cursor: &mut CursorMut<'_, '_>, key: &[u8], backwards: bool) {
    let here = if backwards { cursor.prev() } else { cursor.next() }.unwrap();
    assert_eq!(here.map(|(key, _)| bytes(&key)).as_deref(), Some(key));
}

#[test]
fn a_tree_grows_under_a_cursor() {
    for backwards in [false, true] {
        with_tree(|writer, tree, entries| {
            let keys = keys_of(entries, backwards);
            let mut tree = writer.tree(tree).unwrap();
            let mut cursor = tree.cursor_mut();
            for (i, key) in keys.iter().enumerate() {
                step_to(&mut cursor, key, backwards);
                let value = value_of(i % 90, i as u32);
                assert_eq!(cursor.replace(&value), Ok(true));
                let (found, stored) = cursor.current().unwrap().unwrap();
                assert_eq!((bytes(&found), stored), (key.clone(), &value[..]));
                entries.insert(key.clone(), value);
            }
            let end = if backwards { cursor.prev() } else { cursor.next() };
            assert!(end.unwrap().is_none());
        });
    }
}

#[test]
fn a_tree_shrinks_under_a_cursor() {
    // Which of ten entries stay: few and far between, none, all but a few.
    for stay in [[3, 3, 3], [10, 10, 10], [1, 5, 9]] {
        for backwards in [false, true] {
            with_tree(|writer, tree, entries| {
                let keys = keys_of(entries, backwards);
                let mut tree = writer.tree(tree).unwrap();
                let mut cursor = tree.cursor_mut();
                for (i, key) in keys.iter().enumerate() {
                    step_to(&mut cursor, key, backwards);
                    // Stretches of a thousand in which all go.
                    if !stay.contains(&(i % 10)) || i / 1000 % 2 == 0 {
                        assert_eq!(cursor.remove(), Ok(true));
                        assert_eq!(cursor.remove(), Ok(false));
                        entries.remove(key);
                    }
                }
                let end = if backwards { cursor.prev() } else { cursor.next() };
                assert!(end.unwrap().is_none());
            });
        }
    }
}

#[test]
fn a_cursor_turns_round_where_it_removed() {
    with_tree(|writer, tree, entries| {
        let keys: Vec<_> = entries.keys().cloned().collect();
        let mut tree = writer.tree(tree).unwrap();
        let mut cursor = tree.cursor_mut();
        let middle = keys.len() / 2;
        cursor.seek(&keys[middle]).unwrap().unwrap();
        // Eats its way outwards, one on each side in turn.
        let (mut below, mut above) = (middle, middle + 1);
        assert_eq!(cursor.remove(), Ok(true));
        entries.remove(&keys[middle]);
        while above < keys.len() {
            let next = cursor.next().unwrap().map(|(key, _)| bytes(&key));
            assert_eq!(next.as_ref(), keys.get(above));
            assert_eq!(cursor.remove(), Ok(true));
            entries.remove(&keys[above]);
            above += 1;
            if below > 0 {
                below -= 1;
                let prev = cursor.prev().unwrap().map(|(key, _)| bytes(&key));
                assert_eq!(prev.as_ref(), keys.get(below));
                assert_eq!(cursor.remove(), Ok(true));
                entries.remove(&keys[below]);
            }
        }
    });
}

#[test]
fn ranges_of_every_size_are_removed() {
    let count = keys().len();
    for (from, len) in [(0, 5), (0, 3000), (10, 40), (17, count - 40), (count - 500, 500), (900, 1)]
    {
        with_tree(|writer, tree, entries| {
            let keys: Vec<_> = entries.keys().cloned().collect();
            let (start, end) = (&keys[from], keys.get(from + len));
            let mut tree = writer.tree(tree).unwrap();
            let removed = match end {
                Some(end) => tree.remove_range((&start[..], &end[..])),
                None => tree.remove_range(&start[..]..),
            };
            assert_eq!(removed, Ok(len as u64));
            keys[from..from + len].iter().for_each(|key| drop(entries.remove(key)));
        });
    }
}

#[test]
fn insertions_find_their_place_after_a_cursor_wrote() {
    let mut ram = vec![0; 8 << 20];
    let store = create(&mut ram, PAGE, 0);
    let mut writer = Writer::new(store.begin_write().unwrap()).unwrap();
    let handle = writer.create("t", TreeOptions::default()).unwrap();
    let mut entries = Entries::new();
    let key = |group: u32, i: u32| [group.to_be_bytes(), i.to_be_bytes()].concat();
    // Insertions that follow each other in the middle of the tree; a cursor splits their leaf
    // between.
    for group in (0..20).rev() {
        for i in 0..40 {
            let mut tree = writer.tree(handle).unwrap();
            assert_eq!(tree.insert(&key(group, i), b"short"), Ok(false));
            entries.insert(key(group, i), b"short".to_vec());
            if i % 5 == 4 {
                let mut cursor = tree.cursor_mut();
                for back in 0..5 {
                    let value = value_of(90, i);
                    let found = cursor.seek(&key(group, i - back)).unwrap();
                    assert_eq!(found.map(|(_, value)| value), Some(&b"short"[..]));
                    assert_eq!(cursor.replace(&value), Ok(true));
                    entries.insert(key(group, i - back), value);
                }
            }
        }
        compare(writer.tree_ref(handle).unwrap(), &entries);
    }
    writer.commit(Durability::Sync).unwrap();
    prove(&store);
}
