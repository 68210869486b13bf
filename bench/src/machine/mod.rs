//! What the machine counts and what can be asked of it: bytes read and written, memory, page cache.

mod cgroup;
mod disk;
mod folios;

pub(crate) use cgroup::MemoryLimit;
pub(crate) use disk::{Disk, FileSystem};
pub(crate) use folios::{Folios, mean_pages};

use crate::peer::Result;
use std::path::Path;

/// Bytes that this process has made the disks read.
pub(crate) fn bytes_read() -> Result<u64> {
    field(&std::fs::read_to_string("/proc/self/io")?, "read_bytes:")
}

/// Bytes that this process has made the disks write, or will: pages count when they become dirty.
pub(crate) fn bytes_written() -> Result<u64> {
    field(&std::fs::read_to_string("/proc/self/io")?, "write_bytes:")
}

/// The most memory that this process has had resident at once, pages of mapped files included.
pub(crate) fn peak_bytes() -> Result<u64> {
    /// The kernel counts in these.
    const KIB: u64 = 1024;
    Ok(field(&std::fs::read_to_string("/proc/self/status")?, "VmHWM:")? * KIB)
}

fn field(text: &str, name: &str) -> Result<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.ok_or_else(|| format!("no {name} in /proc"))?.parse()?)
}

/// Writes a directory's files back and drops them from memory. No process may have them mapped.
pub(crate) fn make_cold(directory: &Path) -> Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if entry.metadata()?.is_dir() {
            make_cold(&entry.path())?;
            continue;
        }
        let file = std::fs::File::open(entry.path())?;
        file.sync_all()?;
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn counters_can_be_read() {
        assert!(super::peak_bytes().unwrap() > 1 << 16);
        assert_eq!(super::field("a: 1\nread_bytes: 77\n", "read_bytes:").unwrap(), 77);
        assert!(super::field("a: 1\n", "b:").is_err());
    }
}
