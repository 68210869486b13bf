//! Replaying the log after a death. `mapleaf_btree::Replayer` knows all records and can prove a file it does
//! not trust; this knows those that this service writes (docs/format.md, "Redo records"), and takes
//! little code.

use mapleaf_btree::Writer;
use mapleaf_pager::{Damage, Error, Inspection, PageId, Redo, RedoLog, Replay, Result, WriteTxn};

/// Replays records of one tree.
pub(crate) struct Own;

/// Operations, the first byte of a record.
mod op {
    pub(super) const BIND: u8 = 1;
    pub(super) const PUT: u8 = 2;
    pub(super) const CREATE: u8 = 7;
}

const STRANGE: Error = Error::corrupt(PageId::NONE, Damage::Redo);

impl Replay for Own {
    fn replay<'s>(&mut self, txn: WriteTxn<'s>, log: RedoLog<'s>) -> Result<WriteTxn<'s>> {
        let mut writer = Writer::new(txn).map_err(|_| STRANGE)?;
        for redo in log {
            if let Redo::Record(record) = redo? {
                apply(&mut writer, record).ok_or(STRANGE)?;
            }
        }
        writer.into_txn().map_err(|_| STRANGE)
    }

    fn prove(&mut self, _: &Inspection<'_>, _: &mut [u8]) -> Result<()> {
        // Asked for by safe openings of any bytes only.
        Err(Error::InvalidArgument)
    }
}

fn apply(writer: &mut Writer<'_>, record: &[u8]) -> Option<()> {
    match record.split_first()? {
        (&op::BIND, _) | (&op::CREATE, _) => {}
        (&op::PUT, [_slot, low, high, rest @ ..]) => {
            let len = usize::from(u16::from_le_bytes([*low, *high]));
            let (key, value) = rest.split_at_checked(len)?;
            crate::insert(writer, key, value)?;
        }
        _ => return None,
    }
    Some(())
}
