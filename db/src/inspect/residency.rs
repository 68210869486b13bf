//! Which pages of the file are in memory.

use super::PageMap;
use crate::page_file::Bits;
#[cfg(target_os = "linux")]
use mapleaf_pager::PageId;

impl PageMap {
    /// Asks the system anew which pages are in memory. (Reading the map asks before it reads anything, and
    /// has the system drop afterwards what was not in memory before.)
    pub fn measure_residency(&mut self) {
        self.resident = self.measured();
    }

    /// Has the system drop pages that were not in memory, and that nobody has mapped or changed since.
    pub(super) fn drop_what_was_read(&self) {
        #[cfg(target_os = "linux")]
        for (first, pages) in self.not_resident() {
            let size = self.file.page_size as u64;
            let (from, len) = (u64::from(first) * size, u64::from(pages) * size);
            // A hint.
            let advice = rustix::fs::Advice::DontNeed;
            let _ = rustix::fs::fadvise(&self.file.file, from, std::num::NonZero::new(len), advice);
        }
    }

    /// Stretches of pages that were not in memory: first page, and how many.
    #[cfg(target_os = "linux")]
    fn not_resident(&self) -> Vec<(u32, u32)> {
        let mut stretches: Vec<(u32, u32)> = Vec::new();
        let Some(resident) = &self.resident else { return stretches };
        for page in (0..self.page_count()).filter(|page| !resident.has(PageId(*page))) {
            match stretches.last_mut() {
                Some((first, pages)) if *first + *pages == page => *pages += 1,
                _ => stretches.push((page, 1)),
            }
        }
        stretches
    }

    #[cfg(target_os = "linux")]
    fn measured(&self) -> Option<Bits> {
        use mapleaf_sys_linux::{AsFd, cached_stretches};
        let size = self.file.page_size as u64;
        let end = u64::from(self.page_count()) * size;
        let mut resident = Bits::new(self.page_count());
        // A page is in memory where all of its bytes are: what is not clears the pages that it touches.
        for page in 0..self.page_count() {
            resident.set(PageId(page));
        }
        let mut each = |stretch: std::ops::Range<u64>, cached: bool| {
            if !cached {
                let last = stretch.end.min(end).div_ceil(size);
                for page in stretch.start / size..last {
                    resident.clear(PageId(page as u32));
                }
            }
        };
        // Read-ahead would read what nobody asked for.
        let advice = rustix::fs::Advice::Random;
        let _ = rustix::fs::fadvise(&self.file.file, 0, None, advice);
        cached_stretches(self.file.file.as_fd(), 0..end, &mut each).ok()?;
        Some(resident)
    }

    #[cfg(not(target_os = "linux"))]
    fn measured(&self) -> Option<Bits> {
        None
    }
}
