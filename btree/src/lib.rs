//! The B+tree of the mapleaf store: ordered, copy-on-write, in pages that a mapping lends.
//!
//! `no_std`, no heap, no unsafe code. Above the pager: [`Tree`] reads one tree of any state,
//! [`Catalog`] finds trees by name, [`Writer`] changes them in the one write transaction, [`check`]
//! proves a state sound.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(test)]
extern crate std;

mod bounds;
mod catalog;
mod check;
mod cursor;
mod cursor_mut;
mod edit;
mod error;
mod key;
mod node;
mod open_trees;
mod path;
mod place;
mod range;
mod record;
mod redo;
mod tree;
mod tree_mut;
mod writer;

pub use bounds::{KeyBound, KeyRange};
pub use catalog::{Catalog, TreeNames};
pub use check::{CheckReport, CheckVisitor, Finding, ReachSet, check};
pub use cursor::Cursor;
pub use cursor_mut::CursorMut;
pub use error::{Error, Result};
pub use key::Key;
pub use range::Range;
pub use record::{HEIGHT_MAX, RECORD_BYTES, TreeRecord};
pub use redo::{Replayer, apply};
pub use tree::{Entry, Tree};
pub use tree_mut::TreeMut;
pub use writer::{NAME_BYTES_MAX, Savepoint, TREES_MAX, TreeHandle, TreeOptions, Writer};
