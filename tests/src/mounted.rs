//! Small file systems of a test's own. Need root.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A file system that is mounted for a test, and taken down when this is dropped.
#[derive(Debug)]
pub struct Mounted {
    at: PathBuf,
    _directory: tempfile::TempDir,
}

/// Runs a command; whether it succeeded.
#[must_use]
pub fn run(program: &str, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
}

impl Mounted {
    /// A tmpfs of so many KiB; `None` where this user may not mount.
    #[must_use]
    pub fn tmpfs(kib: u64) -> Option<Mounted> {
        let (directory, at) = directory()?;
        let size = format!("size={kib}k,mode=755");
        run("mount", &["-t", "tmpfs", "-o", &size, "none", at.to_str()?])
            .then_some(Mounted { at, _directory: directory })
    }

    /// An ext4 of so many KiB, in a file behind a loop device; `None` where that cannot be had.
    #[must_use]
    pub fn ext4(kib: u64) -> Option<Mounted> {
        let (directory, at) = directory()?;
        let image = directory.path().join("image");
        std::fs::File::create(&image).ok()?.set_len(kib << 10).ok()?;
        let image = image.to_str()?;
        let mounted = run("mkfs.ext4", &["-q", "-F", "-b", "4096", "-m", "0", image])
            && run("mount", &["-t", "ext4", "-o", "loop", image, at.to_str()?]);
        mounted.then_some(Mounted { at, _directory: directory })
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.at
    }

    /// Bytes that are free on it.
    ///
    /// # Panics
    /// Where `df` cannot be run.
    #[must_use]
    pub fn free_bytes(&self) -> u64 {
        let mut df = Command::new("df");
        let output = df.args(["--output=avail", "-B1"]).arg(&self.at).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        text.lines().nth(1).unwrap().trim().parse().unwrap()
    }

    /// Mounts it again, for reading only or not.
    #[must_use]
    pub fn remount(&self, read_only: bool) -> bool {
        let how = if read_only { "remount,ro" } else { "remount,rw" };
        run("mount", &["-o", how, self.at.to_str().unwrap_or("")])
    }
}

fn directory() -> Option<(tempfile::TempDir, PathBuf)> {
    // Images in memory, where that can be had: the disk may be busy.
    let directory = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).ok()?;
    let at = directory.path().join("mount");
    std::fs::create_dir(&at).ok()?;
    Some((directory, at))
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let at = self.at.to_str().unwrap_or("");
        if !run("umount", &[at]) {
            let _ = run("umount", &["-l", at]);
        }
    }
}
