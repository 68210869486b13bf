//! What a tree may ask of a state: its pages.

use crate::{PageId, Result, TxnId};

/// Bytes of root data that the tree layer keeps in every state: the catalog's tree record.
pub const ROOT_BYTES: usize = 64;

/// The tree layer's root data; opaque here. All zero in a new store.
pub type Root = [u8; ROOT_BYTES];

mod sealed {
    pub trait Sealed {}
    impl Sealed for &crate::Snapshot<'_> {}
    impl Sealed for &crate::WriteTxn<'_> {}
}
#[allow(unreachable_pub)]
pub(crate) use sealed::Sealed;

/// Read access to the pages of one state; implemented by `&Snapshot` and `&WriteTxn` only.
///
/// Slices live as long as the borrow `'a` of the transaction: a value cannot outlive it.
pub trait Pages<'a>: Copy + Sealed {
    /// Page size in bytes, a power of two from 512 to 65,536.
    fn page_size(self) -> usize;

    /// The state's transaction number (for a write transaction, the number pages are born with).
    fn txn(self) -> TxnId;

    /// The page's bytes behind the [`OWNED_BYTES`](crate::OWNED_BYTES) that the pager owns:
    /// `page_size - 16` of them.
    ///
    /// Costs no system call; may fault the page in.
    ///
    /// # Errors
    /// [`Corrupt`](crate::Error::Corrupt): the number is out of range, or the page was born after
    /// this state.
    fn page(self, id: PageId) -> Result<&'a [u8]>;

    /// The `len_bytes` bytes of the value in the run of pages that starts at `id`, as one slice.
    ///
    /// # Errors
    /// [`Corrupt`](crate::Error::Corrupt): out of range, not a run, born later, or of another length.
    fn run(self, id: PageId, len_bytes: u64) -> Result<&'a [u8]>;

    /// Asks the processor to load `lines` cache lines (64 bytes) of a page, from the byte `from` of it on. No
    /// check is needed before: what is out of range is ignored. Never faults, never fails.
    fn prefetch(self, id: PageId, from: usize, lines: usize);

    /// Root data of this state.
    fn root(self) -> &'a Root;

    /// Computes the page's checksum (for a run, that of all its pages) and compares.
    ///
    /// Pages that a write transaction has claimed are not sealed yet, and pass.
    ///
    /// # Errors
    /// As [`page`](Pages::page), and [`Damage::Checksum`](crate::Damage::Checksum).
    fn verify(self, id: PageId) -> Result<()>;
}
