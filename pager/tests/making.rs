//! Making and opening: what is refused, and what is left where the store would have been.
//!
//! Each test is there since a change of the code went unnoticed without it: `docs/mutants.md`.

mod double;

use double::{Call, Double, Nothing, words};
use mapleaf_pager::{
    Bytes, Damage, Durability, Error, Inspection, Options, PageId, Pages, RedoLog, Repair, Replay,
    Result, Store, Unsupported, WriteTxn, is_unmade,
};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

const PAGE: usize = 512;
const CAPACITY: usize = 8192 * PAGE;
/// Bytes of a new store: two metas and the ring.
const MADE: usize = 2 * PAGE + RING as usize;
const RING: u64 = 16 * 1024;
/// What a mapping may have grown by beyond twice that.
const SLACK: usize = 2 << 20;

type TestStore = Store<Double, Box<[AtomicU32]>>;

/// Proves, or finds a page shared.
struct Proves(bool);

impl Replay for Proves {
    fn replay<'s>(&mut self, txn: WriteTxn<'s>, _log: RedoLog<'s>) -> Result<WriteTxn<'s>> {
        Ok(txn)
    }

    fn prove(&mut self, _inspection: &Inspection<'_>, _work: &mut [u8]) -> Result<()> {
        if self.0 { Ok(()) } else { Err(Error::corrupt(PageId(3), Damage::Shared)) }
    }
}

fn options() -> Options {
    Options::default().page_size(PAGE as u32).log_bytes(RING, RING)
}

fn over(image: &[u8]) -> Double {
    Double::new(image, CAPACITY, PAGE, false)
}

/// The bytes of a closed store whose root is all sevens.
fn image() -> Vec<u8> {
    let store = Store::create(over(&[]), words(), &options()).unwrap();
    let mut txn = store.begin_write().unwrap();
    txn.set_root(&[7; 64]);
    txn.commit(Durability::Sync).unwrap();
    store.close().unwrap();
    store.mapping().durable()
}

/// Else making a store where there is one would empty it.
#[test]
fn a_store_is_not_made_over_another_one() {
    let image = image();
    assert!(!is_unmade(&over(&image), &options()));
    let made = Store::create(over(&image), words(), &options());
    assert!(matches!(made.map(|_| ()), Err(Error::InvalidArgument)));
}

/// Else a file of zeros that is somebody's, or one byte of something else, would be taken for nothing.
#[test]
fn what_is_unmade_is_no_longer_than_a_new_store_and_holds_zeros() {
    assert!(is_unmade(&over(&[]), &options()));
    for len in [PAGE, 2 * PAGE, 3 * PAGE, MADE, SLACK + MADE, SLACK + 2 * MADE] {
        assert!(is_unmade(&over(&vec![0; len]), &options()), "{len}");
    }
    assert!(!is_unmade(&over(&vec![0; SLACK + 2 * MADE + PAGE]), &options()));
    for (at, unmade) in
        [(0, false), (PAGE - 1, false), (PAGE, true), (2 * PAGE - 1, true), (2 * PAGE, false)]
    {
        for at in [Some(at), (at == 0).then_some(MADE - 1)].into_iter().flatten() {
            let mut image = vec![0; MADE];
            image[at] = 1;
            assert_eq!(is_unmade(&over(&image), &options()), unmade, "{at}");
        }
    }
}

#[test]
fn page_sizes_that_are_none_are_refused() {
    for size in [0, 1, 256, 511, 513, 3000, 4097, 1 << 17, 1 << 31] {
        let made = Store::create(over(&[]), words(), &options().page_size(size));
        assert!(matches!(made.map(|_| ()), Err(Error::InvalidArgument)), "{size}");
    }
    let mut read_only = options();
    read_only.read_only = true;
    let made = Store::create(over(&[]), words(), &read_only);
    assert!(matches!(made.map(|_| ()), Err(Error::InvalidArgument)), "for reading only");
}

/// Else a log of a few units would be full with every commit.
#[test]
fn a_ring_is_made_where_it_is_worth_its_pages() {
    for (bytes, max, pages) in [
        (0, 1 << 20, 0),
        (8 * PAGE as u64 - 1, 1 << 20, 0),
        (8 * PAGE as u64, 1 << 20, 8),
        (1 << 20, 9 * PAGE as u64, 9),
        (1 << 20, 0, 0),
    ] {
        let options = Options::default().page_size(PAGE as u32).log_bytes(bytes, max);
        let store = Store::create(over(&[]), words(), &options).unwrap();
        let stats = store.stats();
        assert_eq!((stats.log_pages, stats.page_count), (pages, pages + 2), "{bytes} {max}");
    }
}

/// Else the caller would go on with the store that was there before, or one that was not proven.
#[test]
fn a_place_is_empty_after_an_error() {
    let full =
        || -> Option<TestStore> { Some(Store::create(over(&[]), words(), &options()).unwrap()) };
    let mut place = full();
    let size = options().page_size(3000);
    assert!(Store::create_in(&mut place, over(&[]), words(), &size).is_err());
    assert!(place.is_none());
    let mut place = full();
    let (junk, image) = (vec![1; 4 * PAGE], image());
    // SAFETY: refused, whatever the bytes are.
    #[allow(unsafe_code)]
    let opened =
        unsafe { Store::open_in(&mut place, over(&junk), words(), &options(), &mut Nothing) };
    assert_eq!(opened, Err(Error::Unsupported(Unsupported::NotMapleaf)));
    assert!(place.is_none());
    for right in [false, true] {
        let mut place = full();
        let mut tree = Proves(right);
        let opened = Store::open_proven_in(
            &mut place,
            over(&image),
            words(),
            &options(),
            &mut tree,
            &mut [],
        );
        assert_eq!((opened.is_ok(), place.is_some()), (right, right));
        let root = place.map(|store| (&store.begin_read(0).unwrap()).root()[0]);
        assert_eq!(root, right.then_some(7));
    }
}

/// Else damage to one page of a new store would cost all of it.
#[test]
fn a_new_store_opens_from_either_meta() {
    let store = Store::create(over(&[]), words(), &options()).unwrap();
    let whole = store.mapping().durable();
    for slot in [0, 1] {
        let mut image = whole.clone();
        image[slot * PAGE..(slot + 1) * PAGE].fill(0xA5);
        let opened = Store::open_proven(over(&image), words(), &options(), &mut Nothing, &mut []);
        let store = opened.unwrap_or_else(|error| panic!("without meta {slot}: {error}"));
        let mut txn = store.begin_write().unwrap();
        txn.set_root(&[1; 64]);
        txn.commit(Durability::Sync).unwrap();
    }
}

/// Else a process that only reads would change the file, and one that may not could not open it.
#[test]
fn opening_without_blocks_to_replay_changes_nothing() {
    let store = Store::create(over(&[]), words(), &options()).unwrap();
    let mut txn = store.begin_write().unwrap();
    txn.set_root(&[7; 64]);
    // No redo: a checkpoint.
    txn.commit(Durability::Sync).unwrap();
    let image = store.mapping().durable();
    for read_only in [false, true] {
        let mut options = options();
        options.read_only = read_only;
        let store =
            Store::open_proven(over(&image), words(), &options, &mut Nothing, &mut []).unwrap();
        assert_eq!((&store.begin_read(0).unwrap()).root()[0], 7);
        assert_eq!(store.mapping().barriers.load(Ordering::Relaxed), 0);
        assert_eq!(store.mapping().published(), image);
    }
}

/// Sets a byte of both metas, and makes their checksums right again.
fn forged(image: &[u8], bytes: &[(usize, u8)]) -> Vec<u8> {
    let mut image = image.to_vec();
    for (slot, meta) in image[..2 * PAGE].chunks_mut(PAGE).enumerate() {
        bytes.iter().for_each(|(at, value)| meta[*at] = *value);
        let mixed = (slot as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let sum = xxhash_rust::xxh3::xxh3_64(&meta[8..]) ^ mixed;
        meta[..8].copy_from_slice(&sum.to_le_bytes());
    }
    image
}

/// Else a file of a later version would be taken for one of this, and written to.
#[test]
fn what_a_later_version_may_have_changed_is_refused() {
    let image = image();
    let refusal = |bytes: &[(usize, u8)], read_only: bool| {
        let mut options = options();
        options.read_only = read_only;
        let mapping = over(&forged(&image, bytes));
        Store::open_proven(mapping, words(), &options, &mut Nothing, &mut []).err()
    };
    let layout = Some(Error::Unsupported(Unsupported::Layout));
    assert_eq!(refusal(&[], false), None);
    // Checksum kind, width of page numbers, reserved bytes at the end of a page.
    for changed in [&[(48, 9)][..], &[(49, 8)], &[(52, 1)], &[(53, 1)], &[(52, 3), (53, 3)]] {
        assert_eq!(refusal(changed, true), layout, "{changed:?}");
    }
    let unknown = |unknown| Some(Error::Unsupported(Unsupported::Features { unknown }));
    assert_eq!(refusal(&[(24, 2)], true), unknown(2));
    let unknown = Some(Error::Unsupported(Unsupported::WriteFeatures { unknown: 4 }));
    assert_eq!(refusal(&[(32, 4)], false), unknown);
    assert_eq!(refusal(&[(32, 4)], true), None, "may be read");
    assert_eq!(refusal(&[(40, 8)], false), None, "compatible");
    // Nor is it repaired.
    let repair = |bytes: &[(usize, u8)]| {
        Repair::open(over(&forged(&image, bytes)), words(), &options()).err()
    };
    assert_eq!((repair(&[]), repair(&[(32, 4)])), (None, unknown));
}

/// Else an older program would take away what a newer one has noted.
#[test]
fn compatible_features_that_are_not_known_are_kept() {
    let image = forged(&image(), &[(40, 8), (47, 1)]);
    let store =
        Store::open_proven(over(&image), words(), &options(), &mut Nothing, &mut []).unwrap();
    for value in [1, 2] {
        let mut txn = store.begin_write().unwrap();
        txn.set_root(&[value; 64]);
        txn.commit(Durability::Sync).unwrap();
    }
    store.close().unwrap();
    let image = store.mapping().durable();
    for slot in [0, 1] {
        assert_eq!(image[slot * PAGE + 40..slot * PAGE + 48], [8, 0, 0, 0, 0, 0, 0, 1]);
    }
}

/// Else blocks of a future that was lost could match those of the one that came instead.
#[test]
fn each_opening_that_changes_something_has_a_salt_of_its_own() {
    let made = |entropy: u64| {
        let mut options = options();
        options.entropy = entropy;
        Store::create(over(&[]), words(), &options).unwrap().mapping().durable()
    };
    let salts = |image: &[u8]| [0, PAGE].map(|meta| image[meta + 96..meta + 104].to_vec());
    let mut seen = vec![salts(&made(1))[0].clone(), salts(&made(2))[0].clone()];
    let mut image = image();
    for round in 0..3 {
        seen.push(salts(&image)[0].clone());
        let store =
            Store::open_proven(over(&image), words(), &options(), &mut Nothing, &mut []).unwrap();
        for value in [round, round + 1] {
            let mut txn = store.begin_write().unwrap();
            txn.set_root(&[value; 64]);
            txn.commit(Durability::Sync).unwrap();
        }
        store.close().unwrap();
        image = store.mapping().durable();
        assert_eq!(salts(&image)[0], salts(&image)[1], "one salt an opening");
    }
    let distinct: std::collections::BTreeSet<_> = seen.iter().collect();
    assert_eq!(distinct.len(), seen.len(), "{seen:?}");
}

/// Else pages that the file does not have, or a log outside of it, would be read and written.
#[test]
fn a_state_that_does_not_lie_in_its_file_is_refused() {
    let image = image();
    assert_eq!(image.len(), MADE, "the ring is the file's end");
    let refusal = |bytes: &[(usize, u8)]| {
        let mapping = over(&forged(&image, bytes));
        let error = Store::open_proven(mapping, words(), &options(), &mut Nothing, &mut []).err();
        let repaired = Repair::open(over(&forged(&image, bytes)), words(), &options()).err();
        (error, repaired)
    };
    let outside = |page: u32| Some(Error::corrupt(PageId(page), Damage::OutOfRange));
    assert_eq!(refusal(&[]), (None, None));
    // The log: its first page, its pages, its tail.
    let first = |page: u32| {
        let bytes = page.to_le_bytes();
        [(88, bytes[0]), (89, bytes[1]), (90, bytes[2]), (91, bytes[3])]
    };
    for (page, pages) in [(0, 4), (1, 4), (3, 32), (33, 2), (u32::MAX, 1), (u32::MAX - 3, 32)] {
        let mut bytes = first(page).to_vec();
        bytes.push((92, pages));
        assert_eq!(refusal(&bytes), (outside(page), outside(page)), "{page}, {pages} pages");
    }
    for (page, pages) in [(2, 4), (3, 31), (33, 1)] {
        let mut bytes = first(page).to_vec();
        bytes.extend([(92, pages), (104, 0), (105, 0)]);
        assert_eq!(refusal(&bytes), (None, None), "{page}, {pages} pages");
    }
    assert_eq!(refusal(&[(104, 0), (105, 0x40)]), (None, None), "a full ring");
    assert_eq!(refusal(&[(104, 1), (105, 0x40)]), (outside(2), outside(2)));
    // The file: one page less than the state has. A repair takes it for cut off, and the log for lost.
    let cut = Error::corrupt(PageId(34), Damage::CutOff);
    assert_eq!(refusal(&[(256, 35)]).0, Some(cut));
    // None for the metas themselves.
    assert!(refusal(&[(256, 1)]).0.is_some());
}

/// Else whoever has a damaged store would hear that it is none, and not think of `salvage`.
#[test]
fn a_store_without_a_whole_meta_is_still_one() {
    let whole = image();
    let opened = |image: &[u8]| {
        Store::open_proven(over(image), words(), &options(), &mut Nothing, &mut []).err()
    };
    let (lost, foreign) = (Some(Error::NoMeta), Some(Error::Unsupported(Unsupported::NotMapleaf)));
    let mut image = whole.clone();
    image[300] ^= 1;
    image[PAGE + 300] ^= 1;
    assert_eq!(opened(&image), lost, "both are damaged");
    image[..PAGE].fill(0);
    assert_eq!(opened(&image), lost, "one is damaged, of the other nothing is left");
    // Something of ours in a file of another kind: the first meta in the second one's place.
    let mut image = vec![7; whole.len()];
    image[PAGE..2 * PAGE].copy_from_slice(&whole[..PAGE]);
    assert_eq!(opened(&image), foreign);
    image[PAGE..2 * PAGE].copy_from_slice(&whole[PAGE..2 * PAGE]);
    assert_eq!(opened(&image), None, "the second alone is enough");
    image[PAGE + 300] ^= 1;
    assert_eq!(opened(&image), lost);
}

/// Else the page cache would keep a ring in units as large as what was written at once, and each commit would
/// walk one of them: 4 us a commit of 7.
#[test]
fn a_new_ring_is_written_in_small_pieces() {
    const RING: u64 = 256 << 10;
    let published = Arc::new(Mutex::new(Vec::new()));
    let mapping = Double::new(&[], CAPACITY, PAGE, true);
    let seen = Arc::clone(&published);
    let hook = move |call, range: &Bytes| {
        if call == Call::Publish {
            seen.lock().unwrap().push(range.clone());
        }
    };
    assert!(mapping.hook.set(Box::new(hook)).is_ok());
    Store::create(
        mapping,
        words(),
        &Options::default().page_size(PAGE as u32).log_bytes(RING, RING),
    )
    .unwrap();
    let published = published.lock().unwrap();
    let ring: Vec<_> = published.iter().filter(|range| range.start >= 2 * PAGE as u64).collect();
    assert_eq!(ring.iter().map(|range| range.end - range.start).sum::<u64>(), RING);
    assert!(ring.iter().all(|range| range.end - range.start <= 16 << 10), "{ring:?}");
}
