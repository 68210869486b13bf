//! Any text, loaded as the command loads it: lines, tab-separated entries, dumps of LMDB.
//!
//! Invariants checked: no panic; what is stored is what a naive reading of the text says, and after an
//! error the entries of the batches before it; what was stored comes back from a dump of it.
#![no_main]

use mapleaf::{Builder, Database};
use mapleaf_cli::{Format, load_text};
use std::collections::BTreeMap;

/// Longest key on pages of 4 KiB.
const KEY_MAX: usize = 990;
const CAPACITY: u64 = 8 << 20;

type Entries = BTreeMap<Vec<u8>, Vec<u8>>;

fn database() -> Database {
    let builder = Builder::new().background(false).reader_slots(4).capacity_bytes(CAPACITY);
    builder.in_memory().expect("memory")
}

/// All trees by name.
fn trees(db: &Database) -> BTreeMap<String, Entries> {
    let snapshot = db.read().unwrap();
    let mut trees = BTreeMap::new();
    for name in snapshot.trees().unwrap() {
        let name = String::from_utf8(name.unwrap().0.parts().concat()).unwrap();
        let tree = snapshot.tree(&name).unwrap();
        let entries = tree.iter().map(|entry| {
            let (key, value) = entry.unwrap();
            (key.parts().concat(), value.to_vec())
        });
        trees.insert(name, entries.collect());
    }
    trees
}

/// What escaped text stands for, byte by byte.
fn unescape(text: &[u8]) -> Option<Vec<u8>> {
    let (first, rest) = match text {
        [] => return Some(Vec::new()),
        [b'\\', b't', rest @ ..] => (b'\t', rest),
        [b'\\', b'n', rest @ ..] => (b'\n', rest),
        // A planted bug: a backslash stands for itself.
        [b'\\', rest @ ..] if mapleaf_fuzz::planted() => (b'\\', rest),
        [b'\\', b'\\', rest @ ..] => (b'\\', rest),
        [b'\\', b'x', high, low, rest @ ..] => {
            let digits = [*high, *low].map(|digit| (digit as char).to_digit(16));
            ((digits[0]? * 16 + digits[1]?) as u8, rest)
        }
        [b'\\', ..] => return None,
        [first, rest @ ..] => (*first, rest),
    };
    let mut bytes = unescape(rest)?;
    bytes.insert(0, first);
    Some(bytes)
}

/// The entries of a text line by line; `None` for a line that cannot be stored.
fn naive(text: &[u8], format: Format) -> Vec<Option<(Vec<u8>, Vec<u8>)>> {
    let mut lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
    lines.pop_if(|last| last.is_empty());
    let entry = |(number, line): (usize, &&[u8])| {
        let (key, value) = match format {
            Format::Lines => (line.to_vec(), (number + 1).to_string().into_bytes()),
            _ => {
                let tab = line.iter().position(|byte| *byte == b'\t')?;
                (unescape(&line[..tab])?, unescape(&line[tab + 1..])?)
            }
        };
        (key.len() <= KEY_MAX).then_some((key, value))
    };
    lines.iter().enumerate().map(entry).collect()
}

fn compare_naive(text: &[u8], format: Format, committed: u64, failed: bool, db: &Database) {
    let lines = naive(text, format);
    assert_eq!(failed, lines.contains(&None), "a bad line was taken, or a good one refused");
    let good = lines.iter().map_while(Option::as_ref).take(committed as usize);
    let wanted: Entries = good.cloned().collect();
    let found = trees(db).remove("main").unwrap_or_default();
    assert!(found == wanted, "other entries than the text has");
    assert!(failed || committed == lines.len() as u64, "entries are missing");
}

/// A dump in hexadecimal digits.
fn dump(trees: &BTreeMap<String, Entries>) -> Vec<u8> {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let mut text = String::new();
    for (name, entries) in trees {
        text += &format!("VERSION=3\nformat=bytevalue\ndatabase={name}\ntype=btree\nHEADER=END\n");
        for (key, value) in entries {
            text += &format!(" {}\n {}\n", hex(key), hex(value));
        }
        text += "DATA=END\n";
    }
    text.into_bytes()
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let [how, text @ ..] = bytes else { return };
    let format = [Format::Tsv, Format::Lines, Format::LmdbDump][usize::from(how % 3)];
    let batch = (how / 3 % 4 > 0).then_some(u64::from(how / 3 % 4));
    let db = database();
    let (committed, stop) = load_text(&db, text.to_vec(), format, batch);
    if !matches!(format, Format::LmdbDump) {
        compare_naive(text, format, committed, stop.is_some(), &db);
    }
    let stored = trees(&db);
    let again = database();
    let (_, stop) = load_text(&again, dump(&stored), Format::LmdbDump, None);
    assert!(stop.is_none(), "a dump is refused: {stop:?}");
    assert!(trees(&again) == stored, "a dump is something else");
});
