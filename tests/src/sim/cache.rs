//! The kernel between a mapping and its medium: which pages are resident and mapped, what faults, what
//! is evicted, what is written back and in which order. A model to be stepped and counted; it holds no
//! bytes.

use super::{Change, Moment};
use std::collections::VecDeque;

/// What an access costs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Nothing: resident and mapped.
    Hit,
    /// A minor fault: resident, but not mapped (or, for a store, mapped for reading).
    Minor,
    /// A major fault: read from the medium.
    Major,
}

/// What was counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CacheCounts {
    /// Faults that found the page resident.
    pub minor_faults: u64,
    /// Faults that read it.
    pub major_faults: u64,
    /// Pages read, by faults and ahead of them.
    pub reads: u64,
    /// Pages written back.
    pub writes: u64,
    /// Pages that had to go.
    pub evictions: u64,
}

/// How a resident page is mapped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mapped {
    No,
    ToRead,
    ToWrite,
}

struct Frame {
    page: usize,
    mapped: Mapped,
    used: bool,
    /// When it became dirty.
    dirty: Option<u64>,
}

/// The page cache of one file.
pub struct PageCache {
    frames: usize,
    resident: VecDeque<Frame>,
    clock: u64,
    counts: CacheCounts,
}

impl PageCache {
    /// An empty one with room for so many pages.
    #[must_use]
    pub fn new(frames: usize) -> PageCache {
        let counts = CacheCounts::default();
        PageCache { frames: frames.max(1), resident: VecDeque::new(), clock: 0, counts }
    }

    /// What was counted so far.
    #[must_use]
    pub fn counts(&self) -> CacheCounts {
        self.counts
    }

    /// Whether the page is resident.
    #[must_use]
    pub fn resident(&self, page: usize) -> bool {
        self.resident.iter().any(|frame| frame.page == page)
    }

    /// Dirty pages, in the order in which [`write_back`](PageCache::write_back) writes them.
    #[must_use]
    pub fn dirty(&self) -> Vec<usize> {
        let dirty = self.resident.iter().filter_map(|f| f.dirty.map(|since| (since, f.page)));
        let mut dirty: Vec<_> = dirty.collect();
        dirty.sort_unstable();
        dirty.into_iter().map(|(_, page)| page).collect()
    }

    /// A load through the mapping.
    pub fn load(&mut self, page: usize) -> Access {
        self.touch(page, Mapped::ToRead)
    }

    /// A store through the mapping: after a write-back the first one to a page faults again.
    pub fn store(&mut self, page: usize) -> Access {
        let access = self.touch(page, Mapped::ToWrite);
        self.soil(page);
        access
    }

    /// A positioned write of a whole page: nothing is read, nothing faults.
    pub fn write(&mut self, page: usize) {
        self.frame(page);
        self.soil(page);
    }

    /// Takes one page away; written back first if dirty.
    pub fn take(&mut self, page: usize) {
        if let Some(at) = self.resident.iter().position(|frame| frame.page == page) {
            let frame = self.resident.remove(at);
            self.counts.writes += u64::from(frame.is_some_and(|frame| frame.dirty.is_some()));
            self.counts.evictions += 1;
        }
    }

    /// Reads ahead: resident, not mapped.
    pub fn will_need(&mut self, page: usize) {
        if !self.resident(page) {
            self.frame(page);
            self.counts.reads += 1;
        }
    }

    /// Writes the page back that has been dirty longest; which, if there is one.
    pub fn write_back(&mut self) -> Option<usize> {
        let page = self.dirty().first().copied()?;
        self.clean(page);
        Some(page)
    }

    /// A barrier over some pages: writes back those that are dirty, in the order of their numbers.
    pub fn flush(&mut self, pages: std::ops::Range<usize>) -> Vec<usize> {
        let mut dirty = self.dirty();
        dirty.retain(|page| pages.contains(page));
        dirty.sort_unstable();
        dirty.iter().for_each(|page| self.clean(*page));
        dirty
    }

    /// Follows a tape, whose units are pages: loads; stores where there is one view, positioned writes where there are two.
    pub fn follow<N>(&mut self, moment: &Moment<N>, two_views: bool) {
        match moment {
            Moment::Change(Change::Write(page, ..)) if two_views => self.write(*page),
            Moment::Change(Change::Write(page, ..)) => drop(self.store(*page)),
            Moment::Change(Change::Flushed(ranges, _, true)) => {
                ranges.iter().for_each(|range| drop(self.flush(range.clone())));
            }
            Moment::Change(Change::Resized(pages)) => {
                self.resident.retain(|frame| frame.page < *pages);
            }
            Moment::Load(page) => drop(self.load(*page)),
            Moment::Change(Change::Flushed(..)) | Moment::Point | Moment::Note(_) => {}
        }
    }

    fn touch(&mut self, page: usize, mapped: Mapped) -> Access {
        let cached = self.resident(page);
        let frame = self.frame(page);
        let enough = frame.mapped == Mapped::ToWrite || frame.mapped == mapped;
        if !enough {
            frame.mapped = mapped;
        }
        if !cached {
            self.counts.major_faults += 1;
            self.counts.reads += 1;
            return Access::Major;
        }
        self.counts.minor_faults += u64::from(!enough);
        if enough { Access::Hit } else { Access::Minor }
    }

    /// The page's frame; another page goes where there is none left.
    fn frame(&mut self, page: usize) -> &mut Frame {
        if let Some(at) = self.resident.iter().position(|frame| frame.page == page) {
            self.resident[at].used = true;
            return &mut self.resident[at];
        }
        if self.resident.len() == self.frames {
            self.evict();
        }
        self.resident.push_back(Frame { page, mapped: Mapped::No, used: false, dirty: None });
        let last = self.resident.len() - 1;
        &mut self.resident[last]
    }

    /// The oldest page that was not used since it was looked at last; written back first if dirty.
    fn evict(&mut self) {
        while let Some(mut frame) = self.resident.pop_front() {
            if std::mem::take(&mut frame.used) {
                self.resident.push_back(frame);
                continue;
            }
            self.counts.writes += u64::from(frame.dirty.is_some());
            self.counts.evictions += 1;
            return;
        }
    }

    fn soil(&mut self, page: usize) {
        self.clock += 1;
        let now = self.clock;
        self.frame(page).dirty.get_or_insert(now);
    }

    /// Writes a page back; the next store to it faults, so that the kernel knows.
    fn clean(&mut self, page: usize) {
        let frame = self.frame(page);
        if frame.dirty.take().is_some() {
            if frame.mapped == Mapped::ToWrite {
                frame.mapped = Mapped::ToRead;
            }
            self.counts.writes += 1;
        }
    }
}
