//! What the kernel has counted for this process: faults, calls, copies, and what the device moved.

use mapleaf_sys_linux::Faults;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Longest that `/proc/self/io` can be: seven lines of a name and a number.
const IO_BYTES_MAX: usize = 512;

/// Counts of this process, or their differences.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Counts {
    /// Faults for which everything was in memory.
    pub(crate) minor_faults: u64,
    /// Faults that read the device.
    pub(crate) major_faults: u64,
    /// System calls that read (`read`, `pread`, `preadv`, ...).
    pub(crate) read_calls: u64,
    /// System calls that write.
    pub(crate) write_calls: u64,
    /// Bytes that these calls copied, both ways.
    pub(crate) copied_bytes: u64,
    /// Bytes that the device was asked for on this process' behalf, read-ahead included.
    pub(crate) device_read_bytes: u64,
    /// Bytes of folios that became dirty.
    pub(crate) dirtied_bytes: u64,
    /// Barriers that the device carried out, and bytes that it was given, whoever asked for them; only where
    /// they were [looked at](crate::lab::bench::Bench::device_meter).
    pub(crate) barriers: u64,
    pub(crate) device_written_bytes: u64,
}

/// A count's name in JSON and in print.
pub(crate) type Named = (&'static str, &'static str, u64);

impl Counts {
    /// Counted since an `earlier` reading.
    pub(crate) fn since(&self, earlier: &Counts) -> Counts {
        let less = |now: u64, then: u64| now.saturating_sub(then);
        Counts {
            minor_faults: less(self.minor_faults, earlier.minor_faults),
            major_faults: less(self.major_faults, earlier.major_faults),
            read_calls: less(self.read_calls, earlier.read_calls),
            write_calls: less(self.write_calls, earlier.write_calls),
            copied_bytes: less(self.copied_bytes, earlier.copied_bytes),
            device_read_bytes: less(self.device_read_bytes, earlier.device_read_bytes),
            dirtied_bytes: less(self.dirtied_bytes, earlier.dirtied_bytes),
            barriers: less(self.barriers, earlier.barriers),
            device_written_bytes: less(self.device_written_bytes, earlier.device_written_bytes),
        }
    }

    /// Adds counts.
    pub(crate) fn add(&mut self, more: &Counts) {
        self.minor_faults += more.minor_faults;
        self.major_faults += more.major_faults;
        self.read_calls += more.read_calls;
        self.write_calls += more.write_calls;
        self.copied_bytes += more.copied_bytes;
        self.device_read_bytes += more.device_read_bytes;
        self.dirtied_bytes += more.dirtied_bytes;
        self.barriers += more.barriers;
        self.device_written_bytes += more.device_written_bytes;
    }

    /// All of them with their names.
    pub(crate) fn named(&self) -> [Named; 9] {
        [
            ("minor_faults", "minor faults", self.minor_faults),
            ("major_faults", "major faults", self.major_faults),
            ("read_calls", "read calls", self.read_calls),
            ("write_calls", "write calls", self.write_calls),
            ("copied_bytes", "bytes copied", self.copied_bytes),
            ("device_read_bytes", "bytes from device", self.device_read_bytes),
            ("dirtied_bytes", "bytes dirtied", self.dirtied_bytes),
            ("barriers", "barriers", self.barriers),
            ("device_written_bytes", "bytes to device", self.device_written_bytes),
        ]
    }
}

/// Reads the kernel's counts. Where there is no `/proc/self/io`, calls and bytes stay 0.
pub(crate) struct Counters {
    io: Option<File>,
}

impl Counters {
    /// Of this process.
    pub(crate) fn open() -> Counters {
        Counters { io: File::open("/proc/self/io").ok() }
    }

    /// The counts up to now.
    ///
    /// # Errors
    /// `/proc` cannot be read.
    pub(crate) fn read(&self) -> io::Result<Reading> {
        let mut reading = Reading::default();
        if let Some(io) = &self.io {
            let mut buffer = [0; IO_BYTES_MAX];
            let len = io.read_at(&mut buffer, 0)?;
            reading.counts = of_text(&buffer[..len]);
            reading.own_bytes = len as u64;
            reading.own_calls = 1;
        }
        // Last, so that a first touch of the buffer above is in neither reading's difference.
        let faults = Faults::of_process();
        let counts = &mut reading.counts;
        (counts.minor_faults, counts.major_faults) = (faults.minor, faults.major);
        Ok(reading)
    }
}

/// The counts at a moment. The call that read them is not among them, but among those of the next reading.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Reading {
    counts: Counts,
    own_calls: u64,
    own_bytes: u64,
}

impl Reading {
    /// Counted since an `earlier` reading, without what that reading itself was.
    pub(crate) fn since(&self, earlier: &Reading) -> Counts {
        let mut then = earlier.counts;
        then.read_calls += earlier.own_calls;
        then.copied_bytes += earlier.own_bytes;
        self.counts.since(&then)
    }
}

/// `proc_pid_io(5)`.
fn of_text(text: &[u8]) -> Counts {
    let mut counts = Counts::default();
    for line in String::from_utf8_lossy(text).lines() {
        let Some((name, number)) = line.split_once(": ") else { continue };
        let number = number.trim().parse().unwrap_or(0);
        match name {
            "rchar" | "wchar" => counts.copied_bytes += number,
            "syscr" => counts.read_calls = number,
            "syscw" => counts.write_calls = number,
            "read_bytes" => counts.device_read_bytes = number,
            "write_bytes" => counts.dirtied_bytes = number,
            _ => {}
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::{Counters, Counts, of_text};

    #[test]
    fn the_kernels_text_is_read() {
        let text =
            b"rchar: 10\nwchar: 5\nsyscr: 3\nsyscw: 2\nread_bytes: 4096\nwrite_bytes: 8192\n\
            cancelled_write_bytes: 7\n";
        let counts = of_text(text);
        assert_eq!((counts.copied_bytes, counts.read_calls, counts.write_calls), (15, 3, 2));
        assert_eq!((counts.device_read_bytes, counts.dirtied_bytes), (4096, 8192));
        assert_eq!(of_text(b"nonsense"), Counts::default());
    }

    #[test]
    fn a_reading_does_not_count_itself() {
        let counters = Counters::open();
        let readings: Vec<_> = (0..3).map(|_| counters.read().unwrap()).collect();
        // Other tests run beside this one: the least difference is that of nobody else's calls.
        let between = readings.windows(2).map(|pair| pair[1].since(&pair[0]).read_calls).min();
        assert_eq!(between, Some(0));
    }
}
