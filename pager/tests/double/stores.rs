//! Stores over a [`Double`]: small pages, a ring of 16 KiB.

use super::{Double, words};
use mapleaf_pager::{Durability, Mapping, Options, PageId, Store};
use std::sync::atomic::AtomicU32;

pub(crate) const PAGE: usize = 512;
pub(crate) const CAPACITY: usize = 8192 * PAGE;
pub(crate) const RING: u64 = 16 * 1024;

pub(crate) type TestStore = Store<Double, Box<[AtomicU32]>>;

pub(crate) fn options() -> Options {
    Options::default().page_size(PAGE as u32).log_bytes(RING, RING)
}

pub(crate) fn created(two_views: bool) -> TestStore {
    Store::create(Double::new(&[], CAPACITY, PAGE, two_views), words(), &options()).unwrap()
}

/// Makes most of the store's pages free, where closing cuts the file.
pub(crate) fn emptied<M: Mapping>(store: &Store<M, Box<[AtomicU32]>>) {
    let mut txn = store.begin_write().unwrap();
    let pages: Vec<PageId> = (0..1500).map(|_| txn.claim().unwrap()).collect();
    txn.set_root(&[1; 64]);
    txn.commit(Durability::Sync).unwrap();
    let mut txn = store.begin_write().unwrap();
    pages.into_iter().for_each(|page| txn.free(page).unwrap());
    txn.set_root(&[2; 64]);
    txn.commit(Durability::Sync).unwrap();
}
