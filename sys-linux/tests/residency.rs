//! What is in memory, what faults cost, and every call that changes that, on real files: of a disk's file
//! system (where the scratch directory lies) and of tmpfs.

#![allow(clippy::single_range_in_vec_init)] // The contract takes slices of ranges.

mod support;

use mapleaf_pager::{Advice, Bytes, Error, Mapping};
use mapleaf_sys_linux::{Faults, FileMapping, Hint, OpenOptions, WriteMode, host_page};
use std::path::{Path, PathBuf};
use support::*;

const LEN: u64 = 4 << 20;

/// A file of `LEN` bytes on the medium, all of them 7, opened; on a file system that drops pages.
fn on_disk(mode: WriteMode) -> (tempfile::TempDir, PathBuf, FileMapping) {
    let (directory, path, mapping) = scratch(mode, LEN);
    fill_and_flush(&mapping);
    (directory, path, mapping)
}

fn fill_and_flush(mapping: &FileMapping) {
    store(mapping, 0..LEN, 7);
    publish(mapping, &[0..LEN]).expect("publish");
    flush(mapping, &[0..LEN, 0..LEN]).expect("flush");
}

fn resident(mapping: &FileMapping, range: Bytes) -> u64 {
    mapping.residency(range).expect("the system says").resident_bytes
}

/// The offsets of a range's resident pages.
fn pages(mapping: &FileMapping, range: Bytes) -> Vec<u64> {
    let mut found = Vec::new();
    let each = |at, resident: bool| found.extend(resident.then_some(at));
    mapping.resident_pages(range, each).expect("mincore");
    found
}

/// The kernel's flags of each piece of the read view: `rr` for random access, and so on.
fn flags(mapping: &FileMapping) -> Vec<Vec<String>> {
    let maps = std::fs::read_to_string("/proc/self/smaps").expect("procfs");
    let (base, mut inside, mut found) = (mapping.base().addr().get(), false, Vec::new());
    for line in maps.lines() {
        if let Some((start, end)) = line.split(' ').next().and_then(|range| range.split_once('-'))
            && let Ok(start) = usize::from_str_radix(start, 16)
            && usize::from_str_radix(end, 16).is_ok()
        {
            inside = (base..base + mapping.reserved_bytes() as usize).contains(&start);
        } else if let Some(flags) = line.strip_prefix("VmFlags:").filter(|_| inside) {
            found.push(flags.split_ascii_whitespace().map(String::from).collect());
        }
    }
    found
}

#[test]
fn what_is_evicted_is_gone_and_what_is_prefaulted_is_there() {
    for mode in MODES {
        let (_directory, _path, mapping) = on_disk(mode);
        assert!(mapping.residency(0..LEN).expect("known").is_whole());
        mapping.advise(0..LEN, Advice::Evict);
        assert_eq!((resident(&mapping, 0..LEN), pages(&mapping, 0..LEN)), (0, vec![]), "{mode:?}");
        // A part that begins and ends within pages takes them whole.
        let page = host_page() as u64;
        let part = 10 * page + 1..12 * page + 1;
        mapping.prefault(part.clone()).expect("prefault");
        assert_eq!(pages(&mapping, 10 * page..13 * page), [10 * page, 11 * page, 12 * page]);
        let found = mapping.residency(part).expect("known");
        assert_eq!((found.range_bytes, found.is_whole()), (3 * page, true));
        // Behind the end there is nothing to say.
        assert_eq!(resident(&mapping, u64::MAX - 1..u64::MAX), 0);
        assert_eq!(mapping.prefault(mapping.len()..u64::MAX), Ok(()));
        mapping.prefault(0..u64::MAX).expect("all of the file");
        assert_eq!(pages(&mapping, 0..LEN).len() as u64, LEN / page);
        assert!(read(&mapping, 0..LEN).iter().all(|&byte| byte == 7));
    }
}

#[test]
fn faults_are_hard_after_eviction_and_not_after_prefault() {
    let (_directory, _path, mapping) = on_disk(WriteMode::Shadow);
    let touch = || {
        let before = Faults::of_thread();
        let sum: u64 = read(&mapping, 0..LEN).iter().map(|&byte| u64::from(byte)).sum();
        assert_eq!(sum, 7 * LEN);
        Faults::of_thread().since(before).major
    };
    mapping.advise(0..LEN, Advice::Evict);
    assert!(touch() > 0);
    mapping.advise(0..LEN, Advice::Evict);
    mapping.prefault(0..LEN).expect("prefault");
    assert_eq!(touch(), 0);
    // In the page cache, but not mapped: soft faults only.
    mapping.hint(0..LEN, Hint::DontNeed).expect("hint");
    assert_eq!(touch(), 0);
}

#[test]
fn prefetch_begins_to_read_just_what_it_is_told() {
    let page = host_page() as u64;
    // Few ranges go one by one, many at once.
    for count in [2, 40] {
        let (_directory, _path, mapping) = on_disk(WriteMode::Shadow);
        mapping.hint(0..LEN, Hint::Random).expect("hint");
        mapping.advise(0..LEN, Advice::Evict);
        let ranges: Vec<Bytes> =
            (0..count).map(|i| (3 + i * 20) * page..(5 + i * 20) * page).collect();
        mapping.prefetch(&ranges);
        let wanted: Vec<u64> = ranges.iter().flat_map(|r| [r.start, r.start + page]).collect();
        // Waits for what has begun, and begins nothing.
        for range in &ranges {
            mapping.prefault(range.clone()).expect("prefault");
        }
        assert_eq!(pages(&mapping, 0..LEN), wanted);
    }
    // What is read is in the page cache from the beginning on, as cachestat counts.
    let (_directory, _path, mapping) = on_disk(WriteMode::Shadow);
    mapping.advise(0..LEN, Advice::Evict);
    mapping.prefetch(&[0..page, 64 * page..65 * page]);
    if mapping.residency(0..LEN).expect("known").state.is_some() {
        assert_eq!(resident(&mapping, 0..LEN), 2 * page);
    }
    mapping.prefetch(&[]);
    mapping.prefetch(&[5..5, LEN * 2..LEN * 3, u64::MAX - 1..u64::MAX]);
}

#[test]
fn what_is_cut_off_is_an_error_and_no_signal() {
    let (_directory, path, mapping) = on_disk(WriteMode::Shadow);
    let file = std::fs::OpenOptions::new().write(true).open(&path).expect("the file");
    file.set_len(LEN / 2).expect("cut");
    const EFAULT: i32 = 14;
    assert_eq!(mapping.prefault(0..LEN), Err(Error::Io { code: EFAULT }));
    assert_eq!(mapping.prefault(0..LEN / 2), Ok(()));
    assert!(mapping.lock(LEN / 2..LEN).is_err());
    file.set_len(LEN).expect("as it was");
}

#[test]
fn what_is_locked_stays() {
    // Less than what an ordinary user may lock.
    const LOCKED: u64 = 64 << 10;
    let (_directory, _path, mapping) = on_disk(WriteMode::Shadow);
    mapping.advise(0..LEN, Advice::Evict);
    mapping.lock(0..LOCKED).expect("locking 64 KiB");
    assert!(mapping.residency(0..LOCKED).expect("known").is_whole());
    assert_eq!(mapping.map_figures().expect("procfs").locked_bytes, LOCKED);
    mapping.advise(0..LEN, Advice::Evict);
    assert!(mapping.residency(0..LOCKED).expect("known").is_whole());
    mapping.unlock(0..LOCKED).expect("unlock");
    assert_eq!(mapping.map_figures().expect("procfs").locked_bytes, 0);
    mapping.advise(0..LEN, Advice::Evict);
    assert_eq!(resident(&mapping, 0..LEN), 0);
}

#[test]
fn hints_about_use_reach_the_kernel_for_their_range_alone() {
    let (_directory, _path, mapping) = on_disk(WriteMode::Shadow);
    let middle = LEN / 4..LEN / 2;
    for (hint, flag, back) in [
        (Hint::Random, "rr", Hint::Normal),
        (Hint::Sequential, "sr", Hint::Normal),
        (Hint::NoDump, "dd", Hint::Dump),
    ] {
        let has = |flags: &[String]| flags.iter().any(|has| has == flag);
        mapping.hint(0..LEN, Hint::Normal).expect("hint");
        let before = flags(&mapping).iter().filter(|flags| has(flags)).count();
        mapping.hint(middle.clone(), hint).expect("hint");
        let pieces = mapping.map_figures().expect("procfs").pieces;
        let seen = flags(&mapping);
        assert_eq!(seen.len() as u64, pieces);
        assert_eq!(seen.iter().filter(|flags| has(flags)).count(), before + 1, "{hint:?} {seen:?}");
        mapping.hint(middle.clone(), back).expect("hint");
        assert_eq!(flags(&mapping).iter().filter(|flags| has(flags)).count(), before, "{back:?}");
    }
    for (hint, flag) in [(Hint::Huge, "hg"), (Hint::NotHuge, "nh")] {
        // A kernel without large pages knows neither.
        if mapping.hint(middle.clone(), hint).is_ok() {
            assert!(flags(&mapping).iter().any(|flags| flags.iter().any(|has| has == flag)));
        }
    }
    // SAFETY: this process' children run other programs.
    #[allow(unsafe_code)]
    unsafe { mapping.hide_from_children(middle) }.expect("hint");
    assert!(flags(&mapping).iter().any(|flags| flags.iter().any(|has| has == "dc")));
}

#[test]
fn hints_about_memory_take_effect_at_once() {
    let (_directory, _path, mapping) = on_disk(WriteMode::Shadow);
    mapping.prefault(0..LEN).expect("prefault");
    assert!(mapping.map_figures().expect("procfs").mapped_bytes >= LEN);
    mapping.hint(0..LEN, Hint::Cold).expect("hint");
    assert_eq!(resident(&mapping, 0..LEN), LEN);
    mapping.hint(0..LEN, Hint::DontNeed).expect("hint");
    let figures = mapping.map_figures().expect("procfs");
    assert_eq!((figures.mapped_bytes, resident(&mapping, 0..LEN)), (0, LEN));
    mapping.prefault(0..LEN).expect("prefault");
    mapping.hint(0..LEN, Hint::PageOut).expect("hint");
    assert!(resident(&mapping, 0..LEN) < LEN / 2);
    mapping.advise(0..LEN, Advice::Evict);
    mapping.hint(0..LEN, Hint::WillNeed).expect("hint");
    mapping.prefault(0..LEN).expect("prefault");
    assert_eq!(resident(&mapping, 0..LEN), LEN);
}

#[test]
fn folios_cover_what_is_mapped() {
    let (_directory, _path, mapping) = on_disk(WriteMode::Shadow);
    mapping.prefault(0..LEN).expect("prefault");
    let page = host_page() as u64;
    let mut covered = 0;
    let known = mapping.folios(0..LEN, |start, bytes| {
        assert!(bytes.is_power_of_two() && bytes >= page && start % page == 0, "{start} {bytes}");
        assert!(start <= covered, "a page that is mapped belongs to no folio");
        covered = covered.max(start + bytes);
    });
    if known {
        assert!(covered >= LEN);
        mapping.hint(0..LEN, Hint::DontNeed).expect("hint");
        assert!(mapping.folios(0..LEN, |start, _| panic!("{start} is not mapped")));
    } else {
        eprintln!("SKIPPED: the kernel hides folios from this user; run as root to cover it");
    }
    let path = "/sys/kernel/debug/fault_around_bytes";
    let by_std = std::fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok());
    assert_eq!(mapleaf_sys_linux::fault_around_bytes(), by_std);
}

#[test]
fn a_file_in_memory_is_resident_whatever_is_evicted() {
    let shm = Path::new("/dev/shm");
    let directory = tempfile::tempdir_in(shm).expect("tmpfs");
    let mapping = open(&directory.path().join("t.leaf"), &options(WriteMode::Auto));
    mapping.grow(LEN).expect("room");
    fill_and_flush(&mapping);
    mapping.advise(0..LEN, Advice::Evict);
    assert_eq!(
        (resident(&mapping, 0..LEN), pages(&mapping, 0..8192).len()),
        (LEN, 8192 / host_page())
    );
    mapping.prefault(0..LEN).expect("prefault");
    mapping.prefetch(&[0..LEN, 0..1, 1..2, 2..3, 3..4]);
    assert!(!mapping.direct_access());
    assert!(read(&mapping, 0..LEN).iter().all(|&byte| byte == 7));
}

#[test]
fn a_reader_asks_too() {
    let (_directory, path, mapping) = on_disk(WriteMode::Shadow);
    drop(mapping);
    let reader = open(&path, &OpenOptions { read_only: true, ..OpenOptions::default() });
    reader.advise(0..LEN, Advice::Evict);
    assert_eq!(resident(&reader, 0..LEN), 0);
    reader.prefetch(&[0..LEN]);
    reader.prefault(0..LEN).expect("prefault");
    assert_eq!(resident(&reader, 0..LEN), LEN);
}

#[test]
fn a_probe_says_what_would_wait_and_forgets_what_is_dropped() {
    let page = host_page() as u64;
    for mode in MODES {
        let (_directory, path, mapping) = on_disk(mode);
        mapping.hint(0..LEN, Hint::Random).expect("hint");
        mapping.advise(0..LEN, Advice::Evict);
        let hard = Faults::of_thread();
        assert!(!mapping.resident(5 * page..6 * page));
        mapping.prefault(5 * page..7 * page).expect("prefault");
        let read_by_prefault = Faults::of_thread();
        assert!(
            mapping.resident(5 * page..7 * page) && mapping.resident(6 * page + 1..6 * page + 2)
        );
        assert!(!mapping.resident(5 * page..8 * page) && !mapping.resident(4 * page..6 * page));
        // Nothing to wait for: nothing there.
        assert!(mapping.resident(5..5) && mapping.resident(u64::MAX - 1..u64::MAX));
        // Each of these drops what was seen a moment ago.
        let drops: [fn(&FileMapping, Bytes); 2] = [
            |mapping, range| mapping.advise(range, Advice::Evict),
            |mapping, range| mapping.hint(range, Hint::PageOut).expect("hint"),
        ];
        let mut tries = 0;
        for drop in drops {
            // A page that another processor has not put on its list yet is not dropped: then with another page.
            let dropped = (0..100).any(|_| {
                tries += 1;
                mapping.prefault(5 * page..7 * page).expect("prefault");
                assert!(mapping.resident(5 * page..7 * page));
                drop(&mapping, 6 * page..7 * page);
                let there = !pages(&mapping, 6 * page..7 * page).is_empty();
                assert_eq!(mapping.resident(6 * page..7 * page), there);
                mapping.advise(6 * page..7 * page, Advice::Evict);
                !there
            });
            assert!(dropped, "never");
            assert!(mapping.resident(5 * page..6 * page), "its neighbour");
        }
        // Neither the probes nor the dropping have read anything.
        let probing = Faults::of_thread().since(read_by_prefault).major;
        assert!(
            probing <= tries && Faults::of_thread().since(hard).major <= tries + 4,
            "{probing}"
        );
        assert_eq!(mapping.sparse(), mapping.access() == mapleaf_sys_linux::Access::Sparse);
        drop(mapping);
        let sparse = OpenOptions { access: mapleaf_sys_linux::Access::Sparse, ..options(mode) };
        assert!(open(&path, &sparse).sparse());
    }
}

/// Else a process that asks for a few keys of a file that is not in memory reads megabytes for each, or one that
/// asks for many reads them one page at a time for ever.
#[test]
fn a_file_that_fits_memory_is_read_page_by_page_until_it_is_used() {
    use mapleaf_sys_linux::Access;
    const FILE: u64 = 32 << 20;
    let page = host_page() as u64;
    let open_as = |path: &Path, attended| {
        let access = Access::Auto;
        open(path, &OpenOptions { access, attended, ..options(WriteMode::Shadow) })
    };
    let (_directory, path, mapping) = scratch(WriteMode::Shadow, FILE);
    store(&mapping, 0..FILE, 7);
    publish(&mapping, &[0..FILE]).expect("publish");
    flush(&mapping, &[0..FILE, 0..FILE]).expect("flush");
    assert_eq!(mapping.access(), Access::Resident);
    drop(mapping);

    // All of it is in memory: the first look says so.
    let warm = open_as(&path, true);
    assert_eq!(warm.access(), Access::Sparse);
    assert!(!warm.attend(false), "a file in use");
    assert_eq!(warm.access(), Access::Resident);
    assert!(!warm.attend(false));
    warm.advise(0..FILE, Advice::Evict);
    assert!(resident(&warm, 0..FILE) < FILE / 4, "evicted");
    drop(warm);

    let alone = open_as(&path, false);
    assert_eq!(alone.access(), Access::Resident);
    assert!(!alone.attend(false) && alone.access() == Access::Resident);
    drop(alone);

    // A page here and there.
    let cold = open_as(&path, true);
    assert!(cold.attend(false) && cold.sparse());
    let before = resident(&cold, 0..FILE);
    let touch = |at: u64| read(&cold, at..at + 1);
    for at in (8 << 20..24 << 20).step_by(256 << 10) {
        assert_eq!(touch(at), [7]);
    }
    assert_eq!(
        resident(&cold, 0..FILE) - before,
        64 * page,
        "no page was read that nobody asked for"
    );
    assert!(cold.attend(false) && cold.access() == Access::Sparse);
    // Then many.
    for at in (8 << 20..24 << 20).step_by(64 << 10) {
        assert_eq!(touch(at), [7]);
    }
    assert!(!cold.attend(false) && cold.access() == Access::Resident && !cold.sparse());
    assert_eq!(resident(&cold, 8 << 20..24 << 20), 0, "dropped, to be read in large pieces");
    assert_eq!(touch(20 << 20), [7]);
    assert!(resident(&cold, 8 << 20..24 << 20) > page, "read ahead");
    drop(cold);

    // The half of a small file, which is in use: nothing is dropped.
    let (_directory, small_path, small) = scratch(WriteMode::Shadow, LEN);
    fill_and_flush(&small);
    small.advise(0..LEN, Advice::Evict);
    drop(small);
    let small = open_as(&small_path, true);
    small.prefault(LEN / 2 + page..LEN).expect("prefault");
    let before = resident(&small, LEN / 2 + page..LEN);
    assert!(before >= LEN / 4 && !small.attend(false));
    assert_eq!(resident(&small, LEN / 2 + page..LEN), before);
    drop(small);

    // Time is up, whatever was read.
    let last = open_as(&path, true);
    last.advise(0..FILE, Advice::Evict);
    assert!(last.attend(false));
    assert_eq!(read(&last, 8 << 20..(8 << 20) + 1), [7]);
    assert!(!last.attend(true) && last.access() == Access::Resident);
    assert!(resident(&last, 8 << 20..9 << 20) >= page, "it was used, though little");
}
