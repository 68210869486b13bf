//! The store without an operating system's libraries: no std, no heap, no libc.
//!
//! A store in RAM, then one in a file through the Linux mapping: made at the first run, found at the
//! second. The exit code says which step failed; 0 is success.
#![no_std]
#![no_main]

#[path = "../../../examples/tiny/src/memory.rs"]
mod memory;
#[path = "../../../examples/tiny/src/start.rs"]
mod start;

#[cfg(feature = "canary-std")]
extern crate std;

use core::sync::atomic::AtomicU32;
use mapleaf_btree::{Catalog, Replayer, TreeOptions, Writer};
use mapleaf_pager::{Durability, Mapping, Options, SliceMapping, Store, words_for};
use mapleaf_sys_linux::{FileMapping, OpenOptions};

const READERS: usize = 4;
const RAM_BYTES: usize = 512 << 10;
const ENTRIES: u32 = 2000;

type Words = [AtomicU32; words_for(READERS)];

const fn words() -> Words {
    [const { AtomicU32::new(0) }; words_for(READERS)]
}

/// Which step failed.
type Step = u8;

fn key(number: u32) -> [u8; 8] {
    u64::from(number.wrapping_mul(2_654_435_761)).to_be_bytes()
}

/// Stores entries, twice over, and removes every third.
fn fill<M: Mapping>(store: &Store<M, Words>) -> Result<(), Step> {
    for round in 0..2u32 {
        let txn = store.begin_write().map_err(|_| 10)?;
        let mut writer = Writer::new(txn).map_err(|_| 11)?;
        let tree = writer.open_or_create("numbers", TreeOptions::default()).map_err(|_| 12)?;
        let mut tree = writer.tree(tree).map_err(|_| 13)?;
        for number in 0..ENTRIES {
            tree.insert(&key(number), &(number + round).to_le_bytes()).map_err(|_| 14)?;
        }
        for number in (0..ENTRIES).step_by(3) {
            tree.remove(&key(number)).map_err(|_| 15)?;
        }
        writer.commit(Durability::Sync).map_err(|_| 16)?;
    }
    Ok(())
}

/// Looks every entry up and walks them all.
fn look<M: Mapping>(store: &Store<M, Words>) -> Result<(), Step> {
    let snapshot = store.begin_read(0).map_err(|_| 20)?;
    let tree =
        Catalog::new(&snapshot).and_then(|catalog| catalog.open("numbers")).map_err(|_| 21)?;
    for number in 0..ENTRIES {
        let found = tree.get(&key(number)).map_err(|_| 22)?;
        let expected = (number + 1).to_le_bytes();
        let right = if number % 3 == 0 { found.is_none() } else { found == Some(&expected[..]) };
        if !right {
            return Err(23);
        }
    }
    let mut count = 0;
    for entry in tree.iter() {
        let _ = entry.map_err(|_| 24)?;
        count += 1;
    }
    if count == u64::from(ENTRIES - ENTRIES.div_ceil(3)) { Ok(()) } else { Err(25) }
}

fn in_ram(ram: &mut [u8]) -> Result<(), Step> {
    let options = Options::default().page_size(512).log_bytes(0, 0);
    let store = Store::create(SliceMapping::empty(ram), words(), &options).map_err(|_| 30)?;
    fill(&store)?;
    look(&store)
}

fn in_file() -> Result<(), Step> {
    let how = OpenOptions { create: true, ..OpenOptions::default() };
    // SAFETY: the script that runs this made the directory for it alone.
    let mapping = unsafe { FileMapping::open(c"freestanding.leaf", &how) }.map_err(|_| 40)?;
    let options = Options::default();
    let store = if mapping.is_empty() {
        let store = Store::create(mapping, words(), &options).map_err(|_| 41)?;
        fill(&store)?;
        store
    } else {
        // SAFETY: as above; the first run wrote it.
        unsafe { Store::open(mapping, words(), &options, &mut Replayer::new()) }.map_err(|_| 42)?
    };
    look(&store)
    // Dropped without `close`: the second run replays the log.
}

/// RAM for the store in RAM; used once, by `run`.
static mut RAM: [u8; RAM_BYTES] = [0; RAM_BYTES];

/// Runs both; the exit code.
pub(crate) fn run() -> u8 {
    let ram = &raw mut RAM;
    // SAFETY: the process has one thread, which comes here once: the only reference to it.
    let ram = unsafe { &mut *ram };
    match in_ram(ram).and_then(|()| in_file()) {
        Ok(()) => 0,
        Err(step) => step,
    }
}
