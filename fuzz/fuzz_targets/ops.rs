//! Any history of changes, on pages of 512 bytes, of a tree with or without a fixed width.
//!
//! Invariants checked: the tree is what a `BTreeMap` is, after every commit, rollback, savepoint and
//! reopening; a held snapshot does not change; every page is accounted for once.
#![no_main]

use mapleaf_btree::{Replayer, Writer};
use mapleaf_fuzz::source::Source;
use mapleaf_fuzz::{ops, words};
use mapleaf_pager::{Options, SliceMapping, Store};

const RAM_BYTES: usize = 1 << 20;
const TRANSACTIONS_MAX: usize = 40;
/// A snapshot is held over so many transactions.
const HELD: usize = 5;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut ram = vec![0; RAM_BYTES];
    let mut source = Source(bytes);
    let first = source.byte().unwrap_or(1);
    let log = if first % 2 == 0 { 8 << 10 } else { 0 };
    let width = match first >> 4 {
        12 => Some((8, 8)),
        13 => Some((3, 0)),
        14 => Some((20, 40)),
        15 => Some((1, 90)),
        _ => None,
    };
    let options = Options::default().page_size(512).log_bytes(log, log);
    let store = Store::create(SliceMapping::empty(&mut ram), words(), &options).unwrap();
    let mut model = ops::Model::new();
    let mut held = (store.begin_read(0).unwrap(), model.clone());
    for number in 1..=TRANSACTIONS_MAX {
        if source.0.is_empty() {
            break;
        }
        let mut attempted = None;
        let begun = store.begin_write().map_err(mapleaf_btree::Error::from);
        let done = begun.and_then(Writer::new).and_then(|writer| {
            let planted = mapleaf_fuzz::planted();
            ops::transaction(writer, width, &mut source, &model, &mut attempted, planted)
        });
        match done {
            Ok(Some(_)) => model = attempted.unwrap(),
            Ok(None) => {}
            // The memory is used up.
            Err(mapleaf_btree::Error::Pager(mapleaf_pager::Error::Full)) => break,
            Err(error) => panic!("{error:?}"),
        }
        assert!(ops::entries(&store.begin_read(1).unwrap()) == model);
        assert!(ops::entries(&held.0) == held.1, "a held snapshot has changed");
        if number % HELD == 0 {
            held = (store.begin_read(0).unwrap(), model.clone());
        }
    }
    drop(held);
    let pages = store.stats().mapped_pages as usize;
    // Dropped without closing: what lies in the bytes is what a death leaves.
    drop(store);
    let mut work = vec![0; 1 << 14];
    let mapping = SliceMapping::with_len(&mut ram, pages * 512);
    let store =
        Store::open_proven(mapping, words(), &options, &mut Replayer::new(), &mut work).unwrap();
    assert!(ops::entries(&store.begin_read(0).unwrap()) == model);
});
