//! The new store, and entries on their way into it.

use super::report::{Loss, Origin, SalvagedTree, Trouble, What};
use crate::database::Database;
use crate::error::Result;
use crate::page_file::PageFile;
use crate::write::WriteTxn;
use mapleaf_btree::{
    Error as TreeError, Key, LogSlots, LooseLeaf, LooseValue, TreeHandle, TreeOptions, TreeRecord,
};
use mapleaf_pager::{Damage, Durability, PageId, TxnId};

/// Bytes of keys and values in one transaction.
const BATCH_BYTES: usize = 16 << 20;

/// Names of trees whose own name is lost: this and a number.
const LOST_AND_FOUND: &str = "lost+found/";

/// Puts entries into one tree after the other.
pub(super) struct Sink<'db> {
    db: &'db Database,
    txn: Option<(WriteTxn<'db>, TreeHandle)>,
    /// Bytes in the transaction.
    pending: usize,
    key: Vec<u8>,
    value: Vec<u8>,
    numbered: u64,
}

impl<'db> Sink<'db> {
    pub(super) fn new(db: &'db Database) -> Sink<'db> {
        Sink { db, txn: None, pending: 0, key: Vec::new(), value: Vec::new(), numbered: 0 }
    }

    /// The transaction, in which the tree is there.
    fn txn(&mut self, name: &str, like: &TreeRecord) -> Result<&mut (WriteTxn<'db>, TreeHandle)> {
        if self.txn.is_none() {
            let mut txn = self.db.write()?;
            let options = TreeOptions::default().tag(like.tag);
            let tree = match (txn.open(name), like.fixed) {
                (Err(TreeError::NoSuchTree), Some(width)) => {
                    let fixed = options.fixed_width(width.key_bytes, width.value_bytes);
                    match txn.create_with(name, fixed) {
                        // No tree can have had such entries.
                        Err(TreeError::WidthTooLarge { .. }) => txn.create_with(name, options)?,
                        other => other?,
                    }
                }
                (Err(TreeError::NoSuchTree), None) => txn.create_with(name, options)?,
                (other, _) => other?,
            };
            self.txn = Some((txn, tree));
        }
        match &mut self.txn {
            Some(txn) => Ok(txn),
            None => Err(TreeError::NoSuchTree.into()),
        }
    }

    /// Makes a tree with this one's tag and sizes, though it be empty.
    pub(super) fn create(&mut self, name: &str, like: &TreeRecord) -> Result<()> {
        self.txn(name, like).map(drop)?;
        self.commit()
    }

    /// Whether there is a tree of that name.
    pub(super) fn has(&self, name: &str) -> Result<bool> {
        match self.db.read()?.tree(name) {
            Ok(_) => Ok(true),
            Err(TreeError::NoSuchTree) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// A name for a tree that has lost its own.
    pub(super) fn found_name(&mut self) -> Result<String> {
        loop {
            self.numbered += 1;
            let name = format!("{LOST_AND_FOUND}{}", self.numbered);
            if !self.has(&name)? {
                return Ok(name);
            }
        }
    }

    /// Copies the entries of a leaf. Of the leaves that nothing leads to the newest come first, and
    /// what is there already is newer.
    pub(super) fn leaf(
        &mut self,
        file: &mut PageFile,
        tree: &mut SalvagedTree,
        leaf: &LooseLeaf<'_>,
        birth: TxnId,
    ) -> Result<()> {
        for i in 0..leaf.len() {
            let (key, value) = leaf.entry(i)?;
            self.entry(file, tree, leaf.page(), (&key, value), birth)?;
        }
        if self.pending >= BATCH_BYTES {
            self.commit()?;
        }
        Ok(())
    }

    fn entry(
        &mut self,
        file: &mut PageFile,
        tree: &mut SalvagedTree,
        leaf: PageId,
        (key, value): (&Key<'_>, LooseValue<'_>),
        birth: TxnId,
    ) -> Result<()> {
        let mut bytes = core::mem::take(&mut self.key);
        bytes.clear();
        key.parts().into_iter().for_each(|part| bytes.extend_from_slice(part));
        let mut large = core::mem::take(&mut self.value);
        let found = match value {
            LooseValue::Inline(value) => Ok(value),
            LooseValue::Run { page, len_bytes } => file
                .read_run(page, len_bytes, birth, &mut large)
                .map(|()| large.get(mapleaf_pager::HEADER_BYTES..).unwrap_or(&[]))
                .map_err(|trouble| (page, trouble)),
        };
        match found {
            Ok(value) => {
                let (txn, handle) = self.txn(&tree.name, &TreeRecord::default())?;
                let mut to = txn.tree(*handle)?;
                let stored = match tree.origin {
                    Origin::Leaves => to.insert_if_absent(&bytes, value),
                    _ => to.insert(&bytes, value).map(|replaced| !replaced),
                };
                match stored {
                    // A leaf of another tree's sizes.
                    Err(TreeError::WrongWidth { .. }) => {
                        let (what, trouble) =
                            (What::Value(bytes.clone()), Trouble::Damaged(Damage::Layout));
                        tree.lose(Loss { what, page: leaf, trouble, from: None, to: None });
                    }
                    stored => tree.entries += u64::from(stored?),
                }
                self.pending += bytes.len() + value.len();
            }
            Err((page, trouble)) => {
                let what = What::Value(bytes.clone());
                tree.lose(Loss { what, page, trouble, from: None, to: None });
            }
        }
        (self.key, self.value) = (bytes, large);
        Ok(())
    }

    /// Ends the transaction. The store need not survive power loss before it is complete.
    pub(super) fn commit(&mut self) -> Result<()> {
        self.pending = 0;
        match self.txn.take() {
            Some((txn, _)) => txn.commit_with(Durability::Eventual).map(drop),
            None => Ok(()),
        }
    }

    /// Applies what the log holds to what was copied; how many transactions, and whether all of it.
    pub(super) fn apply(&mut self, log: mapleaf_pager::RedoLog<'_>) -> Result<(u64, bool)> {
        let (mut transactions, mut whole) = (0, true);
        let mut txn = self.db.write()?;
        let mut slots = LogSlots::new();
        for step in log {
            match step {
                Ok(mapleaf_pager::Redo::Begin(_)) => {
                    slots = LogSlots::new();
                    transactions += 1;
                }
                Ok(mapleaf_pager::Redo::Record(record)) => {
                    mapleaf_btree::apply_to_remains(txn.writer_mut(), &mut slots, record)?;
                }
                Err(_) => whole = false,
            }
        }
        txn.commit_with(Durability::Eventual)?;
        Ok((transactions, whole))
    }

    /// The names of the trees that there are.
    pub(super) fn names(&self) -> Result<Vec<String>> {
        let read = self.db.read()?;
        let names = read.trees()?.map(|tree| {
            let (name, _) = tree?;
            Ok(String::from_utf8_lossy(&name.to_vec()).into_owned())
        });
        names.collect()
    }

    /// Entries of a tree as it is now.
    pub(super) fn entries(&self, name: &str) -> Result<Option<u64>> {
        match self.db.read()?.tree(name) {
            Ok(tree) => Ok(Some(tree.len())),
            Err(TreeError::NoSuchTree) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// The loss of a whole tree.
pub(super) fn no_tree(page: PageId, trouble: super::report::Trouble) -> Loss {
    Loss { what: What::Tree, page, trouble, from: None, to: None }
}
