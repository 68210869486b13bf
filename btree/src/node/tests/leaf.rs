//! A sequence of leaves against a `BTreeMap`: every change in place, rebuilds, splits, merges,
//! redistribution; after each change all of the changed pages is checked.

use super::super::split::PageItems;
use super::sample::{KeySeed, Op, Stored, ValueSeed};
use super::*;
use core::ops::Range;
use quickcheck::{Gen, QuickCheck, quickcheck};
use std::collections::BTreeMap;

/// Leaves in order, with the separator below each.
struct Leaves {
    page_size: usize,
    pages: Vec<(Vec<u8>, Vec<u8>)>,
    splits: usize,
    rebuilds: usize,
    merges: usize,
    redistributions: usize,
    /// Leaves may be of fingerprints.
    prints: bool,
    /// Pages laid out with heads, with fingerprints.
    kinds: [usize; 2],
}

/// Whether a page is a leaf of fingerprints.
fn has_prints(view: &LeafView<'_>) -> bool {
    matches!(view, LeafView::Prints(_))
}

/// Bytes that the entries of `range` take on a page such as `view`.
fn bytes_as(content: &LeafContent<'_>, range: Range<usize>, view: &LeafView<'_>) -> usize {
    let alone = LeafContent::of(*view);
    // The content may be counted with other slots: its own, of the page that came of it, is what it takes.
    let bytes = alone.page_bytes(0..alone.len()).unwrap();
    let slots = range.len() * (layout::LEAF.slot_bytes - layout::PRINTS.slot_bytes);
    let counted = content.page_bytes(range).unwrap();
    assert!([counted, counted + slots - 1, counted + 1 - slots].contains(&bytes));
    bytes
}

impl Leaves {
    fn new(page_size: usize) -> Leaves {
        let mut body = fresh(page_size);
        LeafMut::init(&mut body, ID, &[]).unwrap();
        let pages = vec![(Vec::new(), body)];
        let (splits, rebuilds, merges, redistributions) = (0, 0, 0, 0);
        let (prints, kinds) = (true, [0; 2]);
        Leaves { page_size, pages, splits, rebuilds, merges, redistributions, prints, kinds }
    }

    fn page_of(&self, key: &[u8]) -> usize {
        self.pages.partition_point(|(low, _)| &low[..] <= key) - 1
    }

    fn view(&self, page: usize) -> LeafView<'_> {
        LeafView::new(&self.pages[page].1, ID).unwrap()
    }

    fn put(&mut self, key: &[u8], value: &Stored, reserve: bool) {
        let page = self.page_of(key);
        let new = match value {
            Stored::Inline(bytes) if reserve => NewValue::Reserved(bytes.len()),
            stored => stored.as_new(),
        };
        let is_last = page + 1 == self.pages.len();
        let mut leaf = LeafMut::new(&mut self.pages[page].1, ID).unwrap();
        let (i, found) = leaf.view().lower_bound(key).unwrap();
        assert_eq!(leaf.view().find(key).unwrap(), found.then_some(i));
        let before = leaf.view().used_bytes();
        let fit = if found {
            leaf.replace_at(i, new).unwrap()
        } else {
            leaf.insert_at(i, key, new).unwrap()
        };
        let view = leaf.view();
        if fit != Fit::Done {
            assert_eq!(view.used_bytes(), before, "changed although it did not fit");
        }
        let content = match found {
            true => LeafContent::of(view).replace(i, new).unwrap(),
            false => LeafContent::of(view).insert(i, key, new),
        };
        if fit != Fit::Done {
            let bytes = content.page_bytes(0..content.len()).unwrap();
            assert_eq!(PageItems::total_bytes(&content).unwrap(), bytes);
        }
        match fit {
            Fit::Done => self.write_reserved(page, i, new, value),
            Fit::Rebuild => {
                assert!(content.page_bytes(0..content.len()).unwrap() <= self.page_size);
                let mut body = fresh(self.page_size);
                content.fill(0..content.len(), &mut body, self.prints).unwrap();
                self.pages[page].1 = body;
                self.rebuilds += 1;
                self.count_kind(page);
                self.write_reserved(page, i, new, value);
            }
            Fit::Split => {
                let at = content.split_point().unwrap();
                // At the right edge, cut before the new entry.
                let edge = is_last && i + 1 == content.len() && i > 0;
                let right_edge_fits = content.page_bytes(0..i).unwrap() <= self.page_size;
                let at = if edge && right_edge_fits { i } else { at };
                let (low, left, right) = cut(self.page_size, &content, at, self.prints);
                self.pages[page].1 = left;
                self.pages.insert(page + 1, (low, right));
                self.splits += 1;
                self.count_kind(page);
                self.count_kind(page + 1);
                let (page, i) = if i < at { (page, i) } else { (page + 1, i - at) };
                self.write_reserved(page, i, new, value);
            }
        }
    }

    fn count_kind(&mut self, page: usize) {
        self.kinds[usize::from(has_prints(&self.view(page)))] += 1;
    }

    fn write_reserved(&mut self, page: usize, i: usize, new: NewValue<'_>, value: &Stored) {
        if let (NewValue::Reserved(_), Stored::Inline(bytes)) = (new, value) {
            let leaf = LeafMut::new(&mut self.pages[page].1, ID).unwrap();
            leaf.value_mut(i).unwrap().copy_from_slice(bytes);
        }
        self.view(page).check().unwrap();
    }

    fn remove(&mut self, key: &[u8]) {
        let page = self.page_of(key);
        let mut leaf = LeafMut::new(&mut self.pages[page].1, ID).unwrap();
        let i = leaf.view().find(key).unwrap().unwrap();
        leaf.remove_at(i).unwrap();
        leaf.view().check().unwrap();
        if leaf.view().used_bytes() < self.page_size / 4 && self.pages.len() > 1 {
            self.relieve(page.min(self.pages.len() - 2));
        }
    }

    /// Merges page `left` with the next, or shares their entries evenly.
    fn relieve(&mut self, left: usize) {
        let content = LeafContent::join(self.view(left), self.view(left + 1));
        if content.page_bytes(0..content.len()).unwrap() <= self.page_size {
            let mut body = fresh(self.page_size);
            content.fill(0..content.len(), &mut body, self.prints).unwrap();
            self.pages[left].1 = body;
            self.pages.remove(left + 1);
            self.view(left).check().unwrap();
            self.merges += 1;
        } else {
            let at = content.split_point().unwrap();
            let (low, first, second) = cut(self.page_size, &content, at, self.prints);
            self.pages[left].1 = first;
            self.pages[left + 1] = (low, second);
            self.redistributions += 1;
        }
    }

    /// All pages hold what the oracle holds, between their separators.
    fn compare(&self, oracle: &BTreeMap<Vec<u8>, Stored>) {
        let mut expected = oracle.iter();
        for (page, (low, _)) in self.pages.iter().enumerate() {
            let view = self.view(page);
            view.check().unwrap();
            for i in 0..view.count() {
                let (key, value) = view.entry(i).unwrap();
                assert_eq!(expected.next(), Some((&bytes_of(key), &Stored::of(value))));
                assert_eq!(view.find(&bytes_of(key)).unwrap(), Some(i));
                assert_eq!(view.get(&bytes_of(key)).unwrap(), Some(value));
                assert!(key.cmp_bytes(low).is_ge());
                if let Some((high, _)) = self.pages.get(page + 1) {
                    assert!(key.cmp_bytes(high).is_lt());
                }
            }
        }
        assert_eq!(expected.next(), None);
    }
}

/// Lays the content out in two pages: separator, left and right body.
fn cut(
    page_size: usize,
    content: &LeafContent<'_>,
    at: usize,
    prints: bool,
) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let (mut left, mut right) = (fresh(page_size), fresh(page_size));
    content.fill(0..at, &mut left, prints).unwrap();
    content.fill(at..content.len(), &mut right, prints).unwrap();
    let separator = bytes_of(separator(content.key(at - 1).unwrap(), content.key(at).unwrap()));
    for (body, range) in [(&left, 0..at), (&right, at..content.len())] {
        let view = LeafView::new(body, ID).unwrap();
        view.check().unwrap();
        assert_eq!(view.count(), range.len());
        assert_eq!(view.used_bytes(), bytes_as(content, range, &view));
        assert!(view.used_bytes() <= page_size);
    }
    let (last, first) = (content.key(at - 1).unwrap(), content.key(at).unwrap());
    assert!(last.cmp_bytes(&separator).is_lt() && first.starts_with(&separator));
    assert!(separator.is_empty() || last.cmp_bytes(&separator[..separator.len() - 1]).is_ge());
    (separator, left, right)
}

fn run(page_size: usize, ops: &[Op]) -> Leaves {
    let mut leaves = Leaves::new(page_size);
    let mut oracle = BTreeMap::new();
    let nth = |oracle: &BTreeMap<Vec<u8>, Stored>, rank: u16| {
        let i = usize::from(rank) % oracle.len().max(1);
        oracle.keys().nth(i).cloned()
    };
    for (n, op) in ops.iter().enumerate() {
        // Now and then they are not wanted: both kinds stand side by side.
        leaves.prints = n / 16 % 4 != 0;
        let (key, seed) = match op {
            Op::Put(key, value) => (key.key(page_size), value),
            Op::Replace(rank, value) => match nth(&oracle, *rank) {
                Some(key) => (key, value),
                None => continue,
            },
            Op::Remove(rank) => {
                if let Some(key) = nth(&oracle, *rank) {
                    leaves.remove(&key);
                    oracle.remove(&key);
                }
                continue;
            }
        };
        let value = seed.value(page_size, key.len());
        leaves.put(&key, &value, seed.how == 1);
        oracle.insert(key, value);
    }
    leaves.compare(&oracle);
    leaves
}

fn run_many(page_size: usize, gen_size: usize, tests: u64) {
    fn holds(page_size: usize, ops: Vec<Op>) -> bool {
        run(page_size, &ops);
        true
    }
    let mut qc = QuickCheck::new().rng(Gen::new(gen_size)).tests(tests);
    match page_size {
        512 => qc.quickcheck((|ops| holds(512, ops)) as fn(Vec<Op>) -> bool),
        4096 => qc.quickcheck((|ops| holds(4096, ops)) as fn(Vec<Op>) -> bool),
        _ => qc.quickcheck((|ops| holds(65_536, ops)) as fn(Vec<Op>) -> bool),
    }
}

#[test]
fn leaves_hold_what_a_map_holds_512() {
    run_many(512, 400, 150);
}

#[test]
fn leaves_hold_what_a_map_holds_4096() {
    run_many(4096, 600, 60);
}

#[test]
fn leaves_hold_what_a_map_holds_65536() {
    run_many(65_536, 600, 30);
}

#[test]
fn the_model_reaches_every_way_to_lay_out_pages() {
    use quickcheck::Arbitrary;
    let mut g = Gen::new(100);
    let ops: Vec<Op> = (0..6000).map(|_| Op::arbitrary(&mut g)).collect();
    let mut leaves = run(512, &ops);
    assert!(leaves.splits > 20 && leaves.rebuilds > 20 && leaves.pages.len() > 10);
    assert!(leaves.kinds.iter().all(|count| *count > 20), "{:?}", leaves.kinds);
    let kinds: Vec<_> =
        (0..leaves.pages.len()).map(|page| has_prints(&leaves.view(page))).collect();
    assert!(kinds.contains(&true) && kinds.contains(&false), "both side by side");
    let mut oracle: Vec<_> = (0..leaves.pages.len())
        .flat_map(|page| {
            let view = leaves.view(page);
            (0..view.count()).map(move |i| bytes_of(view.key(i).unwrap())).collect::<Vec<_>>()
        })
        .collect();
    // Empty it, from both ends and the middle by turns.
    let mut turn = 0;
    while !oracle.is_empty() {
        turn += 1;
        let i = [0, oracle.len() / 2, oracle.len() - 1][turn % 3];
        leaves.remove(&oracle.remove(i));
    }
    assert!(leaves.merges > 10 && leaves.redistributions > 0);
    assert_eq!(leaves.pages.len(), 1);
    assert_eq!(leaves.view(0).count(), 0);
}

quickcheck! {
    /// `lower_bound` is what a linear search finds, for keys that are there and that are not.
    fn lower_bound_is_the_naive_one(entries: Vec<(KeySeed, ValueSeed)>, probes: Vec<KeySeed>) -> bool {
        let mut keys: Vec<Vec<u8>> = entries.iter().map(|(key, _)| key.key(512)).collect();
        keys.sort();
        keys.dedup();
        keys.truncate(4);
        let entries: Vec<_> = keys.iter().map(|key| (key, b"")).collect();
        let body = leaf_of(512, &entries);
        [body.clone(), rebuilt(&body)].iter().all(|body| {
            let view = LeafView::new(body, ID).unwrap();
            probes.iter().map(|probe| probe.key(512)).chain(keys.clone()).all(|probe| {
                let at = keys.iter().position(|key| *key >= probe).unwrap_or(keys.len());
                let found = keys.get(at) == Some(&probe);
                view.lower_bound(&probe).unwrap() == (at, found)
                    && view.find(&probe).unwrap() == found.then_some(at)
            })
        })
    }

    /// The separator is above the left key, at most the right one, and no shorter one is.
    fn separator_is_the_shortest(left: KeySeed, right: KeySeed, cut: usize) -> bool {
        let (left, right) = (left.key(512), right.key(512));
        if left >= right {
            return true;
        }
        let (a, b) = right.split_at(cut % (right.len() + 1));
        let separator = bytes_of(separator(Key::from(&left[..]), Key::new(a, b)));
        left < separator
            && right.starts_with(&separator)
            && left.as_slice() >= &separator[..separator.len() - 1]
    }
}

#[test]
fn sorted_inserts_fill_pages() {
    let mut leaves = Leaves::new(4096);
    for number in 0..20_000u64 {
        leaves.put(&number.to_be_bytes(), &Stored::Inline(vec![1; 20]), false);
    }
    // All but the last page: nothing is left in the middle to be filled later.
    let pages = leaves.pages.len() - 1;
    let used: usize = (0..pages).map(|page| leaves.view(page).used_bytes()).sum();
    assert!(used * 100 > pages * 4096 * 95, "{} of {}", used, pages * 4096);
}

#[test]
fn random_inserts_leave_pages_two_thirds_full() {
    let mut leaves = Leaves::new(4096);
    for number in 0..20_000u64 {
        let key = number.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes();
        leaves.put(&key, &Stored::Inline(vec![1; 20]), false);
    }
    let pages = leaves.pages.len();
    let used: usize = (0..pages).map(|page| leaves.view(page).used_bytes()).sum();
    assert!(used * 100 > pages * 4096 * 60, "{} of {}", used, pages * 4096);
}
