//! A store in miniature around the space: pages, births, committed states that are held.

mod across;
mod bounded;
mod churn;
mod ensured;
mod full;
mod hostile;
mod lists;
mod mock;
mod model;
mod plausible;
mod refused;
mod surveyed;
mod tall;
mod trimmed;
mod visited;

use super::{Space, SpaceUse};
use crate::pins::Pins;
use crate::{PageId, Result, TxnId};
use mock::Mock;
use std::collections::{BTreeMap, HashSet};
use std::rc::Rc;
use std::vec::Vec;
use std::{format, vec};

/// Uses that the space itself knows of.
const KEPT: [&str; 3] = ["free", "pinned", "space"];

/// First page of what the tree reaches, its pages, and their birth.
type Live = BTreeMap<u32, (u32, TxnId)>;

fn pages(live: &Live) -> HashSet<u32> {
    live.iter().flat_map(|(first, run)| *first..*first + run.0).collect()
}

/// A committed state.
#[derive(Clone)]
struct Committed {
    txn: TxnId,
    space: Space,
    live: Live,
    /// Bytes of the space pages when it was committed.
    bodies: BTreeMap<u32, Vec<u8>>,
    /// All pages it reaches: the tree's and the space's.
    reached: Rc<HashSet<u32>>,
}

struct Savepoint {
    record: Vec<u8>,
    birth: TxnId,
    live: Live,
    own: Vec<(u32, u32)>,
    chain: HashSet<u32>,
    pinned_from: Option<TxnId>,
}

/// A store whose tree is a set of pages.
struct Store {
    mock: Mock,
    latest: Committed,
    durable: Committed,
    readers: Vec<Committed>,
    next: TxnId,
    // The running transaction.
    space: Space,
    live: Live,
    /// Born and freed since the last savepoint: first page, pages.
    own: Vec<(u32, u32)>,
    savepoints: Vec<Savepoint>,
    pinned_from: Option<TxnId>,
    /// Never opened anew. Else it is after every other commit, and what the record does not have is forgotten.
    stays_open: bool,
}

impl Store {
    fn new(page_size: usize) -> Store {
        let space = Space::new(2);
        let live = Live::new();
        let empty = Committed {
            txn: TxnId(2),
            space,
            live: live.clone(),
            bodies: BTreeMap::new(),
            reached: Rc::default(),
        };
        Store {
            mock: Mock::new(page_size),
            latest: empty.clone(),
            durable: empty,
            readers: Vec::new(),
            next: TxnId(3),
            space,
            live,
            own: Vec::new(),
            savepoints: Vec::new(),
            pinned_from: None,
            stays_open: false,
        }
    }

    /// The pins as a scan would find them now.
    fn scan(&mut self) {
        let mut pins = Pins::new();
        let mut held = BTreeMap::new();
        for state in [&self.latest, &self.durable].into_iter().chain(&self.readers) {
            pins.add(state.txn);
            let _ = held.insert(state.txn.0, Rc::clone(&state.reached));
        }
        if let Some(from) = self.pinned_from {
            pins.blanket(from);
        }
        self.mock.pins_now = pins;
        self.mock.held = held;
        for savepoint in &self.savepoints {
            let _ = self.mock.held.insert(savepoint.birth.0, Rc::new(pages(&savepoint.live)));
        }
    }

    fn begin(&mut self) -> Result<()> {
        self.mock.birth = self.next;
        self.next = self.next.next();
        self.space = self.latest.space;
        self.live = self.latest.live.clone();
        self.own.clear();
        self.mock.chain.clear();
        self.scan();
        self.mock.pins = self.mock.pins_now;
        self.space.begin(&mut self.mock)
    }

    /// Ends readers `from..` of every `step`-th.
    fn close_reader(&mut self, at: usize) {
        if !self.readers.is_empty() {
            let at = at % self.readers.len();
            let _ = self.readers.swap_remove(at);
            self.scan();
        }
    }

    fn open_reader(&mut self) {
        self.readers.push(self.latest.clone());
    }

    fn claim(&mut self, pages: u32) -> Result<u32> {
        let single = self.own.iter().position(|own| own.1 == 1);
        let first = match single {
            // As the pager does: what it freed of its own comes first, and keeps its place in the chain.
            Some(at) if pages == 1 => self.own.swap_remove(at).0,
            _ => {
                let first = self.space.claim_run(&mut self.mock, pages)?.0;
                assert!(first >= 2 && first + pages <= self.space.page_count);
                (first..first + pages).for_each(|page| self.mock.take(page));
                first
            }
        };
        let before = self.live.range(..first + pages).next_back();
        assert!(before.is_none_or(|(other, run)| other + run.0 <= first), "{first} is in use");
        let _ = self.live.insert(first, (pages, self.mock.birth));
        Ok(first)
    }

    /// Frees the live run that is `at`-th.
    fn free(&mut self, at: usize) -> Result<()> {
        if self.live.is_empty() {
            return Ok(());
        }
        let (&first, &(pages, birth)) = self.live.iter().nth(at % self.live.len()).unwrap();
        self.free_page(first, pages, birth)
    }

    fn free_page(&mut self, first: u32, pages: u32, birth: TxnId) -> Result<()> {
        let _ = self.live.remove(&first);
        if birth == self.mock.birth {
            self.own.push((first, pages));
            return Ok(());
        }
        let now = self.mock.birth;
        self.space.free(&mut self.mock, PageId(first), pages, birth, now)
    }

    fn savepoint(&mut self) {
        let mut record = vec![0; self.mock.page_size.min(4096) - 256];
        self.space.encode(self.mock.page_size, &mut record);
        self.savepoints.push(Savepoint {
            record,
            birth: self.mock.birth,
            live: self.live.clone(),
            own: core::mem::take(&mut self.own),
            chain: self.mock.chain.clone(),
            pinned_from: self.pinned_from,
        });
        let from = *self.pinned_from.get_or_insert(self.mock.birth);
        self.mock.pins.blanket(from);
        self.mock.birth = self.next;
        self.next = self.next.next();
        self.scan();
    }

    fn rollback_to(&mut self) {
        if let Some(saved) = self.savepoints.pop() {
            self.space = Space::decode(self.mock.page_size, &saved.record).unwrap();
            self.live = saved.live;
            self.own = saved.own;
            self.mock.chain = saved.chain;
            self.mock.birth = saved.birth;
            self.pinned_from = saved.pinned_from;
            self.scan();
            self.mock.pins = self.mock.pins_now;
        }
    }

    fn release(&mut self) {
        if let Some(saved) = self.savepoints.pop() {
            self.own.extend(saved.own);
            // The blanket stays until the pins are collected anew.
            if self.savepoints.is_empty() {
                self.pinned_from = None;
            }
            self.scan();
        }
    }

    fn rollback(&mut self) {
        self.savepoints.clear();
        self.pinned_from = None;
        self.scan();
    }

    /// As closing does.
    fn pack(&mut self) -> Result<bool> {
        let drained = self.space.drain(&mut self.mock, usize::MAX)?;
        let end = self.space.packed_end();
        Ok(self.space.pack(&mut self.mock, end)? || drained)
    }

    /// Gives back the file's end, as closing does: for as long as a transaction says that it gained something. How
    /// many did.
    fn close_packed(&mut self) -> usize {
        let (mut rounds, mut end) = (0, u32::MAX);
        loop {
            self.checkpoint();
            let before = self.latest.space.page_count;
            self.begin().unwrap();
            let mut gained = self.space.drain(&mut self.mock, 1 << 16).unwrap();
            end = end.min(self.space.packed_end());
            if !gained && end < before {
                gained = self.space.pack(&mut self.mock, end).unwrap();
            }
            self.commit().unwrap();
            if !gained && self.latest.space.page_count >= before {
                return rounds;
            }
            rounds += 1;
        }
    }

    fn commit(&mut self) -> Result<()> {
        self.commit_with(&[])
    }

    /// Commits, and claims runs of these lengths at the last moment, as a log ring that moves does.
    fn commit_with(&mut self, late: &[u32]) -> Result<()> {
        while !self.savepoints.is_empty() {
            self.release();
        }
        let birth = self.mock.birth;
        for (first, pages) in core::mem::take(&mut self.own) {
            self.space.free(&mut self.mock, PageId(first), pages, birth, birth)?;
        }
        self.space.trim(&mut self.mock)?;
        for pages in late {
            let _ = self.claim(*pages)?;
        }
        let page_size = self.mock.page_size;
        let mut record = vec![0; page_size.min(4096) - 256];
        self.space.encode(page_size, &mut record);
        let again = Space::decode(page_size, &record).expect("what was written can be read");
        let mut record_again = vec![0; record.len()];
        again.encode(page_size, &mut record_again);
        assert_eq!(record, record_again);
        let bodies = self.account(&again);
        let space = if self.stays_open || birth.0.is_multiple_of(2) { self.space } else { again };
        let live = core::mem::take(&mut self.live);
        let mut reached = pages(&live);
        reached.extend(bodies.keys());
        let reached = Rc::new(reached);
        self.latest = Committed { txn: birth, space, live, bodies, reached };
        Ok(())
    }

    /// Every page is exactly one of meta, live, free, pinned, space. Returns the space pages.
    fn account(&self, space: &Space) -> BTreeMap<u32, Vec<u8>> {
        let mut uses = vec![None; space.page_count as usize];
        let mut bodies = BTreeMap::new();
        let mut count = |first: u32, pages: u32, what: &'static str| {
            for page in first..first + pages {
                let other = uses[page as usize].replace(what);
                assert_eq!(other, None, "page {page} is {what} too");
            }
        };
        count(0, 2, "meta");
        for (first, run) in &self.live {
            count(*first, run.0, "live");
        }
        let visited = space.visit(&self.mock, &mut |first, pages, used| match used {
            SpaceUse::Free => count(first.0, pages, "free"),
            SpaceUse::Pinned => count(first.0, pages, "pinned"),
            SpaceUse::Space => {
                count(first.0, pages, "space");
                let _ = bodies.insert(first.0, self.mock.bodies[&first.0].clone());
            }
        });
        assert_eq!(visited, Ok(()));
        let lost: Vec<_> = uses.iter().enumerate().filter(|(_, used)| used.is_none()).collect();
        assert!(lost.is_empty(), "{}", format!("lost pages: {lost:?}"));
        self.survey(space, &uses);
        bodies
    }

    /// A survey of the space, page by page, names the same pages.
    fn survey(&self, space: &Space, uses: &[Option<&str>]) {
        let mut seen = vec![None; uses.len()];
        let mut page = vec![0; self.mock.page_size];
        let mut read = |id: PageId, page: &mut [u8]| {
            let body = self.mock.bodies.get(&id.0);
            body.is_some_and(|body| {
                page[crate::page::OWNED_BYTES..].copy_from_slice(body);
                true
            })
        };
        let mut with = |first: PageId, pages: u32, used: SpaceUse| {
            let used = match used {
                SpaceUse::Space => "space",
                SpaceUse::Free => "free",
                SpaceUse::Pinned => "pinned",
            };
            for page in first.0..first.0 + pages {
                assert_eq!(seen[page as usize].replace(used), None, "page {page} is told of twice");
            }
        };
        assert!(space.survey(&mut page, &mut read, &mut with), "a survey of part of the space");
        let wanted = uses.iter().map(|used| used.filter(|used| KEPT.contains(used)));
        assert!(seen.into_iter().eq(wanted), "another survey");
    }

    fn checkpoint(&mut self) {
        self.durable = self.latest.clone();
    }

    /// The process died, or the power failed: the store is opened at the last checkpoint.
    fn reopen(&mut self) {
        self.rollback();
        self.readers.clear();
        self.latest = self.durable.clone();
        self.next = TxnId(self.next.0 + 1000);
        self.mock.birth = self.next;
        for (page, body) in &self.latest.bodies {
            assert_eq!(self.mock.bodies.get(page), Some(body), "space page {page} was changed");
        }
    }
}
