//! A pipe in the place of the store: every command refuses it at once, instead of waiting for its other end.
#![cfg(target_os = "linux")]

mod run;

use run::{Store, feed};
use std::process::Command;

/// What runs longer waits: killed, so that the test ends.
const SECONDS_MAX: &str = "60";

#[test]
fn a_pipe_is_no_store() {
    let store = Store::new();
    let made = Command::new("mkfifo").arg(store.path()).status().unwrap();
    assert!(made.success());
    let dest = store.file("dest.leaf");
    let dest = dest.to_str().unwrap();
    for args in [
        &["count"][..],
        &["check"],
        &["check", "--repair"],
        &["scrub"],
        &["stat"],
        &["trees"],
        &["get", "a"],
        &["scan"],
        &["dump"],
        &["put", "a", "1"],
        &["del", "a"],
        &["load"],
        &["copy", dest],
        &["salvage", dest],
        &["inspect"],
        &["page", "0"],
        &["tree", "main"],
    ] {
        let mut bounded = Command::new("timeout");
        bounded.args(["-s", "KILL", SECONDS_MAX, env!("CARGO_BIN_EXE_mapleaf")]);
        let code = if ["scrub", "salvage"].contains(&args[0]) { 2 } else { 3 };
        let err = feed(bounded.arg(store.path()).args(args), b"a\t1\n").failed(code);
        assert!(err.contains("s.leaf: cannot open: not a regular file"), "{args:?}: {err}");
        assert!(store.path().exists() && !std::path::Path::new(dest).exists(), "{args:?}");
    }
}
