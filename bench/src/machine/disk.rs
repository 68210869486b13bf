//! A file system of our own: on a loop device, whose counters nobody else moves, or in memory. Needs root.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A sector of the counters, whatever the device's own.
const SECTOR_BYTES: u64 = 512;

/// What kind of file system.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(crate) enum FileSystem {
    /// ext4, with its journal.
    Ext4,
    /// XFS.
    Xfs,
    /// btrfs.
    Btrfs,
    /// Memory, in pages of the host's.
    Tmpfs,
    /// Memory, in pages of 2 MiB.
    TmpfsHuge,
}

impl FileSystem {
    /// How reports name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            FileSystem::Ext4 => "ext4",
            FileSystem::Xfs => "xfs",
            FileSystem::Btrfs => "btrfs",
            FileSystem::Tmpfs => "tmpfs",
            FileSystem::TmpfsHuge => "tmpfs, huge",
        }
    }

    /// Whether it lives in memory.
    pub(crate) fn in_memory(self) -> bool {
        matches!(self, FileSystem::Tmpfs | FileSystem::TmpfsHuge)
    }

    /// The command that makes it.
    fn make(self) -> &'static [&'static str] {
        match self {
            FileSystem::Ext4 => {
                &["mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0"]
            }
            FileSystem::Xfs => &["mkfs.xfs", "-q"],
            FileSystem::Btrfs => &["mkfs.btrfs", "-q"],
            FileSystem::Tmpfs | FileSystem::TmpfsHuge => &[],
        }
    }

    /// Times of access and change are nobody's business here, and journals wait long.
    fn options(self) -> &'static str {
        match self {
            FileSystem::Ext4 => "noatime,lazytime,commit=600",
            FileSystem::Xfs => "noatime,lazytime",
            FileSystem::Btrfs => "noatime,commit=300",
            FileSystem::Tmpfs => "huge=never",
            FileSystem::TmpfsHuge => "huge=always",
        }
    }
}

/// A mounted file system, taken down again when it is dropped.
pub(crate) struct Disk {
    device: Option<String>,
    mount: PathBuf,
    image: PathBuf,
}

fn run(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

impl Disk {
    /// One of so many bytes, on a sparse file in this directory; `None` where this user, or this system,
    /// cannot have one.
    pub(crate) fn new(directory: &Path, bytes: u64, kind: FileSystem) -> Option<Disk> {
        let (image, mount) = (directory.join("image"), directory.join("mount"));
        std::fs::create_dir_all(&mount).ok()?;
        let point = mount.to_str()?.to_owned();
        if kind.in_memory() {
            let options = format!("size={bytes},{}", kind.options());
            run("mount", &["-t", "tmpfs", "-o", &options, "mapleaf-bench", &point])?;
            return Some(Disk { device: None, mount, image });
        }
        std::fs::File::create(&image).ok()?.set_len(bytes).ok()?;
        let path = image.to_str()?;
        let (program, arguments) = kind.make().split_first()?;
        run(program, &[arguments, &[path]].concat())?;
        // Past the page cache of the file below, so that a barrier is one there too.
        let device = run("losetup", &["--find", "--show", "--direct-io=on", path])
            .or_else(|| run("losetup", &["--find", "--show", path]))?;
        let disk = Disk { device: Some(device.clone()), mount, image };
        run("mount", &["-o", kind.options(), &device, &point])?;
        Some(disk)
    }

    /// Where it is mounted.
    pub(crate) fn path(&self) -> &Path {
        &self.mount
    }

    /// Bytes that were sent to it so far; none where it is memory.
    pub(crate) fn written(&self) -> crate::peer::Result<u64> {
        let Some(device) = &self.device else { return Ok(0) };
        let name = device.trim_start_matches("/dev/");
        let text = std::fs::read_to_string(format!("/sys/block/{name}/stat"))?;
        // Documentation/block/stat.rst: field 7 is sectors written.
        let sectors = text.split_whitespace().nth(6).ok_or("the device counts nothing")?;
        Ok(sectors.parse::<u64>()? * SECTOR_BYTES)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = run("umount", &[self.mount.to_str().unwrap_or("")]);
        if let Some(device) = &self.device {
            let _ = run("losetup", &["--detach", device]);
            let _ = std::fs::remove_file(&self.image);
        }
    }
}
