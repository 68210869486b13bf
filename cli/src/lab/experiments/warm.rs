//! pread against the map, all of it in memory: random and in sequence, one thread and several.

use crate::lab::access::{Reader, follow, on_threads, sum, sum_mapped, visit};
use crate::lab::bench::Bench;
use crate::lab::findings::{Findings, Lab, Table};
use crate::lab::map::Map;
use crate::lab::meter::Measured;
use crate::lab::order::shuffled;
use crate::lab::units::{digits, time, times};
use rustix::mm::Advice;

/// Pages a sample.
const STEPS: usize = 20_000;
/// What is read at a time where much is.
const LARGE_READ: usize = 1 << 20;

pub(super) fn run(bench: &Bench) -> Lab {
    let scratch = &bench.scratch;
    let map = scratch.map(false)?;
    // Small pages only: large ones are an experiment of their own.
    map.advise(0..map.len(), Advice::LinuxNoHugepage)?;
    map.advise(0..map.len(), Advice::LinuxPopulateRead)?;
    let mut findings = Findings::default();
    let random = random(bench, &map, &mut findings)?;
    let sequential = sequential(bench, &map, &mut findings)?;
    let threads = threads(bench, &map, &mut findings)?;
    findings.tables = vec![random, sequential, threads];
    Ok(findings)
}

/// Samples of `STEPS` pages each, of a way to follow pages from one to the next.
fn followed(bench: &Bench, mut way: impl FnMut(usize) -> Lab<usize>) -> Lab<Measured> {
    let mut meter = bench.meter();
    let mut at = way(0)?;
    for _ in 0..bench.times(10, 30) {
        at = meter.sample(STEPS, || way(at))?;
    }
    Ok(meter.end())
}

fn random(bench: &Bench, map: &Map, findings: &mut Findings) -> Lab<Table> {
    let (file, page) = (bench.scratch.file(), bench.scratch.page());
    let mut table = Table::new("random", "Random pages, warm, one thread", "a page");
    let (mut pages, mut words) = (Reader::new(file, page), Reader::new(file, 64));
    let pread =
        table.add("pread, next unknown", followed(bench, |at| pages.follow(page, at, STEPS))?);
    let call = table.add(
        "pread of 64 bytes, next unknown",
        followed(bench, |at| words.follow(page, at, STEPS))?,
    );
    let mut buffer = vec![1; page];
    let copied = table.add(
        "map, page copied, next unknown",
        followed(bench, |start| {
            Ok((0..STEPS).fold(start, |at, _| {
                map.copy_to(at * page, &mut buffer);
                let next = buffer.first_chunk().copied().unwrap_or_default();
                u64::from_le_bytes(next) as usize
            }))
        })?,
    );
    let mapped =
        table.add("map, next unknown", followed(bench, |at| Ok(follow(map, page, at, STEPS)))?);
    let order = shuffled(bench.scratch.pages(), 2);
    let mut chunks = order.chunks(STEPS.min(order.len())).cycle();
    let (mut read, mut loaded) = (bench.meter(), bench.meter());
    for _ in 0..bench.times(10, 30) {
        let Some(chunk) = chunks.next() else { break };
        read.sample(chunk.len(), || pages.visit(page, chunk))?;
        loaded.sample(chunk.len(), || Ok(visit(map, page, chunk)))?;
    }
    table.add("pread, next known", read.end());
    let known = table.add("map, next known", loaded.end());
    findings.say(format!(
        "A random page that is in memory takes {} by pread, {} of which are the system call without the \
         copy of the page. Through the map it takes {} where each page names the next, {} times less, and \
         {} where the processor knows the next pages and fetches them together. Copying the page out of the \
         map takes {}.",
        time(pread),
        time(call),
        time(mapped),
        digits(pread / mapped),
        time(known),
        time(copied),
    ));
    Ok(table)
}

fn sequential(bench: &Bench, map: &Map, findings: &mut Findings) -> Lab<Table> {
    let (file, page) = (bench.scratch.file(), bench.scratch.page());
    let mut table =
        Table::new("sequential", "All pages in sequence, every byte read, warm", "a page");
    let bytes = bench.scratch.bytes().min(32 << 20);
    let mut at_a_time = |name: &str, size: usize| -> Lab<f64> {
        let mut reader = Reader::new(file, size);
        let mut meter = bench.meter();
        for _ in 0..bench.times(5, 15) {
            meter.sample(bytes / page, || {
                let starts = (0..bytes / size).map(|i| i * size);
                starts
                    .map(|at| reader.read(at).map(sum))
                    .try_fold(0, |all: u64, one| Ok(all.wrapping_add(one?)))
            })?;
        }
        Ok(table.add(name, meter.end()))
    };
    at_a_time("pread, a page a call", page)?;
    let large = at_a_time("pread, 1 MiB a call", LARGE_READ.min(bytes))?;
    let mut meter = bench.meter();
    for _ in 0..bench.times(5, 15) {
        meter.sample(bytes / page, || Ok(sum_mapped(map, 0, bytes)))?;
    }
    let mapped = table.add("map, where it lies", meter.end());
    findings.say(format!(
        "In sequence, with every byte looked at, a page takes {} by large preads and {} through the map, \
         {} that. Where all of a page is used in order, the system call is spread over many pages and \
         the copy is what remains.",
        time(large),
        time(mapped),
        times(mapped / large),
    ));
    Ok(table)
}

fn threads(bench: &Bench, map: &Map, findings: &mut Findings) -> Lab<Table> {
    let (file, page, pages) = (bench.scratch.file(), bench.scratch.page(), bench.scratch.pages());
    let title = "Random pages, warm, all threads together";
    let mut table = Table::new("threads", title, "a page").rates().along("threads", "threads");
    let several = bench.threads();
    let mut medians = Vec::new();
    for count in [1, several] {
        let (mut read, mut loaded) = (bench.meter(), bench.meter());
        for _ in 0..bench.times(5, 15) {
            let start = |i: usize| i * pages / count;
            read.sample(STEPS * count, || {
                on_threads(count, |i| {
                    Reader::new(file, page).follow(page, start(i), STEPS).map(|_| ())
                })
            })?;
            loaded.sample(STEPS * count, || {
                on_threads(count, |i| {
                    std::hint::black_box(follow(map, page, start(i), STEPS));
                    Ok(())
                })
            })?;
        }
        let x = count as f64;
        medians.push(table.add_at("pread", x, read.end().as_rate()));
        medians.push(table.add_at("map", x, loaded.end().as_rate()));
    }
    if let [read_one, map_one, read_all, map_all] = medians[..] {
        findings.say(format!(
            "With {several} threads pread delivers {} times as many pages as with one, the map {} times.",
            digits(read_all / read_one),
            digits(map_all / map_one),
        ));
    }
    Ok(table)
}
