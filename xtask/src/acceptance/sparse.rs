//! Deleting a random 90 % leaves leaves that are not empty shells.

#![allow(unsafe_code)] // Opens a mapped database that this run has made.

use super::{Context, Finding};
use crate::{Result, data};
use mapleaf::Database;

const FILL_MIN: f64 = 0.40;
const VALUE_BYTES: usize = 150;
const BATCH: usize = 10_000;

pub(super) fn run(context: &Context) -> Result<Vec<Finding>> {
    let entries = context.size(1_000_000, 100_000);
    // SAFETY: a new file in a directory of this run's own.
    let db = unsafe { Database::open(context.path("sparse.leaf")) }?;
    for batch in data::shuffled(entries, 8).chunks(BATCH) {
        let mut txn = db.write()?;
        let mut tree = txn.tree("sparse")?;
        for number in batch {
            tree.insert(&data::key(*number), &data::value(*number, 0, VALUE_BYTES))?;
        }
        txn.commit()?;
    }
    let before = db.check()?;
    let order = data::shuffled(entries, 9);
    let (kept, gone) = order.split_at(order.len() / 10);
    for batch in gone.chunks(BATCH) {
        let mut txn = db.write()?;
        let mut tree = txn.tree("sparse")?;
        for number in batch {
            tree.remove(&data::key(*number))?;
        }
        txn.commit()?;
    }
    let after = db.check()?;
    let snapshot = db.read()?;
    let tree = snapshot.tree("sparse")?;
    for number in kept {
        if tree.get(&data::key(*number))?.is_none() {
            return Err(format!("entry {number} is gone").into());
        }
    }
    let fill = after.leaf_fill();
    Ok(vec![
        Finding::new("fill after random inserts", format!("{:.3}", before.leaf_fill()), true),
        Finding::new(
            "fill after deleting 90 %",
            format!("{fill:.3} (at least {FILL_MIN})"),
            fill >= FILL_MIN,
        ),
        Finding::new("check", "", before.is_sound() && after.is_sound()),
    ])
}
