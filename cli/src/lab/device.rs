//! What the block device below the file has counted.

use crate::lab::machine::device_of;
use crate::lab::scratch::Scratch;
use std::fs;
use std::path::PathBuf;

/// A block device's counters. They count everybody's work.
pub(crate) struct Device {
    stat: PathBuf,
}

/// Which field of `stat` counts finished flushes (kernel: Documentation/block/stat.rst, from Linux 5.5).
const FLUSHES: usize = 15;

impl Device {
    /// The device below the file; `None` where there is none that counts.
    pub(crate) fn below(scratch: &Scratch) -> Option<Device> {
        let (major, minor) = device_of(scratch)?;
        let dir = fs::canonicalize(format!("/sys/dev/block/{major}:{minor}")).ok()?;
        // Flushes are counted by the whole disk.
        let disk = if dir.join("partition").exists() { dir.parent()?.to_path_buf() } else { dir };
        let device = Device { stat: disk.join("stat") };
        device.flushes()?;
        Some(device)
    }

    /// Barriers that the device has carried out.
    pub(crate) fn flushes(&self) -> Option<u64> {
        let text = fs::read_to_string(&self.stat).ok()?;
        text.split_ascii_whitespace().nth(FLUSHES)?.parse().ok()
    }
}
