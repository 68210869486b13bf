//! Making the free pages of a damaged store anew: `check --repair`.

use crate::args::Check;
use crate::check::{as_json, described};
use crate::failure::{Failure, Outcome};
use crate::figures::counted;
use crate::output::Output;
use crate::progress::Progress;
use crate::store;
use mapleaf::{RepairOutcome, RepairReport, StoreError};
use serde_json::json;
use std::path::Path;

/// What to do about what this does not repair.
const SALVAGE: &str = "it is left as it was; `salvage` copies what can be read to a new store";

/// Repairs, and prints what was found and done.
pub(crate) fn run(path: &Path, args: &Check) -> Outcome {
    let progress = Progress::of_work("reading every page");
    let report = store::repair(path).map_err(|error| match error.store_error() {
        Some(StoreError::Corrupt { .. } | StoreError::NoMeta) => {
            Failure::No(format!("{error}; {SALVAGE}"))
        }
        _ => error.into(),
    })?;
    drop(progress);
    let mut output = Output::new();
    if args.json {
        output.line(&json(&report).to_string())?;
    } else {
        for found in &report.before.found {
            output.line(&described(found))?;
        }
        for (slot, whole) in report.metas_whole.into_iter().enumerate() {
            if !whole {
                output.line(&format!("page {slot}: the meta is damaged"))?;
            }
        }
        output.line(&format!("{}: {}", path.display(), verdict(&report)))?;
    }
    output.end()?;
    let sound = report.after.as_ref().is_none_or(mapleaf::CheckReport::is_sound);
    match report.outcome {
        RepairOutcome::TreesDamaged => Err(Failure::No(String::new())),
        _ if sound => Ok(()),
        _ => Err(Failure::No(String::new())),
    }
}

fn verdict(report: &RepairReport) -> String {
    let damages = counted(report.before.damages, "damage", "damages");
    match (report.outcome, &report.after) {
        (RepairOutcome::Sound, _) => "sound: nothing to repair".into(),
        (RepairOutcome::Repaired, Some(after)) => {
            let pages = counted(after.page_count, "page", "pages");
            let free = counted(after.uses.free, "free page", "free pages");
            let entries = counted(after.entries, "entry", "entries");
            format!("repaired: {damages} before; now {entries}, {pages}, {free}")
        }
        _ => format!("{damages}, not only to the free pages: {SALVAGE}"),
    }
}

fn json(report: &RepairReport) -> serde_json::Value {
    let outcome = match report.outcome {
        RepairOutcome::Sound => "sound",
        RepairOutcome::Repaired => "repaired",
        RepairOutcome::TreesDamaged => "trees damaged",
    };
    json!({
        "outcome": outcome,
        "metas_whole": report.metas_whole,
        "replayed_blocks": report.replayed_blocks,
        "before": as_json(&report.before),
        "after": report.after.as_ref().map(as_json),
    })
}
