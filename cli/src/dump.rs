//! The store as text: `dump`.

use crate::args::Dump;
use crate::failure::{Failure, Outcome};
use crate::lmdb::{self, Notation};
use crate::output::Output;
use crate::progress::Progress;
use crate::store::{self, Place};
use mapleaf::{Database, ReadTxn};
use std::path::Path;

/// Prints trees in the format of mdb_dump.
pub(crate) fn run(path: &Place<'_>, args: &Dump) -> Outcome {
    let db = store::to_read(path)?;
    let snap = db.read()?;
    let names = match &args.tree {
        Some(name) => vec![name.clone()],
        None => names(path, &snap)?,
    };
    let mut total = 0;
    for name in &names {
        total += store::tree(path, &snap, name)?.len();
    }
    let mut progress = Progress::of_entries(total);
    let mut output = Output::new();
    for name in &names {
        tree(path, args, &db, &snap, name, &mut output, &mut progress)?;
    }
    output.end()
}

fn names(path: &Path, snap: &ReadTxn<'_>) -> Outcome<Vec<String>> {
    let trees = snap.trees().map_err(|error| Failure::tree(path, error))?;
    trees
        .map(|tree| {
            let (name, _) = tree.map_err(|error| Failure::tree(path, error))?;
            String::from_utf8(name.to_vec()).map_err(|_| {
                Failure::Other(format!("{}: a tree's name is no text", path.display()))
            })
        })
        .collect()
}

fn tree(
    path: &Path,
    args: &Dump,
    db: &Database,
    snap: &ReadTxn<'_>,
    name: &str,
    output: &mut Output,
    progress: &mut Progress,
) -> Outcome {
    if name.contains('\n') {
        let why = "a tree's name has a line end, which the format cannot hold";
        return Err(Failure::Other(format!("{}: {why}: {name:?}", path.display())));
    }
    let notation = if args.print { Notation::Print } else { Notation::Hex };
    let header = lmdb::header(name, notation, db.stats().file_bytes);
    output.write(header.as_bytes())?;
    let mut line = Vec::new();
    for entry in store::tree(path, snap, name)?.iter() {
        let (key, value) = entry.map_err(|error| Failure::tree(path, error))?;
        for part in key.parts() {
            lmdb::encode(&mut line, part, notation);
        }
        lmdb::write_line(output, &mut line, &[], notation)?;
        lmdb::write_line(output, &mut line, value, notation)?;
        progress.add(1);
    }
    output.line(lmdb::DATA_END)
}
