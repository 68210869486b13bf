//! A picture of a file: `inspect`.

mod colour;
mod grid;
mod svg;
mod terminal;
mod watch;

use crate::args::{ColorBy, Inspect};
use crate::failure::{Failure, Outcome};
use crate::figures::{bytes, count, counted};
use crate::output::Output;
use crate::progress::Progress;
use colour::Classes;
use mapleaf::{PageId, PageKind, PageMap};
use serde_json::{Map, Value, json};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use terminal::Ink;

/// A file, and what its colours say.
pub(crate) struct Picture {
    pub(crate) path: PathBuf,
    pub(crate) map: PageMap,
    pub(crate) classes: Classes,
    /// The pages that are damaged, as far as they are listed.
    pub(crate) damaged: HashSet<u32>,
}

impl Picture {
    /// Reads the file.
    fn new(path: &Path, by: ColorBy) -> Outcome<Picture> {
        Ok(Picture::of(path, PageMap::read(path)?, by))
    }

    fn of(path: &Path, map: PageMap, by: ColorBy) -> Picture {
        let classes = Classes::new(&map, by);
        let pages = map.damaged().iter().map(|(page, _)| *page);
        let damaged = pages.filter(|page| *page != PageId::NONE).map(|page| page.0).collect();
        Picture { path: path.to_path_buf(), map, classes, damaged }
    }

    /// Name, and the rest of the title.
    pub(crate) fn title_parts(&self) -> (String, String) {
        let map = &self.map;
        let size = u64::from(map.page_count()) * u64::from(map.page_size());
        let mut rest = format!(
            "{} of {} bytes ({})",
            counted(map.page_count().into(), "page", "pages"),
            count(map.page_size().into()),
            bytes(size)
        );
        match map.txn() {
            Some(txn) => rest += &format!(", {txn}"),
            None => rest += ", no meta is whole",
        }
        if map.is_clean() {
            rest += ", closed";
        }
        if map.pending_transactions() > 0 {
            rest += &format!(", {} more in the log", count(map.pending_transactions()));
        }
        if map.file_pages() > map.page_count() {
            let spare = u64::from(map.file_pages() - map.page_count());
            rest += &format!(", {} grown and not yet in use", counted(spare, "page", "pages"));
        }
        if map.has_changed() {
            rest += ", changes faster than it can be read";
        }
        (self.path.display().to_string(), rest)
    }

    fn title(&self) -> String {
        let (name, rest) = self.title_parts();
        format!("{name}: {rest}\n")
    }
}

/// A page in a message.
pub(crate) fn named(page: PageId) -> String {
    if page == PageId::NONE { "names, counts or lists".into() } else { page.to_string() }
}

/// Draws, prints counts, or watches.
pub(crate) fn run(path: &Path, args: &Inspect) -> Outcome {
    if args.watch {
        return watch::run(path, args);
    }
    if args.svg.as_ref().is_some_and(|to| are_one_file(to, path)) {
        return Err(Failure::Usage("the picture would take the place of the store".into()));
    }
    let progress = Progress::of_work("reading pages");
    let picture = Picture::new(path, args.color_by)?;
    drop(progress);
    let to_file = args.svg.as_ref().filter(|to| to.as_os_str() != "-");
    if let Some(to) = to_file {
        return std::fs::write(to, svg::drawn(&picture)).map_err(|error| Failure::io(to, &error));
    }
    let mut output = Output::new();
    if args.svg.is_some() {
        output.write(svg::drawn(&picture).as_bytes())?;
    } else if args.json {
        output.line(&as_json(&picture.map).to_string())?;
    } else {
        let ink = Ink::of_stdout();
        let size = ratatui::crossterm::terminal::size().ok().filter(|_| ink != Ink::Letters);
        let (columns, lines) = size.unwrap_or((96, 48));
        output.write(terminal::drawn(&picture, ink, (columns.into(), lines.into())).as_bytes())?;
    }
    output.end()
}

/// Whether both paths lead to one file, by whatever links.
fn are_one_file(one: &Path, other: &Path) -> bool {
    #[cfg(unix)]
    let place = |path: &Path| {
        use std::os::unix::fs::MetadataExt as _;
        std::fs::metadata(path).ok().map(|found| (found.dev(), found.ino()))
    };
    #[cfg(not(unix))]
    let place = |path: &Path| std::fs::canonicalize(path).ok();
    place(one).is_some() && place(one) == place(other)
}

fn as_json(map: &PageMap) -> Value {
    let counts = PageKind::ALL.into_iter().zip(map.counts());
    let counts: Map<String, Value> =
        counts.map(|(kind, count)| (kind.name().to_owned(), count.into())).collect();
    let damaged = map.damaged().iter().map(|(page, trouble)| {
        let page = Some(page.0).filter(|page| *page != PageId::NONE.0);
        json!({ "page": page, "damage": trouble.to_string() })
    });
    let trees = map.trees().iter().skip(1);
    let trees = trees.map(|(name, record)| crate::stat::tree_json(name.as_bytes(), record));
    let births = map.pages().filter_map(|page| page.birth);
    let (oldest, newest) = births.fold((None, None), |(oldest, newest), birth| {
        (Some(oldest.map_or(birth.0, |old: u64| old.min(birth.0))), newest.max(Some(birth.0)))
    });
    let resident = map.pages().map(|page| page.resident.map(u64::from)).sum::<Option<u64>>();
    json!({
        "file_bytes": map.file_bytes(),
        "page_bytes": map.page_size(),
        "pages": map.page_count(),
        "file_pages": map.file_pages(),
        "counts": counts,
        "resident_pages": resident,
        "oldest_birth": oldest,
        "newest_birth": newest,
        "transaction": map.txn().map(|txn| txn.0),
        "closed": map.is_clean(),
        "transactions_in_log": map.pending_transactions(),
        "metas_whole": map.metas_whole(),
        "changed_meanwhile": map.has_changed(),
        "damages": map.damages(),
        "damaged": damaged.collect::<Vec<_>>(),
        "trees": trees.collect::<Vec<_>>(),
    })
}
