//! pread against the map, all of it in memory: random and in sequence, one thread and several.

use crate::lab::access::{Reader, follow, on_threads, sum, sum_mapped, visit};
use crate::lab::bench::{Bench, medians, nothing};
use crate::lab::findings::{Findings, Lab, Table};
use crate::lab::map::Map;
use crate::lab::order::shuffled;
use crate::lab::units::{digits, time, times};
use rustix::mm::Advice;

/// Pages a sample.
const STEPS: usize = 20_000;
/// Bytes read in sequence, at most.
const SEQUENTIAL: usize = 32 << 20;
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

fn random(bench: &Bench, map: &Map, findings: &mut Findings) -> Lab<Table> {
    let (file, page) = (bench.scratch.file(), bench.scratch.page());
    let mut table = Table::new("random", "Random pages, warm, one thread", "a page");
    let (mut pages, mut more) = (Reader::new(file, page), Reader::new(file, page));
    let mut words = Reader::new(file, 64);
    let mut buffer = vec![1; page];
    let order = shuffled(bench.scratch.pages(), 2);
    let steps = STEPS.min(order.len());
    let known = |round: usize| order.chunks_exact(steps).cycle().nth(round).unwrap_or(&order);
    // Each starts a round where the last one of its kind ended.
    let [mut at_page, mut at_word, mut at_copy, mut at_load] = [0; 4];
    let measured = bench.in_turns(
        &mut table,
        (bench.times(10, 30), steps),
        nothing,
        &mut [
            ("pread, next unknown", &mut |_| {
                at_page = pages.follow(page, at_page, steps)?;
                Ok(0)
            }),
            ("pread of 64 bytes, next unknown", &mut |_| {
                at_word = words.follow(page, at_word, steps)?;
                Ok(0)
            }),
            ("map, page copied, next unknown", &mut |_| {
                for _ in 0..steps {
                    map.copy_to(at_copy * page, &mut buffer);
                    let next = buffer.first_chunk().copied().unwrap_or_default();
                    at_copy = u64::from_le_bytes(next) as usize;
                }
                Ok(0)
            }),
            ("map, next unknown", &mut |_| {
                at_load = follow(map, page, at_load, steps);
                Ok(0)
            }),
            ("pread, next known", &mut |round| more.visit(page, known(round))),
            ("map, next known", &mut |round| Ok(visit(map, page, known(round)))),
        ],
    )?;
    if let [pread, call, copied, mapped, _, known] = medians(&measured)[..] {
        findings.say(format!(
            "A random page that is in memory takes {} by pread; a pread of 64 bytes, nearly all of which is \
             the system call, {}. Through the map it takes {} where each page names the next, {} times less, \
             and {} where the processor knows the next pages and fetches them together. Copying the page out \
             of the map takes {}.",
            time(pread),
            time(call),
            time(mapped),
            digits(pread / mapped),
            time(known),
            time(copied),
        ));
    }
    Ok(table)
}

fn sequential(bench: &Bench, map: &Map, findings: &mut Findings) -> Lab<Table> {
    let (file, page) = (bench.scratch.file(), bench.scratch.page());
    let mut table =
        Table::new("sequential", "All pages in sequence, every byte read, warm", "a page");
    let bytes = bench.scratch.bytes().min(SEQUENTIAL);
    let all = |reader: &mut Reader<'_>, size: usize| -> Lab<u64> {
        let starts = (0..bytes / size).map(|i| i * size);
        starts.map(|at| reader.read(at).map(sum)).try_fold(0, |all, one| Ok(one?.wrapping_add(all)))
    };
    let (mut small, mut large) = (Reader::new(file, page), Reader::new(file, LARGE_READ));
    let rounds = (bench.times(5, 15), bytes / page);
    let measured = bench.in_turns(
        &mut table,
        rounds,
        nothing,
        &mut [
            ("pread, a page a call", &mut |_| all(&mut small, page)),
            ("pread, 1 MiB a call", &mut |_| all(&mut large, LARGE_READ)),
            ("map, where it lies", &mut |_| Ok(sum_mapped(map, 0, bytes))),
        ],
    )?;
    if let [_, large, mapped] = medians(&measured)[..] {
        findings.say(format!(
            "In sequence, with every byte looked at, a page takes {} by large preads and {} through the map, \
             {} that. Where all of a page is used in order, the system call is spread over many pages and \
             the copy is what remains.",
            time(large),
            time(mapped),
            times(mapped / large),
        ));
    }
    Ok(table)
}

fn threads(bench: &Bench, map: &Map, findings: &mut Findings) -> Lab<Table> {
    let (file, page, pages) = (bench.scratch.file(), bench.scratch.page(), bench.scratch.pages());
    let title = "Random pages, warm, all threads together";
    let mut table = Table::new("threads", title, "a page").rates().along("threads", "threads");
    let several = bench.threads();
    let mut rates = Vec::new();
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
        rates.push(table.add_at("pread", x, read.end().as_rate()));
        rates.push(table.add_at("map", x, loaded.end().as_rate()));
    }
    if let [read_one, map_one, read_all, map_all] = rates[..] {
        findings.say(format!(
            "With {several} threads pread delivers {} times as many pages as with one, the map {} times.",
            digits(read_all / read_one),
            digits(map_all / map_one),
        ));
    }
    Ok(table)
}
