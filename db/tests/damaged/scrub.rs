//! Scrubs: what they find of any damage, and that they find nothing beside a writer.
//!
//! Invariants checked: exactly those pages of trees are found damaged that whole pages lead to and whose
//! bytes are not as they were; every entry that is lost lies in what a finding says; nothing is found where
//! nothing is damaged, whoever writes meanwhile; every page in use is read once.

use crate::entries::key_of;
use crate::naive::{Naive, tags_bytes, u32_at, u64_at};
use crate::seeded::seeded;
use crate::{Built, Case, Harm, build, harm, write};
use mapleaf::{Builder, Database, Durability, PageId, Scar, ScrubReport, What};
use mapleaf_pager::verify_sealed;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, Ordering};

/// What whole pages lead to, by a second reader of the format.
struct Reach<'a> {
    naive: Naive<'a>,
    all: Vec<(String, usize, std::ops::Range<usize>)>,
}

impl Reach<'_> {
    fn page(&self, id: usize) -> &[u8] {
        &self.naive.before[id * self.naive.page..(id + 1) * self.naive.page]
    }

    fn u16(&self, id: usize, at: usize) -> usize {
        usize::from(u16::from_le_bytes(self.page(id)[at..at + 2].try_into().unwrap()))
    }

    /// The tree of a record; the names' has no name.
    fn tree(&mut self, name: Option<&str>, record: &[u8]) {
        if record[4] > 0 {
            self.below(name, u32_at(record, 0), record[4]);
        }
    }

    fn below(&mut self, name: Option<&str>, id: usize, height: u8) {
        let size = self.naive.page;
        self.all.push((name.unwrap_or("").into(), id, id * size..(id + 1) * size));
        if !self.naive.intact(id) {
            return;
        }
        let page = self.page(id).to_vec();
        let (count, capacity) = (self.u16(id, 18), self.u16(id, 20));
        let prefix = self.u16(id, 22);
        let arrays = 32 + prefix.next_multiple_of(4);
        if height > 1 {
            self.below(name, u32_at(&page, 28), height - 1);
            for i in 0..count {
                self.below(name, u32_at(&page, arrays + (capacity + i) * 4), height - 1);
            }
            return;
        }
        if page[16] == 4 {
            // Of fixed width: no values elsewhere.
            return;
        }
        for i in 0..count {
            let cell = self.u16(id, arrays + tags_bytes(&page) + i * 2);
            let (key_len, value_len) = (self.u16(id, cell), self.u16(id, cell + 2));
            let value = cell + 4 + key_len;
            let Some(tree) = name else {
                let key = [&page[32..32 + prefix], &page[cell + 4..value]].concat();
                let name = String::from_utf8(key).unwrap();
                self.tree(Some(&name), &page[value..value + value_len]);
                continue;
            };
            if value_len == 0xFFFF {
                let (first, len) = (u32_at(&page, value), u64_at(&page, value + 8) as usize);
                let at = first * size;
                self.all.push((tree.into(), first, at..at + 32 + len));
            }
        }
    }
}

/// Trees' pages that are not as they were.
fn expected(built: &Built, bytes: &[u8]) -> BTreeSet<(String, usize)> {
    let naive = Naive { before: &built.bytes, after: bytes, page: built.page };
    let record = built.bytes[naive.newest() * built.page + 128..][..64].to_vec();
    let mut reach = Reach { naive, all: Vec::new() };
    reach.tree(None, &record);
    let damaged =
        |range: &std::ops::Range<usize>| built.bytes[range.clone()] != bytes[range.clone()];
    let all = reach.all.into_iter().filter(|(_, _, range)| damaged(range));
    all.map(|(tree, page, _)| (tree, page)).collect()
}

/// Whether a finding says that this entry is lost.
fn covers(scar: &Scar, tree: &str, key: &[u8]) -> bool {
    let between = |key: &[u8]| {
        scar.from.as_ref().is_none_or(|from| from.as_slice() <= key)
            && scar.to.as_ref().is_none_or(|to| key < to.as_slice())
    };
    match (&scar.tree, &scar.what) {
        (_, None) => false,
        (None, Some(What::Tree)) => true,
        (None, Some(_)) => between(tree.as_bytes()),
        (Some(name), _) if name != tree => false,
        (_, Some(What::Tree)) => true,
        (_, Some(What::Value(of))) => of == key,
        _ => between(key),
    }
}

fn scrubbed(db: &Database) -> ScrubReport {
    let mut last = (0, 0);
    let report = db.scrub(&mut |done, total| {
        assert!(done >= last.0 && done <= total);
        last = (done, total);
    });
    let report = report.unwrap();
    assert!(!report.is_clean() || last.0 == last.1, "pages were left out: {last:?}");
    assert_eq!(report.pages, last.0);
    report
}

fn finds_what_is_damaged(case: Case) -> bool {
    let built = build(&Case { large_pages: true, close: true, ..case.clone() });
    let mut bytes = built.bytes.clone();
    for one in &case.harms {
        if !matches!(one, Harm::Cut(_) | Harm::Meta(_)) {
            harm(&mut bytes, built.page, *one);
        }
    }
    // A meta from before: an older state, which is whole.
    bytes[..2 * built.page].copy_from_slice(&built.bytes[..2 * built.page]);
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), &bytes);
    // SAFETY: nothing else has this file; nothing is written to it.
    #[allow(unsafe_code)]
    let db = unsafe { Builder::new().read_only(true).background(false).open(&path) }.unwrap();
    db.evict();
    let report = scrubbed(&db);
    let trees = report.found.iter().filter(|scar| scar.what.is_some());
    let found: BTreeSet<_> =
        trees.map(|scar| (scar.tree.clone().unwrap_or_default(), scar.page.0 as usize)).collect();
    assert_eq!(found, expected(&built, &bytes));
    let naive = Naive { before: &built.bytes, after: &bytes, page: built.page };
    for scar in &report.found {
        assert_eq!(scar.offset, u64::from(scar.page.0) * 4096);
        assert!(scar.what.is_some() || !naive.intact(scar.page.0 as usize), "{scar:?}");
    }
    let checked = db.check().unwrap();
    assert_eq!(report.is_clean(), checked.is_sound(), "{report:?} {checked:?}");
    let readable = naive.readable();
    for (name, entries) in &built.trees {
        for key in entries.keys() {
            let readable = readable.get(name).is_some_and(|tree| tree.contains_key(key));
            let read = db.read().unwrap();
            let lost = || read.tree(name).and_then(|tree| tree.get(key)).is_err();
            let told = report.found.iter().any(|scar| covers(scar, name, key));
            assert!(readable || told || !lost(), "{name}: {key:?} is lost in silence: {report:?}");
        }
    }
    true
}

#[test]
fn of_any_damage() {
    seeded(50).tests(60).quickcheck(finds_what_is_damaged as fn(Case) -> bool);
}

/// Changes some of a tree's entries, in a transaction that other transactions' pages are freed by.
fn churn(db: &Database, round: u16) {
    let mut txn = db.write().unwrap();
    let mut tree = txn.tree("churn").unwrap();
    for seed in 0..120u16 {
        let key = key_of(seed.wrapping_mul(97).wrapping_add(round.wrapping_mul(31)));
        if seed % 3 == 0 {
            tree.remove(&key).unwrap();
        } else {
            let len = usize::from(seed) * usize::from(seed % 2) * 60;
            tree.insert(&key, &vec![round as u8; len]).unwrap();
        }
    }
    let sync = round.is_multiple_of(16);
    let durability = if sync { Durability::Sync } else { Durability::Eventual };
    txn.commit_with(durability).unwrap();
}

/// Commits that the writer makes beside the scrubs, at the least; and scrubs beside the writer.
const COMMITS: u16 = 400;
const SCRUBS: u32 = 40;

/// Every page of the state that a scrub reads may be freed and the next one's pages written meanwhile.
fn nothing_beside_a_writer(db: &Database) {
    let (commits, scrubs) = (AtomicU16::new(0), AtomicU32::new(0));
    // A panic on one side ends the other.
    let ended = AtomicBool::new(false);
    struct Ends<'a>(&'a AtomicBool);
    impl Drop for Ends<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let enough = || {
        let commits = commits.load(Ordering::Relaxed);
        ended.load(Ordering::Relaxed)
            || (commits >= COMMITS && scrubs.load(Ordering::Relaxed) >= SCRUBS)
    };
    (0..50).for_each(|round| churn(db, round));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let _ends = Ends(&ended);
            while !enough() {
                churn(db, commits.fetch_add(1, Ordering::Relaxed) % 5000 + 50);
            }
        });
        let _ends = Ends(&ended);
        let mut newest = None;
        while !enough() {
            if scrubs.fetch_add(1, Ordering::Relaxed).is_multiple_of(8) {
                db.evict();
            }
            let report = scrubbed(db);
            assert!(report.is_clean() && report.pages > 20, "{report:?}");
            assert!(newest <= Some(report.txn));
            newest = Some(report.txn);
        }
    });
    assert!(commits.load(Ordering::Relaxed) >= COMMITS && scrubs.load(Ordering::Relaxed) >= SCRUBS);
    assert!(db.check().unwrap().is_sound());
}

#[test]
fn beside_a_writer() {
    let dir = tempfile::tempdir().unwrap();
    nothing_beside_a_writer(&Database::in_memory().unwrap());
    nothing_beside_a_writer(&Database::open_buffered(dir.path().join("b.leaf")).unwrap());
    for mode in [mapleaf::WriteMode::InPlace, mapleaf::WriteMode::Shadow] {
        let path = dir.path().join(format!("{mode:?}.leaf"));
        let builder = Database::builder().write_mode(mode).verify(mapleaf::Verify::FirstTouch);
        // SAFETY: a new file in a directory of its own.
        #[allow(unsafe_code)]
        let db = unsafe { builder.open(&path) }.unwrap();
        nothing_beside_a_writer(&db);
    }
}

/// A file with so many free pages between others that lists and a bitmap keep them.
fn with_space_pages(path: &Path) -> Database {
    let builder = Builder::new().background(false).log_bytes(0, 0);
    // SAFETY: a new file in a directory of its own.
    #[allow(unsafe_code)]
    let db = unsafe { builder.open(path) }.unwrap();
    for round in 0..60u16 {
        let mut txn = db.write().unwrap();
        for name in ["stays", "goes"] {
            for seed in 0..200u16 {
                let key = [round.to_be_bytes(), seed.to_be_bytes()].concat();
                txn.tree(name).unwrap().insert(&key, &[7; 200]).unwrap();
            }
        }
        txn.commit().unwrap();
    }
    let mut txn = db.write().unwrap();
    txn.drop_tree("goes").unwrap();
    txn.commit().unwrap();
    (0..4).for_each(|round| churn(&db, round));
    db
}

/// Damages every page that says it is of the free pages' structures, one after the other.
#[test]
fn of_damaged_space() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.leaf");
    with_space_pages(&path).close().unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let page_of = |page: usize| page * 4096..(page + 1) * 4096;
    let is_space = |page: &usize| {
        let bytes = &bytes[page_of(*page)];
        (6..=8).contains(&bytes[16]) && verify_sealed(PageId(*page as u32), bytes).is_ok()
    };
    let (mut found, mut in_use) = (0, 0);
    for page in (2..bytes.len() / 4096).filter(is_space) {
        let mut bytes = bytes.clone();
        bytes[page_of(page)][1000] ^= 0x10;
        std::fs::write(&path, &bytes).unwrap();
        // SAFETY: nothing else has this file; nothing is written to it.
        #[allow(unsafe_code)]
        let db = unsafe { Builder::new().read_only(true).background(false).open(&path) }.unwrap();
        let report = scrubbed(&db);
        in_use = db.stats().store.space_pages;
        // Some are of older states.
        if !report.is_clean() {
            found += 1;
            let scars: Vec<_> = report.found.iter().map(|scar| scar.page.0 as usize).collect();
            assert_eq!((scars, &report.found[0].what), (vec![page], &None));
        }
        assert_eq!(report.is_clean(), db.check().unwrap().is_sound());
    }
    assert_eq!(found, in_use);
    assert!(in_use > 0, "nothing was damaged");
}

#[test]
fn an_empty_store() {
    let report = scrubbed(&Database::in_memory().unwrap());
    assert_eq!((report.pages, report.damages), (0, 0));
    assert_ne!(report.page_size, 0);
    assert!(!report.found.iter().any(|scar| scar.page == PageId::NONE));
}
