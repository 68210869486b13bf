//! What a store refuses, with which error, and that nothing is lost by it.

mod double;

use double::Double;
use mapleaf_pager::{
    Damage, Durability, Error, Inspection, Options, PageId, Pages, Part, RedoLog, Replay, Result,
    SliceMapping, Store, Unsupported, WriteTxn, words_for,
};
use quickcheck::quickcheck;
use std::sync::atomic::{AtomicU32, Ordering};

const PAGE: usize = 512;
const CAPACITY: usize = 512 * PAGE;

type TestStore = Store<Double, Box<[AtomicU32]>>;

/// Replays by counting; the root data's first byte is the last record's.
struct Last;

impl Replay for Last {
    fn replay<'s>(&mut self, mut txn: WriteTxn<'s>, log: RedoLog<'s>) -> Result<WriteTxn<'s>> {
        for step in log {
            if let mapleaf_pager::Redo::Record(record) = step? {
                set(&mut txn, record.first().copied().unwrap_or(0))?;
            }
        }
        Ok(txn)
    }

    fn prove(&mut self, inspection: &Inspection<'_>, _work: &mut [u8]) -> Result<()> {
        let mut budget = 10_000u32;
        inspection.visit(&mut |_, _, _| budget = budget.saturating_sub(1))
    }
}

fn set(txn: &mut WriteTxn<'_>, value: u8) -> Result<()> {
    // Pages enough to make the log worth its while.
    for _ in 0..3 {
        let page = txn.claim()?;
        txn.free(page)?;
        let page = txn.claim_run(1000)?;
        txn.run_mut(page)?.fill(value);
        txn.free_run(page)?;
    }
    let mut root = [0; 64];
    root[0] = value;
    txn.set_root(&root);
    txn.redo(&[Part::Bytes(&[value])]);
    Ok(())
}

fn words(readers: usize) -> Box<[AtomicU32]> {
    (0..words_for(readers)).map(|_| AtomicU32::new(0)).collect()
}

fn options() -> Options {
    Options::default().page_size(PAGE as u32).log_bytes(16 * 1024, 64 * 1024)
}

fn created() -> TestStore {
    let mapping = Double::new(&[], CAPACITY, PAGE, true);
    Store::create(mapping, words(4), &options()).unwrap()
}

fn commit(store: &TestStore, value: u8, durability: Durability) -> Result<()> {
    let mut txn = store.begin_write()?;
    set(&mut txn, value)?;
    txn.commit(durability).map(|_| ())
}

fn value(store: &TestStore) -> u8 {
    (&store.begin_read(0).unwrap()).root()[0]
}

fn open(image: &[u8], options: &Options) -> Result<TestStore> {
    // Half a page: the log was written with another write unit.
    let mapping = Double::new(image, CAPACITY, PAGE / 2, false);
    Store::open_proven(mapping, words(4), options, &mut Last, &mut [])
}

fn refusal(image: &[u8], options: &Options) -> Error {
    match open(image, options) {
        Ok(_) => panic!("opened"),
        Err(error) => error,
    }
}

#[test]
fn a_failed_flush_poisons_and_nothing_acknowledged_is_lost() {
    for durability in [Durability::Sync, Durability::Eventual] {
        let store = created();
        commit(&store, 1, Durability::Sync).unwrap();
        commit(&store, 2, durability).unwrap();
        store.mapping().fail_flush.store(true, Ordering::Relaxed);
        assert_eq!(commit(&store, 3, Durability::Sync), Err(Error::Io { code: 5 }));
        store.mapping().fail_flush.store(false, Ordering::Relaxed);
        assert_eq!(commit(&store, 4, Durability::Sync), Err(Error::Poisoned));
        assert_eq!(store.sync(), Err(Error::Poisoned));
        assert_eq!(store.checkpoint(), Err(Error::Poisoned));
        assert_eq!(value(&store), 2, "snapshots go on");
        let least = if durability == Durability::Sync { 2 } else { 1 };
        let after = open(&store.mapping().durable(), &options()).unwrap();
        assert!((least..=3).contains(&value(&after)), "{}", value(&after));
        let after = open(&store.mapping().published(), &options()).unwrap();
        assert!((2..=3).contains(&value(&after)));
    }
}

#[test]
fn a_full_medium_refuses_and_keeps_what_was() {
    let store = created();
    commit(&store, 1, Durability::Sync).unwrap();
    let mut txn = store.begin_write().unwrap();
    let full = loop {
        if let Err(error) = txn.claim() {
            break error;
        }
    };
    assert_eq!(full, Error::Full);
    drop(txn);
    assert_eq!(value(&store), 1);
    commit(&store, 2, Durability::Sync).unwrap();
    let mut txn = store.begin_write().unwrap();
    assert_eq!(txn.claim_run(1 << 45), Err(Error::ValueTooLong));
    assert_eq!(txn.claim_run(1 << 20), Err(Error::Full));
    assert_eq!(txn.claim_run(u64::MAX), Err(Error::ValueTooLong));
    drop(txn);
    assert_eq!(value(&open(&store.mapping().durable(), &options()).unwrap()), 2);
}

/// Else a state would be committed in which a page is lost, or free and in use: the change of the lists of free
/// pages that found no page for itself had begun.
#[test]
fn a_transaction_whose_lists_broke_off_in_a_full_file_can_only_be_rolled_back() {
    let mut broke_off = 0;
    for spare in 0..12 {
        let store = created();
        let mut txn = store.begin_write().unwrap();
        let mut pages = Vec::new();
        while let Ok(page) = txn.claim() {
            pages.push(page);
        }
        pages.drain(..spare).for_each(|page| txn.free(page).unwrap());
        txn.set_root(&[1; 64]);
        txn.commit(Durability::Sync).unwrap();
        // Sees all of them, so that they go to lists.
        let _reader = store.begin_read(0).unwrap();
        let mut txn = store.begin_write().unwrap();
        let savepoint = txn.savepoint();
        let freed = pages.iter().step_by(2).try_for_each(|page| txn.free(*page));
        assert_eq!(freed, Err(Error::Full), "{spare}");
        let refused = Error::TxnFailed { txn: txn.id() };
        assert_eq!(txn.savepoint().err(), Some(refused));
        if let Ok(savepoint) = savepoint {
            broke_off += 1;
            txn.rollback_to(savepoint).unwrap();
            txn.set_root(&[2; 64]);
            txn.commit(Durability::Sync).unwrap();
        } else {
            assert_eq!(txn.commit(Durability::Sync), Err(refused));
        }
        store.inspect().unwrap().visit(&mut |_, _, _| {}).unwrap();
    }
    assert!(broke_off > 5, "{broke_off}");
}

#[test]
fn turns_and_slots_are_refused_by_name() {
    let store = created();
    let txn = store.begin_write().unwrap();
    assert!(matches!(store.begin_write(), Err(Error::WriterBusy)));
    assert!(matches!(store.inspect(), Err(Error::WriterBusy)));
    assert_eq!(store.close(), Err(Error::WriterBusy));
    let base = txn.base().unwrap();
    let held: Vec<_> = (0..3).map(|_| store.begin_read(7).unwrap()).collect();
    assert!(matches!(store.begin_read(0), Err(Error::ReadersFull)));
    assert_eq!(store.stats().readers, 4);
    drop((txn, base));
    assert!(store.begin_read(0).is_ok());
    drop(held);
    assert_eq!(store.stats().readers, 0);
}

#[test]
fn a_reader_opens_at_a_checkpoint_or_says_what_it_needs() {
    let store = created();
    commit(&store, 1, Durability::Sync).unwrap();
    store.checkpoint().unwrap();
    commit(&store, 2, Durability::Sync).unwrap();
    let image = store.mapping().durable();
    let mut read_only = options();
    read_only.read_only = true;
    assert_eq!(refusal(&image, &read_only), Error::NeedsRecovery);
    read_only.at_checkpoint = true;
    let opened = open(&image, &read_only).unwrap();
    assert_eq!(value(&opened), 1);
    assert!(matches!(opened.begin_write(), Err(Error::ReadOnly)));
    assert_eq!(opened.mapping().barriers.load(Ordering::Relaxed), 0);
    let recovered = open(&image, &options()).unwrap();
    assert_eq!((value(&recovered), recovered.stats().replayed_blocks), (2, 1));
    recovered.close().unwrap();
    read_only.at_checkpoint = false;
    assert_eq!(value(&open(&recovered.mapping().durable(), &read_only).unwrap()), 2);
}

#[test]
fn a_missing_acknowledged_block_is_corruption() {
    let store = created();
    store.checkpoint().unwrap();
    for value in 1..=3 {
        commit(&store, value, Durability::Sync).unwrap();
    }
    let mut image = store.mapping().durable();
    // The ring starts at page 2; its first unit holds the first block.
    image[2 * PAGE + 66] ^= 1;
    let gap = Error::Corrupt { page: PageId::NONE, damage: Damage::LogGap };
    assert_eq!(refusal(&image, &options()), gap);
    // The last block may be torn: nobody says that it was durable.
    let mut image = store.mapping().durable();
    image[4 * PAGE + 66] ^= 1;
    assert_eq!(value(&open(&image, &options()).unwrap()), 2);
}

#[test]
fn foreign_and_strange_files_are_told_apart() {
    let store = created();
    commit(&store, 1, Durability::Sync).unwrap();
    store.close().unwrap();
    let image = store.mapping().durable();
    let unsupported = |image: &[u8], options: &Options| match refusal(image, options) {
        Error::Unsupported(why) => why,
        other => panic!("{other:?}"),
    };
    assert_eq!(unsupported(&image[..700], &options()), Unsupported::TooShort { bytes: 700 });
    assert_eq!(unsupported(&[7; 4096], &options()), Unsupported::NotMapleaf);
    let wrong = Options::default().page_size(1024);
    assert_eq!(unsupported(&image, &wrong), Unsupported::PageSize { found: 512, wanted: 1024 });
    let both = |at: usize, bytes: &[u8]| {
        let mut image = image.clone();
        for slot in [0, PAGE] {
            image[slot + at..slot + at + bytes.len()].copy_from_slice(bytes);
        }
        image
    };
    assert_eq!(
        unsupported(&both(16, &[2, 0, 0, 0]), &options()),
        Unsupported::Version { found: 2 }
    );
    let swapped = both(20, &0x0A0B_0C0Du32.to_be_bytes());
    assert_eq!(unsupported(&swapped, &options()), Unsupported::Endianness);
    assert_eq!(refusal(&both(100, &[1, 2, 3]), &options()), Error::NoMeta);
    let one = |slot: usize| {
        let mut image = image.clone();
        image[slot * PAGE + 100] ^= 1;
        value(&open(&image, &options()).unwrap())
    };
    assert_eq!((one(0), one(1)), (1, 1), "one damaged meta");
    let short = &image[..image.len() - PAGE];
    assert!(matches!(refusal(short, &options()), Error::Corrupt { damage: Damage::CutOff, .. }));
}

#[test]
fn one_put_costs_one_barrier() {
    let store = created();
    commit(&store, 1, Durability::Sync).unwrap();
    let barriers = || store.mapping().barriers.load(Ordering::Relaxed);
    let before = barriers();
    commit(&store, 2, Durability::Sync).unwrap();
    assert_eq!(barriers(), before + 1);
    commit(&store, 3, Durability::Eventual).unwrap();
    assert_eq!(barriers(), before + 1);
    store.sync().unwrap();
    assert_eq!(barriers(), before + 2);
    store.sync().unwrap();
    assert_eq!(barriers(), before + 2);
    store.checkpoint().unwrap();
    assert_eq!(barriers(), before + 4);
}

quickcheck! {
    /// Any bytes, and any damage to a store's bytes: open or refuse, never panic, never hang.
    fn hostile_bytes_open_or_refuse(noise: Vec<u8>, hits: Vec<(u32, u8)>, cut: u16) -> bool {
        let _ = open(&noise, &options());
        let store = created();
        for value in 0..6 {
            commit(&store, value, Durability::Sync).unwrap();
        }
        let mut image = store.mapping().durable();
        for (at, byte) in hits {
            // Metas and the space pages behind the log are hit as often as the log.
            let at = match at % 3 {
                0 => (at / 3) as usize % (2 * PAGE),
                1 => image.len() - 1 - (at / 3) as usize % (8 * PAGE),
                _ => (at / 3) as usize % image.len(),
            };
            image[at] = byte;
        }
        if cut.is_multiple_of(4) {
            image.truncate(usize::from(cut) % image.len());
        }
        if let Ok(store) = open(&image, &options()) {
            for value in 0..3 {
                let _ = commit(&store, value, Durability::Sync);
            }
            let _ = store.close();
        }
        true
    }
}

#[test]
fn a_slice_is_a_store_too() {
    let mut ram = vec![0u8; 100 * PAGE];
    let options = Options::default().page_size(PAGE as u32).log_bytes(0, 0);
    {
        let store = Store::create(SliceMapping::empty(&mut ram), words(2), &options).unwrap();
        let mut txn = store.begin_write().unwrap();
        set(&mut txn, 9).unwrap();
        txn.commit(Durability::Sync).unwrap();
    }
    let store =
        Store::open_proven(SliceMapping::full(&mut ram), words(2), &options, &mut Last, &mut [])
            .unwrap();
    assert_eq!((&store.begin_read(0).unwrap()).root()[0], 9);
}
