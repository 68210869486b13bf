//! Leaves of fingerprints: the bytes, the choice between them and leaves of heads, the traps.

use super::super::layout::field;
use super::super::prints::{Prints, fingerprint};
use super::super::scan::{PRINTS_BLOCK, equal_bytes, find_byte};
use super::super::tags::Tags;
use super::*;
use mapleaf_pager::kind;
use quickcheck::quickcheck;
use std::format;
use xxhash_rust::xxh3::xxh3_64;

/// A leaf of fingerprints of these entries (in order), which must fit.
pub(super) fn prints_of<K: AsRef<[u8]>>(page_size: usize, prefix: &[u8], keys: &[K]) -> Vec<u8> {
    let mut body = fresh(page_size);
    LeafMut::init_as(&mut body, ID, prefix, true).unwrap();
    for (i, key) in keys.iter().enumerate() {
        let mut leaf = LeafMut::new(&mut body, ID).unwrap();
        let value = NewValue::Inline(&key.as_ref()[..key.as_ref().len().min(9)]);
        assert_eq!(leaf.insert_at(i, key.as_ref(), value).unwrap(), Fit::Done);
    }
    body
}

/// URLs of one host, in order.
fn urls(count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|n| format!("https://example.org/path/{n:04}/x").into_bytes()).collect()
}

fn laid_out(body: &[u8], range: core::ops::Range<usize>, prints: bool) -> Vec<u8> {
    let mut out = fresh(body.len() + OWNED_BYTES);
    LeafContent::of(LeafView::new(body, ID).unwrap()).fill(range, &mut out, prints).unwrap();
    LeafView::new(&out, ID).unwrap().check().unwrap();
    out
}

quickcheck! {
    fn equal_bytes_are_all_found(bytes: Vec<u8>, count: usize, needle: u8, few: bool) -> bool {
        // Few kinds of bytes: many are equal, or differ in their highest bit only.
        let bytes: Vec<u8> = bytes.iter().map(|b| if few { b & 0x81 } else { *b }).collect();
        let needle = if few { needle & 0x81 } else { needle };
        let count = count % (bytes.len() + 1);
        let expected: Vec<usize> = (0..count).filter(|i| bytes[*i] == needle).collect();
        let mut seen = Vec::new();
        let none = find_byte(&bytes, count, needle, |i| {
            seen.push(i);
            None::<usize>
        });
        none.is_none()
            && seen == expected
            && find_byte(&bytes, count, needle, Some) == expected.first().copied()
    }

    /// However the key is cut, and longer than what is put together first.
    fn fingerprints_are_of_whole_keys(key: Vec<u8>, times: u8, cut: usize) -> bool {
        let key = key.repeat(1 + usize::from(times) % 8);
        let (prefix, rest) = key.split_at(cut % (key.len() + 1));
        let wanted = xxh3_64(&key) as u8;
        fingerprint(&key) == wanted
            && Prints::tag_of(Key::new(prefix, rest), rest.into()) == u32::from(wanted)
            && Prints::tag(&key, rest) == u32::from(wanted)
    }
}

#[test]
fn every_pair_of_bytes_is_compared_right() {
    for needle in 0..=255u8 {
        for other in 0..=255u8 {
            let mut block = [other; PRINTS_BLOCK];
            block[5] = needle;
            let marks = equal_bytes(&block, needle);
            let wanted = if other == needle { (u128::MAX / 255) << 7 } else { 0x80 << 40 };
            assert_eq!(marks, wanted, "{needle} among {other}");
        }
    }
}

#[test]
fn long_keys_are_hashed_in_parts() {
    let key: Vec<u8> = (0..4000u32).map(|n| (n * 7 % 251) as u8).collect();
    for cut in [0, 1, 256, 257, 3999] {
        let key = Key::new(&key[..cut], &key[cut..]);
        assert_eq!(Prints::tag_of(key, key), u32::from(xxh3_64(&bytes_of(key)) as u8));
    }
}

#[test]
fn the_bytes_of_a_leaf_of_fingerprints_are_those_of_the_format() {
    let mut body = vec![0; 496];
    let mut leaf = LeafMut::init_as(&mut body, ID, b"prefix", true).unwrap();
    let run = NewValue::Run { page: PageId(0x0102_0304), len_bytes: 5 };
    assert_eq!(leaf.insert_at(0, b"prefix/b", run).unwrap(), Fit::Done);
    assert_eq!(leaf.insert_at(0, b"prefix/a", NewValue::Inline(b"val")).unwrap(), Fit::Done);
    // Kind, flags, count; capacity; prefix_len, heap_start 481, garbage, first child; prefix, padded.
    assert_eq!(body[..4], [3, 0, 2, 0]);
    let capacity = usize::from(body[4]);
    assert_eq!(body[6..16], [6, 0, 225, 1, 0, 0, 0, 0, 0, 0]);
    assert_eq!(body[16..24], *b"prefix\0\0");
    assert_eq!(body[24..26], [xxh3_64(b"prefix/a") as u8, xxh3_64(b"prefix/b") as u8]);
    let offsets = 24 + capacity.next_multiple_of(2);
    let [a, b] = [0, 2].map(|at| u16::from_le_bytes([body[offsets + at], body[offsets + at + 1]]));
    assert_eq!((a, b), (512 - 22 - 9, 512 - 22));
    assert_eq!(body[usize::from(a) - 16..][..9], *b"\x02\0\x03\0/aval");
    assert_eq!(body[usize::from(b) - 16..][..6], *b"\x02\0\xff\xff/b");
}

/// An array of fingerprints of an odd capacity ends a byte before the offsets begin.
#[test]
fn every_capacity_is_right() {
    for count in 1..26usize {
        // Heads that tie, from the second run on: also as a page is laid out.
        let keys: Vec<_> =
            (0..count).map(|n| [n as u8 / 8, b's', b'a', b'm', n as u8 % 8]).collect();
        let full = prints_of(512, b"", &keys);
        let exact = laid_out(&full, 0..count, true);
        assert_eq!(exact[0] == kind::LEAF_FINGERPRINT, count > 8, "{count}");
        for body in [full, exact] {
            let view = LeafView::new(&body, ID).unwrap();
            view.check().unwrap();
            for (i, key) in keys.iter().enumerate() {
                assert_eq!(view.find(key).unwrap(), Some(i));
                assert_eq!(view.lower_bound(key).unwrap(), (i, true));
            }
        }
    }
    // A header whose arrays end a byte too far.
    let mut body = prints_of(512, b"", &[[1]]);
    let heap = 512 - 6;
    body[field::HEAP_START..][..2].copy_from_slice(&u16::to_le_bytes(heap));
    // 3 bytes a slot, and one of padding where they are odd: 474 bytes hold 158, not 157 and a byte less.
    for (capacity, end, fits) in [(158, 506u16, true), (157, 504, true), (157, 503, false)] {
        body[field::HEAP_START..][..2].copy_from_slice(&end.to_le_bytes());
        body[field::CAPACITY..][..2].copy_from_slice(&u16::to_le_bytes(capacity));
        assert_eq!(LeafView::new(&body, ID).is_ok(), fits, "{capacity} up to {end}");
    }
}

#[test]
fn pages_get_fingerprints_where_heads_tie() {
    let (ties, differ) = (urls(9), [b"a", b"b", b"c", b"d", b"e", b"f", b"g"]);
    let mut body = leaf_of(512, &ties.iter().map(|key| (key, b"v")).collect::<Vec<_>>());
    assert_eq!(body[0], kind::LEAF);
    // Behind the prefix that a layout takes out, their heads differ.
    assert_eq!(laid_out(&body, 0..9, true)[0], kind::LEAF);
    // With one that does not share it, they all tie.
    let mut leaf = LeafMut::new(&mut body, ID).unwrap();
    assert_eq!(leaf.insert_at(0, b"a", NewValue::Inline(b"v")).unwrap(), Fit::Done);
    assert_eq!(laid_out(&body, 0..10, true)[0], kind::LEAF_FINGERPRINT);
    assert_eq!(laid_out(&body, 0..10, false)[0], kind::LEAF, "not where they are not wanted");
    let few = leaf_of(512, &differ.map(|key| (key, b"v")));
    assert_eq!(laid_out(&few, 0..7, true)[0], kind::LEAF);
    // And back.
    let prints = prints_of(512, b"", &differ);
    assert_eq!(laid_out(&prints, 0..7, true)[0], kind::LEAF);
}

/// A leaf of fingerprints may hold more than one of heads.
#[test]
fn what_fits_with_fingerprints_only_keeps_them() {
    let keys: Vec<_> = (0..51u8).map(|n| [n]).collect();
    let body = prints_of(512, b"", &keys);
    let view = LeafView::new(&body, ID).unwrap();
    // 51 entries of a byte of key and a byte of value: 9 bytes each here, 12 there.
    assert!(view.used_bytes() <= 512 && 32 + 51 * 12 > 512);
    let content = LeafContent::of(view);
    for prints in [false, true] {
        assert_eq!(laid_out(&body, 0..51, prints)[0], kind::LEAF_FINGERPRINT);
        assert_eq!(laid_out(&body, 0..40, prints)[0], kind::LEAF, "480 bytes and the header fit");
        assert_eq!(laid_out(&body, 0..41, prints)[0], kind::LEAF_FINGERPRINT);
    }
    assert_eq!(content.page_bytes(0..51).unwrap(), view.used_bytes());
    // Beside a leaf of heads, it is counted by the smaller slots, and fits by them.
    let heads = leaf_of(512, &[([0xf0], b"v"), ([0xf1], b"v")]);
    let joined = LeafContent::join(view, LeafView::new(&heads, ID).unwrap());
    assert_eq!(joined.page_bytes(0..53).unwrap(), 32 + 1 + 53 * 9);
    let mut out = fresh(512);
    joined.fill(0..51, &mut out, false).unwrap();
    assert_eq!(out[0], kind::LEAF_FINGERPRINT);
    let at = joined.split_point().unwrap();
    joined.fill(0..at, &mut out, false).unwrap();
    assert_eq!(out[0], kind::LEAF);
}

#[test]
fn wrong_fingerprints_are_found_by_check() {
    let keys = urls(6);
    let sound = prints_of(512, b"https://", &keys);
    assert_eq!(sound[0], kind::LEAF_FINGERPRINT);
    LeafView::new(&sound, ID).unwrap().check().unwrap();
    for i in 0..6 {
        let mut body = sound.clone();
        body[24 + i] ^= 0x10;
        let view = LeafView::new(&body, ID).unwrap();
        assert_eq!(view.check(), Err(LAYOUT));
        assert_eq!(view.find(&keys[i]).unwrap(), None);
    }
    // Out of order: found by their fingerprints, and by the check.
    let mut body = sound;
    let capacity = usize::from(body[4]).next_multiple_of(2);
    for at in [24, 24 + capacity] {
        let width = if at == 24 { 1 } else { 2 };
        let (left, right) = body[at..at + 2 * width].split_at_mut(width);
        left.swap_with_slice(right);
    }
    let view = LeafView::new(&body, ID).unwrap();
    assert_eq!(view.find(&keys[0]).unwrap(), Some(1));
    assert_eq!(view.check(), Err(Error::corrupt(ID, Damage::Order)));
}

#[test]
fn a_prefix_of_the_page_is_compared_at_each_lookup() {
    let body = prints_of(512, b"prefix-", &["prefix-a", "prefix-b", "prefix-c"]);
    let leaf = LeafView::new(&body, ID).unwrap();
    assert_eq!(leaf.prefix(), b"prefix-");
    for (stranger, at) in [("prefiw-b", 0), ("prefiy-b", 3), ("prefix-", 0), ("pre", 0), ("q", 3)] {
        assert_eq!(leaf.find(stranger.as_bytes()).unwrap(), None, "{stranger}");
        assert_eq!(leaf.lower_bound(stranger.as_bytes()).unwrap(), (at, false), "{stranger}");
    }
    // Keys that are beginnings of others, and zeros at their ends.
    let body = prints_of(512, b"", &["", "\0", "\0\0", "a", "a\0", "a\0\0"]);
    let leaf = LeafView::new(&body, ID).unwrap();
    for (i, key) in ["", "\0", "\0\0", "a", "a\0", "a\0\0"].iter().enumerate() {
        assert_eq!(leaf.lower_bound(key.as_bytes()).unwrap(), (i, true));
        assert_eq!(leaf.find(key.as_bytes()).unwrap(), Some(i));
    }
    assert_eq!(leaf.lower_bound(b"a\0\0\0").unwrap(), (6, false));
}
