//! What a scrub says of each page of a tree that is damaged: which page, which tree, and what it held.

#![allow(unsafe_code)] // Opens damaged stores, as a caller of `Store::open` must not.

use crate::support::*;
use mapleaf_btree::{Replayer, ScrubFinding, ScrubVisitor, Scrubbed, TreeOptions, Writer, scrub};
use mapleaf_pager::{Durability, PageId, SliceMapping, Store};
use std::collections::BTreeMap;
use xxhash_rust::xxh3::xxh3_64;

const NAMES: &[u8] = b"(names)";

/// A store with a tree of three levels and a value in a run.
fn image() -> Vec<u8> {
    let mut ram = vec![0; 1 << 19];
    let store = create(&mut ram, PAGE, 0);
    let mut writer = Writer::new(store.begin_write().unwrap()).unwrap();
    let tree = writer.create("t", TreeOptions::default()).unwrap();
    for i in 0..900u32 {
        let value = value_of(if i == 7 { 3000 } else { 40 }, i);
        let key = format!("{:060}", i * 7919 % 900);
        writer.tree(tree).unwrap().insert(key.as_bytes(), &value).unwrap();
    }
    assert!(writer.record(tree).unwrap().height >= 3);
    writer.commit(Durability::Sync).unwrap();
    store.close().unwrap();
    let len = len_of(&store);
    drop(store);
    ram.truncate(len);
    ram
}

#[derive(Default)]
struct Told {
    pages: u32,
    findings: Vec<(PageId, Vec<u8>, &'static str)>,
}

impl ScrubVisitor for Told {
    fn pages(&mut self, count: u32) {
        self.pages += count;
    }

    fn damage(&mut self, finding: &ScrubFinding<'_>) {
        let what = match finding.what {
            Scrubbed::Subtree => "subtree",
            Scrubbed::Leaf => "leaf",
            Scrubbed::Value(_) => "value",
            Scrubbed::Tree => "tree",
            _ => "?",
        };
        if let (Some(from), Some(to)) = (&finding.from, &finding.to) {
            assert!(from < to, "{finding:?}");
        }
        let tree = finding.tree.map_or(NAMES.to_vec(), |name| bytes(&name));
        self.findings.push((finding.page, tree, what));
    }
}

fn scrubbed(image: &[u8]) -> Told {
    let mut ram = image.to_vec();
    let (options, mut replayer) = (options(PAGE, 0), Replayer::new());
    let mapping = SliceMapping::full(&mut ram);
    // SAFETY: nothing is written, and nobody else has the copy.
    let store = unsafe { Store::open(mapping, words(), &options, &mut replayer) }.unwrap();
    let snapshot = store.begin_read(0).unwrap();
    let mut told = Told::default();
    scrub(&snapshot, snapshot.page_count(), &mut told);
    told
}

#[test]
fn each_damaged_page_is_told_once_by_what_it_holds() {
    let whole = image();
    let reached = scrubbed(&whole);
    assert!(reached.findings.is_empty());
    let mut told = BTreeMap::<(Vec<u8>, &str), u32>::new();
    let mut damaged = 0;
    for page in 2..whole.len() / PAGE {
        let mut image = whole.clone();
        image[page * PAGE + 300] ^= 4;
        let found = scrubbed(&image);
        let [(at, tree, what)] = &found.findings[..] else {
            // Not in use: free, or a list of what is.
            assert_eq!((found.findings.len(), found.pages), (0, reached.pages), "page {page}");
            continue;
        };
        // A run is damaged as a whole, wherever it is.
        assert!(*what == "value" || at.index() == page, "page {page}: {at}");
        damaged += 1;
        *told.entry((tree.clone(), what)).or_default() += 1;
    }
    assert_eq!(damaged, reached.pages, "{told:?}");
    let of = |tree: &[u8], what| told.get(&(tree.to_vec(), what)).copied().unwrap_or(0);
    assert_eq!((of(NAMES, "tree"), of(b"t", "tree")), (1, 1), "{told:?}");
    assert!(of(b"t", "subtree") > 1 && of(b"t", "leaf") > 60 && of(b"t", "value") == 6, "{told:?}");
}

/// With a right checksum: what a page says is doubted, and no more pages are looked at than there are.
#[test]
fn forged_pages_do_not_lead_a_scrub_astray() {
    let whole = image();
    let pages = whole.len() / PAGE;
    let mut findings = 0;
    for page in 2..pages {
        // Header, arrays, cells.
        for at in [17, 19, 21, 24, 29, 40, 60, 100, 200, 450] {
            let mut image = whole.clone();
            let bytes = &mut image[page * PAGE..(page + 1) * PAGE];
            bytes[at] = bytes[at].wrapping_mul(31).wrapping_add(page as u8 | 1);
            let mixed = (page as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let sum = xxh3_64(&bytes[8..]) ^ mixed;
            bytes[..8].copy_from_slice(&sum.to_le_bytes());
            let found = scrubbed(&image);
            assert!(found.pages as usize <= pages, "page {page}, byte {at}");
            findings += found.findings.len();
        }
    }
    assert!(findings > pages, "{findings}");
}
