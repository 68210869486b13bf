//! The arguments of `inspect`.

use clap::{Args as Arguments, ValueEnum};
use std::path::PathBuf;

pub(super) const EXAMPLES: &str = "\
Shows the state of the last checkpoint. Takes no lock, so it works beside a program that has the store
open, and on damaged files. Every page is one of meta, log, inner, leaf, value, space, free, pinned; or
unreached, where damage hides what leads to it. Each cell of the picture is a page, or several: then its
colour is that of most of them, the dimmer the more others there are (in letters: a lower-case one).

Keys of --watch: k, b, f, r colour by kind, birth, fill, residency; c the next of these; q ends.

Examples:
  mapleaf app.leaf inspect
  mapleaf app.leaf inspect --color-by residency --watch
  mapleaf app.leaf inspect --color-by fill --svg fill.svg
  mapleaf app.leaf inspect --json";

/// What the colour of a page in a picture says.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum ColorBy {
    /// What it is used for
    #[default]
    Kind,
    /// When it was written, from the oldest transaction to the newest
    Birth,
    /// How full it is
    Fill,
    /// Whether it is in memory
    Residency,
}

#[derive(Arguments, Debug)]
pub(crate) struct Inspect {
    /// What the colours say
    #[arg(long, value_enum, value_name = "WHAT", default_value_t)]
    pub(crate) color_by: ColorBy,
    /// Write the picture to this file (`-`: standard output)
    #[arg(long, value_name = "OUT", conflicts_with_all = ["watch", "json"])]
    pub(crate) svg: Option<PathBuf>,
    /// Draw it anew all the time, until q is pressed
    #[arg(long, conflicts_with = "json")]
    pub(crate) watch: bool,
    /// Look for changes every so many milliseconds
    #[arg(long, value_name = "MS", default_value_t = 500, requires = "watch")]
    #[arg(value_parser = clap::value_parser!(u64).range(20..=60_000))]
    pub(crate) interval: u64,
    /// Print counts as JSON
    #[arg(long)]
    pub(crate) json: bool,
}
