//! The tree that a thread looked up last, so that a program which takes a snapshot for each question does not look
//! for the same name each time.
//!
//! A record belongs to one state of one opening of a database. States are numbered, and no number is given twice in
//! an opening; openings are numbered here. So nothing has to be forgotten: what is remembered of another state is
//! not found. It is the thread's own: no lock, and nothing shared.

use crate::read::ReadTree;
use mapleaf_btree::{Catalog, Result, Tree, TreeRecord};
use mapleaf_pager::{Pages, Snapshot, TxnId};
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Longer names are looked up each time.
const NAME_BYTES_MAX: usize = 31;

/// A name, padded with zeros, and its length: equal where the names are.
type ShortName = ([u8; NAME_BYTES_MAX], u8);

/// What was found last.
#[derive(Clone, Copy)]
struct Remembered {
    opening: Opening,
    txn: TxnId,
    name: ShortName,
    record: TreeRecord,
}

thread_local! {
    static LAST: Cell<Option<Remembered>> = const { Cell::new(None) };
}

/// Tells the openings of this process apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Opening(usize);

impl Opening {
    pub(crate) fn new() -> Opening {
        static OPENINGS: AtomicUsize = AtomicUsize::new(0);
        Opening(OPENINGS.fetch_add(1, Ordering::Relaxed))
    }

    /// The tree `name` of a snapshot of this opening.
    pub(crate) fn tree<'a>(self, snapshot: &'a Snapshot<'a>, name: &str) -> Result<ReadTree<'a>> {
        // Whoever has each page compared has that of the names compared, too.
        let short = if snapshot.careful() { None } else { short(name) };
        let Some(short) = short else { return Catalog::new(snapshot)?.open(name) };
        let txn = snapshot.txn();
        let last = LAST.try_with(Cell::get).ok().flatten();
        if let Some(last) = last
            && last.txn == txn
            && last.opening == self
            && last.name == short
        {
            return Ok(Tree::open(snapshot, last.record));
        }
        let tree = Catalog::new(snapshot)?.open(name)?;
        let found = Remembered { opening: self, txn, name: short, record: tree.record() };
        // A thread that is about to end has nothing to remember.
        let _ = LAST.try_with(|last| last.set(Some(found)));
        Ok(tree)
    }
}

fn short(name: &str) -> Option<ShortName> {
    let mut padded = [0; NAME_BYTES_MAX];
    padded.get_mut(..name.len())?.copy_from_slice(name.as_bytes());
    Some((padded, name.len() as u8))
}
