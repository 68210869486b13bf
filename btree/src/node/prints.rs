//! Leaf F: the tag of a cell is its key's *fingerprint*, a byte of a hash of the whole key. Where many keys
//! of a page go on alike behind its prefix (URLs of one host), their heads tell a lookup nothing, and each
//! cell that it compares in vain is a load it waits for; a fingerprint sends it to one cell, and a 256th of
//! the others.
//!
//! The cells stand in the order of their keys, their fingerprints in none: a bound is found by comparing
//! keys.

use super::cells::{CellsView, TAGS};
use super::layout::{PRINTS, Shape};
use super::scan;
use super::slots::SlotsMut;
use super::tags::Tags;
use crate::error::Result;
use crate::key::Key;
use xxhash_rust::xxh3::{Xxh3Default, xxh3_64};

/// Fingerprints for tags.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prints;

impl Tags for Prints {
    const SHAPE: &'static Shape = &PRINTS;
    const LASTS: bool = true;
    type Array<'a> = &'a [u8];

    #[inline]
    fn array(bytes: &[u8]) -> &[u8] {
        bytes
    }

    #[inline]
    fn at(prints: &[u8], i: usize) -> Option<u32> {
        prints.get(i).map(|print| u32::from(*print))
    }

    #[inline]
    fn tag(key: &[u8], _: &[u8]) -> u32 {
        u32::from(fingerprint(key))
    }

    fn tag_of(key: Key<'_>, _: Key<'_>) -> u32 {
        u32::from(fingerprint_of(key))
    }

    #[inline]
    fn store(slots: &mut SlotsMut<'_>, i: usize, tag: u32) {
        slots.set(TAGS, i, [tag as u8]);
    }

    #[inline]
    fn find<T>(
        prints: &[u8],
        count: usize,
        tag: u32,
        matches: impl FnMut(usize) -> Option<T>,
    ) -> Option<T> {
        scan::find_byte(prints, count, tag as u8, matches)
    }

    fn bound(leaf: &CellsView<'_, Prints>, rest: &[u8]) -> Result<(usize, bool)> {
        leaf.bound_among(0, leaf.count(), rest)
    }
}

/// The lowest byte of XXH3-64 of the key.
#[inline]
pub(super) fn fingerprint(key: &[u8]) -> u8 {
    xxh3_64(key) as u8
}

/// Keys in parts up to this length are put together to be hashed: most are.
const ASSEMBLED_BYTES: usize = 256;

/// [`fingerprint`] of a key in parts.
fn fingerprint_of(key: Key<'_>) -> u8 {
    let mut bytes = [0; ASSEMBLED_BYTES];
    match key.copy_to(&mut bytes) {
        Some(key) => fingerprint(key),
        None => fingerprint_of_parts(key),
    }
}

#[inline(never)]
fn fingerprint_of_parts(key: Key<'_>) -> u8 {
    let mut hash = Xxh3Default::new();
    for part in key.parts() {
        hash.update(part);
    }
    hash.digest() as u8
}
