//! Moving pages of trees to the front, so that closing can cut the file's end.

use crate::edit::Editor;
use crate::error::Result;
use crate::path::Path;
use crate::writer::NAME_BYTES_MAX;
use crate::{Error, Tree, TreeRecord, Writer};
use core::ops::Bound;
use mapleaf_pager::{Damage, PageId, WriteTxn};

/// Pages of trees that are looked at: what is in use of a file much of which is free is seldom more, and
/// closing must not take long.
const PAGES_MAX: u32 = 1 << 14;
/// Trees that are looked at.
const TREES_LOOKED_AT: usize = 1 << 12;

/// What [`Store::close_packed`](mapleaf_pager::Store::close_packed) asks of the tree layer: moves pages of
/// trees that lie behind a page, as far as a bounded look finds them. Values in runs stay where they are.
#[derive(Clone, Copy, Debug, Default)]
pub struct PackTrees;

impl mapleaf_pager::PackTrees for PackTrees {
    fn pack<'s>(&mut self, txn: WriteTxn<'s>, from: PageId) -> mapleaf_pager::Result<WriteTxn<'s>> {
        pack(txn, from).map_err(|error| match error {
            Error::Pager(error) => error,
            _ => mapleaf_pager::Error::corrupt(PageId::NONE, Damage::Layout),
        })
    }
}

fn pack<'s>(txn: WriteTxn<'s>, from: PageId) -> Result<WriteTxn<'s>> {
    // Nothing is logged: the transaction ends as a checkpoint.
    let mut writer = Writer::replaying(txn)?;
    writer.pack(from)?;
    writer.into_txn()
}

impl Writer<'_> {
    fn pack(&mut self, from: PageId) -> Result<()> {
        let mut left = PAGES_MAX;
        let mut name = [0; NAME_BYTES_MAX];
        let mut len = None;
        for _ in 0..TREES_LOOKED_AT {
            let last = name;
            let after = len.and_then(|len| last.get(..len));
            let Some((next, mut record)) = self.next_name(after, &mut name)? else { break };
            len = Some(next.len());
            let before = record;
            if takes(&mut left, &record) {
                Editor { txn: &mut self.txn, record: &mut record, log: None, hint: None }
                    .pack(from)?;
            }
            if record != before {
                self.store(next, &record)?;
            }
        }
        let catalog = self.names().record;
        if takes(&mut left, catalog) { self.names().pack(from) } else { Ok(()) }
    }

    /// The first name behind `after`, copied, with the tree's record; `None` behind the last, and where it is
    /// longer than this build's names.
    fn next_name<'n>(
        &self,
        after: Option<&[u8]>,
        name: &'n mut [u8],
    ) -> Result<Option<(&'n [u8], TreeRecord)>> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut names =
            Tree::open(&self.txn, self.catalog).range((start, Bound::<&[u8]>::Unbounded));
        let Some((key, value)) = names.next().transpose()? else { return Ok(None) };
        let record = TreeRecord::decode(value)?;
        Ok(key.copy_to(name).map(|name| (name, record)))
    }
}

/// Whether a tree's pages are few enough to be looked at.
fn takes(left: &mut u32, record: &TreeRecord) -> bool {
    let rest = left.checked_sub(record.inner_pages.saturating_add(record.leaf_pages));
    rest.map(|rest| *left = rest).is_some()
}

impl Editor<'_, '_> {
    /// Owns each path to a leaf on which a page lies at `from` or behind it. Changes no entry.
    fn pack(&mut self, from: PageId) -> Result<()> {
        if self.record.height == 0 {
            return Ok(());
        }
        let mut path = Path::new();
        path.down(&*self.txn, self.record.root, usize::from(self.record.height), |_| Ok(0))?;
        for _ in 0..self.record.leaf_pages {
            let mut high = false;
            for level in 0..path.len() {
                high |= path.step(level)?.page >= from;
            }
            if high {
                self.own_path(&mut path)?;
            }
            if path.next_leaf(&*self.txn)?.is_none() {
                break;
            }
        }
        Ok(())
    }
}
