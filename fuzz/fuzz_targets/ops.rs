//! Any history of changes, on pages of 512 bytes.
//!
//! Invariants checked: the tree is what a `BTreeMap` is, after every commit, rollback, savepoint and
//! reopening; a held snapshot does not change; every page is accounted for once.
#![no_main]

use mapleaf_btree::{Catalog, Replayer, TreeOptions, Writer};
use mapleaf_fuzz::{SliceStore, words};
use mapleaf_pager::{Durability, Options, SliceMapping, Store};
use std::collections::BTreeMap;

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

const RAM_BYTES: usize = 1 << 20;
const TRANSACTIONS_MAX: usize = 40;

/// The fuzzer's bytes as numbers, keys and values.
struct Source<'a>(&'a [u8]);

impl Source<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn key(&mut self) -> Option<Vec<u8>> {
        let (kind, seed) = (self.byte()?, self.byte()?);
        let len = usize::from(kind % 16) * if kind > 200 { 6 } else { 1 };
        // Long common prefixes, and heads that tie.
        let mut key = vec![kind / 64; len];
        if let Some(last) = key.last_mut() {
            *last = seed;
        }
        Some(key)
    }

    fn value(&mut self) -> Option<Vec<u8>> {
        let (len, fill) = (usize::from(self.byte()?), self.byte()?);
        Some(vec![fill; if fill > 240 { len * 9 } else { len % 90 }])
    }
}

/// One transaction; false where the source is used up.
fn transaction(store: &SliceStore<'_>, source: &mut Source<'_>, model: &mut Model) -> Option<()> {
    let mut now = model.clone();
    let mut writer = Writer::new(store.begin_write().ok()?).ok()?;
    let tree = writer.open_or_create("t", TreeOptions::default()).ok()?;
    let mut saved = None;
    for _ in 0..source.byte()? % 64 {
        match source.byte()? % 8 {
            0..=3 => {
                let (key, value) = (source.key()?, source.value()?);
                writer.tree(tree).ok()?.insert(&key, &value).ok()?;
                now.insert(key, value);
            }
            4 | 5 => {
                let key = source.key()?;
                let removed = writer.tree(tree).ok()?.remove(&key).ok()?;
                assert_eq!(removed, now.remove(&key).is_some());
            }
            6 => saved = Some((writer.savepoint().ok()?, now.clone())),
            _ => {
                if let Some((savepoint, then)) = saved.take() {
                    writer.rollback_to(savepoint).ok()?;
                    now = then;
                }
            }
        }
    }
    match source.byte()? % 4 {
        0 => drop(writer),
        how => {
            let durability = if how == 1 { Durability::Eventual } else { Durability::Sync };
            writer.commit(durability).ok()?;
            *model = now;
        }
    }
    Some(())
}

fn compare(store: &SliceStore<'_>, model: &Model) {
    let snapshot = store.begin_read(0).unwrap();
    let Ok(tree) = Catalog::new(&snapshot).unwrap().open("t") else {
        assert!(model.is_empty());
        return;
    };
    let found: Model = tree
        .iter()
        .map(|entry| entry.map(|(key, value)| (key.parts().concat(), value.to_vec())).unwrap())
        .collect();
    assert!(found == *model);
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut ram = vec![0; RAM_BYTES];
    let mut source = Source(bytes);
    let log = if source.byte().is_some_and(|byte| byte % 2 == 0) { 8 << 10 } else { 0 };
    let options = Options::default().page_size(512).log_bytes(log, log);
    let store = Store::create(SliceMapping::empty(&mut ram), words(), &options).unwrap();
    let mut model = Model::new();
    let mut done = 0;
    while done < TRANSACTIONS_MAX && transaction(&store, &mut source, &mut model).is_some() {
        compare(&store, &model);
        done += 1;
    }
    let pages = store.stats().mapped_pages as usize;
    // Dropped without closing: what lies in the bytes is what a death leaves.
    drop(store);
    let mut work = vec![0; 1 << 14];
    let mapping = SliceMapping::with_len(&mut ram, pages * 512);
    let store =
        Store::open_proven(mapping, words(), &options, &mut Replayer::new(), &mut work).unwrap();
    compare(&store, &model);
});
