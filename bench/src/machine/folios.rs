//! How large the page cache's folios of a file are, and making them so.

#![allow(unsafe_code)] // Maps files to ask where their pages lie.

use crate::peer::Result;
use rustix::fs::{Advice, fadvise};
use rustix::mm::{self, MapFlags, ProtFlags};
use std::ffi::c_void;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// A page of the kernel's.
const PAGE: usize = 4096;

/// Size of the folios that a file is read into.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Folios {
    /// A page each.
    Small,
    /// As large as a map with large pages makes them: 2 MiB, where the file system can.
    Large,
}

impl Folios {
    /// How reports name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Folios::Small => "4 KiB",
            Folios::Large => "large",
        }
    }

    /// Reads a file, nothing of which is in memory, into folios of this size.
    pub(crate) fn read(self, path: &Path) -> Result<()> {
        let file = File::open(path)?;
        match self {
            Folios::Small => read_by_page(&file),
            // As a program does that maps it with large pages: read-ahead alone makes folios no larger
            // than it reads ahead.
            Folios::Large => with_map(&file, |map, len| {
                // SAFETY: a hint for the map of this call.
                unsafe { mm::madvise(map, len, mm::Advice::LinuxHugepage)? };
                // SAFETY: reads into the map of this call.
                unsafe { mm::madvise(map, len, mm::Advice::LinuxPopulateRead)? };
                Ok(())
            }),
        }
    }
}

fn read_by_page(file: &File) -> Result<()> {
    fadvise(file, 0, None, Advice::Random)?;
    let (mut buffer, mut at) = (vec![0; PAGE], 0);
    loop {
        match file.read_at(&mut buffer, at)? {
            0 => return Ok(()),
            bytes => at += bytes as u64,
        }
    }
}

/// Does something with a map of all of a file.
fn with_map<T>(file: &File, work: impl FnOnce(*mut c_void, usize) -> Result<T>) -> Result<T> {
    let len = (file.metadata()?.len() as usize).next_multiple_of(PAGE);
    let null = std::ptr::null_mut();
    // SAFETY: a new map wherever the kernel likes, of which no reference is made.
    let map = unsafe { mm::mmap(null, len, ProtFlags::READ, MapFlags::SHARED, file, 0)? };
    let done = work(map, len);
    // SAFETY: the map just made, to which nothing refers.
    unsafe { mm::munmap(map, len)? };
    done
}

/// Bits of `/proc/kpageflags` (Documentation/admin-guide/mm/pagemap.rst): first page of a folio of several,
/// and another page of it.
const COMPOUND_HEAD: u64 = 1 << 15;
const COMPOUND_TAIL: u64 = 1 << 16;
/// Of an entry of `/proc/self/pagemap`: the frame's number, and whether there is one.
const FRAME: u64 = (1 << 55) - 1;
const PRESENT: u64 = 1 << 63;

/// Pages of a file that are in memory, divided by the folios that they lie in: the mean size of a folio
/// in pages. `None` where the kernel does not say (it needs root), or nothing is there.
pub(crate) fn mean_pages(path: &Path) -> Option<f64> {
    let frames = frames(&File::open(path).ok()?).ok()?;
    let flags_of = File::open("/proc/kpageflags").ok()?;
    let (mut there, mut folios) = (0u64, 0u64);
    for frame in frames.iter().filter(|entry| **entry & PRESENT != 0).map(|entry| entry & FRAME) {
        let mut word = [0; 8];
        flags_of.read_exact_at(&mut word, frame * 8).ok()?;
        let flags = u64::from_ne_bytes(word);
        there += 1;
        folios += u64::from(flags & COMPOUND_HEAD != 0 || flags & COMPOUND_TAIL == 0);
    }
    (folios > 0).then(|| there as f64 / folios as f64)
}

/// Entries of the page map for all pages of a file.
fn frames(file: &File) -> Result<Vec<u64>> {
    with_map(file, |map, len| {
        // SAFETY: reads into the map of this call. An error leaves pages out, which then do not count.
        let _ = unsafe { mm::madvise(map, len, mm::Advice::LinuxPopulateRead) };
        let mut bytes = vec![0; len / PAGE * 8];
        let at = map as usize / PAGE * 8;
        File::open("/proc/self/pagemap")?.read_exact_at(&mut bytes, at as u64)?;
        let words = bytes.chunks_exact(8).map(|word| word.try_into().map_or(0, u64::from_ne_bytes));
        Ok(words.collect())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_whole() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), vec![7; 5 * PAGE + 1]).unwrap();
        Folios::Small.read(file.path()).unwrap();
        Folios::Large.read(file.path()).unwrap();
        // Only root is told.
        if let Some(mean) = mean_pages(file.path()) {
            assert!((1.0..=512.0).contains(&mean), "{mean}");
        }
    }
}
