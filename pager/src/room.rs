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
/// A transaction that writes so many pages is worth a checkpoint of its own: it gets no slack.
const LARGE_PAGES: u32 = 4096;

/// The pages of a state, by what can become of them. An estimate: which of the freed pages older
/// readers hold back is not counted anywhere.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    pub(crate) page_count: u32,
    pub(crate) space: SpaceStats,
    /// Freed pages that only checkpoints hold back.
    pub(crate) waiting: u32,
    /// Somebody reads a state older than the durable checkpoint.
    pub(crate) old_readers: bool,
    /// The transaction has made the file grow.
    pub(crate) grown: bool,
}

impl Room {
    /// Pages neither free nor freed.
    fn in_use(&self) -> u32 {
        self.page_count.saturating_sub(self.space.free_pages + self.space.pinned_pages)
    }

    /// How many pages may wait before the file must not grow for want of them.
    fn slack(&self) -> u32 {
        let part = if self.old_readers { SLACK_PART_BESIDE_READERS } else { SLACK_PART };
        (self.in_use() / part).max(SLACK_MIN)
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
        let allowed = if pages >= LARGE_PAGES { 0 } else { slack };
        let past_slack = length > self.in_use().saturating_add(allowed);
        available < pages && past_slack && self.waiting > worth
    }
}
