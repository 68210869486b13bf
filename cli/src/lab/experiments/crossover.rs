//! Where one way becomes cheaper than the other: by how often a page is used, and by how much is read at once.

use crate::lab::access::{Reader, sum, sum_mapped, visit};
use crate::lab::bench::Bench;
use crate::lab::findings::{Findings, Lab, Table};
use crate::lab::map::Map;
use crate::lab::order::{Random, shuffled};
use crate::lab::units::{digits, size, time, times};
use rustix::mm::Advice;

/// Pages that are mapped, used and unmapped again.
const PAGES: usize = 4_096;
/// How often each of them is used.
const USES: [usize; 7] = [1, 2, 4, 8, 16, 32, 64];
/// Pages between two that are used alone: a fault maps no other.
const APART: usize = 16;
/// Bytes read at once.
const SIZES: [usize; 8] = [64, 256, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20];

const READ: &str = "pread of the page each time";
const DENSE: &str = "map made for it, neighbours used too";
const SPARSE: &str = "map made for it, pages far apart";

pub(super) fn run(bench: &Bench) -> Lab {
    if bench.scratch.on_disk().is_ok() {
        // Elsewhere all of it is warm anyway.
        bench.scratch.reload(bench.scratch.page())?;
    }
    let mut findings = Findings::default();
    let uses = uses(bench, &mut findings)?;
    let sizes = sizes(bench, &mut findings)?;
    findings.tables = vec![uses, sizes];
    Ok(findings)
}

/// A map is made, each page used so often, and the map taken away: all of that is measured.
fn uses(bench: &Bench, findings: &mut Findings) -> Lab<Table> {
    let (scratch, page) = (&bench.scratch, bench.scratch.page());
    let title = "Warm pages of a fresh map, each used several times, in random order";
    let mut table = Table::new("uses", title, "a use").along("uses", "uses of each page");
    let dense = shuffled(PAGES.min(scratch.pages()), 12);
    let sparse: Vec<usize> =
        shuffled(PAGES.min(scratch.pages() / APART), 12).iter().map(|page| page * APART).collect();
    let mut reader = Reader::new(scratch.file(), page);
    for count in USES {
        let rounds = bench.times(5, 20);
        for (name, order) in [(DENSE, &dense), (SPARSE, &sparse)] {
            let mut meter = bench.meter();
            for _ in 0..rounds {
                meter.sample(order.len() * count, || {
                    let map = scratch.map(false)?;
                    map.advise(0..map.len(), Advice::LinuxNoHugepage)?;
                    let all = (0..count).map(|_| visit(&map, page, order));
                    Ok(all.fold(0, u64::wrapping_add))
                })?;
            }
            table.add_at(name, count as f64, meter.end());
        }
        let mut meter = bench.meter();
        for _ in 0..rounds {
            meter.sample(dense.len() * count, || {
                (0..count)
                    .try_fold(0_u64, |all, _| Ok(all.wrapping_add(reader.visit(page, &dense)?)))
            })?;
        }
        table.add_at(READ, count as f64, meter.end());
    }
    let crossing = |case: &str| {
        let cheaper = |uses: &&usize| {
            let at = **uses as f64;
            table.median_at(case, at) <= table.median_at(READ, at)
        };
        match USES.iter().find(cheaper) {
            Some(1) => "from the first use on".to_string(),
            Some(uses) => format!("from {uses} uses on"),
            None => format!("not even with {} uses", USES[USES.len() - 1]),
        }
    };
    findings.say(format!(
        "A map that is made for some pages and taken away again must earn its faults. Where the pages' \
         neighbours are used too, a fault maps several and the map is cheaper than pread {}; where the pages \
         lie far apart, {}. A map that stays pays once.",
        crossing(DENSE),
        crossing(SPARSE),
    ));
    Ok(table)
}

/// Pieces at random places, warm; every byte of them is used.
fn sizes(bench: &Bench, findings: &mut Findings) -> Lab<Table> {
    let scratch = &bench.scratch;
    let map = scratch.map(false)?;
    map.advise(0..map.len(), Advice::LinuxNoHugepage)?;
    map.advise(0..map.len(), Advice::LinuxPopulateRead)?;
    let title = "Pieces at random places, warm, every byte summed";
    let mut table = Table::new("sizes", title, "a piece").along("bytes", "size of a piece");
    let mut last = None;
    for piece in SIZES {
        let places = scratch.bytes() / piece;
        let count = ((8 << 20) / piece).clamp(8, 5_000);
        let mut random = Random::new(13);
        let starts: Vec<usize> = (0..count).map(|_| random.below(places) * piece).collect();
        let mut reader = Reader::new(scratch.file(), piece);
        let mut buffer = vec![1; piece];
        let (mut read, mut copied, mut in_place) = (bench.meter(), bench.meter(), bench.meter());
        for _ in 0..bench.times(5, 20) {
            read.sample(count, || {
                starts
                    .iter()
                    .try_fold(0_u64, |all, at| Ok(all.wrapping_add(sum(reader.read(*at)?))))
            })?;
            copied.sample(count, || Ok(sum_copied(&map, &starts, &mut buffer)))?;
            in_place.sample(count, || {
                let sums = starts.iter().map(|at| sum_mapped(&map, *at, piece));
                Ok(sums.fold(0, u64::wrapping_add))
            })?;
        }
        let x = piece as f64;
        let read = table.add_at("pread, then summed", x, read.end());
        table.add_at("map, copied, then summed", x, copied.end());
        let in_place = table.add_at("map, summed in place", x, in_place.end());
        if last.is_none() {
            findings.say(format!(
                "{} at a random place take {} by pread and {} through the map, {} times less.",
                size(x),
                time(read),
                time(in_place),
                digits(read / in_place),
            ));
        }
        last = Some((x, read, in_place));
    }
    if let Some((x, read, in_place)) = last {
        findings.say(format!(
            "With larger pieces the system call matters less: {} take {} by pread and {} through the map, {} \
             that.",
            size(x),
            time(read),
            time(in_place),
            times(in_place / read),
        ));
    }
    Ok(table)
}

fn sum_copied(map: &Map, starts: &[usize], buffer: &mut [u8]) -> u64 {
    starts.iter().fold(0, |all, at| {
        map.copy_to(*at, buffer);
        all.wrapping_add(sum(buffer))
    })
}
