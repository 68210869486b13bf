//! A writer killed at any moment leaves a file that opens with every acknowledged commit: `kills`, in
//! small.

use super::{Context, Finding};
use crate::Result;
use crate::history::Planted;
use crate::kills;
use std::time::{SystemTime, UNIX_EPOCH};

pub(super) fn run(context: &Context) -> Result<Vec<Finding>> {
    let seed = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos() as u64;
    let count = context.size(200, 25);
    let met = kills::campaign(&context.path(""), count, seed, None, Planted::None)?;
    let (all, replayed) = (met.kills() >= count && met.commits > 0, met.replayed > 0);
    Ok(vec![
        Finding::new("every acknowledged commit is there", met.to_string(), all),
        Finding::new("openings that replayed the log", met.replayed.to_string(), replayed),
    ])
}
