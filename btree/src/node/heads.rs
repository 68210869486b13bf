//! Leaf H: the tag of a cell is its key's *head*, the first 4 bytes behind the page's prefix as a number
//! (u32). Heads are sorted as the keys are, so that the bound of a key is found among them.

use super::cells::{CellsView, TAGS};
use super::layout::{LEAF, Shape, damaged, head, head_of};
use super::search::{self, Head};
use super::slots::SlotsMut;
use super::tags::Tags;
use crate::error::Result;
use crate::key::Key;

/// Heads for tags.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heads;

impl Tags for Heads {
    const SHAPE: &'static Shape = &LEAF;
    const LASTS: bool = false;
    type Array<'a> = &'a [Head];

    #[inline]
    fn array(bytes: &[u8]) -> &[Head] {
        bytes.as_chunks().0
    }

    #[inline]
    fn at(heads: &[Head], i: usize) -> Option<u32> {
        heads.get(i).map(|head| u32::from_le_bytes(*head))
    }

    #[inline]
    fn tag(_: &[u8], rest: &[u8]) -> u32 {
        head(rest)
    }

    #[inline]
    fn tag_of(_: Key<'_>, rest: Key<'_>) -> u32 {
        head_of(rest)
    }

    #[inline]
    fn store(slots: &mut SlotsMut<'_>, i: usize, tag: u32) {
        slots.set(TAGS, i, tag.to_le_bytes());
    }

    #[inline]
    fn find<T>(
        heads: &[Head],
        count: usize,
        tag: u32,
        matches: impl FnMut(usize) -> Option<T>,
    ) -> Option<T> {
        search::find_equal(heads, count, tag, matches)
    }

    #[inline]
    fn bound(leaf: &CellsView<'_, Heads>, rest: &[u8]) -> Result<(usize, bool)> {
        let heads = leaf.tags.get(..leaf.count()).ok_or(damaged(leaf.id()))?;
        let needle = head(rest);
        let first = search::lower_bound(heads, needle);
        match heads.get(first..) {
            Some(ties @ [tie, ..]) if *tie == needle.to_le_bytes() => {
                bound_among_ties(leaf, first, ties, rest)
            }
            _ => Ok((first, false)),
        }
    }
}

/// The lower bound among entries of the key's head, which `ties` starts with.
#[inline(never)]
fn bound_among_ties(
    leaf: &CellsView<'_, Heads>,
    first: usize,
    ties: &[Head],
    rest: &[u8],
) -> Result<(usize, bool)> {
    leaf.bound_among(first, first + search::upper_bound(ties, head(rest)), rest)
}
