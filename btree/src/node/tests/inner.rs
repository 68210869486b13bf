//! An inner page against a vector of separators and children: every change in place, rebuilds,
//! splits, merges, redistribution.

use super::sample::KeySeed;
use super::*;
use quickcheck::{Arbitrary, Gen, QuickCheck, quickcheck};

/// A change of an inner page.
#[derive(Clone, Debug)]
enum Op {
    /// The child that holds this key is split there.
    Insert(KeySeed),
    /// The separator of this rank becomes this key, where order allows it.
    SetSeparator(u16, KeySeed),
    /// The child of this rank moves to another page.
    SetChild(u16),
    /// The separator of this rank goes, with its left or its right child.
    Remove(u16, bool),
    /// Cut in two and joined again.
    CutAndJoin,
}

impl Arbitrary for Op {
    fn arbitrary(g: &mut Gen) -> Op {
        match u8::arbitrary(g) % 16 {
            0 | 1 => Op::SetSeparator(u16::arbitrary(g), KeySeed::arbitrary(g)),
            2 => Op::SetChild(u16::arbitrary(g)),
            3 | 4 => Op::Remove(u16::arbitrary(g), bool::arbitrary(g)),
            5 => Op::CutAndJoin,
            _ => Op::Insert(KeySeed::arbitrary(g)),
        }
    }
}

#[derive(Default)]
struct Counts {
    rebuilds: usize,
    splits: usize,
    redistributions: usize,
}

struct Model {
    page_size: usize,
    body: Vec<u8>,
    separators: Vec<Vec<u8>>,
    children: Vec<u32>,
    next_page: u32,
    counts: Counts,
}

impl Model {
    fn new(page_size: usize) -> Model {
        let mut body = fresh(page_size);
        InnerMut::init(&mut body, ID, PageId(1), &[]).unwrap();
        Model {
            page_size,
            body,
            separators: Vec::new(),
            children: vec![1],
            next_page: 2,
            counts: Counts::default(),
        }
    }

    fn new_page(&mut self) -> u32 {
        self.next_page += 1;
        self.next_page
    }

    fn apply(&mut self, op: &Op) {
        let count = self.separators.len();
        match op {
            Op::Insert(key) => self.insert(&key.key(self.page_size)),
            Op::SetSeparator(rank, key) if count > 0 => {
                self.set_separator(usize::from(*rank) % count, &key.key(self.page_size));
            }
            Op::SetChild(rank) => {
                let (i, page) = (usize::from(*rank) % (count + 1), self.new_page());
                InnerMut::new(&mut self.body, ID).unwrap().set_child(i, PageId(page)).unwrap();
                self.children[i] = page;
            }
            Op::Remove(rank, left) if count > 0 => {
                let i = usize::from(*rank) % count;
                let child = i + usize::from(!left);
                InnerMut::new(&mut self.body, ID).unwrap().remove(i, child).unwrap();
                self.separators.remove(i);
                self.children.remove(child);
            }
            Op::CutAndJoin if count >= 3 => {
                let body = self.body.clone();
                let content = InnerContent::of(InnerView::new(&body, ID).unwrap());
                // Anywhere, so that the two differ in size and prefix.
                let at = 1 + self.next_page as usize % (content.children() - 1);
                self.cut_and_join(&content, at);
            }
            _ => {}
        }
        self.compare();
    }

    fn insert(&mut self, key: &[u8]) {
        let i = self.separators.partition_point(|separator| &separator[..] <= key);
        if i > 0 && self.separators[i - 1] == key {
            return;
        }
        let page = self.new_page();
        let separator = Key::new(&key[..key.len() / 3], &key[key.len() / 3..]);
        let fit = {
            let mut inner = InnerMut::new(&mut self.body, ID).unwrap();
            assert_eq!(inner.view().search(key).unwrap(), i);
            inner.insert(i, separator, PageId(page)).unwrap()
        };
        self.separators.insert(i, key.to_vec());
        self.children.insert(i + 1, page);
        let body = self.body.clone();
        let content = InnerContent::of(InnerView::new(&body, ID).unwrap());
        self.lay_out(fit, &content.insert(i, separator, PageId(page)));
    }

    fn set_separator(&mut self, i: usize, key: &[u8]) {
        let above = i == 0 || self.separators[i - 1].as_slice() < key;
        let below = self.separators.get(i + 1).is_none_or(|next| key < next.as_slice());
        if !above || !below {
            return;
        }
        let fit = {
            let mut inner = InnerMut::new(&mut self.body, ID).unwrap();
            inner.set_separator(i, Key::from(key)).unwrap()
        };
        self.separators[i] = key.to_vec();
        let body = self.body.clone();
        let content = InnerContent::of(InnerView::new(&body, ID).unwrap());
        self.lay_out(fit, &content.set_separator(i, Key::from(key)));
    }

    /// Where the change did not fit, lays the content out in fresh pages and goes on with one.
    fn lay_out(&mut self, fit: Fit, content: &InnerContent<'_>) {
        match fit {
            Fit::Done => {}
            Fit::Rebuild => {
                assert!(content.page_bytes(0..content.children()).unwrap() <= self.page_size);
                self.body = fresh(self.page_size);
                content.fill(0..content.children(), &mut self.body).unwrap();
                self.counts.rebuilds += 1;
            }
            Fit::Split => {
                self.counts.splits += 1;
                let at = content.split_point().unwrap();
                let (left, right, separator) = self.cut(content, at);
                assert_eq!(separator, self.separators[at - 1]);
                if at.is_multiple_of(2) {
                    self.body = left;
                    self.separators.truncate(at - 1);
                    self.children.truncate(at);
                } else {
                    self.body = right;
                    self.separators.drain(..at);
                    self.children.drain(..at);
                }
            }
        }
    }

    /// Cuts into two pages and joins them: the same again, and redistributed where that is not one.
    fn cut_and_join(&mut self, content: &InnerContent<'_>, at: usize) {
        let (left, right, separator) = self.cut(content, at);
        let (left, right) =
            (InnerView::new(&left, ID).unwrap(), InnerView::new(&right, ID).unwrap());
        let joined = InnerContent::join(left, Key::from(&separator[..]), right);
        assert_eq!(joined.children(), self.children.len());
        for (i, child) in self.children.iter().enumerate() {
            assert_eq!(joined.child(i).unwrap(), PageId(*child));
        }
        for (i, separator) in self.separators.iter().enumerate() {
            assert_eq!(joined.separator(i + 1).unwrap().key(), &separator[..]);
        }
        if joined.children() >= 4 {
            let at = joined.split_point().unwrap();
            self.cut(&joined, at);
            self.counts.redistributions += 1;
        }
        // It was one page, and may have had dead cells.
        assert!(joined.page_bytes(0..joined.children()).unwrap() <= self.page_size);
        self.body = fresh(self.page_size);
        joined.fill(0..joined.children(), &mut self.body).unwrap();
    }

    /// Both pages, and the separator that goes up.
    fn cut(&self, content: &InnerContent<'_>, at: usize) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
        let (mut left, mut right) = (fresh(self.page_size), fresh(self.page_size));
        content.fill(0..at, &mut left).unwrap();
        content.fill(at..content.children(), &mut right).unwrap();
        for (body, range) in [(&left, 0..at), (&right, at..content.children())] {
            let view = InnerView::new(body, ID).unwrap();
            view.check().unwrap();
            assert_eq!(view.count() + 1, range.len());
            assert_eq!(view.used_bytes(), content.page_bytes(range).unwrap());
        }
        (left, right, bytes_of(content.separator(at).unwrap().key()))
    }

    fn compare(&self) {
        let view = InnerView::new(&self.body, ID).unwrap();
        view.check().unwrap();
        assert_eq!(view.count(), self.separators.len());
        for (i, child) in self.children.iter().enumerate() {
            assert_eq!(view.child(i).unwrap(), PageId(*child));
        }
        for (i, separator) in self.separators.iter().enumerate() {
            assert_eq!(view.separator(i).unwrap().key(), &separator[..]);
            assert_eq!(view.search(separator).unwrap(), i + 1);
        }
        assert!(view.child(view.count() + 1).is_err() && view.separator(view.count()).is_err());
    }
}

fn run(page_size: usize, ops: &[Op]) -> Counts {
    let mut model = Model::new(page_size);
    for op in ops {
        model.apply(op);
    }
    model.counts
}

fn holds<const PAGE_SIZE: usize>(ops: Vec<Op>) -> bool {
    run(PAGE_SIZE, &ops);
    true
}

#[test]
fn inner_pages_hold_what_a_vector_holds_512() {
    QuickCheck::new().rng(Gen::new(300)).tests(100).quickcheck(holds::<512> as fn(Vec<Op>) -> bool);
}

#[test]
fn inner_pages_hold_what_a_vector_holds_4096() {
    QuickCheck::new().rng(Gen::new(400)).tests(30).quickcheck(holds::<4096> as fn(Vec<Op>) -> bool);
}

#[test]
fn inner_pages_hold_what_a_vector_holds_65536() {
    QuickCheck::new()
        .rng(Gen::new(300))
        .tests(15)
        .quickcheck(holds::<65_536> as fn(Vec<Op>) -> bool);
}

#[test]
fn the_model_reaches_every_way_to_lay_out_pages() {
    let mut g = Gen::new(100);
    let ops: Vec<Op> = (0..4000).map(|_| Op::arbitrary(&mut g)).collect();
    let counts = run(512, &ops);
    assert!(counts.rebuilds > 20 && counts.splits > 20 && counts.redistributions > 20);
}

quickcheck! {
    /// `search` is what counting the separators at or below the key finds.
    fn search_is_the_naive_one(separators: Vec<KeySeed>, probes: Vec<KeySeed>, shared: bool) -> bool {
        let prefix: &[u8] = if shared { b"shared" } else { b"" };
        let key = |seed: &KeySeed| [prefix, &seed.key(512)[..]].concat();
        let mut separators: Vec<Vec<u8>> = separators.iter().map(key).collect();
        separators.sort();
        separators.dedup();
        let body = rebuilt_inner(&inner_of(65_536, &separators));
        let view = InnerView::new(&body, ID).unwrap();
        assert!(!shared || separators.len() < 2 || view.prefix().starts_with(prefix));
        let strangers = probes.iter().map(|probe| probe.key(512));
        probes.iter().map(key).chain(strangers).chain(separators.clone()).all(|probe| {
            let naive = separators.iter().filter(|separator| **separator <= probe).count();
            view.search(&probe).unwrap() == naive
        })
    }
}
