//! Looking at files page by page: `inspect`, `page` and `tree`.

#![cfg(feature = "inspect")]

mod run;

use run::{Store, command};
use serde_json::Value;
use std::collections::HashSet;
use std::process::{Command, Stdio};

const PAGE: usize = 4096;
const KINDS: [&str; 9] =
    ["meta", "log", "inner", "leaf", "value", "space", "free", "pinned", "unreached"];

/// A store with pages of every kind but unreached ones.
fn store() -> Store {
    let store = Store::new();
    let tsv: String = (0..20_000).map(|i| format!("{i:06}\tvalue {i}\n")).collect();
    store.load("numbers", tsv.as_bytes());
    let shuffled = (0..20_000).map(|i| i * 7919 % 20_000);
    let other: String = shuffled.map(|i| format!("{i:06}\tother value {i}\n")).collect();
    let ran = store.run_with(&["load", "--tree", "gone", "--batch", "2000"], other.as_bytes());
    assert_eq!(ran.code, 0, "{ran:?}");
    store.run(&["del", "--tree", "gone", "--from", "000001"]).quiet();
    // Free pages between values that stay where they are, more than are kept at hand.
    let values: String =
        (0..48).map(|i| format!("large {i:02}\t{}\n", "v".repeat(50_000))).collect();
    store.load("main", values.as_bytes());
    for i in (0..48).step_by(2) {
        store.run(&["del", &format!("large {i:02}")]).quiet();
    }
    store
}

fn counts(store: &Store) -> Value {
    store.run(&["inspect", "--json"]).json()
}

fn page_count(store: &Store) -> u64 {
    counts(store)["pages"].as_u64().unwrap()
}

/// Changes a byte of a page.
fn damage(store: &Store, page: usize, at: usize) {
    let mut bytes = std::fs::read(store.path()).unwrap();
    bytes[page * PAGE + at] ^= 0x55;
    std::fs::write(store.path(), &bytes).unwrap();
}

#[test]
fn counts_are_those_of_check_and_stat() {
    let store = store();
    let seen = counts(&store);
    let check = store.run(&["check", "--json"]).json();
    let stat = store.run(&["stat", "--json"]).json();
    for kind in &KINDS[..8] {
        let wanted = &check[format!("{kind}_pages")];
        assert_eq!(&seen["counts"][kind], wanted, "{kind} in {seen}\n{check}");
        assert!(*kind == "pinned" || wanted.as_u64() > Some(0), "no {kind} page to be counted");
    }
    assert_eq!((&seen["counts"]["unreached"], &seen["damages"]), (&0.into(), &0.into()));
    let sum: u64 = KINDS.iter().map(|kind| seen["counts"][kind].as_u64().unwrap()).sum();
    assert_eq!(sum, seen["pages"].as_u64().unwrap());
    for name in ["file_bytes", "page_bytes", "pages", "transaction", "trees"] {
        assert_eq!(seen[name], stat[name], "{name}");
    }
    assert!(seen["oldest_birth"].as_u64() < seen["newest_birth"].as_u64());
    assert_eq!((&seen["closed"], &seen["changed_meanwhile"]), (&true.into(), &false.into()));
}

/// Every byte of every page is in a field; on sound pages that are in use in one only.
fn explained(store: &Store, page: u64) -> Value {
    let explained = store.run(&["page", &page.to_string(), "--json"]).json();
    let free =
        ["free", "pinned", "unreached"].contains(&explained["kind"].as_str().unwrap_or("free"));
    let sound = explained["checksum"] != "wrong" && !free;
    let mut end = 0;
    for field in explained["fields"].as_array().unwrap() {
        let (from, to) = (field["from"].as_u64().unwrap(), field["to"].as_u64().unwrap());
        assert!(from < to && to <= PAGE as u64 && from <= end, "page {page}: {field}");
        assert!(from == end || !sound, "page {page}: {field} overlaps");
        end = end.max(to);
    }
    assert_eq!(end, PAGE as u64, "page {page}");
    explained
}

#[test]
fn every_page_is_explained_from_its_first_byte_to_its_last() {
    let store = store();
    let mut kinds = HashSet::new();
    for page in 0..page_count(&store) {
        let explained = explained(&store, page);
        let kind = explained["kind"].as_str().unwrap().to_owned();
        let sealed = ["meta", "inner", "leaf", "space"].contains(&&*kind);
        assert!(!sealed || explained["checksum"] == "right", "{explained}");
        assert!(!sealed || explained["damage"].is_null(), "{explained}");
        if kind == "leaf" && explained["tree"] == "numbers" {
            let keys = field_values(&explained, "key");
            let prefix = field_values(&explained, "prefix").first().cloned().unwrap_or_default();
            let first = format!("{prefix}{}", keys[0]);
            let value = &field_values(&explained, "value")[0];
            assert_eq!(*value, format!("value {}", first.parse::<u32>().unwrap()));
        }
        kinds.insert(kind);
        if page % 5 != 0 {
            continue;
        }
        let text = store.run(&["page", &page.to_string()]).quiet();
        assert!(text.lines().nth(1).is_some_and(|line| line.starts_with("checksum: ")), "{text}");
    }
    for kind in ["meta", "log", "inner", "leaf", "value", "space", "free"] {
        assert!(kinds.contains(kind), "{kinds:?}");
    }
    let beyond = store.run(&["page", "4000000"]).failed(1);
    assert!(beyond.contains("page 4000000: the file ends before it"), "{beyond}");
}

fn field_values(explained: &Value, name: &str) -> Vec<String> {
    let fields = explained["fields"].as_array().unwrap().iter();
    let named = fields.filter(|field| field["name"] == name);
    named.map(|field| field["value"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn damaged_pages_are_explained_as_far_as_they_go() {
    let store = store();
    let before = counts(&store);
    let pages = page_count(&store);
    // Each page in another place: headers, arrays, cells.
    let places = [3, 9, 16, 18, 20, 22, 24, 26, 29, 33, 40, 300, 2000, 4090];
    let mut bytes = std::fs::read(store.path()).unwrap();
    for page in 2..pages as usize {
        bytes[page * PAGE + places[page % places.len()]] ^= 0x55;
    }
    std::fs::write(store.path(), &bytes).unwrap();
    for page in 0..pages {
        explained(&store, page);
    }
    let after = counts(&store);
    assert!(after["damages"].as_u64() > Some(0));
    assert!(after["counts"]["unreached"].as_u64() > Some(0), "{before}\n{after}");
    let sum: u64 = KINDS.iter().map(|kind| after["counts"][kind].as_u64().unwrap()).sum();
    assert_eq!(sum, pages);
    // And any bytes at all.
    let mut seed = 7u64;
    for byte in &mut bytes[2 * PAGE..] {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        *byte = (seed >> 56) as u8;
    }
    for (i, kind) in (1..12).cycle().take(pages as usize - 2).enumerate() {
        bytes[(i + 2) * PAGE + 16] = kind;
    }
    std::fs::write(store.path(), &bytes).unwrap();
    for page in 0..pages {
        explained(&store, page);
    }
    assert_eq!(store.run(&["inspect"]).code, 0);
}

#[test]
fn without_metas_nothing_is_reached_but_all_is_explained() {
    let store = store();
    let pages = page_count(&store);
    damage(&store, 0, 100);
    assert_eq!(counts(&store)["metas_whole"], serde_json::json!([false, true]));
    damage(&store, 1, 100);
    let seen = counts(&store);
    let file_pages = seen["file_pages"].as_u64().unwrap();
    assert!(file_pages >= pages);
    assert_eq!(seen["counts"]["unreached"], file_pages - 2);
    for page in (0..pages).step_by(3) {
        let explained = explained(&store, page);
        assert!(page < 2 || explained["kind"] == "unreached", "{explained}");
    }
    let page = store.run(&["page", "0"]).quiet();
    assert!(page.contains("checksum: WRONG"), "{page}");
}

#[test]
fn a_damaged_leaf_is_shown_where_it_is() {
    let store = store();
    let leaf = (2..page_count(&store))
        .find(|page| explained(&store, *page)["tree"] == "numbers")
        .unwrap() as usize;
    damage(&store, leaf, 1000);
    let seen = counts(&store);
    assert_eq!(seen["damages"], 1);
    assert_eq!(seen["damaged"][0]["page"], leaf);
    let page = store.run(&["page", &leaf.to_string()]).quiet();
    assert!(page.contains("checksum: WRONG: it is 0x"), "{page}");
    let picture = store.run(&["inspect"]).quiet();
    assert!(picture.contains(&format!("page {leaf}: its checksum does not match")), "{picture}");
    assert!(picture.lines().any(|line| line.contains('!')), "{picture}");
    let svg = store.file("out.svg");
    store.run(&["inspect", "--svg", svg.to_str().unwrap()]).quiet();
    assert!(std::fs::read_to_string(svg).unwrap().contains("framed: damaged (1 damage)"));
}

#[test]
fn the_picture_has_a_letter_a_page() {
    let store = store();
    let seen = counts(&store);
    let picture = store.run(&["inspect"]).quiet();
    let rows = picture.lines().skip(3).take_while(|line| !line.is_empty());
    let letters: String = rows.map(|row| &row[11..]).collect();
    let pages = page_count(&store) as usize;
    assert_eq!(letters.len(), pages, "{picture}");
    for (letter, kind) in "MGILVS.P".chars().zip(KINDS) {
        let found = letters.chars().filter(|other| *other == letter).count();
        assert_eq!(seen["counts"][kind], found, "{kind}\n{picture}");
    }
    for by in ["birth", "fill", "residency"] {
        let picture = store.run(&["inspect", "--color-by", by]).quiet();
        assert!(picture.contains(&format!("by {by}")), "{picture}");
    }
}

/// Elements opened and closed in pairs, quotes in pairs, no bare ampersand.
fn assert_well_formed(svg: &str) {
    let mut open = Vec::new();
    for part in svg.split('<').skip(1) {
        let (tag, text) = part.split_once('>').expect("a tag that ends");
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "{tag}");
        } else if !tag.ends_with('/') {
            open.push(tag.split(' ').next().unwrap());
        }
        for after in text.split('&').skip(1) {
            assert!(["amp;", "lt;", "gt;", "quot;"].iter().any(|name| after.starts_with(name)));
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn svg_is_well_formed_whatever_the_file_is_called() {
    let store = store();
    let odd = store.file("a <b> & \"c\" \u{1}.leaf");
    std::fs::copy(store.path(), &odd).unwrap();
    for by in ["kind", "birth", "fill", "residency"] {
        let svg = store.file("out.svg");
        let args = ["inspect", "--color-by", by, "--svg", svg.to_str().unwrap()];
        run::feed(&mut command(&odd, &args), b"").quiet();
        let svg = std::fs::read_to_string(svg).unwrap();
        assert!(svg.contains("a &lt;b&gt; &amp; &quot;c&quot;"), "{by}");
        assert_well_formed(&svg);
        assert_eq!(svg.matches("<title>page ").count() as u64, page_count(&store));
    }
}

#[test]
fn a_picture_goes_to_standard_output_and_never_over_the_store() {
    let store = store();
    let printed = store.run(&["inspect", "--svg", "-"]).quiet();
    assert_well_formed(&printed);
    let before = std::fs::read(store.path()).unwrap();
    let link = store.file("link");
    std::os::unix::fs::symlink(store.path(), &link).unwrap();
    let hard_link = store.file("hard-link");
    std::fs::hard_link(store.path(), &hard_link).unwrap();
    for to in [&store.path(), &link, &hard_link] {
        let said = store.run(&["inspect", "--svg", to.to_str().unwrap()]).failed(2);
        assert!(said.contains("take the place of the store"), "{said}");
    }
    assert!(std::fs::read(store.path()).unwrap() == before);
}

#[test]
fn watching_needs_a_terminal() {
    let store = store();
    let said = store.run(&["inspect", "--watch"]).failed(2);
    assert!(said.contains("--watch draws on a terminal"), "{said}");
}

#[test]
fn trees_are_drawn_within_limits() {
    let store = store();
    let seen = counts(&store);
    let record = &seen["trees"].as_array().unwrap()[2];
    assert_eq!(record["tree"], "numbers");
    let all = record["inner_pages"].as_u64().unwrap() + record["leaf_pages"].as_u64().unwrap();
    let dot = store.run(&["tree", "numbers", "--dot", "--limit", "100000"]).quiet();
    assert_eq!(dot.matches("fillcolor").count() as u64, all);
    assert_eq!(dot.matches(" -> ").count() as u64, all - 1);
    assert!(!dot.contains("left out"), "{dot}");
    drawn(&dot);
    let some = store.run(&["tree", "numbers", "--dot", "--limit", "10"]).quiet();
    assert_eq!(some.matches("fillcolor").count(), 10);
    assert!(some.contains(&format!("{} pages left out", all - 10)), "{some}");
    drawn(&some);
    drawn(&store.run(&["tree", "--names", "--dot"]).quiet());
    let text = store.run(&["tree"]).quiet();
    assert!(text.contains("24 large values on 312 pages"), "{text}");
    assert!(store.run(&["tree", "none"]).failed(1).contains("no tree \"none\""));
}

/// Graphviz draws it, where it is there.
fn drawn(dot: &str) {
    let graphviz = Command::new("dot").arg("-V").stderr(Stdio::null()).status();
    if graphviz.is_err() {
        assert!(std::env::var_os("MAPLEAF_TOOLS_REQUIRED").is_none(), "dot (graphviz) is needed");
        return;
    }
    let drawn = run::feed(Command::new("dot").arg("-Tsvg"), dot.as_bytes());
    assert_eq!((drawn.code, drawn.err.as_str()), (0, ""), "{dot}");
    assert!(String::from_utf8_lossy(&drawn.out).contains("</svg>"));
}

#[test]
fn a_file_that_is_none_is_refused() {
    let store = Store::new();
    std::fs::write(store.path(), vec![b'x'; 100_000]).unwrap();
    for args in [&["inspect"][..], &["page", "0"], &["tree"]] {
        assert!(store.run(args).failed(3).contains("not a mapleaf file"), "{args:?}");
    }
}
