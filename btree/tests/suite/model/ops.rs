//! The operations of a program.

use quickcheck::{Arbitrary, Gen};

/// Where a range ends: a kind and the seed of a key.
pub(crate) type Side = (u8, u16);

#[derive(Clone, Debug)]
pub(crate) enum Op {
    Insert(u16, u16),
    InsertIfAbsent(u16, u16),
    Reserve(u16, u16),
    Append(u16),
    Fill(u16, u8),
    Load(u16, u8, u8),
    Extend(u16, u8, u8),
    Remove(u16),
    PopFirst(u8),
    PopLast(u8),
    Retain(u8),
    RemoveRange(Side, Side),
    Clear,
    Get(u16),
    Range(Side, Side, u8),
    Prefix(u16, u8),
    Walk(u16, Vec<u8>),
    WalkMut(u16, Vec<u8>),
    Select(u8),
    Rename(u8),
    Drop(u8),
    Tag(u16),
    Savepoint,
    Release(u8),
    RollbackTo(u8),
    Commit(bool),
    Rollback,
    Snapshot,
    Checkpoint,
    Reopen,
}

impl Arbitrary for Op {
    fn arbitrary(g: &mut Gen) -> Op {
        let side = |g: &mut Gen| (u8::arbitrary(g) % 3, u16::arbitrary(g));
        let moves = |g: &mut Gen| (0..40).map(|_| u8::arbitrary(g)).collect();
        let (a, b, n) = (u16::arbitrary(g), u16::arbitrary(g), u8::arbitrary(g));
        match u8::arbitrary(g) % 64 {
            0..=10 => Op::Insert(a, b),
            11..=12 => Op::InsertIfAbsent(a, b),
            13..=14 => Op::Reserve(a, b),
            15 => Op::Append(b),
            16..=20 => Op::Fill(a, n),
            21 => Op::Load(a, n, b as u8),
            22 => Op::Extend(a, n, b as u8),
            23..=29 => Op::Remove(a),
            30 => Op::PopFirst(n % 30),
            31 => Op::PopLast(n % 30),
            32 => Op::Retain(n),
            33..=34 => Op::RemoveRange(side(g), side(g)),
            35 if n % 4 == 0 => Op::Clear,
            36..=37 => Op::Get(a),
            38..=39 => Op::Range(side(g), side(g), n),
            40 => Op::Prefix(a, n),
            41..=42 => Op::Walk(a, moves(g)),
            43..=45 => Op::WalkMut(a, moves(g)),
            46..=48 => Op::Select(n),
            49 => Op::Rename(n),
            50 if n % 4 == 0 => Op::Drop(n),
            51 => Op::Tag(a),
            52..=53 => Op::Savepoint,
            54 => Op::Release(n),
            55..=56 => Op::RollbackTo(n),
            57..=58 => Op::Commit(n % 2 == 0),
            59 => Op::Rollback,
            60 => Op::Snapshot,
            61 => Op::Checkpoint,
            62 => Op::Reopen,
            _ => Op::Get(b),
        }
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Op>> {
        match self.clone() {
            Op::Fill(a, n) if n > 0 => {
                Box::new([0, n / 2, n - 1].into_iter().map(move |n| Op::Fill(a, n)))
            }
            Op::Load(a, n, fill) if n > 0 => {
                Box::new([0, n / 2, n - 1].into_iter().map(move |n| Op::Load(a, n, fill)))
            }
            Op::Extend(a, n, work) if n > 0 => {
                Box::new([0, n / 2, n - 1].into_iter().map(move |n| Op::Extend(a, n, work)))
            }
            Op::Walk(a, moves) => Box::new(moves.shrink().map(move |moves| Op::Walk(a, moves))),
            Op::WalkMut(a, moves) => {
                Box::new(moves.shrink().map(move |moves| Op::WalkMut(a, moves)))
            }
            _ => quickcheck::empty_shrinker(),
        }
    }
}
