//! Bytes that a commit sends to the block device: one by one, and with what is done in the background.

use crate::data::{Draw, Entries, shuffled};
use crate::machine::{Disk, FileSystem, make_cold};
use crate::measure::Samples;
use crate::peer::{Options, Peer, Result, Store};
use crate::stage::{CACHE_BYTES, Stage};

/// Bytes of the device: it is sparse.
const DEVICE_BYTES: u64 = 4 << 30;

/// What is counted.
struct Kind {
    name: &'static str,
    /// Puts of a transaction.
    puts: usize,
    /// Whether the file was dropped from memory, opened and scanned before: then its page cache has large
    /// folios, of which a store through a map may write back more than its page.
    scanned: bool,
}

const KINDS: [Kind; 3] = [
    Kind { name: "device-put", puts: 1, scanned: false },
    Kind { name: "device-batch-1000", puts: 1000, scanned: false },
    Kind { name: "device-put-scanned", puts: 1, scanned: true },
];

pub(super) fn device(stage: &mut Stage<'_>) -> Result<()> {
    let at = stage.own_directory()?;
    let who = || stage.stores.iter().map(|store| store.who());
    let mut all: Vec<[Samples; 2]> = Vec::new();
    for Kind { name, .. } in KINDS {
        let settled = format!("{name}-settled");
        all.push([Samples::new(name, 1, who()), Samples::new(settled, 1, who())]);
    }
    for (i, store) in stage.stores.iter().enumerate() {
        let directory = at.join(store.name);
        let Some(disk) = Disk::new(&directory, DEVICE_BYTES, FileSystem::Ext4) else {
            eprintln!("*** SKIPPED: device needs root, a loop device and mkfs.ext4");
            return Ok(());
        };
        let counted = count(stage, store, &disk)?;
        for (samples, (single, settled)) in all.iter_mut().zip(counted) {
            samples[0].taken[i].bytes.extend(single);
            samples[1].taken[i].bytes.push(settled);
        }
    }
    std::fs::remove_dir_all(at)?;
    all.into_iter().flatten().for_each(|samples| stage.report(samples));
    Ok(())
}

/// For each kind the bytes of each transaction until it returned, and the mean with all that follows.
fn count(stage: &Stage<'_>, store: &Store, disk: &Disk) -> Result<Vec<(Vec<f64>, f64)>> {
    let options = Options { set: stage.set, cache_bytes: CACHE_BYTES };
    let mut peer = (store.open)(disk.path(), options)?;
    let mut load = Entries::default();
    shuffled(stage.entries(), 1).iter().for_each(|number| load.push(stage.set, *number, 1));
    peer.put_all(&load)?;
    let mut draw = Draw::new(51);
    let mut counted = Vec::new();
    for kind in &KINDS {
        peer.settle()?;
        if kind.scanned {
            drop(peer);
            make_cold(disk.path())?;
            peer = (store.open)(disk.path(), options)?;
            if peer.read()?.scan(false)?.count != stage.entries() {
                return Err(format!("{}: a scan misses entries", store.name).into());
            }
            // What opening leaves to the first commit is not what is counted.
            commit(stage, &*peer, disk, &draw.many(1, stage.entries()))?;
            peer.settle()?;
        }
        let transactions = stage.sizes.counted[usize::from(kind.puts > 1)];
        let before = disk.written()?;
        let mut single = Vec::new();
        for _ in 0..transactions {
            let numbers = draw.many(kind.puts, stage.entries());
            single.push(commit(stage, &*peer, disk, &numbers)?);
        }
        peer.settle()?;
        counted.push((single, (disk.written()? - before) as f64 / transactions as f64));
    }
    Ok(counted)
}

fn commit(stage: &Stage<'_>, peer: &dyn Peer, disk: &Disk, numbers: &[u64]) -> Result<f64> {
    let mut entries = Entries::default();
    numbers.iter().for_each(|number| entries.push(stage.set, *number, 2));
    let before = disk.written()?;
    peer.put_all(&entries)?;
    Ok((disk.written()? - before) as f64)
}
