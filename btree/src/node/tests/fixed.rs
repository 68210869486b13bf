//! Leaves of fixed width against lists, and every number of their header wrong.

use super::*;
use crate::FixedWidth;
use quickcheck::quickcheck;

/// Widths that are searched in ways of their own.
pub(super) const WIDTHS: [FixedWidth; 7] = [
    FixedWidth { key_bytes: 8, value_bytes: 8 },
    FixedWidth { key_bytes: 4, value_bytes: 1 },
    FixedWidth { key_bytes: 16, value_bytes: 0 },
    FixedWidth { key_bytes: 1, value_bytes: 2 },
    FixedWidth { key_bytes: 3, value_bytes: 0 },
    FixedWidth { key_bytes: 11, value_bytes: 20 },
    FixedWidth { key_bytes: 60, value_bytes: 40 },
];

/// Key `n` of this width: in the order of the numbers below 256; neighbours often start alike.
fn fixed_key(width: FixedWidth, n: usize) -> Vec<u8> {
    let mut key = vec![b'k'; usize::from(width.key_bytes)];
    let at = if n % 256 < 128 { 0 } else { key.len() - 1 };
    if at == 0 {
        key.fill(0);
    }
    if let Some(byte) = key.get_mut(at) {
        *byte = (n % 256) as u8;
    }
    key
}

/// A leaf of fixed width with the first `count` of [`fixed_key`]s that are different.
pub(super) fn fixed_of(page_size: usize, width: FixedWidth, count: usize) -> Vec<u8> {
    let mut body = fresh(page_size);
    LeafMut::init_fixed(&mut body, ID, width).unwrap();
    for n in 0..count {
        let (key, mut leaf) = (fixed_key(width, n), LeafMut::new(&mut body, ID).unwrap());
        let (i, found) = leaf.view().lower_bound(&key).unwrap();
        let value = vec![n as u8; usize::from(width.value_bytes)];
        if !found && leaf.view().count() < leaf.view().capacity() {
            let fit = leaf.insert_at(i, &key, NewValue::Inline(&value)).unwrap();
            assert_eq!(fit, Fit::Done);
        }
    }
    body
}

type Entries = Vec<(Vec<u8>, Vec<u8>)>;

fn entries_of(leaf: LeafView<'_>) -> Entries {
    let entry = |i| {
        let (key, value) = leaf.entry(i).unwrap();
        let Value::Inline(value) = value else { panic!("a run") };
        assert_eq!(leaf.value(i), Ok(Value::Inline(value)));
        assert_eq!(bytes_of(leaf.key(i).unwrap()), bytes_of(key));
        (bytes_of(key), value.to_vec())
    };
    (0..leaf.count()).map(entry).collect()
}

/// Every lookup there is, by keys of every length.
fn lookups_are_naive(leaf: LeafView<'_>, probe: &[u8]) {
    let entries = entries_of(leaf);
    let keys = entries.iter().map(|(key, _)| key.clone());
    let around = |key: Vec<u8>| {
        let (mut above, mut below) = (key.clone(), key.clone());
        *above.last_mut().unwrap() ^= 1;
        below.pop();
        [key.clone(), above, below, [&key[..], b"\0"].concat()]
    };
    for key in keys.flat_map(around).chain([probe.to_vec(), Vec::new()]) {
        let index = entries.iter().filter(|(other, _)| *other < key).count();
        let found = entries.get(index).filter(|(other, _)| *other == key);
        assert_eq!(leaf.lower_bound(&key), Ok((index, found.is_some())), "{key:?}");
        assert_eq!(leaf.find(&key), Ok(found.map(|_| index)));
        assert_eq!(leaf.get(&key), Ok(found.map(|(_, value)| Value::Inline(value))));
        // Of keys in blocks the lines are asked for instead, which shows nowhere.
        let in_blocks = [4, 8, 16].contains(&leaf.width().unwrap().key_bytes);
        assert_eq!(leaf.place_of(&key).is_some(), found.is_some() && !in_blocks);
    }
}

quickcheck! {
    fn changes_do_what_a_list_does(of: u8, steps: Vec<(u8, u8)>, probe: Vec<u8>) -> bool {
        let width = WIDTHS[usize::from(of) % WIDTHS.len()];
        let mut body = fresh(512);
        let mut list = Entries::new();
        LeafMut::init_fixed(&mut body, ID, width).unwrap();
        for (stamp, (kind, n)) in steps.into_iter().enumerate() {
            let (key, value) = (fixed_key(width, usize::from(n)), vec![stamp as u8; usize::from(width.value_bytes)]);
            let mut leaf = LeafMut::new(&mut body, ID).unwrap();
            let (i, found) = leaf.view().lower_bound(&key).unwrap();
            match (kind % 4, found) {
                (0 | 1, false) => {
                    let full = list.len() == leaf.view().capacity();
                    let fit = leaf.insert_at(i, &key, NewValue::Inline(&value)).unwrap();
                    assert_eq!(fit, if full { Fit::Split } else { Fit::Done });
                    if !full {
                        list.insert(i, (key, value));
                    }
                }
                (2, true) => {
                    leaf.remove_at(i).unwrap();
                    list.remove(i);
                }
                (3, true) => {
                    leaf.value_mut(i).unwrap().copy_from_slice(&value);
                    list[i].1 = value;
                }
                (_, true) => {
                    assert_eq!(leaf.replace_at(i, NewValue::Inline(&value)), Ok(Fit::Done));
                    list[i].1 = value;
                }
                (_, false) => assert!(leaf.remove_at(list.len()).is_err()),
            }
            let view = LeafView::new(&body, ID).unwrap();
            view.check().unwrap();
            assert_eq!(view.used_bytes(), 32 + width.array_bytes(list.len()));
        }
        let view = LeafView::new(&body, ID).unwrap();
        lookups_are_naive(view, &probe);
        entries_of(view) == list
    }

    /// Of one page and of two, with a change, cut anywhere.
    fn laid_out_anew_they_are_the_same(of: u8, counts: (u8, u8), at: u8, n: u8) -> bool {
        let width = WIDTHS[usize::from(of) % WIDTHS.len()];
        let bodies = [counts.0, counts.1].map(|count| fixed_of(512, width, usize::from(count) % 40));
        let [left, right] = bodies.each_ref().map(|body| LeafView::new(body, ID).unwrap());
        let (key, value) = (fixed_key(width, usize::from(n)), vec![7; usize::from(width.value_bytes)]);
        let content = LeafContent::of(left);
        let i = usize::from(at) % (left.count() + 1);
        let mut list = entries_of(left);
        list.insert(i, (key.clone(), value.clone()));
        let inserted = content.insert(i, &key, NewValue::Inline(&value));
        let joined = LeafContent::join(left, right);
        let both = [entries_of(left), entries_of(right)].concat();
        [(content, entries_of(left)), (inserted, list), (joined, both)].iter().all(|(content, list)| {
            assert_eq!(content.len(), list.len());
            let most = width.capacity(512);
            let cut = if list.len() < 2 { list.len() } else { content.split_point().unwrap() };
            [0..cut, cut..list.len(), 0..list.len()].into_iter().all(|range| {
                let mut out = fresh(512);
                let filled = content.fill(range.clone(), &mut out, true);
                let bytes = content.page_bytes(range.clone()).unwrap();
                assert_eq!(bytes <= 512, range.len() <= most);
                match filled {
                    Ok(()) => entries_of(LeafView::new(&out, ID).unwrap()) == list[range],
                    Err(error) => error == LAYOUT && range.len() > most,
                }
            })
        })
    }
}

#[test]
fn other_sizes_are_refused() {
    for width in WIDTHS {
        let (mut body, wrong) = (fixed_of(512, width, 3), Error::WrongWidth { width });
        let before = body.clone();
        let (key, value) = (fixed_key(width, 200), vec![1; usize::from(width.value_bytes)]);
        let long = [&value[..], b"x"].concat();
        let mut leaf = LeafMut::new(&mut body, ID).unwrap();
        let end = leaf.view().count();
        for (key, value) in [
            (&key[1..], NewValue::Inline(&value)),
            (&key, NewValue::Inline(&long)),
            (&key, NewValue::Reserved(long.len())),
            (&key, NewValue::Run { page: ID, len_bytes: 9 }),
        ] {
            assert_eq!(leaf.insert_at(end, key, value), Err(wrong));
        }
        assert_eq!(leaf.replace_at(0, NewValue::Inline(&long)), Err(wrong));
        assert_eq!(leaf.insert_at(end + 1, &key, NewValue::Inline(&value)), Err(INVALID));
        assert_eq!(body, before);
    }
}

#[test]
fn headers_that_contradict_themselves_are_refused() {
    let width = WIDTHS[0];
    let sound = fixed_of(512, width, 20);
    let refused = |at: usize, number: u16| {
        let mut body = sound.clone();
        body[at..at + 2].copy_from_slice(&number.to_le_bytes());
        LeafView::new(&body, ID).err()
    };
    let capacity = width.capacity(512) as u16;
    assert_eq!((capacity, refused(4, capacity)), (30, None));
    // Count, capacity, prefix, heap, garbage, sizes: those in the docs of node/fixed.rs.
    for (at, number) in [
        (2, capacity + 1),
        (2, u16::MAX),
        (4, capacity + 1),
        (4, 19),
        (4, u16::MAX),
        (6, 4),
        (8, 0),
        (8, 511),
        (10, 1),
        (12, 0),
        (12, 9),
        (12, u16::MAX),
        (14, 9),
        (14, u16::MAX),
    ] {
        assert_eq!(refused(at, number), Some(LAYOUT), "{at}: {number}");
    }
    assert_eq!(refused(0, 0x0104), Some(LAYOUT), "flags");
    assert_eq!(refused(0, 0), Some(Error::corrupt(ID, Damage::Kind)));
    // Of the largest pages the size is stored as 0.
    let large = fixed_of(65_536, width, 20);
    assert_eq!(large[8..10], [0, 0]);
    LeafView::new(&large, ID).unwrap().check().unwrap();
}

#[test]
fn keys_out_of_order_are_found_by_the_check() {
    for width in WIDTHS {
        let body = fixed_of(512, width, 4);
        let len = usize::from(width.key_bytes);
        let mut swapped = body.clone();
        let (low, high) = swapped[16..16 + 2 * len].split_at_mut(len);
        low.swap_with_slice(high);
        let order = Err(Error::corrupt(ID, Damage::Order));
        assert_eq!(LeafView::new(&swapped, ID).unwrap().check(), order);
        let mut same = body;
        same.copy_within(16..16 + len, 16 + len);
        assert_eq!(LeafView::new(&same, ID).unwrap().check(), order);
    }
}
