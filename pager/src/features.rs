//! What a file may hold that an older build would misread: bits of its metas' incompatible features.
//!
//! A state announces what it uses before anything of it is written behind a meta: the first transaction that
//! uses a feature is a checkpoint ([`WriteTxn::announce`](crate::WriteTxn::announce)). So an older build refuses
//! the file by the bit's name instead of taking pages, or records of the log, for damaged ones.

/// Trees of keys and values of one size each.
pub const FIXED_WIDTH: u64 = 1 << 2;

/// Leaves whose cells are found by fingerprints of their keys.
pub const FINGERPRINTS: u64 = 1 << 3;

/// All that this build knows; another one refuses the file.
pub(crate) const KNOWN: u64 =
    if cfg!(feature = "fingerprints") { FIXED_WIDTH | FINGERPRINTS } else { FIXED_WIDTH };
