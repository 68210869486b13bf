//! Damaged stores: `check --repair` and `salvage`.

mod run;

use run::{Ran, Store, command};
use serde_json::{Value, json};

const PAGE: usize = 4096;

/// A store with entries that fill many pages, a large value, and pages that were freed.
fn store() -> Store {
    let store = Store::new();
    let tsv: String = (0..40_000).map(|i| format!("{i:06}\tvalue {i}\n")).collect();
    store.load("numbers", tsv.as_bytes());
    store.run_with(&["put", "large", "--file", "-"], &[b'v'; 100_000]).quiet();
    store.run(&["put", "small", "1"]).quiet();
    store.run(&["del", "--tree", "numbers", "--from", "010000", "--to", "012000"]).quiet();
    // Enough freed pages for lists of their own.
    let shuffled = (0..40_000).map(|i| i * 7919 % 40_000);
    let other: String = shuffled.map(|i| format!("{i:06}\tother value {i}\n")).collect();
    let ran = store.run_with(&["load", "--tree", "gone", "--batch", "3000"], other.as_bytes());
    assert_eq!(ran.code, 0, "{ran:?}");
    let ran = store.run_with(&["load", "--tree", "gone", "--batch", "3000"], tsv.as_bytes());
    assert_eq!(ran.code, 0, "{ran:?}");
    store.run(&["del", "--tree", "gone", "--from", "000001"]).quiet();
    store.run(&["put", "small", "2"]).quiet();
    store
}

fn json_of(ran: &Ran) -> Value {
    serde_json::from_slice(&ran.out).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
}

/// Changes a byte of a page.
fn damage(store: &Store, page: usize) {
    damage_at(store, page * PAGE + 1000);
}

fn damage_at(store: &Store, at: usize) {
    let mut bytes = std::fs::read(store.path()).unwrap();
    bytes[at] ^= 1;
    std::fs::write(store.path(), &bytes).unwrap();
}

/// The pages of the older meta, and of the newer.
fn metas(store: &Store) -> (usize, usize) {
    let bytes = std::fs::read(store.path()).unwrap();
    let txn = |page: usize| u64::from_le_bytes(bytes[page * PAGE + 80..][..8].try_into().unwrap());
    if txn(0) < txn(1) { (0, 1) } else { (1, 0) }
}

/// Pages of this kind, the last ones first: those of older states come before.
fn pages_of(store: &Store, kind: u8) -> Vec<usize> {
    let bytes = std::fs::read(store.path()).unwrap();
    let pages = (2..bytes.len() / PAGE).rev();
    pages.filter(|page| bytes[page * PAGE + 16] == kind).collect()
}

fn found_pages(store: &Store) -> Vec<u64> {
    let report = json_of(&store.run(&["check", "--json"]));
    let found = report["found"].as_array().unwrap();
    found.iter().filter_map(|found| found["page"].as_u64()).collect()
}

/// A file that has one meta left says so, and is sound; after the next change it has two again.
#[test]
fn a_meta_that_is_not_whole_is_a_note() {
    let store = store();
    let (older, _) = metas(&store);
    damage_at(&store, older * PAGE + 300);
    for command in ["check", "scrub"] {
        let out = store.run(&[command]).quiet();
        let note = format!("note: the meta in page {older} is not whole");
        assert!(out.starts_with(&note), "{out}");
        let whole = store.run(&[command, "--json"]).json()["metas_whole"].clone();
        assert_eq!(whole, json!([older != 0, older != 1]));
    }
    store.run(&["put", "small", "3"]).quiet();
    assert!(!store.run(&["check"]).quiet().contains("note"));

    // Of the newer one the log has what it said.
    let (_, newer) = metas(&store);
    damage_at(&store, newer * PAGE + 300);
    store.run(&["check"]).quiet();
    assert_eq!(store.run(&["get", "small"]).quiet(), "3\n");
}

#[test]
fn repair_of_what_is_sound_changes_nothing() {
    let store = store();
    let before = std::fs::read(store.path()).unwrap();
    let out = store.run(&["check", "--repair"]).quiet();
    assert!(out.ends_with("s.leaf: sound: nothing to repair\n"), "{out}");
    assert_eq!(store.run(&["check", "--repair", "--json"]).json()["outcome"], "sound");
    assert!(std::fs::read(store.path()).unwrap() == before);
}

#[test]
fn a_damaged_list_of_free_pages_is_repaired() {
    let store = store();
    // Free pages between values that stay where they are, more than are kept at hand.
    let names: Vec<String> = (0..600).map(|i| format!("large {i:03}")).collect();
    let large: String =
        names.iter().map(|name| format!("{name}\t{}\n", "l".repeat(10_000))).collect();
    assert_eq!(store.run_with(&["load"], large.as_bytes()).code, 0);
    let gone = names.iter().map(String::as_str).step_by(2);
    store.run(&["del"].into_iter().chain(gone).collect::<Vec<_>>()).quiet();
    let scanned = store.run(&["scan", "--tree", "numbers"]).quiet();
    // A bitmap, or a list, of the state: `check` must mind.
    let pages = [pages_of(&store, 6), pages_of(&store, 8)].concat();
    let page = pages.into_iter().find(|page| {
        damage(&store, *page);
        let minded = store.run(&["check"]).code == 1;
        if !minded {
            damage(&store, *page);
        }
        minded
    });
    let page = page.expect("space pages");
    assert_eq!(found_pages(&store), [page as u64]);
    let ran = store.run(&["check", "--repair"]);
    let out = String::from_utf8(ran.out).unwrap();
    let wanted = format!("page {page}: its checksum does not match its bytes\n");
    assert!(out.starts_with(&wanted) && out.contains("repaired: 1 damage before"), "{out}");
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert_eq!(store.run(&["check", "--json"]).json()["sound"], true);
    assert_eq!(store.run(&["scan", "--tree", "numbers"]).quiet(), scanned);
    store.load("more", &b"a\t1\nb\t2\n".repeat(10));
    assert_eq!(store.run(&["check", "--json"]).json()["sound"], true);
}

#[test]
fn a_damaged_tree_is_left_to_salvage() {
    let store = store();
    // The last place of the value is on its page; the log may hold it too.
    store.run(&["put", "--tree", "numbers", "020000", "somewhere in the middle"]).quiet();
    let bytes = std::fs::read(store.path()).unwrap();
    let value = b"somewhere in the middle";
    let at = bytes.windows(value.len()).rposition(|bytes| bytes == value).unwrap();
    let page = at / PAGE;
    damage(&store, page);
    assert_eq!(found_pages(&store), [page as u64]);
    let before = std::fs::read(store.path()).unwrap();
    let ran = store.run(&["check", "--repair"]);
    let out = String::from_utf8(ran.out).unwrap();
    assert!(ran.code == 1 && out.contains("salvage"), "{out}");
    let ran = store.run(&["check", "--repair", "--json"]);
    assert_eq!((ran.code, &json_of(&ran)["outcome"]), (1, &json!("trees damaged")));
    assert!(std::fs::read(store.path()).unwrap() == before);
    let dest = store.file("new.leaf");
    let ran = store.run(&["salvage", dest.to_str().unwrap(), "--json"]);
    let report = json_of(&ran);
    assert_eq!((ran.code, &report["complete"], &report["losses"]), (1, &json!(false), &json!(1)));
    let trees = report["trees"].as_array().unwrap();
    let tree = trees.iter().find(|tree| tree["losses"] == 1).unwrap();
    assert_eq!(
        (&tree["lost"][0]["page"], &tree["lost"][0]["what"]),
        (&json!(page), &json!("leaf"))
    );
    assert!(tree["entries"].as_u64() < tree["recorded"].as_u64());
    assert_eq!(command(&dest, &["check", "--json"]).output().unwrap().status.code(), Some(0));
    // It does not write over anything.
    let again = store.run(&["salvage", dest.to_str().unwrap()]).failed(2);
    assert!(again.contains("new.leaf"), "{again}");
}

#[test]
fn salvage_of_what_is_whole_and_of_what_is_no_store() {
    let store = store();
    let dest = store.file("new.leaf");
    let out = store.run(&["salvage", dest.to_str().unwrap()]).quiet();
    assert!(out.contains("tree \"numbers\": 38,000 entries\n"), "{out}");
    assert!(out.ends_with("s.leaf: copied 38,003 entries in 3 trees; nothing was lost\n"), "{out}");
    for args in [&["scan", "--tree", "numbers"][..], &["get", "large"], &["get", "small"]] {
        let copied = command(&dest, args).output().unwrap().stdout;
        assert!(copied == store.run(args).out, "{args:?}");
    }
    // Both metas: the trees are found, their names too, since these fill one page.
    let mut bytes = std::fs::read(store.path()).unwrap();
    bytes[..2 * PAGE].fill(0);
    std::fs::write(store.path(), &bytes).unwrap();
    assert_eq!(store.run(&["check", "--repair"]).code, 3);
    let dest = store.file("newer.leaf");
    let ran = store.run(&["salvage", dest.to_str().unwrap()]);
    let out = String::from_utf8(ran.out).unwrap();
    assert!(ran.code == 1 && out.contains("found by a page of names"), "{out}");
    let scanned = command(&dest, &["count", "--tree", "numbers"]).output().unwrap().stdout;
    assert_eq!(scanned, b"38000\n", "{out}");
    std::fs::write(store.path(), [7; 100_000]).unwrap();
    let none = store.file("none.leaf");
    let err = store.run(&["salvage", none.to_str().unwrap()]).failed(2);
    assert!(err.contains("not a mapleaf file") && !none.exists(), "{err}");
}

#[test]
fn a_store_in_use_is_neither_repaired_nor_salvaged() {
    let store = Store::new();
    store.run(&["put", "a", "1"]).quiet();
    let db = mapleaf::Database::open_buffered(store.path()).unwrap();
    assert!(store.run(&["check", "--repair"]).failed(3).contains("it is open already"));
    let dest = store.file("new.leaf");
    let err = store.run(&["salvage", dest.to_str().unwrap()]).failed(2);
    assert!(err.contains("it is open already") && !dest.exists(), "{err}");
    drop(db);
    assert_eq!(store.run(&["salvage", dest.to_str().unwrap()]).code, 0);
}

#[test]
fn a_salvage_without_room_names_the_new_store() {
    let store = store();
    // Files of at most so many blocks of 512 bytes: less than a store begins with, and less than this needs.
    for (blocks, is_there) in [(8, false), (2600, true)] {
        let dest = store.file(&format!("{blocks}.leaf"));
        let mut shell = std::process::Command::new("sh");
        let limited = format!("ulimit -f {blocks} && exec \"$0\" \"$@\"");
        shell.args(["-c", &limited, env!("CARGO_BIN_EXE_mapleaf")]);
        let err = run::feed(shell.arg(store.path()).arg("salvage").arg(&dest), b"").failed(2);
        assert!(err.contains(&format!("{blocks}.leaf: no room to grow")), "{err}");
        assert_eq!(
            (err.contains("has a part of it"), dest.exists()),
            (is_there, is_there),
            "{err}"
        );
    }
}

#[test]
fn a_file_cut_within_a_page_is_an_error_or_a_loss() {
    let store = store();
    let whole = std::fs::read(store.path()).unwrap();
    for cut in [1, 5000, whole.len() / 3 + 77, whole.len() - 9000, whole.len() - 4000] {
        std::fs::write(store.path(), &whole[..whole.len() - cut]).unwrap();
        let ran = store.run(&["check", "--repair"]);
        assert!([0, 1, 3].contains(&ran.code), "{ran:?}");
        if ran.code == 0 {
            assert_eq!(store.run(&["check", "--json"]).json()["sound"], true, "{cut}");
        }
        let dest = store.file(&format!("{cut}.leaf"));
        let ran = store.run(&["salvage", dest.to_str().unwrap()]);
        assert!([0, 1, 2].contains(&ran.code), "{ran:?}");
        assert!(ran.code == 2 || command(&dest, &["check"]).output().unwrap().status.success());
    }
}
