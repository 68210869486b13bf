//! Tree layers without trees, and the words that a store of few readers needs.

use mapleaf_pager::{Inspection, Redo, RedoLog, Replay, Result, WriteTxn, words_for};
use std::sync::atomic::AtomicU32;

/// Words of a store that four read at once.
pub(crate) fn words() -> Box<[AtomicU32]> {
    (0..words_for(4)).map(|_| AtomicU32::new(0)).collect()
}

/// Replays nothing, and finds nothing wrong.
pub(crate) struct Nothing;

impl Replay for Nothing {
    fn replay<'s>(&mut self, txn: WriteTxn<'s>, _log: RedoLog<'s>) -> Result<WriteTxn<'s>> {
        Ok(txn)
    }

    fn prove(&mut self, _inspection: &Inspection<'_>, _work: &mut [u8]) -> Result<()> {
        Ok(())
    }
}

/// A tree of one byte, all over the root: the first one of the last record.
pub(crate) struct Last;

impl Replay for Last {
    fn replay<'s>(&mut self, mut txn: WriteTxn<'s>, log: RedoLog<'s>) -> Result<WriteTxn<'s>> {
        for step in log {
            if let Redo::Record(record) = step? {
                txn.set_root(&[record[0]; 64]);
            }
        }
        Ok(txn)
    }

    fn prove(&mut self, _inspection: &Inspection<'_>, _work: &mut [u8]) -> Result<()> {
        Ok(())
    }
}
