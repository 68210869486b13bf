//! The log's records.
//!
//! Invariants checked: every kind of change is brought back by its record; a record that does not
//! fit the state before it, or is no record at all, is refused as such and panics nowhere.

use crate::support::*;
use mapleaf_btree::{
    Error, LogSlots, TREES_MAX, TreeHandle, TreeOptions, Writer, apply, apply_to_remains,
};
use mapleaf_pager::{Damage, Durability, PageId};
use quickcheck::quickcheck;

const LOG_BYTES: u64 = 1 << 20;

fn insert(writer: &mut Writer<'_>, tree: TreeHandle, numbers: std::ops::Range<u32>) {
    for n in numbers {
        let value = value_of(n as usize % 40, n);
        writer.tree(tree).unwrap().insert(&n.to_be_bytes(), &value).unwrap();
    }
}

/// Does each kind of change, in a transaction with a rollback in its middle.
fn change_everything(writer: &mut Writer<'_>) {
    let tree = writer.create("tree", TreeOptions::default().tag(3)).unwrap();
    insert(writer, tree, 0..500);
    let savepoint = writer.savepoint().unwrap();
    // The log forgets which tree the slot means, and has to be told again.
    let undone = writer.create("undone", TreeOptions::default()).unwrap();
    insert(writer, undone, 0..5);
    insert(writer, tree, 500..600);
    writer.rollback_to(savepoint).unwrap();
    insert(writer, tree, 600..650);

    let other = writer.create("other", TreeOptions::default()).unwrap();
    insert(writer, other, 0..100);
    writer.tree(other).unwrap().clear().unwrap();
    writer.tree(other).unwrap().append(b"key", &value_of(5000, 1)).unwrap();
    writer.rename("other", "renamed").unwrap();
    writer.set_tag(other, 77).unwrap();
    writer.tree(other).unwrap().insert_if_absent(b"more", b"").unwrap();
    writer.create("dropped", TreeOptions::default()).unwrap();
    assert_eq!(writer.drop_tree("dropped"), Ok(true));

    let mut tree = writer.tree(tree).unwrap();
    for (key, len) in [(10u32, 0), (11, 30), (12, 3000), (700, 60)] {
        tree.reserve(&key.to_be_bytes(), len, |place| place.fill(len as u8)).unwrap();
    }
    assert_eq!(tree.remove(&20u32.to_be_bytes()), Ok(true));
    tree.pop_first(|_, _| ()).unwrap().unwrap();
    tree.pop_last(|_, _| ()).unwrap().unwrap();
    tree.retain(|key, _| !bytes(key)[3].is_multiple_of(5)).unwrap();
    tree.remove_range((&100u32.to_be_bytes()[..], &300u32.to_be_bytes()[..])).unwrap();
    tree.remove_range(..=b"").unwrap();
    let long = [&600u32.to_be_bytes()[..], &[7; 70_000]].concat();
    tree.remove_range(&long[..]..).unwrap();
    let mut cursor = tree.cursor_mut();
    for step in 0..60 {
        cursor.next().unwrap().unwrap();
        match step % 3 {
            0 => assert_eq!(cursor.remove(), Ok(true)),
            1 => assert_eq!(cursor.replace(&value_of(step * 40, 9)), Ok(true)),
            _ => {}
        }
    }
}

/// All trees of a state, as the oracle keeps them.
fn trees_of(store: &RamStore<'_>) -> Trees {
    let snapshot = store.begin_read(0).unwrap();
    let catalog = mapleaf_btree::Catalog::new(&snapshot).unwrap();
    let mut trees = Trees::new();
    for tree in catalog.list() {
        let (name, record) = tree.unwrap();
        let name = String::from_utf8(bytes(&name)).unwrap();
        let entries = catalog.open(&name).unwrap().iter().map(owned).collect();
        trees.insert(name, (record.tag, entries));
    }
    trees
}

#[test]
fn every_change_comes_back_from_the_log() {
    let mut ram = vec![0; 8 << 20];
    let store = create(&mut ram, PAGE, LOG_BYTES);
    let mut writer = Writer::new(store.begin_write().unwrap()).unwrap();
    change_everything(&mut writer);
    writer.commit(Durability::Eventual).unwrap();
    // A second transaction: slots are bound anew, to other trees.
    let mut writer = Writer::new(store.begin_write().unwrap()).unwrap();
    let renamed = writer.open("renamed").unwrap();
    insert(&mut writer, renamed, 0..3);
    writer.commit(Durability::Eventual).unwrap();

    let before = trees_of(&store);
    assert_eq!(before.keys().collect::<Vec<_>>(), ["renamed", "tree"]);
    assert_eq!((before["renamed"].0, before["renamed"].1.len()), (77, 5));
    assert!(before["tree"].1.len() > 100, "{}", before["tree"].1.len());
    let len = len_of(&store);
    drop(store);

    let (records, store) = reopen(&mut ram, len, &options(PAGE, LOG_BYTES));
    assert!(records > 700, "{records}");
    assert_eq!(trees_of(&store), before);
    prove(&store);
    let len = len_of(&store);
    drop(store);
    // What was replayed is in the checkpoint that opening made.
    let (records, store) = reopen(&mut ram, len, &options(PAGE, LOG_BYTES));
    assert_eq!(records, 0);
    assert_eq!(trees_of(&store), before);
}

#[test]
fn records_that_do_not_fit_are_refused() {
    let refused = Err(Error::corrupt(PageId::NONE, Damage::Redo));
    let mut ram = vec![0; 1 << 20];
    let store = create(&mut ram, PAGE, 0);
    let mut writer = Writer::new(store.begin_write().unwrap()).unwrap();
    let mut slots = LogSlots::new();
    let mut apply = |record| apply(&mut writer, &mut slots, record);
    let long_key = [&[2, 0, 200, 0][..], &[b'k'; 200]].concat();
    let not_yet: [&[u8]; 9] = [
        // No operation, an unknown one, one cut short.
        &[],
        &[99],
        &[1],
        // A slot that means no tree yet, and one that there cannot be.
        &[2, 0, 1, 0, b'k'],
        &[1, 64, b't'],
        // A tree that is not there: bound, renamed, dropped.
        &[1, 0, b't'],
        &[8, 1, b't', b'u'],
        &[9, b't'],
        // No text.
        &[7, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF],
    ];
    for record in not_yet {
        assert_eq!(apply(record), refused, "{record:?}");
    }
    let create = [7, 9, 0, 0, 0, 0, 0, 0, 0, b't'];
    assert_eq!(apply(&create), Ok(()));
    assert_eq!(apply(&[1, 3, b't']), Ok(()));
    assert_eq!(apply(&[2, 3, 1, 0, b'k', b'v']), Ok(()));
    let no_longer: [&[u8]; 7] = [
        &create,
        // A key longer than the record, or than a page of the store can hold.
        &[2, 3, 9, 0, b'k'],
        &long_key,
        // A key that is not there, bounds of no kind, a tag too long, a name too long.
        &[3, 3, b'x'],
        &[4, 3, 3, 0, 0, 0],
        &[6, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        &[8, 200, b't'],
    ];
    for record in no_longer {
        assert_eq!(apply(record), refused, "{record:?}");
    }
    let tree = writer.open("t").unwrap();
    assert_eq!(writer.record(tree).unwrap().tag, 9);
    assert_eq!(writer.tree_ref(tree).unwrap().get(b"k"), Ok(Some(&b"v"[..])));
}

/// Else a store in which many trees were made since the last checkpoint does not open after a crash: what was
/// acknowledged is lost.
#[test]
fn trees_of_many_transactions_come_back_from_the_log() {
    let name = |i: usize| format!("tree {i:03}");
    let mut ram = vec![0; 8 << 20];
    let store = create(&mut ram, PAGE, LOG_BYTES);
    let count = TREES_MAX * 2 + 2;
    for i in 0..count {
        let mut writer = Writer::new(store.begin_write().unwrap()).unwrap();
        // Nothing is stored in it: the log never names a slot for it.
        writer.create(&name(i), TreeOptions::default().tag(i as u64)).unwrap();
        if i % 3 == 0 {
            writer.rename(&name(i), &format!("{} renamed, to something longer", name(i))).unwrap();
        }
        if i % 5 == 4 {
            let tree = writer.open(&name(i - 2)).ok();
            tree.into_iter().for_each(|tree| insert(&mut writer, tree, 0..3));
        }
        writer.commit(Durability::Eventual).unwrap();
    }
    let before = trees_of(&store);
    assert_eq!(before.len(), count);
    let len = len_of(&store);
    drop(store);
    let (records, store) = reopen(&mut ram, len, &options(PAGE, LOG_BYTES));
    assert!(records > count as u64, "{records}");
    assert_eq!(trees_of(&store), before);
    prove(&store);
}

/// Else salvage would end at the first change of what is lost, with all behind it in the log; or go on though the
/// new store is full, and call what is missing from it whole.
#[test]
fn what_does_not_apply_to_remains_comes_to_nothing_and_a_full_store_is_an_error() {
    let mut ram = vec![0; 40 * PAGE];
    let store = create(&mut ram, PAGE, 0);
    let mut writer = Writer::new(store.begin_write().unwrap()).unwrap();
    let fixed = [128, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 8, 0, 0, 0, b'w'];
    let wide = [&fixed[..9], &[0, 255, 0, 0, 0, 0, b'x']].concat();
    let large = [&[2, 0, 1, 0, b'l'][..], &[7; 40 * PAGE]].concat();
    let mut slots = LogSlots::new();
    macro_rules! remains {
        ($record:expr) => {
            apply_to_remains(&mut writer, &mut slots, $record)
        };
    }
    let nothing: [&[u8]; 4] = [&[8, 1, b't', b'u'], &[9, b't'], &[2, 0, 1, 0, b'k'], &[99]];
    for record in nothing {
        assert_eq!(remains!(record), Ok(false), "{record:?}");
    }
    // A tree whose record is lost is made where it is first named: with any sizes.
    assert_eq!(remains!(&[1, 0, b't']), Ok(true));
    assert_eq!(remains!(&[2, 0, 1, 0, b'k', b'v']), Ok(true));
    assert_eq!(remains!(&[3, 0, b'x']), Ok(false), "it may be lost, or was removed before");
    assert_eq!(remains!(&[7, 0, 0, 0, 0, 0, 0, 0, 0, b't']), Ok(false), "it is there");
    if cfg!(feature = "fixed-width") {
        assert_eq!(remains!(&fixed), Ok(true));
        assert_eq!(remains!(&[1, 1, b'w']), Ok(true));
        assert_eq!(remains!(&[2, 1, 1, 0, b'k', b'v']), Ok(false), "of other sizes");
        assert_eq!(remains!(&wide), Ok(false), "an entry that no page holds");
    }
    assert_eq!(remains!(&large), Err(Error::Pager(mapleaf_pager::Error::Full)));
    assert_eq!(remains!(&[2, 0, 1, 0, b'm', b'v']), Ok(true), "the next one has room");
    let tree = writer.open("t").unwrap();
    let tree = writer.tree_ref(tree).unwrap();
    assert_eq!((tree.len(), tree.get(b"k")), (2, Ok(Some(&b"v"[..]))));
}

quickcheck! {
    fn no_record_panics(records: Vec<(u8, u8, Vec<u8>)>) -> bool {
        let mut ram = vec![0; 1 << 20];
        let store = create(&mut ram, PAGE, 0);
        let mut writer = Writer::new(store.begin_write().unwrap()).unwrap();
        let mut slots = LogSlots::new();
        apply(&mut writer, &mut slots, &[7, 0, 0, 0, 0, 0, 0, 0, 0, b't']).unwrap();
        apply(&mut writer, &mut slots, &[1, 0, b't']).unwrap();
        let record = |(operation, slot, rest): &(u8, u8, Vec<u8>)| {
            [&[operation % 11, slot % 3][..], rest].concat()
        };
        let records: Vec<_> = records.iter().map(record).collect();
        for record in &records {
            if let Err(error) = apply(&mut writer, &mut slots, record) {
                assert_eq!(error, Error::corrupt(PageId::NONE, Damage::Redo));
            }
        }
        writer.list().unwrap();
        check_state(writer.txn());
        true
    }
}
