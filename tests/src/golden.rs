//! Golden files of format v1: what is in them, how they were written, how they are looked at.
//!
//! `cargo xtask golden` writes those that are not there. A file that is committed is never written
//! again: it stands for every file that an earlier build has left somewhere.

use crate::data::{mix, value};
use mapleaf_btree::{Catalog, Replayer, TreeOptions, Writer};
use mapleaf_pager::{Durability, Options, SliceMapping, Stats, Store, words_for};
use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;
use std::sync::atomic::AtomicU32;

/// Trees by name, each with its tag and entries.
pub type Content = BTreeMap<String, (u64, BTreeMap<Vec<u8>, Vec<u8>>)>;

/// A golden file.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// Its name in `tests/golden`.
    pub name: &'static str,
    /// Page size in bytes.
    pub page_size: u32,
    /// Bytes of its log ring.
    pub log_bytes: u64,
    /// Whether it was left as by a death, with commits in its log; else it was closed cleanly.
    pub died: bool,
    /// Whether it has trees of fixed width too.
    pub fixed: bool,
    /// Whether it has leaves of fingerprints too.
    pub prints: bool,
}

const fn case(name: &'static str, page_size: u32, log_bytes: u64, died: bool) -> Case {
    Case { name, page_size, log_bytes, died, fixed: false, prints: false }
}

/// All golden files.
pub const CASES: [Case; 9] = [
    case("v1-512-closed.leaf", 512, 8 << 10, false),
    case("v1-512-died.leaf", 512, 8 << 10, true),
    case("v1-512-no-log.leaf", 512, 0, true),
    case("v1-4096-closed.leaf", 4096, 64 << 10, false),
    case("v1-4096-died.leaf", 4096, 64 << 10, true),
    Case { fixed: true, ..case("v1-512-fixed.leaf", 512, 8 << 10, true) },
    Case { fixed: true, ..case("v1-4096-fixed.leaf", 4096, 0, false) },
    Case { prints: true, ..case("v1-512-prints.leaf", 512, 8 << 10, true) },
    Case { prints: true, ..case("v1-4096-prints.leaf", 4096, 64 << 10, false) },
];

const RAM_BYTES: usize = 4 << 20;
const UUID: [u8; 16] = *b"mapleaf golden 1";
const ENTROPY: u64 = 0x676F_6C64;
/// Transactions of a file's history, the last few of which are small.
const TRANSACTIONS: u64 = 24;
const SMALL_FROM: u64 = 20;

/// Where a golden file lies.
#[must_use]
pub fn path(case: &Case) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden").join(case.name)
}

fn words() -> Vec<AtomicU32> {
    (0..words_for(4)).map(|_| AtomicU32::new(0)).collect()
}

/// One change of the history. An entry without a value is removed.
type Change = (&'static str, Vec<u8>, Option<Vec<u8>>);

/// What a tree is made with.
fn options_of(name: &str) -> TreeOptions {
    let options = TreeOptions::default().tag(0xDEAD_BEEF);
    match name {
        "numbers" => options.fixed_width(8, 8),
        "set" => options.fixed_width(5, 0),
        "odd" => options.fixed_width(16, 33),
        _ => options,
    }
}

/// What transaction `number` changes in trees of fixed width.
fn fixed_changes(number: u64) -> Vec<Change> {
    let mut changes = Vec::new();
    for i in 0..if number < SMALL_FROM { 24 } else { 1 } {
        let seed = mix(number * 1000 + i + 500);
        let n = (seed >> 8) % 900;
        let removed = seed.is_multiple_of(7);
        let key = n.to_be_bytes().to_vec();
        changes.push(("numbers", key.clone(), (!removed).then(|| value(seed, 4, 8))));
        changes.push(("set", key[3..].to_vec(), (!removed).then(Vec::new)));
        let key = [&b"prefix/"[..], &[7, (n % 5) as u8], &key[1..]].concat();
        changes.push(("odd", key, (!removed).then(|| value(seed, 5, 33))));
    }
    changes
}

/// What transaction `number` changes in a tree of URLs: their heads tie wherever a page has two hosts.
fn url_changes(number: u64) -> Vec<Change> {
    let mut changes = Vec::new();
    for i in 0..if number < SMALL_FROM { 24 } else { 1 } {
        let seed = mix(number * 1000 + i + 900);
        let (host, path) = ((seed >> 8) % 50, (seed >> 20) % 30);
        let url = format!("https://{host:02}.example.org/the/common/path/{path:03}").into_bytes();
        let removed = seed.is_multiple_of(7);
        changes.push(("urls", url, (!removed).then(|| value(seed, 6, (seed % 13) as usize))));
    }
    changes
}

/// What transaction `number` changes: keys of many lengths and common prefixes, values from none to
/// several pages, removals.
fn changes(number: u64, case: &Case) -> Vec<Change> {
    let page_size = case.page_size as usize;
    let mut changes = if case.fixed { fixed_changes(number) } else { Vec::new() };
    if case.prints {
        changes.extend(url_changes(number));
    }
    let key_max = (page_size - 32) / 4 - 26;
    let count = if number < SMALL_FROM { 16 } else { 1 };
    for i in 0..count {
        let seed = mix(number * 1000 + i);
        let any = |limit: u64, shift: u32| ((seed >> shift) % limit) as usize;
        let short = format!("{:05}", seed % 700).into_bytes();
        changes.push(("short", short.clone(), Some(value(seed, 0, any(60, 8)))));
        let path = format!("/common/prefix/of/all/{}/{:04}", seed % 7, seed % 300).into_bytes();
        let removed = any(9, 16) == 0;
        changes.push(("paths", path, (!removed).then(|| value(seed, 1, any(30, 24)))));
        changes.push(("bytes", value(seed, 2, any(key_max as u64 + 1, 32)), Some(short)));
        if i % 8 == 0 {
            let large = value(seed, 3, any(5, 40) * page_size + any(100, 48));
            changes.push(("large", vec![(seed % 6) as u8], Some(large)));
        }
    }
    changes
}

/// What a golden file holds.
#[must_use]
pub fn content(case: &Case) -> Content {
    let mut content = Content::new();
    content.insert("empty".into(), (7, BTreeMap::new()));
    for number in 0..TRANSACTIONS {
        for (name, key, value) in changes(number, case) {
            let (tag, entries) = content.entry(name.into()).or_default();
            *tag = 0xDEAD_BEEF;
            match value {
                Some(value) => entries.insert(key, value),
                None => entries.remove(&key),
            };
        }
    }
    content
}

/// Makes a golden file's bytes. They depend on the case alone, whatever machine makes them.
///
/// # Errors
/// Whatever the store returns.
pub fn write(case: &Case) -> Result<Vec<u8>, Box<dyn Error>> {
    write_with(case, ENTROPY)
}

/// As [`write()`], with the entropy that its log's salts come from.
///
/// # Errors
/// Whatever the store returns.
pub fn write_with(case: &Case, entropy: u64) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut ram = vec![0; RAM_BYTES];
    let mut options =
        Options::default().page_size(case.page_size).log_bytes(case.log_bytes, case.log_bytes);
    (options.uuid, options.entropy) = (UUID, entropy);
    let store = Store::create(SliceMapping::empty(&mut ram), words(), &options)?;
    let mut held = None;
    for number in 0..TRANSACTIONS {
        let mut writer = Writer::new(store.begin_write()?)?;
        if number == 0 {
            writer.create("empty", TreeOptions::default().tag(7))?;
        }
        for (name, key, value) in changes(number, case) {
            let tree = writer.open_or_create(name, options_of(name))?;
            match value {
                Some(value) => writer.tree(tree)?.insert(&key, &value)?,
                None => writer.tree(tree)?.remove(&key)?,
            };
        }
        writer.commit(Durability::Sync)?;
        // A reader comes and goes, so that freed pages lie in lists of several ages.
        if number % 5 == 2 {
            held = Some(store.begin_read(0)?);
        }
        if number + 1 == SMALL_FROM {
            store.checkpoint()?;
        }
    }
    drop(held);
    if !case.died {
        store.close()?;
    }
    let bytes = store.stats().mapped_pages as usize * case.page_size as usize;
    drop(store);
    ram.truncate(bytes);
    Ok(ram)
}

/// Opens a golden file's bytes, proves every page, and reads all that is in them.
///
/// # Errors
/// Whatever the store finds.
pub fn read(bytes: &[u8]) -> Result<(Content, Stats), Box<dyn Error>> {
    let mut ram = vec![0; bytes.len() + RAM_BYTES];
    ram[..bytes.len()].copy_from_slice(bytes);
    let mapping = SliceMapping::with_len(&mut ram, bytes.len());
    let mut work = vec![0; 1 << 16];
    let options = Options::default();
    let store = Store::open_proven(mapping, words(), &options, &mut Replayer::new(), &mut work)?;
    let snapshot = store.begin_read(0)?;
    let catalog = Catalog::new(&snapshot)?;
    let mut content = Content::new();
    for named in catalog.list() {
        let (name, record) = named?;
        let name = String::from_utf8(name.to_vec())?;
        let mut entries = BTreeMap::new();
        for entry in catalog.open(&name)?.iter() {
            let (key, value) = entry?;
            entries.insert(key.to_vec(), value.to_vec());
        }
        if record.entries != entries.len() as u64 {
            return Err("the tree's record counts other entries".into());
        }
        content.insert(name, (record.tag, entries));
    }
    Ok((content, store.stats()))
}
