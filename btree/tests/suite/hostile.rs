//! Damaged trees.
//!
//! Invariants checked: whatever the bytes of a store's pages are, reading, checking and changing
//! its trees answers, or says what is wrong, in bounded time; nothing panics, nothing reads outside
//! the mapping. And `check` finds every damage of a tree's page, by its checksum if by nothing
//! else.

#![allow(unsafe_code)] // Opens damaged stores, as a caller of `Store::open` must not.

use crate::support::*;
use mapleaf_btree::{
    Catalog, CheckVisitor, Error, Finding, Replayer, TreeHandle, TreeOptions, Writer, check,
};
use mapleaf_pager::{Durability, Mapping, Pages, SliceMapping, Store};
use quickcheck::{Gen, QuickCheck};

/// Without such trees, `fixed` is one like the others.
const NAMES: [&str; 4] = ["empty", "fixed", "small", "tree"];

/// A store of four trees, one of them four levels deep and with values in runs, one of fixed width; and
/// its length.
fn image() -> (Vec<u8>, usize) {
    let mut ram = vec![0; 4 << 20];
    let store = create(&mut ram, PAGE, 0);
    let mut writer = Writer::new(store.begin_write().unwrap()).unwrap();
    for name in NAMES {
        let options = TreeOptions::default();
        #[cfg(feature = "fixed-width")]
        let options = if name == "fixed" { options.fixed_width(8, 11) } else { options };
        let tree = writer.create(name, options).unwrap();
        let step = match name {
            "empty" => continue,
            "fixed" => {
                let entries = (0..900).map(|n| (fixed_key(n), [n as u8; 11]));
                writer.tree(tree).unwrap().load(entries, 80).unwrap();
                continue;
            }
            "small" => 9001,
            _ => 23,
        };
        for seed in (0..u16::MAX).step_by(step) {
            let value = value_of(len_of_value(seed.rotate_left(5)), u32::from(seed));
            writer.tree(tree).unwrap().insert(&key_of(seed), &value).unwrap();
        }
    }
    writer.commit(Durability::Sync).unwrap();
    store.close().unwrap();
    let len = len_of(&store);
    drop(store);
    (ram, len)
}

/// A key of the tree of fixed width.
fn fixed_key(n: u16) -> [u8; 8] {
    (u64::from(n) * 70).to_be_bytes()
}

/// A change of the image: page, place in it, and what is written there.
type Damage = (u16, u16, u32, u8);

fn damage(ram: &mut [u8], pages: usize, (page, at, bytes, len): Damage) {
    // Not the metas: they have checks and tests of their own. Mostly the header and the arrays.
    let page = 2 + usize::from(page) % (pages - 2);
    let at = if at % 4 == 0 { usize::from(at / 4) % PAGE } else { 16 + usize::from(at / 4) % 60 };
    let value = match len % 8 {
        0 => 0,
        1 => u32::MAX,
        // Numbers of pages.
        2 | 3 => bytes % pages as u32,
        _ => bytes,
    };
    let len = [1, 2, 4][usize::from(len / 8) % 3].min(PAGE - at);
    let start = page * PAGE + at;
    ram[start..start + len].copy_from_slice(&value.to_le_bytes()[..len]);
}

struct Count(u64);

impl CheckVisitor for Count {
    fn damage(&mut self, finding: &Finding<'_>) {
        // Formatting must not panic either.
        let _ = (format!("{finding:?}"), finding.tree.map(|name| bytes(&name)));
        self.0 += 1;
    }
}

/// Reads what there is; errors are as good as entries.
fn read<'a, P: Pages<'a>>(pages: P, page_count: u32) -> u64 {
    let mut damages = Count(0);
    match check(pages, page_count, &mut [0; 64], &mut damages) {
        Ok(report) => assert_eq!(report.damages, damages.0),
        // A tree of a later version cannot be looked at, and so not be told about.
        Err(error) => assert!(matches!(error, Error::UnsupportedTree { .. }), "{error:?}"),
    }
    let Ok(catalog) = Catalog::new(pages) else { return damages.0 };
    let _ = catalog.list().take(100).filter(|tree| tree.is_err()).count();
    for name in NAMES {
        let Ok(tree) = catalog.open(name) else { continue };
        for seed in (0..u16::MAX).step_by(997) {
            let key = key_of(seed);
            let _ = (tree.get(&key), tree.contains(&key));
            let _ = tree.range((&key[..], &key_of(seed / 2)[..])).take(50).count();
            let _ = tree.prefix(&key[..key.len() / 2]).rev().take(50).count();
        }
        let _ = (tree.iter().take(20_000).count(), tree.iter().rev().take(20_000).count());
    }
    damages.0
}

/// Changes a tree until something is found wrong.
fn change(writer: &mut Writer<'_>, tree: TreeHandle, seed: u16) -> mapleaf_btree::Result<()> {
    for i in 0..60u16 {
        let (mut key, mut other) = (key_of(seed ^ (i * 977)), key_of(seed.wrapping_add(i * 31)));
        let mut value = value_of(len_of_value(i.wrapping_mul(seed)), 1);
        if let Some(width) = writer.record(tree)?.fixed {
            key = fixed_key((seed ^ (i * 977)) % 1000).to_vec();
            other = fixed_key(seed.wrapping_add(i * 31) % 1000).to_vec();
            value.resize(usize::from(width.value_bytes), 0);
        }
        let mut tree = writer.tree(tree)?;
        match i % 10 {
            0..=3 => drop(tree.insert(&key, &value)?),
            4..=6 => drop(tree.remove(&key)?),
            7 => drop(tree.remove_range((&key[..], &other[..]))?),
            8 => drop((tree.pop_first(|_, _| ())?, tree.pop_last(|_, _| ())?)),
            _ => {
                let mut cursor = tree.cursor_mut();
                cursor.seek_at_or_after(&key)?;
                for _ in 0..8 {
                    cursor.replace(&value)?;
                    cursor.next()?;
                    cursor.remove()?;
                    cursor.prev()?;
                }
            }
        }
    }
    writer.list().map(drop)
}

fn survive(ram: &mut [u8], len: usize, seed: u16) -> u64 {
    let mapping = SliceMapping::with_len(ram, len);
    let options = options(PAGE, 0);
    // SAFETY: not so: the bytes are damaged on purpose. Nothing but this thread uses them, so that
    // a page in use twice is a wrong answer, not a race.
    let store = unsafe { Store::open(mapping, words(), &options, &mut Replayer::new()) };
    let Ok(store) = store else { return 0 };
    let found = {
        let snapshot = store.begin_read(0).unwrap();
        read(&snapshot, snapshot.page_count())
    };
    for name in NAMES {
        let Ok(txn) = store.begin_write() else { break };
        let Ok(mut writer) = Writer::new(txn) else { break };
        if let Ok(tree) = writer.open(name) {
            let _ = change(&mut writer, tree, seed);
        }
        let savepoint = writer.savepoint();
        let _ = writer.drop_tree(name);
        if let Ok(savepoint) = savepoint {
            let _ = writer.rollback_to(savepoint);
        }
        let _ = writer.rename(name, "another name");
        let _ = writer.drop_tree("another name");
        let _ = writer.commit(Durability::Sync);
    }
    found
}

#[test]
fn damaged_trees_answer_or_say_so() {
    let (image, len) = image();
    let program = move |damages: Vec<Damage>, seed: u16| {
        let mut ram = image.clone();
        for one in damages {
            damage(&mut ram, len / PAGE, one);
        }
        survive(&mut ram, len, seed);
        true
    };
    struct Survives<F>(F);
    impl<F: Fn(Vec<Damage>, u16) -> bool + 'static> quickcheck::Testable for Survives<F> {
        fn result(&self, g: &mut Gen) -> quickcheck::TestResult {
            use quickcheck::Arbitrary;
            let (damages, seed) = (Vec::arbitrary(g), u16::arbitrary(g));
            println!("damages: {damages:?}, seed: {seed}");
            quickcheck::TestResult::from_bool((self.0)(damages, seed))
        }
    }
    QuickCheck::new().rng(Gen::new(20)).quickcheck(Survives(program));
}

#[test]
fn every_damage_of_a_tree_is_found() {
    let (image, len) = image();
    let in_trees = {
        let mut ram = image.clone();
        let (_, store) = reopen(&mut ram, len, &options(PAGE, 0));
        assert_eq!(store.mapping().len(), len as u64);
        let report = prove(&store);
        assert!(report.height_max >= 3 && report.run_pages > 100);
        report.inner_pages + report.leaf_pages + report.run_pages
    };
    // One byte of each page: every page of a tree is found damaged (but for what a run does not
    // use).
    let mut found = 0;
    for page in 2..len / PAGE {
        let mut ram = image.clone();
        ram[page * PAGE + 20 + page % 12] ^= 0x40;
        let mapping = SliceMapping::with_len(&mut ram, len);
        // SAFETY: as in `survive`; only read here.
        let store =
            unsafe { Store::open(mapping, words(), &options(PAGE, 0), &mut Replayer::new()) };
        let store = store.unwrap();
        let snapshot = store.begin_read(0).unwrap();
        let mut damages = Count(0);
        check(&snapshot, snapshot.page_count(), &mut vec![0; 1 << 13], &mut damages).unwrap();
        found += u64::from(damages.0 > 0);
    }
    assert!(found <= in_trees && found + 20 >= in_trees, "{found} of {in_trees}");
}
