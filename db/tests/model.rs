//! Random histories against `BTreeMap`, and damaged files.
//!
//! Invariants checked: a snapshot shows what was committed when it began, whatever comes after; a
//! rolled back transaction leaves no trace; the file opens, after a clean close and after the death of
//! the process, with every commit; `check` is clean; damage is an error, never a panic or a wrong value.

use mapleaf::{Builder, Database, Durability};
use quickcheck::{Arbitrary, Gen, QuickCheck};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

type Model = BTreeMap<Vec<u8>, Vec<u8>>;
type Entries = BTreeSet<(Vec<u8>, Vec<u8>)>;

#[derive(Clone, Debug)]
enum Step {
    Insert(Vec<u8>, usize),
    Remove(Vec<u8>),
    RemoveRange(Vec<u8>, Vec<u8>),
    Savepoint,
    RollbackTo,
    Commit(bool),
    Rollback,
    Snapshot,
    Reopen,
    Die,
}

impl Arbitrary for Step {
    fn arbitrary(g: &mut Gen) -> Step {
        let key = |g: &mut Gen| {
            let short = format!("{:03}", u16::arbitrary(g) % 300).into_bytes();
            if u8::arbitrary(g) % 8 == 0 { [short.repeat(60), short].concat() } else { short }
        };
        match u8::arbitrary(g) % 64 {
            0..=35 => {
                let lens = [0, 1, 10, 100, 1000, 5000, 50_000];
                Step::Insert(key(g), *g.choose(&lens).unwrap_or(&3))
            }
            36..=45 => Step::Remove(key(g)),
            46 => Step::RemoveRange(key(g), key(g)),
            47..=48 => Step::Savepoint,
            49..=50 => Step::RollbackTo,
            51..=56 => Step::Commit(bool::arbitrary(g)),
            57 => Step::Rollback,
            58..=60 => Step::Snapshot,
            61 => Step::Reopen,
            _ => Step::Die,
        }
    }
}

fn open(path: &Path, buffered: bool) -> Database {
    let builder = Builder::new().log_bytes(128 << 10, 128 << 10);
    if buffered {
        builder.open_buffered(path).unwrap()
    } else {
        // SAFETY: mapleaf made the file, and nothing else changes it.
        unsafe { builder.open(path) }.unwrap()
    }
}

fn same(tree: &mapleaf::ReadTree<'_>, model: &Model) {
    let entries: Vec<_> = tree.iter().map(|entry| entry.unwrap()).collect();
    assert_eq!((entries.len(), tree.len()), (model.len(), model.len() as u64));
    for ((key, value), (wanted_key, wanted)) in entries.iter().zip(model) {
        assert!(*key == wanted_key[..] && value == wanted, "{key:?} is not {wanted_key:?}");
        assert_eq!(tree.get(wanted_key).unwrap(), Some(&wanted[..]));
    }
}

/// Runs steps up to the next that ends a transaction; what was committed, if anything.
fn transaction(
    db: &Database,
    model: &Model,
    steps: &mut impl Iterator<Item = (usize, Step)>,
) -> (Option<Model>, Option<Step>) {
    let mut txn = db.write().unwrap();
    let tree = txn.open_or_create("t").unwrap();
    let mut now = model.clone();
    let mut saved = Vec::new();
    for (at, step) in steps {
        match step {
            Step::Insert(key, len) => {
                let value = vec![at as u8; len];
                let replaced = txn.tree(tree).unwrap().insert(&key, &value).unwrap();
                assert_eq!(now.insert(key, value).is_some(), replaced);
            }
            Step::Remove(key) => {
                let removed = txn.tree(tree).unwrap().remove(&key).unwrap();
                assert_eq!(now.remove(&key).is_some(), removed);
            }
            Step::RemoveRange(from, to) => {
                let range = from.as_slice()..to.as_slice();
                let removed = txn.tree(tree).unwrap().remove_range(range).unwrap();
                let before = now.len();
                now.retain(|key, _| *key < from || *key >= to);
                assert_eq!(before - now.len(), removed as usize);
            }
            Step::Savepoint => saved.push((txn.savepoint().unwrap(), now.clone())),
            Step::RollbackTo => {
                if let Some((savepoint, then)) = saved.pop() {
                    txn.rollback_to(savepoint).unwrap();
                    now = then;
                }
            }
            Step::Commit(durable) => {
                let durability = if durable { Durability::Sync } else { Durability::Eventual };
                txn.commit_with(durability).unwrap();
                return (Some(now), None);
            }
            Step::Rollback => return (None, None),
            other => return (None, Some(other)),
        }
    }
    (None, None)
}

fn history(steps: Vec<Step>, buffered: bool) -> bool {
    let dir = tempfile::tempdir().unwrap();
    let mut path = dir.path().join("0.leaf");
    let mut db = open(&path, buffered);
    let mut model = Model::new();
    let mut held = Vec::new();
    let mut steps = steps.into_iter().enumerate().peekable();
    while steps.peek().is_some() {
        let (committed, step) = transaction(&db, &model, &mut steps);
        let first = model.is_empty() && db.read().unwrap().tree("t").is_err();
        model = committed.unwrap_or(model);
        match step {
            Some(Step::Snapshot) if !first => {
                held.push((db.read_owned().unwrap(), model.clone()));
            }
            Some(Step::Reopen) => {
                held.clear();
                drop(db);
                db = open(&path, buffered);
            }
            Some(Step::Die) => {
                held.clear();
                // What another process finds when this one dies is what is in the file now.
                let copy = path.with_extension(format!("{}.leaf", steps.size_hint().0));
                std::fs::copy(&path, &copy).unwrap();
                path = copy;
                db = open(&path, buffered);
            }
            _ => {}
        }
        if let Ok(tree) = db.read().unwrap().tree("t") {
            same(&tree, &model);
        } else {
            assert!(model.is_empty());
        }
        for (snap, model) in &held {
            same(&snap.tree("t").unwrap(), model);
        }
    }
    let report = db.check().unwrap();
    assert!(report.is_sound(), "{report:?}");
    true
}

#[test]
fn histories_through_a_mapping() {
    QuickCheck::new()
        .rng(Gen::new(300))
        .tests(40)
        .quickcheck((|steps| history(steps, false)) as fn(Vec<Step>) -> bool);
}

#[test]
fn histories_of_a_buffered_file() {
    QuickCheck::new()
        .rng(Gen::new(300))
        .tests(40)
        .quickcheck((|steps| history(steps, true)) as fn(Vec<Step>) -> bool);
}

/// A file with everything in it, whose last commits are in the log only; and every entry it ever had.
fn sample() -> (Vec<u8>, Entries) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.leaf");
    let db = open(&path, true);
    let mut ever = BTreeSet::new();
    for round in 0..6u32 {
        let mut txn = db.write().unwrap();
        let mut tree = txn.tree("t").unwrap();
        for i in 0..60u32 {
            let key = (i * 37 % 90 + round).to_be_bytes().to_vec();
            let value = vec![round as u8; [20, 300, 5000][(i % 3) as usize]];
            tree.insert(&key, &value).unwrap();
            ever.insert((key, value));
        }
        txn.commit().unwrap();
        if round == 3 {
            db.checkpoint().unwrap();
        }
    }
    (std::fs::read(&path).unwrap(), ever)
}

/// Opens damaged bytes; whether they opened.
fn open_damaged(path: &Path, bytes: &[u8], ever: &Entries) -> bool {
    std::fs::write(path, bytes).unwrap();
    let Ok(db) = Database::open_buffered(path) else { return false };
    if let Ok(tree) = db.read().unwrap().tree("t") {
        for entry in tree.iter() {
            let (key, value) = entry.unwrap();
            // Damage to the log may cut off the last commits; it never changes one.
            assert!(ever.contains(&(key.to_vec(), value.to_vec())), "{key:?}");
        }
    }
    let mut txn = db.write().unwrap();
    txn.tree("t").unwrap().insert(b"new", b"1").unwrap();
    txn.commit().unwrap();
    assert!(db.check().unwrap().is_sound());
    true
}

#[test]
fn a_damaged_file_opens_right_or_not_at_all() {
    let (whole, ever) = sample();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.leaf");
    let mut state = 0x9E37_79B9_u64;
    let mut random = move |below: usize| {
        // xorshift64: the same damages in every run.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as usize % below
    };
    // Metas, the log's first blocks, and everything behind the log.
    let log_end = 8192 + (128 << 10);
    let places = [0..8192, 8192..40_960, log_end..whole.len()];
    let mut opened = 0;
    for round in 0..240 {
        let mut bytes = whole.clone();
        let place = &places[round % 3];
        for _ in 0..=random(3) {
            bytes[place.start + random(place.len())] ^= 1 << random(8);
        }
        if round % 10 == 0 {
            bytes.truncate(random(whole.len() - 1) + 1);
        }
        opened += usize::from(open_damaged(&path, &bytes, &ever));
    }
    assert!((40..200).contains(&opened), "{opened} of 240 opened: the damage tests nothing");
}
