//! `WriteMode::Shadow` and `WriteMode::InPlace` beside each other: on each file system, for each
//! durability, with small and large folios in the page cache.

use crate::data::{DataSet, Draw, Entries, shuffled};
use crate::machine::{Disk, FileSystem, Folios, make_cold, mean_pages};
use crate::measure::Spread;
use crate::peer::{Durability, Options, Peer, Result};
use crate::peers::mapleaf::{FILE, open};
use crate::stage::CACHE_BYTES;
use mapleaf::{Access, WriteMode};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// What to measure.
#[derive(clap::Args)]
pub(crate) struct WriteModes {
    /// Which file systems.
    #[arg(
        long,
        value_delimiter = ',',
        value_enum,
        default_value = "ext4,xfs,btrfs,tmpfs,tmpfs-huge",
        value_name = "NAME,..."
    )]
    filesystems: Vec<FileSystem>,
    /// Entries of the store (keys of 24 B, values of 150 B).
    #[arg(long, default_value_t = 500_000)]
    entries: u64,
    /// Chunks of each kind of commit; the modes take turns.
    #[arg(long, default_value_t = 7)]
    chunks: u64,
    /// Where the files of the loop devices are made.
    #[arg(long, default_value = ".", value_name = "DIR")]
    dir: PathBuf,
}

const SET: DataSet = DataSet::Small;
/// Bytes of the device: it is sparse.
const DEVICE_BYTES: u64 = 6 << 30;
const MODES: [(&str, WriteMode); 2] =
    [("Shadow", WriteMode::Shadow), ("InPlace", WriteMode::InPlace)];

/// A kind of commit: name, durability, puts a transaction, transactions a chunk.
struct Kind {
    name: &'static str,
    durability: Durability,
    puts: usize,
    transactions: usize,
}

const KINDS: [Kind; 3] = [
    Kind { name: "one put, Sync", durability: Durability::Durable, puts: 1, transactions: 100 },
    Kind {
        name: "1,000 puts, Sync",
        durability: Durability::Durable,
        puts: 1000,
        transactions: 10,
    },
    Kind {
        name: "one put, Eventual",
        durability: Durability::Eventual,
        puts: 1,
        transactions: 5000,
    },
];

/// What a mode took: until the commits returned, and until all was on the medium.
#[derive(Default)]
struct Taken {
    commits: Vec<f64>,
    settled: Vec<f64>,
    bytes: Vec<f64>,
}

impl WriteModes {
    /// Measures, and prints a table.
    pub(crate) fn run(&self) -> Result<()> {
        println!(
            "| file system, folios | a transaction | mode | commits | with checkpoint | to the device |"
        );
        println!("|---|---|---|---:|---:|---:|");
        for kind in &self.filesystems {
            let directory = tempfile::Builder::new().prefix("modes-").tempdir_in(&self.dir)?;
            let Some(disk) = Disk::new(directory.path(), DEVICE_BYTES, *kind) else {
                eprintln!("*** SKIPPED: {} needs root, a loop device and its mkfs", kind.name());
                continue;
            };
            for (name, mode) in MODES {
                self.load(&disk.path().join(name), mode)?;
            }
            let folios: &[Folios] = match kind.in_memory() {
                true => &[Folios::Small],
                false => &[Folios::Small, Folios::Large],
            };
            for folios in folios {
                self.measure(&disk, *kind, *folios)?;
            }
        }
        Ok(())
    }

    fn load(&self, directory: &Path, mode: WriteMode) -> Result<()> {
        std::fs::create_dir(directory)?;
        let peer = opened(directory, mode)?;
        peer.put_all(&entries_of(&shuffled(self.entries, 1)))?;
        peer.settle()
    }

    fn measure(&self, disk: &Disk, kind: FileSystem, folios: Folios) -> Result<()> {
        let mut peers = Vec::new();
        let mut means = Vec::new();
        for (name, mode) in MODES {
            let directory = disk.path().join(name);
            if !kind.in_memory() {
                make_cold(&directory)?;
                folios.read(&directory.join(FILE))?;
            }
            means.extend(mean_pages(&directory.join(FILE)));
            peers.push(opened(&directory, mode)?);
        }
        let means: Vec<String> = means.iter().map(|mean| format!("{mean:.1}")).collect();
        eprintln!("{}, {}: pages a folio {}", kind.name(), folios.name(), means.join(", "));
        let place = match kind.in_memory() {
            true => kind.name().to_owned(),
            false => format!("{}, {}", kind.name(), folios.name()),
        };
        for commits in &KINDS {
            let mut taken = [Taken::default(), Taken::default()];
            let mut draw = Draw::new(5);
            // The first chunk only warms.
            for chunk in 0..=self.chunks {
                let numbers = draw.many(commits.puts * commits.transactions, self.entries);
                for (peer, taken) in peers.iter().zip(&mut taken) {
                    let one = self.chunk(disk, &**peer, commits, &numbers)?;
                    if chunk > 0 {
                        taken.commits.push(one.0);
                        taken.settled.push(one.1);
                        taken.bytes.push(one.2);
                    }
                }
            }
            for ((mode, _), taken) in MODES.iter().zip(&taken) {
                report(&place, commits.name, mode, taken);
            }
        }
        Ok(())
    }

    /// Nanoseconds of a transaction, the same with the checkpoint, bytes to the device.
    fn chunk(
        &self,
        disk: &Disk,
        peer: &dyn Peer,
        kind: &Kind,
        numbers: &[u64],
    ) -> Result<(f64, f64, f64)> {
        let batches: Vec<Entries> = numbers.chunks(kind.puts).map(entries_of).collect();
        peer.durability(kind.durability)?;
        let (before, start) = (disk.written()?, Instant::now());
        batches.iter().try_for_each(|batch| peer.put_all(batch))?;
        let commits = start.elapsed().as_nanos() as f64;
        peer.settle()?;
        let settled = start.elapsed().as_nanos() as f64;
        let bytes = (disk.written()? - before) as f64;
        let count = kind.transactions as f64;
        Ok((commits / count, settled / count, bytes / count))
    }
}

fn opened(directory: &Path, mode: WriteMode) -> Result<Box<dyn Peer>> {
    open(directory, Options { set: SET, cache_bytes: CACHE_BYTES }, mode, Access::Auto)
}

fn entries_of(numbers: &[u64]) -> Entries {
    let mut entries = Entries::default();
    numbers.iter().for_each(|number| entries.push(SET, *number, 1));
    entries
}

fn report(place: &str, commits: &str, mode: &str, taken: &Taken) {
    let median = |numbers: &[f64]| Spread::of(numbers).map_or(0.0, |spread| spread.median);
    println!(
        "| {place} | {commits} | {mode} | {} | {} | {} |",
        crate::report::time(median(&taken.commits)),
        crate::report::time(median(&taken.settled)),
        crate::report::bytes(median(&taken.bytes)),
    );
}
