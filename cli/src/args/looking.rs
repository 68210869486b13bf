//! The arguments of the commands that look at a file page by page.

use clap::Args as Arguments;

pub(super) const PAGE_EXAMPLES: &str = "\
Names every byte of the page as docs/format.md does, compares the checksum, and prints the bytes with a |
between fields. Damaged and unused pages are explained as far as they go. Takes no lock.

Examples:
  mapleaf app.leaf page 0
  mapleaf app.leaf page 77 --json";

#[derive(Arguments, Debug)]
pub(crate) struct Page {
    /// Its number, from 0
    #[arg(value_name = "N")]
    pub(crate) page: u32,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

pub(super) const TREE_EXAMPLES: &str = "\
Shows the state of the last checkpoint, upper levels first. Takes no lock.

Examples:
  mapleaf app.leaf tree users
  mapleaf app.leaf tree users --dot --limit 50 | dot -Tsvg > users.svg
  mapleaf app.leaf tree --names";

#[derive(Arguments, Debug)]
pub(crate) struct TreeShape {
    /// The tree
    #[arg(value_name = "TREE", default_value = "main")]
    pub(crate) tree: String,
    /// The tree that holds the names of the others
    #[arg(long, conflicts_with = "tree")]
    pub(crate) names: bool,
    /// Print a drawing for Graphviz
    #[arg(long)]
    pub(crate) dot: bool,
    /// Show at most N pages
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub(crate) limit: usize,
}
