//! The simulated kernel and medium by themselves, and what the store makes of them.

use mapleaf_btree::{Catalog, LooseStep, Replayer, TreeOptions, Writer, loose_step};
use mapleaf_pager::{Durability, Options, Pages, Snapshot, Store, words_for};
use mapleaf_tests::crash::{History, Setup, calm, open_image};
use mapleaf_tests::sim::{
    Access, CacheCounts, Change, Dice, Disk, Moment, PageCache, Rot, SimMapping, rot, version,
};
use std::ops::Range;
use std::sync::atomic::AtomicU32;

fn history(text: &str) -> History {
    text.parse().unwrap()
}

fn flushed(units: Range<usize>, began: u64, ok: bool) -> Change {
    Change::Flushed(std::iter::once(units).collect(), began, ok)
}

/// A load costs a major fault, then nothing; memory that is short costs another.
#[test]
fn a_page_is_read_once_while_there_is_memory() {
    let mut cache = PageCache::new(3);
    assert_eq!(
        [1, 2, 1, 2].map(|page| cache.load(page)),
        [Access::Major, Access::Major, Access::Hit, Access::Hit]
    );
    cache.will_need(3);
    assert_eq!(cache.load(3), Access::Minor, "read ahead, but not mapped");
    // All were used since they came; so the oldest goes, once each was given a second chance.
    assert_eq!(cache.load(4), Access::Major);
    assert!(!cache.resident(1) && cache.resident(2) && cache.resident(3));
    let expected =
        CacheCounts { minor_faults: 1, major_faults: 3, reads: 4, writes: 0, evictions: 1 };
    assert_eq!(cache.counts(), expected);
}

/// The first store after a write-back faults; positioned writes do not, and read nothing.
#[test]
fn stores_fault_after_each_write_back_and_writes_do_not() {
    let mut cache = PageCache::new(8);
    assert_eq!([7, 7].map(|page| cache.store(page)), [Access::Major, Access::Hit]);
    assert_eq!(cache.store(5), Access::Major);
    assert_eq!(cache.dirty(), [7, 5], "longest first");
    assert_eq!(cache.write_back(), Some(7));
    assert_eq!((cache.load(7), cache.store(7)), (Access::Hit, Access::Minor));
    cache.write(6);
    assert_eq!(cache.counts().reads, 2);
    assert_eq!(cache.flush(0..7), [5, 6], "in the order of the file, and no others");
    assert_eq!((cache.dirty(), cache.counts().writes), (vec![7], 3));
}

/// A dirty page that must go is written first.
#[test]
fn eviction_writes_dirty_pages() {
    let mut cache = PageCache::new(1);
    cache.store(1);
    cache.load(2);
    assert_eq!((cache.counts().writes, cache.counts().evictions), (1, 1));
}

/// Through the log, a durable commit writes one page; a checkpoint writes each page once, however often
/// it was written to.
#[test]
fn a_log_commit_writes_one_page_and_a_checkpoint_each_page_once() {
    for two_views in [false, true] {
        let setup = Setup::small(two_views);
        // What the first commit and checkpoint of an opening do is over.
        let calm = calm(&setup, &history("s1c0s1s2s1s2s1c0")).unwrap();
        let mut cache = PageCache::new(1000);
        let mut flushes = Vec::new();
        for moment in &calm.tape {
            let before = cache.counts().writes;
            cache.follow(moment, two_views);
            if let Moment::Change(Change::Flushed(..)) = moment {
                flushes.push(cache.counts().writes - before);
            }
        }
        let [.., pages, meta] = flushes[..] else { panic!("{flushes:?}") };
        assert_eq!(flushes[flushes.len() - 7..flushes.len() - 2], [1; 5], "{flushes:?}");
        assert_eq!(meta, 1, "{flushes:?}");
        // Catalog, leaf, and pages that earlier versions of both lay in.
        assert!((2..=12).contains(&pages), "{flushes:?}");
    }
}

/// Bytes of a page and of a unit of the stores that are looked up in.
const PAGE: usize = 512;
const CAPACITY: usize = 512 * PAGE;
/// Entries of their tree: three levels.
const ENTRIES: u16 = 1200;
/// The entry whose value is a run of pages, and the bytes of that.
const LONG: (u16, usize) = (200, 3 * PAGE);

type SimStore = Store<SimMapping<()>, [AtomicU32; words_for(2)]>;

fn words() -> [AtomicU32; words_for(2)] {
    [const { AtomicU32::new(0) }; words_for(2)]
}

fn key(number: u16) -> [u8; 2] {
    number.to_be_bytes()
}

/// A closed store with a tree `t`.
fn closed() -> Vec<u8> {
    let options = Options::default().page_size(PAGE as u32).log_bytes(0, 0);
    let mapping = SimMapping::new(CAPACITY, PAGE, false, usize::MAX);
    mapping.record(&Disk::settled(&[], PAGE));
    let store: SimStore = Store::create(mapping.clone(), words(), &options).unwrap();
    let mut writer = Writer::new(store.begin_write().unwrap()).unwrap();
    let tree = writer.create("t", TreeOptions::default()).unwrap();
    for number in 0..ENTRIES {
        let len = if number == LONG.0 { LONG.1 } else { 30 };
        writer.tree(tree).unwrap().insert(&key(number), &vec![7; len]).unwrap();
    }
    writer.commit(Durability::Sync).unwrap();
    store.close().unwrap();
    drop(store);
    let mut disk = Disk::settled(&[], PAGE);
    for moment in mapping.tape() {
        if let Moment::Change(change) = moment {
            disk.apply(&change);
        }
    }
    disk.cached()
}

/// A store opened over a mapping whose loads are watched.
struct Watched {
    mapping: SimMapping<()>,
    disk: Disk,
    two_views: bool,
}

impl Watched {
    fn open(bytes: &[u8], two_views: bool) -> (Watched, SimStore) {
        let mapping = SimMapping::new(CAPACITY, PAGE, two_views, usize::MAX);
        mapping.load(bytes.chunks(PAGE));
        mapping.watch_loads();
        let mut options = Options::default();
        options.read_only = true;
        let mut work = [0; CAPACITY / PAGE / 8];
        let store =
            Store::open_proven(mapping.clone(), words(), &options, &mut Replayer::new(), &mut work);
        (Watched { mapping, disk: Disk::settled(bytes, PAGE), two_views }, store.unwrap())
    }

    /// Finds the tree by its name and the entry in it, through the cache; pages in the order of the loads, and major
    /// and minor faults.
    fn get(
        &self,
        snapshot: &Snapshot<'_>,
        number: u16,
        cache: &mut PageCache,
    ) -> (Vec<usize>, (u64, u64)) {
        let before = cache.counts();
        self.mapping.record(&self.disk);
        let tree = Catalog::new(snapshot).unwrap().open("t").unwrap();
        assert!(tree.get(&key(number)).unwrap().is_some());
        let tape = self.mapping.tape();
        tape.iter().for_each(|moment| cache.follow(moment, self.two_views));
        let page = |moment: &Moment<()>| match moment {
            Moment::Load(page) => *page,
            other => panic!("a lookup is loads, and nothing else: {other:?}"),
        };
        let after = cache.counts();
        assert_eq!((after.writes, after.reads), (0, after.major_faults));
        let faults =
            (after.major_faults - before.major_faults, after.minor_faults - before.minor_faults);
        (tape.iter().map(page).collect(), faults)
    }
}

/// The pages that lead to an entry, one step after the other: the names' root, which is their leaf, then those of
/// the tree.
fn way(snapshot: &Snapshot<'_>, number: u16) -> Vec<usize> {
    let catalog = Catalog::new(snapshot).unwrap();
    let mut id = catalog.open("t").unwrap().record().root;
    let mut way = vec![catalog.record().root.0 as usize, id.0 as usize];
    while let LooseStep::Child(child) =
        loose_step(id, snapshot.page(id).unwrap(), &key(number)).unwrap()
    {
        id = child;
        way.push(id.0 as usize);
    }
    way
}

/// One page for the name and one for each level: that is what a cold lookup reads, and nothing else. So a warm one
/// reads nothing; after a page was taken away, that page; a lookup elsewhere, what it does not share. Nothing is
/// resident without being mapped, so that no fault is a minor one; and nothing depends on where pages are built.
#[test]
fn a_lookup_faults_once_a_level_and_for_the_name() {
    let bytes = closed();
    for two_views in [false, true] {
        let (watched, store) = Watched::open(&bytes, two_views);
        let snapshot = store.begin_read(0).unwrap();
        let catalog = Catalog::new(&snapshot).unwrap();
        let height = u64::from(catalog.open("t").unwrap().record().height);
        assert_eq!((catalog.record().height, height), (1, 3));

        let mut cache = PageCache::new(1000);
        let (pages, cold) = watched.get(&snapshot, 0, &mut cache);
        assert_eq!((pages, cold), (way(&snapshot, 0), (1 + height, 0)));
        for number in [0, 1] {
            assert_eq!(watched.get(&snapshot, number, &mut cache).1, (0, 0), "the same leaf");
        }
        for page in way(&snapshot, 0) {
            cache.take(page);
            assert_eq!(watched.get(&snapshot, 0, &mut cache).1, (1, 0), "without page {page}");
        }
        // The last entry shares the name's page and the root; the inner page and the leaf are others.
        assert_eq!(watched.get(&snapshot, ENTRIES - 1, &mut cache).1, (height - 1, 0));
    }
}

/// Memory a page short of a lookup's way: each page takes the place of the one that is needed next but for it, so
/// that every lookup is a cold one. With the page it needs it is warm.
#[test]
fn memory_a_page_short_makes_every_lookup_cold() {
    let bytes = closed();
    let (watched, store) = Watched::open(&bytes, false);
    let snapshot = store.begin_read(0).unwrap();
    let pages = way(&snapshot, 0).len();
    for (frames, again) in [(pages - 1, pages as u64), (pages, 0)] {
        let mut cache = PageCache::new(frames);
        assert_eq!(watched.get(&snapshot, 0, &mut cache).1, (pages as u64, 0));
        for _ in 0..3 {
            assert_eq!(watched.get(&snapshot, 0, &mut cache).1, (again, 0), "{frames} frames");
        }
    }
}

/// A value of several pages is lent as one slice: behind its way each of its pages, once.
#[test]
fn a_long_value_faults_once_a_page() {
    let bytes = closed();
    let (watched, store) = Watched::open(&bytes, false);
    let snapshot = store.begin_read(0).unwrap();
    let mut cache = PageCache::new(1000);
    // 32 bytes of the first page are the run's header.
    let run = (32 + LONG.1).div_ceil(PAGE) as u64;
    let cold = (way(&snapshot, LONG.0).len() as u64 + run, 0);
    assert_eq!(watched.get(&snapshot, LONG.0, &mut cache).1, cold);
    assert_eq!(watched.get(&snapshot, LONG.0, &mut cache).1, (0, 0));
}

/// A failed flush leaves lost pages looking clean: the next one writes none of them, unless they are
/// written to again.
#[test]
fn a_flush_after_a_failed_one_promises_nothing_of_the_lost_pages() {
    let mut disk = Disk::settled(&[0; 3 * 64], 64);
    let write = |at: usize, byte: u8, time| Change::Write(at, version(&[byte; 64]), time);
    for change in [write(0, 1, 1), write(1, 1, 2), flushed(0..3, 2, false), write(1, 2, 3)] {
        disk.apply(&change);
    }
    disk.apply(&flushed(0..3, 3, true));
    assert_eq!(disk.cells[0].versions().count(), 2, "old or new, for ever");
    assert_eq!(disk.cells[1].versions().count(), 1);
    assert_eq!(disk.cells[1].sure.bytes[0], 2);
    assert_eq!(disk.cached()[0], 1, "the cache shows the new one");
}

/// What was written while a flush ran is in it or not; grown bytes may vanish until one is flushed.
#[test]
fn a_flush_promises_what_was_there_when_it_began() {
    let mut disk = Disk::settled(&[0; 64], 64);
    let write = |at: usize, byte: u8, time| Change::Write(at, version(&[byte; 64]), time);
    for change in [write(0, 1, 1), write(0, 2, 2), flushed(0..1, 1, true), Change::Resized(2)] {
        disk.apply(&change);
    }
    let left: Vec<u8> = disk.cells[0].versions().map(|version| version.bytes[0]).collect();
    assert_eq!((left, disk.sure), (vec![1, 2], 1));
    disk.apply(&flushed(1..2, 2, true));
    assert_eq!(disk.sure, 2);
}

/// Rot is found, or of no consequence: the store refuses, or shows the newest state; or the one before, where the last
/// thing written has rotted: the last block, which looks like one that a crash tore, or a meta with no block behind it.
/// (A stale page has every mark of a right one: that it may pass is a known limit of format v1.)
#[test]
fn rot_is_found_or_of_no_consequence() {
    let (mut refused, mut passed) = (0, 0);
    for setup in [Setup::small(false), Setup { log: 0, ..Setup::small(false) }] {
        let whole = calm(&setup, &history("S1S2c0L1F2D3c0E3s2S5s1")).unwrap();
        let (before, after) = (whole.before.cached(), whole.after.cached());
        let earlier = calm(&setup, &history("S1S2c0L1F2D3c0E3s2S5")).unwrap().after.cached();
        let earlier = open_image(&setup, &earlier).unwrap();
        let newest = [earlier, open_image(&setup, &after).unwrap()];
        assert!(newest[0] != newest[1] && newest.iter().all(|state| whole.states.contains(state)));
        for seed in 0..4000 {
            let mut medium = after.clone();
            let what = rot(&mut medium, &before, setup.page, setup.unit, &mut Dice(seed << 8));
            match open_image(&setup, &medium) {
                Err(_) => refused += 1,
                Ok(_) if matches!(what, Rot::Stale { .. }) => {}
                Ok(found) => {
                    passed += 1;
                    assert!(
                        newest.contains(&found),
                        "seed {seed}: {what:?} lost or made up a state"
                    );
                }
            }
        }
    }
    assert!(refused > 1000 && passed > 1000, "{refused} refused, {passed} passed");
}
