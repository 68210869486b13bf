//! What `PageMap` sees of a file beside whoever writes it, and leaves in memory.

use mapleaf::{Builder, Database, PageId, PageKind, PageMap};
use std::path::Path;

fn counts(map: &PageMap, kind: PageKind) -> u64 {
    map.counts()[kind as usize]
}

fn fill(db: &Database, round: u32) {
    let mut txn = db.write().unwrap();
    let mut tree = txn.tree("numbers").unwrap();
    for i in 0..5000u32 {
        let key = i.wrapping_mul(2_654_435_761).to_be_bytes();
        tree.insert(&key, &[round as u8; 100]).unwrap();
    }
    txn.commit().unwrap();
}

fn open(path: &Path) -> Database {
    // SAFETY: the test's own file.
    unsafe { Builder::new().background(false).open(path) }.unwrap()
}

/// Beside an open database: the last checkpoint, what is in the log, and what a snapshot pins.
#[test]
fn sees_the_last_checkpoint_beside_the_writer() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.leaf");
    let db = open(&path);
    fill(&db, 0);
    db.checkpoint().unwrap();
    let before = PageMap::read(&path).unwrap();
    assert_eq!((before.damages(), before.is_clean()), (0, false));
    assert_eq!(before.trees()[1].1.entries, 5000);
    let mut small = db.write().unwrap();
    small.tree("numbers").unwrap().insert(b"one more", b"").unwrap();
    small.commit().unwrap();
    let logged = PageMap::read(&path).unwrap();
    assert_eq!(logged.pending_transactions(), 1);
    assert_eq!((logged.txn(), logged.trees()[1].1.entries), (before.txn(), 5000));
    assert!(!before.is_outdated());

    let snapshot = db.read().unwrap();
    fill(&db, 1);
    db.checkpoint().unwrap();
    assert!(before.is_outdated());
    let pinned = PageMap::read(&path).unwrap();
    assert_eq!((pinned.damages(), pinned.trees()[1].1.entries), (0, 5001));
    // All of the leaves were replaced, and the snapshot sees the old ones.
    assert!(counts(&pinned, PageKind::Pinned) >= counts(&before, PageKind::Leaf));
    assert_eq!(counts(&pinned, PageKind::Unreached), 0);
    assert_eq!(pinned.counts().iter().sum::<u64>(), u64::from(pinned.page_count()));
    drop(snapshot);
    db.close().unwrap();
    assert!(PageMap::read(&path).unwrap().is_clean());
}

/// Reading the map leaves in memory what was there, and no more.
#[cfg(target_os = "linux")]
#[test]
fn leaves_memory_as_it_was() {
    // Beside the program: on a file system that can drop pages, where /tmp may be memory.
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = directory.path().join("a.leaf");
    let db = open(&path);
    fill(&db, 0);
    db.close().unwrap();
    let file = std::fs::File::open(&path).unwrap();
    file.sync_all().unwrap();
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::Random).unwrap();
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
    let mut byte = [0];
    std::os::unix::fs::FileExt::read_exact_at(&file, &mut byte, 8192).unwrap();
    let resident =
        |map: &PageMap| -> Vec<bool> { map.pages().map(|page| page.resident.unwrap()).collect() };
    let Some(first) =
        PageMap::read(&path).ok().filter(|map| map.page(PageId(2)).unwrap().resident.is_some())
    else {
        return; // A kernel that does not say.
    };
    let first = resident(&first);
    assert!(first[2], "page 2 was read a moment ago");
    let many = first.iter().filter(|resident| **resident).count();
    if many == first.len() {
        return; // A file system that lives in memory.
    }
    let mut again = PageMap::read(&path).unwrap();
    assert_eq!(resident(&again), first, "{many} were resident");
    std::fs::read(&path).unwrap();
    again.measure_residency();
    assert!(again.pages().all(|page| page.resident == Some(true)));
}

/// Any bytes behind the metas are looked at without a panic.
#[test]
fn any_bytes_are_looked_at() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.leaf");
    // Whose processes died: with a log.
    for golden in ["v1-512-died.leaf", "v1-512-prints.leaf"] {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden").join(golden);
        let whole = std::fs::read(golden).unwrap();
        any_changes_are_looked_at(&path, &whole);
    }
}

fn any_changes_are_looked_at(path: &Path, whole: &[u8]) {
    let mut seed = 1u64;
    let mut random = move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize
    };
    for round in 0..40 {
        let mut bytes = whole.to_vec();
        for _ in 0..1 << (round % 12) {
            let at = random() % bytes.len();
            // Small numbers and large ones: lengths, offsets, pages.
            bytes[at] = [0, 1, 255, random() as u8][random() % 4];
        }
        if round % 3 == 0 {
            bytes.truncate(random() % bytes.len());
        }
        std::fs::write(path, &bytes).unwrap();
        let Ok(map) = PageMap::read(path) else { continue };
        assert_eq!(map.counts().iter().sum::<u64>(), u64::from(map.page_count()));
        for page in 0..map.file_pages() {
            let explained = map.explain(PageId(page)).unwrap();
            let last = explained.fields.iter().map(|field| field.bytes.end).max();
            assert_eq!(last, Some(512), "page {page}");
        }
        for (name, _) in map.trees() {
            assert!(map.outline(name, 10_000).is_some());
        }
    }
}
