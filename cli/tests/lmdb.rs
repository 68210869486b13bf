//! LMDB's text format, with LMDB's own programs where they are installed.

mod run;

use run::{Store, feed};
use std::process::Command;

/// Whether Debian's lmdb-utils are here. CI must have them.
fn lmdb_utils() -> bool {
    let there = Command::new("mdb_dump").arg("-V").output().is_ok();
    if !there {
        assert!(std::env::var_os("CI").is_none(), "CI has no mdb_dump: apt-get install lmdb-utils");
        eprintln!("skipped: no mdb_dump here (apt-get install lmdb-utils)");
    }
    there
}

/// Entries with every byte (but the backslash, which mdb_dump -p of LMDB 0.9 writes so that nobody can
/// read it back), long values, keys of one byte to LMDB's limit.
fn sample_without_backslash() -> Store {
    let store = Store::new();
    let mut tsv = String::new();
    for byte in (0..=255u8).filter(|byte| *byte != b'\\') {
        tsv.push_str(&format!("\\x{byte:02x}\tv\\x{byte:02x}\\x00\n"));
    }
    for i in 0..3000u32 {
        tsv.push_str(&format!("key {i:05}\t{}\n", "value ".repeat(i as usize % 40)));
    }
    tsv.push_str(&format!("{}\t{}\nempty\t\n", "k".repeat(511), "large".repeat(100_000)));
    store.load("main", tsv.as_bytes());
    store.load("other tree", b"ada\t1815\nalan\t1912\n");
    store.load("void", b"");
    store
}

/// The same and backslashes.
fn sample() -> Store {
    let store = sample_without_backslash();
    store.load("main", b"\\\\\t\\\\\n\\\\x41\t\\\\41\\\\\n");
    store
}

/// The lines of a dump that hold data.
fn data(dump: &str) -> Vec<&str> {
    let mut inside = false;
    dump.lines()
        .filter(|line| {
            inside = match *line {
                "HEADER=END" => true,
                "DATA=END" => false,
                _ => return inside,
            };
            false
        })
        .collect()
}

#[test]
fn a_dump_loads_again() {
    let store = sample();
    for args in [&["dump"][..], &["dump", "--print"]] {
        let dump = store.run(args).quiet();
        assert!(dump.is_ascii() && dump.starts_with("VERSION=3\nformat="), "{args:?}");
        let copy = Store::new();
        let ran = copy.run_with(&["load", "--format", "lmdb-dump"], dump.as_bytes());
        assert_eq!(ran.code, 0, "{}", ran.err);
        assert_eq!(copy.run(&["trees"]).quiet(), "main\t3259\nother tree\t2\nvoid\t0\n");
        for tree in ["main", "other tree"] {
            let scan = ["scan", "--tree", tree];
            assert!(copy.run(&scan) == store.run(&scan), "{tree}");
        }
    }
    let one = store.run(&["dump", "--tree", "other tree", "-p"]).quiet();
    assert_eq!(data(&one), [" ada", " 1815", " alan", " 1912"]);
    assert!(one.contains("\ndatabase=other tree\ntype=btree\n") && one.ends_with("\nDATA=END\n"));
    assert!(store.run(&["dump", "--tree", "nobody"]).failed(1).contains("no tree"));
}

#[test]
fn lmdb_reads_what_is_dumped_and_dumps_what_is_read() {
    if !lmdb_utils() {
        return;
    }
    for args in [&["dump"][..], &["dump", "--print"]] {
        let store = sample();
        let dump = store.run(args).quiet();
        let lmdb = store.file("lmdb");
        std::fs::create_dir(&lmdb).unwrap();
        assert_eq!(feed(Command::new("mdb_load").arg(&lmdb), dump.as_bytes()).quiet(), "");
        let theirs = feed(Command::new("mdb_dump").arg("-a").arg(&lmdb), b"").quiet();
        assert_eq!(data(&theirs), data(&store.run(&["dump"]).quiet()));
        same_after_loading(&store, &theirs);
    }
    let store = sample_without_backslash();
    let lmdb = store.file("lmdb");
    std::fs::create_dir(&lmdb).unwrap();
    let dump = store.run(&["dump"]).quiet();
    assert_eq!(feed(Command::new("mdb_load").arg(&lmdb), dump.as_bytes()).quiet(), "");
    let theirs = feed(Command::new("mdb_dump").args(["-a", "-p"]).arg(&lmdb), b"").quiet();
    assert_eq!(data(&theirs), data(&store.run(&["dump", "-p"]).quiet()));
    same_after_loading(&store, &theirs);
}

#[track_caller]
fn same_after_loading(store: &Store, dump: &str) {
    let copy = Store::new();
    let ran = copy.run_with(&["load", "--format", "lmdb-dump", "-"], dump.as_bytes());
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(copy.run(&["trees"]).quiet(), store.run(&["trees"]).quiet());
    assert_eq!(data(&copy.run(&["dump"]).quiet()), data(&store.run(&["dump"]).quiet()));
}

#[test]
fn an_unnamed_database_goes_where_it_is_told() {
    if !lmdb_utils() {
        return;
    }
    let store = Store::new();
    let lmdb = store.file("lmdb");
    std::fs::create_dir(&lmdb).unwrap();
    let text = b"VERSION=3\nformat=print\ntype=btree\nHEADER=END\n k\\20\n v\\5c\nDATA=END\n";
    assert_eq!(feed(Command::new("mdb_load").arg(&lmdb), text).quiet(), "");
    let dump = feed(Command::new("mdb_dump").arg(&lmdb), b"").quiet();
    let args = ["load", "--format", "lmdb-dump"];
    assert_eq!(store.run_with(&args, dump.as_bytes()).code, 0);
    let args = ["load", "--format", "lmdb-dump", "--tree", "t"];
    assert_eq!(store.run_with(&args, dump.as_bytes()).code, 0);
    for tree in ["main", "t"] {
        assert_eq!(store.run(&["scan", "--tree", tree]).quiet(), "k \tv\\\\\n");
    }
}

/// Else whoever has more databases than a transaction has handles could not come over.
#[test]
fn a_dump_of_many_databases_is_one_transaction() {
    let store = Store::new();
    let dump: String = (0..150)
        .map(|i| {
            format!("VERSION=3\nformat=print\ndatabase=d{i:03}\nHEADER=END\n k\n {i}\nDATA=END\n")
        })
        .collect();
    let ran = store.run_with(&["load", "--format", "lmdb-dump"], dump.as_bytes());
    assert_eq!(ran.code, 0, "{}", ran.err);
    let trees: String = (0..150).map(|i| format!("d{i:03}\t1\n")).collect();
    assert_eq!(store.run(&["trees"]).quiet(), trees);
    assert_eq!(store.run(&["get", "--tree", "d149", "k"]).quiet(), "149\n");
}

#[test]
fn a_bad_dump_is_refused_by_line() {
    const HEAD: &str = "VERSION=3\nformat=bytevalue\nHEADER=END\n";
    for (input, line, reason) in [
        ("VERSION=4\n".into(), 1, "version 4, not 3"),
        ("VERSION=3\nformat=xml\n".into(), 2, "format \"xml\""),
        ("VERSION=3\nduplicates=1\nHEADER=END\n".into(), 2, "duplicate keys"),
        ("VERSION=3\nwhat\n".into(), 2, "without \"=\""),
        ("VERSION=3\n".into(), 1, "ends before HEADER=END"),
        (HEAD.into(), 3, "ends before DATA=END"),
        (format!("{HEAD} 6b\n 76\n"), 5, "ends before DATA=END"),
        (format!("{HEAD} 6b\n"), 4, "the last key has no value"),
        (format!("{HEAD} 6b\nDATA=END\n"), 5, "the last key has no value"),
        (format!("{HEAD} 6b\n 7\n"), 5, "odd number"),
        (format!("{HEAD} 6b\n 7z\n"), 5, "not a hexadecimal digit"),
        (format!("{HEAD}6b\n"), 4, "starts with a space"),
    ] {
        let store = Store::new();
        let args = ["load", "--format", "lmdb-dump"];
        let err = store.run_with(&args, input.as_bytes()).failed(3);
        let wanted = format!("standard input: line {line}: ");
        assert!(err.contains(&wanted) && err.contains(reason), "{input:?}: {err}");
        assert!(!store.path().exists(), "{input:?}");
    }
}
