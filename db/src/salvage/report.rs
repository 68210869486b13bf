//! What a salvage copied, and what it could not.

use mapleaf_pager::{Damage, PageId, TxnId};
use std::fmt;

/// Losses that are listed for a tree; the rest are counted.
const LISTED_MAX: usize = 1000;

/// Why something could not be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Trouble {
    /// The bytes are damaged.
    Damaged(Damage),
    /// The system does not deliver them: its error number, 0 if it has none.
    Unreadable(i32),
    /// The file ends before.
    CutOff,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Damaged(damage) => damage.fmt(f),
            Trouble::Unreadable(code) => write!(f, "it cannot be read (error {code})"),
            Trouble::CutOff => f.write_str("the file ends before it"),
        }
    }
}

/// What was lost at one place.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum What {
    /// A leaf with its entries.
    Leaf,
    /// An inner page, and all that only it leads to.
    Subtree,
    /// The large value of this key.
    Value(Vec<u8>),
    /// The tree itself: the names have no usable record of it.
    Tree,
}

/// One loss.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Loss {
    /// What was lost.
    pub what: What,
    /// The damaged page; [`PageId::NONE`] where it is none.
    pub page: PageId,
    /// What is wrong with it.
    pub trouble: Trouble,
    /// Keys from here on are lost (for a leaf or subtree); `None`: from the tree's first.
    pub from: Option<Vec<u8>>,
    /// Keys below are lost; `None`: to the tree's last.
    pub to: Option<Vec<u8>>,
}

/// Where a tree's entries come from.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Origin {
    /// The tree of this name in the state.
    Named,
    /// Pages below a name that was found on a page of names which nothing leads to any more.
    FoundName,
    /// Pages below an inner page, or a leaf, that nothing leads to: `root`, written by `birth`. A page
    /// of names, perhaps an old one, called it `name`.
    Orphan {
        /// The page.
        root: PageId,
        /// The transaction that wrote it.
        birth: TxnId,
        /// What it was called, if that is known.
        name: Option<String>,
    },
    /// Leaves that nothing leads to, of any tree: of each key the entry that was written last.
    Leaves,
}

/// What was copied of one tree.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct SalvagedTree {
    /// Its name in the new store.
    pub name: String,
    /// Where its entries come from.
    pub origin: Origin,
    /// Entries copied.
    pub entries: u64,
    /// Entries that it had, by its record.
    pub recorded: Option<u64>,
    /// Losses.
    pub losses: u64,
    /// The first thousand of them.
    pub lost: Vec<Loss>,
}

impl SalvagedTree {
    pub(super) fn new(name: String, origin: Origin, recorded: Option<u64>) -> SalvagedTree {
        SalvagedTree { name, origin, entries: 0, recorded, losses: 0, lost: Vec::new() }
    }

    pub(super) fn lose(&mut self, loss: Loss) {
        self.losses += 1;
        if self.lost.len() < LISTED_MAX {
            self.lost.push(loss);
        }
    }

    /// Whether something below inner pages is lost, which may be somewhere else in the file.
    pub(super) fn hides(&self) -> bool {
        self.losses > self.lost.len() as u64
            || self.lost.iter().any(|loss| matches!(loss.what, What::Subtree | What::Tree))
    }
}

/// What a salvage did; see [`Salvage::copy_to`](super::Salvage::copy_to).
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct SalvageReport {
    /// Page size in bytes.
    pub page_size: u64,
    /// Pages in the file.
    pub pages: u64,
    /// Which of the two slots hold a whole meta.
    pub metas_whole: [bool; 2],
    /// The transaction whose state was copied; `None` where no meta is whole.
    pub txn: Option<TxnId>,
    /// What was lost of the names of trees.
    pub names: Vec<Loss>,
    /// Trees in the new store.
    pub trees: Vec<SalvagedTree>,
    /// Transactions behind the state that the log had, and that were applied.
    pub log_transactions: u64,
    /// The log, or part of it, could not be read or applied, or shows that transactions are missing.
    pub log_lost: bool,
    /// Pages that nothing leads to were looked for all over the file.
    pub scanned: bool,
    /// Free pages could be told from lost ones: what was found is not out of date.
    pub free_pages_known: bool,
}

impl SalvageReport {
    /// Whether all that was committed is in the new store, as far as the file can show it.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let whole = |tree: &SalvagedTree| tree.losses == 0 && tree.origin == Origin::Named;
        self.metas_whole == [true; 2]
            && self.names.is_empty()
            && !self.log_lost
            && self.trees.iter().all(whole)
    }

    /// Entries copied.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.trees.iter().map(|tree| tree.entries).sum()
    }

    /// Losses of all trees, and of their names.
    #[must_use]
    pub fn losses(&self) -> u64 {
        self.names.len() as u64 + self.trees.iter().map(|tree| tree.losses).sum::<u64>()
    }
}
