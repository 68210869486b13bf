//! Group commit: transactions of several threads share one barrier.
//!
//! A commit that others wait behind only appends to the log and passes the turn on. The last of them, behind
//! whom nobody waits, flushes the log for all:
//!
//! ```text
//! thread 1   write  append ············ waits ············ returns
//! thread 2          write  append ····· waits ············ returns
//! thread 3                 write  append and flush ─────── returns
//! ```
//!
//! How many can share a barrier is bounded by the number of threads, since each of them waits for it. Those who
//! wait look again whenever a turn ends: a transaction behind them may be rolled back, or ask for no
//! durability; then one of them makes the barrier. A transaction behind them may also take long: after
//! [`PATIENCE`] they make a checkpoint beside it.
//!
//! After DeWitt et al., "Implementation techniques for main memory database systems", 1984.

use crate::database::Inner;
use crate::error::Result;
use mapleaf_pager::{Durability, TxnId};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How long the last of a group waits for more of those who shared the barrier before: as long as it takes to wake
/// a thread, and a part of a barrier. Without it two threads would take turns, and wait for a barrier each.
const GATHER: Duration = Duration::from_micros(60);

/// How long a commit waits for the transactions behind it to end: some barriers long. (Tests wait for each other,
/// however long that takes.)
const PATIENCE: Duration = Duration::from_millis(if cfg!(test) { 3_600_000 } else { 20 });

/// How many share a barrier. Only who has the turn changes it.
#[derive(Default)]
pub(crate) struct Group {
    /// Commits since the last barrier.
    size: AtomicU32,
    /// Commits that shared the barrier before.
    last: AtomicU32,
}

impl Group {
    /// One more commit; whether as many shared the last barrier.
    fn joined(&self) -> bool {
        let size = self.size.load(Ordering::Relaxed).saturating_add(1);
        self.size.store(size, Ordering::Relaxed);
        size >= self.last.load(Ordering::Relaxed)
    }

    /// A commit makes a barrier for the group.
    fn ended(&self) {
        self.last.store(self.size.swap(0, Ordering::Relaxed), Ordering::Relaxed);
    }
}

impl Inner {
    /// What the commit of the transaction that has the turn has to do: less where somebody waits behind it.
    pub(crate) fn share_of_group(&self) -> Durability {
        let complete = self.group.joined();
        let start = Instant::now();
        while !complete && !self.turns.waited_for() && start.elapsed() < GATHER {
            std::thread::yield_now();
        }
        if self.turns.waited_for() {
            return Durability::Eventual;
        }
        self.group.ended();
        Durability::Sync
    }

    /// Waits until what was committed as `txn` survives power loss, or sees to it. The caller has no turn.
    pub(crate) fn until_durable(&self, txn: TxnId) -> Result<()> {
        self.until_durable_or(txn, PATIENCE)
    }

    fn until_durable_or(&self, txn: TxnId, patience: Duration) -> Result<()> {
        let mut ended = self.turns.ended();
        while self.store.stats().synced < txn {
            // With the turn nobody writes meanwhile, and the log is flushed; without it, a checkpoint is made.
            let turn = self.turns.try_take();
            if turn.is_none()
                && let Some(now) = self.turns.wait_for_end(ended, patience)
            {
                ended = now;
                continue;
            }
            self.store.sync().map_err(|error| self.name.error(error))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::{Database, Durability, WriteTxn};
    use std::thread;
    use std::time::Duration;

    fn opened(directory: &tempfile::TempDir) -> Database {
        let builder = Database::builder().background(false);
        let db = builder.open_buffered(directory.path().join("group.leaf")).unwrap();
        db.write().unwrap().commit().unwrap();
        db
    }

    fn put(txn: &mut WriteTxn<'_>, key: &[u8]) {
        txn.tree("keys").unwrap().insert(key, b"").unwrap();
    }

    /// One thread's group commit, with `behind` as the transaction that waits behind it: the first survives power
    /// loss when it returns.
    fn one_behind_another(behind: impl FnOnce(&Database, WriteTxn<'_>) + Send) {
        let directory = tempfile::tempdir().unwrap();
        let db = opened(&directory);
        let mut first = db.write().unwrap();
        put(&mut first, b"first");
        thread::scope(|scope| {
            let db = &db;
            let second = scope.spawn(move || {
                let mut txn = db.write().unwrap();
                put(&mut txn, b"second");
                behind(db, txn);
            });
            while !db.inner().turns.waited_for() {
                thread::yield_now();
            }
            let txn = first.commit_group().unwrap();
            assert!(db.stats().store.synced >= txn, "it returned before it survives power loss");
            second.join().unwrap();
        });
        assert!(db.read().unwrap().tree("keys").unwrap().contains(b"first").unwrap());
    }

    /// Else threads that commit at the same time would wait for a barrier each.
    #[test]
    fn a_commit_leaves_the_barrier_to_the_one_behind_it() {
        one_behind_another(|db, txn| {
            let stats = db.stats().store;
            assert!(stats.synced < stats.txn, "the first made a barrier of its own");
            assert!(db.read().unwrap().tree("keys").unwrap().contains(b"first").unwrap());
            txn.commit_group().unwrap();
            let after = db.stats().store;
            assert_eq!((after.synced, after.checkpoints), (after.txn, stats.checkpoints));
        });
    }

    /// Else a commit would be acknowledged by nobody's barrier, or wait for ever.
    #[test]
    fn a_commit_whose_follower_makes_no_barrier_makes_one() {
        one_behind_another(|_, txn| txn.rollback());
        one_behind_another(|_, txn| assert!(txn.commit_with(Durability::Eventual).is_ok()));
        one_behind_another(|_, txn| assert!(txn.commit().is_ok()));
    }

    /// Else one long transaction would hold up the commits before it.
    #[test]
    fn a_commit_does_not_wait_for_long_for_a_transaction_behind_it() {
        let directory = tempfile::tempdir().unwrap();
        let db = opened(&directory);
        let mut first = db.write().unwrap();
        put(&mut first, b"first");
        let txn = first.commit_with(Durability::Eventual).unwrap();
        let long = db.write().unwrap();
        db.inner().until_durable_or(txn, Duration::ZERO).unwrap();
        assert!(db.stats().store.synced >= txn);
        drop(long);
    }

    /// Else what nobody has made durable would be acknowledged.
    #[test]
    fn alone_it_is_a_commit() {
        let directory = tempfile::tempdir().unwrap();
        let db = opened(&directory);
        let mut txn = db.write().unwrap();
        put(&mut txn, b"alone");
        let txn = txn.commit_group().unwrap();
        assert_eq!(db.stats().store.synced, txn);
    }
}
