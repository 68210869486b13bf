//! Gets, ranges and scans of the loaded stores. Every chunk's answers are compared.

use crate::data::{Draw, Keys};
use crate::peer::{Found, Peer, Result};
use crate::stage::Stage;
use crate::team::same;

pub(super) fn get(stage: &mut Stage<'_>) -> Result<()> {
    lookups(stage, "get", 2, Which::Present, |peer, keys| peer.read()?.get(keys))
}

pub(super) fn get_absent(stage: &mut Stage<'_>) -> Result<()> {
    lookups(stage, "get-absent", 4, Which::Absent, |peer, keys| peer.read()?.get(keys))
}

pub(super) fn get_many(stage: &mut Stage<'_>) -> Result<()> {
    lookups(stage, "get-many", 3, Which::Present, |peer, keys| {
        peer.read()?.get_many(keys, TOGETHER)
    })
}

pub(super) fn begin_get_end(stage: &mut Stage<'_>) -> Result<()> {
    lookups(stage, "begin-get-end", 6, Which::Present, |peer, keys| peer.get_each(keys))
}

/// Keys that are looked up together.
const TOGETHER: usize = 32;

/// Which keys are looked up.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    Present,
    Absent,
}

/// Numbers that are never put begin here.
const NEVER_PUT: u64 = 1 << 31;

fn lookups(
    stage: &mut Stage<'_>,
    workload: &str,
    seed: u64,
    which: Which,
    look: impl Fn(&dyn Peer, &Keys) -> Result<Found>,
) -> Result<()> {
    let (sizes, set) = (stage.sizes, stage.set);
    let team = stage.team()?;
    let mut samples = team.samples(workload, 1);
    let chunk_len = sizes.gets(set) / sizes.chunks;
    let mut draw = Draw::new(seed);
    for chunk in 0..=sizes.chunks {
        let mut numbers = draw.many(chunk_len, team.model.len());
        if which == Which::Absent {
            numbers.iter_mut().for_each(|number| *number += NEVER_PUT);
        }
        let keys = team.keys(&numbers);
        let expected = team.model.gets(&numbers);
        for (at, member) in team.members.iter().enumerate() {
            let work = || look(&*member.peer, &keys);
            // The first chunk only warms the caches.
            let found = match chunk {
                0 => samples.warm(at, work)?,
                _ => samples.take(at, chunk_len, work)?,
            };
            found.map_or(Ok(()), |found| same(member.name, workload, found, expected))?;
        }
    }
    stage.report(samples);
    Ok(())
}

pub(super) fn range_10(stage: &mut Stage<'_>) -> Result<()> {
    ranges(stage, "range-10", 10)
}

pub(super) fn range_1000(stage: &mut Stage<'_>) -> Result<()> {
    ranges(stage, "range-1000", 1000)
}

fn ranges(stage: &mut Stage<'_>, workload: &str, count: usize) -> Result<()> {
    let sizes = stage.sizes;
    let team = stage.team()?;
    let mut samples = team.samples(workload, 1);
    let chunk_len = (sizes.ranged / sizes.chunks / count).max(1);
    let mut draw = Draw::new(8 + count as u64);
    for chunk in 0..=sizes.chunks {
        let numbers = draw.many(chunk_len, team.model.len());
        let from = team.keys(&numbers);
        let expected = team.model.ranges(&numbers, count);
        for (at, member) in team.members.iter().enumerate() {
            let work = || member.peer.read()?.ranges(&from, count);
            let found = match chunk {
                0 => samples.warm(at, work)?,
                _ => samples.take(at, expected.count as usize, work)?,
            };
            found.map_or(Ok(()), |found| same(member.name, workload, found, expected))?;
        }
    }
    stage.report(samples);
    Ok(())
}

pub(super) fn scan(stage: &mut Stage<'_>) -> Result<()> {
    scans(stage, "scan", false)
}

pub(super) fn scan_reverse(stage: &mut Stage<'_>) -> Result<()> {
    scans(stage, "scan-reverse", true)
}

fn scans(stage: &mut Stage<'_>, workload: &str, backwards: bool) -> Result<()> {
    let scans = stage.sizes.scans;
    let team = stage.team()?;
    let mut samples = team.samples(workload, 1);
    let expected = team.model.scan();
    for _ in 0..scans {
        for (at, member) in team.members.iter().enumerate() {
            let reader = member.peer.read()?;
            let found = samples.take(at, expected.count as usize, || reader.scan(backwards))?;
            found.map_or(Ok(()), |found| same(member.name, workload, found, expected))?;
        }
    }
    stage.report(samples);
    Ok(())
}
