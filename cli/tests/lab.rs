//! `lab`: what it prints and what the kernel counted. Never how long anything took.

#![cfg(all(feature = "lab", target_os = "linux"))]

mod run;

use run::{Ran, feed};
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// A directory beside what is built: on a disk, where there is one.
fn dir() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

fn lab(args: &[&str], dir: &Path) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mapleaf"));
    command.arg("lab").args(args).arg("--dir").arg(dir);
    feed(&mut command, b"")
}

/// The lines of a run that must have succeeded.
fn lines(ran: Ran) -> Vec<Value> {
    ran.quiet().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The line of a case.
#[track_caller]
fn case<'a>(lines: &'a [Value], experiment: &str, case: &str) -> &'a Value {
    let found = lines.iter().find(|line| line["experiment"] == experiment && line["case"] == case);
    found.unwrap_or_else(|| panic!("no {case:?} of {experiment} in {lines:#?}"))
}

#[track_caller]
fn count(line: &Value, name: &str) -> u64 {
    line[name].as_u64().unwrap_or_else(|| panic!("no {name} in {line}"))
}

fn on_disk(dir: &Path) -> bool {
    use std::os::fd::AsFd as _;
    !mapleaf_sys_linux::lives_in_memory(std::fs::File::open(dir).unwrap().as_fd())
}

/// A directory on a disk; `None`, with a word, where what is built lies in memory.
fn disk_dir() -> Option<TempDir> {
    let dir = dir();
    if on_disk(dir.path()) {
        return Some(dir);
    }
    assert!(std::env::var_os("MAPLEAF_TOOLS_REQUIRED").is_none(), "no disk to test on");
    eprintln!("left out: no disk to test on");
    None
}

/// Nearly: other programs can make the kernel write back or map a page between two looks.
fn nearly(counted: u64, wanted: u64, of: u64) -> bool {
    counted.abs_diff(wanted) * 100 <= of
}

#[test]
fn the_kernel_counts_a_fault_for_each_page_and_tells_hard_from_soft() {
    let Some(dir) = disk_dir() else { return };
    let lines = lines(lab(&["faults", "--quick", "--json", "--size", "8M"], dir.path()));
    let faults = |name: &str| {
        let line = case(&lines, "faults", name);
        let [minor, major] = ["minor_faults", "major_faults"].map(|name| count(line, name));
        (count(line, "operations"), minor, major, count(line, "device_read_bytes"))
    };
    let (touched, minor, major, read) = faults("page is on the disk");
    assert_eq!(major, touched, "pages touched");
    assert!(nearly(minor, 0, touched), "{minor} of {touched}");
    assert_eq!(read, touched * mapleaf_sys_linux::host_page() as u64);
    let (touched, minor, major, read) = faults("page is in memory, its neighbours are not");
    assert_eq!((major, read), (0, 0));
    assert!(nearly(minor, touched, touched), "{minor} of {touched}");
    let (touched, minor, major, _) = faults("page is mapped: no fault");
    assert!(touched > 0 && major == 0 && nearly(minor, 0, touched), "{minor}, {major}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing stays");
}

#[test]
fn lookups_take_a_call_a_level_through_pread_and_none_through_the_map() {
    let dir = dir();
    let lines = lines(lab(&["lookups", "--quick", "--json", "--size", "2M"], dir.path()));
    let pread = case(&lines, "lookups", "pread, a call a level");
    let (queries, levels) = (count(pread, "operations"), 4);
    assert_eq!(queries % 50_000, 0);
    assert_eq!(count(pread, "read_calls"), queries * levels);
    assert_eq!(count(pread, "copied_bytes"), queries * levels * 4096);
    for name in ["map, get", "map, get_many of 32"] {
        let map = case(&lines, "lookups", name);
        assert_eq!(count(map, "operations"), queries);
        let counts = ["read_calls", "write_calls", "copied_bytes", "major_faults"];
        assert_eq!(counts.map(|name| count(map, name)), [0; 4], "{name}");
    }
    let found = lines.iter().find_map(|line| line["found"].as_array()).unwrap();
    assert!(found[0].as_str().unwrap().contains("200,000 calls"), "{found:?}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing stays");
}

#[test]
fn a_store_after_write_back_is_a_fault_and_the_next_one_is_not() {
    let Some(dir) = disk_dir() else { return };
    let lines = lines(lab(&["redirty", "--quick", "--json", "--size", "8M"], dir.path()));
    let of = |name: &str| {
        let line = case(&lines, "redirty", name);
        (count(line, "operations"), count(line, "minor_faults"), count(line, "dirtied_bytes"))
    };
    let page = mapleaf_sys_linux::host_page() as u64;
    let (stores, faults, dirtied) = of("store through the map, page just written back");
    assert!(nearly(faults, stores, stores), "{faults} of {stores}");
    assert!(nearly(dirtied, stores * page, stores * page), "{dirtied} by {stores}");
    let (stores, faults, dirtied) = of("store through the map, page still dirty");
    assert!(stores > 0 && nearly(faults, 0, stores), "{faults} of {stores}");
    assert!(nearly(dirtied, 0, stores * page), "{dirtied} by {stores}");
}

#[test]
fn a_report_has_a_section_and_a_plot_for_each_experiment() {
    let dir = dir();
    let report = dir.path().join("report");
    let path = report.to_str().unwrap();
    let args = ["growth", "lookups", "--quick", "--size", "2M", "--report", path];
    let text = lab(&args, dir.path()).quiet();
    assert!(text.contains("Lookups in a tree of 4 levels") && text.contains("█"), "{text}");
    assert!(text.contains("SIGBUS"), "{text}");
    let html = std::fs::read_to_string(report.join("index.html")).unwrap();
    for name in ["growth", "lookups"] {
        assert_eq!(html.matches(&format!("<h2 id=\"{name}\">")).count(), 1, "{name}");
    }
    assert_eq!(html.matches("<svg").count(), html.matches("<h3>").count());
    assert!(html.matches("<svg").count() >= 2);
    // It needs no other file: no address but the name space of SVG.
    let addresses = html.matches("http").count();
    assert_eq!(addresses, html.matches("http://www.w3.org/2000/svg").count());
}

#[test]
fn the_list_has_every_experiment_with_its_question() {
    let list = lab(&["--list"], Path::new(".")).quiet();
    assert!(list.lines().all(|line| line.ends_with('?')), "{list}");
    for name in ["warm", "cold", "faults", "huge", "lookups", "durable", "redirty", "memory"] {
        assert!(list.lines().any(|line| line.starts_with(&format!("{name} "))), "{name}: {list}");
    }
}

#[test]
fn memory_is_no_disk() {
    let shared = Path::new("/dev/shm");
    if !shared.exists() || on_disk(shared) {
        return;
    }
    let lines = lines(lab(&["faults", "growth", "--json", "--quick", "--size", "2M"], shared));
    let skipped = lines.iter().find_map(|line| line["skipped"].as_str()).unwrap();
    assert!(skipped.contains("lives in memory") && skipped.contains("--dir"), "{skipped}");
    // What needs no disk goes on.
    assert!(lines.iter().any(|line| line["experiment"] == "growth" && line["case"].is_string()));
}

#[test]
fn wrong_arguments_are_refused() {
    let dir = dir();
    for args in [&["no-such"][..], &["--size", "1M"], &["--size", "x"], &["faults", "--wrong"]] {
        let said = lab(args, dir.path()).failed(2);
        assert!(!said.is_empty());
    }
    let nowhere = dir.path().join("nowhere");
    assert!(lab(&["growth"], &nowhere).failed(3).contains("nowhere"));
}
