//! The mapping: all that the core knows of the outside world.
//!
//! A mapping is a stretch of bytes that can be read through one address that never moves, written
//! through a (possibly different) address, published, flushed and grown. Each method says what the
//! bytes may be after power loss; a simulation of a lying kernel is one more implementation.

#![allow(unsafe_code)] // The contract itself is an unsafe trait; nothing here dereferences.

use crate::{Residency, Result};
use core::ops::Range;
use core::ptr::NonNull;

/// A range of bytes of the mapping, from its start.
pub type Bytes = Range<u64>;

/// What the caller expects to do with a range. Doing nothing about it is correct.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Advice {
    /// Accesses will come in no order: read no neighbours.
    Random,
    /// Accesses will come in ascending order.
    Sequential,
    /// Soon needed: start reading now, without waiting.
    WillNeed,
    /// Not needed soon.
    DontNeed,
    /// Worth large pages.
    Huge,
    /// To be read from the medium the next time, not from a copy in memory. Copies that are newer than
    /// the medium stay.
    Evict,
    /// Of the write view: likely to be claimed before long, though not now. What that costs may be paid by
    /// [`tend`](Mapping::tend), beside the writer.
    WillClaim,
}

/// Bytes of a store: a file mapped by an operating system, RAM, flash, or a simulation of them.
///
/// # Views
/// *Read view*: [`base`](Mapping::base) and [`len`](Mapping::len); the address never moves while
/// the mapping lives, so growth never invalidates a reader. *Write view*: the address where the
/// one writer builds what it has claimed. Where both addresses are equal
/// ([`two_views`](Mapping::two_views) is false) a store is visible to readers at once; where they
/// differ, only after [`publish`](Mapping::publish), or where [`held`](Mapping::held) says that a byte
/// is to be read in the write view.
///
/// # Power loss
/// A published byte whose flush has not returned `Ok` may, after power loss, have any value it had
/// since the last flush of its range, independently for each [`write_unit`](Mapping::write_unit),
/// or a mix of such values within a unit; a store never harms bytes outside its unit. Once `flush`
/// returned `Ok`, the bytes of its ranges as published before the call are kept. Process death
/// loses nothing published, and nothing stored where there is one view.
///
/// # Safety
/// An implementation promises that
/// - `base()..base()+len()` is valid for reads, and `write_base()..write_base()+len()` valid for
///   writes of claimed ranges, in one allocation each, until the mapping is dropped; addresses never
///   change; `len` changes through `grow` and `shrink` only;
/// - with two views, a claimed byte read through `write_base` is what was last stored there (or,
///   after `claim(.., keep = true)`, what the read view held), and publishing makes exactly the
///   claimed bytes of the ranges appear in the read view;
/// - `base` is at least 4096-aligned or aligned to the page size in use;
/// - every method answers as that of the mapping which [`behind`](Mapping::behind) names, where it names one;
/// - no other code writes to either view while the mapping lives.
pub unsafe trait Mapping: Send + Sync {
    /// Start of the read view. Never moves. No system call.
    fn base(&self) -> NonNull<u8>;

    /// Start of the write view; equals `base()` where there is one view. No system call.
    fn write_base(&self) -> NonNull<u8>;

    /// Length in bytes of both views. Grown bytes are zero until stored to. No system call.
    fn len(&self) -> u64;

    /// Whether the length is 0: a store that is yet to be made.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of the smallest unit whose rewrite cannot harm its neighbours; a power of two.
    fn write_unit(&self) -> u32;

    /// Whether the write view is another address than the read view.
    fn two_views(&self) -> bool {
        self.base() != self.write_base()
    }

    /// With two views: whether the byte at `offset` is claimed and not yet published or discarded.
    /// With one view: always false (a page's own birth says who may write it). No system call.
    fn claimed(&self, offset: u64) -> bool {
        let _ = offset;
        false
    }

    /// Announces stores to `range` of the write view: precedes every store, marks it dirty.
    ///
    /// With two views and `keep`, the write view then holds what the read view holds; without
    /// `keep` its content is unspecified but initialised. Granularity may be coarser than the range
    /// (whole write units): units already claimed keep their content. Cost: no system call in
    /// place; memory on first touch otherwise. After power loss: nothing changes by claiming.
    ///
    /// # Errors
    /// [`Error::Full`](crate::Error::Full) or [`Error::Io`](crate::Error::Io): nothing was claimed.
    ///
    /// # Safety
    /// Nobody else stores into the range, or holds a reference to it in the write view, until it is
    /// published or discarded.
    unsafe fn claim(&self, range: Bytes, keep: bool) -> Result<()>;

    /// Takes claims back: the read view stays as it is. Nothing to do where the views are one.
    ///
    /// # Safety
    /// As [`claim`](Mapping::claim); the claimed bytes of the range are lost.
    unsafe fn discard(&self, range: Bytes) {
        let _ = range;
    }

    /// Makes the claimed bytes of `ranges` visible in the read view and ends their claims; ranges
    /// may span unclaimed bytes, which are left alone. Nothing to do where the views are one.
    ///
    /// After power loss: as any store since the last flush. After `Ok`, process death keeps it. What is
    /// [`held`](Mapping::held) stays so.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io) or [`Error::Full`](crate::Error::Full): some may have been
    /// published; nothing that readers can reach has changed if the caller claimed only such pages.
    ///
    /// # Safety
    /// No reference into the ranges' claimed bytes, through either view, is alive.
    unsafe fn publish(&self, ranges: &[Bytes]) -> Result<()>;

    /// Makes `parts`, one behind the other, the bytes of the read view from the start of `range` on, without a claim:
    /// one copy instead of two, for what is long and will not be changed. What the parts leave of the range is
    /// unspecified, but initialised. `false`: nothing was done, and the caller is to claim the range.
    ///
    /// After power loss, after `Ok(true)` and process death: as [`publish`](Mapping::publish). Cost: a system call for
    /// each two megabytes.
    ///
    /// # Errors
    /// As [`publish`](Mapping::publish); the range's bytes are unspecified then.
    ///
    /// # Safety
    /// Nobody else stores into the range, or holds a reference to it in either view; nobody counts on what it held.
    unsafe fn publish_bytes(&self, range: Bytes, parts: &[&[u8]]) -> Result<bool> {
        let _ = (range, parts);
        Ok(false)
    }

    /// Ends the claims of `range` like [`publish`](Mapping::publish), but may leave the bytes in the
    /// write view, where they are [`held`](Mapping::held) until
    /// [`publish_held`](Mapping::publish_held) or the next claim: readers are to look there. A page
    /// that is rewritten before the next checkpoint is then never written out at all. What is held
    /// dies with the process. Bytes of a commit that fails afterwards stay held, though nobody reads
    /// them, until they are claimed anew. No system call, unless the mapping would rather publish.
    ///
    /// # Errors
    /// As [`publish`](Mapping::publish).
    ///
    /// # Safety
    /// As [`publish`](Mapping::publish); and the bytes stay as they are until they are claimed anew.
    unsafe fn hold(&self, range: Bytes) -> Result<()> {
        // SAFETY: the caller's promise.
        unsafe { self.publish(&[range]) }
    }

    /// With two views: whether the byte at `offset` is to be read in the write view, though nobody
    /// claims it. Whoever acts on `false` sees what was published before. No system call.
    fn held(&self, offset: u64) -> bool {
        let _ = offset;
        false
    }

    /// Publishes what is held in `ranges`, beside a writer that claims other bytes. References into
    /// the write view stay valid, and what they show stays the same, until
    /// [`release_held`](Mapping::release_held). A stretch held within an aligned block of
    /// [`PAGE_SIZE_MAX`](crate::PAGE_SIZE_MAX) bytes ceases to be held as a whole, once all of it can
    /// be read in the read view: no page is ever held in part.
    ///
    /// # Errors
    /// As [`publish`](Mapping::publish); what was not published is held still.
    ///
    /// # Safety
    /// Nobody changes bytes that are held without claiming them.
    unsafe fn publish_held(&self, ranges: &[Bytes]) -> Result<()> {
        let _ = ranges;
        Ok(())
    }

    /// As [`publish_held`](Mapping::publish_held), in parts: the medium is given each, and then a moment for the
    /// barriers of others, until `pressed` says that somebody will wait for the rest. Some ten milliseconds
    /// longer, however much is held. By default all at once.
    ///
    /// # Errors
    /// As [`publish_held`](Mapping::publish_held).
    ///
    /// # Safety
    /// As [`publish_held`](Mapping::publish_held).
    unsafe fn publish_held_aside(
        &self,
        ranges: &[Bytes],
        pressed: &mut dyn FnMut() -> bool,
    ) -> Result<()> {
        let _ = pressed;
        // SAFETY: the caller's promise.
        unsafe { self.publish_held(ranges) }
    }

    /// Lets go of memory that was held and has been published: of those units that `unseen` says
    /// nobody refers to. It is called with a unit's offset.
    ///
    /// # Safety
    /// No reference into the write view is alive to a unit that `unseen` returns true for.
    unsafe fn release_held(&self, unseen: &mut dyn FnMut(u64) -> bool) {
        let _ = unseen;
    }

    /// Whether so much is held that a checkpoint should publish it. No system call.
    fn laden(&self) -> bool {
        false
    }

    /// Whether so much is held, or was and is not let go of yet, that a commit should not add to it. What
    /// readers refer to does not count: that is what the last [`release_held`](Mapping::release_held) left.
    fn overladen(&self) -> bool {
        false
    }

    /// **One barrier**: on `Ok` every byte of `ranges` as published so far survives power loss.
    /// Claimed bytes are **not** published: the writer may be building pages there meanwhile (a
    /// checkpoint flushes beside a running writer). Several ranges, or one that spans most of the
    /// mapping, are one spanning barrier; a short single range is written out alone where the medium
    /// allows it. Other ranges may become durable too.
    ///
    /// # Errors
    /// After an error nothing is known about any byte published since the last flush, and later
    /// flushes promise nothing: the caller must stop committing.
    ///
    /// # Safety
    /// What the caller counts on in the ranges does not change meanwhile. (Pages that a running
    /// transaction builds in place may: they are in any of their versions afterwards.)
    unsafe fn flush(&self, ranges: &[Bytes]) -> Result<()>;

    /// [`publish`](Mapping::publish) and [`flush`](Mapping::flush) of one short range with **one
    /// barrier**, and no more write-out than the range needs: a log block or a meta. Bytes of the
    /// range that were published before (unflushed log blocks) become durable with it.
    ///
    /// # Errors
    /// As [`flush`](Mapping::flush).
    ///
    /// # Safety
    /// As [`publish`](Mapping::publish).
    unsafe fn publish_and_flush(&self, range: Bytes) -> Result<()>;

    /// Lengthens the mapping to at least `len` bytes (it may take more); new bytes are zero and,
    /// where the file system can promise it, backed by the medium. After power loss the length may
    /// be the old one unless a flush of a grown range returned `Ok`.
    ///
    /// # Errors
    /// [`Error::Full`](crate::Error::Full): no space on the medium, in the address space or memory;
    /// [`Error::Io`](crate::Error::Io) otherwise. The length is unchanged.
    fn grow(&self, len: u64) -> Result<()>;

    /// Shortens the mapping to `len` bytes, or to the next larger length it can have.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io): the length is unchanged.
    ///
    /// # Safety
    /// Nobody holds a reference behind `len`, and no state that anybody may still read or recover
    /// to reaches behind it.
    unsafe fn shrink(&self, len: u64) -> Result<()>;

    /// A hint; doing nothing is correct. At most one system call.
    fn advise(&self, range: Bytes, advice: Advice) {
        let _ = (range, advice);
    }

    /// [`Advice::WillNeed`] for several ranges: reading them begins, in any order and many at a time, and
    /// nobody waits. A hint; doing nothing is correct.
    fn prefetch(&self, ranges: &[Bytes]) {
        for range in ranges {
            self.advise(range.clone(), Advice::WillNeed);
        }
    }

    /// Reads what of `range` is not in memory, and waits for it. Afterwards it is there, until memory is
    /// short. Ends where the mapping ends.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io): something of it cannot be read. No signal, whatever the medium does.
    fn prefault(&self, range: Bytes) -> Result<()> {
        let _ = range;
        Ok(())
    }

    /// How much of `range` (of the read view) is in memory; `None` where the system does not say. Reads
    /// nothing and waits for nothing. Ends where the mapping ends.
    fn residency(&self, range: Bytes) -> Option<Residency> {
        let _ = range;
        None
    }

    /// Whether all of `range` (of the read view) can be read without waiting for the medium, as far as the
    /// system says; it may be dropped the next moment. Where it says yes it may touch the range, and
    /// remember the answer for a fraction of a second. One system call at most for what it does not
    /// remember. Ends where the mapping ends.
    fn resident(&self, range: Bytes) -> bool {
        let _ = range;
        true
    }

    /// Whether the mapping is expected to be larger than memory: then reading pages together, by
    /// [`prefetch`](Mapping::prefetch), is worth a system call before they are touched. No system call.
    fn sparse(&self) -> bool {
        false
    }

    /// Keeps `range` (of the read view) in memory until it is [unlocked](Mapping::unlock), the mapping is
    /// dropped or the process ends: reads what is missing, and waits for it. Nothing to do where it is
    /// always there. Ends where the mapping ends: what grows later is not locked.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io): not permitted, more than the process may lock, or unreadable. Parts
    /// may be locked then.
    fn lock(&self, range: Bytes) -> Result<()> {
        let _ = range;
        Ok(())
    }

    /// Ends [`lock`](Mapping::lock) for `range`.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io): parts may be locked still.
    fn unlock(&self, range: Bytes) -> Result<()> {
        let _ = range;
        Ok(())
    }

    /// Whether so much is claimed that a running transaction should publish what it has sealed, to
    /// bound memory. Only mappings with two views ever say so. No system call.
    fn pressure(&self) -> bool {
        false
    }

    /// Whether bytes of the read view can be lost while the mapping lives on: a file whose bus errors
    /// are caught. Lost bytes read as zeros, and [`probe`](Mapping::probe) knows of them. Never
    /// changes. No system call.
    fn guarded(&self) -> bool {
        false
    }

    /// Reads something of each part of `range` that can be lost on its own, then says whether all of
    /// it is still what was stored. Asked before bytes of a guarded mapping are handed out. No system
    /// call.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io): bytes of the range were lost.
    fn probe(&self, range: Bytes) -> Result<()> {
        let _ = range;
        Ok(())
    }

    /// Whether nothing was lost so far: what was read before the call is what was stored. No system
    /// call.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io): bytes were lost, somewhere and at some time. `claim`, `publish`,
    /// `flush` and `grow` refuse from then on.
    fn health(&self) -> Result<()> {
        Ok(())
    }

    /// Work that makes later claims cheaper, as far as `advise` has announced them: for a thread beside the
    /// writer, after a checkpoint. Doing nothing is correct. Cost: system calls, in proportion to what was
    /// announced.
    fn tend(&self) {}

    /// Looks at how the mapping is used, and may have it read in another way from now on; in any case with
    /// `last`. Whether it is to be called again: soon at first, then less and less often. By one thread at a
    /// time. Cost: a few system calls at the most, none once the answer was no.
    fn attend(&self, last: bool) -> bool {
        let _ = last;
        false
    }

    /// Called in a loop by a thread that waits for another's checkpoint: lets others run.
    fn relax(&self) {
        core::hint::spin_loop();
    }

    /// The mapping that this one does nothing but pass calls on to, as a box does: it is asked directly from then
    /// on, and so answers sooner. Every page of every lookup asks.
    fn behind(&self) -> Option<&dyn Mapping> {
        None
    }

    /// Called before each store to a meta or log block and each hand-out of a mutable page: the
    /// grain at which simulations crash. Nothing to do otherwise.
    fn trace(&self, range: Bytes) {
        let _ = range;
    }
}
