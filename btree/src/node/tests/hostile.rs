//! Pages of arbitrary bytes, and sound pages with some bytes changed: every operation answers or
//! fails, none panics, and all end.

#[cfg(feature = "fixed-width")]
use super::fixed::{WIDTHS, fixed_of};
use super::*;
use mapleaf_pager::kind;
use quickcheck::{Arbitrary, Gen, QuickCheck};

/// A page body of arbitrary bytes, or a sound one with some bytes changed.
#[derive(Clone, Debug)]
struct Hostile {
    body: Vec<u8>,
    probe: Vec<u8>,
    i: usize,
}

fn arbitrary_u16s(g: &mut Gen, body: &mut [u8]) {
    for at in (0..24).step_by(2) {
        if bool::arbitrary(g) {
            let number = u16::arbitrary(g) >> (u8::arbitrary(g) % 16);
            body[at..at + 2].copy_from_slice(&number.to_le_bytes());
        }
    }
}

impl Arbitrary for Hostile {
    fn arbitrary(g: &mut Gen) -> Hostile {
        let page_size = *g.choose(&[512, 512, 1024, 4096, 65_536]).unwrap();
        let kind = *g
            .choose(&[kind::LEAF, kind::LEAF_FINGERPRINT, kind::LEAF_FIXED, kind::INNER])
            .unwrap();
        let mut body = match u8::arbitrary(g) % 4 {
            0 => (0..page_size - OWNED_BYTES).map(|_| u8::arbitrary(g)).collect(),
            1 => vec![u8::arbitrary(g) % 64; page_size - OWNED_BYTES],
            _ => sound(g, page_size, kind),
        };
        if u8::arbitrary(g) % 4 == 0 {
            arbitrary_u16s(g, &mut body);
        }
        for _ in 0..u8::arbitrary(g) % 12 {
            let near = [32, 128, body.len()][usize::from(u8::arbitrary(g) % 3)];
            let at = usize::arbitrary(g) % near;
            body[at] = *g.choose(&[0, 1, 2, 4, 5, 16, 32, 0x7f, 0xff]).unwrap();
        }
        body[0] = kind;
        body[1] = 0;
        let probe = super::sample::KeySeed::arbitrary(g).key(512);
        Hostile { body, probe, i: usize::from(u8::arbitrary(g)) }
    }
}

/// A sound page with a few entries, with or without a prefix.
fn sound(g: &mut Gen, page_size: usize, kind: u8) -> Vec<u8> {
    #[cfg(feature = "fixed-width")]
    if kind == kind::LEAF_FIXED {
        let count = usize::from(u8::arbitrary(g)) % 24;
        return fixed_of(page_size, *g.choose(&WIDTHS).unwrap(), count);
    }
    let prefix: &[u8] = if bool::arbitrary(g) { b"prefix" } else { b"" };
    let seeds: Vec<u8> = (0..8).map(|_| u8::arbitrary(g)).collect();
    let mut keys: Vec<Vec<u8>> =
        seeds.iter().map(|n| [prefix, &vec![*n; usize::from(*n) % 9][..]].concat()).collect();
    keys.sort();
    keys.dedup();
    #[cfg(feature = "fingerprints")]
    if kind == kind::LEAF_FINGERPRINT {
        return super::prints::prints_of(page_size, prefix, &keys);
    }
    if kind == kind::LEAF {
        let entries: Vec<_> = keys.iter().map(|key| (key, vec![1; key.len()])).collect();
        rebuilt(&leaf_of(page_size, &entries))
    } else {
        rebuilt_inner(&inner_of(page_size, &keys))
    }
}

/// Reads all there is to read, a bounded number of entries of it.
fn read_leaf(view: LeafView<'_>, probe: &[u8]) {
    for i in (0..view.count().min(200)).chain([view.count(), usize::MAX]) {
        let _ = (view.key(i), view.value(i), view.entry(i));
        if let Ok(key) = view.key(i) {
            let key = bytes_of(key);
            let _ = (view.find(&key), view.lower_bound(&key), view.get(&key));
        }
    }
    let _ = (view.find(probe), view.lower_bound(probe), view.get(probe));
    let _ = (view.used_bytes(), view.check());
}

fn lay_out_leaf(content: LeafContent<'_>, page_size: usize, i: usize) {
    let _ = (content.page_bytes(0..content.len()), content.key(i));
    let mut body = fresh(page_size);
    let prints = i.is_multiple_of(2);
    if content.fill(0..content.len(), &mut body, prints).is_ok() {
        let view = LeafView::new(&body, ID).unwrap();
        assert_eq!(view.count(), content.len());
    }
    if let Ok(at) = content.split_point() {
        // Keys out of order may share less than the first and the last: then it fails.
        let (left, right) =
            [0..at, at..content.len()].map(|side| content.fill(side, &mut body, prints)).into();
        assert!([left, right].iter().all(|side| matches!(side, Ok(()) | Err(LAYOUT))));
    }
}

fn hostile_leaf(page: &Hostile) {
    let page_size = page.body.len() + OWNED_BYTES;
    let Ok(view) = LeafView::new(&page.body, ID) else { return };
    read_leaf(view, &page.probe);
    let value = NewValue::Inline(&page.probe);
    lay_out_leaf(LeafContent::of(view), page_size, page.i);
    lay_out_leaf(LeafContent::join(view, view), page_size, page.i);
    lay_out_leaf(LeafContent::of(view).insert(page.i, &page.probe, value), page_size, page.i);
    if let Ok(content) = LeafContent::of(view).replace(page.i, value) {
        lay_out_leaf(content, page_size, page.i);
    }
    let mut body = page.body.clone();
    for i in [page.i, 0, 1, 0, page.i / 2, 0, 0] {
        let mut leaf = LeafMut::new(&mut body, ID).unwrap();
        let _ = leaf.insert_at(i, &page.probe, value);
        let _ = leaf.insert_at(i, b"", NewValue::Run { page: ID, len_bytes: 1 });
        let _ = leaf.replace_at(i, NewValue::Inline(b"a longer value than before"));
        let _ = leaf.remove_at(i);
        let _ = leaf.replace_at(i, NewValue::Inline(b""));
        let _ = leaf.value_mut(i).map(|bytes| bytes.fill(7));
        if let Some(width) = LeafView::new(&body, ID).unwrap().width() {
            let mut key = page.probe.clone();
            key.resize(usize::from(width.key_bytes), 0);
            let value = NewValue::Reserved(usize::from(width.value_bytes));
            let mut leaf = LeafMut::new(&mut body, ID).unwrap();
            let _ = (leaf.insert_at(i, &key, value), leaf.replace_at(i, value));
        }
        read_leaf(LeafView::new(&body, ID).unwrap(), &page.probe);
    }
}

fn read_inner(view: InnerView<'_>, probe: &[u8]) {
    for i in (0..view.count().min(200)).chain([view.count(), usize::MAX]) {
        let _ = view.child(i);
        if let Ok(separator) = view.separator(i) {
            let _ = view.search(&bytes_of(separator.key()));
        }
    }
    assert!(view.search(probe).is_ok_and(|i| i <= view.count()) || view.search(probe).is_err());
    let _ = (view.used_bytes(), view.check());
}

fn lay_out_inner(content: InnerContent<'_>, page_size: usize, i: usize) {
    let _ = (
        content.page_bytes(0..content.children()),
        content.child(i),
        content.separator(i).map(|s| s.key().len()),
    );
    let mut body = fresh(page_size);
    if content.fill(0..content.children(), &mut body).is_ok() {
        let view = InnerView::new(&body, ID).unwrap();
        assert_eq!(view.count() + 1, content.children());
    }
    if let Ok(at) = content.split_point() {
        let right = content.fill(at..content.children(), &mut body);
        let left = content.fill(0..at, &mut body);
        assert!([left, right].iter().all(|side| matches!(side, Ok(()) | Err(LAYOUT))));
    }
}

fn hostile_inner(page: &Hostile) {
    let page_size = page.body.len() + OWNED_BYTES;
    let Ok(view) = InnerView::new(&page.body, ID) else { return };
    let key = Key::from(&page.probe[..]);
    read_inner(view, &page.probe);
    lay_out_inner(InnerContent::of(view), page_size, page.i);
    lay_out_inner(InnerContent::join(view, key, view), page_size, page.i);
    lay_out_inner(InnerContent::of(view).insert(page.i, key, ID), page_size, page.i);
    lay_out_inner(InnerContent::of(view).set_separator(page.i, key), page_size, page.i);
    let mut body = page.body.clone();
    for i in [page.i, 0, 1, 0, page.i / 2, 0, 0] {
        let mut inner = InnerMut::new(&mut body, ID).unwrap();
        let _ = inner.insert(i, key, ID);
        let _ = inner.set_separator(i, Key::new(b"another", &page.probe));
        let _ = inner.set_child(i, ID);
        let _ = inner.remove(i, i + page.probe.len() % 3);
        read_inner(InnerView::new(&body, ID).unwrap(), &page.probe);
    }
}

#[test]
fn hostile_pages_never_panic() {
    fn survives(page: Hostile) -> bool {
        match page.body.first() {
            Some(&kind) if kind::is_leaf(kind) => hostile_leaf(&page),
            _ => hostile_inner(&page),
        }
        true
    }
    QuickCheck::new()
        .rng(Gen::new(100))
        .tests(3000)
        .max_tests(3000)
        .quickcheck(survives as fn(Hostile) -> bool);
}

#[test]
fn bodies_shorter_than_a_header_are_refused() {
    for len in 0..16 {
        let mut body = vec![kind::LEAF; len];
        assert!(LeafView::new(&body, ID).is_err() && LeafMut::init(&mut body, ID, &[]).is_err());
        let mut body = vec![kind::LEAF_FINGERPRINT; len];
        assert!(LeafView::new(&body, ID).is_err() && LeafMut::new(&mut body, ID).is_err());
        assert!(LeafMut::init_as(&mut body, ID, &[], true).is_err());
        let mut body = vec![kind::LEAF_FIXED; len];
        assert!(LeafView::new(&body, ID).is_err() && LeafMut::new(&mut body, ID).is_err());
        #[cfg(feature = "fixed-width")]
        assert!(LeafMut::init_fixed(&mut body, ID, WIDTHS[0]).is_err());
        let mut body = vec![kind::INNER; len];
        assert!(InnerView::new(&body, ID).is_err());
        assert!(InnerMut::init(&mut body, ID, ID, &[]).is_err());
    }
}
