//! Memory that only a test's own evictions take pages out of.
//!
//! A kernel that is short of memory, or that reclaims what looks cold, drops clean pages whenever it likes, so
//! that a hard fault need not be the fault of what is tested. Pages that somebody has locked (`mlock(2)`) it
//! never drops. So a test that counts hard faults locks what its file has in the page cache, by a map of its
//! own, whenever it has evicted something or had something read; and its program, once.

#![allow(unsafe_code)] // Maps, asks about and locks memory.

use mapleaf_sys_linux::host_page;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::ptr;

/// Where the map starts, as the store's own does: the kernel does not keep a page of 2 MiB locked that lies across
/// two of its tables.
const ALIGNMENT: usize = 2 << 20;

/// Those pages of a file that were in the page cache: locked there until this is dropped.
pub struct Held {
    /// Reserved, with room to align what is mapped there.
    space: *mut libc::c_void,
    start: *mut libc::c_void,
    len: usize,
    /// Each page: whether it is locked.
    locked: Vec<bool>,
}

impl Held {
    /// Locks what a file has in the page cache.
    ///
    /// # Errors
    /// The system's; `ENOMEM` or `EPERM` where this user may not lock as much.
    pub fn new(file: &File) -> io::Result<Held> {
        let len = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
        let space = reserve(len + ALIGNMENT)?;
        let start = space.wrapping_byte_add(space.addr().wrapping_neg() % ALIGNMENT);
        let (protection, flags) = (libc::PROT_READ, libc::MAP_SHARED | libc::MAP_FIXED);
        // SAFETY: inside the space, which is this value's own; nobody reads it.
        let mapped = unsafe { libc::mmap(start, len, protection, flags, file.as_raw_fd(), 0) };
        let locked = vec![false; len.div_ceil(host_page())];
        let mut held = Held { space, start, len, locked };
        if mapped == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        held.hold()?;
        Ok(held)
    }

    /// Locks what has come into the page cache since, and bytes of the file that are locked now.
    ///
    /// # Errors
    /// As [`new`](Held::new).
    pub fn hold(&mut self) -> io::Result<u64> {
        let page = host_page();
        let mut resident = vec![0_u8; self.locked.len()];
        // SAFETY: the map is `len` long, and the vector has a byte for each of its pages.
        done(unsafe { libc::mincore(self.start, self.len, resident.as_mut_ptr()) })?;
        let is_new =
            |at: usize| resident.get(at).is_some_and(|byte| byte & 1 != 0) && !self.locked[at];
        let mut at = 0;
        while at < resident.len() {
            let run = (at..).take_while(|at| is_new(*at)).count();
            if run > 0 {
                // SAFETY: inside the map; locking changes no byte. What was dropped since the question is
                // read again here.
                done(unsafe { libc::mlock(self.start.wrapping_byte_add(at * page), run * page) })?;
            }
            at += run.max(1);
        }
        self.locked.iter_mut().zip(&resident).for_each(|(locked, byte)| *locked |= byte & 1 != 0);
        Ok(self.locked_bytes())
    }

    /// Bytes of the file that are locked.
    pub fn locked_bytes(&self) -> u64 {
        (self.locked.iter().filter(|locked| **locked).count() * host_page()) as u64
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // SAFETY: this value's own space, to which nothing refers.
        unsafe { libc::munmap(self.space, self.len + ALIGNMENT) };
    }
}

/// Address space that cannot be touched.
fn reserve(len: usize) -> io::Result<*mut libc::c_void> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: a new map, at a place that the kernel chooses.
    let space = unsafe { libc::mmap(ptr::null_mut(), len, libc::PROT_NONE, flags, -1, 0) };
    if space == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(space) }
}

/// Locks this process' program and whatever else it has mapped in small pieces: code, data, stacks.
///
/// # Errors
/// `ENOMEM` or `EPERM` where this user may not lock as much. As much of it as may be is locked then. What other
/// threads unmap meanwhile is none.
pub fn lock_program() -> io::Result<()> {
    /// Larger maps are files under test and address space that is reserved.
    const BYTES_MAX: usize = 16 << 20;
    let mut result = Ok(());
    let maps = maps()?;
    // Code first: it is what a kernel drops.
    let (code, data): (Vec<&str>, Vec<&str>) = maps.lines().partition(|line| line.contains("r-xp"));
    for line in code.iter().chain(&data) {
        let mut words = line.split_ascii_whitespace();
        let (Some(range), Some(rights)) = (words.next(), words.next()) else { continue };
        // The kernel's own pages cannot be locked, and need not be.
        if !rights.starts_with('r') || !rights.ends_with('p') || line.contains("[v") {
            continue;
        }
        let hex = |text: &str| usize::from_str_radix(text, 16).map_err(io::Error::other);
        let (start, end) = range.split_once('-').unwrap_or_default();
        let (start, end) = (hex(start)?, hex(end)?);
        if end - start <= BYTES_MAX {
            result = result.and(lock_listed(line, start, end - start));
        }
    }
    result
}

/// Locks what a line of `/proc/self/maps` names. What another thread has unmapped of it, or mapped anew, need not
/// be locked.
fn lock_listed(line: &str, start: usize, len: usize) -> io::Result<()> {
    const TRIES_MAX: usize = 4;
    let mut result = Ok(());
    for _ in 0..TRIES_MAX {
        // SAFETY: locking changes no byte; what is gone is an error.
        result = done(unsafe { libc::mlock(ptr::without_provenance(start), len) });
        if result.is_ok() || !maps()?.lines().any(|listed| listed == line) {
            return Ok(());
        }
    }
    result
}

fn maps() -> io::Result<String> {
    std::fs::read_to_string("/proc/self/maps")
}

fn done(answer: libc::c_int) -> io::Result<()> {
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A whole run of the tests was lost to it: the program's maps are read first, and locked after.
    #[test]
    fn what_another_thread_has_unmapped_is_no_error_and_what_cannot_be_locked_is() {
        let len = 4 * host_page();
        // Nobody may touch it, so the kernel cannot bring it in.
        let start = reserve(len).unwrap();
        let maps = maps().unwrap();
        let holds = |line: &&str| {
            let ends = line.split_once(' ').and_then(|(range, _)| range.split_once('-'));
            let hex = |text| usize::from_str_radix(text, 16).unwrap();
            ends.is_some_and(|(from, to)| (hex(from)..hex(to)).contains(&start.addr()))
        };
        let line = maps.lines().find(holds).unwrap();
        lock_listed(line, start.addr(), len).unwrap_err();
        // SAFETY: the map above, to which nothing refers.
        done(unsafe { libc::munmap(start, len) }).unwrap();
        lock_listed(line, start.addr(), len).unwrap();
    }
}
