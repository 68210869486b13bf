//! Named trees and their handles.

use crate::support::*;
use mapleaf_btree::{Error, NAME_BYTES_MAX, OpenTrees, TREES_MAX, TreeOptions, Writer};
use mapleaf_pager::Durability;

/// What a rollback brings back under a name may be another tree than the one that was opened there since,
/// whose naming no handle has seen.
#[test]
fn a_rollback_gives_no_handle_another_tree() {
    let mut ram = vec![0; 1 << 20];
    let store = create(&mut ram, PAGE, 0);
    let mut first = writer(&store);
    for name in ["a", "b"] {
        let tree = first.create(name, TreeOptions::default()).unwrap();
        first.tree(tree).unwrap().insert(b"k", name.as_bytes()).unwrap();
    }
    first.commit(Durability::Sync).unwrap();

    // Renamed while it was not open.
    let mut writer = writer(&store);
    let savepoint = writer.savepoint().unwrap();
    writer.drop_tree("a").unwrap();
    writer.rename("b", "a").unwrap();
    let moved = writer.open("a").unwrap();
    assert_eq!(writer.tree_ref(moved).unwrap().get(b"k"), Ok(Some(&b"b"[..])));
    writer.rollback_to(savepoint).unwrap();
    assert_eq!(writer.tree_ref(moved).err(), Some(Error::NoSuchTree));

    // Created, and opened anew after a first rollback has ended its handle.
    let outer = writer.savepoint().unwrap();
    writer.drop_tree("a").unwrap();
    writer.create("a", TreeOptions::default()).unwrap();
    let inner = writer.savepoint().unwrap();
    writer.rename("a", "c").unwrap();
    writer.rollback_to(inner).unwrap();
    let again = writer.open("a").unwrap();
    assert_eq!(writer.tree_ref(again).unwrap().len(), 0);
    writer.rollback_to(outer).unwrap();
    assert_eq!(writer.tree_ref(again).err(), Some(Error::NoSuchTree));

    // Where nothing was named, a handle goes on.
    let savepoint = writer.savepoint().unwrap();
    let opened = writer.open("b").unwrap();
    writer.rollback_to(savepoint).unwrap();
    assert_eq!(writer.tree_ref(opened).unwrap().get(b"k"), Ok(Some(&b"b"[..])));
}

fn writer<'s>(store: &'s RamStore<'_>) -> Writer<'s> {
    Writer::new(store.begin_write().unwrap()).unwrap()
}

#[test]
fn a_rollback_ends_the_handles_of_what_it_undid() {
    let mut ram = vec![0; 1 << 20];
    let store = create(&mut ram, PAGE, 0);
    let mut writer = writer(&store);
    let old = writer.create("old", TreeOptions::default()).unwrap();
    let kept = writer.create("kept", TreeOptions::default().tag(1)).unwrap();
    writer.tree(old).unwrap().insert(b"k", b"before").unwrap();
    writer.tree(kept).unwrap().insert(b"k", b"before").unwrap();
    let savepoint = writer.savepoint().unwrap();

    // The same name, another tree.
    assert_eq!(writer.drop_tree("old"), Ok(true));
    let again = writer.create("old", TreeOptions::default()).unwrap();
    assert_eq!(writer.tree(old).err(), Some(Error::NoSuchTree));
    writer.tree(again).unwrap().insert(b"k", b"again").unwrap();
    writer.tree(kept).unwrap().insert(b"k", b"after").unwrap();
    writer.set_tag(kept, 2).unwrap();
    let new = writer.create("new", TreeOptions::default()).unwrap();
    writer.rollback_to(savepoint).unwrap();

    assert_eq!(writer.tree(again).err(), Some(Error::NoSuchTree));
    assert_eq!(writer.tree(new).err(), Some(Error::NoSuchTree));
    assert_eq!(writer.open("new"), Err(Error::NoSuchTree));
    assert_eq!(writer.tree_ref(kept).unwrap().get(b"k"), Ok(Some(&b"before"[..])));
    assert_eq!(writer.record(kept).unwrap().tag, 1);
    let old = writer.open("old").unwrap();
    assert_eq!(writer.tree_ref(old).unwrap().get(b"k"), Ok(Some(&b"before"[..])));

    // A renaming that is undone ends the handle, one that stays does not.
    let savepoint = writer.savepoint().unwrap();
    writer.rename("kept", "renamed").unwrap();
    writer.tree(kept).unwrap().insert(b"k", b"renamed").unwrap();
    writer.rollback_to(savepoint).unwrap();
    assert_eq!(writer.tree(kept).err(), Some(Error::NoSuchTree));
    let kept = writer.open("kept").unwrap();
    let savepoint = writer.savepoint().unwrap();
    writer.rename("kept", "renamed").unwrap();
    writer.tree(kept).unwrap().insert(b"k", b"renamed").unwrap();
    writer.release(savepoint).unwrap();
    assert_eq!(writer.tree_ref(kept).unwrap().get(b"k"), Ok(Some(&b"renamed"[..])));
    writer.commit(Durability::Sync).unwrap();
    prove(&store);

    let one = |value: &[u8]| Entries::from([(b"k".to_vec(), value.to_vec())]);
    let trees = Trees::from([
        ("old".to_string(), (0, one(b"before"))),
        ("renamed".to_string(), (1, one(b"renamed"))),
    ]);
    compare_all(&store.begin_read(0).unwrap(), &trees);
}

#[test]
fn the_table_of_open_trees_is_bounded_and_reused() {
    let mut ram = vec![0; 4 << 20];
    let store = create(&mut ram, PAGE, 0);
    let mut writer = writer(&store);
    let name = |i: usize| format!("tree {i}");
    for i in 0..TREES_MAX {
        let tree = writer.create(&name(i), TreeOptions::default().tag(i as u64)).unwrap();
        writer.tree(tree).unwrap().insert(b"n", name(i).as_bytes()).unwrap();
    }
    assert_eq!(writer.create("one more", TreeOptions::default()), Err(Error::TooManyTrees));
    assert_eq!(writer.open("one more"), Err(Error::NoSuchTree));
    let dropped = TREES_MAX / 2;
    assert_eq!(writer.drop_tree(&name(dropped)), Ok(true));
    let tree = writer.create("one more", TreeOptions::default().tag(99)).unwrap();
    writer.tree(tree).unwrap().insert(b"n", b"one more").unwrap();
    writer.rename(&name(0), "a name longer than the one it had").unwrap();
    let mut names: Vec<_> =
        (1..TREES_MAX).filter(|i| *i != dropped).map(|i| (name(i), i as u64)).collect();
    names.push(("one more".into(), 99));
    names.push(("a name longer than the one it had".into(), 0));
    names.sort();
    let listed: Vec<_> = writer
        .list()
        .unwrap()
        .map(|tree| tree.map(|(name, record)| (bytes(&name), record.tag)).unwrap())
        .collect();
    assert_eq!(listed, names.iter().map(|(n, t)| (n.clone().into_bytes(), *t)).collect::<Vec<_>>());
    for (name, tag) in &names {
        let tree = writer.open(name).unwrap();
        assert_eq!(writer.record(tree).unwrap().tag, *tag);
        let stored = if *tag == 0 { "tree 0".as_bytes() } else { name.as_bytes() };
        assert_eq!(writer.tree_ref(tree).unwrap().get(b"n"), Ok(Some(stored)));
    }
    writer.commit(Durability::Sync).unwrap();
    prove(&store);
}

#[test]
fn long_names_are_kept_or_refused() {
    let mut ram = vec![0; 4 << 20];
    for (page_size, limit_bytes) in [(4096, NAME_BYTES_MAX), (PAGE, KEY_MAX.min(NAME_BYTES_MAX))] {
        if !PAGES.contains(&page_size) {
            continue;
        }
        let store = create(&mut ram, page_size, 0);
        let mut writer = writer(&store);
        let too_long = "x".repeat(limit_bytes + 1);
        assert_eq!(
            writer.create(&too_long, TreeOptions::default()),
            Err(Error::KeyTooLong { limit_bytes })
        );
        let mut opened = 0;
        loop {
            let name = format!("{opened:0limit_bytes$}");
            match writer.create(&name, TreeOptions::default()) {
                Ok(_) => opened += 1,
                Err(error) => break assert_eq!(error, Error::TooManyTrees),
            }
        }
        let least = if cfg!(feature = "large") { 16 } else { 1 };
        assert!(opened >= least, "{opened}");
        let name = "y".repeat(limit_bytes);
        assert_eq!(
            writer.rename(&format!("{:0limit_bytes$}", 0), &too_long).err(),
            Some(Error::KeyTooLong { limit_bytes })
        );
        writer.rename(&format!("{:0limit_bytes$}", 0), &name).unwrap();
        assert_eq!(writer.drop_tree(&name), Ok(true));
        assert_eq!(writer.drop_tree(&name), Ok(false));
        assert_eq!(writer.rename(&name, "z"), Err(Error::NoSuchTree));
        writer.create("", TreeOptions::default()).unwrap();
        writer.commit(Durability::Sync).unwrap();
        assert_eq!(prove(&store).trees, opened as u64);
    }
}

/// Else a program that keeps a handle, as those of other stores may be kept, writes into whatever tree a later
/// transaction has opened first.
#[test]
fn a_handle_ends_with_its_transaction() {
    let mut ram = vec![0; 1 << 20];
    let store = create(&mut ram, PAGE, 0);
    let mut first = writer(&store);
    let kept = first.create("a", TreeOptions::default()).unwrap();
    first.create("b", TreeOptions::default()).unwrap();
    first.commit(Durability::Sync).unwrap();

    let mut second = writer(&store);
    let other = second.open("b").unwrap();
    assert_ne!(kept, other);
    assert_eq!(second.tree(kept).err(), Some(Error::NoSuchTree));
    assert_eq!(second.tree_ref(kept).err(), Some(Error::NoSuchTree));
    assert_eq!(second.record(kept).err(), Some(Error::NoSuchTree));
    assert_eq!(second.set_tag(kept, 1), Err(Error::NoSuchTree));
    // One that is rolled back gives its handles to nobody either.
    drop(second);
    let mut third = writer(&store);
    third.open("a").unwrap();
    assert_eq!(third.tree(other).err(), Some(Error::NoSuchTree));
}

/// Else a tree that was rolled back would come back, or entries go to a page that is somebody else's by then.
#[test]
fn what_a_writer_leaves_in_its_table_is_not_the_next_ones() {
    let mut ram = vec![0; 1 << 20];
    let store = create(&mut ram, PAGE, 0);
    let mut table = OpenTrees::new();
    let key = |i: u32| i.to_be_bytes();

    // Nor is the room that their names took.
    let name = "n".repeat(60);
    for _ in 0..100 {
        let mut other = Writer::with_table(store.begin_write().unwrap(), &mut table).unwrap();
        other.create(&name, TreeOptions::default()).unwrap();
    }

    let mut first = Writer::with_table(store.begin_write().unwrap(), &mut table).unwrap();
    let gone = first.create("rolled back", TreeOptions::default()).unwrap();
    // In order: the place of the last one is remembered.
    for i in 0..100 {
        first.tree(gone).unwrap().insert(&key(i), b"gone").unwrap();
    }
    drop(first);

    let mut second = Writer::with_table(store.begin_write().unwrap(), &mut table).unwrap();
    assert_eq!(second.tree(gone).err(), Some(Error::NoSuchTree));
    assert_eq!(second.open("rolled back"), Err(Error::NoSuchTree));
    let tree = second.create("tree", TreeOptions::default()).unwrap();
    assert_eq!(second.tree(gone).err(), Some(Error::NoSuchTree));
    second.tree(tree).unwrap().insert(&key(100), b"new").unwrap();
    second.commit(Durability::Sync).unwrap();
    prove(&store);
    let entries = Entries::from([(key(100).to_vec(), b"new".to_vec())]);
    let trees = Trees::from([("tree".to_string(), (0, entries))]);
    compare_all(&store.begin_read(0).unwrap(), &trees);
}

/// Else a transaction over more trees than the table holds breaks off in the middle.
#[test]
fn by_name_any_number_of_trees_can_be_changed() {
    const LOG_BYTES: u64 = 1 << 20;
    // The names do not start alike: the first leaf of fingerprints would have the commit be a checkpoint.
    let count = TREES_MAX * 2 + 3;
    let name = |i: usize| format!("{i:03} {}", "x".repeat(i % 12));
    let long = "y".repeat(NAME_BYTES_MAX.min(KEY_MAX) / 2);
    let mut ram = vec![0; 8 << 20];
    let store = create(&mut ram, PAGE, LOG_BYTES);
    let mut first = writer(&store);
    // A handle outlives the turnover around it.
    let kept = first.create("kept", TreeOptions::default()).unwrap();
    let mut put = |i: usize, round: u8| {
        let mut tree = first.tree_named(&name(i), TreeOptions::default().tag(i as u64)).unwrap();
        tree.insert(&[round], &(i as u32).to_be_bytes()).unwrap();
        first.tree(kept).unwrap().insert(&(i as u32).to_be_bytes(), &[round]).unwrap();
    };
    (0..count).for_each(|i| put(i, 0));
    (0..count).rev().for_each(|i| put(i, 1));
    first.commit(Durability::Eventual).unwrap();
    let mut second = writer(&store);
    let savepoint = second.savepoint().unwrap();
    for i in 0..count {
        second.tree_named(&name(i), TreeOptions::default()).unwrap().clear().unwrap();
        second.tree_named(&format!("undone {i}"), TreeOptions::default()).unwrap();
    }
    second.rollback_to(savepoint).unwrap();
    // A tree that is open by name only gets a longer name, too.
    second.tree_named(&name(0), TreeOptions::default()).unwrap();
    second.rename(&name(0), &long).unwrap();
    // Handles come first.
    for i in 1..=TREES_MAX {
        second.open(&name(i)).unwrap();
    }
    let full = second.tree_named(&name(TREES_MAX + 1), TreeOptions::default()).err();
    assert_eq!(full, Some(Error::TooManyTrees));
    second.commit(Durability::Eventual).unwrap();

    let compare = |store: &RamStore<'_>| {
        let pair = |i: usize| (0..2u8).map(move |r| (vec![r], (i as u32).to_be_bytes().to_vec()));
        let mut trees: Trees =
            (1..count).map(|i| (name(i), (i as u64, pair(i).collect()))).collect();
        trees.insert(long.clone(), (0, pair(0).collect()));
        let kept = (0..count).map(|i| ((i as u32).to_be_bytes().to_vec(), vec![1]));
        trees.insert("kept".into(), (0, kept.collect()));
        compare_all(&store.begin_read(0).unwrap(), &trees);
        prove(store);
    };
    compare(&store);
    let len = len_of(&store);
    drop(store);
    let (records, store) = reopen(&mut ram, len, &options(PAGE, LOG_BYTES));
    assert!(records > 4 * count as u64, "{records}");
    compare(&store);
}
