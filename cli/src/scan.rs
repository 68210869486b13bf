//! Many entries: `scan`, `count`.

use crate::args::{Count, Scan};
use crate::entry::write_escaped;
use crate::failure::{Failure, Outcome};
use crate::output::Output;
use crate::range::Bounds;
use crate::store::{self, Place};
use crate::{json, text};
use mapleaf::Entry;
use serde_json::{Map, Value, json};

/// Prints entries.
pub(crate) fn run(path: &Place<'_>, args: &Scan) -> Outcome {
    let range = Bounds::new(&args.range, args.raw)?;
    let db = store::to_read(path)?;
    let snap = db.read()?;
    let tree = store::tree(path, &snap, &args.tree)?;
    let mut output = Output::new();
    let mut entries = tree.range(range);
    let mut left = args.limit.unwrap_or(u64::MAX);
    while left > 0 {
        let entry = if args.reverse { entries.next_back() } else { entries.next() };
        let Some(entry) = entry else { break };
        print(&mut output, args, &entry.map_err(|error| Failure::tree(path, error))?)?;
        left -= 1;
    }
    output.end()
}

fn print(output: &mut Output, args: &Scan, (key, value): &Entry<'_>) -> Outcome {
    if args.json {
        let mut object = Map::new();
        json::put_bytes(&mut object, "key", &key.to_vec());
        if !args.keys_only {
            json::put_bytes(&mut object, "value", value);
        }
        return output.line(&Value::Object(object).to_string());
    }
    if args.raw {
        for part in key.parts() {
            output.write(part)?;
        }
    } else {
        let key = key.to_vec();
        if args.keys_only && text::is_line(&key) {
            output.write(&key)?;
        } else {
            write_escaped(output, &key)?;
        }
    }
    if !args.keys_only {
        output.write(b"\t")?;
        if args.raw { output.write(value)? } else { write_escaped(output, value)? }
    }
    output.write(b"\n")
}

/// Counts entries.
pub(crate) fn count(path: &Place<'_>, args: &Count) -> Outcome {
    let range = Bounds::new(&args.range, args.raw)?;
    let db = store::to_read(path)?;
    let snap = db.read()?;
    let tree = store::tree(path, &snap, &args.tree)?;
    let mut count = 0u64;
    if range.is_all() {
        count = tree.len();
    } else {
        for entry in tree.range(range) {
            entry.map_err(|error| Failure::tree(path, error))?;
            count += 1;
        }
    }
    let mut output = Output::new();
    if args.json {
        output.line(&json!({ "tree": args.tree, "entries": count }).to_string())?;
    } else {
        output.line(&count.to_string())?;
    }
    output.end()
}
