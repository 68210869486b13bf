//! Which pages of a file are in memory, of any file that is open: no map, no lock, no store.

use crate::OpenError;
use crate::host_page;
use crate::kernel::{cachestat, mincore};
use crate::span::Span;
use core::ops::Range;
use rustix::fd::BorrowedFd;
use rustix::io::{Errno, Result};

/// Host pages asked about in one call of mincore.
const PAGES_AT_ONCE: usize = 512;

/// `cachestat(2)`, Linux 6.5, else `mincore(2)`—which bytes of a file are in the page cache: `each` is
/// called with stretches of whole host pages, in order, and whether they are. All of `range` is told of,
/// rounded to host pages. Reads nothing. A call for the whole range, and where it is of both kinds two
/// more for its halves, and so on; of mincore one for 512 pages.
///
/// Since 5.2 (mincore) and 6.14 (cachestat) only of files that this user owns or may write.
///
/// # Errors
/// [`OpenError::Sys`]: `EPERM` of such files; `ENOSYS` on processors other than x86-64, AArch64 and
/// RISC-V; `ENOMEM`.
///
/// # References
/// [cachestat(2)](https://man7.org/linux/man-pages/man2/cachestat.2.html),
/// [mincore(2)](https://man7.org/linux/man-pages/man2/mincore.2.html)
///
/// ```
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("file");
/// # std::fs::write(&path, [7; 8192])?;
/// use mapleaf_sys_linux::{AsFd, cached_stretches};
/// let file = std::fs::File::open(&path)?;
/// let mut told = 0;
/// cached_stretches(file.as_fd(), 0..8192, &mut |stretch, _cached| told += stretch.end - stretch.start)?;
/// assert!(told >= 8192);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn cached_stretches(
    file: BorrowedFd<'_>,
    range: Range<u64>,
    each: &mut dyn FnMut(Range<u64>, bool),
) -> core::result::Result<(), OpenError> {
    let page = host_page() as u64;
    let end = range.end.checked_next_multiple_of(page);
    let range = range.start / page * page..end.unwrap_or(u64::MAX / page * page);
    if range.is_empty() {
        return Ok(());
    }
    match cachestat(file, range.clone()) {
        Ok(found) => halves(file, range, found.nr_cache, each).map_err(OpenError::sys("cachestat")),
        Err(Errno::NOSYS) => through_a_map(file, range, each).map_err(OpenError::sys("mincore")),
        Err(error) => Err(OpenError::sys("cachestat")(error)),
    }
}

/// Tells of a range with so many cached pages; deep as the logarithm of its pages.
fn halves(
    file: BorrowedFd<'_>,
    range: Range<u64>,
    cached: u64,
    each: &mut dyn FnMut(Range<u64>, bool),
) -> Result<()> {
    let page = host_page() as u64;
    let pages = (range.end - range.start) / page;
    if cached == 0 || cached >= pages || pages <= 1 {
        each(range, cached > 0);
        return Ok(());
    }
    let middle = range.start + pages / 2 * page;
    for half in [range.start..middle, middle..range.end] {
        let found = cachestat(file, half.clone())?;
        halves(file, half, found.nr_cache, each)?;
    }
    Ok(())
}

fn through_a_map(
    file: BorrowedFd<'_>,
    range: Range<u64>,
    each: &mut dyn FnMut(Range<u64>, bool),
) -> Result<()> {
    let page = host_page();
    let (start, end) = (as_address(range.start)?, as_address(range.end)?);
    // Never touched, so that it raises no signal where the file ends.
    let map = Span::of_file(end, file, false)?;
    let mut found = [0; PAGES_AT_ONCE];
    for from in (start..end).step_by(PAGES_AT_ONCE * page) {
        let to = end.min(from + PAGES_AT_ONCE * page);
        let Some(stretch) = map.stretch(from..to) else { continue };
        mincore(stretch, &mut found, page)?;
        for (index, byte) in found.iter().take((to - from) / page).enumerate() {
            let at = (from + index * page) as u64;
            each(at..at + page as u64, byte & 1 != 0);
        }
    }
    Ok(())
}

fn as_address(offset: u64) -> Result<usize> {
    usize::try_from(offset).map_err(|_| Errno::NOMEM)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fd::AsFd;
    use std::fs::File;
    use std::vec::Vec;

    /// Both ways tell of every page once, in order, and the same.
    #[test]
    fn both_calls_agree() {
        let page = host_page();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        std::fs::write(&path, std::vec![7; 64 * page]).unwrap();
        let file = File::open(&path).unwrap();
        file.sync_all().unwrap();
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::Random).unwrap();
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
        for index in [3, 4, 40] {
            let mut byte = [0];
            std::os::unix::fs::FileExt::read_exact_at(&file, &mut byte, index * page as u64)
                .unwrap();
        }
        let range = 0..64 * page as u64;
        let pages = |stretch: Range<u64>| stretch.step_by(page);
        let (mut first, mut second) = (Vec::new(), Vec::new());
        let mut each = |stretch, cached| first.extend(pages(stretch).map(|at| (at, cached)));
        let told = cached_stretches(file.as_fd(), range.clone(), &mut each);
        let mut each = |stretch, cached| second.extend(pages(stretch).map(|at| (at, cached)));
        through_a_map(file.as_fd(), range, &mut each).unwrap();
        told.unwrap();
        assert_eq!(first, second);
        assert!((0..64).map(|index| index * page as u64).eq(first.iter().map(|(at, _)| *at)));
        for index in [3, 4, 40] {
            assert!(first[index].1, "page {index} was read");
        }
    }
}
