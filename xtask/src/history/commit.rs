//! One transaction of a history.

use super::plan::{self, Change, Detour, TREES};
use super::{Plan, STATE_KEY, STATE_TREE, State, number_of};
use crate::Result;
use mapleaf::{Database, WriteTxn};

/// The transaction that comes next, and the state that it makes: known when the turn is had, where several
/// threads write.
pub(super) fn begin<'d>(db: &'d Database, plan: &Plan, life: u64) -> Result<(WriteTxn<'d>, State)> {
    let mut txn = db.write()?;
    let mut at = next(&mut txn, life)?;
    if plan.detour(at) == Detour::Dropped {
        write(&mut txn, &plan.changes(wrong(at)), wrong(at))?;
        txn.rollback();
        txn = db.write()?;
        at = next(&mut txn, life)?;
    }
    Ok((txn, at))
}

fn next(txn: &mut WriteTxn<'_>, life: u64) -> Result<State> {
    let tree = txn.tree(STATE_TREE)?;
    let number = match tree.get(STATE_KEY)? {
        Some(bytes) => number_of(bytes)?.number,
        None => 0,
    };
    Ok(State { number: number + 1, life })
}

/// What no commit ever writes.
fn wrong(at: State) -> State {
    State { number: !at.number, life: at.life }
}

/// Writes what the plan says of the state.
pub(super) fn fill(txn: &mut WriteTxn<'_>, plan: &Plan, at: State) -> Result<()> {
    let changes = plan.changes(at);
    let (first, second) = changes.split_at(changes.len() / 2);
    write(txn, first, at)?;
    match plan.detour(at) {
        Detour::TakenBack => {
            let before = txn.savepoint()?;
            write(txn, &plan.changes(wrong(at)), wrong(at))?;
            let inner = txn.savepoint()?;
            write(txn, second, wrong(at))?;
            txn.release(inner)?;
            txn.rollback_to(before)?;
            write(txn, second, at)?;
        }
        Detour::Released => {
            let before = txn.savepoint()?;
            write(txn, second, at)?;
            txn.release(before)?;
        }
        Detour::None | Detour::Dropped => write(txn, second, at)?,
    }
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&at.number.to_le_bytes());
    bytes[8..].copy_from_slice(&at.life.to_le_bytes());
    txn.tree(STATE_TREE)?.insert(STATE_KEY, &bytes)?;
    Ok(())
}

fn write(txn: &mut WriteTxn<'_>, changes: &[Change], at: State) -> Result<()> {
    for change in changes {
        let key = plan::key(change.entry);
        let mut tree = txn.tree(TREES[plan::tree_of(change.entry)])?;
        match change.len {
            Some(len) => tree.insert(&key, &plan::value(change.entry, at, len)).map(drop)?,
            None => tree.remove(&key).map(drop)?,
        }
    }
    Ok(())
}
