//! Comparing every checksum: `scrub`.

use crate::args::Scrub;
use crate::failure::{Failure, Outcome};
use crate::figures::{bytes, counted};
use crate::output::Output;
use crate::progress::Progress;
use crate::salvage::{hit, put_hit};
use crate::store::{self, Place};
use mapleaf::{Database, PageId, Scar, ScrubReport, StoreError};
use serde_json::{Map, Value, json};
use std::time::{Duration, Instant};

/// What a scrub that is to be slow is ahead of its rate by before it sleeps.
const NAP: Duration = Duration::from_millis(10);

/// Scrubs, and prints what was found.
pub(crate) fn run(place: &Place<'_>, args: &Scrub) -> Outcome {
    let db = store::to_scrub(place).map_err(|error| match error.store_error() {
        // So damaged that it does not open.
        Some(StoreError::Corrupt { .. } | StoreError::NoMeta) => Failure::No(error.to_string()),
        _ => Failure::Undone(error.to_string()),
    })?;
    if args.evict {
        db.evict();
    }
    let start = Instant::now();
    let report = scrub(&db, args.rate).map_err(|error| Failure::Undone(error.to_string()))?;
    let took = start.elapsed();
    let mut output = Output::new();
    if args.json {
        output.line(&as_json(&report, took).to_string())?;
    } else {
        for scar in &report.found {
            output.line(&described(scar))?;
        }
        crate::check::note_metas(&mut output, report.metas_whole)?;
        let more = report.damages - report.found.len() as u64;
        if more > 0 {
            output.line(&format!("and {}", counted(more, "more", "more")))?;
        }
        let verdict = match report.damages {
            0 => "clean".into(),
            damages => counted(damages, "damage", "damages"),
        };
        let pages = counted(report.pages, "page", "pages");
        let size = bytes(report.pages * report.page_size);
        let seconds = took.as_secs_f64();
        let place = place.display();
        output.line(&format!("{place}: {verdict}: {pages} ({size}) in {seconds:.2} s"))?;
    }
    output.end()?;
    if report.is_clean() { Ok(()) } else { Err(Failure::No(String::new())) }
}

/// Scrubs, at this many megabytes a second if that is said.
fn scrub(db: &Database, rate: Option<f64>) -> Result<ScrubReport, mapleaf::Error> {
    let mut progress = Progress::of_pages();
    let page_size = f64::from(db.stats().store.page_size);
    let start = Instant::now();
    db.scrub(&mut |done, pages| {
        progress.set(done, pages);
        let Some(rate) = rate else { return };
        let due = Duration::try_from_secs_f64(done as f64 * page_size / (rate * 1e6));
        let ahead = due.unwrap_or(Duration::MAX).saturating_sub(start.elapsed());
        if ahead > NAP {
            std::thread::sleep(ahead);
        }
    })
}

fn described(scar: &Scar) -> String {
    let tree = scar.tree.as_ref().map_or(String::new(), |name| format!("tree {name:?}: "));
    let page = match scar.page {
        PageId::NONE => "store".into(),
        page => format!("{page} at byte {}", scar.offset),
    };
    let hit = match &scar.what {
        Some(what) if scar.tree.is_none() => {
            format!("names of trees: {}", hit(what, scar.from.as_deref(), scar.to.as_deref()))
        }
        Some(what) => hit(what, scar.from.as_deref(), scar.to.as_deref()),
        None => "which pages are free".into(),
    };
    format!("{tree}{page}: {}; {hit}", scar.trouble)
}

fn as_json(report: &ScrubReport, took: Duration) -> Value {
    json!({
        "clean": report.is_clean(),
        "damages": report.damages,
        "metas_whole": report.metas_whole,
        "pages": report.pages,
        "page_size": report.page_size,
        "transaction": report.txn.0,
        "seconds": took.as_secs_f64(),
        "found": report.found.iter().map(scar_as_json).collect::<Vec<_>>(),
    })
}

fn scar_as_json(scar: &Scar) -> Value {
    let mut object = Map::new();
    let page = Some(scar.page).filter(|page| *page != PageId::NONE);
    object.insert("tree".into(), scar.tree.clone().into());
    object.insert("page".into(), page.map(|page| page.0).into());
    object.insert("offset".into(), page.map(|_| scar.offset).into());
    object.insert("damage".into(), scar.trouble.to_string().into());
    match &scar.what {
        Some(what) => put_hit(&mut object, what, scar.from.as_deref(), scar.to.as_deref()),
        None => drop(object.insert("what".into(), "free pages".into())),
    }
    Value::Object(object)
}
