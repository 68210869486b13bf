//! Pages, metas, commits, space and snapshots of the mapleaf store, over a small mapping trait.
//!
//! `no_std`, no heap. The crate knows no file, clock, thread or tree: the tree layer's root data and
//! redo records are opaque bytes here.
#![no_std]
#![deny(unsafe_code)]

#[cfg(test)]
extern crate std;

mod error;
mod ids;
mod mapping;
mod page;
mod pages;
mod snapshot;
mod txn;

pub use error::{Damage, Error, Result, Unsupported};
pub use ids::{PageId, TxnId};
pub use mapping::{Advice, Bytes, Mapping};
pub use page::{HEADER_BYTES, OWNED_BYTES, PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX, PAGE_SIZE_MIN, kind};
pub use pages::{Pages, ROOT_BYTES, Root};
pub use snapshot::Snapshot;
pub use txn::{Durability, Part, Savepoint, WriteTxn};
