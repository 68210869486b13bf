//! Where a workload runs: one data set, the stores that take it, and the rows so far.

use crate::data::DataSet;
use crate::measure::{Samples, Spread};
use crate::peer::{Options, Result, Store};
use crate::sizes::Sizes;
use crate::team::Team;
use std::path::{Path, PathBuf};

/// Bytes for a store's own caches, where nothing limits it: more than any data set of a run needs.
pub(crate) const CACHE_BYTES: u64 = 1 << 30;

/// A figure.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// Name of the workload.
    pub(crate) workload: String,
    /// Name of the data set.
    pub(crate) dataset: &'static str,
    /// Name of the store.
    pub(crate) store: &'static str,
    /// Threads that worked.
    pub(crate) threads: usize,
    /// Nanoseconds an operation.
    pub(crate) nanoseconds: Option<Spread>,
    /// Bytes an operation: what they are, the workload says.
    pub(crate) bytes: Option<f64>,
    /// How many times as fast (or small) as the best setting of LMDB.
    pub(crate) ratio: Option<f64>,
}

/// One data set's part of a run.
pub(crate) struct Stage<'r> {
    /// The stores that can hold it.
    pub(crate) stores: Vec<&'r Store>,
    /// Those, and settings that matter only where the disk is read.
    pub(crate) cold: Vec<&'r Store>,
    /// How much is done.
    pub(crate) sizes: Sizes,
    /// What is stored.
    pub(crate) set: DataSet,
    /// The rows so far.
    pub(crate) rows: Vec<Row>,
    directory: tempfile::TempDir,
    loaded: Option<Team>,
    teams: usize,
}

impl<'r> Stage<'r> {
    /// A stage in a new directory below `at`, which is removed with it.
    pub(crate) fn new(
        stores: &'r [Store],
        sizes: Sizes,
        set: DataSet,
        at: &Path,
    ) -> Result<Stage<'r>> {
        let cold: Vec<&Store> = stores.iter().filter(|store| (store.takes)(set)).collect();
        let stores = cold.iter().copied().filter(|store| !store.only_cold).collect();
        let directory = tempfile::Builder::new().prefix("mapleaf-bench-").tempdir_in(at)?;
        Ok(Stage { stores, cold, sizes, set, rows: Vec::new(), directory, loaded: None, teams: 0 })
    }

    /// Entries of a loaded store.
    pub(crate) fn entries(&self) -> u64 {
        self.sizes.entries(self.set)
    }

    fn next_directory(&mut self) -> Result<PathBuf> {
        self.teams += 1;
        let directory = self.directory.path().join(self.teams.to_string());
        std::fs::create_dir(&directory)?;
        Ok(directory)
    }

    fn empty(&self, at: &Path) -> Result<Team> {
        Team::empty(&self.stores, at, Options { set: self.set, cache_bytes: CACHE_BYTES })
    }

    /// A directory of a workload's own, which it may remove. The loaded stores are closed: the workloads
    /// that share them have run.
    pub(crate) fn own_directory(&mut self) -> Result<PathBuf> {
        self.loaded = None;
        self.next_directory()
    }

    /// Empty stores of a workload's own, in such a directory.
    pub(crate) fn own_team(&mut self) -> Result<(Team, PathBuf)> {
        let at = self.own_directory()?;
        Ok((self.empty(&at)?, at))
    }

    /// The loaded stores; loads them at the first call, and then says what that took.
    pub(crate) fn load(&mut self) -> Result<Option<Samples>> {
        if self.loaded.is_some() {
            return Ok(None);
        }
        let at = self.next_directory()?;
        let mut team = self.empty(&at)?;
        let samples = team.load(self.entries(), self.sizes.chunks)?;
        self.loaded = Some(team);
        Ok(Some(samples))
    }

    /// The loaded stores.
    pub(crate) fn team(&mut self) -> Result<&mut Team> {
        self.load()?;
        self.loaded.as_mut().ok_or_else(|| "nothing is loaded".into())
    }

    /// Makes rows of what was measured.
    pub(crate) fn report(&mut self, samples: Samples) {
        let mut rows = Vec::new();
        for taken in &samples.taken {
            let who = taken.who;
            if let Some(why) = &taken.left_out {
                eprintln!("  {} leaves out {}: {why}", samples.workload, who.name);
            }
            let row = Row {
                workload: samples.workload.clone(),
                dataset: self.set.name(),
                store: who.name,
                threads: samples.threads,
                nanoseconds: Spread::of(&taken.nanoseconds),
                bytes: Spread::of(&taken.bytes).map(|spread| spread.median),
                ratio: None,
            };
            if taken.left_out.is_none() && (row.nanoseconds.is_some() || row.bytes.is_some()) {
                rows.push((who.is_lmdb, row));
            }
        }
        self.rows.extend(with_ratios(rows));
    }
}

/// What is compared: the time, where there is one.
fn figure(row: &Row) -> Option<f64> {
    row.nanoseconds.map(|spread| spread.median).or(row.bytes)
}

/// Sets each row against the best setting of LMDB.
fn with_ratios(rows: Vec<(bool, Row)>) -> impl Iterator<Item = Row> {
    let of_lmdb = rows.iter().filter(|(is_lmdb, _)| *is_lmdb).filter_map(|(_, row)| figure(row));
    let best = of_lmdb.min_by(f64::total_cmp);
    rows.into_iter().map(move |(_, mut row)| {
        row.ratio = best.zip(figure(&row)).map(|(best, own)| best / own);
        row
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn row(store: &'static str, median: f64) -> Row {
        let nanoseconds = Some(Spread { median, low: median, high: median });
        Row {
            workload: "get".into(),
            dataset: "small",
            store,
            threads: 1,
            nanoseconds,
            bytes: None,
            ratio: None,
        }
    }

    #[test]
    fn ratios_are_against_the_best_setting_of_lmdb() {
        let rows = [(false, "mapleaf", 2.0), (true, "lmdb", 8.0), (true, "lmdb-writemap", 5.0)];
        let rows = rows.map(|(is_lmdb, store, median)| (is_lmdb, row(store, median)));
        let ratios: Vec<f64> = with_ratios(rows.into()).filter_map(|row| row.ratio).collect();
        assert_eq!(ratios, [2.5, 0.625, 1.0]);
    }
}
