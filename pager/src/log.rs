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

use crate::hash::xxh3_seeded;
use crate::page::{put_u32, put_u64, u32_at, u64_at};
use crate::planted::{self, Bug};
use crate::{Damage, Error, PageId, Result, TxnId};

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
    let checksum = xxh3_seeded(bytes.get(8..).unwrap_or(&[]), salt);
    put_u64(bytes, 0, checksum);
    checksum
}

/// Bytes that a walk or a search may hash, in lengths of the ring. Only what would matter is hashed: in a walk what
/// says that it follows, of which there is one a place; in a search what knows of something durable that is
/// missing, of which the first authentic one ends it. What needs more than this is made up.
const HASHED_MAX: u64 = 16;

/// The block at `offset` of the ring, if one whole block of this salt stands there. Takes its length
/// from `budget`, the bytes that may still be hashed; there is none where that is used up.
pub(crate) fn block_at(ring: &[u8], offset: u64, salt: u64, budget: &mut u64) -> Option<Block> {
    let (block, bytes) = header_at(ring, offset, salt)?;
    is_whole(&block, bytes, salt, budget).then_some(block)
}

/// The block at `offset` of the ring as its header has it, and its bytes, not compared with the checksum.
fn header_at(ring: &[u8], offset: u64, salt: u64) -> Option<(Block, &[u8])> {
    let bytes = ring.get(usize::try_from(offset).ok()?..)?;
    if bytes.len() < BLOCK_HEADER as usize || u64_at(bytes, 56) != salt {
        return None;
    }
    let length = u32_at(bytes, 48) as usize;
    if length < BLOCK_HEADER as usize {
        return None;
    }
    let block = Block {
        checksum: u64_at(bytes, 0),
        previous: u64_at(bytes, 8),
        txn: TxnId(u64_at(bytes, 16)),
        follows: TxnId(u64_at(bytes, 24)),
        durable_txn: TxnId(u64_at(bytes, 32)),
        durable_checkpoint: TxnId(u64_at(bytes, 40)),
        length: length as u64,
    };
    Some((block, bytes.get(..length)?))
}

/// Whether the block's bytes have its checksum; takes their number from `budget`.
fn is_whole(block: &Block, bytes: &[u8], salt: u64, budget: &mut u64) -> bool {
    *budget = budget.saturating_sub(block.length);
    *budget > 0
        && (xxh3_seeded(bytes.get(8..).unwrap_or(&[]), salt) == block.checksum
            || planted::is(Bug::NoBlockChecksum))
}

pub(crate) fn hashing_budget(ring: &[u8]) -> u64 {
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
            let Some((block, bytes)) = header_at(self.ring, start, self.salt) else { continue };
            let follows = block.previous == self.last_checksum && block.follows == self.txn;
            if block.txn <= self.txn
                || !(follows || planted::is(Bug::AnyPredecessor))
                || !is_whole(&block, bytes, self.salt, &mut self.budget)
            {
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
        let mut budget = hashing_budget(self.ring).min(self.budget);
        let same = |salt| salt == self.salt;
        let more = |block: &Block| block.knows_of_more(self.txn);
        if search(self.ring, &mut budget, &same, &more).is_some() || budget == 0 {
            return Err(Error::corrupt(PageId::NONE, Damage::LogGap));
        }
        Ok(())
    }
}

/// The place and the salt of the first authentic block in the ring that is `wanted`, of those whose salt is one of
/// `salts`. Takes what it hashes from `budget`; where that is used up, none was found.
pub(crate) fn search(
    ring: &[u8],
    budget: &mut u64,
    salts: &dyn Fn(u64) -> bool,
    wanted: &dyn Fn(&Block) -> bool,
) -> Option<(u64, u64)> {
    // The salt stands in the eighth word of a block.
    for (at, word) in ring.as_chunks::<8>().0.iter().enumerate().skip(7) {
        let (offset, salt) = ((at as u64 - 7) * 8, u64::from_le_bytes(*word));
        if salts(salt)
            && let Some((block, bytes)) = header_at(ring, offset, salt)
            && wanted(&block)
            && is_whole(&block, bytes, salt, budget)
        {
            return Some((offset, salt));
        }
    }
    None
}

impl Block {
    /// Whether it says that something behind `known` was durable.
    pub(crate) fn knows_of_more(&self, known: TxnId) -> bool {
        self.durable_txn.max(self.durable_checkpoint) > known
    }

    /// Whether it is the first one behind a meta of transaction `own`.
    pub(crate) fn is_first_behind(&self, own: TxnId) -> bool {
        self.previous == 0 && self.follows == own && self.txn > own
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;
    use std::vec::Vec;

    const SALT: u64 = 0x5A17;

    fn block(txn: u64, follows: u64, previous: u64, durable: (u64, u64)) -> Block {
        let (durable_txn, durable_checkpoint) = (TxnId(durable.0), TxnId(durable.1));
        let (txn, follows) = (TxnId(txn), TxnId(follows));
        Block { previous, txn, follows, durable_txn, durable_checkpoint, ..Block::default() }
    }

    /// Closes a block over whatever stands there; its checksum.
    fn put(ring: &mut [u8], at: usize, records: &[u8], block: &Block, salt: u64) -> u64 {
        let bytes = &mut ring[at..at + BLOCK_HEADER as usize + records.len()];
        bytes[BLOCK_HEADER as usize..].copy_from_slice(records);
        close(bytes, block, salt)
    }

    fn read(ring: &[u8], at: u64) -> Option<Block> {
        block_at(ring, at, SALT, &mut hashing_budget(ring))
    }

    #[test]
    fn a_block_is_what_was_closed_and_whole_or_none() {
        let mut ring = vec![0xFF; 256];
        let closed = block(9, 8, 77, (6, 5));
        let checksum = put(&mut ring, 8, &[1; 40], &closed, SALT);
        assert_eq!(read(&ring, 8), Some(Block { checksum, length: 104, ..closed }));
        assert_eq!(ring[8 + 52..8 + 56], [0; 4], "reserved");
        for len in 0..112 {
            assert_eq!(read(&ring[..len], 8), None, "cut at {len}");
        }
        assert!(read(&ring[..112], 8).is_some());
        for at in 8..112 {
            let mut spoilt = ring.clone();
            spoilt[at] ^= 0x10;
            assert_eq!(read(&spoilt, 8), None, "byte {at}");
        }
        let mut other = ring.clone();
        put(&mut other, 8, &[1; 40], &closed, SALT + 1);
        assert_eq!(read(&other, 8), None, "another salt");
        // A block without records is a header and no more; a shorter one is none.
        put(&mut ring, 0, &[], &closed, SALT);
        assert_eq!(read(&ring[..64], 0).map(|block| block.length), Some(64));
        put_u32(&mut ring, 48, 63);
        assert_eq!(read(&ring, 0), None);
        assert_eq!(block_at(&other, 8, SALT + 1, &mut 104), None, "no more may be hashed");
        assert!(block_at(&other, 8, SALT + 1, &mut 105).is_some());
    }

    /// Blocks of a chain at 0 (transaction 2), 8-aligned behind it (4), at the next 64 (5).
    fn chained() -> Vec<u8> {
        let mut ring = vec![0; 1024];
        let first = put(&mut ring, 0, &[0; 7], &block(2, 1, 0, (1, 1)), SALT);
        let second = put(&mut ring, 72, &[0; 9], &block(4, 2, first, (1, 1)), SALT);
        put(&mut ring, 192, &[0; 4], &block(5, 4, second, (4, 1)), SALT);
        ring
    }

    fn walked(ring: &[u8]) -> (Vec<u64>, Result<()>) {
        let mut chain = Chain::new(ring, SALT, 0, 0, TxnId(1));
        let mut txns = Vec::new();
        while let Some((block, records)) = chain.next() {
            assert_eq!(records.len() as u64 + BLOCK_HEADER, block.length);
            txns.push(block.txn.0);
        }
        assert_eq!(chain.txn().0, txns.last().copied().unwrap_or(1));
        (txns, chain.nothing_durable_behind())
    }

    #[test]
    fn a_chain_ends_where_a_block_does_not_follow() {
        let ring = chained();
        assert_eq!(walked(&ring), (vec![2, 4, 5], Ok(())));
        let last = block_at(&ring, 192, SALT, &mut u64::MAX.clone()).unwrap();
        for (wrong, why) in [
            (Block { previous: last.previous + 1, ..last }, "another predecessor"),
            (Block { follows: TxnId(3), ..last }, "another state"),
            (Block { txn: TxnId(4), ..last }, "no later"),
        ] {
            let mut ring = ring.clone();
            put(&mut ring, 192, &[0; 4], &wrong, SALT);
            assert_eq!(walked(&ring), (vec![2, 4], Ok(())), "{why}");
        }
    }

    /// What a later block knows to be durable is missing, or not.
    #[test]
    fn a_gap_is_what_a_later_block_says_was_durable() {
        for (durable, gap) in [((2, 1), false), ((3, 1), true), ((1, 2), false), ((1, 3), true)] {
            for at in [64, 104, 192, 960] {
                let mut ring = vec![0; 1024];
                if at >= 72 {
                    put(&mut ring, 0, &[0; 7], &block(2, 1, 0, (1, 1)), SALT);
                }
                put(&mut ring, at, &[], &block(9, 8, 1234, durable), SALT);
                let end = if at >= 72 { 2 } else { 1 };
                let missing = durable.0.max(durable.1) > end;
                assert!(missing == gap || end == 1);
                let (_, found) = walked(&ring);
                let wanted = Err(Error::corrupt(PageId::NONE, Damage::LogGap));
                assert_eq!(found, if missing { wanted } else { Ok(()) }, "{durable:?} at {at}");
            }
        }
    }

    /// Else what older commits have left in the log, or somebody has put there, would be hashed again and again:
    /// opening takes its time, or says that commits are missing which are not.
    #[test]
    fn nothing_is_hashed_of_blocks_that_would_not_matter() {
        let mut ring = vec![0; 1 << 16];
        let first = put(&mut ring, 0, &[0; 8], &block(2, 1, 0, (1, 1)), SALT);
        let hashed_once = hashing_budget(&ring) - 72;
        // Headers, each of a block to the ring's end, behind the one that follows.
        let old = |durable| block(2, 1, first ^ 1, durable);
        for at in (72..ring.len() - 64).step_by(64) {
            let length = ring.len() - at;
            put(&mut ring, at, &[], &old((2, 1)), SALT);
            put_u32(&mut ring, at + 48, length as u32);
        }
        let mut chain = Chain::new(&ring, SALT, 0, 0, TxnId(1));
        assert_eq!(chain.next().map(|(block, _)| block.txn), Some(TxnId(2)));
        assert!(chain.next().is_none());
        assert_eq!(chain.budget, hashed_once);
        assert_eq!(chain.nothing_durable_behind(), Ok(()));
        // Such that would matter are hashed, up to a bound, and then taken for what they say.
        for at in (72..ring.len() - 64).step_by(64) {
            put_u64(&mut ring, at + 32, 3);
        }
        let (txns, found) = walked(&ring);
        assert_eq!((txns, found), (vec![2], Err(Error::corrupt(PageId::NONE, Damage::LogGap))));
    }

    fn log(ring: &[u8]) -> RedoLog<'_> {
        RedoLog { chain: Chain::new(ring, SALT, 0, 0, TxnId(1)), records: &[], blocks: 0 }
    }

    #[test]
    fn records_end_with_their_block_and_one_that_does_not_is_damage() {
        let mut ring = vec![0; 256];
        let records = [2, 0, 0, 0, 8, 9, 0, 0, 0, 0, 1, 0, 0, 0, 7];
        put(&mut ring, 0, &records, &block(2, 1, 0, (1, 1)), SALT);
        let found: Vec<_> = log(&ring).map(Result::unwrap).collect();
        let wanted =
            [Redo::Begin(TxnId(2)), Redo::Record(&[8, 9]), Redo::Record(&[]), Redo::Record(&[7])];
        assert_eq!(found, wanted);
        for records in [&[3, 0, 0, 0, 8, 9][..], &[1, 0, 0], &[255; 4]] {
            let mut ring = vec![0; 256];
            put(&mut ring, 0, records, &block(2, 1, 0, (1, 1)), SALT);
            let mut log = log(&ring);
            assert_eq!(log.next(), Some(Ok(Redo::Begin(TxnId(2)))));
            assert_eq!(log.next(), Some(Err(Error::corrupt(PageId::NONE, Damage::Redo))));
            assert_eq!((log.next(), log.blocks), (None, 1));
        }
    }
}
