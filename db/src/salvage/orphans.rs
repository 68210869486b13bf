//! Pages that nothing leads to: looked for all over the file, and put together as well as they can be.
//!
//! A page with a right checksum was written by some transaction, but nothing says by the last one. What
//! tells old pages from lost ones is the list of free pages, where it can be read. Without it, and in
//! any case among pages of one key, the newest birth wins:
//!
//! - pages of names: the newest, or all where free pages are known, name their trees again;
//! - inner pages below no other: each is a tree. A child that was written after its parent is another
//!   tree's by now, since a parent is written whenever its child moves;
//! - leaves below nothing: all into one tree, whatever tree they are of, since nothing tells.

use super::Progress;
use super::report::{Origin, SalvageReport, SalvagedTree, Trouble};
use super::sink::{Sink, no_tree};
use super::walk::{Trust, walk};
use crate::error::Result;
use crate::page_file::{Bits, PageFile};
use mapleaf_btree::{LooseInner, LooseLeaf, LooseValue, NAME_BYTES_MAX, TreeRecord};
use mapleaf_pager::{Damage, OWNED_BYTES, PageId, TxnId, kind};
use std::cmp::Reverse;
use std::collections::HashMap;

/// Pages with their births, the newest first once they are sorted.
type ByBirth = Vec<(Reverse<TxnId>, PageId)>;

/// What lies in the file besides what the trees reach.
pub(super) struct Orphans {
    /// Pages that look like a leaf of names.
    names: ByBirth,
    inners: ByBirth,
    leaves: ByBirth,
    /// Pages below an inner page.
    below: Bits,
    /// Names by the root that they had once.
    hints: HashMap<PageId, String>,
}

/// What is known about pages that nothing leads to.
pub(super) struct Known {
    /// Pages that the state does not use.
    pub(super) unused: Bits,
    /// Whether these are all: then old pages are not taken for lost ones.
    pub(super) all: bool,
    /// Some names are lost.
    pub(super) names_lost: bool,
    /// No page of the state was born later.
    pub(super) birth_max: TxnId,
}

impl Orphans {
    /// Looks at every page that is neither reached nor known to be unused. Keeps 16 bytes for each that
    /// could be a tree's.
    pub(super) fn scan(file: &mut PageFile, known: &Known, progress: Progress<'_>) -> Orphans {
        let mut found = Orphans {
            names: Vec::new(),
            inners: Vec::new(),
            leaves: Vec::new(),
            below: Bits::new(file.pages),
            hints: HashMap::new(),
        };
        let mut old_names = ByBirth::new();
        let mut page = vec![0; file.page_size];
        for id in (2..file.pages).map(PageId) {
            progress(u64::from(id.0), u64::from(file.pages));
            if file.reached.has(id) {
                continue;
            }
            // An old page of names may still say what a tree was called.
            let unused = known.unused.has(id);
            let wanted = |kind| kind::is_leaf(kind) || kind == kind::INNER && !unused;
            if !file.header(id).is_ok_and(|header| wanted(header.kind)) {
                continue;
            }
            let Ok(facts) = file.read(id, &mut page) else { continue };
            if facts.birth > known.birth_max {
                continue;
            }
            let body = page.get(OWNED_BYTES..).unwrap_or(&[]);
            let place = (Reverse(facts.birth), id);
            if let Ok(inner) = LooseInner::read(id, body) {
                found.inners.push(place);
                found.note_children(file, &inner, facts.birth);
            } else if let Ok(leaf) = LooseLeaf::read(id, body) {
                match (holds_names(&leaf), unused) {
                    (true, false) => found.names.push(place),
                    (true, true) => old_names.push(place),
                    (false, false) => found.leaves.push(place),
                    (false, true) => {}
                }
            }
        }
        found.sort(known, &mut old_names);
        found.read_hints(file, old_names, &mut page);
        found
    }

    /// Sorts what was found by age; which pages of names are to be followed, and which only to be
    /// heard.
    fn sort(&mut self, known: &Known, old_names: &mut ByBirth) {
        for list in [&mut self.names, &mut self.inners, &mut self.leaves] {
            list.sort_unstable();
        }
        let newest = self.names.first().map(|(birth, _)| *birth);
        let followed = |birth| known.names_lost && (known.all || Some(birth) == newest);
        let names = core::mem::take(&mut self.names).into_iter();
        let (names, heard): (ByBirth, ByBirth) = names.partition(|(birth, _)| followed(*birth));
        self.names = names;
        old_names.extend(heard);
        old_names.sort_unstable();
    }

    /// Notes what old pages of names call the roots that they lead to.
    fn read_hints(&mut self, file: &mut PageFile, old_names: ByBirth, page: &mut [u8]) {
        for (_, id) in old_names {
            // It is no leaf of a tree of entries.
            file.reached.set(id);
            let Ok(_) = file.read(id, page) else { continue };
            let Ok(leaf) = LooseLeaf::read(id, page.get(OWNED_BYTES..).unwrap_or(&[])) else {
                continue;
            };
            for (name, record) in (0..leaf.len()).filter_map(|i| named(&leaf, i)) {
                self.hints.entry(record.root).or_insert(name);
            }
        }
    }

    /// Marks those children of an inner page that can be its own.
    fn note_children(&mut self, file: &PageFile, inner: &LooseInner<'_>, birth: TxnId) {
        for child in (0..inner.children()).filter_map(|i| inner.child(i).ok()) {
            if file.header(child).is_ok_and(|header| header.birth <= birth) {
                self.below.set(child);
            }
        }
    }

    /// Copies it all.
    pub(super) fn copy(
        mut self,
        file: &mut PageFile,
        sink: &mut Sink<'_>,
        report: &mut SalvageReport,
    ) -> Result<()> {
        self.copy_named(file, sink, report)?;
        for (Reverse(birth), root) in core::mem::take(&mut self.inners) {
            if !self.below.has(root) && !file.reached.has(root) {
                self.copy_below(file, sink, report, (root, birth))?;
            }
        }
        let mut rest = Vec::new();
        for (Reverse(birth), leaf) in core::mem::take(&mut self.leaves) {
            if file.reached.has(leaf) {
                continue;
            }
            if self.hints.contains_key(&leaf) {
                self.copy_below(file, sink, report, (leaf, birth))?;
            } else {
                rest.push((leaf, birth));
            }
        }
        let mut tree = SalvagedTree::new(sink.found_name()?, Origin::Leaves, None);
        for place in rest {
            walk(file, &mut tree, place, Trust::None, &mut |file, tree, leaf, birth| {
                sink.leaf(file, tree, leaf, birth)
            })?;
        }
        sink.commit()?;
        if tree.entries > 0 {
            report.trees.push(tree);
        }
        Ok(())
    }

    /// Copies the trees that pages of names lead to.
    fn copy_named(
        &mut self,
        file: &mut PageFile,
        sink: &mut Sink<'_>,
        report: &mut SalvageReport,
    ) -> Result<()> {
        let mut page = vec![0; file.page_size];
        for (birth, id) in core::mem::take(&mut self.names) {
            if file.reached.has(id) {
                continue;
            }
            let Ok(facts) = file.read_tree_page(id, birth.0, &mut page) else { continue };
            let body = page.get(OWNED_BYTES..).unwrap_or(&[]);
            let Ok(leaf) = LooseLeaf::read(id, body) else { continue };
            for (name, record) in (0..leaf.len()).filter_map(|i| named(&leaf, i)) {
                if sink.has(&name)? {
                    // Only as much as the log had of it, or another page's.
                    self.hints.entry(record.root).or_insert(name);
                    continue;
                }
                let mut tree = SalvagedTree::new(name, Origin::FoundName, Some(record.entries));
                copy_found(file, sink, &mut tree, &record, facts.birth)?;
                report.trees.push(tree);
            }
        }
        Ok(())
    }

    /// Copies what is below a page that nothing leads to, if anything is.
    fn copy_below(
        &self,
        file: &mut PageFile,
        sink: &mut Sink<'_>,
        report: &mut SalvageReport,
        (root, birth): (PageId, TxnId),
    ) -> Result<()> {
        let name = self.hints.get(&root).cloned();
        let origin = Origin::Orphan { root, birth, name };
        let mut tree = SalvagedTree::new(sink.found_name()?, origin, None);
        walk(file, &mut tree, (root, birth), Trust::None, &mut |file, tree, leaf, birth| {
            sink.leaf(file, tree, leaf, birth)
        })?;
        sink.commit()?;
        if tree.entries > 0 {
            report.trees.push(tree);
        }
        Ok(())
    }
}

/// Copies a tree whose record was found, if its root is what the record says.
fn copy_found(
    file: &mut PageFile,
    sink: &mut Sink<'_>,
    tree: &mut SalvagedTree,
    record: &TreeRecord,
    birth: TxnId,
) -> Result<()> {
    if record.height > 0 {
        let wanted: &[u8] = match (record.height, record.fixed) {
            (1, None) => &[kind::LEAF, kind::LEAF_FINGERPRINT],
            (1, Some(_)) => &[kind::LEAF_FIXED],
            _ => &[kind::INNER],
        };
        let own = |header: mapleaf_pager::LoosePage| {
            wanted.contains(&header.kind) && header.birth <= birth
        };
        if file.reached.has(record.root) || !file.header(record.root).is_ok_and(own) {
            tree.lose(no_tree(record.root, Trouble::Damaged(Damage::Kind)));
            return Ok(());
        }
    }
    sink.create(&tree.name, record)?;
    if record.height > 0 {
        let trust = Trust::Height(record.height);
        walk(file, tree, (record.root, birth), trust, &mut |file, tree, leaf, birth| {
            sink.leaf(file, tree, leaf, birth)
        })?;
    }
    sink.commit()
}

/// Name and record in a leaf of names.
fn named(leaf: &LooseLeaf<'_>, i: usize) -> Option<(String, TreeRecord)> {
    let (key, value) = leaf.entry(i).ok()?;
    let LooseValue::Inline(bytes) = value else { return None };
    let name = String::from_utf8(key.to_vec()).ok()?;
    let record = TreeRecord::decode(bytes).ok()?;
    (name.len() <= NAME_BYTES_MAX).then_some((name, record))
}

/// Whether every entry is a name and a record.
fn holds_names(leaf: &LooseLeaf<'_>) -> bool {
    !leaf.is_empty() && (0..leaf.len()).all(|i| named(leaf, i).is_some())
}
