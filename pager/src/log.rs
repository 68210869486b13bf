//! The log ring: blocks of redo records, one a commit.
//!
//! A block (little-endian, starts at a multiple of 8 in the ring, never wraps):
//!
//! | bytes | field |
//! |---|---|
//! | 0..8 | XXH3-64 of bytes 8..length, seeded with the ring's salt |
//! | 8..16 | checksum of the block before it |
//! | 16..24 | transaction |
//! | 24..32 | the transaction it follows |
//! | 32..40 | last transaction known durable when it was closed |
//! | 40..48 | last checkpoint known durable then |
//! | 48..52 | length in bytes, header included |
//! | 52..56 | flags, 0 |
//! | 56..64 | the ring's salt, so that a search for blocks compares eight bytes |
//! | 64.. | records: length u32, then that many bytes, one after the other |
//!
//! A block starts at its predecessor's end rounded up to 8, at the next write unit, or at the
//! ring's start. What a crash leaves behind the last block does not match: its predecessor's
//! checksum, the salt or the transaction it follows differ.

use crate::page::{put_u32, put_u64, u32_at, u64_at};
use crate::planted::{self, Bug};
use crate::{Damage, Error, PageId, Result, TxnId};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Bytes of a block's header.
pub(crate) const BLOCK_HEADER: u64 = 64;
/// Bytes in front of each record.
pub(crate) const RECORD_HEADER: u64 = 4;
/// Blocks start at multiples of this.
pub(crate) const BLOCK_ALIGN: u64 = 8;

/// Blocks start at a multiple of 8 bytes, or of the writer's write unit: at most the largest page.
const ALIGN_SHIFTS: core::ops::RangeInclusive<u32> = 3..=16;

/// A block's header.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Block {
    pub(crate) checksum: u64,
    pub(crate) previous: u64,
    pub(crate) txn: TxnId,
    pub(crate) follows: TxnId,
    pub(crate) durable_txn: TxnId,
    pub(crate) durable_checkpoint: TxnId,
    pub(crate) length: u64,
}

/// Completes the block in `bytes`, whose records stand behind the header already.
pub(crate) fn close(bytes: &mut [u8], block: &Block, salt: u64) -> u64 {
    put_u64(bytes, 8, block.previous);
    put_u64(bytes, 16, block.txn.0);
    put_u64(bytes, 24, block.follows.0);
    put_u64(bytes, 32, block.durable_txn.0);
    put_u64(bytes, 40, block.durable_checkpoint.0);
    put_u32(bytes, 48, bytes.len() as u32);
    put_u32(bytes, 52, 0);
    put_u64(bytes, 56, salt);
    let checksum = xxh3_64_with_seed(bytes.get(8..).unwrap_or(&[]), salt);
    put_u64(bytes, 0, checksum);
    checksum
}

/// Bytes that a walk or a search may hash, in lengths of the ring. Blocks lie side by side, so that
/// one length is enough but for blocks that a torn or an older one hides; what needs more is made up.
const HASHED_MAX: u64 = 1024;

/// The block at `offset` of the ring, if one whole block of this salt stands there. Takes its length
/// from `budget`, the bytes that may still be hashed; there is none where that is used up.
fn block_at(ring: &[u8], offset: u64, salt: u64, budget: &mut u64) -> Option<Block> {
    let bytes = ring.get(usize::try_from(offset).ok()?..)?;
    if bytes.len() < BLOCK_HEADER as usize || u64_at(bytes, 56) != salt {
        return None;
    }
    let length = u32_at(bytes, 48) as usize;
    if length < BLOCK_HEADER as usize {
        return None;
    }
    let whole = bytes.get(..length)?;
    *budget = budget.saturating_sub(length as u64);
    if *budget == 0 {
        return None;
    }
    let checksum = u64_at(whole, 0);
    let right = xxh3_64_with_seed(whole.get(8..)?, salt) == checksum;
    if !right && !planted::is(Bug::NoBlockChecksum) {
        return None;
    }
    Some(Block {
        checksum,
        previous: u64_at(whole, 8),
        txn: TxnId(u64_at(whole, 16)),
        follows: TxnId(u64_at(whole, 24)),
        durable_txn: TxnId(u64_at(whole, 32)),
        durable_checkpoint: TxnId(u64_at(whole, 40)),
        length: length as u64,
    })
}

fn hashing_budget(ring: &[u8]) -> u64 {
    (ring.len() as u64).saturating_mul(HASHED_MAX)
}

/// Walks the blocks that follow a state.
#[derive(Clone, Copy)]
pub(crate) struct Chain<'r> {
    ring: &'r [u8],
    salt: u64,
    /// Where the next block may start, rounded up as blocks are.
    position: u64,
    last_checksum: u64,
    txn: TxnId,
    /// Bytes that may still be hashed: bounds the walk whatever the ring holds.
    budget: u64,
}

impl<'r> Chain<'r> {
    pub(crate) fn new(
        ring: &'r [u8],
        salt: u64,
        position: u64,
        last_checksum: u64,
        txn: TxnId,
    ) -> Chain<'r> {
        let budget = hashing_budget(ring);
        Chain { ring, salt, position, last_checksum, txn, budget }
    }

    /// The next block and its records' bytes, or `None` where the chain ends.
    pub(crate) fn next(&mut self) -> Option<(Block, &'r [u8])> {
        // The write unit of the mapping that wrote the block may be another one than today's.
        let aligned =
            ALIGN_SHIFTS.filter_map(|shift| self.position.checked_next_multiple_of(1 << shift));
        for start in aligned.chain([0]) {
            let Some(block) = block_at(self.ring, start, self.salt, &mut self.budget) else {
                continue;
            };
            let follows = block.previous == self.last_checksum && block.follows == self.txn;
            if block.txn <= self.txn || !(follows || planted::is(Bug::AnyPredecessor)) {
                continue;
            }
            self.position = start + block.length;
            self.last_checksum = block.checksum;
            self.txn = block.txn;
            let records = (start + BLOCK_HEADER) as usize..(start + block.length) as usize;
            return Some((block, self.ring.get(records)?));
        }
        None
    }

    /// The last transaction that was seen.
    pub(crate) fn txn(&self) -> TxnId {
        self.txn
    }

    /// Looks for an authentic block that says that something behind the chain's end was durable.
    ///
    /// # Errors
    /// `Corrupt` with `LogGap`: acknowledged transactions are missing, or the ring is full of what looks
    /// like blocks but is none.
    pub(crate) fn nothing_durable_behind(&self) -> Result<()> {
        let words = self.ring.as_chunks::<8>().0;
        let salt = self.salt.to_le_bytes();
        let gap = Err(Error::corrupt(PageId::NONE, Damage::LogGap));
        let mut budget = hashing_budget(self.ring).min(self.budget);
        // The salt stands in the eighth word of a block.
        for (at, _) in words.iter().enumerate().skip(7).filter(|(_, word)| **word == salt) {
            let block = block_at(self.ring, (at as u64 - 7) * 8, self.salt, &mut budget);
            if block.is_some_and(|b| b.durable_txn.max(b.durable_checkpoint) > self.txn) {
                return gap;
            }
        }
        if budget == 0 { gap } else { Ok(()) }
    }
}

/// One step of what the log holds behind the last checkpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Redo<'r> {
    /// What follows was committed by this transaction.
    Begin(TxnId),
    /// A record as [`WriteTxn::redo`](crate::WriteTxn::redo) was given it.
    Record(&'r [u8]),
}

/// The log's records in the order of their commits; an iterator.
#[derive(Clone)]
pub struct RedoLog<'r> {
    pub(crate) chain: Chain<'r>,
    pub(crate) records: &'r [u8],
    pub(crate) blocks: u64,
}

impl<'r> Iterator for RedoLog<'r> {
    type Item = Result<Redo<'r>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.records.is_empty() {
            let (block, records) = self.chain.next()?;
            self.records = records;
            self.blocks += 1;
            return Some(Ok(Redo::Begin(block.txn)));
        }
        let length = u32_at(self.records, 0) as usize;
        let record = self
            .records
            .get(RECORD_HEADER as usize..)
            .and_then(|rest| rest.split_at_checked(length));
        let Some((record, rest)) = record else {
            self.records = &[];
            return Some(Err(Error::corrupt(PageId::NONE, Damage::Redo)));
        };
        self.records = rest;
        Some(Ok(Redo::Record(record)))
    }
}
