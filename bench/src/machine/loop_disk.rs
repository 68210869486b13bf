//! A block device of our own with ext4 on it, whose counters nobody else moves. Needs root.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A sector of the counters, whatever the device's own.
const SECTOR_BYTES: u64 = 512;

/// A loop device with a mounted file system, taken down again when it is dropped.
pub(crate) struct LoopDisk {
    device: String,
    mount: PathBuf,
    image: PathBuf,
}

fn run(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

impl LoopDisk {
    /// One of so many bytes, in a sparse file; `None` where this user cannot have one.
    pub(crate) fn new(directory: &Path, bytes: u64) -> Option<LoopDisk> {
        let (image, mount) = (directory.join("image"), directory.join("mount"));
        std::fs::create_dir_all(&mount).ok()?;
        std::fs::File::create(&image).ok()?.set_len(bytes).ok()?;
        let path = image.to_str()?;
        run("mkfs.ext4", &["-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", path])?;
        let device = run("losetup", &["--find", "--show", path])?;
        let disk = LoopDisk { device, mount, image };
        // Times of access and change are nobody's business here, and the journal waits long.
        let options = "noatime,lazytime,commit=600";
        run("mount", &["-o", options, &disk.device, disk.mount.to_str()?])?;
        Some(disk)
    }

    /// Where it is mounted.
    pub(crate) fn path(&self) -> &Path {
        &self.mount
    }

    /// Bytes that were sent to it so far.
    pub(crate) fn written(&self) -> crate::peer::Result<u64> {
        let name = self.device.trim_start_matches("/dev/");
        let text = std::fs::read_to_string(format!("/sys/block/{name}/stat"))?;
        // Documentation/block/stat.rst: field 7 is sectors written.
        let sectors = text.split_whitespace().nth(6).ok_or("the device counts nothing")?;
        Ok(sectors.parse::<u64>()? * SECTOR_BYTES)
    }
}

impl Drop for LoopDisk {
    fn drop(&mut self) {
        let _ = run("umount", &[self.mount.to_str().unwrap_or("")]);
        let _ = run("losetup", &["--detach", &self.device]);
        let _ = std::fs::remove_file(&self.image);
    }
}
