//! How much memory this process may use: the machine's, or less where a control group says so.

use core::ffi::CStr;
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::read;
use rustix::system::sysinfo;

/// Longest path of a control group that is looked at, its mount point included.
const GROUP_PATH_MAX: usize = 1024;

/// Where groups of a version are mounted, and the files with their limits.
struct Version {
    mounts: &'static [&'static [u8]],
    files: &'static [&'static [u8]],
}

/// Past `memory.high` a process is held up and its pages are dropped, so that it is a limit as well. The
/// second place is that of systems which have both versions.
const VERSION_2: Version = Version {
    mounts: &[b"/sys/fs/cgroup", b"/sys/fs/cgroup/unified"],
    files: &[b"/memory.max", b"/memory.high"],
};
const VERSION_1: Version =
    Version { mounts: &[b"/sys/fs/cgroup/memory"], files: &[b"/memory.limit_in_bytes"] };

/// Bytes of memory that this process may use: all of the machine's, or the least limit of the
/// control groups, of version 1 or 2, that it is in and that are above those (without the feature `residency`
/// they are not looked at). Limits that were set from outside of a container are seen as far as it shows its
/// groups. A few system calls for each.
///
/// ```
/// assert!(mapleaf_sys_linux::memory_limit() > 1 << 20);
/// ```
#[must_use]
pub fn memory_limit() -> u64 {
    let info = sysinfo();
    // The field's type differs between machines.
    #[allow(clippy::unnecessary_cast)]
    let machine = (info.totalram as u64).saturating_mul(u64::from(info.mem_unit));
    let group = if cfg!(feature = "residency") { group_limit() } else { None };
    group.map_or(machine, |group| group.min(machine))
}

/// The least limit on the way from this process' control group to the root.
fn group_limit() -> Option<u64> {
    let mut buffer = [0; 4096];
    let text = read_file(c"/proc/self/cgroup", &mut buffer)?;
    least_limit(text, b"")
}

/// The least limit of the groups that `/proc/self/cgroup` lists, in a file system that begins at `root`.
fn least_limit(text: &[u8], root: &[u8]) -> Option<u64> {
    text.split(|&byte| byte == b'\n').filter_map(|line| limit_of_line(line, root)).min()
}

/// A line of `/proc/self/cgroup` is `number:controllers:path`; version 2 names no controllers.
fn limit_of_line(line: &[u8], root: &[u8]) -> Option<u64> {
    let mut fields = line.splitn(3, |&byte| byte == b':');
    let (_, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
    let version = if controllers.is_empty() {
        VERSION_2
    } else if controllers.split(|&byte| byte == b',').any(|name| name == b"memory") {
        VERSION_1
    } else {
        return None;
    };
    let mut least = None;
    // Each round drops the path's last part; the path is bounded, so are the rounds.
    let mut path = path.strip_suffix(b"/").unwrap_or(path);
    loop {
        for mount in version.mounts {
            let limits = version.files.iter();
            let limits = limits.filter_map(|file| limit_in(&[root, mount, path, file, b"\0"]));
            least = least.into_iter().chain(limits).min();
        }
        let Some(parent) = path.iter().rposition(|&byte| byte == b'/') else { return least };
        path = path.get(..parent).unwrap_or_default();
    }
}

/// The number in the file whose name has these parts.
fn limit_in(parts: &[&[u8]]) -> Option<u64> {
    let mut name: heapless::Vec<u8, GROUP_PATH_MAX> = heapless::Vec::new();
    for part in parts {
        name.extend_from_slice(part).ok()?;
    }
    let mut buffer = [0; 32];
    number(read_file(CStr::from_bytes_with_nul(&name).ok()?, &mut buffer)?)
}

/// A decimal number, perhaps with a line end; anything else (`max`) is no limit.
pub(crate) fn number(text: &[u8]) -> Option<u64> {
    core::str::from_utf8(text).ok()?.trim_ascii().parse().ok()
}

/// The first bytes of a file, as many as there is room for.
pub(crate) fn read_file<'b>(path: &CStr, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
    let file = openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let count = read(&file, &mut *buffer).ok()?;
    buffer.get(..count)
}

#[cfg(test)]
mod tests {
    use super::{least_limit, number};
    use std::path::Path;

    #[test]
    fn limits_are_numbers_or_none() {
        assert_eq!(number(b"1048576\n"), Some(1 << 20));
        assert_eq!(number(b"max\n"), None);
        assert_eq!(number(b""), None);
    }

    #[test]
    fn odd_lines_are_no_limit() {
        for line in [&b""[..], b"0", b"0:", b"1:cpu:/a", b"::::", b"0::no/such/group", b"1:cpu:/"] {
            assert_eq!(least_limit(line, b"/no/such/root"), None);
        }
        let long = [&b"0::/"[..], &[b'x'; 2 * super::GROUP_PATH_MAX]].concat();
        assert_eq!(least_limit(&long, b"/no/such/root"), None);
    }

    /// Writes a limit into a file below a root of the test's own.
    fn limit(root: &Path, file: &str, text: &str) {
        let path = root.join(file);
        std::fs::create_dir_all(path.parent().expect("a directory")).expect("made");
        std::fs::write(path, text).expect("written");
    }

    #[test]
    fn the_least_limit_on_the_way_up_counts_in_both_versions() {
        let directory = tempfile::tempdir().expect("a scratch directory");
        let at = directory.path();
        let root = at.to_str().expect("a plain path").as_bytes();
        limit(at, "sys/fs/cgroup/a/b/memory.max", "max\n");
        limit(at, "sys/fs/cgroup/a/b/memory.high", "max\n");
        assert_eq!(least_limit(b"0::/a/b\n", root), None);
        limit(at, "sys/fs/cgroup/a/memory.max", "8000000\n");
        assert_eq!(least_limit(b"0::/a/b\n", root), Some(8_000_000));
        assert_eq!(least_limit(b"0::/a/b/\n", root), Some(8_000_000));
        limit(at, "sys/fs/cgroup/a/b/memory.high", "7000000\n");
        assert_eq!(least_limit(b"0::/a/b\n", root), Some(7_000_000));
        assert_eq!(least_limit(b"0::/a\n", root), Some(8_000_000));
        // The root of a container's own name space.
        limit(at, "sys/fs/cgroup/memory.max", "9000000\n");
        assert_eq!(least_limit(b"0::/\n", root), Some(9_000_000));
        // Beside version 1, the other version lies elsewhere.
        limit(at, "sys/fs/cgroup/unified/c/memory.max", "6000000\n");
        assert_eq!(least_limit(b"0::/c\n", root), Some(6_000_000));
        limit(at, "sys/fs/cgroup/memory/d/memory.limit_in_bytes", "5000000\n");
        let both = b"7:cpu:/a\n4:memory,other:/d/e\n0::/c\n";
        assert_eq!(least_limit(both, root), Some(5_000_000));
    }
}
