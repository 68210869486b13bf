//! A tree, page by page, from its root down: for drawing it.

use super::PageMap;
use super::walk::trouble;
use crate::salvage::Trouble;
use mapleaf_btree::{LooseInner, LooseLeaf, LooseValue, TreeRecord};
use mapleaf_pager::{HEADER_BYTES, OWNED_BYTES, PageId, TxnId};
use std::collections::HashSet;

/// A child, and the separator before it.
type Child = (PageId, Option<Vec<u8>>);

/// A page of a tree.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct OutlineNode {
    /// The page.
    pub page: PageId,
    /// The node that leads to it, as an index into [`TreeOutline::nodes`]; `None` for the root.
    pub parent: Option<usize>,
    /// Whether it is a leaf.
    pub is_leaf: bool,
    /// Entries of a leaf, children of an inner page.
    pub entries: usize,
    /// How much of it is in use, in percent.
    pub fill_percent: u8,
    /// The transaction that claimed it.
    pub birth: TxnId,
    /// Keys of it are at or above this: the separator that leads here; `None`: the first child, or root.
    pub from: Option<Vec<u8>>,
    /// Large values that a leaf leads to, and their pages.
    pub values: u64,
    /// Pages of these values.
    pub value_pages: u64,
    /// Children that the outline leaves out.
    pub children_left_out: usize,
    /// Why the rest is not known.
    pub trouble: Option<Trouble>,
}

/// A tree, level by level.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct TreeOutline {
    /// The tree's record.
    pub record: TreeRecord,
    /// Its pages, parents before children, children in order.
    pub nodes: Vec<OutlineNode>,
    /// Inner pages and leaves, as the record counts them, that the limit left out.
    pub left_out: u64,
}

impl PageMap {
    /// The pages of tree `name` (`""`: of the names of the trees), upper levels first, at most `limit` of
    /// them; `None` where there is no such tree. Reads as many pages.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("app.leaf");
    /// # let db = mapleaf::Database::open_buffered(&path)?;
    /// # let mut txn = db.write()?;
    /// # txn.tree("users")?.insert(b"ada", b"1815")?;
    /// # txn.commit()?;
    /// # db.close()?;
    /// let outline = mapleaf::PageMap::read(&path)?.outline("users", 100).ok_or("no such tree")?;
    /// assert_eq!((outline.nodes.len(), outline.left_out), (1, 0));
    /// assert_eq!(outline.nodes[0].entries, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn outline(&self, name: &str, limit: usize) -> Option<TreeOutline> {
        let (_, record) = self.trees().iter().find(|(tree, _)| tree == name)?;
        let mut outline = TreeOutline { record: *record, nodes: Vec::new(), left_out: 0 };
        // The next pages of a level: their parents, and separators.
        let mut level = Vec::new();
        if record.height > 0 {
            level.push((record.root, None, None));
        }
        let mut seen = HashSet::new();
        let mut depth = 1;
        while !level.is_empty() {
            let is_leaf = depth >= record.height;
            let mut next = Vec::new();
            for (page, parent, from) in level {
                if outline.nodes.len() >= limit {
                    if let Some(parent) = parent.and_then(|i: usize| outline.nodes.get_mut(i)) {
                        parent.children_left_out += 1;
                    }
                    continue;
                }
                let node = outline.nodes.len();
                let cycle = !seen.insert(page);
                let (looked, children) = self.node(page, parent, is_leaf, from);
                outline.nodes.push(looked);
                if !cycle {
                    next.extend(children.into_iter().map(|(id, from)| (id, Some(node), from)));
                }
            }
            level = next;
            depth += 1;
        }
        let pages = u64::from(record.inner_pages) + u64::from(record.leaf_pages);
        outline.left_out = pages.saturating_sub(outline.nodes.len() as u64);
        Some(outline)
    }

    /// A page, and its children with the separators before them.
    fn node(
        &self,
        page: PageId,
        parent: Option<usize>,
        is_leaf: bool,
        from: Option<Vec<u8>>,
    ) -> (OutlineNode, Vec<Child>) {
        let mut node = OutlineNode {
            page,
            parent,
            is_leaf,
            entries: 0,
            fill_percent: 0,
            birth: TxnId(0),
            from,
            values: 0,
            value_pages: 0,
            children_left_out: 0,
            trouble: None,
        };
        let mut children = Vec::new();
        node.trouble = self.fill_node(&mut node, &mut children).err();
        (node, children)
    }

    fn fill_node(&self, node: &mut OutlineNode, children: &mut Vec<Child>) -> Result<(), Trouble> {
        let size = self.file.page_size;
        let mut page = vec![0; size];
        node.birth = self.file.read(node.page, &mut page)?.birth;
        let body = page.get(OWNED_BYTES..).unwrap_or(&[]);
        if node.is_leaf {
            let leaf = LooseLeaf::read(node.page, body).map_err(trouble)?;
            node.entries = leaf.len();
            node.fill_percent = (leaf.used_bytes() * 100 / size) as u8;
            for i in 0..leaf.len() {
                if let (_, LooseValue::Run { len_bytes, .. }) = leaf.entry(i).map_err(trouble)? {
                    node.values += 1;
                    let bytes = len_bytes.saturating_add(HEADER_BYTES as u64);
                    node.value_pages = node.value_pages.saturating_add(bytes.div_ceil(size as u64));
                }
            }
            return Ok(());
        }
        let inner = LooseInner::read(node.page, body).map_err(trouble)?;
        node.entries = inner.children();
        node.fill_percent = (inner.used_bytes() * 100 / size) as u8;
        let mut buffer = vec![0; size];
        for i in 0..inner.children() {
            let from = match i.checked_sub(1) {
                Some(before) => {
                    Some(inner.separator(before, &mut buffer).map_err(trouble)?.to_vec())
                }
                None => None,
            };
            children.push((inner.child(i).map_err(trouble)?, from));
        }
        Ok(())
    }
}
