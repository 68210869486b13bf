//! Snapshots: a committed state, pinned for as long as somebody reads it.

use crate::pages::{Pages, Root};
use crate::{PageId, Result, TxnId};

/// A committed state that does not change while this lives. `Send + Sync`; drop it to end the pin.
pub struct Snapshot<'s> {
    _p: core::marker::PhantomData<&'s ()>,
}

impl<'a> Pages<'a> for &'a Snapshot<'_> {
    fn page_size(self) -> usize {
        unimplemented!()
    }
    fn txn(self) -> TxnId {
        unimplemented!()
    }
    fn page(self, _id: PageId) -> Result<&'a [u8]> {
        unimplemented!()
    }
    fn run(self, _id: PageId, _len_bytes: u64) -> Result<&'a [u8]> {
        unimplemented!()
    }
    fn prefetch(self, _id: PageId, _lines: usize) {}
    fn root(self) -> &'a Root {
        unimplemented!()
    }
    fn verify(self, _id: PageId) -> Result<()> {
        unimplemented!()
    }
}
