//! Every command, its output and its exit codes.

mod run;

use run::{Store, feed};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};

#[test]
fn put_get_del() {
    let store = Store::new();
    assert_eq!(store.run(&["put", "ada", "1815"]).quiet(), "");
    assert_eq!(store.run(&["put", "--tree", "users", "ada", "Lovelace"]).quiet(), "");
    assert_eq!(store.run(&["get", "ada"]).quiet(), "1815\n");
    assert_eq!(store.run(&["get", "ada", "--tree", "users"]).quiet(), "Lovelace\n");
    assert_eq!(store.run(&["put", "ada", ""]).quiet(), "");
    assert_eq!(store.run(&["get", "ada"]).quiet(), "\n");
    let missing = store.run(&["get", "alan"]).failed(1);
    assert!(missing.contains("s.leaf: tree \"main\" has no key alan"), "{missing}");
    let missing = store.run(&["get", "x", "--tree", "nobody"]).failed(1);
    assert!(missing.contains("no tree \"nobody\""), "{missing}");
    // What is there goes, what is not is named.
    let missing = store.run(&["del", "alan", "ada"]).failed(1);
    assert!(missing.contains("has no key alan") && !missing.contains("ada"), "{missing}");
    assert_eq!(store.run(&["count"]).quiet(), "0\n");
    assert!(store.run(&["del", "--tree", "nobody", "x"]).failed(1).contains("no tree"));
    assert_eq!(store.run(&["trees"]).quiet(), "main\t0\nusers\t1\n");
    assert_eq!(store.run(&["del", "--tree", "users", "ada"]).quiet(), "");
    assert_eq!(store.run(&["get", "--tree", "users", "ada"]).code, 1);
}

#[test]
fn programs_are_told_what_was_put_and_removed() {
    let store = Store::new();
    let put = |args: &[&str]| store.run(&[&["put", "--json"], args].concat()).json();
    let told = json!({ "tree": "main", "key": "ada", "value_bytes": 4, "replaced": false });
    assert_eq!(put(&["ada", "1815"]), told);
    let told = json!({ "tree": "t", "key_hex": "ff", "value_bytes": 0, "replaced": false });
    assert_eq!(put(&["--tree", "t", r"\xff", ""]), told);
    let file = store.file("v");
    std::fs::write(&file, [7; 10_000]).unwrap();
    let told = json!({ "tree": "main", "key": "ada", "value_bytes": 10_000, "replaced": true });
    assert_eq!(put(&["ada", "--file", file.to_str().unwrap()]), told);
    for key in ["alan", "grace"] {
        put(&[key, ""]);
    }
    let ran = store.run(&["del", "--json", "ada", "no one", r"\xfe"]);
    let told: Value = serde_json::from_slice(&ran.out).unwrap();
    let missing = json!([{ "key": "no one" }, { "key_hex": "fe" }]);
    assert_eq!((ran.code, &told["removed"], &told["missing"]), (1, &json!(1), &missing));
    assert!(ran.err.contains("no key no one\n"), "{}", ran.err);
    let told = json!({ "tree": "main", "removed": 2, "missing": [] });
    assert_eq!(store.run(&["del", "--json", "--all"]).json(), told);
}

#[test]
fn bytes_print_and_parse_escaped() {
    let store = Store::new();
    store.run(&["put", r"k\x00\\\t\n\xff", r"v\xfe"]).quiet();
    store.run(&["put", "Főtanúsítvány", "ő"]).quiet();
    assert_eq!(store.run(&["get", r"k\x00\\\x09\x0a\xFF"]).quiet(), "v\\xfe\n");
    let scanned = "Főtanúsítvány\tő\nk\\x00\\\\\\t\\n\\xff\tv\\xfe\n";
    assert_eq!(store.run(&["scan"]).quiet(), scanned);
    let keys = "Főtanúsítvány\nk\\x00\\\\\\t\\n\\xff\n";
    assert_eq!(store.run(&["scan", "--keys-only"]).quiet(), keys);
    assert_eq!(store.run(&["scan", "--raw", "--prefix", "k"]).out, b"k\0\\\t\n\xff\tv\xfe\n");
    assert_eq!(store.run(&["get", r"k\x00\\\t\n\xff", "--raw"]).code, 1);
    let lines = store.run(&["scan", "--json"]).quiet();
    let lines: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0], json!({ "key": "Főtanúsítvány", "value": "ő" }));
    assert_eq!(lines[1], json!({ "key_hex": "6b005c090aff", "value_hex": "76fe" }));
    // What scan prints load reads.
    let copy = Store::new();
    copy.load("main", scanned.as_bytes());
    assert_eq!(copy.run(&["scan"]).quiet(), scanned);
    let bad = store.run(&["get", r"a\q"]).failed(2);
    assert!(bad.contains("KEY: no escape at byte 2"), "{bad}");
    assert_eq!(store.run(&["put", "a", r"\x4"]).code, 2);
    // Raw arguments have no escapes.
    store.run(&["put", "--raw", r"a\q", r"\x41"]).quiet();
    assert_eq!(store.run(&["get", "--raw", r"a\q"]).quiet(), r"\x41");
}

#[test]
fn scan_takes_ranges_in_both_directions() {
    let store = Store::new();
    store.load("main", b"a\t1\nab\t2\nabc\t3\nb\t4\nc\t5\n");
    let scan = |args: &[&str]| store.run(&[&["scan", "--keys-only"], args].concat()).quiet();
    assert_eq!(scan(&["--from", "ab"]), "ab\nabc\nb\nc\n");
    assert_eq!(scan(&["--to", "b"]), "a\nab\nabc\n");
    assert_eq!(scan(&["--from", "ab", "--to", "c", "--reverse"]), "b\nabc\nab\n");
    assert_eq!(scan(&["--prefix", "ab"]), "ab\nabc\n");
    assert_eq!(scan(&["--prefix", "ab", "--reverse", "--limit", "1"]), "abc\n");
    assert_eq!(scan(&["--limit", "2"]), "a\nab\n");
    assert_eq!(scan(&["--limit", "0"]), "");
    assert_eq!(scan(&["--from", "c", "--to", "a"]), "");
    assert_eq!(store.run(&["count", "--prefix", "a"]).quiet(), "3\n");
    assert_eq!(store.run(&["count", "--json"]).json(), json!({ "tree": "main", "entries": 5 }));
    store.run(&["del", "--from", "ab", "--to", "b"]).quiet();
    assert_eq!(scan(&[]), "a\nb\nc\n");
    store.run(&["del", "--prefix", "b"]).quiet();
    store.run(&["del", "--all"]).quiet();
    assert_eq!(store.run(&["count"]).quiet(), "0\n");
    assert_eq!(store.run(&["scan", "--prefix", "a", "--to", "b"]).code, 2);
    assert_eq!(store.run(&["del"]).code, 2);
}

#[test]
fn files_go_in_and_come_out_byte_for_byte() {
    let store = Store::new();
    let bytes: Vec<u8> = (0..3_000_001u32).map(|i| (i * 7 % 256) as u8).collect();
    let file = store.file("in");
    std::fs::write(&file, &bytes).unwrap();
    store.run(&["put", "file", "--file", file.to_str().unwrap()]).quiet();
    store.run_with(&["put", "stdin", "--file", "-"], &bytes).quiet();
    for key in ["file", "stdin"] {
        assert!(store.run(&["get", "--raw", key]).out == bytes, "{key}");
    }
    // Escaped in pieces, it is still one escape after the other.
    let escaped = store.run(&["get", "file"]).quiet();
    let copy = Store::new();
    copy.load("main", format!("file\t{escaped}").as_bytes());
    assert!(copy.run(&["get", "--raw", "file"]).out == bytes);
    let text = "ő".repeat(100_000);
    store.run_with(&["put", "text", "--file", "-"], text.as_bytes()).quiet();
    assert!(store.run(&["get", "text"]).quiet() == text.clone() + "\n");
    let missing = store.run(&["put", "x", "--file", "/nonexistent/file"]).failed(3);
    assert!(missing.contains("/nonexistent/file: No such file"), "{missing}");
    assert_eq!(store.run(&["get", "x"]).code, 1);
    assert_eq!(store.run(&["put", "x", "y", "--file", "-"]).code, 2);
}

/// A tree whose keys and values have one size each: its figures, and what its leaves hold.
#[test]
fn figures_of_fixed_width() {
    const ENTRIES: u32 = 5000;
    let store = Store::new();
    let db = mapleaf::Database::open_buffered(store.path()).unwrap();
    let mut txn = db.write().unwrap();
    let options = mapleaf::TreeOptions::default().tag(7).fixed_width(4, 12);
    let squares = txn.create_with("squares", options).unwrap();
    let entries = (0..ENTRIES).map(|n| (n.to_be_bytes(), [n as u8; 12]));
    txn.tree(squares).unwrap().load(entries, 100).unwrap();
    txn.commit().unwrap();
    db.close().unwrap();
    let stat = store.run(&["stat", "--json"]).json();
    let tree = &stat["trees"][0];
    assert_eq!((&tree["tree"], &tree["entries"]), (&json!("squares"), &json!(ENTRIES)));
    assert_eq!((&tree["key_bytes"], &tree["value_bytes"]), (&json!(4), &json!(12)));
    // 16 bytes an entry, and nothing else but the headers: 253 or 254 to a page of 4 KiB.
    assert_eq!(tree["leaf_pages"], 20);
    let fill = stat["leaf_fill"].as_f64().unwrap();
    // Of these and the one leaf of the names.
    assert!((0.93..0.95).contains(&fill), "{fill}");
    assert_eq!((&stat["entries"], &stat["damages"]), (&json!(ENTRIES), &json!(0)));
    let text = store.run(&["stat"]).quiet();
    let line = text.lines().find(|line| line.starts_with("tree squares: 5,000 entries")).unwrap();
    assert!(line.ends_with(", keys of 4 and values of 12 bytes, tag 7"), "{line}");
}

#[test]
fn figures() {
    let store = Store::new();
    let tsv: String = (0..5000).map(|i| format!("{i:05}\tvalue {i}\n")).collect();
    store.load("numbers", tsv.as_bytes());
    store.run(&["put", "large", &"v".repeat(50_000)]).quiet();
    let stat = store.run(&["stat", "--json"]).json();
    assert_eq!(stat["file_bytes"], std::fs::metadata(store.path()).unwrap().len());
    assert_eq!((&stat["entries"], &stat["damages"]), (&json!(5001), &json!(0)));
    assert_eq!(stat["value_pages"], 13);
    let fill = stat["leaf_fill"].as_f64().unwrap();
    // Sorted input fills its pages; the other leaves (names, "large") are nearly empty.
    assert!((0.8..1.0).contains(&fill), "{fill}");
    let pages = |name: &str| stat[name].as_u64().unwrap();
    let used = ["inner_pages", "leaf_pages", "value_pages", "space_pages", "log_pages"];
    let used: u64 = used.into_iter().map(pages).sum();
    assert_eq!(used + pages("free_pages") + pages("pinned_pages") + 2, pages("pages"));
    assert_eq!(stat["trees"][1]["tree"], "numbers");
    assert_eq!(stat["trees"][1]["entries"], 5000);
    let quick = store.run(&["stat", "--quick", "--json"]).json();
    assert!(quick.get("leaf_fill").is_none() && quick["trees"] == stat["trees"]);
    let text = store.run(&["stat"]).quiet();
    for line in ["page size      4096 bytes", "entries        5,001 in 2 trees", "damages        0"]
    {
        assert!(text.lines().any(|found| found == line), "{line} not in\n{text}");
    }
    let check = store.run(&["check"]).quiet();
    assert!(check.contains("s.leaf: sound: 2 trees, 5,001 entries"), "{check}");
    assert_eq!(store.run(&["check", "--json"]).json()["sound"], true);
    let trees = store.run(&["trees", "--json"]).quiet();
    let names: Vec<serde_json::Value> =
        trees.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&names[0]["tree"], &names[1]["entries"]), (&json!("main"), &json!(5000)));
}

#[test]
fn check_finds_damage() {
    let store = Store::new();
    store.load("main", ("key\t".to_owned() + &"v".repeat(500) + "\n").as_bytes());
    let mut bytes = std::fs::read(store.path()).unwrap();
    // The last place is the page; the log may hold the value too.
    let at = bytes.windows(500).rposition(|bytes| bytes == [b'v'; 500]).unwrap();
    bytes[at + 100] ^= 4;
    std::fs::write(store.path(), &bytes).unwrap();
    let ran = store.run(&["check"]);
    let out = String::from_utf8(ran.out).unwrap();
    let page = at / 4096;
    let wanted = format!("tree \"main\": page {page}: its checksum does not match its bytes\n");
    assert!(out.starts_with(&wanted), "{out}");
    assert_eq!((ran.code, ran.err.as_str()), (1, ""));
    let ran = store.run(&["check", "--json"]);
    let report: serde_json::Value = serde_json::from_slice(&ran.out).unwrap();
    assert_eq!(
        (ran.code, &report["sound"], &report["found"][0]["page"]),
        (1, &json!(false), &json!(page))
    );
    // Both metas.
    bytes[..8192].fill(0x5A);
    std::fs::write(store.path(), &bytes).unwrap();
    assert_eq!(store.run(&["check"]).code, 3);
}

#[test]
fn what_cannot_be_opened_is_named() {
    let store = Store::new();
    for args in [&["get", "x"][..], &["scan"], &["stat"], &["check"], &["dump"], &["del", "x"]] {
        let err = store.run(args).failed(3);
        assert!(err.contains("s.leaf: cannot open: No such file"), "{err}");
        assert!(!store.path().exists(), "{args:?} made a store");
    }
    std::fs::write(store.path(), "no store").unwrap();
    let err = store.run(&["scan"]).failed(3);
    assert!(err.contains("s.leaf") && err.contains("too short"), "{err}");
    std::fs::write(store.path(), [7; 100_000]).unwrap();
    let err = store.run_with(&["load"], b"a\tb\n").failed(3);
    assert!(err.contains("s.leaf: not a mapleaf file"), "{err}");
}

#[test]
fn help_and_usage() {
    let program = env!("CARGO_BIN_EXE_mapleaf");
    let help = feed(Command::new(program).arg("--help"), b"").quiet();
    for word in ["load", "Examples:", "Exit codes:", "find / -xdev | mapleaf"] {
        assert!(help.contains(word), "{word}");
    }
    for sub in [
        "load", "get", "put", "del", "scan", "count", "trees", "stat", "check", "dump", "scrub",
        "salvage", "inspect", "page", "tree", "copy",
    ] {
        let help = feed(Command::new(program).args(["x.leaf", sub, "--help"]), b"").quiet();
        assert!(help.contains("Usage:") && help.contains("Examples:"), "{sub}");
        assert_eq!(feed(Command::new(program).args(["help", sub]), b"").quiet(), help);
    }
    let lab = feed(Command::new(program).args(["lab", "--help"]), b"").quiet();
    assert!(lab.starts_with("Page faults") && lab.contains("Examples:"), "{lab}");
    assert_eq!(feed(Command::new(program).args(["help", "lab"]), b"").quiet(), lab);
    assert_eq!(feed(Command::new(program).arg("help"), b"").quiet(), help);
    assert_eq!(feed(Command::new(program).args(["help", "frobnicate"]), b"").code, 2);
    let version = feed(Command::new(program).arg("--version"), b"").quiet();
    assert_eq!(version, format!("mapleaf {}\n", env!("CARGO_PKG_VERSION")));
    assert_eq!(feed(&mut Command::new(program), b"").code, 2);
    assert_eq!(Store::new().run(&["frobnicate"]).code, 2);
    assert_eq!(Store::new().run(&["load", "--batch", "0"]).code, 2);
}

#[test]
fn what_cannot_be_stored_makes_no_store() {
    let store = Store::new();
    let missing = store.file("missing");
    let err = store.run(&["put", "key", "--file", missing.to_str().unwrap()]).failed(3);
    assert!(err.contains("missing: No such file"), "{err}");
    let err = store.run(&["load", missing.to_str().unwrap()]).failed(3);
    assert!(err.contains("missing: No such file"), "{err}");
    assert_eq!(store.run(&["put", r"no\qescape", "value"]).code, 2);
    let long = "k".repeat(5000);
    let refused: [(&[&str], &[u8]); 6] = [
        (&["put", &long, "value"], b""),
        (&["put", &long, "--file", "-"], b"value"),
        (&["put", "--tree", &long, "key", "value"], b""),
        (&["load"], b"a\tb\nno tab\n"),
        (&["load", "--batch", "3"], b"a\tb\nno tab\n"),
        (&["load", "--format", "lmdb-dump"], b"VERSION=4\n"),
    ];
    for (args, input) in refused {
        assert!(store.run_with(args, input).failed(3).contains("s.leaf") || args[0] == "load");
        assert!(!store.path().exists(), "{args:?}");
    }
    // With a batch before the bad line there is something to keep.
    store.run_with(&["load", "--batch", "1"], b"a\tb\nno tab\n").failed(3);
    assert_eq!(store.run(&["scan"]).quiet(), "a\tb\n");
    // One that was there stays, even where it is empty.
    store.run(&["del", "a"]).quiet();
    store.run_with(&["load"], b"no tab\n").failed(3);
    assert_eq!(store.run(&["scan"]).quiet(), "");
    std::fs::remove_file(store.path()).unwrap();
    std::fs::write(store.path(), b"").unwrap();
    store.run(&["put", &long, "value"]).failed(3);
    assert!(store.path().exists());
    std::fs::remove_file(store.path()).unwrap();
    assert!(!store.path().exists());
    store.run_with(&["put", "key", "--file", "-"], b"piped\n").quiet();
    assert_eq!(store.run(&["get", "key", "--raw"]).out, b"piped\n");
}

#[test]
fn a_closed_pipe_ends_it_quietly() {
    let store = Store::new();
    let tsv: String = (0..100_000).map(|i| format!("{i:06}\tvalue {i}\n")).collect();
    store.load("main", tsv.as_bytes());
    for args in [&["scan"][..], &["scan", "--json"], &["dump"], &["get", "--raw", "000001"]] {
        let mut child =
            store.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut first = String::new();
        let mut out = BufReader::with_capacity(16, child.stdout.take().unwrap());
        out.read_line(&mut first).unwrap();
        assert!(!first.is_empty());
        drop(out);
        let mut err = String::new();
        child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        assert_eq!((child.wait().unwrap().code(), err.as_str()), (Some(0), ""), "{args:?}");
    }
}

#[test]
fn a_store_in_use_is_refused() {
    let store = Store::new();
    store.load("main", b"a\t1\n");
    let mut loader = store
        .command(&["load", "--batch", "1", "--verbose"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = loader.stdin.take().unwrap();
    stdin.write_all(b"b\t2\n").unwrap();
    // It has the store once it says so.
    let mut said = String::new();
    BufReader::new(loader.stderr.take().unwrap()).read_line(&mut said).unwrap();
    assert_eq!(said, "committed 1\n");
    for args in [&["count"][..], &["put", "c", "3"], &["check"]] {
        assert!(store.run(args).failed(3).contains("s.leaf: it is open already"));
    }
    drop(stdin);
    // Nobody hears its last words.
    assert!(loader.wait().unwrap().success());
    assert_eq!(store.run(&["count"]).quiet(), "2\n");
}

#[test]
fn a_copy_is_whole_and_compact_or_not_there() {
    let store = Store::new();
    let tsv: String =
        (0..30_000).map(|i| format!("{:06}\tvalue {i}\n", i * 7919 % 30_000)).collect();
    store.load("main", tsv.as_bytes());
    store.load("other", b"a\t1\n");
    store.run(&["del", "--from", "005000", "--to", "025000"]).quiet();
    let dest = store.file("copy.leaf");
    let dest = dest.to_str().unwrap();
    let told = store.run(&["copy", dest, "--json"]).json();
    assert_eq!((&told["trees"], &told["entries"]), (&json!(2), &json!(10_001)));
    let bytes = std::fs::metadata(dest).unwrap().len();
    assert_eq!(told["file_bytes"], bytes);
    let copy = |args: &[&str]| feed(&mut run::command(dest.as_ref(), args), b"");
    assert!(copy(&["scan"]) == store.run(&["scan"]));
    assert_eq!(copy(&["check", "--json"]).json()["sound"], true);
    // Nothing is written over.
    assert!(store.run(&["copy", dest]).failed(3).contains("copy.leaf: cannot create: File exists"));
    assert_eq!(std::fs::metadata(dest).unwrap().len(), bytes);
    let itself = store.path();
    assert_eq!(store.run(&["copy", itself.to_str().unwrap()]).code, 3);
    assert_eq!(store.run(&["count"]).quiet(), "10000\n");
    // What fails leaves nothing.
    let new = store.file("new.leaf");
    let path = new.to_str().unwrap();
    let err = store.run(&["copy", path, "--page-size", "1000"]).failed(3);
    assert!(err.contains("page_size must be a power of two"), "{err}");
    assert_eq!(store.run(&["copy", path, "--fill", "30"]).code, 2);
    store.run(&["put", "--tree", "long", &"k".repeat(990), ""]).quiet();
    assert!(!new.exists());
    let ran = store.run(&["copy", path, "--page-size", "16384"]);
    assert!(ran.code == 0 && ran.err.contains("copied 10,002 entries in 3 trees"), "{ran:?}");
    let long = store.file("long.leaf");
    std::fs::copy(&new, &long).unwrap();
    // One that was killed is not taken for a whole one: it has another name until it is.
    let (killed, part) = (store.file("killed.leaf"), store.file("killed.leaf.part"));
    std::fs::copy(&new, &part).unwrap();
    let err = store.run(&["copy", killed.to_str().unwrap()]).failed(3);
    assert!(err.contains("killed.leaf.part: cannot create: File exists"), "{err}");
    assert!(!killed.exists() && part.exists() && !store.file("new.leaf.part").exists());
    feed(&mut run::command(&long, &["put", &"k".repeat(4000), ""]), b"").quiet();
    std::fs::remove_file(&new).unwrap();
    let ran = feed(&mut run::command(&long, &["copy", path, "--page-size", "4096"]), b"");
    assert!(ran.failed(3).contains("the key is too long") && !new.exists());
}
