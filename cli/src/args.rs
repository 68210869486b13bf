//! The arguments, and their help.

mod examples;
#[cfg(feature = "inspect")]
mod inspect;
mod looking;

#[cfg(feature = "inspect")]
pub(crate) use inspect::{ColorBy, Inspect};
pub(crate) use looking::{Page, TreeShape};

use clap::{Args as Arguments, Parser, Subcommand, ValueEnum};
use examples::{
    CHECK_EXAMPLES, COPY_EXAMPLES, COUNT_EXAMPLES, DEL_EXAMPLES, DUMP_EXAMPLES, GET_EXAMPLES,
    LOAD_EXAMPLES, PUT_EXAMPLES, SALVAGE_EXAMPLES, SCAN_EXAMPLES, SCRUB_EXAMPLES, STAT_EXAMPLES,
    TREES_EXAMPLES,
};
use looking::{PAGE_EXAMPLES, TREE_EXAMPLES};
use std::ffi::OsString;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  find / -xdev | mapleaf files.leaf load --format lines -
  mapleaf files.leaf scan --prefix /usr/bin/ --keys-only --limit 5
  mapleaf app.leaf put --tree users ada 1815
  mapleaf app.leaf get --tree users ada
  mapleaf app.leaf scan --tree users --from a --to b --json
  mapleaf app.leaf check
  mapleaf app.leaf scrub --rate 50
  mapleaf app.leaf copy backup.leaf
  mapleaf app.leaf inspect --watch
  mdb_dump old.lmdb | mapleaf new.leaf load --format lmdb-dump -
  mapleaf new.leaf dump | mdb_load -n back.lmdb
  mapleaf lab --quick    (no store: measures page faults, calls and write-back here; see help lab)

Bytes that are not text print as \\xNN, a backslash as \\\\, a tab as \\t, a line's end as \\n; keys and
values are read the same way. `--raw` prints and reads bytes as they are.

Exit codes:
  0  done
  1  not found (get, del, a tree), damage found (check, scrub), or something lost (salvage)
  2  wrong usage, nothing to be salvaged, or a scrub that failed
  3  any other error: input that cannot be read, a full disk, a file in use";

/// Keys and values in one file, in order.
#[derive(Parser, Debug)]
#[command(name = "mapleaf", version, about, after_help = EXAMPLES)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Args {
    /// The store: one file. `load` and `put` make it where there is none. (One called lab or help is ./lab or
    /// ./help.)
    #[arg(value_name = "STORE")]
    pub(crate) store: PathBuf,
    /// Compare checksums before anything is printed or changed: of each page the first time it is read, or
    /// always. What is damaged is then an error, never an answer
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t = When::None)]
    pub(crate) verify: When,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// When checksums are compared.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum When {
    /// Never
    None,
    /// The first time a page is read
    First,
    /// Each time
    Always,
}

impl From<When> for mapleaf::Verify {
    fn from(when: When) -> mapleaf::Verify {
        match when {
            When::None => mapleaf::Verify::None,
            When::First => mapleaf::Verify::FirstTouch,
            When::Always => mapleaf::Verify::Always,
        }
    }
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Store entries from a file or the standard input
    #[command(after_help = LOAD_EXAMPLES)]
    Load(Load),
    /// Print the value of a key
    #[command(after_help = GET_EXAMPLES)]
    Get(Get),
    /// Store a value under a key
    #[command(after_help = PUT_EXAMPLES)]
    Put(Put),
    /// Remove keys
    #[command(after_help = DEL_EXAMPLES)]
    Del(Del),
    /// Print entries in the order of their keys
    #[command(after_help = SCAN_EXAMPLES)]
    Scan(Scan),
    /// Count entries
    #[command(after_help = COUNT_EXAMPLES)]
    Count(Count),
    /// List the trees
    #[command(after_help = TREES_EXAMPLES)]
    Trees(Plain),
    /// Print figures: pages by kind, fill, depth, free pages, log, file size
    #[command(after_help = STAT_EXAMPLES)]
    Stat(Stat),
    /// Read every page and prove the store sound
    #[command(after_help = CHECK_EXAMPLES)]
    Check(Check),
    /// Read every page in use and compare its checksum
    #[command(after_help = SCRUB_EXAMPLES)]
    Scrub(Scrub),
    /// Copy the store into a new one, as small as can be
    #[command(after_help = COPY_EXAMPLES)]
    Copy(Copy),
    /// Copy what can be read of a damaged store into a new one
    #[command(after_help = SALVAGE_EXAMPLES)]
    Salvage(Salvage),
    /// Print the store in the text format of LMDB's mdb_dump
    #[command(after_help = DUMP_EXAMPLES)]
    Dump(Dump),
    /// Draw every page of the file by what it is used for, its birth, fill, or residency
    #[cfg(feature = "inspect")]
    #[command(after_help = inspect::EXAMPLES)]
    Inspect(Inspect),
    /// Explain one page byte by byte
    #[command(after_help = PAGE_EXAMPLES)]
    Page(Page),
    /// Show the pages of a tree, also as a drawing
    #[command(after_help = TREE_EXAMPLES)]
    Tree(TreeShape),
}

#[derive(Arguments, Debug)]
pub(crate) struct Load {
    /// The tree; for an LMDB dump the one for databases without a name
    #[arg(long, value_name = "TREE", default_value = "main")]
    pub(crate) tree: String,
    /// How the input is written
    #[arg(long, value_enum, default_value_t = Format::Tsv)]
    pub(crate) format: Format,
    /// Commit after every N entries, instead of once at the end
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) batch: Option<u64>,
    /// Say after each commit how many entries are committed
    #[arg(long, short)]
    pub(crate) verbose: bool,
    /// Print what was done as JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// The input; - is the standard input
    #[arg(value_name = "FILE", default_value = "-")]
    pub(crate) input: PathBuf,
}

/// What the text that is loaded looks like.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// Key, tab, value
    Tsv,
    /// Each line a key
    Lines,
    /// The text format of LMDB's mdb_dump
    LmdbDump,
}

#[derive(Arguments, Debug)]
pub(crate) struct Get {
    /// The tree
    #[arg(long, value_name = "TREE", default_value = "main")]
    pub(crate) tree: String,
    /// Take the key and print the value as they are: no \xNN, and no line end behind the value
    #[arg(long)]
    pub(crate) raw: bool,
    /// Print JSON
    #[arg(long, conflicts_with = "raw")]
    pub(crate) json: bool,
    /// The key
    pub(crate) key: OsString,
}

#[derive(Arguments, Debug)]
pub(crate) struct Put {
    /// The tree; made where there is none
    #[arg(long, value_name = "TREE", default_value = "main")]
    pub(crate) tree: String,
    /// Take key and value as they are: no \xNN
    #[arg(long)]
    pub(crate) raw: bool,
    /// Take the value from this file, as it is; - is the standard input
    #[arg(long, value_name = "FILE", conflicts_with = "value")]
    pub(crate) file: Option<PathBuf>,
    /// Print what was done as JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// The key
    pub(crate) key: OsString,
    /// The value
    #[arg(required_unless_present = "file")]
    pub(crate) value: Option<OsString>,
}

#[derive(Arguments, Debug)]
pub(crate) struct Del {
    /// The tree
    #[arg(long, value_name = "TREE", default_value = "main")]
    pub(crate) tree: String,
    /// Take keys as they are: no \xNN
    #[arg(long)]
    pub(crate) raw: bool,
    #[command(flatten)]
    pub(crate) range: Range,
    /// Remove every entry of the tree
    #[arg(long, conflicts_with_all = ["from", "to", "prefix", "keys"])]
    pub(crate) all: bool,
    /// Print what was done as JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// The keys
    #[arg(value_name = "KEY", conflicts_with_all = ["from", "to", "prefix"])]
    #[arg(required_unless_present_any = ["from", "to", "prefix", "all"])]
    pub(crate) keys: Vec<OsString>,
}

/// A range of keys.
#[derive(Arguments, Debug, Default)]
pub(crate) struct Range {
    /// From this key on
    #[arg(long, value_name = "KEY")]
    pub(crate) from: Option<OsString>,
    /// Up to this key, without it
    #[arg(long, value_name = "KEY")]
    pub(crate) to: Option<OsString>,
    /// Keys that start with this
    #[arg(long, value_name = "KEY", conflicts_with_all = ["from", "to"])]
    pub(crate) prefix: Option<OsString>,
}

#[derive(Arguments, Debug)]
pub(crate) struct Scan {
    /// The tree
    #[arg(long, value_name = "TREE", default_value = "main")]
    pub(crate) tree: String,
    #[command(flatten)]
    pub(crate) range: Range,
    /// From the last key to the first
    #[arg(long)]
    pub(crate) reverse: bool,
    /// Print at most N entries
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,
    /// Print keys, one a line
    #[arg(long)]
    pub(crate) keys_only: bool,
    /// Take keys, and print keys and values, as they are: no \xNN
    #[arg(long)]
    pub(crate) raw: bool,
    /// Print an object a line: "key" and "value", or "key_hex" and "value_hex" where they are not UTF-8
    #[arg(long, conflicts_with = "raw")]
    pub(crate) json: bool,
}

#[derive(Arguments, Debug)]
pub(crate) struct Count {
    /// The tree
    #[arg(long, value_name = "TREE", default_value = "main")]
    pub(crate) tree: String,
    #[command(flatten)]
    pub(crate) range: Range,
    /// Take keys as they are: no \xNN
    #[arg(long)]
    pub(crate) raw: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Arguments, Debug)]
pub(crate) struct Plain {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Arguments, Debug)]
pub(crate) struct Check {
    /// Make the free pages anew from what the trees reach, if these are whole
    #[arg(long)]
    pub(crate) repair: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Arguments, Debug)]
pub(crate) struct Stat {
    /// Leave out what only reading every page tells: the fill of the leaves, damage
    #[arg(long)]
    pub(crate) quick: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Arguments, Debug)]
pub(crate) struct Scrub {
    /// Read at most so many megabytes (of 1,000,000 bytes) a second
    #[arg(long, value_name = "MB/S", value_parser = rate)]
    pub(crate) rate: Option<f64>,
    /// First drop what is in memory of the file, so that it is read from the medium
    #[arg(long)]
    pub(crate) evict: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate > 0.0 && rate.is_finite() => Ok(rate),
        _ => Err("it is no number above 0".into()),
    }
}

#[derive(Arguments, Debug)]
pub(crate) struct Copy {
    /// The new store; there must be no such file
    #[arg(value_name = "DEST")]
    pub(crate) dest: PathBuf,
    /// How full its leaves are to be, in percent: 100 for a store that is only read
    #[arg(long, value_name = "N", default_value_t = 90, value_parser = clap::value_parser!(u8).range(40..=100))]
    pub(crate) fill: u8,
    /// Bytes of its pages, a power of two from 4096 to 65536; else as many as this one's have
    #[arg(long, value_name = "BYTES")]
    pub(crate) page_size: Option<u32>,
    /// Print what was done as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Arguments, Debug)]
pub(crate) struct Salvage {
    /// The new store; there must be no such file
    #[arg(value_name = "DEST")]
    pub(crate) dest: PathBuf,
    /// Print what was copied and lost as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Arguments, Debug)]
pub(crate) struct Dump {
    /// This tree only
    #[arg(long, value_name = "TREE")]
    pub(crate) tree: Option<String>,
    /// Print printable ASCII as it is, instead of everything as hexadecimal digits
    #[arg(long, short)]
    pub(crate) print: bool,
}
