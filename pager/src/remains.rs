//! What a meta that is not whole may have known.
//!
//! One that was torn by a crash knew nothing yet that anybody was told. One that the medium has damaged since was
//! durable, and so was what blocks say that were logged behind it; without it an older state is chosen, whose log does
//! not lead to them. So where the other meta is not whole, blocks of its salt are looked for in its ring, and in the
//! chosen one: they say what was durable when they were closed.

use crate::chosen::meta_record;
use crate::log::{hashing_budget, knows_of_more};
use crate::meta::{self, LogPlace};
use crate::planted::{self, Bug};
use crate::store::Parts;
use crate::tail::Ring;
use crate::{Damage, Error, PageId, Result, TxnId};

/// Bits of the salt that damage may have changed. Nobody else can make a block whose salt is as close: salts are
/// random, and in no value that a program stores.
const SALT_BITS_CHANGED_MAX: u32 = 8;

impl Parts<'_> {
    /// That no block says that something behind `last`, where the log that was chosen ends, was durable, where the
    /// other meta is not whole. (Where both are, the chosen one is the newest there was.)
    ///
    /// # Errors
    /// `Corrupt` with `LogGap`: acknowledged transactions are missing.
    #[inline(never)]
    pub(crate) fn nothing_lost_with_a_meta(&self, chosen: &LogPlace, last: TxnId) -> Result<()> {
        let (slot, identity) = {
            let latest = self.core.latest.lock();
            (latest.durable.slot ^ 1, latest.identity)
        };
        let record = meta_record(self.view.mapping(), slot, 1 << identity.page_shift);
        if meta::valid_shift(record, slot).is_some() || planted::is(Bug::DamagedMetaForgotten) {
            return Ok(());
        }
        let remains = meta::remains(record, &identity);
        let near = |salt: u64| {
            remains.is_none_or(|log| (salt ^ log.salt).count_ones() <= SALT_BITS_CHANGED_MAX)
        };
        for place in [remains.unwrap_or_default(), *chosen] {
            if self.says_more(&place, last, &near) {
                return Err(Error::corrupt(PageId::NONE, Damage::LogGap));
            }
        }
        Ok(())
    }

    /// Which of the two slots hold a whole meta.
    pub(crate) fn metas_whole(&self) -> [bool; 2] {
        // Nobody stores a meta meanwhile.
        let _turn = self.take_turn();
        let page_size = 1 << self.core.shift;
        [0, 1].map(|slot| {
            meta::valid_shift(meta_record(self.view.mapping(), slot, page_size), slot).is_some()
        })
    }

    #[allow(unsafe_code)] // Reads a log that nobody appends to.
    fn says_more(&self, place: &LogPlace, last: TxnId, near: &dyn Fn(u64) -> bool) -> bool {
        let Some(ring) = Ring::new(self.view, place) else { return false };
        // SAFETY: the store is being opened: nobody appends, and the reference ends here.
        let Ok(bytes) = (unsafe { ring.bytes() }) else { return false };
        knows_of_more(bytes, last, &mut hashing_budget(bytes), near)
    }
}
