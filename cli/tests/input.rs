//! Loading: formats, batches, bad input, and the loader's death.

mod run;

use run::Store;
use serde_json::json;
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

#[test]
fn lines_are_keys_byte_for_byte() {
    let store = Store::new();
    // Twice the same line: the last number stays. The last line has no end.
    let input = "b\nő\na\\x2d\n\nb\tc\nb\n/usr/lib\\\\x";
    let ran = store.run_with(&["load", "--format", "lines", "-"], input.as_bytes());
    assert_eq!((ran.code, &ran.out[..]), (0, &b""[..]));
    assert!(
        ran.err.contains("s.leaf: loaded 7 entries, 1 with another value before"),
        "{}",
        ran.err
    );
    let mut lines: Vec<&str> = input.lines().collect();
    lines.sort_unstable();
    lines.dedup();
    let keys = store.run(&["scan", "--keys-only"]).quiet();
    assert_eq!(keys, lines.join("\n") + "\n");
    assert_eq!(store.run(&["get", "b"]).quiet(), "6\n");
    assert_eq!(store.run(&["get", ""]).quiet(), "4\n");
    let raw = store.run(&["scan", "--keys-only", "--raw"]).quiet();
    assert_eq!(raw, keys);
}

#[test]
fn loading_again_changes_nothing() {
    let store = Store::new();
    let input: String = (0..50_000u32).map(|i| format!("/path/{}\n", i * 7919 % 50_000)).collect();
    let args = ["load", "--format", "lines", "--json"];
    let first = store.run_with(&args, input.as_bytes()).json();
    assert_eq!((&first["entries"], &first["unchanged"]), (&json!(50_000), &json!(0)));
    let size = std::fs::metadata(store.path()).unwrap().len();
    let again = store.run_with(&args, input.as_bytes()).json();
    assert_eq!((&again["unchanged"], &again["replaced"]), (&json!(50_000), &json!(0)));
    assert_eq!(std::fs::metadata(store.path()).unwrap().len(), size);
    assert_eq!(store.run(&["check", "--json"]).json()["entries"], 50_000);
}

#[test]
fn a_bad_line_loads_nothing() {
    let store = Store::new();
    store.load("main", b"old\t1\n");
    let long = "k".repeat(5000);
    for (line, reason) in [
        ("no tab here", "no tab between key and value"),
        ("a\\q\tb", "key: no escape at byte 2"),
        ("a\tb\\x4", "value: no escape at byte 2"),
        (&(long + "\tv"), "the key is too long"),
        ("", "no tab"),
    ] {
        let input = format!("new\t2\nold\t3\n{line}\nnewer\t4\n");
        let err = store.run_with(&["load"], input.as_bytes()).failed(3);
        let wanted = format!("standard input: line 3: {reason}");
        assert!(err.contains(&wanted) && err.ends_with("; nothing was loaded\n"), "{err}");
        assert_eq!(store.run(&["scan"]).quiet(), "old\t1\n");
    }
    assert_eq!(store.run(&["load", "/nonexistent"]).code, 3);
    assert!(store.run(&["load", "/"]).failed(3).contains("/: is a directory"));
}

#[test]
fn a_bad_line_leaves_what_was_committed() {
    let store = Store::new();
    let file = store.file("in.tsv");
    std::fs::write(&file, "a\t1\nb\t2\nc\t3\nd\t4\ne\t5\nbad\nf\t6\n").unwrap();
    let file = file.to_str().unwrap();
    let err = store.run(&["load", "--batch", "2", file]).failed(3);
    assert!(err.contains("in.tsv: line 6: no tab"), "{err}");
    assert!(err.ends_with("; 4 entries before it stay loaded\n"), "{err}");
    assert_eq!(store.run(&["scan", "--keys-only"]).quiet(), "a\nb\nc\nd\n");
}

#[test]
fn a_value_may_hold_tabs_and_be_large() {
    let store = Store::new();
    let large = "x".repeat(2_000_000);
    store.load("main", format!("a\tb\tc\nlarge\t{large}").as_bytes());
    assert_eq!(store.run(&["get", "a"]).quiet(), "b\\tc\n");
    assert!(store.run(&["get", "large"]).quiet() == large + "\n");
}

#[test]
fn an_empty_input_makes_an_empty_tree() {
    let store = Store::new();
    store.load("nothing", b"");
    assert_eq!(store.run(&["trees"]).quiet(), "nothing\t0\n");
    assert_eq!(store.run(&["scan", "--tree", "nothing"]).quiet(), "");
}

#[test]
fn what_was_committed_survives_the_loader() {
    for round in 0..5u64 {
        let store = Store::new();
        let mut loader = store
            .command(&["load", "--format", "lines", "--batch", "100", "--verbose"])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = loader.stdin.take().unwrap();
        // More than is read at a time, so that it commits while it waits for more.
        let input: String =
            (0..200_000u64).map(|i| format!("{:08}\n", i * 7919 % 200_000)).collect();
        let feeder = std::thread::spawn(move || {
            // It is killed half-way.
            let _ = stdin.write_all(input.as_bytes());
            stdin
        });
        let mut said = BufReader::new(loader.stderr.take().unwrap()).lines();
        let mut acknowledged = 0;
        for line in said.by_ref().take(10 + 150 * round as usize) {
            let line = line.unwrap();
            acknowledged = line.strip_prefix("committed ").unwrap().parse().unwrap();
        }
        loader.kill().unwrap();
        loader.wait().unwrap();
        drop(feeder.join().unwrap());
        assert!(acknowledged >= 1000);
        let found: u64 = store.run(&["count"]).quiet().trim().parse().unwrap();
        assert!(found >= acknowledged && found.is_multiple_of(100), "{found} of {acknowledged}");
        let check = store.run(&["check", "--json"]).json();
        assert_eq!((&check["sound"], &check["entries"]), (&json!(true), &json!(found)));
        // The first lines, each with its number.
        let scan = store.run(&["scan"]).quiet();
        for line in scan.lines() {
            let (key, number) = line.split_once('\t').unwrap();
            let number: u64 = number.parse().unwrap();
            assert_eq!(key, format!("{:08}", (number - 1) * 7919 % 200_000));
            assert!(number <= found);
        }
    }
}
