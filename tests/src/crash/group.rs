//! Group commits, as `mapleaf`'s `WriteTxn::commit_group` makes them, one step after the other.
//!
//! Those with somebody behind them commit `Eventual`. They are acknowledged when `Stats::synced` has reached
//! their number, whatever makes it so: the last one's barrier, a `sync` where the one behind has given up, a
//! checkpoint where it takes long. Each of them may look at any moment, so all look at the start of every flush.
//! From then on the campaign takes it for a loss when a crash undoes one that was acknowledged, or any commit
//! before it.

use super::Step;
use super::act::gate;
use super::life::{Life, Stop, Stopped};
use super::verify::SimStore;
use mapleaf_btree::{Result, Writer};
use mapleaf_pager::{Durability, TxnId};

/// Those who leave the barrier to whoever is behind them.
const WAITING: u8 = 2;

impl Life<'_> {
    /// A group: two that wait, and what follows them, by the digit: a third commit, which makes the barrier; a
    /// transaction that is rolled back; one that is still open when they lose patience.
    pub(super) fn group(&mut self, store: &SimStore, step: Step) -> Stopped {
        let mut waiting = Vec::new();
        for nth in 0..WAITING {
            let digit = (step.digit + nth) % 10;
            let (mut writer, mut model) = (Writer::new(store.begin_write()?)?, self.draft());
            self.puts(&mut writer, &mut model, Step { letter: b"eE"[usize::from(nth)], digit })?;
            waiting.push((writer.txn().id(), model.hash));
            self.commit(writer, model, false)?;
            self.acknowledge(&waiting, store.stats().synced);
        }
        let (mut writer, mut model) = (Writer::new(store.begin_write()?)?, self.draft());
        self.puts(
            &mut writer,
            &mut model,
            Step { letter: b's', digit: (step.digit + WAITING) % 10 },
        )?;
        let sync = || Ok(store.sync().map(drop)?);
        match step.digit % 4 {
            0 | 1 => {
                self.attempt(model);
                self.watch(store, &waiting, move || writer.commit(Durability::Sync).map(drop))?;
                self.committed(true);
            }
            2 => {
                drop(writer);
                self.watch(store, &waiting, sync)?;
                self.all_durable();
            }
            _ => {
                self.watch(store, &waiting, sync)?;
                self.all_durable();
                self.commit(writer, model, false)?;
            }
        }
        let synced = store.stats().synced;
        if waiting.iter().any(|(txn, _)| *txn > synced) {
            return Err(Stop::Wrong(format!("{waiting:?} wait for ever: {synced} is synced")));
        }
        Ok(())
    }

    /// Those of the group whose number is reached are told that they survive power loss.
    fn acknowledge(&mut self, waiting: &[(TxnId, u64)], synced: TxnId) {
        let Some((_, hash)) = waiting.iter().rfind(|(txn, _)| *txn <= synced) else { return };
        if let Some(at) = self.possible.iter().position(|model| model.hash == *hash) {
            self.possible.drain(..at);
            self.note();
        }
    }

    /// Does what makes the group durable; whoever waits looks at the start of each flush of it.
    fn watch(
        &mut self,
        store: &SimStore,
        waiting: &[(TxnId, u64)],
        act: impl FnOnce() -> Result<()> + Send,
    ) -> Stopped {
        let mapping = &self.mapping.clone();
        std::thread::scope(|scope| {
            let arrived = gate(mapping, false);
            let act = scope.spawn(move || {
                let result = act();
                mapping.on_flush(None);
                result
            });
            while let Ok(go) = arrived.recv() {
                self.acknowledge(waiting, store.stats().synced);
                drop(go);
            }
            Ok(act.join().map_err(|_| Stop::Wrong("a panic".into()))??)
        })
    }
}
