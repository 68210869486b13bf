//! An embedded, ordered, transactional key-value store whose file *is* its memory.
//!
//! A [`Database`] is one file (or a piece of memory) with any number of named trees. A tree maps keys
//! to values, both byte strings, in the order of the keys' bytes. One writer and any number of readers
//! work at the same time: readers see the state as it was committed when they began, take no lock and
//! never wait.
//!
//! ```
//! # let dir = tempfile::tempdir()?;
//! # let path = dir.path().join("app.leaf");
//! // SAFETY: mapleaf wrote the file, and nothing else changes it while it is open.
//! let db = unsafe { mapleaf::Database::open(&path) }?;
//!
//! let mut txn = db.write()?;
//! let mut users = txn.tree("users")?;
//! users.insert(b"ada", b"1815")?;
//! users.insert(b"alan", b"1912")?;
//! txn.commit()?; // durable: it survives power loss, after one barrier
//!
//! let snap = db.read()?;
//! let users = snap.tree("users")?;
//! assert_eq!(users.get(b"ada")?, Some(&b"1815"[..])); // borrowed from the mapping, not copied
//! for entry in users.range("a".."b") {
//!     let (key, value) = entry?;
//!     println!("{key:?} {value:?}");
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Opening
//! | | memory | safe | where |
//! |---|---|---|---|
//! | [`Database::open`] | the page cache's, through a mapping | no: it trusts the file | Linux |
//! | [`Database::open_buffered`] | as much as the file is long | yes: it reads and proves all of it | anywhere |
//! | [`Database::in_memory`] | what is stored | yes | anywhere |
//!
//! [`Database::builder`] has the choices: page size, log, reading only, and what to do where there is
//! no file.
//!
//! # Transactions
//! [`Database::read`] gives a [`ReadTxn`]: a snapshot, whose values borrow from the mapping. It makes no
//! system call and allocates nothing. [`Database::write`] waits for its turn and gives the one
//! [`WriteTxn`]. Dropped without [`commit`](WriteTxn::commit) it leaves no trace.
//!
//! A value cannot outlive its snapshot, nor a tree its transaction: such code does not compile.
//!
//! ```compile_fail
//! # let db = mapleaf::Database::in_memory()?;
//! let snap = db.read()?;
//! let value = snap.tree("users")?.get(b"ada")?;
//! drop(snap);
//! println!("{value:?}"); // the page it lies on may be another one's by now
//! # Ok::<(), mapleaf::Error>(())
//! ```
//!
//! # Several values under one key
//! A key has one value. Where there are several (LMDB's `DUPSORT`, a multimap), what tells them apart goes behind
//! the key, with an end that the key cannot hold; a [prefix](ReadTree::prefix) has all of them, in order.
//!
//! ```
//! # let db = mapleaf::Database::in_memory()?;
//! let mut txn = db.write()?;
//! let mut tags = txn.tree("tags")?;
//! for (tag, post) in [("rust", 9u32), ("rust", 7), ("rusty", 8)] {
//!     tags.insert(&[tag.as_bytes(), b"\0", &post.to_be_bytes()].concat(), b"")?;
//! }
//! txn.commit()?;
//! let snap = db.read()?;
//! let posts = snap.tree("tags")?.prefix(b"rust\0").map(|entry| Ok(entry?.0.to_vec()));
//! let posts = posts.collect::<Result<Vec<_>, mapleaf::Error>>()?;
//! assert_eq!(posts, [b"rust\0\0\0\0\x07", b"rust\0\0\0\0\x09"]);
//! # Ok::<(), mapleaf::Error>(())
//! ```
//!
//! # Removing while walking
//! [`TreeMut::cursor_mut`] walks and removes or replaces what it comes to; [`TreeMut::retain`] does so by a
//! closure, [`TreeMut::remove_range`] by keys, whole pages at a time.
//!
//! # Copies
//! [`Database::copy_to`] copies one state while others read and write: a backup, and a compaction.
//!
//! # Durability
//! [`Durability::Sync`], which [`commit`](WriteTxn::commit) uses, returns once the transaction survives
//! power loss. [`Durability::Eventual`] returns at once; the transaction survives the death of the
//! process, and power loss may take it back, as a whole, to an earlier commit.
//! [`Database::sync`] makes everything committed durable.
#![deny(unsafe_code)]

mod background;
mod buffered;
mod builder;
#[cfg(all(feature = "sigbus-guard", target_os = "linux"))]
mod bus_errors;
mod check;
mod choices;
mod copy;
mod database;
mod entropy;
mod error;
mod group;
mod inspect;
mod lock;
mod memory;
mod misuse;
mod observe;
#[cfg(any(feature = "tracing", feature = "metrics"))]
mod observed;
mod page_file;
mod positioned;
mod read;
mod remembered;
mod repair;
mod reserve;
mod resident;
mod salvage;
mod scrub;
mod share;
mod store;
mod turns;
mod words;
mod write;

pub use builder::{Builder, Create};
pub use check::{CheckReport, Found, PageUses};
pub use copy::CopyReport;
pub use database::{Database, Stats};
pub use error::{Error, Result};
pub use inspect::{
    ExplainedField, ExplainedPage, FieldContent, OutlineNode, PageChecksum, PageFacts, PageKind,
    PageMap, TreeOutline,
};
pub use read::{OwnedReadTxn, ReadTree, ReadTrees, ReadTxn, WaitlessTree};
pub use repair::{RepairOutcome, RepairReport};
pub use salvage::{Loss, Origin, Salvage, SalvageReport, SalvagedTree, Trouble, What};
pub use scrub::{Scar, ScrubReport};
pub use write::{TreeRef, WriteReadTree, WriteTrees, WriteTxn};

pub use mapleaf_btree::{
    Cursor, CursorMut, Entry, Error as TreeError, FixedWidth, Key, KeyBound, KeyRange, Loader,
    NAME_BYTES_MAX, Pending, Range, Savepoint, TREES_MAX, Tree, TreeHandle, TreeMut, TreeOptions,
    TreeRecord, Warmed,
};
pub use mapleaf_pager::{
    Damage, Durability, Error as StoreError, PageId, PageStates, Residency, Stats as StoreStats,
    TxnId, Unsupported, Verify, Waitless,
};
#[cfg(target_os = "linux")]
pub use mapleaf_sys_linux::{Access, Faults, WriteMode};
