//! Pages, metas, commits, space and snapshots of the mapleaf store, over a small mapping trait.
//!
//! `no_std`, no heap. The crate knows no file, clock, thread or tree: the tree layer's root data and
//! redo records are opaque bytes here.
#![no_std]
#![deny(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(test)]
extern crate std;

mod checkpoint;
mod chosen;
mod close;
mod commit;
mod error;
mod explain;
pub mod features;
mod hash;
mod ids;
mod inspect;
mod log;
mod loose;
mod making;
mod mapping;
mod meta;
mod options;
#[cfg(feature = "alloc")]
mod owned;
mod page;
mod pages;
mod pins;
#[doc(hidden)]
pub mod planted;
mod reading;
mod rebuild;
mod recover;
mod remains;
mod residency;
mod room;
mod running;
mod savepoint;
mod scrub;
mod shared;
mod slice;
mod snapshot;
mod space;
mod stats;
mod store;
mod stored;
mod tail;
mod txn;
mod txn_pages;
mod verify;
mod view;
mod waitless;

pub use close::PackTrees;
pub use error::{Damage, Error, Result, Unsupported};
pub use explain::{Field, FieldValue, Fields, explain_meta, explain_page, page_checksum};
pub use ids::{PageId, TxnId};
pub use inspect::{Inspection, PageUse};
pub use log::{Redo, RedoLog};
pub use loose::{LooseMeta, LoosePage, META_BYTES_MAX, run_extent, verify_sealed};
pub use making::is_unmade;
pub use mapping::{Advice, Bytes, Mapping};
pub use options::Options;
#[cfg(feature = "alloc")]
pub use owned::OwnedSnapshot;
pub use page::{HEADER_BYTES, OWNED_BYTES, PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX, PAGE_SIZE_MIN, kind};
pub use pages::{Pages, ROOT_BYTES, Root};
pub use rebuild::{Rebuild, Repair};
pub use recover::Replay;
pub use residency::{PageStates, Residency};
pub use scrub::Scrub;
pub use shared::words_for;
pub use slice::SliceMapping;
pub use snapshot::Snapshot;
pub use stats::Stats;
pub use store::Store;
pub use txn::{Durability, Part, Savepoint, WriteTxn};

pub use verify::{Verify, first_touch_words_for};
pub use view::prefetch_bytes;
pub use waitless::Waitless;
