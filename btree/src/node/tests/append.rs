//! An entry appended to a leaf against one inserted at its end.
//!
//! Invariants checked: where `append` says that it did, the page is byte for byte what `insert_at` makes of it;
//! where it says that it did not, no byte changed, and the key did not belong there or `insert_at` finds no room.

use super::sample::{KeySeed, Stored, ValueSeed};
use super::*;
#[cfg(feature = "fixed-width")]
use crate::width::FixedWidth;
use quickcheck::quickcheck;

/// Appends to a page; whether it did what it said.
fn appends_right(body: &[u8], key: &[u8], value: &[u8]) -> bool {
    let (mut appended, mut inserted) = (body.to_vec(), body.to_vec());
    let done = LeafMut::new(&mut appended, ID).unwrap().append(key, value).unwrap();
    let mut leaf = LeafMut::new(&mut inserted, ID).unwrap();
    let count = leaf.view().count();
    let behind = leaf.view().lower_bound(key).unwrap() == (count, false);
    let fit = leaf.insert_at(count, key, NewValue::Inline(value));
    if done {
        LeafView::new(&appended, ID).unwrap().check().unwrap();
        return behind && fit == Ok(Fit::Done) && appended == inserted;
    }
    appended == body && (!behind || fit != Ok(Fit::Done))
}

/// Keys of a page in order, a key to append, and a value of a length that may be too long.
fn sample(page_size: usize, keys: &[KeySeed], value: &ValueSeed) -> (Vec<Vec<u8>>, Vec<u8>) {
    let mut keys: Vec<_> = keys.iter().map(|key| key.key(page_size)).collect();
    keys.sort();
    keys.dedup();
    let value = match value.value(page_size, 0) {
        Stored::Inline(bytes) => bytes,
        Stored::Run(..) => vec![1; page_size],
    };
    (keys, value)
}

/// A leaf filled from its first entry on with `append`, and laid out anew where that finds no room: `keys` in
/// order, then each of `more`, whatever they are.
fn fills_right(mut body: Vec<u8>, keys: &[Vec<u8>], more: &[KeySeed], value: &[u8]) -> bool {
    let page_size = body.len() + OWNED_BYTES;
    for key in keys {
        if !appends_right(&body, key, value) {
            return false;
        }
        let mut leaf = LeafMut::new(&mut body, ID).unwrap();
        if !leaf.append(key, value).unwrap() && leaf.view().count() > 0 {
            body = rebuilt(&body);
        }
    }
    more.iter().all(|key| appends_right(&body, &key.key(page_size), value))
}

quickcheck! {
    fn what_is_appended_is_what_would_be_inserted(
        keys: Vec<KeySeed>, more: Vec<KeySeed>, value: ValueSeed, large: bool, prints: bool
    ) -> bool {
        let page_size = if large { 4096 } else { 512 };
        let (keys, value) = sample(page_size, &keys, &value);
        let mut body = fresh(page_size);
        let prefix = keys.first().map_or(&[][..], |key| &key[..key.len().min(3)]);
        LeafMut::init_as(&mut body, ID, prefix, prints).unwrap();
        fills_right(body, &keys, &more, &value)
    }

    #[cfg(feature = "fixed-width")]
    fn so_it_is_where_the_width_is_fixed(
        keys: Vec<KeySeed>, more: Vec<KeySeed>, value: ValueSeed, key_bytes: u8
    ) -> bool {
        // Some have that length.
        let width = FixedWidth::new(1 + u16::from(key_bytes) % 12, 3).unwrap();
        let (mut keys, value) = sample(512, &keys, &value);
        keys.iter_mut().step_by(2).for_each(|key| key.resize(width.key_bytes.into(), 7));
        keys.sort();
        let value = &value[..value.len().min(3)];
        let mut body = fresh(512);
        LeafMut::init_fixed(&mut body, ID, width).unwrap();
        fills_right(body, &keys, &more, value)
    }
}

#[test]
fn what_stands_last_does_not_come_again() {
    let key = [5u8; 20];
    for prints in [false, true] {
        let mut body = fresh(512);
        let mut leaf = LeafMut::init_as(&mut body, ID, &[5; 4], prints).unwrap();
        assert_eq!(leaf.append(&key, b"1"), Ok(true));
        for wrong in [&key[..], &key[..19], &[5; 4], &[4; 30], &[6; 2], &[]] {
            assert_eq!(leaf.append(wrong, b"2"), Ok(false), "{wrong:?}");
        }
        // Longer is above, and a prefix that is not the page's is not its own to shorten.
        assert_eq!(leaf.append(&[5; 21], b"2"), Ok(true));
        assert_eq!(leaf.append(&[5; 28], b"2"), Ok(true));
        assert_eq!(leaf.append(&[5, 5, 5, 6], b"2"), Ok(false));
        assert_eq!(leaf.view().count(), 3);
    }
}
