//! Figures: `trees`, `stat`.

use crate::args::{Plain, Stat};
use crate::failure::{Failure, Outcome};
use crate::figures::{bytes, count, counted};
use crate::output::Output;
use crate::store::{self, Place};
use crate::text;
use mapleaf::{CheckReport, Database, ReadTxn, Stats, TreeRecord};
use serde_json::{Value, json};
use std::path::Path;

fn records(path: &Path, snap: &ReadTxn<'_>) -> Outcome<Vec<(Vec<u8>, TreeRecord)>> {
    let trees = snap.trees().map_err(|error| Failure::tree(path, error))?;
    trees
        .map(|tree| match tree {
            Ok((name, record)) => Ok((name.to_vec(), record)),
            Err(error) => Err(Failure::tree(path, error)),
        })
        .collect()
}

pub(crate) fn tree_json(name: &[u8], record: &TreeRecord) -> Value {
    let mut all = json!({
        "tree": String::from_utf8_lossy(name),
        "entries": record.entries,
        "depth": record.height,
        "inner_pages": record.inner_pages,
        "leaf_pages": record.leaf_pages,
        "value_pages": record.run_pages,
        "tag": record.tag,
    });
    if let Some(width) = record.fixed {
        all["key_bytes"] = width.key_bytes.into();
        all["value_bytes"] = width.value_bytes.into();
    }
    all
}

/// Lists the trees: name, tab, entries.
pub(crate) fn trees(path: &Place<'_>, args: &Plain) -> Outcome {
    let db = store::to_read(path)?;
    let snap = db.read()?;
    let mut output = Output::new();
    for (name, record) in records(path, &snap)? {
        if args.json {
            output.line(&tree_json(&name, &record).to_string())?;
        } else {
            let mut line = Vec::new();
            text::escape(&mut line, &name);
            line.extend_from_slice(format!("\t{}\n", record.entries).as_bytes());
            output.write(&line)?;
        }
    }
    output.end()
}

/// Prints figures.
pub(crate) fn run(path: &Place<'_>, args: &Stat) -> Outcome {
    let db = store::to_read(path)?;
    // First what only looks: a check holds pages while it runs.
    let stats = db.stats();
    let trees = records(path, &db.read()?)?;
    let report = if args.quick { None } else { Some(crate::check::check(&db)?) };
    let mut output = Output::new();
    if args.json {
        let mut all = json_figures(&db, &stats, report.as_ref());
        let trees = trees.iter().map(|(name, record)| tree_json(name, record)).collect();
        all["trees"] = Value::Array(trees);
        output.line(&all.to_string())?;
    } else {
        for (name, figure) in text_figures(&db, &stats, &trees, report.as_ref()) {
            output.line(&format!("{name:<15}{figure}"))?;
        }
        for (name, record) in &trees {
            output.line(&tree_text(name, record))?;
        }
    }
    output.end()
}

fn hex(uuid: &[u8]) -> String {
    let mut digits = Vec::new();
    text::hex(&mut digits, uuid);
    String::from_utf8_lossy(&digits).into_owned()
}

fn json_figures(db: &Database, stats: &Stats, report: Option<&CheckReport>) -> Value {
    let store = &stats.store;
    let mut all = json!({
        "file_bytes": stats.file_bytes,
        "page_bytes": store.page_size,
        "pages": store.page_count,
        "free_pages": store.free_pages,
        "pinned_pages": store.pinned_pages,
        "space_pages": store.space_pages,
        "log_pages": store.log_pages,
        "log_used_bytes": store.log_used_bytes,
        "transaction": store.txn.0,
        "checkpoint": store.checkpoint.0,
        "openings": store.epoch,
        "uuid": hex(&db.uuid()),
    });
    if let Some(report) = report {
        all["inner_pages"] = report.inner_pages.into();
        all["leaf_pages"] = report.leaf_pages.into();
        all["value_pages"] = report.run_pages.into();
        all["leaf_fill"] = report.leaf_fill().into();
        all["depth"] = report.height_max.into();
        all["entries"] = report.entries.into();
        all["damages"] = report.damages.into();
    }
    all
}

fn text_figures(
    db: &Database,
    stats: &Stats,
    trees: &[(Vec<u8>, TreeRecord)],
    report: Option<&CheckReport>,
) -> Vec<(&'static str, String)> {
    let store = &stats.store;
    let size = u64::from(store.page_size);
    let pages =
        |number: u64| format!("{} ({})", counted(number, "page", "pages"), bytes(number * size));
    let sum = |of: fn(&TreeRecord) -> u32| trees.iter().map(|(_, tree)| u64::from(of(tree))).sum();
    let entries = trees.iter().map(|(_, tree)| tree.entries).sum();
    let depth = trees.iter().map(|(_, tree)| tree.height).max().unwrap_or(0);
    let mut all = vec![
        ("file", format!("{} ({} bytes)", bytes(stats.file_bytes), count(stats.file_bytes))),
        ("page size", format!("{size} bytes")),
        ("in use", pages(u64::from(store.page_count) - u64::from(store.free_pages))),
        ("  inner", pages(sum(|tree| tree.inner_pages))),
        ("  leaf", pages(sum(|tree| tree.leaf_pages))),
        ("  values", pages(sum(|tree| tree.run_pages))),
        ("  space", pages(store.space_pages.into())),
        ("  pinned", pages(store.pinned_pages.into())),
        (
            "  log",
            format!("{}, {} used", pages(store.log_pages.into()), bytes(store.log_used_bytes)),
        ),
        ("free", pages(store.free_pages.into())),
        (
            "entries",
            format!("{} in {}", count(entries), counted(trees.len() as u64, "tree", "trees")),
        ),
        ("depth", depth.to_string()),
    ];
    if let Some(report) = report {
        all.push(("leaf fill", format!("{:.1} %", report.leaf_fill() * 100.0)));
        all.push(("damages", count(report.damages)));
    }
    all.push(("transaction", store.txn.0.to_string()));
    all.push(("checkpoint", store.checkpoint.0.to_string()));
    all.push(("openings", count(store.epoch)));
    all.push(("uuid", hex(&db.uuid())));
    all
}

fn tree_text(name: &[u8], tree: &TreeRecord) -> String {
    let pages = [
        counted(tree.inner_pages.into(), "inner page", "inner pages"),
        counted(tree.leaf_pages.into(), "leaf page", "leaf pages"),
        counted(tree.run_pages.into(), "value page", "value pages"),
    ];
    let entries = counted(tree.entries, "entry", "entries");
    let tag = if tree.tag == 0 { String::new() } else { format!(", tag {}", tree.tag) };
    let fixed = tree.fixed.map_or(String::new(), |width| {
        format!(", keys of {} and values of {} bytes", width.key_bytes, width.value_bytes)
    });
    format!(
        "tree {}: {entries}, depth {}, {}{fixed}{tag}",
        text::shown(name),
        tree.height,
        pages.join(", ")
    )
}
