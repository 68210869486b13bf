//! YCSB's mixes A, B, C, E and F (Cooper et al. 2010): zipfian keys, each operation a transaction, commits
//! without a barrier, so that the store is measured and not the disk.

use crate::data::{Draw, Entries, Keys, Zipf};
use crate::peer::{Durability, Found, Peer, Result};
use crate::stage::Stage;
use crate::team::{Team, same};

/// An operation; each has the key or the entry of the same place.
#[derive(Clone, Copy)]
enum Op {
    Get,
    Put,
    GetAndPut,
    Range(usize),
}

/// Operations in one hundred.
struct Mix {
    name: &'static str,
    puts: u64,
    other: Op,
    seed: u64,
    /// Whether puts are of new entries.
    new: bool,
}

pub(super) fn a(stage: &mut Stage<'_>) -> Result<()> {
    run(stage, &Mix { name: "ycsb-a", puts: 50, other: Op::Get, seed: 31, new: false })
}

pub(super) fn b(stage: &mut Stage<'_>) -> Result<()> {
    run(stage, &Mix { name: "ycsb-b", puts: 5, other: Op::Get, seed: 32, new: false })
}

pub(super) fn c(stage: &mut Stage<'_>) -> Result<()> {
    run(stage, &Mix { name: "ycsb-c", puts: 0, other: Op::Get, seed: 33, new: false })
}

pub(super) fn e(stage: &mut Stage<'_>) -> Result<()> {
    run(stage, &Mix { name: "ycsb-e", puts: 5, other: Op::Range(100), seed: 35, new: true })
}

pub(super) fn f(stage: &mut Stage<'_>) -> Result<()> {
    run(stage, &Mix { name: "ycsb-f", puts: 50, other: Op::GetAndPut, seed: 36, new: false })
}

/// A chunk's operations, made beforehand.
struct Chunk {
    ops: Vec<Op>,
    keys: Keys,
    entries: Entries,
}

impl Mix {
    fn chunk(&self, team: &mut Team, zipf: &Zipf, draw: &mut Draw, count: usize) -> Chunk {
        let mut next_new = team.model.len();
        let mut numbers = Vec::new();
        let mut ops = Vec::new();
        for _ in 0..count {
            let puts = draw.below(100) < self.puts;
            let op = match self.other {
                _ if puts && !matches!(self.other, Op::GetAndPut) => Op::Put,
                Op::GetAndPut if !puts => Op::Get,
                Op::Range(most) => Op::Range(1 + draw.below(most as u64) as usize),
                other => other,
            };
            if self.new && matches!(op, Op::Put) {
                numbers.push(next_new);
                next_new += 1;
            } else {
                numbers.push(zipf.next(draw));
            }
            ops.push(op);
        }
        let keys = team.keys(&numbers);
        // Only these become new versions; the entries keep the place of their operation.
        let writes = |op: &Op| matches!(op, Op::Put | Op::GetAndPut);
        let written: Vec<u64> =
            numbers.iter().zip(&ops).filter(|(_, op)| writes(op)).map(|(n, _)| *n).collect();
        let entries = team.model.put(&written);
        Chunk { ops, keys, entries }
    }
}

fn work(peer: &dyn Peer, chunk: &Chunk) -> Result<Found> {
    let mut found = Found::default();
    let mut written = 0;
    let mut add = |worth: Option<u64>| {
        found.count += u64::from(worth.is_some());
        found.sum = found.sum.wrapping_add(worth.unwrap_or(0));
    };
    for (at, op) in chunk.ops.iter().enumerate() {
        let key = chunk.keys.get(at);
        match op {
            Op::Get => add(peer.read()?.one(key)?),
            Op::Range(count) => {
                let read = peer.read()?.range(key, *count)?;
                add(Some(read.sum.wrapping_add(read.count)));
            }
            Op::Put | Op::GetAndPut => {
                let (key, value) = chunk.entries.get(written);
                written += 1;
                let mut txn = peer.write()?;
                if matches!(op, Op::GetAndPut) {
                    add(txn.get(key)?);
                }
                txn.put(key, value)?;
                txn.commit()?;
            }
        }
    }
    Ok(found)
}

fn run(stage: &mut Stage<'_>, mix: &Mix) -> Result<()> {
    let (ops, chunks) = (stage.sizes.ycsb, stage.sizes.chunks);
    let team = stage.team()?;
    let mut samples = team.samples(mix.name, 1);
    if mix.puts > 0 {
        team.durability(&mut samples, Durability::Eventual)?;
    }
    let zipf = Zipf::new(team.model.len());
    let mut draw = Draw::new(mix.seed);
    for _ in 0..chunks {
        let chunk = mix.chunk(team, &zipf, &mut draw, ops / chunks);
        // All must find the same; the model knows it at the end.
        let mut expected = None;
        for (at, member) in team.members.iter().enumerate() {
            match samples.take(at, chunk.ops.len(), || work(&*member.peer, &chunk))? {
                Some(found) => {
                    same(member.name, mix.name, found, *expected.get_or_insert(found))?;
                }
                None => member.peer.put_all(&chunk.entries)?,
            }
        }
    }
    team.check_some()?;
    team.durability(&mut samples, Durability::Durable)?;
    team.settle()?;
    stage.report(samples);
    Ok(())
}
