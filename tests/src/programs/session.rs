//! One opening of the database: its transactions, and the snapshots held across them.

use super::compare::{self, Snap};
use super::oracle::Trees;
use super::planted::Planted;
use super::setup::READERS;
use super::step::Step;
use super::txn::Txn;
use super::walking::read;
use super::world::World;
use mapleaf::{Database, Durability, OwnedReadTxn, ReadTxn, StoreError, TreeError, TxnId};

/// Snapshots held at a time.
const HELD_MAX: usize = 6;

/// What ends a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum End {
    /// The program.
    Program,
    /// It goes on with the file opened anew.
    Reopen,
    /// It goes on with what was in the file at that time.
    Die,
}

enum Kind<'db> {
    Borrowed(ReadTxn<'db>),
    Owned(OwnedReadTxn),
}

/// A snapshot, and what it has to show.
pub(super) struct Held<'db> {
    kind: Kind<'db>,
    txn: TxnId,
    trees: Trees,
}

impl Held<'_> {
    fn snap(&self) -> &dyn Snap {
        match &self.kind {
            Kind::Borrowed(snapshot) => snapshot,
            Kind::Owned(snapshot) => snapshot,
        }
    }

    /// Compares the snapshot whole.
    pub(super) fn compare_alone(&self) {
        assert_eq!(self.snap().txn(), self.txn);
        compare::snapshot(self.snap(), &self.trees);
    }
}

/// One opening.
struct Session<'w, 'db> {
    world: &'w mut World,
    db: &'db Database,
    txn: Option<Txn<'db>>,
    held: Vec<Held<'db>>,
}

/// Does steps until one ends the session.
pub(super) fn session<'s>(
    world: &mut World,
    db: Database,
    steps: &mut impl Iterator<Item = &'s Step>,
) -> End {
    let mut session = Session { world, db: &db, txn: None, held: Vec::new() };
    let mut end = End::Program;
    for step in steps {
        session.world.figures.steps += 1;
        match step {
            Step::Reopen if session.world.setup.is_file() => end = End::Reopen,
            // A thread that writes while the file is copied is none of a death's.
            Step::Die if session.world.setup.is_file() && !session.world.setup.background => {
                session.world.die();
                end = End::Die;
            }
            step => session.step(step),
        }
        if end != End::Program {
            break;
        }
    }
    session.end(end);
    end
}

impl<'db> Session<'_, 'db> {
    fn step(&mut self, step: &Step) {
        match step {
            Step::Get(_) | Step::Ends | Step::Range(..) | Step::Prefix(..) | Step::Walk(_) => {
                self.read(step);
            }
            Step::Select(_)
            | Step::Create(..)
            | Step::Rename(..)
            | Step::DropTree(_)
            | Step::Tag(_)
            | Step::List
            | Step::ManyTrees
            | Step::Savepoint
            | Step::Release(_)
            | Step::RollbackTo(_) => self.txn().names(step),
            Step::Commit(durable) => self.commit(*durable),
            Step::Rollback(_) => self.roll_back(step),
            Step::Hold(way) => self.hold(*way),
            Step::LetGo(n) if !self.held.is_empty() => {
                let held = self.held.swap_remove(usize::from(*n) % self.held.len());
                self.compare_held(&held);
            }
            Step::CompareHeld(n) if !self.held.is_empty() => {
                self.compare_held(&self.held[usize::from(*n) % self.held.len()]);
            }
            Step::LetGo(_) | Step::CompareHeld(_) => {}
            Step::Readers => self.readers(),
            Step::Sync => {
                let txn = self.db.sync().unwrap();
                assert_eq!(txn, self.db.read().unwrap().txn(), "not all is durable");
                assert_eq!(self.db.stats().store.synced, txn);
            }
            Step::Checkpoint => {
                let txn = self.db.checkpoint().unwrap();
                assert_eq!(txn, self.db.read().unwrap().txn(), "not all is in the checkpoint");
                assert_eq!(self.db.stats().store.checkpoint, txn);
            }
            Step::Check if self.txn.is_none() => self.world.check(self.db),
            Step::Check | Step::Compare => self.compare(),
            Step::Close | Step::Reopen | Step::Die => {
                self.roll_back(step);
                self.db.clone().close().unwrap();
                self.world.compare(self.db);
            }
            Step::Others(way) if self.world.setup.is_file() && !self.world.setup.background => {
                self.world.others(*way);
            }
            Step::Others(_) => self.compare(),
            Step::FillPanics(key, len) if key.0 % 32 < 16 => {
                self.txn().fail(*key, *len);
                let Some(txn) = self.end_txn() else { return };
                let refused = txn.txn.commit().err().and_then(|error| error.store_error());
                assert!(matches!(refused, Some(StoreError::TxnFailed { .. })), "{refused:?}");
                self.world.compare(self.db);
            }
            step => self.txn().change(step),
        }
    }

    /// The write transaction; begins one where there is none.
    fn txn(&mut self) -> &mut Txn<'db> {
        let world = &mut *self.world;
        self.txn.get_or_insert_with(|| {
            let name = world.selected.clone();
            Txn::begin(self.db, world.env, &world.committed, name, world.stamp)
        })
    }

    fn read(&mut self, step: &Step) {
        if let Some(txn) = &mut self.txn {
            return txn.read(step);
        }
        let snapshot = self.db.read().unwrap();
        let name = &self.world.selected;
        match (snapshot.tree(name), self.world.committed.get(name)) {
            (Ok(tree), Some(wanted)) => read(tree, &wanted.entries, step, self.world.env),
            (found, wanted) => {
                assert_eq!(wanted.map(|tree| tree.tag), None, "{name:?} is not there");
                assert_eq!(found.err(), Some(TreeError::NoSuchTree));
            }
        }
    }

    /// Takes the transaction, and what is to be known of it afterwards.
    fn end_txn(&mut self) -> Option<Txn<'db>> {
        let txn = self.txn.take()?;
        self.world.stamp = txn.stamp;
        self.world.selected.clone_from(&txn.name);
        Some(txn)
    }

    fn commit(&mut self, durable: bool) {
        self.txn();
        let Some(txn) = self.end_txn() else { return };
        self.world.committing();
        let committed = match (durable, txn.stamp % 2) {
            (true, 0) => txn.txn.commit(),
            (true, _) => txn.txn.commit_with(Durability::Sync),
            (false, _) => txn.txn.commit_with(Durability::Eventual),
        };
        let committed = committed.unwrap();
        assert_eq!(self.db.read().unwrap().txn(), committed);
        self.world.has_committed(committed, txn.trees);
    }

    fn roll_back(&mut self, step: &Step) {
        let Some(txn) = self.end_txn() else { return };
        match step {
            Step::Rollback(true) => txn.txn.rollback(),
            _ => drop(txn),
        }
        let snapshot = self.db.read().unwrap();
        compare::names(snapshot.trees().unwrap(), &self.world.committed);
    }

    fn hold(&mut self, way: u8) {
        if self.held.len() == HELD_MAX {
            let held = self.held.remove(0);
            self.compare_held(&held);
        }
        let kind = match (way % 4, &self.txn) {
            (0 | 1, _) => Kind::Owned(self.db.read_owned().unwrap()),
            (2, Some(txn)) => Kind::Borrowed(txn.txn.base().unwrap()),
            _ => Kind::Borrowed(self.db.read().unwrap()),
        };
        let mut held = Held { kind, txn: TxnId(0), trees: self.world.committed.clone() };
        held.txn = held.snap().txn();
        assert_eq!(held.txn, self.db.read().unwrap().txn());
        self.held.push(held);
    }

    fn compare_held(&self, held: &Held<'_>) {
        if self.world.env.planted == Some(Planted::SnapshotMoves) {
            compare::snapshot(&self.db.read().unwrap(), &held.trees);
        }
        held.compare_alone();
    }

    /// Takes all slots that are left, and one more.
    fn readers(&mut self) {
        let mut taken = Vec::new();
        let refused = loop {
            match self.db.read() {
                Ok(snapshot) => taken.push(snapshot),
                Err(error) => break error,
            }
            assert!(taken.len() <= READERS as usize);
        };
        assert_eq!(refused.store_error(), Some(StoreError::ReadersFull));
        assert_eq!(taken.len() + self.held.len(), READERS as usize, "reader slots");
        let stats = self.db.stats().store;
        assert_eq!((stats.readers, stats.readers_max), (READERS, READERS));
    }

    fn compare(&mut self) {
        match &mut self.txn {
            Some(txn) => txn.compare(),
            None => self.world.compare(self.db),
        }
    }

    /// Compares everything; what goes on after the session is the world's.
    fn end(mut self, end: End) {
        if let Some(txn) = &mut self.txn {
            txn.compare();
        }
        self.world.figures.states += 1 + self.held.len() as u64;
        for held in &self.held {
            self.compare_held(held);
        }
        if let Some(txn) = self.end_txn() {
            drop(txn);
        }
        self.world.compare(self.db);
        if end == End::Program {
            self.world.check(self.db);
        }
        self.world.dropping(self.db);
        for held in self.held {
            let Held { kind, txn, trees } = held;
            if let Kind::Owned(snapshot) = kind {
                let kind = Kind::Owned(snapshot);
                self.world.held.push(Held { kind, txn, trees });
            }
        }
    }
}
