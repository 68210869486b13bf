//! System calls that rustix does not have: which pages are in memory, and what faults have cost.
//!
//! rustix' linux_raw backend keeps its own way into the kernel to itself, and a libc is not to be had
//! here. So the same few instructions stand below, for x86-64, AArch64 and RISC-V of 64 bits; on other
//! machines these calls answer `ENOSYS`, as they do on kernels that are too old, and callers do without.

#![allow(unsafe_code)] // Enters the kernel; each function says why its arguments are sound.

use core::ffi::c_void;
use core::mem::MaybeUninit;
use core::ops::Range;
use linux_raw_sys::general as sys;
use rustix::fd::{AsRawFd, BorrowedFd};
use rustix::io::{Errno, Result};

/// A stretch of this process' address space, as `struct iovec` has it.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Stretch {
    pub(crate) start: *mut c_void,
    pub(crate) len: usize,
}

/// `cachestat(fd, range)`—how many pages of a range of a file the page cache has, and in what state.
/// A page that is being read counts already. Never waits for the medium.
///
/// Since Linux 6.5; `ENOSYS` before. From 6.14 on `EPERM` for a file that this user neither owns nor may
/// write. `EOPNOTSUPP` for hugetlbfs. [man page](https://man7.org/linux/man-pages/man2/cachestat.2.html)
pub(crate) fn cachestat(file: BorrowedFd<'_>, range: Range<u64>) -> Result<sys::cachestat> {
    let (off, len) = (range.start, range.end.saturating_sub(range.start));
    let mut found = sys::cachestat {
        nr_cache: 0,
        nr_dirty: 0,
        nr_writeback: 0,
        nr_evicted: 0,
        nr_recently_evicted: 0,
    };
    if len == 0 {
        // To the kernel this would be all of the file.
        return Ok(found);
    }
    let range = sys::cachestat_range { off, len };
    let from = (&raw const range).expose_provenance();
    let into = (&raw mut found).expose_provenance();
    let arguments = [file.as_raw_fd() as usize, from, into, 0, 0, 0];
    // SAFETY: reads a whole `cachestat_range` and writes a whole `cachestat`, both of which live here.
    unsafe { call(sys::__NR_cachestat, arguments) }.map(|_| found)
}

/// `mincore(addr, len)`—which host pages of a map can be read without waiting for the medium: a byte
/// each, of which the lowest bit counts. A page that is still being read does not count.
///
/// In all kernels. Since 5.2 a file that this user neither owns nor may write looks resident all over.
/// [man page](https://man7.org/linux/man-pages/man2/mincore.2.html)
///
/// # Errors
/// `NOMEM`: something in the range is not mapped; `INVAL`: `into` is too short, or the start is not a
/// page's.
pub(crate) fn mincore(range: Stretch, into: &mut [u8], host_page: usize) -> Result<()> {
    if range.len.div_ceil(host_page) > into.len() {
        return Err(Errno::INVAL);
    }
    let bytes = into.as_mut_ptr().expose_provenance();
    let arguments = [range.start.addr(), range.len, bytes, 0, 0, 0];
    // SAFETY: writes a byte a page into `into`, which is long enough (checked above); looks at the map
    // and changes nothing of it.
    unsafe { call(sys::__NR_mincore, arguments) }.map(|_| ())
}

/// `getrusage(who)`—(minor, major) page faults of this thread, or of this process with its threads that
/// have ended.
///
/// In all kernels; of a thread since 2.6.26.
/// [man page](https://man7.org/linux/man-pages/man2/getrusage.2.html)
pub(crate) fn getrusage(whole_process: bool) -> Result<(u64, u64)> {
    let who = if whole_process { sys::RUSAGE_SELF } else { sys::RUSAGE_THREAD };
    let mut usage: MaybeUninit<sys::rusage> = MaybeUninit::zeroed();
    let into = usage.as_mut_ptr().expose_provenance();
    // SAFETY: writes a whole `rusage`, which lives here.
    unsafe { call(sys::__NR_getrusage, [who as usize, into, 0, 0, 0, 0])? };
    // SAFETY: integers, all of them zeroed above at the least.
    let usage = unsafe { usage.assume_init() };
    // The fields' type differs between machines.
    #[allow(clippy::unnecessary_cast)]
    Ok((usage.ru_minflt as u64, usage.ru_majflt as u64))
}

/// `process_madvise(pidfd, ranges, MADV_WILLNEED)`—begins to read what several ranges of this process'
/// maps show, in one call; the bytes of the ranges that it got to.
///
/// Since Linux 5.10; `ENOSYS` before. Before 6.13 a process needs the right to trace itself, and
/// `CAP_SYS_NICE`: `EPERM`.
/// [man page](https://man7.org/linux/man-pages/man2/process_madvise.2.html)
pub(crate) fn will_need(process: BorrowedFd<'_>, ranges: &[Stretch]) -> Result<usize> {
    let list = ranges.as_ptr().expose_provenance();
    let advice = sys::MADV_WILLNEED as usize;
    let arguments = [process.as_raw_fd() as usize, list, ranges.len(), advice, 0, 0];
    // SAFETY: reads `ranges.len()` entries of the list; the advice changes no byte of any map.
    unsafe { call(sys::__NR_process_madvise, arguments) }
}

/// `sync_file_range(fd, range, SYNC_FILE_RANGE_WRITE)`—starts to write a range's dirty pages out, and
/// does not wait for it. **No promise**: no meta data, no barrier, no error. Never with the flags that
/// wait: those would take the report of a lost write that the next barrier is to give.
///
/// Since Linux 2.6.17. [man page](https://man7.org/linux/man-pages/man2/sync_file_range.2.html)
pub(crate) fn start_write_back(file: BorrowedFd<'_>, range: Range<u64>) -> Result<()> {
    let len = range.end.saturating_sub(range.start);
    if len == 0 {
        // To the kernel this would be all of the file.
        return Ok(());
    }
    let (off, len) = (range.start as usize, len as usize);
    let flags = sys::SYNC_FILE_RANGE_WRITE as usize;
    // SAFETY: numbers only.
    unsafe { call(sys::__NR_sync_file_range, [file.as_raw_fd() as usize, off, len, flags, 0, 0]) }
        .map(|_| ())
}

/// Enters the kernel, which answers with a result or with an error number below zero.
///
/// # Safety
/// The call's own contract: what it does with these arguments to memory is sound. Memory it reads or
/// writes has had its address exposed.
unsafe fn call(number: u32, arguments: [usize; 6]) -> Result<usize> {
    /// The kernel's error numbers are at most this.
    const ERRNO_MAX: isize = 4095;
    // SAFETY: the caller's promise.
    let answer = unsafe { enter(number as usize, arguments) } as isize;
    if (-ERRNO_MAX..0).contains(&answer) {
        return Err(Errno::from_raw_os_error(answer.unsigned_abs() as i32));
    }
    Ok(answer as usize)
}

/// `syscall`: number and answer in `rax`, arguments in `rdi, rsi, rdx, r10, r8, r9`; the instruction
/// itself overwrites `rcx` and `r11` (System V ABI for AMD64, appendix A.2.1).
///
/// # Safety
/// As [`call`].
#[cfg(all(target_arch = "x86_64", target_pointer_width = "64"))]
unsafe fn enter(number: usize, [a, b, c, d, e, f]: [usize; 6]) -> usize {
    let answer;
    // SAFETY: the kernel keeps all other registers and does not touch the stack; memory changes as the
    // call's contract says, which the compiler reckons with (no `nomem`).
    unsafe {
        core::arch::asm!("syscall", inlateout("rax") number => answer, in("rdi") a, in("rsi") b,
            in("rdx") c, in("r10") d, in("r8") e, in("r9") f, lateout("rcx") _, lateout("r11") _,
            options(nostack, preserves_flags));
    }
    answer
}

/// `svc 0`: number in `x8`, arguments in `x0`–`x5`, answer in `x0`
/// ([syscall(2)](https://man7.org/linux/man-pages/man2/syscall.2.html), "arm64").
///
/// # Safety
/// As [`call`].
#[cfg(all(target_arch = "aarch64", target_pointer_width = "64"))]
unsafe fn enter(number: usize, [a, b, c, d, e, f]: [usize; 6]) -> usize {
    let answer;
    // SAFETY: as on x86-64.
    unsafe {
        core::arch::asm!("svc 0", in("x8") number, inlateout("x0") a => answer, in("x1") b, in("x2") c,
            in("x3") d, in("x4") e, in("x5") f, options(nostack, preserves_flags));
    }
    answer
}

/// `ecall`: number in `a7`, arguments in `a0`–`a5`, answer in `a0`
/// ([syscall(2)](https://man7.org/linux/man-pages/man2/syscall.2.html), "riscv").
///
/// # Safety
/// As [`call`].
#[cfg(target_arch = "riscv64")]
unsafe fn enter(number: usize, [a, b, c, d, e, f]: [usize; 6]) -> usize {
    let answer;
    // SAFETY: as on x86-64.
    unsafe {
        core::arch::asm!("ecall", in("a7") number, inlateout("a0") a => answer, in("a1") b, in("a2") c,
            in("a3") d, in("a4") e, in("a5") f, options(nostack, preserves_flags));
    }
    answer
}

/// # Safety
/// None needed: the kernel is not entered.
#[cfg(not(any(
    all(target_arch = "x86_64", target_pointer_width = "64"),
    all(target_arch = "aarch64", target_pointer_width = "64"),
    target_arch = "riscv64"
)))]
unsafe fn enter(_number: usize, _arguments: [usize; 6]) -> usize {
    Errno::NOSYS.raw_os_error().wrapping_neg() as isize as usize
}

#[cfg(test)]
mod tests {
    use super::{cachestat, getrusage, mincore, start_write_back};
    use crate::host_page;
    use crate::kernel::Stretch;
    use rustix::fd::{AsFd, BorrowedFd};
    use rustix::io::Errno;

    #[test]
    fn error_numbers_come_back_as_errors() {
        let file = tempfile::tempfile().expect("a scratch file");
        let (pipe, _other) = std::io::pipe().expect("a pipe");
        assert_eq!(cachestat(file.as_fd(), 0..0).map(|found| found.nr_cache), Ok(0));
        assert_eq!(start_write_back(pipe.as_fd(), 0..4096), Err(Errno::SPIPE));
        // SAFETY: never closed, since it was never open: the kernel says so.
        let none = unsafe { BorrowedFd::borrow_raw(i32::MAX) };
        // Not every kernel has it, nor every emulator of one.
        let refused = cachestat(none, 0..1).map(|found| found.nr_cache);
        assert!(matches!(refused, Err(Errno::BADF | Errno::NOSYS)), "{refused:?}");
        let page = host_page();
        let unmapped = Stretch { start: core::ptr::without_provenance_mut(page), len: page };
        assert_eq!(mincore(unmapped, &mut [0], page), Err(Errno::NOMEM));
        assert_eq!(mincore(unmapped, &mut [], page), Err(Errno::INVAL));
        assert!(getrusage(true).expect("faults") >= getrusage(false).expect("faults"));
    }
}
