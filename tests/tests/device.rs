//! What a one-put `Sync` commit sends to the disk, by the block device's own counters: one write of
//! 4 KiB and one flush, also after another program has read the cold file through. (In place, which is
//! not the default on such a file system, the write is as large as the folio of the page cache.)
//!
//! Needs root: makes an ext4 file system in a file, behind a loop device.

use mapleaf_tests::tools;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const IMAGE_BYTES: u64 = 256 << 20;
const COMMITS: usize = 40;
/// A sector of the counters, whatever the device's own.
const SECTOR_BYTES: u64 = 512;
const LOG_WRITE_BYTES: u64 = 4096;

/// A loop device with a mounted file system, taken down again when it is dropped.
struct Disk {
    device: String,
    mount: PathBuf,
    _directory: tempfile::TempDir,
}

fn run(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

impl Disk {
    fn new() -> Option<Disk> {
        let directory = tempfile::tempdir().ok()?;
        let image = directory.path().join("image");
        let mount = directory.path().join("mount");
        std::fs::create_dir(&mount).ok()?;
        std::fs::File::create(&image).ok()?.set_len(IMAGE_BYTES).ok()?;
        let image = image.to_str()?;
        run("mkfs.ext4", &["-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", image])?;
        let device = run("losetup", &["--find", "--show", image])?;
        // Times of access and change are nobody's business here, and the journal waits long.
        let options = "noatime,lazytime,commit=600";
        let mounted = run("mount", &["-o", options, &device, mount.to_str()?]);
        let disk = Disk { device, mount, _directory: directory };
        mounted.map(|_| disk)
    }

    /// Bytes written and flushes completed so far.
    fn counters(&self) -> (u64, u64) {
        let name = self.device.trim_start_matches("/dev/");
        let text = std::fs::read_to_string(format!("/sys/block/{name}/stat")).unwrap();
        let fields: Vec<u64> =
            text.split_whitespace().map(|field| field.parse().unwrap()).collect();
        // Documentation/block/stat.rst: field 7 is sectors written, field 16 flushes.
        (fields[6] * SECTOR_BYTES, fields.get(15).copied().unwrap_or(0))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = run("umount", &[self.mount.to_str().unwrap_or("")]);
        let _ = run("losetup", &["--detach", &self.device]);
    }
}

/// The middle of the numbers: the journal and the kernel's own write-back disturb a few.
fn median(mut numbers: Vec<u64>) -> u64 {
    numbers.sort_unstable();
    numbers[numbers.len() / 2]
}

/// Runs one-put commits, one at a time; what the device was sent for each.
fn commits(disk: &Disk, job: &str, file: &Path) -> (Vec<u64>, Vec<u64>) {
    let mut traced = Command::new(env!("CARGO_BIN_EXE_traced"));
    traced.arg(job).arg(file).arg(COMMITS.to_string()).arg("wait");
    let mut traced = traced.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = traced.stdin.take().unwrap();
    let mut lines = BufReader::new(traced.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "ready");
    let (mut bytes, mut flushes) = (Vec::new(), Vec::new());
    for _ in 0..COMMITS {
        let before = disk.counters();
        input.write_all(b"\n").unwrap();
        if bytes.len() + 1 < COMMITS {
            let _ = lines.next().unwrap().unwrap();
        } else {
            let _ = lines.next();
        }
        let after = disk.counters();
        bytes.push(after.0 - before.0);
        flushes.push(after.1 - before.1);
    }
    drop(input);
    assert!(traced.wait().unwrap().success());
    (bytes, flushes)
}

fn check(disk: &Disk, job: &str, read_by_another: bool) {
    let file = disk.mount.join(format!("{job}-{read_by_another}.leaf"));
    let mut make = Command::new(env!("CARGO_BIN_EXE_traced"));
    assert!(make.arg("make").arg(&file).arg("20000").status().unwrap().success());
    if read_by_another {
        // Read in sequence, a cold file comes in large folios.
        tools::make_cold(&file);
        let mut opened = std::fs::File::open(&file).unwrap();
        std::io::copy(&mut opened, &mut std::io::sink()).unwrap();
    }
    let (bytes, flushes) = commits(disk, job, &file);
    // In place a store dirties the whole folio of the page cache that it lies in, which may be larger.
    let exact = job == "sync-shadow";
    let middle = median(bytes.clone());
    let right = if exact { middle == LOG_WRITE_BYTES } else { middle >= LOG_WRITE_BYTES };
    assert!(right, "{job}, {read_by_another}: {bytes:?}");
    assert_eq!(median(flushes.clone()), 1, "{job}, {read_by_another}: flushes {flushes:?}");
}

#[test]
fn a_sync_commit_is_one_write_of_4_kib_and_one_flush() {
    let disk = Disk::new();
    let why = "root, a loop device and mkfs.ext4";
    if !tools::can_run("the device test", disk.is_some(), why) {
        return;
    }
    let disk = disk.unwrap();
    for read_by_another in [false, true] {
        check(&disk, "sync-shadow", read_by_another);
        check(&disk, "sync-place", read_by_another);
    }
}
