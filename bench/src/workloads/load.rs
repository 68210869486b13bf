//! Loads.

use crate::data::DataSet;
use crate::peer::Result;
use crate::stage::Stage;

pub(super) fn random(stage: &mut Stage<'_>) -> Result<()> {
    if let Some(samples) = stage.load()? {
        stage.report(samples);
    }
    Ok(())
}

pub(super) fn sorted(stage: &mut Stage<'_>) -> Result<()> {
    let numbers = DataSet::sorted(stage.set, stage.entries());
    let chunks = stage.sizes.chunks;
    let (mut team, at) = stage.own_team()?;
    let samples = team.load_in_order(&numbers, chunks, "load-sorted", true)?;
    drop(team);
    std::fs::remove_dir_all(at)?;
    stage.report(samples);
    Ok(())
}
