//! pread against the map, nothing of it in memory: random and in sequence, one thread and several.

use crate::lab::access::{Reader, on_threads, sum, sum_mapped, visit};
use crate::lab::bench::Bench;
use crate::lab::findings::{Findings, Lab, Table};
use crate::lab::order::chosen;
use crate::lab::units::{digits, size, time};
use rustix::mm::Advice;

/// Bytes of a large sequential read.
const LARGE_READ: usize = 1 << 20;
/// Threads that read at once.
const THREADS: [usize; 5] = [1, 2, 4, 8, 16];

pub(super) fn run(bench: &Bench) -> Lab {
    bench.scratch.on_disk()?;
    let mut findings = Findings::default();
    let random = random(bench, &mut findings)?;
    let sequential = sequential(bench, &mut findings)?;
    let threads = threads(bench, &mut findings)?;
    findings.tables = vec![random, sequential, threads];
    Ok(findings)
}

fn random(bench: &Bench, findings: &mut Findings) -> Lab<Table> {
    let (scratch, page) = (&bench.scratch, bench.scratch.page());
    let mut table = Table::new("random", "A random page, cold, one thread", "a page");
    let rounds = bench.times(60, 200);
    let places = chosen(rounds, scratch.pages(), 7);
    let at = |round: usize| places.get(round).copied().unwrap_or_default() * page;
    let (usual, advised) = (scratch.map(false)?, scratch.map(false)?);
    advised.advise(0..advised.len(), Advice::Random)?;
    let (file, random) = (bench.reopened()?, bench.reopened_random()?);
    let (mut ahead, mut alone) = (Reader::new(&file, page), Reader::new(&random, page));
    // Read-ahead has brought others.
    let cold = || {
        usual.forget()?;
        advised.forget()?;
        scratch.evict()
    };
    let measured = bench.in_turns(
        &mut table,
        (rounds, 1),
        cold,
        &mut [
            ("map, as it is", &mut |round| Ok(usual.word(at(round)))),
            ("map, MADV_RANDOM", &mut |round| Ok(advised.word(at(round)))),
            ("pread, as it is", &mut |round| ahead.read(at(round)).map(sum)),
            ("pread, FADV_RANDOM", &mut |round| alone.read(at(round)).map(sum)),
        ],
    )?;
    if let [usual, advised, _, pread] = &measured[..] {
        let read_around = usual.counts.device_read_bytes as f64 / usual.operations as f64;
        findings.say(format!(
            "A random page that is on the disk takes {} through a map without advice, which reads {} around \
             it, and {} with MADV_RANDOM. By pread without read-ahead it takes {}: what is cold costs the \
             disk's time, whichever way one asks.",
            time(usual.summary.median),
            size(read_around),
            time(advised.summary.median),
            time(pread.summary.median),
        ));
    }
    Ok(table)
}

fn sequential(bench: &Bench, findings: &mut Findings) -> Lab<Table> {
    let page = bench.scratch.page();
    let bytes = bench.scratch.bytes().min(64 << 20);
    let map = bench.scratch.map(false)?;
    let mut table =
        Table::new("sequential", "All pages in sequence, every byte read, cold", "a page");
    let mut meter_of = |name: &str, read: &mut dyn FnMut() -> Lab<u64>| -> Lab<f64> {
        let mut meter = bench.meter();
        for _ in 0..bench.times(3, 7) {
            map.forget()?;
            bench.scratch.evict()?;
            meter.sample(bytes / page, &mut *read)?;
        }
        Ok(table.add(name, meter.end()))
    };
    for (name, step) in [("pread, a page a call", page), ("pread, 1 MiB a call", LARGE_READ)] {
        let step = step.min(bytes);
        meter_of(name, &mut || {
            let file = bench.reopened()?;
            let mut reader = Reader::new(&file, step);
            let mut all = 0_u64;
            for at in (0..bytes / step).map(|i| i * step) {
                all = all.wrapping_add(sum(reader.read(at)?));
            }
            Ok(all)
        })?;
    }
    let usual = meter_of("map, as it is", &mut || Ok(sum_mapped(&map, 0, bytes)))?;
    map.advise(0..map.len(), Advice::Sequential)?;
    meter_of("map, MADV_SEQUENTIAL", &mut || Ok(sum_mapped(&map, 0, bytes)))?;
    map.advise(0..map.len(), Advice::Random)?;
    let part = bytes.min(4 << 20);
    let mut meter = bench.meter();
    for _ in 0..bench.times(3, 7) {
        map.forget()?;
        bench.scratch.evict()?;
        meter.sample(part / page, || Ok(sum_mapped(&map, 0, part)))?;
    }
    let advised = table.add("map, MADV_RANDOM", meter.end());
    findings.say(format!(
        "In sequence, read-ahead hides the disk: {} a page through the map. MADV_RANDOM turns it off, and \
         then a page takes {}, {} times as much: it is for point lookups, not for scans.",
        time(usual),
        time(advised),
        digits(advised / usual),
    ));
    Ok(table)
}

fn threads(bench: &Bench, findings: &mut Findings) -> Lab<Table> {
    let (page, pages) = (bench.scratch.page(), bench.scratch.pages());
    let map = bench.scratch.map(false)?;
    map.advise(0..map.len(), Advice::Random)?;
    let file = bench.reopened_random()?;
    let mut table = Table::new("threads", "Random pages, cold, all threads together", "a page")
        .rates()
        .along("threads", "threads");
    let each = bench.times(150, 1_000);
    let mut meters: Vec<_> = THREADS.map(|count| (count, bench.meter(), bench.meter())).into();
    for round in 0..bench.times(5, 7) {
        for (count, loaded, read) in &mut meters {
            let order = chosen(each * *count, pages, 8 + round as u64);
            let parts: Vec<&[usize]> = order.chunks(order.len().div_ceil(*count)).collect();
            map.forget()?;
            bench.scratch.evict()?;
            loaded.sample(order.len(), || {
                on_threads(parts.len(), |i| {
                    std::hint::black_box(visit(&map, page, parts[i]));
                    Ok(())
                })
            })?;
            map.forget()?;
            bench.scratch.evict()?;
            read.sample(order.len(), || {
                on_threads(parts.len(), |i| {
                    Reader::new(&file, page).visit(page, parts[i]).map(|_| ())
                })
            })?;
        }
    }
    for (count, loaded, read) in meters {
        table.add_at("map, MADV_RANDOM", count as f64, loaded.end().as_rate());
        table.add_at("pread, FADV_RANDOM", count as f64, read.end().as_rate());
    }
    if let (Some(one), Some(many)) =
        (table.median_at("map, MADV_RANDOM", 1.0), table.median_at("map, MADV_RANDOM", 16.0))
    {
        findings.say(format!(
            "16 threads that fault at once get {} times as many cold pages from the disk as one: a fault \
             stops its thread only, and the disk serves several requests at a time.",
            digits(many / one),
        ));
    }
    Ok(table)
}
