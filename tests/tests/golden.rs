//! Files of format v1 open for ever after, and hold what they held when they were written.

#![allow(unsafe_code)] // Opens copies of the files through a mapping.

use mapleaf_tests::golden::{CASES, Case, Content, content, path, read, write};

fn bytes(case: &Case) -> Vec<u8> {
    std::fs::read(path(case)).unwrap_or_else(|error| panic!("{}: {error}", case.name))
}

#[test]
fn golden_files_hold_what_they_held() {
    for case in &CASES {
        let (found, stats) = read(&bytes(case)).unwrap_or_else(|error| panic!("{case:?}: {error}"));
        assert!(found == content(case), "{}: another content", case.name);
        assert_eq!(stats.page_size, case.page_size);
        let replays = case.died && case.log_bytes > 0;
        assert_eq!(stats.replayed_blocks > 0, replays, "{}: {stats:?}", case.name);
    }
}

/// Those that shall have leaves of fingerprints have them, and say so in their metas.
#[test]
fn golden_files_have_the_leaves_they_are_kept_for() {
    for case in &CASES {
        let (bytes, page) = (bytes(case), case.page_size as usize);
        let leaves = bytes.chunks(page).skip(2).filter(|page| page.get(16) == Some(&3)).count();
        let announced = [24, page + 24].iter().any(|at| bytes[*at] & 8 != 0);
        assert_eq!((leaves > 3, announced), (case.prints, case.prints), "{case:?}: {leaves}");
    }
}

/// What this build writes is what the files hold: the history itself has not changed.
#[test]
fn the_same_history_gives_the_same_content() {
    for case in &CASES {
        let (found, stats) = read(&write(case).unwrap()).unwrap();
        assert!(found == content(case), "{}: another content", case.name);
        assert!(stats.free_pages + stats.pinned_pages > 0, "{}: nothing was freed", case.name);
    }
}

#[test]
fn golden_files_open_through_a_mapping() {
    let directory = tempfile::tempdir().unwrap();
    for case in CASES.iter().filter(|case| case.page_size == 4096) {
        let copy = directory.path().join(case.name);
        std::fs::write(&copy, bytes(case)).unwrap();
        // SAFETY: a copy in a directory of this test's own, of a file that mapleaf wrote.
        let db = unsafe { mapleaf::Database::open(&copy) }.unwrap();
        let report = db.check().unwrap();
        assert!(report.is_sound(), "{}: {:?}", case.name, report.found);
        let mut found = Content::new();
        let snapshot = db.read().unwrap();
        for named in snapshot.trees().unwrap() {
            let (name, record) = named.unwrap();
            let name = String::from_utf8(name.to_vec()).unwrap();
            let tree = snapshot.tree(&name).unwrap();
            let entries = tree.iter().map(|entry| {
                let (key, value) = entry.unwrap();
                (key.to_vec(), value.to_vec())
            });
            found.insert(name, (record.tag, entries.collect()));
        }
        assert!(found == content(case), "{}: another content", case.name);
    }
}

/// One flipped bit anywhere is found, or lies where nothing is kept.
#[test]
fn a_flipped_bit_never_passes_for_other_content() {
    let case = &CASES[0];
    let (sound, expected) = (bytes(case), content(case));
    let mut refused = 0;
    for at in (0..sound.len()).step_by(509) {
        let mut damaged = sound.clone();
        damaged[at] ^= 1 << (at % 8);
        match read(&damaged) {
            Ok((found, _)) => assert!(found == expected, "byte {at}: another content"),
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 0);
}
