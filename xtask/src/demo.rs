//! The README's main job: the paths of a file tree, loaded, read back and checked.

#![allow(unsafe_code)] // Opens a mapped database that this run has made.

use crate::names::{Counts, write_names};
use crate::process::{build_command, output};
use crate::{Result, data};
use mapleaf::{Create, Database};
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// Entries that are loaded at least.
const ENTRIES_MIN: u64 = 200_000;
/// Lookups through the command, a process each.
const LOOKUPS_BY_COMMAND: usize = 10;
/// The prefix that is scanned.
const PREFIX: &[u8] = b"/usr/";

/// Writes to a file and to the command at once.
struct Tee<A, B>(A, B);

impl<A: Write, B: Write> Write for Tee<A, B> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write_all(bytes)?;
        self.1.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()?;
        self.1.flush()
    }
}

/// Runs the job in a directory of its own below `parent`.
pub(crate) fn run(parent: PathBuf) -> Result<bool> {
    let mapleaf = build_command()?;
    let directory = tempfile::Builder::new().prefix("mapleaf-demo-").tempdir_in(parent)?;
    let leaf = directory.path().join("files.leaf");
    let list = directory.path().join("names");

    let start = Instant::now();
    let counts = load(&mapleaf, &leaf, &list)?;
    let total = counts.found + counts.made_up;
    let made_up = match counts.made_up {
        0 => String::new(),
        some => format!(" ({some} of them made up, since there are only {} files)", counts.found),
    };
    println!("find / -xdev | mapleaf files.leaf load --format lines -");
    let seconds = start.elapsed().as_secs_f64();
    println!("  {total} paths{made_up} in {seconds:.2} s, {:.0} a second", total as f64 / seconds);

    // The last line of a path is the one that counts.
    let text = std::fs::read(&list)?;
    let lines = text.strip_suffix(b"\n").unwrap_or(&text).split(|byte| *byte == b'\n');
    let expected: HashMap<&[u8], u64> = lines.zip(1..).collect();
    lookups_by_command(&mapleaf, &leaf, &expected)?;
    lookups_by_library(&leaf, &expected)?;
    scan(&mapleaf, &leaf, &expected)?;

    let start = Instant::now();
    output(Command::new(&mapleaf).arg(&leaf).arg("check"))?;
    println!("mapleaf files.leaf check");
    let mib = std::fs::metadata(&leaf)?.len() as f64 / f64::from(1 << 20);
    println!("  sound: {mib:.1} MiB in {:.2} s", start.elapsed().as_secs_f64());
    Ok(true)
}

/// Pipes `find` through the command; what went through stands in `list`, too.
fn load(mapleaf: &Path, leaf: &Path, list: &Path) -> Result<Counts> {
    let mut load = Command::new(mapleaf);
    load.arg(leaf).args(["load", "--format", "lines", "-"]).stdin(Stdio::piped());
    let mut load = load.stdout(Stdio::null()).spawn()?;
    let pipe = load.stdin.take().ok_or("the command has no input")?;
    let mut tee = Tee(BufWriter::new(pipe), BufWriter::new(File::create(list)?));
    let counts = write_names(ENTRIES_MIN, &mut tee)?;
    tee.flush()?;
    drop(tee);
    if load.wait()?.success() { Ok(counts) } else { Err("the load failed".into()) }
}

fn lookups_by_command(mapleaf: &Path, leaf: &Path, expected: &HashMap<&[u8], u64>) -> Result<()> {
    use std::os::unix::ffi::OsStrExt as _;
    let plain = |key: &&&[u8]| key.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'\\');
    let step = (expected.len() / 1000).max(1);
    for key in expected.keys().step_by(step).filter(plain).take(LOOKUPS_BY_COMMAND) {
        let mut get = Command::new(mapleaf);
        get.arg(leaf).arg("get").arg(std::ffi::OsStr::from_bytes(key));
        let printed = output(&mut get)?;
        if printed.trim_ascii() != expected[*key].to_string().as_bytes() {
            return Err(format!("get {}: another value", key.escape_ascii()).into());
        }
    }
    Ok(())
}

fn lookups_by_library(leaf: &Path, expected: &HashMap<&[u8], u64>) -> Result<()> {
    let start = Instant::now();
    // SAFETY: this run made the file, and the command has closed it.
    let db = unsafe { Database::builder().create(Create::Never).open(leaf) }?;
    let opened = start.elapsed();
    let snapshot = db.read()?;
    let names: Vec<String> = snapshot
        .trees()?
        .map(|tree| Ok(String::from_utf8_lossy(&tree?.0.to_vec()).into_owned()))
        .collect::<Result<_, mapleaf::TreeError>>()?;
    let tree = snapshot.tree(names.first().ok_or("there is no tree")?)?;
    let keys: Vec<&[u8]> = expected.keys().copied().collect();
    let numbers = data::shuffled(keys.len() as u64, 1);
    let start = Instant::now();
    let mut found = Vec::with_capacity(keys.len());
    for number in &numbers {
        found.push(tree.get(keys[*number as usize])?);
    }
    let took = start.elapsed();
    for (number, value) in numbers.iter().zip(found) {
        let key = keys[*number as usize];
        if value != Some(expected[key].to_string().as_bytes()) {
            return Err(format!("{}: another value", key.escape_ascii()).into());
        }
    }
    println!("reopened in {:.1} ms", opened.as_secs_f64() * 1e3);
    let each = took.as_nanos() as f64 / keys.len() as f64;
    println!("  {} random lookups, {each:.0} ns each, all right", keys.len());
    Ok(())
}

fn scan(mapleaf: &Path, leaf: &Path, expected: &HashMap<&[u8], u64>) -> Result<()> {
    let prefix = String::from_utf8_lossy(PREFIX).into_owned();
    let start = Instant::now();
    let mut scan = Command::new(mapleaf);
    scan.arg(leaf).args(["scan", "--keys-only", "--prefix", &prefix]);
    let printed = output(&mut scan)?;
    let took = start.elapsed();
    let mut wanted: Vec<&[u8]> =
        expected.keys().copied().filter(|key| key.starts_with(PREFIX)).collect();
    wanted.sort_unstable();
    let lines = printed.iter().filter(|byte| **byte == b'\n').count();
    if lines != wanted.len() {
        return Err(format!("the scan printed {lines} keys, expected {}", wanted.len()).into());
    }
    println!("mapleaf files.leaf scan --keys-only --prefix {prefix}");
    println!("  {lines} keys in {:.2} s", took.as_secs_f64());
    Ok(())
}
