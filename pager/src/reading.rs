//! What the running transaction reads: pages of its base state, and its own.

#![allow(unsafe_code)] // References to pages; callers tie them to a borrow of the transaction.

use crate::page::u64_at;
use crate::running::Running;
use crate::view::{View, birth_of};
use crate::{Damage, Error, PageId, Result};

/// Whether a page, whose bytes these are, waits in the chain of the running transaction to be sealed.
///
/// With one view its birth tells, which damage can forge; so what stands in its checksum's place must
/// also be a link of the chain. One checksum in 2^32 looks like one.
pub(crate) fn unsealed(view: View<'_>, run: &Running, id: PageId, bytes: &[u8]) -> bool {
    let born_here = birth_of(bytes) > run.base;
    born_here && if view.two_views() { view.claimed(id) } else { u64_at(bytes, 0) >> 32 == 0 }
}

/// Whether a page's bytes are as this opening has built them: they wait in the chain, or are held, and so were
/// never on the medium, which could have changed them.
pub(crate) fn built_here(view: View<'_>, run: &Running, id: PageId, bytes: &[u8]) -> bool {
    (cfg!(feature = "locality") && view.held(id)) || unsealed(view, run, id, bytes)
}

/// Bytes of a page of the running transaction's state, from whichever view holds it. `LENT`: compared with
/// their checksum (and the run that the page starts) as the store was opened to do.
#[inline]
pub(crate) fn whole<'s, const LENT: bool>(
    view: View<'s>,
    run: &Running,
    id: PageId,
    limit: u32,
) -> Result<&'s [u8]> {
    if id.0 < 2 || id.0 >= limit {
        return Err(Error::corrupt(id, Damage::OutOfRange));
    }
    let in_write_view = view.in_write_view(id);
    let bytes = if in_write_view {
        // SAFETY: claimed by this transaction, or held: committed. Callers tie the reference to a borrow
        // of the transaction, and mutable references are handed out under an exclusive borrow only.
        unsafe { view.built(view.offset(id), view.page_size())? }
    } else {
        // SAFETY: in range of the mapping: `limit` is at most its pages. Nobody but this transaction
        // changes pages, and it does so under an exclusive borrow only.
        unsafe { view.read_unchecked(id) }
    };
    if view.careful() {
        if !in_write_view {
            view.probe(view.offset(id), bytes.len())?;
        }
        if LENT {
            look(view, run, id, bytes, limit)?;
        }
    }
    if birth_of(bytes) > run.birth {
        return Err(Error::corrupt(id, Damage::BornLater));
    }
    Ok(bytes)
}

/// Compares what is sealed with its checksum, as the store was opened to do.
#[cold]
fn look(view: View<'_>, run: &Running, id: PageId, bytes: &[u8], limit: u32) -> Result<()> {
    if unsealed(view, run, id, bytes) {
        return Ok(());
    }
    // SAFETY: a page of this state, with its run: nobody but this transaction could change it, and it
    // has sealed it.
    unsafe { view.compare(id, bytes, limit) }
}

/// Compares a page, whose bytes these are, with its checksum where it is sealed.
// Of its own: hashing takes stack that whoever calls needs for what comes after.
#[inline(never)]
pub(crate) fn verify_sealed(
    view: View<'_>,
    run: &Running,
    id: PageId,
    page: &[u8],
    limit: u32,
) -> Result<()> {
    if unsealed(view, run, id, page) {
        return Ok(());
    }
    // SAFETY: a page of this state, with its run: nobody but this transaction could change it, and it
    // has sealed it.
    unsafe { view.compare_now(id, page, limit) }
}
