//! What of a mapping is in memory.

/// What memory holds of a range of a mapping, in bytes of whole host pages.
///
/// As it was a moment ago: nothing keeps the system from reading or dropping pages meanwhile.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Residency {
    /// Bytes of the host pages that the range touches.
    pub range_bytes: u64,
    /// Bytes that are in memory.
    pub resident_bytes: u64,
    /// Where the system tells more than that.
    pub state: Option<PageStates>,
}

/// In what state a range's pages are, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PageStates {
    /// Newer in memory than on the medium, and not on their way there.
    pub dirty_bytes: u64,
    /// On their way to the medium.
    pub in_write_back_bytes: u64,
    /// Were in memory once, and were dropped to make room.
    pub evicted_bytes: u64,
    /// Dropped so lately that they are missed: of [`evicted_bytes`](PageStates::evicted_bytes), those that
    /// would still be there had memory been somewhat larger.
    pub evicted_lately_bytes: u64,
}

impl Residency {
    /// Whether all of the range is in memory.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.resident_bytes == self.range_bytes
    }
}
