//! What commits send to the disk, by the block device's own counters. A one-put `Sync` commit: one write of
//! 4 KiB and one flush, also after another program has read the cold file through. (In place, which is not
//! the default on such a file system, the write is as large as the folio of the page cache.) A checkpoint:
//! the pages that changed, and no neighbour of them.

use mapleaf_tests::disk::{self, Disk};
use mapleaf_tests::tools;
use std::path::{Path, PathBuf};
use std::process::Command;

const ENTRIES: u64 = 20_000;
const COMMITS: u64 = 40;
const LOG_WRITE_BYTES: u64 = 4096;
/// What a one-put commit may write.
const COMMIT_BYTES_MAX: u64 = 8192;
/// What the page cache writes at the least.
const BLOCK_BYTES: u64 = 4096;
/// A transaction of the file system's journal: what it describes, the inode, its commit.
const JOURNAL_BLOCKS: u64 = 3;

fn disk(test: &str) -> Option<Disk> {
    let disk = Disk::new();
    tools::can_run(test, disk.is_some(), disk::NEEDED).then_some(disk).flatten()
}

fn make(disk: &Disk, name: &str) -> PathBuf {
    let file = disk.path().join(name);
    let mut make = Command::new(env!("CARGO_BIN_EXE_traced"));
    assert!(make.arg("make").arg(&file).arg(ENTRIES.to_string()).status().unwrap().success());
    file
}

/// Read in sequence, a cold file comes in large folios.
fn read_cold(file: &Path) -> Vec<u8> {
    tools::make_cold(file);
    std::fs::read(file).unwrap()
}

/// The middle of the numbers: the journal and the kernel's own write-back disturb a few.
fn median(numbers: impl Iterator<Item = u64>) -> u64 {
    let mut numbers: Vec<u64> = numbers.collect();
    numbers.sort_unstable();
    numbers[numbers.len() / 2]
}

fn check(disk: &Disk, job: &str, read_by_another: bool) {
    let file = make(disk, &format!("{job}-{read_by_another}.leaf"));
    if read_by_another {
        let _ = read_cold(&file);
    }
    let sent = disk.watched(Path::new(env!("CARGO_BIN_EXE_traced")), job, &file, COMMITS);
    assert_eq!(sent.len() as u64, COMMITS);
    // In place a store dirties the whole folio of the page cache that it lies in, which may be larger.
    let exact = job == "sync-shadow";
    let middle = median(sent.iter().map(|sent| sent.bytes));
    let right = if exact { middle == LOG_WRITE_BYTES } else { middle >= LOG_WRITE_BYTES };
    assert!(right, "{job}, {read_by_another}: {sent:?}");
    let flushes = median(sent.iter().map(|sent| sent.flushes));
    assert_eq!(flushes, 1, "{job}, {read_by_another}: {sent:?}");
}

#[test]
fn a_sync_commit_is_one_write_of_4_kib_and_one_flush() {
    let Some(disk) = disk("the device test") else { return };
    for read_by_another in [false, true] {
        check(&disk, "sync-shadow", read_by_another);
        check(&disk, "sync-place", read_by_another);
    }
}

/// The trap of large folios: a file that was read from end to end lies in them, and who stores into one
/// through a map writes all of it.
#[test]
fn after_a_cold_scan_commits_and_a_checkpoint_write_what_changed() {
    let Some(disk) = disk("the large-folio test") else { return };
    let file = make(&disk, "scanned.leaf");
    let before = read_cold(&file);
    let traced = Path::new(env!("CARGO_BIN_EXE_traced"));
    let sent = disk.watched(traced, "scanned-auto", &file, ENTRIES);
    let [first, commit, checkpoint] = sent[..] else { panic!("{sent:?}") };
    let after = std::fs::read(&file).unwrap();
    let changed = changed_blocks(&before, &after);
    // The first of an opening makes its two metas durable.
    assert!(first.bytes <= 2 * BLOCK_BYTES + COMMIT_BYTES_MAX, "{sent:?}");
    assert!(commit.bytes <= COMMIT_BYTES_MAX, "{sent:?}");
    // Pages that were never written before have the journal say so.
    assert!(checkpoint.bytes <= (changed + JOURNAL_BLOCKS) * BLOCK_BYTES, "{changed}: {sent:?}");
    assert!((5..50).contains(&changed), "{changed} blocks of {} changed", after.len());
}

fn changed_blocks(before: &[u8], after: &[u8]) -> u64 {
    let mut before = before.chunks(BLOCK_BYTES as usize);
    let after = after.chunks(BLOCK_BYTES as usize);
    after.filter(|block| before.next() != Some(*block)).count() as u64
}
