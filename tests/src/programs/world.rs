//! What outlives a database's opening: the file, and what the oracle thinks was committed.

use super::compare::{self, Snap};
use super::data::{Name, key_bytes_max};
use super::oracle::Trees;
use super::planted::Planted;
use super::session::Held;
use super::setup::Setup;
use mapleaf::{Create, Database, Error, RepairOutcome, Salvage, StoreError, TxnId};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What a step has to know.
#[derive(Clone, Copy)]
pub(super) struct Env {
    pub(super) page_size: u32,
    pub(super) key_max: usize,
    pub(super) planted: Option<Planted>,
}

/// Counted while a program runs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    /// Steps.
    pub steps: u64,
    /// Transactions that were committed.
    pub commits: u64,
    /// Openings of a file, after the first.
    pub openings: u64,
    /// Whole states that were compared.
    pub states: u64,
    /// Commits through the log.
    pub log_commits: u64,
    /// Checkpoints.
    pub checkpoints: u64,
    /// Blocks of logs that were replayed.
    pub replayed: u64,
    /// Pages from the root to a leaf of the deepest tree.
    pub height_max: u8,
    /// Pages of the largest state.
    pub pages_max: u64,
}

/// The file, and what was committed to it.
pub(super) struct World {
    pub(super) setup: Setup,
    pub(super) env: Env,
    dir: Option<tempfile::TempDir>,
    path: PathBuf,
    /// The file to go on with, where the process has died.
    left: Option<PathBuf>,
    pub(super) committed: Trees,
    /// What each transaction left: what a checkpoint may have kept.
    history: BTreeMap<TxnId, Trees>,
    /// Name of the selected tree.
    pub(super) selected: String,
    /// Counts the values that were made.
    pub(super) stamp: u64,
    uuid: [u8; 16],
    /// Snapshots that were held when the database was dropped.
    pub(super) held: Vec<Held<'static>>,
    /// Files so far.
    files: u32,
    /// The file before the last commit, for [`Planted::DeathTakesLastCommit`].
    before: Option<PathBuf>,
    pub(super) figures: Figures,
}

/// Where files lie: in memory, where there is such a place, since no power is lost here.
fn directory() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    tempfile::tempdir_in(memory).or_else(|_| tempfile::tempdir()).unwrap()
}

impl World {
    /// Makes the database.
    pub(super) fn new(setup: Setup, planted: Option<Planted>) -> (World, Database) {
        let key_max = key_bytes_max(setup.page_size);
        let env = Env { page_size: setup.page_size, key_max, planted };
        let dir = setup.is_file().then(directory);
        let path = dir.as_ref().map(|dir| dir.path().join("0.leaf")).unwrap_or_default();
        let db = setup.make(&path);
        let world = World {
            setup,
            env,
            dir,
            path,
            left: None,
            committed: Trees::new(),
            history: BTreeMap::from([(TxnId(0), Trees::new())]),
            selected: Name::FIRST.text(key_max),
            stamp: 0,
            uuid: db.uuid(),
            held: Vec::new(),
            files: 1,
            before: None,
            figures: Figures::default(),
        };
        world.is_as_it_should_be(&db);
        (world, db)
    }

    fn is_as_it_should_be(&self, db: &Database) {
        let stats = db.stats();
        assert_eq!(stats.store.page_size, self.setup.page_size);
        assert_eq!(db.uuid(), self.uuid, "uuid");
        assert_eq!(db.path(), self.setup.is_file().then_some(&*self.path));
        assert_eq!(stats.checkpoint_error, None);
        assert!(stats.store.synced <= stats.store.txn && stats.store.checkpoint <= stats.store.txn);
        db.health().unwrap();
    }

    /// Compares the newest state with what was committed.
    pub(super) fn compare(&mut self, db: &Database) {
        self.is_as_it_should_be(db);
        self.figures.states += 1;
        compare::snapshot(&db.read().unwrap(), &self.committed);
    }

    /// The database is about to be dropped.
    pub(super) fn dropping(&mut self, db: &Database) {
        let stats = db.stats().store;
        self.figures.log_commits += u64::from(stats.log_commits);
        self.figures.checkpoints += u64::from(stats.checkpoints);
        self.figures.replayed += u64::from(stats.replayed_blocks);
    }

    /// Proves the database sound.
    pub(super) fn check(&mut self, db: &Database) {
        let report = db.check().unwrap();
        assert!(report.is_sound(), "{:?}", report.found);
        self.figures.height_max = self.figures.height_max.max(report.height_max);
        self.figures.pages_max = self.figures.pages_max.max(report.page_count);
        let entries: usize = self.committed.values().map(|tree| tree.entries.len()).sum();
        let counted = (report.trees, report.entries);
        assert_eq!(counted, (self.committed.len() as u64, entries as u64), "check's counts");
    }

    /// A commit is about to be made.
    pub(super) fn committing(&mut self) {
        if self.env.planted == Some(Planted::DeathTakesLastCommit) && self.setup.is_file() {
            self.before = Some(self.copy());
        }
    }

    pub(super) fn has_committed(&mut self, txn: TxnId, trees: Trees) {
        // One that changes nothing makes no new state.
        let last = self.history.last_key_value().map(|(txn, _)| *txn);
        assert!(last <= Some(txn), "{txn:?} after {last:?}");
        self.figures.commits += 1;
        self.history.insert(txn, trees.clone());
        self.committed = trees;
    }

    /// A copy of the file as it is now.
    fn copy(&mut self) -> PathBuf {
        let copy = self.path.with_file_name(format!("{}.leaf", self.files));
        self.files += 1;
        std::fs::copy(&self.path, &copy).unwrap();
        copy
    }

    /// Goes on with what another process finds when this one dies now.
    pub(super) fn die(&mut self) {
        let left = self.before.take().unwrap_or_else(|| self.copy());
        self.left = Some(left);
    }

    /// Opens the file, whose last database was dropped.
    pub(super) fn reopen(&mut self) -> Database {
        let builder = self.setup.builder().create(Create::Never);
        if !self.held.is_empty() {
            let opened = self.setup.open(builder.clone(), &self.path);
            assert!(matches!(opened, Err(Error::InUse { .. })), "{opened:?} of a file in use");
        }
        for held in self.held.drain(..) {
            held.compare_alone();
        }
        if let Some(left) = self.left.take() {
            self.path = left;
        }
        let db = self.setup.open(builder, &self.path).unwrap();
        self.figures.openings += 1;
        self.compare(&db);
        db
    }

    /// Looks at a copy of the file as others may, who do not write.
    pub(super) fn others(&mut self, way: u8) {
        let copy = self.copy();
        let builder = self.setup.builder();
        let committed = self.committed.clone();
        match way % 4 {
            0 => match self.setup.open(builder.read_only(true), &copy) {
                Ok(db) => {
                    compare::snapshot(&db.read().unwrap(), &committed);
                    let refused = db.write().err().and_then(|error| error.store_error());
                    assert_eq!(refused, Some(StoreError::ReadOnly));
                    let beside = self.setup.builder().read_only(true);
                    let beside = self.setup.open(beside, &copy).unwrap();
                    compare::snapshot(&beside.read_owned().unwrap(), &committed);
                }
                Err(error) => assert_eq!(error.store_error(), Some(StoreError::NeedsRecovery)),
            },
            1 => {
                let builder = builder.read_only(true).at_checkpoint(true);
                let db = self.setup.open(builder, &copy).unwrap();
                let snapshot = db.read().unwrap();
                let (_, trees) = self.history.range(..=Snap::txn(&snapshot)).next_back().unwrap();
                compare::snapshot(&snapshot, trees);
            }
            2 => {
                let salvage = Salvage::open(&copy).unwrap();
                assert_eq!(salvage.page_size(), self.setup.page_size);
                let to = Database::builder().page_size(self.setup.page_size);
                let to = to.background(false).in_memory().unwrap();
                let report = salvage.copy_to(&to, &mut |_, _| {}).unwrap();
                assert!(report.is_complete(), "{report:?}");
                compare::snapshot(&to.read().unwrap(), &committed);
            }
            _ => {
                let report = self.setup.repair(&copy).unwrap();
                assert_eq!(report.outcome, RepairOutcome::Sound, "{report:?}");
                let db = self.setup.open(builder.create(Create::Never), &copy).unwrap();
                compare::snapshot(&db.read().unwrap(), &committed);
            }
        }
        self.figures.states += 1;
        std::fs::remove_file(&copy).unwrap();
    }

    /// Removes the files.
    pub(super) fn end(self) -> Figures {
        drop(self.dir);
        self.figures
    }
}
