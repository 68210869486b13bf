//! When a checkpoint is worth its barriers for the room it gives.
//!
//! A page that the durable checkpoint reaches cannot be reused before the next one, whoever freed it.
//! A checkpoint writes a page once however often it was rewritten, so the later it comes the fewer
//! writes; and the longer it is put off the more pages wait, and the larger the file.

use crate::space::SpaceStats;

/// Pages that wait may be this part of the pages in use before the file must not grow for want of
/// them; where older readers hold pages back as well, a smaller one.
const SLACK_PART: u32 = 4;
const SLACK_PART_BESIDE_READERS: u32 = 24;
const SLACK_MIN: u32 = 256;
/// Bytes that may wait in a small store: a few batches, each of which rewrites a good part of it. It becomes no
/// more than twice as large by it, since no more wait than the durable checkpoint reaches. Stores of smaller pages
/// are where bytes are few.
const SLACK_BYTES_MIN: u32 = 8 << 20;
const SLACK_BYTES_PAGE_SHIFT_MIN: u32 = 12;
/// A transaction that writes so many pages is worth a checkpoint of its own: it gets no slack.
const LARGE_PAGES: u32 = 4096;

/// A transaction that writes no more pages leaves checkpoints to whoever makes them beside it, before the file is
/// twice as long as what is in use.
const SMALL_PAGES: u32 = 64;

/// The pages of a state, by what can become of them. An estimate: which of the freed pages older
/// readers hold back is not counted anywhere.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    pub(crate) page_shift: u32,
    pub(crate) page_count: u32,
    pub(crate) space: SpaceStats,
    /// Freed pages that only checkpoints hold back.
    pub(crate) waiting: u32,
    /// Somebody reads a state older than the durable checkpoint.
    pub(crate) old_readers: bool,
    /// The transaction has made the file grow.
    pub(crate) grown: bool,
    /// Somebody makes checkpoints beside those who commit.
    pub(crate) aside: bool,
}

impl Room {
    /// Pages neither free nor freed.
    fn in_use(&self) -> u32 {
        self.page_count.saturating_sub(self.space.free_pages + self.space.pinned_pages)
    }

    /// How many pages may wait before the file must not grow for want of them.
    fn slack(&self) -> u32 {
        if self.old_readers {
            return (self.in_use() / SLACK_PART_BESIDE_READERS).max(SLACK_MIN);
        }
        let by_bytes = self.page_shift >= SLACK_BYTES_PAGE_SHIFT_MIN;
        let least = if by_bytes { SLACK_BYTES_MIN >> self.page_shift } else { 0 };
        (self.in_use() / SLACK_PART).max(least).max(SLACK_MIN)
    }

    /// Pages that can be claimed before the file grows: free, or freed and not looked at since.
    fn available(&self) -> u32 {
        let unseen = self.space.pinned_pages.saturating_sub(self.waiting);
        self.space.free_pages.saturating_add(if self.old_readers { 0 } else { unseen })
    }

    /// Whether half of the room there is waits for a checkpoint: the other half is for those who write
    /// while it is made.
    pub(crate) fn due(&self) -> bool {
        self.waiting > self.slack() / 2 && self.available() <= self.waiting
    }

    /// Whether three quarters of what may wait does.
    pub(crate) fn pressed(&self) -> bool {
        self.waiting > self.slack() / 4 * 3
    }

    /// Whether a transaction that has written `pages` must be a checkpoint: the next one like it would
    /// make the file grow past its slack, and a checkpoint would give it room.
    pub(crate) fn overdue(&self, pages: u32) -> bool {
        let (slack, available) = (self.slack(), self.available());
        if self.old_readers {
            // How much they hold back is not known, so what waits is bounded by itself.
            return self.waiting > slack && available < pages.max(slack / 4);
        }
        // Pages that the space itself has freed wait too, and are not counted as such: where there seem to be
        // pages enough, but the file grew all the same, what waits must be worth a checkpoint by itself.
        let seems_enough = available >= pages;
        let (available, worth) = if seems_enough && self.grown {
            (self.space.free_pages, slack / 2)
        } else {
            (available, (pages / 2).min(slack / 2))
        };
        let length = self.page_count.saturating_add(pages.saturating_sub(available));
        let allowed = match pages {
            LARGE_PAGES.. => 0,
            // Rather a longer file than one that waits for the disk.
            ..=SMALL_PAGES if self.aside => self.in_use().max(slack),
            _ => slack,
        };
        let past_slack = length > self.in_use().saturating_add(allowed);
        available < pages && past_slack && self.waiting > worth
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 10,000 pages in use, so that 2,500 may wait, and 416 beside readers.
    fn room(free_pages: u32, pinned_pages: u32, waiting: u32) -> Room {
        let page_count = 10_000 + free_pages + pinned_pages;
        let space = SpaceStats { free_pages, pinned_pages, space_pages: 10 };
        Room {
            page_shift: 12,
            page_count,
            space,
            waiting,
            old_readers: false,
            grown: false,
            aside: false,
        }
    }

    fn beside_readers(room: Room) -> Room {
        Room { old_readers: true, ..room }
    }

    /// Else a store would make checkpoints for nothing, or its file grow while freed pages wait.
    #[test]
    fn a_checkpoint_is_due_when_half_of_the_room_waits_for_it() {
        assert_eq!((room(7, 9, 0).in_use(), room(7, 9, 0).slack()), (10_000, 2_500));
        assert!(!room(0, 1250, 1250).due());
        assert!(room(0, 1251, 1251).due());
        // As many others can be claimed: those that wait are not missed yet.
        assert!(room(1251, 1251, 1251).due());
        assert!(!room(1252, 1251, 1251).due());
        // Freed and not looked at since: they may be free.
        assert!(room(0, 2502, 1251).due());
        assert!(!room(0, 2503, 1251).due());
        // What older readers hold back is not known: nothing of it counts.
        assert!(beside_readers(room(0, 2503, 1251)).due());
        assert_eq!(beside_readers(room(0, 0, 0)).slack(), 416);
        assert!(!beside_readers(room(0, 208, 208)).due());
        assert!(beside_readers(room(0, 209, 209)).due());
        // A small store has a slack that is worth two barriers, of bytes; beside readers of pages.
        let small = Room { page_count: 2000, ..room(0, 0, 1025) };
        assert_eq!((small.slack(), small.due()), (2048, true));
        assert!(!Room { waiting: 1024, ..small }.due());
        assert!(beside_readers(Room { waiting: 129, ..small }).due());
        assert!(!beside_readers(Room { waiting: 128, ..small }).due());
        assert_eq!(Room { page_shift: 16, ..small }.slack(), 500);
        let tiny = Room { page_shift: 11, page_count: 500, ..small };
        assert_eq!((tiny.slack(), Room { page_shift: 16, ..tiny }.slack()), (256, 256));
    }

    /// Else commits would wait for a checkpoint that takes its time.
    #[test]
    fn a_checkpoint_is_pressed_from_three_quarters_of_what_may_wait() {
        assert!(!room(0, 3000, 1875).pressed());
        assert!(room(0, 3000, 1876).pressed());
    }

    /// Else each commit of a store that grows would be a checkpoint, or none of one that need not.
    #[test]
    fn a_commit_is_a_checkpoint_where_the_file_would_grow_for_want_of_one() {
        // 100 pages written, none to be had, 2,500 may wait.
        assert!(!room(0, 2400, 2400).overdue(100));
        assert!(room(0, 2401, 2401).overdue(100));
        // As many as it needs can be claimed.
        assert!(!room(100, 2401, 2401).overdue(100));
        assert!(room(99, 2501, 2501).overdue(100));
        // What waits must be worth it: half of what was written, half of the slack at the most.
        assert!(!room(0, 1225, 1225).overdue(2450));
        assert!(room(0, 1226, 1226).overdue(2450));
        assert!(!room(0, 1250, 1250).overdue(4000));
        assert!(room(0, 1251, 1251).overdue(4000));
        // A transaction of 4,096 pages gets no slack.
        let large = Room { page_count: 120_000, ..room(0, 20_000, 20_000) };
        assert_eq!(large.slack(), 25_000);
        assert!(!large.overdue(4095));
        assert!(large.overdue(4096));
    }

    /// Else small commits would wait for the disk, or the file grow without bound where it is slow.
    #[test]
    fn a_small_commit_leaves_checkpoints_to_others_till_the_file_is_twice_as_long() {
        let beside = |waiting| Room { aside: true, ..room(0, waiting, waiting) };
        assert!(room(0, 2501, 2501).overdue(64));
        assert!(!beside(2501).overdue(64));
        assert!(beside(2501).overdue(65), "not a small one");
        assert!(!beside(9936).overdue(64));
        assert!(beside(9937).overdue(64), "more than twice what is in use");
        assert!(beside_readers(beside(2501)).overdue(64));
        // A store whose slack is more than what is in use.
        let small = Room { page_count: 1000 + 1984, ..beside(1984) };
        assert_eq!((small.in_use(), small.slack()), (1000, 2048));
        assert!(!small.overdue(64));
        assert!(Room { page_count: 1000 + 1985, ..beside(1985) }.overdue(64));
    }

    /// Else the file would grow with every small commit: pages that the space has freed seem to be there.
    #[test]
    fn a_commit_that_grew_the_file_does_not_count_on_pages_that_seem_to_be_there() {
        let seems = room(0, 3000, 2000);
        assert!(!seems.overdue(100));
        assert!(Room { grown: true, ..seems }.overdue(100));
        let little = Room { waiting: 1250, ..seems };
        assert!(!Room { grown: true, ..little }.overdue(100), "what waits is not worth it");
        assert!(Room { grown: true, waiting: 1251, ..little }.overdue(100));
        let free = Room { grown: true, ..room(100, 3000, 2000) };
        assert!(!free.overdue(100), "they are there");
        // As many as it needs seem to be there, but half of them.
        assert!(Room { grown: true, ..room(50, 3000, 2950) }.overdue(100));
    }

    /// Else old readers would let the file grow without bound, or make every commit a checkpoint.
    #[test]
    fn beside_old_readers_what_waits_is_bounded_by_itself() {
        let some = |free, waiting| beside_readers(room(free, 3000, waiting));
        assert!(!some(0, 416).overdue(10));
        assert!(some(0, 417).overdue(10));
        // A quarter of the slack, or what was written, can be claimed.
        assert!(some(103, 417).overdue(10));
        assert!(!some(104, 417).overdue(10));
        assert!(some(199, 417).overdue(200));
        assert!(!some(200, 417).overdue(200));
    }
}
