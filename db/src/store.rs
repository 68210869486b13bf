//! The store below, its types spelled out once.

use crate::error::{Name, Result};
use crate::words::Words;
use mapleaf_btree::Replayer;
use mapleaf_pager::{Mapping, Options};

/// A store over any mapping.
pub(crate) type Store = mapleaf_pager::Store<Box<dyn Mapping>, Words>;

/// A snapshot that keeps its store.
pub(crate) type OwnedSnapshot = mapleaf_pager::OwnedSnapshot<Box<dyn Mapping>, Words>;

/// Makes a store in an empty mapping.
pub(crate) fn create(
    name: &Name,
    mapping: Box<dyn Mapping>,
    readers: usize,
    options: &Options,
) -> Result<Store> {
    let words = Words::new(readers, options).map_err(|error| name.error(error))?;
    Store::create(mapping, words, options).map_err(|error| name.error(error))
}

/// Opens whatever is in the mapping: proves it sound before anybody can write.
pub(crate) fn open_proven(
    name: &Name,
    mapping: Box<dyn Mapping>,
    readers: usize,
    options: &Options,
) -> Result<Store> {
    // A bit for each page of the smallest size, and as much again for what a replay adds. (Where it
    // adds still more, the proof takes a second pass.)
    let pages_max = mapping.len() / mapleaf_pager::PAGE_SIZE_MIN as u64;
    let mut work = vec![0; usize::try_from(pages_max / 4).unwrap_or(0) + 4096];
    let words = Words::new(readers, options).map_err(|error| name.error(error))?;
    Store::open_proven(mapping, words, options, &mut Replayer::new(), &mut work)
        .map_err(|error| name.error(error))
}
