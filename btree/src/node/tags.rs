//! What the leaves of cells differ in: the array that a lookup scans.

use super::cells::CellsView;
use super::layout::Shape;
use super::slots::SlotsMut;
use crate::error::Result;
use crate::key::Key;
use core::fmt::Debug;

/// What a leaf has beside the offset of each cell: a number made of the key, by which lookups tell the cells
/// that are worth a look.
pub(crate) trait Tags: Copy + Debug {
    /// The kind of page.
    const SHAPE: &'static Shape;
    /// Whether a key keeps its tag when the page's prefix changes.
    const LASTS: bool;
    /// The tags of a page: its bytes from the array on to its end, so that a scan may take whole blocks.
    type Array<'a>: Copy + Debug;

    /// The tags in the bytes of a page from the array on.
    fn array(bytes: &[u8]) -> Self::Array<'_>;

    /// Tag `i`.
    fn at(array: Self::Array<'_>, i: usize) -> Option<u32>;

    /// The tag of `key`, of which `rest` follows the page's prefix.
    fn tag(key: &[u8], rest: &[u8]) -> u32;

    /// [`tag`](Tags::tag) of a key in parts.
    fn tag_of(key: Key<'_>, rest: Key<'_>) -> u32;

    /// Writes tag `i` of a page.
    fn store(slots: &mut SlotsMut<'_>, i: usize, tag: u32);

    /// Calls `matches` with the index of each of the first `count` tags that is `tag`, in order, until it
    /// answers `Some`.
    fn find<T>(
        array: Self::Array<'_>,
        count: usize,
        tag: u32,
        matches: impl FnMut(usize) -> Option<T>,
    ) -> Option<T>;

    /// Index of the first entry whose key behind the prefix is at or above `rest`; whether it is `rest`.
    fn bound(leaf: &CellsView<'_, Self>, rest: &[u8]) -> Result<(usize, bool)>;
}
