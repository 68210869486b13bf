//! Choices that no database can have, refused before any file is touched.

use crate::error::{Name, Result};
use mapleaf_pager::{Options, PAGE_SIZE_MAX, PAGE_SIZE_MIN};

/// Bytes of the smallest page of a file: what a medium writes as a unit.
const FILE_PAGE_MIN: u32 = 4096;

/// That a file can have these options.
///
/// # Errors
/// [`InvalidOption`](crate::Error::InvalidOption).
pub(crate) fn of_file(name: &Name, options: &Options) -> Result<()> {
    let allowed = "must be a power of two from 4,096 to 65,536 in a file";
    page_size(name, options, FILE_PAGE_MIN, allowed)
}

/// That a database in memory can.
///
/// # Errors
/// As [`of_file`].
pub(crate) fn of_memory(name: &Name, options: &Options) -> Result<()> {
    if options.read_only {
        return Err(name.option("read_only", "makes no sense: there is nothing to read yet"));
    }
    let allowed = "must be a power of two from 512 to 65,536";
    page_size(name, options, PAGE_SIZE_MIN as u32, allowed)
}

fn page_size(name: &Name, options: &Options, least: u32, allowed: &'static str) -> Result<()> {
    let fits = |size: u32| size.is_power_of_two() && (least..=PAGE_SIZE_MAX as u32).contains(&size);
    match options.page_size {
        Some(size) if !fits(size) => Err(name.option("page_size", allowed)),
        _ => Ok(()),
    }
}
