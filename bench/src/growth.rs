//! What it costs as data grows: depth, bytes and time from ten thousand entries on.

use crate::child::{Job, Task, task};
use crate::data::{DataSet, Draw, Entries, Keys, shuffled};
use crate::machine;
use crate::measure::Spread;
use crate::peer::{Durability, Found, Options, Peer, Result, Store, TOGETHER_MAX, disk_bytes_of};
use crate::stage::CACHE_BYTES;
use crate::team::same;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// What to measure.
#[derive(clap::Args)]
pub(crate) struct Growth {
    /// The largest number of entries; 100,000,000 of `u64` take 4 GB a store.
    #[arg(long, default_value_t = 10_000_000)]
    max: u64,
    /// What is stored.
    #[arg(long, value_enum, default_value_t = DataSet::Small)]
    set: DataSet,
    /// Which stores.
    #[arg(long, value_delimiter = ',', default_value = "mapleaf,lmdb", value_name = "NAME,...")]
    stores: Vec<String>,
    /// Where the files are made.
    #[arg(long, default_value = ".", value_name = "DIR")]
    dir: PathBuf,
}

/// The fewest entries.
const MIN: u64 = 10_000;
/// From here on entries are loaded in the order of their keys: to load them in no order takes hours.
const SORTED_FROM: u64 = 30_000_000;
/// Entries of one transaction of a load.
const TRANSACTION: usize = 1_000_000;
/// Gets of a round, and rounds.
const GETS: usize = 50_000;
const ROUNDS: u64 = 5;
/// Gets of a process that begins with nothing of the file in memory.
const COLD_GETS: usize = 64;
/// New entries of one durable transaction, and so many of those at most.
const BATCH: usize = 1000;
const BATCHES_MAX: u64 = 20;
/// What is new makes this part of what was there, at most.
const NEW_PART: u64 = 10;
/// The version of all that is stored.
const VERSION: u32 = 1;

/// A store of one size.
struct Grown<'s> {
    store: &'s Store,
    directory: PathBuf,
    peer: Box<dyn Peer>,
    depth: u32,
    entry_bytes: f64,
    get: Vec<f64>,
    get_many: Vec<f64>,
    insert: f64,
    insert_bytes: f64,
}

impl Growth {
    /// Measures, and prints a table.
    pub(crate) fn run(&self, stores: &[Store]) -> Result<()> {
        let wanted = |store: &&Store| self.stores.iter().any(|name| name == store.name);
        let stores: Vec<&Store> = stores.iter().filter(wanted).collect();
        if stores.len() != self.stores.len() {
            return Err("this build does not have all of these stores".into());
        }
        println!(
            "| entries | store | depth | bytes an entry | get | get, 32 together | bytes a cold get \
             | insert | bytes an insert |"
        );
        println!("|---:|---|---:|---:|---:|---:|---:|---:|---:|");
        let sizes = std::iter::successors(Some(MIN), |size| Some(size * 10));
        for size in sizes.take_while(|size| *size <= self.max) {
            let directory = tempfile::Builder::new().prefix("growth-").tempdir_in(&self.dir)?;
            self.measure(&stores, size, directory.path())?;
        }
        Ok(())
    }

    fn measure(&self, stores: &[&Store], size: u64, at: &Path) -> Result<()> {
        let mut all: Vec<Grown<'_>> = stores
            .iter()
            .map(|store| Grown::load(store, self.set, size, at))
            .collect::<Result<_>>()?;
        for round in 0..=ROUNDS {
            let numbers = Draw::new(70 + round).many(GETS, size);
            let keys = Keys::of(self.set, &numbers);
            let expected = worth(self.set, &numbers);
            // The first round warms.
            all.iter_mut().try_for_each(|grown| grown.gets(&keys, expected, round > 0))?;
        }
        all.iter_mut().try_for_each(|grown| grown.inserts(self.set, size))?;
        for grown in all {
            grown.report(self.set, size)?;
        }
        Ok(())
    }
}

/// What looking these up must find.
fn worth(set: DataSet, numbers: &[u64]) -> Found {
    let sum = numbers.iter().map(|number| set.worth(*number, VERSION));
    Found { count: numbers.len() as u64, sum: sum.fold(0, u64::wrapping_add) }
}

fn entries_of(set: DataSet, numbers: &[u64]) -> Entries {
    let mut entries = Entries::default();
    numbers.iter().for_each(|number| entries.push(set, *number, VERSION));
    entries
}

impl<'s> Grown<'s> {
    fn load(store: &'s Store, set: DataSet, size: u64, at: &Path) -> Result<Grown<'s>> {
        let directory = at.join(store.name);
        std::fs::create_dir(&directory)?;
        let peer = (store.open)(&directory, Options { set, cache_bytes: CACHE_BYTES })?;
        // Where a store can, one barrier at the end is enough.
        let _ = peer.durability(Durability::Eventual);
        let sorted = size >= SORTED_FROM;
        let numbers = if sorted { set.sorted(size) } else { shuffled(size, 3) };
        for part in numbers.chunks(TRANSACTION) {
            let entries = entries_of(set, part);
            let mut txn = peer.write()?;
            if sorted { txn.append(&entries) } else { txn.insert(&entries) }?;
            txn.commit()?;
        }
        peer.settle()?;
        peer.durability(Durability::Durable)?;
        let (depth, bytes) = (peer.depth()?, disk_bytes_of(&directory)?);
        Ok(Grown {
            store,
            directory,
            peer,
            depth,
            entry_bytes: bytes as f64 / size as f64,
            get: Vec::new(),
            get_many: Vec::new(),
            insert: 0.0,
            insert_bytes: 0.0,
        })
    }

    fn gets(&mut self, keys: &Keys, expected: Found, counts: bool) -> Result<()> {
        let reader = self.peer.read()?;
        let start = Instant::now();
        same(self.store.name, "gets", reader.get(keys)?, expected)?;
        let single = start.elapsed().as_nanos() as f64;
        let start = Instant::now();
        same(self.store.name, "gets together", reader.get_many(keys, TOGETHER)?, expected)?;
        let many = start.elapsed().as_nanos() as f64;
        if counts {
            self.get.push(single / keys.len() as f64);
            self.get_many.push(many / keys.len() as f64);
        }
        Ok(())
    }

    /// New entries in durable batches, and what they leave to do in the background.
    fn inserts(&mut self, set: DataSet, size: u64) -> Result<()> {
        let batches = (size / NEW_PART / BATCH as u64).clamp(1, BATCHES_MAX);
        let numbers: Vec<u64> = (size..size + batches * BATCH as u64).collect();
        let batches: Vec<Entries> =
            numbers.chunks(BATCH).map(|part| entries_of(set, part)).collect();
        let (before, start) = (machine::bytes_written()?, Instant::now());
        batches.iter().try_for_each(|batch| self.peer.put_all(batch))?;
        self.peer.settle()?;
        self.insert = start.elapsed().as_nanos() as f64 / numbers.len() as f64;
        self.insert_bytes = (machine::bytes_written()? - before) as f64 / numbers.len() as f64;
        let found = self.peer.read()?.get(&Keys::of(set, &numbers))?;
        same(self.store.name, "new entries", found, worth(set, &numbers))
    }

    /// Closes it, reads from it as if it were new, and prints a line.
    fn report(self, set: DataSet, size: u64) -> Result<()> {
        drop(self.peer);
        let at = self.directory.parent().ok_or("no directory")?;
        let mut cold = Vec::new();
        for seed in 0..ROUNDS {
            machine::make_cold(&self.directory)?;
            let gets = Task {
                count: COLD_GETS,
                together: 1,
                seed: 80 + seed,
                ..task(Job::Gets, self.store, set, at, size)?
            };
            cold.push(gets.ask(&mut gets.command()?)?.bytes);
        }
        let median = |numbers: &[f64]| Spread::of(numbers).map_or(0.0, |spread| spread.median);
        println!(
            "| {size} | {} | {} | {:.0} | {:.0} ns | {:.0} ns | {:.0} | {:.1} us | {:.0} |",
            self.store.name,
            self.depth,
            self.entry_bytes,
            median(&self.get),
            median(&self.get_many),
            median(&cold),
            self.insert / 1000.0,
            self.insert_bytes,
        );
        Ok(())
    }
}

/// Keys that are looked up together.
const TOGETHER: usize = 32;
const _: () = assert!(TOGETHER <= TOGETHER_MAX);
