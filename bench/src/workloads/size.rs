//! What an entry takes on the disk.

use crate::data::Draw;
use crate::peer::{Result, disk_bytes_of};
use crate::stage::Stage;
use crate::team::Team;

/// Transactions in which all entries would be put once.
const TRANSACTIONS: u64 = 20;

/// After a random load; after churn: puts of five times as many entries (at most 5,000,000), a twentieth
/// of them a transaction; after compaction, where the store has one.
pub(super) fn size(stage: &mut Stage<'_>) -> Result<()> {
    let (count, chunks) = (stage.entries(), stage.sizes.chunks);
    let (mut team, at) = stage.own_team()?;
    team.load(count, chunks)?;
    weigh(stage, &team, "size-loaded")?;
    let mut draw = Draw::new(43);
    let part = (count / TRANSACTIONS).max(1) as usize;
    let mut unmeasured = team.samples("churn", 1);
    for _ in 0..stage.sizes.churn(stage.set) / part as u64 {
        let numbers = draw.many(part, count);
        team.put(&mut unmeasured, &numbers, part, |peer, entries| peer.put_all(entries))?;
    }
    weigh(stage, &team, "size-churned")?;
    let mut samples = team.samples("size-compacted", 1);
    for (at, member) in team.members.iter_mut().enumerate() {
        let directory = member.directory.clone();
        if let Some(bytes) = samples.warm(at, || member.peer.compact(&directory))? {
            samples.taken[at].bytes.push(bytes as f64 / count as f64);
        }
    }
    team.check_some()?;
    drop(team);
    std::fs::remove_dir_all(at)?;
    stage.report(samples);
    Ok(())
}

fn weigh(stage: &mut Stage<'_>, team: &Team, workload: &str) -> Result<()> {
    let mut samples = team.samples(workload, 1);
    team.settle()?;
    team.check_some()?;
    for (taken, member) in samples.taken.iter_mut().zip(&team.members) {
        taken.bytes.push(disk_bytes_of(&member.directory)? as f64 / team.model.len() as f64);
    }
    stage.report(samples);
    Ok(())
}
