//! A file that nothing is believed of, read page by page: for salvage and for pictures.
//!
//! By position and not through a mapping: a page that the medium does not deliver is then an error to
//! be counted, not a signal; and what is in memory is one page, or one large value.

use crate::error::{Name, Result};
use crate::positioned;
use crate::salvage::Trouble;
use mapleaf_pager::{
    Damage, LooseMeta, LoosePage, META_BYTES_MAX, PAGE_SIZE_MAX, PAGE_SIZE_MIN, PageId, TxnId,
    kind, run_extent, verify_sealed,
};
use std::fs::File;

/// So many pages with a right checksum settle what the page size is.
const ENOUGH: u32 = 16;

/// One bit a page.
pub(crate) struct Bits(Vec<u8>);

impl Bits {
    pub(crate) fn new(pages: u32) -> Bits {
        Bits(vec![0; pages as usize / 8 + 1])
    }

    pub(crate) fn has(&self, id: PageId) -> bool {
        self.0.get(id.0 as usize / 8).is_some_and(|byte| byte >> (id.0 % 8) & 1 == 1)
    }

    /// Clears a bit.
    pub(crate) fn clear(&mut self, id: PageId) {
        if let Some(byte) = self.0.get_mut(id.0 as usize / 8) {
            *byte &= !(1 << (id.0 % 8));
        }
    }

    /// Sets a bit; false where it was set before. (Pages that there are not have none.)
    pub(crate) fn set(&mut self, id: PageId) -> bool {
        let Some(byte) = self.0.get_mut(id.0 as usize / 8) else { return true };
        let fresh = *byte >> (id.0 % 8) & 1 == 0;
        *byte |= 1 << (id.0 % 8);
        fresh
    }
}

/// The file, its page size, and which of its pages have been accounted for.
pub(crate) struct PageFile {
    pub(crate) file: File,
    pub(crate) page_size: usize,
    /// Whole pages in the file.
    pub(crate) pages: u32,
    /// Pages that were read for a tree, or are not to be.
    pub(crate) reached: Bits,
    /// Pages read so far.
    pub(crate) done: u64,
}

impl PageFile {
    pub(crate) fn new(file: File, len: u64, page_size: usize) -> PageFile {
        let pages = u32::try_from(len / page_size as u64).unwrap_or(u32::MAX);
        PageFile { file, page_size, pages, reached: Bits::new(pages), done: 0 }
    }

    /// Reads bytes from a page's start on, whatever they are.
    pub(crate) fn read_bytes(&self, id: PageId, into: &mut [u8]) -> Result<(), Trouble> {
        let offset = u64::from(id.0) * self.page_size as u64;
        let read = positioned::read_exact_at(&self.file, into, offset);
        read.map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => Trouble::CutOff,
            _ => Trouble::Unreadable(error.raw_os_error().unwrap_or(0)),
        })
    }

    /// The header of a page, whatever the rest is like.
    pub(crate) fn header(&self, id: PageId) -> Result<LoosePage, Trouble> {
        let mut bytes = [0; mapleaf_pager::HEADER_BYTES];
        self.read_bytes(id, &mut bytes)?;
        Ok(LoosePage::read(&bytes))
    }

    /// Reads a whole page, and verifies its checksum.
    pub(crate) fn read(&self, id: PageId, page: &mut [u8]) -> Result<LoosePage, Trouble> {
        self.read_bytes(id, page)?;
        match verify_sealed(id, page) {
            Ok(()) => Ok(LoosePage::read(page)),
            Err(_) => Err(Trouble::Damaged(Damage::Checksum)),
        }
    }

    /// Reads a page of a tree that was born at or before `birth`, and marks it as reached.
    pub(crate) fn read_tree_page(
        &mut self,
        id: PageId,
        birth: TxnId,
        page: &mut [u8],
    ) -> Result<LoosePage, Trouble> {
        if id.0 < 2 {
            return Err(Trouble::Damaged(Damage::OutOfRange));
        }
        if !self.reached.set(id) {
            return Err(Trouble::Damaged(Damage::Shared));
        }
        self.done += 1;
        let facts = self.read(id, page)?;
        if facts.birth > birth { Err(Trouble::Damaged(Damage::BornLater)) } else { Ok(facts) }
    }

    /// Reads the value of a run that was born at or before `birth` into `value`, behind the header, and
    /// marks its pages as reached.
    pub(crate) fn read_run(
        &mut self,
        id: PageId,
        len_bytes: u64,
        birth: TxnId,
        value: &mut Vec<u8>,
    ) -> Result<(), Trouble> {
        let damaged = Trouble::Damaged;
        if id.0 < 2 || id.0 >= self.pages {
            return Err(if id.0 < 2 { damaged(Damage::OutOfRange) } else { Trouble::CutOff });
        }
        value.resize(self.page_size, 0);
        self.read_bytes(id, value)?;
        let facts = LoosePage::read(value);
        if facts.kind != kind::RUN {
            return Err(damaged(Damage::Kind));
        }
        if facts.birth > birth {
            return Err(damaged(Damage::BornLater));
        }
        // Only here a length may be believed that memory is taken for: it lies within the file.
        let extent = match run_extent(id, value, self.pages) {
            Ok(extent) if facts.run_bytes == len_bytes => extent,
            _ => return Err(damaged(Damage::Layout)),
        };
        if extent <= value.len() {
            value.truncate(extent);
        } else {
            value.resize(extent, 0);
            self.read_bytes(id, value)?;
        }
        verify_sealed(id, value).map_err(|_| damaged(Damage::Checksum))?;
        // Several versions of a leaf may lead to one run.
        for page in id.0..id.0.saturating_add(facts.run_pages) {
            self.reached.set(PageId(page));
        }
        self.done += u64::from(facts.run_pages);
        Ok(())
    }

    /// Reads `pages` pages from `first` on.
    pub(crate) fn read_stretch(&self, first: PageId, pages: u32) -> Result<Vec<u8>, Trouble> {
        if first.0.checked_add(pages).is_none_or(|end| end > self.pages) {
            return Err(Trouble::CutOff);
        }
        let mut bytes = vec![0; pages as usize * self.page_size];
        self.read_bytes(first, &mut bytes)?;
        Ok(bytes)
    }
}

/// The metas of a file, by slot; those that are not whole are `None`.
pub(crate) fn metas(file: &File, name: &Name) -> Result<[Option<LooseMeta>; 2]> {
    let meta_at = |offset: u64, slot| {
        let mut bytes = [0; META_BYTES_MAX];
        let mut len = bytes.len();
        // Near the end of a short file there are fewer bytes; what cannot be read is no meta.
        while len >= PAGE_SIZE_MIN {
            let part = bytes.get_mut(..len).unwrap_or_default();
            if positioned::read_exact_at(file, part, offset).is_ok() {
                return LooseMeta::read(part, slot).map_err(|error| name.error(error));
            }
            len /= 2;
        }
        Ok(None)
    };
    let first = meta_at(0, 0)?;
    let mut second = None;
    let mut size = first.as_ref().map_or(PAGE_SIZE_MIN, LooseMeta::page_size);
    while second.is_none() && size <= PAGE_SIZE_MAX {
        second = meta_at(size as u64, 1)?.filter(|meta| meta.page_size() == size);
        size = if first.is_some() { PAGE_SIZE_MAX + 1 } else { size * 2 };
    }
    Ok([first, second])
}

/// The page size of a file without a whole meta: the one with which pages have right checksums.
pub(crate) fn page_size_by_trial(file: &File, len: u64) -> Option<usize> {
    let mut block = vec![0; PAGE_SIZE_MAX];
    let mut found = [0u32; 8];
    for start in (0..len).step_by(PAGE_SIZE_MAX) {
        let here = usize::try_from(len - start).unwrap_or(usize::MAX).min(PAGE_SIZE_MAX);
        let bytes = block.get_mut(..here)?;
        if positioned::read_exact_at(file, bytes, start).is_err() {
            continue;
        }
        for (shift, count) in found.iter_mut().enumerate() {
            let size = PAGE_SIZE_MIN << shift;
            for (at, page) in bytes.chunks_exact(size).enumerate() {
                let id = u32::try_from(start / size as u64 + at as u64).map(PageId).ok()?;
                let kind = LoosePage::read(page).kind;
                let known = (kind::INNER..=kind::FREED_LIST).contains(&kind) && kind != kind::RUN;
                *count += u32::from(known && verify_sealed(id, page).is_ok());
            }
        }
        if found.iter().any(|count| *count >= ENOUGH) {
            break;
        }
    }
    let most = found.iter().enumerate().max_by_key(|(_, count)| **count)?;
    (*most.1 > 0).then_some(PAGE_SIZE_MIN << most.0)
}
