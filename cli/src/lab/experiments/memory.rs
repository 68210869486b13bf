//! A working set of half, once, twice and four times the memory that there is for it.

use crate::lab::access::{Reader, on_threads};
use crate::lab::bench::Bench;
use crate::lab::child;
use crate::lab::counters::{Counters, Counts};
use crate::lab::findings::{Findings, Lab, Stop, Table};
use crate::lab::group::Group;
use crate::lab::map::Map;
use crate::lab::meter::{Measured, Meter};
use crate::lab::order::Random;
use crate::lab::samples::Summary;
use crate::lab::units::{digits, rate, size};
use rustix::fs::{Advice as Fadvice, fadvise};
use rustix::mm::Advice;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

/// Working sets, as parts of the limit.
const PARTS: [f64; 4] = [0.5, 1.0, 2.0, 4.0];
/// Least limit: what a process needs for itself is small beside it.
const LIMIT_MIN: u64 = 16 << 20;
/// Reads between two looks at the clock.
const STRIDE: usize = 8;
/// Threads of the case that has several.
const THREADS: usize = 8;
/// Bytes a call while the working set is read the first time.
const FIRST_READ: usize = 1 << 20;

const USUAL: &str = "map, as it is";
const ADVISED: &str = "map, MADV_RANDOM";
const CALLS: &str = "pread, FADV_RANDOM";
const MANY: &str = "map, MADV_RANDOM, 8 threads";

pub(super) fn run(bench: &Bench) -> Lab {
    bench.scratch.on_disk()?;
    let limit = bench.scratch.bytes() as u64 / 4;
    if limit < LIMIT_MIN {
        let (file, least) = (size(limit as f64 * 4.0), size(LIMIT_MIN as f64 * 4.0));
        return Err(Stop::Skip(format!(
            "a file of {file} is too small for this: {least} at least"
        )));
    }
    let group = Group::new("mapleaf-lab", limit).map_err(Stop::Skip)?;
    let title = format!("Random reads with {} of memory", size(limit as f64));
    let mut table =
        Table::new("reads", title, "a read").rates().along("part", "working set / memory");
    for part in PARTS {
        let pages = (limit as f64 * part) as usize / bench.scratch.page();
        for case in [USUAL, ADVISED, CALLS, MANY] {
            // What is in memory is accounted to whoever brought it there.
            bench.scratch.evict()?;
            group.empty();
            table.add_at(case, part, inside_group(bench, &group, case, pages)?);
        }
    }
    let mut findings = Findings::default();
    said(&table, &mut findings);
    findings.tables = vec![table];
    Ok(findings)
}

/// Has a child in the group measure one case.
fn inside_group(bench: &Bench, group: &Group, case: &str, pages: usize) -> Lab<Measured> {
    let words = [
        "memory".to_string(),
        group.entrance().display().to_string(),
        bench.scratch.path(),
        bench.scratch.page().to_string(),
        pages.to_string(),
        bench.times(60, 300).to_string(),
        case.to_string(),
    ];
    let printed = child::run(&words)?.printed()?;
    let mut figures = printed.split_whitespace().map(|word| word.parse().unwrap_or(0.0));
    let mut next = || figures.next().unwrap_or(0.0);
    let summary = Summary { median: next(), low: next(), high: next(), samples: next() as usize };
    let operations = next() as u64;
    let counts = Counts {
        minor_faults: next() as u64,
        major_faults: next() as u64,
        read_calls: next() as u64,
        copied_bytes: next() as u64,
        device_read_bytes: next() as u64,
        ..Counts::default()
    };
    Ok(Measured { summary, operations, counts }.as_rate())
}

/// The child: enters the group, reads the working set once, then at random in slices of time. Prints what
/// it measured.
pub(super) fn child_part(words: &[&str]) -> Lab<()> {
    let [entrance, path, page, pages, slice_ms, case] = words else {
        return Err(Stop::Failed(std::io::Error::other("the words of this part")));
    };
    let number = |word: &str| word.parse::<usize>().map_err(std::io::Error::other);
    let (page, pages) = (number(page)?, number(pages)?);
    let slice = Duration::from_millis(number(slice_ms)? as u64);
    std::fs::write(entrance, "0")?;
    let file = File::open(path)?;
    let first = File::open(path)?;
    let mut buffer = vec![1; FIRST_READ];
    for at in (0..pages * page / FIRST_READ).map(|i| i * FIRST_READ) {
        first.read_exact_at(&mut buffer, at as u64)?;
    }
    let map = Map::of(&file, pages * page, false)?;
    if *case == CALLS {
        fadvise(&file, 0, None, Fadvice::Random)?;
    } else if *case != USUAL {
        map.advise(0..map.len(), Advice::Random)?;
    }
    let counters = Counters::open();
    let mut meter = Meter::new(&counters, None);
    let threads = if *case == MANY { THREADS } else { 1 };
    // The first slices bring about the state that lasts.
    for round in 0..10 {
        let seeds: Vec<u64> = (0..threads as u64).map(|i| round * 100 + i).collect();
        let work = || slice_of(&file, &map, page, *case == CALLS, slice, &seeds);
        if round < 3 { work().map(|_| ())? } else { meter.counted(work)? }
    }
    let Measured { summary, operations, counts } = meter.end();
    println!(
        "{} {} {} {} {operations} {} {} {} {} {}",
        summary.median,
        summary.low,
        summary.high,
        summary.samples,
        counts.minor_faults,
        counts.major_faults,
        counts.read_calls,
        counts.copied_bytes,
        counts.device_read_bytes,
    );
    Ok(())
}

/// Reads at random until the time is over, with a thread for each seed; how many reads that were.
fn slice_of(
    file: &File,
    map: &Map,
    page: usize,
    calls: bool,
    slice: Duration,
    seeds: &[u64],
) -> Lab<usize> {
    let pages = map.len() / page;
    let reads = std::sync::atomic::AtomicUsize::new(0);
    let start = Instant::now();
    on_threads(seeds.len(), |i| {
        let mut random = Random::new(seeds[i]);
        let mut reader = Reader::new(file, page);
        let mut done = 0;
        while start.elapsed() < slice {
            for _ in 0..STRIDE {
                let at = random.below(pages) * page;
                let word = if calls { u64::from(reader.read(at)?[0]) } else { map.word(at) };
                std::hint::black_box(word);
            }
            done += STRIDE;
        }
        reads.fetch_add(done, std::sync::atomic::Ordering::Relaxed);
        Ok(())
    })?;
    Ok(reads.into_inner())
}

fn said(table: &Table, findings: &mut Findings) {
    let at = |case: &str, part: f64| table.median_at(case, part).unwrap_or_default();
    let parts: Vec<String> = PARTS
        .iter()
        .map(|part| {
            format!(
                "at {} times the memory {} by a map without advice, {} with MADV_RANDOM, {} by pread",
                digits(*part),
                rate(at(USUAL, *part)),
                rate(at(ADVISED, *part)),
                rate(at(CALLS, *part)),
            )
        })
        .collect();
    findings.say(format!("Random reads a second of a working set: {}.", parts.join("; ")));
    let last = PARTS[PARTS.len() - 1];
    let crossing = PARTS.iter().find(|part| at(CALLS, **part) > at(USUAL, **part));
    let crossing = crossing.map_or("nowhere here".into(), |part| {
        format!("at a working set of {} times the memory", digits(*part))
    });
    findings.say(format!(
        "pread overtakes the map without advice {crossing}: each fault reads around itself what is never used, \
         and pushes out what is. With MADV_RANDOM a map does about what pread does, since both wait for the \
         disk. More threads help, since their faults wait side by side: {THREADS} read {} at {} times the \
         memory.",
        rate(at(MANY, last)),
        digits(last),
    ));
}
