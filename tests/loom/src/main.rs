//! Every interleaving of readers that pin and a writer that publishes and reuses pages, as far as the
//! memory model of C11 allows them, up to a bound of preemptions (loom; Norris, Demsky, CDSChecker 2013).
//!
//! Invariants checked, over the pager's own `shared.rs` and `pins.rs` (see build.rs):
//! - a page is not written while a state that shows it is pinned, nor concurrently with a reader's load;
//! - what a reader finds on a page is what the transaction of its record put there: no torn record;
//! - records never go back for one reader;
//! - a reader retries at most once for each publication.
//!
//! Not covered: more threads, transactions and preemptions than below, so few that pins are always in order
//! and never too many (`pins.rs` tests both against a set); root data longer than a word (the
//! sixteen words of it are stored and loaded like the one here); `SeqCst` loads and stores, which loom
//! takes for `AcqRel` (weaker: what is right here is right there; the fences it takes for what they are).
//!
//! `PLANTED=name cargo run` has a bug that must be found; `planted` as an argument lists the names.

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::AtomicU32;
use std::fmt;

// Not all of the two files is used here.
#[allow(dead_code)]
mod shared {
    include!(concat!(env!("OUT_DIR"), "/shared.rs"));
}
#[allow(dead_code)]
mod pins {
    include!(concat!(env!("OUT_DIR"), "/pins.rs"));
}
// No bug is planted by that way here: see build.rs.
#[path = "../../../pager/src/ids.rs"]
#[allow(dead_code)]
mod ids;
#[path = "../../../pager/src/planted.rs"]
#[allow(dead_code)]
mod planted;

/// In the pager 64 bytes; one word has the same protocol and far fewer interleavings.
mod pages {
    pub(crate) const ROOT_BYTES: usize = 4;
    pub(crate) type Root = [u8; ROOT_BYTES];
}

use ids::TxnId;
use pins::Pins;
use shared::{Record, Shared};

#[derive(Debug)]
pub(crate) enum Error {
    InvalidArgument,
    ReadersFull,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

pub(crate) type Result<T> = std::result::Result<T, Error>;

loom::thread_local! {
    static RETRIES: std::cell::Cell<u32> = std::cell::Cell::new(0);
}

/// In the place of the processor's hint: a reader has to try again.
fn lost_a_race() {
    RETRIES.with(|retries| retries.set(retries.get() + 1));
    loom::thread::yield_now();
}

/// What the threads share: the words of the protocol, and pages that hold the number of the transaction
/// that wrote them.
struct World {
    words: Vec<AtomicU32>,
    pages: Vec<UnsafeCell<u64>>,
}

// SAFETY: the cells are what is under test; loom fails where two threads use one at a time.
unsafe impl Send for World {}
// SAFETY: as above.
unsafe impl Sync for World {}

impl World {
    fn new(readers: usize, commits: u64) -> Arc<World> {
        let words = (0..shared::words_for(readers)).map(|_| AtomicU32::new(0)).collect();
        let pages = (0..=commits).map(|_| UnsafeCell::new(0)).collect();
        let world = Arc::new(World { words, pages });
        world.write(0, 1);
        world.shared().publish(&record(1, 0));
        world
    }

    fn shared(&self) -> Shared<'_> {
        Shared::new(&self.words).expect("words")
    }

    fn write(&self, page: usize, txn: u64) {
        // SAFETY: loom fails where somebody else uses the cell.
        self.pages[page].with_mut(|page| unsafe { *page = txn });
    }

    fn read(&self, page: usize) -> u64 {
        // SAFETY: as above.
        self.pages[page].with(|page| unsafe { *page })
    }
}

fn record(txn: u64, page: usize) -> Record {
    Record { txn: TxnId(txn), page_count: txn as u32, root: (page as u32).to_le_bytes() }
}

/// Each transaction rewrites the one page that there is, on a page that nobody can see, or a new one.
fn write(world: &World, commits: u64) {
    let (mut live, mut born) = (0, 1);
    let mut freed: Vec<(usize, u64, u64)> = Vec::new();
    let mut fresh = 1;
    for txn in 2..2 + commits {
        let mut pins = Pins::new();
        world.shared().collect(&mut pins);
        pins.add(TxnId(txn - 1));
        let free = |(_, birth, at): &(usize, u64, u64)| !pins.pinned(TxnId(*birth), TxnId(*at));
        let page = match freed.iter().position(free) {
            Some(at) => freed.remove(at).0,
            None => {
                fresh += 1;
                fresh - 1
            }
        };
        world.write(page, txn);
        world.shared().publish(&record(txn, page));
        freed.push((live, born, txn));
        (live, born) = (page, txn);
    }
}

/// Pins, and looks twice at the page that the record names.
fn read(world: &World, hint: usize, times: usize, commits: u64) {
    let mut newest = 0;
    for _ in 0..times {
        let (slot, record) = world.shared().pin(hint).expect("a slot");
        let txn = record.txn.0;
        assert!(txn >= newest, "went back");
        assert_eq!(u64::from(record.page_count), txn, "a torn record");
        newest = txn;
        let page = u32::from_le_bytes(record.root) as usize;
        assert_eq!(world.read(page), txn, "not the page of the record");
        assert_eq!(world.read(page), txn, "changed under a pin");
        drop(slot);
    }
    let retries = RETRIES.with(std::cell::Cell::get);
    assert!(u64::from(retries) <= commits, "{retries} retries for {commits} commits");
}

/// Readers (each with how often it pins) beside a writer, in every interleaving of so many preemptions.
fn model(name: &str, readers: &'static [usize], commits: u64, preemptions: usize) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 10_000;
    let start = std::time::Instant::now();
    let count = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let counter = std::sync::Arc::clone(&count);
    builder.check(move || {
        counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let world = World::new(readers.len(), commits);
        let threads: Vec<_> = (0..readers.len())
            .map(|number| {
                let world = Arc::clone(&world);
                // All look at the first slot first.
                loom::thread::spawn(move || read(&world, 0, readers[number], commits))
            })
            .collect();
        write(&world, commits);
        threads.into_iter().for_each(|thread| thread.join().expect("a reader"));
    });
    let count = count.load(std::sync::atomic::Ordering::Relaxed);
    println!("{name}: {count} interleavings in {:.1} s", start.elapsed().as_secs_f64());
}

fn main() {
    if std::env::args().nth(1).as_deref() == Some("planted") {
        println!("{}", env!("PLANTED_BUGS"));
        return;
    }
    model("one reader that pins twice, three commits", &[2], 3, 3);
    model("two readers, two commits", &[1, 1], 2, 1);
    model("two readers, one commit", &[1, 1], 1, 2);
}
