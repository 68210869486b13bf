//! The stores of a run side by side, with the same entries in each.

use crate::data::{DataSet, Keys, shuffled};
use crate::measure::Samples;
use crate::model::Model;
use crate::peer::{Durability, Found, Options, Peer, Result, Store, Who};
use std::path::{Path, PathBuf};

/// Every so many entries one value is compared whole.
const COMPARED: usize = 97;
/// Order in which entries are inserted.
const LOAD_SEED: u64 = 1;

/// A store that takes part.
pub(crate) struct Member {
    /// Its name.
    pub(crate) name: &'static str,
    /// Who it is in reports.
    pub(crate) who: Who,
    /// The open store.
    pub(crate) peer: Box<dyn Peer>,
    /// Where its files are.
    pub(crate) directory: PathBuf,
}

/// Stores with the same entries.
pub(crate) struct Team {
    /// The stores.
    pub(crate) members: Vec<Member>,
    /// What is in each of them.
    pub(crate) model: Model,
    /// What kind of entries.
    pub(crate) set: DataSet,
}

impl Team {
    /// Makes empty stores in a directory that must not have any yet.
    pub(crate) fn empty(stores: &[&Store], at: &Path, options: Options) -> Result<Team> {
        let mut members = Vec::new();
        for store in stores {
            let directory = at.join(store.name);
            std::fs::create_dir_all(&directory)?;
            let peer = (store.open)(&directory, options)
                .map_err(|error| format!("{}: {error}", store.name))?;
            members.push(Member { name: store.name, who: store.who(), peer, directory });
        }
        Ok(Team { members, model: Model::new(options.set), set: options.set })
    }

    /// Samples for all of them.
    pub(crate) fn samples(&self, workload: impl Into<String>, threads: usize) -> Samples {
        Samples::new(workload, threads, self.members.iter().map(|member| member.who))
    }

    /// Inserts `count` entries in no order, all of a store in one transaction.
    pub(crate) fn load(&mut self, count: u64, chunks: usize) -> Result<Samples> {
        self.load_in_order(&shuffled(count, LOAD_SEED), chunks, "load-random", false)
    }

    /// Inserts entries in this order, all of a store in one transaction.
    pub(crate) fn load_in_order(
        &mut self,
        numbers: &[u64],
        chunks: usize,
        workload: &str,
        append: bool,
    ) -> Result<Samples> {
        let mut samples = self.samples(workload, 1);
        let Team { members, model, .. } = self;
        let mut txns =
            members.iter().map(|member| member.peer.write()).collect::<Result<Vec<_>>>()?;
        samples.without_collectors(&txns);
        for chunk in numbers.chunks(numbers.len().div_ceil(chunks)) {
            let entries = model.put(chunk);
            for (at, txn) in txns.iter_mut().enumerate() {
                let inserted = samples.take(at, entries.len(), || match append {
                    true => txn.append(&entries),
                    false => txn.insert(&entries),
                })?;
                if inserted.is_none() {
                    txn.insert(&entries)?;
                }
            }
        }
        for txn in txns {
            txn.commit()?;
        }
        self.check_some()?;
        Ok(samples)
    }

    /// Compares some whole values of each store with what was stored.
    pub(crate) fn check_some(&self) -> Result<()> {
        self.check((0..self.model.len()).step_by(COMPARED))
    }

    /// Compares whole values of these entries.
    pub(crate) fn check(&self, numbers: impl Iterator<Item = u64> + Clone) -> Result<()> {
        for member in &self.members {
            let reader = member.peer.read()?;
            self.model.check(member.name, &*reader, numbers.clone())?;
        }
        Ok(())
    }

    /// The keys of these entries.
    pub(crate) fn keys(&self, numbers: &[u64]) -> Keys {
        Keys::of(self.set, numbers)
    }

    /// Puts new versions of these entries into each store, in the way of `work`, as a chunk. Who cannot do
    /// it that way puts them in without being measured, so that all have the same.
    pub(crate) fn put(
        &mut self,
        samples: &mut Samples,
        numbers: &[u64],
        operations: usize,
        work: impl Fn(&dyn Peer, &crate::data::Entries) -> Result<()>,
    ) -> Result<()> {
        let entries = self.model.put(numbers);
        for (at, member) in self.members.iter().enumerate() {
            if samples.take(at, operations, || work(&*member.peer, &entries))?.is_none() {
                member.peer.put_all(&entries)?;
            }
        }
        Ok(())
    }

    /// What commits of all stores survive from now on. Who cannot is left out of the samples.
    pub(crate) fn durability(&self, samples: &mut Samples, durability: Durability) -> Result<()> {
        for (at, member) in self.members.iter().enumerate() {
            samples.warm(at, || member.peer.durability(durability))?;
        }
        Ok(())
    }

    /// Finishes what the stores do in the background.
    pub(crate) fn settle(&self) -> Result<()> {
        self.members.iter().try_for_each(|member| member.peer.settle())
    }
}

/// Fails where a store has found something else.
pub(crate) fn same(store: &str, what: &str, found: Found, expected: Found) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    Err(format!("{store}: {what}: found {found:x?}, expected {expected:x?}").into())
}
