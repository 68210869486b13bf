//! Two crashes that meet in one meta slot: what the first has torn, the second must not make whole.

use super::life::{Left, live};
use super::{Breadth, Model, Search, Setup, verify};
use crate::sim::{Disk, Lie, Moment, Version, version};
use std::sync::Arc;

/// Bytes that the medium writes as one: the smaller, the more ways there are to tear a meta.
const UNIT: usize = 8;
/// The last checkpoint is the one that is torn.
const HISTORY: &str = "S1c0s2c0";
/// Without a log: the last commit's meta is torn, and the commit lost with it.
const UNLOGGED: &str = "S1s2";

/// Tears a checkpoint's meta, opens what is left, and tears the meta of that recovery in the same place,
/// for each unit of the slot.
///
/// # Errors
/// What the second crash has left does not open, or holds something else than was committed.
pub fn meta_torn_twice(two_views: bool) -> Result<(), String> {
    let setup = Setup { unit: UNIT, ..Setup::small(two_views) };
    let empty = Search::new(setup, Breadth::SHALLOW).into_empty();
    let nothing = vec![Arc::new(Model::default())];
    let left = Left { disk: empty.clone(), possible: nothing, attempted: None };
    let first = live(&setup, &left, &HISTORY.parse()?, Lie::None, None)?;
    let LastMeta { before, after, slot } = last_meta(&setup, empty, &first.tape)?;
    let newest = first.possible.last().ok_or("no commit")?;
    for at in slot {
        if before[at].hash == after[at].hash {
            continue;
        }
        let mut torn = after.clone();
        torn[at] = before[at].clone();
        let disk = Disk::of(torn.into_iter(), UNIT);
        let left = Left { disk, possible: vec![newest.clone()], attempted: None };
        each_image(&setup, &left, "k0", at, |found| found == newest.hash)?;
    }
    Ok(())
}

/// Tears the meta of a commit before anybody is told of it, lets what is left open as it was before, and tears the next
/// meta in the same place, for each unit of the slot: what was seen to be lost must not come back.
///
/// # Errors
/// It came back, or what the second crash has left does not open.
pub fn torn_meta_comes_back(two_views: bool) -> Result<(), String> {
    let setup = Setup { unit: UNIT, log: 0, ..Setup::small(two_views) };
    let empty = Search::new(setup, Breadth::SHALLOW).into_empty();
    let nothing = vec![Arc::new(Model::default())];
    let left = Left { disk: empty.clone(), possible: nothing, attempted: None };
    let first = live(&setup, &left, &UNLOGGED.parse()?, Lie::None, None)?;
    let LastMeta { after, slot, .. } = last_meta(&setup, empty, &first.tape)?;
    let [.., before, lost] = &first.models[..] else { return Err("no commits".into()) };
    for at in slot {
        let mut torn = after.clone();
        torn[at] = version(&[0xA5; UNIT]);
        let disk = Disk::of(torn.into_iter(), UNIT);
        let left = Left { disk, possible: vec![before.clone()], attempted: None };
        each_image(&setup, &left, "s3", at, |found| found != lost.hash)?;
    }
    Ok(())
}

/// The medium before and after the last meta was stored, and the units of its slot.
struct LastMeta {
    before: Vec<Version>,
    after: Vec<Version>,
    slot: std::ops::Range<usize>,
}

/// Finds it on a tape that begins over `disk`.
fn last_meta<N>(setup: &Setup, mut disk: Disk, tape: &[Moment<N>]) -> Result<LastMeta, String> {
    use crate::sim::Change::Write;
    let per_page = setup.page / UNIT;
    let is_meta = |moment: &Moment<N>| match moment {
        Moment::Change(Write(at, ..)) => (*at < 2 * per_page).then_some(at / per_page),
        _ => None,
    };
    let last = tape.iter().rposition(|moment| is_meta(moment).is_some()).ok_or("no meta")?;
    let page = is_meta(&tape[last]).ok_or("no meta")?;
    // Its store is one stretch of writes to its slot; nothing else is dirty.
    let other =
        |moment: &Moment<N>| matches!(moment, Moment::Change(_)) && is_meta(moment) != Some(page);
    let first = tape[..last].iter().rposition(other).map_or(0, |at| at + 1);
    let mut before = None;
    for (at, moment) in tape.iter().enumerate() {
        if at == first {
            before = Some(newest(&disk));
        }
        if let Moment::Change(change) = moment {
            disk.apply(change);
        }
    }
    let slot = page * per_page..(page + 1) * per_page;
    Ok(LastMeta { before: before.ok_or("no meta")?, after: newest(&disk), slot })
}

fn newest(disk: &Disk) -> Vec<Version> {
    disk.cells.iter().map(|cell| cell.newest().clone()).collect()
}

/// Opens what is left, and lives on; at each point of that, power is lost when unit `at` alone has reached the medium.
fn each_image(
    setup: &Setup,
    left: &Left,
    steps: &str,
    at: usize,
    right: impl Fn(u64) -> bool,
) -> Result<(), String> {
    let lived = live(setup, left, &steps.parse()?, Lie::None, None)?;
    let mut disk = left.disk.clone();
    for moment in &lived.tape {
        match moment {
            Moment::Change(change) => disk.apply(change),
            Moment::Point => {
                let cells = disk.cells.iter().enumerate();
                let image = cells.map(|(i, cell)| if i == at { cell.newest() } else { &cell.sure });
                let found = verify::image(setup, image.map(|version| &*version.bytes));
                let found = found.map_err(|what| format!("unit {at} torn twice: {what}"))?;
                if !right(found) {
                    return Err(format!("unit {at} torn twice: another state"));
                }
            }
            Moment::Load(_) | Moment::Note(_) => {}
        }
    }
    Ok(())
}
