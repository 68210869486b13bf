//! Bugs that the campaign must find: each makes one answer of the store a wrong one.

/// A bug between the campaign and the store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Planted {
    /// `retain` keeps the last entry, whatever it is told.
    RetainForgetsLast,
    /// `remove_range` takes an excluded end for an included one.
    RangeRemovesItsEnd,
    /// Rolling back to a savepoint keeps what was done since, where only one is open.
    RollbackKeeps,
    /// A cursor that writes goes one entry too far after a removal.
    CursorSkipsAfterRemove,
    /// A range from the back leaves the entry out that the front has come to.
    BackMissesLastOfRange,
    /// A held snapshot sees what was committed since.
    SnapshotMoves,
    /// The last byte of a large reserved value stays zero.
    ReserveLeavesLastByte,
    /// A rename of a tree forgets its tag.
    RenameForgetsTag,
    /// What dies with the process is the last commit.
    DeathTakesLastCommit,
}

impl Planted {
    /// All of them.
    pub const ALL: [Planted; 9] = [
        Planted::RetainForgetsLast,
        Planted::RangeRemovesItsEnd,
        Planted::RollbackKeeps,
        Planted::CursorSkipsAfterRemove,
        Planted::BackMissesLastOfRange,
        Planted::SnapshotMoves,
        Planted::ReserveLeavesLastByte,
        Planted::RenameForgetsTag,
        Planted::DeathTakesLastCommit,
    ];
}
