//! The store as firmware uses it: in static memory, without an operating system, heap or std.
//!
//! [`store`] below uses nothing but `core`, `mapleaf_pager` and `mapleaf_btree`; `main` only calls it where
//! there is a terminal. `tests/firmware` in the repository is the same on a Cortex-M3, in 48 KiB of RAM, with
//! its power lost at every step; there both crates have `default-features = false`. Flash is one more
//! implementation of [`mapleaf_pager::Mapping`]: see `simulation.rs` for what it has to promise.
//!
//! ```sh
//! cargo run -p mapleaf --example no_std
//! ```

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use mapleaf_btree::{Catalog, Result, TreeOptions, Writer};
use mapleaf_pager::{Durability, Options, SliceMapping, Store, words_for};

const RAM_BYTES: usize = 32 << 10;
/// The smallest page: what counts here is memory.
const PAGE_BYTES: u32 = 512;
const READERS: usize = 2;

/// The store's memory, where the linker puts it.
#[repr(align(512))]
struct Ram(UnsafeCell<[u8; RAM_BYTES]>);

// SAFETY: `lend` gives it out once.
unsafe impl Sync for Ram {}

static RAM: Ram = Ram(UnsafeCell::new([0; RAM_BYTES]));
static LENT: AtomicBool = AtomicBool::new(false);
/// What readers and the writer share.
static WORDS: [AtomicU32; words_for(READERS)] = [const { AtomicU32::new(0) }; words_for(READERS)];

/// The memory, the first time it is asked for.
fn lend() -> Option<&'static mut [u8]> {
    if LENT.swap(true, Ordering::AcqRel) {
        return None;
    }
    // SAFETY: nobody else has asked for it, and nobody else will get it.
    Some(unsafe { &mut *RAM.0.get() })
}

/// What a device did: counts of events, by name.
struct Figures {
    events: [u32; 3],
    free_pages: u32,
    pages: u32,
}

/// A device that counts its events, and keeps to its memory.
fn store(ram: &mut [u8]) -> Result<Figures> {
    let options = Options::default().page_size(PAGE_BYTES).log_bytes(0, 0);
    let store = Store::create(SliceMapping::empty(ram), &WORDS[..], &options)?;
    for round in 0..600u32 {
        let mut writer = Writer::new(store.begin_write()?)?;
        let events = writer.open_or_create("events", TreeOptions::default())?;
        let mut events = writer.tree(events)?;
        let name: &[u8] = match round % 6 {
            0 => b"reset",
            1 | 2 => b"button",
            _ => b"tick",
        };
        let count = events.get(name)?.and_then(<[u8]>::first_chunk).copied();
        let count = count.map_or(0, u32::from_le_bytes) + 1;
        events.insert(name, &count.to_le_bytes())?;
        writer.commit(Durability::Sync)?;
    }
    let snapshot = store.begin_read(0)?;
    let events = Catalog::new(&snapshot)?.open("events")?;
    let mut counts = [0; 3];
    for (count, entry) in counts.iter_mut().zip(events.iter()) {
        let (_, value) = entry?;
        *count = value.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
    }
    let stats = store.stats();
    Ok(Figures { events: counts, free_pages: stats.free_pages, pages: stats.page_count })
}

fn main() -> core::result::Result<(), Box<dyn std::error::Error>> {
    let ram = lend().ok_or("the memory is lent already")?;
    let Figures { events: [button, reset, tick], free_pages, pages } = store(ram)?;
    println!("button {button}, reset {reset}, tick {tick}");
    println!("600 commits in {pages} pages of {PAGE_BYTES} bytes, {free_pages} of them free");
    assert!(lend().is_none());
    Ok(())
}
