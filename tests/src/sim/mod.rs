//! A kernel and a medium that lie as far as the contract of `Mapping` allows.
//!
//! # Fault budget
//! What may go wrong in one simulated life, and what a store must survive of it:
//!
//! | fault | how often | what it does |
//! |---|---|---|
//! | power loss | at any call of the mapping, and between any two stores | per write unit any version since the last flush that covers it; units independently |
//! | torn unit | one or two a power loss | bytes of two such versions, cut anywhere; or (harsher than the contract, as a sector that was being written may be) junk from there on |
//! | vanished growth | at any power loss | the file is as long as at the last flush of a grown range; what lay behind is gone |
//! | death of the process | as power loss | what was published stays, over a medium that lags behind; what was claimed or held is gone |
//! | power loss after a death | at any depth | what the dead process had published and not flushed is lost too |
//! | failed flush | the n-th call, once or from then on | any part was written; the cache calls the rest clean, and no later flush writes it |
//! | failed publish | as a failed flush, for want of room or as `EIO` | half of it is published; of what is held, half of the stretches within blocks of `PAGE_SIZE_MAX` |
//! | failed claim, growth, cut | as a failed publish; a cut as `EIO` only | nothing has changed |
//! | publication aside | whenever it is asked for | half of it long before the rest; commits between the two |
//! | stores during a flush | a writer beside a checkpoint | are in it, or not |
//! | rot | one a medium, at rest | a flipped bit, a zeroed unit, two swapped pages: found, or of no consequence. A stale page: not found in format v1 unless something else tells; no panic |
//!
//! A unit that is written again with the bytes that it has (the chosen meta, at each opening) has versions that are
//! equal, of which every mix is equal too: within the contract it cannot tear, and [`Disk`] keeps no version of it. Junk in a
//! torn unit, which is harsher than the contract, does not come to such a unit: no store that writes its only meta again
//! could survive it.
//!
//! Not in the budget: a flush that says `Ok` and has not written, writes in a place that was not asked
//! for, changes outside a unit that is written. (Planted, they are the canaries of [`crate::crash`].)
//!
//! [`SimMapping`] plays the kernel, and writes a [tape](Moment) of what reaches the medium;
//! [`Disk`] is what the medium may then hold. [`PageCache`] models the way between them, by itself or along a tape.

mod cache;
mod disk;
mod mapping;
mod memory;
mod rot;

pub use cache::{Access, CacheCounts, PageCache};
pub use disk::{Cell, Change, Disk, Unit, Version, fold, hash, placed, version};
pub use mapping::{CALLS, Call, Faults, Kind, Lie, Moment, SimMapping};
pub use rot::{Rot, rot};

/// Reproducible, and good enough to choose.
#[derive(Clone, Debug)]
pub struct Dice(pub u64);

impl Dice {
    /// Any number.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(1);
        crate::data::mix(self.0)
    }

    /// A number below `limit`, or 0.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.roll() % limit.max(1) as u64) as usize
    }
}
