//! A file on the file system of `src/bin/faulty.rs`, and the medium behind it.

use mapleaf_tests::{mounted, tools};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// The mounted file system; taken down when it is dropped.
pub(crate) struct FaultyDisk {
    server: Child,
    input: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    mount: PathBuf,
    medium: PathBuf,
    directory: tempfile::TempDir,
}

impl FaultyDisk {
    /// An empty one; `None`, loudly, where the machine has no FUSE.
    pub(crate) fn new(test: &str) -> Option<FaultyDisk> {
        let fuse = Path::new("/dev/fuse").exists() && tools::has("fusermount3");
        if !tools::can_run(test, fuse, "/dev/fuse and fusermount3 (package fuse3)") {
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let disk = FaultyDisk::start(directory);
        if !tools::can_run(test, disk.is_some(), "the right to mount a FUSE file system") {
            return None;
        }
        disk
    }

    fn start(directory: tempfile::TempDir) -> Option<FaultyDisk> {
        let (mount, medium) = (directory.path().join("mount"), directory.path().join("medium"));
        std::fs::create_dir_all(&mount).unwrap();
        let mut server = Command::new(env!("CARGO_BIN_EXE_faulty"));
        server.args([&mount, &medium]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut server = server.spawn().unwrap();
        let input = server.stdin.take();
        let answers = BufReader::new(server.stdout.take().unwrap());
        let mut disk = FaultyDisk { server, input, answers, mount, medium, directory };
        disk.answer().is_some_and(|answer| answer == "ready").then_some(disk)
    }

    fn answer(&mut self) -> Option<String> {
        let mut line = String::new();
        self.answers.read_line(&mut line).ok()?;
        (!line.is_empty()).then(|| line.trim().to_owned())
    }

    /// Tells the disk what to lose.
    pub(crate) fn tell(&mut self, line: &str) {
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
        assert_eq!(self.answer().as_deref(), Some("ok"), "{line}");
    }

    /// The file as programs see it.
    pub(crate) fn file(&self) -> PathBuf {
        self.mount.join("t.leaf")
    }

    /// A copy of what the medium has: the file after power loss.
    pub(crate) fn after_power_loss(&self) -> PathBuf {
        let copy = self.directory.path().join("copy.leaf");
        std::fs::copy(&self.medium, &copy).unwrap();
        copy
    }

    /// Bytes of the medium.
    pub(crate) fn medium(&self) -> Vec<u8> {
        std::fs::read(&self.medium).unwrap()
    }
}

impl Drop for FaultyDisk {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.server.wait();
        // The server takes it down, unless a test that failed has left a file open.
        let _ = mounted::run("umount", &["-l", self.mount.to_str().unwrap_or("")]);
    }
}
