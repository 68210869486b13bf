//! Pages that are known to be needed, and are on the disk: one after the other, or asked for together.

use crate::lab::access::{Reader, visit};
use crate::lab::bench::{Bench, medians};
use crate::lab::findings::{Findings, Lab, Table};
use crate::lab::order::chosen;
use crate::lab::units::{digits, time};
use rustix::mm::Advice;

/// Pages of a batch.
const BATCH: usize = 64;

pub(super) fn run(bench: &Bench) -> Lab {
    bench.scratch.on_disk()?;
    let (scratch, page) = (&bench.scratch, bench.scratch.page());
    let map = scratch.map(false)?;
    map.advise(0..map.len(), Advice::Random)?;
    let file = bench.reopened_random()?;
    let mut reader = Reader::new(&file, page);
    let title = format!("{BATCH} random pages, cold, one thread");
    let mut table = Table::new("batch", title, "a batch");
    let advised = |pages: &[usize], advice: Advice| -> Lab<u64> {
        for number in pages {
            map.advise(number * page..(number + 1) * page, advice)?;
        }
        Ok(visit(&map, page, pages))
    };
    let rounds = bench.times(15, 60);
    // Chosen beforehand: choosing is not measured.
    let batches: Vec<Vec<usize>> =
        (0..rounds).map(|round| chosen(BATCH, scratch.pages(), 100 + round as u64)).collect();
    let cold = || {
        map.forget()?;
        scratch.evict()
    };
    let measured = bench.in_turns(
        &mut table,
        (rounds, 1),
        cold,
        &mut [
            ("map, one after the other", &mut |round| Ok(visit(&map, page, &batches[round]))),
            ("map, MADV_WILLNEED each, then loads", &mut |round| {
                advised(&batches[round], Advice::WillNeed)
            }),
            ("map, MADV_POPULATE_READ each, then loads", &mut |round| {
                advised(&batches[round], Advice::LinuxPopulateRead)
            }),
            ("pread, one after the other", &mut |round| reader.visit(page, &batches[round])),
        ],
    )?;
    let mut findings = Findings::default();
    if let [one, will_need, populate, _] = medians(&measured)[..] {
        findings.say(format!(
            "{BATCH} cold pages take {} one after the other, and {} where MADV_WILLNEED asks for all of them \
             first: {} times less, since the disk works on many at a time. Its reads are begun beforehand: the \
             loads then meet pages in memory, or wait as minor faults. MADV_POPULATE_READ for each page waits \
             for each: {}.",
            time(one),
            time(will_need),
            digits(one / will_need),
            time(populate),
        ));
    }
    findings.tables = vec![table];
    Ok(findings)
}
