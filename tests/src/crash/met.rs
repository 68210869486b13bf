//! What lives have met of what histories are for. A campaign in which something of it never happened has not
//! looked at it, however many states it has seen.

use super::life::{Expect, Life};
use super::verify::SimStore;
use crate::sim::SimMapping;
use mapleaf_pager::{Bytes, PageUse};
use std::fmt;

/// What may happen in a life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// The log has another ring, larger or smaller.
    RingMoved,
    /// The log went on at the start of its ring, behind a block of the same opening.
    RingWrapped,
    /// The file became longer.
    FileGrew,
    /// A transaction published pages before its commit.
    Spilled,
    /// A commit went through while a checkpoint was being made.
    CommitBeside,
    /// A checkpoint was made while a reader of an older state was there.
    OldReader,
}

/// All of it.
pub const EVENTS: [Event; 6] = [
    Event::RingMoved,
    Event::RingWrapped,
    Event::FileGrew,
    Event::Spilled,
    Event::CommitBeside,
    Event::OldReader,
];

/// How many lives have met each of [`EVENTS`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Met([u64; EVENTS.len()]);

impl Met {
    /// In how many lives it happened.
    #[must_use]
    pub fn count(&self, event: Event) -> u64 {
        self.0[event as usize]
    }

    /// What happened in none.
    pub fn never(&self) -> impl Iterator<Item = Event> {
        EVENTS.into_iter().filter(|event| self.count(*event) == 0)
    }

    /// Counts other lives too.
    pub fn add(&mut self, other: &Met) {
        self.0.iter_mut().zip(other.0).for_each(|(all, more)| *all += more);
    }

    /// It happened in this life, however often.
    fn happened(&mut self, event: Event) {
        self.0[event as usize] = 1;
    }
}

impl fmt::Display for Met {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        EVENTS.iter().enumerate().try_for_each(|(at, event)| {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{event:?} {}", self.count(*event))
        })
    }
}

/// What is kept of a store between two looks at it.
#[derive(Clone, Debug, Default)]
pub(super) struct Watch {
    pub(super) met: Met,
    ring_pages: Option<u32>,
    /// The place of the ring's first header.
    header: Option<Bytes>,
    /// Salt and transaction of the block there.
    first: (u64, u64),
    mapped_pages: Option<u32>,
}

/// Bytes of a block's header; where its transaction and its salt stand.
const HEADER_BYTES: u64 = 64;
const TXN_AT: usize = 16;
const SALT_AT: usize = 56;

impl Watch {
    /// A store was just opened: its log begins anew.
    fn opened(&mut self) {
        self.header = None;
        self.first = (0, 0);
    }

    /// Between two steps.
    fn look(&mut self, store: &SimStore, mapping: &SimMapping<Expect>) {
        let stats = store.stats();
        if stats.spills > 0 {
            self.met.happened(Event::Spilled);
        }
        if self.mapped_pages.is_some_and(|before| stats.mapped_pages > before) {
            self.met.happened(Event::FileGrew);
        }
        self.mapped_pages = Some(stats.mapped_pages);
        // A ring that moves has another size.
        let moved = self.ring_pages.is_some_and(|before| before != stats.log_pages);
        if moved {
            self.met.happened(Event::RingMoved);
        }
        self.ring_pages = Some(stats.log_pages);
        if moved || self.header.is_none() {
            self.header = ring_header(store, stats.page_size);
            self.first = (0, 0);
        }
        let Some(header) = self.header.clone() else { return };
        let bytes = mapping.cached(&header);
        let word =
            |at: usize| bytes[at..].first_chunk().map_or(0, |word| u64::from_le_bytes(*word));
        let (salt, txn) = (word(SALT_AT), word(TXN_AT));
        if salt != 0 && salt == self.first.0 && txn > self.first.1 {
            self.met.happened(Event::RingWrapped);
        }
        self.first = (salt, txn);
    }
}

/// Where the first block of the ring has its header.
fn ring_header(store: &SimStore, page_size: u32) -> Option<Bytes> {
    let mut header = None;
    let visited = store.inspect().ok()?.visit(&mut |page, _, used| {
        if used == PageUse::Log {
            let start = page.index() as u64 * u64::from(page_size);
            header = Some(start..start + HEADER_BYTES);
        }
    });
    visited.ok().and(header)
}

impl Life<'_> {
    /// Looks at a store that was just opened.
    pub(super) fn watch_opened(&mut self, store: &SimStore) {
        self.watch.opened();
        self.watch.look(store, &self.mapping);
    }

    /// Looks at what a step has met. `oldest`: the oldest reader's state, `before`: checkpoints before the step.
    pub(super) fn watch_step(&mut self, store: &SimStore, oldest: Option<u64>, before: u32) {
        self.watch.look(store, &self.mapping);
        let stats = store.stats();
        if stats.checkpoints > before && oldest.is_some_and(|txn| txn < stats.checkpoint.0) {
            self.watch.met.happened(Event::OldReader);
        }
    }

    /// A commit went through beside a checkpoint.
    pub(super) fn met_beside(&mut self) {
        self.watch.met.happened(Event::CommitBeside);
    }
}
