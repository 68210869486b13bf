//! The log of a device: dm-log-writes' format, as QEMU's `blklogwrites` writes it
//! (<https://docs.kernel.org/admin-guide/device-mapper/log-writes.html>).
//!
//! Superblock, in the first sector: magic u64, version u64, entries u64, sector size u32. Then per entry a
//! sector (sector u64, sectors u64, flags u64, bytes of a mark u64), then the data written. All
//! little-endian.

use crate::Result;
use std::ops::Range;
use std::path::Path;

const MAGIC: u64 = 0x006a_7366_7773_6872;
const VERSION: u64 = 1;
const FLUSH: u64 = 1;
const DISCARD: u64 = 4;

/// What a device did, in order.
pub(super) struct Log {
    bytes: Vec<u8>,
    pub(super) entries: Vec<Entry>,
}

/// One entry of it.
pub(super) struct Entry {
    /// The bytes of the device that were written. None for a bare flush.
    pub(super) target: Range<usize>,
    /// Where the data is in the log; `None`: zeros.
    data: Option<usize>,
    /// What was done before it is durable. (Of what this entry itself writes nothing is said.)
    pub(super) flush: bool,
}

impl Log {
    pub(super) fn read(path: &Path) -> Result<Log> {
        Log::parse(std::fs::read(path)?)
    }

    fn parse(bytes: Vec<u8>) -> Result<Log> {
        let word = |at: usize| -> Result<u64> {
            let word = bytes.get(at..).and_then(<[u8]>::first_chunk);
            Ok(u64::from_le_bytes(*word.ok_or("the device's log is cut")?))
        };
        let sector_bytes = word(24)? as u32 as usize;
        if (word(0)?, word(8)?) != (MAGIC, VERSION) || !sector_bytes.is_power_of_two() {
            return Err("this is no log of a device".into());
        }
        let mut at = sector_bytes;
        let mut entries = Vec::new();
        for _ in 0..word(16)? {
            let (sector, sectors, flags) = (word(at)?, word(at + 8)?, word(at + 16)?);
            at += sector_bytes;
            if flags & !(FLUSH | DISCARD) != 0 {
                // A write that is durable at once (a loop device asks for none), or a mark.
                return Err(format!("the device's log has an entry with flags {flags}").into());
            }
            let start = (sector as usize).wrapping_mul(sector_bytes);
            let len = sectors as usize * sector_bytes;
            let discards = flags & DISCARD != 0;
            entries.push(Entry {
                target: start..start.wrapping_add(len),
                data: (!discards).then_some(at),
                flush: flags & FLUSH != 0,
            });
            at += if discards { 0 } else { len };
        }
        if at > bytes.len() {
            return Err("the device's log is cut".into());
        }
        Ok(Log { bytes, entries })
    }

    /// Does to `device` what an entry did to these bytes of it.
    pub(super) fn apply(&self, entry: &Entry, part: Range<usize>, device: &mut [u8]) {
        let offset = part.start - entry.target.start;
        let Some(target) = device.get_mut(part) else { return };
        match entry.data {
            Some(data) => {
                let data = &self.bytes[data + offset..];
                target.copy_from_slice(&data[..target.len()]);
            }
            None => target.fill(0),
        }
    }

    /// How many entries there are up to each flush, that included.
    pub(super) fn boundaries(&self) -> Vec<usize> {
        let flushes = self.entries.iter().enumerate().filter(|(_, entry)| entry.flush);
        flushes.map(|(number, _)| number + 1).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Log {
        /// Of writes (where, how many bytes, of which value), without a flush.
        pub(in super::super) fn of_writes(writes: &[(usize, usize, u8)]) -> Log {
            let mut log = Log { bytes: Vec::new(), entries: Vec::new() };
            for &(at, len, value) in writes {
                let data = Some(log.bytes.len());
                log.entries.push(Entry { target: at..at + len, data, flush: false });
                log.bytes.resize(log.bytes.len() + len, value);
            }
            log
        }
    }

    #[test]
    fn a_log_is_done_again() {
        let mut bytes = vec![0; 512];
        for (at, word) in [(0, MAGIC), (8, VERSION), (16, 3), (24, 512)] {
            bytes[at..at + 8].copy_from_slice(&word.to_le_bytes());
        }
        for (header, data) in [
            ([1, 2, 0, 0], vec![7; 1024]),
            ([0, 0, FLUSH, 0], vec![]),
            ([2, 1, DISCARD, 0], vec![]),
        ] {
            let mut sector: Vec<u8> = header.into_iter().flat_map(u64::to_le_bytes).collect();
            sector.resize(512, 0);
            bytes.extend(sector);
            bytes.extend(data);
        }
        assert!(Log::parse(bytes[..700].to_vec()).is_err());
        let log = Log::parse(bytes).ok();
        let log = log.as_ref().map(|log| (log, log.boundaries()));
        let (log, boundaries) = log.unwrap_or_else(|| unreachable!("it is one"));
        assert_eq!(boundaries, [2]);
        let mut device = vec![1; 2048];
        for entry in &log.entries {
            log.apply(entry, entry.target.clone(), &mut device);
        }
        let expected = [vec![1; 512], vec![7; 512], vec![0; 512], vec![1; 512]].concat();
        assert!(device == expected);
    }
}
