//! What the tests of whole trees share: stores in RAM, keys worth testing, and the naive oracle.

#![allow(dead_code)] // Fewer tests use it where features are off.

use mapleaf_btree::{
    Catalog, CheckReport, CheckVisitor, Error, Finding, Key, Pending, ReachSet, Replayer, Result,
    Tree, TreeMut, check,
};
use mapleaf_pager::{
    Mapping, Options, Pages, Replay, SliceMapping, Store, first_touch_words_for, words_for,
};
use std::collections::BTreeMap;
use std::sync::atomic::AtomicU32;

pub(crate) const PAGE: usize = 512;
/// Sizes of pages that this build can have: the smallest, the usual, the largest.
pub(crate) const PAGES: &[usize] =
    if cfg!(feature = "large") { &[PAGE, 4096, 65_536] } else { &[PAGE] };
/// Longest key on pages of 512 bytes; the tests find out whether it is.
pub(crate) const KEY_MAX: usize = 94;

pub(crate) type Entries = BTreeMap<Vec<u8>, Vec<u8>>;
pub(crate) type RamStore<'a> = Store<SliceMapping<'a>, Box<[AtomicU32]>>;

/// Pages that there is a bit for, where checksums are compared at the first touch.
pub(crate) const TOUCHED: u32 = 256;

/// Loads those of `more` that follow what is there, into the tree and into the map.
pub(crate) fn load_behind(
    mut tree: TreeMut<'_, '_>,
    entries: &mut Entries,
    more: Vec<(Vec<u8>, Vec<u8>)>,
    fill: u8,
) {
    let last = entries.last_key_value().map(|(key, _)| key.clone());
    let mut more: Entries = more.into_iter().collect();
    more.retain(|key, _| Some(key) > last.as_ref());
    assert_eq!(tree.load(&more, fill), Ok(more.len() as u64));
    entries.extend(more);
}

/// Stores `more` in one batch, in the tree and in the map.
pub(crate) fn extend_both(
    mut tree: TreeMut<'_, '_>,
    entries: &mut Entries,
    more: Vec<(Vec<u8>, Vec<u8>)>,
) {
    let lent = more.iter().map(|(key, value)| (&key[..], &value[..]));
    let added = tree.extend(lent, &mut [Pending::default(); 100]).unwrap();
    let before = entries.len();
    entries.extend(more);
    assert_eq!(added, (entries.len() - before) as u64);
}

/// Memory for the reader slots and the published state.
pub(crate) fn words() -> Box<[AtomicU32]> {
    (0..words_for(8) + first_touch_words_for(TOUCHED)).map(|_| AtomicU32::new(0)).collect()
}

pub(crate) fn options(page_size: usize, log_bytes: u64) -> Options {
    Options::default().page_size(page_size as u32).log_bytes(log_bytes, log_bytes)
}

/// A new store in RAM.
pub(crate) fn create(ram: &mut [u8], page_size: usize, log_bytes: u64) -> RamStore<'_> {
    Store::create(SliceMapping::empty(ram), words(), &options(page_size, log_bytes)).unwrap()
}

/// The store that was made in this RAM before; its log is replayed, and every page accounted for.
pub(crate) fn reopen<'a>(ram: &'a mut [u8], len: usize, options: &Options) -> (u64, RamStore<'a>) {
    let mut replayer = Replayer::new();
    let mut work = vec![0; ram.len() / PAGE / 8 + 1];
    let mapping = SliceMapping::with_len(ram, len);
    let store =
        Store::open_proven(mapping, words(), options, &mut replayer, &mut work).expect("reopen");
    (replayer.records, store)
}

/// Bytes of the store's mapping, for reopening it.
pub(crate) fn len_of(store: &RamStore<'_>) -> usize {
    store.mapping().len() as usize
}

/// Proves that every page of the store is accounted for once.
pub(crate) fn prove(store: &RamStore<'_>) -> CheckReport {
    let inspection = store.inspect().unwrap();
    let pages = inspection.snapshot().page_count() as usize;
    // Once with a bitmap for all pages, once with windows of 64.
    let mut replayer = Replayer::new();
    replayer.prove(&inspection, &mut [0; 8]).expect("in windows");
    let mut whole = Replayer::new();
    whole.prove(&inspection, &mut vec![0; pages / 8 + 1]).expect("in one");
    assert_eq!(replayer.report, whole.report);
    whole.report
}

/// Fails on the first damage.
pub(crate) struct NoDamage;

impl CheckVisitor for NoDamage {
    fn damage(&mut self, finding: &Finding<'_>) {
        panic!("{finding:?}");
    }
    fn window(&mut self, _: &mut ReachSet<'_>) -> Result<()> {
        Ok(())
    }
}

/// Checks the trees of a state, which need not be committed.
pub(crate) fn check_state<'a, P: Pages<'a>>(pages: P) -> CheckReport {
    check(pages, 1 << 16, &mut [0; 1 << 13], &mut NoDamage).unwrap()
}

pub(crate) fn owned(entry: Result<(Key<'_>, &[u8])>) -> (Vec<u8>, Vec<u8>) {
    let (key, value) = entry.expect("entry");
    (bytes(&key), value.to_vec())
}

pub(crate) fn bytes(key: &Key<'_>) -> Vec<u8> {
    key.parts().concat()
}

/// Compares a tree with the oracle: forwards, backwards, and by key.
pub(crate) fn compare<'a, P: Pages<'a>>(tree: Tree<'a, P>, entries: &Entries) {
    assert_eq!(tree.len(), entries.len() as u64);
    assert_eq!(tree.is_empty(), entries.is_empty());
    let pairs = || entries.iter().map(|(key, value)| (key.clone(), value.clone()));
    assert!(tree.iter().map(owned).eq(pairs()), "forwards");
    assert!(tree.iter().rev().map(owned).eq(pairs().rev()), "backwards");
    for (key, value) in entries {
        assert_eq!(tree.get(key).unwrap(), Some(&value[..]), "{key:?}");
    }
    let ends = |entry: Option<(&Vec<u8>, &Vec<u8>)>| entry.map(|(k, v)| (k.clone(), v.clone()));
    let found = |entry: Result<Option<_>>| entry.unwrap().map(|entry| owned(Ok(entry)));
    assert_eq!(found(tree.first()), ends(entries.first_key_value()));
    assert_eq!(found(tree.last()), ends(entries.last_key_value()));
}

/// The trees of a state by name, with their tags.
pub(crate) type Trees = BTreeMap<String, (u64, Entries)>;

/// Compares all trees of a state with the oracle.
pub(crate) fn compare_all<'a, P: Pages<'a>>(pages: P, trees: &Trees) {
    let catalog = Catalog::new(pages).unwrap();
    let names: Vec<_> = catalog
        .list()
        .map(|tree| tree.map(|(name, record)| (bytes(&name), record.tag)).unwrap())
        .collect();
    let wanted: Vec<_> =
        trees.iter().map(|(name, (tag, _))| (name.as_bytes().to_vec(), *tag)).collect();
    assert_eq!(names, wanted);
    for (name, (_, entries)) in trees {
        compare(catalog.open(name).unwrap(), entries);
    }
    assert_eq!(catalog.open("no such tree").err(), Some(Error::NoSuchTree));
}

/// A key made of a few bytes of entropy: few enough to be met again, and of every kind that has
/// bitten somebody: empty, zero-padded, long shared prefixes, of the limit's length, with 0xFF.
pub(crate) fn key_of(seed: u16) -> Vec<u8> {
    let n = u32::from(seed >> 4);
    match seed % 16 {
        0 => vec![0; n as usize % 9],
        1 => [&b"a"[..], &vec![0; n as usize % 7]].concat(),
        2 => vec![b'k'; n as usize % (KEY_MAX + 1)],
        3 => [&[b'p'; 60][..], &(n as u16).to_be_bytes()].concat(),
        4 => [&[b'p'; 30][..], &(n % 50).to_be_bytes(), &[b'x'; 60]].concat(),
        5 => vec![0xFF; n as usize % 12],
        6 => [&vec![0xFF; n as usize % 5][..], &[n as u8]].concat(),
        7 => format!("user/{:04}/name", n % 300).into_bytes(),
        8 => (n % 700).to_be_bytes().to_vec(),
        9 => (u64::MAX - 600 + u64::from(n) % 600).to_be_bytes().to_vec(),
        10 => [&[n as u8 % 3; 40][..], &[n as u8; 54]].concat(),
        _ => u64::from(n % 900).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes()
            [..3 + n as usize % 6]
            .to_vec(),
    }
}

/// A value of `len` bytes that tells where it came from.
pub(crate) fn value_of(len: usize, seed: u32) -> Vec<u8> {
    (0..len).map(|i| (seed as usize).wrapping_mul(31).wrapping_add(i * 7) as u8).collect()
}

/// Lengths of values: mostly short, some that fill leaves, some in runs.
pub(crate) fn len_of_value(seed: u16) -> usize {
    let n = usize::from(seed >> 3);
    match seed % 8 {
        0 => 0,
        1..=4 => n % 24,
        5 => n % 120,
        6 => 60 + n % 60,
        _ => n % 3000,
    }
}
