//! Single entries: `get`, `put`, `del`.

use crate::args::{Del, Get, Put};
use crate::failure::{Failure, Outcome};
use crate::output::{Output, say};
use crate::range::{Bounds, bytes};
use crate::store::{self, Place};
use crate::{json, text};
use mapleaf::{TreeError, TreeMut};
use serde_json::{Map, Value};
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Bytes of a value that are escaped at a time.
const CHUNK_BYTES: usize = 64 << 10;

/// Prints a value.
pub(crate) fn get(path: &Place<'_>, args: &Get) -> Outcome {
    let key = bytes("KEY", &args.key, args.raw)?;
    let db = store::to_look_up(path)?;
    let snap = db.read()?;
    let tree = store::tree(path, &snap, &args.tree)?;
    let found = tree.get(&key).map_err(|error| Failure::tree(path, error))?;
    let value = found.ok_or_else(|| not_found(path, &args.tree, &key))?;
    let mut output = Output::new();
    if args.json {
        let mut object = Map::new();
        json::put_bytes(&mut object, "key", &key);
        json::put_bytes(&mut object, "value", value);
        output.line(&Value::Object(object).to_string())?;
    } else if args.raw {
        output.write(value)?;
    } else {
        write_escaped(&mut output, value)?;
        output.write(b"\n")?;
    }
    output.end()
}

/// Escapes a value piece by piece: it may be larger than the memory left.
pub(crate) fn write_escaped(output: &mut Output, value: &[u8]) -> Outcome {
    let mut escaped = Vec::new();
    let mut rest = value;
    while !rest.is_empty() {
        let (chunk, tail) = rest.split_at(text_boundary(rest));
        escaped.clear();
        text::escape(&mut escaped, chunk);
        output.write(&escaped)?;
        rest = tail;
    }
    Ok(())
}

/// Where to cut so that no character is torn: at most the chunk's size, and the start of a character
/// if there is one within its last four bytes.
fn text_boundary(bytes: &[u8]) -> usize {
    if bytes.len() <= CHUNK_BYTES {
        return bytes.len();
    }
    let continues = |at: &usize| bytes.get(*at).is_some_and(|byte| byte & 0xC0 == 0x80);
    (CHUNK_BYTES - 3..=CHUNK_BYTES).rev().find(|at| !continues(at)).unwrap_or(CHUNK_BYTES)
}

fn not_found(path: &Path, tree: &str, key: &[u8]) -> Failure {
    Failure::No(format!("{}: tree {tree:?} has no key {}", path.display(), text::shown(key)))
}

/// Stores a value.
pub(crate) fn put(path: &Place<'_>, args: &Put) -> Outcome {
    let key = bytes("KEY", &args.key, args.raw)?;
    let value = args.value.as_deref().unwrap_or(OsStr::new(""));
    let value = bytes("VALUE", value, args.raw)?;
    // Before the store: one that is not there yet is not to be made for nothing.
    let input = args.file.as_deref().map(Input::open).transpose()?;
    let (bytes, replaced) = store::made(path, |db| {
        let mut txn = db.write()?;
        let mut tree = txn.tree(args.tree.as_str()).map_err(|error| Failure::tree(path, error))?;
        let stored = match input {
            None => {
                let replaced = tree.insert(&key, &value);
                (value.len() as u64, replaced.map_err(|error| Failure::tree(path, error))?)
            }
            Some(input) => put_input(path, &mut tree, &key, input)?,
        };
        txn.commit()?;
        Ok(stored)
    })?;
    if !args.json {
        return Ok(());
    }
    let mut object = Map::new();
    object.insert("tree".into(), args.tree.as_str().into());
    json::put_bytes(&mut object, "key", &key);
    object.insert("value_bytes".into(), bytes.into());
    object.insert("replaced".into(), replaced.into());
    print(object)
}

/// Prints one object.
fn print(object: Map<String, Value>) -> Outcome {
    let mut output = Output::new();
    output.line(&Value::Object(object).to_string())?;
    output.end()
}

/// Where a value comes from.
enum Input<'a> {
    /// A pipe or device, whose length shows at its end: read already.
    Read(Vec<u8>),
    /// A file of this many bytes.
    File(&'a Path, File, u64),
}

impl Input<'_> {
    fn open(from: &Path) -> Outcome<Input<'_>> {
        let mut value = Vec::new();
        if from.as_os_str() == "-" {
            let read = std::io::stdin().lock().read_to_end(&mut value);
            read.map_err(|error| Failure::Other(format!("standard input: {error}")))?;
            return Ok(Input::Read(value));
        }
        let mut read = || -> std::io::Result<Input<'_>> {
            let mut file = File::open(from)?;
            let metadata = file.metadata()?;
            if metadata.is_file() {
                return Ok(Input::File(from, file, metadata.len()));
            }
            file.read_to_end(&mut value)?;
            Ok(Input::Read(std::mem::take(&mut value)))
        };
        read().map_err(|error| Failure::io(from, &error))
    }
}

/// Stores a value: a file's is read straight to where it will stay. Its bytes, and whether it replaced one.
fn put_input(
    path: &Path,
    tree: &mut TreeMut<'_, '_>,
    key: &[u8],
    input: Input<'_>,
) -> Outcome<(u64, bool)> {
    match input {
        Input::Read(value) => {
            let replaced = tree.insert(key, &value).map_err(|error| Failure::tree(path, error))?;
            Ok((value.len() as u64, replaced))
        }
        Input::File(from, mut file, len) => {
            let len =
                usize::try_from(len).map_err(|_| Failure::tree(path, TreeError::ValueTooLong))?;
            let mut read = Ok(());
            let stored = tree.reserve(key, len, |value| read = file.read_exact(value));
            // A file cut short meanwhile: the transaction is dropped uncommitted.
            read.map_err(|error| Failure::io(from, &error))?;
            Ok((len as u64, stored.map_err(|error| Failure::tree(path, error))?))
        }
    }
}

/// Removes entries.
pub(crate) fn del(path: &Place<'_>, args: &Del) -> Outcome {
    let keys: Vec<Vec<u8>> =
        args.keys.iter().map(|key| bytes("KEY", key, args.raw)).collect::<Outcome<_>>()?;
    let range = if args.all { Bounds::all() } else { Bounds::new(&args.range, args.raw)? };
    let db = store::to_write(path)?;
    let mut txn = db.write()?;
    let handle = txn.open(&args.tree).map_err(|error| match error {
        TreeError::NoSuchTree => store::no_tree(path, &args.tree),
        error => Failure::tree(path, error),
    })?;
    let mut tree = txn.tree(handle).map_err(|error| Failure::tree(path, error))?;
    let mut removed = 0u64;
    let mut missing = Vec::new();
    if keys.is_empty() {
        removed = tree.remove_range(range).map_err(|error| Failure::tree(path, error))?;
    }
    for key in &keys {
        if tree.remove(key).map_err(|error| Failure::tree(path, error))? {
            removed += 1;
        } else {
            missing.push(key);
            let failure = not_found(path, &args.tree, key);
            say(&format!("mapleaf: {}", failure.message().unwrap_or_default()));
        }
    }
    txn.commit()?;
    db.close()?;
    if args.json {
        let keys = missing.iter().map(|key| {
            let mut object = Map::new();
            json::put_bytes(&mut object, "key", key);
            Value::Object(object)
        });
        let mut object = Map::new();
        object.insert("tree".into(), args.tree.as_str().into());
        object.insert("removed".into(), removed.into());
        object.insert("missing".into(), keys.collect());
        print(object)?;
    }
    if missing.is_empty() { Ok(()) } else { Err(Failure::No(String::new())) }
}
