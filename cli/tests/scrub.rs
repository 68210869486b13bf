//! `scrub`, and `--verify`.

mod run;

use run::{Ran, Store};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const PAGE: usize = 4096;
const VALUE: &[u8] = b"somewhere in the middle";

/// A store with a tree of many pages, and a large value.
fn store() -> Store {
    let store = Store::new();
    let tsv: String = (0..20_000).map(|i| format!("{i:06}\tvalue {i}\n")).collect();
    store.load("numbers", tsv.as_bytes());
    store.run_with(&["put", "large", "--file", "-"], &[b'v'; 100_000]).quiet();
    store.run(&["put", "--tree", "numbers", "010000", "somewhere in the middle"]).quiet();
    store
}

/// Changes a byte of the file: the last one that these bytes have in it.
fn damage(store: &Store, of: &[u8]) -> usize {
    let mut bytes = std::fs::read(store.path()).unwrap();
    let at = bytes.windows(of.len()).rposition(|bytes| bytes == of).unwrap();
    bytes[at + 4] ^= 1;
    std::fs::write(store.path(), &bytes).unwrap();
    at / PAGE
}

fn found(ran: &Ran) -> Value {
    let report: Value = serde_json::from_slice(&ran.out).unwrap();
    assert_eq!(report["clean"], json!(report["damages"] == 0));
    report["found"].clone()
}

#[test]
fn of_a_clean_store() {
    let store = store();
    let before = std::fs::read(store.path()).unwrap();
    let out = store.run(&["scrub"]).quiet();
    assert!(out.contains("s.leaf: clean: ") && out.lines().count() == 1, "{out}");
    let report = store.run(&["scrub", "--json", "--evict"]).json();
    assert_eq!((&report["clean"], &report["damages"]), (&json!(true), &json!(0)));
    let checked = store.run(&["check", "--json"]).json();
    let of_trees = ["inner_pages", "leaf_pages", "value_pages", "space_pages"];
    let pages: u64 = of_trees.iter().map(|name| checked[name].as_u64().unwrap()).sum();
    assert_eq!(report["pages"], pages);
    assert!(std::fs::read(store.path()).unwrap() == before);
}

#[test]
fn says_what_is_damaged() {
    let store = store();
    let leaf = damage(&store, VALUE);
    damage(&store, &[b'v'; 5000]);
    let ran = store.run(&["scrub", "--json"]);
    assert_eq!((ran.code, ran.err.as_str()), (1, ""));
    let found = found(&ran);
    assert_eq!(found.as_array().unwrap().len(), 2);
    let (value, number) = (&found[0], &found[1]);
    assert_eq!(
        (&value["tree"], &value["what"], &value["key"]),
        (&json!("main"), &json!("value"), &json!("large"))
    );
    assert_eq!(
        (&number["tree"], &number["what"], &number["page"], &number["offset"]),
        (&json!("numbers"), &json!("leaf"), &json!(leaf), &json!(leaf * PAGE))
    );
    let (from, to) = (number["from"].as_str().unwrap(), number["to"].as_str().unwrap());
    assert!(from <= "010000" && "010000" < to, "{number}");
    let out = String::from_utf8(store.run(&["scrub"]).out).unwrap();
    let line = format!("tree \"numbers\": page {leaf} at byte {}: its checksum", leaf * PAGE);
    assert!(out.contains(&line) && out.contains(&format!("below '{to}'")), "{out}");
    assert!(out.contains("the value of 'large'") && out.contains(": 2 damages: "), "{out}");
}

#[test]
fn slowly() {
    let store = store();
    let bytes = store.run(&["scrub", "--json"]).json()["pages"].as_u64().unwrap() * PAGE as u64;
    let rate = format!("{}", bytes as f64 / 1e6 / 0.5);
    let start = Instant::now();
    store.run(&["scrub", "--rate", &rate]).quiet();
    assert!(start.elapsed() > Duration::from_millis(400), "{:?}", start.elapsed());
    for rate in ["0", "-1", "fast", "NaN", "inf"] {
        assert_eq!(store.run(&["scrub", "--rate", rate]).code, 2);
    }
}

#[test]
fn that_cannot_be_done() {
    let store = store();
    let db = mapleaf::Database::open_buffered(store.path()).unwrap();
    assert!(store.run(&["scrub"]).failed(2).contains("it is open already"));
    drop(db);
    let bytes = std::fs::read(store.path()).unwrap();
    std::fs::write(store.path(), [7; 100_000]).unwrap();
    store.run(&["scrub"]).failed(2);
    std::fs::remove_file(store.path()).unwrap();
    store.run(&["scrub"]).failed(2);
    // Both metas: it was a store.
    let mut harmed = bytes;
    harmed[100] ^= 1;
    harmed[PAGE + 100] ^= 1;
    std::fs::write(store.path(), harmed).unwrap();
    store.run(&["scrub"]).failed(1);
}

#[test]
fn verified_answers() {
    let store = store();
    damage(&store, VALUE);
    let get = ["get", "--tree", "numbers", "010000"];
    // As it is in the file, without a word.
    assert_eq!(store.run(&get).quiet(), "somevhere in the middle\n");
    for when in ["first", "always"] {
        let verified = |args: &[&str]| store.run(&[&["--verify", when], args].concat());
        assert!(verified(&get).failed(3).contains("its checksum does not match"));
        assert_eq!(verified(&["scan", "--tree", "numbers"]).code, 3);
        assert_eq!(verified(&["dump"]).code, 3);
        assert_eq!(verified(&["put", "--tree", "numbers", "010000", "x"]).code, 3);
        assert_eq!(verified(&["get", "--tree", "numbers", "000000"]).quiet(), "value 0\n");
        assert_eq!(verified(&["put", "--tree", "numbers", "000000", "x"]).quiet(), "");
        assert_eq!(
            store.run(&["get", "--tree", "numbers", "000000", "--verify", when]).quiet(),
            "x\n"
        );
        store.run(&["put", "--tree", "numbers", "000000", "value 0"]).quiet();
    }
    assert_eq!(store.run(&["--verify", "none", "get", "--tree", "numbers", "010000"]).code, 0);
    assert_eq!(store.run(&["--verify", "often", "trees"]).code, 2);
}
