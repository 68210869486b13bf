//! What a meta that is not whole may have known.
//!
//! One that was torn by a crash knew nothing yet that anybody was told. One that the medium has damaged since was
//! durable, and so was what blocks say that were logged behind it; without it an older state is chosen, whose log does
//! not lead to them. So where the other meta is not whole, blocks of its salt are looked for in its ring, and in the
//! chosen one: they say what was durable when they were closed. Where nothing can be made out of it, only the first
//! block of a lost opening is proof: programs may store blocks of other logs.

use crate::checkpoint::{EPOCH_GAP, store_slot};
use crate::chosen::meta_record;
use crate::log::{Block, hashing_budget, search};
use crate::meta::{self, LogPlace};
use crate::planted::{self, Bug};
use crate::store::Parts;
use crate::tail::Ring;
use crate::{Damage, Error, PageId, Result, TxnId};

/// Whether what differs in a salt is no more than a byte: damage may have changed that. Nobody else can make a block
/// whose salt is as close: salts are random, and in no value that a program stores.
fn in_one_byte(different: u64) -> bool {
    different >> (different.trailing_zeros() & 0x38) <= 0xFF
}

impl Parts<'_> {
    /// That no block says that something behind `last`, where the log that was chosen ends, was durable, where the
    /// other meta is not whole. (Where both are, the chosen one is the newest there was.)
    ///
    /// # Errors
    /// `Corrupt` with `LogGap`: acknowledged transactions are missing.
    #[inline(never)]
    pub(crate) fn nothing_lost_with_a_meta(&self, chosen: &LogPlace, last: TxnId) -> Result<()> {
        let (slot, uuid) = {
            let latest = self.core.latest.lock();
            (latest.durable.slot ^ 1, latest.identity.uuid)
        };
        if self.is_whole(slot) {
            return Ok(());
        }
        let record = meta_record(self.view.mapping(), slot, 1 << self.core.shift);
        let remains = meta::log_place(record);
        let salt = meta::is_of(record, &uuid).then_some(remains.salt);
        for place in [&remains, chosen] {
            if self.says_more(place, last, salt) {
                return Err(Error::corrupt(PageId::NONE, Damage::LogGap));
            }
        }
        Ok(())
    }

    /// Which of the two slots hold a whole meta.
    pub(crate) fn metas_whole(&self) -> [bool; 2] {
        // Nobody stores a meta meanwhile.
        let _turn = self.take_turn();
        [0, 1].map(|slot| self.is_whole(slot))
    }

    /// Whether a slot holds a whole meta. Nobody stores one.
    fn is_whole(&self, slot: u8) -> bool {
        let record = meta_record(self.view.mapping(), slot, 1 << self.core.shift);
        meta::valid_shift(record, slot).is_some()
    }

    /// Overwrites what stands in a slot and is no whole meta. It may be a newer one that was torn: were the next meta
    /// torn in the same place, bytes that both have in common (zeros, often) could make the newer one whole, when its state
    /// was seen to be lost, or its pages have been written anew. No meta ends as it is overwritten here. The caller has the
    /// turn.
    #[inline(never)]
    pub(crate) fn wipe_torn_meta(&self, slot: u8) -> Result<()> {
        if self.is_whole(slot) || planted::is(Bug::TornMetaKept) {
            return Ok(());
        }
        store_slot(self.core, self.view, slot, false, &mut |bytes| bytes.fill(0xFF))
    }

    #[allow(unsafe_code)] // Reads a log that nobody appends to.
    fn says_more(&self, place: &LogPlace, last: TxnId, salt: Option<u64>) -> bool {
        let Some(ring) = Ring::new(self.view, place) else { return false };
        // SAFETY: the store is being opened: nobody appends, and the reference ends here.
        let Ok(bytes) = (unsafe { ring.bytes() }) else { return false };
        let near = |other: u64| salt.is_none_or(|salt| in_one_byte(salt ^ other));
        let proof = |block: &Block| match salt {
            Some(_) => block.knows_of_more(last),
            None => block.is_first_behind(TxnId(last.0.saturating_add(EPOCH_GAP))),
        };
        search(bytes, &mut hashing_budget(bytes), &near, &proof).is_some()
    }
}
