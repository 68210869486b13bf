//! What was counted in a file, and how it is told.

use std::collections::BTreeMap;

/// How many of a thing were run.
#[derive(Clone, Copy, Default)]
pub(super) struct Share {
    pub(super) hit: u32,
    pub(super) all: u32,
}

impl Share {
    fn count(&mut self, hit: bool) {
        self.hit += u32::from(hit);
        self.all += 1;
    }

    pub(super) fn percent(self) -> f64 {
        if self.all == 0 { 100.0 } else { f64::from(self.hit) * 100.0 / f64::from(self.all) }
    }
}

/// First line and column, last line and column.
pub(super) type Place = [u64; 4];

/// How often each line with code, each region and each way of a branch was run.
#[derive(Default)]
pub(super) struct File {
    pub(super) lines: BTreeMap<u32, u64>,
    pub(super) regions: BTreeMap<Place, u64>,
    pub(super) branches: BTreeMap<Place, [u64; 2]>,
}

/// Of lines, regions and ways of branches.
pub(super) type Shares = [Share; 3];

impl File {
    pub(super) fn shares(&self) -> Shares {
        let [mut lines, mut regions, mut branches] = Shares::default();
        self.lines.values().for_each(|times| lines.count(*times > 0));
        self.regions.values().for_each(|times| regions.count(*times > 0));
        self.branches.values().flatten().for_each(|times| branches.count(*times > 0));
        [lines, regions, branches]
    }

    /// Stretches of lines that were never run, without code between them that was: `7` or `7-9`.
    pub(super) fn missed(&self) -> String {
        let mut stretches: Vec<(u32, u32)> = Vec::new();
        let mut before_missed = false;
        for (line, times) in &self.lines {
            let missed = *times == 0;
            match stretches.last_mut() {
                Some(stretch) if missed && before_missed => stretch.1 = *line,
                _ if missed => stretches.push((*line, *line)),
                _ => {}
            }
            before_missed = missed;
        }
        let text = stretches.iter().map(|(first, last)| {
            if first == last { format!("{first}") } else { format!("{first}-{last}") }
        });
        text.collect::<Vec<_>>().join(" ")
    }
}

/// Adds a file's to a crate's.
pub(super) fn add(total: &mut Shares, shares: &Shares) {
    for (total, share) in total.iter_mut().zip(shares) {
        total.hit += share.hit;
        total.all += share.all;
    }
}

pub(super) fn print_row(name: &str, shares: &Shares) {
    let cell = |share: &Share| match share.all {
        0 => "-".to_owned(),
        all => format!("{}/{all} {:6.2} %", share.hit, share.percent()),
    };
    let [lines, regions, branches] = shares.each_ref().map(cell);
    println!("{name:<32} {lines:>20} {regions:>20} {branches:>20}");
}

#[cfg(test)]
mod tests {
    use super::File;

    #[test]
    fn missed_lines_are_told_in_stretches() {
        let mut file = File::default();
        file.lines.extend([(1, 0), (3, 0), (4, 2), (6, 0), (7, 1), (9, 0), (10, 0)]);
        assert_eq!(file.missed(), "1-3 6 9-10");
        let [lines, regions, _] = file.shares();
        assert_eq!((lines.hit, lines.all, regions.all), (2, 7, 0));
    }
}
