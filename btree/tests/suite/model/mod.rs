//! Whole trees against `BTreeMap`, on pages of 512 bytes.
//!
//! Invariants checked, after each operation or commit:
//! - every operation answers what the oracle answers, and leaves what it leaves;
//! - a snapshot taken before sees what it saw then;
//! - a rollback, whole or to a savepoint, restores trees, tags and handles;
//! - after the death of the process the log brings every commit back;
//! - `check` finds no damage, and every page is reachable, free or the pager's: exactly once.
//!
//! A failure prints the program, and the command that draws it again; quickcheck shrinks it.

mod ops;
mod oracle;
mod txn;

use crate::seeded::seeded;
use crate::support::*;
use mapleaf_pager::{Durability, Snapshot, Verify};
use ops::Op;
use txn::Txn;

const NAMES: [&str; 4] =
    ["a", "tree", "tree2", "a rather long name of a tree, so that it has a cell"];

/// What must survive the store's being closed and opened.
#[derive(Clone)]
struct World {
    committed: Trees,
    log_bytes: u64,
}

/// Runs operations until the store is to be opened anew; what is left of them.
fn run<'o>(store: &RamStore<'_>, world: &mut World, ops: &'o [Op]) -> &'o [Op] {
    let mut held: Vec<(Snapshot<'_>, Trees)> = Vec::new();
    let mut txn: Option<Txn<'_>> = None;
    let mut rest = ops;
    while let Some((op, more)) = rest.split_first() {
        rest = more;
        let running = match op {
            Op::Commit(_) | Op::Rollback | Op::Snapshot | Op::Checkpoint | Op::Reopen => txn.take(),
            _ => Some(txn.take().unwrap_or_else(|| Txn::begin(store, &world.committed))),
        };
        match (op, running) {
            (Op::Commit(sync), Some(mut running)) => {
                running.compare();
                let durability = if *sync { Durability::Sync } else { Durability::Eventual };
                running.writer.commit(durability).unwrap();
                world.committed = running.trees;
                prove(store);
            }
            (Op::Rollback, _) => {}
            (Op::Snapshot, running) => {
                if held.len() > 3 {
                    held.remove(0);
                }
                held.push((store.begin_read(0).unwrap(), world.committed.clone()));
                txn = running;
            }
            (Op::Checkpoint, None) => drop(store.checkpoint().unwrap()),
            (Op::Checkpoint | Op::Commit(_), running) => txn = running,
            (Op::Reopen, _) => break,
            (_, Some(mut running)) => {
                step(&mut running, op);
                txn = Some(running);
            }
            (_, None) => unreachable!(),
        }
    }
    if let Some(mut running) = txn {
        running.compare();
    }
    for (snapshot, trees) in &held {
        check_state(snapshot);
        compare_all(snapshot, trees);
    }
    rest
}

fn step(txn: &mut Txn<'_>, op: &Op) {
    match op {
        Op::Get(_) | Op::Range(..) | Op::Prefix(..) | Op::Walk(..) => txn.read(op),
        Op::Select(_) | Op::Rename(_) | Op::Drop(_) | Op::Tag(_) => txn.names(op),
        Op::Savepoint | Op::Release(_) | Op::RollbackTo(_) => txn.names(op),
        _ => txn.change(op),
    }
}

fn program(ops: &[Op], log_bytes: u64) {
    let mut ram = vec![0; 8192 * PAGE];
    let mut world = World { committed: Trees::new(), log_bytes };
    let mut len = {
        let store = create(&mut ram, PAGE, world.log_bytes);
        len_of(&store)
    };
    let mut rest = ops;
    loop {
        // What is whole is lent, whenever its checksum is compared.
        let options = match world.log_bytes {
            0 => options(PAGE, 0).verify(Verify::Always),
            log_bytes => options(PAGE, log_bytes).first_touch(TOUCHED),
        };
        let (_, store) = reopen(&mut ram, len, &options);
        compare_all(&store.begin_read(0).unwrap(), &world.committed);
        if rest.is_empty() {
            return;
        }
        rest = run(&store, &mut world, rest);
        prove(&store);
        len = len_of(&store);
    }
}

#[test]
fn trees_do_what_maps_do() {
    fn holds(ops: Vec<Op>) -> bool {
        program(&ops, 0);
        true
    }
    seeded(250).quickcheck(holds as fn(Vec<Op>) -> bool);
}

#[test]
fn the_log_brings_every_commit_back() {
    fn holds(ops: Vec<Op>) -> bool {
        program(&ops, 256 * 1024);
        true
    }
    seeded(250).quickcheck(holds as fn(Vec<Op>) -> bool);
}
