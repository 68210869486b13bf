//! The jobs: what is done, in which chunks, and whether the answers are right.

use crate::data;
use crate::lmdb::Lmdb;
use crate::mapleaf_peer::MapleafPeer;
use crate::peer::{Failure, Peer};
use heed::EnvFlags;
use mapleaf::WriteMode;
use std::path::Path;
use std::time::Instant;

/// How much of each job is done.
pub(crate) struct Sizes {
    /// Chunks of a load and of the gets.
    pub(crate) chunks: usize,
    /// Gets in all.
    pub(crate) gets: usize,
    /// Transactions of one put.
    pub(crate) single_puts: usize,
    /// Transactions of [`BATCH`] puts.
    pub(crate) batches: usize,
    /// Rows of batches.
    pub(crate) rows: usize,
    /// Scans of everything.
    pub(crate) scans: usize,
}

impl Sizes {
    /// For figures.
    pub(crate) const FULL: Sizes =
        Sizes { chunks: 20, gets: 2_000_000, single_puts: 4_000, batches: 60, rows: 5, scans: 7 };
    /// To see that it works.
    pub(crate) const QUICK: Sizes =
        Sizes { chunks: 5, gets: 200_000, single_puts: 500, batches: 10, rows: 1, scans: 3 };
}

/// Puts of a batch.
pub(crate) const BATCH: usize = 1000;
/// Batches that one peer commits in a row.
const BATCHES_A_ROW: usize = 40;
/// Transactions of one put between two turns.
const SINGLES_A_TURN: usize = 50;
/// Every so many entries one value is compared whole.
const COMPARED: u64 = 97;

/// What a job took, for each peer.
pub(crate) struct Figure {
    /// What was done.
    pub(crate) job: &'static str,
    /// Unit of the numbers.
    pub(crate) unit: &'static str,
    /// Name of a peer and its number: a median, in `unit`.
    pub(crate) peers: Vec<(&'static str, f64)>,
}

/// Times of one job: for each peer, one number a chunk.
struct Times {
    job: &'static str,
    unit: &'static str,
    /// Numbers in nanoseconds are divided by this.
    scale: f64,
    chunks: Vec<Vec<f64>>,
}

impl Times {
    fn new(job: &'static str, unit: &'static str, scale: f64, peers: usize) -> Times {
        Times { job, unit, scale, chunks: vec![Vec::new(); peers] }
    }

    /// Runs `work`, `operations` of them, as a chunk of peer `at`.
    fn measure<T>(
        &mut self,
        at: usize,
        operations: usize,
        work: impl FnOnce() -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let start = Instant::now();
        let result = work()?;
        let nanoseconds = start.elapsed().as_nanos() as f64;
        self.chunks[at].push(nanoseconds / operations as f64 / self.scale);
        Ok(result)
    }

    fn figure(&self, peers: &[Box<dyn Peer>]) -> Figure {
        let medians = self.chunks.iter().map(|chunks| median(chunks));
        let peers = peers.iter().map(|peer| peer.name()).zip(medians).collect();
        Figure { job: self.job, unit: self.unit, peers }
    }
}

/// The middle of the numbers.
fn median(numbers: &[f64]) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        len if len % 2 == 1 => sorted[len / 2],
        len => f64::midpoint(sorted[len / 2 - 1], sorted[len / 2]),
    }
}

const NANOSECONDS: f64 = 1.0;
const MICROSECONDS: f64 = 1e3;

/// Does all jobs with all peers in `directory`.
pub(crate) fn run(directory: &Path, entries: u64, sizes: &Sizes) -> Result<Vec<Figure>, Failure> {
    let peers: Vec<Box<dyn Peer>> = vec![
        Box::new(MapleafPeer::create(&directory.join("auto.leaf"), "mapleaf", WriteMode::Auto)?),
        Box::new(MapleafPeer::create(
            &directory.join("place.leaf"),
            "mapleaf in place",
            WriteMode::InPlace,
        )?),
        Box::new(Lmdb::create(&directory.join("lmdb"), "LMDB", EnvFlags::empty())?),
        Box::new(Lmdb::create(&directory.join("lmdb-w"), "LMDB WRITE_MAP", EnvFlags::WRITE_MAP)?),
    ];
    let mut figures = Vec::new();
    figures.push(load(&peers, entries, sizes)?);
    check(&peers, entries)?;
    figures.push(gets(&peers, entries, sizes, false)?);
    figures.push(gets(&peers, entries, sizes, true)?);
    figures.push(scans(&peers, entries, sizes)?);
    figures.push(single_puts(&peers, entries, sizes)?);
    figures.push(batches(&peers, entries, sizes)?);
    figures.push(batches_in_a_row(&peers, entries, sizes)?);
    figures.push(disk(&peers)?);
    Ok(figures)
}

fn load(peers: &[Box<dyn Peer>], entries: u64, sizes: &Sizes) -> Result<Figure, Failure> {
    eprintln!("random insert of {entries} entries in one transaction");
    let mut times = Times::new("random insert, one transaction", "ns", NANOSECONDS, peers.len());
    let numbers = data::shuffled(entries, 1);
    let mut loads = peers.iter().map(|peer| peer.load()).collect::<Result<Vec<_>, _>>()?;
    for chunk in numbers.chunks(numbers.len().div_ceil(sizes.chunks)) {
        let chunk = data::entries(chunk, 0);
        for (at, load) in loads.iter_mut().enumerate() {
            times.measure(at, chunk.len(), || load.insert(&chunk))?;
        }
    }
    for load in loads {
        load.finish()?;
    }
    Ok(times.figure(peers))
}

/// Compares whole values with what was stored.
fn check(peers: &[Box<dyn Peer>], entries: u64) -> Result<(), Failure> {
    for peer in peers {
        let reader = peer.reader()?;
        for number in (0..entries).step_by(COMPARED as usize) {
            if reader.value(&data::key(number))?.as_deref() != Some(&data::value(number, 0)[..]) {
                return Err(format!("{}: entry {number} has another value", peer.name()).into());
            }
        }
    }
    Ok(())
}

/// Random gets, one at a time or together. Each chunk's answers are compared.
fn gets(
    peers: &[Box<dyn Peer>],
    entries: u64,
    sizes: &Sizes,
    together: bool,
) -> Result<Figure, Failure> {
    let job =
        if together { "random get, warm, 32 at a time where it can" } else { "random get, warm" };
    eprintln!("{} times: {job}", sizes.gets);
    let mut times = Times::new(job, "ns", NANOSECONDS, peers.len());
    let readers = peers.iter().map(|peer| peer.reader()).collect::<Result<Vec<_>, _>>()?;
    let chunk_len = sizes.gets / sizes.chunks;
    let mut seed = 2 + u64::from(together);
    for chunk in 0..=sizes.chunks {
        let mut next = || {
            seed = data::mix(seed);
            seed % entries
        };
        let numbers: Vec<u64> = (0..chunk_len).map(|_| next()).collect();
        let expected = numbers.iter().map(|number| data::worth(&data::value(*number, 0)));
        let expected = expected.fold(0, u64::wrapping_add);
        let keys: Vec<data::Key> = numbers.iter().map(|number| data::key(*number)).collect();
        for (at, reader) in readers.iter().enumerate() {
            let look = || if together { reader.get_many(&keys) } else { reader.get(&keys) };
            // The first chunk only warms the caches.
            let sum = match chunk {
                0 => look()?,
                _ => times.measure(at, chunk_len, look)?,
            };
            same(peers[at].name(), "gets", sum, expected)?;
        }
    }
    Ok(times.figure(peers))
}

fn scans(peers: &[Box<dyn Peer>], entries: u64, sizes: &Sizes) -> Result<Figure, Failure> {
    eprintln!("{} full scans", sizes.scans);
    let mut times =
        Times::new("full scan, keys and values, an entry", "ns", NANOSECONDS, peers.len());
    let all = (0..entries).map(|number| data::worth(&data::value(number, 0)));
    let expected = all.fold(0, u64::wrapping_add);
    for _ in 0..sizes.scans {
        for (at, peer) in peers.iter().enumerate() {
            let reader = peer.reader()?;
            let (count, sum) = times.measure(at, entries as usize, || reader.scan())?;
            same(peer.name(), "entries of a scan", count, entries)?;
            same(peer.name(), "values of a scan", sum, expected)?;
        }
    }
    Ok(times.figure(peers))
}

fn single_puts(peers: &[Box<dyn Peer>], entries: u64, sizes: &Sizes) -> Result<Figure, Failure> {
    eprintln!("{} durable transactions of one put", sizes.single_puts);
    let mut times = Times::new("durable one-put transaction", "us", MICROSECONDS, peers.len());
    let numbers: Vec<u64> = (0..sizes.single_puts as u64).map(|i| data::mix(i) % entries).collect();
    for turn in numbers.chunks(SINGLES_A_TURN) {
        let turn = data::entries(turn, 1);
        for (at, peer) in peers.iter().enumerate() {
            times.measure(at, turn.len(), || {
                turn.iter().try_for_each(|entry| peer.put_durably(std::slice::from_ref(entry)))
            })?;
        }
    }
    written(peers, &numbers, 1)?;
    Ok(times.figure(peers))
}

fn batches(peers: &[Box<dyn Peer>], entries: u64, sizes: &Sizes) -> Result<Figure, Failure> {
    eprintln!("{} durable transactions of {BATCH} random puts", sizes.batches);
    let mut times =
        Times::new("durable batch of 1,000 random puts", "us", MICROSECONDS, peers.len());
    let mut seed = 3;
    let mut next = || {
        seed = data::mix(seed);
        seed % entries
    };
    for _ in 0..sizes.batches {
        let numbers: Vec<u64> = (0..BATCH).map(|_| next()).collect();
        let entries = data::entries(&numbers, 2);
        for (at, peer) in peers.iter().enumerate() {
            times.measure(at, 1, || peer.put_durably(&entries))?;
        }
        written(peers, &numbers, 2)?;
    }
    Ok(times.figure(peers))
}

/// Each peer alone, what it does in the background included: a mean, in turns.
fn batches_in_a_row(
    peers: &[Box<dyn Peer>],
    entries: u64,
    sizes: &Sizes,
) -> Result<Figure, Failure> {
    eprintln!("{BATCHES_A_ROW} such transactions in a row, and what they leave to do");
    let mut times =
        Times::new("the same in a row, checkpoints included", "us", MICROSECONDS, peers.len());
    let mut seed = 5;
    let mut next = || {
        seed = data::mix(seed);
        seed % entries
    };
    for _ in 0..sizes.rows {
        let numbers: Vec<u64> = (0..BATCHES_A_ROW * BATCH).map(|_| next()).collect();
        let entries = data::entries(&numbers, 3);
        for (at, peer) in peers.iter().enumerate() {
            peer.settle()?;
            times.measure(at, BATCHES_A_ROW, || {
                entries.chunks(BATCH).try_for_each(|batch| peer.put_durably(batch))?;
                peer.settle()
            })?;
        }
        written(peers, &numbers, 3)?;
    }
    Ok(times.figure(peers))
}

fn written(peers: &[Box<dyn Peer>], numbers: &[u64], version: u64) -> Result<(), Failure> {
    for peer in peers {
        let reader = peer.reader()?;
        for number in numbers {
            if reader.value(&data::key(*number))?.as_deref()
                != Some(&data::value(*number, version)[..])
            {
                return Err(format!("{}: entry {number} was not written", peer.name()).into());
            }
        }
    }
    Ok(())
}

fn disk(peers: &[Box<dyn Peer>]) -> Result<Figure, Failure> {
    /// Bytes of a MiB.
    const MIB: f64 = 1_048_576.0;
    let mut figure = Figure { job: "disk in use at the end", unit: "MiB", peers: Vec::new() };
    for peer in peers {
        figure.peers.push((peer.name(), peer.disk_bytes()? as f64 / MIB));
    }
    Ok(figure)
}

fn same(peer: &str, what: &str, found: u64, expected: u64) -> Result<(), Failure> {
    if found == expected {
        return Ok(());
    }
    Err(format!("{peer}: {what}: {found:#x}, expected {expected:#x}").into())
}
