//! A consistent copy of a live database in another one: a backup, and a compaction.

use crate::database::Database;
use crate::error::Result;
use mapleaf_btree::{Error as TreeError, TreeOptions};
use mapleaf_pager::TxnId;

/// Entries between two reports of progress.
const TOLD_EVERY: u64 = 4096;

/// What [`Database::copy_to`] has copied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct CopyReport {
    /// The transaction whose state was copied.
    pub txn: TxnId,
    /// Trees.
    pub trees: u64,
    /// Entries in them.
    pub entries: u64,
}

impl Database {
    /// Copies the newest state to a database without trees: names, tags, sizes and entries, in one transaction that is
    /// durable in the end. Readers and the writer of this one go on; it holds a snapshot meanwhile.
    ///
    /// The copy is as small as can be, whatever room this file has to spare: its pages follow each other, leaves
    /// `fill_percent` full ([as for a load](crate::TreeMut::load): 90 leaves room for changes), nothing is free. So it is a
    /// backup, and a compaction: into a new file, which is then renamed over the old one once both are closed. The
    /// other database may have another page size, or no file. It has a UUID of its own.
    ///
    /// A process that dies meanwhile leaves the other database without trees: a file is best made under another name,
    /// and renamed when it is closed.
    ///
    /// `progress` is told the entries copied, and how many there are, every few thousand.
    ///
    /// ```
    /// use mapleaf::{Create, Database};
    /// # let dir = tempfile::tempdir()?;
    /// # let db = Database::in_memory()?;
    /// # let mut txn = db.write()?;
    /// # txn.tree("users")?.insert(b"ada", b"1815")?;
    /// # txn.commit()?;
    /// # let path = dir.path().join("backup.leaf");
    /// let builder = Database::builder().create(Create::New);
    /// // SAFETY: the file is made here, and nothing else changes it while it is open.
    /// let backup = unsafe { builder.open(&path) }?;
    /// let copied = db.copy_to(&backup, 90, &mut |_done, _entries| {})?;
    /// assert_eq!((copied.trees, copied.entries), (1, 1));
    /// backup.close()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`TreeExists`](TreeError::TreeExists): the other database has trees;
    /// [`InvalidArgument`](crate::StoreError::InvalidArgument): no such fill; damage, met in reading;
    /// [`KeyTooLong`](TreeError::KeyTooLong): its pages are smaller; what writing to it meets. Nothing is copied then.
    pub fn copy_to(
        &self,
        to: &Database,
        fill_percent: u8,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<CopyReport> {
        let name = &self.inner().name;
        let from = self.read()?;
        let mut total = 0;
        for tree in from.trees().map_err(|error| name.error(error))? {
            total += tree.map_err(|error| name.error(error))?.1.entries;
        }
        let other = &to.inner().name;
        let mut txn = to.write()?;
        if txn.trees().map_err(|error| other.error(error))?.next().is_some() {
            return Err(other.error(TreeError::TreeExists));
        }
        let mut report = CopyReport { txn: from.txn(), trees: 0, entries: 0 };
        let mut key_bytes = Vec::new();
        for tree in from.trees().map_err(|error| name.error(error))? {
            let (tree_name, record) = tree.map_err(|error| name.error(error))?;
            let tree_name = String::from_utf8_lossy(&tree_name.to_vec()).into_owned();
            let mut options = TreeOptions::default().tag(record.tag);
            if let Some(width) = record.fixed {
                options = options.fixed_width(width.key_bytes, width.value_bytes);
            }
            let made = txn.writer_mut().tree_named(&tree_name, options);
            let mut copy = made.map_err(|error| other.error(error))?;
            let mut loader = copy.loader(fill_percent).map_err(|error| other.error(error))?;
            let tree = from.tree(&tree_name).map_err(|error| name.error(error))?;
            for entry in tree.iter() {
                let (key, value) = entry.map_err(|error| name.error(error))?;
                key_bytes.clear();
                key.parts().into_iter().for_each(|part| key_bytes.extend_from_slice(part));
                loader.push(&key_bytes, value).map_err(|error| other.error(error))?;
                report.entries += 1;
                if report.entries.is_multiple_of(TOLD_EVERY) {
                    progress(report.entries, total);
                }
            }
            report.trees += 1;
        }
        progress(report.entries, total);
        txn.commit()?;
        Ok(report)
    }
}
