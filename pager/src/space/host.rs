//! What the space structures need of the transaction they run in.

use crate::page::OWNED_BYTES;
use crate::pins::Pins;
use crate::{PageId, Result, TxnId};

/// The running transaction, as seen by the space structures.
pub(crate) trait SpaceHost {
    /// Page size in bytes.
    fn page_size(&self) -> usize;

    /// The number pages are born with now.
    fn birth(&self) -> TxnId;

    /// Body (from byte 16) of a space page of this state. Its checksum is verified unless the page
    /// is owned, and its birth and range are checked.
    fn read(&self, id: PageId) -> Result<&[u8]>;

    /// The birth of a page of this state.
    fn birth_of(&self, id: PageId) -> Result<TxnId>;

    /// Whether the page was born in this transaction since the last savepoint: `edit` may be called.
    fn owned(&self, id: PageId) -> Result<bool>;

    /// Takes possession of a page that the space just gave: stamps its birth, zeroes bytes 0..16 of its
    /// body, makes it owned. The rest of the body is unspecified.
    fn start(&mut self, id: PageId) -> Result<()>;

    /// Mutable body of an owned page.
    fn edit(&mut self, id: PageId) -> Result<&mut [u8]>;

    /// Copies the body of `from` to the owned page `to`, piece by piece; an implementor that can hold
    /// both bodies at once does better.
    fn copy(&mut self, from: PageId, to: PageId) -> Result<()> {
        const PIECE: usize = 1024;
        let mut piece = [0; PIECE];
        for start in (0..self.page_size() - OWNED_BYTES).step_by(PIECE) {
            let body = self.read(from)?.get(start..).unwrap_or(&[]);
            let len = body.len().min(PIECE);
            piece[..len].copy_from_slice(&body[..len]);
            if let Some(place) = self.edit(to)?.get_mut(start..start + len) {
                place.copy_from_slice(&piece[..len]);
            }
        }
        Ok(())
    }

    /// Makes sure that the mapping holds `page_count` pages.
    fn grow(&mut self, page_count: u32) -> Result<()>;

    /// The states that are pinned: fixed at the transaction's begin; newer pins are covered by the base
    /// state's.
    fn pins(&self) -> &Pins;

    /// Looks at the pins again, since readers may have gone; at most once in a while (cheap to call).
    fn refresh_pins(&mut self);
}
