//! How the kernel has mapped the file: from `/proc/self/smaps`, and folios from `/proc/kpageflags`.

use crate::FileMapping;
use crate::file::retry;
use crate::host_page;
use crate::memory::{number, read_file};
use core::ffi::CStr;
use core::ops::Range;
use mapleaf_pager::Bytes;
use rustix::fd::OwnedFd;
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::{pread, read};

/// What `/proc/self/smaps` says of the pages that a mapping has in this process' page tables, in bytes.
///
/// A page can be in the page cache and not here: touching it is a soft fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct MapFigures {
    /// Pieces of the kernel's record of the map; hints for a part of it make more of them.
    pub pieces: u64,
    /// Mapped now (`Rss`).
    pub mapped_bytes: u64,
    /// Mapped and used lately (`Referenced`).
    pub referenced_bytes: u64,
    /// Mapped and dirty through this map (`Shared_Dirty`, `Private_Dirty`).
    pub dirty_bytes: u64,
    /// Mapped by 2 MiB at a time (`FilePmdMapped`, `ShmemPmdMapped`); since Linux 5.4.
    pub huge_bytes: u64,
    /// Locked in memory (`Locked`).
    pub locked_bytes: u64,
}

impl MapFigures {
    fn field(&mut self, name: &[u8]) -> Option<&mut u64> {
        match name {
            b"Rss" => Some(&mut self.mapped_bytes),
            b"Referenced" => Some(&mut self.referenced_bytes),
            b"Shared_Dirty" | b"Private_Dirty" => Some(&mut self.dirty_bytes),
            b"FilePmdMapped" | b"ShmemPmdMapped" => Some(&mut self.huge_bytes),
            b"Locked" => Some(&mut self.locked_bytes),
            _ => None,
        }
    }
}

/// `/sys/kernel/debug/fault_around_bytes`—how many bytes around a soft fault are mapped with it, if they
/// are cached (not with [`Hint::Random`](crate::Hint::Random)). 64 KiB unless somebody changed it.
/// `None` where debugfs is not mounted or not readable: for most users.
///
/// # References
/// `do_fault_around` in the kernel's `mm/memory.c`
#[must_use]
pub fn fault_around_bytes() -> Option<u64> {
    let mut buffer = [0; 32];
    number(read_file(c"/sys/kernel/debug/fault_around_bytes", &mut buffer)?)
}

impl FileMapping {
    /// `/proc/self/smaps`—how the read view is mapped in this process. `None` without procfs. The kernel
    /// walks all page tables of the process for it: milliseconds for gigabytes.
    ///
    /// # References
    /// [proc_pid_smaps(5)](https://man7.org/linux/man-pages/man5/proc_pid_smaps.5.html)
    #[must_use]
    pub fn map_figures(&self) -> Option<MapFigures> {
        let start = self.view().base().addr().get();
        let ours = start..start + self.view().len();
        let mut figures = MapFigures::default();
        let mut inside = false;
        each_line(c"/proc/self/smaps", |line| {
            if let Some(piece) = piece_of(line) {
                inside = ours.contains(&piece.start) && piece.end <= ours.end;
                figures.pieces += u64::from(inside);
            } else if inside
                && let Some((name, bytes)) = field_of(line)
                && let Some(field) = figures.field(name)
            {
                *field += bytes;
            }
        })?;
        Some(figures)
    }

    /// `/proc/self/pagemap`, `/proc/kpageflags`—the folios that the mapped pages of a range belong to:
    /// `each` is called with a folio's first offset in the file and its size, in bytes, in ascending
    /// order. Pages that are not in this process' page tables are left out. Folios of the page cache are
    /// of 4 KiB or, on file systems that have them, of any power of two up to 2 MiB or more.
    ///
    /// False where the kernel does not say: both files need `CAP_SYS_ADMIN`. A system call or two a page.
    ///
    /// # References
    /// [pagemap](https://docs.kernel.org/admin-guide/mm/pagemap.html)
    pub fn folios(&self, range: Bytes, mut each: impl FnMut(u64, u64)) -> bool {
        let Some(tables) = Tables::open() else { return false };
        let (range, page) = (self.clip(&range), host_page() as u64);
        let mut at = range.start / page * page;
        while at < range.end {
            let address = self.view().base().addr().get() as u64 + at;
            match tables.frame_of(address / page) {
                Err(Hidden) => return false,
                Ok(None) => at += page,
                Ok(Some(frame)) => {
                    let Some((head, pages)) = tables.folio_of(frame) else { return false };
                    let start = at.saturating_sub((frame - head) * page);
                    each(start, pages * page);
                    at = (start + pages * page).max(at + page);
                }
            }
        }
        true
    }

    /// `statx(STATX_ATTR_DAX)`, Linux 5.8—whether loads and stores reach the medium itself, without a page
    /// cache between. False where the system does not say, as before.
    ///
    /// # References
    /// [statx(2)](https://man7.org/linux/man-pages/man2/statx.2.html)
    #[must_use]
    pub fn direct_access(&self) -> bool {
        crate::file::direct_access(self.barriers().file())
    }
}

/// The kernel hides what is asked for.
struct Hidden;

/// The two tables that lead from an address to a folio.
struct Tables {
    pagemap: OwnedFd,
    flags: OwnedFd,
}

impl Tables {
    fn open() -> Option<Tables> {
        Some(Tables { pagemap: open(c"/proc/self/pagemap")?, flags: open(c"/proc/kpageflags")? })
    }

    /// The frame behind a page of this process; `None` where it is not mapped.
    fn frame_of(&self, page: u64) -> Result<Option<u64>, Hidden> {
        /// Bits of an entry: the page is present, and its frame's number.
        const PRESENT: u64 = 1 << 63;
        const FRAME: u64 = (1 << 55) - 1;
        let entry = entry(&self.pagemap, page).ok_or(Hidden)?;
        match (entry & PRESENT != 0, entry & FRAME) {
            (false, _) => Ok(None),
            // Frames are hidden from those who may not see them.
            (true, 0) => Err(Hidden),
            (true, frame) => Ok(Some(frame)),
        }
    }

    /// The first frame and the pages of the folio that a frame is in.
    fn folio_of(&self, frame: u64) -> Option<(u64, u64)> {
        /// Bits of a frame's flags: first of a folio of several pages, or a later one.
        const HEAD: u64 = 1 << 15;
        const TAIL: u64 = 1 << 16;
        /// Pages of the largest folio that is looked for: 1 GiB of 4 KiB pages.
        const PAGES_MAX: u64 = 1 << 18;
        let mut head = frame;
        while entry(&self.flags, head)? & TAIL != 0 {
            head = head.checked_sub(1).filter(|head| frame - head < PAGES_MAX)?;
        }
        let mut pages = 1;
        if entry(&self.flags, head)? & HEAD != 0 {
            while pages < PAGES_MAX && entry(&self.flags, head + pages)? & TAIL != 0 {
                pages += 1;
            }
        }
        Some((head, pages))
    }
}

/// An entry of 8 bytes of one of the tables.
fn entry(table: &OwnedFd, index: u64) -> Option<u64> {
    let mut bytes = [0; 8];
    let count = retry(|| pread(table, &mut bytes, index * 8)).ok()?;
    (count == bytes.len()).then(|| u64::from_ne_bytes(bytes))
}

fn open(path: &CStr) -> Option<OwnedFd> {
    openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()
}

/// Calls `each` with the start of each line of a file.
fn each_line(path: &CStr, mut each: impl FnMut(&[u8])) -> Option<()> {
    let file = open(path)?;
    let mut line: heapless::Vec<u8, 128> = heapless::Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = retry(|| read(&file, &mut buffer)).ok()?;
        if count == 0 {
            return Some(());
        }
        for byte in buffer.iter().take(count) {
            if *byte == b'\n' {
                each(&line);
                line.clear();
            } else {
                // What is too long is a path, which nobody asks for.
                let _ = line.push(*byte);
            }
        }
    }
}

/// The addresses of a piece, if its first line is this: `start-end rights ...`.
fn piece_of(line: &[u8]) -> Option<Range<usize>> {
    let text = core::str::from_utf8(line.split(|&byte| byte == b' ').next()?).ok()?;
    let (start, end) = text.split_once('-')?;
    let hex = |text| usize::from_str_radix(text, 16).ok();
    Some(hex(start)?..hex(end)?)
}

/// A field's name and its bytes: `Rss:     12 kB`.
fn field_of(line: &[u8]) -> Option<(&[u8], u64)> {
    let colon = line.iter().position(|&byte| byte == b':')?;
    let (name, value) = (line.get(..colon)?, line.get(colon + 1..)?);
    let kib = number(value.strip_suffix(b" kB")?)?;
    Some((name, kib.saturating_mul(1024)))
}

#[cfg(test)]
mod tests {
    use super::{field_of, piece_of};

    #[test]
    fn lines_of_smaps_are_told_apart() {
        assert_eq!(piece_of(b"7f00-7f1000 r--s 00000000 fe:00 12 /a-b"), Some(0x7f00..0x7f1000));
        assert_eq!(field_of(b"Rss:               8 kB"), Some((&b"Rss"[..], 8192)));
        for odd in [&b""[..], b"VmFlags: rd sh", b"Rss: x kB", b"THPeligible:    0", b"-"] {
            assert_eq!((piece_of(odd), field_of(odd)), (None, None), "{odd:?}");
        }
    }
}
