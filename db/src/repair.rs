//! Making the space of a damaged file anew.
//!
//! Which way to open the file is the caller's choice, as for a database. Over a mapping the promise is
//! smaller than [`Database::open`]'s: the file need not be as mapleaf wrote it, since no page of it is
//! written to before its trees are proven whole, and none but metas and pages behind its end after
//! that; but nobody else may change it meanwhile. A file in memory needs no promise at all.

#![allow(unsafe_code)] // Passes the caller's promise about the file on.

use crate::builder::Builder;
use crate::check::{CheckReport, Checked, inspected};
use crate::database::Database;
use crate::error::{Name, Result};
use crate::words::Words;
use mapleaf_btree::Replayer;
use mapleaf_pager::{Mapping, Options, Repair};
use std::path::Path;

/// What came of a repair.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RepairOutcome {
    /// Nothing was wrong; the file was not changed.
    Sound,
    /// The space, and the metas, were made anew.
    Repaired,
    /// A tree is damaged, and which pages are free cannot be told: the file was not changed.
    /// [`Salvage`](crate::Salvage) copies what can be read.
    TreesDamaged,
}

/// What a repair found, and what it changed; see [`Database::repair_buffered`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RepairReport {
    /// What came of it.
    pub outcome: RepairOutcome,
    /// Which of the two slots held a whole meta. Where one does not, the state of the other is the one
    /// that was repaired: what was committed after it is in the log, or lost.
    pub metas_whole: [bool; 2],
    /// What was found. Damages without a tree are the space's; many pages that are neither in use nor
    /// free are counted, not listed, where a damaged page hides which are free.
    pub before: CheckReport,
    /// What the file is like now, where it was repaired.
    pub after: Option<CheckReport>,
    /// Blocks of the log that were replayed.
    pub replayed_blocks: u32,
}

impl Database {
    /// Makes the space of a damaged file anew (free pages, and the counts and lists of them) from what
    /// its trees reach, reading through a mapping; see [`repair_buffered`](Database::repair_buffered).
    ///
    /// # Errors
    /// As [`repair_buffered`](Database::repair_buffered).
    ///
    /// # Safety
    /// Nothing changes the file meanwhile (other mapleaf processes are kept out). Whatever it holds
    /// before is fine.
    #[cfg(target_os = "linux")]
    pub unsafe fn repair(path: impl AsRef<Path>) -> Result<RepairReport> {
        let (builder, name) = (Builder::new().background(false), Name::of(path.as_ref()));
        let options = builder.fresh_options();
        // SAFETY: the caller's promise.
        let mapping = unsafe { builder.mapped(&name, path.as_ref(), &options, false)? };
        repaired(&builder, &name, mapping, &options)
    }

    /// Makes the space of a damaged file anew: free pages, and the counts and lists of them, from what
    /// its trees reach. For a file in which [`check`](Database::check) finds damage to nothing else.
    ///
    /// First every tree is read: where one is damaged nothing is changed. Then the log is replayed, and
    /// every page that no tree reaches is free. What is written lies behind the file's end, but for the
    /// metas, so that a crash on the way leaves the trees as they were.
    ///
    /// Takes as much memory as the file is long, and two bits a page; as long as reading the file thrice.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("app.leaf");
    /// # mapleaf::Database::open_buffered(&path)?.close()?;
    /// let report = mapleaf::Database::repair_buffered(&path)?;
    /// assert_eq!(report.outcome, mapleaf::RepairOutcome::Sound);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io), [`Error::InUse`](crate::Error::InUse);
    /// [`Error::Store`](crate::Error::Store): no meta is whole, the log lies outside the file, or
    /// acknowledged transactions are missing from it: [`Salvage`](crate::Salvage) is what is left.
    pub fn repair_buffered(path: impl AsRef<Path>) -> Result<RepairReport> {
        let (builder, name) = (Builder::new().background(false), Name::of(path.as_ref()));
        let options = builder.fresh_options();
        let mapping = builder.buffered(&name, path.as_ref(), &options, false)?;
        repaired(&builder, &name, mapping, &options)
    }
}

fn repaired(
    builder: &Builder,
    name: &Name,
    mapping: Box<dyn Mapping>,
    options: &Options,
) -> Result<RepairReport> {
    let words = Words::new(builder.readers, options).map_err(|error| name.error(error))?;
    let repair = Repair::open(mapping, words, options).map_err(|error| name.error(error))?;
    repair_store(repair).map_err(|error| name.error(error))
}

fn repair_store(
    mut repair: Repair<Box<dyn Mapping>, Words>,
) -> mapleaf_btree::Result<RepairReport> {
    let page_size = repair.page_size();
    let Checked { mut report, tree_damages } =
        inspected(&repair.inspect()?, page_size, repair.space_error())?;
    let metas_whole = repair.metas_whole();
    report.metas_whole = metas_whole;
    let outcome = match tree_damages {
        0 if report.is_sound() && metas_whole == [true; 2] => RepairOutcome::Sound,
        0 => RepairOutcome::Repaired,
        _ => RepairOutcome::TreesDamaged,
    };
    let mut done =
        RepairReport { outcome, metas_whole, before: report, after: None, replayed_blocks: 0 };
    if outcome != RepairOutcome::Repaired {
        return Ok(done);
    }
    done.replayed_blocks = repair.pending_blocks();
    repair.replay(&mut Replayer::new())?;
    let mut work = vec![0; repair.mapped_pages() as usize / 8 + 1];
    {
        let (snapshot, mut rebuild) = repair.rebuild()?;
        mapleaf_btree::rebuild(&snapshot, &mut rebuild, &mut work)?;
        rebuild.commit()?;
    }
    let mut after = inspected(&repair.inspect()?, page_size, None)?.report;
    // Closing leaves two.
    after.metas_whole = [true; 2];
    done.after = Some(after);
    repair.close()?;
    Ok(done)
}
