//! Removals, from stores of their own.

use crate::data::{Keys, shuffled};
use crate::peer::Result;
use crate::stage::Stage;
use crate::team::same;

/// Entries of a removed range.
const RANGE: usize = 1000;

pub(super) fn random(stage: &mut Stage<'_>) -> Result<()> {
    let (count, chunks) = (stage.entries(), stage.sizes.chunks);
    let (mut team, at) = stage.own_team()?;
    team.load(count, chunks)?;
    let mut samples = team.samples("remove-random", 1);
    let half = &shuffled(count, 41)[..(count / 2) as usize];
    let mut txns =
        team.members.iter().map(|member| member.peer.write()).collect::<Result<Vec<_>>>()?;
    samples.without_collectors(&txns);
    for chunk in half.chunks(half.len().div_ceil(chunks)) {
        let keys = team.model.remove(chunk);
        for (at, txn) in txns.iter_mut().enumerate() {
            let removed = samples.take(at, keys.len(), || txn.remove(&keys))?;
            if removed.is_none() {
                txn.remove(&keys)?;
            }
            if removed.is_some_and(|removed| removed != keys.len() as u64) {
                return Err(format!("{}: keys were not there", team.members[at].name).into());
            }
        }
    }
    for txn in txns {
        txn.commit()?;
    }
    for member in &team.members {
        same(
            member.name,
            "what removals leave",
            member.peer.read()?.scan(false)?,
            team.model.scan(),
        )?;
    }
    drop(team);
    std::fs::remove_dir_all(at)?;
    stage.report(samples);
    Ok(())
}

/// Every other range of a thousand entries, each in one call, all in one transaction.
pub(super) fn ranges(stage: &mut Stage<'_>) -> Result<()> {
    let (count, chunks) = (stage.entries(), stage.sizes.chunks);
    let (mut team, at) = stage.own_team()?;
    team.load(count, chunks)?;
    let mut samples = team.samples("remove-range", 1);
    let sorted = team.model.sorted().to_vec();
    let ranges: Vec<&[u64]> = sorted.chunks_exact(RANGE).collect();
    let mut txns =
        team.members.iter().map(|member| member.peer.write()).collect::<Result<Vec<_>>>()?;
    samples.without_collectors(&txns);
    for pair in ranges.chunks_exact(2) {
        let bounds = Keys::of(team.set, &[pair[0][0], pair[1][0]]);
        team.model.remove(pair[0]);
        for (at, txn) in txns.iter_mut().enumerate() {
            samples.take(at, RANGE, || txn.remove_range(bounds.get(0), bounds.get(1)))?;
        }
    }
    for txn in txns {
        txn.commit()?;
    }
    let removed = team.members.iter().enumerate().filter(|(at, _)| samples.has(*at));
    for (_, member) in removed {
        let found = member.peer.read()?.scan(false)?;
        same(member.name, "what removals leave", found, team.model.scan())?;
    }
    drop(team);
    std::fs::remove_dir_all(at)?;
    stage.report(samples);
    Ok(())
}
