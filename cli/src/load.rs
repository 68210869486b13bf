//! Entries from text: `load`.

use crate::args::{Format, Load};
use crate::failure::{Failure, Outcome};
use crate::figures::{count, counted, rate};
use crate::lmdb::{self, Header};
use crate::loader::{Loader, Refused};
use crate::output::{Output, say};
use crate::progress::Progress;
use crate::store::{self, Place};
use crate::text;
use mapleaf::Database;
use serde_json::json;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::time::{Duration, Instant};

/// Bytes read at a time.
const BUFFER_BYTES: usize = 1 << 20;

/// Why a load ended early.
enum Stop {
    /// A line means nothing, or does not fit.
    Line(String),
    /// The input broke off.
    Input(io::Error),
    /// Everything else.
    Failure(Failure),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Stop {
        Stop::Failure(failure)
    }
}

impl From<String> for Stop {
    fn from(reason: String) -> Stop {
        Stop::Line(reason)
    }
}

impl From<Refused> for Stop {
    fn from(refused: Refused) -> Stop {
        match refused {
            Refused::Entry(error) => Stop::Line(error.to_string()),
            Refused::Store(failure) => Stop::Failure(failure),
        }
    }
}

/// The input, line by line.
struct Lines {
    from: Box<dyn BufRead>,
    line: Vec<u8>,
    number: u64,
    progress: Progress,
}

impl Lines {
    /// The next line without its end; `None` behind the last.
    fn next(&mut self) -> Result<Option<&[u8]>, Stop> {
        self.line.clear();
        let read = self.from.read_until(b'\n', &mut self.line).map_err(Stop::Input)?;
        if read == 0 {
            return Ok(None);
        }
        self.number += 1;
        self.progress.add(read as u64);
        if self.line.last() == Some(&b'\n') {
            self.line.pop();
        }
        Ok(Some(&self.line))
    }
}

/// Loads, and says what was done.
pub(crate) fn run(path: &Place<'_>, args: &Load) -> Outcome {
    let start = Instant::now();
    // The input first: where there is none no store is made.
    let (from, total) = open(&args.input)?;
    let mut lines = Lines {
        from: Box::new(BufReader::with_capacity(BUFFER_BYTES, from)),
        line: Vec::new(),
        number: 0,
        progress: Progress::of_bytes(total),
    };
    let loaded = store::made(path, |db| {
        let mut loader = Loader::new(path, db, args.batch, args.verbose);
        let loaded = entries(&mut lines, &mut loader, args.format, &args.tree);
        let committed = loader.committed();
        let done = [committed, loader.replaced, loader.unchanged];
        loaded.map(|()| done).map_err(|stop| stopped(stop, args, lines.number, committed))
    });
    drop(lines);
    report(path, args, loaded?, start.elapsed())
}

/// Loads text as the command does, from memory: how many entries were committed, and why it ended if that
/// was before the text's end.
#[must_use]
pub fn load_text(
    db: &Database,
    text: Vec<u8>,
    format: Format,
    batch: Option<u64>,
) -> (u64, Option<String>) {
    let mut lines = Lines {
        from: Box::new(io::Cursor::new(text)),
        line: Vec::new(),
        number: 0,
        progress: Progress::of_bytes(None),
    };
    let path = Path::new("memory");
    let mut loader = Loader::new(path, db, batch, false);
    let stop = entries(&mut lines, &mut loader, format, "main").err().map(|stop| match stop {
        Stop::Line(reason) => reason,
        Stop::Input(error) => error.to_string(),
        Stop::Failure(failure) => failure.message().unwrap_or_default().to_owned(),
    });
    (loader.committed(), stop)
}

/// Loads all entries, and commits.
fn entries(
    lines: &mut Lines,
    loader: &mut Loader<'_>,
    format: Format,
    tree: &str,
) -> Result<(), Stop> {
    match format {
        Format::Tsv => tsv(lines, loader, tree),
        Format::Lines => keys(lines, loader, tree),
        Format::LmdbDump => dump(lines, loader, tree),
    }?;
    Ok(loader.commit()?)
}

fn report(
    path: &Path,
    args: &Load,
    [entries, replaced, unchanged]: [u64; 3],
    took: Duration,
) -> Outcome {
    if args.json {
        let done = json!({
            "entries": entries,
            "replaced": replaced,
            "unchanged": unchanged,
            "seconds": took.as_secs_f64(),
        });
        let mut output = Output::new();
        output.line(&done.to_string())?;
        return output.end();
    }
    let mut what = String::new();
    for (number, fate) in [(replaced, "with another value before"), (unchanged, "unchanged")] {
        if number > 0 {
            what.push_str(&format!(", {} {fate}", count(number)));
        }
    }
    let entries_read = counted(entries, "entry", "entries");
    let rate = rate(entries, took);
    say(&format!("{}: loaded {entries_read}{what} {rate}", path.display()));
    Ok(())
}

fn stopped(stop: Stop, args: &Load, line: u64, committed: u64) -> Failure {
    let input = if args.input.as_os_str() == "-" {
        "standard input".into()
    } else {
        args.input.display().to_string()
    };
    let stays = match committed {
        0 => "nothing was loaded".into(),
        number => format!("{} before it stay loaded", counted(number, "entry", "entries")),
    };
    match stop {
        Stop::Line(reason) => Failure::Other(format!("{input}: line {line}: {reason}; {stays}")),
        Stop::Input(error) => {
            Failure::Other(format!("{input}: behind line {line}: {error}; {stays}"))
        }
        Stop::Failure(Failure::Other(reason)) => Failure::Other(format!("{reason}; {stays}")),
        Stop::Failure(failure) => failure,
    }
}

fn open(input: &Path) -> Outcome<(Box<dyn Read>, Option<u64>)> {
    if input.as_os_str() == "-" {
        return Ok((Box::new(io::stdin()), None));
    }
    let file = File::open(input).map_err(|error| Failure::io(input, &error))?;
    let metadata = file.metadata().map_err(|error| Failure::io(input, &error))?;
    if metadata.is_dir() {
        return Err(Failure::Other(format!("{}: is a directory", input.display())));
    }
    let total = metadata.is_file().then_some(metadata.len());
    Ok((Box::new(file), total))
}

/// Key, tab, value; both escaped.
fn tsv(lines: &mut Lines, loader: &mut Loader<'_>, tree: &str) -> Result<(), Stop> {
    loader.tree(tree)?;
    while let Some(line) = lines.next()? {
        let tab = line.iter().position(|byte| *byte == b'\t');
        let tab = tab.ok_or_else(|| String::from("no tab between key and value"))?;
        let (key, value) = line.split_at(tab);
        let key = text::unescape(key).map_err(|bad| format!("key: {bad}"))?;
        let value = value.get(1..).unwrap_or(&[]);
        let value = text::unescape(value).map_err(|bad| format!("value: {bad}"))?;
        loader.insert(tree, &key, &value)?;
        loader.commit_full(&lines.progress)?;
    }
    Ok(())
}

/// Each line a key, its number the value.
fn keys(lines: &mut Lines, loader: &mut Loader<'_>, tree: &str) -> Result<(), Stop> {
    loader.tree(tree)?;
    loop {
        let number = (lines.number + 1).to_string();
        let Some(key) = lines.next()? else { return Ok(()) };
        loader.insert(tree, key, number.as_bytes())?;
        loader.commit_full(&lines.progress)?;
    }
}

/// Databases as `mdb_dump` prints them.
fn dump(lines: &mut Lines, loader: &mut Loader<'_>, unnamed: &str) -> Result<(), Stop> {
    let (mut key, mut value) = (Vec::new(), Vec::new());
    while let Some(header) = header(lines)? {
        let tree = header.database.as_deref().unwrap_or(unnamed);
        loader.tree(tree)?;
        loop {
            let line = lines.next()?;
            let line = line.ok_or_else(|| format!("the input ends before {}", lmdb::DATA_END))?;
            if line == lmdb::DATA_END.as_bytes() {
                break;
            }
            lmdb::decode(&mut key, line, header.notation)?;
            let line = lines.next()?.filter(|line| *line != lmdb::DATA_END.as_bytes());
            let line = line.ok_or_else(|| String::from("the last key has no value"))?;
            lmdb::decode(&mut value, line, header.notation)?;
            loader.insert(tree, &key, &value)?;
            loader.commit_full(&lines.progress)?;
        }
    }
    Ok(())
}

/// The next header; `None` at the input's end.
fn header(lines: &mut Lines) -> Result<Option<Header>, Stop> {
    let mut header = Header::new();
    let mut begun = false;
    while let Some(line) = lines.next()? {
        if line == lmdb::HEADER_END.as_bytes() {
            return Ok(Some(header));
        }
        if !begun && line.is_empty() {
            continue;
        }
        begun = true;
        header.read(line)?;
    }
    if begun { Err(format!("the input ends before {}", lmdb::HEADER_END).into()) } else { Ok(None) }
}
