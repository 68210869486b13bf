//! Linux behind mapleaf's mapping trait: one file, mapped once, through direct system calls.
//!
//! `no_std`, no heap, no libc. [`FileMapping`] implements [`mapleaf_pager::Mapping`]; what a system
//! does with folios, barriers and address space is decided here and nowhere above.
//!
//! | module | system calls |
//! |---|---|
//! | `span` | mmap, munmap, mprotect, madvise, msync |
//! | `file` | openat, fstat, statfs, statx, pwrite, pwritev2, fallocate, ftruncate, fdatasync |
//! | `lock`, `barrier` | flock; whose barrier runs on which descriptor |
//! | `bits`, `twin` | none of their own: what shadow mode has claimed, and its memory |
//! | `guard` | mmap(MAP_FIXED) over a page that is lost |
//! | `hints` | madvise, process_madvise, posix_fadvise, mlock, pread |
//! | `residency`, `seen`, `trial` | cachestat, mincore; clock_gettime (in user space) |
//! | `write_back` | msync, sync_file_range |
//! | `residency`, `cached`, `write_back` | cachestat, mincore; msync, sync_file_range |
//! | `faults`, `smaps` | getrusage; `/proc/self/smaps`, `/proc/self/pagemap`, `/proc/kpageflags` |
//! | `kernel` | those of them that rustix does not have |
//! | `memory`, `fork` | sysinfo, control groups; madvise(MADV_WIPEONFORK) |
#![no_std]
// What the feature would use.
#![cfg_attr(not(feature = "residency"), allow(dead_code, unused_imports))]
#![deny(unsafe_code)]

#[cfg(test)]
extern crate std;

mod barrier;
mod bits;
mod cached;
mod error;
mod faults;
mod file;
mod fork;
mod guard;
mod hints;
mod kernel;
mod lock;
mod mapping;
mod memory;
mod open;
mod options;
mod pool;
mod residency;
mod seen;
mod smaps;
mod span;
mod trial;
mod turn;
mod twin;
mod write_back;

pub use cached::cached_stretches;
pub use error::OpenError;
pub use faults::Faults;
pub use file::{FileIdentity, identity, lives_in_memory};
pub use guard::recover_bus_error;
pub use hints::Hint;
pub use mapping::FileMapping;
pub use memory::memory_limit;
pub use options::{Access, OpenOptions, WriteMode};
/// Descriptors, as [`FileMapping::from_fd`] takes them.
pub use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
pub use smaps::{MapFigures, fault_around_bytes};
pub use write_back::Msync;

/// `AT_PAGESZ`—bytes of a page of this machine's memory: 4, 16 or 64 KiB.
#[must_use]
#[inline]
pub fn host_page() -> usize {
    // Nothing else is possible there; and where the kernel's list is asked for, rustix looks at the vDSO that it
    // names, which valgrind has taken away.
    if cfg!(target_arch = "x86_64") { 4096 } else { rustix::param::page_size() }
}

/// `getrandom(2)`—random bytes for a new store: 16 for its UUID, 8 for its salts. Waits only early
/// in a machine's boot.
///
/// # Errors
/// [`OpenError::Sys`] where the system refuses.
///
/// ```
/// assert_ne!(mapleaf_sys_linux::entropy()?, mapleaf_sys_linux::entropy()?);
/// # Ok::<(), mapleaf_sys_linux::OpenError>(())
/// ```
pub fn entropy() -> Result<[u8; 24], OpenError> {
    use rustix::rand::{GetRandomFlags, getrandom};
    let mut bytes = [0; 24];
    let call = || getrandom(&mut bytes[..], GetRandomFlags::empty());
    // Requests of up to 256 bytes are answered whole.
    file::retry(call).map_err(OpenError::sys("getrandom"))?;
    Ok(bytes)
}
