//! What the block device below the file has counted.

use crate::lab::counters::Counts;
use crate::lab::machine::device_of;
use crate::lab::scratch::Scratch;
use std::fs;
use std::path::PathBuf;

/// A block device's counters. They count everybody's work.
pub(crate) struct Device {
    stat: PathBuf,
}

/// Which field of `stat` counts sectors of 512 bytes written, and which finished flushes, from Linux 5.5
/// (kernel: Documentation/block/stat.rst).
const SECTORS_WRITTEN: usize = 6;
const FLUSHES: usize = 15;

impl Device {
    /// The device below the file; `None` where there is none that counts.
    pub(crate) fn below(scratch: &Scratch) -> Option<Device> {
        let (major, minor) = device_of(scratch)?;
        let dir = fs::canonicalize(format!("/sys/dev/block/{major}:{minor}")).ok()?;
        // Flushes are counted by the whole disk.
        let disk = if dir.join("partition").exists() { dir.parent()?.to_path_buf() } else { dir };
        let device = Device { stat: disk.join("stat") };
        device.counts()?;
        Some(device)
    }

    /// Barriers that the device has carried out, and bytes that it was given.
    pub(crate) fn counts(&self) -> Option<Counts> {
        let text = fs::read_to_string(&self.stat).ok()?;
        let field = |at: usize| text.split_ascii_whitespace().nth(at)?.parse::<u64>().ok();
        Some(Counts {
            barriers: field(FLUSHES)?,
            device_written_bytes: field(SECTORS_WRITTEN)? * 512,
            ..Counts::default()
        })
    }
}
