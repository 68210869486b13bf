//! Nodes against naive oracles: see the files for what each checks.

mod append;
#[cfg(feature = "fixed-width")]
mod fixed;
mod hostile;
mod inner;
mod leaf;
mod place;
#[cfg(feature = "fingerprints")]
mod prints;
mod sample;
mod search;
mod traps;

use super::*;
use crate::error::Error;
use mapleaf_pager::{Damage, OWNED_BYTES, PageId};
use std::vec;
use std::vec::Vec;

/// Any page number: pages here are told apart by their place.
const ID: PageId = PageId(7);

/// A page's body as a claim lends it: not zeroed.
fn fresh(page_size: usize) -> Vec<u8> {
    vec![0xA5; page_size - OWNED_BYTES]
}

/// The error of a page that contradicts itself.
const LAYOUT: Error = Error::corrupt(ID, Damage::Layout);

/// What the caller asked for makes no sense.
const INVALID: Error = Error::Pager(mapleaf_pager::Error::InvalidArgument);

/// The key's bytes in one piece.
fn bytes_of(key: Key<'_>) -> Vec<u8> {
    key.parts().concat()
}

/// A leaf of these entries, which must fit one after the other.
fn leaf_of<K: AsRef<[u8]>, V: AsRef<[u8]>>(page_size: usize, entries: &[(K, V)]) -> Vec<u8> {
    let mut body = fresh(page_size);
    LeafMut::init(&mut body, ID, &[]).unwrap();
    for (key, value) in entries {
        let (key, value) = (key.as_ref(), NewValue::Inline(value.as_ref()));
        let mut leaf = LeafMut::new(&mut body, ID).unwrap();
        let (i, _) = leaf.view().lower_bound(key).unwrap();
        match leaf.insert_at(i, key, value).unwrap() {
            Fit::Done => {}
            Fit::Rebuild => {
                let mut rebuilt = fresh(page_size);
                let content = LeafContent::of(leaf.view()).insert(i, key, value);
                content.fill(0..content.len(), &mut rebuilt, false).unwrap();
                body = rebuilt;
            }
            Fit::Split => panic!("the entries do not fit"),
        }
    }
    body
}

/// The same entries laid out anew, so with the prefix they share.
fn rebuilt(body: &[u8]) -> Vec<u8> {
    let mut out = fresh(body.len() + OWNED_BYTES);
    let content = LeafContent::of(LeafView::new(body, ID).unwrap());
    content.fill(0..content.len(), &mut out, false).unwrap();
    out
}

/// An inner page with these separators; child 0 is page 1000, child `i + 1` page `1001 + i`.
fn inner_of<K: AsRef<[u8]>>(page_size: usize, separators: &[K]) -> Vec<u8> {
    let mut body = fresh(page_size);
    InnerMut::init(&mut body, ID, PageId(1000), &[]).unwrap();
    for (i, separator) in separators.iter().enumerate() {
        let mut page = InnerMut::new(&mut body, ID).unwrap();
        let fit = page.insert(i, Key::from(separator.as_ref()), PageId(1001 + i as u32)).unwrap();
        assert_eq!(fit, Fit::Done, "the separators do not fit");
    }
    body
}

/// The same children laid out anew, so with the prefix their separators share.
fn rebuilt_inner(body: &[u8]) -> Vec<u8> {
    let mut out = fresh(body.len() + OWNED_BYTES);
    let content = InnerContent::of(InnerView::new(body, ID).unwrap());
    content.fill(0..content.children(), &mut out).unwrap();
    out
}
