//! What a commit asks of the disk: barriers, ranges, new blocks, commits of several threads.

use crate::lab::access::on_threads;
use crate::lab::bench::{Bench, nothing};
use crate::lab::findings::{Findings, Lab, Stop, Table};
use crate::lab::map::Map;
use crate::lab::meter::Measured;
use crate::lab::order::chosen;
use crate::lab::scratch::SPARE;
use crate::lab::units::{digits, size, time, times};
use mapleaf_pager::Mapping;
use rustix::fs::{FallocateFlags, fallocate, fdatasync};
use rustix::io::{ReadWriteFlags, pwritev2};
use rustix::mm::Advice;
use std::fs::File;
use std::io::IoSlice;
use std::os::unix::fs::FileExt;

/// Pages of a small commit, beside its log page or meta.
const PAGES: usize = 6;
/// Bytes of new blocks.
const NEW_BYTES: u64 = 4 << 20;

struct Setting<'a> {
    bench: &'a Bench,
    map: Map,
    file: &'a File,
    page: usize,
    buffer: Vec<u8>,
}

impl Setting<'_> {
    /// The page's bytes keep its place among the others.
    fn write(&self, number: usize, flags: ReadWriteFlags) -> Lab<()> {
        let at = number * self.page;
        let mut buffer = self.buffer.clone();
        buffer[..8].copy_from_slice(&self.map.word(at).to_ne_bytes());
        pwritev2(self.file, &[IoSlice::new(&buffer)], at as u64, flags)?;
        Ok(())
    }

    fn store(&self, pages: &[usize]) {
        for number in pages {
            let at = number * self.page + SPARE;
            self.map.set_word(at, self.map.word(at).wrapping_add(1));
        }
    }

    fn sync_page(&self, number: usize) -> Lab<()> {
        Ok(self.map.sync(number * self.page..(number + 1) * self.page)?)
    }

    fn sync_span(&self, pages: &[usize]) -> Lab<()> {
        let first = pages.iter().min().copied().unwrap_or_default();
        let last = pages.iter().max().copied().unwrap_or_default();
        Ok(self.map.sync(first * self.page..(last + 1) * self.page)?)
    }
}

pub(super) fn run(bench: &Bench) -> Lab {
    bench.scratch.on_disk()?;
    let (scratch, page) = (&bench.scratch, bench.scratch.page());
    scratch.reload(page)?;
    let map = scratch.map(true)?;
    map.advise(0..map.len(), Advice::LinuxNoHugepage)?;
    // So that loads from it are no faults among those of the stores.
    map.advise(0..map.len(), Advice::LinuxPopulateRead)?;
    let file = scratch.file();
    let setting = Setting { bench, map, file, page, buffer: vec![0; page] };
    let mut findings = Findings::default();
    let commits = commits(&setting, &mut findings)?;
    let blocks = blocks(&setting, &mut findings)?;
    let threads = threads(&setting, &mut findings)?;
    findings.tables = vec![commits, blocks, threads];
    Ok(findings)
}

/// "215 us (2 barriers at the device)", where those are counted.
fn with_barriers(bench: &Bench, measured: &Measured) -> String {
    let time = time(measured.summary.median);
    match barriers(bench, measured) {
        Some(1.0) => format!("{time} (1 barrier at the device)"),
        Some(barriers) => format!("{time} ({} barriers at the device)", digits(barriers)),
        None => time,
    }
}

/// Barriers that the device saw for each commit.
fn barriers(bench: &Bench, measured: &Measured) -> Option<f64> {
    let barriers = measured.counts.barriers as f64 / measured.operations.max(1) as f64;
    bench.device.as_ref().map(|_| barriers)
}

fn commits(setting: &Setting<'_>, findings: &mut Findings) -> Lab<Table> {
    let title = format!("A commit of {PAGES} random pages and one page more");
    let mut table = Table::new("commit", title, "a commit");
    let write = |pages: &[usize]| -> Lab<()> {
        pages.iter().try_for_each(|number| setting.write(*number, ReadWriteFlags::empty()))
    };
    let sync = || fdatasync(setting.file).map(|()| 0).map_err(Stop::from);
    let rounds = setting.bench.times(60, 200);
    // Chosen beforehand: choosing is not measured. The last page is what commits: a log page, or a meta.
    let pages: Vec<Vec<usize>> = (0..rounds)
        .map(|round| chosen(PAGES + 1, setting.bench.scratch.pages(), 300 + round as u64))
        .collect();
    let stored = |round: usize| {
        setting.store(&pages[round]);
        &pages[round]
    };
    // What the way before has left dirty is not this one's.
    let clean = || sync().map(|_| ());
    let measured = setting.bench.commits_in_turns(
        &mut table,
        rounds,
        clean,
        &mut [
            ("fdatasync, nothing dirty", &mut |_| sync()),
            ("pwrite of one page with RWF_DSYNC", &mut |round| {
                setting.write(pages[round][0], ReadWriteFlags::DSYNC).map(|()| 0)
            }),
            ("store into all, msync of the log page", &mut |round| {
                setting.sync_page(stored(round)[PAGES]).map(|()| 0)
            }),
            ("pwrite each, one fdatasync", &mut |round| {
                write(&pages[round])?;
                sync()
            }),
            ("pwrite each, fdatasync, meta with RWF_DSYNC", &mut |round| {
                write(&pages[round][..PAGES])?;
                sync()?;
                setting.write(pages[round][PAGES], ReadWriteFlags::DSYNC).map(|()| 0)
            }),
            ("store into all, one msync of the span", &mut |round| {
                setting.sync_span(stored(round)).map(|()| 0)
            }),
            ("store into all, one msync a page", &mut |round| {
                stored(round).iter().try_for_each(|number| setting.sync_page(*number)).map(|()| 0)
            }),
        ],
    )?;
    clean()?;
    setting.sync_page(stored(0)[PAGES])?;
    said(setting, &measured, findings);
    Ok(table)
}

fn said(setting: &Setting<'_>, measured: &[Measured], findings: &mut Findings) {
    let told = |measured: &Measured| with_barriers(setting.bench, measured);
    let [bare, one, log, all, ordered, span, each] = measured else { return };
    let left = dirty_bytes(setting);
    findings.say(format!(
        "A barrier alone takes {}; one page written with one (RWF_DSYNC), {}.",
        told(bare),
        told(one),
    ));
    findings.say(format!(
        "A log makes a commit of {PAGES} pages as cheap as one page: dirty in place, then one ranged msync of the \
         log page, {}; {} of the file were still dirty after one of these, so the range was respected. All pages \
         written, then one fdatasync: {}. Pages, barrier, meta, barrier, as stores without a log do: {}.",
        told(log),
        left.map_or("an unknown part".into(), |left| size(left as f64)),
        told(all),
        told(ordered),
    ));
    findings.say(format!(
        "Each msync of a range is a barrier: one over all {} pages takes {}, one for each page {}.",
        PAGES + 1,
        told(span),
        told(each),
    ));
}

/// Bytes of the file that are dirty in the page cache, where the kernel tells.
fn dirty_bytes(setting: &Setting<'_>) -> Option<u64> {
    let scratch = &setting.bench.scratch;
    let state = scratch.view().residency(0..scratch.bytes() as u64)?.state?;
    Some(state.dirty_bytes)
}

/// Blocks that are written the first time, and again.
fn blocks(setting: &Setting<'_>, findings: &mut Findings) -> Lab<Table> {
    let title = "One page written with RWF_DSYNC, by what its block was before";
    let mut table = Table::new("blocks", title, "a commit");
    let fresh = tempfile::tempfile_in(setting.bench.scratch.dir())?;
    if fallocate(&fresh, FallocateFlags::empty(), 0, NEW_BYTES).is_err() {
        fresh.set_len(NEW_BYTES)?;
    }
    fresh.sync_all()?;
    let rounds = setting.bench.times(60, 200);
    let order = chosen(rounds, NEW_BYTES as usize / setting.page, 15);
    // The second way writes what the first has written.
    let write = |round: usize| -> Lab<u64> {
        let number = order.get(round).copied().unwrap_or_default();
        let bytes = [IoSlice::new(&setting.buffer)];
        let at = (number * setting.page) as u64;
        Ok(pwritev2(&fresh, &bytes, at, ReadWriteFlags::DSYNC)? as u64)
    };
    let measured = setting.bench.commits_in_turns(
        &mut table,
        rounds,
        nothing,
        &mut [
            ("allocated, never written", &mut |round| write(round)),
            ("written before", &mut |round| write(round)),
        ],
    )?;
    if let [new, old] = &measured[..] {
        let each = |of: &Measured| barriers(setting.bench, of).unwrap_or_default();
        findings.say(format!(
            "A block that was allocated but never written takes {}, {} what one takes that was written before, \
             {}: the file system must note that it holds data now{}.",
            with_barriers(setting.bench, new),
            times(new.summary.median / old.summary.median),
            with_barriers(setting.bench, old),
            if each(new) > each(old) + 0.5 { ", and commits its journal for that" } else { "" },
        ));
    }
    Ok(table)
}

/// Several threads that commit at once, each with its own barrier.
fn threads(setting: &Setting<'_>, findings: &mut Findings) -> Lab<Table> {
    let title = "Commits of one page with fdatasync, all threads together";
    let mut table = Table::new("threads", title, "a commit").rates().along("threads", "threads");
    let (scratch, each) = (&setting.bench.scratch, setting.bench.times(10, 30));
    let mut said = Vec::new();
    let mut meters: Vec<_> = [1, 2, 4].map(|count| (count, setting.bench.device_meter())).into();
    for round in 0..setting.bench.times(8, 15) {
        for (count, meter) in &mut meters {
            meter.sample(each * *count, || {
                on_threads(*count, |i| {
                    for commit in 0..each {
                        let number = (round * 1_009 + commit * 97 + i * 13) % scratch.pages();
                        let bytes = (round as u64).to_ne_bytes();
                        setting.file.write_all_at(&bytes, scratch.offset(number) + SPARE as u64)?;
                        fdatasync(setting.file)?;
                    }
                    Ok(())
                })
            })?;
        }
    }
    for (count, meter) in meters {
        let measured = meter.end();
        if let Some(barriers) = barriers(setting.bench, &measured) {
            let threads = if count == 1 { "thread" } else { "threads" };
            said.push(format!("{} with {count} {threads}", digits(barriers)));
        }
        table.add_at("pwrite + fdatasync", count as f64, measured.as_rate());
    }
    if !said.is_empty() {
        findings.say(format!(
            "Barriers at the device for each commit of several threads at once: {}. Near 1 means that each \
             commit had its own, and that merging them is left to the program.",
            said.join(", "),
        ));
    }
    Ok(table)
}
