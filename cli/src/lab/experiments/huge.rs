//! Large pages: what they save at loads, how they come about, and what they cost at stores.

use crate::lab::access::{Reader, follow, visit};
use crate::lab::bench::{Bench, medians, nothing};
use crate::lab::findings::{Findings, Lab, Stop, Table};
use crate::lab::map::{LARGE_PAGE, Map};
use crate::lab::meter::Measured;
use crate::lab::order::chosen;
use crate::lab::scratch::SPARE;
use crate::lab::units::{digits, size, time, times};
use rustix::fs::fdatasync;
use rustix::mm::Advice;
use std::os::unix::fs::FileExt;

/// Pages a sample.
const STEPS: usize = 20_000;
/// Pages of 4 KiB in a large one.
const LARGE_PAGES: usize = LARGE_PAGE / 4096;
/// Pages that a fault maps where most of them are in large pages.
const LARGE_FAULT_MIN: f64 = 64.0;
/// Pages of a commit.
const STORES: usize = 6;

pub(super) fn run(bench: &Bench) -> Lab {
    bench.scratch.on_disk()?;
    let mut findings = Findings::default();
    let entries = entries(bench, &mut findings)?;
    let loads = loads(bench, &mut findings)?;
    let stores = stores(bench, &mut findings)?;
    findings.tables = vec![loads, entries, stores];
    Ok(findings)
}

/// A way to bring the file into the page cache, with its name.
type Load<'a> = (&'a str, &'a dyn Fn(&Map) -> Lab<()>);

/// A first touch of everything, by the way the file came into the page cache.
fn entries(bench: &Bench, findings: &mut Findings) -> Lab<Table> {
    let (scratch, page) = (&bench.scratch, bench.scratch.page());
    let pages: Vec<usize> = (0..scratch.pages()).collect();
    let title = "First touch of every page, by how the file came into memory";
    let mut table = Table::new("entry", title, "a page");
    let mut said = Vec::new();
    let ways: [Load<'_>; 5] = [
        ("written, a page a call", &|_| scratch.reload(page)),
        ("written, 2 MiB a call", &|_| scratch.reload(LARGE_PAGE)),
        ("read from the disk in sequence", &|_| {
            scratch.evict()?;
            let file = bench.reopened()?;
            let mut reader = Reader::new(&file, 1 << 20);
            for at in (0..scratch.bytes() >> 20).map(|mib| mib << 20) {
                reader.read(at)?;
            }
            Ok(())
        }),
        ("read by MADV_POPULATE_READ with MADV_HUGEPAGE", &|map| {
            scratch.evict()?;
            map.advise(0..map.len(), Advice::LinuxHugepage)?;
            map.advise(0..map.len(), Advice::LinuxPopulateRead)?;
            Ok(map.forget()?)
        }),
        ("read from the disk page by page, FADV_RANDOM", &|_| {
            scratch.evict()?;
            let file = bench.reopened_random()?;
            Reader::new(&file, page).visit(page, &pages).map(|_| ())
        }),
    ];
    for (name, load) in ways {
        // The last way takes the disk's time for each page.
        let few = name.contains("FADV_RANDOM") && bench.quick;
        let map = scratch.map(false)?;
        load(&map)?;
        let mut meter = bench.meter();
        for _ in 0..bench.times(if few { 3 } else { 5 }, 15) {
            map.forget()?;
            meter.sample(pages.len(), || Ok(visit(&map, page, &pages)))?;
        }
        let measured = meter.end();
        let a_fault = pages_a_fault(&measured);
        said.push(format!("{name}: {}", digits(a_fault)));
        table.add(name, measured);
    }
    let page_kib = page >> 10;
    findings.say(format!(
        "Which pages the page cache uses depends on how the data came in, and shows in how many pages of \
         {page_kib} KiB a fault maps: {LARGE_PAGES} behind a large page of 2 MiB, else as many as the kernel \
         maps around a fault. Measured, pages a fault: {}.",
        said.join("; "),
    ));
    Ok(table)
}

/// Pages that came with each minor fault.
fn pages_a_fault(measured: &Measured) -> f64 {
    measured.operations as f64 / measured.counts.minor_faults.max(1) as f64
}

/// Dependent loads through small and through large pages of the same file.
fn loads(bench: &Bench, findings: &mut Findings) -> Lab<Table> {
    let (scratch, page) = (&bench.scratch, bench.scratch.page());
    let mut table = Table::new("loads", "Random pages, warm, next unknown", "a page");
    let pages: Vec<usize> = (0..scratch.pages()).collect();
    scratch.reload(LARGE_PAGE)?;
    let (small, large) = (scratch.map(false)?, scratch.map(false)?);
    small.advise(0..small.len(), Advice::LinuxNoHugepage)?;
    large.advise(0..large.len(), Advice::LinuxHugepage)?;
    visit(&small, page, &pages);
    let mut touched = bench.meter();
    touched.sample(pages.len(), || Ok(visit(&large, page, &pages)))?;
    if pages_a_fault(&touched.end()) < LARGE_FAULT_MIN {
        return Err(Stop::Skip("this kernel or file system gives a file no large pages".into()));
    }
    let mut reader = Reader::new(scratch.file(), page);
    let [mut at_small, mut at_large, mut at_read] = [0; 3];
    let measured = bench.in_turns(
        &mut table,
        (bench.times(10, 30), STEPS),
        nothing,
        &mut [
            ("map, small pages", &mut |_| {
                at_small = follow(&small, page, at_small, STEPS);
                Ok(0)
            }),
            ("map, large pages", &mut |_| {
                at_large = follow(&large, page, at_large, STEPS);
                Ok(0)
            }),
            ("pread", &mut |_| {
                at_read = reader.follow(page, at_read, STEPS)?;
                Ok(0)
            }),
        ],
    )?;
    if let [small, large, _] = medians(&measured)[..] {
        findings.say(format!(
            "A random load takes {} through small pages and {} through large ones: a processor keeps the \
             places of some thousand pages (its TLB), and looks others up in memory. A large page is one entry \
             for {LARGE_PAGES} small ones. With them a load in a file of {} takes {} as long.",
            time(small),
            time(large),
            size(scratch.bytes() as f64),
            times(large / small),
        ));
    }
    Ok(table)
}

/// Bytes that went to the disk for each commit: as the device counts, else as what became dirty.
fn to_disk(measured: &Measured) -> f64 {
    let counts = &measured.counts;
    let bytes = match counts.device_written_bytes {
        0 => counts.dirtied_bytes,
        bytes => bytes,
    };
    bytes as f64 / measured.operations.max(1) as f64
}

/// A small commit, in a file on small and on large folios.
fn stores(bench: &Bench, findings: &mut Findings) -> Lab<Table> {
    let (scratch, page) = (&bench.scratch, bench.scratch.page());
    let title = format!("{STORES} random pages changed, then fdatasync");
    let mut table = Table::new("stores", title, "a commit");
    let mut seen = Vec::new();
    for (kind, step) in [("small", page), ("large", LARGE_PAGE)] {
        scratch.reload(step)?;
        let map = scratch.map(true)?;
        map.advise(0..map.len(), Advice::LinuxHugepage)?;
        map.advise(0..map.len(), Advice::LinuxPopulateRead)?;
        let (mut stored, mut written) = (bench.device_meter(), bench.device_meter());
        let mut buffer = vec![0; page];
        for round in 0..bench.times(30, 100) as u64 {
            let pages = chosen(STORES, scratch.pages(), 200 + round);
            stored.sample(1, || {
                pages.iter().for_each(|number| map.set_word(number * page + SPARE, round));
                Ok(fdatasync(scratch.file())?)
            })?;
            written.sample(1, || {
                for number in &pages {
                    buffer[..8].copy_from_slice(&map.word(number * page).to_ne_bytes());
                    scratch.file().write_all_at(&buffer, scratch.offset(*number))?;
                }
                Ok(fdatasync(scratch.file())?)
            })?;
        }
        let (stored, written) = (stored.end(), written.end());
        seen.push((to_disk(&stored), stored.summary.median, to_disk(&written)));
        table.add(format!("stores through the map, {kind} folios"), stored);
        table.add(format!("pwrite each, {kind} folios"), written);
    }
    if let [(small_bytes, small, _), (large_bytes, large, written_bytes)] = seen[..] {
        findings.say(format!(
            "A store through the map dirties all of its folio. {STORES} changed pages send {} to the disk \
             and take {} on small folios, and {} and {} on large ones, {} as long. Positioned writes into \
             large folios send what they write, {}.",
            size(small_bytes),
            time(small),
            size(large_bytes),
            time(large),
            times(large / small),
            size(written_bytes),
        ));
    }
    Ok(table)
}
