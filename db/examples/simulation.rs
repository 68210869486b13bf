//! Simulating power loss in your own tests: a mapping that forgets what was not flushed.
//!
//! The store sees the world through one trait, so a test can be the medium. This one keeps two images: what
//! the program sees, and what the medium has; `flush` copies from the first to the second. Of what was stored
//! since, power loss keeps any part: here a seeded choice, unit by unit.
//!
//! The application below moves money. Its test cuts the power behind every barrier, opens what is left, and
//! compares: every transfer that was acknowledged is there, and none in part.
//!
//! ```sh
//! cargo run -p mapleaf --example simulation
//! ```

use mapleaf_btree::{Catalog, Replayer, Result, TreeOptions, Writer};
use mapleaf_pager::{Bytes, Durability, Error, Mapping, Options, SliceMapping, Store, words_for};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

const BYTES: usize = 128 << 10;
const UNIT: usize = 512;
const WORDS: usize = words_for(2);
const ACCOUNTS: u32 = 16;
const EACH: u32 = 100;

type Words = [AtomicU32; WORDS];
/// RAM that loses power after so many barriers.
struct Medium<'a> {
    ram: SliceMapping<'a>,
    durable: &'a Mutex<Vec<u8>>,
    barriers_left: AtomicU32,
}

impl Medium<'_> {
    /// One barrier; after the last one nothing reaches the medium any more.
    fn barrier(&self, ranges: &[Bytes]) -> mapleaf_pager::Result<()> {
        let left = self.barriers_left.load(Ordering::Relaxed);
        let left = left.checked_sub(1).ok_or(Error::Io { code: 5 })?;
        self.barriers_left.store(left, Ordering::Relaxed);
        let mut durable = self.durable.lock().unwrap_or_else(PoisonError::into_inner);
        for range in ranges {
            let (start, end) = (range.start as usize, range.end.min(self.ram.len()) as usize);
            let len = durable.len().max(end);
            durable.resize(len, 0);
            for at in start..end {
                // SAFETY: within the mapping, which is one allocation.
                let byte = unsafe { self.ram.base().add(at) };
                // SAFETY: initialised; the store has one thread, which waits for this.
                durable[at] = unsafe { byte.read() };
            }
        }
        Ok(())
    }
}

// SAFETY: views and length are those of `SliceMapping`; flushing only reads them.
unsafe impl Mapping for Medium<'_> {
    fn base(&self) -> NonNull<u8> {
        self.ram.base()
    }
    fn write_base(&self) -> NonNull<u8> {
        self.ram.write_base()
    }
    fn len(&self) -> u64 {
        self.ram.len()
    }
    fn write_unit(&self) -> u32 {
        UNIT as u32
    }
    unsafe fn claim(&self, range: Bytes, keep: bool) -> mapleaf_pager::Result<()> {
        // SAFETY: the caller's promise.
        unsafe { self.ram.claim(range, keep) }
    }
    unsafe fn publish(&self, ranges: &[Bytes]) -> mapleaf_pager::Result<()> {
        // SAFETY: the caller's promise.
        unsafe { self.ram.publish(ranges) }
    }
    unsafe fn flush(&self, ranges: &[Bytes]) -> mapleaf_pager::Result<()> {
        self.barrier(ranges)
    }
    unsafe fn publish_and_flush(&self, range: Bytes) -> mapleaf_pager::Result<()> {
        self.barrier(&[range])
    }
    fn grow(&self, len: u64) -> mapleaf_pager::Result<()> {
        self.ram.grow(len)
    }
    unsafe fn shrink(&self, len: u64) -> mapleaf_pager::Result<()> {
        // SAFETY: the caller's promise.
        unsafe { self.ram.shrink(len) }
    }
}

fn balance(value: Option<&[u8]>) -> u32 {
    value.and_then(<[u8]>::first_chunk).map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

/// The application: moves some money from one account to another.
fn transfer<M: Mapping>(store: &Store<M, Words>, from: u32, to: u32, amount: u32) -> Result<()> {
    let mut writer = Writer::new(store.begin_write()?)?;
    let handle = writer.open_or_create("accounts", TreeOptions::default())?;
    let mut accounts = writer.tree(handle)?;
    if accounts.is_empty() {
        for account in 0..ACCOUNTS {
            accounts.insert(&account.to_be_bytes(), &EACH.to_le_bytes())?;
        }
    }
    let (from, to) = (from.to_be_bytes(), to.to_be_bytes());
    let had = balance(accounts.get(&from)?);
    let amount = amount.min(had);
    accounts.insert(&from, &(had - amount).to_le_bytes())?;
    let more = balance(accounts.get(&to)?) + amount;
    accounts.insert(&to, &more.to_le_bytes())?;
    writer.commit(Durability::Sync)?;
    Ok(())
}

/// Whose money the transfer moves, and where to.
fn between(step: u32) -> (u32, u32) {
    (step * 7 % ACCOUNTS, step * 5 % ACCOUNTS)
}

fn words() -> Words {
    [const { AtomicU32::new(0) }; WORDS]
}

/// Runs until the power fails at the given barrier; transfers that were acknowledged, and what is left.
fn run(barriers: u32, seed: u32) -> (u32, Vec<u8>) {
    let (mut ram, durable) = (vec![0; BYTES], Mutex::new(Vec::new()));
    let mut acknowledged = 0;
    {
        let ram = SliceMapping::empty(&mut ram);
        let medium = Medium { ram, durable: &durable, barriers_left: AtomicU32::new(barriers) };
        let options = Options::default().page_size(UNIT as u32).log_bytes(8192, 8192);
        if let Ok(store) = Store::create(medium, words(), &options) {
            for step in 1..=40u32 {
                let (from, to) = between(step);
                match transfer(&store, from, to, step) {
                    Ok(()) => acknowledged = step,
                    Err(_) => break,
                }
            }
        }
    }
    // Of units that were stored to since their last flush, power loss leaves any.
    let mut left = durable.into_inner().unwrap_or_else(PoisonError::into_inner);
    left.resize(ram.len(), 0);
    let mut random = seed;
    for (old, new) in left.chunks_mut(UNIT).zip(ram.chunks(UNIT)) {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        if random >> 31 == 0 {
            old.copy_from_slice(new);
        }
    }
    (acknowledged, left)
}

/// Opens what is left: the balance of each account, of none where there are none yet.
fn balances(left: &mut [u8]) -> Result<Vec<u32>> {
    let mapping = SliceMapping::full(left);
    let mut replayer = Replayer::new();
    // SAFETY: the bytes are what a store left behind, and nobody else has them.
    let store = unsafe { Store::open(mapping, words(), &Options::default(), &mut replayer) }?;
    let snapshot = store.begin_read(0)?;
    let Ok(accounts) = Catalog::new(&snapshot)?.open("accounts") else { return Ok(Vec::new()) };
    accounts.iter().map(|entry| entry.map(|(_, value)| balance(Some(value)))).collect()
}

/// What the balances should be after so many transfers.
fn expected(steps: u32) -> Vec<u32> {
    let mut accounts = if steps == 0 { Vec::new() } else { vec![EACH; ACCOUNTS as usize] };
    for step in 1..=steps {
        let (from, to) = between(step);
        let amount = step.min(accounts[from as usize]);
        accounts[from as usize] -= amount;
        accounts[to as usize] += amount;
    }
    accounts
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let (mut crashes, mut opened) = (0, 0);
    for barriers in 0..45 {
        for seed in 0..20 {
            let (acknowledged, mut left) = run(barriers, seed);
            let found = balances(&mut left);
            crashes += 1;
            match &found {
                // Every transfer that was acknowledged, perhaps the one in flight, each as a whole.
                Ok(found) => assert!(
                    *found == expected(acknowledged) || *found == expected(acknowledged + 1),
                    "barrier {barriers}, seed {seed}: {found:?} after {acknowledged}"
                ),
                // Only a store that was not yet made may be none.
                Err(error) => assert_eq!(acknowledged, 0, "{barriers}, {seed}: {error}"),
            }
            opened += u32::from(found.is_ok());
        }
    }
    println!("{crashes} power losses, {} before there was a store", crashes - opened);
    println!("no transfer was lost, or done in part");
    Ok(())
}
