//! Room on a page: what fits, how arrays and heap share it, where a split cuts; what is refused; what
//! `check` finds.

use super::super::layout::field;
use super::*;

#[test]
fn what_is_no_place_on_the_page_changes_nothing() {
    let (mut leaf, mut inner) = (leaf_of(512, &[("one", "1")]), inner_of(512, &["one"]));
    let before = (leaf.clone(), inner.clone());
    let mut leaf_mut = LeafMut::new(&mut leaf, ID).unwrap();
    assert!(leaf_mut.insert_at(2, b"two", NewValue::Inline(&[0; 90])).is_err());
    assert!(leaf_mut.replace_at(1, NewValue::Inline(b"2")).is_err());
    assert!(leaf_mut.remove_at(1).is_err());
    assert!(leaf_mut.value_mut(1).is_err());
    let mut inner_mut = InnerMut::new(&mut inner, ID).unwrap();
    assert!(inner_mut.insert(2, Key::from(&[b'z'; 90][..]), ID).is_err());
    assert!(inner_mut.set_separator(1, Key::from(&b"two"[..])).is_err());
    assert!(inner_mut.set_child(2, ID).is_err());
    assert!(inner_mut.remove(0, 2).is_err() && inner_mut.remove(1, 1).is_err());
    assert_eq!((leaf, inner), before);
}

#[test]
fn arrays_and_heap_run_full_together() {
    let mut body = fresh(4096);
    let mut leaf = LeafMut::init(&mut body, ID, &[]).unwrap();
    let mut entries = 0;
    let mut capacity_first = 0;
    while leaf
        .insert_at(entries, &(entries as u32).to_be_bytes(), NewValue::Inline(&[0; 36]))
        .unwrap()
        == Fit::Done
    {
        entries += 1;
        if entries == 1 {
            capacity_first = leaf.view().capacity();
        }
    }
    // 6 bytes of slot, 4 of lengths, 4 of key, 36 of value: 81 fit; the first insert saw that.
    assert_eq!((entries, capacity_first), (81, 81));
}

#[test]
fn a_rebuild_that_would_leave_no_room_is_a_split() {
    // Full to the last bytes, in entries of 50 bytes; then one of them dead.
    let entries: Vec<_> = (0..81u32).map(|n| (n.to_be_bytes(), [0; 36])).collect();
    let mut body = leaf_of(4096, &entries);
    let mut leaf = LeafMut::new(&mut body, ID).unwrap();
    leaf.remove_at(7).unwrap();
    assert_eq!(leaf.view().used_bytes(), 32 + 80 * 50);
    // Its place would do, but the next insert would find no room again.
    assert_eq!(leaf.insert_at(0, b"", NewValue::Inline(&[0; 36])).unwrap(), Fit::Split);
    for _ in 0..4 {
        leaf.remove_at(7).unwrap();
    }
    assert_eq!(leaf.insert_at(0, b"", NewValue::Inline(&[0; 36])).unwrap(), Fit::Rebuild);
}

#[test]
fn a_split_is_by_bytes() {
    // Small entries before large ones: the middle of the bytes is not that of the count.
    let sizes = [[4; 40].as_slice(), &[100; 6]].concat();
    let entries: Vec<_> =
        sizes.iter().enumerate().map(|(n, len)| ([n as u8], vec![0; *len])).collect();
    let body = leaf_of(2048, &entries);
    let content = LeafContent::of(LeafView::new(&body, ID).unwrap());
    let at = content.split_point().unwrap();
    let side = |range| content.page_bytes(range).unwrap();
    assert!(side(0..at).abs_diff(side(at..content.len())) <= 111, "{at}");

    let separators: Vec<Vec<u8>> = (0..60u8).map(|n| vec![n; 1 + usize::from(n) / 3]).collect();
    let body = inner_of(2048, &separators);
    let content = InnerContent::of(InnerView::new(&body, ID).unwrap());
    let at = content.split_point().unwrap();
    let side = |range| content.page_bytes(range).unwrap();
    assert!(side(0..at).abs_diff(side(at..content.children())) <= 2 * 32, "{at}");
}

#[test]
fn each_side_of_a_split_inner_page_has_a_separator() {
    // The one large separator is the last: the bytes' middle is beside it.
    let separators = [&[b'a'; 1][..], &[b'b'; 1], &[b'c'; 90], &[b'd'; 94]];
    let body = inner_of(512, &separators);
    let content = InnerContent::of(InnerView::new(&body, ID).unwrap());
    assert_eq!(content.split_point().unwrap(), 3);
    let few = inner_of(512, &separators[..2]);
    let few = InnerContent::of(InnerView::new(&few, ID).unwrap());
    assert_eq!(few.split_point(), Err(LAYOUT));
}

#[test]
fn four_of_the_largest_fit_in_every_page_size() {
    for shift in 9..=16 {
        let page_size = 1 << shift;
        let len = max_key_len(page_size);
        assert!(len >= page_size / 4 - 34);
        assert_eq!(max_inline_value(page_size, len), 16, "what a run reference takes");
        // Different from the first byte on: no prefix helps.
        let keys: Vec<Vec<u8>> = (0..4).map(|n| vec![n; len]).collect();
        let mut body = fresh(page_size);
        let mut leaf = LeafMut::init(&mut body, ID, &[]).unwrap();
        for (i, key) in keys.iter().enumerate() {
            let value = NewValue::Run { page: PageId(9), len_bytes: u64::MAX };
            assert_eq!(leaf.insert_at(i, key, value).unwrap(), Fit::Done);
        }
        leaf.view().check().unwrap();
        InnerView::new(&inner_of(page_size, &keys), ID).unwrap().check().unwrap();

        let too_long = vec![0; len + 1];
        let refused = leaf.insert_at(0, &too_long, NewValue::Inline(b""));
        assert_eq!(refused, Err(Error::KeyTooLong { limit_bytes: len }));
        let too_long = vec![0; max_inline_value(page_size, 0) + 1];
        assert_eq!(leaf.insert_at(0, b"", NewValue::Inline(&too_long)), Err(INVALID));
        assert_eq!(leaf.insert_at(5, b"", NewValue::Inline(b"")), Err(INVALID));
    }
}

#[test]
fn short_separators_have_no_cell() {
    let body = inner_of(512, &["", "a", "ab", "abc", "abcd"]);
    let view = InnerView::new(&body, ID).unwrap();
    assert_eq!(view.used_bytes(), 32 + 5 * 10);
    assert_eq!(view.separator(2).unwrap().key(), "ab");
    assert_eq!(view.separator(0).unwrap().key(), "");
    let body = inner_of(512, &["abcde"]);
    assert_eq!(InnerView::new(&body, ID).unwrap().used_bytes(), 32 + 10 + 2 + 5);
}

#[test]
fn a_page_laid_out_anew_has_room_in_its_arrays() {
    let entries: Vec<_> = (0..40u32).map(|n| ((n << 26).to_be_bytes(), [0; 36])).collect();
    let body = rebuilt(&leaf_of(4096, &entries));
    assert_eq!(LeafView::new(&body, ID).unwrap().capacity(), 81);
    // Laid out as the first of them are, from the lowest address on, for scans.
    let first = leaf_of(4096, &entries[..1]);
    let heap = usize::from(u16::from_le_bytes([body[8], body[9]])) - OWNED_BYTES;
    assert_eq!(body[heap..][..44], first[4096 - OWNED_BYTES - 44..]);
}

#[test]
fn references_to_runs_are_checked() {
    let mut body = fresh(512);
    let mut leaf = LeafMut::init(&mut body, ID, &[]).unwrap();
    let none = NewValue::Run { page: PageId::NONE, len_bytes: 1 };
    assert_eq!(leaf.insert_at(0, b"key", none), Err(INVALID));
    let run = NewValue::Run { page: PageId(3), len_bytes: 1 << 40 };
    assert_eq!(leaf.insert_at(0, b"key", run).unwrap(), Fit::Done);
    assert_eq!(leaf.value_mut(0), Err(LAYOUT), "no bytes of it lie here");
    fn value(body: &[u8]) -> crate::Result<Option<Value<'_>>> {
        LeafView::new(body, ID).unwrap().get(b"key")
    }
    assert_eq!(value(&body), Ok(Some(Value::Run { page: PageId(3), len_bytes: 1 << 40 })));
    let reference = 496 - 16;
    for (at, byte) in [(0, 0), (4, 1), (7, 0x80)] {
        let mut bad = body.clone();
        bad[reference + at] = byte;
        assert_eq!(value(&bad), Err(LAYOUT));
        assert_eq!(LeafView::new(&bad, ID).unwrap().check(), Err(LAYOUT));
        assert_eq!(LeafView::new(&bad, ID).unwrap().find(b"key"), Ok(Some(0)));
    }
}

#[test]
fn a_prefix_longer_than_a_key_is_refused() {
    let prefix = vec![1; max_key_len(512) + 1];
    let mut body = fresh(512);
    assert_eq!(LeafMut::init(&mut body, ID, &prefix).err(), Some(INVALID));
    assert_eq!(InnerMut::init(&mut body, ID, ID, &prefix).err(), Some(INVALID));
    assert!(LeafMut::init(&mut body, ID, &prefix[1..]).is_ok());
}

#[test]
fn check_finds_wrong_order_heads_and_sums() {
    let order = Err(Error::corrupt(ID, Damage::Order));
    let leaf = leaf_of(512, &[("aaaaa", ""), ("aaaab", "")]);
    let inner = inner_of(512, &["aaaaa", "aaaab"]);
    let check_leaf = |body: &[u8]| LeafView::new(body, ID).unwrap().check();
    let check_inner = |body: &[u8]| InnerView::new(body, ID).unwrap().check();
    assert_eq!((check_leaf(&leaf), check_inner(&inner)), (Ok(()), Ok(())));
    // The last byte of the body is that of the first key: as large as the second's, or larger.
    for byte in [b'b', b'c'] {
        let (mut leaf, mut inner) = (leaf.clone(), inner.clone());
        leaf[495] = byte;
        inner[495] = byte;
        assert_eq!((check_leaf(&leaf), check_inner(&inner)), (order, order));
    }
    // A head that is not its key's; dead bytes that are none.
    for at in [16, field::GARBAGE] {
        let (mut leaf, mut inner) = (leaf.clone(), inner.clone());
        leaf[at] ^= 1;
        inner[at] ^= 1;
        assert_eq!((check_leaf(&leaf), check_inner(&inner)), (Err(LAYOUT), Err(LAYOUT)));
    }
    // A separator short enough to have no cell, in one.
    let mut inner = inner_of(512, &["aaaaa"]);
    inner[489] = 4;
    inner[field::GARBAGE] = 1;
    assert_eq!(check_inner(&inner), Err(LAYOUT));
}
