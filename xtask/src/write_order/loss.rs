//! Power losses: what a device may hold after one.

use super::log::Log;
use crate::data::mix;
use std::collections::BTreeMap;
use std::ops::Range;

/// The blocks of the device that are written or not independently of each other.
const BLOCK_BYTES: usize = 4096;
/// What a disk writes whole.
const SECTOR_BYTES: usize = 512;

/// A power loss.
#[derive(Clone, Copy, Debug)]
pub(super) struct Loss {
    /// Entries of the log that are whole.
    pub(super) whole: usize,
    /// Entries of which some may be there too: none, or those up to the next flush.
    until: usize,
    which: Which,
    seed: u64,
}

/// Which writes between two flushes are there.
#[derive(Clone, Copy, Debug)]
enum Which {
    /// None of them.
    None,
    /// Of each block any version it had.
    Any,
    /// Few blocks.
    Few,
    /// All but a few blocks.
    Most,
    /// The writes up to one, in order.
    Prefix,
    /// All but one write.
    AllButOne,
    /// One write.
    One,
    /// Of each block any version, sector by sector.
    Torn,
}

const SUBSETS: [Which; 7] =
    [Which::Any, Which::Few, Which::Most, Which::Prefix, Which::AllButOne, Which::One, Which::Torn];

/// So many losses, in the order of the log: all flushes (or some,
/// where these are more than half of it), and subsets of what was written between two.
pub(super) fn choose(log: &Log, images: u64, seed: u64) -> Vec<Loss> {
    let boundaries = log.boundaries();
    // Between two flushes: what is whole, and up to where some may be there.
    let mut spans = Vec::new();
    for pair in boundaries.windows(2) {
        let writes = &log.entries[pair[0]..pair[1]];
        if writes.iter().any(|entry| !entry.target.is_empty()) {
            spans.push((pair[0], pair[1]));
        }
    }
    let at_flush = boundaries.len().min(images as usize / 2);
    let mut losses: Vec<Loss> = (0..at_flush)
        .map(|nth| {
            let whole = boundaries[nth * boundaries.len() / at_flush];
            Loss { whole, until: whole, which: Which::None, seed: 0 }
        })
        .collect();
    let between = if spans.is_empty() { 0 } else { images - at_flush as u64 };
    losses.extend((0..between).map(|nth| {
        let dice = mix(seed ^ mix(nth));
        let (whole, until) = spans[(dice % spans.len() as u64) as usize];
        let which = SUBSETS[(dice >> 32) as usize % SUBSETS.len()];
        Loss { whole, until, which, seed: mix(dice) }
    }));
    losses.sort_by_key(|loss| loss.whole);
    losses
}

impl Loss {
    /// Whether all is there up to a flush, and nothing behind it.
    pub(super) fn is_at_flush(&self) -> bool {
        matches!(self.which, Which::None)
    }

    /// The device after it. `medium`: what is whole.
    pub(super) fn image(&self, log: &Log, medium: &[u8]) -> Vec<u8> {
        let mut image = medium.to_vec();
        let entries = self.whole..self.until;
        let writes: Vec<usize> =
            entries.filter(|entry| !log.entries[*entry].target.is_empty()).collect();
        if writes.is_empty() || self.is_at_flush() {
            return image;
        }
        let chosen = (self.seed % writes.len() as u64) as usize;
        let whole: &mut dyn Iterator<Item = &usize> = match self.which {
            Which::Prefix => &mut writes[..=chosen].iter(),
            Which::One => &mut writes[chosen..=chosen].iter(),
            Which::AllButOne => {
                &mut writes.iter().enumerate().filter(|(n, _)| *n != chosen).map(|(_, w)| w)
            }
            _ => {
                self.blocks(log, &writes, &mut image);
                return image;
            }
        };
        for entry in whole.map(|entry| &log.entries[*entry]) {
            log.apply(entry, entry.target.clone(), &mut image);
        }
        image
    }

    /// Chooses for each block, or sector, that was written.
    fn blocks(&self, log: &Log, writes: &[usize], image: &mut [u8]) {
        let mut blocks: BTreeMap<usize, Vec<(usize, Range<usize>)>> = BTreeMap::new();
        let torn = matches!(self.which, Which::Torn);
        for write in writes {
            let target = log.entries[*write].target.clone();
            let mut at = target.start;
            while at < target.end {
                // ext4's superblock, the only one that is written without the journal, is of two sectors.
                let unit = if torn && at >= BLOCK_BYTES { SECTOR_BYTES } else { BLOCK_BYTES };
                let end = target.end.min((at / unit + 1) * unit);
                blocks.entry(at / unit * unit).or_default().push((*write, at..end));
                at = end;
            }
        }
        for (block, versions) in blocks {
            let dice = mix(self.seed ^ mix(block as u64));
            let count = versions.len();
            let version = match self.which {
                Which::Few if !dice.is_multiple_of(8) => 0,
                Which::Most if !dice.is_multiple_of(8) => count,
                _ => (dice >> 8) as usize % (count + 1),
            };
            for (write, part) in versions.into_iter().take(version) {
                log.apply(&log.entries[write], part, image);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three writes between two flushes, of which two meet in a block: each sector of each image is one of
    /// its versions; what was not written is as before; and all of that is met.
    #[test]
    fn an_image_is_made_of_versions() {
        let writes = [(0, 8192, 1), (4096, 8192, 2), (4096, 4096, 3)];
        let log = Log::of_writes(&writes);
        let versions: [&[u8]; 4] = [&[0, 1], &[0, 1, 2, 3], &[0, 2], &[0]];
        let medium = vec![0; 4 * BLOCK_BYTES];
        for which in SUBSETS.into_iter().chain([Which::None]) {
            let mut met = std::collections::BTreeSet::new();
            for seed in 0..200 {
                let loss = Loss { whole: 0, until: writes.len(), which, seed: mix(seed) };
                let image = loss.image(&log, &medium);
                for (block, versions) in image.chunks(BLOCK_BYTES).zip(versions) {
                    assert!(block.iter().all(|byte| versions.contains(byte)), "{which:?}");
                    let torn = block.iter().any(|byte| *byte != block[0]);
                    assert!(!torn || matches!(which, Which::Torn), "{which:?}");
                }
                met.insert(image);
            }
            let count = met.len();
            match which {
                Which::Any | Which::Few | Which::Most => assert!(count > 6, "{which:?}: {count}"),
                Which::Torn => assert!(count > 100, "{count}"),
                Which::Prefix | Which::One | Which::AllButOne => assert_eq!(count, 3, "{which:?}"),
                Which::None => assert!(count == 1 && met.contains(&medium)),
            }
        }
    }
}
