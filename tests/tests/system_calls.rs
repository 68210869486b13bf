//! What system calls a lookup and a commit make, as strace sees them.

use mapleaf_tests::tools;
use mapleaf_tests::trace::{self, is_barrier};
use std::path::Path;
use std::process::Command;

/// Positioned writes that publish what a one-put transaction changed, at most.
const PUBLISHING_CALLS_MAX: u64 = 8;
/// Transactions that are watched.
const COMMITS: u64 = 20;

/// The calls of all threads between the marks.
fn watched(job: &str, file: &Path, count: u64) -> Vec<String> {
    trace::watched(Path::new(env!("CARGO_BIN_EXE_traced")), job, file, count)
}

fn available(test: &str) -> bool {
    tools::can_run(test, tools::has("strace"), "strace")
}

#[test]
fn warm_gets_make_none() {
    if !available("warm gets") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let calls = watched("gets", &directory.path().join("t.leaf"), 100_000);
    assert_eq!(calls, Vec::<String>::new());
}

#[test]
fn an_eventual_commit_in_place_makes_none() {
    if !available("eventual commits") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let calls = watched("eventual-place", &directory.path().join("t.leaf"), 300);
    assert_eq!(calls, Vec::<String>::new());
}

/// One put and `Sync`: one barrier, and nothing else that writes a file.
fn one_barrier(job: &str, read_by_another: bool) {
    if !available(job) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("t.leaf");
    let traced = env!("CARGO_BIN_EXE_traced");
    let made = Command::new(traced).arg("make").arg(&file).arg("20000").status().unwrap();
    assert!(made.success());
    if read_by_another {
        mapleaf_tests::tools::make_cold(&file);
        let bytes = std::fs::metadata(&file).unwrap().len();
        assert_eq!(
            std::io::copy(&mut std::fs::File::open(&file).unwrap(), &mut std::io::sink()).unwrap(),
            bytes
        );
    }
    let calls = watched(job, &file, COMMITS);
    let barriers = calls.iter().filter(|call| is_barrier(call)).count() as u64;
    assert_eq!(barriers, COMMITS, "{calls:#?}");
    // Shadow mode publishes its pages by position, a call for each stretch of them; in place there is
    // nothing else to do.
    let rest: Vec<&String> = calls.iter().filter(|call| !is_barrier(call)).collect();
    if job == "sync-place" {
        assert!(rest.is_empty(), "{rest:#?}");
    }
    // Memory for pages that follow each other is asked for in one call.
    let publishes = |call: &&&String| {
        call.contains(" pwrite64(")
            || call.contains(" pwritev")
            || call.contains("MADV_POPULATE_WRITE")
    };
    assert_eq!(rest.iter().filter(publishes).count(), rest.len(), "{rest:#?}");
    assert!(rest.len() as u64 <= PUBLISHING_CALLS_MAX * COMMITS, "{rest:#?}");
}

#[test]
fn a_sync_commit_in_place_makes_one_barrier() {
    one_barrier("sync-place", false);
}

#[test]
fn a_sync_commit_through_a_shadow_makes_one_barrier() {
    one_barrier("sync-shadow", false);
}

#[test]
fn a_sync_commit_makes_one_barrier_after_another_program_read_the_cold_file() {
    one_barrier("sync-shadow", true);
    one_barrier("sync-place", true);
}

/// Else the writer would have the processor for some milliseconds at each of thousands of pauses, where both share one,
/// and make all checkpoints itself in the end.
#[test]
fn the_thread_that_makes_checkpoints_does_not_give_the_processor_away() {
    if !available("checkpoints beside commits") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let calls = watched("aside", &directory.path().join("t.leaf"), 100_000);
    let thread = |call: &str| call.split(' ').next().unwrap().to_owned();
    // Nobody else makes a barrier.
    let aside = thread(calls.iter().find(|call| is_barrier(call)).expect("no checkpoint"));
    let of_it = calls.iter().filter(|call| thread(call) == aside);
    assert_eq!(of_it.filter(|call| call.contains("sched_yield(")).count(), 0);
}
