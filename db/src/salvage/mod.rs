//! Copying what can be read of a damaged file into a new store.
//!
//! Nothing is opened here that could trust the file: it is read page by page, by position, and every
//! page is verified before it is looked into. So this needs no promise, whatever the file holds.

mod orphans;
mod report;
mod sink;
mod walk;

pub use report::{Loss, Origin, SalvageReport, SalvagedTree, Trouble, What};

use crate::database::Database;
use crate::error::{Error, Name, Result};
use crate::lock;
use crate::page_file::{self, Bits, PageFile};
use mapleaf_btree::{LooseValue, NAME_BYTES_MAX, TreeRecord};
use mapleaf_pager::{Error as StoreError, LooseMeta, PageId, TxnId, Unsupported};
use orphans::{Known, Orphans};
use sink::{Sink, no_tree};
use std::fs::{File, OpenOptions};
use std::path::Path;
use walk::{Trust, trouble, walk};

/// Hears how many pages are done, of how many; it starts over when the whole file is searched.
pub(crate) type Progress<'p> = &'p mut dyn FnMut(u64, u64);

/// A damaged file, opened to copy what can be read of it.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("broken.leaf");
/// # let db = mapleaf::Database::open_buffered(&path)?;
/// # let mut txn = db.write()?;
/// # txn.tree("users")?.insert(b"ada", b"1815")?;
/// # txn.commit()?;
/// # db.close()?;
/// let salvage = mapleaf::Salvage::open(&path)?;
/// let to = mapleaf::Builder::new().page_size(salvage.page_size()).in_memory()?;
/// let report = salvage.copy_to(&to, &mut |_done, _pages| {})?;
/// assert!(report.is_complete());
/// assert_eq!(to.read()?.tree("users")?.get(b"ada")?, Some(&b"1815"[..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Salvage {
    file: File,
    len: u64,
    page_size: usize,
    metas: [Option<LooseMeta>; 2],
}

impl Salvage {
    /// Opens the file for reading, and finds out its page size: from a meta, or where none is whole
    /// from the size with which pages have right checksums.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::InUse`]: somebody writes to it; [`Error::Store`]: nothing in it shows
    /// that it is a mapleaf file, or it is of another version.
    pub fn open(path: impl AsRef<Path>) -> Result<Salvage> {
        let path = path.as_ref();
        let name = Name::of(path);
        let opened = lock::open(OpenOptions::new().read(true), path, true);
        let file = opened.map_err(|error| name.io("cannot open", error))?;
        let file = file.ok_or_else(|| Error::InUse { path: path.to_path_buf() })?;
        let len = file.metadata().map_err(|error| name.io("cannot read", error))?.len();
        let metas = page_file::metas(&file, &name)?;
        let page_size = match metas.iter().flatten().next() {
            Some(meta) => Some(meta.page_size()),
            None => page_file::page_size_by_trial(&file, len),
        };
        let nothing = StoreError::Unsupported(Unsupported::NotMapleaf);
        let page_size = page_size.ok_or_else(|| name.error(nothing))?;
        Ok(Salvage { file, len, page_size, metas })
    }

    /// Page size in bytes: the new store's should not be smaller, or long keys do not fit.
    #[must_use]
    pub fn page_size(&self) -> u32 {
        self.page_size as u32
    }

    /// Copies every entry that can be read into `to`, which should be empty, in transactions of some
    /// 16 MiB; what was lost is in the report. `progress` hears pages done, and in all.
    ///
    /// Trees are copied under their names, around what is damaged, and what the log holds is applied to
    /// them. Where names or inner pages are damaged, the whole file is searched for pages that nothing
    /// leads to; they become trees `lost+found/1` and so on. What is in these may be out of date:
    /// replaced or removed since, or of a transaction that was never committed.
    ///
    /// Takes three bits of memory a page, the largest value, the log, and 16 bytes for each page found in
    /// a search.
    ///
    /// # Errors
    /// Those of `to`: [`Full`](crate::StoreError::Full), [`Error::Io`],
    /// [`KeyTooLong`](crate::TreeError::KeyTooLong) where its pages are smaller. What was copied before
    /// is there.
    pub fn copy_to(self, to: &Database, progress: Progress<'_>) -> Result<SalvageReport> {
        let file = PageFile::new(self.file, self.len, self.page_size);
        let whole = self.metas.each_ref().map(Option::is_some);
        let newest = self.metas.into_iter().flatten();
        let meta = newest.max_by_key(|meta| (meta.txn(), meta.is_clean()));
        let report = SalvageReport {
            page_size: file.page_size as u64,
            pages: u64::from(file.pages),
            metas_whole: whole,
            txn: meta.as_ref().map(LooseMeta::txn),
            ..SalvageReport::default()
        };
        let mut copy = Copy { file, meta, report, sink: Sink::new(to) };
        match copy.all(progress) {
            Ok(()) => to.checkpoint().map(|_| copy.report),
            Err(Error::Tree(error)) => Err(to.inner().name.error(error)),
            Err(error) => Err(error),
        }
    }
}

/// A salvage in progress.
struct Copy<'db> {
    file: PageFile,
    meta: Option<LooseMeta>,
    report: SalvageReport,
    sink: Sink<'db>,
}

impl Copy<'_> {
    /// Copies all that there is.
    fn all(&mut self, progress: Progress<'_>) -> Result<()> {
        self.state(progress)?;
        self.search(progress)?;
        self.sink.commit()
    }

    /// Copies the trees that the newest whole meta leads to, and applies the log.
    fn state(&mut self, progress: Progress<'_>) -> Result<()> {
        let Some(meta) = self.meta.clone() else { return Ok(()) };
        let (log, log_pages) = meta.log();
        for page in log.0..log.0.saturating_add(log_pages.min(self.file.pages)) {
            self.file.reached.set(PageId(page));
        }
        for (name, record) in self.names(&meta)? {
            self.named_tree(name, &record, meta.txn(), progress)?;
        }
        let lost_meta = self.report.metas_whole != [true; 2];
        if log_pages == 0 || (meta.is_clean() && !lost_meta) {
            return Ok(());
        }
        let Ok(ring) = self.file.read_stretch(log, log_pages) else {
            self.report.log_lost = true;
            return Ok(());
        };
        let (mut transactions, mut whole) = (0, true);
        if !meta.is_clean() {
            (transactions, whole) = self.sink.apply(meta.redo(&ring))?;
        }
        if let Some(log) = meta.redo_of_lost_opening(&ring).filter(|_| lost_meta && whole) {
            let (more, all) = self.sink.apply(log)?;
            (transactions, whole) = (transactions + more, all);
        }
        self.report.log_transactions = transactions;
        self.report.log_lost = !whole || meta.has_log_gap(&ring);
        if transactions > 0 { self.count_again() } else { Ok(()) }
    }

    /// The names and records that can be read.
    fn names(&mut self, meta: &LooseMeta) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let mut names = Vec::new();
        let mut tree = SalvagedTree::new(String::new(), Origin::Named, None);
        match TreeRecord::decode(meta.root()) {
            Ok(record) if record.height > 0 => {
                let (root, trust) = ((record.root, meta.txn()), Trust::Height(record.height));
                walk(&mut self.file, &mut tree, root, trust, &mut |_, _, leaf, _| {
                    for i in 0..leaf.len() {
                        if let (key, LooseValue::Inline(value)) = leaf.entry(i)? {
                            names.push((key.to_vec(), value.to_vec()));
                        }
                    }
                    Ok(())
                })?;
            }
            Ok(_) => {}
            Err(error) => tree.lose(no_tree(PageId::NONE, trouble(error))),
        }
        self.report.names = tree.lost;
        Ok(names)
    }

    fn named_tree(
        &mut self,
        name: Vec<u8>,
        record: &[u8],
        birth: TxnId,
        progress: Progress<'_>,
    ) -> Result<()> {
        let name = String::from_utf8(name).ok().filter(|name| name.len() <= NAME_BYTES_MAX);
        let name = name.map_or_else(|| self.sink.found_name(), Ok)?;
        let mut tree = SalvagedTree::new(name, Origin::Named, None);
        match TreeRecord::decode(record) {
            Ok(record) => {
                tree.recorded = Some(record.entries);
                self.sink.create(&tree.name, &record)?;
                if record.height > 0 {
                    let (root, trust) = ((record.root, birth), Trust::Height(record.height));
                    let (file, sink, pages) = (&mut self.file, &mut self.sink, self.report.pages);
                    walk(file, &mut tree, root, trust, &mut |file, tree, leaf, birth| {
                        progress(file.done.min(pages), pages);
                        sink.leaf(file, tree, leaf, birth)
                    })?;
                }
            }
            Err(error) => tree.lose(no_tree(PageId::NONE, trouble(error))),
        }
        self.sink.commit()?;
        self.report.trees.push(tree);
        Ok(())
    }

    /// Counts the entries behind what the log has changed.
    fn count_again(&mut self) -> Result<()> {
        let mut trees = core::mem::take(&mut self.report.trees);
        for tree in &mut trees {
            let entries = self.sink.entries(&tree.name)?;
            tree.entries = entries.unwrap_or(0);
            tree.recorded = None;
        }
        for name in self.sink.names()? {
            if !trees.iter().any(|tree| tree.name == name) {
                let entries = self.sink.entries(&name)?.unwrap_or(0);
                let made = SalvagedTree::new(name, Origin::Named, None);
                trees.push(SalvagedTree { entries, ..made });
            }
        }
        let there = self.sink.names()?;
        trees.retain(|tree| tree.losses > 0 || there.contains(&tree.name));
        self.report.trees = trees;
        Ok(())
    }

    /// Searches the file where what was lost may be somewhere in it.
    fn search(&mut self, progress: Progress<'_>) -> Result<()> {
        let complete = self.meta.is_some()
            && self.report.names.is_empty()
            && !self.report.trees.iter().any(SalvagedTree::hides);
        if complete {
            return Ok(());
        }
        let mut known = Known {
            unused: Bits::new(self.file.pages),
            all: false,
            names_lost: self.meta.is_none() || !self.report.names.is_empty(),
            birth_max: self.meta.as_ref().map_or(TxnId(u64::MAX), LooseMeta::txn),
        };
        if let Some(meta) = &self.meta {
            let mut page = vec![0; self.file.page_size];
            let (file, unused) = (&self.file, &mut known.unused);
            known.all = meta.unused(
                &mut page,
                &mut |id, page| file.read(id, page).is_ok(),
                &mut |first, pages| {
                    for id in first.0..first.0.saturating_add(pages).min(file.pages) {
                        unused.set(PageId(id));
                    }
                },
            );
            for id in meta.page_count()..self.file.pages {
                unused.set(PageId(id));
            }
        }
        let orphans = Orphans::scan(&mut self.file, &known, progress);
        self.report.scanned = true;
        self.report.free_pages_known = known.all;
        orphans.copy(&mut self.file, &mut self.sink, &mut self.report)
    }
}
