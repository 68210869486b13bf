//! What a medium may hold: per write unit, the version that is sure and those written since.

use std::ops::Range;
use std::sync::Arc;

/// Bytes of a write unit, with their hash.
#[derive(Debug)]
pub struct Unit {
    /// Of the bytes; 64 bits, so that two versions are told apart without a look at them.
    pub hash: u64,
    /// As many as a write unit has.
    pub bytes: Box<[u8]>,
}

/// A version of a unit. Histories share them.
pub type Version = Arc<Unit>;

/// A version of these bytes.
#[must_use]
pub fn version(bytes: &[u8]) -> Version {
    Arc::new(Unit { hash: hash(bytes), bytes: bytes.into() })
}

/// A hash that is good enough to tell images apart: one multiplication a word, in four chains that need not wait for
/// one another.
#[must_use]
pub fn hash(bytes: &[u8]) -> u64 {
    let h = fold(0x51_7C_C1_B7_27_22_0A_95, bytes.len() as u64);
    let (blocks, rest) = bytes.as_chunks::<32>();
    let mut chains = [h, h ^ 1, h ^ 2, h ^ 3];
    for block in blocks {
        for (chain, word) in chains.iter_mut().zip(block.as_chunks::<8>().0) {
            *chain = fold(*chain, u64::from_le_bytes(*word));
        }
    }
    let whole = blocks.first().map(|_| chains.into_iter().fold(h, fold));
    let (words, rest) = rest.as_chunks::<8>();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let words = words.iter().chain([&last]).map(|word| u64::from_le_bytes(*word));
    words.fold(whole.unwrap_or(h), fold)
}

/// Both halves of a product, so that every bit of a word reaches every bit of the hash.
#[must_use]
pub fn fold(h: u64, word: u64) -> u64 {
    let product = u128::from(h ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835_u128);
    (product as u64) ^ ((product >> 64) as u64) ^ h.rotate_left(23)
}

/// The hash of a version at its place; an image's hash is the sum of them.
#[must_use]
pub fn placed(at: usize, hash: u64) -> u64 {
    fold(hash, at as u64 + 1)
}

/// One write unit of the medium.
#[derive(Clone, Debug)]
pub struct Cell {
    /// The version since the last flush that covers it.
    pub sure: Version,
    /// Later ones, with the time each was written, oldest first.
    pub since: Vec<(u64, Version)>,
    /// When it was last made dirty.
    touched: u64,
    /// A flush failed then: the cache calls what it held clean, and no flush writes it any more.
    lost: u64,
}

impl Cell {
    fn new(sure: Version) -> Cell {
        Cell { sure, since: Vec::new(), touched: 0, lost: 0 }
    }

    /// What the page cache holds.
    #[must_use]
    pub fn newest(&self) -> &Version {
        self.since.last().map_or(&self.sure, |(_, version)| version)
    }

    /// Everything that the medium may hold after a power loss, each once.
    pub fn versions(&self) -> impl Iterator<Item = &Version> {
        let later = self.since.iter().map(|(_, version)| version);
        std::iter::once(&self.sure).chain(later)
    }
}

/// The medium, and the page cache above it.
#[derive(Clone, Debug)]
pub struct Disk {
    /// Bytes of a write unit.
    pub unit: usize,
    /// Units of the file as the kernel sees it.
    pub cells: Vec<Cell>,
    /// Units that the file has for sure after a power loss.
    pub sure: usize,
    /// When something last happened.
    pub clock: u64,
    zero: Version,
}

/// What happens to the medium.
#[derive(Clone, Debug)]
pub enum Change {
    /// A unit was made dirty, with these bytes, at this time.
    Write(usize, Version, u64),
    /// A flush of these units that began at this time has ended well, or not.
    Flushed(Vec<Range<usize>>, u64, bool),
    /// The file has so many units now.
    Resized(usize),
}

impl Disk {
    /// A medium that holds these bytes for sure.
    #[must_use]
    pub fn settled(bytes: &[u8], unit: usize) -> Disk {
        let cells: Vec<Cell> = bytes.chunks(unit).map(|bytes| Cell::new(version(bytes))).collect();
        Disk { unit, sure: cells.len(), clock: 0, cells, zero: version(&vec![0; unit]) }
    }

    /// A medium that holds these versions for sure.
    #[must_use]
    pub fn of(versions: impl Iterator<Item = Version>, unit: usize) -> Disk {
        let cells: Vec<Cell> = versions.map(Cell::new).collect();
        Disk { unit, sure: cells.len(), clock: 0, cells, zero: version(&vec![0; unit]) }
    }

    /// Lets one thing happen.
    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::Write(at, version, time) => {
                let Some(cell) = self.cells.get_mut(*at) else { return };
                cell.touched = *time;
                self.clock = *time;
                if cell.newest().hash != version.hash {
                    cell.since.push((*time, version.clone()));
                }
            }
            Change::Flushed(ranges, began, ok) => {
                for cell in ranges.iter().flat_map(|range| range.clone()) {
                    if let Some(cell) = self.cells.get_mut(cell) {
                        cell.flushed(*began, *ok);
                    }
                }
                let end = ranges.iter().map(|range| range.end).max().unwrap_or(0);
                if *ok && end > self.sure {
                    self.sure = self.cells.len();
                }
            }
            Change::Resized(units) => {
                let zero = Cell::new(self.zero.clone());
                self.cells.resize(*units, zero);
                self.sure = self.sure.min(*units);
            }
        }
    }

    /// The bytes of the page cache: what the death of the process leaves to read.
    #[must_use]
    pub fn cached(&self) -> Vec<u8> {
        self.cells.iter().flat_map(|cell| cell.newest().bytes.iter().copied()).collect()
    }

    /// Hash of [`cached`](Disk::cached).
    #[must_use]
    pub fn cached_hash(&self) -> u64 {
        let placed = self.cells.iter().enumerate().map(|(at, cell)| placed(at, cell.newest().hash));
        placed.fold(self.cells.len() as u64, u64::wrapping_add)
    }
}

impl Cell {
    /// A flush that began at `began` has ended. What was written during it may be in it or not.
    fn flushed(&mut self, began: u64, ok: bool) {
        if !ok {
            self.lost = self.touched;
            return;
        }
        if self.touched <= self.lost {
            return; // Clean, says the cache; nothing was written.
        }
        let covered = self.since.iter().take_while(|(time, _)| *time <= began).count();
        if let Some((_, newest)) = self.since.drain(..covered).next_back() {
            self.sure = newest;
        }
    }
}
