//! How much memory this process may use: the machine's, or less where a control group says so.

use core::ffi::CStr;
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::read;
use rustix::system::sysinfo;

/// Longest path of a control group that is looked at, its mount point included.
const GROUP_PATH_MAX: usize = 1024;

/// A group's limit file, by the version of control groups: mount point, then the file's name.
const VERSION_2: (&[u8], &[u8]) = (b"/sys/fs/cgroup", b"/memory.max\0");
const VERSION_1: (&[u8], &[u8]) = (b"/sys/fs/cgroup/memory", b"/memory.limit_in_bytes\0");

/// Bytes of memory that this process may use: all of the machine's, or the least limit of the
/// control groups it is in (without the feature `residency` these are not looked at). A few system calls.
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
    text.split(|&byte| byte == b'\n').filter_map(limit_of_line).min()
}

/// A line of `/proc/self/cgroup` is `number:controllers:path`; version 2 names no controllers.
fn limit_of_line(line: &[u8]) -> Option<u64> {
    let mut fields = line.splitn(3, |&byte| byte == b':');
    let (_, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
    let (mount, file) = if controllers.is_empty() {
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
        if let Some(limit) = limit_of_group(mount, path, file) {
            least = Some(least.map_or(limit, |least: u64| least.min(limit)));
        }
        let Some(parent) = path.iter().rposition(|&byte| byte == b'/') else { return least };
        path = path.get(..parent).unwrap_or_default();
    }
}

fn limit_of_group(mount: &[u8], path: &[u8], file: &[u8]) -> Option<u64> {
    let mut name: heapless::Vec<u8, GROUP_PATH_MAX> = heapless::Vec::new();
    for part in [mount, path, file] {
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
    use super::{limit_of_line, number};

    #[test]
    fn limits_are_numbers_or_none() {
        assert_eq!(number(b"1048576\n"), Some(1 << 20));
        assert_eq!(number(b"max\n"), None);
        assert_eq!(number(b""), None);
    }

    #[test]
    fn odd_lines_are_no_limit() {
        for line in [&b""[..], b"0", b"0:", b"1:cpu:/a", b"::::", b"0::no/such/group/at/all"] {
            let _ = limit_of_line(line);
        }
        assert_eq!(limit_of_line(b"1:cpu:/"), None);
        assert_eq!(limit_of_line(b"nonsense"), None);
    }
}
