//! The steps that a program is made of, at random, and how they shrink.

use super::data::{Key, Len, Name, Side};
use quickcheck::{Arbitrary, Gen};

/// One step of a cursor. A cursor that reads takes the last two for `Next`; one that writes has no
/// `First` and `Last` and takes them for `Next` and `Prev`.
#[derive(Clone, Copy, Debug)]
pub(super) enum Move {
    First,
    Last,
    Next,
    Prev,
    Seek(Key),
    AtOrAfter(Key),
    AtOrBefore(Key),
    Replace(Len),
    Remove,
}

/// One call, or one kind of calls in a row, with all that is compared after it.
#[derive(Clone, Debug)]
pub(super) enum Step {
    // Entries of the selected tree.
    Insert(Key, Len),
    InsertIfAbsent(Key, Len),
    Reserve(Key, Len),
    Append(Len),
    /// Inserts so many keys that follow the first in its kind.
    Fill(Key, u8, Len),
    /// Stores as many in one batch, in no order, some of them twice.
    Extend(Key, u8, Len),
    /// Loads those of them that are above the last key.
    Load(Key, u8, Len),
    Remove(Key),
    /// Removes them.
    Drain(Key, u8),
    PopFirst(u8),
    PopLast(u8),
    Retain(u8),
    RemoveRange(Side, Side),
    Clear,
    /// Every call that takes a key, with one so many bytes longer than the longest.
    TooLong(u16),
    /// A value's writer panics; the transaction goes on from a savepoint.
    FillPanics(Key, Len),
    WalkMut(Vec<Move>),
    /// Inserts entries of the state before the transaction, as they lie in the file.
    CopyBase(Name, u8),
    /// Walks a snapshot while each move is followed by an insertion and a removal.
    Beside(Vec<Move>, Vec<(Key, Len)>),
    // Reading: the selected tree in the transaction if there is one, else in a new snapshot.
    Get(Key),
    Ends,
    Range(Side, Side, u8),
    Prefix(Key, u8, u8),
    Walk(Vec<Move>),
    // Names.
    Select(Name),
    Create(Name, u16),
    Rename(Name, Name),
    DropTree(Name),
    Tag(u16),
    List,
    ManyTrees,
    // Savepoints.
    Savepoint,
    Release(u8),
    RollbackTo(u8),
    // The ends of a transaction.
    Commit(bool),
    Rollback(bool),
    // Snapshots.
    Hold(u8),
    LetGo(u8),
    CompareHeld(u8),
    Readers,
    // The database.
    Sync,
    Checkpoint,
    Check,
    /// Compares the whole transaction, or the newest state, with the oracle.
    Compare,
    Close,
    Reopen,
    /// Goes on with what is in the file now, as after the death of the process.
    Die,
    /// Reads the file as others may: read-only, at its checkpoint, salvage, repair.
    Others(u8),
}

impl Arbitrary for Move {
    fn arbitrary(g: &mut Gen) -> Move {
        let key = Key::arbitrary(g);
        match u8::arbitrary(g) % 32 {
            0 => Move::First,
            1 => Move::Last,
            2..=9 => Move::Next,
            10..=17 => Move::Prev,
            18..=19 => Move::Seek(key),
            20..=21 => Move::AtOrAfter(key),
            22..=23 => Move::AtOrBefore(key),
            24..=27 => Move::Replace(Len::arbitrary(g)),
            _ => Move::Remove,
        }
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Move>> {
        match *self {
            Move::Seek(key) => Box::new(key.shrink().map(Move::Seek)),
            Move::AtOrAfter(key) => Box::new(key.shrink().map(Move::AtOrAfter)),
            Move::AtOrBefore(key) => Box::new(key.shrink().map(Move::AtOrBefore)),
            Move::Replace(len) => Box::new(len.shrink().map(Move::Replace)),
            _ => quickcheck::empty_shrinker(),
        }
    }
}

/// What a program is mostly about: how many steps of 256 are of each group. A bug that takes three rare
/// steps in a row is met where they are not rare.
#[derive(Clone, Copy)]
pub(super) struct Theme {
    entries: u8,
    reads: u8,
    names: u8,
}

impl Arbitrary for Theme {
    fn arbitrary(g: &mut Gen) -> Theme {
        let (entries, reads, names) = match u8::arbitrary(g) % 8 {
            0 => (40, 10, 120),
            1 => (40, 10, 10),
            2 => (220, 10, 4),
            3 => (70, 140, 10),
            _ => (116, 44, 28),
        };
        Theme { entries, reads, names }
    }
}

impl Step {
    /// A step of a program with this theme.
    pub(super) fn random(theme: Theme, g: &mut Gen) -> Step {
        let n = u8::arbitrary(g);
        let (reads, names) =
            (theme.entries + theme.reads, theme.entries + theme.reads + theme.names);
        match n {
            _ if n < theme.entries => entries(g),
            _ if n < reads => self::reads(g),
            _ if n < names => self::names(g),
            _ => states(g),
        }
    }
}

impl Arbitrary for Step {
    fn arbitrary(g: &mut Gen) -> Step {
        Step::random(Theme::arbitrary(g), g)
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Step>> {
        match self.clone() {
            Step::Insert(k, l) => Box::new((k, l).shrink().map(|(k, l)| Step::Insert(k, l))),
            Step::InsertIfAbsent(k, l) => {
                Box::new((k, l).shrink().map(|(k, l)| Step::InsertIfAbsent(k, l)))
            }
            Step::Reserve(k, l) => Box::new((k, l).shrink().map(|(k, l)| Step::Reserve(k, l))),
            Step::Append(l) => Box::new(l.shrink().map(Step::Append)),
            Step::Fill(k, n, l) => {
                let one = (n == 1).then_some(Step::Insert(k, l));
                Box::new(
                    one.into_iter().chain((k, n, l).shrink().map(|f| Step::Fill(f.0, f.1, f.2))),
                )
            }
            Step::Extend(k, n, l) => {
                Box::new((k, n, l).shrink().map(|f| Step::Extend(f.0, f.1, f.2)))
            }
            Step::Load(k, n, l) => Box::new((k, n, l).shrink().map(|f| Step::Load(f.0, f.1, f.2))),
            Step::Remove(k) => Box::new(k.shrink().map(Step::Remove)),
            Step::Drain(k, n) => Box::new((k, n).shrink().map(|(k, n)| Step::Drain(k, n))),
            Step::PopFirst(n) => Box::new(n.shrink().map(Step::PopFirst)),
            Step::PopLast(n) => Box::new(n.shrink().map(Step::PopLast)),
            Step::Retain(n) => Box::new(n.shrink().map(Step::Retain)),
            Step::RemoveRange(a, b) => {
                Box::new((a, b).shrink().map(|(a, b)| Step::RemoveRange(a, b)))
            }
            Step::FillPanics(k, l) => {
                Box::new((k, l).shrink().map(|(k, l)| Step::FillPanics(k, l)))
            }
            Step::WalkMut(moves) => Box::new(moves.shrink().map(Step::WalkMut)),
            Step::CopyBase(name, n) => Box::new(n.shrink().map(move |n| Step::CopyBase(name, n))),
            Step::Beside(moves, puts) => {
                Box::new((moves, puts).shrink().map(|(moves, puts)| Step::Beside(moves, puts)))
            }
            Step::Get(k) => Box::new(k.shrink().map(Step::Get)),
            Step::Range(a, b, n) => {
                Box::new((a, b, n).shrink().map(|(a, b, n)| Step::Range(a, b, n)))
            }
            Step::Prefix(k, l, n) => {
                Box::new((k, l, n).shrink().map(|(k, l, n)| Step::Prefix(k, l, n)))
            }
            Step::Walk(moves) => Box::new(moves.shrink().map(Step::Walk)),
            _ => quickcheck::empty_shrinker(),
        }
    }
}

fn moves(g: &mut Gen) -> Vec<Move> {
    let count = 1 + u8::arbitrary(g) % 24;
    (0..count).map(|_| Move::arbitrary(g)).collect()
}

fn entries(g: &mut Gen) -> Step {
    let (key, len, n) = (Key::arbitrary(g), Len::arbitrary(g), u8::arbitrary(g));
    match u8::arbitrary(g) % 62 {
        0..=14 => Step::Insert(key, len),
        15..=17 => Step::InsertIfAbsent(key, len),
        18..=20 => Step::Reserve(key, len),
        21..=22 => Step::Append(len),
        23..=33 => Step::Fill(key, n, len),
        34..=38 => Step::Remove(key),
        39..=42 => Step::Drain(key, n),
        43 => Step::PopFirst(n % 32),
        44 => Step::PopLast(n % 32),
        45 => Step::Retain(n),
        46..=48 => Step::RemoveRange(Side::arbitrary(g), Side::arbitrary(g)),
        49 if n % 4 == 0 => Step::Clear,
        49 if n % 4 == 1 => Step::FillPanics(key, len),
        49 | 50 => Step::TooLong(u16::arbitrary(g)),
        51..=54 => Step::WalkMut(moves(g)),
        55 => Step::CopyBase(Name::arbitrary(g), n),
        58..=59 => Step::Extend(key, n, len),
        60..=61 => Step::Load(key, n, len),
        _ => Step::Beside(
            moves(g),
            (0..1 + n % 8).map(|_| (Key::arbitrary(g), Len::arbitrary(g))).collect(),
        ),
    }
}

fn reads(g: &mut Gen) -> Step {
    match u8::arbitrary(g) % 8 {
        0 | 1 => Step::Get(Key::arbitrary(g)),
        2 => Step::Ends,
        3 | 4 => Step::Range(Side::arbitrary(g), Side::arbitrary(g), u8::arbitrary(g)),
        5 => Step::Prefix(Key::arbitrary(g), u8::arbitrary(g), u8::arbitrary(g)),
        _ => Step::Walk(moves(g)),
    }
}

fn names(g: &mut Gen) -> Step {
    let (name, n) = (Name::arbitrary(g), u8::arbitrary(g));
    match n % 16 {
        0..=3 => Step::Select(name),
        4..=5 => Step::Create(name, u16::arbitrary(g)),
        6..=8 => Step::Rename(name, Name::arbitrary(g)),
        9..=10 => Step::DropTree(name),
        11 => Step::Tag(u16::arbitrary(g)),
        12 => Step::List,
        // Here too: what they do to names is the hardest of what they do.
        13 => Step::Savepoint,
        14 => Step::RollbackTo(u8::arbitrary(g)),
        _ if n >= 224 => Step::ManyTrees,
        _ => Step::Select(name),
    }
}

fn states(g: &mut Gen) -> Step {
    let n = u8::arbitrary(g);
    match u8::arbitrary(g) % 36 {
        0..=2 => Step::Savepoint,
        3 => Step::Release(n),
        4..=5 => Step::RollbackTo(n),
        6..=13 => Step::Commit(n % 2 == 0),
        14 => Step::Rollback(n % 2 == 0),
        15..=19 => Step::Hold(n),
        20..=21 => Step::LetGo(n),
        22 => Step::CompareHeld(n),
        23 if n % 4 == 0 => Step::Readers,
        24 => Step::Sync,
        23 | 25 | 26 => Step::Checkpoint,
        27 => Step::Check,
        28 => Step::Compare,
        29 => Step::Close,
        30 | 31 => Step::Reopen,
        32..=34 => Step::Die,
        _ => Step::Others(n),
    }
}
