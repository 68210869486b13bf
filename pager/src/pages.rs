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
    impl<P: Sealed> Sealed for crate::Waitless<P> {}
}
#[allow(unreachable_pub)]
pub(crate) use sealed::Sealed;

/// Read access to the pages of one state; implemented by `&Snapshot`, `&WriteTxn` and [`Waitless`](crate::Waitless) ones
/// only.
///
/// Slices live as long as the borrow `'a` of the transaction: a value cannot outlive it.
pub trait Pages<'a>: Copy + Sealed {
    /// Whether reading a page waits for the medium where it must; otherwise it is
    /// [`WouldBlock`](crate::Error::WouldBlock), and whoever gets that stays where they were.
    const WAITS: bool = true;

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

    /// As [`prefetch`](Pages::prefetch), for the lines of every `step` bytes of a page, from its first on to before
    /// `end`.
    fn prefetch_every(self, id: PageId, step: usize, end: usize);

    /// Whether `pages` pages from `id` on can be read without waiting for the medium, as far as the
    /// mapping says; see [`Mapping::resident`](crate::Mapping::resident). What is out of range is: reading
    /// it is an error at once.
    fn resident(self, id: PageId, pages: u32) -> bool;

    /// Whether it is worth a system call to have pages read together before they are touched: whether
    /// the store is expected to be larger than memory. No system call.
    fn sparse(self) -> bool;

    /// Begins to read pages, many at a time, and does not wait. A hint: nothing is said about those that
    /// are out of range, or cannot be read.
    fn fetch(self, ids: &[PageId]);

    /// Reads a page that is not in memory, and waits for it. Out of range: nothing.
    ///
    /// # Errors
    /// [`Io`](crate::Error::Io): it cannot be read.
    fn read_in(self, id: PageId) -> Result<()>;

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
