//! Proving a store sound: `check`.

use crate::args::Check;
use crate::failure::{Failure, Outcome};
use crate::figures::{counted, rate};
use crate::output::Output;
use crate::progress::Progress;
use crate::store::{self, Place};
use mapleaf::{CheckReport, Database, Found, PageId, StoreError};
use serde_json::{Value, json};
use std::time::Instant;

/// Checks the whole store.
pub(crate) fn check(db: &Database) -> Outcome<CheckReport> {
    let _progress = Progress::of_work("reading every page");
    Ok(db.check()?)
}

/// Checks, and prints what was found.
pub(crate) fn run(path: &Place<'_>, args: &Check) -> Outcome {
    if args.repair {
        return crate::repair::run(path, args);
    }
    let db = store::to_read(path).map_err(|error| match error.store_error() {
        // So damaged that it does not open.
        Some(StoreError::Corrupt { .. } | StoreError::NoMeta) => Failure::No(error.to_string()),
        _ => error.into(),
    })?;
    let start = Instant::now();
    let report = check(&db)?;
    let took = start.elapsed();
    let mut output = Output::new();
    if args.json {
        output.line(&as_json(&report).to_string())?;
    } else {
        for found in &report.found {
            output.line(&described(found))?;
        }
        note_metas(&mut output, report.metas_whole)?;
        let what = [
            counted(report.trees, "tree", "trees"),
            counted(report.entries, "entry", "entries"),
            counted(report.page_count, "page", "pages"),
        ]
        .join(", ");
        let verdict = if report.is_sound() {
            "sound".into()
        } else {
            counted(report.damages, "damage", "damages")
        };
        let rate = rate(report.page_count, took);
        output.line(&format!("{}: {verdict}: {what} ({rate})", path.display()))?;
    }
    output.end()?;
    if report.is_sound() { Ok(()) } else { Err(Failure::No(String::new())) }
}

/// Says which metas are not whole.
pub(crate) fn note_metas(output: &mut Output, whole: [bool; 2]) -> Outcome {
    for (page, _) in whole.into_iter().enumerate().filter(|(_, whole)| !whole) {
        output.line(&format!(
            "note: the meta in page {page} is not whole: a checkpoint was cut short, or it is damaged; the other \
             one is what the file opens by"
        ))?;
    }
    Ok(())
}

pub(crate) fn described(found: &Found) -> String {
    let tree = found.tree.as_ref().map_or(String::new(), |name| format!("tree {name:?}: "));
    let page = if found.page == PageId::NONE { "store".into() } else { found.page.to_string() };
    format!("{tree}{page}: {}", found.damage)
}

pub(crate) fn as_json(report: &CheckReport) -> Value {
    let found = |found: &Found| {
        let page = Some(found.page.0).filter(|page| *page != 0);
        json!({ "tree": found.tree, "page": page, "damage": found.damage.to_string() })
    };
    json!({
        "sound": report.is_sound(),
        "damages": report.damages,
        "metas_whole": report.metas_whole,
        "found": report.found.iter().map(found).collect::<Vec<_>>(),
        "trees": report.trees,
        "entries": report.entries,
        "pages": report.page_count,
        "inner_pages": report.inner_pages,
        "leaf_pages": report.leaf_pages,
        "value_pages": report.run_pages,
        "meta_pages": report.uses.meta,
        "log_pages": report.uses.log,
        "space_pages": report.uses.space,
        "free_pages": report.uses.free,
        "pinned_pages": report.uses.pinned,
        "leaf_fill": report.leaf_fill(),
        "depth": report.height_max,
    })
}
