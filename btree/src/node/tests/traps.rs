//! The traps of this layout, one test each.

use super::super::layout::field;
use super::*;
use crate::error::Error;
use mapleaf_pager::{PAGE_SIZE_MIN, kind};

fn put_u16(body: &mut [u8], at: usize, number: u16) {
    body[at..at + 2].copy_from_slice(&number.to_le_bytes());
}

#[test]
fn a_data_driven_prefix_is_compared_at_each_lookup() {
    let leaf = rebuilt(&leaf_of(512, &[("prefix-a", "1"), ("prefix-b", "2"), ("prefix-c", "3")]));
    let leaf = LeafView::new(&leaf, ID).unwrap();
    assert_eq!(leaf.prefix(), b"prefix-");
    // The same length and tail, but another prefix; the prefix itself; shorter than it.
    for (stranger, at) in [("prefiw-b", 0), ("prefiy-b", 3), ("prefix-", 0), ("pre", 0), ("q", 3)] {
        assert_eq!(leaf.find(stranger.as_bytes()).unwrap(), None, "{stranger}");
        assert_eq!(leaf.lower_bound(stranger.as_bytes()).unwrap(), (at, false), "{stranger}");
    }
    assert_eq!(leaf.lower_bound(b"prefix-b").unwrap(), (1, true));

    let inner = rebuilt_inner(&inner_of(512, &["prefix-a", "prefix-b", "prefix-c"]));
    let inner = InnerView::new(&inner, ID).unwrap();
    assert_eq!(inner.prefix(), b"prefix-");
    for (stranger, child) in [("prefiw-b", 0), ("prefiy-b", 3), ("prefix-", 0), ("p", 0), ("q", 3)]
    {
        assert_eq!(inner.search(stranger.as_bytes()).unwrap(), child, "{stranger}");
    }
    assert_eq!(inner.search(b"prefix-b").unwrap(), 2);
}

#[test]
fn a_prefix_that_shrinks_may_make_the_page_too_small() {
    let prefix = [b'p'; 80];
    let keys: Vec<Vec<u8>> = (0..20u8).map(|n| [&prefix[..], &[n]].concat()).collect();
    let mut body = fresh(PAGE_SIZE_MIN);
    let mut leaf = LeafMut::init(&mut body, ID, &prefix).unwrap();
    for (i, key) in keys.iter().enumerate() {
        assert_eq!(leaf.insert_at(i, key, NewValue::Inline(b"v")).unwrap(), Fit::Done);
    }
    for (stranger, at) in [(&b"a"[..], 0), (&b"z"[..], keys.len())] {
        let before = body.clone();
        let mut leaf = LeafMut::new(&mut body, ID).unwrap();
        // 20 keys of 81 bytes: with the prefix they fit, without it not in twice the page.
        assert_eq!(leaf.insert_at(at, stranger, NewValue::Inline(b"")).unwrap(), Fit::Split);
        assert_eq!(body, before, "nothing changed");
        let view = LeafView::new(&body, ID).unwrap();
        let content = LeafContent::of(view).insert(at, stranger, NewValue::Inline(b""));
        let fits = |range| content.page_bytes(range).unwrap() <= PAGE_SIZE_MIN;
        let mut fitting =
            (1..content.len()).filter(|cut| fits(0..*cut) && fits(*cut..content.len()));
        // The cut nearest to the middle of those that fit, which are all beside the stranger.
        let nearest = if at == 0 { fitting.next_back() } else { fitting.next() };
        assert_eq!(content.split_point().ok(), nearest);
    }
    // Fewer of them fit without the prefix, but not in place.
    let few = rebuilt(&leaf_of(PAGE_SIZE_MIN, &[(&keys[0], "v"), (&keys[1], "v")]));
    let mut few = few;
    let mut leaf = LeafMut::new(&mut few, ID).unwrap();
    assert_eq!(leaf.insert_at(2, b"z", NewValue::Inline(b"")).unwrap(), Fit::Rebuild);
    // Emptied, it has no prefix left to shrink.
    leaf.remove_at(0).unwrap();
    leaf.remove_at(0).unwrap();
    assert_eq!(leaf.insert_at(0, b"z", NewValue::Inline(b"")).unwrap(), Fit::Done);
    assert_eq!(leaf.view().lower_bound(b"z").unwrap(), (0, true));
}

#[test]
fn zero_padded_heads_tie() {
    let keys: [&[u8]; 12] = [
        b"",
        b"\0",
        b"\0\0",
        b"\0\0\0\0",
        b"\0\0\0\0\0",
        b"a",
        b"a\0",
        b"a\0\0",
        b"a\0\0\0",
        b"a\0\0\0\0",
        b"a\0\0\0\x01",
        b"b",
    ];
    // Each subset, so that each key is looked for among those of its head that are there.
    for subset in 0u32..1 << keys.len() {
        let there: Vec<&[u8]> =
            (0..keys.len()).filter(|i| subset & (1 << i) != 0).map(|i| keys[i]).collect();
        let entries: Vec<_> = there.iter().map(|key| (key, [there.len() as u8])).collect();
        let (leaf, inner) = (leaf_of(512, &entries), inner_of(512, &there));
        let leaf = LeafView::new(&leaf, ID).unwrap();
        let inner = InnerView::new(&inner, ID).unwrap();
        leaf.check().unwrap();
        inner.check().unwrap();
        for key in keys {
            let at = there.iter().filter(|other| **other < key).count();
            let found = there.contains(&key);
            assert_eq!(leaf.lower_bound(key).unwrap(), (at, found));
            assert_eq!(leaf.find(key).unwrap(), found.then_some(at));
            assert_eq!(inner.search(key).unwrap(), at + usize::from(found));
        }
    }
}

#[test]
fn heads_at_their_maximum_have_an_upper_bound() {
    let keys: Vec<Vec<u8>> = (1..=8).map(|len| vec![0xff; len]).collect();
    let entries: Vec<_> = keys.iter().map(|key| (key, "")).collect();
    let (leaf, inner) = (leaf_of(512, &entries), inner_of(512, &keys));
    for (i, key) in keys.iter().enumerate() {
        let view = LeafView::new(&leaf, ID).unwrap();
        assert_eq!(view.lower_bound(key).unwrap(), (i, true));
        assert_eq!(view.find(key).unwrap(), Some(i));
        assert_eq!(InnerView::new(&inner, ID).unwrap().search(key).unwrap(), i + 1);
    }
    let beyond = [0xff; 9];
    assert_eq!(LeafView::new(&leaf, ID).unwrap().lower_bound(&beyond).unwrap(), (8, false));
    assert_eq!(InnerView::new(&inner, ID).unwrap().search(&beyond).unwrap(), 8);
}

#[test]
fn loads_do_not_pass_the_page() {
    // A prefix that leaves 46 bytes behind it: less than a block of heads. Entries at both ends.
    let mut body = vec![0; PAGE_SIZE_MIN - OWNED_BYTES];
    body[field::KIND] = kind::LEAF;
    let prefix_len = 432;
    let arrays = 16 + prefix_len;
    let heap = body.len() - 8;
    put_u16(&mut body, field::COUNT, 2);
    put_u16(&mut body, field::CAPACITY, 6);
    put_u16(&mut body, field::PREFIX_LEN, prefix_len as u16);
    put_u16(&mut body, field::HEAP_START, (heap + OWNED_BYTES) as u16);
    put_u16(&mut body, arrays + 24, (heap + OWNED_BYTES) as u16);
    put_u16(&mut body, arrays + 26, (heap + 4 + OWNED_BYTES) as u16);
    // Two empty keys: no tree makes them, but both are looked at.
    let view = LeafView::new(&body, ID).unwrap();
    assert_eq!(view.find(&vec![0; prefix_len]).unwrap(), Some(0));
    assert_eq!(view.find(&vec![0; prefix_len + 1]).unwrap(), None);
    assert_eq!(view.check(), Err(Error::corrupt(ID, Damage::Order)));
}

#[test]
fn hostile_counts_and_offsets_are_layout_damage() {
    let leaf = leaf_of(512, &[("one", "1"), ("two", "2")]);
    let inner = inner_of(512, &["one-long-separator", "two-long-separator"]);
    let fields: [(usize, &[u16]); 4] = [
        (field::COUNT, &[u16::MAX, 100]),
        (field::CAPACITY, &[1, 0, u16::MAX, 100]),
        (field::PREFIX_LEN, &[u16::MAX, 490, 480]),
        (field::HEAP_START, &[0, 1, 15, 16, 31, 32, 513, u16::MAX]),
    ];
    for (at, numbers) in fields {
        for number in numbers {
            let (mut bad_leaf, mut bad_inner) = (leaf.clone(), inner.clone());
            put_u16(&mut bad_leaf, at, *number);
            put_u16(&mut bad_inner, at, *number);
            assert_eq!(LeafView::new(&bad_leaf, ID).err(), Some(LAYOUT), "{at} {number}");
            assert_eq!(InnerView::new(&bad_inner, ID).err(), Some(LAYOUT), "{at} {number}");
            assert_eq!(LeafMut::new(&mut bad_leaf, ID).err(), Some(LAYOUT));
            assert_eq!(InnerMut::new(&mut bad_inner, ID).err(), Some(LAYOUT));
        }
    }
    // Offsets: into the pager's bytes, header, arrays; past the end; so near it that nothing fits.
    for offset in [5, 15, 16, 40, 510, 511, 512, 60_000, u16::MAX] {
        let (mut bad_leaf, mut bad_inner) = (leaf.clone(), inner.clone());
        let capacity = |body: &[u8]| usize::from(u16::from_le_bytes([body[4], body[5]]));
        let (leaf_at, inner_at) = (16 + 4 * capacity(&leaf), 16 + 8 * capacity(&inner));
        put_u16(&mut bad_leaf, leaf_at, offset);
        put_u16(&mut bad_inner, inner_at, offset);
        let view = LeafView::new(&bad_leaf, ID).unwrap();
        assert_eq!(view.key(0).err(), Some(LAYOUT), "{offset}");
        assert_eq!(view.find(b"one"), Err(LAYOUT));
        assert_eq!(view.lower_bound(b"one"), Err(LAYOUT));
        assert_eq!(view.find(b"two"), Ok(Some(1)), "the other cell is sound");
        assert_eq!(view.check(), Err(LAYOUT));
        let view = InnerView::new(&bad_inner, ID).unwrap();
        assert_eq!(view.separator(0).err(), Some(LAYOUT), "{offset}");
        assert_eq!(view.search(b"one-x"), Err(LAYOUT));
        assert_eq!(view.check(), Err(LAYOUT));
    }
}

#[test]
fn cells_below_the_heap_are_layout_damage() {
    let mut leaf = leaf_of(512, &[("one", "1")]);
    let mut inner = inner_of(512, &["one-long-separator"]);
    // In the gap, where the bytes are a sound cell: an empty key and value; a separator of 5 bytes.
    leaf[460..464].fill(0);
    put_u16(&mut inner, 460, 5);
    let capacity = |body: &[u8]| usize::from(u16::from_le_bytes([body[4], body[5]]));
    let (leaf_at, inner_at) = (16 + 4 * capacity(&leaf), 16 + 8 * capacity(&inner));
    put_u16(&mut leaf, leaf_at, 460 + 16);
    put_u16(&mut inner, inner_at, 460 + 16);
    assert_eq!(LeafView::new(&leaf, ID).unwrap().key(0).err(), Some(LAYOUT));
    assert_eq!(LeafMut::new(&mut leaf, ID).unwrap().remove_at(0), Err(LAYOUT));
    assert_eq!(InnerView::new(&inner, ID).unwrap().separator(0).err(), Some(LAYOUT));
    assert_eq!(InnerMut::new(&mut inner, ID).unwrap().remove(0, 1), Err(LAYOUT));
}

#[test]
fn other_kinds_and_unknown_flags_are_refused() {
    let (mut leaf, mut inner) = (leaf_of(512, &[("k", "v")]), inner_of(512, &["k"]));
    assert_eq!(LeafView::new(&inner, ID).err(), Some(Error::corrupt(ID, Damage::Kind)));
    assert_eq!(InnerView::new(&leaf, ID).err(), Some(Error::corrupt(ID, Damage::Kind)));
    for flag in 0..8 {
        leaf[field::FLAGS] = 1 << flag;
        inner[field::FLAGS] = 1 << flag;
        assert_eq!(LeafView::new(&leaf, ID).err(), Some(LAYOUT));
        assert_eq!(InnerView::new(&inner, ID).err(), Some(LAYOUT));
    }
}

#[test]
fn a_page_of_64_kib_stores_its_end_as_0() {
    let mut body = fresh(65_536);
    let mut leaf = LeafMut::init(&mut body, ID, &[]).unwrap();
    assert_eq!(leaf.view().used_bytes(), 32);
    let longest = vec![3; max_inline_value(65_536, 3)];
    assert_eq!(leaf.insert_at(0, b"key", NewValue::Inline(&longest)).unwrap(), Fit::Done);
    assert_eq!(leaf.view().value(0).unwrap(), Value::Inline(&longest));
    leaf.remove_at(0).unwrap();
    assert_eq!(body[field::HEAP_START..][..2], [0, 0]);
    LeafView::new(&body, ID).unwrap().check().unwrap();

    let inner = inner_of::<&[u8]>(65_536, &[]);
    assert_eq!(inner[field::HEAP_START..][..2], [0, 0]);
    assert_eq!(InnerView::new(&inner, ID).unwrap().search(b"any").unwrap(), 0);

    // On a smaller page 0 is past the end.
    let mut small = leaf_of::<&[u8], &[u8]>(32_768, &[]);
    put_u16(&mut small, field::HEAP_START, 0);
    assert_eq!(LeafView::new(&small, ID).err(), Some(LAYOUT));
}

#[test]
fn the_bytes_of_a_leaf_are_those_of_the_format() {
    let mut body = vec![0; 496];
    let mut leaf = LeafMut::init(&mut body, ID, b"").unwrap();
    let run = NewValue::Run { page: PageId(0x0102_0304), len_bytes: 5 };
    assert_eq!(leaf.insert_at(0, b"prefix", run).unwrap(), Fit::Done);
    assert_eq!(leaf.insert_at(0, b"pr", NewValue::Inline(b"val")).unwrap(), Fit::Done);
    let capacity = usize::from(body[4]);
    // Kind, flags, count, capacity, prefix_len, heap_start 477, garbage, first child.
    assert_eq!(body[..4], [2, 0, 2, 0]);
    assert_eq!(body[6..16], [0, 0, 221, 1, 0, 0, 0, 0, 0, 0]);
    // Heads: big-endian numbers, stored little-endian; offsets from the page's start.
    assert_eq!(body[16..24], *b"\0\0rpferp");
    assert_eq!(body[16 + 4 * capacity..][..4], [221, 1, 230, 1]);
    assert_eq!(body[461..470], *b"\x02\0\x03\0prval");
    assert_eq!(body[470..], *b"\x06\0\xff\xffprefix\x04\x03\x02\x01\0\0\0\0\x05\0\0\0\0\0\0\0");
}

#[test]
fn a_prefix_of_one_byte_is_taken_out() {
    // Keys of text have few bits a byte: without it, few of their heads would differ.
    let keys: Vec<_> = (0..20).map(|n| [b'k', b'0', b'0', b'0' + n / 10, b'0' + n % 10]).collect();
    let entries: Vec<_> = keys.iter().map(|key| (*key, [7; 9])).collect();
    let body = rebuilt(&leaf_of(4096, &entries));
    let leaf = LeafView::new(&body, ID).unwrap();
    assert_eq!(leaf.prefix(), b"k00");
    let short = rebuilt(&leaf_of(4096, &[("ab", "1"), ("ac", "2")]));
    assert_eq!(LeafView::new(&short, ID).unwrap().prefix(), b"a");
    for key in &keys {
        assert!(leaf.find(key).unwrap().is_some());
    }
    assert_eq!(leaf.find(b"k").unwrap(), None);
    assert_eq!(leaf.lower_bound(b"j").unwrap(), (0, false));
    assert_eq!(leaf.lower_bound(b"k001").unwrap(), (10, false));
}

#[test]
fn the_bytes_of_an_inner_page_are_those_of_the_format() {
    let mut body = inner_of(512, &["share-abc", "share-bcdef"]);
    body = rebuilt_inner(&body);
    let capacity = usize::from(body[4]);
    assert_eq!(body[..4], [1, 0, 2, 0]);
    // prefix_len 6, heap_start 505, garbage 0, first child 1000; the prefix, padded to 8.
    assert_eq!(body[6..24], *b"\x06\0\xf9\x01\0\0\xe8\x03\0\0share-\0\0");
    assert_eq!(body[24..32], *b"\0cbaedcb");
    assert_eq!(body[24 + 4 * capacity..][..8], [0xe9, 3, 0, 0, 0xea, 3, 0, 0]);
    assert_eq!(body[24 + 8 * capacity..][..4], [3, 0, 249, 1]);
    assert_eq!(body[489..], *b"\x05\0bcdef");
}
