//! The same B-tree file, four pages deep: each level by a pread, against the map.

#![allow(unsafe_code)] // Opens a mapped store that this experiment has made.

use crate::figures::count;
use crate::lab::bench::Bench;
use crate::lab::findings::{Findings, Lab, Stop, Table, store_failed};
use crate::lab::order::{Random, mix};
use crate::lab::units::{digits, size, time};
use mapleaf::{Builder, Create, Database, ReadTree};
use mapleaf_btree::{LooseStep, LooseValue, loose_step};
use mapleaf_pager::OWNED_BYTES;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Queries a second that the question is about.
const QUERIES: usize = 50_000;
/// Levels of the tree.
const LEVELS: u8 = 4;
/// Entries that are stored at first; more until the tree is deep enough.
const ENTRIES: u64 = 160_000;
/// Keys that start alike: so that the separators are long, and the tree deep without being large.
const ALIKE: u64 = 256;
const KEY_BYTES: usize = 64;
const VALUE_BYTES: usize = 100;
const PAGE: usize = 4096;
/// Keys of a batch.
const BATCH: usize = 32;

type Key = [u8; KEY_BYTES];

/// Key `number`: like a path, whose directory is as long as most of it.
fn key(number: u64) -> Key {
    let mut key = [b'/'; KEY_BYTES];
    let text = format!(
        "{:016x}/{:016x}/{:016x}/{number:012}",
        mix(number / ALIKE),
        mix(number / ALIKE + 1),
        number / ALIKE
    );
    for (to, from) in key.iter_mut().zip(text.bytes()) {
        *to = from;
    }
    key
}

fn value(number: u64) -> [u8; VALUE_BYTES] {
    [mix(number) as u8; VALUE_BYTES]
}

pub(super) fn run(bench: &Bench) -> Lab {
    let dir = tempfile::Builder::new().prefix("mapleaf-lab-").tempdir_in(bench.scratch.dir())?;
    let path = dir.path().join("lookups.leaf");
    let entries = make(&path)?;
    let file = File::open(&path)?;
    // SAFETY: made above, in a directory of this run's own; nothing changes it any more.
    let db = unsafe { Builder::new().create(Create::Never).read_only(true).open(&path) }
        .map_err(store_failed)?;
    // Open by now: its name is not needed, and it is gone whatever ends this process.
    drop(dir);
    let snapshot = db.read().map_err(store_failed)?;
    let tree = snapshot.tree("lab").map_err(store_failed)?;
    let bytes = file.metadata()?.len();
    let mut random = Random::new(11);
    let numbers: Vec<u64> = (0..QUERIES).map(|_| random.below(entries as usize) as u64).collect();
    let keys: Vec<Key> = numbers.iter().map(|number| key(*number)).collect();
    let table = measure(bench, &file, &tree, &numbers, &keys)?;
    Ok(said(table, entries, bytes))
}

/// Makes the store; how many entries it took to make the tree so deep.
fn make(path: &Path) -> Lab<u64> {
    // SAFETY: a new file in a directory of this run's own.
    let db = unsafe { Database::open(path) }.map_err(store_failed)?;
    let mut entries = 0;
    loop {
        let mut txn = db.write().map_err(store_failed)?;
        let mut tree = txn.tree("lab").map_err(store_failed)?;
        let mut numbers: Vec<u64> = (entries..entries + ENTRIES).collect();
        numbers.sort_by_cached_key(|number| key(*number));
        for number in numbers {
            tree.insert(&key(number), &value(number)).map_err(store_failed)?;
        }
        entries += ENTRIES;
        txn.commit().map_err(store_failed)?;
        let snapshot = db.read().map_err(store_failed)?;
        let record = snapshot.tree("lab").map_err(store_failed)?.record();
        if record.height >= LEVELS {
            break;
        }
    }
    db.close().map_err(store_failed)?;
    Ok(entries)
}

/// Looks one key up by a `pread` a level; the value's first byte. Counts its calls.
fn lookup(
    file: &File,
    tree: &ReadTree<'_>,
    key: &[u8],
    buffer: &mut [u8],
    calls: &mut u64,
) -> Lab<u8> {
    let mut id = tree.record().root;
    for _ in 0..tree.record().height {
        file.read_exact_at(buffer, u64::from(id.0) * PAGE as u64)?;
        *calls += 1;
        match loose_step(id, &buffer[OWNED_BYTES..], key).map_err(store_failed)? {
            LooseStep::Child(child) => id = child,
            LooseStep::Found(LooseValue::Inline(bytes)) => {
                return Ok(bytes.first().copied().unwrap_or_default());
            }
            _ => break,
        }
    }
    Err(missing())
}

fn missing() -> Stop {
    Stop::Failed(std::io::Error::other("a key of the experiment is not in its tree"))
}

/// Fails where an answer is wrong.
fn checked(number: u64, answer: u8) -> Lab<()> {
    if answer == value(number)[0] { Ok(()) } else { Err(missing()) }
}

fn measure(
    bench: &Bench,
    file: &File,
    tree: &ReadTree<'_>,
    numbers: &[u64],
    keys: &[Key],
) -> Lab<Table> {
    let title = format!("Lookups in a tree of {} levels, warm", tree.record().height);
    let mut table = Table::new("queries", title, "a query");
    let (mut by_call, mut by_map, mut by_batch) = (bench.meter(), bench.meter(), bench.meter());
    let mut buffer = vec![0; PAGE];
    let mut calls = 0;
    // Once before, so that everything is in memory and mapped.
    for (number, key) in numbers.iter().zip(keys) {
        checked(*number, lookup(file, tree, key, &mut buffer, &mut 0)?)?;
        checked(*number, first(tree.get(key).map_err(store_failed)?))?;
    }
    for _ in 0..bench.times(5, 20) {
        by_call.sample(keys.len(), || {
            keys.iter().try_fold(0_u64, |sum, key| {
                Ok(sum + u64::from(lookup(file, tree, key, &mut buffer, &mut calls)?))
            })
        })?;
        by_map.sample(keys.len(), || {
            keys.iter().try_fold(0_u64, |sum, key| {
                Ok(sum + u64::from(first(tree.get(key).map_err(store_failed)?)))
            })
        })?;
        by_batch.sample(keys.len(), || {
            let mut sum = 0_u64;
            let mut values = [None; BATCH];
            for keys in keys.chunks(BATCH) {
                let values = &mut values[..keys.len()];
                tree.get_many(keys, values).map_err(store_failed)?;
                sum += values.iter().map(|value| u64::from(first(*value))).sum::<u64>();
            }
            Ok(sum)
        })?;
    }
    let by_call = by_call.end();
    let own = by_call.operations * u64::from(tree.record().height);
    if calls != own {
        return Err(Stop::Failed(std::io::Error::other(format!("{calls} calls, not {own}"))));
    }
    table.add("pread, a call a level", by_call);
    table.add("map, get", by_map.end());
    table.add("map, get_many of 32", by_batch.end());
    Ok(table)
}

fn first(value: Option<&[u8]>) -> u8 {
    value.and_then(|value| value.first()).copied().unwrap_or_default()
}

fn said(table: Table, entries: u64, bytes: u64) -> Findings {
    let mut findings = Findings::default();
    if let [by_call, by_map, by_batch] = &table.rows[..] {
        let a_query = |count: u64| count as f64 / by_call.operations as f64;
        let calls = a_query(by_call.counts.read_calls);
        let copied = a_query(by_call.counts.copied_bytes);
        let per_second = QUERIES as f64;
        findings.say(format!(
            "A tree of {} entries, {LEVELS} levels, {} in size. Through pread a lookup is {} system calls and \
             copies {}; at {} lookups a second, {} calls and {} copied each second, which keep a processor busy \
             for {} % of the time. Through the map the same lookups make {} calls and copy {}; at this rate \
             they take {} %.",
            count(entries),
            size(bytes as f64),
            digits(calls),
            size(copied),
            count(QUERIES as u64),
            count((calls * per_second) as u64),
            size(copied * per_second),
            digits(by_call.value.median * per_second / 1e7),
            by_map.counts.read_calls,
            size(by_map.counts.copied_bytes as f64),
            digits(by_map.value.median * per_second / 1e7),
        ));
        findings.say(format!(
            "A lookup takes {} by pread, {} through the map ({} times less), and {} in batches of {BATCH}.",
            time(by_call.value.median),
            time(by_map.value.median),
            digits(by_call.value.median / by_map.value.median),
            time(by_batch.value.median),
        ));
    }
    findings.tables = vec![table];
    findings
}
