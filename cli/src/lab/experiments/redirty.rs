//! What write-back does to pages that are stored into again.

use crate::lab::bench::Bench;
use crate::lab::findings::{Findings, Lab, Table};
use crate::lab::order::chosen;
use crate::lab::scratch::SPARE;
use crate::lab::units::{digits, time};
use rustix::fs::fdatasync;
use std::os::unix::fs::FileExt;

/// Pages that are stored into in one sample.
const PAGES: usize = 1_000;

pub(super) fn run(bench: &Bench) -> Lab {
    bench.scratch.on_disk()?;
    let scratch = &bench.scratch;
    let (page, file) = (scratch.page(), scratch.file());
    let map = scratch.map_of_small_folios()?;
    let pages = chosen(PAGES, scratch.pages(), 9);
    let store = |word: u64| -> Lab<()> {
        for number in &pages {
            map.set_word(number * page + SPARE, word);
        }
        Ok(())
    };
    let mut buffer = vec![0; page];
    let mut write = |word: u64| -> Lab<()> {
        for number in &pages {
            let next = map.word(number * page).to_ne_bytes();
            buffer[..8].copy_from_slice(&next);
            buffer[SPARE..SPARE + 8].copy_from_slice(&word.to_ne_bytes());
            file.write_all_at(&buffer, scratch.offset(*number))?;
        }
        Ok(())
    };
    let (mut first, mut again) = (bench.meter(), bench.meter());
    let (mut first_write, mut write_again) = (bench.meter(), bench.meter());
    for round in 0..bench.times(10, 30) as u64 {
        // Clean, and so write-protected.
        fdatasync(file)?;
        first.sample(pages.len(), || store(round))?;
        again.sample(pages.len(), || store(round + 1))?;
        fdatasync(file)?;
        first_write.sample(pages.len(), || write(round))?;
        write_again.sample(pages.len(), || write(round + 1))?;
    }
    let title = "A store into a page, after write-back and again";
    let mut table = Table::new("store", title, "a page");
    let first = first.end();
    let (faults, operations) = (first.counts.minor_faults, first.operations);
    let after_write_back = table.add("store through the map, page just written back", first);
    let again = again.end();
    let faults_again = again.counts.minor_faults;
    let dirty = table.add("store through the map, page still dirty", again);
    let write = table.add("pwrite of the page, just written back", first_write.end());
    table.add("pwrite of the page, still dirty", write_again.end());
    let mut findings = Findings::default();
    findings.say(format!(
        "After each write-back the kernel write-protects the page, to learn when it becomes dirty again. The \
         next store through the map is then a fault, {} for {} stores, and takes {}; while the page is dirty \
         a store takes {}, with {} faults. A pwrite of the page takes {} after write-back: it is a call each time.",
        faults,
        operations,
        time(after_write_back),
        time(dirty),
        faults_again,
        time(write),
    ));
    findings.say(format!(
        "So frequent commits through a map pay {} again for each page of each commit, and stores between \
         two write-backs cost {} times less than calls.",
        time(after_write_back),
        digits(write / dirty),
    ));
    findings.tables = vec![table];
    Ok(findings)
}
