//! A thousand rounds of putting and deleting a value of 1 MiB: its pages are used again.

#![allow(unsafe_code)] // Opens a mapped database that this run has made.

use super::{Context, Finding, file_bytes};
use crate::{Result, data};
use mapleaf::Database;

const VALUE_BYTES: usize = 1 << 20;
/// The round after which the file has its size.
const SETTLED: u64 = 10;
const GROWTH_MAX: f64 = 1.5;
/// At any time it may be a value and a growth step larger: how far depends on when the background's
/// checkpoints end.
const LARGEST_MAX: f64 = 2.0;

pub(super) fn run(context: &Context) -> Result<Vec<Finding>> {
    let path = context.path("values.leaf");
    // SAFETY: a new file in a directory of this run's own.
    let db = unsafe { Database::open(&path) }?;
    let rounds = context.size(1000, 200);
    let (mut settled, mut largest) = (0, 0);
    for round in 1..=rounds {
        let value = data::value(round, 0, VALUE_BYTES);
        let mut txn = db.write()?;
        txn.tree("values")?.insert(b"value", &value)?;
        txn.commit()?;
        if db.read()?.tree("values")?.get(b"value")? != Some(&value[..]) {
            return Err(format!("round {round}: another value").into());
        }
        let mut txn = db.write()?;
        txn.tree("values")?.remove(b"value")?;
        txn.commit()?;
        let bytes = file_bytes(&path)?;
        if round == SETTLED {
            settled = bytes;
        }
        largest = largest.max(bytes);
    }
    let end = file_bytes(&path)?;
    let sound = db.check()?.is_sound();
    Ok(vec![
        Finding::at_most(
            &format!("bytes after {rounds} rounds"),
            end as f64,
            settled as f64,
            GROWTH_MAX,
        ),
        Finding::at_most("bytes at the most", largest as f64, settled as f64, LARGEST_MAX),
        Finding::new("check", "", sound),
    ])
}
