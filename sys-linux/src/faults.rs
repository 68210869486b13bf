//! Page faults that this thread or this process has had.

use crate::kernel::getrusage;
use crate::memory::read_file;
use core::ffi::CStr;

/// Page faults since a thread or process began.
///
/// ```
/// use mapleaf_sys_linux::Faults;
/// let before = Faults::of_thread();
/// let bytes = vec![1u8; 1 << 20]; // touched the first time
/// let since = Faults::of_thread().since(before);
/// assert!(since.minor > 0 && bytes[4096] == 1);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Faults {
    /// Soft ones: what was touched was in memory and had only to be mapped. Around a microsecond. A
    /// fault that waits for a read that somebody else has begun is counted here too.
    pub minor: u64,
    /// Hard ones: the medium had to be read. From 50 us on a solid-state disk up.
    pub major: u64,
}

impl Faults {
    /// `getrusage(RUSAGE_THREAD)`—faults of the calling thread. One system call, 0.14 us; where it is not to
    /// be had (see `kernel`) `/proc/thread-self/stat` is read, 2.3 us, Linux 3.17; zeros where there is
    /// neither. Since Linux 2.6.26.
    ///
    /// # References
    /// [getrusage(2)](https://man7.org/linux/man-pages/man2/getrusage.2.html)
    #[must_use]
    pub fn of_thread() -> Faults {
        faults(false, c"/proc/thread-self/stat")
    }

    /// `getrusage(RUSAGE_SELF)`—faults of all threads of the process, those included that have ended. In all
    /// kernels; else as [`of_thread`](Faults::of_thread).
    ///
    /// # References
    /// [getrusage(2)](https://man7.org/linux/man-pages/man2/getrusage.2.html)
    #[must_use]
    pub fn of_process() -> Faults {
        faults(true, c"/proc/self/stat")
    }

    /// The faults since an `earlier` count.
    #[must_use]
    pub fn since(self, earlier: Faults) -> Faults {
        Faults {
            minor: self.minor.saturating_sub(earlier.minor),
            major: self.major.saturating_sub(earlier.major),
        }
    }
}

fn faults(whole_process: bool, path: &CStr) -> Faults {
    match getrusage(whole_process) {
        Ok((minor, major)) => Faults { minor, major },
        Err(_) => from_proc(path).unwrap_or_default(),
    }
}

/// The counts in a `stat` file of `/proc`.
fn from_proc(path: &CStr) -> Option<Faults> {
    let mut buffer = [0; 1024];
    from_stat(read_file(path, &mut buffer)?)
}

/// `proc_pid_stat(5)`: fields 10 and 12; the second, a name in parentheses, may contain anything.
fn from_stat(text: &[u8]) -> Option<Faults> {
    let after_name = text.iter().rposition(|&byte| byte == b')')?;
    let text = core::str::from_utf8(text.get(after_name + 1..)?).ok()?;
    let mut fields = text.split_ascii_whitespace();
    let minor = fields.nth(7)?.parse().ok()?;
    let major = fields.nth(1)?.parse().ok()?;
    Some(Faults { minor, major })
}

#[cfg(test)]
mod tests {
    use super::{Faults, from_proc, from_stat};

    #[test]
    fn stat_lines_are_read_behind_the_name() {
        let line = b"7 (a) b (c) S 1 2 3 4 5 6 71 8 92 10 11";
        assert_eq!(from_stat(line), Some(Faults { minor: 71, major: 92 }));
        for odd in [&b""[..], b")", b"1 (x) S 1 2 3", b"1 (x) S 1 2 3 4 5 6 x 8 9"] {
            assert_eq!(from_stat(odd), None);
        }
    }

    #[test]
    fn both_ways_count_the_same() {
        // More than any allocator keeps at hand.
        std::hint::black_box(std::vec![1u8; 4 << 20]);
        // This thread may fault between the two, so both ways are asked around each other.
        let first = Faults::of_thread();
        let proc = from_proc(c"/proc/thread-self/stat").expect("procfs");
        let last = Faults::of_thread();
        assert!((first.minor..=last.minor).contains(&proc.minor), "{first:?} {proc:?} {last:?}");
        assert!((first.major..=last.major).contains(&proc.major), "{first:?} {proc:?} {last:?}");
        let process = Faults::of_process();
        assert!(process.minor >= last.minor && process.major >= last.major);
        assert!(last.minor > 0);
    }
}
