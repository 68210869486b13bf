//! The store on a Cortex-M3 without an operating system, in 48 KiB of static RAM.
//!
//! Invariants checked, with the power lost at every call of the mapping and every store in turn, and
//! once more during the recovery or soon after:
//! - the store opens, and its pages are proven: each reachable once, or free, or in other use;
//! - it holds the state after a transaction that was begun, not older than the last one that was
//!   acknowledged as durable, and nothing else;
//! - it goes on from there;
//! - the stack is never deeper than [`STACK_MAX_BYTES`].
//!
//! Prints what failed, or the figures; the exit code says which.
#![no_std]
#![no_main]

mod history;
mod power;
mod stack;

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use cortex_m_semihosting::{debug, hprintln};
use history::{Firmware, WORDS, commit, holds, last, roll_back};
use mapleaf_btree::Replayer;
use mapleaf_pager::{Durability, Error, Options, SliceMapping, Store};
use power::{Medium, Power, STORE_BYTES};

/// The stack may be this deep.
const STACK_MAX_BYTES: usize = 4096;
/// Transactions before the store is closed.
const TRANSACTIONS: u32 = 10;
/// Bits of work for the proof: one a page.
const WORK_BYTES: usize = STORE_BYTES / 512 / 8;
/// A history that takes more calls than this does not end.
const CUTS_MAX: u32 = 20_000;

/// The store's RAM. Aligned to its pages, as a mapping promises.
#[repr(align(512))]
struct Ram(UnsafeCell<[u8; STORE_BYTES]>);

// SAFETY: one thread; `lend` says when it is reached.
unsafe impl Sync for Ram {}

static RAM: Ram = Ram(UnsafeCell::new([0; STORE_BYTES]));
static MEDIUM: Medium = Medium::new();
static SHARED: [AtomicU32; WORDS] = [const { AtomicU32::new(0) }; WORDS];
/// The cut at which the running history's power fails: for what is printed.
static CUT: AtomicU32 = AtomicU32::new(0);

/// How often the store was full.
static FULL_COUNT: AtomicU32 = AtomicU32::new(0);

/// No room: the transaction is rolled back.
const FULL: mapleaf_btree::Error = mapleaf_btree::Error::Pager(Error::Full);

/// Where the opened store lies: not on the stack.
static mut STORE: Option<Firmware> = None;

/// What the store has promised so far.
#[derive(Clone, Copy, Default)]
struct Promised {
    created: bool,
    /// This transaction survives.
    durable: u32,
    /// This one was begun.
    begun: u32,
}

/// Where a check failed, by number.
type Step = u32;

/// SplitMix's little brother: a step of Knuth's linear congruential generator, folded.
pub(crate) const fn random(seed: u32) -> u32 {
    let mixed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
    mixed ^ (mixed >> 15)
}

/// The RAM, for the next store.
///
/// # Safety
/// The store that had it before was dropped.
unsafe fn lend() -> &'static mut [u8] {
    // SAFETY: the only reference, by the caller's promise.
    unsafe { &mut *RAM.0.get() }
}

fn options(log_bytes: u64) -> Options {
    let mut options = Options::default().page_size(512).log_bytes(log_bytes, log_bytes);
    options.entropy = u64::from(CUT.load(Relaxed));
    options
}

/// An error is what must come once the power is gone; before, it is a failure.
fn excused<T, E>(result: Result<T, E>, step: Step) -> Result<Option<T>, Step> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(_) if MEDIUM.is_dead() => Ok(None),
        Err(_) => Err(step),
    }
}

/// Makes the store in empty RAM.
#[inline(never)]
fn create(place: &mut Option<Firmware>, log_bytes: u64) -> Result<(), Error> {
    *place = None;
    // SAFETY: dropped just now.
    let mapping = Power::new(SliceMapping::empty(unsafe { lend() }), &MEDIUM);
    Store::create_in(place, mapping, &SHARED[..], &options(log_bytes))
}

/// Opens what the medium has kept, and proves it sound.
#[inline(never)]
fn open(place: &mut Option<Firmware>) -> Result<(), Error> {
    *place = None;
    // SAFETY: dropped just now.
    let ram = unsafe { lend() };
    let len = MEDIUM.restore(ram);
    let mapping = Power::new(SliceMapping::with_len(ram, len), &MEDIUM);
    let mut work = [0; WORK_BYTES];
    let mut replay = Replayer::new();
    Store::open_proven_in(place, mapping, &SHARED[..], &options(0), &mut replay, &mut work)
}

/// Commits transactions up to `end`, every third only `Eventual`; fewer where there is no room.
fn go_on(store: &Firmware, promised: &mut Promised, end: u32) -> Result<(), Step> {
    while promised.begun < end {
        let number = promised.begun + 1;
        let sync = !number.is_multiple_of(3);
        promised.begun = number;
        if number.is_multiple_of(3) && roll_back(store, number) != Err(FULL) && MEDIUM.is_dead() {
            return Ok(());
        }
        let how = if sync { Durability::Sync } else { Durability::Eventual };
        let mut committed = commit(store, number, how);
        if committed == Err(FULL) {
            // Freed pages wait for the next checkpoint.
            make_room(store, promised)?;
            committed = commit(store, number, how);
        }
        if committed == Err(FULL) {
            promised.begun = number - 1;
            return make_room(store, promised);
        }
        if excused(committed, 10)?.is_none() {
            return Ok(());
        }
        if sync {
            promised.durable = number;
        }
        if number.is_multiple_of(4) && excused(store.checkpoint(), 11)?.is_some() {
            promised.durable = number;
        }
    }
    Ok(())
}

/// A full store has rolled the transaction back, and can be checkpointed.
#[inline(never)]
fn make_room(store: &Firmware, promised: &Promised) -> Result<(), Step> {
    FULL_COUNT.fetch_add(1, Relaxed);
    let found = last(store).map_err(|_| 12u32)?;
    if !(promised.durable..=promised.begun).contains(&found)
        || !holds(store, found).map_err(|_| 13u32)?
    {
        return Err(14);
    }
    excused(store.checkpoint(), 15).map(drop)
}

/// The store is there, and holds what was promised: goes on from what it holds.
fn look(store: &Firmware, promised: &mut Promised) -> Result<(), Step> {
    let found = last(store).map_err(|_| 20u32)?;
    if found < promised.durable {
        return Err(21);
    }
    if found > promised.begun {
        return Err(22);
    }
    if !holds(store, found).map_err(|_| 23u32)? {
        return Err(24);
    }
    promised.begun = found;
    Ok(())
}

/// Opens, looks, and commits three more; the power may fail meanwhile.
fn recover(place: &mut Option<Firmware>, promised: &mut Promised) -> Result<(), Step> {
    match open(place) {
        Ok(()) => {}
        Err(_) if MEDIUM.is_dead() || !promised.created => return Ok(()),
        Err(_) => return Err(30),
    }
    let Some(store) = place.as_ref() else { return Err(31) };
    look(store, promised)?;
    go_on(store, promised, promised.begun + 3)
}

/// One history whose power fails at the `cut`-th call; whether it did.
fn history(place: &mut Option<Firmware>, cut: u32, log_bytes: u64) -> Result<bool, Step> {
    let mut promised = Promised::default();
    CUT.store(cut, Relaxed);
    MEDIUM.erase(cut);
    MEDIUM.power_on(cut);
    if excused(create(place, log_bytes), 1)?.is_some() {
        promised.created = true;
        let Some(store) = place.as_ref() else { return Err(2) };
        go_on(store, &mut promised, TRANSACTIONS)?;
        if !MEDIUM.is_dead() && excused(store.close(), 3)?.is_some() {
            promised.durable = promised.begun;
        }
    }
    let failed = MEDIUM.is_dead();
    // Again, soon after.
    MEDIUM.power_on(1 + cut % 61);
    recover(place, &mut promised)?;
    MEDIUM.power_on(0);
    recover(place, &mut promised)?;
    Ok(failed)
}

/// All histories with a log of so many bytes; how many there were.
fn campaign(place: &mut Option<Firmware>, log_bytes: u64) -> Result<u32, (u32, Step)> {
    for cut in 1..CUTS_MAX {
        if !history(place, cut, log_bytes).map_err(|step| (cut, step))? {
            return Ok(cut);
        }
    }
    Err((CUTS_MAX, 40))
}

/// The planted stack: more than is allowed.
#[cfg(feature = "planted-stack")]
#[inline(never)]
fn waste() {
    let _ = core::hint::black_box([0u8; STACK_MAX_BYTES]);
}

#[cfg(not(feature = "planted-stack"))]
fn waste() {}

fn run() -> bool {
    let store = &raw mut STORE;
    // SAFETY: called once, by the one thread.
    let store = unsafe { &mut *store };
    stack::paint();
    let results = [campaign(store, 2048), campaign(store, 0)];
    waste();
    let peak = stack::peak_bytes();
    let mut passed = peak <= STACK_MAX_BYTES;
    for (result, what) in results.into_iter().zip(["with a log", "without a log"]) {
        match result {
            Ok(count) => hprintln!("firmware: {} histories {}", count, what),
            Err((cut, step)) => {
                hprintln!("firmware: {}, power cut {}: failed at step {}", what, cut, step);
                passed = false;
            }
        }
    }
    let full = FULL_COUNT.load(Relaxed);
    let (store, writer) = (size_of::<Option<Firmware>>(), size_of::<mapleaf_btree::Writer<'_>>());
    hprintln!("firmware: full {} times; a store is {} bytes, a writer {}", full, store, writer);
    hprintln!("firmware: stack peak {} bytes of {} allowed", peak, STACK_MAX_BYTES);
    passed
}

#[cortex_m_rt::entry]
fn main() -> ! {
    let status = if run() { debug::EXIT_SUCCESS } else { debug::EXIT_FAILURE };
    loop {
        debug::exit(status);
    }
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    hprintln!("firmware: {}, power cut {}", info, CUT.load(Relaxed));
    loop {
        debug::exit(debug::EXIT_FAILURE);
    }
}
