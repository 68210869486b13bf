//! Redo records.

use crate::Writer;
use crate::error::Result;

/// Applies one redo record (as the log hands it back) to the transaction.
///
/// # Errors
/// [`Damage::Redo`](mapleaf_pager::Damage::Redo) where the record does not fit the state before it.
pub fn apply(_writer: &mut Writer<'_>, _record: &[u8]) -> Result<()> {
    unimplemented!()
}
