//! Bytes that a commit sends to the block device: one by one, and with what is done in the background.

use crate::data::{Draw, Entries, shuffled};
use crate::machine::LoopDisk;
use crate::measure::Samples;
use crate::peer::{Options, Peer, Result};
use crate::stage::{CACHE_BYTES, Stage};

/// Bytes of the device: it is sparse.
const DEVICE_BYTES: u64 = 4 << 30;
/// Puts of a transaction.
const KINDS: [(&str, usize); 2] = [("device-put", 1), ("device-batch-1000", 1000)];

pub(super) fn device(stage: &mut Stage<'_>) -> Result<()> {
    let count = stage.entries();
    let at = stage.own_directory()?;
    let who = || stage.stores.iter().map(|store| store.who());
    let name = |kind: &str, settled| match settled {
        false => kind.to_owned(),
        true => format!("{kind}-settled"),
    };
    let mut all: Vec<Samples> = Vec::new();
    for (kind, _) in KINDS {
        all.extend([false, true].map(|settled| Samples::new(name(kind, settled), 1, who())));
    }
    for (i, store) in stage.stores.iter().enumerate() {
        let directory = at.join(store.name);
        let Some(disk) = LoopDisk::new(&directory, DEVICE_BYTES) else {
            eprintln!("*** SKIPPED: device needs root, a loop device and mkfs.ext4");
            return Ok(());
        };
        let options = Options { set: stage.set, cache_bytes: CACHE_BYTES };
        let peer = (store.open)(disk.path(), options)?;
        let mut load = Entries::default();
        shuffled(count, 1).iter().for_each(|number| load.push(stage.set, *number, 1));
        peer.put_all(&load)?;
        let mut draw = Draw::new(51);
        let pairs = all.chunks_exact_mut(2);
        let kinds = KINDS.iter().zip(stage.sizes.counted);
        for (pair, ((_, puts), transactions)) in pairs.zip(kinds) {
            peer.settle()?;
            let before = disk.written()?;
            for _ in 0..transactions {
                let bytes = commit(stage, &*peer, &disk, &draw.many(*puts, count))?;
                pair[0].taken[i].bytes.push(bytes);
            }
            peer.settle()?;
            let bytes = (disk.written()? - before) as f64 / transactions as f64;
            pair[1].taken[i].bytes.push(bytes);
        }
    }
    std::fs::remove_dir_all(at)?;
    all.into_iter().for_each(|samples| stage.report(samples));
    Ok(())
}

fn commit(stage: &Stage<'_>, peer: &dyn Peer, disk: &LoopDisk, numbers: &[u64]) -> Result<f64> {
    let mut entries = Entries::default();
    numbers.iter().for_each(|number| entries.push(stage.set, *number, 2));
    let before = disk.written()?;
    peer.put_all(&entries)?;
    Ok((disk.written()? - before) as f64)
}
