//! Finding out what each page is used for.

use super::{Packed, PageKind, PageMap};
use crate::salvage::Trouble;
use mapleaf_btree::{Error as TreeError, LooseInner, LooseLeaf, LooseValue, TreeRecord};
use mapleaf_pager::{
    Damage, Error as StoreError, HEADER_BYTES, OWNED_BYTES, PageId, PageUse, TxnId, kind,
    run_extent,
};

/// One tree being walked.
struct Walk<'n> {
    record: TreeRecord,
    tree: u16,
    /// Where the entries of the leaves go: of the tree of the names.
    names: Option<&'n mut Vec<(Vec<u8>, Vec<u8>)>>,
}

/// What an error of the tree layer says about a page.
pub(super) fn trouble(error: TreeError) -> Trouble {
    match error {
        TreeError::Pager(StoreError::Corrupt { damage, .. }) => Trouble::Damaged(damage),
        _ => Trouble::Damaged(Damage::Layout),
    }
}

impl PageMap {
    pub(super) fn walk(&mut self) {
        let fixed = 2.min(self.page_count());
        let _ = self.claim(PageId(0), fixed, PageKind::Meta);
        for (slot, whole) in self.metas_whole.into_iter().enumerate() {
            if !whole {
                self.damage(PageId(slot as u32), Trouble::Damaged(Damage::Checksum));
            }
        }
        let Some(meta) = self.meta.clone() else { return };
        if meta.page_count() > self.file.pages {
            self.damage(PageId(self.file.pages), Trouble::CutOff);
        }
        let (log, log_pages) = meta.log();
        if log_pages > 0
            && let Err(trouble) = self.claim(log, log_pages, PageKind::Log)
        {
            self.damage(log, trouble);
        }
        self.walk_trees(meta.root(), meta.txn());
        self.walk_space(meta.txn());
        self.runs.sort_unstable();
    }

    /// Pages that were not reached before are now of this kind.
    fn claim(&mut self, first: PageId, pages: u32, kind: PageKind) -> Result<(), Trouble> {
        let end = first.0.checked_add(pages).map_or(usize::MAX, |end| end as usize);
        let low = if kind == PageKind::Meta { 0 } else { 2 };
        let range = self.pages.get_mut(first.0 as usize..end).filter(|_| first.0 >= low);
        let range = range.ok_or(Trouble::Damaged(Damage::OutOfRange))?;
        if range.iter().any(|page| page.kind != PageKind::Unreached) {
            return Err(Trouble::Damaged(Damage::Shared));
        }
        range.fill(Packed { kind, ..Packed::UNREACHED });
        Ok(())
    }

    fn note(&mut self, id: PageId, birth: TxnId, tree: u16, fill_percent: u8) {
        if let Some(page) = self.pages.get_mut(id.0 as usize) {
            *page = Packed { birth, tree, fill_percent, ..*page };
        }
    }

    fn percent(&self, bytes: usize) -> u8 {
        (bytes * 100 / self.file.page_size).min(100) as u8
    }

    fn walk_trees(&mut self, root: &[u8], txn: TxnId) {
        let catalog = match TreeRecord::decode(root) {
            Ok(record) => record,
            Err(error) => return self.damage(PageId::NONE, trouble(error)),
        };
        self.trees.push((String::new(), catalog));
        let mut names = Vec::new();
        self.walk_tree(&mut Walk { record: catalog, tree: 0, names: Some(&mut names) }, txn);
        for (name, record) in names {
            match TreeRecord::decode(&record) {
                Ok(record) => {
                    let tree = u16::try_from(self.trees.len()).unwrap_or(u16::MAX);
                    self.trees.push((String::from_utf8_lossy(&name).into_owned(), record));
                    self.walk_tree(&mut Walk { record, tree, names: None }, txn);
                }
                Err(error) => self.damage(PageId::NONE, trouble(error)),
            }
        }
    }

    fn walk_tree(&mut self, walk: &mut Walk<'_>, txn: TxnId) {
        let mut page = vec![0; self.file.page_size];
        let mut steps = Vec::new();
        if walk.record.height > 0 {
            steps.push((walk.record.root, 1));
        }
        // Ends: each page is looked at once.
        while let Some((id, depth)) = steps.pop() {
            let is_leaf = depth >= walk.record.height;
            let looked = self.look(walk, (id, is_leaf), txn, &mut page);
            match looked {
                Ok(children) => steps.extend(children.into_iter().rev().map(|id| (id, depth + 1))),
                Err(trouble) => self.damage(id, trouble),
            }
        }
    }

    /// Notes what a page of a tree is; its children.
    fn look(
        &mut self,
        walk: &mut Walk<'_>,
        (id, is_leaf): (PageId, bool),
        txn: TxnId,
        page: &mut [u8],
    ) -> Result<Vec<PageId>, Trouble> {
        self.claim(id, 1, if is_leaf { PageKind::Leaf } else { PageKind::Inner })?;
        let facts = self.file.read(id, page)?;
        self.note(id, facts.birth, walk.tree, u8::MAX);
        if facts.birth > txn {
            return Err(Trouble::Damaged(Damage::BornLater));
        }
        let body = page.get(OWNED_BYTES..).unwrap_or(&[]);
        if !is_leaf {
            let inner = LooseInner::read(id, body).map_err(trouble)?;
            self.note(id, facts.birth, walk.tree, self.percent(inner.used_bytes()));
            let children = (0..inner.children()).map(|i| inner.child(i).map_err(trouble));
            return children.collect();
        }
        let leaf = LooseLeaf::read(id, body).map_err(trouble)?;
        self.note(id, facts.birth, walk.tree, self.percent(leaf.used_bytes()));
        for i in 0..leaf.len() {
            let (key, value) = leaf.entry(i).map_err(trouble)?;
            match value {
                LooseValue::Run { page, len_bytes } => {
                    if let Err(trouble) = self.look_at_run(walk.tree, page, len_bytes, txn) {
                        self.damage(page, trouble);
                    }
                }
                LooseValue::Inline(value) => {
                    if let Some(names) = &mut walk.names {
                        names.push((key.to_vec(), value.to_vec()));
                    }
                }
            }
        }
        Ok(Vec::new())
    }

    fn look_at_run(
        &mut self,
        tree: u16,
        id: PageId,
        len_bytes: u64,
        txn: TxnId,
    ) -> Result<(), Trouble> {
        let mut first = vec![0; self.file.page_size];
        self.file.read_bytes(id, &mut first)?;
        let facts = mapleaf_pager::LoosePage::read(&first);
        if facts.kind != kind::RUN {
            return Err(Trouble::Damaged(Damage::Kind));
        }
        let extent = run_extent(id, &first, self.file.pages);
        let extent = extent.map_err(|_| Trouble::Damaged(Damage::Layout))?;
        if facts.run_bytes != len_bytes || extent < HEADER_BYTES {
            return Err(Trouble::Damaged(Damage::Layout));
        }
        self.claim(id, facts.run_pages, PageKind::Value)?;
        for (i, page) in (id.0..id.0 + facts.run_pages).enumerate() {
            let rest = extent.saturating_sub(i * self.file.page_size);
            let fill = self.percent(rest.min(self.file.page_size));
            self.note(PageId(page), facts.birth, tree, fill);
        }
        if facts.run_pages > 1 {
            self.runs.push((id.0, facts.run_pages));
        }
        if facts.birth > txn { Err(Trouble::Damaged(Damage::BornLater)) } else { Ok(()) }
    }

    fn walk_space(&mut self, txn: TxnId) {
        let Some(meta) = self.meta.clone() else { return };
        let mut page = vec![0; self.file.page_size];
        let mut stretches = Vec::new();
        let mut bad: Vec<(PageId, Trouble)> = Vec::new();
        let whole = meta.uses(
            &mut page,
            &mut |id, page| match self.file.read(id, page) {
                Ok(facts) if facts.birth <= txn => true,
                Ok(_) => {
                    bad.push((id, Trouble::Damaged(Damage::BornLater)));
                    false
                }
                Err(trouble) => {
                    bad.push((id, trouble));
                    false
                }
            },
            &mut |first, pages, used| stretches.push((first, pages, used)),
        );
        if !whole && bad.is_empty() {
            bad.push((PageId::NONE, Trouble::Damaged(Damage::Layout)));
        }
        for (id, trouble) in bad {
            self.damage(id, trouble);
        }
        for (first, pages, used) in stretches {
            let kind = match used {
                PageUse::Space => PageKind::Space,
                PageUse::Pinned => PageKind::Pinned,
                _ => PageKind::Free,
            };
            match self.claim(first, pages, kind) {
                Err(trouble) => self.damage(first, trouble),
                Ok(()) if kind == PageKind::Space => {
                    if let Ok(header) = self.file.header(first) {
                        self.note(first, header.birth, u16::MAX, u8::MAX);
                    }
                }
                Ok(()) => {}
            }
        }
    }
}
