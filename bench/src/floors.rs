//! What nothing can be faster than on this machine: a load that waits for memory, reading memory in order,
//! and a bare write that is made durable.

#![allow(unsafe_code)] // Asks for memory with and without large pages.

use crate::data::shuffled;
use crate::measure::quantile;
use crate::peer::Result;
use rustix::mm::{self, Advice, MapFlags, ProtFlags};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Where to measure.
#[derive(clap::Args)]
pub(crate) struct Floors {
    /// Where the file is made: on the disk to measure.
    #[arg(long, default_value = ".", value_name = "DIR")]
    dir: PathBuf,
}

/// Bytes of memory: as much as a million small entries take.
const MEMORY: usize = 256 << 20;
/// A processor's cache line.
const LINE: usize = 64;
const WORDS_A_LINE: usize = LINE / 8;
/// Loads, and rounds of whatever is measured in rounds.
const LOADS: usize = 2_000_000;
const ROUNDS: usize = 5;
/// Writes of each size.
const WRITES: usize = 1000;
const UNIT: usize = 4096;
/// Bytes of the log for a thousand puts of small entries.
const BATCH: usize = 180 << 10;

/// Words of memory, on pages of one size.
struct Memory(*mut u64);

impl Memory {
    fn new(advice: Advice) -> Result<Memory> {
        // A large page more than needed, so that all but the ends can be large.
        let (protection, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE);
        // SAFETY: new memory wherever the kernel likes.
        let map = unsafe { mm::mmap_anonymous(std::ptr::null_mut(), MEMORY, protection, flags)? };
        // SAFETY: a hint for the memory just made.
        unsafe { mm::madvise(map, MEMORY, advice)? };
        Ok(Memory(map.cast()))
    }

    fn words(&mut self) -> &mut [u64] {
        // SAFETY: zeroed memory of this size, aligned to a page, which only `self` refers to.
        unsafe { std::slice::from_raw_parts_mut(self.0, MEMORY / 8) }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: made by `new`; `words` borrows from `self`, so no reference is left.
        let _ = unsafe { mm::munmap(self.0.cast(), MEMORY) };
    }
}

impl Floors {
    /// Measures, and prints a table.
    pub(crate) fn run(&self) -> Result<()> {
        println!("| floor | median | worst of 100 |\n|---|---:|---:|");
        for (pages, advice) in
            [("4 KiB", Advice::LinuxNoHugepage), ("2 MiB", Advice::LinuxHugepage)]
        {
            let mut memory = Memory::new(advice)?;
            let words = memory.words();
            let load = median((0..ROUNDS).map(|_| chase(words)));
            println!("| load that waits for memory, pages of {pages} | {load:.0} ns | |");
            let read = median((0..ROUNDS).map(|_| read_in_order(words)));
            println!("| reading memory in order, pages of {pages} | {read:.1} GB/s | |");
        }
        for bytes in [UNIT, BATCH] {
            let mut taken = durable_writes(&self.dir, bytes)?;
            taken.sort_unstable_by(f64::total_cmp);
            let at = |part| quantile(&taken, part).unwrap_or(0.0) / 1000.0;
            let (middle, worst) = (at(0.5), at(0.99));
            println!(
                "| write of {} KiB and fdatasync | {middle:.0} us | {worst:.0} us |",
                bytes >> 10
            );
        }
        Ok(())
    }
}

fn median(numbers: impl Iterator<Item = f64>) -> f64 {
    let mut numbers: Vec<f64> = numbers.collect();
    numbers.sort_unstable_by(f64::total_cmp);
    quantile(&numbers, 0.5).unwrap_or(0.0)
}

/// Nanoseconds of a load whose address is the one before it: each line once, in no order.
fn chase(words: &mut [u64]) -> f64 {
    let order = shuffled((words.len() / WORDS_A_LINE) as u64, 9);
    let ring = order.iter().zip(order.iter().cycle().skip(1));
    ring.for_each(|(line, next)| {
        words[*line as usize * WORDS_A_LINE] = next * WORDS_A_LINE as u64;
    });
    let start = Instant::now();
    let mut at = 0;
    for _ in 0..LOADS {
        at = words[at as usize];
    }
    std::hint::black_box(at);
    start.elapsed().as_nanos() as f64 / LOADS as f64
}

fn read_in_order(words: &[u64]) -> f64 {
    let start = Instant::now();
    std::hint::black_box(words.iter().fold(0u64, |sum, word| sum.wrapping_add(*word)));
    MEMORY as f64 / start.elapsed().as_nanos() as f64
}

/// Nanoseconds of each of many writes of so many bytes, one behind the other in a file that was written
/// before, each made durable.
fn durable_writes(directory: &Path, bytes: usize) -> Result<Vec<f64>> {
    const FILE_BYTES: usize = 64 << 20;
    let file = tempfile::tempfile_in(directory)?;
    file.write_all_at(&vec![1; FILE_BYTES], 0)?;
    file.sync_all()?;
    let content = vec![2; bytes];
    let mut taken = Vec::new();
    for write in 0..WRITES {
        let at = write * bytes % (FILE_BYTES - bytes) / UNIT * UNIT;
        let start = Instant::now();
        file.write_all_at(&content, at as u64)?;
        file.sync_data()?;
        taken.push(start.elapsed().as_nanos() as f64);
    }
    Ok(taken)
}
