//! Random histories. Invariants checked: no page is given out that a held state reaches, or that is in
//! the seal chain already; at each commit every page is exactly one of live, free, pinned, space; runs
//! are contiguous; the record round-trips; the space pages of the durable state are never changed.

use super::Store;
use quickcheck::{Arbitrary, Gen, QuickCheck};
use std::vec::Vec;

#[derive(Clone, Debug)]
enum Op {
    Claim(u8),
    Run(u16),
    /// Frees live runs, scattered or one after the other.
    Free(u8, u16, bool),
    Replace(u8, u16),
    Savepoint,
    RollbackTo,
    Release,
    /// With claims at the last moment.
    Commit(bool),
    Rollback,
    OpenReader,
    CloseReader(u8),
    Checkpoint,
    Reopen,
}

impl Arbitrary for Op {
    fn arbitrary(g: &mut Gen) -> Op {
        match u8::arbitrary(g) % 32 {
            0..4 => Op::Claim(u8::arbitrary(g)),
            4 => Op::Run(u16::arbitrary(g) % 300 + 1),
            5 => Op::Run(u16::arbitrary(g) % 9000 + 1),
            6..10 => Op::Free(u8::arbitrary(g), u16::arbitrary(g), bool::arbitrary(g)),
            10..16 => Op::Replace(u8::arbitrary(g) % 64, u16::arbitrary(g)),
            16 | 17 => Op::Savepoint,
            18 => Op::RollbackTo,
            19 => Op::Release,
            20..26 => Op::Commit(u8::arbitrary(g) % 4 == 0),
            26 => Op::Rollback,
            27 => Op::OpenReader,
            28 => Op::CloseReader(u8::arbitrary(g)),
            29 | 30 => Op::Checkpoint,
            _ => Op::Reopen,
        }
    }
}

fn step(store: &mut Store, op: &Op) {
    let done = match *op {
        Op::Claim(pages) => (0..pages).try_for_each(|_| store.claim(1).map(drop)),
        Op::Run(pages) => store.claim(u32::from(pages)).map(drop),
        Op::Free(count, at, scattered) => (0..usize::from(count))
            .try_for_each(|i| store.free(usize::from(at) + if scattered { i * 7919 } else { 0 })),
        Op::Replace(count, at) => (0..usize::from(count)).try_for_each(|i| {
            store.free(usize::from(at) + i * 31)?;
            store.claim(1).map(drop)
        }),
        Op::Savepoint => {
            store.savepoint();
            Ok(())
        }
        Op::RollbackTo => {
            store.rollback_to();
            Ok(())
        }
        Op::Release => {
            store.release();
            Ok(())
        }
        Op::Commit(late) => {
            let late: &[u32] = if late { &[1, 1, 1, 1, 1, 1, 40, 1, 1] } else { &[] };
            store.commit_with(late).and_then(|()| store.begin())
        }
        Op::Rollback => {
            store.rollback();
            store.begin()
        }
        Op::OpenReader => {
            store.open_reader();
            Ok(())
        }
        Op::CloseReader(at) => {
            store.close_reader(usize::from(at));
            Ok(())
        }
        Op::Checkpoint => {
            store.checkpoint();
            Ok(())
        }
        Op::Reopen => {
            store.reopen();
            store.begin()
        }
    };
    assert_eq!(done, Ok(()));
}

fn run(page_size: usize, ops: Vec<Op>) -> bool {
    let mut store = Store::new(page_size);
    store.begin().unwrap();
    for op in &ops {
        step(&mut store, op);
    }
    store.commit().unwrap();
    true
}

#[test]
fn histories_with_small_pages() {
    let property: fn(Vec<Op>) -> bool = |ops| run(512, ops);
    QuickCheck::new().tests(150).rng(Gen::new(120)).quickcheck(property);
}

#[test]
fn histories_with_large_pages() {
    let property: fn(Vec<Op>) -> bool = |ops| run(4096, ops);
    QuickCheck::new().tests(100).rng(Gen::new(120)).quickcheck(property);
}

/// Histories that failed once.
#[test]
fn found_before() {
    use Op::{Claim, Commit, Free, Run};
    // Cutting the file's end took a page for a copy that was to be cut next.
    let ops = [
        Run(5156),
        Free(111, 25266, false),
        Commit(false),
        Claim(114),
        Commit(true),
        Free(255, 43836, false),
        Commit(false),
    ];
    assert!(run(512, ops.to_vec()));
}
