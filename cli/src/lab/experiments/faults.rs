//! What a soft fault costs and what a hard one, with the kernel's counts to tell which was which.

use crate::lab::access::{sum_mapped, visit};
use crate::lab::bench::Bench;
use crate::lab::findings::{Findings, Lab, Table};
use crate::lab::map::Map;
use crate::lab::meter::Measured;
use crate::lab::order::{chosen, shuffled};
use crate::lab::units::{digits, time};
use rustix::mm::Advice;

/// Pages touched in one sample of what is in memory.
const TOUCHED: usize = 2_000;
/// Pages that the kernel maps around a fault at most, as it is built: 64 KiB of 4 KiB pages.
const AROUND: usize = 16;

pub(super) fn run(bench: &Bench) -> Lab {
    bench.scratch.on_disk()?;
    let map = bench.scratch.map(false)?;
    map.advise(0..map.len(), Advice::LinuxNoHugepage)?;
    // One page at a time comes from the disk.
    map.advise(0..map.len(), Advice::Random)?;
    let mut findings = Findings::default();
    let mut table =
        Table::new("kinds", "A load from a page, by what has to happen first", "a page");
    let none = table.add("page is mapped: no fault", mapped(bench, &map)?);
    let around = soft(bench, &map, true)?;
    let pages_mapped = pages_around(&around);
    let with_neighbours = table.add("page is in memory, and so are its neighbours", around);
    let soft_fault =
        table.add("page is in memory, its neighbours are not", soft(bench, &map, false)?);
    let hard = hard(bench, &map)?;
    let faults = hard.counts.major_faults;
    let touched = hard.operations;
    let hard_fault = table.add("page is on the disk", hard);
    findings.say(format!(
        "A load from a page that is mapped takes {}. Where the page is in memory but not in the map, the \
         load is a soft fault: {}. Where it is on the disk it is a hard fault: {}, {} times as much. Of {} \
         pages touched there, {} were major faults.",
        time(none),
        time(soft_fault),
        time(hard_fault),
        digits(hard_fault / soft_fault),
        touched,
        faults,
    ));
    findings.say(format!(
        "A soft fault whose neighbours are in memory maps them too: {} for {pages_mapped} of them here. So \
         reading on costs one fault for several pages, and touching pages at random costs more than one page \
         needs.",
        time(with_neighbours),
    ));
    let sweep = sweep(bench, &map)?;
    findings.tables = vec![table, sweep];
    Ok(findings)
}

fn mapped(bench: &Bench, map: &Map) -> Lab<Measured> {
    map.advise(0..map.len(), Advice::LinuxPopulateRead)?;
    let page = bench.scratch.page();
    let pages = chosen(TOUCHED, bench.scratch.pages(), 3);
    visit(map, page, &pages);
    let mut meter = bench.meter();
    for _ in 0..bench.times(20, 50) {
        meter.sample(pages.len(), || Ok(visit(map, page, &pages)))?;
    }
    Ok(meter.end())
}

/// Pages so far from each other that a fault on one maps none of the others.
fn apart(bench: &Bench) -> Vec<usize> {
    let windows = bench.scratch.pages() / AROUND;
    chosen(TOUCHED, windows, 4).into_iter().map(|window| window * AROUND).collect()
}

/// First touches of pages that are in memory: beside all the others, or alone.
fn soft(bench: &Bench, map: &Map, neighbours: bool) -> Lab<Measured> {
    let page = bench.scratch.page();
    let pages = apart(bench);
    map.forget()?;
    if neighbours {
        bench.scratch.reload(page)?;
    } else {
        bench.scratch.evict()?;
        // Each page alone, by its own hard fault.
        visit(map, page, &pages);
    }
    let mut meter = bench.meter();
    for _ in 0..bench.times(20, 50) {
        map.forget()?;
        meter.sample(pages.len(), || Ok(visit(map, page, &pages)))?;
    }
    Ok(meter.end())
}

/// What a fault mapped, in words.
fn pages_around(measured: &Measured) -> String {
    let faults = measured.counts.minor_faults;
    if faults == measured.operations { format!("up to {AROUND}") } else { "some".into() }
}

/// First touches of pages that are on the disk only, a sample each.
fn hard(bench: &Bench, map: &Map) -> Lab<Measured> {
    let page = bench.scratch.page();
    map.forget()?;
    bench.scratch.evict()?;
    let mut meter = bench.meter();
    for number in chosen(bench.times(300, 2_000), bench.scratch.pages(), 5) {
        meter.sample(1, || Ok(map.word(number * page)))?;
    }
    Ok(meter.end())
}

/// All of a warm file, touched the first time: in sequence and at random, and mapped by one call.
fn sweep(bench: &Bench, map: &Map) -> Lab<Table> {
    let (page, pages) = (bench.scratch.page(), bench.scratch.pages().min(16_384));
    map.forget()?;
    bench.scratch.reload(page)?;
    let mut table =
        Table::new("first-touch", "All of a warm file, mapped anew, touched once", "a page");
    let order = shuffled(pages, 6);
    let in_order: Vec<usize> = (0..pages).collect();
    let (mut random, mut sequential, mut populated, mut whole) =
        (bench.meter(), bench.meter(), bench.meter(), bench.meter());
    for _ in 0..bench.times(5, 20) {
        map.forget()?;
        random.sample(pages, || Ok(visit(map, page, &order)))?;
        map.forget()?;
        sequential.sample(pages, || Ok(visit(map, page, &in_order)))?;
        map.forget()?;
        populated.sample(pages, || {
            map.advise(0..pages * page, Advice::LinuxPopulateRead)?;
            Ok(visit(map, page, &in_order))
        })?;
        whole.sample(pages, || Ok(sum_mapped(map, 0, pages * page)))?;
    }
    table.add("at random, a load each", random.end());
    table.add("in sequence, a load each", sequential.end());
    table.add("in sequence, after MADV_POPULATE_READ (with it)", populated.end());
    table.add("already in the map, every byte read", whole.end());
    Ok(table)
}
