//! Making pages durable: stores through the map and msync against pwrite and fsync.

use crate::figures::counted;
use crate::lab::bench::Bench;
use crate::lab::findings::{Findings, Lab, Table};
use crate::lab::order::chosen;
use crate::lab::scratch::SPARE;
use crate::lab::units::{time, times};
use rustix::fs::{fdatasync, fsync};
use std::os::unix::fs::FileExt;

/// Pages a commit.
const PAGES: [usize; 4] = [1, 10, 100, 10_000];

const MAP: &str = "stores through the map + msync";
const FSYNC: &str = "pwrites + fsync";
const DATASYNC: &str = "pwrites + fdatasync";

pub(super) fn run(bench: &Bench) -> Lab {
    bench.scratch.on_disk()?;
    let scratch = &bench.scratch;
    let (page, file) = (scratch.page(), scratch.file());
    let map = scratch.map_of_small_folios()?;
    let title = "Random pages changed and made durable";
    let mut table = Table::new("commit", title, "a commit").along("pages", "pages");
    let mut buffer = vec![0_u8; page];
    for count in PAGES.map(|count| count.min(scratch.pages())) {
        let rounds = bench.times(60, 200).min(bench.times(50_000, 150_000) / count).max(3);
        let (mut mapped, mut synced, mut data_synced) =
            (bench.device_meter(), bench.device_meter(), bench.device_meter());
        for round in 0..rounds {
            let mut pages = chosen(count, scratch.pages(), round as u64);
            pages.sort_unstable();
            mapped.sample(1, || {
                for number in &pages {
                    map.set_word(number * page + SPARE, round as u64);
                }
                let ends = (pages.first(), pages.last());
                let (Some(first), Some(last)) = ends else { return Ok(()) };
                Ok(map.sync(first * page..(last + 1) * page)?)
            })?;
            // In turns, so that what else the disk does meets all alike.
            for (meter, data_only) in [(&mut synced, false), (&mut data_synced, true)] {
                buffer[SPARE] = buffer[SPARE].wrapping_add(1);
                meter.sample(1, || {
                    for number in &pages {
                        let next = map.word(number * page).to_ne_bytes();
                        buffer[..8].copy_from_slice(&next);
                        file.write_all_at(&buffer, scratch.offset(*number))?;
                    }
                    let synced = if data_only { fdatasync(file) } else { fsync(file) };
                    Ok(synced?)
                })?;
            }
        }
        let x = count as f64;
        table.add_at(MAP, x, mapped.end());
        table.add_at(FSYNC, x, synced.end());
        table.add_at(DATASYNC, x, data_synced.end());
    }
    let mut findings = Findings::default();
    findings.say(said(&table));
    findings.say(
        "A page that is clean is write-protected: the first store into it is a fault of its own (see \
         redirty), one for each page of a commit, where a pwrite copies 4 KiB. Both then wait for the same \
         disk.",
    );
    findings.tables = vec![table];
    Ok(findings)
}

fn said(table: &Table) -> String {
    let mut parts = Vec::new();
    for row in table.rows.iter().filter(|row| row.case == MAP) {
        let x = row.x.unwrap_or_default();
        let Some(synced) = table.median_at(DATASYNC, x) else { continue };
        parts.push(format!(
            "{} in {} by pwrite and fdatasync, in {} that by stores and msync",
            counted(x as u64, "page", "pages"),
            time(synced),
            times(row.value.median / synced),
        ));
    }
    format!("Made durable in one commit: {}.", parts.join("; "))
}
