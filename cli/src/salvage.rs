//! Copying what can be read of a damaged store: `salvage`.

use crate::args::Salvage as Arguments;
use crate::failure::{Failure, Outcome};
use crate::figures::counted;
use crate::json::put_bytes;
use crate::output::Output;
use crate::progress::Progress;
use crate::{store, text};
use mapleaf::{Loss, Origin, PageId, Salvage, SalvageReport, SalvagedTree, What};
use serde_json::{Map, Value, json};
use std::path::Path;

/// Smallest page size of a store in a file.
const PAGE_SIZE_MIN: u32 = 4096;

/// Copies, and prints what was copied and what was lost.
pub(crate) fn run(path: &Path, args: &Arguments) -> Outcome {
    let report = copy(path, &args.dest).map_err(Failure::Undone)?;
    let mut output = Output::new();
    if args.json {
        output.line(&as_json(&report).to_string())?;
    } else {
        print(path, &report, &mut output)?;
    }
    output.end()?;
    if report.is_complete() { Ok(()) } else { Err(Failure::No(String::new())) }
}

fn copy(path: &Path, dest: &Path) -> Result<SalvageReport, String> {
    let salvage = Salvage::open(path).map_err(|error| error.to_string())?;
    let was_there = dest.symlink_metadata().is_ok();
    let to = store::new(dest, salvage.page_size().max(PAGE_SIZE_MIN)).map_err(|error| {
        // An empty file of ours would be in the way of the next attempt.
        if !was_there && dest.metadata().is_ok_and(|found| found.len() == 0) {
            let _ = std::fs::remove_file(dest);
        }
        error.to_string()
    })?;
    let mut progress = Progress::of_pages();
    let report = salvage.copy_to(&to, &mut |done, pages| progress.set(done, pages));
    drop(progress);
    // Also where it failed: what was copied is written out.
    let closed = to.close();
    let partly = |error| format!("{error}; {} has a part of it", dest.display());
    let report = report.map_err(partly)?;
    closed.map_err(partly)?;
    Ok(report)
}

fn print(path: &Path, report: &SalvageReport, output: &mut Output) -> Outcome {
    for (slot, whole) in report.metas_whole.into_iter().enumerate() {
        if !whole {
            output.line(&format!("page {slot}: the meta is damaged; what only it knew is lost"))?;
        }
    }
    for loss in &report.names {
        output.line(&format!("names of trees: {}", described(loss)))?;
    }
    if report.log_lost {
        output.line("log: transactions are lost, or cannot be read")?;
    }
    for tree in &report.trees {
        output.line(&summed(tree))?;
        for loss in &tree.lost {
            output.line(&format!("  {}", described(loss)))?;
        }
        let more = tree.losses - tree.lost.len() as u64;
        if more > 0 {
            output.line(&format!("  and {}", counted(more, "more", "more")))?;
        }
    }
    if report.scanned && !report.free_pages_known {
        output
            .line("what was found all over the file may be out of date: free pages are unknown")?;
    }
    let entries = counted(report.entries(), "entry", "entries");
    let trees = counted(report.trees.len() as u64, "tree", "trees");
    let verdict = match report.losses() {
        _ if report.is_complete() => "nothing was lost".into(),
        0 => "something may be lost".into(),
        losses => counted(losses, "place was lost", "places were lost"),
    };
    output.line(&format!("{}: copied {entries} in {trees}; {verdict}", path.display()))
}

fn summed(tree: &SalvagedTree) -> String {
    let of = match tree.recorded {
        Some(recorded) if recorded != tree.entries => {
            format!(" of {}", crate::figures::count(recorded))
        }
        _ => String::new(),
    };
    let origin = match &tree.origin {
        Origin::FoundName => ", found by a page of names".into(),
        Origin::Orphan { root, birth, name } => {
            let name = name.as_ref().map_or(String::new(), |name| format!(", perhaps of {name:?}"));
            format!(", found below {root} of {birth}{name}")
        }
        Origin::Leaves => ", from leaves of any tree".into(),
        _ => String::new(),
    };
    let losses = match tree.losses {
        0 => String::new(),
        losses => format!(", {}", counted(losses, "loss", "losses")),
    };
    let entries = if tree.entries == 1 { "entry" } else { "entries" };
    let copied = crate::figures::count(tree.entries);
    format!("tree {:?}: {copied}{of} {entries}{origin}{losses}", tree.name)
}

fn described(loss: &Loss) -> String {
    let page = if loss.page == PageId::NONE { String::new() } else { format!("{}: ", loss.page) };
    let hit = hit(&loss.what, loss.from.as_deref(), loss.to.as_deref());
    format!("{page}{}; {hit}", loss.trouble)
}

/// What a damage hits.
pub(crate) fn hit(what: &What, from: Option<&[u8]>, to: Option<&[u8]>) -> String {
    match what {
        What::Value(key) => format!("the value of {}", escaped(key)),
        What::Tree => "the whole tree".into(),
        what => {
            let what = if *what == What::Leaf { "a leaf" } else { "a subtree" };
            let from = from.map_or("the first key".into(), escaped);
            let to = to.map_or("the last key".into(), |key| format!("below {}", escaped(key)));
            format!("{what}, keys from {from} to {to}")
        }
    }
}

fn escaped(key: &[u8]) -> String {
    let mut out = Vec::new();
    text::escape(&mut out, key);
    format!("'{}'", String::from_utf8_lossy(&out))
}

fn as_json(report: &SalvageReport) -> Value {
    json!({
        "complete": report.is_complete(),
        "page_size": report.page_size,
        "pages": report.pages,
        "metas_whole": report.metas_whole,
        "transaction": report.txn.map(|txn| txn.0),
        "log_transactions": report.log_transactions,
        "log_lost": report.log_lost,
        "searched": report.scanned,
        "free_pages_known": report.free_pages_known,
        "entries": report.entries(),
        "losses": report.losses(),
        "names_lost": report.names.iter().map(loss_as_json).collect::<Vec<_>>(),
        "trees": report.trees.iter().map(tree_as_json).collect::<Vec<_>>(),
    })
}

fn tree_as_json(tree: &SalvagedTree) -> Value {
    let (origin, root, name) = match &tree.origin {
        Origin::Named => ("named", None, None),
        Origin::FoundName => ("found name", None, None),
        Origin::Orphan { root, name, .. } => ("orphan", Some(root.0), name.clone()),
        Origin::Leaves => ("leaves", None, None),
        _ => ("other", None, None),
    };
    json!({
        "tree": tree.name,
        "origin": origin,
        "root": root,
        "perhaps": name,
        "entries": tree.entries,
        "recorded": tree.recorded,
        "losses": tree.losses,
        "lost": tree.lost.iter().map(loss_as_json).collect::<Vec<_>>(),
    })
}

fn loss_as_json(loss: &Loss) -> Value {
    let mut object = Map::new();
    object.insert("page".into(), Some(loss.page.0).filter(|page| *page != 0).into());
    object.insert("damage".into(), loss.trouble.to_string().into());
    put_hit(&mut object, &loss.what, loss.from.as_deref(), loss.to.as_deref());
    Value::Object(object)
}

/// Adds what a damage hits.
pub(crate) fn put_hit(
    object: &mut Map<String, Value>,
    what: &What,
    from: Option<&[u8]>,
    to: Option<&[u8]>,
) {
    let (what, key) = match what {
        What::Leaf => ("leaf", None),
        What::Subtree => ("subtree", None),
        What::Value(key) => ("value", Some(&key[..])),
        What::Tree => ("tree", None),
        _ => ("other", None),
    };
    object.insert("what".into(), what.into());
    for (name, key) in [("from", from), ("to", to), ("key", key)] {
        if let Some(key) = key {
            put_bytes(object, name, key);
        }
    }
}
