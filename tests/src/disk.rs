//! A file system whose block device counts what it is sent. Needs root.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const IMAGE_BYTES: u64 = 256 << 20;
/// A sector of the counters, whatever the device's own.
const SECTOR_BYTES: u64 = 512;

/// What a test needs for it, in words.
pub const NEEDED: &str = "root, a loop device and mkfs.ext4";

/// An ext4 file system in a file behind a loop device, taken down again when this is dropped.
#[derive(Debug)]
pub struct Disk {
    device: String,
    mount: PathBuf,
    _directory: tempfile::TempDir,
}

/// What a device was sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sent {
    /// Bytes written.
    pub bytes: u64,
    /// Flushes completed.
    pub flushes: u64,
}

fn run(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

impl Disk {
    /// A new one of 256 MiB; `None` where it cannot be had.
    #[must_use]
    pub fn new() -> Option<Disk> {
        let directory = tempfile::tempdir().ok()?;
        let image = directory.path().join("image");
        let mount = directory.path().join("mount");
        std::fs::create_dir(&mount).ok()?;
        std::fs::File::create(&image).ok()?.set_len(IMAGE_BYTES).ok()?;
        let image = image.to_str()?;
        let at_once = "lazy_itable_init=0,lazy_journal_init=0";
        run("mkfs.ext4", &["-q", "-b", "4096", "-E", at_once, image])?;
        let device = run("losetup", &["--find", "--show", image])?;
        // Times of access and change are nobody's business here, and the journal waits long.
        let options = "noatime,lazytime,commit=600";
        let mounted = run("mount", &["-o", options, &device, mount.to_str()?]);
        let disk = Disk { device, mount, _directory: directory };
        mounted.map(|_| disk)
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.mount
    }

    /// What the device has been sent since it was made.
    ///
    /// # Panics
    /// Where the kernel does not say.
    #[must_use]
    pub fn sent(&self) -> Sent {
        let name = self.device.trim_start_matches("/dev/");
        let text = std::fs::read_to_string(format!("/sys/block/{name}/stat")).unwrap();
        let fields: Vec<u64> =
            text.split_whitespace().map(|field| field.parse().unwrap()).collect();
        // Documentation/block/stat.rst: field 7 is sectors written, field 16 flushes.
        let flushes = fields.get(15).copied().unwrap_or(0);
        Sent { bytes: fields[6] * SECTOR_BYTES, flushes }
    }

    /// Runs `traced JOB FILE COUNT wait` (src/bin/traced.rs, at `program`): what the device is sent in each
    /// of its watched parts.
    ///
    /// # Panics
    /// Where the program cannot be run or fails.
    #[must_use]
    pub fn watched(&self, program: &Path, job: &str, file: &Path, count: u64) -> Vec<Sent> {
        let mut traced = Command::new(program);
        traced.arg(job).arg(file).arg(count.to_string()).arg("wait");
        let mut traced = traced.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut input = traced.stdin.take().unwrap();
        let mut lines = BufReader::new(traced.stdout.take().unwrap()).lines();
        let mut parts = Vec::new();
        while let Some(ready) = lines.next().transpose().unwrap() {
            assert_eq!(ready, "ready");
            let before = self.sent();
            input.write_all(b"\n").unwrap();
            assert_eq!(lines.next().expect("the part ends").unwrap(), "done");
            let after = self.sent();
            let bytes = after.bytes - before.bytes;
            parts.push(Sent { bytes, flushes: after.flushes - before.flushes });
        }
        assert!(traced.wait().unwrap().success());
        parts
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = run("umount", &[self.mount.to_str().unwrap_or("")]);
        let _ = run("losetup", &["--detach", &self.device]);
    }
}
