//! The file that experiments read and write: pages that lead from one to the next, in no order.

#![allow(unsafe_code)] // Opens a mapping of the file, to evict it and to ask what is resident.

use crate::lab::findings::{Lab, Stop};
use crate::lab::map::Map;
use crate::lab::order::{mix, ring};
use mapleaf_pager::{Advice, Mapping};
use mapleaf_sys_linux::{FileMapping, OpenOptions, host_page, lives_in_memory};
use rustix::fs::{Mode, OFlags, openat};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Where on a page the number of the next one stands.
pub(crate) const NEXT: usize = 0;
/// Where on a page experiments may store.
pub(crate) const SPARE: usize = 64;

/// How often dropping the file from the page cache is tried: a page that is being written stays once.
const EVICTIONS_MAX: usize = 50;

/// A file without a name, gone with the process, whatever ends it.
pub(crate) struct Scratch {
    file: File,
    /// Another look at it: drops pages, and tells what is resident.
    view: FileMapping,
    dir: PathBuf,
    page: usize,
    pages: usize,
    in_memory: bool,
}

impl Scratch {
    /// Makes the file in `dir`, of `bytes` rounded down to whole pages, and fills it.
    ///
    /// # Errors
    /// The system's; no room.
    pub(crate) fn make(dir: &Path, bytes: u64) -> io::Result<Scratch> {
        let file = unnamed(dir)?;
        let page = host_page();
        let pages = usize::try_from(bytes).unwrap_or(usize::MAX) / page;
        fill(&file, page, pages, page)?;
        let options = OpenOptions { read_only: true, ..OpenOptions::default() };
        // SAFETY: nothing is ever read through this mapping: it evicts, and tells what is resident.
        let view = unsafe { FileMapping::from_fd(file.try_clone()?.into(), &options) };
        let view = view.map_err(io::Error::other)?;
        let in_memory = lives_in_memory(file.as_fd());
        Ok(Scratch { file, view, dir: dir.to_path_buf(), page, pages, in_memory })
    }

    /// Puts every page into the page cache anew, by writes of `step` bytes: those of a page leave small
    /// folios, those of a large page large ones. Nothing is dirty afterwards. Maps must have been forgotten.
    ///
    /// # Errors
    /// As [`evict`](Scratch::evict).
    pub(crate) fn reload(&self, step: usize) -> Lab<()> {
        self.evict()?;
        Ok(fill(&self.file, self.page, self.pages, step)?)
    }

    /// The file.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// A path that leads to the file as long as this process lives.
    pub(crate) fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.file.as_raw_fd())
    }

    /// The directory it was made in.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Bytes of a page.
    pub(crate) fn page(&self) -> usize {
        self.page
    }

    /// Pages of the file.
    pub(crate) fn pages(&self) -> usize {
        self.pages
    }

    /// Bytes of the file.
    pub(crate) fn bytes(&self) -> usize {
        self.pages * self.page
    }

    /// Where page `number` starts.
    pub(crate) fn offset(&self, number: usize) -> u64 {
        (number * self.page) as u64
    }

    /// Whether there is a disk below the file.
    pub(crate) fn on_disk(&self) -> Lab<()> {
        if self.in_memory {
            let dir = self.dir.display();
            return Err(Stop::Skip(format!(
                "{dir} lives in memory: nothing is read from a disk or written to one there. \
                 Choose a directory on a disk with --dir"
            )));
        }
        Ok(())
    }

    /// A bare map of the file.
    pub(crate) fn map(&self, writable: bool) -> Lab<Map> {
        Ok(Map::of(&self.file, self.bytes(), writable)?)
    }

    /// A map to store through, of the file in small folios, of which every page is mapped already and none
    /// dirty: a store into a large folio would write all of it, and loads are no faults among those of the stores.
    ///
    /// # Errors
    /// As [`evict`](Scratch::evict).
    pub(crate) fn map_of_small_folios(&self) -> Lab<Map> {
        self.reload(self.page)?;
        let map = self.map(true)?;
        map.advise(0..map.len(), rustix::mm::Advice::LinuxNoHugepage)?;
        map.advise(0..map.len(), rustix::mm::Advice::LinuxPopulateRead)?;
        Ok(map)
    }

    /// Makes all of the file clean and drops it from the page cache, and sees that it is gone. Maps of it
    /// must have been [forgotten](Map::forget): a page that is mapped stays.
    ///
    /// # Errors
    /// [`Stop::Skip`] where the file cannot be evicted, or nobody says whether it is.
    pub(crate) fn evict(&self) -> Lab<()> {
        self.on_disk()?;
        let all = 0..self.bytes() as u64;
        let mut left = 0;
        for _ in 0..EVICTIONS_MAX {
            self.file.sync_all()?;
            self.view.advise(all.clone(), Advice::Evict);
            let residency = self.view.residency(all.clone());
            let unknown = || Stop::Skip("the system does not say what is in memory".into());
            left = residency.ok_or_else(unknown)?.resident_bytes;
            if left == 0 {
                return Ok(());
            }
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        Err(Stop::Skip(format!(
            "{left} bytes of the file stay in memory, whatever is asked: nothing is cold here"
        )))
    }

    /// What the system knows of a part of the file.
    pub(crate) fn view(&self) -> &FileMapping {
        &self.view
    }
}

/// A file without a name.
fn unnamed(dir: &Path) -> io::Result<File> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    match openat(rustix::fs::CWD, dir, flags, Mode::RUSR | Mode::WUSR) {
        Ok(file) => Ok(File::from(file)),
        // A file system without such files: one whose name is taken away at once.
        Err(_) => tempfile::tempfile_in(dir),
    }
}

/// Writes every page, `step` bytes a call.
fn fill(file: &File, page: usize, pages: usize, step: usize) -> io::Result<()> {
    let next = ring(pages, 1);
    let mut buffer = vec![0; step.max(page)];
    let pages_a_step = buffer.len() / page;
    for first in (0..pages).step_by(pages_a_step) {
        let last = pages.min(first + pages_a_step);
        for (number, page) in (first..last).zip(buffer.chunks_exact_mut(page)) {
            for (at, word) in page.chunks_exact_mut(8).enumerate() {
                word.copy_from_slice(&mix((number << 16 | at) as u64).to_le_bytes());
            }
            page[NEXT..NEXT + 8].copy_from_slice(&(next[number] as u64).to_le_bytes());
        }
        file.write_all_at(&buffer[..(last - first) * page], (first * page) as u64)?;
    }
    file.sync_all()
}
