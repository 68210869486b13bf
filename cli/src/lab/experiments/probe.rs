//! Asking whether a page is in memory, before touching it.

use crate::lab::access::Reader;
use crate::lab::bench::Bench;
use crate::lab::findings::{Findings, Lab, Table};
use crate::lab::order::chosen;
use crate::lab::units::time;
use mapleaf_pager::Mapping;
use rustix::io::{ReadWriteFlags, preadv2};
use std::io::IoSliceMut;

/// Pages asked about in one sample.
const ASKED: usize = 1_000;

pub(super) fn run(bench: &Bench) -> Lab {
    bench.scratch.on_disk()?;
    let (scratch, page) = (&bench.scratch, bench.scratch.page());
    let mut table = Table::new("page", "Is this page in memory?", "a question");
    let mut findings = Findings::default();
    let pages = chosen(ASKED, scratch.pages(), 14);
    let mut buffer = vec![1; page];
    let mut asked_by_kernel = Vec::new();
    for warm in [true, false] {
        let state = if warm { "in memory" } else { "on the disk" };
        scratch.evict()?;
        if warm {
            Reader::new(&bench.reopened_random()?, page).visit(page, &pages)?;
        }
        let (mut probe, mut no_wait) = (bench.meter(), bench.meter());
        let mut resident = 0;
        let mut refused = 0;
        for _ in 0..bench.times(10, 50) {
            resident = probe.sample(pages.len(), || {
                let found = pages.iter().filter(|number| {
                    let start = scratch.offset(**number);
                    let found = scratch.view().residency(start..start + page as u64);
                    found.is_some_and(|found| found.is_whole())
                });
                Ok(found.count())
            })?;
        }
        let file = bench.reopened_random()?;
        for _ in 0..bench.times(10, 50) {
            if !warm {
                // A read that is refused begins to read all the same.
                scratch.evict()?;
            }
            refused = no_wait.sample(pages.len(), || {
                let mut refused = 0;
                for number in &pages {
                    let mut into = [IoSliceMut::new(&mut buffer)];
                    let flags = ReadWriteFlags::NOWAIT;
                    let read = preadv2(&file, &mut into, scratch.offset(*number), flags);
                    refused += usize::from(read.is_err());
                }
                Ok(refused)
            })?;
        }
        asked_by_kernel.push((resident, refused));
        table.add(format!("residency (cachestat, else mincore), page {state}"), probe.end());
        table.add(format!("preadv2 with RWF_NOWAIT, page {state}"), no_wait.end());
    }
    if let [(warm, refused_warm), (cold, refused_cold)] = asked_by_kernel[..]
        && let [row, read, ..] = &table.rows[..]
    {
        findings.say(format!(
            "Asking costs {}, and touches nothing: {warm} of {ASKED} pages were found in memory after they \
             were read, {cold} after they were evicted. A read that refuses to wait (RWF_NOWAIT) answers the \
             same by reading, {}; it refused {refused_warm} and {refused_cold} of them, and began to read \
             those.",
            time(row.value.median),
            time(read.value.median),
        ));
    }
    findings.tables = vec![table];
    Ok(findings)
}
