//! The pages below a root, read around whatever is damaged.

use super::report::{Loss, SalvagedTree, Trouble, What};
use crate::error::Result;
use crate::page_file::PageFile;
use mapleaf_btree::{Error as TreeError, HEIGHT_MAX, LooseInner, LooseLeaf};
use mapleaf_pager::{Damage, Error as StoreError, OWNED_BYTES, PageId, TxnId, kind};

/// How much is known about the tree that is walked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// Its record is the state's: all of it should be there, this many pages deep.
    Height(u8),
    /// Nothing leads to it: what was written after its parent, or is another's, is not its own.
    None,
}

/// A page yet to be read, and which keys it should hold.
struct Step {
    page: PageId,
    /// Pages from the root to it, both included.
    depth: u8,
    /// Born at or before this.
    birth: TxnId,
    from: Option<Vec<u8>>,
    to: Option<Vec<u8>>,
}

/// Calls `leaf` with every readable leaf below `root`, in the order of keys; notes in `tree` what is
/// not readable. Keeps the children of the pages on the way in memory, and one page.
pub(super) fn walk(
    file: &mut PageFile,
    tree: &mut SalvagedTree,
    (root, birth): (PageId, TxnId),
    trust: Trust,
    leaf: &mut dyn FnMut(&mut PageFile, &mut SalvagedTree, &LooseLeaf<'_>, TxnId) -> Result<()>,
) -> Result<()> {
    let mut page = vec![0; file.page_size];
    let mut separator = vec![0; file.page_size];
    let mut steps = vec![Step { page: root, depth: 1, birth, from: None, to: None }];
    while let Some(step) = steps.pop() {
        // What a newer tree has is not lost to this one.
        if trust == Trust::None && step.page.0 >= 2 && file.reached.has(step.page) {
            continue;
        }
        let is_leaf = match trust {
            Trust::Height(height) => step.depth >= height,
            Trust::None => file.header(step.page).is_ok_and(|header| kind::is_leaf(header.kind)),
        };
        let lost = |trouble| Loss {
            what: if is_leaf { What::Leaf } else { What::Subtree },
            page: step.page,
            trouble,
            from: step.from.clone(),
            to: step.to.clone(),
        };
        let facts = match file.read_tree_page(step.page, step.birth, &mut page) {
            Ok(facts) => facts,
            Err(trouble) => {
                tree.lose(lost(trouble));
                continue;
            }
        };
        let body = page.get(OWNED_BYTES..).unwrap_or(&[]);
        // A page of the state may be younger than its parent only by a mistake; but it is the state's.
        let birth = if trust == Trust::None { facts.birth } else { birth };
        if is_leaf {
            match read_leaf(&step, body) {
                Ok(found) => leaf(file, tree, &found, birth)?,
                Err(error) => tree.lose(lost(trouble(error))),
            }
        } else if usize::from(step.depth) >= HEIGHT_MAX {
            tree.lose(lost(Trouble::Damaged(Damage::Depth)));
        } else {
            match children(&step, body, birth, &mut separator) {
                Ok(children) => steps.extend(children.into_iter().rev()),
                Err(error) => tree.lose(lost(trouble(error))),
            }
        }
    }
    Ok(())
}

/// What an error of the tree layer says about a page.
pub(super) fn trouble(error: TreeError) -> Trouble {
    match error {
        TreeError::Pager(StoreError::Corrupt { damage, .. }) => Trouble::Damaged(damage),
        _ => Trouble::Damaged(Damage::Layout),
    }
}

/// The leaf, if its keys are those that the pages above say: else it is another's.
fn read_leaf<'b>(step: &Step, body: &'b [u8]) -> Result<LooseLeaf<'b>, TreeError> {
    let leaf = LooseLeaf::read(step.page, body)?;
    let Some(last) = leaf.len().checked_sub(1) else {
        return Err(TreeError::corrupt(step.page, Damage::Layout));
    };
    let (first, last) = (leaf.entry(0)?.0, leaf.entry(last)?.0);
    let above = step.from.as_ref().is_none_or(|from| first.cmp_bytes(from).is_ge());
    let below = step.to.as_ref().is_none_or(|to| last.cmp_bytes(to).is_lt());
    if above && below { Ok(leaf) } else { Err(TreeError::corrupt(step.page, Damage::Order)) }
}

/// The children of an inner page, if its separators are those that the pages above say.
fn children(
    step: &Step,
    body: &[u8],
    birth: TxnId,
    separator: &mut [u8],
) -> Result<Vec<Step>, TreeError> {
    let inner = LooseInner::read(step.page, body)?;
    let mut children = Vec::with_capacity(inner.children());
    let mut from = step.from.clone();
    for i in 0..inner.children() {
        let to = if i + 1 < inner.children() {
            Some(inner.separator(i, separator)?.to_vec())
        } else {
            step.to.clone()
        };
        if from.is_some() && to.is_some() && from >= to {
            return Err(TreeError::corrupt(step.page, Damage::Order));
        }
        let page = inner.child(i)?;
        children.push(Step { page, depth: step.depth + 1, birth, from, to: to.clone() });
        from = to;
    }
    Ok(children)
}
