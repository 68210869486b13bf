//! The B+tree of the mapleaf store: ordered, copy-on-write, in pages that a mapping lends.
//!
//! `no_std`, no heap, no unsafe code. Above the pager: [`Tree`] reads one tree of any state,
//! [`Catalog`] finds trees by name, [`Writer`] changes them in the one write transaction, [`check`]
//! proves a state sound.
//!
//! ```
//! use mapleaf_btree::{Catalog, TreeOptions, Writer};
//! use mapleaf_pager::{Durability, Options, SliceMapping, Store};
//! # use core::sync::atomic::AtomicU32;
//! # let mut ram = vec![0u8; 1 << 20];
//! # let words = [const { AtomicU32::new(0) }; mapleaf_pager::words_for(4)];
//! # let options = Options::default().log_bytes(0, 0);
//! let store = Store::create(SliceMapping::empty(&mut ram), words, &options)?;
//! let mut writer = Writer::new(store.begin_write()?)?;
//! let users = writer.create("users", TreeOptions::default())?;
//! writer.tree(users)?.insert(b"ada", b"1815")?;
//! writer.tree(users)?.insert(b"alan", b"1912")?;
//! writer.commit(Durability::Sync)?;
//!
//! let snapshot = store.begin_read(0)?;
//! let users = Catalog::new(&snapshot)?.open("users")?;
//! assert_eq!(users.get(b"ada")?, Some(&b"1815"[..]));
//! for entry in users.range("al"..) {
//!     let (name, born) = entry?;
//!     assert_eq!((name == "alan", born), (true, &b"1912"[..]));
//! }
//! # Ok::<(), mapleaf_btree::Error>(())
//! ```
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(test)]
extern crate std;

mod bounds;
mod catalog;
mod check;
#[cfg(mapleaf_codegen)]
pub mod codegen;
mod cursor;
mod cursor_mut;
mod edit;
mod error;
mod explain;
mod key;
mod loader;
mod loose;
mod many;
mod node;
mod open_trees;
mod pack;
mod path;
mod place;
mod range;
mod record;
mod redo;
mod tree;
mod tree_mut;
mod tree_options;
mod waitless;
mod warm;
mod width;
mod writer;

pub use bounds::{KeyBound, KeyRange};
pub use catalog::{Catalog, TreeNames};
pub use check::{
    CheckReport, CheckVisitor, Finding, ReachSet, ScrubFinding, ScrubVisitor, Scrubbed, check,
    rebuild, scrub,
};
pub use cursor::Cursor;
pub use cursor_mut::CursorMut;
pub use edit::Pending;
pub use error::{Error, Result};
pub use explain::{explain_node, explain_record, explain_redo};
pub use key::Key;
pub use loader::Loader;
pub use loose::{LooseInner, LooseLeaf, LooseStep, LooseValue, loose_step};
pub use open_trees::OpenTrees;
pub use pack::PackTrees;
pub use range::Range;
pub use record::{HEIGHT_MAX, RECORD_BYTES, TreeRecord};
pub use redo::{LogSlots, Replayer, apply, apply_to_remains};
pub use tree::{Entry, Tree};
pub use tree_mut::TreeMut;
pub use tree_options::TreeOptions;
pub use warm::Warmed;
pub use width::FixedWidth;
pub use writer::{NAME_BYTES_MAX, Savepoint, TREES_MAX, TreeHandle, Writer};
