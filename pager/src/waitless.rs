//! A state read without waiting for the medium.

use crate::page::HEADER_BYTES;
use crate::pages::{Pages, Root};
use crate::{Error, PageId, Result, TxnId};

/// The pages of a state as [`Pages`], where a page that is not in memory is
/// [`WouldBlock`](Error::WouldBlock) instead of a hard fault.
///
/// Each page costs a question to the mapping, [`resident`](Pages::resident), before it is read. What the
/// plain state costs is the same as if this were not there.
///
/// ```
/// use core::sync::atomic::AtomicU32;
/// use mapleaf_pager::{Options, Pages, SliceMapping, Store, Waitless, words_for};
///
/// let mut ram = [0u8; 64 * 512];
/// let words: [AtomicU32; words_for(4)] = [const { AtomicU32::new(0) }; words_for(4)];
/// let options = Options::default().page_size(512).log_bytes(0, 0);
/// let store = Store::create(SliceMapping::empty(&mut ram), words, &options)?;
/// let snapshot = store.begin_read(0)?;
/// // RAM is always there.
/// assert_eq!(Waitless::new(&snapshot).txn(), snapshot.txn());
/// # Ok::<(), mapleaf_pager::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Waitless<P>(P);

impl<P> Waitless<P> {
    /// The same state, read without waiting.
    #[must_use]
    pub fn new(pages: P) -> Waitless<P> {
        Waitless(pages)
    }
}

impl<P> Waitless<P> {
    fn present<'a>(&self, id: PageId, pages: u32) -> Result<()>
    where
        P: Pages<'a>,
    {
        if self.0.resident(id, pages) { Ok(()) } else { Err(Error::WouldBlock { page: id, pages }) }
    }
}

impl<'a, P: Pages<'a>> Pages<'a> for Waitless<P> {
    const WAITS: bool = false;

    fn page_size(self) -> usize {
        self.0.page_size()
    }

    fn txn(self) -> TxnId {
        self.0.txn()
    }

    #[inline]
    fn page(self, id: PageId) -> Result<&'a [u8]> {
        self.present(id, 1)?;
        self.0.page(id)
    }

    fn run(self, id: PageId, len_bytes: u64) -> Result<&'a [u8]> {
        let bytes = len_bytes.saturating_add(HEADER_BYTES as u64);
        let pages = bytes.div_ceil(self.page_size() as u64);
        self.present(id, u32::try_from(pages).unwrap_or(u32::MAX))?;
        self.0.run(id, len_bytes)
    }

    fn prefetch(self, id: PageId, from: usize, lines: usize) {
        self.0.prefetch(id, from, lines);
    }

    fn prefetch_every(self, id: PageId, step: usize, end: usize) {
        self.0.prefetch_every(id, step, end);
    }

    fn resident(self, id: PageId, pages: u32) -> bool {
        self.0.resident(id, pages)
    }

    fn sparse(self) -> bool {
        self.0.sparse()
    }

    fn fetch(self, ids: &[PageId]) {
        self.0.fetch(ids);
    }

    fn read_in(self, id: PageId) -> Result<()> {
        self.present(id, 1)
    }

    fn root(self) -> &'a Root {
        self.0.root()
    }

    fn verify(self, id: PageId) -> Result<()> {
        self.present(id, 1)?;
        self.0.verify(id)
    }
}
