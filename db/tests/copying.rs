//! Copies of a database that is in use.

use mapleaf::{Create, Database, Durability, StoreError, TreeError, TreeOptions};
use std::collections::BTreeMap;
use std::path::Path;

type Trees = BTreeMap<String, (u64, bool, Vec<(Vec<u8>, Vec<u8>)>)>;

fn all(db: &Database) -> Trees {
    let snap = db.read().unwrap();
    let entry = |entry: mapleaf::Result<mapleaf::Entry<'_>, TreeError>| {
        let (key, value) = entry.unwrap();
        (key.to_vec(), value.to_vec())
    };
    let tree = |tree: mapleaf::Result<(mapleaf::Key<'_>, mapleaf::TreeRecord), TreeError>| {
        let (name, record) = tree.unwrap();
        let name = String::from_utf8(name.to_vec()).unwrap();
        let entries = snap.tree(&name).unwrap().iter().map(entry).collect();
        (name, (record.tag, record.fixed.is_some(), entries))
    };
    snap.trees().unwrap().map(tree).collect()
}

/// A file with trees of all kinds, more of them than a transaction has handles, and much that is free.
fn sample(path: &Path) -> Database {
    // SAFETY: the test's own file.
    let db = unsafe { Database::open(path) }.unwrap();
    let mut txn = db.write().unwrap();
    for i in 0..20_000u32 {
        txn.tree("users")
            .unwrap()
            .insert(&i.wrapping_mul(0x9E37_79B9).to_be_bytes(), &[7; 100])
            .unwrap();
    }
    let squares = TreeOptions::default().tag(9).fixed_width(8, 8);
    let squares = txn.create_with("squares", squares).unwrap();
    for i in 0..1000u64 {
        txn.tree(squares).unwrap().insert(&i.to_be_bytes(), &(i * i).to_le_bytes()).unwrap();
    }
    txn.tree("large").unwrap().insert(b"", &vec![3; 300_000]).unwrap();
    txn.tree("large").unwrap().insert(&[255; 990], b"").unwrap();
    for i in 0..100 {
        txn.tree(&format!("tenant {i}")).unwrap().insert(b"k", b"v").unwrap();
    }
    txn.tree("empty").unwrap();
    txn.commit().unwrap();
    let mut txn = db.write().unwrap();
    txn.tree("users")
        .unwrap()
        .retain(|key, _| key.parts()[1].last().is_none_or(|b| b % 4 == 0))
        .unwrap();
    txn.commit().unwrap();
    db
}

#[test]
fn a_copy_has_all_of_one_state_and_nothing_to_spare() {
    let dir = tempfile::tempdir().unwrap();
    let (path, copied) = (dir.path().join("live.leaf"), dir.path().join("copy.leaf"));
    let db = sample(&path);
    let before = all(&db);
    assert_eq!(before.len(), 104);
    // SAFETY: the test's own file.
    let copy = unsafe { Database::builder().create(Create::New).open(&copied) }.unwrap();
    let (mut told, mut changed) = (Vec::new(), false);
    let report = db.copy_to(&copy, 100, &mut |done, entries| {
        told.push((done, entries));
        // Somebody writes meanwhile.
        if !std::mem::replace(&mut changed, true) {
            let mut txn = db.write().unwrap();
            txn.tree("users").unwrap().clear().unwrap();
            txn.commit_with(Durability::Eventual).unwrap();
        }
    });
    let report = report.unwrap();
    let entries: usize = before.values().map(|tree| tree.2.len()).sum();
    assert_eq!((report.trees, report.entries), (104, entries as u64));
    assert_eq!(told.last(), Some(&(entries as u64, entries as u64)));
    assert!(told.len() > 1 && db.read().unwrap().tree("users").unwrap().is_empty());
    assert_eq!(all(&copy), before);
    let check = copy.check().unwrap();
    assert!(check.is_sound() && check.uses.free < 64, "{check:?}");
    copy.close().unwrap();
    let (live, copied) = (std::fs::metadata(&path).unwrap(), std::fs::metadata(&copied).unwrap());
    assert!(copied.len() < live.len(), "{} and {}", copied.len(), live.len());
}

#[test]
fn a_copy_that_cannot_be_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let db = sample(&dir.path().join("live.leaf"));
    let none = &mut |_: u64, _: u64| ();
    // Smaller pages hold no such keys.
    let small = Database::builder().page_size(1024).in_memory().unwrap();
    let error = db.copy_to(&small, 90, none).err().and_then(|error| error.tree_error());
    assert!(matches!(error, Some(TreeError::KeyTooLong { .. })), "{error:?}");
    assert_eq!(all(&small), Trees::new());
    let error = db.copy_to(&small, 10, none).err().and_then(|error| error.store_error());
    assert_eq!(error, Some(StoreError::InvalidArgument));
    // What is there is not mixed with.
    for to in [&db, &db.clone()] {
        let error = db.copy_to(to, 90, none).err().and_then(|error| error.tree_error());
        assert_eq!(error, Some(TreeError::TreeExists));
    }
    // Larger ones do; and a database in memory is a file's copy too.
    let large = Database::builder().page_size(16_384).in_memory().unwrap();
    db.copy_to(&large, 90, none).unwrap();
    assert_eq!(all(&large), all(&db));
}
